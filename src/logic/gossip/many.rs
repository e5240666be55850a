//! Many members: what they say of themselves does not grow with the square of their number.

use std::collections::BTreeSet;

use super::{Effect, GroupMessage, Protocol, Replica, Timing, laws::push};
use crate::{
    model::{Edit, testing::name},
    words::{ChannelName, InstancePath, NodeName, Time},
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

/// A heartbeat: who hears it, and whether all are told what runs.
fn beat(member: &mut Protocol, now: &mut Time) -> (Vec<NodeName>, bool) {
    *now = *now + Timing::default().heartbeat;
    let mut effects = Vec::new();
    member.tick(*now, &mut effects);
    let heard = effects.iter().filter_map(|effect| match effect {
        Effect::Send(to, GroupMessage::Heartbeat(_)) => Some(to.clone()),
        _ => None,
    });
    (heard.collect(), effects.iter().any(|effect| matches!(effect, Effect::SendAll(GroupMessage::Status(_)))))
}

#[test]
fn of_many_members_a_few_hear_from_a_node_with_each_heartbeat_and_soon_all_and_then_it_is_quiet() {
    let (mut member, _) = member_of_fifty();
    let mut now = NOW;
    let mut beats = |member: &mut Protocol, n: usize| {
        let (mut heard, mut n_beats, mut n_statuses) = (BTreeSet::<NodeName>::new(), 0, 0);
        for _ in 0..n {
            let (beats, says_what_runs) = beat(member, &mut now);
            assert!(beats.len() <= 10);
            n_beats += beats.len();
            heard.extend(beats);
            n_statuses += usize::from(says_what_runs);
        }
        (heard.len(), n_beats, n_statuses)
    };
    member.report(super::Report { n_running: 1, ..super::Report::default() });
    let (n_heard, _, n_statuses) = beats(&mut member, 30);
    assert_eq!((n_heard, n_statuses), (49, 1));
    assert_eq!(beats(&mut member, 10), (20, 20, 0), "all know");
    assert_eq!(beats(&mut member, 25).0, 49, "and are told again in turn");
}

#[test]
fn while_one_change_follows_the_other_a_node_among_many_says_little_of_itself_and_all_after() {
    let (mut member, _) = member_of_fifty();
    let mut now = NOW;
    while !member.is_synced() {
        beat(&mut member, &mut now);
    }
    let (mut n_beats, mut n_statuses) = (0, 0);
    for n in 0..60 {
        let mut wanted = member.replica().model().clone();
        let path = InstancePath::Channel(name::<ChannelName>(&format!("channel{n}")));
        wanted.apply(&[Edit::AddInstance { path, instance: Default::default() }]).unwrap();
        member.push(now, push(wanted, None, false), &mut Vec::new()).unwrap();
        member.report(super::Report { n_running: n, ..super::Report::default() });
        let (beats, says_what_runs) = beat(&mut member, &mut now);
        (n_beats, n_statuses) = (n_beats + beats.len(), n_statuses + usize::from(says_what_runs));
    }
    assert_eq!((n_beats, n_statuses), (120, 3));
    let mut heard = BTreeSet::new();
    for _ in 0..14 {
        heard.extend(beat(&mut member, &mut now).0);
    }
    assert_eq!(heard.len(), 49);
}
