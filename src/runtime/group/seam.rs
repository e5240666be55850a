//! What a group asks of its node, and what it is given: targets to adopt, events to tell, a place to keep bytes.

use std::fmt;

use actix::{Message, Recipient};
use serde::{Deserialize, Serialize};

use crate::{
    logic::gossip::{Adoption, Conflict, RevisionId, Snapshot, Timing},
    words::{GroupName, NodeName},
};

/// Asks the node to run a snapshot. The group sends one at a time and always the newest: while the node is at work, later
/// targets replace each other.
#[derive(Clone, Debug)]
pub struct Adopt {
    /// The group that asks.
    pub group: GroupName,
    /// The target.
    pub snapshot: Snapshot,
}

impl Message for Adopt {
    type Result = Adoption;
}

/// What happens in a group, for whoever watches.
#[derive(Clone, Debug, PartialEq, Message, Serialize, Deserialize)]
#[rtype(result = "()")]
pub enum GroupEvent {
    /// A member connected.
    MemberUp {
        /// The member.
        node: NodeName,
    },
    /// A member is gone.
    MemberDown {
        /// The member.
        node: NodeName,
    },
    /// This node has heard from the group and may start what the model wants.
    Synced {
        /// Who answered; `None` when nobody was there.
        by: Option<NodeName>,
    },
    /// A revision became part of this node's state.
    Revised {
        /// The revision.
        revision: RevisionId,
        /// Who pushed it.
        by: String,
        /// Why.
        message: String,
        /// How many registers it wrote.
        n_changes: u32,
    },
    /// A node dealt with a revision.
    Answered {
        /// The node.
        node: NodeName,
        /// The revision.
        revision: RevisionId,
        /// How it went.
        adoption: Adoption,
    },
    /// All members that are there know the same and have adopted it.
    Converged {
        /// The latest revision.
        revision: RevisionId,
    },
    /// Two pushes that did not know of each other collided.
    Collided {
        /// Who won, who lost, what is gone.
        conflict: Box<Conflict>,
        /// Whether the loser was pushed on this node.
        mine: bool,
    },
    /// Something from a peer was refused: a clock too far ahead, bytes that do not decode.
    Refused {
        /// The peer.
        node: NodeName,
        /// Why.
        cause: String,
    },
}

/// Where a group keeps its state, so that what was acknowledged outlives a crash. A base and what was appended to it.
/// Each call returns when the bytes are safe.
pub trait Keep: Send + 'static {
    /// What was kept: the last base first, then what was appended since. Empty on the first start.
    ///
    /// # Errors
    /// A text for people when it cannot be read.
    fn load(&mut self) -> Result<Vec<Vec<u8>>, String>;

    /// Whether anything is kept at all: if not, nothing needs to be put into bytes for it.
    fn keeps(&self) -> bool {
        true
    }

    /// Appends a record.
    ///
    /// # Errors
    /// A text for people; the record is not kept then.
    fn append(&mut self, record: &[u8]) -> Result<(), String>;

    /// Puts a new base in the place of everything kept so far.
    ///
    /// # Errors
    /// A text for people; what was kept before still is.
    fn replace(&mut self, base: &[u8]) -> Result<(), String>;
}

/// Keeps nothing beyond the process: for tests and for nodes that are told to.
#[derive(Clone, Debug, Default)]
pub struct KeepNothing;

impl Keep for KeepNothing {
    fn keeps(&self) -> bool {
        false
    }
    fn load(&mut self) -> Result<Vec<Vec<u8>>, String> {
        Ok(Vec::new())
    }
    fn append(&mut self, _record: &[u8]) -> Result<(), String> {
        Ok(())
    }
    fn replace(&mut self, _base: &[u8]) -> Result<(), String> {
        Ok(())
    }
}

/// Gives the place where a group keeps its state.
pub type KeepOf = Box<dyn Fn(&GroupName) -> Box<dyn Keep> + Send + Sync>;

/// What a node offers to its groups: a service of its `Environment`, beside the engine's `Router`.
pub struct GroupHost {
    /// Who runs targets.
    pub adopt: Recipient<Adopt>,
    /// Who is told what happens.
    pub events: Recipient<GroupEvent>,
    /// Where each group keeps its state.
    pub keep: KeepOf,
    /// The times of the groups.
    pub timing: Timing,
}

impl fmt::Debug for GroupHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GroupHost")
    }
}
