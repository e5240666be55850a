//! The door of a fragment: what others may do with it from any thread, and where senders put their messages.

use std::{
    collections::VecDeque,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use crate::{
    io::clock,
    logic::delivery::{Counters, Overflow, Policy, SourceId},
    runtime::instance::{Accept, Bypass, Failure, Inlet, Message, Refused, ReplyTo, Sink, Why},
    words::{PortPath, Time},
};

use super::{
    tap::{Tap, TapSender, tap},
    wiring::Wiring,
};

/// How often the clock is read for senders that are faster than the fragment: it costs as much as putting a letter in.
const LETTERS_PER_MARK: u64 = 64;

/// A channel's fragment on this node, for the node: a facet of its `Handle`. Every method may be called from any thread; none
/// waits but [`Door::counters`].
#[derive(Debug)]
pub struct Door {
    state: Mutex<State>,
    carries_calls: bool,
    clock: Clock,
}

/// The time of day, which obeys tokio's paused time: what a fragment is told. Both come from one reading of the day's clock, so it
/// is never set back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    day: Time,
    start: Instant,
}

impl Clock {
    fn new() -> Clock {
        Clock { day: clock::now(), start: Instant::now() }
    }

    pub(super) fn now(self) -> Time {
        self.day + self.start.elapsed()
    }

    pub(super) fn instant(self, time: Time) -> Instant {
        self.start + time.since(self.day)
    }
}

/// A message that came in.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) from: SourceId,
    pub(super) message: Message,
    pub(super) reply: Option<ReplyTo>,
}

/// What the node wants of the fragment.
#[derive(Debug)]
pub(super) enum Order {
    /// A receiver of this node.
    Open(PortPath, Inlet),
    /// It is a receiver no more.
    Close(PortPath),
    /// A receiver's condition has changed, or it has room.
    Look(PortPath),
    Rewire(Wiring),
    TakeBack(PortPath, Vec<Message>),
    Count(oneshot::Sender<Counters>),
    Tap(TapSender),
    /// Somebody watches no more.
    ForgetTaps,
}

#[derive(Debug)]
struct State {
    letters: VecDeque<Letter>,
    /// When some of the letters came, by their number: every one that found the queue empty, and each of so many. What lies
    /// between is taken for as old as the one before.
    marks: VecDeque<(u64, Time)>,
    /// Letters that ever came.
    n_put: u64,
    /// Not bounded by number: the node waits for its adaptations, and each receiver's bell rings once until it is answered.
    orders: VecDeque<Order>,
    shell: Option<Waker>,
    /// The way around the fragment while it sleeps, and would do nothing with a message but pass it on.
    bypass: Option<Bypass>,
    /// Messages that went around, not counted by the fragment yet.
    n_passed: u64,
    senders: Vec<Waker>,
    sources: Vec<PortPath>,
    policy: Policy,
    /// Senders have waited for long enough: what comes is refused until there is room.
    is_overrun: bool,
    n_refused: u64,
    is_closed: bool,
}

impl Door {
    pub(super) fn new(policy: Policy, carries_calls: bool) -> Arc<Door> {
        let state = State {
            letters: VecDeque::new(),
            marks: VecDeque::new(),
            n_put: 0,
            orders: VecDeque::new(),
            shell: None,
            bypass: None,
            n_passed: 0,
            senders: Vec::new(),
            sources: Vec::new(),
            policy,
            is_overrun: false,
            n_refused: 0,
            is_closed: false,
        };
        Arc::new(Door { state: Mutex::new(state), carries_calls, clock: Clock::new() })
    }

    /// Where a sending port of this node sends into. The same port may ask again.
    pub fn sink(self: &Arc<Self>, from: PortPath) -> Sink {
        let mut state = self.lock();
        let known = state.sources.iter().position(|source| *source == from);
        let idx = known.unwrap_or_else(|| {
            state.sources.push(from);
            state.sources.len() - 1
        });
        Sink::new(Entrance { door: self.clone(), from: SourceId(idx as u32) })
    }

    /// Binds a receiving port of this node. Messages are handed over while its instance runs, and kept while it does not.
    pub fn open(&self, port: PortPath, inlet: Inlet) {
        self.order(Order::Open(port, inlet));
    }

    /// Unbinds a receiving port of this node. What is kept for it stays until the wiring says that it is gone (then it is lost)
    /// or moved (then it follows).
    pub fn close(&self, port: PortPath) {
        self.order(Order::Close(port));
    }

    /// Says who is on the channel, on every node.
    pub fn rewire(&self, wiring: Wiring) {
        self.order(Order::Rewire(wiring));
    }

    /// Puts back what a receiver of this node had in its queue (`Handle::take_waiting`) when it moves or is replaced: its successor is
    /// given it first.
    pub fn take_back(&self, port: PortPath, messages: Vec<Message>) {
        self.order(Order::TakeBack(port, messages));
    }

    /// The numbers of this fragment so far.
    ///
    /// # Errors
    /// When the fragment has ended or does not answer.
    pub async fn counters(&self, limit: Duration) -> Result<Counters, Failure> {
        let (sender, answer) = oneshot::channel();
        self.order(Order::Count(sender));
        match timeout(limit, answer).await {
            Ok(Ok(counters)) => Ok(counters),
            Ok(Err(_)) => Err(Failure::Gone),
            Err(_) => Err(Failure::TimedOut { what: "count".to_owned(), limit }),
        }
    }

    /// Watches the messages that components of this node send, and what becomes of each.
    pub fn tap(self: &Arc<Self>) -> Tap {
        let (sender, tap) = tap(self.clone());
        self.order(Order::Tap(sender));
        tap
    }

    /// A tap was dropped: a channel that nothing comes over forgets it, too.
    pub(super) fn forget_taps(&self) {
        self.order(Order::ForgetTaps);
    }

    // ---- for the shell ----

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// The port of a source.
    pub(super) fn source(&self, source: SourceId) -> Option<PortPath> {
        self.lock().sources.get(source.0 as usize).cloned()
    }

    pub(super) fn set_policy(&self, policy: Policy) {
        self.lock().policy = policy;
    }

    pub(super) fn next_order(&self) -> Option<Order> {
        self.lock().orders.pop_front()
    }

    /// Takes up to `n` letters, with the time since when the first has waited, and how many were refused meanwhile.
    pub(super) fn take_letters(&self, n: usize, into: &mut VecDeque<Letter>) -> (Time, u64) {
        let mut state = self.lock();
        let n = n.min(state.letters.len());
        state.forget_old_marks();
        let since = state.marks.front().map_or_else(Time::default, |(_, time)| *time);
        if into.is_empty() && n == state.letters.len() {
            // It begins at its beginning again: what is used stays in the processor's cache.
            into.clear();
            mem::swap(into, &mut state.letters);
        } else {
            into.extend(state.letters.drain(..n));
        }
        if state.letters.is_empty() {
            state.marks.clear();
        }
        let found = (since, mem::take(&mut state.n_refused));
        if state.letters.len() <= state.policy.capacity / 2 {
            state.is_overrun = false;
            wake_all(state);
        }
        found
    }

    /// Senders have waited for long enough.
    pub(super) fn overrun(&self) {
        let mut state = self.lock();
        state.is_overrun = true;
        wake_all(state);
    }

    /// Whether letters wait at their bound.
    pub(super) fn is_full(&self) -> bool {
        let state = self.lock();
        state.letters.len() >= state.policy.capacity
    }

    /// Says whom to wake when something comes; false when something is there already. Until then all that comes would only be passed
    /// on to one receiver, if there is one: so senders may go around.
    pub(super) fn sleep(&self, cx: &Context<'_>, wants_letters: bool, only: Option<&Inlet>) -> bool {
        let mut state = self.lock();
        if !state.orders.is_empty() || (wants_letters && !state.letters.is_empty()) {
            return false;
        }
        state.shell = Some(cx.waker().clone());
        state.bypass = only.filter(|_| state.letters.is_empty()).cloned().map(Bypass::to);
        true
    }

    /// The fragment is awake: all goes through it. Gives how many messages went straight to their receiver since.
    pub(super) fn awake(&self) -> u64 {
        let mut state = self.lock();
        let _closed = state.close_bypass();
        let n_passed = mem::take(&mut state.n_passed);
        drop(state);
        n_passed
    }

    /// Closes for good. Gives back how many letters nobody will read.
    pub(super) fn shut(&self) -> usize {
        let mut state = self.lock();
        state.is_closed = true;
        let letters = mem::take(&mut state.letters);
        let (orders, closed) = (mem::take(&mut state.orders), state.close_bypass());
        wake_all(state);
        drop((orders, closed));
        letters.len()
    }

    fn order(&self, order: Order) {
        let mut state = self.lock();
        if state.is_closed {
            // Unlocks before the order is dropped: it may hold an inlet or a caller.
            drop(state);
            return;
        }
        state.orders.push_back(order);
        // At once: what the node does next must not be overtaken.
        let closed = state.close_bypass();
        wake(state);
        drop(closed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock runs code of users, so a poisoned lock still guards a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a letter. Where the fragment would only pass it on, it goes around it, and its sender learns the way.
    fn put(&self, mut letter: Letter, bypass: &mut Option<Bypass>) -> Result<(), Refused> {
        // Dropped after the lock, however this ends.
        let closed;
        let mut state = self.lock();
        if state.is_closed {
            return Err(Refused { message: letter.message, why: Why::Closed });
        }
        if let Some(way) = state.bypass.clone().filter(|_| letter.reply.is_none()) {
            match way.pass(letter.message) {
                Ok(()) => {
                    *bypass = Some(way);
                    return Ok(());
                }
                Err(message) => letter.message = message,
            }
        }
        // From here on all goes through the fragment: nothing overtakes this one.
        closed = state.close_bypass();
        let mut displaced = None;
        if state.letters.len() >= state.policy.capacity {
            match state.policy.overflow {
                Overflow::Wait if !state.is_overrun => return Err(Refused { message: letter.message, why: Why::Full }),
                Overflow::Wait | Overflow::Refuse => {
                    state.n_refused += 1;
                    return Err(Refused { message: letter.message, why: Why::Overflow });
                }
                Overflow::DropOldest => {
                    displaced = state.letters.pop_front();
                    state.n_refused += 1;
                }
            }
        }
        if state.letters.is_empty() || state.n_put.is_multiple_of(LETTERS_PER_MARK) {
            let mark = (state.n_put, self.clock.now());
            state.marks.push_back(mark);
            state.forget_old_marks();
        }
        state.n_put += 1;
        state.letters.push_back(letter);
        wake(state);
        // After the lock: dropping a message runs code of users.
        drop((displaced, closed));
        Ok(())
    }
}

impl State {
    /// Nothing goes around the fragment any more. Gives the way back, to be dropped after the lock.
    fn close_bypass(&mut self) -> Option<Bypass> {
        let bypass = self.bypass.take()?;
        self.n_passed += bypass.close();
        Some(bypass)
    }

    /// Forgets the marks of letters that are gone, but for the one that says how old the first letter is.
    fn forget_old_marks(&mut self) {
        let first = self.n_put - self.letters.len() as u64;
        while self.marks.get(1).is_some_and(|(number, _)| *number <= first) {
            self.marks.pop_front();
        }
    }
}

/// Unlocks, then wakes the shell if it sleeps.
fn wake(mut state: MutexGuard<'_, State>) {
    let shell = state.shell.take();
    drop(state);
    if let Some(waker) = shell {
        waker.wake();
    }
}

fn wake_all(mut state: MutexGuard<'_, State>) {
    if state.senders.is_empty() {
        return;
    }
    let senders = mem::take(&mut state.senders);
    drop(state);
    senders.into_iter().for_each(Waker::wake);
}

/// The channel as one sender sees it.
#[derive(Debug)]
struct Entrance {
    door: Arc<Door>,
    from: SourceId,
}

impl Accept for Entrance {
    fn offer(&self, message: Message) -> Result<(), Refused> {
        self.offer_first(message, &mut None)
    }

    fn offer_first(&self, message: Message, bypass: &mut Option<Bypass>) -> Result<(), Refused> {
        self.door.put(Letter { from: self.from, message, reply: None }, bypass)
    }

    fn call(&self, message: Message, reply: ReplyTo) -> Result<(), Refused> {
        if !self.door.carries_calls {
            return Err(Refused { message, why: Why::NoCalls });
        }
        self.door.put(Letter { from: self.from, message, reply: Some(reply) }, &mut None)
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.door.lock();
        if state.is_closed || state.is_overrun || state.letters.len() < state.policy.capacity {
            return Poll::Ready(());
        }
        if !state.senders.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.senders.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// Wakes a fragment for one of its receivers, so that it needs not look at all of them.
pub(super) struct Bell {
    door: Arc<Door>,
    port: PortPath,
    has_rung: AtomicBool,
}

impl Bell {
    pub(super) fn new(door: Arc<Door>, port: PortPath) -> Arc<Bell> {
        Arc::new(Bell { door, port, has_rung: AtomicBool::new(false) })
    }

    /// Rings again from now on.
    pub(super) fn reset(&self) {
        self.has_rung.store(false, Ordering::Release);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.has_rung.swap(true, Ordering::AcqRel) {
            self.door.order(Order::Look(self.port.clone()));
        }
    }
}
