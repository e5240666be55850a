//! The laws of the history: a revision shows what was written up to it, for whoever knows its model at all, and what is kept for
//! that has a bound.

use std::sync::Arc;

use proptest::prelude::*;

use super::{
    history::{CONFLICTS_MAX, REVISIONS_MAX, WHOLE_EVERY, WHOLE_LATEST, WRITES_MAX, write_all},
    laws::{World, push, replica, steps_up_to},
    *,
};
use crate::{
    model::{
        Instance, Model,
        change::{Element, Register},
        testing::name,
    },
    words::Time,
};

/// A model with a channel that has values.
fn with_values(values: impl IntoIterator<Item = (String, String)>) -> Model {
    let mut instance = Instance::default();
    let dictionary = instance.dictionary.get_or_insert_default();
    for (attribute, value) in values {
        dictionary.set(name(&attribute), value);
    }
    let mut model = Model::default();
    model.channels.insert(name("c"), crate::model::Channel { instance }.into());
    model.indexed()
}

/// What all writes up to a revision show, of those that a replica knows.
fn written_up_to(replica: &Replica, deltas: &[Delta], stamp: Stamp) -> Model {
    let known = |(revision, _): &&Delta| revision.stamp <= stamp && replica.history().contains(revision.stamp);
    let mut registers = Registers::default();
    for (revision, writes) in deltas.iter().filter(known) {
        write_all(&mut registers, revision.stamp, writes);
    }
    view::build(&registers)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_revision_shows_what_was_written_up_to_it(steps in steps_up_to(160)) {
        let mut world = World::new();
        for (n, step) in steps.iter().enumerate() {
            world.step(step);
            if n % 50 == 49 {
                world.exchange_all();
            }
        }
        for replica in &world.replicas {
            for revision in replica.history().revisions() {
                let shown = replica.history().model_at(&revision.id);
                prop_assert!(replica.history().keeps_model(&revision.id));
                prop_assert_eq!(shown, Some(written_up_to(replica, &world.deltas, revision.stamp)), "of {}", &revision.id);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_newcomer_knows_the_right_model_of_a_revision_or_none(
        steps in steps_up_to(25), n_writes in 0..60usize, n_writes_then in 0..60usize,
    ) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        let old = &world.replicas[0];
        let mut newcomer = replica(2);
        newcomer.absorb(world.now, old.full_with(n_writes)).unwrap();
        let mut next = replica(1);
        next.absorb(world.now, newcomer.full_with(n_writes_then)).unwrap();
        for newcomer in [&newcomer, &next] {
            prop_assert_eq!(newcomer.digest(), old.digest());
            for revision in old.history().revisions() {
                if let Some(model) = newcomer.history().model_at(&revision.id) {
                    prop_assert_eq!(Some(model), old.history().model_at(&revision.id), "of {}", &revision.id);
                }
            }
            let latest = old.history().latest().and_then(|latest| newcomer.history().model_at(&latest.id));
            prop_assert_eq!(latest.as_ref(), old.history().latest().map(|_| old.model()));
        }
    }
}

#[test]
fn a_full_history_holds_a_few_whole_models_and_gives_back_all() {
    let mut replica = replica(0);
    let n_pushed = REVISIONS_MAX + 200;
    let model = |n: usize| with_values([("period".to_owned(), n.to_string())]);
    let mut ids = Vec::new();
    for n in 0..n_pushed {
        let (pushed, _) = replica.push(Time::from_ms(1000 + n as u64), push(model(n), None, false)).unwrap();
        ids.push(pushed.revision.unwrap());
    }
    let history = replica.history();
    assert_eq!(history.revisions().count(), REVISIONS_MAX);
    let whole_max = WHOLE_LATEST + REVISIONS_MAX / WHOLE_EVERY + 1;
    assert!(history.n_whole() <= whole_max, "{} revisions are kept whole", history.n_whole());
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(history.model_at(id), (n >= n_pushed - REVISIONS_MAX).then(|| model(n)), "revision {id}");
    }
    assert_eq!(history.oldest_model(), Some(&ids[n_pushed - REVISIONS_MAX]));
    let mut newcomer = super::laws::replica(1);
    newcomer.absorb(Time::from_ms(10_000), replica.full()).unwrap();
    for id in &ids[n_pushed - REVISIONS_MAX..] {
        assert_eq!(newcomer.history().model_at(id), history.model_at(id), "revision {id} at who came later");
    }
}

#[test]
fn models_that_have_little_in_common_do_not_fill_the_memory() {
    let mut replica = replica(0);
    let n_values = WRITES_MAX / 4;
    let mut ids = Vec::new();
    for n in 0..WHOLE_LATEST + 6 {
        let wanted = with_values((0..n_values).map(|value| (format!("v{value}"), n.to_string())));
        let (pushed, _) = replica.push(Time::from_ms(1000 + n as u64), push(wanted, None, false)).unwrap();
        ids.push(pushed.revision.unwrap());
    }
    let history = replica.history();
    assert!(history.n_whole() <= WHOLE_LATEST + 1, "{} revisions are kept whole", history.n_whole());
    let kept: Vec<bool> = ids.iter().map(|id| history.keeps_model(id)).collect();
    assert!(!kept[0] && kept[6..].iter().all(|kept| *kept), "the latest are kept, the first is not: {kept:?}");
    assert_eq!(history.oldest_model(), ids.iter().find(|id| history.keeps_model(id)));
    assert_eq!(history.model_at(ids.last().unwrap()).as_ref(), Some(replica.model()));
}

#[test]
fn who_says_to_have_seen_its_own_revision_leads_nobody_round_in_a_circle() {
    let stamp = |ms: u64| Stamp::new(super::stamp::ntp_of(Time::from_ms(ms)), Origin::of(&name("m")));
    let revision = |ms: u64, parents: Vec<Stamp>| {
        Arc::new(Revision {
            id: RevisionId { number: ms, origin: name("m") },
            stamp: stamp(ms),
            previous: None,
            parents,
            by: "".into(),
            from: "".into(),
            message: "".into(),
            rolls_back_to: None,
            n_changes: 0,
            digest: StateDigest::default(),
        })
    };
    let mut history = replica(0).history().clone();
    for one in [revision(1, Vec::new()), revision(2, vec![stamp(3), stamp(2)]), revision(3, vec![stamp(3), stamp(2)])] {
        history.insert(one, Some(Arc::from([])), &Registers::default(), &Model::default());
    }
    assert_eq!(history.concurrent(stamp(1), stamp(3)), Some(true));
}

#[test]
fn conflicts_that_another_remembers_do_not_fill_the_memory() {
    let origin = Origin::of(&name("r1"));
    let party = |ntp: usize| Party { stamp: Stamp::new(ntp as u64, origin), revision: None, by: Arc::from("") };
    let conflict = |nth: usize| Conflict {
        element: Element::Channel(name("c")),
        register: Register::Here,
        loser: party(nth),
        winner: party(nth + 1),
        lost: None,
        kept: None,
    };
    let conflicts = (0..CONFLICTS_MAX + 10).map(conflict).collect();
    let mut replica = replica(0);
    replica.absorb(Time::from_ms(1_000_000), Full { conflicts, ..Full::default() }).unwrap();
    let kept: Vec<Stamp> = replica.history().conflicts().map(|conflict| conflict.loser.stamp).collect();
    assert_eq!(kept, (10..CONFLICTS_MAX + 10).map(|nth| party(nth).stamp).collect::<Vec<_>>(), "the latest are kept");
}
