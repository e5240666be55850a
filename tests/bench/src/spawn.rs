//! Instances: how fast they come to life, and what each takes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use ::actix::System;
use actix_rt::Arbiter;
use anyhow::{Context, Result, ensure};
use enact::{
    io::clock::Stopwatch,
    model::Dictionary,
    runtime::instance::{Birth, Calls, Cradle, Environment, Handle, Op, burst, inbox::Outcome},
    words::{ComponentName, InstancePath, NodeName},
};

use crate::{
    host,
    peers::{actix, erlang, kameo, ractor, tokio},
    rows::{Contestant, Measurement, OURS, Reach, Row, Sample},
    stage,
};

/// Starts under way at once, as the node has it (`Limits::at_once`).
const AT_ONCE: usize = 1024;

/// How long a start may take.
const START_MAX: Duration = Duration::from_secs(30);

static CONTESTANTS: &[Contestant] = &[
    Contestant { name: OURS, sample: spawn },
    Contestant { name: "tokio", sample: tokio::spawn },
    Contestant { name: "erlang", sample: erlang::spawn },
    Contestant { name: "ractor", sample: ractor::spawn },
    Contestant { name: "kameo", sample: kameo::spawn },
    Contestant { name: "actix", sample: actix::spawn },
];

static HUNDRED_THOUSAND: Measurement =
    Measurement { name: "spawn-100k", size: 100_000, quick: 100_000, contestants: CONTESTANTS };

static MILLION: Measurement =
    Measurement { name: "spawn-1m", size: 1_000_000, quick: 100_000, contestants: CONTESTANTS };

const fn rate(name: &'static str, what: &'static str, measurement: &'static Measurement) -> Row {
    Row { name, what, measurement, figure: "rate", unit: "M/s", reach: Reach::AtLeast(0.95), ratios: &[] }
}

const fn bytes(name: &'static str, what: &'static str, measurement: &'static Measurement) -> Row {
    Row { name, what, measurement, figure: "bytes", unit: "B each", reach: Reach::AtMost(1400.0), ratios: &[] }
}

pub(crate) static ROWS: &[Row] = &[
    rate("spawn-100k", "100,000 instances made, entered by model path, and started", &HUNDRED_THOUSAND),
    bytes("spawn-100k-bytes", "resident memory of each of them", &HUNDRED_THOUSAND),
    rate("spawn-1m", "a million instances made, entered by model path, and started", &MILLION),
    bytes("spawn-1m-bytes", "resident memory of each of them", &MILLION),
];

/// The memory of this process that is in RAM, in bytes.
pub(crate) fn resident() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the system tells it")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

/// What `n` spawns come to: `before` is the memory without them.
pub(crate) fn sample(n: u64, watch: Stopwatch, before: u64) -> Result<Sample> {
    let elapsed = watch.elapsed();
    let bytes = resident()?.saturating_sub(before) as f64 / n as f64;
    Ok(Sample::from([("rate", n as f64 / elapsed.as_secs_f64() / 1e6), ("bytes", bytes)]))
}

/// Makes instances as a node does: through the catalog, spread over its workers, in a table by path, each started.
fn spawn(n: u64) -> Result<Sample> {
    System::new().block_on(async move {
        let binary = host::binary();
        let catalog = binary.catalog();
        let idle =
            catalog.iter().find(|bundle| bundle.definition.id.name.as_str() == "Idle").context("it is brought")?;
        let node = NodeName::parse("bench")?;
        let environment = Arc::new(Environment::new(node.clone()));
        let workers: Vec<Arbiter> = (0..n_cores()).map(|_| Arbiter::new()).collect();
        let cradles: Vec<Cradle> = workers.iter().map(|worker| worker.handle().into()).collect();
        let before = resident()?;
        // A node has the names from its model. What they take counts, the time to make them does not.
        let names = (1..=n).map(|life| ComponentName::parse(&format!("idle{life}")));
        let names: Vec<ComponentName> = names.collect::<Result<_, _>>()?;
        let watch = Stopwatch::start();
        // As a node does with the additions of a plan.
        let mut table: HashMap<InstancePath, Handle, foldhash::fast::RandomState> =
            HashMap::with_capacity_and_hasher(names.len(), Default::default());
        let spawning = async {
            let mut starting = Calls::default();
            for (life, name) in (1..).zip(names) {
                let path = InstancePath::Component(node.clone(), name);
                let birth = Birth {
                    path: path.clone(),
                    life,
                    definition: idle.definition.clone(),
                    dictionary: Dictionary::default(),
                    arbiter: cradles[life as usize % cradles.len()].clone(),
                    environment: environment.clone(),
                };
                let handle = catalog.create(birth)?;
                table.insert(path, handle.clone());
                starting.ask((), handle, Op::Start, START_MAX);
                if starting.n_under_way() == AT_ONCE {
                    all_started(starting.answers().await)?;
                }
            }
            while starting.n_under_way() > 0 {
                all_started(starting.answers().await)?;
            }
            Ok::<_, anyhow::Error>(())
        };
        // As a node adopts: what is told in one go wakes each thread once.
        burst::gather(spawning).await?;
        let sample = sample(n, watch, before)?;
        ensure!(stage::n_started() == n, "{} of {n} instances started", stage::n_started());
        ensure!(table.len() as u64 == n, "{} of {n} instances are in the table", table.len());
        Ok(sample)
    })
}

fn all_started(answers: Vec<((), Outcome)>) -> Result<()> {
    Ok(answers.into_iter().try_for_each(|((), started)| started.map(drop))?)
}

/// How many spawners, or workers, there are.
pub(crate) fn n_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What one of the spawners does of `n`.
pub(crate) fn share(n: u64, spawner: u64) -> std::ops::Range<u64> {
    let n_spawners = n_cores() as u64;
    n * spawner / n_spawners..n * (spawner + 1) / n_spawners
}
