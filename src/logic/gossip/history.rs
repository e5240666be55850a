//! The history of a group: its revisions in the order of their stamps, the same on every replica that knows them all.
//!
//! The model of a revision is what all writes up to its stamp show. It is kept as a snapshot that shares its structure with
//! the others, so that a thousand of them cost little more than one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Conflict, Origin, Registers, Revision, RevisionId, Stamp, Writes, Written, hash, view};
use crate::model::{
    Model, Shared,
    change::{Element, Register},
};

/// The most revisions kept. All replicas forget the same ones, so it is no configuration.
pub const REVISIONS_MAX: usize = 1000;

/// The most register writes kept to be sent to replicas that missed them (some 20 MB). Who missed more takes the full state.
pub const WRITES_MAX: usize = 200_000;

/// The most conflicts kept.
pub const CONFLICTS_MAX: usize = 10_000;

/// A revision and what it did.
#[derive(Clone, Debug)]
struct Kept {
    revision: Arc<Revision>,
    /// What it wrote; gone when there were too many writes since.
    writes: Option<Writes>,
    /// All registers up to its stamp; unknown for what happened before a replica without a history joined.
    after: Option<Registers>,
    /// What they show; built when asked for.
    model: Option<Model>,
}

/// The revisions that a replica knows.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Shared, so that a clone of the whole costs little.
    kept: BTreeMap<Stamp, Shared<Kept>>,
    heads: BTreeSet<Stamp>,
    /// The latest revision of each origin whose writes are gone.
    forgotten: BTreeMap<Origin, Stamp>,
    conflicts: BTreeMap<(Stamp, Element, Register), Conflict>,
    number_max: u64,
    n_writes: usize,
    sum: u128,
}

impl History {
    /// Whether a revision is known.
    pub fn contains(&self, stamp: Stamp) -> bool {
        self.kept.contains_key(&stamp)
    }

    /// A revision by stamp.
    pub fn revision(&self, stamp: Stamp) -> Option<&Arc<Revision>> {
        self.kept.get(&stamp).map(|kept| &kept.revision)
    }

    /// What a revision wrote, where that is kept.
    pub(super) fn writes(&self, stamp: Stamp) -> Option<&Writes> {
        self.kept.get(&stamp)?.writes.as_ref()
    }

    /// A revision by name.
    pub fn find(&self, id: &RevisionId) -> Option<&Arc<Revision>> {
        self.kept.values().rev().map(|kept| &kept.revision).find(|revision| revision.id == *id)
    }

    /// All revisions, the latest first.
    pub fn revisions(&self) -> impl Iterator<Item = &Arc<Revision>> {
        self.kept.values().rev().map(|kept| &kept.revision)
    }

    /// The latest revision.
    pub fn latest(&self) -> Option<&Arc<Revision>> {
        self.kept.values().next_back().map(|kept| &kept.revision)
    }

    /// The revisions that none descends from.
    pub fn heads(&self) -> Vec<Stamp> {
        self.heads.iter().copied().collect()
    }

    /// The highest number given so far.
    pub fn number_max(&self) -> u64 {
        self.number_max
    }

    /// The sum of the hashes of the revisions.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The conflicts that are remembered, in order of the loser.
    pub fn conflicts(&self) -> impl Iterator<Item = &Conflict> {
        self.conflicts.values()
    }

    /// The model as it was with a revision; `None` when it is not kept.
    pub fn model_at(&self, id: &RevisionId) -> Option<Model> {
        let kept = self.kept.get(&self.find(id)?.stamp)?;
        kept.model.clone().or_else(|| kept.after.as_ref().map(view::build))
    }

    /// The oldest revision whose model is kept.
    pub fn oldest_model(&self) -> Option<&RevisionId> {
        self.kept.values().find(|kept| kept.after.is_some()).map(|kept| &kept.revision.id)
    }

    /// Adds a revision. `registers` and `model` are those with it (and with all others that are known).
    pub(super) fn insert(
        &mut self,
        revision: Arc<Revision>,
        writes: Option<Writes>,
        registers: &Registers,
        model: &Model,
    ) {
        let stamp = revision.stamp;
        if self.contains(stamp) {
            return;
        }
        let is_latest = self.kept.last_key_value().is_none_or(|(last, _)| *last < stamp);
        let (after, shown) = if is_latest {
            (Some(registers.clone()), Some(model.clone()))
        } else {
            let before = self.kept.range(..stamp).next_back().map(|(_, kept)| kept.after.clone());
            let after = match (before.unwrap_or_else(|| Some(Registers::default())), &writes) {
                (Some(mut before), Some(writes)) => {
                    write_all(&mut before, stamp, writes);
                    Some(before)
                }
                _ => None,
            };
            self.slip_under(stamp, writes.as_ref());
            (after, None)
        };
        self.note(&revision, writes.as_ref());
        self.kept.insert(stamp, Kept { revision, writes, after, model: shown }.into());
        self.forget();
    }

    /// The snapshots of later revisions contain this one as well.
    fn slip_under(&mut self, stamp: Stamp, writes: Option<&Writes>) {
        for (_, later) in self.kept.range_mut(stamp..) {
            let later = later.to_mut();
            later.model = None;
            match (&mut later.after, writes) {
                (Some(after), Some(writes)) => write_all(after, stamp, writes),
                (after, _) => *after = None,
            }
        }
    }

    fn note(&mut self, revision: &Revision, writes: Option<&Writes>) {
        self.sum = self.sum.wrapping_add(hash::revision(revision));
        self.number_max = self.number_max.max(revision.id.number);
        match writes {
            Some(writes) => self.n_writes += n_cells(writes),
            None => self.forgot(revision.stamp),
        }
        for parent in &revision.parents {
            self.heads.remove(parent);
        }
        let has_child = |kept: &Shared<Kept>| kept.revision.parents.contains(&revision.stamp);
        if !self.kept.range(revision.stamp..).any(|(_, kept)| has_child(kept)) {
            self.heads.insert(revision.stamp);
        }
    }

    fn forgot(&mut self, stamp: Stamp) {
        let latest = self.forgotten.entry(stamp.origin()).or_insert(stamp);
        *latest = stamp.max(*latest);
    }

    /// Keeps within the bounds: forgets the oldest revisions, and the oldest writes.
    fn forget(&mut self) {
        while self.kept.len() > REVISIONS_MAX {
            let Some((stamp, kept)) = self.kept.pop_first() else { break };
            self.sum = self.sum.wrapping_sub(hash::revision(&kept.revision));
            self.n_writes -= kept.writes.as_ref().map_or(0, n_cells);
            self.heads.remove(&stamp);
            self.forgot(stamp);
        }
        let mut gone = Vec::new();
        if self.n_writes > WRITES_MAX {
            for (stamp, kept) in &mut self.kept {
                if kept.writes.is_none() {
                    continue;
                }
                let Some(writes) = kept.to_mut().writes.take() else { continue };
                self.n_writes -= n_cells(&writes);
                gone.push(*stamp);
                if self.n_writes <= WRITES_MAX {
                    break;
                }
            }
        }
        gone.into_iter().for_each(|stamp| self.forgot(stamp));
        while self.conflicts.len() > CONFLICTS_MAX {
            self.conflicts.pop_first();
        }
    }

    /// Remembers a conflict; false when it is known.
    pub(super) fn collide(&mut self, conflict: Conflict) -> bool {
        let key = (conflict.loser.stamp, conflict.element.clone(), conflict.register.clone());
        let is_new = !self.conflicts.contains_key(&key);
        self.conflicts.insert(key, conflict);
        is_new
    }

    /// The revisions that a replica with this vector misses, oldest first; `None` when some of their writes are gone.
    pub(super) fn missing(&self, vector: &BTreeMap<Origin, Stamp>) -> Option<Vec<(Arc<Revision>, Writes)>> {
        let misses = |stamp: &Stamp| vector.get(&stamp.origin()).is_none_or(|known| known < stamp);
        if self.forgotten.values().any(misses) {
            return None;
        }
        let missing = self.kept.iter().filter(|(stamp, _)| misses(stamp));
        missing.map(|(_, kept)| Some((Arc::clone(&kept.revision), kept.writes.clone()?))).collect()
    }

    /// Everything, oldest first, with the writes of the latest up to a number of them.
    pub(super) fn log(&self, n_writes_max: usize) -> Vec<(Arc<Revision>, Option<Writes>)> {
        let mut budget = Some(n_writes_max);
        let mut log: Vec<_> = self
            .kept
            .values()
            .rev()
            .map(|kept| {
                let writes = kept.writes.clone().filter(|_| kept.after.is_some());
                budget = writes.as_ref().and_then(|writes| budget?.checked_sub(n_cells(writes)));
                (Arc::clone(&kept.revision), writes.filter(|_| budget.is_some()))
            })
            .collect();
        log.reverse();
        log
    }

    /// The registers just before a revision.
    pub(super) fn before(&self, stamp: Stamp) -> Option<Registers> {
        match self.kept.range(..stamp).next_back() {
            Some((_, kept)) => kept.after.clone(),
            None => self.forgotten.is_empty().then(Registers::default),
        }
    }

    /// Notes that the model of a revision is not known; that of the latest is the present one.
    pub(super) fn forget_model(&mut self, stamp: Stamp) {
        let is_latest = self.kept.last_key_value().is_some_and(|(last, _)| *last == stamp);
        if let (Some(kept), false) = (self.kept.get_mut(&stamp), is_latest) {
            let kept = kept.to_mut();
            (kept.after, kept.model) = (None, None);
        }
    }

    /// Builds the snapshots from `first` on again, upon what there was before it.
    pub(super) fn replay(&mut self, first: Stamp, mut registers: Registers) {
        for (stamp, kept) in self.kept.range(..first) {
            if let Some(writes) = &kept.writes {
                write_all(&mut registers, *stamp, writes);
            }
        }
        let mut known = Some(registers);
        for (stamp, kept) in self.kept.range_mut(first..) {
            known = match (known, &kept.writes) {
                (Some(mut registers), Some(writes)) => {
                    write_all(&mut registers, *stamp, writes);
                    Some(registers)
                }
                _ => None,
            };
            let kept = kept.to_mut();
            kept.after = known.clone();
            kept.model = None;
        }
    }

    /// Whether the author of a revision that is known had seen all others: the usual case.
    pub(super) fn is_known_by(&self, revision: &Revision) -> bool {
        self.heads.iter().all(|head| *head == revision.stamp)
    }

    /// The revisions that the author of this one did not know, with what they wrote.
    pub(super) fn unknown_to(&self, revision: &Revision) -> Vec<(Stamp, Writes)> {
        let mut known = BTreeSet::new();
        let mut open = vec![revision.stamp];
        while let Some(stamp) = open.pop() {
            if known.insert(stamp)
                && let Some(kept) = self.kept.get(&stamp)
            {
                open.extend(&kept.revision.parents);
            }
        }
        let unknown = self.kept.iter().filter(|(stamp, _)| !known.contains(stamp));
        unknown.filter_map(|(stamp, kept)| Some((*stamp, kept.writes.clone()?))).collect()
    }

    /// The revisions that a replica with this vector has not seen, with what they wrote.
    pub(super) fn unseen_by(&self, vector: &BTreeMap<Origin, Stamp>) -> Vec<(Stamp, Writes)> {
        let unseen = |stamp: &Stamp| vector.get(&stamp.origin()).is_none_or(|known| known < stamp);
        let unseen = self.kept.iter().filter(|(stamp, _)| unseen(stamp));
        unseen.filter_map(|(stamp, kept)| Some((*stamp, kept.writes.clone()?))).collect()
    }

    /// Whether neither of two revisions was known to the author of the other. `None` when one is no longer in the history.
    pub(super) fn concurrent(&self, a: Stamp, b: Stamp) -> Option<bool> {
        let (early, late) = (a.min(b), a.max(b));
        if early == late {
            return Some(false);
        }
        if !self.contains(early) {
            return None;
        }
        let mut open = BTreeSet::from([late]);
        while let Some(stamp) = open.pop_last() {
            if stamp == early {
                return Some(false);
            }
            // An author's clock is later than all it has seen: below `early`, there is no way to it.
            open.extend(self.kept.get(&stamp)?.revision.parents.iter().copied().filter(|parent| *parent >= early));
        }
        Some(true)
    }
}

fn n_cells(writes: &Writes) -> usize {
    writes.iter().map(|written| written.cells.len()).sum()
}

/// Merges all writes of a revision.
pub(super) fn write_all(registers: &mut Registers, stamp: Stamp, writes: &[Written]) {
    for written in writes {
        registers.write(&written.element, &written.cells, stamp);
    }
}
