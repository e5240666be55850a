//! `enact-bench figures`: takes the samples, each measurement's contestants in turn, and shows what comes out.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::ExitCode,
};

use anyhow::{Result, bail};

use crate::{
    child, peers,
    rows::{self, Contestant, Measurement, OURS, Row},
    table::{self, Figure},
};

/// What `figures` is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Measures these rows alone; the beginning of a name names all that begin so.
    #[arg(long, value_name = "ROW", num_args = 1..)]
    only: Vec<String>,
    /// How often each sample is taken.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    runs: Option<u32>,
    /// Fewer and smaller samples: for a look, not for a record.
    #[arg(long)]
    quick: bool,
    /// Measures Enact without its peers.
    #[arg(long)]
    alone: bool,
    /// How much a sample does, whatever its row says: messages, instances.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    size: Option<u64>,
    /// Lists the rows and what they are.
    #[arg(long)]
    list: bool,
    /// Ends with 3 when a row is short, or wants a peer beside it that is not there.
    #[arg(long)]
    strict: bool,
}

/// How often each sample is taken, unless said otherwise.
const RUNS: u32 = 5;
const RUNS_QUICK: u32 = 2;

/// The samples of one measurement: by contestant and figure; or why there are none.
type Samples = BTreeMap<&'static str, Result<BTreeMap<String, Vec<f64>>, String>>;

/// The verb.
pub(crate) fn main(args: &Args) -> Result<ExitCode> {
    let rows = match chosen(&args.only) {
        Ok(rows) => rows,
        Err(unknown) => {
            eprintln!("enact-bench: {unknown}");
            return Ok(ExitCode::from(2));
        }
    };
    if args.list {
        table::list(&rows);
        return Ok(ExitCode::SUCCESS);
    }
    let samples = take_all(args, &rows);
    let figures: Vec<Figure> = rows.iter().map(|row| Figure::of(row, &samples[row.measurement.name])).collect();
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&figures)?)?;
    } else {
        write!(out, "{}", table::draw(&rows, &figures))?;
    }
    if figures.iter().any(|figure| figure.error.is_some()) {
        return Ok(ExitCode::FAILURE);
    }
    let is_short = figures.iter().any(|figure| !figure.is_good());
    Ok(if args.strict && is_short { ExitCode::from(3) } else { ExitCode::SUCCESS })
}

/// The rows that are asked for.
fn chosen(only: &[String]) -> Result<Vec<&'static Row>> {
    let matches = |row: &Row, word: &str| row.name.starts_with(word);
    if let Some(unknown) = only.iter().find(|word| !rows::all().any(|row| matches(row, word))) {
        let known: Vec<&str> = rows::all().map(|row| row.name).collect();
        bail!("there is no row \"{unknown}\" (there are: {})", known.join(", "));
    }
    Ok(rows::all().filter(|row| only.is_empty() || only.iter().any(|word| matches(row, word))).collect())
}

fn take_all(args: &Args, rows: &[&'static Row]) -> BTreeMap<&'static str, Samples> {
    let runs = args.runs.unwrap_or(if args.quick { RUNS_QUICK } else { RUNS });
    let mut seen = BTreeSet::new();
    let measurements: Vec<&'static Measurement> =
        rows.iter().map(|row| row.measurement).filter(|measurement| seen.insert(measurement.name)).collect();
    let mut all = BTreeMap::new();
    for measurement in measurements {
        let size = args.size.unwrap_or(if args.quick { measurement.quick } else { measurement.size });
        all.insert(measurement.name, take(measurement, size, runs, args.alone));
    }
    all
}

/// Takes the samples of a measurement: in each run every contestant has one turn.
fn take(measurement: &'static Measurement, size: u64, runs: u32, alone: bool) -> Samples {
    let takes_part = |contestant: &&Contestant| {
        contestant.name == OURS || (!alone && (!contestant.name.starts_with("erlang") || peers::erlang::is_there()))
    };
    let contestants: Vec<&'static Contestant> = measurement.contestants.iter().filter(takes_part).collect();
    let mut samples: Samples = contestants.iter().map(|contestant| (contestant.name, Ok(BTreeMap::new()))).collect();
    for run in 1..=runs {
        for contestant in &contestants {
            let Some(Ok(known)) = samples.get_mut(contestant.name) else { continue };
            match child::take(measurement.name, contestant.name, size) {
                Ok(figures) => {
                    let told: Vec<String> =
                        figures.iter().map(|(name, value)| format!("{name} {}", table::short(*value))).collect();
                    progress(&format!("{} {run}/{runs} {}: {}", measurement.name, contestant.name, told.join(", ")));
                    for (name, value) in figures {
                        known.entry(name).or_default().push(value);
                    }
                }
                Err(error) => {
                    let why = format!("{error:#}");
                    progress(&format!("{} {run}/{runs} {}: {why}", measurement.name, contestant.name));
                    samples.insert(contestant.name, Err(why));
                }
            }
        }
    }
    samples
}

fn progress(line: &str) {
    // Nobody watching is no failure.
    let _ = writeln!(std::io::stderr(), "{line}");
}
