//! The plan: which adaptations bring a node from one model to another, in which order, and how they are undone.
//!
//! [`plan()`] compares two models and orders what one node has to do; [`refuse()`] says beforehand what cannot work; [`Run`]
//! executes, and undoes after a failure. The [`Plan`] that a person is shown is the very value that a [`Run`] carries out.

pub mod adaptation;
pub mod diff;
#[cfg(test)]
mod laws;
pub mod order;
mod part;
pub mod record;
pub mod refuse;
pub mod run;
pub mod summary;

pub use adaptation::{Adaptation, Blueprint, End, HandOver, Mark, StateFrom, Subject};
pub use diff::diff;
pub use order::{Plan, order, plan};
pub use record::{Effect, Limits, Outcome, Progress, Record, StepFailure, Way, resumes};
pub use refuse::{Refusal, refuse};
pub use run::{Run, VERDICT};
pub use summary::{Line, Summary};
