//! The queue of a service: messages arrive in runs as the frames brought them, and are taken apart by whoever takes them. So a
//! frame of a thousand messages costs one lock and one wake-up, and its reference count is touched by one thread.

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use tokio::{sync::Notify, task::coop};

use super::{Incoming, ReplyTo, envelope::Head, wire::Wire};
use crate::logic::link::{Lane, next_record};

/// Messages that wait for a service: a full frame of the smallest messages fits, and a stuck service keeps at most this many.
pub const INBOX_MAX: usize = 8192;

/// With so many bytes waiting, a service is as full as with [`INBOX_MAX`] messages: one message of any size goes beyond it, none waits
/// for an empty queue.
pub const INBOX_MAX_BYTES: usize = 64 * 1024 * 1024;

/// With more messages waiting, one that is a small part of its frame is copied out of it, so that the frame can go.
const FRAMES_MAX: usize = 1024;

/// The queue is told of so many taken messages at once, unless somebody waits for room: what all touch is touched seldom.
const TOLD_EVERY: usize = 64;

/// The same in bytes, for large messages: a small part of the bound.
const TOLD_EVERY_BYTES: usize = 1024 * 1024;

/// Tells and requests for one service that stood one after the other in a frame.
#[derive(Debug)]
pub(super) struct Run {
    wire: Arc<Wire>,
    lane: Lane,
    /// The records; those before `at` are taken. As long as the run waits in a queue, they stay as they are.
    records: Bytes,
    at: usize,
    /// What the records keep in memory: the frame in which they came.
    kept_bytes: usize,
    n_left: usize,
    is_alone: bool,
}

impl Run {
    /// `kept_bytes`: how large the frame is of which the records are a part.
    pub(super) fn new(wire: Arc<Wire>, lane: Lane, records: Bytes, kept_bytes: usize, n_messages: usize) -> Run {
        Run { wire, lane, records, at: 0, kept_bytes, n_left: n_messages, is_alone: n_messages == 1 }
    }

    fn next(&mut self) -> Option<Incoming> {
        let place = next_record(&self.records, &mut self.at)?;
        self.n_left = self.n_left.saturating_sub(1);
        // Whoever made the run has read the heads: they are good, and none is a reply.
        let (head, body_at) = Head::read(&self.records[place.clone()]).ok()?;
        let reply = match head {
            Head::Ask { ask, .. } => Some(ReplyTo::there(self.wire.clone(), self.lane, ask, self.is_alone)),
            Head::Tell { .. } | Head::Reply { .. } => None,
        };
        let body = self.records.slice(place.start + body_at..place.end);
        Some(Incoming { from: self.wire.peer.clone(), body, reply })
    }

    fn next_is_request(&self) -> bool {
        let place = next_record(&self.records, &mut self.at.clone());
        place.is_some_and(|place| matches!(Head::read(&self.records[place]), Ok((Head::Ask { .. }, _))))
    }

    /// Cuts off the first `n` messages.
    fn split(&mut self, n: usize) -> Run {
        let start = self.at;
        for _ in 0..n {
            next_record(&self.records, &mut self.at);
        }
        self.n_left -= n;
        let first = self.records.slice(start..self.at);
        // What is counted for the rest is the rest; and both are soon taken, one after the other.
        self.records = self.records.slice(mem::take(&mut self.at)..);
        self.kept_bytes -= first.len();
        let kept_bytes = first.len();
        Run::new(self.wire.clone(), self.lane, first, kept_bytes, n)
    }

    /// Lets the frame go of which the records are a small part.
    fn leave_frame(&mut self) {
        if self.records.len() < self.kept_bytes / 2 {
            self.records = Bytes::copy_from_slice(&self.records);
            self.kept_bytes = self.records.len();
        }
    }
}

impl Drop for Run {
    /// What is dropped unread ends the requests in it.
    fn drop(&mut self) {
        while self.next().is_some() {}
    }
}

/// What is put into a queue at once.
#[derive(Debug)]
pub(super) enum Parcel {
    One(Incoming),
    Run(Run),
}

impl Parcel {
    pub(super) fn len(&self) -> usize {
        match self {
            Parcel::One(_) => 1,
            Parcel::Run(run) => run.n_left,
        }
    }

    pub(super) fn n_bytes(&self) -> usize {
        match self {
            Parcel::One(message) => message.body.len(),
            Parcel::Run(run) => run.records.len(),
        }
    }

    /// It will wait for a while: keeps no more than it needs.
    pub(super) fn leave_frame(&mut self) {
        if let Parcel::Run(run) = self {
            run.leave_frame();
        }
    }

    /// Whether the first message waits for a reply.
    pub(super) fn next_is_request(&self) -> bool {
        match self {
            Parcel::One(message) => message.reply.is_some(),
            Parcel::Run(run) => run.next_is_request(),
        }
    }

    /// The first message, and what is left.
    pub(super) fn split_first(self) -> (Option<Incoming>, Option<Parcel>) {
        match self {
            Parcel::One(message) => (Some(message), None),
            Parcel::Run(mut run) => {
                let first = run.next();
                (first, (run.n_left > 0).then_some(Parcel::Run(run)))
            }
        }
    }
}

/// Why a parcel, or what is left of it, is not in the queue.
#[derive(Debug)]
pub(super) enum Undelivered {
    Full(Parcel),
    NoService(Parcel),
}

/// The queue between those who deliver and the one who takes.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Messages taken since the beginning, and their bytes: what was put in and not taken waits, in the taker's hands as well.
    n_taken: AtomicUsize,
    bytes_taken: AtomicUsize,
    room: Notify,
    /// Somebody waits for room.
    is_wanted: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    parcels: VecDeque<Parcel>,
    taker: Option<Waker>,
    is_closed: bool,
    /// Messages put in since the beginning, and their bytes.
    n_put: usize,
    bytes_put: usize,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn n_waiting(&self, state: &State) -> usize {
        state.n_put.wrapping_sub(self.n_taken.load(SeqCst))
    }

    /// How many messages may be put in.
    fn room(&self, state: &State, n_waiting: usize) -> usize {
        let is_full = state.bytes_put.wrapping_sub(self.bytes_taken.load(SeqCst)) >= INBOX_MAX_BYTES;
        if is_full { 0 } else { INBOX_MAX.saturating_sub(n_waiting) }
    }

    fn is_open(&self) -> bool {
        let state = self.lock();
        state.is_closed || self.room(&state, self.n_waiting(&state)) > 0
    }

    /// Puts a parcel into the queue, or as much of it as there is room for.
    pub(super) fn deliver(&self, mut parcel: Parcel) -> Result<(), Undelivered> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Undelivered::NoService(parcel));
        }
        let n_waiting = self.n_waiting(&state);
        let room = self.room(&state, n_waiting);
        let mut rest = None;
        if parcel.len() > room {
            match &mut parcel {
                Parcel::Run(run) if room > 0 => {
                    let first = Parcel::Run(run.split(room));
                    rest = Some(mem::replace(&mut parcel, first));
                }
                _ => return Err(Undelivered::Full(parcel)),
            }
        }
        if n_waiting >= FRAMES_MAX {
            parcel.leave_frame();
        }
        state.n_put = state.n_put.wrapping_add(parcel.len());
        state.bytes_put = state.bytes_put.wrapping_add(parcel.n_bytes());
        state.parcels.push_back(parcel);
        let taker = state.taker.take();
        drop(state);
        if let Some(taker) = taker {
            taker.wake();
        }
        rest.map_or(Ok(()), |rest| Err(Undelivered::Full(rest)))
    }

    /// Nothing more comes in; what is there can still be taken.
    pub(super) fn close(&self) {
        let taker = {
            let mut state = self.lock();
            state.is_closed = true;
            state.taker.take()
        };
        self.room.notify_waiters();
        if let Some(taker) = taker {
            taker.wake();
        }
    }

    /// Waits until there is room, or the queue is closed.
    pub(super) async fn has_room(&self) {
        let mut room = std::pin::pin!(self.room.notified());
        // Registered before the look: room that comes after it wakes us.
        room.as_mut().enable();
        self.is_wanted.store(true, SeqCst);
        if self.is_open() {
            return;
        }
        room.await;
    }

    /// How many messages were taken so far. While somebody waits for room, each counts at once.
    pub(super) fn n_taken(&self) -> usize {
        self.n_taken.load(SeqCst)
    }

    fn taken(&self, n_messages: usize, n_bytes: usize) {
        self.n_taken.fetch_add(n_messages, SeqCst);
        self.bytes_taken.fetch_add(n_bytes, SeqCst);
        // The bytes of a run come back at its end: not each of its messages makes room.
        if self.is_wanted.load(SeqCst) && self.is_open() && self.is_wanted.swap(false, SeqCst) {
            self.room.notify_waiters();
        }
    }
}

/// Where the messages for a service are taken from: see [`super::Router::serve`]. Dropping it ends the service, and the
/// requests that wait in it.
#[derive(Debug)]
pub struct Inbox {
    queue: Arc<Queue>,
    /// Taken from the queue, not yet from the inbox.
    at_hand: VecDeque<Parcel>,
    /// Taken, and not told yet; the bytes of a run when all of it is taken.
    n_taken: usize,
    bytes_taken: usize,
}

impl Inbox {
    pub(super) fn of(queue: Arc<Queue>) -> Inbox {
        Inbox { queue, at_hand: VecDeque::new(), n_taken: 0, bytes_taken: 0 }
    }

    /// The next message; `None` when the service has been replaced, or the router is closed. Losing the future loses nothing.
    pub async fn recv(&mut self) -> Option<Incoming> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Waits for messages and appends up to `limit` of them. Gives how many; 0 when no more will come.
    pub async fn recv_many(&mut self, messages: &mut Vec<Incoming>, limit: usize) -> usize {
        let Some(first) = self.recv().await else { return 0 };
        let before = messages.len();
        messages.push(first);
        while messages.len() - before < limit {
            let Some(message) = self.try_recv() else { break };
            messages.push(message);
        }
        messages.len() - before
    }

    /// The next message, if there is one by now.
    pub fn try_recv(&mut self) -> Option<Incoming> {
        self.next_at_hand().or_else(|| {
            mem::swap(&mut self.at_hand, &mut self.queue.lock().parcels);
            self.next_at_hand()
        })
    }

    /// The next message, for those who write futures by hand.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Incoming>> {
        // A flood must not keep the other tasks of the thread from running.
        let progress = ready!(coop::poll_proceed(cx));
        let message = match self.next_at_hand() {
            Some(message) => Some(message),
            None => {
                let mut state = self.queue.lock();
                if state.parcels.is_empty() && !state.is_closed {
                    state.taker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                mem::swap(&mut self.at_hand, &mut state.parcels);
                drop(state);
                self.next_at_hand()
            }
        };
        progress.made_progress();
        Poll::Ready(message)
    }

    fn next_at_hand(&mut self) -> Option<Incoming> {
        while let Some(parcel) = self.at_hand.front_mut() {
            let message = match parcel {
                Parcel::Run(run) => match run.next() {
                    Some(message) => message,
                    None => {
                        self.n_taken += run.n_left;
                        self.bytes_taken += run.records.len();
                        self.at_hand.pop_front();
                        continue;
                    }
                },
                Parcel::One(_) => match self.at_hand.pop_front()? {
                    Parcel::One(message) => {
                        self.bytes_taken += message.body.len();
                        message
                    }
                    Parcel::Run(_) => continue,
                },
            };
            self.n_taken += 1;
            let is_much = self.n_taken >= TOLD_EVERY || self.bytes_taken >= TOLD_EVERY_BYTES;
            if is_much || self.queue.is_wanted.load(SeqCst) {
                self.tell_taken();
            }
            return Some(message);
        }
        if self.n_taken > 0 || self.bytes_taken > 0 {
            self.tell_taken();
        }
        None
    }

    fn tell_taken(&mut self) {
        self.queue.taken(mem::take(&mut self.n_taken), mem::take(&mut self.bytes_taken));
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.queue.close();
        // Outside of the lock: requests that are dropped are answered.
        let parcels = mem::take(&mut self.queue.lock().parcels);
        drop(parcels);
    }
}

#[cfg(test)]
mod tests;
