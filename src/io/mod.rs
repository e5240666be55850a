//! The way to the outside: the network (engine), the disk (store), and what operators see (telemetry).

pub mod clock;
pub mod engine;
pub mod store;
pub mod telemetry;
