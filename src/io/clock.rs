//! The one place that looks at the clock.
#![allow(clippy::disallowed_methods, reason = "this is the place")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::words::Time;

/// The time of day, in microseconds since the epoch. Follows the system's clock, so it may be set back.
pub fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64)
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

/// Measures how long something takes, whatever happens to the time of day.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts to measure.
    pub fn start() -> Stopwatch {
        Stopwatch(std::time::Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The load of this machine over the last minute, per core; `None` where the system does not say.
pub fn load_per_core() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    Some(load / n_cores as f64)
}
