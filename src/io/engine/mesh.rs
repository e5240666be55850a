//! The task that follows who is alive: tells the core of peers what the network brings, and obeys it.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{
    Address, Engine, Peer, PeerEvent, Role, Sighting, codec, dispatch,
    service::Reply,
    shared::{Shared, Standing, Told, plain_frame},
    wire::Wire,
};
use crate::{
    logic::{
        link::{Kind, Lane, Limits},
        peers::{Effect, Peers, Times},
    },
    words::{NodeName, Time},
};

/// What the network tells, waiting for the task; a whole fleet that appears at once fits. What comes in frames takes half of it at most.
const TOLD_MAX: usize = 8192;
/// Greetings to peers without a link.
const GREETINGS_MAX: usize = 256;
/// Peers see a node as soon as it has joined, and it serves what it serves a little later: what they send meanwhile is kept for so
/// long. Many times what a start takes, and less than anybody waits for the answer that nothing serves a request.
const FIRST_MOMENT: Duration = Duration::from_millis(500);
/// How often the view of who is alive is looked at.
const TICK: Duration = Duration::from_millis(50);

/// The task's own part: the core, and what comes for it.
pub(super) struct Mesh {
    shared: Arc<Shared>,
    peers: Peers,
    told: mpsc::Receiver<Told>,
    greetings: mpsc::Sender<(Address, Bytes)>,
    greetings_out: Option<mpsc::Receiver<(Address, Bytes)>>,
    first_moment_until: Option<Time>,
    /// Links that have ended while something that had come over them waited for a service.
    ended: Vec<Arc<Wire>>,
}

impl Mesh {
    /// The shared part and the task for a node that `me` shows to others.
    pub(super) fn new(me: Sighting, place: String, limits: Limits, times: Times) -> Mesh {
        let (tell, told) = mpsc::channel(TOLD_MAX);
        let shared = Shared::new(me.peer.clone(), me.address.clone(), limits, tell);
        let peers = Peers::new(me, env!("CARGO_PKG_VERSION").to_owned(), place, times, shared.ticks.now());
        let (greetings, greetings_out) = mpsc::channel(GREETINGS_MAX);
        let (greetings_out, ended) = (Some(greetings_out), Vec::new());
        Mesh { shared, peers, told, greetings, greetings_out, first_moment_until: None, ended }
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
            engine.spawn_outbox(Box::pin(task));
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
                biased;
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
        self.listen(effects);
        let now = self.shared.ticks.now();
        if self.first_moment_until.is_some_and(|until| now >= until) {
            self.first_moment_until = None;
            dispatch::end_first_moment(&self.shared);
        }
        self.peers.tick(now, effects);
    }

    /// Tells the core what links have brought.
    fn listen(&mut self, effects: &mut Vec<Effect>) {
        for (number, wire) in self.numbered() {
            let (at, slow) = (wire.heard.load(Relaxed), wire.beats_slowly.load(Relaxed));
            self.peers.heard(number, Time(at), slow, effects);
        }
    }

    fn numbered(&self) -> Vec<(u64, Arc<Wire>)> {
        let wires = self.shared.wires.read().unwrap_or_else(PoisonError::into_inner);
        wires.iter().map(|(number, wire)| (*number, wire.clone())).collect()
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
            Told::Doubt(doubt) => {
                // What came since the last look counts.
                self.listen(effects);
                self.peers.doubted(now, &doubt, effects);
            }
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
            Effect::Pace { link, slow } => {
                if let Some(wire) = self.wire(link) {
                    wire.set_pace(slow);
                }
            }
            Effect::Doubt { address, link, doubt } => match codec::encode(&doubt) {
                Ok(bytes) => self.say(&address, link, Kind::Doubt, &bytes),
                Err(error) => tracing::error!(%error, "a doubt"),
            },
            Effect::Announce => {
                self.shared.services.begin_first_moment();
                self.first_moment_until = Some(self.shared.ticks.now() + FIRST_MOMENT);
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
        wires.get(&link).cloned()
    }

    fn open(&mut self, engine: &Arc<dyn Engine>, link: u64, peer: Peer, address: Address) {
        let wire = Arc::new(Wire::new(link, peer, address, self.shared.limits, self.shared.ticks));
        for ended in self.ended.extract_if(.., |ended| ended.peer == wire.peer) {
            dispatch::take_over(&ended, &wire);
        }
        self.shared.wires.write().unwrap_or_else(PoisonError::into_inner).insert(link, wire.clone());
        engine.spawn_outbox(Box::pin(wire.clone().outbox(engine.clone())));
        engine.spawn(Box::pin(dispatch::stalls(self.shared.clone(), wire)));
    }

    fn close(&mut self, link: u64) {
        let removed = self.shared.wires.write().unwrap_or_else(PoisonError::into_inner).remove(&link);
        if let Some(wire) = removed {
            let n_messages = wire.end();
            self.lost(&wire.peer, n_messages);
            self.ended.push(wire);
        }
        self.ended.retain(|wire| dispatch::is_stalled(wire));
    }

    fn lost(&self, peer: &Peer, n_messages: u64) {
        // A console that is gone has what it came for.
        if n_messages > 0 && peer.role == Role::Node {
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
                match peer.role {
                    Role::Node => tracing::info!(peer = %peer.name, incarnation = peer.incarnation, "peer up"),
                    Role::Console => tracing::debug!(peer = %peer.name, "console here"),
                }
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

    fn up_mut(&self, change: impl FnOnce(&mut BTreeMap<NodeName, Arc<Wire>>)) {
        change(&mut self.shared.up.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn end(&self) {
        self.up_mut(BTreeMap::clear);
        let wires = std::mem::take(&mut *self.shared.wires.write().unwrap_or_else(PoisonError::into_inner));
        for wire in wires.values() {
            wire.end();
        }
    }
}
