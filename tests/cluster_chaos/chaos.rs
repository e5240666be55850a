//! Faults that nobody is spared: processes that are stopped, code that hangs or panics without end, strangers that send garbage or
//! next to nothing, clocks that are wrong. What everybody else does goes on, nothing is lost, and no process ends.
//!
//! The campaign: `ENACT_FAULTS=full cargo test --release -p enact-actors --test chaos -- --nocapture --test-threads 1`.

mod clocks;
mod garbage;
mod hangs;
mod slow;
mod stopped;
mod storms;

use enact_lab::{Group, Node, eventually, instance_status};

/// A ticker whose numbers reach every counter, in order and once.
const TICKS: &str = "\
    add node1.ticker : Ticker\n\
    set node1.ticker.period = '5ms'\n\
    add ticks : Broadcast\n\
    bind node1.ticker.tick ticks\n";

/// A counter on each of these nodes, which hears the ticker.
fn counters(nodes: &[&str]) -> String {
    let counter = |node: &&str| format!("add {node}.counter : Counter\nbind {node}.counter.input ticks\n");
    nodes.iter().map(counter).collect()
}

/// After the ticker has been stopped, every counter has got 1, 2, 3 and so on to the last number that the ticker has sent.
#[track_caller]
fn nothing_is_lost(group: &Group, node: &Node, nodes: &[&str]) -> u64 {
    group.apply(node, "stop node1.ticker\n").ok();
    let ask = |port: String| group.ask(node, &port).as_f64().unwrap_or(f64::NAN);
    let count = |of: &str| ask(format!("{of}.counter.count"));
    let ticker = || instance_status(&group.status(node), "node1", "ticker")["counters"]["sent"].as_f64();
    let settled = || ticker().is_some_and(|n_sent| n_sent > 0.0 && nodes.iter().all(|of| count(of) == n_sent));
    let told = || {
        format!(
            "{:?} were sent, {:?} counted\n{}",
            ticker(),
            nodes.iter().map(|of| count(of)).collect::<Vec<_>>(),
            node.log()
        )
    };
    eventually("all counters have counted what was sent", settled, told);
    for of in nodes {
        let (count, sum) = (count(of), ask(format!("{of}.counter.sum")));
        assert_eq!(sum, count * (count + 1.0) / 2.0, "{of} did not get each of {count} numbers once");
    }
    count(nodes[0]) as u64
}
