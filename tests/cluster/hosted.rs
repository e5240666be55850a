//! Nodes that a node hosts: in a thread, or as a process of their own.

use enact_lab::{Group, node_status};

fn a_hosted_node_lives(isolation: &str) {
    let mut group = Group::new(&format!("hosted-{isolation}"));
    let mut node = group.start("node1");
    let script = format!(
        "add node1.child : EnactNode\nset node1.child.isolation = '{isolation}'\nadd child.counter : Counter\n\
         add node1.ticker : Ticker\nset node1.ticker.period = '20ms'\nadd ticks : Broadcast\n\
         bind node1.ticker.tick ticks\nbind child.counter.input ticks\n"
    )
    .replace("node1.child.isolation", "child.isolation");
    group.apply(&node, &script).ok();
    group.await_in_step(&node, 2);
    let status = group.status(&node);
    assert_eq!(node_status(&status, "child")["host"], "node1", "{status:#}");
    group.await_reply(&node, "child.counter.count", |count| count.as_u64() >= Some(3));

    group.apply(&node, "stop child\n").ok();
    group.await_status(&node, "the child is gone", |status| node_status(status, "child")["state"] == "absent");
    group.apply(&node, "start child\n").ok();
    group.await_in_step(&node, 2);
    let count = group.ask(&node, "child.counter.count").as_u64();
    group.await_reply(&node, "child.counter.count", |now| now.as_u64() > count);

    group.apply(&node, "remove child\n").ok();
    group.await_in_step(&node, 1);
    assert_eq!(node.terminate(), Some(0), "{}", node.log());
}

#[test]
fn a_node_is_hosted_in_a_thread() {
    a_hosted_node_lives("thread");
}

#[test]
fn a_node_is_hosted_as_a_process() {
    a_hosted_node_lives("process");
}

#[test]
fn a_hosted_process_goes_with_its_host_and_comes_back_with_it() {
    let mut group = Group::new("orphan");
    let mut node = group.start("node1");
    let script = "add node1.child : EnactNode\nset child.isolation = 'process'\nadd child.counter : Counter\n";
    group.apply(&node, script).ok();
    group.await_in_step(&node, 2);
    node.kill();
    let node = group.start("node1");
    group.await_in_step(&node, 2);
    assert_eq!(group.ask(&node, "child.counter.count"), 0);
    // It is in the host's hands again.
    group.apply(&node, "stop child\n").ok();
    group.await_status(&node, "the child is gone", |status| node_status(status, "child")["state"] == "absent");
}
