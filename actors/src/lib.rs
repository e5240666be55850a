//! The components, channels and groups that ship with Enact, written against its public API alone.

pub mod channels;
