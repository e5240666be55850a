//! Enact: a runtime for systems that reshape themselves while they run.
//!
//! You describe the wanted system as a [`model::Model`]; actors on one machine or on hundreds are made to match it, and kept
//! so when machines come and go. The folders are the floors of the house: each module imports its own family and lower floors.

pub mod doors;
pub mod io;
pub mod logic;
pub mod model;
pub mod runtime;
pub mod words;

pub use doors::binary::{Binary, node};
pub use enact_macros::{Component, component};
pub use runtime::component::{Error, Message, ParamType, Result, from_value, prelude, testing, to_value};

// The macros write `::enact::…`, also into the components of this crate's own tests.
extern crate self as enact;

/// The examples of the documents compile, and those that run hold.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/components.md")]
    struct Components;
    #[doc = include_str!("../docs/channels-and-groups.md")]
    struct ChannelsAndGroups;
}
