//! The times of a group.

use std::time::Duration;

/// The times of a group.
#[derive(Clone, Debug)]
pub struct Timing {
    /// Between two heartbeats. What a lost delta costs, at worst twice.
    pub heartbeat: Duration,
    /// How long a member that starts waits for somebody to appear. Discovery takes some 10 ms; a busy machine, longer.
    pub alone_after: Duration,
    /// How long a member that starts waits for those who are there to answer.
    pub answer_within: Duration,
    /// How far ahead a stamp may be.
    pub ahead_max: Duration,
    /// How long removals are remembered. Who stays away longer takes the others' state as it is.
    pub horizon: Duration,
    /// A revision that writes more registers than this is sent to each node in two: first what concerns the node, then the whole.
    pub whole_max: u32,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            heartbeat: Duration::from_millis(250),
            alone_after: Duration::from_millis(1500),
            answer_within: Duration::from_secs(10),
            ahead_max: Duration::from_secs(1),
            horizon: Duration::from_secs(24 * 3600),
            whole_max: 2000,
        }
    }
}
