//! Code that fails, panics, hangs or blocks: rolled back or supervised, while others go on.

use enact_lab::{Group, Node, instance_status, node_status};

/// A node with a short limit for steps, and a counter that must go on whatever happens beside it.
fn beside_a_counter(name: &str) -> (Group, Node) {
    let mut group = Group::new(name).with("ENACT_LIMITS_STEP", "2s").with("ENACT_WORKERS", "4");
    let node = group.start("node1");
    let script = "\
        add node1.ticker : Ticker\n\
        set node1.ticker.period = '20ms'\n\
        add node1.counter : Counter\n\
        add ticks : Broadcast\n\
        bind node1.ticker.tick ticks\n\
        bind node1.counter.input ticks\n";
    group.apply(&node, script).ok();
    (group, node)
}

/// The counter counts on, and the node adapts.
#[track_caller]
fn goes_on(group: &Group, node: &Node) {
    let count = group.ask(node, "node1.counter.count").as_u64();
    group.await_reply(node, "node1.counter.count", |now| now.as_u64() > count);
    group.apply(node, &format!("set node1.ticker.period = '{}ms'\n", 20 + count.unwrap_or_default() % 7)).ok();
}

#[test]
fn what_does_not_start_is_rolled_back() {
    let (group, node) = beside_a_counter("start");
    for (how, cause) in [("fail", "start fails, as ordered"), ("panic", "start panics, as ordered"), ("hang", "2s")] {
        let script = format!("add node1.bad : Faulty\nset node1.bad.on_start = '{how}'\nadd node1.good : Counter\n");
        let outcome = group.apply(&node, &script).ended(5);
        assert!(outcome.stderr.contains(cause), "{how}: {outcome}");
        let status = group.status(&node);
        let shown = node_status(&status, "node1");
        assert_eq!(shown["state"], "partial", "{status:#}");
        assert!(shown["cause"].as_str().is_some_and(|shown| shown.contains(cause)), "{status:#}");
        assert_eq!(instance_status(&status, "node1", "good")["state"], "absent", "undone, too: {status:#}");
        counts_on(&group, &node);
        group.apply(&node, "remove node1.bad, node1.good\n").ok();
        goes_on(&group, &node);
    }
    group.await_in_step(&node, 1);
}

#[test]
fn what_panics_at_a_message_is_started_again_until_it_is_too_often() {
    let (group, node) = beside_a_counter("input");
    group.apply(&node, "add node1.bad : Faulty\nset node1.bad.on_input = 'panic'\n").ok();
    group.at(&node, &["send", "node1.bad.input", "1"]).ended(1).said(&["input panics, as ordered"]);
    group.await_status(&node, "it was started again", |status| {
        let bad = instance_status(status, "node1", "bad");
        bad["state"] == "started" && bad["nRestarts"] == 1
    });
    goes_on(&group, &node);
    group.await_status(&node, "it has failed", |status| {
        // Refused while it is down.
        group.at(&node, &["send", "node1.bad.input", "1"]);
        instance_status(status, "node1", "bad")["state"] == "failed"
    });
    let status = group.status(&node);
    let bad = instance_status(&status, "node1", "bad");
    assert!(bad["cause"].as_str().is_some_and(|cause| cause.contains("input panics, as ordered")), "{status:#}");
    assert_eq!(status["nodes"][0]["state"], "partial");
    let why = group.at(&node, &["why", "node1.bad", "-o", "json"]).ok().json();
    assert!(why["cause"].as_str().is_some_and(|cause| cause.contains("input panics, as ordered")), "{why:#}");
    goes_on(&group, &node);
    // Whoever mends it gets it back.
    group.apply(&node, "remove node1.bad\n").ok();
    group.apply(&node, "add node1.bad : Faulty\n").ok();
    assert_eq!(group.ask(&node, "node1.bad.count"), 0);
    group.await_in_step(&node, 1);
}

#[test]
fn what_hangs_when_it_is_stopped_does_not_hang_the_node() {
    let (group, node) = beside_a_counter("hang");
    group.apply(&node, "add node1.bad : Faulty\nset node1.bad.on_stop = 'hang'\n").ok();
    let outcome = group.apply(&node, "remove node1.bad\n");
    // Either it is let go all the same, or the plan is rolled back: never a hang.
    assert!(outcome.code == 0 || outcome.code == 5, "{outcome}");
    goes_on(&group, &node);
    let mut node = node;
    assert_eq!(node.terminate(), Some(0), "{}", node.log());
}

#[test]
fn what_fails_when_it_is_stopped_goes_all_the_same() {
    let (group, node) = beside_a_counter("stop");
    group.apply(&node, "add node1.bad : Faulty\nset node1.bad.on_stop = 'fail'\n").ok();
    group.apply(&node, "remove node1.bad\n").ok();
    assert!(instance_status(&group.status(&node), "node1", "bad").is_null());
    goes_on(&group, &node);
}

#[test]
fn what_could_not_be_started_again_is_started_when_it_is_mended() {
    let (group, node) = beside_a_counter("mend");
    group.apply(&node, "add node1.bad : Faulty\nset node1.bad.on_input = 'panic'\n").ok();
    group.apply(&node, "set node1.bad.on_start = 'fail'\n").ok();
    group.at(&node, &["send", "node1.bad.input", "1"]).ended(1);
    group.await_status(&node, "it has failed", |status| instance_status(status, "node1", "bad")["state"] == "failed");
    group.apply(&node, "set node1.bad.on_start = 'ok'\nset node1.bad.on_input = 'ok'\n").ok();
    assert_eq!(instance_status(&group.status(&node), "node1", "bad")["state"], "started");
    assert_eq!(group.ask(&node, "node1.bad.count"), 0, "it answers");
    goes_on(&group, &node);
}

#[test]
fn an_update_that_fails_is_rolled_back_to_the_old_value() {
    let (group, node) = beside_a_counter("update");
    group.apply(&node, "add node1.bad : Faulty\nset node1.bad.note = 'old'\nset node1.bad.on_update = 'fail'\n").ok();
    let outcome = group.apply(&node, "set node1.bad.note = 'new'\nset node1.counter.every = '9'\n").ended(5);
    assert!(outcome.stderr.contains("update fails, as ordered"), "{outcome}");
    assert_eq!(instance_status(&group.status(&node), "node1", "bad")["state"], "started");
    counts_on(&group, &node);
    group.apply(&node, "set node1.bad.note = 'old'\nset node1.bad.on_update = 'ok'\n").ok();
    group.apply(&node, "set node1.bad.note = 'newer'\n").ok();
    group.await_in_step(&node, 1);
}

/// The counter counts on. (A change would fail as before: the group still wants what this node has rolled back.)
#[track_caller]
fn counts_on(group: &Group, node: &Node) {
    let count = group.ask(node, "node1.counter.count").as_u64();
    group.await_reply(node, "node1.counter.count", |now| now.as_u64() > count);
}

#[test]
fn what_blocks_its_thread_is_given_up_and_the_node_adapts_on() {
    let (group, node) = beside_a_counter("block");
    let script = "add node1.bad : Faulty\nset node1.bad.on_start = 'block'\n";
    let outcome = group.apply(&node, script).ended(5);
    assert!(outcome.stderr.contains("node1"), "{outcome}");
    goes_on_beside_a_zombie(&group, &node);
    let findings = group.at(&node, &["doctor", "-o", "json"]).json();
    let threads = findings["items"].as_array().into_iter().flatten().find(|finding| finding["what"] == "threads");
    assert!(threads.is_some_and(|threads| threads["severity"] == "error"), "{findings:#}");
}

/// The zombie is out of the model; others come and run.
fn goes_on_beside_a_zombie(group: &Group, node: &Node) {
    group.apply(node, "remove node1.bad\n").ok();
    for n in 0..4 {
        group.apply(node, &format!("add node1.after{n} : Counter\n")).ok();
        assert_eq!(group.ask(node, &format!("node1.after{n}.count")), 0);
    }
    group.await_in_step(node, 1);
}

#[test]
fn an_update_that_panics_is_rolled_back_and_the_component_runs_on() {
    let (group, node) = beside_a_counter("update-panic");
    group.apply(&node, "add node1.bad : Faulty\nset node1.bad.note = 'old'\nset node1.bad.on_update = 'panic'\n").ok();
    let outcome = group.apply(&node, "set node1.bad.note = 'new'\n").ended(5);
    assert!(outcome.stderr.contains("update panics, as ordered"), "{outcome}");
    group.await_status(&node, "it runs again", |status| instance_status(status, "node1", "bad")["state"] == "started");
    assert!(group.ask(&node, "node1.bad.count").is_u64(), "it answers");
}

#[test]
fn what_crashed_too_often_starts_again_when_the_model_says_so() {
    let (group, node) = beside_a_counter("forgiven");
    let script = "add node1.bad : Faulty\nset node1.bad.on_input = 'panic'\nbind node1.bad.input ticks\n";
    group.apply(&node, script).ok();
    group.await_status(&node, "it is given up", |status| instance_status(status, "node1", "bad")["state"] == "failed");
    group.apply(&node, "unbind node1.bad.input ticks\nset node1.bad.on_input = 'ok'\nstop node1.bad\n").ok();
    group.apply(&node, "start node1.bad\n").ok();
    group.await_status(&node, "it runs again", |status| instance_status(status, "node1", "bad")["state"] == "started");
}

#[test]
fn values_that_are_set_while_an_instance_is_stopped_count_when_it_starts() {
    let (group, node) = beside_a_counter("stopped");
    group.apply(&node, "stop node1.ticker\n").ok();
    group.apply(&node, "set node1.ticker.down = 'true'\nstart node1.ticker\n").ok();
    let before = group.ask(&node, "node1.counter.sum").as_f64();
    group.await_reply(&node, "node1.counter.sum", |now| now.as_f64() != before);
    let tail = group.at(&node, &["tail", "ticks", "-n", "2", "-o", "jsonl"]).ok();
    let values: Vec<i64> = tail
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()?["value"].as_i64())
        .collect();
    assert!(values.len() >= 2 && values[1] < values[0], "it counts down: {tail}");
}
