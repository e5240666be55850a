//! The table of what runs on a node: each instance with its handle, its values, and how it is.

use std::{collections::HashMap, sync::Arc};

use super::placement::Place;
use crate::{
    io::clock,
    logic::{
        gossip::{InstanceReport, InstanceState, Report},
        plan::Subject,
        restart::{Policy, Restarts},
    },
    model::Dictionary,
    runtime::instance::{Failure, Handle},
    words::{InstancePath, Time},
};

/// One instance that runs here, or should.
pub(super) struct Slot {
    /// What it is.
    pub(super) subject: Arc<Subject>,
    /// How often its type is started again after a crash.
    pub(super) policy: Policy,
    /// A crash that was told while it was being started again, before it counted as running.
    pub(super) missed: Option<Failure>,
    /// It did not run, though it was to, when the last plan that changed its values came to it.
    pub(super) was_down: bool,
    /// How to speak to it.
    pub(super) handle: Handle,
    /// Where it lives; given back with it.
    pub(super) place: Option<Place>,
    /// The values that the model wants; the instance is told by `UpdateInstance`.
    pub(super) values: Dictionary,
    /// Whether it was told these values.
    pub(super) is_told: bool,
    /// How it is.
    pub(super) state: InstanceState,
    /// Why it is not as wanted; empty when it is.
    pub(super) cause: Arc<str>,
    /// Since when it is so.
    pub(super) since: Time,
    /// Counts what it has been: whoever plans something for later finds out whether it is still what it was.
    pub(super) turn: u64,
    /// Since when it is there: what it counts, it counts from then on.
    pub(super) born: Time,
    /// How often it was started again, and when it may be next.
    pub(super) restarts: Restarts,
    /// How often it was started again in its life.
    pub(super) n_restarts: u32,
    /// A digest of the state that was last kept on disk, so that an unchanged one is not written again.
    pub(super) kept: Option<blake3::Hash>,
}

impl Slot {
    /// Notes how the instance is from now on.
    pub(super) fn becomes(&mut self, state: InstanceState, cause: &str) {
        self.state = state;
        self.cause = if cause.is_empty() { Arc::default() } else { cause.into() };
        self.since = clock::now();
        self.turn += 1;
    }
}

/// Everything that runs on a node.
#[derive(Default)]
pub(super) struct Instances {
    /// Looked at for each step of a plan: what a look costs does not grow with the node. Hashed with a seed of this process, for
    /// names are given by others.
    by_path: HashMap<InstancePath, Box<Slot>, foldhash::fast::RandomState>,
    /// Lives are numbered, so that word of a former life is not taken for the present one's.
    n_lives: u64,
}

impl Instances {
    /// The number of the next life.
    pub(super) fn next_life(&mut self) -> u64 {
        self.n_lives += 1;
        self.n_lives
    }

    /// The slot of a subject: none when nothing is there, or something else is.
    pub(super) fn of(&self, subject: &Subject) -> Option<&Slot> {
        self.at(&subject.path).filter(|slot| *slot.subject == *subject)
    }

    /// The same, to change.
    pub(super) fn of_mut(&mut self, subject: &Subject) -> Option<&mut Slot> {
        self.at_mut(&subject.path).filter(|slot| *slot.subject == *subject)
    }

    /// Whatever is at a path.
    pub(super) fn at(&self, path: &InstancePath) -> Option<&Slot> {
        self.by_path.get(path).map(|slot| &**slot)
    }

    /// The same, to change.
    pub(super) fn at_mut(&mut self, path: &InstancePath) -> Option<&mut Slot> {
        self.by_path.get_mut(path).map(|slot| &mut **slot)
    }

    /// Makes room for so many more, at once.
    pub(super) fn expect(&mut self, n_more: usize) {
        self.by_path.reserve(n_more);
    }

    /// Puts an instance in its place.
    pub(super) fn insert(&mut self, slot: Slot) {
        self.by_path.insert(slot.subject.path.clone(), Box::new(slot));
    }

    /// Takes an instance out.
    pub(super) fn remove(&mut self, path: &InstancePath) -> Option<Box<Slot>> {
        self.by_path.remove(path)
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.by_path.values().map(|slot| &**slot)
    }

    /// All of them, in order of path.
    pub(super) fn in_order(&self) -> Vec<&Slot> {
        let mut all: Vec<&Slot> = self.iter().collect();
        all.sort_unstable_by(|a, b| a.subject.path.cmp(&b.subject.path));
        all
    }

    /// What the group is told.
    pub(super) fn report(&self) -> Report {
        let (mut n_running, mut n_stopped, mut listed) = (0, 0, Vec::new());
        for slot in self.iter() {
            match slot.state {
                InstanceState::Running => n_running += 1,
                InstanceState::Stopped => n_stopped += 1,
                _ => listed.push(slot),
            }
        }
        listed.sort_unstable_by(|a, b| a.subject.path.cmp(&b.subject.path));
        let listed = Report::of(listed.into_iter().map(|slot| InstanceReport {
            path: slot.subject.path.clone(),
            state: slot.state,
            cause: slot.cause.clone(),
            since: slot.since,
        }));
        Report { n_running, n_stopped, ..listed }
    }

    /// How many are in each state, for metrics; also in those that none is in now.
    pub(super) fn counts(&self) -> Vec<(&'static str, usize)> {
        let n_in = |state| self.iter().filter(|slot| slot.state == state).count();
        STATES.iter().map(|state| (word(*state), n_in(*state))).collect()
    }
}

const STATES: [InstanceState; 6] = [
    InstanceState::Starting,
    InstanceState::Running,
    InstanceState::Stopped,
    InstanceState::Restarting,
    InstanceState::Failed,
    InstanceState::Zombie,
];

/// A state as a word.
pub(super) fn word(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Starting => "starting",
        InstanceState::Running => "running",
        InstanceState::Stopped => "stopped",
        InstanceState::Restarting => "restarting",
        InstanceState::Failed => "failed",
        InstanceState::Zombie => "zombie",
    }
}
