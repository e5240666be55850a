//! The inbox of a link: a task per peer that takes frames in batches, reads messages from them, and puts each where it belongs.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use tokio::{sync::mpsc, time::Instant};

use super::{
    envelope::Envelope,
    service::{Incoming, Reply, ReplyTo, ServiceId, Undelivered},
    shared::Shared,
    wire::Wire,
};
use crate::logic::link::{Assembler, Header, Lane};

/// How long a lane waits for a service whose queue is full. Longer than any healthy service needs to take one message; while it
/// waits the sender is held back, and other messages of the lane wait too.
const STALL_MAX: Duration = Duration::from_secs(1);
/// Frames taken from the inbox at once.
const BATCH: usize = 64;

/// A frame as the inbox holds it.
pub(super) type Frame = (Header, Bytes);

/// One lane of one peer, on its way to the services.
struct Arrivals {
    lane: Lane,
    assembler: Assembler,
    backlog: VecDeque<Step>,
    /// The service at the head of the backlog has no room; it is waited for until then.
    stalled: Option<(ServiceId, Instant)>,
    /// A service that had no room for so long that its messages are dropped until it has.
    stuck: Option<ServiceId>,
}

enum Step {
    Tell(ServiceId, Incoming),
    /// What came before is dealt with: so many bytes may be granted again.
    Consumed(usize),
}

/// Runs until the link is closed and its inbox with it.
pub(super) async fn inbox(shared: Arc<Shared>, wire: Arc<Wire>, mut frames: mpsc::Receiver<Frame>) {
    let (mut batch, mut ready) = (Vec::with_capacity(BATCH), Vec::new());
    let [mut control, mut bulk] = Lane::ALL.map(Arrivals::new);
    let mut n_resets_known = 0;
    loop {
        tokio::select! {
            biased;
            () = control.room(&shared), if control.stalled.is_some() => control.go_on(&shared, &wire),
            () = bulk.room(&shared), if bulk.stalled.is_some() => bulk.go_on(&shared, &wire),
            n_frames = frames.recv_many(&mut batch, BATCH) => {
                if n_frames == 0 {
                    return;
                }
                let (n_strange, n_resets) = wire.receive(batch.drain(..), &mut ready);
                if n_resets != n_resets_known {
                    // What came before has no end: what comes now is not the rest of it.
                    n_resets_known = n_resets;
                    control.assembler = Assembler::new(control.lane);
                    bulk.assembler = Assembler::new(bulk.lane);
                }
                shared.strange_frames.fetch_add(n_strange, Relaxed);
                for (lane, payload) in ready.drain(..) {
                    let arrivals = if lane == Lane::Control { &mut control } else { &mut bulk };
                    arrivals.take(&shared, &wire, payload);
                }
            }
        }
    }
}

impl Arrivals {
    fn new(lane: Lane) -> Arrivals {
        let (backlog, assembler) = (VecDeque::new(), Assembler::new(lane));
        Arrivals { lane, assembler, backlog, stalled: None, stuck: None }
    }

    /// Reads the messages of a payload and delivers them, or puts them behind those that wait.
    fn take(&mut self, shared: &Arc<Shared>, wire: &Arc<Wire>, payload: Bytes) {
        let n_bytes = payload.len();
        let mut messages = Vec::with_capacity(n_bytes / 48);
        let mut fault = self.assembler.read(payload, |message| messages.push(message)).err().map(|e| e.to_string());
        wire.received.fetch_add(messages.len() as u64, Relaxed);
        for message in messages {
            match Envelope::read(message) {
                Ok(Envelope::Tell { service, body }) => {
                    let message = Incoming { from: wire.peer.clone(), body, reply: None };
                    self.backlog.push_back(Step::Tell(service, message));
                }
                Ok(Envelope::Ask { service, ask, body }) => {
                    let reply = Some(ReplyTo::there(wire.clone(), self.lane, ask));
                    self.backlog.push_back(Step::Tell(service, Incoming { from: wire.peer.clone(), body, reply }));
                }
                Ok(Envelope::Reply { ask, reply }) => shared.asks.replied(&wire.peer, ask, reply),
                Err(error) => fault = fault.or(Some(error.to_string())),
            }
        }
        if let Some(detail) = fault {
            shared.garbage(wire.peer.name.as_str(), detail);
        }
        self.backlog.push_back(Step::Consumed(n_bytes));
        if self.stalled.is_none() {
            self.go_on(shared, wire);
        }
    }

    /// Waits until the service at the head of the backlog has room, or has been given up.
    async fn room(&self, shared: &Shared) {
        let Some((service, until)) = self.stalled else { return };
        let sender = shared.services.open().sender(service);
        if let Some(sender) = sender {
            // Not the permit but the news counts: the next delivery takes the room, or waits again.
            let _ = tokio::time::timeout_at(until, sender.reserve()).await;
        }
    }

    /// Delivers what waits, until a service has no room.
    fn go_on(&mut self, shared: &Arc<Shared>, wire: &Arc<Wire>) {
        let mut before = self.stalled.take();
        let services = shared.services.open();
        while let Some(step) = self.backlog.pop_front() {
            let (service, message) = match step {
                Step::Tell(service, message) => (service, message),
                Step::Consumed(n_bytes) => {
                    wire.consumed(self.lane, n_bytes);
                    continue;
                }
            };
            match services.deliver(service, message) {
                Ok(()) => {
                    // It is slow, but it lives: the next wait begins anew.
                    before = None;
                    self.stuck = self.stuck.filter(|stuck| *stuck != service);
                }
                Err(Undelivered::NoService(message)) => refuse(shared, message, Reply::NoService),
                Err(Undelivered::Full(message)) if message.reply.is_some() || self.stuck == Some(service) => {
                    refuse(shared, message, Reply::Busy);
                }
                Err(Undelivered::Full(message)) => {
                    let now = Instant::now();
                    let until = before.filter(|(stalled, _)| *stalled == service).map_or(now + STALL_MAX, |(_, at)| at);
                    if now >= until {
                        tracing::warn!(peer = %wire.peer, ?service, "a service does not take its messages: they are dropped");
                        self.stuck = Some(service);
                        refuse(shared, message, Reply::Busy);
                        continue;
                    }
                    self.backlog.push_front(Step::Tell(service, message));
                    self.stalled = Some((service, until));
                    return;
                }
            }
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
