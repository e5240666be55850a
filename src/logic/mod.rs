//! The cores: everything that decides, as plain values without clock, file, socket or actor.

pub mod delivery;
pub mod gossip;
pub mod link;
pub mod peers;
pub mod plan;
pub mod restart;
pub mod script;
