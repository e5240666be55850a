//! A replica: what one node knows of its group's model and history. Told pushes and what other replicas know.

use std::{collections::BTreeMap, mem, sync::Arc, time::Duration};

use super::{
    Clock, Conflict, Full, History, Origin, Registers, Revision, Snapshot, Stamp, StateDigest, TooFarAhead,
    Unbelievable, Writes, conflict::Merge, history::write_all, view,
};
use crate::{
    model::Model,
    words::{NodeName, Time},
};

/// The most revisions that wait for others. Who misses more asks anyway, and gets all in order.
const EARLY_MAX: usize = 256;

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
    pub(super) fn add(&mut self, other: Learned) {
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

/// What a merge makes visible.
pub(super) enum Shown<'a> {
    /// The model is this one now.
    Is {
        /// The model.
        model: Model,
        /// How many registers changed in it.
        n_changes: usize,
    },
    /// What differs from the model before.
    Differs(view::Seen<'a>),
}

/// What one node knows.
#[derive(Clone, Debug)]
pub struct Replica {
    pub(super) me: NodeName,
    pub(super) clock: Clock,
    pub(super) registers: Registers,
    pub(super) model: Model,
    pub(super) history: History,
    pub(super) vector: BTreeMap<Origin, Stamp>,
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

    pub(super) fn digest_of(&self, sum: u128) -> StateDigest {
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

    /// Learns revisions from another replica, in any order, any number of times. One that comes before another that its author
    /// had seen waits for that one: what a revision overwrote knowingly is always known here too.
    ///
    /// # Errors
    /// [`Unbelievable`] when one is stamped too far in the future, or numbered as none can be; those before it were learned.
    pub fn learn(&mut self, now: Time, deltas: &[Delta]) -> (Learned, Result<(), Unbelievable>) {
        let mut learned = Learned::default();
        for (revision, writes) in deltas {
            if let Err(error) = self.believe(now, revision) {
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

    /// Whether it may be believed at this time that another one is past.
    pub(super) fn check_time(&self, now: Time, past: Time) -> Result<(), TooFarAhead> {
        self.clock.check_time(now, past)
    }

    /// Whether everything that the author of a revision had seen is known.
    fn is_ready(&self, revision: &Revision) -> bool {
        let known = |stamp: &Stamp| {
            self.history.contains(*stamp) || self.vector.get(&stamp.origin()).is_some_and(|known| known >= stamp)
        };
        revision.previous.iter().chain(&revision.parents).all(known)
    }

    /// Merges what came early, now that more is known.
    pub(super) fn merge_early(&mut self) -> Learned {
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

    pub(super) fn merge_one(&mut self, revision: &Arc<Revision>, writes: &Writes) -> Learned {
        if self.history.contains(revision.stamp) {
            return Learned::default();
        }
        let stamp = revision.stamp;
        let mut registers = self.registers.clone();
        write_all(&mut registers, stamp, writes);
        let (old, new) = (self.registers.clone(), registers.clone());
        self.commit(revision, writes, registers, Shown::Differs(view::Seen::of(&old, &new, writes)), false)
    }

    /// Makes a merge the replica's state. `is_stale`: it was made here, by somebody who looked at another model than this replica's.
    pub(super) fn commit(
        &mut self,
        revision: &Arc<Revision>,
        writes: &Writes,
        registers: Registers,
        shown: Shown<'_>,
        is_stale: bool,
    ) -> Learned {
        let stamp = revision.stamp;
        self.clock.observe(stamp);
        let old = mem::replace(&mut self.registers, registers);
        let n_changes = match shown {
            Shown::Is { model, n_changes } => {
                self.model = model;
                n_changes
            }
            Shown::Differs(seen) => {
                seen.patch(&mut self.model);
                seen.len()
            }
        };
        self.history.insert(Arc::clone(revision), Some(Arc::clone(writes)), &self.registers, &self.model);
        let mut conflicts = Vec::new();
        if is_stale || !self.history.is_known_by(revision) {
            // Later than it, and not in the history: only the horizon is. Nobody had told its author what is forgotten here.
            let otherwise = |loser, winner| loser == stamp && winner > loser;
            let merge = Merge { old: &old, new: &self.registers, history: &self.history, otherwise: &otherwise };
            conflicts.extend(merge.lost_by(stamp, writes));
            conflicts.extend(merge.lost_of(&self.history.unknown_to(revision)));
            conflicts.retain(|conflict| self.history.collide(conflict.clone()));
        }
        self.caught_up(&BTreeMap::from([(stamp.origin(), stamp)]));
        Learned {
            revisions: vec![Arc::clone(revision)],
            deltas: vec![(Arc::clone(revision), Arc::clone(writes))],
            n_changes,
            conflicts,
            gap: false,
        }
    }
}
