//! Scripts: KevScript 5 with Enact's own statements. Text to statements, statements to edits of a model, and back to text.
//!
//! Everything here is a pure function: no clock, no chance (generated names come from a seed), no file. [`parse()`] finds
//! every error of a text, [`evaluate`] every error of its execution; a script with an error changes nothing.
//!
//! ```
//! use enact::{logic::script::{self, Variables}, model::{Model, library::Library}};
//!
//! let (script, diagnostics) = script::parse("add front : scope");
//! assert!(diagnostics.is_empty());
//! let told = script::evaluate(&script, &Model::default(), &Library::default(), &mut Variables::new(), 0).unwrap_err();
//! assert_eq!(told[0].message, "there is no type `scope`: no types are known at all");
//!
//! let (script, _) = script::parse("scope front");
//! let done = script::evaluate(&script, &Model::default(), &Library::default(), &mut Variables::new(), 0).unwrap();
//! assert_eq!(script::print(&done.model), "scope front\n");
//! ```
//!
//! KevScript's statements are `add remove move attach detach set bind unbind network start stop` (`include repo namespace
//! pause` are read and do nothing). Enact adds `upgrade`, `host` and `unhost`, `unset`, `unnetwork`, `property` and
//! `unproperty`, `meta` and `unmeta`, `scope` and `unscope`, `enter` and `leave`; versions of types with dots; keys in quotes.
//! [`Keyword::ALL`] has their forms. Where KevScript 5.0.9 was wrong by accident, this is right (the first test of `eval`
//! lists the accidents); otherwise its measured outcomes count. One thing that it read is not: a keyword that starts a line starts a
//! statement, also where a name could stand (unless the line before ends with a comma or another sign).

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
