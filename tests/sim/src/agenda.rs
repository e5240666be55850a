//! What happens when: events in the order of virtual time, those of one moment in the order in which they were planned.

use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
};

/// Virtual time: microseconds since the world began.
pub(crate) type Micros = u64;

/// A millisecond of virtual time.
pub(crate) const MS: Micros = 1_000;

/// Events to come.
#[derive(Debug)]
pub(crate) struct Agenda<E> {
    now: Micros,
    heap: BinaryHeap<Reverse<Planned<E>>>,
    n_planned: u64,
}

#[derive(Debug)]
struct Planned<E> {
    at: Micros,
    nth: u64,
    event: E,
}

impl<E> Agenda<E> {
    /// Nothing to come.
    pub(crate) fn new() -> Agenda<E> {
        Agenda { now: 0, heap: BinaryHeap::new(), n_planned: 0 }
    }

    /// The present moment: that of the last event.
    pub(crate) fn now(&self) -> Micros {
        self.now
    }

    /// Plans an event `after` from now.
    pub(crate) fn plan(&mut self, after: Micros, event: E) {
        self.n_planned += 1;
        self.heap.push(Reverse(Planned { at: self.now + after, nth: self.n_planned, event }));
    }

    /// The next event that happens no later than `end`; it is now, then.
    pub(crate) fn next(&mut self, end: Micros) -> Option<E> {
        if self.heap.peek()?.0.at > end {
            return None;
        }
        let Reverse(planned) = self.heap.pop()?;
        self.now = planned.at;
        Some(planned.event)
    }
}

impl<E> PartialEq for Planned<E> {
    fn eq(&self, other: &Planned<E>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Planned<E> {}

impl<E> PartialOrd for Planned<E> {
    fn partial_cmp(&self, other: &Planned<E>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Planned<E> {
    fn cmp(&self, other: &Planned<E>) -> Ordering {
        (self.at, self.nth).cmp(&(other.at, other.nth))
    }
}
