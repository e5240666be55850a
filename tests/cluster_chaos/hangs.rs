//! Methods that never return, one after another: each is given up at its limit, and the node is as usable as before.

use crate::{TICKS, counters, nothing_is_lost};
use enact_lab::{
    Group, instance_status, node_status,
    tally::{note, scale},
    unharmed,
};

#[test]
fn starts_and_stops_that_hang_are_given_up_one_after_another() {
    let mut group = Group::new("hangs").with("ENACT_LIMITS_STEP", "1s").with("ENACT_WORKERS", "8");
    let mut node = group.start("node1");
    group.apply(&node, &format!("{TICKS}{}", counters(&["node1"]))).ok();
    let n_rounds = scale(1, 10);
    for round in 0..n_rounds {
        for (how, of) in [("hang", "start"), ("block", "start"), ("hang", "stop"), ("block", "stop")] {
            let bad = format!("bad{round}{how}{of}");
            let added = group.apply(&node, &format!("add node1.{bad} : Faulty\nset node1.{bad}.on_{of} = '{how}'\n"));
            if of == "start" {
                added.ended(5).said(&[&bad, if how == "hang" { "1s" } else { "blocks its thread" }]);
                let status = group.status(&node);
                let cause = node_status(&status, "node1")["cause"].as_str().unwrap_or_default();
                assert!(cause.contains(&bad), "the step is named: {status:#}");
                assert_eq!(instance_status(&status, "node1", &bad)["state"], "absent", "{status:#}");
            } else {
                added.ok();
            }
            // Taken away it is gone, however it stops.
            group.apply(&node, &format!("remove node1.{bad}\n")).ok();
            let count = group.ask(&node, "node1.counter.count").as_u64();
            group.await_reply(&node, "node1.counter.count", |now| now.as_u64() > count);
        }
        group.apply(&node, &format!("add node1.good{round} : Counter\n")).ok();
        assert_eq!(group.ask(&node, &format!("node1.good{round}.count")), 0);
    }
    let findings = group.at(&node, &["doctor", "-o", "json"]).json();
    let threads = findings["items"].as_array().into_iter().flatten().find(|finding| finding["what"] == "threads");
    assert!(threads.is_some_and(|threads| threads["severity"] == "error"), "the zombies are told: {findings:#}");
    group.await_in_step(&node, 1);
    let n_messages = nothing_is_lost(&group, &node, &["node1"]);
    let grown = unharmed(&mut [&mut node]);
    note(
        "start or stop that hangs or blocks its thread",
        4 * n_rounds,
        grown,
        format!(
            "each given up at its limit and told with its name; zombies told by `doctor`; {n_messages} messages beside it, none lost"
        ),
    );
}
