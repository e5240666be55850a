//! What may happen to nodes with a channel, and in which order.

use std::time::Duration;

use proptest::{
    prelude::{Just, prop, prop_oneof},
    strategy::Strategy as Generator,
};

use super::world::World;
use crate::logic::delivery::Strategy;

#[derive(Clone, Debug)]
pub(super) enum Step {
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

pub(super) const N_NODES: usize = 3;

pub(super) fn steps() -> impl Generator<Value = Vec<Step>> {
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

pub(super) fn run<S: Strategy<u64>>(world: &mut World<S>, steps: &[Step], capacity: usize) {
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
