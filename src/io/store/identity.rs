//! Who the node is: its name, and how often it was started.

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::{META, Store, StoreError, error::Fault, get, put, seal, unseal};
use crate::{
    logic::gossip::RevisionId,
    words::{NodeName, Time},
};

/// How far back starts count: two crashes within a minute are the revision's fault, not the weather's.
const BOOTS_KEPT: usize = 16;

const BOOTS: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("boots");

/// Who a node is for its peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name.
    pub name: NodeName,
    /// One more at each start: tells a node that came back from the one that went.
    pub incarnation: u64,
}

impl Store {
    /// Takes up the identity of the node: the next incarnation of `name`.
    ///
    /// # Errors
    /// When the store belongs to a node of another name, or cannot be written.
    pub fn take_up(&self, name: &NodeName) -> Result<Identity, StoreError> {
        self.write(|txn| {
            let known: Option<Identity> = get(&txn.open_table(META)?, "identity")?;
            if let Some(Identity { name: owner, .. }) = known.as_ref().filter(|known| known.name != *name) {
                let (path, owner, asked) = (self.file(), owner.clone(), name.clone());
                return Err(Fault::Store(StoreError::OtherNode { path, owner, asked }));
            }
            let incarnation = known.map_or(0, |known| known.incarnation) + 1;
            let identity = Identity { name: name.clone(), incarnation };
            put(txn, "identity", &identity)?;
            Ok(identity)
        })
    }

    /// Whose store it is; `None` before the first start.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn identity(&self) -> Result<Option<Identity>, StoreError> {
        self.read(|txn| get(&txn.open_table(META)?, "identity"))
    }

    /// Counts a start with a revision, before it is tried; how many there were since `since`, this one included. Too many mean
    /// that the revision kills the node: it then starts with the last good one.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn count_boot(&self, revision: &RevisionId, now: Time, since: Time) -> Result<usize, StoreError> {
        self.write(|txn| {
            let mut table = txn.open_table(BOOTS)?;
            let key = revision.to_string();
            let known = table.get(key.as_str())?.map(|bytes| unseal::<Vec<Time>>(bytes.value(), "a boot counter"));
            let mut boots = known.transpose()?.unwrap_or_default();
            boots.push(now);
            let n_old = boots.len().saturating_sub(BOOTS_KEPT);
            boots.drain(..n_old);
            table.insert(key.as_str(), seal(&boots)?.as_slice())?;
            Ok(boots.iter().filter(|boot| **boot >= since).count())
        })
    }

    /// Forgets the starts of all revisions: the node has been up for a while.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn forget_boots(&self) -> Result<(), StoreError> {
        self.write(|txn| {
            txn.open_table(BOOTS)?.retain(|_, _| false)?;
            Ok(())
        })
    }
}

/// Makes the tables that are not there yet.
pub(super) fn make_tables(txn: &redb::WriteTransaction) -> Result<(), Fault> {
    txn.open_table(BOOTS)?;
    Ok(())
}
