//! What is written is there afterwards: after the next start, after a crash, on a full disk; and a damaged file is noticed.

use std::{collections::BTreeMap, fs, path::Path};

use tempfile::TempDir;

use super::*;
use crate::{
    logic::{
        gossip::RevisionId,
        plan::{self, Outcome, Record, Way},
    },
    model::{ComponentId, Model, testing::name},
    words::{GroupName, Namespace, NodeName, Time, TypeRef},
};

pub(super) fn node(text: &str) -> NodeName {
    name(text)
}

pub(super) fn id(number: u64) -> RevisionId {
    RevisionId { number, origin: node("n0") }
}

pub(super) fn state(bytes: &[u8]) -> State {
    let type_ref =
        TypeRef { namespace: Namespace::parse("enact").unwrap(), name: name("Counter"), version: "1.0.0".into() };
    State { type_ref, bytes: bytes.to_vec(), taken: Time::from_ms(7), hand_over: None }
}

pub(super) fn a_plan() -> plan::Plan {
    let mut wanted = Model::default();
    let mut instance = crate::model::Instance::of(state(&[]).type_ref);
    instance.dictionary.as_mut().unwrap().set(name("p"), "1");
    let own = crate::model::Node { instance, ..Default::default() };
    wanted.nodes.insert(node("n0"), own.into());
    plan::plan(&Model::default(), &wanted.indexed(), &node("n0"))
}

/// The file as a crash would leave it: what is in the page cache now.
fn crashed(store: &Store, to: &Path) -> Store {
    fs::copy(store.path().unwrap(), to.join(FILE_NAME)).unwrap();
    Store::open(to).unwrap()
}

#[test]
fn a_node_is_one_incarnation_older_at_each_start() {
    let dir = TempDir::new().unwrap();
    for (incarnation, now) in [(1000, 1000), (1001, 5000), (1002, 0)] {
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(store.take_up(&node("n0"), Time(now)).unwrap(), Identity { name: node("n0"), incarnation });
    }
    let store = Store::open(dir.path()).unwrap();
    let error = store.take_up(&node("other"), Time(0)).unwrap_err();
    assert!(matches!(&error, StoreError::OtherNode { owner, .. } if *owner == node("n0")), "{error}");
    assert!(error.help().contains("--name n0"));
    assert_eq!(store.identity().unwrap().unwrap().incarnation, 1002);
}

#[test]
fn a_plan_that_a_crash_ended_is_found_and_one_that_is_through_is_not() {
    let (dir, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.under_way().unwrap(), None);
    let plan = a_plan();
    store.begin(&plan, None, Some(&id(1)), Time(0)).unwrap();
    let rank = plan.steps[0].rank();
    store.log(&Record::Passed(rank)).unwrap();
    let records = |store: &Store| store.under_way().unwrap().unwrap().records;
    assert_eq!(records(&store), [Record::Began, Record::Passed(rank)]);
    let after_crash = records(&crashed(&store, copy.path()));
    assert_eq!(after_crash[0], Record::Began, "what was promised is there, a record of progress may be");
    assert_eq!(plan::resumes(&after_crash), Way::Do);

    let failure = plan::StepFailure { step: Some(0), what: "StartInstance".into(), cause: "no".into() };
    store.log(&Record::Turned(failure.clone())).unwrap();
    let copy = TempDir::new().unwrap();
    let after_crash = crashed(&store, copy.path()).under_way().unwrap().unwrap();
    assert_eq!(after_crash.records, [Record::Began, Record::Passed(rank), Record::Turned(failure.clone())]);
    assert_eq!((after_crash.plan, after_crash.from, after_crash.to), (Some(plan), None, Some(id(1))));
    assert_eq!(plan::resumes(&after_crash.records), Way::Undo);

    let outcome = Outcome::RolledBack(failure);
    store.log(&Record::Ended(outcome.clone())).unwrap();
    let copy = TempDir::new().unwrap();
    let after_crash = crashed(&store, copy.path());
    assert_eq!(after_crash.under_way().unwrap(), None);
    assert_eq!(after_crash.last_outcome().unwrap(), Some(outcome));
}

#[test]
fn of_a_very_large_plan_only_its_length_is_written() {
    let mut plan = a_plan();
    let step = plan.steps[0].clone();
    plan.steps = (0..5000).map(|_| step.clone()).collect();
    let store = Store::in_memory().unwrap();
    store.begin(&plan, None, Some(&id(7)), Time(0)).unwrap();
    let under_way = store.under_way().unwrap().unwrap();
    assert_eq!((under_way.plan, under_way.n_steps, under_way.to), (None, 5000, Some(id(7))));
}

#[test]
fn a_trial_counts_until_its_revision_has_run_well_or_the_node_has_ended_in_order() {
    let (dir, plan) = (TempDir::new().unwrap(), a_plan());
    let store = Store::open(dir.path()).unwrap();
    let tried = |store: &Store| -> BTreeMap<u64, usize> {
        let trials = store.trials().unwrap();
        trials.iter().map(|trials| (trials.revision.number, trials.lives.len())).collect()
    };
    let begin = |store: &Store, number: u64| store.begin(&plan, None, Some(&id(number)), Time(number)).unwrap();
    store.take_up(&node("n0"), Time(0)).unwrap();
    begin(&store, 1);
    begin(&store, 1);
    let copy = TempDir::new().unwrap();
    let store = crashed(&store, copy.path());
    store.take_up(&node("n0"), Time(1)).unwrap();
    let found = store.trials().unwrap();
    begin(&store, 1);
    begin(&store, 2);
    assert_eq!(tried(&store), BTreeMap::from([(1, 2), (2, 1)]));
    store.reset_trials(&found).unwrap();
    assert_eq!(tried(&store), BTreeMap::from([(1, 1)]), "it ended in order: as it was at its start");

    assert_eq!(store.good().unwrap(), None);
    let model = Model::default();
    store.passed(Some(&(id(1), model.clone())), Time(9), None).unwrap();
    assert_eq!(tried(&store), BTreeMap::new());
    (2..40).for_each(|number| begin(&store, number));
    assert_eq!(tried(&store), (24..40).map(|number| (number, 1)).collect(), "the latest are remembered");
    assert_eq!(store.good().unwrap(), Some((id(1), model)));
}

#[test]
fn a_state_is_kept_until_it_is_superseded() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (a, b) = (ComponentId(1), ComponentId(2));
    store.put_states(&[(a, state(b"one")), (b, state(b"two"))]).unwrap();
    let moving = State { hand_over: Some(node("n1")), ..state(b"newer") };
    store.put_state(a, &moving).unwrap();
    drop(store);
    let store = Store::open(dir.path()).unwrap();
    let (first, after) = (state(b"").taken, Time(state(b"").taken.0 + 1));
    assert_eq!(store.state(a).unwrap(), Some(State { taken: after, ..moving }));
    assert_eq!(store.state(b).unwrap(), Some(state(b"two")));
    assert_eq!(store.states().unwrap(), [(a, after, Some(node("n1"))), (b, first, None)]);
}

#[test]
fn a_state_is_taken_later_than_the_one_it_supersedes_whatever_the_clock_says() {
    let (store, id) = (Store::in_memory().unwrap(), ComponentId(1));
    let puts = [(10, 10), (9, 11), (12, 12), (12, 13), (u64::MAX, u64::MAX), (1, u64::MAX)];
    for (taken, shown) in puts {
        store.put_state(id, &State { taken: Time(taken), ..state(b"one") }).unwrap();
        assert_eq!(store.state(id).unwrap().unwrap().taken, Time(shown));
    }
}

#[test]
fn states_of_what_is_gone_are_forgotten_after_a_time_and_beyond_a_number() {
    let store = Store::in_memory().unwrap();
    let states: Vec<_> = (0..20).map(|n| (ComponentId(n), State { taken: Time(n), ..state(b"one") })).collect();
    store.put_states(&states).unwrap();
    let lives = |id: ComponentId| id.0.is_multiple_of(2);
    let forget = |until, n_max| {
        let mut ids: Vec<u64> = store.forget_gone(lives, Time(until), n_max).unwrap().iter().map(|id| id.0).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(forget(0, 10), Vec::<u64>::new());
    assert_eq!(forget(5, 10), [1, 3, 5]);
    assert_eq!(forget(0, 4), [7, 9, 11], "the newest stay");
    let left: Vec<u64> = store.state_ids().unwrap().iter().map(|id| id.0).collect();
    assert_eq!(left, [0, 2, 4, 6, 8, 10, 12, 13, 14, 15, 16, 17, 18, 19], "what lives stays, however old");
}

#[test]
fn a_group_finds_its_base_and_what_it_appended() {
    let store = Store::in_memory().unwrap();
    let (sync, lab) = (name::<GroupName>("sync"), name::<GroupName>("lab"));
    store.append_group(&sync, b"a").unwrap();
    store.append_group(&lab, b"x").unwrap();
    store.append_group(&sync, b"b").unwrap();
    assert_eq!(store.load_group(&sync).unwrap(), [b"a", b"b"]);
    store.replace_group(&sync, b"base").unwrap();
    store.append_group(&sync, b"c").unwrap();
    assert_eq!(store.load_group(&sync).unwrap(), [b"base".to_vec(), b"c".to_vec()]);
    assert_eq!(store.load_group(&lab).unwrap(), [b"x"]);
    store.forget_group(&sync).unwrap();
    assert!(store.load_group(&sync).unwrap().is_empty());
}

#[test]
fn a_store_in_use_is_refused() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.to_string().contains(FILE_NAME) && error.help().contains("--data"));
    drop(store);
    Store::open(dir.path()).unwrap();
}

#[test]
fn a_damaged_file_is_noticed_and_named() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join(FILE_NAME);
    fs::write(&file, b"this was never a store, whatever its name says").unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupted { .. }), "{error:?}");
    assert!(error.to_string().contains(FILE_NAME) && error.help().contains("move"));
    fs::remove_file(&file).unwrap();

    let store = Store::open(dir.path()).unwrap();
    store.put_state(ComponentId(1), &state(&[0x5a; 3000])).unwrap();
    drop(store);
    let mut bytes = fs::read(&file).unwrap();
    let run = bytes.windows(64).position(|window| window == [0x5a; 64]).unwrap();
    bytes[run + 10] = 0;
    fs::write(&file, &bytes).unwrap();
    let read = Store::open(dir.path()).and_then(|store| store.state(ComponentId(1)));
    assert!(matches!(read, Err(StoreError::Corrupted { .. })), "{read:?}");
    fs::write(&file, &bytes[..bytes.len() / 3]).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupted { .. }), "{error:?}");
}

#[test]
fn a_damaged_file_is_set_aside_and_kept() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join(FILE_NAME);
    fs::write(&file, b"this was never a store, whatever its name says").unwrap();
    let store = Store::open_or_set_aside(dir.path(), Time(7)).unwrap();
    let Some(Damage::SetAside { path, why }) = store.damage() else { panic!("{:?}", store.damage()) };
    assert_eq!(fs::read(path).unwrap(), b"this was never a store, whatever its name says");
    assert!(!why.is_empty() && path.ends_with("enact.redb.damaged-7"), "{path:?}");
    drop(store);
    assert_eq!(Store::open_or_set_aside(dir.path(), Time(8)).unwrap().damage(), None, "the new one is sound");
}

#[test]
fn a_file_of_a_newer_schema_is_refused() {
    let dir = TempDir::new().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.write(|txn| put(txn, "schema", &(SCHEMA + 1))).unwrap();
    drop(store);
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Schema { found, known: SCHEMA, .. } if found == SCHEMA + 1), "{error}");
    assert_eq!(error.help(), "use a newer enact");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("data"), b"a file where a directory should be").unwrap();
    let error = Store::open(&dir.path().join("data")).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }) && error.to_string().contains("data"), "{error}");
}

#[test]
fn trials_of_an_older_build_count_no_more() {
    const OLD: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("trials");
    let dir = TempDir::new().unwrap();
    Store::open(dir.path())
        .unwrap()
        .write(|txn| {
            txn.open_table(OLD)?.insert("1@n0", b"two".as_slice())?;
            Ok(())
        })
        .unwrap();
    let store = Store::open(dir.path()).unwrap();
    assert_eq!(store.trials().unwrap(), []);
    assert!(
        store.read(|txn| Ok(!txn.list_tables()?.any(|table| redb::TableHandle::name(&table) == "trials"))).unwrap()
    );
}
