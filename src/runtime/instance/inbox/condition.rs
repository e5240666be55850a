//! What an instance is doing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Condition {
    /// Made, not started yet.
    Created,
    /// Started.
    Running,
    /// Stopped.
    Stopped,
    /// Its code panicked, or was given up since it did not end.
    Failed,
    /// Ended; nothing answers any more.
    Gone,
    /// Its code blocks the thread; it can neither be used nor ended.
    Zombie,
}

impl Condition {
    pub(super) fn from_u8(n: u8) -> Condition {
        use Condition::{Created, Failed, Gone, Running, Stopped, Zombie};
        [Created, Running, Stopped, Failed, Gone, Zombie][usize::from(n.min(5))]
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Condition::Created => "created",
            Condition::Running => "running",
            Condition::Stopped => "stopped",
            Condition::Failed => "failed",
            Condition::Gone => "gone",
            Condition::Zombie => "zombie",
        })
    }
}
