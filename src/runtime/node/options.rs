//! What a node is started with.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use tokio::process::Command;

use super::boot::Boot;
use crate::{
    io::{
        engine,
        telemetry::{Logs, Metrics},
    },
    logic::{plan::Limits, restart::Policy},
    words::{GroupName, NodeName},
};

/// The type that nodes have.
pub const NODE_TYPE: &str = "EnactNode";

/// The type of a group that nobody chose another one for.
pub const GROUP_TYPE: &str = "Gossip";

/// Makes the command that runs a hosted node as a process of its own.
pub type ChildCommand = Arc<dyn Fn(&Options) -> Command + Send + Sync>;

/// What a node is started with. The doors make it from flags, environment and files.
#[derive(Clone)]
pub struct Options {
    /// Its name, unique in its group.
    pub name: NodeName,
    /// The default group: who shares it shares a model.
    pub group: GroupName,
    /// The network.
    pub engine: engine::Config,
    /// Whether any free port will do where the one to listen on is taken: nobody asked for that one.
    pub any_port: bool,
    /// Where it keeps what must survive; `None` keeps all in memory.
    pub data: Option<PathBuf>,
    /// What it adds to the model when it starts for the first time.
    pub boot: Boot,
    /// Threads for user code. With 0 everything lives on the node's own thread, what blocks the disk too: for simulations, where
    /// nothing may depend on when another thread gets its turn.
    pub n_workers: usize,
    /// Time limits of adaptation steps.
    pub limits: Limits,
    /// How often the states of running components are kept on disk; a crash loses what came after.
    pub checkpoint: Duration,
    /// How long stopping everything may take when the node ends.
    pub drain: Duration,
    /// How often crashed instances are started again, where their type says nothing.
    pub restart: Policy,
    /// Where metrics are served for Prometheus, as `HOST:PORT`.
    pub scrape: Option<String>,
    /// How long it must run a revision until that is good; with zero no revision is ever poison.
    pub probation: Duration,
    /// The version of the binary.
    pub version: String,
    /// The logs that `enact logs` reads; without them such requests are refused.
    pub logs: Option<Logs>,
    /// Counters and gauges for Prometheus.
    pub metrics: Metrics,
    /// How a hosted node is run as a process; `None` where that is not possible.
    pub child_command: Option<ChildCommand>,
    /// Whether this node ends with SIGTERM and Ctrl-C (a hosted node in a thread does not).
    pub obeys_signals: bool,
}

impl Options {
    /// The options of a node hosted by this one: same group and network, its own name, address and data.
    pub fn hosted(&self, name: &NodeName) -> Options {
        Options {
            name: name.clone(),
            engine: engine::Config {
                listen: vec![engine::config::LISTEN_DEFAULT.to_owned()],
                join: self.engine.listen.clone(),
                ..self.engine.clone()
            },
            data: self.data.as_ref().map(|data| data.join("hosted").join(name.as_str())),
            boot: Boot::Default,
            any_port: true,
            scrape: None,
            metrics: Metrics::default(),
            obeys_signals: false,
            ..self.clone()
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("name", &self.name)
            .field("group", &self.group)
            .field("engine", &self.engine)
            .field("data", &self.data)
            .field("n_workers", &self.n_workers)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Options {
    /// Those of a node without others, on the thread that asks.
    pub(super) fn alone() -> Options {
        Options {
            name: NodeName::parse("node1").expect("a valid name"),
            group: GroupName::parse("default").expect("a valid name"),
            engine: engine::Config::default(),
            any_port: true,
            data: None,
            boot: Boot::Default,
            n_workers: 0,
            limits: Limits::default(),
            checkpoint: Duration::from_secs(1),
            drain: Duration::from_secs(1),
            restart: Policy::DEFAULT,
            scrape: None,
            probation: Duration::ZERO,
            version: String::new(),
            logs: None,
            metrics: Metrics::default(),
            child_command: None,
            obeys_signals: false,
        }
    }
}
