//! `enact-bench`: measures Enact beside its peers, in one run.
//!
//! A [`rows::Row`] is a line of the table, a [`rows::Measurement`] what several contestants do in the same run, each sample in a
//! process of its own ([`child`]): no contestant finds the memory, the threads or the caches that another has left. One file per
//! family of rows holds what Enact does; what the peers do is in [`peers`].

mod adopt;
mod child;
mod components;
mod detect;
mod draft;
mod figures;
mod host;
mod local;
mod model;
mod peers;
mod push;
mod remote;
mod rows;
mod soak;
mod spawn;
mod stage;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The allocator of the binary `enact`, for Enact and its peers alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Enact beside its peers, in one run.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 measured, 1 a row could not be measured, 2 usage, 3 a row is short (with --strict)."
)]
struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Measures rows and shows them beside the peers.
    Figures(figures::Args),
    /// Real processes under load and adaptation for long: do memory, threads and files level off?
    Soak(soak::Args),
    /// One sample: what `figures` runs again and again, each time as a process of its own.
    #[command(hide = true)]
    Sample {
        /// Of which measurement.
        measurement: String,
        /// Whose.
        contestant: String,
        /// How much.
        size: u64,
    },
    /// The other process of a sample that takes two.
    #[command(hide = true)]
    Role {
        /// Which, and what it is told.
        words: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Args::parse().verb {
        Verb::Figures(args) => figures::main(&args),
        Verb::Soak(args) => Ok(soak::run(&args)),
        Verb::Sample { measurement, contestant, size } => {
            child::sample(&measurement, &contestant, size).map(|()| ExitCode::SUCCESS)
        }
        Verb::Role { words } => child::role(&words).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("enact-bench: {error:#}");
        ExitCode::FAILURE
    })
}
