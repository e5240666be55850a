//! How a group is, as tables.

use std::time::Duration;

use super::{span_text, table::Columns, type_text};
use crate::{
    doors::cli::paint,
    model::Kind,
    runtime::node::api::{Convergence, Counters, InstanceState, InstanceStatus, NodeState, NodeStatus, Status},
};

/// The group and its nodes; `wide` adds addresses, types and causes.
pub(crate) fn status(status: &Status, wide: bool) -> String {
    let mut group = Columns::new(&["GROUP", "REV", "NODES", "INSTANCES", "CHANNELS", "CONVERGED"]);
    let present = status.nodes.iter().filter(|node| !matches!(node.state, NodeState::Absent | NodeState::Suspected));
    group.row(vec![
        status.group.to_string(),
        status.revision.to_string(),
        format!("{}/{}", present.count(), status.nodes.len()),
        instances_text(status),
        status.channels.len().to_string(),
        converged_text(&status.convergence),
    ]);
    let mut headings = vec!["NODE", "STATE", "REV", "INSTANCES", "RTT", "LOAD", "UP", "VERSION"];
    if wide {
        headings.extend(["HOST", "LISTENS"]);
    }
    let mut nodes = Columns::new(&headings);
    for node in &status.nodes {
        let mut row = vec![
            node.name.to_string(),
            node_state(node.state),
            node.revision.as_ref().map(ToString::to_string).unwrap_or_default(),
            node_instances(node),
            rtt_text(node),
            node.load.map(|load| format!("{load:.1}")).unwrap_or_default(),
            node.up_ms.map(|ms| span_text(Duration::from_millis(ms))).unwrap_or_default(),
            node.version.clone().unwrap_or_default(),
        ];
        if wide {
            row.push(node.host.as_ref().map(ToString::to_string).unwrap_or_default());
            row.push(node.listen.join(" "));
        }
        nodes.row(row);
    }
    let mut text = group.render();
    text.push_str(&nodes.render());
    text.push_str(&troubles(status));
    text
}

/// A line for everything that is not as it should be, with its cause.
fn troubles(status: &Status) -> String {
    let mut lines = String::new();
    let mut tell = |path: String, state: String, cause: &str| {
        if !cause.is_empty() {
            lines.push_str(&format!("{} {path}  {state}: {cause}\n", paint::red("!")));
        }
    };
    for node in &status.nodes {
        tell(node.name.to_string(), node_state(node.state), &node.cause);
        for instance in node.instances.iter().filter(|instance| is_trouble(instance.state)) {
            tell(format!("{}.{}", node.name, instance.name), instance_state(instance.state), &instance.cause);
        }
    }
    for channel in status.channels.iter().filter(|channel| is_trouble(channel.state)) {
        tell(channel.name.to_string(), instance_state(channel.state), &channel.cause);
    }
    lines
}

/// Every instance and channel as one table, as `get` shows them.
pub(crate) fn instances(status: &Status, wide: bool) -> String {
    let mut headings = vec!["INSTANCE", "TYPE", "STATE"];
    headings.extend(if wide {
        vec!["RECEIVED", "SENT", "QUEUED", "LOST", "RESTARTS", "NOTE"]
    } else {
        vec!["RATE", "NOTE"]
    });
    let mut columns = Columns::new(&headings);
    let mut add = |path: String, kind: String, state: String, counters: &Counters, n_restarts: u32, note: String| {
        let mut row = vec![path, kind, state];
        if wide {
            let Counters { received, sent, queued, lost, .. } = counters;
            row.extend([received, sent, queued, lost].map(ToString::to_string));
            row.push(n_restarts.to_string());
        } else {
            row.push(rate_text(counters));
        }
        row.push(note);
        columns.row(row);
    };
    for node in &status.nodes {
        for instance in &node.instances {
            let note = if instance.cause.is_empty() { instance.note.clone() } else { instance.cause.clone() };
            let path = match instance.kind {
                Kind::Component => format!("{}.{}", node.name, instance.name),
                kind => format!("{} ({kind} on {})", instance.name, node.name),
            };
            let state = instance_state(instance.state);
            add(path, type_text(instance.type_ref.as_ref()), state, &instance.counters, instance.n_restarts, note);
        }
    }
    for channel in &status.channels {
        let ends = format!("{} in, {} out", channel.n_in, channel.n_out);
        let note = if channel.cause.is_empty() { ends } else { channel.cause.clone() };
        let state = instance_state(channel.state);
        add(channel.name.to_string(), type_text(channel.type_ref.as_ref()), state, &channel.counters, 0, note);
    }
    if columns.is_empty() { "nothing runs: the model has no instance yet\n".to_owned() } else { columns.render() }
}

/// A node's state in a word, in its colour.
pub(crate) fn node_state(state: NodeState) -> String {
    match state {
        NodeState::Ready => paint::green("ready"),
        NodeState::Adapting => paint::cyan("adapting"),
        NodeState::Partial => paint::yellow("partial"),
        NodeState::Suspected => paint::yellow("suspected"),
        NodeState::Absent => paint::red("absent"),
        NodeState::Degraded => paint::red("degraded"),
        NodeState::Poisoned => paint::red("poisoned"),
    }
}

/// An instance's state in capitals, in its colour.
pub(crate) fn instance_state(state: InstanceState) -> String {
    match state {
        InstanceState::Started => paint::green("STARTED"),
        InstanceState::Stopped => paint::dim("STOPPED"),
        InstanceState::Changing => paint::cyan("CHANGING"),
        InstanceState::Restarting => paint::yellow("RESTARTING"),
        InstanceState::Failed => paint::red("FAILED"),
        InstanceState::Unresolved => paint::red("UNRESOLVED"),
        InstanceState::Absent => paint::yellow("ABSENT"),
    }
}

/// Messages a second; empty where nothing ever passed.
pub(crate) fn rate_text(counters: &Counters) -> String {
    if counters.received + counters.sent == 0 { String::new() } else { format!("{:.1} msg/s", counters.per_s) }
}

fn is_trouble(state: InstanceState) -> bool {
    matches!(state, InstanceState::Failed | InstanceState::Restarting | InstanceState::Unresolved)
}

fn node_instances(node: &NodeStatus) -> String {
    let n_bad = node.instances.iter().filter(|instance| is_trouble(instance.state)).count();
    let n_good = node.instances.len() - n_bad;
    if n_bad == 0 { n_good.to_string() } else { format!("{n_good}+{n_bad}!") }
}

/// `9 started, 1 unresolved`
fn instances_text(status: &Status) -> String {
    let all = status.nodes.iter().flat_map(|node| node.instances.iter()).map(|instance| instance.state);
    let mut counts: Vec<(InstanceState, usize)> = Vec::new();
    for state in all.chain(status.channels.iter().map(|channel| channel.state)) {
        match counts.iter_mut().find(|(known, _)| *known == state) {
            Some((_, n)) => *n += 1,
            None => counts.push((state, 1)),
        }
    }
    counts.sort_by_key(|(state, _)| *state as u8);
    let word = |state| paint::plain(&instance_state(state)).to_lowercase();
    let parts: Vec<String> = counts.into_iter().map(|(state, n)| format!("{n} {}", word(state))).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn converged_text(convergence: &Convergence) -> String {
    let Convergence { n_converged, n_nodes, waiting, elapsed_ms } = convergence;
    if n_converged == n_nodes {
        let after = elapsed_ms.map(|ms| format!(" in {ms} ms")).unwrap_or_default();
        return paint::green(&format!("yes{after}"));
    }
    let mut text = format!("{n_converged} of {}", super::count(*n_nodes, "node"));
    if !waiting.is_empty() {
        text.push_str(&format!(" ({})", waiting.join("; ")));
    }
    paint::yellow(&text)
}

fn rtt_text(node: &NodeStatus) -> String {
    match node.rtt_us {
        _ if node.local => "local".to_owned(),
        Some(us) => format!("{:.1} ms", us as f64 / 1000.0),
        None => String::new(),
    }
}

/// What a component does with channels: `→ ticks`, `← ticks`.
pub(crate) fn flow_text(instance: &InstanceStatus) -> String {
    let to = instance.sends_to.iter().map(|channel| format!("→ {channel}"));
    let from = instance.receives_from.iter().map(|channel| format!("← {channel}"));
    to.chain(from).collect::<Vec<_>>().join(" ")
}
