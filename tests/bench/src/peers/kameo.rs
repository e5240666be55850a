//! kameo: its default mailboxes (bounded, 64), which are faster than its unbounded ones, and `tell`; the sender is a task.

use anyhow::{Result, ensure};
use enact::io::clock::Stopwatch;
use kameo::{
    Actor,
    actor::{ActorRef, Spawn},
    error::Infallible,
    message::{Context, Message},
};

use super::{run_pairs, runtime};
use crate::{
    components::{Packet, Tally},
    rows::Sample,
    spawn, stage,
};

#[derive(Default)]
struct Sink {
    tally: Tally,
}

impl Actor for Sink {
    type Args = Self;
    type Error = Infallible;

    async fn on_start(sink: Self, _: ActorRef<Self>) -> Result<Self, Infallible> {
        stage::started();
        Ok(sink)
    }
}

impl Message<Packet> for Sink {
    type Reply = ();

    async fn handle(&mut self, packet: Packet, _: &mut Context<Self, ()>) {
        self.tally.note(packet);
    }
}

pub(crate) fn pairs(size: u64, n_pairs: u64) -> Result<Sample> {
    let runtime = runtime()?;
    for _ in 0..n_pairs {
        runtime.spawn(async move {
            let sink = Sink::spawn(Sink::default());
            let size = stage::gate().await;
            for n in 0..size {
                // Refused only when the sink is gone, and then the end is waited for in vain.
                let _ = sink.tell(Packet::new(n, size - 1)).await;
            }
        });
    }
    run_pairs(size, n_pairs)
}

/// Unregistered actors, from a task for each core; their references are kept.
pub(crate) fn spawn(n: u64) -> Result<Sample> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let before = spawn::resident()?;
        let watch = Stopwatch::start();
        let spawners: Vec<_> = (0..spawn::n_cores() as u64)
            .map(|spawner| {
                let share = spawn::share(n, spawner);
                tokio::spawn(async move {
                    let all: Vec<ActorRef<Sink>> = share.map(|_| Sink::spawn(Sink::default())).collect();
                    for sink in &all {
                        sink.wait_for_startup().await;
                    }
                    all
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
