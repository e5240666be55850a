//! Nodes that are killed, stopped and started again.

use enact_lab::{Group, instance_status, node_status, unharmed};

const COUNTING: &str = "\
add node1.ticker : Ticker
set node1.ticker.period = '20ms'
add node2.counter : Counter
add ticks : Broadcast
bind node1.ticker.tick ticks
bind node2.counter.input ticks
";

#[test]
fn a_killed_node_is_seen_gone_and_takes_up_what_it_missed() {
    let mut group = Group::new("crash");
    let mut node1 = group.start("node1");
    let mut node2 = group.start("node2");
    group.apply(&node1, COUNTING).ok();
    group.await_reply(&node1, "node2.counter.count", |count| count.as_u64() >= Some(3));

    node2.kill();
    group.await_status(&node1, "node2 is shown as absent", |status| node_status(status, "node2")["state"] == "absent");
    let outcome = group.apply(&node1, "set node2.counter.every = '7'\nadd node2.late : Counter\n").ok();
    assert!(outcome.stdout.contains("will do its part when it comes: node2"), "{outcome}");

    let mut node2 = group.start("node2");
    group.await_in_step(&node1, 2);
    group.await_in_step(&node2, 2);
    assert_eq!(instance_status(&group.status(&node2), "node2", "late")["state"], "started");
    let count = group.ask(&node2, "node2.counter.count").as_u64();
    group.await_reply(&node2, "node2.counter.count", |now| now.as_u64() > count);
    unharmed(&mut [&mut node1, &mut node2]);
}

#[test]
fn a_node_that_is_stopped_keeps_its_state_exactly() {
    let mut group = Group::new("stop");
    let mut node = group.start("node1");
    group.apply(&node, "add node1.counter : Counter\n").ok();
    for n in 1..=7 {
        group.at(&node, &["send", "node1.counter.input", &n.to_string()]).ok();
    }
    group.await_reply(&node, "node1.counter.count", |count| *count == 7);
    let revision = group.revision(&node);
    assert_eq!(node.terminate(), Some(0), "{}", node.log());

    let mut node = group.start("node1");
    assert_eq!(group.ask(&node, "node1.counter.count"), 7);
    assert_eq!(group.ask(&node, "node1.counter.sum").as_f64(), Some(28.0));
    assert_eq!(group.revision(&node), revision, "a restart is no new revision");
    group.at(&node, &["stop", "node1", "--yes"]).ok();
    assert_eq!(node.wait(), Some(0), "{}", node.log());
    let node = group.start("node1");
    assert_eq!(group.ask(&node, "node1.counter.count"), 7);
}

#[test]
fn every_node_may_go_and_the_group_comes_back_as_it_was() {
    let mut group = Group::new("blackout");
    let mut node1 = group.start("node1");
    let mut node2 = group.start("node2");
    group.apply(&node1, COUNTING).ok();
    let revision = group.revision(&node2);
    node1.kill();
    node2.kill();
    let node2 = group.start("node2");
    assert_eq!(group.revision(&node2), revision);
    let node1 = group.start("node1");
    group.await_in_step(&node2, 2);
    let count = group.ask(&node1, "node2.counter.count").as_u64();
    group.await_reply(&node1, "node2.counter.count", |now| now.as_u64() > count);
    assert_eq!(group.revision(&node1), revision);
}

#[test]
fn a_node_of_the_model_that_does_not_run_is_absent_and_takes_up_its_part_when_it_comes() {
    let mut group = Group::new("absent");
    let node1 = group.start("node1");
    group.apply(&node1, "add node2 : EnactNode\nadd node2.counter : Counter\n").ok();
    let status = group.status(&node1);
    assert_eq!(node_status(&status, "node2")["state"], "absent", "{status:#}");
    let node2 = group.start("node2");
    group.await_in_step(&node1, 2);
    assert_eq!(group.ask(&node2, "node2.counter.count"), 0);
}
