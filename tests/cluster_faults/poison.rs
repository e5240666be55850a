//! A revision that ends the process of a node is tried twice, and then left alone.

use enact_lab::{Group, Node, eventually, instance_status, node_status, tally::note, unharmed};

/// A group whose revisions are good after a moment.
fn group(name: &str) -> Group {
    Group::new(name).with("ENACT_LIMITS_PROBATION", "1s")
}

/// Waits until a node says that a revision runs well.
#[track_caller]
fn await_good(node: &Node, revision: &str) {
    let is_told = |line: &str| line.contains("runs well") && line.contains(&format!("\"{revision}\""));
    eventually(&format!("{revision} is good"), || node.log().lines().any(is_told), || node.log());
}

/// Forgets what a node that is gone has written.
fn forget_log(group: &Group, name: &str) {
    std::fs::remove_file(group.path(&format!("{name}.log"))).expect("nobody writes it any more");
}

/// Starts a node that crashes, so often.
#[track_caller]
fn crash(group: &mut Group, name: &str, more: &[&str], n_times: usize) {
    for _ in 0..n_times {
        let mut node = group.spawn(name, more);
        assert_eq!(node.wait(), None, "a signal ended it: {}", node.log());
    }
}

#[test]
fn a_revision_that_crashes_its_node_twice_is_left_alone_and_the_last_good_one_runs() {
    let mut group = group("poison");
    let mut node1 = group.start("node1");
    let mut node2 = group.start("node2");
    group.apply(&node1, "add node2.stays : Counter\nadd node2.moves : Counter\n").ok();
    await_good(&node2, &group.revision(&node1));

    let script = "move node2.moves node1\nadd node2.bad : Faulty\nset node2.bad.on_start = 'abort'\n";
    group.apply(&node1, script);
    assert_eq!(node2.wait(), None, "a signal ended it: {}", node2.log());
    let bad = group.revision(&node1);
    crash(&mut group, "node2", &[], 1);
    forget_log(&group, "node2");
    let mut node2 = group.spawn("node2", &[]);
    group.await_status(&node1, "node2 says that it is poisoned", |status| {
        node_status(status, "node2")["state"] == "poisoned"
    });
    let status = group.status(&node1);
    let shown = node_status(&status, "node2");
    assert_eq!(shown["poisoned"]["revision"], bad, "{status:#}");
    assert_eq!(shown["poisoned"]["nCrashes"], 2, "{status:#}");
    assert_eq!(shown["revision"], shown["poisoned"]["runs"], "{status:#}");
    assert_eq!(instance_status(&status, "node2", "stays")["state"], "started", "{status:#}");
    assert_eq!(instance_status(&status, "node1", "moves")["state"], "started", "it moved away: {status:#}");
    assert!(group.at(&node2, &["send", "node2.moves.count", "null", "--reply"]).code != 0, "and stays away");
    let table = group.at(&node1, &["status"]).ok().stdout;
    assert!(table.contains("it ended the process 2 times"), "{table}");
    assert!(node2.log().contains("poisoned"), "{}", node2.log());

    let outcome = group.apply(&node1, "add node1.other : Counter\n").ended(5);
    assert!(outcome.stderr.contains("poisoned"), "it asks the same of node2: {outcome}");
    assert_eq!(group.ask(&node1, "node1.other.count"), 0);
    let history = group.at(&node1, &["history"]).ok().stdout;
    assert!(history.contains("poisoned: node2"), "{history}");

    await_good(&node2, shown["revision"].as_str().expect("what runs instead"));
    assert_eq!(node2.terminate(), Some(0), "{}", node2.log());
    let mut node2 = group.spawn("node2", &[]);
    group.await_status(&node1, "it is left alone over restarts", |status| {
        node_status(status, "node2")["state"] == "poisoned"
    });
    group.apply(&node1, "remove node2.bad\n").ok();
    group.await_in_step(&node1, 2);
    assert_eq!(group.ask(&node1, "node2.stays.count"), 0);
    let grown = unharmed(&mut [&mut node1, &mut node2]);
    note(
        "a revision that ends the process",
        1,
        grown,
        "after two crashes the last good one runs, and the group is told",
    );
}

#[test]
fn a_node_whose_first_revision_crashes_it_boots_with_nothing_and_says_so() {
    let mut group = group("first");
    let script = "add node1 : EnactNode\nadd %group% : Gossip\nattach node1 %group%\n\
        add node1.bad : Faulty\nset node1.bad.on_start = 'abort'\n";
    group.write("boot.kevs", script);
    let boot = ["--boot", "boot.kevs"];
    crash(&mut group, "node1", &boot, 2);
    let mut node = group.spawn("node1", &boot);
    group.await_status(&node, "it is poisoned", |status| node_status(status, "node1")["state"] == "poisoned");
    let status = group.status(&node);
    let shown = node_status(&status, "node1");
    assert!(shown["poisoned"]["runs"].is_null(), "{status:#}");
    assert!(shown["cause"].as_str().is_some_and(|cause| cause.contains("nothing runs")), "{status:#}");
    group.apply(&node, "remove node1.bad\nadd node1.counter : Counter\n").ok();
    assert_eq!(group.ask(&node, "node1.counter.count"), 0);
    group.await_in_step(&node, 1);
    let grown = unharmed(&mut [&mut node]);
    note("a first revision that ends the process", 1, grown, "after two crashes nothing runs, and it says so");
}

#[test]
fn a_new_revision_with_the_same_fault_gets_its_own_trials() {
    let mut group = group("again");
    let mut node = group.start("node1");
    group.apply(&node, "add node1.counter : Counter\n").ok();
    await_good(&node, &group.revision(&node));
    group.apply(&node, "add node1.bad : Faulty\nset node1.bad.on_start = 'abort'\n");
    assert_eq!(node.wait(), None, "{}", node.log());
    crash(&mut group, "node1", &[], 1);
    let mut node = group.spawn("node1", &[]);
    let is_poisoned = |status: &serde_json::Value| node_status(status, "node1")["state"] == "poisoned";
    group.await_status(&node, "it is poisoned", is_poisoned);
    // Something else, and still the component that aborts.
    group.apply(&node, "set node1.counter.every = '7'\n");
    assert_eq!(node.wait(), None, "{}", node.log());
    crash(&mut group, "node1", &[], 1);
    let mut node = group.spawn("node1", &[]);
    group.await_status(&node, "it is poisoned by that one, too", is_poisoned);
    assert_eq!(group.ask(&node, "node1.counter.count"), 0, "the last good revision runs");
    let grown = unharmed(&mut [&mut node]);
    note("a new revision with the same fault", 1, grown, "it gets trials of its own, and the last good one runs");
}

#[test]
fn a_node_that_starts_again_where_a_push_failed_runs_what_ran_before() {
    let mut group = group("failed");
    let mut node = group.start("node1");
    group.apply(&node, "add node1.counter : Counter\n").ok();
    let good = group.revision(&node);
    await_good(&node, &good);
    let script = "add node1.bad : Faulty\nset node1.bad.on_start = 'fail'\nset node1.counter.every = '7'\n";
    group.apply(&node, script).ended(5);
    assert_eq!(group.ask(&node, "node1.counter.count"), 0, "it is rolled back");

    // What runs instead does not make what failed good.
    for _ in 0..2 {
        assert_eq!(node.terminate(), Some(0), "{}", node.log());
        node = group.spawn("node1", &[]);
        let (cause, instead) = ("start fails, as ordered", format!("{good}, which ran well before, runs instead"));
        group.await_status(&node, "it says what runs instead", |status| {
            let shown = node_status(status, "node1");
            let said = shown["cause"].as_str().unwrap_or_default();
            shown["state"] == "partial" && said.contains(cause) && said.contains(&instead)
        });
        let status = group.status(&node);
        assert_eq!(instance_status(&status, "node1", "counter")["state"], "started", "{status:#}");
        assert_eq!(group.ask(&node, "node1.counter.count"), 0);
    }

    // A push that mends nothing leads back to it, and one that mends it starts from there.
    group.apply(&node, "add node1.other : Counter\n").ended(5);
    assert_eq!(group.ask(&node, "node1.counter.count"), 0);
    group.apply(&node, "remove node1.bad\n").ok();
    group.await_in_step(&node, 1);
    assert_eq!(group.ask(&node, "node1.other.count"), 0);
    let grown = unharmed(&mut [&mut node]);
    note("a restart where a push had failed", 2, grown, "what ran well before runs, and it says so");
}

#[test]
fn a_node_that_starts_again_where_nothing_ran_well_says_why_nothing_runs() {
    let mut group = group("nothing");
    let script = "add node1 : EnactNode\nadd %group% : Gossip\nattach node1 %group%\n\
        add node1.bad : Faulty\nset node1.bad.on_start = 'fail'\n";
    group.write("boot.kevs", script);
    let boot = ["--boot", "boot.kevs"];
    let await_cause = |group: &Group, node: &Node| {
        group.await_status(node, "it says why nothing runs", |status| {
            let said = node_status(status, "node1")["cause"].as_str().unwrap_or_default();
            said.contains("start fails, as ordered") && !said.contains("instead")
        });
    };
    let mut node = group.spawn("node1", &boot);
    await_cause(&group, &node);
    assert_eq!(node.terminate(), Some(0), "{}", node.log());
    let node = group.spawn("node1", &boot);
    await_cause(&group, &node);
    group.apply(&node, "remove node1.bad\nadd node1.counter : Counter\n").ok();
    assert_eq!(group.ask(&node, "node1.counter.count"), 0);
    group.await_in_step(&node, 1);
}

#[test]
fn power_cuts_long_after_a_start_make_nothing_poison() {
    let mut group = group("power");
    let mut node = group.start("node1");
    group.apply(&node, "add node1.counter : Counter\n").ok();
    let good = group.revision(&node);
    for _ in 0..6 {
        // Said once in each life, when its probation is over.
        await_good(&node, &good);
        node.kill();
        forget_log(&group, "node1");
        node = group.start("node1");
    }
    let grown = unharmed(&mut [&mut node]);
    note("power cuts long after a start", 6, grown, "they are nothing that the revision did");
}
