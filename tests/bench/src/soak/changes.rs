//! The system that is soaked, and what changes in it.

use std::fmt::Write;

use serde_json::Value;

/// Components that come and go on a node. Their names are used again: a name that is gone is remembered for a day.
const SLOTS: usize = 6;

/// Numbers that look random, the same for the same seed (splitmix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    /// One of so many.
    pub(super) fn roll(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }
}

/// A change and what kind it is.
pub(super) struct Change {
    pub(super) kind: &'static str,
    pub(super) script: String,
}

/// The system: a ring, in which each node sends numbers and lines to the next one over several kinds of channel.
pub(super) fn system(names: &[String]) -> String {
    let mut script = String::new();
    for (idx, name) in names.iter().enumerate() {
        let next = &names[(idx + 1) % names.len()];
        let _ = write!(
            script,
            "add {name}.ticker : Ticker\n\
             set {name}.ticker.period = '10ms'\n\
             add {name}.counter : Counter\n\
             set {name}.counter.every = '100'\n\
             add {name}.source : Pipe\n\
             set {name}.source.command = 'while echo tick; do sleep 0.5; done'\n\
             add {name}.sink : Pipe\n\
             set {name}.sink.command = 'cat'\n\
             add {name}.printer : Printer\n\
             add ticks{idx} : Broadcast\n\
             add lines{idx} : Queue\n\
             add prints{idx} : RoundRobin\n\
             bind {name}.ticker.tick ticks{idx}\n\
             bind {name}.source.out lines{idx}\n\
             bind {name}.sink.out prints{idx}\n\
             bind {name}.printer.input prints{idx}\n"
        );
        let _ = write!(script, "add {next}.far : Counter\nbind {next}.far.input ticks{idx}\n");
        let _ = writeln!(script, "bind {name}.counter.input ticks{idx}");
    }
    for (idx, _) in names.iter().enumerate() {
        let _ = writeln!(script, "bind {}.sink.line lines{idx}", names[(idx + 1) % names.len()]);
    }
    let first = &names[0];
    let _ = write!(
        script,
        "add {first}.mover : Counter\n\
         bind {first}.mover.input ticks0\n\
         add {first}.web : WebServer/1.0.0\n\
         set {first}.web.port = '0'\n"
    );
    script
}

/// Some change to the model as it is.
pub(super) fn next(model: &Value, names: &[String], dice: &mut Dice) -> Change {
    let name = names[dice.roll(names.len())].as_str();
    let idx = dice.roll(names.len());
    let components = &model["nodes"][name]["components"];
    match dice.roll(8) {
        0 => Change { kind: "value", script: format!("set {name}.ticker.period = '{}ms'\n", 8 + dice.roll(8)) },
        1 => mover(model, names, dice),
        2 => upgrade(model, &names[0]),
        3 => {
            let stopped = components["printer"]["started"] == false;
            let verb = if stopped { "start" } else { "stop" };
            Change { kind: "start or stop", script: format!("{verb} {name}.printer\n") }
        }
        4 => channel(model, name, idx),
        5 => Change {
            kind: "process anew",
            script: format!(
                "set {name}.source.command = 'while echo tick{}; do sleep 0.5; done'\nstop {name}.source\n",
                dice.roll(10)
            ),
        },
        _ => slot(components, name, idx, dice.roll(SLOTS)),
    }
    .with_what_was_stopped(components, name)
}

impl Change {
    /// A source that an earlier change stopped starts again with the next change to its node.
    fn with_what_was_stopped(mut self, components: &Value, name: &str) -> Change {
        if components["source"]["started"] == false {
            self.script = format!("start {name}.source\n");
            self.kind = "start or stop";
        }
        self
    }
}

/// The component of a slot is added with a binding, or removed.
fn slot(components: &Value, name: &str, idx: usize, slot: usize) -> Change {
    if components[format!("extra{slot}")].is_object() {
        return Change { kind: "remove", script: format!("remove {name}.extra{slot}\n") };
    }
    let script = format!("add {name}.extra{slot} : Counter\nbind {name}.extra{slot}.input ticks{idx}\n");
    Change { kind: "add", script }
}

/// The mover goes to another node, with its state.
fn mover(model: &Value, names: &[String], dice: &mut Dice) -> Change {
    let at = names.iter().position(|name| model["nodes"][name]["components"]["mover"].is_object()).unwrap_or(0);
    let to = (at + 1 + dice.roll(names.len() - 1)) % names.len();
    Change { kind: "move", script: format!("move {}.mover {}\n", names[at], names[to]) }
}

/// The web server goes to the other version.
fn upgrade(model: &Value, first: &str) -> Change {
    let is = model["nodes"][first]["components"]["web"]["type"].as_str().unwrap_or_default();
    let to = if is.ends_with("/1.0.0") { "2.0.0" } else { "1.0.0" };
    Change { kind: "upgrade", script: format!("upgrade {first}.web : WebServer/{to}\n") }
}

/// A channel comes between two nodes, or goes.
fn channel(model: &Value, name: &str, idx: usize) -> Change {
    let side = format!("side{idx}");
    if model["channels"][&side].is_object() {
        return Change { kind: "channel", script: format!("remove {side}\n") };
    }
    let script = format!("add {side} : Hash\nbind {name}.ticker.tick {side}\nbind {name}.counter.input {side}\n");
    Change { kind: "channel", script }
}
