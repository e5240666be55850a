//! The command line: verbs, exit codes, output forms.

pub mod draw;
pub mod failure;
pub mod files;
pub mod model;
pub mod model_diff;
pub mod model_plan;
pub mod script;
pub mod summary;
