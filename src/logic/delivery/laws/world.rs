//! Some nodes with one channel over them, receivers that stop, start and fail, and a network that keeps order but breaks.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use crate::{
    logic::delivery::*,
    model::ComponentId,
    words::{NodeName, PortPath, Time},
};

pub(super) struct Receiver {
    pub(super) is_started: bool,
    /// How many it takes before it is full; filled up by `work`.
    pub(super) room: usize,
    pub(super) given: Vec<u64>,
    pub(super) unsettled: Vec<(u64, Track)>,
    pub(super) handled: Vec<u64>,
    pub(super) n_to_fail: usize,
}

pub(super) struct Node<S> {
    pub(super) strategy: S,
    pub(super) fragment: Fragment<u64>,
    pub(super) effects: Vec<Effect<u64>>,
    pub(super) receivers: BTreeMap<PortPath, Receiver>,
    pub(super) wake: Time,
}

/// Some nodes with one channel over them.
pub(super) struct World<S> {
    pub(super) now: Time,
    pub(super) nodes: Vec<Node<S>>,
    /// Frames under way, in order for each pair.
    pub(super) frames: BTreeMap<(usize, usize), VecDeque<Frame<u64>>>,
    pub(super) cut: BTreeSet<(usize, usize)>,
    pub(super) n_sent: u64,
    pub(super) answers: BTreeMap<u64, Result<Option<u64>, String>>,
}

pub(super) fn name(node: usize) -> NodeName {
    NodeName::parse(&format!("n{node}")).unwrap()
}

pub(super) fn port(node: usize, component: usize) -> PortPath {
    PortPath { node: name(node), component: format!("c{component}").parse().unwrap(), port: "input".parse().unwrap() }
}

/// The identity of the component that was born with this port.
pub(super) fn born(port: &PortPath) -> ComponentId {
    ComponentId(stable_hash(port.to_string().as_bytes()))
}

pub(super) fn policy(capacity: usize, overflow: Overflow) -> Policy {
    Policy { capacity, overflow, patience: Duration::from_secs(1), away: Duration::from_secs(3600) }
}

impl Receiver {
    pub(super) fn new(is_started: bool) -> Receiver {
        Receiver {
            is_started,
            room: usize::MAX,
            given: Vec::new(),
            unsettled: Vec::new(),
            handled: Vec::new(),
            n_to_fail: 0,
        }
    }
}

impl<S: Strategy<u64>> World<S> {
    /// Nodes with so many receivers each. Every node sends.
    pub(super) fn new(receivers: &[usize], policy: Policy, strategy: impl Fn() -> S) -> World<S> {
        let nodes = (0..receivers.len()).map(|node| Node {
            strategy: strategy(),
            fragment: Fragment::new(name(node), 1, policy),
            effects: Vec::new(),
            receivers: BTreeMap::new(),
            wake: Time::NEVER,
        });
        let mut world = World {
            now: Time::from_ms(1),
            nodes: nodes.collect(),
            frames: BTreeMap::new(),
            cut: BTreeSet::new(),
            n_sent: 0,
            answers: BTreeMap::new(),
        };
        for (node, n_receivers) in receivers.iter().enumerate() {
            for component in 0..*n_receivers {
                world.add_receiver(node, component);
            }
        }
        for a in 0..receivers.len() {
            for b in 0..receivers.len() {
                if a != b {
                    world.with(a, |node, now| node.fragment.up(now, &name(b), &mut node.effects));
                }
            }
        }
        world.rewire();
        world
    }

    pub(super) fn add_receiver(&mut self, node: usize, component: usize) {
        self.nodes[node].receivers.insert(port(node, component), Receiver::new(true));
        self.set_started(node, component, true);
    }

    pub(super) fn rewire(&mut self) {
        let ports = self.nodes.iter().flat_map(|node| node.receivers.keys().cloned());
        let receivers: BTreeMap<PortPath, ComponentId> = ports.map(|port| (port.clone(), born(&port))).collect();
        let senders: BTreeSet<NodeName> = (0..self.nodes.len()).map(name).collect();
        for node in 0..self.nodes.len() {
            self.rewire_one(node, &Wiring { receivers: receivers.clone(), senders: senders.clone() });
        }
    }

    pub(super) fn rewire_one(&mut self, node: usize, wiring: &Wiring) {
        self.with(node, |node, now| {
            node.fragment.connect(&mut node.strategy, now, wiring.clone(), &mut node.effects);
        });
    }

    /// Does something on a node, then lets it act.
    pub(super) fn with(&mut self, idx: usize, act: impl FnOnce(&mut Node<S>, Time)) {
        let now = self.now;
        act(&mut self.nodes[idx], now);
        loop {
            let node = &mut self.nodes[idx];
            node.fragment.flush(&mut node.strategy, now, &mut node.effects);
            if node.effects.is_empty() {
                return;
            }
            for effect in std::mem::take(&mut node.effects) {
                match effect {
                    Effect::Drain(end) => node.drain(end, now),
                    Effect::Post { to, frame } => {
                        let to = (0..).find(|other| name(*other) == to).unwrap();
                        if !self.cut.contains(&(idx, to)) {
                            self.frames.entry((idx, to)).or_default().push_back(frame);
                        }
                    }
                    Effect::Answer { ask, reply } => {
                        let reply = reply.map_err(|why| why.to_string());
                        assert!(self.answers.insert(ask.0, reply).is_none(), "answered twice");
                    }
                    Effect::Tapped(_) => {}
                    Effect::Wake(at) => node.wake = node.wake.min(at),
                }
            }
        }
    }

    pub(super) fn send(&mut self, node: usize) {
        self.n_sent += 1;
        // The sender is in the message, for the order of each.
        let message = (node as u64) << 32 | self.n_sent;
        self.with(node, |node, now| {
            if node.give_straight(message) {
                return;
            }
            if node.fragment.takes() {
                let sent = (SourceId(0), message, None);
                node.fragment.sent(&mut node.strategy, now, now, sent, &mut node.effects);
            }
        });
    }

    pub(super) fn set_started(&mut self, node: usize, component: usize, is_started: bool) {
        self.with(node, |node, now| {
            let last = node.receivers.len().saturating_sub(1);
            let Some(path) = node.receivers.keys().nth(component.min(last)).cloned() else { return };
            node.receivers.get_mut(&path).unwrap().is_started = is_started;
            node.fragment.set_open(&mut node.strategy, now, &path, is_started, &mut node.effects);
        });
    }

    /// Delivers the oldest frame of one pair.
    pub(super) fn carry(&mut self, from: usize, to: usize) -> bool {
        let Some(frame) = self.frames.get_mut(&(from, to)).and_then(VecDeque::pop_front) else { return false };
        self.with(to, |node, now| {
            node.fragment.arrived(&mut node.strategy, now, &name(from), frame, &mut node.effects);
        });
        true
    }

    /// Delivers the oldest frame of one pair that carries messages, or that does not: they do not wait for each other.
    pub(super) fn carry_lane(&mut self, from: usize, to: usize, has_messages: bool) -> bool {
        let Some(frames) = self.frames.get_mut(&(from, to)) else { return false };
        let is_of_lane =
            |frame: &Frame<u64>| matches!(frame, Frame::Deliver { .. } | Frame::Hello { .. }) == has_messages;
        let Some(frame) = frames.iter().position(is_of_lane).and_then(|idx| frames.remove(idx)) else { return false };
        self.with(to, |node, now| {
            node.fragment.arrived(&mut node.strategy, now, &name(from), frame, &mut node.effects);
        });
        true
    }

    /// Breaks the way between two nodes: what is on it is lost.
    pub(super) fn break_way(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            self.frames.remove(&(from, to));
            self.cut.insert((from, to));
            self.with(from, |node, now| {
                node.fragment.down(&mut node.strategy, now, &name(to), &mut node.effects);
            });
        }
    }

    pub(super) fn mend(&mut self, a: usize, b: usize) {
        self.cut.remove(&(a, b));
        self.cut.remove(&(b, a));
        for (from, to) in [(a, b), (b, a)] {
            self.with(from, |node, now| node.fragment.up(now, &name(to), &mut node.effects));
        }
    }

    /// Every receiver handles what it was given.
    pub(super) fn work(&mut self) -> bool {
        let mut has_worked = false;
        for idx in 0..self.nodes.len() {
            let mut settled = Vec::new();
            for receiver in self.nodes[idx].receivers.values_mut().filter(|receiver| receiver.is_started) {
                for (message, track) in receiver.unsettled.drain(..) {
                    if receiver.n_to_fail > 0 {
                        receiver.n_to_fail -= 1;
                        settled.push((track, Outcome::Failed("as told".into())));
                    } else {
                        receiver.handled.push(message);
                        settled.push((track, Outcome::Done(Some(message + 1))));
                    }
                }
            }
            has_worked |= !settled.is_empty();
            for (track, outcome) in settled {
                self.with(idx, |node, now| {
                    node.fragment.outcome(&mut node.strategy, now, track, outcome, &mut node.effects);
                });
            }
        }
        has_worked
    }

    pub(super) fn advance(&mut self, span: Duration) {
        self.now = self.now + span;
        for idx in 0..self.nodes.len() {
            if self.nodes[idx].wake <= self.now {
                self.nodes[idx].wake = Time::NEVER;
                self.with(idx, |node, now| node.fragment.tick(&mut node.strategy, now, &mut node.effects));
            }
        }
    }

    /// Everything is well again; runs until nothing moves.
    pub(super) fn settle(&mut self) {
        for (a, b) in self.cut.clone() {
            self.mend(a, b);
        }
        for idx in 0..self.nodes.len() {
            for path in self.nodes[idx].receivers.keys().cloned().collect::<Vec<_>>() {
                self.with(idx, |node, now| {
                    let receiver = node.receivers.get_mut(&path).unwrap();
                    (receiver.is_started, receiver.room, receiver.n_to_fail) = (true, usize::MAX, 0);
                    node.fragment.set_open(&mut node.strategy, now, &path, true, &mut node.effects);
                });
            }
        }
        for _ in 0..60 {
            let mut has_moved = true;
            while has_moved {
                has_moved = self.work();
                for pair in self.frames.keys().copied().collect::<Vec<_>>() {
                    has_moved |= self.carry(pair.0, pair.1);
                }
            }
            self.advance(Duration::from_millis(500));
        }
    }

    /// Carries all frames, those that answer them too.
    pub(super) fn settle_frames(&mut self) {
        while let Some(pair) = self.frames.iter().find(|(_, frames)| !frames.is_empty()).map(|(pair, _)| *pair) {
            self.carry(pair.0, pair.1);
        }
    }

    pub(super) fn assert_bounds(&self, capacity: usize) {
        for node in &self.nodes {
            for outlet in node.fragment.outlets.iter().flatten() {
                let own =
                    outlet.queue.iter().filter(|item| matches!(item.origin, outlet::Origin::Here { follow: None, .. }));
                assert_eq!(own.clone().count(), outlet.n_own);
            }
            let kept = node.fragment.n_kept_most();
            assert!(kept <= capacity, "{kept} of {capacity} kept");
            assert!(node.fragment.n_held() <= capacity);
        }
    }
}

impl<S: Strategy<u64>> Node<S> {
    pub(super) fn drain(&mut self, end: EndId, now: Time) {
        let fragment = &self.fragment;
        let its = self.receivers.iter_mut().find(|(path, _)| fragment.end_of(path) == Some(end));
        let Some((_, receiver)) = its else { return };
        self.fragment.drain(end, now, &mut self.effects, |given| {
            if receiver.room == 0 {
                return Err(given.message);
            }
            receiver.room -= 1;
            receiver.given.push(given.message);
            receiver.unsettled.extend(given.track.map(|track| (given.message, track)));
            Ok(())
        });
    }

    /// As senders do while the fragment sleeps. Nothing is under way to the receiver then, so nothing is overtaken.
    pub(super) fn give_straight(&mut self, message: u64) -> bool {
        let Some(end) = self.fragment.straight(&self.strategy) else { return false };
        let path = self.fragment.ends().get(end).map(|end| end.port.clone()).unwrap();
        let Some(receiver) = self.receivers.get_mut(&path).filter(|receiver| receiver.room > 0) else { return false };
        assert!(receiver.is_started, "a stopped receiver is given nothing");
        receiver.room -= 1;
        receiver.given.push(message);
        self.fragment.count_straight(1);
        true
    }
}
