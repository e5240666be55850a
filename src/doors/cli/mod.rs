//! The command line: verbs, exit codes, output forms.

pub mod failure;
pub mod model;
pub mod script;
