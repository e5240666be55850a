//! A process that the system stops and lets go on, under load.

use std::time::Duration;

use crate::{TICKS, counters, nothing_is_lost};
use enact_lab::{
    Group, eventually, now,
    tally::{agreed_after, note, scale},
    unharmed,
};

/// For how long a node is stopped, in turn: too short to be noticed, long enough to be suspected, to count as gone.
const ASLEEP_MS: [u64; 4] = [6_000, 300, 1_500, 3_000];

#[test]
fn a_node_that_is_stopped_and_goes_on_delays_nobody_and_loses_nothing() {
    let mut group = Group::new("asleep");
    let mut node1 = group.start("node1");
    let mut node2 = group.start("node2");
    let mut node3 = group.start("node3");
    group.await_in_step(&node1, 3);
    group.apply(&node1, &format!("{TICKS}{}", counters(&["node2", "node3"]))).ok();
    group.await_reply(&node1, "node3.counter.count", |count| count.as_u64() >= Some(3));

    let n_rounds = scale(2, 20);
    let (mut noticed_ms, mut adapted_ms, mut agreed_ms) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..n_rounds {
        let asleep = Duration::from_millis(ASLEEP_MS[round % ASLEEP_MS.len()]);
        let said = node1.log().len();
        let begin = now();
        node3.signal("STOP");
        if asleep > Duration::from_secs(1) {
            eventually("the silence is noticed", || about(&node1.log()[said..], "node3"), || node1.log());
            noticed_ms.push(begin.elapsed().as_millis());
        }
        // The others go on: a change that they alone are concerned with, and their messages.
        let change = now();
        let script = format!("add node2.extra{round} : Counter");
        group.at(&node1, &["apply", "-e", &script, "--yes", "--no-wait"]).ok();
        group.await_reply(&node2, &format!("node2.extra{round}.count"), |count| *count == 0);
        adapted_ms.push(change.elapsed().as_millis());
        let count = group.ask(&node2, "node2.counter.count").as_u64();
        group.await_reply(&node2, "node2.counter.count", |now| now.as_u64() > count.map(|count| count + 50));
        std::thread::sleep(asleep.saturating_sub(begin.elapsed()));
        node3.signal("CONT");
        let heal = now();
        group.await_in_step(&node3, 3);
        group.await_in_step(&node1, 3);
        agreed_after(heal.elapsed());
        agreed_ms.push(heal.elapsed().as_millis());
    }
    let n_messages = nothing_is_lost(&group, &node1, &["node2", "node3"]);
    for (node, other) in [(&node1, "node2"), (&node2, "node1")] {
        assert!(!about(&node.log(), other), "{other} was thought dead: {}", node.log());
    }
    let grown = unharmed(&mut [&mut node1, &mut node2, &mut node3]);
    note(
        "SIGSTOP of a node under load, 0.3 to 6 s",
        n_rounds,
        grown,
        format!(
            "noticed after at most {} ms; a change between the others took at most {} ms meanwhile; all in step at most {} ms after \
             SIGCONT; {n_messages} messages to each of two receivers, none lost or doubled; no false death",
            most(&noticed_ms),
            most(&adapted_ms),
            most(&agreed_ms)
        ),
    );
}

/// Whether a log says that a node is silent or gone.
fn about(log: &str, node: &str) -> bool {
    let named = format!("\"peer\":\"{node}\"");
    log.lines().any(|line| line.contains(&named) && (line.contains("it may hang") || line.contains("peer down")))
}

fn most(times: &[u128]) -> u128 {
    times.iter().copied().max().unwrap_or_default()
}
