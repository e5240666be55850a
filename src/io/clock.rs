//! The one place that looks at the clock.
#![allow(clippy::disallowed_methods, reason = "this is the place")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::words::Time;

/// The time of day, in microseconds since the epoch. Follows the system's clock, so it may be set back.
pub fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64)
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
