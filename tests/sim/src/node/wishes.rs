//! What people want in the world of nodes: a script, drawn from few names so that pushes meet.

use enact::{model::Model, words::NodeName};

use crate::chance::Chance;

const NODES: [&str; 5] = ["m0", "m1", "m2", "m3", "m4"];
const PARTS: [&str; 5] = ["a", "b", "c", "d", "e"];
const CABLES: [&str; 2] = ["x", "y"];
const METHODS: [&str; 3] = ["on_start", "on_stop", "on_update"];

/// The group that all nodes belong to.
pub(super) const GROUP: &str = "sim";

/// What a machine's node is called.
pub(super) fn node(idx: usize) -> NodeName {
    NodeName::parse(NODES[idx]).expect("a valid name")
}

/// The parts of a model: `node.part`, each with whether it is wanted running.
fn parts(model: &Model) -> Vec<(String, bool)> {
    model.components().map(|(node, name, part)| (format!("{node}.{name}"), part.instance.started)).collect()
}

/// Some change; it need not fit the model. Marked with its number, so that it can be found again.
pub(super) fn some(chance: &mut Chance, model: &Model, n_nodes: usize, number: usize, with_trouble: bool) -> String {
    let mut script = format!("meta {}.p{number} 'pushed'\n", NODES[chance.idx(n_nodes)]);
    for _ in 0..chance.between(1, 4) {
        script += &one(chance, model, n_nodes, with_trouble);
        script.push('\n');
    }
    script
}

fn one(chance: &mut Chance, model: &Model, n_nodes: usize, with_trouble: bool) -> String {
    let parts = parts(model);
    let node = NODES[chance.idx(n_nodes)];
    let cable = chance.pick(&CABLES);
    let value = chance.below(1000);
    if parts.is_empty() || chance.percent(25) {
        let name = chance.pick(&PARTS);
        let takes = if chance.percent(30) { chance.below(300) } else { 0 };
        let port = chance.pick(&[cable, "out"]);
        let cable_is_there = model.channels.keys().any(|channel| channel.as_str() == cable);
        let add_cable = if cable_is_there { String::new() } else { format!("add {cable} : Cable\n") };
        return format!(
            "{add_cable}add {node}.{name} : Part\nset {node}.{name}.takes = '{takes}ms'\nbind {node}.{name}.{port} {cable}"
        );
    }
    let (part, is_started) = &parts[chance.idx(parts.len())];
    match chance.below(if with_trouble { 12 } else { 9 }) {
        0 => format!("remove {part}"),
        1..=3 => format!("set {part}.value = '{value}'"),
        4 | 5 => format!("move {part} {node}"),
        6 => format!("{} {part}", if *is_started { "stop" } else { "start" }),
        7 => format!("bind {part}.{} {cable}", chance.pick(&[cable, "out"])),
        8 if chance.percent(40) => format!("remove {cable}"),
        8 => format!("set {cable}.capacity = '{}'", 10 + value),
        9 | 10 => {
            let how = chance.pick(&["ok", "ok", "fail", "panic", "hang"]);
            format!("set {part}.{} = '{how}'", chance.pick(&METHODS))
        }
        _ => format!("set {part}.on_beat = '{}'", chance.pick(&["ok", "panic"])),
    }
}

/// What makes everything well again: nothing misbehaves any more, and everything is told so.
pub(super) fn repair(model: &Model, number: usize) -> String {
    let mut script = format!("meta m0.p{number} 'pushed'\n");
    for (idx, (part, _)) in parts(model).iter().enumerate() {
        for method in METHODS.iter().chain(&["on_beat"]) {
            script += &format!("set {part}.{method} = 'ok'\n");
        }
        script += &format!("set {part}.value = '{}'\n", 2000 + idx);
    }
    script
}
