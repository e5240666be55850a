//! Scripts: KevScript 5 with Enact's own statements. Text to statements, statements to edits of a model, and back to text.
//!
//! Everything here is a pure function: no clock, no chance (generated names come from a seed), no file. [`parse`] finds
//! every error of a text, [`evaluate`] every error of its execution; a script with an error changes nothing.

pub mod diagnostic;
pub mod eval;
pub mod expect;
pub mod parse;
pub mod print;
pub mod statement;
pub mod token;
pub mod variables;

pub use diagnostic::{Code, Diagnostic, Severity, Span, Stage, explain};
pub use eval::{Evaluation, evaluate};
pub use expect::{Completion, Expectation, expect_at};
pub use parse::{is_unfinished, parse};
pub use print::{print, print_edits};
pub use statement::{Keyword, Script};
pub use variables::Variables;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
