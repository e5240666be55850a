//! The one place that looks at the clock.
#![allow(clippy::disallowed_methods, reason = "this is the place")]

use std::{
    cell::Cell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use crate::words::Time;

thread_local! {
    /// What is looked at on this thread instead of the system's clock.
    static SIMULATED: Cell<Option<Simulated>> = const { Cell::new(None) };
}

/// The time of day, in microseconds since the epoch. Follows the system's clock, so it may be set back.
pub fn now() -> Time {
    if let Some(clock) = SIMULATED.get() {
        return clock.base + drifted(clock.since.elapsed(), clock.drift_ppm);
    }
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64)
}

/// A clock for simulations: many nodes live on one thread there, and the clock of each shows something else.
#[derive(Clone, Copy, Debug)]
pub struct Simulated {
    /// What it shows at `since`.
    pub base: Time,
    /// By tokio's clock, which simulations pause.
    pub since: Instant,
    /// How much faster than true time it runs, in millionths; negative for slower.
    pub drift_ppm: i32,
}

/// From now on this thread looks at that clock; at the system's own again with `None`. Gives what it looked at before.
pub fn simulate(clock: Option<Simulated>) -> Option<Simulated> {
    SIMULATED.replace(clock)
}

fn drifted(elapsed: Duration, drift_ppm: i32) -> Duration {
    let us = elapsed.as_micros() as i64;
    Duration::from_micros((us + us * i64::from(drift_ppm) / 1_000_000) as u64)
}

/// The time of day as it was at a moment, running on evenly from there: for what would stand still, or run wild, if the system's
/// clock were set.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    start: Time,
    watch: Stopwatch,
}

impl Steady {
    /// Starts with what the system's clock shows.
    pub fn start() -> Steady {
        Steady { start: now(), watch: Stopwatch::start() }
    }

    /// What it shows.
    pub fn now(self) -> Time {
        self.start + self.watch.elapsed()
    }
}

/// Measures how long something takes, whatever happens to the time of day. By tokio's clock, which tests and simulations may pause.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts to measure.
    pub fn start() -> Stopwatch {
        Stopwatch(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        let elapsed = self.0.elapsed();
        SIMULATED.get().map_or(elapsed, |clock| drifted(elapsed, clock.drift_ppm))
    }
}

/// The load of this machine over the last minute, per core; `None` where the system does not say.
pub fn load_per_core() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    Some(load / n_cores as f64)
}
