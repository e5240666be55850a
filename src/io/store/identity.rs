//! Who the node is: its name, and how often it was started.

use serde::{Deserialize, Serialize};

use super::{META, Store, StoreError, error::Fault, get, put};
use crate::words::NodeName;

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
}
