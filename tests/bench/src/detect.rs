//! How soon a node sees that another is gone, or hangs.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use enact::io::{clock::Stopwatch, engine::PeerEvent};
use rustix::process::{Signal, kill_process};
use tokio::sync::broadcast::error::RecvError;

use crate::{
    peers::{erlang, tcp},
    remote::{Latencies, Pair},
    rows::{Contestant, Measurement, OURS, Reach, Row, Sample},
};

/// How long to wait for the news.
const NEWS_MAX: Duration = Duration::from_secs(20);

static KILLED: Measurement = Measurement {
    name: "killed-peer",
    size: 5,
    quick: 3,
    contestants: &[
        Contestant { name: OURS, sample: killed },
        Contestant { name: "tcp", sample: tcp::killed },
        Contestant { name: "erlang", sample: erlang::killed },
    ],
};

static HUNG: Measurement =
    Measurement { name: "hung-peer", size: 3, quick: 1, contestants: &[Contestant { name: OURS, sample: hung }] };

pub(crate) static ROWS: &[Row] = &[
    Row {
        name: "killed-peer",
        what: "from kill -9 of a process until the other knows: the middle of several",
        measurement: &KILLED,
        figure: "ms",
        unit: "ms",
        reach: Reach::AtMost(5.0),
        ratios: &[],
    },
    Row {
        name: "hung-peer",
        what: "from SIGSTOP of a process until the other suspects it: the middle of several",
        measurement: &HUNG,
        figure: "ms",
        unit: "ms",
        reach: Reach::AtMost(1000.0),
        ratios: &[],
    },
];

fn killed(n: u64) -> Result<Sample> {
    signalled(n, Signal::KILL, |event| matches!(event, PeerEvent::Down { .. }))
}

fn hung(n: u64) -> Result<Sample> {
    signalled(n, Signal::STOP, |event| matches!(event, PeerEvent::Suspected(_)))
}

/// Sends a signal to so many processes, one after the other, each until it is seen.
fn signalled(n: u64, signal: Signal, is_seen: impl Fn(&PeerEvent) -> bool) -> Result<Sample> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let mut latencies = Latencies::of(n);
    for _ in 0..n {
        let pair = Pair::meet()?;
        let mut events = pair.router.watch();
        let pid = pair.other.pid()?;
        let seen = async {
            let watch = Stopwatch::start();
            kill_process(pid, signal)?;
            loop {
                match events.recv().await {
                    Ok(event) if is_seen(&event) => return Ok(watch.elapsed()),
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => bail!("the network is gone"),
                }
            }
        };
        let after = runtime.block_on(async { tokio::time::timeout(NEWS_MAX, seen).await });
        latencies.note(after.context("it was not seen")??);
    }
    Ok(latencies.in_ms())
}
