//! Bare tokio: what a runtime of actors is made of. A task and a channel, without names, supervision or lifecycle.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use enact::io::clock::Stopwatch;
use tokio::sync::mpsc;

use super::{run_pairs, runtime};
use crate::{
    components::{Packet, Tally},
    rows::Sample,
    spawn, stage,
};

/// Packets that a receiver takes at once.
const BATCH: usize = 256;

/// Unbounded channels, drained in batches: the fastest way that tokio has.
pub(crate) fn pairs(size: u64, n_pairs: u64) -> Result<Sample> {
    let runtime = runtime()?;
    for _ in 0..n_pairs {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Packet>();
        runtime.spawn(async move {
            let mut tally = Tally::default();
            let mut batch = Vec::with_capacity(BATCH);
            while receiver.recv_many(&mut batch, BATCH).await > 0 {
                batch.drain(..).for_each(|packet| tally.note(packet));
            }
        });
        runtime.spawn(async move {
            let size = stage::gate().await;
            for n in 0..size {
                // Refused only when the receiver is gone, and then the end is waited for in vain.
                let _ = sender.send(Packet::new(n, size - 1));
            }
        });
    }
    run_pairs(size, n_pairs)
}

/// A task that waits on a channel, in a table by number.
pub(crate) fn spawn(n: u64) -> Result<Sample> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let before = spawn::resident()?;
        let watch = Stopwatch::start();
        let spawners: Vec<_> = (0..spawn::n_cores() as u64)
            .map(|spawner| {
                let share = spawn::share(n, spawner);
                tokio::spawn(async move {
                    let mut table = HashMap::new();
                    let mut tasks = Vec::new();
                    for number in share {
                        let (sender, mut receiver) = mpsc::channel::<Packet>(1);
                        table.insert(number, sender);
                        let (started, has_started) = tokio::sync::oneshot::channel();
                        tokio::spawn(async move {
                            stage::started();
                            // Whoever waits for it is still there.
                            let _ = started.send(());
                            while receiver.recv().await.is_some() {}
                        });
                        tasks.push(has_started);
                    }
                    for task in tasks {
                        // A task that is dropped is counted below.
                        let _ = task.await;
                    }
                    table
                })
            })
            .collect();
        let mut tables = Vec::new();
        for spawner in spawners {
            tables.push(spawner.await?);
        }
        let sample = spawn::sample(n, watch, before)?;
        ensure!(stage::n_started() == n, "{} of {n} started", stage::n_started());
        drop(tables);
        Ok(sample)
    })
}
