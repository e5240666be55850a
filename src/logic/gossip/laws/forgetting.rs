//! Examples of removals that are remembered only so long.

use super::*;
use crate::words::GroupName;

#[test]
fn a_replica_that_stayed_away_beyond_the_horizon_revives_nothing() {
    let (mut here, mut away) = (replica(0), replica(1));
    let (_, start) = here.push(Time::from_ms(1000), push(with_channel("x", "0"), None, false)).unwrap();
    away.learn(Time::from_ms(1000), &[start.unwrap()]).1.unwrap();
    here.push(Time::from_ms(2000), push(Model::default(), None, false)).unwrap();
    here.push(Time::from_ms(2500), push(with_channel("y", "0"), None, false)).unwrap();
    // While away it does something of its own, before the horizon; nobody hears of it.
    let (_, mine) = away.push(Time::from_ms(2200), push(with_channel("x", "mine"), None, false)).unwrap();
    here.forget_removals(Time::from_ms(3000));
    let now = Time::from_ms(9000);
    let (told, result) = here.clone().learn(now, &[mine.unwrap()]);
    assert!(result.is_ok() && !told.conflicts.is_empty(), "it is told where it comes by itself, too");
    let lost = away.absorb(now, here.full()).unwrap();
    here.absorb(now, away.full()).unwrap();
    assert_eq!(*here.model(), with_channel("y", "0"));
    assert_eq!(away.model(), here.model());
    assert_eq!(away.registers(), here.registers());
    assert_eq!(away.digest(), here.digest());
    assert!(!lost.conflicts.is_empty(), "what it did alone is told as lost");
}

#[test]
fn what_a_clock_that_is_far_behind_writes_shows() {
    let mut behind = replica(0);
    behind.forget_removals(Time::from_ms(3000));
    let (pushed, _) = behind.push(Time::from_ms(1000), push(with_channel("x", "0"), None, false)).unwrap();
    assert_eq!(pushed.snapshot.model, with_channel("x", "0"));
}

/// A model that a member of a group belongs to.
fn with_member(mut model: Model) -> (Model, NodeName, GroupName) {
    let (me, group) = (name::<NodeName>("r0"), name::<GroupName>("g"));
    let edits = [
        Edit::AddNode { name: me.clone(), instance: Instance::default(), host: None },
        Edit::AddInstance { path: InstancePath::Group(group.clone()), instance: Instance::default() },
        Edit::Attach { node: me.clone(), group: group.clone() },
    ];
    model.apply(&edits).unwrap();
    (model, me, group)
}

#[test]
fn a_member_that_forgets_removals_says_that_it_runs_what_is_left() {
    let (mut wanted, me, group) = with_member(with_channel("x", "0"));
    let timing = Timing { horizon: Duration::from_secs(24), ..Timing::default() };
    let mut member = Protocol::new(group, replica(0), (me, 1), timing, Time::from_ms(0));
    let mut effects = Vec::new();
    member.tick(Time::from_ms(2_000), &mut effects);
    member.push(Time::from_ms(2_000), push(wanted.clone(), None, false), &mut effects).unwrap();
    wanted.apply(&[Edit::Remove { path: InstancePath::Channel(name("x")) }]).unwrap();
    let pushed = member.push(Time::from_ms(2_000), push(wanted, None, false), &mut effects).unwrap();
    effects.clear();
    member.tick(Time::from_ms(60_000), &mut effects);
    let told = effects.iter().find_map(|effect| match effect {
        Effect::Changed(snapshot) => Some(snapshot.digest),
        _ => None,
    });
    assert_ne!(pushed.snapshot.digest, member.replica().digest());
    assert_eq!(told, Some(member.replica().digest()), "the node is given the same model under its new digest");
}

/// Found by the fuzzer. All that is older than the floor and not known would count as removed.
#[test]
fn who_says_to_have_forgotten_what_is_not_past_is_not_followed() {
    let timing = Timing { horizon: Duration::from_secs(24), ..Timing::default() };
    let mut member = Protocol::new(name("g"), replica(0), (name("r0"), 1), timing, Time::from_ms(0));
    let mut effects = Vec::new();
    member.peer_up(Time::from_ms(1_000), &name("r1"), &mut effects);
    let digest = member.replica().digest();
    let heartbeat = GroupMessage::Heartbeat(Heartbeat {
        digest,
        floor: Time::NEVER,
        revision: None,
        clock: Time::from_ms(2_000),
        incarnation: 1,
        status: 0,
        wants_status: false,
    });
    member.receive(Time::from_ms(2_000), &name("r1"), heartbeat, &mut effects);
    let mut other = replica(1);
    other.forget_removals(Time::from_ms(60_000));
    assert!(replica(0).absorb(Time::from_ms(2_000), other.full()).is_err());
    member.receive(Time::from_ms(2_000), &name("r1"), GroupMessage::Full(Box::new(other.full())), &mut effects);
    assert_eq!((member.replica().registers().floor(), member.replica().digest()), (Time::default(), digest));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Tell(News::Refused(..)))));
}

#[test]
fn who_comes_back_alone_after_the_horizon_starts_what_it_knows() {
    let mut kept = replica(0);
    let (wanted, me, group) = with_member(with_channel("x", "0"));
    kept.push(Time::from_ms(1_000), push(wanted, None, false)).unwrap();
    kept.push(Time::from_ms(1_001), push(with_member(Model::default()).0, None, false)).unwrap();
    let timing = Timing { horizon: Duration::from_secs(24), ..Timing::default() };
    let (alone_after, now) = (timing.alone_after, Time::from_ms(60_000));
    let mut member = Protocol::new(group, kept, (me, 1), timing, now);
    let mut effects = Vec::new();
    member.tick(now + alone_after, &mut effects);
    let told: Vec<StateDigest> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Changed(snapshot) => Some(snapshot.digest),
            _ => None,
        })
        .collect();
    assert_eq!(told, [member.replica().digest()], "it starts one model, not an old one first");
}

#[test]
fn a_removal_that_comes_when_its_time_is_forgotten_leaves_no_trace() {
    let (mut here, mut late) = (replica(0), replica(1));
    let now = Time::from_ms(9000);
    let (_, start) = here.push(Time::from_ms(1000), push(with_channel("x", "0"), None, false)).unwrap();
    late.learn(now, &[start.unwrap()]).1.unwrap();
    let (_, removed) = here.push(Time::from_ms(2000), push(Model::default(), None, false)).unwrap();
    late.forget_removals(Time::from_ms(3000));
    late.learn(now, &[removed.unwrap()]).1.unwrap();
    assert_eq!(*late.model(), Model::default());
    let mut again = replica(1);
    again.restore(Record::Full(Box::new(late.full())));
    assert_eq!(again.digest(), late.digest(), "who starts again knows what it knew");
}

#[test]
fn who_moves_what_was_dropped_beyond_the_horizon_is_told() {
    let (mut left, mut right) = (replica(0), replica(1));
    let now = Time::from_ms(9000);
    let (_, start) = left.push(Time::from_ms(1000), push(with_component("n", None), None, false)).unwrap();
    right.learn(now, &[start.unwrap()]).1.unwrap();
    let (seen, _) = left.push(Time::from_ms(2000), push(with_component("n", Some(1)), None, false)).unwrap();
    right.forget_removals(Time::from_ms(3000));
    left.absorb(now, right.full()).unwrap();
    assert_eq!(left.model().components().count(), 0);
    let moved = push(with_component("m", Some(1)), Some(seen.snapshot), false);
    let (pushed, _) = left.push(Time::from_ms(4000), moved).unwrap();
    assert_eq!(pushed.snapshot.model.components().count(), 0);
    assert_eq!(pushed.conflicts.len(), 1, "{:?}", pushed.conflicts);
}

#[test]
fn a_member_that_hears_up_to_when_removals_are_forgotten_keeps_that() {
    let (_, me, group) = with_member(Model::default());
    let mut member = Protocol::new(group, replica(0), (me, 1), Timing::default(), Time::from_ms(0));
    let mut other = replica(1);
    other.forget_removals(Time::from_ms(3000));
    let mut effects = Vec::new();
    member.receive(Time::from_ms(9000), &name("r1"), GroupMessage::Full(Box::new(other.full())), &mut effects);
    assert_eq!(member.replica().registers().floor(), Time::from_ms(3000));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::KeepAll)), "{effects:?}");
}

#[test]
fn who_changes_what_was_removed_so_long_ago_that_nobody_remembers_is_told() {
    let mut replica = replica(0);
    let (seen, _) = replica.push(Time::from_ms(1000), push(with_channel("x", "0"), None, false)).unwrap();
    replica.push(Time::from_ms(2000), push(Model::default(), None, false)).unwrap();
    replica.forget_removals(Time::from_ms(3000));
    let wanted = push(with_channel("x", "1"), Some(seen.snapshot), false);
    let (pushed, _) = replica.push(Time::from_ms(4000), wanted).unwrap();
    assert_eq!(pushed.snapshot.model, Model::default());
    assert_eq!(pushed.conflicts.len(), 1, "{:?}", pushed.conflicts);
}
