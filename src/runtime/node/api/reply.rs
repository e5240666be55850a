//! What is answered. `enact … -o json` prints these types: adding a field is fine, renaming one is a new version.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Event, InstanceState, Revision, Snapshot, Status};
use crate::{
    io::telemetry::Record,
    logic::plan::Plan,
    model::{DeployUnit, TypeDefinition, change::Change},
    words::{GroupName, NodeName, PortPath, Time, TypeRef, Value},
};

/// The answer to a `Request`, variant by variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "Request says what each is")]
pub enum Reply {
    Info(Info),
    Status(Status),
    Model(Revised),
    Types(Vec<OfferedType>),
    Plan(PlanReply),
    Applied(Applied),
    Outcome(OutcomeReply),
    History(Vec<HistoryEntry>),
    Events(Page<Event>),
    Logs(Page<Record>),
    Tail(Page<TapRecord>),
    Sent(Option<Value>),
    Why(Why),
    Doctor(Vec<Finding>),
    Metrics(String),
    Done,
}

/// Who answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// Its name.
    pub node: NodeName,
    /// The group that it spreads its model by.
    pub group: GroupName,
    /// The group's newest revision here.
    pub revision: Revision,
    /// How many nodes are present.
    pub n_nodes: usize,
    /// The version of its binary.
    pub version: String,
    /// Where it listens.
    pub listen: Vec<String>,
}

/// A model with its revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Revised {
    /// The revision.
    pub revision: Revision,
    /// The model.
    pub model: Snapshot,
}

/// A type that some node can run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferedType {
    /// The definition.
    pub definition: Arc<TypeDefinition>,
    /// The units that bring it.
    pub units: Vec<Arc<DeployUnit>>,
    /// The nodes whose binary has it.
    pub nodes: Vec<NodeName>,
}

/// What would be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReply {
    /// The group.
    pub group: GroupName,
    /// The revision that it starts from.
    pub base: Revision,
    /// The group's newest revision; larger than `base` when the plan is already stale.
    pub newest: Revision,
    /// From the base's model to the wanted one.
    pub changes: Vec<Change>,
    /// What each node will do; nodes that have nothing to do are left out.
    pub nodes: Vec<NodePlan>,
    /// How many nodes the wanted model has.
    pub n_nodes: usize,
    /// What is doubtful but allowed.
    #[serde(default)]
    pub warnings: Vec<super::Problem>,
}

/// What one node would do, in the order in which it starts the steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodePlan {
    /// The node.
    pub node: NodeName,
    /// Whether it is there to do it.
    pub present: bool,
    /// The very value that it will carry out.
    pub plan: Plan,
}

/// What was recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The new revision; the base's when nothing had to change.
    pub revision: Revision,
    /// The revision it was made from.
    pub from: Revision,
    /// Whether the base already was what is wanted.
    pub unchanged: bool,
    /// What is doubtful but allowed.
    #[serde(default)]
    pub warnings: Vec<super::Problem>,
}

/// How a revision fares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutcomeReply {
    /// Which.
    pub revision: Revision,
    /// Counts the reports so far; to be given back as `seen`.
    pub n_reports: u64,
    /// Node by node.
    pub nodes: Vec<NodeOutcome>,
    /// Set once every node that is present has decided.
    pub verdict: Option<Verdict>,
    /// Since the revision was made.
    pub elapsed_ms: u64,
    /// What of it does not show, because of pushes that did not know of it.
    #[serde(default)]
    pub overwritten: Vec<Overwritten>,
}

/// Something that a revision wrote, and another one, which did not know of it, overwrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overwritten {
    /// By which: `r8@node2`.
    pub by: Revision,
    /// What: `node1.ticker period = '1s' (now '2s')`.
    pub what: String,
}

/// How a revision fares on a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeOutcome {
    /// The node.
    pub node: NodeName,
    /// How far.
    pub verdict: NodeVerdict,
}

/// What a node made of a revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "state")]
pub enum NodeVerdict {
    /// Has not begun.
    Waiting,
    /// Is at it.
    Working {
        /// Steps done.
        n_done: usize,
        /// Steps of its plan.
        n_steps: usize,
        /// The last step: `started ticker`.
        doing: String,
    },
    /// Runs it.
    Adopted {
        /// Steps of its plan.
        n_steps: usize,
        /// How long it took.
        elapsed_ms: u64,
        /// The last step: `started ticker`.
        #[serde(default)]
        doing: String,
        /// Instances without a place or partner, each with the reason.
        #[serde(default)]
        unresolved: Vec<String>,
    },
    /// Undid it.
    RolledBack {
        /// The step that failed.
        step: String,
        /// Why.
        cause: String,
    },
    /// Did not begin: the model cannot run there.
    Refused {
        /// Why.
        cause: String,
    },
    /// Failed, and failed to undo.
    Degraded {
        /// Why.
        cause: String,
    },
    /// Leaves it alone: it has ended the process too often.
    Poisoned {
        /// How often.
        n_crashes: u32,
        /// What runs instead; nothing when `None`.
        runs: Option<Revision>,
    },
    /// Is there, but does not answer.
    Unreachable,
    /// Is not there; will take it up when it comes.
    Absent,
    /// A newer revision came before it was done.
    Superseded {
        /// By which.
        by: Revision,
    },
}

/// The whole of it, worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A node needs a person.
    Degraded,
    /// It has ended the process of a node, again and again.
    Poisoned,
    /// A node undid it.
    RolledBack,
    /// A node did not even begin.
    Refused,
    /// Adopted everywhere, but something has no place or partner.
    Unresolved,
    /// A newer revision took over.
    Superseded,
    /// Adopted on every node that is present.
    Converged,
}

/// A line of the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The revision.
    pub revision: Revision,
    /// When it was made.
    pub at: Time,
    /// By whom.
    pub by: String,
    /// From which revision.
    pub from: Revision,
    /// Why, or what it changed when nobody said why.
    pub what: String,
    /// How it ended, in words: `converged 212 ms`, `rolled back: node2 refused`.
    pub result: String,
    /// The same for programs; `None` while it is under way, or when this node does not know.
    pub verdict: Option<Verdict>,
    /// What of it does not show, because of pushes that did not know of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overwritten: Vec<Overwritten>,
    /// Whether its model is still kept.
    pub kept: bool,
}

/// Part of a stream that is read with a cursor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// What came since the cursor, oldest first.
    pub items: Vec<T>,
    /// The cursor to ask with next.
    pub next: u64,
    /// How many were dropped before they could be read.
    #[serde(default)]
    pub n_missed: u64,
}

/// A message seen on a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TapRecord {
    /// When it was sent.
    pub at: Time,
    /// The port that sent it; `None` when it came from outside (`enact send`).
    pub from: Option<PortPath>,
    /// The ports that it was delivered to.
    pub to: Vec<PortPath>,
    /// The message.
    pub value: Value,
    /// From sender to receiver.
    pub elapsed_us: Option<u64>,
    /// Why it was not delivered, when it was not.
    #[serde(default)]
    pub lost: Option<String>,
}

/// Why an instance is in its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The instance as text.
    pub path: String,
    /// Its type.
    pub type_ref: Option<TypeRef>,
    /// Its state.
    pub state: InstanceState,
    /// Since when, if known.
    pub since: Option<Time>,
    /// The cause in one line; may be empty.
    pub cause: String,
    /// What led to it, as a tree.
    pub steps: Vec<WhyStep>,
    /// What would change it; may be empty.
    pub help: String,
}

/// One reason, with the reasons below it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyStep {
    /// Holds, fails, or was not tried.
    pub holds: Option<bool>,
    /// What.
    pub text: String,
    /// The reasons below it.
    #[serde(default)]
    pub below: Vec<WhyStep>,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// All is well.
    Fine,
    /// Worth knowing.
    Warning,
    /// Wrong.
    Error,
}

/// What an examination found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was examined: `data directory`.
    pub what: String,
    /// How bad.
    pub severity: Severity,
    /// What was found.
    pub found: String,
    /// What to do; may be empty.
    #[serde(default)]
    pub help: String,
}
