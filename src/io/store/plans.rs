//! The plan under way, written ahead: after a crash it can be told from one that is through.

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::{META, Store, StoreError, error::Fault, get, put, seal, trials, unseal};
use crate::{
    logic::{
        gossip::RevisionId,
        plan::{Outcome, Plan, Record},
    },
    words::Time,
};

const PLAN: &str = "plan";
/// The revisions that the plan under way leads from and to.
const PLAN_ENDS: &str = "plan-ends";
const RECORDS: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("plan-records");

/// A plan that had begun when the process ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnderWay {
    /// The plan; `None` of a very large one.
    pub plan: Option<Plan>,
    /// How many steps it has.
    pub n_steps: usize,
    /// What ran before; `None` for nothing.
    pub from: Option<RevisionId>,
    /// What was to run.
    pub to: Option<RevisionId>,
    /// What had been written of it, in order. See [`crate::logic::plan::Run::resume`].
    pub records: Vec<Record>,
}

/// From this many steps on a plan is not written itself, only between which revisions it leads and how long it is: ten thousand
/// new instances would be 2 MB and 15 ms, for which their first step would wait.
const STEPS_MAX: usize = 512;

impl Store {
    /// Writes a plan ahead ([`Record::Began`]). It replaces the one before. It is a trial of the revision that it leads to.
    ///
    /// # Errors
    /// When the store cannot be written; nothing may be done of the plan then.
    pub fn begin(
        &self,
        plan: &Plan,
        from: Option<&RevisionId>,
        to: Option<&RevisionId>,
        now: Time,
    ) -> Result<(), StoreError> {
        self.write(|txn| {
            let n_steps = plan.steps.len();
            put(txn, PLAN, &(n_steps, (n_steps <= STEPS_MAX).then_some(plan)))?;
            put(txn, PLAN_ENDS, &(from, to))?;
            txn.open_table(RECORDS)?.retain(|_, _| false)?;
            to.map_or(Ok(()), |to| trials::count(txn, to, now))
        })
    }

    /// Writes how far the plan is. On disk when this returns, if [`Record::is_durable`]; [`Record::Ended`] closes the plan.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn log(&self, record: &Record) -> Result<(), StoreError> {
        let write = |txn: &redb::WriteTransaction| {
            if let Record::Ended(outcome) = record {
                put(txn, "outcome", outcome)?;
                let mut meta = txn.open_table(META)?;
                meta.remove(PLAN)?;
                meta.remove(PLAN_ENDS)?;
                txn.open_table(RECORDS)?.retain(|_, _| false)?;
                return Ok(());
            }
            let mut table = txn.open_table(RECORDS)?;
            let next = table.last()?.map_or(0, |(key, _)| key.value() + 1);
            table.insert(next, seal(record)?.as_slice())?;
            Ok(())
        };
        if record.is_durable() { self.write(write) } else { self.write_soon(write) }
    }

    /// The plan that had begun and had not ended, if any.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn under_way(&self) -> Result<Option<UnderWay>, StoreError> {
        self.read(|txn| {
            let meta = txn.open_table(META)?;
            let Some((n_steps, plan)) = get::<(usize, Option<Plan>)>(&meta, PLAN)? else { return Ok(None) };
            let (from, to): (Option<RevisionId>, Option<RevisionId>) = get(&meta, PLAN_ENDS)?.unwrap_or_default();
            if plan.as_ref().is_some_and(|plan| !plan.is_sound()) {
                return Err(Fault::Damaged("the plan under way contradicts itself".to_owned()));
            }
            let mut records = vec![Record::Began];
            for entry in txn.open_table(RECORDS)?.iter()? {
                records.push(unseal(entry?.1.value(), "a record of the plan under way")?);
            }
            Ok(Some(UnderWay { plan, n_steps, from, to, records }))
        })
    }

    /// How the last plan ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn last_outcome(&self) -> Result<Option<Outcome>, StoreError> {
        self.read(|txn| get(&txn.open_table(META)?, "outcome"))
    }
}

/// Makes the tables that are not there yet.
pub(super) fn make_tables(txn: &redb::WriteTransaction) -> Result<(), Fault> {
    txn.open_table(RECORDS)?;
    Ok(())
}
