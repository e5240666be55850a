//! The peers, each the way that its own examples would do it: on as many threads as there are cores, or, where an actor stays on
//! the thread it was given, one for each that is to run at a time.

pub(crate) mod actix;
pub(crate) mod erlang;
pub(crate) mod floor;
pub(crate) mod kameo;
pub(crate) mod ractor;
pub(crate) mod tcp;
pub(crate) mod tokio;

use anyhow::{Result, ensure};
use enact::io::clock::Stopwatch;

use crate::{local, rows::Sample, stage};

/// A multi-threaded runtime with a thread for each core.
fn runtime() -> Result<::tokio::runtime::Runtime> {
    Ok(::tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Opens the gate for senders that wait behind it, and waits until every packet has come.
fn run_pairs(size: u64, n_pairs: u64) -> Result<Sample> {
    let watch = Stopwatch::start();
    stage::open(size);
    let n = stage::wait(n_pairs)?;
    let sample = local::rate(n, watch);
    ensure!(n == size * n_pairs, "{n} of {} messages arrived", size * n_pairs);
    Ok(sample)
}
