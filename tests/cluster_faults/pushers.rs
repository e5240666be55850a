//! A steady stream of changes: values, plans of many steps, moves, upgrades. Each pusher has components of its own.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use enact_lab::{Dice, Group};

use crate::ledger::{ABSENT, Ledger};

/// How long a change may take to be answered by all.
const TIMEOUT: &str = "10s";

/// Components that come and go together.
const BATCH: usize = 12;

/// What a pusher is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    Rest,
    Value,
    Plan,
    Move,
    Upgrade,
}

impl Deed {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Deed::Rest => "rest",
            Deed::Value => "push",
            Deed::Plan => "plan",
            Deed::Move => "move",
            Deed::Upgrade => "upgrade",
        }
    }
}

/// A pusher. Lives on a thread of its own.
pub(crate) struct Pusher<'a> {
    pub(crate) n: usize,
    pub(crate) group: &'a Group,
    pub(crate) nodes: &'a [(String, String)],
    pub(crate) ledger: &'a Ledger,
    pub(crate) stop: &'a AtomicBool,
    pub(crate) doing: &'a Mutex<Vec<Deed>>,
}

/// What the pushers work on, as a script for all of them.
pub(crate) fn first_script(n_pushers: usize, nodes: &[(String, String)]) -> String {
    let mut script = String::from("add beat : Broadcast\n");
    for n in 0..n_pushers {
        let home = &nodes[n % nodes.len()].0;
        let next = &nodes[(n + 1) % nodes.len()].0;
        script.push_str(&format!(
            "add {home}.note{n} : Faulty\nadd {home}.mover{n} : Counter\n\
             add {home}.web{n} : WebServer/1.0.0\nset {home}.web{n}.port = '0'\n\
             add {next}.ticker{n} : Ticker\nset {next}.ticker{n}.period = '50ms'\n\
             bind {next}.ticker{n}.tick beat\nbind {home}.mover{n}.input beat\n"
        ));
    }
    script
}

impl Pusher<'_> {
    /// Pushes until it is told to stop.
    pub(crate) fn run(&self, seed: u64) {
        let mut dice = Dice::of(seed);
        let mut n_done = 0;
        let mut batches: Vec<(usize, String)> = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            n_done += 1;
            match dice.below(10) {
                0..5 => self.value(n_done, &mut dice),
                5 => self.move_on(&mut dice),
                6 => self.upgrade(&mut dice),
                7 | 8 if batches.len() < 4 => {
                    let node = dice.pick(self.nodes).0.clone();
                    if self.add_batch(n_done, &node, &mut dice) {
                        batches.push((n_done, node));
                    }
                }
                _ => {
                    if let Some((n, node)) = batches.pop() {
                        self.remove_batch(n, &node, &mut dice);
                    }
                }
            }
            self.is_at(Deed::Rest);
        }
    }

    fn is_at(&self, deed: Deed) {
        self.doing.lock().unwrap_or_else(PoisonError::into_inner)[self.n] = deed;
    }

    /// Applies a script at any node; whether it was acknowledged.
    fn apply(&self, deed: Deed, script: &str, dice: &mut Dice) -> bool {
        self.is_at(deed);
        let (_, address) = dice.pick(self.nodes);
        // Some wait until all have answered, some only until it is safe.
        let waits: &[&str] = if dice.below(2) == 0 { &["--no-wait"] } else { &["--timeout", TIMEOUT] };
        let done = self.group.to(address, &[&["apply", "-e", script, "--yes", "-o", "json"], waits].concat());
        // 5: some node has rolled it back. 7, with an outcome: some node has not answered in time. The group has taken it all the
        // same. 7 without one: the node itself has not answered, so nothing was acknowledged.
        matches!(done.code, 0 | 5) || done.code == 7 && done.stdout.contains("\"revision\"")
    }

    fn value(&self, n_done: usize, dice: &mut Dice) {
        let (n, value) = (self.n, n_done.to_string());
        let home = &self.nodes[n % self.nodes.len()].0;
        let register = format!("note{n}.note");
        self.ledger.ask(&register, &value);
        if self.apply(Deed::Value, &format!("set {home}.note{n}.note = '{value}'"), dice) {
            self.ledger.acknowledge(&register);
        }
    }

    fn add_batch(&self, n_done: usize, node: &str, dice: &mut Dice) -> bool {
        let names: Vec<String> = (0..BATCH).map(|k| format!("b{}n{n_done}k{k}", self.n)).collect();
        let script: String =
            names.iter().map(|name| format!("add {node}.{name} : Counter\nbind {node}.{name}.input beat\n")).collect();
        let registers: Vec<String> = names.iter().map(|name| format!("at {name}")).collect();
        registers.iter().for_each(|register| self.ledger.ask(register, node));
        let is_acknowledged = self.apply(Deed::Plan, &script, dice);
        if is_acknowledged {
            registers.iter().for_each(|register| self.ledger.acknowledge(register));
        }
        is_acknowledged
    }

    fn remove_batch(&self, n: usize, node: &str, dice: &mut Dice) {
        let names: Vec<String> = (0..BATCH).map(|k| format!("b{}n{n}k{k}", self.n)).collect();
        let registers: Vec<String> = names.iter().map(|name| format!("at {name}")).collect();
        registers.iter().for_each(|register| self.ledger.ask(register, ABSENT));
        let script: String = names.iter().map(|name| format!("remove {node}.{name}\n")).collect();
        if self.apply(Deed::Plan, &script, dice) {
            registers.iter().for_each(|register| self.ledger.acknowledge(register));
        }
    }

    fn move_on(&self, dice: &mut Dice) {
        let name = format!("mover{}", self.n);
        let to = dice.pick(self.nodes).0.clone();
        let register = format!("at {name}");
        self.ledger.ask(&register, &to);
        // Wherever it is: a move whose answer was lost may have taken it anywhere.
        let from: Vec<&str> = self.nodes.iter().map(|(node, _)| node.as_str()).filter(|node| *node != to).collect();
        if from.iter().any(|from| self.apply(Deed::Move, &format!("move {from}.{name} {to}"), dice)) {
            self.ledger.acknowledge(&register);
        }
    }

    fn upgrade(&self, dice: &mut Dice) {
        let (n, version) = (self.n, *dice.pick(&["1.0.0", "2.0.0"]));
        let home = &self.nodes[n % self.nodes.len()].0;
        let register = format!("type web{n}");
        self.ledger.ask(&register, version);
        if self.apply(Deed::Upgrade, &format!("upgrade {home}.web{n} : WebServer/{version}"), dice) {
            self.ledger.acknowledge(&register);
        }
    }
}
