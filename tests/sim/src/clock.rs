//! The clock of a member: it is ahead, runs a little fast or slow, and may be set back.

use enact::words::Time;

use crate::{agenda::Micros, chance::Chance};

/// A member's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalClock {
    base: Micros,
    ahead: Micros,
    /// How much faster than true time it runs; negative for slower.
    drift_ppm: i64,
}

/// The fastest and slowest clocks: far beyond what machines have, so that little virtual time shows much of it.
const DRIFT_MAX_PPM: i64 = 20_000;

impl LocalClock {
    /// Some clock: up to `ahead_max` ahead of true time, which begins at `base`.
    pub(crate) fn some(chance: &mut Chance, base: Micros, ahead_max: Micros) -> LocalClock {
        let drift_ppm = chance.below(2 * DRIFT_MAX_PPM as u64 + 1) as i64 - DRIFT_MAX_PPM;
        LocalClock { base, ahead: chance.below(ahead_max), drift_ppm }
    }

    /// What it shows.
    pub(crate) fn show(&self, now: Micros) -> Time {
        let drifted = now as i64 + now as i64 * self.drift_ppm / 1_000_000;
        Time(self.base + self.ahead + drifted as u64)
    }

    /// Somebody sets it: from now on it is so far ahead.
    pub(crate) fn set_ahead(&mut self, ahead: Micros) {
        self.ahead = ahead;
    }
}
