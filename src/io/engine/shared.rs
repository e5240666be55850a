//! What all tasks of one node's engine share: services, requests under way, links, and the way in for what the network brings.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

use super::{
    Address, Closer, NetworkEvent, Peer, PeerEvent, Sighting, codec, dispatch,
    service::{Reply, Services},
    wire::{Ticks, Wire},
};
use crate::{
    logic::{
        link::{Header, Kind, Limits},
        peers::{Doubt, Hello, Refusal},
    },
    words::NodeName,
};

/// Events that a slow watcher may be behind before it misses some (it is told so by `RecvError::Lagged`).
const EVENTS_MAX: usize = 1024;
/// A greeting has a few names and numbers.
const HELLO_MAX_BYTES: usize = 4096;

/// What the task is told.
#[derive(Debug)]
pub(super) enum Told {
    Appeared(Sighting),
    Vanished(Address),
    Hello(Hello),
    Refusal(Refusal),
    Left(Address),
    Garbage { who: String, detail: String },
    Doubt(Doubt),
}

/// Whether we belong to the group yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Joining,
    Member,
    NameInUse(Refusal),
}

/// Requests that wait for their replies.
#[derive(Debug, Default)]
pub(super) struct Asks {
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, (Peer, oneshot::Sender<Reply>)>>,
}

impl Asks {
    pub(super) fn begin(&self, to: &Peer, asker: oneshot::Sender<Reply>) -> u64 {
        let ask = self.next.fetch_add(1, Relaxed);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(ask, (to.clone(), asker));
        ask
    }

    pub(super) fn n_waiting(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn end(&self, ask: u64) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&ask);
    }

    /// A reply came; only from whom it was asked.
    pub(super) fn replied(&self, from: &Peer, ask: u64, reply: Reply) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.get(&ask).is_some_and(|(to, _)| to == from)
            && let Some((_, asker)) = waiting.remove(&ask)
        {
            drop(waiting);
            drop(asker.send(reply));
        }
    }

    /// Ends the requests to a peer, or all.
    pub(super) fn give_up(&self, peer: Option<&Peer>, why: &Reply) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |_: &u64, (to, _): &mut (Peer, _)| peer.is_none_or(|peer| peer == to);
        for (_, (_, asker)) in waiting.extract_if(.., over) {
            drop(asker.send(why.clone()));
        }
    }
}

/// What all tasks share.
pub(super) struct Shared {
    pub(super) me: Peer,
    address: Address,
    pub(super) services: Services,
    pub(super) asks: Asks,
    pub(super) events: broadcast::Sender<PeerEvent>,
    /// The links to peers that are up, by name.
    pub(super) up: RwLock<BTreeMap<NodeName, Arc<Wire>>>,
    pub(super) closed: AtomicBool,
    pub(super) undeliverable: AtomicU64,
    pub(super) strange_frames: AtomicU64,
    pub(super) standing: watch::Sender<Standing>,
    pub(super) wires: RwLock<BTreeMap<u64, Arc<Wire>>>,
    told: mpsc::Sender<Told>,
    pub(super) closer: OnceLock<Closer>,
    pub(super) stop: Notify,
    pub(super) limits: Limits,
    pub(super) ticks: Ticks,
}

impl Shared {
    /// What one node's tasks share, without a network.
    pub(super) fn new(me: Peer, address: Address, limits: Limits, told: mpsc::Sender<Told>) -> Arc<Shared> {
        Arc::new(Shared {
            me,
            address,
            services: Services::default(),
            asks: Asks::default(),
            events: broadcast::channel(EVENTS_MAX).0,
            up: RwLock::default(),
            closed: AtomicBool::new(false),
            undeliverable: AtomicU64::new(0),
            strange_frames: AtomicU64::new(0),
            standing: watch::channel(Standing::Joining).0,
            wires: RwLock::default(),
            told,
            closer: OnceLock::new(),
            stop: Notify::new(),
            limits,
            ticks: Ticks::start(),
        })
    }

    /// For a router with nobody else around.
    pub(super) fn alone(me: Peer) -> Arc<Shared> {
        let shared = Shared::new(me, Address("".into()), Limits::default(), mpsc::channel(1).0);
        shared.standing.send_replace(Standing::Member);
        shared
    }

    /// Takes what the network tells. Never blocks and never calls the engine: may be called from within it.
    pub(super) fn network(&self, event: NetworkEvent) {
        match event {
            NetworkEvent::Appeared(sighting) => self.tell(Told::Appeared(sighting)),
            NetworkEvent::Vanished(address) => self.tell(Told::Vanished(address)),
            NetworkEvent::Frame(frame) => self.frame(frame),
        }
    }

    fn tell(&self, told: Told) {
        if self.told.try_send(told).is_err() && !self.closed.load(Relaxed) {
            tracing::warn!("the network tells more than can be followed");
        }
    }

    fn frame(&self, mut frame: Bytes) {
        let header = match Header::read(&frame) {
            Ok(header) => header,
            Err(error) => return self.garbage("somebody unknown", error.to_string()),
        };
        let payload = frame.split_off(Header::LEN);
        match header.kind {
            Kind::Hello => self.said(&payload, Told::Hello),
            Kind::Refuse => self.said(&payload, Told::Refusal),
            Kind::Bye => self.said(&payload, |address: String| Told::Left(Address(address.into()))),
            Kind::Doubt => self.said(&payload, Told::Doubt),
            Kind::Ack | Kind::Data(_) | Kind::Probe(_) | Kind::Answer(_) | Kind::Want(_) => {
                // Cloned out of the lock: it takes a while.
                let wire = self.wires.read().unwrap_or_else(PoisonError::into_inner).get(&header.to).cloned();
                match wire {
                    Some(wire) => dispatch::arrived(self, &wire, &header, payload),
                    None => drop(self.strange_frames.fetch_add(1, Relaxed)),
                }
            }
        }
    }

    /// Takes what a frame outside of the lanes says.
    fn said<T: DeserializeOwned>(&self, payload: &[u8], told: impl FnOnce(T) -> Told) {
        match codec::decode(payload, HELLO_MAX_BYTES) {
            // One too many is counted as refused. Greetings are repeated until they are answered; who left vanishes, and who is doubted
            // falls silent.
            Ok(said) => {
                let is_told = self.tell_of_frame(told(said));
                self.strange_frames.fetch_add(u64::from(!is_told), Relaxed);
            }
            Err(error) => self.garbage("somebody unknown", error.to_string()),
        }
    }

    /// Tells what came in a frame, while half of the queue is free: no flood of them takes the room of what the network itself says,
    /// which it says once.
    fn tell_of_frame(&self, told: Told) -> bool {
        let has_room = self.told.capacity() > self.told.max_capacity() / 2;
        if has_room {
            self.tell(told);
        }
        has_room
    }

    /// Counts what is no frame, and sees to it that it is told once.
    pub(super) fn garbage(&self, who: &str, detail: String) {
        self.strange_frames.fetch_add(1, Relaxed);
        self.tell_of_frame(Told::Garbage { who: who.to_owned(), detail });
    }

    /// All links, those to peers that are down included.
    pub(super) fn all_wires(&self) -> Vec<Arc<Wire>> {
        let wires = self.wires.read().unwrap_or_else(PoisonError::into_inner);
        wires.values().cloned().collect()
    }

    /// Leaves: says goodbye when asked to, and lets everything go. Never longer than `limit`.
    pub(super) async fn leave(&self, goodbye: bool, limit: Duration) {
        if self.closed.swap(true, Relaxed) {
            return;
        }
        self.asks.give_up(None, &Reply::Closed);
        if goodbye && tokio::time::timeout(limit / 2, self.say_goodbye()).await.is_err() {
            tracing::debug!("some peers did not take everything before this node left");
        }
        let closed = self.shut();
        if let Some(closed) = closed {
            let _ = tokio::time::timeout(limit / 2, closed).await;
        }
    }

    async fn say_goodbye(&self) {
        const PAUSE: Duration = Duration::from_millis(2);
        // The news that we are gone must not overtake the goodbye in the network's own queues.
        const HEAD_START: Duration = Duration::from_millis(10);
        let wires = self.all_wires();
        while !wires.iter().all(|wire| wire.is_flushed() || !wire.up.load(Relaxed)) {
            tokio::time::sleep(PAUSE).await;
        }
        let Ok(body) = codec::encode(&*self.address.0) else { return };
        for wire in &wires {
            wire.say(plain_frame(Kind::Bye, &body));
        }
        while !wires.iter().all(|wire| wire.is_flushed() || !wire.up.load(Relaxed)) {
            tokio::time::sleep(PAUSE).await;
        }
        tokio::time::sleep(HEAD_START).await;
    }

    /// Ends everything at once, without a word.
    pub(super) fn shut(&self) -> Option<oneshot::Receiver<()>> {
        self.closed.store(true, Relaxed);
        self.asks.give_up(None, &Reply::Closed);
        self.services.clear();
        self.stop.notify_one();
        self.closer.get().map(|close| close())
    }
}

/// A frame outside of the lanes.
pub(super) fn plain_frame(kind: Kind, body: &[u8]) -> Bytes {
    let mut frame = vec![0; Header::LEN];
    Header::plain(kind).write(&mut frame);
    frame.extend_from_slice(body);
    frame.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::engine::Role;

    #[tokio::test]
    async fn a_flood_of_frames_leaves_room_for_what_the_network_says() {
        const N: usize = 16;
        let me = Peer { name: "n".parse().unwrap(), incarnation: 1, role: Role::Node };
        let by = Peer { name: "m".parse().unwrap(), ..me.clone() };
        let hello = Hello {
            protocol: 4,
            release: String::new(),
            group: String::new(),
            peer: by.clone(),
            address: "m".into(),
            place: String::new(),
            link: 1,
            yours: 0,
            answer: true,
            joining: false,
        };
        let flood = [
            (Kind::Doubt, codec::encode(&Doubt { by: "m".into(), of: "l".into(), silence_ms: 5_000 }).unwrap()),
            (Kind::Refuse, codec::encode(&Refusal { by, place: "m".into() }).unwrap()),
            (Kind::Bye, codec::encode("l").unwrap()),
            (Kind::Hello, codec::encode(&hello).unwrap()),
        ];
        for (kind, body) in flood {
            let (tell, mut told) = mpsc::channel(N);
            let shared = Shared::new(me.clone(), Address("n".into()), Limits::default(), tell);
            for _ in 0..2 * N {
                shared.network(NetworkEvent::Frame(plain_frame(kind, &body)));
            }
            shared.network(NetworkEvent::Vanished(Address("dead".into())));
            let kept: Vec<Told> = std::iter::from_fn(|| told.try_recv().ok()).collect();
            assert!(matches!(kept.last(), Some(Told::Vanished(_))), "a death is lost in a flood of {kind:?}");
            assert_eq!(kept.len(), N / 2 + 1);
        }
    }
}
