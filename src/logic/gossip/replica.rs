//! A replica: what one node knows of its group's model and history. Told pushes and what other replicas know.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    Clock, Conflict, History, Origin, Push, PushRefused, Pushed, Revision, RevisionId, Snapshot, Stamp, StateDigest,
    TooFarAhead, Writes, Written,
    conflict::Merge,
    full::{Full, LOG_WRITES_MAX, Packed, Record, Undo},
    registers::{Entry, Registers},
    view::{self, Key},
};
use crate::{
    model::{
        Model,
        change::{self, Cell, Change, Register},
    },
    words::{NodeName, Time},
};

/// The most bytes of each text that goes with a revision.
pub const TEXT_MAX_BYTES: usize = 4096;

/// The most revisions that wait for others. Who misses more asks anyway, and gets all in order.
const EARLY_MAX: usize = 256;

/// A push may uncover what was hidden, which hides or uncovers more; no real model needs more rounds.
const CORRECTIONS_MAX: usize = 8;

/// A revision with what it wrote: what replicas send each other.
pub type Delta = (Arc<Revision>, Writes);

/// What a merge did.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    /// The revisions that were new.
    pub revisions: Vec<Arc<Revision>>,
    /// Those of them that came one by one, in the order in which they were merged.
    pub deltas: Vec<Delta>,
    /// How many registers look different now.
    pub n_changes: usize,
    /// Collisions not known before.
    pub conflicts: Vec<Conflict>,
    /// Whether some have to wait for others that are missing.
    pub gap: bool,
}

impl Learned {
    fn add(&mut self, other: Learned) {
        self.revisions.extend(other.revisions);
        self.deltas.extend(other.deltas);
        self.n_changes += other.n_changes;
        self.conflicts.extend(other.conflicts);
        self.gap |= other.gap;
    }
}

/// What a replica answers another that knows something else.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The revisions it misses.
    Missing(Vec<Delta>),
    /// Too much is missing, or what differs cannot be told: everything.
    Full(Box<Full>),
}

/// What one node knows.
#[derive(Clone, Debug)]
pub struct Replica {
    me: NodeName,
    clock: Clock,
    registers: Registers,
    model: Model,
    history: History,
    vector: BTreeMap<Origin, Stamp>,
    /// Revisions that came before others that their authors had seen.
    early: BTreeMap<Stamp, Delta>,
}

impl Replica {
    /// The empty replica of a node. Stamps more than `ahead_max` in the future are refused.
    pub fn new(me: NodeName, ahead_max: Duration) -> Replica {
        Replica {
            clock: Clock::new(Origin::of(&me), ahead_max),
            me,
            registers: Registers::default(),
            model: Model::default(),
            history: History::default(),
            vector: BTreeMap::new(),
            early: BTreeMap::new(),
        }
    }

    /// The model as it shows.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The registers.
    pub fn registers(&self) -> &Registers {
        &self.registers
    }

    /// The revisions.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// For each origin the revision up to which everything is known.
    pub fn vector(&self) -> &BTreeMap<Origin, Stamp> {
        &self.vector
    }

    /// The digest of everything known: equal for replicas that know the same.
    pub fn digest(&self) -> StateDigest {
        self.digest_of(self.registers.sum())
    }

    /// What the digest would be with removals forgotten up to a later time.
    pub fn digest_at(&self, floor: Time) -> StateDigest {
        self.digest_of(self.registers.sum_at(floor))
    }

    fn digest_of(&self, sum: u128) -> StateDigest {
        StateDigest(sum.wrapping_add(self.history.sum()))
    }

    /// The model now, with what it was made of.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            revision: self.history.latest().cloned(),
            heads: self.history.heads(),
            model: self.model.clone(),
            digest: self.digest(),
        }
    }

    /// Makes a revision of a wanted model. The delta is what the other replicas are to learn; `None` when nothing differs.
    ///
    /// # Errors
    /// [`PushRefused::Moved`] for a compare-and-swap whose base is not the current state; nothing has changed then.
    pub fn push(&mut self, now: Time, push: Push) -> Result<(Pushed, Option<Delta>), PushRefused> {
        self.revise(now, push, None)
    }

    /// Makes a revision that brings back the model of another.
    ///
    /// # Errors
    /// [`PushRefused::NotKept`] when that model is not known here.
    pub fn rollback(
        &mut self,
        now: Time,
        to: &RevisionId,
        by: Arc<str>,
        from: Arc<str>,
        message: Arc<str>,
    ) -> Result<(Pushed, Option<Delta>), PushRefused> {
        let wanted = self
            .history
            .model_at(to)
            .ok_or_else(|| PushRefused::NotKept { wanted: to.clone(), oldest: self.history.oldest_model().cloned() })?;
        let push = Push { wanted, base: None, compare_and_swap: false, by, from, message };
        self.revise(now, push, Some(to.clone()))
    }

    fn revise(
        &mut self,
        now: Time,
        push: Push,
        rolls_back_to: Option<RevisionId>,
    ) -> Result<(Pushed, Option<Delta>), PushRefused> {
        let base = push.base.unwrap_or_else(|| self.snapshot());
        if push.compare_and_swap && base.digest != self.digest() {
            let current = self.history.latest().map(|revision| revision.id.clone());
            return Err(PushRefused::Moved { current, digest: self.digest() });
        }
        let wanted = change::diff(&base.model, &push.wanted);
        let mut clock = self.clock.clone();
        let stamp = clock.tick(now);
        let cells = self.cells(stamp, wanted);
        if cells.is_empty() {
            let snapshot = self.snapshot();
            let pushed = Pushed { revision: snapshot.id().cloned(), n_changes: 0, conflicts: Vec::new(), snapshot };
            return Ok((pushed, None));
        }
        self.clock = clock;
        let n_changes = u32::try_from(cells.len()).unwrap_or(u32::MAX);
        let writes = grouped(cells);
        let mut revision = Revision {
            id: RevisionId { number: self.history.number_max() + 1, origin: self.me.clone() },
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
        revision.digest = self.digest_with(&revision, &writes);
        let revision = Arc::new(revision);
        let learned = self.merge_one(&revision, &writes);
        let pushed = Pushed {
            revision: Some(revision.id.clone()),
            n_changes,
            conflicts: learned.conflicts,
            snapshot: self.snapshot(),
        };
        Ok((pushed, Some((revision, writes))))
    }

    /// What must be written so that the changes show, and nothing else comes to light with them.
    fn cells(&self, stamp: Stamp, wanted: Vec<Change>) -> BTreeMap<Key, Option<Cell>> {
        let held = |key: &Key| self.registers.get(&key.0, &key.1).and_then(|entry| entry.cell.as_ref());
        // What is held already and hidden shows no sooner for being written again, unless the place goes to the latest.
        let shows = |key: &Key| {
            !matches!(key.1, Register::Here | Register::Host)
                || view::visible(&self.registers, &key.0, &key.1) == held(key)
        };
        let mut cells: BTreeMap<Key, Option<Cell>> = BTreeMap::new();
        let mut welcome: BTreeSet<Key> = BTreeSet::new();
        for change in wanted {
            let key = (change.element, change.register);
            if change.after.is_some() {
                welcome.insert(key.clone());
            }
            if held(&key) != change.after.as_ref() || !shows(&key) {
                cells.insert(key, change.after);
            }
        }
        let mut after = self.registers.clone();
        for ((element, register), cell) in &cells {
            after.write(element, register, Entry { stamp, cell: cell.clone() });
        }
        for _ in 0..CORRECTIONS_MAX {
            let keys: Vec<Key> = cells.keys().cloned().collect();
            let uncovered: Vec<Key> = view::changes(&self.registers, &after, &keys)
                .into_iter()
                .filter(|change| change.before.is_none() && change.after.is_some())
                .map(|change| (change.element, change.register))
                .filter(|key| !cells.contains_key(key) && !welcome.contains(key))
                .collect();
            if uncovered.is_empty() {
                break;
            }
            for (element, register) in uncovered {
                after.write(&element, &register, Entry { stamp, cell: None });
                cells.insert((element, register), None);
            }
        }
        cells
    }

    fn digest_with(&self, revision: &Revision, writes: &Writes) -> StateDigest {
        let mut registers = self.registers.clone();
        super::history::write_all(&mut registers, revision.stamp, writes);
        let sum = registers.sum().wrapping_add(super::hash::revision(revision));
        self.digest_of(sum)
    }

    /// Learns revisions from another replica, in any order, any number of times. One that comes before another that its author
    /// had seen waits for that one: what a revision overwrote knowingly is always known here too.
    ///
    /// # Errors
    /// [`TooFarAhead`] when one is stamped too far in the future; those before it were learned.
    pub fn learn(&mut self, now: Time, deltas: &[Delta]) -> (Learned, Result<(), TooFarAhead>) {
        let mut learned = Learned::default();
        for (revision, writes) in deltas {
            if let Err(error) = self.clock.check(now, revision.stamp) {
                return (learned, Err(error));
            }
            if self.is_ready(revision) {
                learned.add(self.merge_one(revision, writes));
                learned.add(self.merge_early());
            } else if !self.history.contains(revision.stamp) {
                learned.gap = true;
                self.early.insert(revision.stamp, (Arc::clone(revision), Arc::clone(writes)));
                if self.early.len() > EARLY_MAX {
                    self.early.pop_last();
                }
            }
        }
        (learned, Ok(()))
    }

    /// Whether everything that the author of a revision had seen is known.
    fn is_ready(&self, revision: &Revision) -> bool {
        let known = |stamp: &Stamp| {
            self.history.contains(*stamp) || self.vector.get(&stamp.origin()).is_some_and(|known| known >= stamp)
        };
        revision.previous.iter().chain(&revision.parents).all(known)
    }

    /// Merges what came early, now that more is known.
    fn merge_early(&mut self) -> Learned {
        let mut learned = Learned::default();
        while let Some(stamp) =
            self.early.iter().find(|(_, (revision, _))| self.is_ready(revision)).map(|(stamp, _)| *stamp)
        {
            if let Some((revision, writes)) = self.early.remove(&stamp) {
                learned.add(self.merge_one(&revision, &writes));
            }
        }
        learned
    }

    fn merge_one(&mut self, revision: &Arc<Revision>, writes: &Writes) -> Learned {
        if self.history.contains(revision.stamp) {
            return Learned::default();
        }
        let stamp = revision.stamp;
        self.clock.observe(stamp);
        let old = self.registers.clone();
        let mut written = Vec::new();
        for row in writes.iter() {
            for (register, cell) in &row.cells {
                if self.registers.write(&row.element, register, Entry { stamp, cell: cell.clone() }) {
                    written.push((row.element.clone(), register.clone()));
                }
            }
        }
        let changes = view::changes(&old, &self.registers, &written);
        change::patch(&mut self.model, &changes);
        self.history.insert(Arc::clone(revision), Some(Arc::clone(writes)), &self.registers, &self.model);
        let merge = Merge { old: &old, new: &self.registers, history: &self.history, otherwise: &|_, _| false };
        let mut conflicts = merge.lost_by(stamp, writes);
        conflicts.extend(merge.lost_of(&self.history.unknown_to(revision)));
        conflicts.retain(|conflict| self.history.collide(conflict.clone()));
        self.caught_up(&BTreeMap::from([(stamp.origin(), stamp)]));
        Learned {
            revisions: vec![Arc::clone(revision)],
            deltas: vec![(Arc::clone(revision), Arc::clone(writes))],
            n_changes: changes.len(),
            conflicts,
            gap: false,
        }
    }

    /// Everything this replica knows.
    pub fn full(&self) -> Full {
        let log = self.history.log(LOG_WRITES_MAX);
        let first = log.iter().find(|(_, writes)| writes.is_some()).map(|(revision, _)| revision.stamp);
        let before = first.and_then(|first| self.history.before(first));
        let mut undo = Vec::new();
        if let Some(before) = before {
            let rows = log.iter().filter_map(|(_, writes)| writes.as_ref()).flat_map(|writes| writes.iter());
            let keys: BTreeSet<Key> =
                rows.flat_map(|row| row.cells.iter().map(|(r, _)| (row.element.clone(), r.clone()))).collect();
            undo.extend(keys.into_iter().map(|(element, register)| {
                let entry = before.get(&element, &register).map(|entry| (entry.stamp, entry.cell.clone()));
                (element, register, entry)
            }));
        }
        Full {
            registers: Packed::of(&self.registers),
            vector: self.vector.clone(),
            log,
            undo,
            conflicts: self.history.conflicts().cloned().collect(),
        }
    }

    /// What another replica with this vector and digest lacks.
    pub fn answer(&self, vector: &BTreeMap<Origin, Stamp>, digest: StateDigest) -> Answer {
        let full = || Answer::Full(Box::new(self.full()));
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
    /// [`TooFarAhead`] when something in it is stamped too far in the future; nothing was learned then.
    pub fn absorb(&mut self, now: Time, full: Full) -> Result<Learned, TooFarAhead> {
        if let Some(latest) = full.latest() {
            self.clock.check(now, latest)?;
        }
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
        let changes = view::changes(&old, &self.registers, &differing(&old, &self.registers));
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
        if let (Some(first), false) = (first, new.is_empty()) {
            let mut before = theirs.clone();
            for (element, register, entry) in undo {
                before.put(&element, &register, entry.map(|(stamp, cell)| Entry { stamp, cell }));
            }
            self.history.replay(first, before);
        }
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
    }
}

/// The registers that differ between two states.
fn differing(old: &Registers, new: &Registers) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    for (one, other) in [(old, new), (new, old)] {
        let differs = one.iter().filter(|(element, register, entry)| other.get(element, register) != Some(entry));
        keys.extend(differs.map(|(element, register, _)| (element.clone(), register.clone())));
    }
    keys
}

fn grouped(cells: BTreeMap<Key, Option<Cell>>) -> Writes {
    let mut rows: Vec<Written> = Vec::new();
    for ((element, register), cell) in cells {
        match rows.last_mut() {
            Some(row) if row.element == element => row.cells.push((register, cell)),
            _ => rows.push(Written { element, cells: vec![(register, cell)] }),
        }
    }
    rows.into()
}

fn bounded(text: Arc<str>) -> Arc<str> {
    if text.len() <= TEXT_MAX_BYTES { text } else { text[..text.floor_char_boundary(TEXT_MAX_BYTES)].into() }
}
