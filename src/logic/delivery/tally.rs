//! What a fragment counts, and its estimate of how long messages take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// The channel found no receiver for it.
    NoReceiver,
    /// What is kept had reached its bound.
    Full,
    /// The receiver's node was away for too long, or died with it.
    NodeLost,
    /// The receiver was removed.
    ReceiverRemoved,
    /// Tried as often as the channel allows.
    GivenUp,
    /// The receiver could not read it.
    Unreadable,
}

/// The numbers of a fragment, since it was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Messages that came in from components of this node.
    pub received: u64,
    /// Deliveries to receivers, here and elsewhere, of messages that came in here.
    pub delivered: u64,
    /// Deliveries that did not happen, whatever the reason.
    pub lost: u64,
    /// Of `lost`: those that were tried as often as the channel allows.
    pub dead_letters: u64,
    /// Messages under way or kept now.
    pub kept: u64,
    /// Nine of ten messages took no longer than this, from the sender's send to the receiver's queue.
    pub p90_us: u64,
    /// Ninety-nine of a hundred messages took no longer than this.
    pub p99_us: u64,
}

/// Four buckets for each power of two, up to 2^32 us: an estimate is at most a quarter too high.
const BUCKETS: usize = 4 * 32;

/// Collects the numbers.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) received: u64,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) dead_letters: u64,
    latencies: [u64; BUCKETS],
}

impl Default for Tally {
    fn default() -> Self {
        Tally { received: 0, delivered: 0, lost: 0, dead_letters: 0, latencies: [0; BUCKETS] }
    }
}

impl Tally {
    /// So many messages were delivered after that time.
    pub(super) fn delivered(&mut self, latency: Duration, n_messages: u64) {
        self.delivered += n_messages;
        self.latencies[bucket(latency.as_micros() as u64)] += n_messages;
    }

    pub(super) fn counters(&self, kept: usize) -> Counters {
        Counters {
            received: self.received,
            delivered: self.delivered,
            lost: self.lost,
            dead_letters: self.dead_letters,
            kept: kept as u64,
            p90_us: self.quantile(90),
            p99_us: self.quantile(99),
        }
    }

    fn quantile(&self, percent: u64) -> u64 {
        let wanted = (self.latencies.iter().sum::<u64>() * percent).div_ceil(100);
        if wanted == 0 {
            return 0;
        }
        let mut seen = 0;
        let at = self.latencies.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        at.map_or(0, upper)
    }
}

fn bucket(us: u64) -> usize {
    if us < 4 {
        return us as usize;
    }
    let power = us.ilog2() as usize;
    let quarter = (us >> (power - 2)) as usize & 3;
    (power * 4 + quarter - 4).min(BUCKETS - 1)
}

/// The largest latency of a bucket.
fn upper(bucket: usize) -> u64 {
    if bucket < 4 {
        return bucket as u64;
    }
    let (power, quarter) = ((bucket + 4) / 4, (bucket as u64 + 4) % 4);
    ((5 + quarter) << (power - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_is_never_too_low_and_at_most_a_quarter_too_high() {
        for us in (0..5000).chain([1 << 20, (1 << 31) + 12345]) {
            let estimate = upper(bucket(us));
            assert!(estimate >= us && estimate <= us + us / 4, "{us} became {estimate}");
        }
    }

    #[test]
    fn quantiles_come_from_what_was_seen() {
        let mut tally = Tally::default();
        assert_eq!(tally.counters(0).p99_us, 0);
        for us in [1; 98].into_iter().chain([3, 1000]) {
            tally.delivered(Duration::from_micros(us), 1);
        }
        assert_eq!((tally.counters(0).p90_us, tally.counters(0).p99_us), (1, 3));
    }
}
