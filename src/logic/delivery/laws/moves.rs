//! A receiver wanders from node to node, or two of one name do, which change places when they meet. Each node learns of it in its own
//! time, and the new one starts it when the old one has given it up; whatever is under way meanwhile, it hears everything once and in
//! the order of each sender.

use std::{collections::BTreeMap, time::Duration};

use proptest::{
    prelude::{Just, ProptestConfig, prop, prop_assert, prop_assert_eq, prop_oneof, proptest},
    strategy::Strategy as Generator,
};

use super::{
    in_order_of_each_sender,
    steps::N_NODES,
    strategies::Everyone,
    world::{Receiver, World, born, name, policy, port},
};
use crate::{logic::delivery::*, words::PortPath};

/// A world with receivers that wander.
struct Wandering {
    world: World<Everyone>,
    /// Where each is wanted, and where each node knows them to be.
    wanted: Places,
    known: [Places; N_NODES],
    /// The nodes that send.
    senders: Vec<usize>,
    /// They move again only when all is settled after the last move.
    is_patient: bool,
    /// What each has heard.
    heard: Vec<Vec<u64>>,
}

/// The node of each receiver.
type Places = Vec<usize>;

impl Wandering {
    fn new(senders: &[usize]) -> Wandering {
        Wandering::of(1, senders)
    }

    /// So many, each on the node of its number.
    fn of(n: usize, senders: &[usize]) -> Wandering {
        let n_receivers: Vec<usize> = (0..N_NODES).map(|node| usize::from(node < n)).collect();
        let world = World::new(&n_receivers, policy(1000, Overflow::Wait), || Everyone);
        let (senders, wanted): (_, Places) = (senders.to_vec(), (0..n).collect());
        let (known, heard) = (std::array::from_fn(|_| wanted.clone()), vec![Vec::new(); n]);
        let mut wandering = Wandering { world, wanted, known, senders, is_patient: false, heard };
        for node in 0..N_NODES {
            let wiring = wandering.wiring(node);
            wandering.world.rewire_one(node, &wiring);
        }
        wandering.world.settle_frames();
        wandering
    }

    /// The first one is wanted on a node. The other, if it is there, is wanted where the first one was.
    fn want(&mut self, to: usize) {
        let from = std::mem::replace(&mut self.wanted[0], to);
        self.wanted[1..].iter_mut().filter(|place| **place == to).for_each(|place| *place = from);
    }

    /// Who runs on a node, as far as that knows.
    fn who(&self, node: usize) -> Option<usize> {
        self.known[node].iter().position(|place| *place == node)
    }

    /// A node takes up where the receivers are wanted now.
    fn learn(&mut self, node: usize) {
        self.learn_talking(node, false);
    }

    /// The same; it may send while it does.
    fn learn_talking(&mut self, node: usize, says: bool) {
        let former = self.who(node);
        if self.known[node] == self.wanted {
            return;
        }
        self.known[node] = self.wanted.clone();
        let (now_here, wiring) = (self.who(node), self.wiring(node));
        if former.is_some() && former != now_here {
            self.give_up(node);
        }
        if now_here.is_some() && former != now_here {
            self.world.with(node, |it, now| {
                it.receivers.insert(port(node, 0), Receiver::new(false));
                it.fragment.set_open(&mut it.strategy, now, &port(node, 0), false, &mut it.effects);
            });
        }
        if says && self.senders.contains(&node) {
            self.world.send(node);
        }
        self.world.with(node, |it, now| it.fragment.connect(&mut it.strategy, now, wiring, &mut it.effects));
        self.start();
    }

    /// Who is on the channel, as far as a node knows.
    fn wiring(&self, node: usize) -> Wiring {
        let senders = self.senders.iter().map(|node| name(*node)).collect();
        let receivers = self.known[node].iter().enumerate().map(|(who, place)| (port(*place, 0), born(&port(who, 0))));
        Wiring { receivers: receivers.collect(), senders }
    }

    /// Who is on a node stops. What it had not handled goes back to the channel.
    fn give_up(&mut self, node: usize) {
        self.world.with(node, |it, now| {
            it.fragment.set_open(&mut it.strategy, now, &port(node, 0), false, &mut it.effects);
        });
        self.world.with(node, |it, now| {
            let waiting = it.receivers.remove(&port(node, 0)).map(|receiver| receiver.given);
            it.fragment.take_back(now, &port(node, 0), waiting.unwrap_or_default());
        });
    }

    /// Each starts on the node that has it, if it has stopped on all others.
    fn start(&mut self) {
        for who in 0..self.wanted.len() {
            let has = |wandering: &Wandering, node: usize| {
                let receiver = wandering.world.nodes[node].receivers.get(&port(node, 0));
                receiver.filter(|_| wandering.who(node) == Some(who)).map(|receiver| receiver.is_started)
            };
            if (0..N_NODES).any(|node| has(self, node) == Some(true)) {
                continue;
            }
            if let Some(node) = (0..N_NODES).find(|node| has(self, *node).is_some()) {
                self.world.set_started(node, 0, true);
            }
        }
    }

    /// Each handles what it was given.
    fn work(&mut self) {
        for node in 0..N_NODES {
            let receiver = self.world.nodes[node].receivers.get_mut(&port(node, 0));
            let given = receiver.map(|receiver| std::mem::take(&mut receiver.given)).unwrap_or_default();
            if let Some(who) = self.who(node) {
                self.heard[who].extend(given);
            }
        }
    }

    fn settle(&mut self) {
        for (a, b) in self.world.cut.clone() {
            self.world.mend(a, b);
        }
        (0..N_NODES).for_each(|node| self.learn(node));
        for _ in 0..40 {
            for node in 0..N_NODES {
                if let Some(receiver) = self.world.nodes[node].receivers.get_mut(&port(node, 0)) {
                    receiver.room = usize::MAX;
                    let is_started = receiver.is_started;
                    self.world.set_started(node, 0, is_started);
                }
            }
            self.world.settle_frames();
            self.work();
            self.world.advance(Duration::from_millis(500));
        }
    }

    /// The messages that were not heard by somebody, and those that were heard more than once.
    fn missing_and_doubled(&self) -> (Vec<u64>, Vec<u64>) {
        let (mut missing, mut doubled) = (Vec::new(), Vec::new());
        for its in &self.heard {
            let mut heard: BTreeMap<u64, usize> = BTreeMap::new();
            its.iter().for_each(|message| *heard.entry(*message & 0xffff_ffff).or_default() += 1);
            missing.extend((1..=self.world.n_sent).filter(|number| !heard.contains_key(number)));
            doubled.extend(heard.into_iter().filter(|(_, n)| *n > 1).map(|(number, _)| number));
        }
        (missing, doubled)
    }

    fn is_in_order(&self) -> bool {
        self.heard.iter().all(|its| in_order_of_each_sender(its))
    }

    fn is_settled(&self) -> bool {
        let fragments = self.world.nodes.iter().map(|node| &node.fragment);
        self.known.iter().all(|known| *known == self.wanted)
            && fragments.into_iter().all(|it| it.leaving.is_empty() && it.forwarded.is_empty())
    }

    fn live(&mut self, steps: &[Step]) {
        for step in steps {
            match *step {
                Step::Send(idx) => self.world.send(self.senders[idx % self.senders.len()]),
                Step::Move(to) if !self.is_patient || self.is_settled() => self.want(to),
                Step::Move(_) => {}
                Step::Learn(node, says) => self.learn_talking(node, says),
                Step::Carry(from, to, lane) => drop(self.world.carry_lane(from, to, lane)),
                Step::Break(a, b) => self.world.break_way(a, b),
                Step::Mend(a, b) => self.world.mend(a, b),
                Step::Room(room) => {
                    let all = self.world.nodes.iter_mut().flat_map(|node| node.receivers.values_mut());
                    all.for_each(|receiver| receiver.room = room);
                }
                Step::Work => self.work(),
                Step::Advance(ms) => self.world.advance(Duration::from_millis(ms)),
            }
            self.world.assert_bounds(1000);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Move(usize),
    Learn(usize, bool),
    Carry(usize, usize, bool),
    Break(usize, usize),
    Mend(usize, usize),
    Room(usize),
    Work,
    Advance(u64),
}

fn steps() -> impl Generator<Value = Vec<Step>> {
    let node = || 0..N_NODES;
    let pair = || (node(), 1..N_NODES).prop_map(|(a, beyond)| (a, (a + beyond) % N_NODES));
    let step = prop_oneof![
        8 => node().prop_map(Step::Send),
        2 => node().prop_map(Step::Move),
        6 => (node(), proptest::bool::ANY).prop_map(|(node, says)| Step::Learn(node, says)),
        12 => (pair(), proptest::bool::ANY).prop_map(|((from, to), lane)| Step::Carry(from, to, lane)),
        1 => pair().prop_map(|(a, b)| Step::Break(a, b)),
        1 => pair().prop_map(|(a, b)| Step::Mend(a, b)),
        1 => (0..3usize).prop_map(Step::Room),
        3 => Just(Step::Work),
        1 => (1..100u64).prop_map(Step::Advance),
    ];
    prop::collection::vec(step, 1..160)
}

fn senders() -> impl Generator<Value = Vec<usize>> {
    prop_oneof![Just(vec![0, 1, 2]), Just(vec![1, 2]), Just(vec![1])]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn who_moves_again_and_again_hears_everything_once(steps in steps(), senders in senders(), n in 1..3usize) {
        let mut wandering = Wandering::of(n, &senders);
        wandering.live(&steps);
        wandering.settle();
        prop_assert_eq!(wandering.missing_and_doubled(), (vec![], vec![]));
        prop_assert!(wandering.is_settled());
    }

    #[test]
    fn who_moves_hears_everything_once_and_in_order(steps in steps(), senders in senders(), n in 1..3usize) {
        let mut wandering = Wandering { is_patient: true, ..Wandering::of(n, &senders) };
        wandering.live(&steps);
        wandering.settle();
        prop_assert_eq!(wandering.missing_and_doubled(), (vec![], vec![]));
        prop_assert!(wandering.is_in_order(), "{:?}", wandering.heard);
        prop_assert!(wandering.is_settled());
    }
}

/// As it was shown by a world of nodes: what was under way when its receiver moved was given to it twice.
#[test]
fn what_a_sender_has_no_word_of_when_its_receiver_moves_is_given_once() {
    let mut wandering = Wandering::new(&[1]);
    wandering.world.send(1);
    wandering.world.settle_frames();
    wandering.work();
    wandering.world.send(1);
    // It arrives and is handed over, but not handled; and of that its sender hears nothing yet.
    wandering.world.carry(1, 0);
    wandering.want(2);
    wandering.learn(1);
    wandering.learn(2);
    wandering.learn(0);
    wandering.settle();
    assert_eq!(wandering.heard[0].len(), 2, "{:?}", wandering.heard);
}

/// As it was shown by a world of nodes: the new place could not start it for long, and meanwhile said more to the old one.
#[test]
fn what_an_old_place_forwards_comes_first_however_late_the_new_one_is_ready() {
    let mut wandering = Wandering::new(&[2]);
    wandering.world.send(2);
    wandering.world.settle_frames();
    wandering.want(2);
    wandering.learn(0);
    wandering.world.settle_frames();
    wandering.world.send(2);
    (0..20).for_each(|_| {
        wandering.world.advance(Duration::from_millis(500));
        wandering.world.settle_frames();
    });
    wandering.settle();
    assert_eq!(wandering.missing_and_doubled(), (vec![], vec![]));
    assert!(wandering.is_in_order(), "{:?}", wandering.heard);
}

/// A sender waits for the old place no longer than its bound, and says so to nobody twice.
#[test]
fn an_old_place_that_says_nothing_is_not_waited_for_for_ever() {
    let mut wandering = Wandering::new(&[1]);
    wandering.world.send(1);
    wandering.world.settle_frames();
    wandering.want(2);
    // The old place dies with its word.
    wandering.give_up(0);
    wandering.learn(2);
    wandering.learn(1);
    wandering.world.break_way(0, 1);
    wandering.world.send(1);
    wandering.world.settle_frames();
    let given = |wandering: &Wandering| wandering.world.nodes[2].receivers[&port(2, 0)].given.len();
    assert_eq!(given(&wandering), 0);
    wandering.world.advance(Duration::from_secs(6));
    wandering.world.settle_frames();
    assert_eq!(given(&wandering), 1);
}

/// A new outlet goes on with the highest number of all that were cleared.
#[test]
fn who_comes_back_is_given_what_is_said_however_far_the_numbers_went_meanwhile() {
    let mut wandering = Wandering::new(&[1]);
    wandering.world.send(1);
    wandering.world.settle_frames();
    wandering.want(2);
    wandering.settle();
    wandering.world.nodes[1].fragment.next_seq = 2 * far::INBOUND_MAX;
    wandering.want(0);
    wandering.settle();
    wandering.world.send(1);
    wandering.settle();
    assert_eq!(wandering.heard[0].len(), 2);
}

/// Who was asked by a former life of a fragment has not answered this one.
#[test]
fn an_answer_to_a_former_life_is_not_taken_for_one_to_this_life() {
    let mut wandering = Wandering::new(&[1]);
    for _ in 0..5 {
        wandering.world.break_way(0, 1);
        wandering.world.mend(0, 1);
        wandering.world.settle_frames();
    }
    wandering.world.break_way(0, 1);
    wandering.world.nodes[1].fragment = Fragment::new(name(1), 1_000_000, policy(1000, Overflow::Wait));
    wandering.world.mend(0, 1);
    wandering.world.mend(1, 2);
    let wiring = wandering.wiring(1);
    wandering.world.rewire_one(1, &wiring);
    // The old place has told its state, since it had been asked before; it has not heard the question of this life.
    while wandering.world.carry(0, 1) {}
    (0..2).for_each(|_| wandering.world.send(1));
    // It leaves for another node, and is back before it got there; what it was sent comes only now.
    wandering.want(2);
    wandering.learn(0);
    wandering.learn(1);
    while wandering.world.carry(0, 1) {}
    wandering.want(0);
    wandering.learn(0);
    while wandering.world.carry(1, 0) {}
    wandering.settle();
    assert_eq!(wandering.missing_and_doubled(), (vec![], vec![]));
}

/// What is followed to its end is not held up by what has to keep its order.
#[test]
fn ports_keep_their_outlets_apart() {
    let mut wandering = Wandering::new(&[1]);
    wandering.world.send(1);
    wandering.world.settle_frames();
    wandering.want(2);
    wandering.learn(1);
    let fragment = &wandering.world.nodes[1].fragment;
    let path: PortPath = port(2, 0);
    let shown = fragment.ends().iter().find(|end| end.port == path).map(|end| end.id);
    assert_eq!(shown.map(|end| fragment.giver(end)), fragment.end_of(&path));
    assert_ne!(shown, fragment.end_of(&path));
    assert_eq!(fragment.wiring().receivers.len(), fragment.ends().len(), "{}", name(1));
}
