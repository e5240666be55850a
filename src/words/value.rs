//! The self-describing value: what travels where sender and receiver do not share a type.

/// A value that describes itself. `serde_json`'s: every serde type becomes one and comes back from one.
pub use serde_json::Value;
