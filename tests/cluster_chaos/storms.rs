//! Components that panic at every message, and at every start: given up after five restarts, and nobody else notices.

use std::fmt::Write;

use crate::{TICKS, counters, nothing_is_lost};
use enact_lab::{
    Group, instance_status,
    tally::{note, scale},
    unharmed,
};

/// Restarts of one instance before it is given up (`limits.restarts`).
const RESTARTS_MAX: u64 = 5;

#[test]
fn panic_storms_end_after_five_restarts_each_and_disturb_nobody() {
    let mut group = Group::new("storm");
    let mut node = group.start("node1");
    group.apply(&node, &format!("{TICKS}{}", counters(&["node1"]))).ok();
    let n_bad = scale(3, 30);
    // Bound once they run: one that is hit while the plan still starts it is a plan that fails, and no storm.
    let (mut births, mut bindings) = (String::new(), String::new());
    for n in 0..n_bad {
        let _ = write!(births, "add node1.bad{n} : Faulty\nset node1.bad{n}.on_input = 'panic'\n");
        let _ = writeln!(bindings, "bind node1.bad{n}.input ticks");
    }
    group.apply(&node, &births).ok();
    group.apply(&node, &bindings).ok();
    let state_of = |status: &serde_json::Value, n: usize| instance_status(status, "node1", &format!("bad{n}")).clone();
    group
        .await_status(&node, "all are given up", |status| (0..n_bad).all(|n| state_of(status, n)["state"] == "failed"));
    let status = group.status(&node);
    for n in 0..n_bad {
        let bad = state_of(&status, n);
        assert!(bad["nRestarts"].as_u64() <= Some(RESTARTS_MAX), "{bad:#}");
        assert!(bad["cause"].as_str().is_some_and(|cause| cause.contains("input panics, as ordered")), "{bad:#}");
    }

    // One that started well and panics whenever it is started again.
    group.apply(&node, "add node1.worse : Faulty\n").ok();
    group.apply(&node, "set node1.worse.on_start = 'panic'\nset node1.worse.on_input = 'panic'\n").ok();
    group.at(&node, &["send", "node1.worse.input", "1"]).ended(1);
    group
        .await_status(&node, "it is given up", |status| instance_status(status, "node1", "worse")["state"] == "failed");
    let worse = instance_status(&group.status(&node), "node1", "worse").clone();
    assert!(worse["nRestarts"].as_u64() <= Some(RESTARTS_MAX), "{worse:#}");
    assert!(worse["cause"].as_str().is_some_and(|cause| cause.contains("start panics, as ordered")), "{worse:#}");

    group.apply(&node, "remove node1.worse\n").ok();
    for n in 0..n_bad {
        group.apply(&node, &format!("remove node1.bad{n}\n")).ok();
    }
    group.await_in_step(&node, 1);
    let n_messages = nothing_is_lost(&group, &node, &["node1"]);
    let grown = unharmed(&mut [&mut node]);
    note(
        "component that panics at each message, or at each start",
        n_bad + 1,
        grown,
        format!(
            "at most {RESTARTS_MAX} restarts each, then failed with its cause; {n_messages} messages beside them, none lost"
        ),
    );
}
