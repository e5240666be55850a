//! What the board keeps of what others say.

use std::sync::Arc;

use super::*;
use crate::{
    logic::gossip::{
        InstanceReport, InstanceState,
        report::{CAUSE_MAX_BYTES, LISTED_MAX, OUTCOMES_MAX},
    },
    model::{Edit, Instance, testing::name},
    words::{InstancePath, Time},
};

fn board() -> Board {
    Board::new(name("g"), name("me"), 1)
}

#[test]
fn a_status_larger_than_any_node_writes_is_cut() {
    let mut board = board();
    let long: String = "x".repeat(CAUSE_MAX_BYTES * 2);
    let listed = InstanceReport {
        path: InstancePath::Node(name("n")),
        state: InstanceState::Failed,
        cause: Arc::from(long.as_str()),
        since: Time::default(),
    };
    let mut status = Status::of(name("n"), 1);
    status.version = 1;
    status.report.listed = vec![listed; LISTED_MAX + 5];
    let id = |number: usize| RevisionId { number: number as u64, origin: name("n") };
    status.outcomes =
        (0..OUTCOMES_MAX + 5).map(|number| (id(number), Adoption::Degraded { cause: long.clone() })).collect();
    let told = board.hear(status, &Model::default()).unwrap();
    let held = &board.statuses[&name::<NodeName>("n")];
    assert_eq!((told.len(), held.outcomes.len(), held.report.listed.len()), (OUTCOMES_MAX, OUTCOMES_MAX, LISTED_MAX));
    assert_eq!(held.report.n_left_off, 5);
    assert!(held.outcome(&id(OUTCOMES_MAX + 4)).is_some(), "the latest are kept");
    assert!(held.report.listed.iter().all(|listed| listed.cause.len() == CAUSE_MAX_BYTES));
    let cut = Adoption::Degraded { cause: "x".repeat(CAUSE_MAX_BYTES) };
    assert!(told.iter().chain(&held.outcomes).all(|(_, adoption)| *adoption == cut));
}

#[test]
fn the_words_of_who_is_there_or_attached_are_kept_and_of_others_so_many() {
    let mut model = Model::default();
    let (attached, group) = (name::<NodeName>("attached"), name::<GroupName>("g"));
    let edits = [
        Edit::AddNode { name: attached.clone(), instance: Instance::default(), host: None },
        Edit::AddInstance { path: InstancePath::Group(group.clone()), instance: Instance::default() },
        Edit::Attach { node: attached.clone(), group },
    ];
    model.apply(&edits).unwrap();
    let mut board = board();
    let connected: Vec<NodeName> = (0..STATUSES_MAX * 2).map(|idx| name(&format!("c{idx}"))).collect();
    for node in &connected {
        board.up(node);
    }
    let others: Vec<NodeName> = (0..STATUSES_MAX * 2).map(|idx| name(&format!("x{idx}"))).collect();
    for node in connected.iter().chain([&attached]).chain(&others) {
        board.hear(Status::of(node.clone(), 1), &model);
    }
    assert!(connected.iter().chain([&attached]).all(|node| board.has_heard(node, 1, 0)));
    assert_eq!(others.iter().filter(|node| board.has_heard(node, 1, 0)).count(), STATUSES_MAX);
    assert!(board.has_heard(others.last().unwrap(), 1, 0), "who spoke last is heard");
}
