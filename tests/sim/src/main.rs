//! `enact-sim`: simulates cores and shells under faults, by the seed. See docs/simulation.md.

mod agenda;
mod args;
mod chance;
mod clock;
mod engine;
mod gossip;
mod mutants;
mod network;
mod node;
mod plan;
mod run;
mod show;
mod trace;
mod worlds;

#[cfg(test)]
mod tests;

use std::{process::ExitCode, thread};

use clap::Parser;
use enact::io::{
    clock::Stopwatch,
    telemetry::{self, LogForm},
};

use self::{
    args::{Cli, Output, RunArgs},
    trace::Telling,
    worlds::World,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    run::note_panics();
    let (worlds, args) = match cli.verb.runs() {
        Ok(runs) => runs,
        Err(args) => return tried(mutants::run(args.seeds, args.only.as_deref())),
    };
    if let Some(level) = &args.log
        && let Err(error) = telemetry::start(level, LogForm::Human, 0)
    {
        return tried(Err(error.to_string()));
    }
    let held = match args.seed {
        Some(seed) => worlds.into_iter().map(|world| one(world, seed, args.trace)).min().unwrap_or(true),
        None => many(&worlds, args, |world| cli.verb.share(world, args.seeds)),
    };
    tried(Ok(held))
}

fn tried(outcome: Result<bool, String>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// One seed, told as it happens or only how it ended. Gives whether all held.
fn one(world: World, seed: u64, trace: bool) -> bool {
    let run = run::one(world, seed, if trace { Telling::All } else { Telling::Last });
    match &run.violation {
        None => println!("{world} seed {seed}: {} steps, nothing violated, trace {:016x}", run.n_steps, run.hash),
        Some(violation) => {
            let lines = if trace { Vec::new() } else { run.lines };
            let failure = run::Failure { world, seed, violation: violation.clone(), lines, is_unsteady: false };
            println!("{}", show::failure(&failure));
        }
    }
    run.violation.is_none()
}

/// Many seeds of each world. Gives whether all held.
fn many(worlds: &[World], args: &RunArgs, share: impl Fn(World) -> u64) -> bool {
    let n_jobs = args.jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let mut tallies = Vec::new();
    for &world in worlds {
        let clock = Stopwatch::start();
        let n_seeds = share(world);
        let bar = show::bar(world, n_seeds);
        let tally = run::many(world, args.from..args.from + n_seeds, n_jobs, &|| bar.inc(1));
        bar.finish_and_clear();
        let elapsed = clock.elapsed();
        if args.output == Output::Human {
            println!("{}", show::line(world, &tally, elapsed));
            tally.failures.iter().for_each(|failure| println!("{}", show::failure(failure)));
        }
        tallies.push((world, tally, elapsed));
    }
    match args.output {
        Output::Human if worlds.len() > 1 => println!("{}", show::sum(&tallies)),
        Output::Human => {}
        Output::Json => println!("{:#}", show::json(&tallies)),
    }
    tallies.iter().all(|(_, tally, _)| tally.failures.is_empty())
}
