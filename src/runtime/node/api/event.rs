//! What happens in a group, told to who watches.

use serde::{Deserialize, Serialize};

use super::Revision;
use crate::words::{InstancePath, NodeName, Time};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When, by the clock of the node that tells it.
    pub at: Time,
    /// The node concerned; `None` for the group as a whole.
    pub node: Option<NodeName>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "event")]
pub enum What {
    /// A node came for the first time.
    NodeUp {
        /// What it runs.
        version: String,
    },
    /// A node that was gone is here again.
    NodeBack {
        /// The revision that it came with.
        was: Revision,
    },
    /// A node is silent.
    NodeSuspected {
        /// For how long.
        silent_ms: u64,
    },
    /// A node is gone.
    NodeDown {
        /// Whether it said so itself.
        orderly: bool,
    },
    /// A node or console was refused.
    NodeRefused {
        /// Why.
        reason: String,
    },
    /// A new revision was made.
    Proposed {
        /// Which.
        revision: Revision,
        /// From which.
        from: Revision,
        /// By whom.
        by: String,
        /// Why.
        message: String,
    },
    /// A node adopted a revision.
    Adopted {
        /// Which.
        revision: Revision,
        /// How many steps it took.
        n_steps: usize,
        /// How long it took.
        elapsed_ms: u64,
    },
    /// A node undid what it had begun.
    RolledBack {
        /// Which revision.
        revision: Revision,
        /// The step that failed.
        step: String,
        /// Why.
        cause: String,
    },
    /// A node failed to undo: it needs a person.
    Degraded {
        /// Which revision.
        revision: Revision,
        /// Why.
        cause: String,
    },
    /// A node leaves a revision alone that has ended its process too often.
    Poisoned {
        /// Which.
        revision: Revision,
        /// How often.
        n_crashes: u32,
        /// What runs instead; nothing when `None`.
        runs: Option<Revision>,
    },
    /// All nodes present have adopted a revision.
    Converged {
        /// Which.
        revision: Revision,
        /// How many nodes.
        n_nodes: usize,
        /// How long after it was made.
        elapsed_ms: u64,
    },
    /// Two pushes met: what the loser wrote is not in the model.
    Overwritten {
        /// Whose push lost.
        loser: Revision,
        /// Which push won.
        winner: Revision,
        /// What: `node1.ticker period`.
        lost: Vec<String>,
    },
    /// An instance runs.
    Started {
        /// Which.
        path: InstancePath,
    },
    /// An instance stopped because it was told to.
    Stopped {
        /// Which.
        path: InstancePath,
    },
    /// An instance crashed and will be started again.
    Restarting {
        /// Which.
        path: InstancePath,
        /// Why it crashed.
        cause: String,
        /// When it starts again.
        in_ms: u64,
    },
    /// An instance failed for good.
    Failed {
        /// Which.
        path: InstancePath,
        /// Why.
        cause: String,
    },
    /// A word that fits nowhere else.
    Note {
        /// The word.
        text: String,
    },
}

impl What {
    /// The event in one or two words, as in a column.
    pub fn word(&self) -> &'static str {
        match self {
            What::NodeUp { .. } => "up",
            What::NodeBack { .. } => "back",
            What::NodeSuspected { .. } => "suspected",
            What::NodeDown { .. } => "lost",
            What::NodeRefused { .. } => "refused",
            What::Proposed { .. } => "proposed",
            What::Adopted { .. } => "adopted",
            What::RolledBack { .. } => "rolled back",
            What::Degraded { .. } => "degraded",
            What::Poisoned { .. } => "poisoned",
            What::Converged { .. } => "converged",
            What::Overwritten { .. } => "overwritten",
            What::Started { .. } => "started",
            What::Stopped { .. } => "stopped",
            What::Restarting { .. } => "restarting",
            What::Failed { .. } => "failed",
            What::Note { .. } => "note",
        }
    }
}
