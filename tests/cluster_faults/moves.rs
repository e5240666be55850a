//! Crashes in the middle of a move: the state is on the one side or on the other.

use enact_lab::{Group, Node, tally::note, unharmed};

/// A counter on the second of two nodes that has counted to three.
fn counted(name: &str) -> (Group, Node, Node) {
    let mut group = Group::new(name).with("ENACT_LIMITS_PROBATION", "0s");
    let node1 = group.start("node1");
    let node2 = group.start("node2");
    group.apply(&node1, "add node2.counter : Counter\n").ok();
    for n in 0..3 {
        group.send(&node1, "node2.counter.input", &n.to_string());
    }
    group.await_reply(&node1, "node2.counter.count", |count| *count == 3);
    (group, node1, node2)
}

#[test]
fn what_moves_to_a_node_that_is_away_comes_with_its_state_when_that_is_back() {
    let (mut group, mut node1, mut node2) = counted("away");
    node1.kill();
    group.apply(&node2, "move node2.counter node1\n").ok();
    let mut node1 = group.start("node1");
    assert_eq!(group.ask(&node1, "node1.counter.count"), 3);
    group.await_in_step(&node2, 2);
    let grown = unharmed(&mut [&mut node1, &mut node2]);
    note("a move to a node that is away", 1, grown, "it comes with its state when that is back");
}

#[test]
fn a_crash_of_the_target_just_after_a_move_loses_no_state() {
    let (mut group, mut node1, mut node2) = counted("target");
    group.apply(&node2, "move node2.counter node1\n").ok();
    node1.kill();
    let mut node1 = group.start("node1");
    assert_eq!(group.ask(&node2, "node1.counter.count"), 3);

    // What it has counted since is newer than what the source once gave.
    group.send(&node2, "node1.counter.input", "1");
    assert_eq!(node1.terminate(), Some(0), "{}", node1.log());
    let mut node1 = group.start("node1");
    assert_eq!(group.ask(&node2, "node1.counter.count"), 4);
    let grown = unharmed(&mut [&mut node1, &mut node2]);
    note("a crash of the target just after a move", 1, grown, "no state is lost");
}

#[test]
fn a_crash_of_both_nodes_in_the_midst_of_moves_leaves_the_component_once_and_with_its_state() {
    let (mut group, mut node1, mut node2) = counted("both");
    // What a crash may lose is what came after the last checkpoint: an end in order is one.
    assert_eq!(node2.terminate(), Some(0), "{}", node2.log());
    node2 = group.start("node2");
    for (from, to) in [("node2", "node1"), ("node1", "node2"), ("node2", "node1")] {
        // Recorded, and under way when they die.
        let script = format!("move {from}.counter {to}");
        group.at(&node2, &["apply", "-e", &script, "--yes", "--no-wait"]).ok();
        node1.kill();
        node2.kill();
        // One after the other: the second finds the first, and what that holds for it.
        let names = if from == "node2" { ["node2", "node1"] } else { ["node1", "node2"] };
        let started = names.map(|name| group.start(name));
        for node in started {
            if node.name == "node1" { node1 = node } else { node2 = node }
        }
        group.await_in_step(&node1, 2);
        assert_eq!(group.ask(&node1, &format!("{to}.counter.count")), 3, "after the move to {to}");
    }
    let grown = unharmed(&mut [&mut node1, &mut node2]);
    note("a crash of both ends in the midst of a move", 3, grown, "the component is there once, with its state");
}
