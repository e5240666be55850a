//! Nodes are killed at random moments of pushes, plans, moves and upgrades: nothing that was acknowledged is lost, and soon after
//! the last one has come back all agree.
//!
//! Twenty kills by default; `ENACT_KILLS=200 cargo test --release -p enact-actors --test faults kills -- --nocapture` prints a table
//! of what was hit and what came of it, and the same as lines of JSON. `ENACT_SEED` chooses the moments.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use enact_lab::{
    Dice, Group, Node, eventually, now,
    tally::{Grown, agreed_after},
    unharmed,
};
use serde_json::{Value, json};

use crate::{
    ledger::Ledger,
    pushers::{Deed, Pusher, first_script},
};

const N_NODES: usize = 4;
const N_PUSHERS: usize = 2;

/// Kills unless the environment says otherwise: what a test run can afford.
const KILLS: u64 = 20;

/// The longest pauses of the killer.
const BEFORE_KILL_MS: u64 = 400;
const BEFORE_RESTART_MS: u64 = 200;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The nodes, and how each is started.
struct Nodes<'a> {
    group: &'a Group,
    commands: Vec<Command>,
    running: Vec<Node>,
    n_starts: Vec<usize>,
    /// What was hit, and how often.
    hits: BTreeMap<String, usize>,
}

impl Nodes<'_> {
    fn start(&mut self, idx: usize) {
        let old = &self.running[idx];
        let child = self.commands[idx].spawn().expect("the binary is there");
        self.running[idx] = self.group.adopt(&old.name.clone(), old.address.clone(), child);
        self.n_starts[idx] += 1;
    }

    /// Whether a node has come up since its last start.
    fn is_ready(&self, idx: usize) -> bool {
        let is_told = |line: &&str| line.contains("\"ready\"");
        self.running[idx].log().lines().filter(is_told).count() >= self.n_starts[idx]
    }

    /// Kills a node at whatever it is at. One that is ready stays.
    fn kill_one(&mut self, dice: &mut Dice, doing: &Mutex<Vec<Deed>>) {
        let n = self.running.len();
        let victim = dice.below(n as u64) as usize;
        let is_ready = self.is_ready(victim);
        if !(0..n).any(|other| other != victim && self.is_ready(other)) {
            return thread::sleep(Duration::from_millis(50));
        }
        thread::sleep(Duration::from_millis(dice.below(BEFORE_KILL_MS)));
        let name = self.running[victim].name.clone();
        assert!(self.running[victim].runs(), "{name} has ended by itself: {}", self.running[victim].log());
        let during: Vec<Deed> = doing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.running[victim].kill();
        let during = during.into_iter().max().unwrap_or(Deed::Rest).name();
        let what = format!("kill -9 during {during}{}", if is_ready { "" } else { ", while it starts" });
        *self.hits.entry(what).or_default() += 1;
        thread::sleep(Duration::from_millis(dice.below(BEFORE_RESTART_MS)));
        // What a crashed node had counted as up is over: it says "ready" anew.
        self.n_starts[victim] = self.running[victim].log().lines().filter(|line| line.contains("\"ready\"")).count();
        self.start(victim);
    }

    fn n_killed(&self) -> usize {
        self.hits.values().sum()
    }
}

#[test]
fn nodes_that_are_killed_at_any_moment_lose_nothing_that_was_acknowledged() {
    let n_kills = setting("ENACT_KILLS").unwrap_or(KILLS);
    let seed = setting("ENACT_SEED").unwrap_or(1);
    // Kills are no fault of the revision that they hit; how poison is found has tests of its own.
    let mut group = Group::new("kills").with("ENACT_LIMITS_PROBATION", "0s").with("ENACT_CONSOLE_SEARCH", "300ms");
    let names: Vec<String> = (1..=N_NODES).map(|n| format!("node{n}")).collect();
    let running: Vec<Node> = names.iter().map(|name| group.start(name)).collect();
    let commands: Vec<Command> = names.iter().map(|name| group.logged_node(name).0).collect();
    let places: Vec<(String, String)> = running.iter().map(|node| (node.name.clone(), node.address.clone())).collect();
    group.apply(&running[0], &first_script(N_PUSHERS, &places)).ok();

    let group = &group;
    let mut nodes = Nodes { group, commands, running, n_starts: vec![1; N_NODES], hits: BTreeMap::new() };
    let (ledger, stop, doing) = (Ledger::default(), AtomicBool::new(false), Mutex::new(vec![Deed::Rest; N_PUSHERS]));
    thread::scope(|scope| {
        for n in 0..N_PUSHERS {
            let pusher = Pusher { n, group, nodes: &places, ledger: &ledger, stop: &stop, doing: &doing };
            scope.spawn(move || pusher.run(seed * 1000 + n as u64));
        }
        let mut dice = Dice::of(seed);
        while (nodes.n_killed() as u64) < n_kills {
            nodes.kill_one(&mut dice, &doing);
        }
        stop.store(true, Ordering::Relaxed);
    });
    let begin = now();
    for idx in 0..N_NODES {
        eventually("every node is back", || nodes.is_ready(idx), || nodes.running[idx].log());
    }
    let model = agree(group, &nodes.running);
    let agreed = begin.elapsed();
    let grown = unharmed(&mut nodes.running.iter_mut().collect::<Vec<_>>());
    tell(&nodes.hits, &ledger, seed, agreed, grown);

    let missing = ledger.missing(&model);
    assert!(missing.is_empty(), "seed {seed}: acknowledged and lost:\n{}", missing.join("\n"));
    moves_keep_their_state(group, &nodes.running, &model);
    nothing_is_left_over(group, &nodes.running);
    agreed_after(agreed);
}

/// Waits until all nodes run the same model, all of it; gives the model.
fn agree(group: &Group, nodes: &[Node]) -> Value {
    for node in nodes {
        group.await_status(node, "all are in step, and everything runs", |status| {
            let all = status["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
            all.len() == nodes.len()
                && all.iter().all(|node| node["state"] == "ready" && node["revision"] == status["revision"])
                && all.iter().all(|node| {
                    let instances = node["instances"].as_array().map(Vec::as_slice).unwrap_or_default();
                    instances.iter().all(|instance| instance["state"] == "started")
                })
        });
    }
    let models: Vec<Value> =
        nodes.iter().map(|node| group.at(node, &["get", "-o", "json"]).ok().json()["model"].clone()).collect();
    for model in &models {
        assert_eq!(*model, models[0], "all have the same model");
    }
    models[0].clone()
}

/// Each mover goes to another node and keeps what it has counted.
fn moves_keep_their_state(group: &Group, nodes: &[Node], model: &Value) {
    let tickers: String =
        (0..N_PUSHERS).map(|n| format!("stop {}.ticker{n}\n", nodes[(n + 1) % nodes.len()].name)).collect();
    group.apply(&nodes[0], &tickers).ok();
    for n in 0..N_PUSHERS {
        let name = format!("mover{n}");
        let all = model["nodes"].as_object().expect("nodes");
        let from = all.iter().find(|(_, node)| node["components"].get(&name).is_some()).expect("it is in the model").0;
        let to = &nodes.iter().find(|node| node.name != *from).expect("there are several").name;
        let mut count = group.ask(&nodes[0], &format!("{from}.{name}.count"));
        let is_still = || {
            let now = group.ask(&nodes[0], &format!("{from}.{name}.count"));
            std::mem::replace(&mut count, now.clone()) == now
        };
        eventually("nothing comes any more", is_still, String::new);
        assert!(count.as_u64() > Some(0), "it has counted");
        group.apply(&nodes[0], &format!("move {from}.{name} {to}\n")).ok();
        assert_eq!(group.ask(&nodes[0], &format!("{to}.{name}.count")), count, "{name} has kept its state");
    }
}

/// When the model wants nothing, nothing runs: no instance was ever started twice, or forgotten.
fn nothing_is_left_over(group: &Group, nodes: &[Node]) {
    let model = group.at(&nodes[0], &["get", "-o", "json"]).ok().json()["model"].clone();
    let mut script = String::from("remove beat\n");
    for (node, found) in model["nodes"].as_object().expect("nodes") {
        for component in found["components"].as_object().into_iter().flatten() {
            script.push_str(&format!("remove {node}.{}\n", component.0));
        }
    }
    group.apply(&nodes[0], &script).ok();
    for node in nodes {
        let metrics = group.at(node, &["metrics"]).ok().stdout;
        let running = metrics.lines().filter(|line| line.starts_with("enact_instances{"));
        let n_left: f64 = running.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum();
        assert!(n_left == 0.0, "something runs that nobody wants: {metrics}");
    }
}

/// Prints what was hit and what came of it: as a table, and as lines of JSON.
fn tell(hits: &BTreeMap<String, usize>, ledger: &Ledger, seed: u64, agreed: Duration, grown: Grown) {
    let seconds = agreed.as_secs_f64();
    let outcome = format!("{} acknowledged, agreed after {seconds:.1} s, memory {grown}", ledger.n_acknowledged());
    println!("{:44} {:>5}  outcome (seed {seed})", "fault", "count");
    for (what, count) in hits {
        println!("{what:44} {count:>5}  {outcome}");
    }
    for (what, count) in hits {
        let agreed_ms = agreed.as_millis() as u64;
        let line = json!({
            "fault": what, "count": count, "seed": seed, "nAcknowledged": ledger.n_acknowledged(), "agreedMs": agreed_ms,
        });
        println!("{line}");
    }
}
