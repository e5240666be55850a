//! The node actor: starts everyone, applies plans, supervises.

pub mod api;
