//! The shell of a link: its outbox task, and the way into it from any thread.
//!
//! Who pushes to a link on which nothing is under way sends the frame itself: one thread less to wake. Otherwise the outbox sends
//! what has gathered, as soon as it may go.

use std::{
    collections::VecDeque,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::Notify, time::Instant};

use super::{Address, Engine, Peer, Way, dispatch::Arrivals, envelope, service::Reply};
use crate::{
    logic::link::{Counts, Full, Header, Lane, Limits, Link},
    words::Time,
};

/// A timer cannot be set further than this; the outbox looks again then.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// A clock for links and peers: microseconds since the engine's start, by tokio's clock (which tests may pause).
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticks(Instant);

impl Ticks {
    pub(super) fn start() -> Ticks {
        Ticks(Instant::now())
    }

    pub(super) fn now(self) -> Time {
        // Not 0: that is "at once" for the link.
        Time(self.0.elapsed().as_micros() as u64 + 1)
    }

    fn at(self, time: Time) -> Instant {
        let latest = Instant::now() + SLEEP_MAX;
        self.0.checked_add(Duration::from_micros(time.0)).map_or(latest, |at| at.min(latest))
    }
}

/// The link to one incarnation of a peer.
pub(super) struct Wire {
    pub(super) peer: Peer,
    pub(super) address: Address,
    pub(super) up: AtomicBool,
    /// When the last frame came, for the view of who is alive.
    pub(super) heard: AtomicU64,
    /// Signs of life come at the slower pace.
    pub(super) beats_slowly: AtomicBool,
    pub(super) received: AtomicU64,
    /// What came and is on its way to the services. Locked before `state`.
    pub(super) arrivals: Mutex<Arrivals>,
    /// Somebody has to wait for room in a service.
    pub(super) stalled: Notify,
    ticks: Ticks,
    state: Mutex<State>,
    wake: Notify,
    /// Half of a queue is free, which somebody waits for.
    room: Notify,
}

/// What the caller sends itself, if anything: after it let go of its locks.
#[must_use]
pub(super) struct Push(Option<(Way, Lane, Bytes)>);

impl Push {
    pub(super) fn go(self) {
        if let Some((way, lane, frame)) = self.0 {
            way(lane, frame);
        }
    }
}

struct State {
    link: Link,
    /// There while the outbox runs.
    way: Option<Way>,
    /// Greetings and goodbyes, which go before anything else.
    first: VecDeque<Bytes>,
    /// The outbox sleeps, until this time unless woken.
    asleep_until: Option<Time>,
    /// Somebody waits for room in a queue.
    is_wanted: bool,
    closed: bool,
}

/// Greetings that may wait for the outbox; the oldest goes when there are more.
const FIRST_MAX: usize = 8;

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wire({:?})", self.peer)
    }
}

impl Wire {
    pub(super) fn new(number: u64, peer: Peer, address: Address, limits: Limits, ticks: Ticks) -> Wire {
        let link = Link::new(number, limits, ticks.now());
        Wire {
            peer,
            address,
            up: AtomicBool::new(false),
            heard: AtomicU64::new(0),
            beats_slowly: AtomicBool::new(false),
            received: AtomicU64::new(0),
            ticks,
            arrivals: Mutex::default(),
            stalled: Notify::new(),
            state: Mutex::new(State {
                link,
                way: None,
                first: VecDeque::new(),
                asleep_until: None,
                is_wanted: false,
                closed: false,
            }),
            wake: Notify::new(),
            room: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts a message for the peer.
    pub(super) fn push(&self, lane: Lane, head: &[u8], body: &Bytes) -> Result<Push, Full> {
        let mut state = self.lock();
        state.link.push(lane, head, body, false)?;
        Ok(self.send_or_wake(state, lane))
    }

    /// Accepts a message that goes with [`Wire::flush`], or with whatever goes before.
    pub(super) fn gather(&self, lane: Lane, head: &[u8], body: &Bytes) -> Result<(), Full> {
        self.lock().link.push(lane, head, body, false)
    }

    /// Sends what was gathered.
    pub(super) fn flush(&self, lane: Lane) -> Push {
        self.send_or_wake(self.lock(), lane)
    }

    /// The same, for those who must not send.
    pub(super) fn flush_later(&self) {
        self.wake_if_earlier(self.lock());
    }

    /// Waits until a lane's queue has ample room, or the link has ended.
    pub(super) async fn has_room(&self, lane: Lane) {
        loop {
            let mut room = pin!(self.room.notified());
            // Registered before the look: room that comes after it wakes us.
            room.as_mut().enable();
            {
                let mut state = self.lock();
                if state.closed || state.link.has_ample_room(lane) {
                    return;
                }
                state.is_wanted = true;
            }
            room.await;
        }
    }

    /// Accepts a reply for the peer. When even the reserve for replies is used up, the asker's deadline ends the request.
    pub(super) fn reply(&self, lane: Lane, ask: u64, reply: Reply) -> Push {
        let mut state = self.lock();
        self.push_reply(&mut state, lane, ask, reply);
        self.send_or_wake(state, lane)
    }

    /// The same, for the network's own threads: they must not send.
    pub(super) fn reply_later(&self, lane: Lane, ask: u64, reply: Reply) {
        let mut state = self.lock();
        self.push_reply(&mut state, lane, ask, reply);
        self.wake_if_earlier(state);
    }

    fn push_reply(&self, state: &mut State, lane: Lane, ask: u64, reply: Reply) {
        let too_large = matches!(&reply, Reply::Done(body) if body.len() > super::MESSAGE_MAX_BYTES);
        let reply = if too_large { Reply::Refused("the reply is too large".to_owned()) } else { reply };
        let (head, body) = envelope::reply(ask, reply);
        if state.link.push(lane, &head, &body, true).is_err() {
            tracing::debug!(peer = %self.peer, "a reply was dropped: the queue is full");
        }
    }

    /// Takes the frame out for the caller when nothing is under way on the lane and the outbox sleeps; else wakes that if it
    /// has something to send.
    fn send_or_wake(&self, mut state: MutexGuard<'_, State>, lane: Lane) -> Push {
        if state.asleep_until.is_some() && state.first.is_empty() {
            // Most find something under way: for them the clock is not read.
            if state.link.is_idle(lane)
                && let Some(way) = state.way.clone()
                && let Some(frame) = state.link.poll_idle(lane, self.ticks.now())
            {
                return Push(Some((way, lane, frame)));
            }
            self.wake_if_earlier(state);
        }
        Push(None)
    }

    /// Sends a frame outside of the lanes.
    pub(super) fn say(&self, frame: Bytes) {
        let mut state = self.lock();
        if state.first.len() >= FIRST_MAX {
            state.first.pop_front();
        }
        state.first.push_back(frame);
        self.wake_after(state, Time(0));
    }

    /// The peer's end is known; gives the number of messages that are lost by that.
    pub(super) fn bind(&self, theirs: u64) -> u64 {
        let mut state = self.lock();
        let lost = state.link.bind(theirs, self.ticks.now());
        self.wake_after(state, Time(0));
        lost
    }

    /// Takes a frame that came; what is in order goes to `ready`. Gives whether it was for this link, and how often the link has
    /// been reset by now.
    pub(super) fn receive(&self, header: &Header, payload: Bytes, ready: &mut Vec<(Lane, Bytes)>) -> (bool, u64) {
        let mut state = self.lock();
        let now = self.ticks.now();
        let is_ours = state.link.receive(now, header, payload, ready);
        if is_ours {
            self.heard.store(now.0, Relaxed);
            self.beats_slowly.store(state.link.hears_slowly(), Relaxed);
        }
        let n_resets = state.link.n_resets();
        self.wake_if_earlier(state);
        (is_ours, n_resets)
    }

    /// Signs of life go to the peer at the slower pace, or at full pace.
    pub(super) fn set_pace(&self, slow: bool) {
        let mut state = self.lock();
        state.link.set_pace(slow);
        self.wake_if_earlier(state);
    }

    /// So many bytes of payload were dealt with.
    pub(super) fn consumed(&self, lane: Lane, n_bytes: usize) {
        let mut state = self.lock();
        state.link.consumed(lane, n_bytes);
        self.wake_if_earlier(state);
    }

    /// The link ends: nothing is sent any more, and the outbox stops. Gives the number of messages that are lost.
    pub(super) fn end(&self) -> u64 {
        let mut state = self.lock();
        state.closed = true;
        let lost = state.link.reset();
        self.wake_after(state, Time(0));
        self.stalled.notify_one();
        self.room.notify_waiters();
        lost
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Everything was sent and has arrived, as far as that is told.
    pub(super) fn is_flushed(&self) -> bool {
        let state = self.lock();
        // An outbox that is awake may still be sending what it took.
        state.first.is_empty() && state.link.is_flushed() && state.asleep_until.is_some()
    }

    pub(super) fn counts(&self) -> (Counts, usize) {
        let state = self.lock();
        (state.link.counts(), state.link.queued_bytes())
    }

    fn wake_if_earlier(&self, state: MutexGuard<'_, State>) {
        let deadline = state.link.deadline();
        self.wake_after(state, deadline);
    }

    /// Wakes the outbox if it would sleep beyond `deadline`.
    fn wake_after(&self, mut state: MutexGuard<'_, State>, deadline: Time) {
        if state.asleep_until.is_some_and(|until| deadline < until) {
            state.asleep_until = None;
            drop(state);
            self.wake.notify_one();
        }
    }

    /// Sends what is to be sent, until the link ends.
    pub(super) async fn outbox(self: Arc<Self>, engine: Arc<dyn Engine>) {
        let way = engine.open_way(&self.address);
        drop(engine);
        self.lock().way = Some(way.clone());
        self.pump(&way).await;
        self.lock().way = None;
    }

    async fn pump(&self, way: &Way) {
        loop {
            let next = {
                let mut state = self.lock();
                let first = state.first.pop_front().map(|frame| (Lane::Control, frame));
                match first.or_else(|| state.link.poll(self.ticks.now())) {
                    Some((lane, frame)) => {
                        let has_room = state.is_wanted && state.link.has_ample_room(lane);
                        state.is_wanted &= !has_room;
                        Ok((lane, frame, has_room))
                    }
                    None if state.closed => return,
                    None => {
                        let until = state.link.deadline();
                        state.asleep_until = Some(until);
                        Err(until)
                    }
                }
            };
            match next {
                Ok((lane, frame, has_room)) => {
                    if has_room {
                        self.room.notify_waiters();
                    }
                    way(lane, frame);
                }
                Err(until) => {
                    tokio::select! {
                        () = self.wake.notified() => {}
                        () = tokio::time::sleep_until(self.ticks.at(until)) => {}
                    }
                }
            }
        }
    }
}
