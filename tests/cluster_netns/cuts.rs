//! Cuts of every kind between two machines, under changes and messages: when it is over, both agree, and nothing that either side
//! acknowledged is gone.

use enact::io::clock::Stopwatch;
use enact_lab::tally::{agreed_after, note, scale};
use serde_json::Value;

use crate::machines::{Machines, Node, eventually, node_status};

/// Messages cross, and each side has a counter whose `every` only it changes. They are kept however long a busy machine takes: after the
/// usual half a minute they would be given up, as promised.
const SYSTEM: &str = "
    add left.ticker : Ticker
    add right.counter, left.mine, right.mine : Counter
    add ticks : Broadcast
    bind left.ticker.tick ticks
    bind right.counter.input ticks
    set left.ticker.period = '20ms'
    set ticks.keep = '1h'
";

const SIDES: [&str; 2] = ["left", "right"];

/// A way between the machines that is broken now and again.
struct Trial {
    machines: Machines,
    nodes: [Node; 2],
    /// The last value that each side has acknowledged.
    acknowledged: [usize; 2],
    n_pushes: usize,
    agreed_ms: Vec<u128>,
}

impl Trial {
    fn begin(test: &str) -> Option<Trial> {
        let machines = Machines::build(test)?;
        let mut nodes = [machines.start(0, "left", &[]), machines.start(1, "right", &[])];
        machines.await_ready(&SIDES);
        nodes.iter_mut().for_each(Node::now_ready);
        machines.apply(0, &[SYSTEM]).ok();
        eventually("messages cross", || machines.ask(1, "right.counter.count") > 3.0);
        Some(Trial { machines, nodes, acknowledged: [1, 1], n_pushes: 0, agreed_ms: Vec::new() })
    }

    /// Each side changes what is its own, whatever the other hears of it.
    fn push(&mut self) {
        self.n_pushes += 1;
        let value = self.n_pushes + 1;
        for (side, name) in SIDES.iter().enumerate() {
            let script = format!("set {name}.mine.every = '{value}'");
            // 0 when the other has answered or counts as gone. 7 when it is silent, if the outcome is told: this side has it on
            // disk. A 7 without it is of a request that this side itself has not answered in time, so nothing was acknowledged.
            eventually("a change is taken though there is no way to the other", || {
                let done = self.machines.at(side, &["apply", "-e", &script, "--yes", "--timeout", "2s", "-o", "json"]);
                done.code == 0 || done.code == 7 && done.stdout.contains("\"revision\"")
            });
            self.acknowledged[side] = value;
        }
    }

    /// The way is whole again: both come to one model, with all that was acknowledged in it.
    fn agree(&mut self) {
        let heal = Stopwatch::start();
        let machines = &self.machines;
        let mut status = Value::Null;
        for (side, other) in [(0, "right"), (1, "left")] {
            eventually(&format!("{other} is ready and both agree"), || {
                status = machines.status(side);
                node_status(&status, other)["state"] == "ready" && status["convergence"]["nConverged"] == 2
            });
        }
        eventually("both have one model", || machines.model(0) == machines.model(1));
        agreed_after(heal.elapsed());
        self.agreed_ms.push(heal.elapsed().as_millis());
        let model = machines.model(0);
        for (side, name) in SIDES.iter().enumerate() {
            let every = model["nodes"][name]["components"]["mine"]["dictionary"]["every"].as_str().unwrap_or("1");
            let wanted = self.acknowledged[side];
            assert!(every.parse().is_ok_and(|every: usize| every >= wanted), "{name} acknowledged {wanted}: {every}");
        }
    }

    /// Everything sent has arrived once and in order, and nobody has ended or panicked.
    fn end(mut self, fault: &str, count: usize) {
        let machines = &self.machines;
        machines.apply(0, &["stop left.ticker"]).ok();
        let n_sent = || enact_lab::instance_status(&machines.status(0), "left", "ticker")["counters"]["sent"].as_f64();
        let mut n_messages = 0.0;
        eventually("all that was sent has come", || {
            n_messages = machines.ask(1, "right.counter.count");
            n_sent().is_some_and(|n_sent| n_sent > 0.0 && n_messages == n_sent)
        });
        let sum = machines.ask(1, "right.counter.sum");
        let logs = self.nodes.each_ref().map(Node::log).join("\n");
        assert_eq!(sum, n_messages * (n_messages + 1.0) / 2.0, "each of {n_messages} messages once:\n{logs}");
        let grown = self.nodes.iter_mut().map(Node::unharmed).max().unwrap_or_default();
        let most = self.agreed_ms.iter().max().copied().unwrap_or_default();
        let pushes = 2 * self.n_pushes;
        note(
            fault,
            count,
            grown,
            format!(
                "one model at most {most} ms after the heal; {pushes} pushes, none that was acknowledged is gone; {n_messages} messages, \
                 each once"
            ),
        );
    }
}

#[test]
fn after_a_cut_in_one_direction_both_agree() {
    let Some(mut trial) = Trial::begin("o") else { return };
    let n_rounds = scale(2, 10);
    for round in 0..n_rounds {
        let deaf = round % 2;
        if !trial.machines.filter(deaf, "drop") {
            return;
        }
        (0..3).for_each(|_| trial.push());
        trial.machines.unfilter(deaf);
        trial.agree();
    }
    trial.end("cut in one direction", n_rounds);
}

#[test]
fn through_the_loss_of_a_third_of_all_packets_changes_and_messages_go_on() {
    let Some(mut trial) = Trial::begin("p") else { return };
    let n_rounds = scale(1, 10);
    for _ in 0..n_rounds {
        for side in 0..2 {
            if !trial.machines.filter(side, "numgen random mod 100 < 30 drop") {
                return;
            }
        }
        (0..4).for_each(|_| trial.push());
        (0..2).for_each(|side| trial.machines.unfilter(side));
        trial.agree();
    }
    trial.end("30 % of all packets lost", n_rounds);
}

#[test]
fn after_a_cable_that_flaps_both_agree() {
    let Some(mut trial) = Trial::begin("f") else { return };
    let n_rounds = scale(1, 5);
    for round in 0..n_rounds {
        for flap in 0..6 {
            trial.machines.cable("down");
            if (round + flap) % 3 == 0 {
                trial.push();
            }
            std::thread::sleep(std::time::Duration::from_millis(200 + 400 * (flap as u64 % 3)));
            trial.machines.cable("up");
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        trial.agree();
    }
    trial.end("cable that flaps, 6 times", n_rounds);
}
