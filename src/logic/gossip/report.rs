//! What nodes say about themselves: which revisions they took up, and what runs. Never part of the model.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{RevisionId, StateDigest};
use crate::words::{InstancePath, NodeName, Time};

/// The most instances that a report lists one by one. What is as the model wants it is counted only, so that a report stays
/// small (about 16 KiB) however large the node is.
pub const LISTED_MAX: usize = 256;

/// The most revisions whose outcome a node tells. Older ones have been answered long ago.
pub const OUTCOMES_MAX: usize = 64;

/// The most bytes of a cause that a status carries; the whole text is in the node's log.
pub const CAUSE_MAX_BYTES: usize = 1024;

/// What a node did with a target that it was given. The answer to `Adopt`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Adoption {
    /// It runs as wanted.
    Adopted {
        /// Steps that it took.
        n_steps: u32,
        /// How long it took.
        elapsed_ms: u32,
    },
    /// A step failed; the ones before it were undone.
    RolledBack {
        /// The step.
        step: String,
        /// Why it failed.
        cause: String,
    },
    /// Undoing failed too: the node runs something in between.
    Degraded {
        /// What failed.
        cause: String,
    },
    /// The node did not begin: the model cannot run here.
    Refused {
        /// Why.
        cause: String,
    },
    /// The node leaves it alone: it has ended the process too often.
    Poisoned {
        /// How often.
        n_crashes: u32,
        /// The revision that runs instead; `None` when nothing runs.
        runs: Option<RevisionId>,
    },
}

impl Adoption {
    /// The answer of a node that had nothing to do.
    pub fn at_once() -> Adoption {
        Adoption::Adopted { n_steps: 0, elapsed_ms: 0 }
    }

    /// The same with texts cut to what a status may carry.
    pub fn bounded(mut self) -> Adoption {
        match &mut self {
            Adoption::Adopted { .. } | Adoption::Poisoned { .. } => {}
            Adoption::RolledBack { step, cause } => {
                truncate(step);
                truncate(cause);
            }
            Adoption::Degraded { cause } | Adoption::Refused { cause } => truncate(cause),
        }
        self
    }

    /// The same with more behind its cause. Of a long cause the end makes room for it.
    pub fn with_more(mut self, more: &str) -> Adoption {
        match &mut self {
            Adoption::Adopted { .. } | Adoption::Poisoned { .. } => {}
            Adoption::RolledBack { cause, .. } | Adoption::Degraded { cause } | Adoption::Refused { cause } => {
                cause.truncate(cause.floor_char_boundary(CAUSE_MAX_BYTES.saturating_sub(more.len())));
                cause.push_str(more);
            }
        }
        self.bounded()
    }
}

/// How a revision fares on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The node has not answered yet.
    Waiting,
    /// The node is not there. It takes up its part when it comes.
    Unreachable,
    /// The node answered.
    Done(Adoption),
}

/// The state of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Being started.
    Starting,
    /// Runs.
    Running,
    /// Stopped, as wanted.
    Stopped,
    /// Crashed; to be started again soon.
    Restarting,
    /// Crashed or failed to start too often; stays down until the model changes.
    Failed,
    /// Does not answer; given up on.
    Zombie,
}

/// An instance that a report lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceReport {
    /// Which instance.
    pub path: InstancePath,
    /// Its state.
    pub state: InstanceState,
    /// Why it is not as wanted; empty when it is.
    pub cause: Arc<str>,
    /// Since when.
    pub since: Time,
}

/// What runs on a node. Instances that are as the model wants them are counted; the others are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How many instances run.
    pub n_running: u32,
    /// How many are stopped, as wanted.
    pub n_stopped: u32,
    /// The instances that are not as wanted, at most [`LISTED_MAX`].
    pub listed: Vec<InstanceReport>,
    /// How many more are not as wanted.
    pub n_left_off: u32,
}

impl Report {
    /// A report of these instances; lists the first [`LISTED_MAX`] that neither run nor are stopped as wanted.
    pub fn of(instances: impl IntoIterator<Item = InstanceReport>) -> Report {
        let mut report = Report::default();
        for mut instance in instances {
            match instance.state {
                InstanceState::Running => report.n_running += 1,
                InstanceState::Stopped => report.n_stopped += 1,
                _ if report.listed.len() < LISTED_MAX => {
                    instance.cause = cut(&instance.cause).into();
                    report.listed.push(instance);
                }
                _ => report.n_left_off += 1,
            }
        }
        report
    }

    /// The same with no more than a node lists, for what comes from elsewhere.
    fn bounded(mut self) -> Report {
        let n_beyond = self.listed.len().saturating_sub(LISTED_MAX);
        self.listed.truncate(LISTED_MAX);
        self.n_left_off = self.n_left_off.saturating_add(u32::try_from(n_beyond).unwrap_or(u32::MAX));
        for instance in self.listed.iter_mut().filter(|instance| instance.cause.len() > CAUSE_MAX_BYTES) {
            instance.cause = cut(&instance.cause).into();
        }
        self
    }

    /// The state of an instance, when it is listed.
    pub fn listed(&self, path: &InstancePath) -> Option<&InstanceReport> {
        self.listed.iter().find(|instance| instance.path == *path)
    }
}

/// What a node says about itself to the whole group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The node.
    pub node: NodeName,
    /// Which life of the node: a later one's word counts.
    pub incarnation: u64,
    /// Grows with every change within one life.
    pub version: u64,
    /// The latest revision that it was given and has dealt with.
    pub revision: Option<RevisionId>,
    /// The digest of the state it runs; `None` before the first adoption, or when it runs something in between.
    pub digest: Option<StateDigest>,
    /// How the latest revisions went, oldest first, at most [`OUTCOMES_MAX`].
    pub outcomes: Vec<(RevisionId, Adoption)>,
    /// What runs.
    pub report: Report,
}

impl Status {
    /// The status of a node that has adopted nothing yet.
    pub fn of(node: NodeName, incarnation: u64) -> Status {
        Status {
            node,
            incarnation,
            version: 0,
            revision: None,
            digest: None,
            outcomes: Vec::new(),
            report: Report::default(),
        }
    }

    /// The same with no more than a node says of itself, for what comes from elsewhere.
    pub(super) fn bounded(mut self) -> Status {
        self.outcomes.drain(..self.outcomes.len().saturating_sub(OUTCOMES_MAX));
        self.outcomes = self.outcomes.into_iter().map(|(id, adoption)| (id, adoption.bounded())).collect();
        self.report = self.report.bounded();
        self
    }

    /// Whether this is a later word than the other.
    pub fn supersedes(&self, other: &Status) -> bool {
        (self.incarnation, self.version) > (other.incarnation, other.version)
    }

    /// How a revision went.
    pub fn outcome(&self, revision: &RevisionId) -> Option<&Adoption> {
        self.outcomes.iter().rev().find(|(id, _)| id == revision).map(|(_, adoption)| adoption)
    }

    /// Keeps how a revision went; the oldest is forgotten when there are too many.
    pub fn record(&mut self, revision: RevisionId, adoption: Adoption) {
        self.outcomes.retain(|(id, _)| *id != revision);
        self.outcomes.push((revision, adoption));
        if self.outcomes.len() > OUTCOMES_MAX {
            self.outcomes.remove(0);
        }
    }
}

/// Whether a member of the group is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// Connected.
    Up,
    /// The model names it, but it is not connected, or not (yet) running.
    Absent,
    /// Connected, but the model does not attach it to the group.
    Guest,
}

/// A member of the group: attached by the model, or connected, or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The node.
    pub node: NodeName,
    /// Whether it is there.
    pub presence: Presence,
    /// Its last word; `None` when it never spoke to this node.
    pub status: Option<Status>,
    /// Whether it knows exactly what this node knows.
    pub in_step: bool,
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(CAUSE_MAX_BYTES)]
}

fn truncate(text: &mut String) {
    text.truncate(text.floor_char_boundary(CAUSE_MAX_BYTES));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_behind_a_cause_is_there_however_long_the_cause_is() {
        for (n_words, len) in [(1, 9), (1000, CAUSE_MAX_BYTES)] {
            let refused = Adoption::Refused { cause: "why? ".repeat(n_words) };
            let Adoption::Refused { cause } = refused.with_more("more") else { panic!("still refused") };
            assert!(cause.starts_with("why? ") && cause.ends_with("more"), "{cause}");
            assert_eq!(cause.len(), len);
        }
    }
}
