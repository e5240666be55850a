//! The worlds there are.

use std::{fmt, str::FromStr};

use crate::{
    engine, gossip, node, plan,
    trace::{Checked, Trace},
};

/// A world: members, what happens to them, and what must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum World {
    /// How models spread: the core of groups.
    Gossip,
    /// What nodes owe each other: the cores of links and of membership.
    Engine,
    /// How a node gets from one model to another: the core of plans and their runs.
    Plan,
    /// What runs: nodes with all their actors.
    Node,
}

/// One of so many seeds of `all` is run in the world of nodes.
pub(crate) const NODE_SHARE: u64 = 10;

impl World {
    /// All of them, in the order in which they are run.
    pub(crate) const ALL: [World; 4] = [World::Gossip, World::Engine, World::Plan, World::Node];

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            World::Gossip => "gossip",
            World::Engine => "engine",
            World::Plan => "plan",
            World::Node => "node",
        }
    }

    /// How many of so many seeds it gets where all worlds are run. A seed of `node` takes as long as a hundred of the others: whole nodes
    /// boot, adapt and talk in it.
    pub(crate) fn share(self, n_seeds: u64) -> u64 {
        match self {
            World::Gossip | World::Engine | World::Plan => n_seeds,
            World::Node => n_seeds.div_ceil(NODE_SHARE),
        }
    }

    /// Lets it live, by a seed.
    pub(crate) fn run(self, seed: u64, trace: &mut Trace) -> Checked {
        match self {
            World::Gossip => gossip::run(seed, trace),
            World::Engine => engine::run(seed, trace),
            World::Plan => plan::run(seed, trace),
            World::Node => node::run(seed, trace),
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for World {
    type Err = String;
    fn from_str(text: &str) -> Result<World, String> {
        World::ALL.into_iter().find(|world| world.name() == text).ok_or_else(|| format!("there is no world \"{text}\""))
    }
}
