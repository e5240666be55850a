//! How a group is: its nodes, what runs on them, its channels. Printed as it is by `enact status -o json`.

use serde::{Deserialize, Serialize};

use super::Revision;
use crate::{
    model::Kind,
    words::{ChannelName, GroupName, Name, NodeName, TypeRef},
};

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
    /// Runs an older revision, or nothing: the newest has ended its process too often.
    Poisoned,
}

/// A revision that a node leaves alone because it has ended the process too often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Poisoned {
    /// Which.
    pub revision: Revision,
    /// How often it ended the process.
    pub n_crashes: u32,
    /// What runs instead: the last that ran well; nothing when `None`.
    pub runs: Option<Revision>,
}

/// What a node does about a revision that crashed it, in words.
pub fn poisoned_text(n_crashes: u32, runs: Option<&Revision>) -> String {
    let instead = runs.map_or_else(
        || "nothing runs, since none has run well before".to_owned(),
        |runs| format!("{runs}, the last that ran well, runs instead"),
    );
    format!("it ended the process {n_crashes} times; {instead}")
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
    /// The revision that crashed it too often, if that is why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poisoned: Option<Poisoned>,
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
