//! `enact-bench`: measures Enact beside its peers, in one run.

use clap::Parser;

/// Measures Enact beside its peers, in one run.
#[derive(Debug, Parser)]
struct Args {}

fn main() {
    let Args {} = Args::parse();
}
