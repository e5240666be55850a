//! Catching up: what a replica answers another that knows something else, and how it takes in all that another knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Answer, Conflict, Learned, Origin, Registers, Replica, Revision, Stamp, StateDigest, Unbelievable, Writes,
    conflict::Merge,
    full::{Full, LOG_WRITES_MAX, Packed, Record, Undo},
    history::WRITES_MAX_BYTES,
    registers::Entry,
    view, weight,
};
use crate::{
    model::change::{self, Element, Register},
    words::Time,
};

/// With more than this, a full state goes without what was written of late. A message carries 64 MiB; the rest is for conflicts.
const SENT_MAX_BYTES: usize = 54 * 1024 * 1024;

/// What a register takes beside a text: with the names in its element, and its stamp.
const REGISTER_BYTES: usize = 96;

/// How much what was overwritten weighs.
fn of_undo(undo: &[Undo]) -> usize {
    undo.iter().map(|(.., held)| weight::of_cell(held.as_ref().and_then(|(_, cell)| cell.as_ref()))).sum()
}

impl Replica {
    /// Everything this replica knows.
    pub fn full(&self) -> Full {
        self.full_with(LOG_WRITES_MAX)
    }

    /// The same, with so many writes of the latest revisions at most.
    pub(super) fn full_with(&self, n_writes_max: usize) -> Full {
        let log = self.history.log(n_writes_max);
        let first = log.iter().find(|(_, writes)| writes.is_some()).map(|(revision, _)| revision.stamp);
        let before = first.and_then(|first| self.history.before(first));
        let mut undo = Vec::new();
        if let Some(before) = before {
            let rows = log.iter().filter_map(|(_, writes)| writes.as_ref()).flat_map(|writes| writes.iter());
            let keys: BTreeSet<(Element, Register)> =
                rows.flat_map(|row| row.cells.iter().map(|(r, _)| (row.element.clone(), r.clone()))).collect();
            undo.extend(keys.into_iter().map(|(element, register)| {
                let entry = before.get(&element, &register).map(|entry| (entry.stamp, entry.cell.clone()));
                (element, register, entry)
            }));
        }
        if n_writes_max > 0 && of_undo(&undo) > WRITES_MAX_BYTES {
            // Small writes in the place of large values: without what they overwrote they are of no use to who comes.
            return self.full_with(0);
        }
        Full {
            registers: Packed::of(&self.registers),
            vector: self.vector.clone(),
            log,
            undo,
            conflicts: self.history.conflicts().cloned().collect(),
        }
    }

    /// The same, without what was written of late where that and the model may be more than a message carries: better a newcomer
    /// without the models of the past than none.
    fn full_to_send(&self) -> Full {
        let full = self.full();
        match self.size_of(&full) > SENT_MAX_BYTES {
            true => self.full_with(0),
            false => full,
        }
    }

    /// About as many bytes as a full state of this replica takes, without its conflicts; rather more.
    pub(crate) fn size_of(&self, full: &Full) -> usize {
        let writes = || full.log.iter().filter_map(|(_, writes)| writes.as_ref());
        let n_written: usize = writes().flat_map(|writes| writes.iter()).map(|row| row.cells.len()).sum();
        let texts = writes().map(weight::of_writes).sum::<usize>() + of_undo(&full.undo);
        let n_registers = self.registers.len() + n_written + full.undo.len();
        weight::of_registers(&self.registers) + texts + n_registers * REGISTER_BYTES
    }

    /// What another replica with this vector and digest lacks.
    pub fn answer(&self, vector: &BTreeMap<Origin, Stamp>, digest: StateDigest) -> Answer {
        let full = || Answer::Full(Box::new(self.full_to_send()));
        match self.history.missing(vector) {
            None => full(),
            // It knows the same revisions, and yet something else: only everything can help.
            Some(missing) if missing.is_empty() && *vector == self.vector && digest != self.digest() => full(),
            Some(missing) => Answer::Missing(missing),
        }
    }

    /// Notes that another replica has sent everything up to its vector.
    pub fn caught_up(&mut self, vector: &BTreeMap<Origin, Stamp>) {
        for (origin, stamp) in vector {
            let known = self.vector.entry(*origin).or_insert(*stamp);
            *known = (*known).max(*stamp);
        }
    }

    /// Merges everything another replica knows. What this one wrote and nobody heard of before the others forgot removals of
    /// that age is dropped, and told.
    ///
    /// # Errors
    /// [`Unbelievable`] when something in it is stamped, or counts as removed, too far in the future, or nobody can know so much;
    /// nothing was learned then.
    pub fn absorb(&mut self, now: Time, full: Full) -> Result<Learned, Unbelievable> {
        self.believe_all(now, &full)?;
        Ok(self.take_in(full))
    }

    /// Takes in what this node itself had kept: believed whatever the clock says.
    pub fn restore(&mut self, record: Record) {
        match record {
            Record::Full(full) => drop(self.take_in(*full)),
            Record::Deltas(deltas) => {
                for (revision, writes) in &deltas {
                    self.merge_one(revision, writes);
                }
            }
        }
    }

    fn take_in(&mut self, full: Full) -> Learned {
        if let Some(latest) = full.latest() {
            self.clock.observe(latest);
        }
        let Full { registers, vector, log, undo, conflicts } = full;
        let theirs = registers.unpack();
        let old = self.registers.clone();
        self.registers.merge(&theirs);
        self.clock.pass(self.registers.floor());
        let differing = self.registers.differing(&old);
        let touched = differing.iter().map(|(element, registers)| (element, registers.iter()));
        let changes = view::changes(&old, &self.registers, touched);
        change::patch(&mut self.model, &changes);
        let unseen = self.history.unseen_by(&vector);
        let revisions = self.absorb_log(&theirs, log, undo);
        let mut found = self.absorb_conflicts(&old, &unseen, &vector, &revisions);
        for conflict in conflicts {
            self.history.collide(conflict);
        }
        found.retain(|conflict| self.history.collide(conflict.clone()));
        self.caught_up(&vector);
        let mut learned = Learned { revisions, n_changes: changes.len(), conflicts: found, ..Learned::default() };
        learned.add(self.merge_early());
        learned
    }

    fn absorb_log(
        &mut self,
        theirs: &Registers,
        log: Vec<(Arc<Revision>, Option<Writes>)>,
        undo: Vec<Undo>,
    ) -> Vec<Arc<Revision>> {
        let first = log.iter().find(|(_, writes)| writes.is_some()).map(|(revision, _)| revision.stamp);
        let mut new = Vec::new();
        for (revision, writes) in log {
            if !self.history.contains(revision.stamp) {
                new.push(Arc::clone(&revision));
                self.history.insert(revision, writes, &self.registers, &self.model);
            }
        }
        for revision in &new {
            if first.is_none_or(|first| revision.stamp < first) {
                self.history.forget_model(revision.stamp);
            }
        }
        if let (Some(first), false) = (first, new.is_empty()) {
            let mut before = theirs.clone();
            for (element, register, entry) in undo {
                before.replace(&element, vec![(register, entry.map(|(stamp, cell)| Entry { stamp, cell }))]);
            }
            self.history.replay(first, before);
        }
        self.history.shows(&self.registers, &self.model);
        new
    }

    fn absorb_conflicts(
        &self,
        old: &Registers,
        mine: &[(Stamp, Writes)],
        vector: &BTreeMap<Origin, Stamp>,
        theirs: &[Arc<Revision>],
    ) -> Vec<Conflict> {
        // Where the history is silent: they did not know of it, so they overwrote it unseen.
        let unseen = |stamp: Stamp| vector.get(&stamp.origin()).is_none_or(|known| *known < stamp);
        let otherwise = |loser, _| unseen(loser);
        let merge = Merge { old, new: &self.registers, history: &self.history, otherwise: &otherwise };
        let mut lost = merge.lost_of(mine);
        for revision in theirs {
            if let Some(writes) = self.history.writes(revision.stamp) {
                // What they lost among themselves, they know and have told.
                let by_mine = |conflict: &Conflict| unseen(conflict.winner.stamp);
                lost.extend(merge.lost_by(revision.stamp, writes).into_iter().filter(by_mine));
            }
        }
        lost
    }

    /// Forgets removals up to a time. Only when this replica knows all that the group wrote up to then.
    pub fn forget_removals(&mut self, until: Time) {
        self.registers.raise_floor(until);
        self.clock.pass(until);
    }
}
