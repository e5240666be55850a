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
    /// Time between two changes, in milliseconds: short enough that a thousand revisions, which are kept, are made long before the
    /// second half.
    #[arg(long, default_value_t = 1000)]
    change_ms: u64,
    /// Time between two kills, in seconds.
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u64).range(20..))]
    kill_s: u64,
    /// Nothing runs on the nodes, nothing changes, nobody is killed: is a node thought dead when all is quiet?
    #[arg(long)]
    idle: bool,
    /// So many threads that do nothing but keep the processors busy.
    #[arg(long, default_value_t = 0)]
    spinners: usize,
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
    /// How often a node said that another is gone, all together.
    deaths: usize,
    /// How often a node said that another is silent.
    suspicions: usize,
}

impl Account {
    /// Deaths that are told of though nobody was killed: each who lives tells once of each who does not.
    fn false_deaths(&self, n_nodes: u32) -> usize {
        self.deaths.saturating_sub((self.kills.len() + self.ended.len()) * (n_nodes as usize - 1))
    }
}

fn soak(args: &Args) -> io::Result<bool> {
    let whole = Duration::from_secs_f64(args.minutes * 60.0);
    let mut nodes = Nodes::new(args.nodes, args.enact.as_deref())?;
    nodes.start_all()?;
    if !args.idle {
        nodes.apply(&changes::system(&nodes.names())).map_err(io::Error::other)?;
    }
    // They end with this process.
    (0..args.spinners).for_each(|_| {
        drop(std::thread::spawn(|| {
            loop {
                std::hint::spin_loop()
            }
        }))
    });
    let mut csv = File::create(args.out.with_extension("csv"))?;
    writeln!(csv, "{}", Sample::HEAD)?;
    let mut samples = Vec::new();
    let mut account = Account::default();
    let watch = Stopwatch::start();
    let mut due = Due::default();
    let mut dice = Dice::new(args.seed);
    let kill_every = Duration::from_secs(args.kill_s);
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
        if !args.idle && Due::is(&mut due.kill, now, kill_every) && now >= kill_every && now + AWAY < whole {
            account.kills.push((now, nodes.kill_next()));
        }
        let back = account.kills.last().is_some_and(|(killed, _)| now >= *killed + AWAY);
        if back && let Some(name) = nodes.away() {
            nodes.start(&name)?;
        }
        if !args.idle && Due::is(&mut due.change, now, Duration::from_millis(args.change_ms)) {
            change(&nodes, &mut dice, now, &mut account);
        }
        std::thread::sleep(NAP);
    }
    let in_step = settle(&nodes);
    account.deaths = nodes.said("\"peer down\"").len();
    account.suspicions = nodes.said("it may hang").len();
    let verdict = level::judge(&samples, whole);
    fs::write(args.out.with_extension("svg"), plot::svg(&samples, &account.kills, whole))?;
    let summary = level::summary(&verdict, &account, &samples, args.nodes, in_step);
    fs::write(args.out.with_extension("md"), &summary)?;
    println!("{summary}");
    let panics = nodes.said("panicked at");
    for line in &panics {
        println!("a panic: {line}");
    }
    Ok(in_step
        && account.false_deaths(args.nodes) == 0
        && account.ended.is_empty()
        && panics.is_empty()
        && verdict.iter().all(|one| one.is_level()))
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
