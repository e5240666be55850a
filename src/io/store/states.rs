//! The states of components: snapshots with the type that wrote them, the node's own and those that wait to be fetched.

use redb::ReadableTable;
use serde::{Deserialize, Serialize};

use super::{Store, StoreError, error::Fault, seal, unseal};
use crate::{
    model::ComponentId,
    words::{NodeName, Time, TypeRef},
};

const STATES: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("states");

/// The snapshot of a component's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The type, with its version, that wrote it.
    pub type_ref: TypeRef,
    /// The snapshot, in the form the type gave it.
    pub bytes: Vec<u8>,
    /// When it was taken.
    pub taken: Time,
    /// The node that is to fetch it; `None` for a component that lives, or lived, here.
    pub hand_over: Option<NodeName>,
}

impl Store {
    /// Keeps the state of a component; it supersedes the one before.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn put_state(&self, id: ComponentId, state: &State) -> Result<(), StoreError> {
        self.put_states(std::slice::from_ref(&(id, state.clone())))
    }

    /// Keeps many states at the price of one write to the disk.
    ///
    /// # Errors
    /// When the store cannot be written; none is kept then.
    pub fn put_states(&self, states: &[(ComponentId, State)]) -> Result<(), StoreError> {
        self.write(|txn| {
            let mut table = txn.open_table(STATES)?;
            for (id, state) in states {
                table.insert(id.0, seal(state)?.as_slice())?;
            }
            Ok(())
        })
    }

    /// The state kept for a component.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn state(&self, id: ComponentId) -> Result<Option<State>, StoreError> {
        self.read(|txn| {
            let table = txn.open_table(STATES)?;
            let bytes = table.get(id.0)?;
            bytes.map(|bytes| unseal(bytes.value(), "the state of a component")).transpose()
        })
    }

    /// Forgets the states of components that are gone, or whose state was fetched by the node they moved to.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn forget_states(&self, ids: &[ComponentId]) -> Result<(), StoreError> {
        self.write(|txn| {
            let mut table = txn.open_table(STATES)?;
            for id in ids {
                table.remove(id.0)?;
            }
            Ok(())
        })
    }

    /// Whose states are kept.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn state_ids(&self) -> Result<Vec<ComponentId>, StoreError> {
        self.read(|txn| {
            let mut ids = Vec::new();
            for entry in txn.open_table(STATES)?.iter()? {
                ids.push(ComponentId(entry?.0.value()));
            }
            Ok(ids)
        })
    }

    /// Whose states are kept, and for whom.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn states(&self) -> Result<Vec<(ComponentId, State)>, StoreError> {
        self.read(|txn| {
            let mut states = Vec::new();
            for entry in txn.open_table(STATES)?.iter()? {
                let (id, bytes) = entry?;
                states.push((ComponentId(id.value()), unseal(bytes.value(), "the state of a component")?));
            }
            Ok(states)
        })
    }
}

/// Makes the tables that are not there yet.
pub(super) fn make_tables(txn: &redb::WriteTransaction) -> Result<(), Fault> {
    txn.open_table(STATES)?;
    Ok(())
}
