//! What is printed.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::{
    run::{Failure, Tally},
    worlds::{NODE_SHARE, World},
};

/// The version of the JSON form.
const JSON_VERSION: u32 = 1;

/// A bar on a terminal; nothing elsewhere.
pub(crate) fn bar(world: World, n_seeds: u64) -> ProgressBar {
    let bar = ProgressBar::new(n_seeds);
    let style = ProgressStyle::with_template("{msg:10} {bar:30} {pos}/{len} seeds  {per_sec}  {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.with_message(world.name())
}

/// A line on how a world fared.
pub(crate) fn line(world: World, tally: &Tally, elapsed: Duration) -> String {
    let rate = tally.n_seeds as f64 / elapsed.as_secs_f64();
    let violations = match tally.failures.len() {
        0 => "no violation".to_owned(),
        n => format!("{n} violations"),
    };
    format!(
        "{world:<10} {:>7} seeds  {:>11} steps  {:>7.2} s  {rate:>7.0} seeds/s  {violations}",
        tally.n_seeds,
        tally.n_steps,
        elapsed.as_secs_f64()
    )
}

/// Why a world has fewer seeds than the others.
fn shares(tallies: &[(World, Tally, Duration)]) -> String {
    let nodes = tallies.iter().any(|(world, ..)| *world == World::Node);
    let why = format!("  (of node one seed in {NODE_SHARE}: whole nodes live in it)");
    if nodes { why } else { String::new() }
}

/// The sum of several worlds.
pub(crate) fn sum(tallies: &[(World, Tally, Duration)]) -> String {
    let n_steps: u64 = tallies.iter().map(|(_, tally, _)| tally.n_steps).sum();
    let n_runs: u64 = tallies.iter().map(|(_, tally, _)| tally.n_seeds).sum();
    let n_seeds = tallies.iter().map(|(_, tally, _)| tally.n_seeds).max().unwrap_or(0);
    let elapsed: Duration = tallies.iter().map(|(.., elapsed)| *elapsed).sum();
    format!(
        "{:<10} {n_seeds:>7} seeds  {n_steps:>11} steps  {:>7.2} s  {:>7.0} seeds/s of all  ({n_runs} worlds){}",
        "all",
        elapsed.as_secs_f64(),
        n_seeds as f64 / elapsed.as_secs_f64(),
        shares(tallies)
    )
}

/// A failing seed: what was violated, its last lines, and how to see it again.
pub(crate) fn failure(failure: &Failure) -> String {
    let mut text = format!(
        "\n{} seed {}: violated: {}\n  {}\n",
        failure.world, failure.seed, failure.violation.invariant, failure.violation.detail
    );
    if failure.is_unsteady {
        text += "  the second run of the seed did not show it: something in this world is not by the seed\n";
    }
    text += &format!("the last {} lines of its trace:\n", failure.lines.len());
    for line in &failure.lines {
        text += &format!("  {}\n", shortened(line));
    }
    text + &format!("again: {}", command(failure))
}

fn command(failure: &Failure) -> String {
    format!("cargo run --release -p enact-sim -- {} --seed {} --trace", failure.world, failure.seed)
}

/// Lines are for a terminal.
const LINE_MAX: usize = 240;

fn shortened(line: &str) -> &str {
    &line[..line.floor_char_boundary(LINE_MAX)]
}

/// The same for programs.
pub(crate) fn json(tallies: &[(World, Tally, Duration)]) -> Value {
    let worlds: Vec<Value> = tallies
        .iter()
        .map(|(world, tally, elapsed)| {
            let failures: Vec<Value> = tally
                .failures
                .iter()
                .map(|failure| {
                    json!({
                        "seed": failure.seed,
                        "invariant": failure.violation.invariant,
                        "detail": failure.violation.detail,
                        "steady": !failure.is_unsteady,
                        "trace": failure.lines,
                        "again": command(failure),
                    })
                })
                .collect();
            json!({
                "world": world.name(),
                "seeds": tally.n_seeds,
                "steps": tally.n_steps,
                "seconds": elapsed.as_secs_f64(),
                "seeds_per_second": tally.n_seeds as f64 / elapsed.as_secs_f64(),
                "violations": failures,
            })
        })
        .collect();
    let held = tallies.iter().all(|(_, tally, _)| tally.failures.is_empty());
    json!({ "version": JSON_VERSION, "held": held, "worlds": worlds })
}
