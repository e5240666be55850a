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
    /// When it was taken; later than whatever it superseded, also where clocks differ.
    pub taken: Time,
    /// The node that is to fetch it; `None` for a component that lives, or lived, here.
    pub hand_over: Option<NodeName>,
}

impl Store {
    /// Keeps the state of a component; it supersedes the one before, and is taken later: the one before may come from a node whose
    /// clock is ahead, and be asked for again there.
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
                let before = table.get(id.0)?.and_then(|bytes| State::of(bytes.value()).ok());
                let after = before.map_or(state.taken, |before| Time(before.taken.0.saturating_add(1)));
                let sealed = match after > state.taken {
                    true => seal(&State { taken: after, ..state.clone() })?,
                    false => seal(state)?,
                };
                table.insert(id.0, sealed.as_slice())?;
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
            bytes.map(|bytes| State::of(bytes.value())).transpose()
        })
    }

    /// Forgets states of components that live no more: those that were taken up to a time, and the oldest beyond a number. Says whose.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn forget_gone(
        &self,
        lives: impl Fn(ComponentId) -> bool,
        until: Time,
        n_max: usize,
    ) -> Result<Vec<ComponentId>, StoreError> {
        let mut gone = self.read(|txn| {
            let mut gone = Vec::new();
            for entry in txn.open_table(STATES)?.iter()? {
                let (id, bytes) = entry?;
                let id = ComponentId(id.value());
                if !lives(id) {
                    gone.push((State::of(bytes.value())?.taken, id));
                }
            }
            Ok(gone)
        })?;
        gone.sort_unstable_by(|a, b| b.cmp(a));
        let n_kept = gone.partition_point(|(taken, _)| *taken > until).min(n_max);
        let forgotten: Vec<ComponentId> = gone.drain(n_kept..).map(|(_, id)| id).collect();
        if !forgotten.is_empty() {
            self.write(|txn| {
                let mut table = txn.open_table(STATES)?;
                for id in &forgotten {
                    table.remove(id.0)?;
                }
                Ok(())
            })?;
        }
        Ok(forgotten)
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

    /// Whose states are kept, when each was taken, and for whom.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn states(&self) -> Result<Vec<(ComponentId, Time, Option<NodeName>)>, StoreError> {
        self.read(|txn| {
            let mut states = Vec::new();
            for entry in txn.open_table(STATES)?.iter()? {
                let (id, bytes) = entry?;
                // One at a time: all of them together may be more than there is memory.
                let State { taken, hand_over, .. } = State::of(bytes.value())?;
                states.push((ComponentId(id.value()), taken, hand_over));
            }
            Ok(states)
        })
    }
}

impl State {
    fn of(bytes: &[u8]) -> Result<State, Fault> {
        unseal(bytes, "the state of a component")
    }
}

/// Makes the tables that are not there yet.
pub(super) fn make_tables(txn: &redb::WriteTransaction) -> Result<(), Fault> {
    txn.open_table(STATES)?;
    Ok(())
}
