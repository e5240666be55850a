//! The worlds there are.

use std::{fmt, str::FromStr};

use crate::{
    engine, gossip, plan,
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
}

impl World {
    /// All of them, in the order in which they are run.
    pub(crate) const ALL: [World; 3] = [World::Gossip, World::Engine, World::Plan];

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            World::Gossip => "gossip",
            World::Engine => "engine",
            World::Plan => "plan",
        }
    }

    /// Lets it live, by a seed.
    pub(crate) fn run(self, seed: u64, trace: &mut Trace) -> Checked {
        match self {
            World::Gossip => gossip::run(seed, trace),
            World::Engine => engine::run(seed, trace),
            World::Plan => plan::run(seed, trace),
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
