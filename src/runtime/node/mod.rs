//! The node actor: starts everyone, applies plans, supervises.
