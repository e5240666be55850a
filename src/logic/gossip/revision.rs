//! Revisions: one push each. Who, when, why, from where, and what it wrote.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use super::Stamp;
pub use crate::model::change::Written;
use crate::{
    model::Model,
    words::{NodeName, Time},
};

/// What a revision is called: its number and the node it was pushed on. Two sides of a partition may give the same
/// number; the node tells them apart. Text form: `7@node1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RevisionId {
    /// One more than the highest number its author had seen.
    pub number: u64,
    /// The node that it was pushed on.
    pub origin: NodeName,
}

impl fmt::Display for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.number, self.origin)
    }
}

impl fmt::Debug for RevisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that names no revision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no revision: expected a number and a node, as in \"7@node1\"")]
pub struct InvalidRevision(pub String);

impl FromStr for RevisionId {
    type Err = InvalidRevision;
    fn from_str(text: &str) -> Result<RevisionId, InvalidRevision> {
        let parse = || {
            let (number, origin) = text.split_once('@')?;
            Some(RevisionId { number: number.parse().ok()?, origin: NodeName::parse(origin).ok()? })
        };
        parse().ok_or_else(|| InvalidRevision(text.to_owned()))
    }
}

/// The digest of all that a replica knows (registers and revisions): equal exactly when two replicas know the same.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StateDigest(pub u128);

impl fmt::Display for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for StateDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One push: who changed the model, when, why and from where. Never changes once made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Revision {
    /// What it is called.
    pub id: RevisionId,
    /// Its place in the order of all revisions; every register it wrote bears this stamp.
    pub stamp: Stamp,
    /// The stamp of its node's revision before this one: how a receiver sees that it missed one.
    pub previous: Option<Stamp>,
    /// The revisions that its author had seen and that no other seen one descends from; empty for the first.
    pub parents: Vec<Stamp>,
    /// Who pushed: a user, a component.
    pub by: Arc<str>,
    /// From where: `console`, `script boot.kevs`, `component n1.controller`.
    pub from: Arc<str>,
    /// Why.
    pub message: Arc<str>,
    /// The revision that this one brings back.
    pub rolls_back_to: Option<RevisionId>,
    /// How many registers it wrote.
    pub n_changes: u32,
    /// What its author's replica knew with it.
    pub digest: StateDigest,
}

impl Revision {
    /// When it was pushed, by its author's clock.
    pub fn time(&self) -> Time {
        self.stamp.time()
    }
}

/// What a revision wrote, in order of element and register.
pub type Writes = Arc<[Written]>;

/// The model as a replica sees it at a moment. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The latest revision in it, by stamp; `None` before the first push.
    pub revision: Option<Arc<Revision>>,
    /// The revisions in it that no other in it descends from: more than one after a partition.
    pub heads: Vec<Stamp>,
    /// The visible model.
    pub model: Model,
    /// The digest of everything that led to it.
    pub digest: StateDigest,
}

impl Snapshot {
    /// The latest revision's name.
    pub fn id(&self) -> Option<&RevisionId> {
        self.revision.as_ref().map(|revision| &revision.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_reads_back_from_its_text() {
        let id: RevisionId = "7@node1".parse().unwrap();
        assert_eq!(id.to_string(), "7@node1");
        assert!("7".parse::<RevisionId>().is_err());
        assert!("x@node1".parse::<RevisionId>().is_err());
    }
}
