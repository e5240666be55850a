//! The inbox of an instance: bounded queues for its input ports, and a lane for what the node wants, which goes first.
//!
//! Everyone who holds a `Handle` or an `Inlet` puts in; the instance's shell alone takes out, one at a time, in order. Putting
//! in takes one short lock and wakes the shell only when it sleeps, so a busy receiver costs its senders no wake-ups.

use std::{
    any::Any,
    cell::Cell,
    collections::VecDeque,
    fmt,
    future::{Future, poll_fn},
    mem,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, Waker},
};

use futures_util::FutureExt;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{Failure, Message, Refused, ReplyTo, Sink, Why};
use crate::{
    model::{Dictionary, Kind},
    words::{ChannelName, InstancePath, PortName, Value},
};

/// Messages that an input port keeps when its author says nothing: enough for a burst, and little memory.
pub const QUEUE_DEFAULT: u32 = 1024;

/// Closures that wait for their turn on one instance (`Me::ask`, `Me::tell`); more are refused.
pub const TURNS_MAX: usize = 1024;

/// What happens to a message when the queue of its port is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// The sender waits (a channel keeps it within its own bound).
    #[default]
    Wait,
    /// The oldest message of the port makes room.
    DropOldest,
    /// The message is refused.
    Refuse,
}

/// An input port of a type, as its queue needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputPort {
    /// The name.
    pub name: PortName,
    /// How many messages it keeps.
    pub queue: u32,
    /// What happens to more.
    pub overflow: Overflow,
    /// The schema hash of its messages; 0 for any.
    pub schema: u64,
}

/// What an input port has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Messages that were put in.
    pub received: u64,
    /// Messages that were handed to the instance.
    pub handled: u64,
    /// Messages that made room for younger ones.
    pub dropped: u64,
    /// Messages that were refused since the queue was full.
    pub refused: u64,
    /// Messages that wait.
    pub depth: u32,
}

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Condition {
    /// Made, not started yet.
    Created,
    /// Started.
    Running,
    /// Stopped.
    Stopped,
    /// Its code panicked, or was given up since it did not end.
    Failed,
    /// Ended; nothing answers any more.
    Gone,
    /// Its code blocks the thread; it can neither be used nor ended.
    Zombie,
}

impl Condition {
    fn from_u8(n: u8) -> Condition {
        use Condition::{Created, Failed, Gone, Running, Stopped, Zombie};
        [Created, Running, Stopped, Failed, Gone, Zombie][usize::from(n.min(5))]
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Condition::Created => "created",
            Condition::Running => "running",
            Condition::Stopped => "stopped",
            Condition::Failed => "failed",
            Condition::Gone => "gone",
            Condition::Zombie => "zombie",
        })
    }
}

/// What the node wants of an instance. Each is answered once, through its [`Done`]; it is left out when nobody waits any more.
#[derive(Debug)]
pub enum Op {
    /// Be made: answered when the instance exists. The first of all.
    Ready,
    /// Start; nothing when running.
    Start,
    /// Stop; nothing when not running. Queued inputs stay.
    Stop,
    /// Take these values (all of them); runs the update method when running and something changed.
    Update(Dictionary),
    /// Let an output port send into a channel.
    Bind {
        /// The output port.
        port: PortName,
        /// The channel.
        channel: ChannelName,
        /// The channel's end for this port.
        sink: Sink,
    },
    /// No longer send into a channel.
    Unbind {
        /// The output port.
        port: PortName,
        /// The channel.
        channel: ChannelName,
    },
    /// Answer with the state, for a move, an upgrade or a restart.
    Snapshot,
    /// Take over a state.
    Restore {
        /// The version of the type that wrote it.
        version: Arc<str>,
        /// The state.
        state: Value,
    },
    /// Be made anew after a failure: same values, same bindings, same queue; not started.
    Revive,
    /// Answer with what the output ports have sent and dropped.
    Outputs,
    /// Stop if running, then end.
    End,
}

impl Op {
    /// The operation in one word, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Ready => "create",
            Op::Start => "start",
            Op::Stop => "stop",
            Op::Update(_) => "update",
            Op::Bind { .. } => "bind",
            Op::Unbind { .. } => "unbind",
            Op::Snapshot => "snapshot",
            Op::Restore { .. } => "restore",
            Op::Revive => "revive",
            Op::Outputs => "outputs",
            Op::End => "end",
        }
    }

    /// Whether the instance's code is given up when this is not done in time. Who only asks, or (un)binds, waits in vain.
    pub fn insists(&self) -> bool {
        match self {
            Op::Start | Op::Stop | Op::Update(_) | Op::Restore { .. } | Op::Revive | Op::End => true,
            Op::Ready | Op::Bind { .. } | Op::Unbind { .. } | Op::Snapshot | Op::Outputs => false,
        }
    }
}

/// What an operation comes to; `Null` when there is nothing to tell.
pub type Outcome = Result<Value, Failure>;

/// Where the outcome of an operation goes.
#[derive(Debug)]
pub struct Done(oneshot::Sender<Outcome>);

impl Done {
    /// Tells the outcome.
    pub fn send(self, outcome: Outcome) {
        // Whoever asked may have given up waiting.
        let _ = self.0.send(outcome);
    }
}

/// A closure that wants its turn on an instance; only its shell knows the type.
pub type Turn = Box<dyn Any + Send>;

/// What the shell takes out.
#[derive(Debug)]
pub enum Event {
    /// Something the node wants.
    Op(Op, Done),
    /// A message on the port of this index; with somewhere to reply to when it is a call.
    Input(usize, Message, Option<ReplyTo>),
    /// A closure's turn.
    Turn(Turn),
}

/// Why work did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Crash {
    /// It panicked, saying this.
    Panicked(String),
    /// It was given up, since it did not end and something else waited for it.
    Aborted,
}

enum Work {
    Input(usize, Message, Option<ReplyTo>),
    Turn(Turn),
}

#[derive(Default)]
struct State {
    ops: VecDeque<(Op, Done)>,
    work: VecDeque<Work>,
    n_turns: usize,
    counts: Box<[Counts]>,
    /// The shell, when it sleeps.
    shell: Option<Waker>,
    /// The shell, while its code is waiting for something.
    at_work: Option<Waker>,
    /// Senders that wait for room.
    senders: Vec<Waker>,
    /// Channels that wait for the condition to change.
    watchers: Vec<Waker>,
    cause: Option<Failure>,
    closed: bool,
}

/// The inbox of an instance.
pub struct Inbox {
    path: InstancePath,
    kind: Kind,
    life: u64,
    ports: Arc<[InputPort]>,
    condition: AtomicU8,
    abort: AtomicBool,
    state: Mutex<State>,
}

impl Inbox {
    /// The inbox of a new instance. Channels and groups have no `ports`.
    pub fn new(path: InstancePath, kind: Kind, life: u64, ports: Arc<[InputPort]>) -> Arc<Inbox> {
        let counts = ports.iter().map(|_| Counts::default()).collect();
        let state = Mutex::new(State { counts, ..State::default() });
        let condition = AtomicU8::new(Condition::Created as u8);
        Arc::new(Inbox { path, kind, life, ports, condition, abort: AtomicBool::new(false), state })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock runs code of users, so a poisoned lock still guards a whole state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose inbox it is.
    pub fn path(&self) -> &InstancePath {
        &self.path
    }

    /// What the instance is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Which life of the instance.
    pub fn life(&self) -> u64 {
        self.life
    }

    /// The input ports.
    pub fn ports(&self) -> &[InputPort] {
        &self.ports
    }

    /// What the instance is doing.
    pub fn condition(&self) -> Condition {
        Condition::from_u8(self.condition.load(Ordering::Acquire))
    }

    /// Says what the instance is doing; the shell's business (and the handle's, for zombies).
    pub fn set_condition(&self, condition: Condition) {
        self.condition.store(condition as u8, Ordering::Release);
        let watchers = mem::take(&mut self.lock().watchers);
        watchers.into_iter().for_each(Waker::wake);
    }

    /// Ready with the condition as soon as it is another than `seen`.
    pub fn poll_condition(&self, seen: Condition, cx: &mut Context<'_>) -> Poll<Condition> {
        let mut state = self.lock();
        // Under the lock: who changes it afterwards finds the waker.
        let now = self.condition();
        if now != seen {
            return Poll::Ready(now);
        }
        if !state.watchers.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.watchers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Notes why the instance failed.
    pub fn fail(&self, cause: Failure) {
        self.lock().cause = Some(cause);
        self.set_condition(Condition::Failed);
    }

    /// Why the instance failed last.
    pub fn cause(&self) -> Option<Failure> {
        self.lock().cause.clone()
    }

    /// What each input port has seen.
    pub fn counts(&self) -> Vec<(PortName, Counts)> {
        let state = self.lock();
        self.ports.iter().map(|port| port.name.clone()).zip(state.counts.iter().cloned()).collect()
    }

    // ---- putting in ----

    /// Puts in what the node wants. The receiver ends at once when the instance is gone.
    pub fn request(&self, op: Op) -> oneshot::Receiver<Outcome> {
        let (done, outcome) = oneshot::channel();
        let mut state = self.lock();
        if !state.closed {
            state.ops.push_back((op, Done(done)));
            wake(state);
        }
        outcome
    }

    /// Puts in a message for the port of an index.
    ///
    /// # Errors
    /// [`Refused`] when the port's queue is full (see [`Overflow`]) or the instance is gone.
    pub fn put(&self, port: usize, message: Message, reply: Option<ReplyTo>) -> Result<(), Refused> {
        let spec = &self.ports[port];
        let mut state = self.lock();
        if state.closed {
            return Err(Refused { message, why: Why::Closed });
        }
        let mut displaced = None;
        if state.counts[port].depth >= spec.queue {
            match spec.overflow {
                Overflow::Wait => return Err(Refused { message, why: Why::Full }),
                Overflow::Refuse => {
                    state.counts[port].refused += 1;
                    return Err(Refused { message, why: Why::Overflow });
                }
                Overflow::DropOldest => displaced = state.drop_oldest(port),
            }
        }
        state.counts[port].received += 1;
        state.counts[port].depth += 1;
        state.work.push_back(Work::Input(port, message, reply));
        wake(state);
        // Dropped after the lock: the message's own `drop` is code of users.
        drop(displaced);
        Ok(())
    }

    /// Puts in a closure.
    ///
    /// # Errors
    /// The closure, when too many wait already or the instance is gone.
    pub fn put_turn(&self, turn: Turn) -> Result<(), Turn> {
        let mut state = self.lock();
        if state.closed || state.n_turns >= TURNS_MAX {
            return Err(turn);
        }
        state.n_turns += 1;
        state.work.push_back(Work::Turn(turn));
        wake(state);
        Ok(())
    }

    /// Ready when the port has room, or the instance is gone.
    pub fn poll_room(&self, port: usize, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.closed || state.counts[port].depth < self.ports[port].queue {
            return Poll::Ready(());
        }
        if !state.senders.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.senders.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Asks the shell to give up the work that it is in the middle of.
    pub fn abort(&self) {
        self.abort.store(true, Ordering::Release);
        if let Some(waker) = self.lock().at_work.take() {
            waker.wake();
        }
    }

    // ---- taking out: the shell alone ----

    /// The next event: operations first; then, in order, closures and (when `inputs`) messages.
    pub fn poll_next(&self, inputs: bool, cx: &mut Context<'_>) -> Poll<Event> {
        let mut state = self.lock();
        while let Some((op, done)) = state.ops.pop_front() {
            // What nobody waits for any more is not done late.
            if !done.0.is_closed() {
                return Poll::Ready(Event::Op(op, done));
            }
        }
        match state.next_work(inputs) {
            Some(Work::Turn(turn)) => Poll::Ready(Event::Turn(turn)),
            Some(Work::Input(port, message, reply)) => {
                wake_senders(state);
                Poll::Ready(Event::Input(port, message, reply))
            }
            None => {
                match &mut state.shell {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    /// The next event, when the shell has nothing else to wait for.
    pub async fn next(&self, inputs: bool) -> Event {
        poll_fn(|cx| self.poll_next(inputs, cx)).await
    }

    /// Runs the instance's own code: a panic is caught, and [`Inbox::abort`] ends it at its next await.
    ///
    /// # Errors
    /// [`Crash`] says which of the two.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, Crash> {
        let mut work = pin!(AssertUnwindSafe(work).catch_unwind());
        poll_fn(|cx| {
            let outer = AT_WORK.replace(self.token());
            let polled = work.as_mut().poll(cx);
            AT_WORK.set(outer);
            match polled {
                Poll::Ready(Ok(value)) => Poll::Ready(Ok(value)),
                Poll::Ready(Err(panic)) => Poll::Ready(Err(Crash::Panicked(panic_text(&*panic)))),
                Poll::Pending if self.take_abort(cx) => Poll::Ready(Err(Crash::Aborted)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Whether the code that runs on this thread at this moment is the instance's own.
    pub fn is_at_work(&self) -> bool {
        AT_WORK.get() == self.token()
    }

    /// Closes for good: who waits is told, the messages still queued come back.
    pub fn close(&self) -> Vec<(PortName, Message)> {
        let mut state = self.lock();
        state.closed = true;
        let ops = mem::take(&mut state.ops);
        let work = mem::take(&mut state.work);
        state.n_turns = 0;
        state.counts.iter_mut().for_each(|counts| counts.depth = 0);
        wake_senders(state);
        drop(ops);
        let input = |work| match work {
            Work::Input(port, message, _) => Some((self.ports[port].name.clone(), message)),
            Work::Turn(_) => None,
        };
        work.into_iter().filter_map(input).collect()
    }

    /// Takes out the messages that wait, for an instance that takes over.
    pub fn take_waiting(&self) -> Vec<(PortName, Message)> {
        let mut state = self.lock();
        let (inputs, rest) = mem::take(&mut state.work).into_iter().partition(|work| matches!(work, Work::Input(..)));
        let inputs: VecDeque<Work> = inputs;
        state.work = rest;
        state.counts.iter_mut().for_each(|counts| counts.depth = 0);
        wake_senders(state);
        let input = |work| match work {
            Work::Input(port, message, _) => Some((self.ports[port].name.clone(), message)),
            Work::Turn(_) => None,
        };
        inputs.into_iter().filter_map(input).collect()
    }

    fn token(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn take_abort(&self, cx: &mut Context<'_>) -> bool {
        if self.abort.swap(false, Ordering::AcqRel) {
            return true;
        }
        self.lock().at_work = Some(cx.waker().clone());
        // Asked between the look and the lock: nobody saw the waker then.
        self.abort.swap(false, Ordering::AcqRel)
    }
}

thread_local! {
    /// The inbox whose instance's code runs on this thread now.
    static AT_WORK: Cell<usize> = const { Cell::new(0) };
}

impl State {
    fn drop_oldest(&mut self, port: usize) -> Option<Work> {
        let at = self.work.iter().position(|work| matches!(work, Work::Input(p, ..) if *p == port))?;
        self.counts[port].depth -= 1;
        self.counts[port].dropped += 1;
        self.work.remove(at)
    }

    fn next_work(&mut self, inputs: bool) -> Option<Work> {
        let work = if inputs {
            self.work.pop_front()
        } else if self.n_turns > 0 {
            let at = self.work.iter().position(|work| matches!(work, Work::Turn(_)))?;
            self.work.remove(at)
        } else {
            None
        };
        match &work {
            Some(Work::Turn(_)) => self.n_turns -= 1,
            Some(Work::Input(port, ..)) => {
                self.counts[*port].depth -= 1;
                self.counts[*port].handled += 1;
            }
            None => {}
        }
        work
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

fn wake_senders(mut state: MutexGuard<'_, State>) {
    if state.senders.is_empty() {
        return;
    }
    let senders = mem::take(&mut state.senders);
    drop(state);
    senders.into_iter().for_each(Waker::wake);
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".to_owned())
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbox({} {}, {})", self.kind, self.path, self.condition())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::words::{ComponentName, NodeName};

    fn inbox(ports: &[(u32, Overflow)]) -> Arc<Inbox> {
        let path = InstancePath::Component(NodeName::parse("n").unwrap(), ComponentName::parse("c").unwrap());
        let port = |(at, &(queue, overflow)): (usize, &(u32, Overflow))| InputPort {
            name: PortName::parse(&format!("p{at}")).unwrap(),
            queue,
            overflow,
            schema: 0,
        };
        Inbox::new(path, Kind::Component, 1, ports.iter().enumerate().map(port).collect())
    }

    fn overflow() -> impl Strategy<Value = Overflow> {
        prop_oneof![Just(Overflow::Wait), Just(Overflow::DropOldest), Just(Overflow::Refuse)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// The law: a queue never holds more than its bound, what comes out is in order, and every message is accounted for.
        #[test]
        fn queues_keep_their_bounds_and_their_order(
            ports in prop::collection::vec((1_u32..5, overflow()), 1..4),
            moves in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..80),
        ) {
            let inbox = inbox(&ports);
            let mut cx = Context::from_waker(Waker::noop());
            let mut came_out: Vec<Vec<u32>> = vec![Vec::new(); ports.len()];
            for (n, (port, put)) in moves.iter().enumerate() {
                if *put {
                    let full = inbox.put(port.index(ports.len()), Message::new(n as u32), None).is_err();
                    let (queue, overflow) = ports[port.index(ports.len())];
                    let depth = inbox.counts()[port.index(ports.len())].1.depth;
                    prop_assert!(!full || (overflow != Overflow::DropOldest && depth == queue));
                } else if let Poll::Ready(Event::Input(port, message, _)) = inbox.poll_next(true, &mut cx) {
                    came_out[port].push(message.decode().unwrap());
                }
                for ((_, counts), (queue, _)) in inbox.counts().iter().zip(&ports) {
                    prop_assert!(counts.depth <= *queue);
                    prop_assert_eq!(counts.received, counts.handled + counts.dropped + u64::from(counts.depth));
                }
            }
            for out in came_out {
                prop_assert!(out.is_sorted());
            }
        }
    }

    #[test]
    fn what_the_node_wants_goes_first_unless_nobody_waits_for_it() {
        let inbox = inbox(&[(5, Overflow::Wait)]);
        let mut cx = Context::from_waker(Waker::noop());
        inbox.put(0, Message::new(1_u8), None).unwrap();
        drop(inbox.request(Op::Start));
        let _wanted = inbox.request(Op::Stop);
        assert!(matches!(inbox.poll_next(true, &mut cx), Poll::Ready(Event::Op(Op::Stop, _))));
        assert!(inbox.poll_next(false, &mut cx).is_pending(), "inputs wait while the instance is stopped");
        assert!(matches!(inbox.poll_next(true, &mut cx), Poll::Ready(Event::Input(0, ..))));
    }

    #[test]
    fn a_closed_inbox_takes_nothing_and_gives_back_what_was_in_it() {
        let inbox = inbox(&[(5, Overflow::Refuse)]);
        inbox.put(0, Message::new(1_u8), None).unwrap();
        assert_eq!(inbox.close().len(), 1);
        assert_eq!(inbox.put(0, Message::new(1_u8), None).unwrap_err().why, Why::Closed);
        assert!(inbox.request(Op::Start).try_recv().is_err());
        assert!(inbox.put_turn(Box::new(())).is_err());
    }
}
