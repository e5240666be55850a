//! The actors. `node` starts everyone; the others do not know one another.

pub mod channel;
pub mod component;
pub mod group;
pub mod instance;
pub mod node;
