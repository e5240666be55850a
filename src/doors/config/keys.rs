//! Every key, once: its default, what it takes, what it is for.

use std::fmt::Write;

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A text.
    Text,
    /// A text out of a few.
    OneOf(&'static [&'static str]),
    /// Addresses as `tcp/HOST:PORT`; `tcp/` may be left out.
    Addresses,
    /// True or false.
    Flag,
    /// A whole number.
    Count,
    /// A time with its unit: `30s`, `500ms`.
    Duration,
}

/// A key of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name; a dot stands for a section of the file.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Its default as TOML; empty when there is none.
    pub default: &'static str,
    /// An example as TOML for keys without a default.
    pub example: &'static str,
    /// What it is for.
    pub doc: &'static str,
}

impl Key {
    /// The environment variable that sets it.
    pub fn variable(&self) -> String {
        format!("ENACT_{}", self.name.replace('.', "_").to_uppercase())
    }
}

const fn key(name: &'static str, takes: Takes, default: &'static str, doc: &'static str) -> Key {
    Key { name, takes, default, example: "", doc }
}

const fn unset(name: &'static str, takes: Takes, example: &'static str, doc: &'static str) -> Key {
    Key { name, takes, default: "", example, doc }
}

/// Every key, in the order of the sample file: first those without a section.
pub const KEYS: &[Key] = &[
    unset(
        "name",
        Takes::Text,
        "\"node1\"",
        "The node's name, unique in the group. Without one: the name of the machine.",
    ),
    key(
        "group",
        Takes::Text,
        "\"sync\"",
        "The group that the node attaches itself to. Nodes of other groups are not talked to.",
    ),
    key(
        "listen",
        Takes::Addresses,
        "[\"tcp/127.0.0.1:7700\"]",
        "Where the node listens. Left to the default, a port that is taken is replaced by a free one.\nAn address other than loopback needs insecure = true.",
    ),
    key(
        "join",
        Takes::Addresses,
        "[]",
        "Nodes to join where multicast does not reach: [\"tcp/192.168.1.10:7700\"]. One that answers is enough.",
    ),
    unset(
        "node",
        Takes::Addresses,
        "\"tcp/127.0.0.1:7700\"",
        "The node that a console talks to. Without one: any that answers.",
    ),
    key(
        "insecure",
        Takes::Flag,
        "false",
        "Whether to use addresses other than loopback although frames are neither encrypted nor authenticated.",
    ),
    unset(
        "data",
        Takes::Text,
        "\"/var/lib/enact\"",
        "The directory for what must survive a restart: history, plan under way, states. Without one: nothing survives.",
    ),
    unset(
        "boot",
        Takes::Text,
        "\"boot.kevs\"",
        "The script (.kevs) or model (.json) of a node that starts a new group.\nWithout one: the node adds itself and attaches itself to the group.",
    ),
    key("workers", Takes::Count, "0", "Threads that run components; 0 is one for each core."),
    key("multicast.enabled", Takes::Flag, "true", "Whether nodes of one subnet find each other by multicast."),
    unset(
        "multicast.address",
        Takes::Text,
        "\"239.77.0.1:7700\"",
        "The multicast address and port. Without one: 224.0.0.224 and a port that follows from the group's name.",
    ),
    unset(
        "multicast.interface",
        Takes::Text,
        "\"eth0\"",
        "The network interface for multicast, by name or address. Without one: loopback for a node that listens there alone,\nelse every one that can.",
    ),
    key(
        "log.level",
        Takes::Text,
        "\"info\"",
        "error, warn, info, debug or trace; or by module: \"info,enact::io=debug\".",
    ),
    key(
        "log.form",
        Takes::OneOf(&["auto", "human", "json"]),
        "\"auto\"",
        "How log lines look: human, json, or auto (human on a terminal, JSON lines elsewhere).",
    ),
    key("log.kept", Takes::Count, "10000", "Log records kept in memory for `enact logs`; at most 4 MiB of them."),
    key(
        "limits.step",
        Takes::Duration,
        "\"30s\"",
        "The longest that one step of an adaptation may take; then it has failed and is undone.",
    ),
    key(
        "limits.drain",
        Takes::Duration,
        "\"20s\"",
        "The longest that stopping everything may take when the node ends.",
    ),
    key(
        "limits.restarts",
        Takes::Count,
        "5",
        "Restarts of a crashing instance within limits.restart_window, before it has failed for good.",
    ),
    key("limits.restart_window", Takes::Duration, "\"30s\"", "See limits.restarts."),
    key(
        "limits.probation",
        Takes::Duration,
        "\"60s\"",
        "How long a node must run a revision until it is good. One that ends the process twice before is poison: the node starts\nthe last good one and waits for a newer. 0s: never.",
    ),
    key(
        "limits.suspect",
        Takes::Duration,
        "\"3s\"",
        "A node that is silent for this long counts as gone; below 500ms a busy machine loses nodes for nothing.",
    ),
    unset(
        "metrics.listen",
        Takes::Text,
        "\"127.0.0.1:9464\"",
        "Where metrics are served for Prometheus. Without one: nowhere (`enact metrics` works always).",
    ),
    key("console.search", Takes::Duration, "\"3s\"", "How long a console looks for a node."),
    key("console.wait", Takes::Duration, "\"60s\"", "How long `apply` waits until the group has converged."),
];

/// The key of a name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// A configuration file with every key, commented, with its default.
pub fn sample() -> String {
    let mut text = String::from(
        "# Configuration of an Enact node: every key with its default. A value comes from the flag, else from the environment\n\
         # (ENACT_ and the key in capitals, dots as underscores), else from ./enact.toml, else from\n\
         # $XDG_CONFIG_HOME/enact/config.toml (a file given with --config replaces both), else from the default.\n\
         # `enact config show --origin` says which.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (of, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if of != section {
            section = of;
            let _ = write!(text, "\n[{section}]\n");
        }
        text.push('\n');
        for line in key.doc.lines() {
            let _ = writeln!(text, "# {line}");
        }
        let _ = match key.default {
            "" => writeln!(text, "# {name} = {}", key.example),
            default => writeln!(text, "{name} = {default}"),
        };
    }
    text
}
