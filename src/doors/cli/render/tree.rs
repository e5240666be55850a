//! The group as a tree: nodes with what runs on them, then the channels.

use std::time::Duration;

use termtree::Tree;

use super::{count, span_text, status, type_text};
use crate::{
    doors::cli::paint,
    runtime::node::api::{ChannelStatus, InstanceStatus, NodeStatus, Status, Why, WhyStep},
    words::NodeName,
};

/// The whole group.
pub(crate) fn group(all: &Status) -> String {
    let kind = type_text(all.group_type.as_ref());
    let mut tree = Tree::new(format!("{} : {kind} ({})", paint::bold(all.group.as_str()), all.revision));
    let tops: Vec<&NodeStatus> = all.nodes.iter().filter(|node| !is_hosted(node, all)).collect();
    for top in tops {
        tree.push(node(top, all));
    }
    let mut text = tree.to_string();
    if !text.ends_with('\n') {
        text.push('\n');
    }
    for channel in &all.channels {
        text.push_str(&channel_line(channel));
        text.push('\n');
    }
    text
}

/// A node hangs below its host when the host is shown; a host that is not there hides nobody.
fn is_hosted(node: &NodeStatus, all: &Status) -> bool {
    let is_there = |host: &NodeName| all.nodes.iter().any(|other| other.name == *host);
    node.host.as_ref().is_some_and(is_there)
}

fn node(this: &NodeStatus, all: &Status) -> Tree<String> {
    let cause = if this.cause.is_empty() { String::new() } else { format!("  {}", this.cause) };
    let mut tree = Tree::new(format!("{} {}{cause}", paint::bold(this.name.as_str()), status::node_state(this.state)));
    let names: Vec<String> = this.instances.iter().map(name_and_type).collect();
    let width = names.iter().map(|name| paint::width(name)).max().unwrap_or(0);
    for (instance, name) in this.instances.iter().zip(&names) {
        tree.push(instance_line(instance, &paint::pad(name, width)));
    }
    for hosted in all.nodes.iter().filter(|other| other.host.as_ref() == Some(&this.name)) {
        tree.push(node(hosted, all));
    }
    tree
}

fn name_and_type(instance: &InstanceStatus) -> String {
    format!("{} : {}", instance.name, type_text(instance.type_ref.as_ref()))
}

fn instance_line(instance: &InstanceStatus, name: &str) -> String {
    let mut line = format!("{name}  {}", paint::pad(&status::instance_state(instance.state), 7));
    let rate = status::rate_text(&instance.counters);
    for part in [&instance.cause, &status::flow_text(instance), &instance.note, &rate] {
        if !part.is_empty() {
            line.push_str("  ");
            line.push_str(part);
        }
    }
    line.trim_end().to_owned()
}

fn channel_line(channel: &ChannelStatus) -> String {
    let mut line = format!("{} : {}", paint::bold(channel.name.as_str()), type_text(channel.type_ref.as_ref()));
    line.push_str(&format!("  {} in, {} out", channel.n_in, channel.n_out));
    if channel.counters.received + channel.counters.sent > 0 {
        line.push_str(&format!("  {:.1} msg/s  {} lost", channel.counters.per_s, channel.counters.lost));
    }
    if let Some(us) = channel.p99_us {
        line.push_str(&format!("  p99 {}", span_text(Duration::from_micros(us))));
    }
    if channel.counters.queued > 0 {
        line.push_str(&format!("  {} waiting", count(channel.counters.queued as usize, "message")));
    }
    if !channel.cause.is_empty() {
        line.push_str(&format!("  {} {}", status::instance_state(channel.state), channel.cause));
    }
    line
}

/// Why an instance is in its state.
pub(crate) fn why(why: &Why) -> String {
    let since = why.since.map(|at| format!(" since {}", super::clock_text(at, false))).unwrap_or_default();
    let cause = if why.cause.is_empty() { String::new() } else { format!("  {}", why.cause) };
    let title = format!(
        "{} : {}  {}{since}{cause}",
        why.path,
        type_text(why.type_ref.as_ref()),
        status::instance_state(why.state)
    );
    let mut tree = Tree::new(title);
    for below in &why.steps {
        tree.push(step(below));
    }
    let mut text = format!("{}\n", tree.to_string().trim_end());
    if !why.help.is_empty() {
        text.push_str(&format!("  would help: {}\n", why.help));
    }
    text
}

fn step(this: &WhyStep) -> Tree<String> {
    let mark = match this.holds {
        Some(true) => paint::green("✓"),
        Some(false) => paint::red("✗"),
        None => paint::dim("◌"),
    };
    Tree::new(format!("{mark} {}", this.text)).with_leaves(this.below.iter().map(step))
}
