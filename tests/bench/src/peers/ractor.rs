//! ractor: unbounded mailboxes (it has no others), `cast`; the sender is a task.

use anyhow::{Result, anyhow, ensure};
use enact::io::clock::Stopwatch;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::{run_pairs, runtime};
use crate::{
    components::{Packet, Tally},
    rows::Sample,
    spawn, stage,
};

struct Sink;

impl Actor for Sink {
    type Msg = Packet;
    type State = Tally;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Packet>, (): ()) -> Result<Tally, ActorProcessingErr> {
        stage::started();
        Ok(Tally::default())
    }

    async fn handle(&self, _: ActorRef<Packet>, packet: Packet, tally: &mut Tally) -> Result<(), ActorProcessingErr> {
        tally.note(packet);
        Ok(())
    }
}

async fn sink() -> Result<ActorRef<Packet>> {
    let (sink, _) = Actor::spawn(None, Sink, ()).await.map_err(|error| anyhow!("{error}"))?;
    Ok(sink)
}

pub(crate) fn pairs(size: u64, n_pairs: u64) -> Result<Sample> {
    let runtime = runtime()?;
    for _ in 0..n_pairs {
        let sink = runtime.block_on(runtime.spawn(sink()))??;
        runtime.spawn(async move {
            let size = stage::gate().await;
            for n in 0..size {
                // Refused only when the sink is gone, and then the end is waited for in vain.
                let _ = sink.cast(Packet::new(n, size - 1));
            }
        });
    }
    run_pairs(size, n_pairs)
}

/// Unnamed actors, from a task for each core; their references are kept.
pub(crate) fn spawn(n: u64) -> Result<Sample> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let before = spawn::resident()?;
        let watch = Stopwatch::start();
        let spawners: Vec<_> = (0..spawn::n_cores() as u64)
            .map(|spawner| {
                let share = spawn::share(n, spawner);
                tokio::spawn(async move {
                    let mut all = Vec::new();
                    for _ in share {
                        all.push(sink().await?);
                    }
                    anyhow::Ok(all)
                })
            })
            .collect();
        let mut tables = Vec::new();
        for spawner in spawners {
            tables.push(spawner.await??);
        }
        let sample = spawn::sample(n, watch, before)?;
        ensure!(stage::n_started() == n, "{} of {n} started", stage::n_started());
        drop(tables);
        Ok(sample)
    })
}
