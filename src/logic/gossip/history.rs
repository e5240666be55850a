//! The history of a group: its revisions in the order of their stamps, the same on every replica that knows them all.
//!
//! The model of a revision is what all writes up to its stamp show. A few are kept whole, sharing what they have in common: the
//! latest, and now and then one before; the others follow from the one before them and from what was written since.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Conflict, Origin, Registers, Revision, RevisionId, Stamp, Writes, Written, hash, view, weight};
use crate::model::{
    Model, Shared,
    change::{Element, Register},
};

/// The most revisions kept. All replicas forget the same ones, so it is no configuration.
pub const REVISIONS_MAX: usize = 1000;

/// The most register writes kept to be sent to replicas that missed them (some 20 MB). Who missed more takes the full state.
pub const WRITES_MAX: usize = 200_000;

/// The most bytes of texts in them: few large values reach it long before there are many writes. A message carries 64 MiB, and with
/// these go what they overwrote (as much again), conflicts, and the registers themselves.
pub const WRITES_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The most conflicts kept.
pub const CONFLICTS_MAX: usize = 10_000;

/// The most bytes of texts in them. One that is larger alone is told, and not kept.
pub const CONFLICTS_MAX_BYTES: usize = 8 * 1024 * 1024;

/// So many of the latest revisions are kept whole: pushes that are under way at the same time have them for a base.
pub const WHOLE_LATEST: usize = 8;

/// Of the others one in so many is kept whole. In a small model a whole one takes 10 to 30 KB, as much as dozens of changes; each
/// change that is made again takes microseconds.
pub const WHOLE_EVERY: usize = 32;

/// A revision and what it did.
#[derive(Clone, Debug)]
struct Kept {
    revision: Arc<Revision>,
    /// What it wrote; gone when there were too many writes since.
    writes: Option<Writes>,
    /// What there was with it, where that is kept whole.
    whole: Option<Box<Whole>>,
}

/// What there was with a revision.
#[derive(Clone, Debug)]
struct Whole {
    /// All registers up to its stamp.
    registers: Registers,
    /// What they show; built when asked for.
    model: Option<Model>,
}

/// The revisions that a replica knows.
#[derive(Clone, Debug)]
pub struct History {
    /// The registers before the oldest revision; unknown for what happened before a replica without a history joined.
    root: Option<Registers>,
    /// Shared, so that a clone of the whole costs little.
    kept: BTreeMap<Stamp, Shared<Kept>>,
    heads: BTreeSet<Stamp>,
    /// The latest revision of each origin whose writes are gone.
    forgotten: BTreeMap<Origin, Stamp>,
    conflicts: BTreeMap<(Stamp, Element, Register), Conflict>,
    number_max: u64,
    n_writes: usize,
    n_writes_bytes: usize,
    n_conflicts_bytes: usize,
    sum: u128,
}

impl Whole {
    fn of(registers: Registers) -> Box<Whole> {
        Box::new(Whole { registers, model: None })
    }
}

impl Default for History {
    fn default() -> History {
        History {
            root: Some(Registers::default()),
            kept: BTreeMap::new(),
            heads: BTreeSet::new(),
            forgotten: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            number_max: 0,
            n_writes: 0,
            n_writes_bytes: 0,
            n_conflicts_bytes: 0,
            sum: 0,
        }
    }
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
        let stamp = self.find(id)?.stamp;
        let shown = self.kept.get(&stamp)?.whole.as_ref().and_then(|whole| whole.model.clone());
        shown.or_else(|| self.after(stamp).as_ref().map(view::build))
    }

    /// Whether the model of a revision is kept.
    pub fn keeps_model(&self, id: &RevisionId) -> bool {
        self.find(id).is_some_and(|revision| self.way_to(revision.stamp).is_some())
    }

    /// The oldest revision whose model is kept.
    pub fn oldest_model(&self) -> Option<&RevisionId> {
        let is_known = self.before_is_known().zip(self.kept.values());
        is_known
            .map(|(before, kept)| (kept.follows(before), kept))
            .find(|(known, _)| *known)
            .map(|(_, kept)| &kept.revision.id)
    }

    /// How many revisions are kept whole.
    pub fn n_whole(&self) -> usize {
        self.kept.values().filter(|kept| kept.whole.is_some()).count()
    }

    /// The registers with a revision, where they are known: those of the last that is whole, and what was written since.
    fn after(&self, stamp: Stamp) -> Option<Registers> {
        let (registers, writes) = self.way_to(stamp)?;
        let mut registers = registers.clone();
        writes.into_iter().rev().for_each(|(stamp, writes)| write_all(&mut registers, stamp, writes));
        Some(registers)
    }

    /// What there was when it was last kept whole, and what was written from then up to a revision, the latest first.
    fn way_to(&self, stamp: Stamp) -> Option<(&Registers, Vec<(Stamp, &Writes)>)> {
        let mut since = Vec::new();
        for (stamp, kept) in self.kept.range(..=stamp).rev() {
            if let Some(whole) = &kept.whole {
                return Some((&whole.registers, since));
            }
            since.push((*stamp, kept.writes.as_ref()?));
        }
        Some((self.root.as_ref()?, since))
    }

    /// For each revision whether it is known what there was before it.
    fn before_is_known(&self) -> impl Iterator<Item = bool> {
        let mut known = self.root.is_some();
        self.kept.values().map(move |kept| {
            let before = known;
            known = kept.follows(before);
            before
        })
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
        if !is_latest {
            self.slip_under(stamp, writes.as_ref());
        }
        self.note(&revision, writes.as_ref());
        self.kept.insert(stamp, Kept { revision, writes, whole: None }.into());
        if is_latest {
            self.shows(registers, model);
        }
        self.thin();
        self.forget();
    }

    /// Notes what there is with the latest revision: what there is now.
    pub(super) fn shows(&mut self, registers: &Registers, model: &Model) {
        if let Some(mut latest) = self.kept.last_entry() {
            let whole = Whole { registers: registers.clone(), model: Some(model.clone()) };
            latest.get_mut().to_mut().whole = Some(Box::new(whole));
        }
    }

    /// What there was with later revisions contains this one as well.
    fn slip_under(&mut self, stamp: Stamp, writes: Option<&Writes>) {
        let first = self.kept.first_key_value().map(|(first, _)| *first);
        if let Some(first) = first
            && stamp < first
            && self.root.as_ref().is_none_or(|root| !root.is_empty())
        {
            // The root is what there was before the first, no longer what there was before the oldest.
            let registers = self.after(first);
            if let Some(kept) = self.kept.get_mut(&first) {
                kept.to_mut().whole = registers.map(Whole::of);
            }
            self.root = None;
        }
        for (_, later) in self.kept.range_mut(stamp..).filter(|(_, later)| later.whole.is_some()) {
            let later = later.to_mut();
            later.whole = later.whole.take().zip(writes).map(|(mut whole, writes)| {
                write_all(&mut whole.registers, stamp, writes);
                whole.model = None;
                whole
            });
        }
    }

    /// The last of the latest is one of the others now: it need not be whole when it follows from one shortly before it.
    fn thin(&mut self) {
        let Some(stamp) = self.kept.keys().nth_back(WHOLE_LATEST).copied() else { return };
        let before = self.kept.range(..stamp).next_back().map(|(before, _)| *before);
        let n_since = match before {
            Some(before) => self.way_to(before).map(|(_, since)| since.len()),
            None => self.root.as_ref().map(|_| 0),
        };
        let Some(kept) = self.kept.get_mut(&stamp).filter(|kept| kept.whole.is_some()) else { return };
        let follows = kept.writes.is_some() && n_since.is_some_and(|n_since| n_since + 1 < WHOLE_EVERY);
        let kept = kept.to_mut();
        kept.whole = kept.whole.take().filter(|_| !follows).map(|whole| Whole::of(whole.registers));
    }

    fn note(&mut self, revision: &Revision, writes: Option<&Writes>) {
        self.sum = self.sum.wrapping_add(hash::revision(revision));
        self.number_max = self.number_max.max(revision.id.number);
        match writes {
            Some(writes) => {
                self.n_writes += n_cells(writes);
                self.n_writes_bytes += weight::of_writes(writes);
            }
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
        while self.kept.len() > REVISIONS_MAX
            && let Some((stamp, kept)) = self.kept.first_key_value().map(|(stamp, kept)| (*stamp, kept.clone()))
        {
            self.root = self.after(stamp);
            self.kept.remove(&stamp);
            self.sum = self.sum.wrapping_sub(hash::revision(&kept.revision));
            self.n_writes -= kept.writes.as_ref().map_or(0, n_cells);
            self.n_writes_bytes -= kept.writes.as_ref().map_or(0, weight::of_writes);
            self.heads.remove(&stamp);
            self.forgot(stamp);
        }
        while (self.n_writes > WRITES_MAX || self.n_writes_bytes > WRITES_MAX_BYTES)
            && let Some(stamp) = self.kept.iter().find(|(_, kept)| kept.writes.is_some()).map(|(stamp, _)| *stamp)
        {
            self.forget_writes(stamp);
        }
    }

    /// Forgets what the oldest revision with writes wrote. Models are known from there on; before it, of the latest revisions only:
    /// whole models that have little in common would fill the memory.
    fn forget_writes(&mut self, stamp: Stamp) {
        let after = self.after(stamp);
        let oldest_of_latest = self.kept.keys().nth_back(WHOLE_LATEST - 1).copied().unwrap_or(stamp);
        for (_, older) in self.kept.range_mut(..stamp.min(oldest_of_latest)).filter(|(_, older)| older.whole.is_some())
        {
            older.to_mut().whole = None;
        }
        self.root = None;
        if let Some(kept) = self.kept.get_mut(&stamp) {
            let kept = kept.to_mut();
            let writes = kept.writes.take();
            self.n_writes -= writes.as_ref().map_or(0, n_cells);
            self.n_writes_bytes -= writes.as_ref().map_or(0, weight::of_writes);
            kept.whole = kept.whole.take().or_else(|| after.map(Whole::of));
        }
        self.forgot(stamp);
    }

    /// Remembers a conflict, and forgets the oldest when there are too many; false when it is known.
    pub(super) fn collide(&mut self, conflict: Conflict) -> bool {
        let key = (conflict.loser.stamp, conflict.element.clone(), conflict.register.clone());
        let is_new = !self.conflicts.contains_key(&key);
        let n_bytes = weight::of_conflict(&conflict);
        if n_bytes > CONFLICTS_MAX_BYTES {
            return is_new;
        }
        self.n_conflicts_bytes += n_bytes;
        let mut gone = self.conflicts.insert(key, conflict);
        loop {
            self.n_conflicts_bytes -= gone.as_ref().map_or(0, weight::of_conflict);
            if self.conflicts.len() <= CONFLICTS_MAX && self.n_conflicts_bytes <= CONFLICTS_MAX_BYTES {
                break;
            }
            gone = self.conflicts.pop_first().map(|(_, oldest)| oldest);
        }
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

    /// Everything, oldest first, with the writes of the latest up to a number of them. Of those it is known what there was before.
    pub(super) fn log(&self, n_writes_max: usize) -> Vec<(Arc<Revision>, Option<Writes>)> {
        let mut budget = Some(n_writes_max);
        let known: Vec<bool> = self.before_is_known().collect();
        let mut log: Vec<_> = self
            .kept
            .values()
            .zip(known)
            .rev()
            .map(|(kept, known)| {
                let writes = kept.writes.clone().filter(|_| known);
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
            Some((before, _)) => self.after(*before),
            None => self.root.clone(),
        }
    }

    /// Notes that the model of a revision is not known; that of the latest is the present one.
    pub(super) fn forget_model(&mut self, stamp: Stamp) {
        let is_latest = self.kept.last_key_value().is_some_and(|(last, _)| *last == stamp);
        if let (Some(kept), false) = (self.kept.get_mut(&stamp), is_latest) {
            kept.to_mut().whole = None;
        }
    }

    /// Takes another's word for what there was before a revision, for all from there on.
    pub(super) fn replay(&mut self, first: Stamp, mut registers: Registers) {
        for (stamp, kept) in self.kept.range(..first) {
            if let Some(writes) = &kept.writes {
                write_all(&mut registers, *stamp, writes);
            }
        }
        match self.kept.range_mut(..first).next_back() {
            Some((_, before)) => {
                before.to_mut().whole = Some(Whole::of(registers.clone()));
            }
            None => self.root = Some(registers.clone()),
        }
        let mut known = Some(registers);
        for (n, (stamp, kept)) in self.kept.range_mut(first..).enumerate() {
            known = known.zip(kept.writes.clone()).map(|(mut registers, writes)| {
                write_all(&mut registers, *stamp, &writes);
                registers
            });
            let whole = known.clone().filter(|_| (n + 1).is_multiple_of(WHOLE_EVERY));
            kept.to_mut().whole = whole.map(Whole::of);
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

    /// The revisions that led to these heads and not to those before, the latest first.
    pub(super) fn between(&self, before: &[Stamp], heads: &[Stamp]) -> impl Iterator<Item = &Revision> {
        let mut open: BTreeSet<Stamp> = heads.iter().copied().collect();
        let mut open_before: BTreeSet<Stamp> = before.iter().copied().collect();
        let (mut seen, mut seen_before) = (BTreeSet::new(), BTreeSet::new());
        let parents = |stamp| self.revision(stamp).into_iter().flat_map(|revision| revision.parents.iter().copied());
        std::iter::from_fn(move || {
            while let Some(stamp) = open.pop_last() {
                // An author's clock is later than all it has seen: who leads to this one is found before it.
                while let Some(earlier) = open_before.last().copied().filter(|earlier| *earlier >= stamp) {
                    open_before.remove(&earlier);
                    if seen_before.insert(earlier) {
                        open_before.extend(parents(earlier));
                    }
                }
                if !seen_before.contains(&stamp) && seen.insert(stamp) {
                    open.extend(parents(stamp));
                    if let Some(revision) = self.revision(stamp) {
                        return Some(&**revision);
                    }
                }
            }
            None
        })
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
            // An author's clock is later than all it has seen: below `early`, there is no way to it; and who says to have seen what is
            // later than its own revision, or that itself, leads nobody round in a circle.
            let parents = self.kept.get(&stamp)?.revision.parents.iter().copied();
            open.extend(parents.filter(|parent| (early..stamp).contains(parent)));
        }
        Some(true)
    }
}

impl Kept {
    /// Whether it is known what there was with it, given whether that is known of what was before.
    fn follows(&self, before: bool) -> bool {
        self.whole.is_some() || before && self.writes.is_some()
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
