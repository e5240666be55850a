//! Mutants: deliberate faults in the cores, to see that the worlds are able to catch them.

mod list;
mod scratch;

use std::{ops::Range, path::Path, process::Command};

use serde_json::Value;

use self::list::Mutant;
use crate::worlds::World;

#[cfg(test)]
mod tests;

/// A seed that shows a violation.
#[derive(Clone, Debug, PartialEq)]
struct Violation {
    seed: u64,
    invariant: String,
    /// It came again when the seed was run again.
    is_steady: bool,
}

/// How a mutant fared.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    /// What caught it.
    caught: Option<Violation>,
    /// Violations that are not its own: they come without it, too, or do not come again.
    n_strange: usize,
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
        let outcome = hunt(n_seeds, |is_on, seeds| violations(&program, world, is_on.then_some(number), seeds))?;
        survivors += u64::from(outcome.caught.is_none());
        let (seed, fate) = match &outcome.caught {
            Some(caught) => (caught.seed.to_string(), caught.invariant.clone()),
            None => ("-".to_owned(), format!("SURVIVES {n_seeds} seeds")),
        };
        println!("{:<58} {world:<8} {seed:>6}  {fate}{}", mutant.name, others(outcome.n_strange));
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
        if let Some(found) = violations(program, world, None, 0..UNHARMED_SEEDS)?.first() {
            return Err(format!("{world} seed {}: \"{}\" with no fault switched on", found.seed, found.invariant));
        }
    }
    Ok(())
}

fn others(n_strange: usize) -> String {
    if n_strange == 0 { String::new() } else { format!("  ({n_strange} violations that are not its own)") }
}

/// Looks for a violation that is the fault's own: it comes again, and does not come when the fault is switched off. `run` gives what
/// some seeds show with the fault switched on, or off.
fn hunt(
    n_seeds: u64,
    mut run: impl FnMut(bool, Range<u64>) -> Result<Vec<Violation>, String>,
) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let mut from = 0;
    while from < n_seeds {
        let found = run(true, from..n_seeds)?;
        // A run ends after a few violations: if none of them is of use, the next one goes on behind.
        from = found.last().map_or(n_seeds, |last| last.seed + 1);
        for violation in found {
            let seed = violation.seed;
            if violation.is_steady && run(false, seed..seed + 1)?.is_empty() {
                return Ok(Outcome { caught: Some(violation), ..outcome });
            }
            outcome.n_strange += 1;
        }
    }
    Ok(outcome)
}

/// The first few violations that some seeds show with a fault switched on, or with none.
fn violations(
    program: &Path,
    world: World,
    number: Option<usize>,
    seeds: Range<u64>,
) -> Result<Vec<Violation>, String> {
    let n_seeds = seeds.end - seeds.start;
    let mut command = Command::new(program);
    command.args([world.name(), "--output", "json", "--from", &seeds.start.to_string()]);
    command.args(["--seeds", &n_seeds.to_string()]);
    command.env_remove("ENACT_MUTANT");
    if let Some(number) = number {
        command.env("ENACT_MUTANT", number.to_string());
    }
    let output = command.output().map_err(|error| format!("{}: {error}", program.display()))?;
    let report: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| format!("what {world} says: {error}"))?;
    let contradicts = || format!("{world} ends with {} and says {report}", output.status);
    let found = read(&report).ok_or_else(contradicts)?;
    if output.status.success() == found.is_empty() { Ok(found) } else { Err(contradicts()) }
}

/// The violations in what a world says.
fn read(report: &Value) -> Option<Vec<Violation>> {
    let told = report["worlds"][0]["violations"].as_array()?.iter();
    let violation = |told: &Value| {
        let invariant = told["invariant"].as_str()?.to_owned();
        Some(Violation { seed: told["seed"].as_u64()?, invariant, is_steady: told["steady"].as_bool()? })
    };
    told.map(violation).collect()
}
