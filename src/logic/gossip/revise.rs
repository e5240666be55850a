//! Making revisions: from a wanted model to what must be written so that it shows.

use std::{cell::LazyCell, sync::Arc};

use super::{
    Push, PushRefused, Pushed, Registers, Replica, Revision, RevisionId, Row, Stamp, StateDigest, Writes, Written,
    hash,
    history::write_all,
    replica::{Delta, Shown},
    view::{self, Seen},
};
use crate::{
    model::{
        Model,
        change::{self, Cell, Change, Element, Register},
    },
    words::Time,
};

/// The most bytes of each text that goes with a revision.
pub(super) const TEXT_MAX_BYTES: usize = 4096;

/// A push may uncover what was hidden, which hides or uncovers more; no real model needs more rounds.
const CORRECTIONS_MAX: usize = 8;

impl Replica {
    /// Makes a revision of a wanted model. The delta is what the other replicas are to learn; `None` when nothing differs.
    ///
    /// # Errors
    /// [`PushRefused::Moved`] for a compare-and-swap whose base is not the current state; nothing has changed then.
    pub fn push(&mut self, now: Time, push: Push) -> Result<(Pushed, Option<Delta>), PushRefused> {
        self.revise(now, push, None).map(|(pushed, made)| (pushed, made.map(|made| made.delta)))
    }

    /// Makes a revision that brings back the model of another.
    ///
    /// # Errors
    /// [`PushRefused::NotKept`] when that model is not known here.
    pub(super) fn rollback(
        &mut self,
        now: Time,
        to: &RevisionId,
        by: Arc<str>,
        from: Arc<str>,
        message: Arc<str>,
    ) -> Result<(Pushed, Option<Made>), PushRefused> {
        let wanted = self
            .history
            .model_at(to)
            .ok_or_else(|| PushRefused::NotKept { wanted: to.clone(), oldest: self.history.oldest_model().cloned() })?;
        let push = Push { wanted, base: None, compare_and_swap: false, by, from, message };
        self.revise(now, push, Some(to.clone()))
    }

    /// Makes a revision, and says all that was made.
    pub(super) fn revise(
        &mut self,
        now: Time,
        push: Push,
        rolls_back_to: Option<RevisionId>,
    ) -> Result<(Pushed, Option<Made>), PushRefused> {
        let digest_before = self.digest();
        let base = push.base.unwrap_or_else(|| self.snapshot());
        if push.compare_and_swap && base.digest != digest_before {
            let current = self.history.latest().map(|revision| revision.id.clone());
            return Err(PushRefused::Moved { current, digest: digest_before });
        }
        let mut clock = self.clock.clone();
        let stamp = clock.tick(now);
        let Draft { writes, registers, shows_all } = self.draft(stamp, &base.model, &push.wanted);
        if writes.is_empty() {
            let snapshot = self.snapshot();
            let pushed = Pushed { revision: snapshot.id().cloned(), n_changes: 0, conflicts: Vec::new(), snapshot };
            return Ok((pushed, None));
        }
        self.clock = clock;
        let n_changes: usize = writes.iter().map(|written| written.cells.len()).sum();
        let n_changes = u32::try_from(n_changes).unwrap_or(u32::MAX);
        let writes: Writes = writes.into();
        let mut revision = Revision {
            id: RevisionId { number: self.history.number_max().saturating_add(1), origin: self.me.clone() },
            stamp,
            previous: self.vector.get(&self.clock.origin()).copied(),
            parents: base.heads,
            by: bounded(push.by),
            from: bounded(push.from),
            message: bounded(push.message),
            rolls_back_to,
            n_changes,
            digest: StateDigest::default(),
        };
        revision.digest = self.digest_of(registers.sum().wrapping_add(hash::revision(&revision)));
        let revision = Arc::new(revision);
        // The usual case: nothing is hidden and nothing comes to light, so what is wanted is what shows.
        let (old, new) = (self.registers.clone(), registers.clone());
        let is_stale = base.digest != digest_before;
        let shown = match !is_stale && shows_all {
            true => Shown::Is { model: push.wanted, n_changes: n_changes as usize },
            false => Shown::Differs(Seen::of(&old, &new, &writes)),
        };
        let shows_all = matches!(shown, Shown::Is { .. });
        let before = self.model.clone();
        let learned = self.commit(&revision, &writes, registers, shown, is_stale);
        let pushed = Pushed {
            revision: Some(revision.id.clone()),
            n_changes,
            conflicts: learned.conflicts,
            snapshot: self.snapshot(),
        };
        Ok((pushed, Some(Made { delta: (revision, writes), base: digest_before, before, shows_all })))
    }

    /// What must be written so that what an author changed shows, and nothing else comes to light or goes with it.
    fn draft(&self, stamp: Stamp, base: &Model, wanted: &Model) -> Draft {
        let mut writes = change::rows(base, wanted);
        writes.retain_mut(|Written { element, cells }| {
            let row = self.registers.row(element);
            cells.retain(|(register, wanted)| !self.holds(element, row, register, wanted.as_ref()));
            !cells.is_empty()
        });
        let mut registers = self.registers.clone();
        write_all(&mut registers, stamp, &writes);
        let mut shows_all = false;
        // What shows differs from what is wanted in this. An author who looked at an older model may see more in it than shows by now.
        let missing = LazyCell::new(|| change::diff(&self.model, wanted));
        for _ in 0..CORRECTIONS_MAX {
            let seen = Seen::of(&self.registers, &registers, &writes);
            // Mostly what shows is what was written, and nothing has come to light.
            shows_all = seen.is_all();
            if shows_all {
                break;
            }
            let amended: Vec<(Element, Register, Option<Cell>)> = seen
                .changes
                .iter()
                .filter(|change| (change.before.is_none() || is_dictionary(change)) && !is_in(&writes, change))
                .filter(|change| missing.binary_search_by(|other| key(other).cmp(&key(change))).is_err())
                .map(|change| (change.element.clone(), change.register.clone(), change.before.clone()))
                .collect();
            if amended.is_empty() {
                break;
            }
            for (element, register, cell) in amended {
                let cell = (register, cell);
                registers.write(&element, std::slice::from_ref(&cell), stamp);
                match writes.binary_search_by(|row| row.element.cmp(&element)) {
                    Ok(idx) => writes[idx].cells.push(cell),
                    Err(idx) => writes.insert(idx, Written { element, cells: vec![cell] }),
                }
            }
        }
        Draft { writes, registers, shows_all }
    }

    /// Whether a register need not be written to show this: it holds it, and shows it. What is held and hidden is written again: a
    /// place goes to the latest, and an author who does not know what hides the rest is told.
    fn holds(&self, element: &Element, row: Option<&Row>, register: &Register, wanted: Option<&Cell>) -> bool {
        let held = row.and_then(|row| row.get(register)?.cell.as_ref());
        held == wanted && view::visible(&self.registers, element, register) == wanted
    }
}

/// The order in which `diff` gives changes.
fn key(change: &Change) -> (&Element, &Register) {
    (&change.element, &change.register)
}

/// What a push made.
pub(super) struct Made {
    /// What the others are to learn.
    pub(super) delta: Delta,
    /// What was known before.
    pub(super) base: StateDigest,
    /// What showed before.
    pub(super) before: Model,
    /// All that was written shows, and nothing else has changed.
    pub(super) shows_all: bool,
}

/// A revision before it is one.
struct Draft {
    writes: Vec<Written>,
    registers: Registers,
    /// All that is written shows, and nothing else changes.
    shows_all: bool,
}

/// Whether a change is about a dictionary that goes with its last value, though nobody wants it to.
fn is_dictionary(change: &Change) -> bool {
    change.after.is_none() && matches!(change.register, Register::HasDictionary | Register::HasFragment(_))
}

fn is_in(writes: &[Written], change: &Change) -> bool {
    let row = writes.binary_search_by(|row| row.element.cmp(&change.element));
    row.is_ok_and(|idx| writes[idx].cells.iter().any(|(register, _)| *register == change.register))
}

fn bounded(text: Arc<str>) -> Arc<str> {
    if text.len() <= TEXT_MAX_BYTES { text } else { text[..text.floor_char_boundary(TEXT_MAX_BYTES)].into() }
}
