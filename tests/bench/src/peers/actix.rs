//! actix: an actor that is told with `do_send` (unbounded), from another arbiter or from its own.

use std::sync::mpsc;

use actix::{Actor, Addr, Context, Handler, Message, System};
use actix_rt::Arbiter;
use anyhow::{Context as _, Result, ensure};
use enact::io::clock::Stopwatch;

use super::run_pairs;
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
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        stage::started();
    }
}

struct Told(Packet);

impl Message for Told {
    type Result = ();
}

impl Handler<Told> for Sink {
    type Result = ();

    fn handle(&mut self, Told(packet): Told, _: &mut Self::Context) {
        self.tally.note(packet);
    }
}

/// Messages after which a sender lets its sink have a turn, where both are on one arbiter: as many as tokio grants a task.
const TURN: u64 = 128;

/// Each sink and each sender has an arbiter of its own, so all pairs run at a time, whatever the number of cores.
pub(crate) fn pairs(size: u64, n_pairs: u64) -> Result<Sample> {
    let _system = System::new();
    let arbiters: Vec<Arbiter> = (0..2 * n_pairs).map(|_| Arbiter::new()).collect();
    for ends in arbiters.chunks_exact(2) {
        let sink = Sink::start_in_arbiter(&ends[0].handle(), |_| Sink::default());
        let pump = async move {
            let size = stage::gate().await;
            for n in 0..size {
                sink.do_send(Told(Packet::new(n, size - 1)));
            }
        };
        ensure!(ends[1].spawn(pump), "an arbiter has ended");
    }
    run_pairs(size, n_pairs)
}

/// Each pair has one arbiter, which no message leaves.
pub(crate) fn pairs_on_one(size: u64, n_pairs: u64) -> Result<Sample> {
    let _system = System::new();
    let arbiters: Vec<Arbiter> = (0..n_pairs).map(|_| Arbiter::new()).collect();
    for arbiter in &arbiters {
        let sink = Sink::start_in_arbiter(&arbiter.handle(), |_| Sink::default());
        let pump = async move {
            let size = stage::gate().await;
            for n in 0..size {
                sink.do_send(Told(Packet::new(n, size - 1)));
                if n % TURN == TURN - 1 {
                    actix_rt::task::yield_now().await;
                }
            }
        };
        ensure!(arbiter.spawn(pump), "an arbiter has ended");
    }
    run_pairs(size, n_pairs)
}

/// Actors made on an arbiter for each core; their addresses are kept.
pub(crate) fn spawn(n: u64) -> Result<Sample> {
    let _system = System::new();
    let arbiters: Vec<Arbiter> = (0..spawn::n_cores()).map(|_| Arbiter::new()).collect();
    let before = spawn::resident()?;
    let watch = Stopwatch::start();
    let (tell, told) = mpsc::channel::<Vec<Addr<Sink>>>();
    for (spawner, arbiter) in arbiters.iter().enumerate() {
        let (share, tell) = (spawn::share(n, spawner as u64), tell.clone());
        arbiter.spawn(async move {
            let all: Vec<Addr<Sink>> = share.map(|_| Sink::default().start()).collect();
            // Started in the order of their making: when the last has, all have.
            actix_rt::task::yield_now().await;
            while let Some(last) = all.last() {
                let asked = last.send(Told(Packet::new(0, u64::MAX))).await;
                if asked.is_ok() {
                    break;
                }
            }
            // Whoever waits is still there.
            let _ = tell.send(all);
        });
    }
    let mut tables = Vec::new();
    for _ in &arbiters {
        tables.push(told.recv().context("an arbiter has ended")?);
    }
    let sample = spawn::sample(n, watch, before)?;
    ensure!(stage::n_started() == n, "{} of {n} started", stage::n_started());
    drop(tables);
    Ok(sample)
}
