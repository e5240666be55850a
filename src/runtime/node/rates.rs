//! Rates: how many messages a second went through something, from counters that are looked at now and then.

use std::collections::HashMap;

use crate::words::{InstancePath, Time};

/// A rate is measured over at least this long: shorter spans say more about the moment of looking than about the flow.
const SPAN_MIN_US: u64 = 500_000;

#[derive(Clone, Copy)]
struct Sample {
    at: Time,
    n_messages: u64,
    per_s: f64,
}

/// The rates of the instances on a node. The first look counts from the instance's start.
#[derive(Default)]
pub(super) struct Rates {
    samples: HashMap<InstancePath, Sample>,
}

impl Rates {
    /// The messages a second of an instance that has counted `n_messages` since `born`.
    pub(super) fn per_s(&mut self, path: &InstancePath, n_messages: u64, born: Time, now: Time) -> f64 {
        let fresh = Sample { at: born, n_messages: 0, per_s: 0.0 };
        let last = self.samples.entry(path.clone()).or_insert(fresh);
        if n_messages < last.n_messages {
            // Counted anew: another life under the same name.
            *last = fresh;
        }
        let span_us = now.since(last.at).as_micros() as u64;
        if span_us >= SPAN_MIN_US {
            let per_s = (n_messages - last.n_messages) as f64 * 1e6 / span_us as f64;
            *last = Sample { at: now, n_messages, per_s };
        }
        last.per_s
    }

    /// Forgets who is gone.
    pub(super) fn retain(&mut self, is_there: impl Fn(&InstancePath) -> bool) {
        self.samples.retain(|path, _| is_there(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_follows_the_counter_and_survives_a_new_life() {
        let mut rates = Rates::default();
        let path = InstancePath::Channel("c".parse().unwrap());
        let at = |ms: u64| Time::from_ms(10_000 + ms);
        let mut look = |n, ms| rates.per_s(&path, n, at(0), at(ms));
        assert_eq!(look(5, 100), 0.0);
        assert_eq!(look(100, 1000), 100.0);
        assert_eq!(look(120, 1200), 100.0, "too soon for a new one");
        assert_eq!(look(100, 2000), 0.0);
        assert_eq!(look(40, 3000), 40.0 / 3.0, "counted anew since its birth");
    }
}
