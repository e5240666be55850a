//! The command line.

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::worlds::World;

const EXAMPLES: &str = "\
Examples:
  enact-sim all                        a thousand seeds of each world, a hundred of node
  enact-sim gossip --seeds 100000      more of one
  enact-sim gossip --seed 4711 --trace what happens in one, line by line
  enact-sim all --seeds 10000 --output json
  enact-sim mutants                    breaks the cores on purpose, one fault at a time, and shows that each is caught

A seed is the whole accident: the same seed does the same again. Exit code 0: nothing was violated; 1: something was.";

/// Simulates Enact's cores and shells under faults, by the seed.
#[derive(Debug, Parser)]
#[command(name = "enact-sim", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// How models spread: members of a group under crashes, partitions and wrong clocks.
    Gossip(RunArgs),
    /// What nodes owe each other: links and membership under cuts, hangs and deaths.
    Engine(RunArgs),
    /// How a node gets from one model to another: steps that fail, hang and answer late, crashes in the middle.
    Plan(RunArgs),
    /// What runs: nodes with all their actors over the double of the network, crashes, cuts, components that misbehave.
    Node(RunArgs),
    /// Each world, N seeds of each; of node N / 10, since one takes as long as a hundred of the others.
    All(RunArgs),
    /// Breaks the cores on purpose, one fault at a time, and shows that each is caught. Needs the workspace, git and cargo.
    Mutants(MutantArgs),
}

/// How mutants are tried.
#[derive(Debug, Args)]
pub(crate) struct MutantArgs {
    /// How many seeds of its world each gets at most; N / 10 of node.
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    pub(crate) seeds: u64,
    /// Only those whose name has this in it.
    #[arg(value_name = "TEXT")]
    pub(crate) only: Option<String>,
}

impl Verb {
    /// How many seeds of a world are run when so many are asked for.
    pub(crate) fn share(&self, world: World, n_seeds: u64) -> u64 {
        if matches!(self, Verb::All(_)) { world.share(n_seeds) } else { n_seeds }
    }

    /// Which worlds are run, and how; or how mutants are tried.
    pub(crate) fn runs(&self) -> Result<(Vec<World>, &RunArgs), &MutantArgs> {
        Ok(match self {
            Verb::Mutants(args) => return Err(args),
            Verb::Gossip(args) => (vec![World::Gossip], args),
            Verb::Engine(args) => (vec![World::Engine], args),
            Verb::Plan(args) => (vec![World::Plan], args),
            Verb::Node(args) => (vec![World::Node], args),
            Verb::All(args) => (World::ALL.to_vec(), args),
        })
    }
}

/// How worlds are run.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// How many seeds of each world.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub(crate) from: u64,
    /// One seed only.
    #[arg(long, value_name = "S", conflicts_with_all = ["seeds", "from"])]
    pub(crate) seed: Option<u64>,
    /// Prints what happens, line by line; with --seed.
    #[arg(long, requires = "seed")]
    pub(crate) trace: bool,
    /// Prints what the actors log as well, from this level on; with --trace, for the world of nodes.
    #[arg(long, value_name = "LEVEL", requires = "trace")]
    pub(crate) log: Option<String>,
    /// How many threads; all cores unless given.
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    /// What is printed.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    pub(crate) output: Output,
}

/// For whom the output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// People.
    Human,
    /// Programs: one object.
    Json,
}
