//! Trials: which revisions the node has taken up and not yet run well, and the one that last did.
//!
//! A trial is noted with the plan that begins it, and is gone when the node has run long enough, or has ended in order. What is
//! found at a start are the trials that a crash ended.

use redb::{ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::{Identity, META, Store, StoreError, error::Fault, get, seal, unseal};
use crate::{logic::gossip::RevisionId, model::Model, words::Time};

const TRIALS: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("trials-by-life");
/// What older builds wrote: trials that do not say which life they were of. They count no more, this build has not crashed in them.
const TRIALS_OLD: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("trials");
const GOOD: redb::TableDefinition<'_, (), &[u8]> = redb::TableDefinition::new("good");

/// Revisions whose trials are remembered; the one tried longest ago makes room. A node that crashes in so many different ones has
/// a reason that no revision explains.
const REVISIONS_MAX: usize = 16;

/// Lives that are remembered of one revision: more than any verdict asks for.
const LIVES_MAX: usize = 16;

/// When the node took up a revision without having run it well since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trials {
    /// Which.
    pub revision: RevisionId,
    /// In which lives of the node, oldest first. However often it was taken up in one, that life has one end.
    pub lives: Vec<Life>,
}

/// A life of the node in which a revision was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Which: see [`Identity::incarnation`].
    pub incarnation: u64,
    /// When the revision was last taken up in it.
    pub last: Time,
}

impl Trials {
    fn last(&self) -> Option<Time> {
        self.lives.last().map(|life| life.last)
    }
}

impl Store {
    /// The trials that did not end well, in no particular order.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn trials(&self) -> Result<Vec<Trials>, StoreError> {
        self.read(|txn| all(&txn.open_table(TRIALS)?))
    }

    /// Puts back the trials that were found at the start: the node ends in order, so those since were no crashes.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn reset_trials(&self, found: &[Trials]) -> Result<(), StoreError> {
        self.write(|txn| {
            let mut table = txn.open_table(TRIALS)?;
            table.retain(|_, _| false)?;
            for trials in found {
                table.insert(trials.revision.to_string().as_str(), seal(trials)?.as_slice())?;
            }
            Ok(())
        })
    }

    /// Says that the node has run well: trials that began until then count no more, all of them or only those of one revision. With
    /// a good revision, that is what the node starts with when a newer one crashes it.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn passed(
        &self,
        good: Option<&(RevisionId, Model)>,
        until: Time,
        only: Option<&RevisionId>,
    ) -> Result<(), StoreError> {
        self.write(|txn| {
            if let Some(good) = good {
                txn.open_table(GOOD)?.insert((), seal(good)?.as_slice())?;
            }
            let mut table = txn.open_table(TRIALS)?;
            let later = |trials: &Trials| trials.last().is_some_and(|last| last > until);
            let counts = |trials: &Trials| later(trials) || only.is_some_and(|only| trials.revision != *only);
            for trials in all(&table)?.iter().filter(|trials| !counts(trials)) {
                table.remove(trials.revision.to_string().as_str())?;
            }
            Ok(())
        })
    }

    /// The revision that last ran well, and its model.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn good(&self) -> Result<Option<(RevisionId, Model)>, StoreError> {
        self.read(|txn| {
            let table = txn.open_table(GOOD)?;
            let bytes = table.get(())?;
            bytes.map(|bytes| unseal(bytes.value(), "the last good revision")).transpose()
        })
    }
}

fn all(table: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Vec<Trials>, Fault> {
    table.iter()?.map(|entry| unseal(entry?.1.value(), "a trial")).collect()
}

/// Notes that a revision is tried.
pub(super) fn count(txn: &WriteTransaction, revision: &RevisionId, now: Time) -> Result<(), Fault> {
    let identity: Option<Identity> = get(&txn.open_table(META)?, "identity")?;
    let incarnation = identity.map_or(0, |identity| identity.incarnation);
    let mut table = txn.open_table(TRIALS)?;
    let key = revision.to_string();
    let known = table.get(key.as_str())?.map(|bytes| unseal::<Trials>(bytes.value(), "a trial"));
    let mut trials = known.transpose()?.unwrap_or_else(|| Trials { revision: revision.clone(), lives: Vec::new() });
    trials.lives.retain(|life| life.incarnation != incarnation);
    trials.lives.push(Life { incarnation, last: now });
    let n_old = trials.lives.len().saturating_sub(LIVES_MAX);
    trials.lives.drain(..n_old);
    table.insert(key.as_str(), seal(&trials)?.as_slice())?;
    let mut all = all(&table)?;
    if all.len() > REVISIONS_MAX {
        all.sort_by_key(Trials::last);
        for old in &all[..all.len() - REVISIONS_MAX] {
            table.remove(old.revision.to_string().as_str())?;
        }
    }
    Ok(())
}

/// Makes the tables that are not there yet.
pub(super) fn make_tables(txn: &WriteTransaction) -> Result<(), Fault> {
    txn.delete_table(TRIALS_OLD)?;
    txn.open_table(TRIALS)?;
    txn.open_table(GOOD)?;
    Ok(())
}
