//! Deadlines of many things that have the same few time limits: what begins later is late later, so a queue for each limit will do.
//!
//! A heap would sort what is in order already, and each look at its top would find places all over the memory.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Times by which things, known by number, are to be over. What is over stays until it comes to the front: whoever asks says
/// what still counts.
#[derive(Clone, Debug)]
pub struct Deadlines<T> {
    queues: BTreeMap<Duration, VecDeque<(T, u32)>>,
}

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Deadlines { queues: BTreeMap::new() }
    }
}

impl<T: Ord + Copy> Deadlines<T> {
    /// Notes that `number` has `limit`, which ends at `until`.
    pub fn push(&mut self, limit: Duration, until: T, number: u32) {
        let queue = self.queues.entry(limit).or_default();
        // At the end, unless a clock went back.
        let at = if queue.back().is_none_or(|(last, _)| *last <= until) {
            queue.len()
        } else {
            queue.partition_point(|(other, _)| *other <= until)
        };
        queue.insert(at, (until, number));
    }

    /// The next deadline that counts.
    pub fn next(&mut self, counts: impl Fn(T, u32) -> bool) -> Option<(T, u32)> {
        let fronts = self.queues.values_mut().filter_map(|queue| {
            while queue.pop_front_if(|(until, number)| !counts(*until, *number)).is_some() {}
            queue.front().copied()
        });
        fronts.min()
    }

    /// Takes out the next one that counts, if it has come by `now`.
    pub fn pop(&mut self, now: T, counts: impl Fn(T, u32) -> bool) -> Option<u32> {
        let (until, number) = self.next(counts).filter(|(until, _)| *until <= now)?;
        let queue = self.queues.values_mut().find(|queue| queue.front() == Some(&(until, number)))?;
        queue.pop_front();
        Some(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As a list that is searched: whatever the limits, and if a clock goes back.
        #[test]
        fn what_is_late_comes_out_in_order_and_what_is_over_does_not(
            begun in prop::collection::vec((0_u64..50, 0_u64..4, any::<bool>()), 0..40),
            now in 0_u64..60,
        ) {
            let mut deadlines = Deadlines::default();
            let mut expected = Vec::new();
            for (number, (at, limit, is_over)) in begun.iter().enumerate() {
                let number = number as u32;
                deadlines.push(Duration::from_secs(*limit), at + limit, number);
                if !is_over {
                    expected.push((at + limit, number));
                }
            }
            expected.sort_unstable();
            let counts = |_, number: u32| !begun[number as usize].2;
            prop_assert_eq!(deadlines.next(counts), expected.first().copied());
            let late: Vec<u32> = std::iter::from_fn(|| deadlines.pop(now, counts)).collect();
            let mut times: Vec<u64> = late.iter().map(|number| {
                let (at, limit, _) = begun[*number as usize];
                at + limit
            }).collect();
            prop_assert!(times.is_sorted());
            times.retain(|time| *time > now);
            prop_assert!(times.is_empty());
            prop_assert_eq!(late.len(), expected.iter().filter(|(until, _)| *until <= now).count());
        }
    }
}
