//! The input ports of an instance, and what each has seen.

use serde::{Deserialize, Serialize};

use crate::words::PortName;

/// Messages that an input port keeps when its author says nothing: enough for a burst, and little memory.
pub const QUEUE_DEFAULT: u32 = 1024;

/// What happens to a message when the queue of its port is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// The sender waits (a channel keeps it within its own bound).
    #[default]
    Wait,
    /// The oldest message of the port makes room.
    DropOldest,
    /// The message is refused.
    Refuse,
}

/// An input port of a type, as its queue needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputPort {
    /// The name.
    pub name: PortName,
    /// How many messages it keeps.
    pub queue: u32,
    /// What happens to more.
    pub overflow: Overflow,
    /// The schema hash of its messages; 0 for any.
    pub schema: u64,
}

/// What an input port has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Messages that were put in.
    pub received: u64,
    /// Messages that were handed to the instance.
    pub handled: u64,
    /// Messages that made room for younger ones.
    pub dropped: u64,
    /// Messages that were refused since the queue was full.
    pub refused: u64,
    /// Messages that wait.
    pub depth: u32,
}
