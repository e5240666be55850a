//! How a command fails: one line what, one line help, and an exit code scripts can rely on.

use std::{io::Write, process::ExitCode};

use super::paint;
use crate::runtime::node::api::{ApiError, ErrorCode};

/// Exit codes of every verb. `0` is done, `2` is wrong use (clap's).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done as far as anybody wanted: nobody reads the output any more (`enact watch | head`).
    Unread = 0,
    /// Something went wrong.
    Error = 1,
    /// Wrong use of the command.
    Usage = 2,
    /// A plan has changes (with `--exit-code` only).
    Changes = 3,
    /// Refused: stale, not confirmed, forbidden.
    Refused = 4,
    /// Applied and rolled back.
    RolledBack = 5,
    /// Something stays unresolved.
    Unresolved = 6,
    /// No answer in time.
    Timeout = 7,
    /// No node could be reached.
    Unreachable = 8,
}

/// What a failed command tells: what happened, and what to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened, in one line.
    pub what: String,
    /// What to do about it, in one line; may be empty.
    pub help: String,
}

impl Failure {
    /// A failure with its help.
    pub fn new(exit: Exit, what: impl Into<String>, help: impl Into<String>) -> Failure {
        Failure { exit, what: what.into(), help: help.into() }
    }

    /// An exit code without a word: all was said.
    pub fn silent(exit: Exit) -> Failure {
        Failure::new(exit, "", "")
    }

    /// The failure as people see it; empty when all was said.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if !self.what.is_empty() {
            text.push_str(&format!("{} {}\n", paint::red("error:"), self.what));
        }
        if !self.help.is_empty() {
            text.push_str(&format!("  {} {}\n", paint::cyan("help:"), self.help));
        }
        text
    }

    /// Prints the failure on stderr and gives its exit code. A closed stderr is no reason to fail otherwise.
    pub fn report(&self) -> ExitCode {
        let _ = anstream::stderr().write_all(self.text().as_bytes());
        ExitCode::from(self.exit as u8)
    }
}

/// Failures that are not told apart. (What a node answered has its own codes: see [`of_api`].)
impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::new(Exit::Error, error.to_string(), "")
    }
}

/// What a node answered, as a failure of the command.
pub fn of_api(error: &ApiError) -> Failure {
    let exit = match error.code {
        ErrorCode::Stale | ErrorCode::Refused | ErrorCode::Version => Exit::Refused,
        ErrorCode::Timeout => Exit::Timeout,
        ErrorCode::Unreachable => Exit::Unreachable,
        ErrorCode::Invalid | ErrorCode::NotFound | ErrorCode::Malformed | ErrorCode::Internal => Exit::Error,
    };
    Failure::new(exit, error.what.clone(), error.help.clone())
}
