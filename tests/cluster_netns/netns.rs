//! Two machines as two network namespaces, a real node on each: they find each other, and a cut of ten seconds under pushes on both
//! sides ends in one model, from which nothing is gone but what the conflict report names. Needs root and iproute2; says so and
//! passes where it cannot run.

mod cuts;
mod machines;
mod pushes;

use std::time::Duration;

use enact::io::clock::Stopwatch;
use enact_lab::tally::{agreed_after, note};
use machines::{Machines, Node, eventually, node_status};
use pushes::Pushes;
use serde_json::Value;

/// How long the cable is out.
const CUT: Duration = Duration::from_secs(10);

#[test]
fn two_nodes_find_each_other_by_multicast() {
    let Some(machines) = Machines::build("m") else { return };
    let _nodes = [machines.start(0, "left", &[]), machines.start(1, "right", &[])];
    machines.await_ready(&["left", "right"]);
}

#[test]
fn two_nodes_find_each_other_by_join_where_multicast_is_off() {
    let Some(machines) = Machines::build("j") else { return };
    let machines = machines.without_multicast();
    let left = machines.start(0, "left", &[]);
    let _right = machines.start(1, "right", &["--join", &left.address]);
    machines.await_ready(&["left", "right"]);
}

#[test]
fn a_name_used_twice_is_refused_and_another_group_told_once() {
    let Some(machines) = Machines::build("n") else { return };
    let left = machines.start(0, "left", &[]);
    machines.await_ready(&["left"]);
    let mut twin = machines.start(1, "left", &[]);
    assert_eq!(twin.wait(), Some(1), "{}", twin.log());
    assert!(twin.log().contains("a node named \"left\" is already in the group"), "{}", twin.log());
    let stranger = machines.start(1, "stranger", &["--join", &left.address, "--group", "elsewhere"]);
    let refused = |log: &str| log.lines().filter(|line| line.contains("elsewhere")).count();
    eventually("the stranger is refused by name and group", || refused(&left.log()) == 1);
    eventually("the stranger is told of it", || stranger.log().contains("this node is in \\\"elsewhere\\\""));
    drop(stranger);
    let again = machines.status(0);
    assert_eq!(again["nodes"].as_array().map(Vec::len), Some(1), "{again}");
    assert_eq!(refused(&left.log()), 1, "told once: {}", left.log());
}

/// Left sends to right over both kinds of channel; each side has something that only it changes, and both change the same ticker.
const SYSTEM: &str = "
    add left.ticker, left.source, left.mine : Ticker
    add right.counter, right.worker, right.mine, right.victim : Counter
    add ticks : Broadcast
    add jobs : Queue
    bind left.ticker.tick ticks
    bind right.counter.input ticks
    bind left.source.tick jobs
    bind right.worker.input jobs
    set left.ticker.period = '100ms'
    set left.source.period = '100ms'
";

#[test]
fn after_a_cut_under_pushes_on_both_sides_only_what_the_conflict_report_names_is_gone() {
    let Some(machines) = Machines::build("c") else { return };
    let mut nodes = [machines.start(0, "left", &[]), machines.start(1, "right", &[])];
    machines.await_ready(&["left", "right"]);
    nodes.iter_mut().for_each(Node::now_ready);
    machines.apply(0, &[SYSTEM]).ok();
    eventually("messages cross", || machines.ask(1, "right.counter.count") > 3.0);

    machines.cable("down");
    for side in 0..2 {
        eventually("the cut is noticed", || {
            node_status(&machines.status(side), ["right", "left"][side])["state"] == "absent"
        });
    }
    let pushes = push_on_both_sides(&machines);
    machines.cable("up");

    let heal = Stopwatch::start();
    machines.await_ready(&["left", "right"]);
    let mut models = [Value::Null, Value::Null];
    eventually("both have one model", || {
        models = [machines.model(0), machines.model(1)];
        models[0] == models[1] && (0..2).all(|side| converged(&machines, side))
    });
    agreed_after(heal.elapsed());
    for side in 0..2 {
        let history = machines.at(side, &["history", "-n", "10000", "-o", "json"]).ok().json();
        pushes.account_for(&models[0], &history);
    }
    assert!(pushes.n_overwritten(&machines.at(0, &["history", "-n", "10000", "-o", "json"]).ok().json()) >= 2);

    for port in ["right.counter.count", "right.worker.count"] {
        let before = machines.ask(1, port);
        eventually("messages cross again", || machines.ask(1, port) > before + 3.0);
    }
    nothing_is_lost_in_the_queue(&machines);
    let grown = nodes.iter_mut().map(Node::unharmed).max().unwrap_or_default();
    note(
        "a link that is down under pushes of both sides",
        1,
        grown,
        "gone is what the conflict report names, and nothing else",
    );
}

/// Pushes to the same and to different places on both sides, as long as the cable is out.
fn push_on_both_sides(machines: &Machines) -> Pushes {
    let mut pushes = Pushes::default();
    let cut = Stopwatch::start();
    let mut n = 0;
    while cut.elapsed() < CUT {
        n += 1;
        let period = |side: usize| format!("{}ms", 100 + 2 * n + side);
        for (side, name) in ["left", "right"].into_iter().enumerate() {
            let mut push = pushes.begin(machines, side);
            push.set("left.ticker", "period", &period(side));
            match name {
                "left" => push.set("left.mine", "period", &period(side)),
                _ => push.set("right.mine", "every", &n.to_string()),
            }
            push.add(&format!("{name}.c{n}"), "Counter");
            push.send();
        }
        // One side takes away what the other one sets.
        if n == 2 {
            let mut push = pushes.begin(machines, 1);
            push.set("right.victim", "every", "7");
            push.send();
            let mut push = pushes.begin(machines, 0);
            push.remove("right.victim");
            push.send();
        }
    }
    pushes
}

fn converged(machines: &Machines, side: usize) -> bool {
    let status = machines.status(side);
    status["convergence"]["nConverged"] == 2 && status["convergence"]["waiting"] == Value::Array(Vec::new())
}

/// The source sends 1, 2, 3 and so on. At least once: were one lost, the sum would be larger than that of the first so many numbers.
fn nothing_is_lost_in_the_queue(machines: &Machines) {
    machines.apply(0, &["stop left.source"]).ok();
    let ask = || ["count", "sum"].map(|what| machines.ask(1, &format!("right.worker.{what}")));
    let mut last = ask();
    eventually("the last message has come", || {
        let before = last;
        last = ask();
        before == last
    });
    let [count, sum] = last;
    assert!(sum <= count * (count + 1.0) / 2.0, "of {count} messages with the sum {sum}, one is missing");
}

#[test]
fn a_late_and_a_restarted_node_sync_before_they_start_anything() {
    let Some(machines) = Machines::build("l") else { return };
    let _left = machines.start(0, "left", &[]);
    let mut right = machines.start(1, "right", &[]);
    machines.await_ready(&["left", "right"]);
    machines
        .apply(0, &["add right.old : Ticker", "add late : EnactNode", "attach late $group", "add late.t : Ticker"])
        .ok();
    right.kill();
    eventually("the death is noticed", || node_status(&machines.status(0), "right")["state"] == "absent");
    machines.apply(0, &["remove right.old", "add right.new : Ticker"]).ok();
    let newest = machines.revision(0);

    // The restarted one has the old model on its disk, the late one is on the other machine too.
    let before = right.log().len();
    let right = machines.start(1, "right", &[]);
    machines.await_ready(&["left", "right"]);
    let adopted = first_adopted(&right.log()[before..]);
    assert!(adopted >= newest, "started r{adopted} before it knew r{newest}: {}", right.log());
    let late = machines.start_at(1, 7701, "late", &[]);
    machines.await_ready(&["left", "right", "late"]);
    let adopted = first_adopted(&late.log());
    assert!(adopted >= newest, "started r{adopted} before it knew r{newest}: {}", late.log());
    for (node, instances) in [("right", ["new"]), ("late", ["t"])] {
        let status = machines.status(0);
        let running: Vec<&str> = node_status(&status, node)["instances"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|instance| instance["kind"] == "component" && instance["state"] == "started")
            .map(|instance| instance["name"].as_str().unwrap())
            .collect();
        assert_eq!(running, instances, "{status}");
    }
}

/// The revision of the first adaptation that a log tells of.
fn first_adopted(log: &str) -> u64 {
    let adopted = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let first = adopted.into_iter().find(|line| line["message"] == "adopted").expect("it adopted something");
    machines::number(&first["revision"])
}
