//! What time it is for the group: members tell each other what their clocks show, and one whose clock is wrong is outvoted.

use std::{collections::BTreeMap, time::Duration};

use super::TooFarAhead;
use crate::words::{NodeName, Time};

/// Members whose clocks are known; more of them would not change what most of them show.
const CLOCKS_MAX: usize = 1024;

/// The clocks of the members, as one of them sees them. Who is gone keeps its vote: a member that is cut off from the others
/// still knows that its own clock is the wrong one.
#[derive(Clone, Debug)]
pub(super) struct Clocks {
    /// How far each is ahead of ours, in microseconds.
    ahead_us: BTreeMap<NodeName, i64>,
    ahead_max: Duration,
}

impl Clocks {
    /// Knows no other clock yet. What differs by less than half of `ahead_max` counts as the same.
    pub(super) fn new(ahead_max: Duration) -> Clocks {
        Clocks { ahead_us: BTreeMap::new(), ahead_max }
    }

    /// A member's clock showed this when ours shows `now`.
    ///
    /// # Errors
    /// [`TooFarAhead`] when no stamp of that clock could be accepted by ours.
    pub(super) fn shown(&mut self, now: Time, node: &NodeName, shown: Time) -> Result<(), TooFarAhead> {
        let micros = |time: Time| i64::try_from(time.micros()).unwrap_or(i64::MAX);
        if self.ahead_us.len() < CLOCKS_MAX || self.ahead_us.contains_key(node) {
            self.ahead_us.insert(node.clone(), micros(shown).saturating_sub(micros(now)));
        }
        let (ahead, max) = (shown.since(now), self.ahead_max);
        if ahead > max { Err(TooFarAhead { ahead, max }) } else { Ok(()) }
    }

    /// The time to stamp with: what most clocks show. Of two, the earlier: everybody accepts it, and a stamp is later than all
    /// that its author has seen in any case.
    pub(super) fn to_stamp(&self, now: Time) -> Time {
        self.of(now, |n_clocks| (n_clocks - 1) / 2)
    }

    /// The time by which stamps of others are judged: what most clocks show. Of two, the later.
    pub(super) fn to_judge(&self, now: Time) -> Time {
        self.of(now, |n_clocks| n_clocks / 2)
    }

    fn of(&self, now: Time, which: impl Fn(usize) -> usize) -> Time {
        let mut ahead_us: Vec<i64> = self.ahead_us.values().copied().chain([0]).collect();
        ahead_us.sort_unstable();
        let ahead_us = ahead_us[which(ahead_us.len())];
        match Duration::from_micros(ahead_us.unsigned_abs()) < self.ahead_max / 2 {
            true => now,
            false => Time(now.micros().saturating_add_signed(ahead_us)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Time = Time(1_000_000_000_000);

    /// Each member of a group with these clocks, as it sees the others.
    fn members(clocks: &[u64]) -> Vec<(Time, Clocks)> {
        let at = |ahead_ms: &u64| Time::from_ms(NOW.micros() / 1000 + ahead_ms);
        let name = |idx: usize| NodeName::parse(&format!("n{idx}")).unwrap();
        let member = |(idx, own): (usize, &u64)| {
            let mut member = Clocks::new(Duration::from_secs(1));
            for (other, shows) in clocks.iter().enumerate().filter(|(other, _)| *other != idx) {
                let _ = member.shown(at(own), &name(other), at(shows));
            }
            (at(own), member)
        };
        clocks.iter().enumerate().map(member).collect()
    }

    proptest! {
        #[test]
        fn whatever_the_clocks_show_each_stamp_is_accepted_by_everybody(clocks in prop::collection::vec(0u64..10_000_000, 1..7)) {
            let members = members(&clocks);
            for (now, author) in &members {
                for (here, judge) in &members {
                    let ahead = author.to_stamp(*now).since(judge.to_judge(*here));
                    prop_assert!(ahead <= Duration::from_secs(1), "{ahead:?} in {clocks:?}");
                }
            }
        }
    }

    #[test]
    fn one_clock_that_is_wrong_moves_nobody() {
        for wrong in [0, 40_000, 3_600_000] {
            let clocks = [30_000, 30_100, wrong, 30_200];
            for (now, member) in members(&clocks) {
                for time in [member.to_stamp(now), member.to_judge(now)] {
                    let off = time.since(NOW).abs_diff(Duration::from_millis(30_100));
                    assert!(off < Duration::from_secs(1), "{off:?} with {wrong}");
                }
            }
        }
    }

    #[test]
    fn a_clock_too_far_ahead_is_told_and_a_small_difference_is_none() {
        let mut clocks = Clocks::new(Duration::from_secs(1));
        let node = NodeName::parse("n").unwrap();
        assert!(clocks.shown(NOW, &node, NOW + Duration::from_millis(400)).is_ok());
        assert_eq!((clocks.to_stamp(NOW), clocks.to_judge(NOW)), (NOW, NOW));
        let hour = Duration::from_secs(3600);
        assert_eq!(clocks.shown(NOW, &node, NOW + hour).map_err(|error| error.ahead), Err(hour));
        assert_eq!((clocks.to_stamp(NOW), clocks.to_judge(NOW)), (NOW, NOW + hour));
    }
}
