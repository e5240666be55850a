//! One member that is given targets, and whatever comes meanwhile.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    logic::gossip::{Delta, GroupMessage, News, Push, Replica, RevisionId, Timing, report::OUTCOMES_MAX},
    model::{Edit, Model, testing::name},
    words::{ChannelName, InstancePath, Time},
};

const NOW: Time = Time(1_000_000_000_000);

fn with_channel(mut model: Model, channel: &str) -> Push {
    let path = InstancePath::Channel(name::<ChannelName>(channel));
    model.apply(&[Edit::AddInstance { path, instance: Default::default() }]).unwrap();
    Push { wanted: model, base: None, compare_and_swap: false, by: "".into(), from: "".into(), message: "".into() }
}

/// A member that is there alone.
fn member() -> Protocol {
    let timing = Timing::default();
    let replica = Replica::new(name("a"), timing.ahead_max);
    let mut member = Protocol::new(name("g"), replica, (name("a"), 1), timing, NOW);
    member.sync(None, &mut Vec::new());
    member
}

/// Pushes a channel more; what the member is to run then.
fn push(member: &mut Protocol, now: Time, channel: &str) -> Snapshot {
    let wanted = with_channel(member.replica().model().clone(), channel);
    member.push(now, wanted, &mut Vec::new()).unwrap().snapshot
}

/// What another pushed who had heard of nobody.
fn pushed_elsewhere(now: Time, channel: &str) -> Delta {
    let mut elsewhere = Replica::new(name("b"), Timing::default().ahead_max);
    elsewhere.push(now, with_channel(Model::default(), channel)).unwrap().1.unwrap()
}

fn answers(member: &mut Protocol, target: &Snapshot, adoption: &Adoption) -> Vec<(RevisionId, Adoption)> {
    let mut effects = Vec::new();
    member.adopted(target, adoption, &mut effects);
    let answer = |effect| match effect {
        Effect::Tell(News::Answered(_, id, adoption)) => Some((id, adoption)),
        _ => None,
    };
    effects.into_iter().filter_map(answer).collect()
}

fn failed() -> Adoption {
    Adoption::RolledBack { step: "".to_owned(), cause: "".to_owned() }
}

#[test]
fn a_revision_that_comes_while_another_is_taken_up_is_answered_when_it_was_run() {
    let mut member = member();
    let (early, writes) = pushed_elsewhere(NOW, "s");
    let first = push(&mut member, NOW + Duration::from_millis(10), "r");
    let mine = first.id().unwrap().clone();
    let delta = GroupMessage::Delta { revision: Arc::clone(&early), writes };
    member.receive(NOW, &name("b"), delta, &mut Vec::new());
    let both = member.replica().snapshot();
    assert_eq!(both.id(), Some(&mine), "what came is the earlier one");
    assert_eq!(answers(&mut member, &first, &Adoption::at_once()), [(mine.clone(), Adoption::at_once())]);
    assert_eq!(answers(&mut member, &both, &failed()), [(early.id.clone(), failed()), (mine, failed())]);
}

#[test]
fn what_was_overtaken_while_it_waited_is_answered_with_what_came_after_it() {
    let mut member = member();
    let targets = ["a", "b", "c"].map(|channel| push(&mut member, NOW, channel));
    let ids = targets.each_ref().map(|target| (target.id().unwrap().clone(), Adoption::at_once()));
    assert_eq!(answers(&mut member, &targets[0], &Adoption::at_once()), ids[..1]);
    assert_eq!(answers(&mut member, &targets[2], &Adoption::at_once()), ids[1..]);
}

#[test]
fn a_revision_is_answered_once_however_many_come_after_it() {
    let mut member = member();
    for nth in 0..OUTCOMES_MAX * 2 {
        let target = push(&mut member, NOW, &format!("c{nth}"));
        let answered = answers(&mut member, &target, &Adoption::at_once());
        assert_eq!(answered, [(target.id().unwrap().clone(), Adoption::at_once())], "after {nth}");
    }
}
