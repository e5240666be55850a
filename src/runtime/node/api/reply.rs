//! What is answered. `enact … -o json` prints these types: adding a field is fine, renaming one is a new version.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Event, Revision, Snapshot};
use crate::{
    io::telemetry::Record,
    logic::plan::Plan,
    model::{DeployUnit, Kind, TypeDefinition, change::Change},
    words::{ChannelName, GroupName, Name, NodeName, PortPath, Time, TypeRef, Value},
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

/// How a group is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The group.
    pub group: GroupName,
    /// Its type: `Gossip`.
    pub group_type: Option<TypeRef>,
    /// The newest revision.
    pub revision: Revision,
    /// How far it has come.
    pub convergence: Convergence,
    /// Every node of the model and every node present, in order of name.
    pub nodes: Vec<NodeStatus>,
    /// Every channel, in order of name.
    pub channels: Vec<ChannelStatus>,
}

/// How far a revision has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Convergence {
    /// Nodes that adopted it and run all of it.
    pub n_converged: usize,
    /// Nodes that it names.
    pub n_nodes: usize,
    /// Who is waited for, and why: `node3 waits on db`.
    pub waiting: Vec<String>,
    /// How long it took, once it is done.
    pub elapsed_ms: Option<u64>,
}

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    /// Runs all that the model says.
    Ready,
    /// Is at work on a newer revision.
    Adapting,
    /// Runs, but some instance failed or is unresolved.
    Partial,
    /// Did not answer lately.
    Suspected,
    /// Is in the model and does not run.
    Absent,
    /// Failed to undo a failed adaptation.
    Degraded,
}

/// A node and what runs on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// Its name.
    pub name: NodeName,
    /// How it is.
    pub state: NodeState,
    /// Why it is not ready; may be empty.
    #[serde(default)]
    pub cause: String,
    /// The revision that it runs.
    pub revision: Option<Revision>,
    /// The node that hosts it.
    pub host: Option<NodeName>,
    /// Whether it is the node that answers.
    pub local: bool,
    /// Round trip between it and the node that answers.
    pub rtt_us: Option<u64>,
    /// Load of its machine, per core.
    pub load: Option<f64>,
    /// How long it has been running.
    pub up_ms: Option<u64>,
    /// The version of its binary.
    pub version: Option<String>,
    /// Where it listens.
    #[serde(default)]
    pub listen: Vec<String>,
    /// Its components, groups and hosted nodes, in order of name.
    pub instances: Vec<InstanceStatus>,
}

/// How an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Runs.
    Started,
    /// Is stopped, as the model says.
    Stopped,
    /// Is being started or stopped.
    Changing,
    /// Crashed; is started again after a delay.
    Restarting,
    /// Failed for good; see the cause.
    Failed,
    /// No place or partner was found for it.
    Unresolved,
    /// Its node is not there.
    Absent,
}

/// An instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// Its name on its node.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
    /// Its type.
    pub type_ref: Option<TypeRef>,
    /// How it is.
    pub state: InstanceState,
    /// Why it is not started; may be empty.
    #[serde(default)]
    pub cause: String,
    /// What it wants to tell, as `:8080`; may be empty.
    #[serde(default)]
    pub note: String,
    /// The channels that its outputs go to.
    #[serde(default)]
    pub sends_to: Vec<ChannelName>,
    /// The channels that its inputs come from.
    #[serde(default)]
    pub receives_from: Vec<ChannelName>,
    /// What went through it.
    #[serde(default)]
    pub counters: Counters,
    /// How often it was started again after a crash.
    #[serde(default)]
    pub n_restarts: u32,
}

/// What went through an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Counters {
    /// Messages received.
    pub received: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages that wait in its queue.
    pub queued: u64,
    /// Messages lost: queue full, receiver gone.
    pub lost: u64,
    /// Messages a second, over the last seconds.
    pub per_s: f64,
}

/// A channel, over all its fragments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelStatus {
    /// Its name.
    pub name: ChannelName,
    /// Its type.
    pub type_ref: Option<TypeRef>,
    /// How it is.
    pub state: InstanceState,
    /// Why it is not started; may be empty.
    #[serde(default)]
    pub cause: String,
    /// Ports that send into it.
    pub n_in: usize,
    /// Ports that receive from it.
    pub n_out: usize,
    /// What went through it.
    #[serde(default)]
    pub counters: Counters,
    /// Time from sender to receiver that 99 of 100 messages stay below.
    pub p99_us: Option<u64>,
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
