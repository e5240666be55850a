//! Mutants: deliberate faults in the cores, to see that the worlds are able to catch them.

mod list;
mod scratch;

use std::{path::Path, process::Command};

use serde_json::Value;

use self::list::Mutant;

#[cfg(test)]
mod tests;

/// How one fared: where it was caught.
struct Caught {
    seed: u64,
    invariant: String,
}

/// Breaks the cores, one fault at a time, and shows what catches each. Gives whether all are caught.
///
/// # Errors
/// When the list does not fit the tree, or does not build.
pub(crate) fn run(n_seeds: u64, only: Option<&str>) -> Result<bool, String> {
    let mutants = list::all()?;
    eprintln!("building {} mutants in target/mutants", mutants.len());
    let program = scratch::build(&mutants)?;
    check_unharmed(&program, &mutants)?;
    let mut survivors = 0;
    println!("{:<58} {:<8} {:>6}  VIOLATION", "MUTANT", "WORLD", "SEED");
    let chosen = |mutant: &Mutant| only.is_none_or(|text| mutant.name.contains(text));
    for (number, mutant) in mutants.iter().enumerate().filter(|(_, mutant)| chosen(mutant)) {
        let world = mutant.world()?;
        let n_seeds = world.share(n_seeds);
        match first_violation(&program, world.name(), Some(number), n_seeds)? {
            Some(caught) => println!("{:<58} {world:<8} {:>6}  {}", mutant.name, caught.seed, caught.invariant),
            None => {
                survivors += 1;
                println!("{:<58} {world:<8} {:>6}  SURVIVES {n_seeds} seeds", mutant.name, "-");
            }
        }
    }
    match survivors {
        0 => println!("all are caught"),
        n => println!("{n} survive: the worlds are too weak"),
    }
    Ok(survivors == 0)
}

/// Seeds that are run with no fault switched on: the planting itself must not harm.
const UNHARMED_SEEDS: u64 = 30;

fn check_unharmed(program: &Path, mutants: &[Mutant]) -> Result<(), String> {
    let mut worlds = Vec::new();
    for mutant in mutants {
        worlds.push(mutant.world()?);
    }
    worlds.sort();
    worlds.dedup();
    for world in worlds {
        if let Some(caught) = first_violation(program, world.name(), None, UNHARMED_SEEDS)? {
            return Err(format!("{world} seed {}: \"{}\" with no fault switched on", caught.seed, caught.invariant));
        }
    }
    Ok(())
}

fn first_violation(program: &Path, world: &str, number: Option<usize>, n_seeds: u64) -> Result<Option<Caught>, String> {
    let mut command = Command::new(program);
    command.args([world, "--output", "json", "--seeds", &n_seeds.to_string()]);
    command.env_remove("ENACT_MUTANT");
    if let Some(number) = number {
        command.env("ENACT_MUTANT", number.to_string());
    }
    let output = command.output().map_err(|error| format!("{}: {error}", program.display()))?;
    let report: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("what {world} says: {error}"))?;
    let violation = &report["worlds"][0]["violations"][0];
    let held = output.status.success();
    match (held, violation["seed"].as_u64()) {
        (true, None) => Ok(None),
        (false, Some(seed)) => {
            Ok(Some(Caught { seed, invariant: violation["invariant"].as_str().unwrap_or_default().to_owned() }))
        }
        _ => Err(format!("{world} ends with {} and says {report}", output.status)),
    }
}
