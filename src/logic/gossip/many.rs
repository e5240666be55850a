//! Many members: what they say of themselves does not grow with the square of their number.

use std::collections::BTreeSet;

use super::{Effect, GroupMessage, Protocol, Replica, Timing};
use crate::{
    model::testing::name,
    words::{NodeName, Time},
};

const NOW: Time = Time(1_000_000_000_000);

/// A member that sees 49 others, and what it said when they came up.
fn member_of_fifty() -> (Protocol, Vec<Effect>) {
    let timing = Timing::default();
    let replica = Replica::new(name("m0"), timing.ahead_max);
    let mut member = Protocol::new(name("g"), replica, (name("m0"), 1), timing, NOW);
    let mut effects = Vec::new();
    for idx in 1..50 {
        member.peer_up(NOW, &name(&format!("m{idx}")), &mut effects);
    }
    (member, effects)
}

#[test]
fn one_that_starts_asks_a_few_of_many() {
    let (_, effects) = member_of_fifty();
    let asks = |effect: &&Effect| matches!(effect, Effect::Send(_, GroupMessage::Ask { .. }));
    assert_eq!(effects.iter().filter(asks).count(), 3);
}

#[test]
fn of_many_members_a_few_hear_from_a_node_with_each_heartbeat_and_soon_all_and_then_it_is_quiet() {
    let (mut member, _) = member_of_fifty();
    let mut now = NOW;
    let mut beats = |member: &mut Protocol, n: usize| {
        let (mut heard, mut n_beats, mut n_statuses) = (BTreeSet::<NodeName>::new(), 0, 0);
        for _ in 0..n {
            now = now + Timing::default().heartbeat;
            let mut effects = Vec::new();
            member.tick(now, &mut effects);
            let beats = effects.iter().filter_map(|effect| match effect {
                Effect::Send(to, GroupMessage::Heartbeat(_)) => Some(to.clone()),
                _ => None,
            });
            let beats: Vec<NodeName> = beats.collect();
            assert!(beats.len() <= 10);
            n_beats += beats.len();
            heard.extend(beats);
            n_statuses +=
                effects.iter().filter(|effect| matches!(effect, Effect::SendAll(GroupMessage::Status(_)))).count();
        }
        (heard.len(), n_beats, n_statuses)
    };
    member.report(super::Report { n_running: 1, ..super::Report::default() });
    let (n_heard, _, n_statuses) = beats(&mut member, 30);
    assert_eq!((n_heard, n_statuses), (49, 1));
    assert_eq!(beats(&mut member, 10), (20, 20, 0), "all know");
    assert_eq!(beats(&mut member, 25).0, 49, "and are told again in turn");
}
