//! What no honest member says.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::*;
use crate::{
    logic::gossip::{
        Effect, Full, GroupMessage, News, Origin, Protocol, Push, Replica, Revision, Stamp, Timing, message::Part,
        replica::Delta, stamp::ntp_of,
    },
    model::{Edit, Model, testing::name},
    words::{ChannelName, InstancePath, NodeName, Time},
};

const NOW: Time = Time(1_000_000_000_000);

fn b() -> NodeName {
    name("b")
}

fn wanted(channel: &str) -> Push {
    let mut wanted = Model::default();
    let path = InstancePath::Channel(name::<ChannelName>(channel));
    wanted.apply(&[Edit::AddInstance { path, instance: Default::default() }]).unwrap();
    Push { wanted, base: None, compare_and_swap: false, by: "".into(), from: "".into(), message: "".into() }
}

/// A revision of another, with such a number.
fn numbered(number: u64) -> Delta {
    let (revision, writes) = replica("b").push(NOW, wanted("x")).unwrap().1.unwrap();
    let mut revision = Revision::clone(&revision);
    revision.id.number = number;
    (Arc::new(revision), writes)
}

fn replica(node: &str) -> Replica {
    Replica::new(name(node), Timing::default().ahead_max)
}

/// A member that has asked another, if `asks`.
fn member(asks: bool) -> Protocol {
    let mut member = Protocol::new(name("g"), replica("a"), (name("a"), 1), Timing::default(), NOW);
    if asks {
        member.peer_up(NOW, &b(), &mut Vec::new());
    } else {
        member.sync(None, &mut Vec::new());
    }
    member
}

fn told(member: &mut Protocol, message: GroupMessage) -> Vec<Effect> {
    let mut effects = Vec::new();
    member.receive(NOW, &b(), message, &mut effects);
    effects
}

fn missing(vector: BTreeMap<Origin, Stamp>) -> GroupMessage {
    GroupMessage::Missing { deltas: Vec::new(), vector }
}

/// Up to these milliseconds from now everything of so many is known.
fn vector(ahead_ms: u64, n: u32) -> BTreeMap<Origin, Stamp> {
    let ntp = ntp_of(NOW + Duration::from_millis(ahead_ms));
    let origins = (0..n).map(|idx| Origin::of(&name(&format!("n{idx}"))));
    origins.map(|origin| (origin, Stamp::new(ntp, origin))).collect()
}

#[test]
fn a_number_that_nobody_can_have_counted_to_is_refused_wherever_it_comes() {
    assert!(replica("a").learn(NOW, &[numbered(NUMBER_MAX)]).1.is_ok());
    let (revision, writes) = numbered(NUMBER_MAX + NOW.micros() + 1);
    let mut replica = replica("a");
    assert!(replica.learn(NOW, &[(Arc::clone(&revision), Arc::clone(&writes))]).1.is_err());
    let log = vec![(Arc::clone(&revision), Some(Arc::clone(&writes)))];
    assert!(replica.absorb(NOW, Full { log, ..Full::default() }).is_err());
    assert_eq!((replica.history().number_max(), replica.model()), (0, &Model::default()));
    let mut member = member(false);
    let part = Part { revision, base: member.replica().digest(), shown: writes.to_vec() };
    let effects = told(&mut member, GroupMessage::Part(Box::new(part)));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Ahead(_))), "{effects:?}");
}

#[test]
fn after_the_greatest_number_that_is_believed_there_is_another() {
    let (mut a, mut c) = (replica("a"), replica("c"));
    let greatest = [numbered(NUMBER_MAX + NOW.micros())];
    assert!(a.learn(NOW, &greatest).1.is_ok() && c.learn(NOW, &greatest).1.is_ok());
    let next = a.push(NOW, wanted("y")).unwrap().1.unwrap();
    assert!(c.learn(NOW, std::slice::from_ref(&next)).1.is_ok());
    assert_eq!(c.model(), a.model());
    // Nor is who comes later kept out.
    let log = vec![(next.0, Some(next.1))];
    let later = NOW + Duration::from_millis(1);
    assert!(replica("d").absorb(later, Full { log, ..Full::default() }).is_ok());
}

#[test]
fn a_number_far_beyond_all_that_are_known_is_refused() {
    let mut known = replica("a");
    known.push(NOW, wanted("y")).unwrap();
    assert!(known.learn(NOW, &[numbered(NUMBERS_AHEAD_MAX + 2)]).1.is_err());
    assert!(known.learn(NOW, &[numbered(NUMBERS_AHEAD_MAX + 1)]).1.is_ok());
}

#[test]
fn who_says_to_know_what_is_not_past_is_not_believed() {
    let mut honest = member(true);
    told(&mut honest, missing(vector(500, 1)));
    assert_eq!((honest.replica().vector(), honest.is_synced()), (&vector(500, 1), true));
    let mut member = member(true);
    let effects = told(&mut member, missing(vector(60_000, 1)));
    assert_eq!((member.replica().vector().len(), member.is_synced()), (0, false));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Tell(News::Refused(..)))), "{effects:?}");
    assert!(replica("a").absorb(NOW, Full { vector: vector(60_000, 1), ..Full::default() }).is_err());
}

#[test]
fn who_says_to_know_more_nodes_than_there_can_be_is_not_believed() {
    let most = u32::try_from(ORIGINS_MAX).unwrap();
    let mut replica = replica("a");
    replica.absorb(NOW, Full { vector: vector(0, most), ..Full::default() }).unwrap();
    assert!(replica.absorb(NOW, Full { vector: vector(0, most + 1), ..Full::default() }).is_err());
    assert!(replica.learn(NOW, &[numbered(1)]).1.is_err(), "nor one by one");
    assert_eq!(replica.vector().len(), ORIGINS_MAX);
}

#[test]
fn who_was_not_asked_does_not_say_what_is_known() {
    let mut member = member(false);
    told(&mut member, missing(vector(0, 1)));
    assert_eq!(member.replica().vector().len(), 0);
}
