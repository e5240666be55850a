//! The soak: node processes under load and adaptation for long, looked at every few seconds.

mod changes;
mod level;
mod nodes;
mod plot;
mod sample;

use std::{
    fs::{self, File},
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use changes::{Change, Dice};
use enact::io::clock::Stopwatch;
use nodes::Nodes;
use sample::Sample;

/// How often all processes are looked at.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// How often the system is adapted: half a thousand times in a quarter of an hour.
const CHANGE_EVERY: Duration = Duration::from_secs(2);

/// How often a node is killed.
const KILL_EVERY: Duration = Duration::from_secs(240);

/// How long a killed node stays away: longer than its death takes to be noticed, with changes in between.
const AWAY: Duration = Duration::from_secs(12);

/// How long the loop sleeps when nothing is due.
const NAP: Duration = Duration::from_millis(50);

/// At the end, how long the group may take to be in step.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// What the soak is told.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long it runs.
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// How many nodes.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(2..=32))]
    nodes: u32,
    /// Where samples (`.csv`), plot (`.svg`) and summary (`.md`) go: a path without ending.
    #[arg(long, default_value = "soak")]
    out: PathBuf,
    /// The `enact` binary; without it, the one beside this one.
    #[arg(long)]
    enact: Option<PathBuf>,
    /// What the choice of changes starts from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs it; fails when something does not level off, or did not work.
pub(crate) fn run(args: &Args) -> ExitCode {
    match soak(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// What happened besides the samples.
#[derive(Default)]
pub(crate) struct Account {
    /// Changes that were made, by kind.
    done: std::collections::BTreeMap<&'static str, u32>,
    /// Commands that ended with something else than 0: when, with what, and what they said.
    refused: Vec<(Duration, String)>,
    /// When a node was killed, and which.
    kills: Vec<(Duration, String)>,
    /// Processes that ended though nobody killed them.
    ended: Vec<(Duration, String)>,
}

fn soak(args: &Args) -> io::Result<bool> {
    let whole = Duration::from_secs_f64(args.minutes * 60.0);
    let mut nodes = Nodes::new(args.nodes, args.enact.as_deref())?;
    nodes.start_all()?;
    nodes.apply(&changes::system(&nodes.names())).map_err(io::Error::other)?;
    let mut csv = File::create(args.out.with_extension("csv"))?;
    writeln!(csv, "{}", Sample::HEAD)?;
    let mut samples = Vec::new();
    let mut account = Account::default();
    let watch = Stopwatch::start();
    let mut due = Due::default();
    let mut dice = Dice::new(args.seed);
    while watch.elapsed() < whole {
        let now = watch.elapsed();
        for name in nodes.ended() {
            account.ended.push((now, name.clone()));
            nodes.start(&name)?;
        }
        if Due::is(&mut due.sample, now, SAMPLE_EVERY) {
            for sample in sample::all(&nodes, watch) {
                writeln!(csv, "{sample}")?;
                samples.push(sample);
            }
        }
        if Due::is(&mut due.kill, now, KILL_EVERY) && now >= KILL_EVERY && now + AWAY < whole {
            account.kills.push((now, nodes.kill_next()));
        }
        let back = account.kills.last().is_some_and(|(killed, _)| now >= *killed + AWAY);
        if back && let Some(name) = nodes.away() {
            nodes.start(&name)?;
        }
        if Due::is(&mut due.change, now, CHANGE_EVERY) {
            change(&nodes, &mut dice, now, &mut account);
        }
        std::thread::sleep(NAP);
    }
    let in_step = settle(&nodes);
    let verdict = level::judge(&samples, whole);
    fs::write(args.out.with_extension("svg"), plot::svg(&samples, &account.kills, whole))?;
    let summary = level::summary(&verdict, &account, &samples, in_step);
    fs::write(args.out.with_extension("md"), &summary)?;
    println!("{summary}");
    let panics = nodes.panics();
    for line in &panics {
        println!("a panic: {line}");
    }
    Ok(in_step && account.ended.is_empty() && panics.is_empty() && verdict.iter().all(|one| one.is_level()))
}

/// When things were done last.
#[derive(Default)]
struct Due {
    sample: Option<Duration>,
    change: Option<Duration>,
    kill: Option<Duration>,
}

impl Due {
    /// Whether it is time again, and notes it.
    fn is(last: &mut Option<Duration>, now: Duration, every: Duration) -> bool {
        let due = last.is_none_or(|last| now >= last + every);
        if due {
            *last = Some(now);
        }
        due
    }
}

/// One change at some living node.
fn change(nodes: &Nodes, dice: &mut Dice, now: Duration, account: &mut Account) {
    let made = nodes.model().and_then(|model| {
        let Change { kind, script } = changes::next(&model, &nodes.names(), dice);
        *account.done.entry(kind).or_default() += 1;
        nodes.apply(&script).map_err(|error| format!("{kind}: {error}"))
    });
    if let Err(error) = made {
        account.refused.push((now, error));
    }
}

/// Whether all nodes are ready and at the newest revision in the end.
fn settle(nodes: &Nodes) -> bool {
    let watch = Stopwatch::start();
    while watch.elapsed() < SETTLE_MAX {
        if nodes.in_step() {
            return true;
        }
        std::thread::sleep(NAP);
    }
    false
}
