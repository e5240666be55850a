//! How often a crashed instance is started again: with growing delay, and only so many times in a while. And how often a revision
//! is tried that ends the whole process.
//!
//! The core of supervision; the node is its shell. Erlang's restart intensity, with the delay of systemd's `RestartSteps`.

use std::{collections::VecDeque, time::Duration};

use crate::words::Time;

/// How long a node must run a revision until it is good. Long enough for what a component does first and then now and then to have
/// happened; short enough that a machine that is switched off twice within it is no accident.
pub const PROBATION: Duration = Duration::from_secs(60);

/// A revision that has ended the process so often in a row, each time within its probation, is poison: once may have been the
/// weather.
pub const CRASHES_MAX: usize = 2;

/// The same for a revision that has run well before: something else changed, so it gets more tries.
pub const CRASHES_OF_GOOD_MAX: usize = 5;

/// Whether a revision that has ended the process so often is to be left alone.
pub fn is_poison(n_crashes: usize, was_good: bool) -> bool {
    n_crashes >= if was_good { CRASHES_OF_GOOD_MAX } else { CRASHES_MAX }
}

/// When to start again, and when to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// At most so many restarts …
    pub restarts: u32,
    /// … in any span of this length; one more and the instance is failed.
    pub within: Duration,
    /// The delay before the first restart; it doubles with each further one.
    pub delay_min: Duration,
    /// The longest delay.
    pub delay_max: Duration,
}

impl Policy {
    /// At most 5 restarts in 30 s, 0.1 s to 30 s apart: a slip heals unnoticed, a broken component ends within seconds.
    pub const DEFAULT: Policy = Policy {
        restarts: 5,
        within: Duration::from_secs(30),
        delay_min: Duration::from_millis(100),
        delay_max: Duration::from_secs(30),
    };

    /// Never started again.
    pub const NEVER: Policy = Policy { restarts: 0, ..Policy::DEFAULT };
}

impl Default for Policy {
    fn default() -> Self {
        Policy::DEFAULT
    }
}

/// What to do about a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Start again at this time.
    RestartAt(Time),
    /// Leave it: it is failed until someone changes it.
    GiveUp,
}

/// The crashes of one instance. Told of each; says what to do.
#[derive(Clone, Debug, Default)]
pub struct Restarts {
    /// When the restarts within the window were (to be) done.
    done: VecDeque<Time>,
    /// How many restarts since the instance was last quiet; the delay doubles with each.
    in_a_row: u32,
}

impl Restarts {
    /// The instance crashed at `now`.
    pub fn crashed(&mut self, policy: &Policy, now: Time) -> Verdict {
        let quiet = self.done.back().is_none_or(|&last| now.since(last) >= policy.within);
        if quiet {
            self.in_a_row = 0;
        }
        let at = now + self.delay(policy);
        // Counted are the restarts in the span that would end with this one.
        while self.done.front().is_some_and(|&restart| at.since(restart) >= policy.within) {
            self.done.pop_front();
        }
        if self.done.len() >= policy.restarts as usize {
            return Verdict::GiveUp;
        }
        self.done.push_back(at);
        self.in_a_row += 1;
        Verdict::RestartAt(at)
    }

    /// Forgets the past: someone changed the instance, or asked for it to be started.
    pub fn forgive(&mut self) {
        *self = Restarts::default();
    }

    /// How many restarts there were since the instance was last quiet.
    pub fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    fn delay(&self, policy: &Policy) -> Duration {
        let doubled = 1_u32.checked_shl(self.in_a_row).unwrap_or(u32::MAX);
        policy.delay_min.saturating_mul(doubled).min(policy.delay_max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    #[test]
    fn the_delay_doubles_and_the_sixth_crash_in_a_row_is_the_last() {
        let mut restarts = Restarts::default();
        let mut now = ms(1_000);
        for delay_ms in [100, 200, 400, 800, 1600] {
            let at = now + Duration::from_millis(delay_ms);
            assert_eq!(restarts.crashed(&Policy::DEFAULT, now), Verdict::RestartAt(at));
            now = at;
        }
        assert_eq!(restarts.crashed(&Policy::DEFAULT, now), Verdict::GiveUp);
        restarts.forgive();
        assert_eq!(restarts.crashed(&Policy::DEFAULT, now), Verdict::RestartAt(now + Duration::from_millis(100)));
    }

    #[test]
    fn the_second_crash_makes_a_revision_poison_and_the_fifth_one_that_was_good() {
        let first = |was_good| (0..10).find(|n_crashes| is_poison(*n_crashes, was_good));
        assert_eq!((first(false), first(true)), (Some(2), Some(5)));
    }

    #[test]
    fn a_quiet_time_starts_the_count_again() {
        let mut restarts = Restarts::default();
        restarts.crashed(&Policy::DEFAULT, ms(0));
        restarts.crashed(&Policy::DEFAULT, ms(150));
        assert_eq!(restarts.in_a_row(), 2);
        assert_eq!(restarts.crashed(&Policy::DEFAULT, ms(60_000)), Verdict::RestartAt(ms(60_100)));
        assert_eq!(restarts.in_a_row(), 1);
    }

    #[test]
    fn who_never_restarts_is_failed_at_once() {
        assert_eq!(Restarts::default().crashed(&Policy::NEVER, ms(5)), Verdict::GiveUp);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// The law: in no span of `within` are there more than `restarts` restarts, whenever it crashes after each.
        #[test]
        fn there_are_at_most_so_many_restarts_in_a_span(
            restarts in 0_u32..8,
            within_ms in 1_u64..60_000,
            delay_ms in 1_u64..5_000,
            lives_ms in prop::collection::vec(0_u64..30_000, 1..100),
        ) {
            let policy = Policy {
                restarts,
                within: Duration::from_millis(within_ms),
                delay_min: Duration::from_millis(delay_ms),
                delay_max: Duration::from_millis(delay_ms * 8),
            };
            let (mut core, mut now, mut done) = (Restarts::default(), ms(0), Vec::new());
            for life_ms in lives_ms {
                now = now + Duration::from_millis(life_ms);
                if let Verdict::RestartAt(at) = core.crashed(&policy, now) {
                    prop_assert!(at.since(now) >= policy.delay_min && at.since(now) <= policy.delay_max);
                    done.push(at);
                    now = at;
                }
            }
            for (i, first) in done.iter().enumerate() {
                let n = done[i..].iter().filter(|at| at.since(*first) < policy.within).count();
                prop_assert!(n <= restarts as usize, "{n} restarts within {:?}", policy.within);
            }
        }
    }
}
