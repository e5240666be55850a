//! What may be asked, each with its deadline.

use std::{collections::BTreeMap, fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Snapshot;
use crate::{
    model::{Edit, change::Change},
    words::{ChannelName, InstancePath, NodeName, PortPath, Value},
};

/// Answers from what a node knows itself.
const LOCAL: Duration = Duration::from_secs(5);
/// Answers that need the disk or a large model.
const HEAVY: Duration = Duration::from_secs(20);
/// Answers that another node gives.
const RELAYED: Duration = Duration::from_secs(10);
/// The longest that a waiting request (`wait_ms`) is kept: shorter than what proxies and people give up on.
pub const WAIT_MAX: Duration = Duration::from_secs(25);

/// A revision of the group's model, as people call it: `r7`. `r0` is the empty model that a group starts from. Two sides of
/// a partition may both have made an `r7`; only then the node that it was pushed on is named as well: `r7@node2`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// Its number.
    pub number: u64,
    /// The node that it was pushed on, where the number alone would be ambiguous.
    pub origin: Option<NodeName>,
}

impl Revision {
    /// The revision that a number alone names.
    pub fn new(number: u64) -> Revision {
        Revision { number, origin: None }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => f.pad(&format!("r{}@{origin}", self.number)),
            None => f.pad(&format!("r{}", self.number)),
        }
    }
}

impl FromStr for Revision {
    type Err = String;
    fn from_str(text: &str) -> Result<Revision, String> {
        let parse = || {
            let (number, origin) = match text.split_once('@') {
                Some((number, origin)) => (number, Some(NodeName::parse(origin).ok()?)),
                None => (text, None),
            };
            let number = number.strip_prefix('r').unwrap_or(number).parse().ok()?;
            Some(Revision { number, origin })
        };
        parse().ok_or_else(|| format!("\"{text}\" is no revision: expected r and a number, as in r42"))
    }
}

impl Serialize for Revision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Revision {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Revision, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What somebody wants the group to become.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wanted {
    /// What a script makes of the base. Evaluated by the node asked, with the types that the whole group offers.
    Script {
        /// The script.
        text: String,
        /// Its name in messages and in the history; `-` for standard input, `console` for a draft.
        file: String,
        /// Values of its context variables.
        #[serde(default)]
        variables: BTreeMap<String, String>,
    },
    /// This very model. Components keep their identity by node and name.
    Model(Box<Snapshot>),
    /// The base with these edits, all or nothing.
    Edits(Vec<Edit>),
    /// The base with these changes: how a saved plan is applied.
    Changes(Vec<Change>),
    /// The model of an older revision again, as a new revision.
    Revision(Revision),
}

/// Whose log is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LogsFrom {
    /// All of a node.
    Node(NodeName),
    /// What an instance said; for a channel or group, the fragment on the node asked.
    Instance(InstancePath),
}

/// A question to a node. Any node answers for the group; what another node knows better is relayed to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Request {
    /// Who is there → `Reply::Info`. Sent first by every console.
    Hello,
    /// How the group is → `Reply::Status`.
    Status,
    /// A model → `Reply::Model`; the newest without a revision.
    GetModel {
        /// Which; `None` is the newest.
        revision: Option<Revision>,
    },
    /// The types that nodes of the group can run → `Reply::Types`.
    Types,
    /// What would be done on each node → `Reply::Plan`. Changes nothing.
    Plan {
        /// What is wanted.
        wanted: Wanted,
        /// The revision it starts from; `None` is the newest.
        base: Option<Revision>,
    },
    /// Makes a new revision and spreads it → `Reply::Applied`, as soon as it is recorded here; [`Request::Outcome`] follows it.
    Apply {
        /// What is wanted.
        wanted: Wanted,
        /// The revision it starts from; `None` is the newest.
        base: Option<Revision>,
        /// Whether to refuse ([`super::ErrorCode::Stale`]) when `base` is no longer the newest.
        compare_and_swap: bool,
        /// Why, for the history.
        message: String,
        /// Who, for the history: `ana@console`, `ci@script`.
        by: String,
    },
    /// How a revision fares on each node → `Reply::Outcome`. Answers at once when `seen` is not the present count of
    /// reports, else waits for the next report.
    Outcome {
        /// Which revision.
        revision: Revision,
        /// `OutcomeReply::n_reports` of the last answer; 0 at first.
        seen: u64,
        /// How long to wait for news, at most [`WAIT_MAX`].
        wait_ms: u64,
    },
    /// The last revisions, newest first → `Reply::History`.
    History {
        /// How many at most.
        limit: usize,
    },
    /// What happens in the group → `Reply::Events`.
    Watch {
        /// `Page::next` of the last answer; `None` starts with what happens from now on, 0 with all that is kept.
        cursor: Option<u64>,
        /// How long to wait for news, at most [`WAIT_MAX`].
        wait_ms: u64,
    },
    /// Log records → `Reply::Logs`.
    Logs {
        /// Whose.
        from: LogsFrom,
        /// `Page::next` of the last answer; `None` starts with the last `n`.
        cursor: Option<u64>,
        /// How many at most.
        n: usize,
        /// How long to wait for news, at most [`WAIT_MAX`].
        wait_ms: u64,
    },
    /// Messages that pass through a channel, without slowing it → `Reply::Tail`. The first call (no cursor) starts the tap;
    /// a tap that nobody reads for [`WAIT_MAX`] ends.
    Tail {
        /// The channel.
        channel: ChannelName,
        /// `Page::next` of the last answer.
        cursor: Option<u64>,
        /// Only messages for which this holds: `value > 40`, `value.city = 'Rennes'`, `from = node1.ticker.tick`.
        filter: Option<String>,
        /// How many at most.
        n: usize,
        /// How long to wait for news, at most [`WAIT_MAX`].
        wait_ms: u64,
        /// Whether to watch the fragment of the node asked alone.
        #[serde(default)]
        only_here: bool,
    },
    /// Puts a message into an input port → `Reply::Sent`.
    Send {
        /// The port.
        to: PortPath,
        /// The message.
        value: Value,
        /// Whether to wait for what the component answers (ports that reply).
        reply: bool,
    },
    /// Why an instance is in the state that it is in → `Reply::Why`.
    Why {
        /// The instance.
        path: InstancePath,
    },
    /// What a node finds when it examines itself → `Reply::Doctor`.
    Doctor,
    /// Counters and gauges in Prometheus' text form → `Reply::Metrics`.
    Metrics {
        /// Which node; `None` is the node asked.
        node: Option<NodeName>,
    },
    /// Ends a node after it stopped its instances → `Reply::Done`.
    Stop {
        /// Which.
        node: NodeName,
    },
}

impl Request {
    /// Whether the answer depends on the model or its history, so that the newest revision must be known first.
    pub fn is_about_the_model(&self) -> bool {
        match self {
            Request::Hello
            | Request::Status
            | Request::GetModel { .. }
            | Request::Types
            | Request::Plan { .. }
            | Request::Apply { .. }
            | Request::Outcome { .. }
            | Request::History { .. }
            | Request::Why { .. } => true,
            Request::Watch { .. }
            | Request::Logs { .. }
            | Request::Tail { .. }
            | Request::Send { .. }
            | Request::Doctor
            | Request::Metrics { .. }
            | Request::Stop { .. } => false,
        }
    }

    /// How long an asker waits for the answer.
    pub fn deadline(&self) -> Duration {
        match self {
            Request::Hello | Request::Status | Request::History { .. } | Request::Types | Request::Why { .. } => LOCAL,
            Request::GetModel { .. } | Request::Plan { .. } | Request::Apply { .. } => HEAVY,
            Request::Send { .. } | Request::Doctor | Request::Metrics { .. } | Request::Stop { .. } => RELAYED,
            Request::Outcome { wait_ms, .. } | Request::Watch { wait_ms, .. } => LOCAL + waiting(*wait_ms),
            Request::Logs { wait_ms, .. } | Request::Tail { wait_ms, .. } => RELAYED + waiting(*wait_ms),
        }
    }
}

/// A wait as asked for, within [`WAIT_MAX`].
pub fn waiting(wait_ms: u64) -> Duration {
    Duration::from_millis(wait_ms).min(WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revision_is_read_with_and_without_its_letter() {
        assert_eq!("r42".parse(), Ok(Revision::new(42)));
        assert_eq!("7".parse(), Ok(Revision::new(7)));
        let split = "r7@node2".parse::<Revision>().unwrap();
        assert_eq!(
            (split.origin.as_ref().map(NodeName::as_str), split.to_string().as_str()),
            (Some("node2"), "r7@node2")
        );
        assert!("last".parse::<Revision>().unwrap_err().contains("r42"));
        assert_eq!(format!("{:<4}|", Revision::new(3)), "r3  |");
    }

    #[test]
    fn nobody_waits_for_ever() {
        let watch = Request::Watch { cursor: None, wait_ms: u64::MAX };
        assert_eq!(watch.deadline(), LOCAL + WAIT_MAX);
    }
}
