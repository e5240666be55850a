//! What can go wrong with an instance, in words for the report.

use std::{fmt, time::Duration};

use crate::words::InstancePath;

/// A value of the dictionary that does not fit its parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamError {
    /// The parameter (or the name that is none).
    pub param: String,
    /// What was there and what would have worked.
    pub message: String,
}

impl fmt::Display for ParamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parameter \"{}\": {}", self.param, self.message)
    }
}

impl std::error::Error for ParamError {}

/// Why an instance did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Values that do not fit, all of them at once.
    #[error("{}", all(.0))]
    Params(Vec<ParamError>),
    /// The instance's own code refused.
    #[error("{what} failed: {reason}")]
    Refused {
        /// Which of its methods: `start`, `update`, `input "text"`.
        what: String,
        /// What it said.
        reason: String,
    },
    /// The instance's own code panicked.
    #[error("{what} panicked: {reason}")]
    Panicked {
        /// Which of its methods.
        what: String,
        /// What it said.
        reason: String,
    },
    /// No answer within the limit. The instance was given up.
    #[error("{what} did not end within {limit:?}")]
    TimedOut {
        /// What it was asked.
        what: String,
        /// How long it had.
        limit: Duration,
    },
    /// It did not come to its end, and was given up since the node waited for the instance.
    #[error("{what} was given up: it did not come to an end while the node waited")]
    GivenUp {
        /// Which of its methods.
        what: String,
    },
    /// Its code blocks the thread and cannot be ended: the instance is left behind, and so is its arbiter.
    #[error("{what} blocks its thread and cannot be ended")]
    Zombie {
        /// What it was asked.
        what: String,
    },
    /// There is no such port.
    #[error("there is no {direction} port \"{port}\" (there are: {})", list(.known))]
    NoPort {
        /// `input` or `output`.
        direction: &'static str,
        /// What was asked for.
        port: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The instance cannot do that in its present condition.
    #[error("cannot {what} while {condition}")]
    Condition {
        /// What it was asked.
        what: String,
        /// `failed`, `stopped`.
        condition: String,
    },
    /// The instance has ended.
    #[error("the instance has ended")]
    Gone,
    /// The thread that it should live on has ended.
    #[error("the arbiter for it has ended")]
    NoArbiter,
    /// The type is not in the catalog of this binary.
    #[error("this binary brings no type {wanted} (it brings: {})", list(.known))]
    UnknownType {
        /// What was asked for.
        wanted: String,
        /// Types of that name, or all.
        known: Vec<String>,
    },
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// Whether the instance's code brought itself down: what supervision restarts.
    pub fn is_crash(&self) -> bool {
        matches!(
            self,
            Failure::Panicked { .. } | Failure::GivenUp { .. } | Failure::TimedOut { .. } | Failure::Zombie { .. }
        )
    }

    /// The failure with the name of the instance before it, for logs.
    pub fn of(&self, path: &InstancePath) -> String {
        format!("{path}: {self}")
    }
}

fn all(errors: &[ParamError]) -> String {
    errors.iter().map(ParamError::to_string).collect::<Vec<_>>().join("; ")
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
