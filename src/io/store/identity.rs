//! Who the node is: its name, and how often it was started.

use serde::{Deserialize, Serialize};

use super::{META, Store, StoreError, error::Fault, get, put};
use crate::words::{NodeName, Time};

/// Who a node is for its peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its name.
    pub name: NodeName,
    /// One more at each start, from the time of the first on: tells a node that came back from the one that went, also when it
    /// has lost its data meanwhile.
    pub incarnation: u64,
}

impl Store {
    /// Takes up the identity of the node: the next incarnation of `name`; `now` makes the first of a new store.
    ///
    /// # Errors
    /// When the store belongs to a node of another name, or cannot be written.
    pub fn take_up(&self, name: &NodeName, now: Time) -> Result<Identity, StoreError> {
        self.write(|txn| {
            let known: Option<Identity> = get(&txn.open_table(META)?, "identity")?;
            if let Some(Identity { name: owner, .. }) = known.as_ref().filter(|known| known.name != *name) {
                let (path, owner, asked) = (self.file(), owner.clone(), name.clone());
                return Err(Fault::Store(StoreError::OtherNode { path, owner, asked }));
            }
            let incarnation = known.map_or(now.micros(), |known| known.incarnation + 1);
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
}
