//! Single cases, in numbers that a person can follow.

use std::time::Duration;

use super::{
    strategies::Everyone,
    world::{Receiver, World, born, name, policy, port},
};
use crate::{
    logic::delivery::{
        Effect, Fragment, Frame, LocalPort, Overflow, Parcel, Policy, Sample, SourceId, Wiring, far, peer,
    },
    words::Time,
};

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
    let wiring = Wiring { receivers, ..world.nodes[0].fragment.wiring().clone() };
    world.rewire_one(0, &wiring);
    assert_eq!(world.nodes[0].fragment.counters().kept, 4);
    world.rewire_one(1, &wiring);
    world.settle_frames();
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

/// As it was shown by a world of nodes: its new node was slow, and still had another one of its name.
#[test]
fn nobody_is_given_what_is_meant_for_who_comes_in_its_place() {
    let mut world = World::new(&[0, 1, 1], policy(10, Overflow::Wait), || Everyone);
    world.settle();
    // One of the third node moves to the second, where another one of its name has to go.
    let moved = born(&port(2, 0));
    let wiring = Wiring { receivers: [(port(1, 0), moved)].into(), ..world.nodes[0].fragment.wiring().clone() };
    world.rewire_one(0, &wiring);
    world.settle_frames();
    (0..2).for_each(|_| world.send(0));
    world.settle_frames();
    world.advance(Duration::from_secs(9));
    world.settle_frames();
    let former = world.nodes[1].receivers.insert(port(1, 0), Receiver::new(false)).unwrap();
    assert_eq!(former.given, Vec::<u64>::new());
    world.set_started(1, 0, false);
    world.rewire_one(1, &wiring);
    world.rewire_one(2, &wiring);
    world.set_started(1, 0, true);
    world.settle();
    assert_eq!(world.nodes[1].receivers[&port(1, 0)].given.len(), 2);
}

#[test]
fn whoever_starts_anew_again_and_again_has_no_more_kept_than_is_bounded() {
    let mut world = World::new(&[1, 0], policy(10, Overflow::Wait), || Everyone);
    world.set_started(0, 0, false);
    let (to, port) = (0, LocalPort { of: born(&port(0, 0)), component: port(0, 0).component, port: port(0, 0).port });
    for epoch in 1..=1 + (far::FROM_OTHERS_MAX as u64).div_ceil(far::INBOUND_MAX) {
        let parcels = vec![Parcel { message: Some(1), follow: None }; far::INBOUND_MAX as usize];
        let frame = Frame::Deliver { epoch, to, base: 1, first: 1, port: port.clone(), parcels };
        let (now, node) = (world.now, &mut world.nodes[0]);
        node.fragment.arrived(&mut node.strategy, now, &name(1), frame, &mut node.effects);
    }
    assert_eq!(world.nodes[0].fragment.counters().kept, far::FROM_OTHERS_MAX as u64);
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

#[test]
fn receivers_of_ever_new_names_leave_little_behind() {
    let mut world = World::new(&[0, 0], policy(10, Overflow::Wait), || Everyone);
    for component in 0..peer::LEFT_MAX + 50 {
        world.nodes[0].receivers.clear();
        world.add_receiver(0, component);
        world.rewire();
        world.settle_frames();
        world.send(1);
        world.settle_frames();
        assert_eq!(world.nodes[0].receivers.values().next().unwrap().given.len(), 1);
    }
    let kept: Vec<String> =
        world.nodes[0].fragment.peers[0].inbound.keys().map(|port| port.component.to_string()).collect();
    assert_eq!(kept.len(), peer::LEFT_MAX + 1);
    let (first, last) = (49, peer::LEFT_MAX + 49);
    assert!((first..=last).all(|component| kept.contains(&format!("c{component}"))), "the latest are kept: {kept:?}");
    world.break_way(0, 1);
    world.mend(0, 1);
    // What became of each, and one state.
    assert_eq!(world.frames[&(0, 1)].len(), kept.len() + 1);
}

#[test]
fn a_node_whose_queue_is_full_is_told_again_after_a_while_and_not_at_once() {
    let mut world = World::new(&[1, 0], policy(10, Overflow::Wait), || Everyone);
    world.settle();
    world.send(1);
    world.settle_frames();
    let (now, node) = (world.now, &mut world.nodes[0]);
    node.fragment.congested(now, &name(1), false, &mut node.effects);
    let mut n_told = |after_ms| {
        node.fragment.flush(&mut node.strategy, now + Duration::from_millis(after_ms), &mut node.effects);
        node.effects.drain(..).filter(|effect| matches!(effect, Effect::Post { .. })).count()
    };
    // How far its message got, and the state.
    assert_eq!([n_told(0), n_told(19), n_told(20), n_told(20)], [0, 0, 2, 0]);
}
