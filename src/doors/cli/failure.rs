//! How a command fails: one line what, one line help, and an exit code scripts can rely on.

use std::process::ExitCode;

/// Exit codes of every verb. `0` is done, `2` is wrong use (clap's).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
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
#[derive(Clone, Debug)]
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

    /// Prints the failure on stderr and gives its exit code.
    pub fn report(&self) -> ExitCode {
        if !self.what.is_empty() {
            anstream::eprintln!("error: {}", self.what);
        }
        if !self.help.is_empty() {
            anstream::eprintln!("  help: {}", self.help);
        }
        ExitCode::from(self.exit as u8)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::new(Exit::Error, error.to_string(), "")
    }
}
