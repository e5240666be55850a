//! What replicas of a group say to each other.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Full, Origin, Revision, RevisionId, Stamp, StateDigest, Status, Writes, Written};
use crate::words::Time;

/// A message between the members of a `Gossip` group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum GroupMessage {
    /// To all, a few times a second: whether we know the same.
    Heartbeat(Heartbeat),
    /// To all, at once when a revision is made. Who misses one before it asks.
    Delta {
        /// The revision.
        revision: Arc<Revision>,
        /// What it wrote.
        writes: Writes,
    },
    /// To one that knows something else: what we know; it answers with what we lack.
    Ask {
        /// For each origin the revision up to which everything is known.
        vector: BTreeMap<Origin, Stamp>,
        /// The digest of everything known.
        digest: StateDigest,
        /// Whether the answer decides that the asker may start.
        joining: bool,
    },
    /// The answer to `Ask` when little is missing.
    Missing {
        /// The revisions that were missing, oldest first.
        deltas: Vec<(Arc<Revision>, Writes)>,
        /// What the answerer knows.
        vector: BTreeMap<Origin, Stamp>,
    },
    /// The answer to `Ask` when much is missing, or what differs cannot be told.
    Full(Box<Full>),
    /// To all when it changed, and to a newcomer: what a node says about itself.
    Status(Box<Status>),
    /// What a group that users wrote says to its like.
    Own(Vec<u8>),
    /// To one, ahead of a large delta: what of it concerns the receiver, which can take up its part while the whole follows.
    Part(Box<Part>),
}

/// What of a revision concerns one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The revision.
    pub revision: Arc<Revision>,
    /// What its author knew before: who knows something else waits for the whole.
    pub base: StateDigest,
    /// What looks different with it.
    pub shown: Vec<Written>,
}

/// A sign of life, with what is needed to see that something is missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The digest of everything known.
    pub digest: StateDigest,
    /// Up to when removals are forgotten.
    pub floor: Time,
    /// The latest revision.
    pub revision: Option<RevisionId>,
    /// What the sender's clock shows.
    pub clock: Time,
    /// Which life of the node.
    pub incarnation: u64,
    /// The version of its status; who has an older one has missed it and asks.
    pub status: u64,
    /// The sender has not the receiver's latest status.
    pub wants_status: bool,
}

impl GroupMessage {
    /// Whether both are one message on its way to several: what was encoded for the one goes to the other as well.
    pub fn is_same(&self, other: &GroupMessage) -> bool {
        match (self, other) {
            (GroupMessage::Delta { revision: a, writes: x }, GroupMessage::Delta { revision: b, writes: y }) => {
                Arc::ptr_eq(a, b) && Arc::ptr_eq(x, y)
            }
            (GroupMessage::Heartbeat(a), GroupMessage::Heartbeat(b)) => a == b,
            (GroupMessage::Status(a), GroupMessage::Status(b)) => a == b,
            _ => false,
        }
    }

    /// Whether it may be large and so must not stand in the way of others.
    pub fn is_bulk(&self) -> bool {
        match self {
            GroupMessage::Heartbeat(_) | GroupMessage::Ask { .. } => false,
            GroupMessage::Delta { revision, .. } => revision.n_changes > SMALL_CHANGES,
            GroupMessage::Missing { .. } | GroupMessage::Full(_) => true,
            GroupMessage::Part(part) => part.shown.len() > SMALL_PART,
            GroupMessage::Own(body) => body.len() > SMALL_BYTES,
            GroupMessage::Status(status) => !status.report.listed.is_empty(),
        }
    }
}

/// Up to so many elements a part counts as small: some 100 KiB.
const SMALL_PART: usize = 1000;

/// Up to so many bytes a message may go ahead of bulk.
const SMALL_BYTES: usize = 16 * 1024;

/// Up to so many changes a delta counts as small: some 16 KiB.
const SMALL_CHANGES: u32 = 200;
