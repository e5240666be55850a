//! What all tasks of one node's engine share, and the task that follows who is alive and obeys the core that decides it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

use super::{
    Address, Closer, Engine, NetworkEvent, Peer, PeerEvent, Role, Sighting, codec,
    dispatch::{self, Frame},
    service::{Reply, Services},
    wire::{Ticks, Wire},
};
use crate::{
    logic::{
        link::{Header, Kind, Lane, Limits},
        peers::{Effect, Hello, Peers, Refusal, Times},
    },
    words::{NodeName, Time},
};

/// Events that a slow watcher may be behind before it misses some (it is told so by `RecvError::Lagged`).
const EVENTS_MAX: usize = 1024;
/// What the network tells, waiting for the task; a whole fleet that appears at once fits. What is beyond comes again.
const TOLD_MAX: usize = 8192;
/// Frames that wait for the inbox of one peer. More than a window of data and its acknowledgements; beyond it they are dropped
/// and sent again by the peer.
const FRAMES_MAX: usize = 8192;
/// Greetings to peers without a link.
const GREETINGS_MAX: usize = 256;
/// How often the view of who is alive is looked at.
const TICK: Duration = Duration::from_millis(50);
/// A greeting has a few names and numbers.
const HELLO_MAX_BYTES: usize = 4096;

/// What the task is told.
#[derive(Debug)]
enum Told {
    Appeared(Sighting),
    Vanished(Address),
    Hello(Hello),
    Refusal(Refusal),
    Left(Address),
    Garbage { who: String, detail: String },
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
    waiting: Mutex<HashMap<u64, (Peer, oneshot::Sender<Reply>)>>,
}

impl Asks {
    pub(super) fn begin(&self, to: &Peer, asker: oneshot::Sender<Reply>) -> u64 {
        let ask = self.next.fetch_add(1, Relaxed);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(ask, (to.clone(), asker));
        ask
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
    fn give_up(&self, peer: Option<&Peer>, why: &Reply) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |_: &u64, (to, _): &mut (Peer, _)| peer.is_none_or(|peer| peer == to);
        for (_, (_, asker)) in waiting.extract_if(over) {
            drop(asker.send(why.clone()));
        }
    }
}

/// Where the frames of a link go. When it is dropped, the link's inbox task ends.
type Inbox = mpsc::Sender<Frame>;

/// What all tasks share.
pub(super) struct Shared {
    pub(super) me: Peer,
    address: Address,
    pub(super) services: Services,
    pub(super) asks: Asks,
    pub(super) events: broadcast::Sender<PeerEvent>,
    /// The links to peers that are up, by name.
    pub(super) up: RwLock<HashMap<NodeName, Arc<Wire>>>,
    pub(super) closed: AtomicBool,
    pub(super) undeliverable: AtomicU64,
    pub(super) strange_frames: AtomicU64,
    pub(super) standing: watch::Sender<Standing>,
    wires: RwLock<HashMap<u64, (Inbox, Arc<Wire>)>>,
    told: mpsc::Sender<Told>,
    closer: OnceLock<Closer>,
    stop: Notify,
    limits: Limits,
    ticks: Ticks,
}

/// The task's own part: the core, and what comes for it.
pub(super) struct Mesh {
    shared: Arc<Shared>,
    peers: Peers,
    told: mpsc::Receiver<Told>,
    greetings: mpsc::Sender<(Address, Bytes)>,
    greetings_out: Option<mpsc::Receiver<(Address, Bytes)>>,
}

impl Shared {
    /// What one node's tasks share, without a network.
    fn new(me: Peer, address: Address, limits: Limits, told: mpsc::Sender<Told>) -> Arc<Shared> {
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
            Kind::Hello => match codec::decode(&payload, HELLO_MAX_BYTES) {
                Ok(hello) => self.tell(Told::Hello(hello)),
                Err(error) => self.garbage("somebody unknown", error.to_string()),
            },
            Kind::Refuse => match codec::decode(&payload, HELLO_MAX_BYTES) {
                Ok(refusal) => self.tell(Told::Refusal(refusal)),
                Err(error) => self.garbage("somebody unknown", error.to_string()),
            },
            Kind::Bye => match codec::decode::<String>(&payload, HELLO_MAX_BYTES) {
                Ok(address) => self.tell(Told::Left(Address(address.into()))),
                Err(error) => self.garbage("somebody unknown", error.to_string()),
            },
            Kind::Ack | Kind::Data(_) | Kind::Probe(_) | Kind::Answer(_) | Kind::Want(_) => {
                let wires = self.wires.read().unwrap_or_else(PoisonError::into_inner);
                let taken = wires.get(&header.to).is_some_and(|(inbox, _)| inbox.try_send((header, payload)).is_ok());
                self.strange_frames.fetch_add(u64::from(!taken), Relaxed);
            }
        }
    }

    /// Counts what is no frame, and sees to it that it is told once.
    pub(super) fn garbage(&self, who: &str, detail: String) {
        self.strange_frames.fetch_add(1, Relaxed);
        self.tell(Told::Garbage { who: who.to_owned(), detail });
    }

    /// All links, those to peers that are down included.
    pub(super) fn all_wires(&self) -> Vec<Arc<Wire>> {
        let wires = self.wires.read().unwrap_or_else(PoisonError::into_inner);
        wires.values().map(|(_, wire)| wire.clone()).collect()
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

impl Mesh {
    /// The shared part and the task for a node that `me` shows to others.
    pub(super) fn new(me: Sighting, place: String, limits: Limits, times: Times) -> Mesh {
        let (tell, told) = mpsc::channel(TOLD_MAX);
        let shared = Shared::new(me.peer.clone(), me.address.clone(), limits, tell);
        let peers = Peers::new(me, env!("CARGO_PKG_VERSION").to_owned(), place, times, shared.ticks.now());
        let (greetings, greetings_out) = mpsc::channel(GREETINGS_MAX);
        Mesh { shared, peers, told, greetings, greetings_out: Some(greetings_out) }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Starts to work with this engine.
    pub(super) fn start(mut self, engine: Arc<dyn Engine>) {
        if let Some(mut out) = self.greetings_out.take() {
            let sender = engine.clone();
            let task = async move {
                while let Some((address, frame)) = out.recv().await {
                    sender.send(&address, Lane::Control, frame);
                }
            };
            engine.spawn_outbox(None, Box::pin(task));
        }
        // Set once, here: whoever made a mesh starts it.
        let _ = self.shared.closer.set(engine.closer());
        engine.clone().spawn(Box::pin(self.run(engine)));
    }

    async fn run(mut self, engine: Arc<dyn Engine>) {
        let shared = self.shared.clone();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut effects = Vec::new();
        loop {
            tokio::select! {
                () = shared.stop.notified() => break,
                _ = tick.tick() => self.tick(&mut effects),
                told = self.told.recv() => match told {
                    Some(told) => self.told(told, &mut effects),
                    None => break,
                },
            }
            for effect in effects.drain(..) {
                self.obey(&engine, effect);
            }
        }
        self.end();
    }

    fn tick(&mut self, effects: &mut Vec<Effect>) {
        for (number, wire) in self.numbered() {
            self.peers.heard(number, Time(wire.heard.load(Relaxed)), effects);
        }
        self.peers.tick(self.shared.ticks.now(), effects);
    }

    fn numbered(&self) -> Vec<(u64, Arc<Wire>)> {
        let wires = self.shared.wires.read().unwrap_or_else(PoisonError::into_inner);
        wires.iter().map(|(number, (_, wire))| (*number, wire.clone())).collect()
    }

    fn told(&mut self, told: Told, effects: &mut Vec<Effect>) {
        let now = self.shared.ticks.now();
        match told {
            Told::Appeared(sighting) => self.peers.saw(now, sighting, effects),
            Told::Vanished(address) => self.peers.vanished(now, &address, effects),
            Told::Hello(hello) => self.peers.greeted(now, hello, effects),
            Told::Refusal(refusal) => self.peers.refused(refusal, effects),
            Told::Left(address) => self.peers.left(now, &address, effects),
            Told::Garbage { who, detail } => self.peers.garbage(&who, detail, effects),
        }
    }

    fn obey(&mut self, engine: &Arc<dyn Engine>, effect: Effect) {
        match effect {
            Effect::Open { link, peer, address } => self.open(engine, link, peer, address),
            Effect::Greet { address, hello } => match codec::encode(&hello) {
                Ok(bytes) => self.say(&address, hello.link, Kind::Hello, &bytes),
                Err(error) => tracing::error!(%error, "a greeting"),
            },
            Effect::Refuse { address, refusal } => match codec::encode(&refusal) {
                Ok(bytes) => self.say(&address, 0, Kind::Refuse, &bytes),
                Err(error) => tracing::error!(%error, "a refusal"),
            },
            Effect::Bind { link, theirs } => {
                if let Some(wire) = self.wire(link) {
                    let n_messages = wire.bind(theirs);
                    self.lost(&wire.peer, n_messages);
                }
            }
            Effect::Close { link } => self.close(link),
            Effect::Announce => {
                self.shared.standing.send_replace(Standing::Member);
                engine.announce();
            }
            Effect::NameInUse(refusal) => {
                self.shared.standing.send_replace(Standing::NameInUse(refusal));
            }
            Effect::Tell(event) => self.tell(event),
        }
    }

    fn wire(&self, link: u64) -> Option<Arc<Wire>> {
        let wires = self.shared.wires.read().unwrap_or_else(PoisonError::into_inner);
        wires.get(&link).map(|(_, wire)| wire.clone())
    }

    fn open(&self, engine: &Arc<dyn Engine>, link: u64, peer: Peer, address: Address) {
        let wire = Arc::new(Wire::new(link, peer, address, self.shared.limits, self.shared.ticks));
        let (sender, frames) = mpsc::channel(FRAMES_MAX);
        self.shared.wires.write().unwrap_or_else(PoisonError::into_inner).insert(link, (sender, wire.clone()));
        engine.spawn_outbox(Some(&wire.address), Box::pin(wire.clone().outbox(engine.clone())));
        engine.spawn(Box::pin(dispatch::inbox(self.shared.clone(), wire, frames)));
    }

    fn close(&self, link: u64) {
        let removed = self.shared.wires.write().unwrap_or_else(PoisonError::into_inner).remove(&link);
        if let Some((_, wire)) = removed {
            let n_messages = wire.end();
            self.lost(&wire.peer, n_messages);
        }
    }

    fn lost(&self, peer: &Peer, n_messages: u64) {
        if n_messages > 0 {
            self.tell(PeerEvent::Lost { peer: peer.clone(), n_messages });
        }
    }

    /// A frame outside of the lanes: through the link's own outbox where there is one, so that it goes before its data.
    fn say(&self, address: &Address, link: u64, kind: Kind, body: &[u8]) {
        let frame = plain_frame(kind, body);
        match self.wire(link) {
            Some(wire) => wire.say(frame),
            // Full: the greeting comes again.
            None => drop(self.greetings.try_send((address.clone(), frame))),
        }
    }

    fn tell(&self, event: PeerEvent) {
        match &event {
            PeerEvent::Up(peer) => {
                let wire = self.numbered().into_iter().map(|(_, wire)| wire).find(|wire| wire.peer == *peer);
                if let Some(wire) = wire {
                    wire.up.store(true, Relaxed);
                    self.up_mut(|up| drop(up.insert(peer.name.clone(), wire)));
                }
                tracing::info!(peer = %peer.name, incarnation = peer.incarnation, role = ?peer.role, "peer up");
            }
            PeerEvent::Down { peer, reason } => {
                self.up_mut(|up| {
                    if let Some(wire) = up.get(&peer.name).filter(|wire| wire.peer == *peer) {
                        wire.up.store(false, Relaxed);
                        up.remove(&peer.name);
                    }
                });
                self.shared.asks.give_up(Some(peer), &Reply::PeerDown);
                match peer.role {
                    Role::Node => tracing::warn!(peer = %peer.name, %reason, "peer down"),
                    Role::Console => tracing::debug!(peer = %peer.name, %reason, "console gone"),
                }
            }
            PeerEvent::Suspected(peer) => tracing::warn!(peer = %peer.name, "peer is silent: it may hang"),
            PeerEvent::Trusted(peer) => tracing::info!(peer = %peer.name, "peer gives signs of life again"),
            PeerEvent::Lost { peer, n_messages } => {
                tracing::warn!(peer = %peer.name, n_messages, "messages lost with a peer");
            }
            PeerEvent::Refused { who, reason } => tracing::warn!(%who, %reason, "refused"),
            PeerEvent::NameTaken { by } => {
                tracing::error!(incarnation = by.incarnation, "another node has taken this node's name");
            }
        }
        // Nobody may be watching.
        let _ = self.shared.events.send(event);
    }

    fn up_mut(&self, change: impl FnOnce(&mut HashMap<NodeName, Arc<Wire>>)) {
        change(&mut self.shared.up.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn end(&self) {
        self.up_mut(HashMap::clear);
        let wires = std::mem::take(&mut *self.shared.wires.write().unwrap_or_else(PoisonError::into_inner));
        for (_, wire) in wires.values() {
            wire.end();
        }
    }
}

/// A frame outside of the lanes.
fn plain_frame(kind: Kind, body: &[u8]) -> Bytes {
    let mut frame = vec![0; Header::LEN];
    Header::plain(kind).write(&mut frame);
    frame.extend_from_slice(body);
    frame.into()
}
