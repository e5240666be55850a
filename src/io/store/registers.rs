//! What a group keeps: a base and what was appended to it, as bytes that only the group understands.

use redb::ReadableTable;

use super::{Store, StoreError, error::Fault, seal, unseal};
use crate::words::GroupName;

const GROUPS: redb::TableDefinition<'_, (&str, u64), &[u8]> = redb::TableDefinition::new("groups");

impl Store {
    /// What a group has kept: the last base first, then what was appended since. Empty when it kept nothing yet.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn load_group(&self, group: &GroupName) -> Result<Vec<Vec<u8>>, StoreError> {
        self.read(|txn| {
            let table = txn.open_table(GROUPS)?;
            let mut records = Vec::new();
            for entry in table.range((group.as_str(), 0)..=(group.as_str(), u64::MAX))? {
                records.push(unseal(entry?.1.value(), "what a group kept")?);
            }
            Ok(records)
        })
    }

    /// Appends a record to what a group keeps.
    ///
    /// # Errors
    /// When the store cannot be written; the record is not kept then.
    pub fn append_group(&self, group: &GroupName, record: &[u8]) -> Result<(), StoreError> {
        self.write(|txn| {
            let mut table = txn.open_table(GROUPS)?;
            let last = table.range((group.as_str(), 0)..=(group.as_str(), u64::MAX))?.next_back().transpose()?;
            let next = last.map_or(0, |(key, _)| key.value().1 + 1);
            table.insert((group.as_str(), next), seal(record)?.as_slice())?;
            Ok(())
        })
    }

    /// Puts a new base in the place of all that a group keeps.
    ///
    /// # Errors
    /// When the store cannot be written; what was kept before still is.
    pub fn replace_group(&self, group: &GroupName, base: &[u8]) -> Result<(), StoreError> {
        self.write(|txn| {
            let mut table = txn.open_table(GROUPS)?;
            table.retain_in((group.as_str(), 0)..=(group.as_str(), u64::MAX), |_, _| false)?;
            table.insert((group.as_str(), 0), seal(base)?.as_slice())?;
            Ok(())
        })
    }

    /// Forgets a group that the node has left for good.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn forget_group(&self, group: &GroupName) -> Result<(), StoreError> {
        self.write(|txn| {
            let mut table = txn.open_table(GROUPS)?;
            table.retain_in((group.as_str(), 0)..=(group.as_str(), u64::MAX), |_, _| false)?;
            Ok(())
        })
    }
}

/// Makes the tables that are not there yet.
pub(super) fn make_tables(txn: &redb::WriteTransaction) -> Result<(), Fault> {
    txn.open_table(GROUPS)?;
    Ok(())
}
