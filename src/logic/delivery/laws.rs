//! The laws of delivery: fragments on several nodes, a network that keeps order but breaks, receivers that stop, start and fail.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use proptest::{
    prelude::{Just, ProptestConfig, prop, prop_assert, prop_assert_eq, prop_oneof, proptest},
    strategy::Strategy as Generator,
};

use super::*;
use crate::{
    model::ComponentId,
    words::{NodeName, PortPath, Time},
};

/// Broadcast: every end gets everything.
struct Everyone;

impl Strategy<u64> for Everyone {
    fn route(&mut self, _message: &u64, ends: &Ends, ctx: &mut Ctx<'_, u64>) {
        ends.iter().for_each(|end| ctx.deliver(end.id));
    }
    fn sole(&self, ends: &Ends) -> Option<EndId> {
        ends.at(0).filter(|_| ends.len() == 1).map(|end| end.id)
    }
}

/// A queue: one open end handles each message; who fails or goes away is replaced by another.
#[derive(Default)]
struct Workers {
    waiting: VecDeque<Ticket>,
    turn: usize,
}

impl Workers {
    fn assign(&mut self, ends: &Ends, ctx: &mut Ctx<'_, u64>) {
        let open: Vec<EndId> = ends.open().map(|end| end.id).collect();
        while let (Some(ticket), false) = (self.waiting.front(), open.is_empty()) {
            ctx.follow(*ticket, open[self.turn % open.len()]);
            self.turn += 1;
            self.waiting.pop_front();
        }
    }
}

impl Strategy<u64> for Workers {
    fn route(&mut self, _message: &u64, ends: &Ends, ctx: &mut Ctx<'_, u64>) {
        self.waiting.extend(ctx.hold());
        self.assign(ends, ctx);
    }
    fn settled(&mut self, ticket: Ticket, outcome: Outcome<u64>, ends: &Ends, ctx: &mut Ctx<'_, u64>) {
        match outcome {
            Outcome::Done(_) => ctx.release(ticket),
            Outcome::Failed(_) | Outcome::Lost => self.waiting.push_back(ticket),
            Outcome::Dropped => self.waiting.retain(|waiting| *waiting != ticket),
        }
        // A failing receiver is not asked again at once: the clock decides.
        if !self.waiting.is_empty() {
            ctx.wake_in(Duration::from_millis(10));
        }
        if self.turn.is_multiple_of(2) {
            self.assign(ends, ctx);
        }
    }
    fn changed(&mut self, ends: &Ends, ctx: &mut Ctx<'_, u64>) {
        self.assign(ends, ctx);
    }
    fn woken(&mut self, ends: &Ends, ctx: &mut Ctx<'_, u64>) {
        self.assign(ends, ctx);
    }
}

struct Receiver {
    is_started: bool,
    /// How many it takes before it is full; filled up by `work`.
    room: usize,
    given: Vec<u64>,
    unsettled: Vec<(u64, Track)>,
    handled: Vec<u64>,
    n_to_fail: usize,
}

struct Node<S> {
    strategy: S,
    fragment: Fragment<u64>,
    effects: Vec<Effect<u64>>,
    receivers: BTreeMap<PortPath, Receiver>,
    wake: Time,
}

/// Some nodes with one channel over them.
struct World<S> {
    now: Time,
    nodes: Vec<Node<S>>,
    /// Frames under way, in order for each pair.
    frames: BTreeMap<(usize, usize), VecDeque<Frame<u64>>>,
    cut: BTreeSet<(usize, usize)>,
    n_sent: u64,
    answers: BTreeMap<u64, Result<Option<u64>, String>>,
}

fn name(node: usize) -> NodeName {
    NodeName::parse(&format!("n{node}")).unwrap()
}

fn port(node: usize, component: usize) -> PortPath {
    PortPath { node: name(node), component: format!("c{component}").parse().unwrap(), port: "input".parse().unwrap() }
}

/// The identity of the component that was born with this port.
fn born(port: &PortPath) -> ComponentId {
    ComponentId(stable_hash(port.to_string().as_bytes()))
}

fn policy(capacity: usize, overflow: Overflow) -> Policy {
    Policy { capacity, overflow, patience: Duration::from_secs(1), away: Duration::from_secs(3600) }
}

impl<S: Strategy<u64>> World<S> {
    /// Nodes with so many receivers each. Every node sends.
    fn new(receivers: &[usize], policy: Policy, strategy: impl Fn() -> S) -> World<S> {
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

    fn add_receiver(&mut self, node: usize, component: usize) {
        let receiver = Receiver {
            is_started: true,
            room: usize::MAX,
            given: Vec::new(),
            unsettled: Vec::new(),
            handled: Vec::new(),
            n_to_fail: 0,
        };
        self.nodes[node].receivers.insert(port(node, component), receiver);
        self.set_started(node, component, true);
    }

    fn rewire(&mut self) {
        let ports = self.nodes.iter().flat_map(|node| node.receivers.keys().cloned());
        let receivers: BTreeMap<PortPath, ComponentId> = ports.map(|port| (port.clone(), born(&port))).collect();
        let senders: BTreeSet<NodeName> = (0..self.nodes.len()).map(name).collect();
        for node in 0..self.nodes.len() {
            self.rewire_one(node, &Wiring { receivers: receivers.clone(), senders: senders.clone() });
        }
    }

    fn rewire_one(&mut self, node: usize, wiring: &Wiring) {
        self.with(node, |node, now| {
            node.fragment.connect(&mut node.strategy, now, wiring.clone(), &mut node.effects);
        });
    }

    /// Does something on a node, then lets it act.
    fn with(&mut self, idx: usize, act: impl FnOnce(&mut Node<S>, Time)) {
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

    fn send(&mut self, node: usize) {
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

    fn set_started(&mut self, node: usize, component: usize, is_started: bool) {
        self.with(node, |node, now| {
            let last = node.receivers.len().saturating_sub(1);
            let Some(path) = node.receivers.keys().nth(component.min(last)).cloned() else { return };
            node.receivers.get_mut(&path).unwrap().is_started = is_started;
            node.fragment.set_open(&mut node.strategy, now, &path, is_started, &mut node.effects);
        });
    }

    /// Delivers the oldest frame of one pair.
    fn carry(&mut self, from: usize, to: usize) -> bool {
        let Some(frame) = self.frames.get_mut(&(from, to)).and_then(VecDeque::pop_front) else { return false };
        self.with(to, |node, now| {
            node.fragment.arrived(&mut node.strategy, now, &name(from), frame, &mut node.effects);
        });
        true
    }

    /// Breaks the way between two nodes: what is on it is lost.
    fn break_way(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            self.frames.remove(&(from, to));
            self.cut.insert((from, to));
            self.with(from, |node, now| {
                node.fragment.down(&mut node.strategy, now, &name(to), &mut node.effects);
            });
        }
    }

    fn mend(&mut self, a: usize, b: usize) {
        self.cut.remove(&(a, b));
        self.cut.remove(&(b, a));
        for (from, to) in [(a, b), (b, a)] {
            self.with(from, |node, now| node.fragment.up(now, &name(to), &mut node.effects));
        }
    }

    /// Every receiver handles what it was given.
    fn work(&mut self) -> bool {
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

    fn advance(&mut self, span: Duration) {
        self.now = self.now + span;
        for idx in 0..self.nodes.len() {
            if self.nodes[idx].wake <= self.now {
                self.nodes[idx].wake = Time::NEVER;
                self.with(idx, |node, now| node.fragment.tick(&mut node.strategy, now, &mut node.effects));
            }
        }
    }

    /// Everything is well again; runs until nothing moves.
    fn settle(&mut self) {
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
    fn settle_frames(&mut self) {
        while let Some(pair) = self.frames.iter().find(|(_, frames)| !frames.is_empty()).map(|(pair, _)| *pair) {
            self.carry(pair.0, pair.1);
        }
    }

    fn assert_bounds(&self, capacity: usize) {
        for node in &self.nodes {
            for outlet in node.fragment.outlets.iter().flatten() {
                let own =
                    outlet.queue.iter().filter(|item| matches!(item.origin, outlet::Origin::Here { follow: None, .. }));
                assert_eq!(own.clone().count(), outlet.n_own);
                assert!(outlet.n_own <= capacity, "{} of {capacity} kept", outlet.n_own);
            }
            assert!(node.fragment.n_held() <= capacity);
        }
    }
}

impl<S: Strategy<u64>> Node<S> {
    fn drain(&mut self, end: EndId, now: Time) {
        let Some(path) = self.fragment.ends().get(end).map(|end| end.port.clone()) else { return };
        let Some(receiver) = self.receivers.get_mut(&path) else { return };
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
    fn give_straight(&mut self, message: u64) -> bool {
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

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Stop(usize, usize),
    Start(usize, usize),
    Carry(usize, usize),
    Break(usize, usize),
    Mend(usize, usize),
    Room(usize, usize),
    Work,
    Fail(usize, usize),
    Advance(u64),
}

const N_NODES: usize = 3;

fn steps() -> impl Generator<Value = Vec<Step>> {
    let node = || 0..N_NODES;
    let pair = || (node(), node()).prop_filter("two nodes", |(a, b)| a != b);
    let step = prop_oneof![
        8 => node().prop_map(Step::Send),
        1 => (node(), 0..2usize).prop_map(|(node, component)| Step::Stop(node, component)),
        2 => (node(), 0..2usize).prop_map(|(node, component)| Step::Start(node, component)),
        8 => pair().prop_map(|(from, to)| Step::Carry(from, to)),
        1 => pair().prop_map(|(a, b)| Step::Break(a, b)),
        1 => pair().prop_map(|(a, b)| Step::Mend(a, b)),
        1 => (node(), 0..3usize).prop_map(|(node, room)| Step::Room(node, room)),
        2 => Just(Step::Work),
        1 => (node(), 1..3usize).prop_map(|(node, n)| Step::Fail(node, n)),
        1 => (1..3000u64).prop_map(Step::Advance),
    ];
    prop::collection::vec(step, 1..120)
}

fn run<S: Strategy<u64>>(world: &mut World<S>, steps: &[Step], capacity: usize) {
    for step in steps {
        match *step {
            Step::Send(node) => world.send(node),
            Step::Stop(node, component) => world.set_started(node, component, false),
            Step::Start(node, component) => world.set_started(node, component, true),
            Step::Carry(from, to) => drop(world.carry(from, to)),
            Step::Break(a, b) => world.break_way(a, b),
            Step::Mend(a, b) => world.mend(a, b),
            Step::Room(node, room) => {
                world.nodes[node].receivers.values_mut().for_each(|receiver| receiver.room = room);
            }
            Step::Work => drop(world.work()),
            Step::Fail(node, n) => {
                world.nodes[node].receivers.values_mut().for_each(|receiver| receiver.n_to_fail = n);
            }
            Step::Advance(ms) => world.advance(Duration::from_millis(ms)),
        }
        world.assert_bounds(capacity);
    }
}

fn in_order_of_each_sender(given: &[u64]) -> bool {
    (0..N_NODES as u64).all(|sender| given.iter().filter(|message| **message >> 32 == sender).is_sorted())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn who_gives_straight_to_the_only_receiver_overtakes_nobody_and_is_counted(steps in steps()) {
        let mut world = World::new(&[1, 0, 0], policy(1000, Overflow::Wait), || Everyone);
        run(&mut world, &steps, 1000);
        world.settle();
        let given = &world.nodes[0].receivers.values().next().unwrap().given;
        prop_assert_eq!(given.len() as u64, world.n_sent, "some are missing or doubled");
        prop_assert!(in_order_of_each_sender(given));
        let counters: Vec<Counters> = world.nodes.iter().map(|node| node.fragment.counters()).collect();
        prop_assert_eq!(counters.iter().map(|counters| counters.received).sum::<u64>(), world.n_sent);
        prop_assert_eq!(counters.iter().map(|counters| counters.delivered).sum::<u64>(), world.n_sent);
    }

    #[test]
    fn everyone_gets_each_message_once_and_in_order_whatever_stops_or_breaks(steps in steps()) {
        let mut world = World::new(&[1, 2, 1], policy(1000, Overflow::Wait), || Everyone);
        run(&mut world, &steps, 1000);
        world.settle();
        let all: BTreeSet<u64> = world.nodes[0].receivers.values().next().unwrap().given.iter().copied().collect();
        prop_assert_eq!(all.len() as u64, world.n_sent);
        for receiver in world.nodes.iter().flat_map(|node| node.receivers.values()) {
            prop_assert_eq!(receiver.given.len() as u64, world.n_sent, "some are missing or doubled");
            prop_assert_eq!(&receiver.given.iter().copied().collect::<BTreeSet<_>>(), &all);
            prop_assert!(in_order_of_each_sender(&receiver.given));
        }
        let lost: u64 = world.nodes.iter().map(|node| node.fragment.counters().lost).sum();
        prop_assert_eq!(lost, 0);
    }

    #[test]
    fn nothing_exceeds_its_bound_and_what_is_not_given_is_counted(
        steps in steps(), capacity in 1usize..5, overflow in prop_oneof![
            Just(Overflow::Wait), Just(Overflow::DropOldest), Just(Overflow::Refuse)
        ],
    ) {
        let mut world = World::new(&[1, 2, 1], policy(capacity, overflow), || Everyone);
        run(&mut world, &steps, capacity);
        world.settle();
        for receiver in world.nodes.iter().flat_map(|node| node.receivers.values()) {
            prop_assert!(in_order_of_each_sender(&receiver.given));
        }
        let n_given: u64 = world.nodes.iter().flat_map(|node| node.receivers.values()).map(|r| r.given.len() as u64).sum();
        let counters: Vec<Counters> = world.nodes.iter().map(|node| node.fragment.counters()).collect();
        let sum = |of: fn(&Counters) -> u64| counters.iter().map(of).sum::<u64>();
        prop_assert_eq!(sum(|c| c.delivered), n_given);
        prop_assert_eq!(sum(|c| c.kept), 0);
        prop_assert_eq!(sum(|c| c.received) * 4, sum(|c| c.delivered) + sum(|c| c.lost));
    }

    #[test]
    fn a_queue_loses_nothing_that_was_not_acknowledged(steps in steps()) {
        let mut world = World::new(&[1, 2, 1], policy(1000, Overflow::Wait), Workers::default);
        run(&mut world, &steps, 1000);
        world.settle();
        let handled: BTreeSet<u64> =
            world.nodes.iter().flat_map(|node| node.receivers.values()).flat_map(|r| r.handled.iter().copied()).collect();
        prop_assert_eq!(handled.len() as u64, world.n_sent);
        prop_assert_eq!(world.nodes.iter().map(|node| node.fragment.n_held()).sum::<usize>(), 0);
    }

    #[test]
    fn a_bounded_queue_handles_or_counts_every_message(
        steps in steps(), capacity in 1usize..4, overflow in prop_oneof![
            Just(Overflow::Wait), Just(Overflow::DropOldest), Just(Overflow::Refuse)
        ],
    ) {
        let mut world = World::new(&[1, 1, 1], policy(capacity, overflow), Workers::default);
        run(&mut world, &steps, capacity);
        world.settle();
        let handled: BTreeSet<u64> =
            world.nodes.iter().flat_map(|node| node.receivers.values()).flat_map(|r| r.handled.iter().copied()).collect();
        let counters: Vec<Counters> = world.nodes.iter().map(|node| node.fragment.counters()).collect();
        let sum = |of: fn(&Counters) -> u64| counters.iter().map(of).sum::<u64>();
        // A message may have been handled by a receiver that went away before it could say so, and then have been lost.
        let n_handled = handled.len() as u64;
        prop_assert!(n_handled + sum(|c| c.lost) >= sum(|c| c.received), "{n_handled} handled, {counters:?}");
    }
}

#[test]
fn what_is_kept_for_a_receiver_moves_with_it() {
    let mut world = World::new(&[1, 0], policy(10, Overflow::Wait), || Everyone);
    world.add_receiver(1, 1);
    world.rewire();
    world.settle();
    world.set_started(1, 0, false);
    world.settle_frames();
    (0..4).for_each(|_| world.send(0));
    // The component of node 1 moves to a third node: the same one elsewhere.
    let receivers = [(port(0, 0), born(&port(0, 0))), (port(2, 1), born(&port(1, 1)))].into();
    world.rewire_one(0, &Wiring { receivers, ..world.nodes[0].fragment.wiring().clone() });
    let end = world.nodes[0].fragment.by_port[&port(2, 1)];
    assert_eq!(world.nodes[0].fragment.outlets[end].as_ref().unwrap().n_own, 4);
}

#[test]
fn nobody_is_given_what_was_kept_for_another_of_its_name() {
    let mut world = World::new(&[0, 1, 0], policy(10, Overflow::Wait), || Everyone);
    world.set_started(1, 0, false);
    world.settle_frames();
    (0..4).for_each(|_| world.send(0));
    // At once one goes, and another one of its name comes elsewhere.
    let receivers = [(port(2, 0), born(&port(2, 0)))].into();
    world.rewire_one(0, &Wiring { receivers, ..world.nodes[0].fragment.wiring().clone() });
    let counters = world.nodes[0].fragment.counters();
    assert_eq!((counters.kept, counters.lost), (0, 4));
}

#[test]
fn a_node_that_stays_away_is_given_up_and_its_messages_are_counted() {
    let away = Duration::from_secs(5);
    let mut world = World::new(&[1, 1], Policy { away, ..policy(10, Overflow::Wait) }, || Everyone);
    world.settle();
    world.break_way(0, 1);
    (0..3).for_each(|_| world.send(0));
    assert_eq!(world.nodes[0].fragment.counters().kept, 3);
    world.advance(Duration::from_secs(6));
    world.send(0);
    let counters = world.nodes[0].fragment.counters();
    assert_eq!((counters.kept, counters.lost, counters.delivered), (0, 4, 4));
    world.mend(0, 1);
    world.settle();
    world.send(0);
    world.settle();
    assert_eq!(world.nodes[1].receivers[&port(1, 0)].given.len(), 1);
}

#[test]
fn a_restarted_fragment_is_sent_what_its_former_life_had_not_handed_over() {
    let mut world = World::new(&[0, 1], policy(10, Overflow::Wait), || Everyone);
    world.settle();
    world.nodes[1].receivers.get_mut(&port(1, 0)).unwrap().room = 2;
    (0..5).for_each(|_| world.send(0));
    while world.carry(0, 1) || world.carry(1, 0) {}
    world.break_way(0, 1);
    let given = std::mem::take(&mut world.nodes[1].receivers.get_mut(&port(1, 0)).unwrap().given);
    assert_eq!(given.len(), 2);
    // The node died: a new fragment with a greater epoch.
    let wiring = world.nodes[1].fragment.wiring().clone();
    world.nodes[1].fragment = Fragment::new(name(1), 2, policy(10, Overflow::Wait));
    world.rewire_one(1, &wiring);
    world.settle();
    assert_eq!(world.nodes[1].receivers[&port(1, 0)].given.len(), 3);
}

#[test]
fn senders_wait_for_a_stopped_receiver_no_longer_than_the_patience() {
    let mut world = World::new(&[2], policy(3, Overflow::Wait), || Everyone);
    world.set_started(0, 0, false);
    (0..3).for_each(|_| world.send(0));
    assert!(!world.nodes[0].fragment.takes());
    world.advance(Duration::from_millis(1001));
    assert!(world.nodes[0].fragment.takes());
    world.send(0);
    let (c0, c1) = (&world.nodes[0].receivers[&port(0, 0)], &world.nodes[0].receivers[&port(0, 1)]);
    assert_eq!((c0.given.len(), c1.given.len()), (0, 4));
    world.set_started(0, 0, true);
    assert_eq!(world.nodes[0].receivers[&port(0, 0)].given.len(), 3);
    assert_eq!(world.nodes[0].fragment.counters().lost, 1);
}

#[test]
fn a_sample_shows_where_a_message_went_and_the_rest_is_counted() {
    let mut world = World::new(&[1], policy(3, Overflow::Wait), || Everyone);
    let node = &mut world.nodes[0];
    node.fragment.sample(Some(1));
    for message in [7, 8] {
        let (now, sent) = (Time::from_ms(1), (SourceId(0), message, None));
        node.fragment.sent(&mut node.strategy, now, now, sent, &mut node.effects);
    }
    node.fragment.flush(&mut node.strategy, Time::from_ms(1), &mut node.effects);
    let end = node.fragment.end_of(&port(0, 0)).unwrap();
    node.effects.clear();
    node.drain(end, Time::from_ms(3));
    let to = Some(port(0, 0));
    let result = Ok(Duration::from_millis(2));
    let sample = Sample { from: SourceId(0), to, message: 7, sent: Time::from_ms(1), result };
    assert_eq!(node.effects, [Effect::Tapped(sample)]);
    assert_eq!(node.fragment.sample(None), 1);
}
