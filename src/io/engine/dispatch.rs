//! What comes over a link, on its way to the services: read and delivered on the thread that brought it, so that nobody has to be
//! woken but the one whom it is for. Where a service has no room, a task waits for it.

use std::{
    collections::VecDeque,
    future, mem,
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    Incoming,
    envelope::{Envelope, Head},
    inbox::{Parcel, Run, Undelivered},
    service::{Reply, ServiceId},
    shared::Shared,
    wire::Wire,
};
use crate::logic::link::{Assembler, Header, Lane, RECORD_HEAD, Record};

/// How long a lane waits for a service whose queue is full, and that takes nothing. Longer than any healthy service needs to take one
/// message; while it waits the sender is held back, and other messages of the lane wait too.
const STALL_MAX: Duration = Duration::from_secs(1);

/// What came over a link and is not with the services yet.
pub(super) struct Arrivals {
    lanes: [LaneArrivals; 2],
    ready: Vec<(Lane, Bytes)>,
    n_resets_known: u64,
}

/// One lane of one peer.
struct LaneArrivals {
    lane: Lane,
    assembler: Assembler,
    backlog: VecDeque<Step>,
    stalled: Option<Stalled>,
    /// A service that had no room for so long that its messages are dropped until it has.
    stuck: Option<ServiceId>,
}

/// The service at the head of the backlog has no room.
#[derive(Clone, Copy)]
struct Stalled {
    service: ServiceId,
    /// It is waited for until then, unless it has taken something meanwhile.
    until: Instant,
    /// What it had taken when the wait began.
    n_taken: usize,
}

enum Step {
    Deliver(ServiceId, Parcel),
    /// What came before is dealt with: so many bytes may be granted again.
    Consumed(usize),
}

impl Default for Arrivals {
    fn default() -> Arrivals {
        Arrivals { lanes: Lane::ALL.map(LaneArrivals::new), ready: Vec::new(), n_resets_known: 0 }
    }
}

fn lock(wire: &Wire) -> MutexGuard<'_, Arrivals> {
    wire.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a frame of a link. Called on the network's own threads: nothing here waits or sends.
pub(super) fn arrived(shared: &Shared, wire: &Arc<Wire>, header: &Header, payload: Bytes) {
    let mut arrivals = lock(wire);
    let Arrivals { lanes, ready, n_resets_known } = &mut *arrivals;
    let (is_ours, n_resets) = wire.receive(header, payload, ready);
    if n_resets != *n_resets_known {
        // What came before has no end: what comes now is not the rest of it.
        *n_resets_known = n_resets;
        lanes.iter_mut().for_each(LaneArrivals::begin_anew);
    }
    shared.strange_frames.fetch_add(u64::from(!is_ours), Relaxed);
    for (lane, payload) in ready.drain(..) {
        lanes[lane as usize].take(shared, wire, &payload);
    }
    if lanes.iter().any(|lane| lane.stalled.is_some()) {
        wire.stalled.notify_one();
    }
}

/// Waits for services that have no room, until the link is closed and all that came over it is delivered: it was acknowledged.
pub(super) async fn stalls(shared: Arc<Shared>, wire: Arc<Wire>) {
    loop {
        let [control, bulk] = lock(&wire).lanes.each_ref().map(|lane| lane.stalled);
        if control.is_none() && bulk.is_none() {
            if wire.is_closed() {
                return;
            }
            wire.stalled.notified().await;
            continue;
        }
        let lane = tokio::select! {
            biased;
            () = room(&shared, control) => Lane::Control,
            () = room(&shared, bulk) => Lane::Bulk,
            () = wire.stalled.notified() => continue,
        };
        lock(&wire).lanes[lane as usize].go_on(&shared, &wire);
    }
}

/// What waits of a link that has ended goes before what comes over the next one of the same two.
pub(super) fn take_over(ended: &Wire, next: &Wire) {
    let (mut ended, mut arrivals) = (lock(ended), lock(next));
    for (from, to) in ended.lanes.iter_mut().zip(&mut arrivals.lanes) {
        from.forget_grants();
        (to.backlog, to.stalled, to.stuck) = (mem::take(&mut from.backlog), from.stalled.take(), from.stuck);
    }
    next.stalled.notify_one();
}

/// Whether something that came over a link waits for a service.
pub(super) fn is_stalled(wire: &Wire) -> bool {
    lock(wire).lanes.iter().any(|lane| lane.stalled.is_some())
}

/// Waits until a service has room, or has been given up.
async fn room(shared: &Shared, stalled: Option<Stalled>) {
    let Some(Stalled { service, until, .. }) = stalled else { return future::pending().await };
    if let Some(queue) = shared.services.queue(service) {
        let _ = tokio::time::timeout_at(until, queue.has_room()).await;
    }
}

impl LaneArrivals {
    fn new(lane: Lane) -> LaneArrivals {
        let (backlog, assembler) = (VecDeque::new(), Assembler::new(lane));
        LaneArrivals { lane, assembler, backlog, stalled: None, stuck: None }
    }

    fn begin_anew(&mut self) {
        self.assembler = Assembler::new(self.lane);
        self.forget_grants();
    }

    /// The sender counts anew: what it sent before takes nothing of its room.
    fn forget_grants(&mut self) {
        self.backlog.retain(|step| !matches!(step, Step::Consumed(_)));
    }

    /// Reads the messages of a payload and delivers them, or puts them behind those that wait.
    fn take(&mut self, shared: &Shared, wire: &Arc<Wire>, payload: &Bytes) {
        let LaneArrivals { lane, assembler, backlog, .. } = self;
        let mut runs = Runs { wire, lane: *lane, payload, backlog, open: None };
        let (mut n_messages, mut fault) = (0, None);
        let read = assembler.records(payload, |record| {
            n_messages += 1;
            if let Err(error) = runs.add(shared, record) {
                fault = Some(error);
            }
        });
        runs.seal();
        wire.received.fetch_add(n_messages, Relaxed);
        if let Some(detail) = fault.or(read.err().map(|error| error.to_string())) {
            shared.garbage(wire.peer.name.as_str(), detail);
        }
        self.backlog.push_back(Step::Consumed(payload.len()));
        if self.stalled.is_none() {
            self.go_on(shared, wire);
        }
    }

    /// Delivers what waits, until a service has no room.
    fn go_on(&mut self, shared: &Shared, wire: &Arc<Wire>) {
        let mut before = self.stalled.take();
        while let Some(step) = self.backlog.pop_front() {
            let (service, parcel) = match step {
                Step::Deliver(service, parcel) => (service, parcel),
                Step::Consumed(n_bytes) => {
                    wire.consumed(self.lane, n_bytes);
                    continue;
                }
            };
            let n_messages = parcel.len();
            let (left, why) = match shared.services.deliver_from_afar(service, parcel) {
                Ok(()) => {
                    // It is slow, but it lives: the next wait begins anew.
                    before = None;
                    self.stuck = self.stuck.filter(|stuck| *stuck != service);
                    continue;
                }
                Err(Undelivered::NoService(parcel)) => {
                    self.refuse_first(shared, service, parcel, Reply::NoService);
                    continue;
                }
                Err(Undelivered::Full(parcel)) => (parcel, Reply::Busy),
            };
            if left.len() < n_messages {
                before = None;
                self.stuck = self.stuck.filter(|stuck| *stuck != service);
            }
            if left.next_is_request() || self.stuck == Some(service) {
                self.refuse_first(shared, service, left, why);
                continue;
            }
            let now = Instant::now();
            let n_taken = shared.services.queue(service).map_or(0, |queue| queue.n_taken());
            // One large message may take the room of many small ones: there is none before all of them are taken.
            let is_the_same = |before: &Stalled| before.service == service && before.n_taken == n_taken;
            let stalled = before.filter(is_the_same).unwrap_or(Stalled { service, until: now + STALL_MAX, n_taken });
            if now >= stalled.until {
                tracing::warn!(peer = %wire.peer, ?service, "a service does not take its messages: they are dropped");
                self.stuck = Some(service);
                self.refuse_first(shared, service, left, why);
                continue;
            }
            self.backlog.push_front(Step::Deliver(service, left));
            self.stalled = Some(stalled);
            return;
        }
    }

    /// Refuses one message; what came with it is tried next.
    fn refuse_first(&mut self, shared: &Shared, service: ServiceId, parcel: Parcel, why: Reply) {
        let (first, rest) = parcel.split_first();
        if let Some(message) = first {
            refuse(shared, message, why);
        }
        if let Some(rest) = rest {
            self.backlog.push_front(Step::Deliver(service, rest));
        }
    }
}

/// Gathers messages for the same service that stand one after the other in a payload.
struct Runs<'a> {
    wire: &'a Arc<Wire>,
    lane: Lane,
    payload: &'a Bytes,
    backlog: &'a mut VecDeque<Step>,
    /// The service, where the records begin and end, and how many there are.
    open: Option<(ServiceId, usize, usize, usize)>,
}

impl Runs<'_> {
    fn add(&mut self, shared: &Shared, record: Record) -> Result<(), String> {
        let place = match record {
            Record::Whole(place) => place,
            Record::Joined(message) => return self.one(shared, message),
        };
        match Head::read(&self.payload[place.clone()]) {
            Ok((Head::Tell { service } | Head::Ask { service, .. }, _)) => {
                match &mut self.open {
                    Some((open, _, end, n)) if *open == service && *end + RECORD_HEAD == place.start => {
                        *end = place.end;
                        *n += 1;
                    }
                    _ => {
                        self.seal();
                        self.open = Some((service, place.start - RECORD_HEAD, place.end, 1));
                    }
                }
                Ok(())
            }
            Ok((Head::Reply { .. }, _)) => self.one(shared, self.payload.slice(place)),
            Err(error) => Err(error.to_string()),
        }
    }

    /// A message for itself: a reply, or one that came in pieces.
    fn one(&mut self, shared: &Shared, message: Bytes) -> Result<(), String> {
        let envelope = match Envelope::read(message).map_err(|error| error.to_string())? {
            Envelope::Reply { ask, reply } => {
                shared.asks.replied(&self.wire.peer, ask, reply);
                return Ok(());
            }
            envelope => envelope,
        };
        self.seal();
        let service = envelope.service();
        if let (Some(service), Some(message)) = (service, envelope.incoming(self.wire, self.lane)) {
            self.backlog.push_back(Step::Deliver(service, Parcel::One(message)));
        }
        Ok(())
    }

    fn seal(&mut self) {
        if let Some((service, start, end, n_messages)) = self.open.take() {
            let records = self.payload.slice(start..end);
            let run = Run::new(self.wire.clone(), self.lane, records, self.payload.len(), n_messages);
            self.backlog.push_back(Step::Deliver(service, Parcel::Run(run)));
        }
    }
}

/// Refuses what waited in this node's first moment for services that did not come.
pub(super) fn end_first_moment(shared: &Shared) {
    for parcel in shared.services.end_first_moment() {
        let mut rest = Some(parcel);
        while let Some(parcel) = rest.take() {
            let (first, left) = parcel.split_first();
            if let Some(message) = first {
                refuse(shared, message, Reply::NoService);
            }
            rest = left;
        }
    }
}

/// A request is answered, a tell is counted.
fn refuse(shared: &Shared, message: Incoming, why: Reply) {
    match message.reply {
        Some(mut reply) => reply.end(why),
        None => {
            shared.undeliverable.fetch_add(1, Relaxed);
        }
    }
}
