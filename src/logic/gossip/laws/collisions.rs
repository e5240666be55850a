//! Examples of pushes that did not know of each other: who wins, and who is told.

use super::*;

#[test]
fn the_overwritten_side_of_a_partition_is_named_exactly() {
    let (mut left, mut right) = (replica(0), replica(1));
    let (_, start) = left.push(Time::from_ms(1000), push(with_channel("x", "0"), None, false)).unwrap();
    right.learn(Time::from_ms(1000), &[start.unwrap()]).1.unwrap();
    let (lost, from_left) = left.push(Time::from_ms(2000), push(with_channel("x", "left"), None, false)).unwrap();
    let (won, from_right) = right.push(Time::from_ms(3000), push(with_channel("x", "right"), None, false)).unwrap();
    let now = Time::from_ms(4000);
    let (at_left, _) = left.learn(now, &[from_right.unwrap()]);
    let (at_right, _) = right.learn(now, &[from_left.unwrap()]);
    assert_eq!(left.model(), right.model());
    assert_eq!(*left.model(), with_channel("x", "right"));
    assert_eq!(at_left.conflicts, at_right.conflicts);
    let [conflict] = &at_left.conflicts[..] else { panic!("one conflict, not {:?}", at_left.conflicts) };
    assert_eq!(conflict.loser.revision, lost.revision);
    assert_eq!(conflict.winner.revision, won.revision);
    assert_eq!(conflict.lost, Some(crate::model::change::Cell::Text("left".into())));
    assert_eq!(conflict.kept, Some(crate::model::change::Cell::Text("right".into())));
    assert_eq!(left.history().heads().len(), 2, "two heads, until the next push joins them");
}

#[test]
fn what_one_side_removes_and_the_other_moves_is_gone_and_its_place_is_free() {
    let (mut left, mut right) = (replica(0), replica(1));
    let here = with_component("n", Some(1));
    let (_, start) = left.push(Time::from_ms(1000), push(here, None, false)).unwrap();
    right.learn(Time::from_ms(1000), &[start.unwrap()]).1.unwrap();
    let (_, removed) = left.push(Time::from_ms(2000), push(with_component("n", None), None, false)).unwrap();
    let moved = with_component("m", Some(1));
    let (lost, moved) = right.push(Time::from_ms(3000), push(moved, None, false)).unwrap();
    let (at_right, _) = right.learn(Time::from_ms(4000), &[removed.unwrap()]);
    left.learn(Time::from_ms(4000), &[moved.unwrap()]).1.unwrap();
    assert_eq!(*right.model(), with_component("n", None), "no component without a type");
    assert_eq!(left.model(), right.model());
    assert_eq!(at_right.conflicts.first().map(|conflict| conflict.loser.revision.clone()), Some(lost.revision));
    let another = with_component("m", Some(2));
    left.push(Time::from_ms(5000), push(another.clone(), None, false)).unwrap();
    assert_eq!(*left.model(), another);
    right.forget_removals(Time::from_ms(9000));
    assert_eq!(right.registers().view(), with_component("n", None), "nor when the removal is forgotten");
}

#[test]
fn who_changes_what_another_brings_to_a_node_that_is_gone_is_told() {
    let (mut left, mut right, mut third) = (replica(0), replica(1), replica(2));
    let now = Time::from_ms(9000);
    let (_, start) = left.push(Time::from_ms(1000), push(with_component("n", Some(1)), None, false)).unwrap();
    let start = [start.unwrap()];
    right.learn(now, &start).1.unwrap();
    third.learn(now, &start).1.unwrap();
    let without = edited(left.model().clone(), &[Edit::Remove { path: InstancePath::Node(name("m")) }]);
    let (_, gone) = left.push(Time::from_ms(2000), push(without, None, false)).unwrap();
    right.learn(now, &[gone.unwrap()]).1.unwrap();
    let path = InstancePath::Component(name("n"), name("c"));
    let note = Edit::SetMetadata { path, key: "note".into(), value: Some("mine".into()) };
    let noted = edited(right.model().clone(), &[note]);
    let (lost, _) = right.push(Time::from_ms(3000), push(noted, None, false)).unwrap();
    let (moved, brought) = third.push(Time::from_ms(4000), push(with_component("m", Some(1)), None, false)).unwrap();
    let (told, _) = right.learn(now, &[brought.unwrap()]);
    assert_eq!(right.model().components().count(), 0);
    let named =
        |conflict: &Conflict| conflict.loser.revision == lost.revision && conflict.winner.revision == moved.revision;
    assert!(told.conflicts.iter().any(named), "{:?}", told.conflicts);
}

#[test]
fn a_value_shows_though_its_dictionary_was_taken_away_by_one_who_did_not_know_of_it() {
    let path = InstancePath::Channel(name("x"));
    let set = |model: &Model, value: &str| {
        let (path, attribute) = (path.clone(), name("p"));
        edited(model.clone(), &[Edit::Set { path, fragment: None, attribute, value: value.into() }])
    };
    let (mut left, mut right) = (replica(0), replica(1));
    let bare = with_channel("x", "0");
    let (_, start) = left.push(Time::from_ms(1000), push(bare.clone(), None, false)).unwrap();
    let (_, first) = left.push(Time::from_ms(1500), push(set(&bare, "1"), None, false)).unwrap();
    right.learn(Time::from_ms(1500), &[start.unwrap(), first.unwrap()]).1.unwrap();
    let (_, taken) = left.push(Time::from_ms(2000), push(bare.clone(), None, false)).unwrap();
    let (_, given) = right.push(Time::from_ms(3000), push(set(&bare, "2"), None, false)).unwrap();
    let now = Time::from_ms(4000);
    left.learn(now, &[given.unwrap()]).1.unwrap();
    right.learn(now, &[taken.unwrap()]).1.unwrap();
    for replica in [&left, &right] {
        assert_eq!(*replica.model(), set(&bare, "2"));
        assert_eq!(*replica.model(), replica.registers().view());
    }
    // Who takes the value but not the dictionary leaves an empty one.
    let unset = Edit::Unset { path, fragment: None, attribute: name("p") };
    let wanted = edited(left.model().clone(), &[unset]);
    let (pushed, _) = left.push(Time::from_ms(5000), push(wanted.clone(), None, false)).unwrap();
    assert_eq!(pushed.snapshot.model, wanted);
    assert_eq!(wanted, left.registers().view());
}

#[test]
fn what_is_moved_away_from_a_node_that_is_gone_by_now_lives_on() {
    let (mut left, mut right) = (replica(0), replica(1));
    let now = Time::from_ms(9000);
    let (_, start) = left.push(Time::from_ms(1000), push(with_component("n", None), None, false)).unwrap();
    right.learn(now, &[start.unwrap()]).1.unwrap();
    let (seen, brought) = left.push(Time::from_ms(2000), push(with_component("n", Some(1)), None, false)).unwrap();
    let without = edited(right.model().clone(), &[Edit::Remove { path: InstancePath::Node(name("n")) }]);
    let (_, gone) = right.push(Time::from_ms(3000), push(without, None, false)).unwrap();
    left.learn(now, &[gone.unwrap()]).1.unwrap();
    assert_eq!(left.model().components().count(), 0, "it is hidden with its node");
    let wanted = push(with_component("m", Some(1)), Some(seen.snapshot), false);
    let (pushed, moved) = left.push(Time::from_ms(4000), wanted).unwrap();
    right.learn(now, &[brought.unwrap(), moved.unwrap()]).1.unwrap();
    let without = edited(with_component("m", Some(1)), &[Edit::Remove { path: InstancePath::Node(name("n")) }]);
    assert_eq!(pushed.snapshot.model, without);
    assert_eq!(*right.model(), without);
}

#[test]
fn who_closes_a_circle_of_hosts_is_told_of_the_one_that_it_did_not_know() {
    let (mut left, mut right) = (replica(0), replica(1));
    let now = Time::from_ms(9000);
    let nodes =
        ["a", "b", "c"].map(|node| Edit::AddNode { name: name(node), instance: Instance::default(), host: None });
    let (_, start) = left.push(Time::from_ms(1000), push(edited(Model::default(), &nodes), None, false)).unwrap();
    right.learn(now, &[start.unwrap()]).1.unwrap();
    let host = |at: &mut Replica, node: &str, host: &str, ms: u64| {
        let wanted = edited(at.model().clone(), &[Edit::Host { node: name(node), host: Some(name(host)) }]);
        let (pushed, delta) = at.push(Time::from_ms(ms), push(wanted, None, false)).unwrap();
        (pushed.revision, delta.unwrap())
    };
    let (unknown, _) = host(&mut right, "b", "c", 2000);
    let (_, known) = host(&mut left, "c", "a", 3000);
    let (lost, closing) = host(&mut left, "a", "b", 4000);
    let (told, _) = right.learn(now, &[known, closing]);
    let named = |conflict: &Conflict| conflict.loser.revision == lost && conflict.winner.revision == unknown;
    assert!(told.conflicts.iter().any(named), "{:?}", told.conflicts);
}

#[test]
fn who_asks_for_what_another_wrote_already_is_told_that_it_does_not_show() {
    let (mut left, mut right, mut late) = (replica(0), replica(1), replica(2));
    let now = Time::from_ms(9000);
    let group = Edit::AddInstance { path: InstancePath::Group(name("g")), instance: Instance::default() };
    let bare = edited(with_component("n", None), &[group]);
    let (_, start) = left.push(Time::from_ms(1000), push(bare.clone(), None, false)).unwrap();
    let start = [start.unwrap()];
    right.learn(now, &start).1.unwrap();
    late.learn(now, &start).1.unwrap();
    let looked_at = late.snapshot();
    let without = edited(bare.clone(), &[Edit::Remove { path: InstancePath::Node(name("n")) }]);
    let (gone, removed) = left.push(Time::from_ms(2000), push(without.clone(), None, false)).unwrap();
    let attached = edited(bare, &[Edit::Attach { node: name("n"), group: name("g") }]);
    let (_, written) = right.push(Time::from_ms(3000), push(attached.clone(), None, false)).unwrap();
    late.learn(now, &[removed.unwrap(), written.unwrap()]).1.unwrap();
    assert_eq!(*late.model(), without, "the attachment is held, and hidden with its node");
    let (lost, delta) = late.push(Time::from_ms(4000), push(attached, Some(looked_at), false)).unwrap();
    let named =
        |conflict: &Conflict| conflict.loser.revision == lost.revision && conflict.winner.revision == gone.revision;
    assert!(lost.conflicts.iter().any(named), "{:?}", lost.conflicts);
    let (told, _) = left.learn(now, &[delta.unwrap()]);
    assert!(told.conflicts.iter().any(named), "{:?}", told.conflicts);
}
