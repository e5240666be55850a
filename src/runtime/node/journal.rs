//! The journal of events: what happened lately, for `watch`; read with a cursor, waited for without polling.

use std::collections::VecDeque;

use tokio::sync::watch;

use super::api::{Event, Page, What};
use crate::{io::clock, words::NodeName};

/// How many events are kept: hours of a quiet group, minutes of a busy one.
const EVENTS_MAX: usize = 4096;

/// The latest events. Each has a number; a cursor is the number of the next one to read.
pub(super) struct Journal {
    events: VecDeque<Event>,
    next: u64,
    grown: watch::Sender<u64>,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal { events: VecDeque::new(), next: 0, grown: watch::Sender::new(0) }
    }
}

impl Journal {
    /// Notes what happened to a node, or to the group as a whole. The oldest event makes room.
    pub(super) fn note(&mut self, node: Option<NodeName>, what: What) {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(Event { at: clock::now(), node, what });
        self.next += 1;
        self.grown.send_replace(self.next);
    }

    /// What happened since the cursor, at most `n_max` of it. Without a cursor: nothing yet, only where to go on.
    pub(super) fn since(&self, cursor: Option<u64>, n_max: usize) -> Page<Event> {
        let Some(cursor) = cursor else { return Page { items: Vec::new(), next: self.next, n_missed: 0 } };
        let oldest = self.next - self.events.len() as u64;
        let from = cursor.clamp(oldest, self.next);
        let items: Vec<Event> = self.events.iter().skip((from - oldest) as usize).take(n_max).cloned().collect();
        Page { next: from + items.len() as u64, items, n_missed: oldest.saturating_sub(cursor) }
    }

    /// Tells when more has happened than the number it holds.
    pub(super) fn grown(&self) -> watch::Receiver<u64> {
        self.grown.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(journal: &mut Journal, n: usize) {
        journal.note(None, What::Note { text: n.to_string() });
    }

    #[test]
    fn a_cursor_reads_each_event_once_and_is_told_what_it_missed() {
        let mut journal = Journal::default();
        let start = journal.since(None, 10).next;
        (0..3).for_each(|n| note(&mut journal, n));
        let page = journal.since(Some(start), 2);
        assert_eq!((page.items.len(), page.next, page.n_missed), (2, 2, 0));
        assert_eq!(journal.since(Some(page.next), 10).items.len(), 1);
        (0..EVENTS_MAX).for_each(|n| note(&mut journal, n));
        assert_eq!(journal.since(Some(0), 1).n_missed, 3);
    }
}
