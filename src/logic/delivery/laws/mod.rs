//! The laws of delivery: fragments on several nodes, a network that keeps order but breaks, receivers that stop, start and fail.

mod examples;
mod moves;
mod steps;
mod strategies;
mod world;

use std::collections::BTreeSet;

use proptest::prelude::{Just, ProptestConfig, prop_assert, prop_assert_eq, prop_oneof, proptest};

use self::{
    steps::{N_NODES, run, steps},
    strategies::{Everyone, Workers},
    world::{World, policy},
};
use super::*;

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
