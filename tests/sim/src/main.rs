//! `enact-sim`: simulates cores and shells under faults, by the seed.

use clap::Parser;

/// Simulates Enact's cores and shells under faults, by the seed.
#[derive(Debug, Parser)]
struct Args {}

fn main() {
    let Args {} = Args::parse();
}
