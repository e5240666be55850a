//! A push: a wanted model handed to the group, and what the group answers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{RevisionId, Snapshot, Stamp, StateDigest};
use crate::model::{
    Model,
    change::{Cell, Element, Register},
};

/// A wanted model, and where its author started from.
#[derive(Clone, Debug)]
pub struct Push {
    /// The wanted model.
    pub wanted: Model,
    /// The snapshot it was made from: only what differs from it is written. `None` for the current one.
    pub base: Option<Snapshot>,
    /// Refuse it when the group has moved on from the base.
    pub compare_and_swap: bool,
    /// Who pushes.
    pub by: Arc<str>,
    /// From where: `console`, `script boot.kevs`, `component n1.controller`.
    pub from: Arc<str>,
    /// Why.
    pub message: Arc<str>,
}

/// What became of a push at once; per node it is told later.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// Its revision; the current one when nothing changed.
    pub revision: Option<RevisionId>,
    /// How many registers were written; 0 when the model is that one already.
    pub n_changes: u32,
    /// What the push overwrote that its author had not seen.
    pub conflicts: Vec<Conflict>,
    /// The model as it is now.
    pub snapshot: Snapshot,
}

/// Why a push was not taken. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PushRefused {
    /// A compare-and-swap whose base is not the current state.
    #[error("the model has changed since: it is at revision {} now; look at what changed and push again", name(.current))]
    Moved {
        /// The current revision.
        current: Option<RevisionId>,
        /// The current digest.
        digest: StateDigest,
    },
    /// The group has not yet heard from its members.
    #[error("the group is still catching up with its members; try again in a moment")]
    NotSynced,
    /// Durable state could not be written; the push did not happen.
    #[error("could not be stored: {0}")]
    Storage(String),
    /// A rollback to a revision that is not in the history, or too old for its model to be kept.
    #[error("revision {wanted} is not kept (the oldest that is: {})", name(.oldest))]
    NotKept {
        /// The revision asked for.
        wanted: RevisionId,
        /// The oldest revision whose model is kept.
        oldest: Option<RevisionId>,
    },
    /// The group's strategy does not allow it here.
    #[error("{0}")]
    Strategy(String),
    /// The group actor has stopped.
    #[error("the group has stopped on this node")]
    Stopped,
    /// No message to the other members can carry what it writes.
    #[error(
        "what it changes takes {size} bytes, at most {limit} reach the other nodes at once; make it in several pushes"
    )]
    TooLarge {
        /// What it takes.
        size: usize,
        /// What a message carries.
        limit: usize,
    },
}

fn name(revision: &Option<RevisionId>) -> String {
    revision.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
}

/// Two pushes that did not know of each other wanted different things: one had to give way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    /// Whose register.
    pub element: Element,
    /// Which.
    pub register: Register,
    /// The revision whose value does not show.
    pub loser: Party,
    /// The revision that stands in its way.
    pub winner: Party,
    /// What the loser had written; `None` when it had removed it.
    pub lost: Option<Cell>,
    /// What shows instead; `None` for nothing.
    pub kept: Option<Cell>,
}

/// One side of a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// The stamp of the revision.
    pub stamp: Stamp,
    /// Its name, where the history still knows it.
    pub revision: Option<RevisionId>,
    /// Who pushed it; empty where unknown.
    pub by: Arc<str>,
}
