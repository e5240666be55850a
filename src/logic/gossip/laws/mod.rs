//! The laws of merging: who exchanged everything knows and shows the same, and nothing is lost but what a conflict names.

mod collisions;
mod forgetting;

use std::{sync::Arc, time::Duration};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{
    model::{
        Edit, Instance, Model,
        testing::{edited, edits, models, name},
    },
    words::{InstancePath, NodeName, Time},
};

const AHEAD_MAX: Duration = Duration::from_secs(1);

pub(super) fn replica(idx: usize) -> Replica {
    Replica::new(name(["r0", "r1", "r2"][idx]), AHEAD_MAX)
}

pub(super) fn push(wanted: Model, base: Option<Snapshot>, compare_and_swap: bool) -> Push {
    Push { wanted, base, compare_and_swap, by: "tester".into(), from: "laws".into(), message: "".into() }
}

/// What happens to three replicas.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// One makes a revision of edits to what it sees.
    Push(usize, Vec<Edit>),
    /// One makes a revision of edits to what it saw a while ago.
    PushStale(usize, Vec<Edit>),
    /// A delta, taken from all that were ever made, reaches one.
    Deliver(usize, prop::sample::Index),
    /// One asks another.
    Ask(usize, usize),
    /// One takes everything another knows.
    Absorb(usize, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    steps_up_to(25)
}

pub(super) fn steps_up_to(n_max: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3usize, edits()).prop_map(|(at, edits)| Step::Push(at, edits)),
        1 => (0..3usize, edits()).prop_map(|(at, edits)| Step::PushStale(at, edits)),
        4 => (0..3usize, any::<prop::sample::Index>()).prop_map(|(at, delta)| Step::Deliver(at, delta)),
        1 => (0..3usize, 0..3usize).prop_map(|(a, b)| Step::Ask(a, b)),
        1 => (0..3usize, 0..3usize).prop_map(|(a, b)| Step::Absorb(a, b)),
    ];
    vec(step, 1..n_max)
}

/// A small world without a network: deltas lie around and are delivered when a step says so.
pub(super) struct World {
    pub(super) replicas: Vec<Replica>,
    pub(super) deltas: Vec<Delta>,
    seen: Vec<Snapshot>,
    pub(super) now: Time,
}

impl World {
    pub(super) fn new() -> World {
        let replicas: Vec<Replica> = (0..3).map(replica).collect();
        let seen = replicas.iter().map(Replica::snapshot).collect();
        World { replicas, deltas: Vec::new(), seen, now: Time::from_ms(1_000_000) }
    }

    pub(super) fn step(&mut self, step: &Step) {
        self.now = self.now + Duration::from_millis(10);
        match step {
            Step::Push(at, edits) => {
                let wanted = edited(self.replicas[*at].model().clone(), edits);
                let base = self.replicas[*at].snapshot();
                let (pushed, delta) = self.replicas[*at].push(self.now, push(wanted.clone(), None, false)).unwrap();
                let missed = crate::model::change::diff(&pushed.snapshot.model, &wanted);
                assert_eq!(missed, [], "a push that saw everything gets what it wants");
                self.seen[*at] = base;
                self.deltas.extend(delta);
            }
            Step::PushStale(at, edits) => {
                let base = self.seen[*at].clone();
                let wanted = edited(base.model.clone(), edits);
                let (_, delta) = self.replicas[*at].push(self.now, push(wanted, Some(base), false)).unwrap();
                self.deltas.extend(delta);
            }
            Step::Deliver(to, delta) => {
                if !self.deltas.is_empty() {
                    let delta = delta.get(&self.deltas).clone();
                    self.replicas[*to].learn(self.now, &[delta]).1.unwrap();
                }
            }
            Step::Ask(asker, asked) => self.ask(*asker, *asked),
            Step::Absorb(to, from) => {
                let full = self.replicas[*from].full();
                self.replicas[*to].absorb(self.now, full).unwrap();
            }
        }
        for replica in &self.replicas {
            assert_eq!(*replica.model(), view::build(replica.registers()), "the view follows the registers");
            let sum =
                replica.registers().iter().map(|(e, r, entry)| hash::register(&mut hash::Feed::default(), e, r, entry));
            assert_eq!(replica.registers().sum(), sum.fold(0, u128::wrapping_add), "the sum follows the registers");
        }
    }

    fn ask(&mut self, asker: usize, asked: usize) {
        let answer = self.replicas[asked].answer(self.replicas[asker].vector(), self.replicas[asker].digest());
        let vector = self.replicas[asked].vector().clone();
        match answer {
            Answer::Missing(deltas) => {
                self.replicas[asker].learn(self.now, &deltas).1.unwrap();
                self.replicas[asker].caught_up(&vector);
            }
            Answer::Full(full) => drop(self.replicas[asker].absorb(self.now, *full).unwrap()),
        }
    }

    pub(super) fn exchange_all(&mut self) {
        for _ in 0..2 {
            for (a, b) in [(0, 1), (1, 0), (1, 2), (2, 1), (2, 0), (0, 2)] {
                self.ask(a, b);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn replicas_that_exchanged_everything_are_equal(steps in steps()) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        world.exchange_all();
        let first = &world.replicas[0];
        for other in &world.replicas[1..] {
            prop_assert_eq!(first.digest(), other.digest());
            prop_assert!(first.registers() == other.registers());
            prop_assert_eq!(first.model(), other.model());
            prop_assert_eq!(first.vector(), other.vector());
            prop_assert_eq!(first.history().heads(), other.history().heads());
            for revision in first.history().revisions() {
                let (mine, theirs) = (first.history().model_at(&revision.id), other.history().model_at(&revision.id));
                prop_assert_eq!(mine, theirs, "of {}", &revision.id);
            }
        }
    }

    #[test]
    fn what_was_acknowledged_shows_or_is_named_by_a_conflict_or_was_changed_knowingly(steps in steps()) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        world.exchange_all();
        let replica = &world.replicas[0];
        let named: Vec<&Conflict> = replica.history().conflicts().collect();
        for (revision, writes) in &world.deltas {
            for row in writes.iter() {
                for (register, cell) in &row.cells {
                    let shown = view::visible(replica.registers(), &row.element, register);
                    if shown == cell.as_ref() {
                        continue;
                    }
                    let named = named.iter().any(|conflict| {
                        conflict.loser.stamp == revision.stamp
                            && conflict.element == row.element
                            && (conflict.register == *register || conflict.register == change_here())
                    });
                    let knowingly = replica.history().revisions().any(|later| {
                        later.stamp > revision.stamp
                            && replica.history().concurrent(revision.stamp, later.stamp) == Some(false)
                    });
                    prop_assert!(named || knowingly, "{:?} {:?} of {}", row.element, register, revision.id);
                }
            }
        }
    }

    #[test]
    fn merging_registers_is_commutative_associative_and_idempotent(steps in steps()) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        let [a, b, c] = [0, 1, 2].map(|idx| world.replicas[idx].registers().clone());
        let merged = |x: &Registers, y: &Registers| {
            let mut x = x.clone();
            x.merge(y);
            x
        };
        prop_assert!(merged(&a, &b) == merged(&b, &a));
        prop_assert!(merged(&merged(&a, &b), &c) == merged(&a, &merged(&b, &c)));
        prop_assert!(merged(&a, &a) == a);
        prop_assert!(full::Packed::of(&a).unpack() == a);
    }

    #[test]
    fn rollback_restores_the_model(first in models(), second in models(), third in models()) {
        let mut replica = replica(0);
        let mut ids = Vec::new();
        for (idx, wanted) in [&first, &second, &third].into_iter().enumerate() {
            let now = Time::from_ms(1000 + idx as u64);
            ids.push(replica.push(now, push(wanted.clone(), None, false)).unwrap().0.revision);
        }
        for (id, wanted) in ids.iter().zip([&first, &second, &third]) {
            let Some(id) = id else { continue };
            let now = Time::from_ms(5000);
            let (pushed, _) = replica.rollback(now, id, "me".into(), "test".into(), "back".into()).unwrap();
            prop_assert_eq!(replica.model(), wanted);
            prop_assert_eq!(&pushed.snapshot.model, wanted);
        }
    }

    #[test]
    fn who_starts_again_from_what_it_kept_knows_what_it_knew(steps in steps(), forgets in any::<prop::sample::Index>()) {
        let mut world = World::new();
        for (idx, step) in steps.iter().enumerate() {
            if idx == forgets.index(steps.len()) {
                let until = world.now;
                world.replicas[2].forget_removals(until);
            }
            world.step(step);
        }
        for (idx, known) in world.replicas.iter().enumerate() {
            let mut again = replica(idx);
            again.restore(Record::Full(Box::new(known.full())));
            prop_assert_eq!(again.digest(), known.digest());
            prop_assert_eq!(again.registers(), known.registers());
            prop_assert_eq!(again.model(), known.model());
        }
    }

    #[test]
    fn a_newcomer_that_takes_everything_knows_everything(steps in steps()) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        let old = &world.replicas[0];
        let mut newcomer = replica(2);
        newcomer.absorb(world.now, old.full()).unwrap();
        prop_assert_eq!(newcomer.digest(), old.digest());
        prop_assert_eq!(newcomer.model(), old.model());
        for revision in old.history().revisions() {
            prop_assert_eq!(newcomer.history().model_at(&revision.id), old.history().model_at(&revision.id));
        }
        prop_assert_eq!(newcomer.history().conflicts().count(), old.history().conflicts().count());
    }
}

fn change_here() -> crate::model::change::Register {
    crate::model::change::Register::Here
}

fn with_channel(channel: &str, value: &str) -> Model {
    let mut model = Model::default();
    let path = InstancePath::Channel(name(channel));
    let add = Edit::AddInstance { path: path.clone(), instance: Instance::default() };
    let set = Edit::SetMetadata { path, key: Arc::from("note"), value: Some(value.into()) };
    model.apply(&[add, set]).unwrap();
    model
}

/// A component of some type, on one node or the other.
fn with_component(node: &str, id: Option<u64>) -> Model {
    let mut model = Model::default();
    let type_ref = crate::words::TypeRef::new("enact", "Part", "1.0.0").unwrap();
    let nodes = ["n", "m"].map(|node| Edit::AddNode { name: name(node), instance: Instance::default(), host: None });
    model.apply(&nodes).unwrap();
    if let Some(id) = id {
        let component = crate::model::Component {
            id: crate::model::ComponentId(id),
            instance: Instance::of(type_ref),
            ..Default::default()
        };
        let node = model.nodes.get_mut(&name::<NodeName>(node)).unwrap();
        node.to_mut().components.insert(name("c"), component.into());
    }
    model.indexed()
}

#[test]
fn compare_and_swap_refuses_a_base_that_is_not_current() {
    let mut replica = replica(0);
    let base = replica.snapshot();
    let now = Time::from_ms(1000);
    assert!(replica.push(now, push(with_channel("x", "1"), Some(base.clone()), true)).is_ok());
    let refused = replica.push(now, push(with_channel("x", "2"), Some(base), true)).unwrap_err();
    let current = replica.history().latest().unwrap().id.clone();
    assert_eq!(refused, PushRefused::Moved { current: Some(current), digest: replica.digest() });
    assert_eq!(*replica.model(), with_channel("x", "1"), "nothing is lost");
}

#[test]
fn a_stamp_too_far_ahead_is_refused_until_its_time_has_come() {
    let (mut early, mut late) = (replica(0), replica(1));
    let (_, delta) = early.push(Time::from_ms(10_000), push(with_channel("x", "0"), None, false)).unwrap();
    let delta = [delta.unwrap()];
    assert!(late.learn(Time::from_ms(5_000), &delta).1.is_err());
    assert_eq!(*late.model(), Model::default());
    assert!(late.learn(Time::from_ms(9_500), &delta).1.is_ok());
    assert_eq!(late.model(), early.model());
}
