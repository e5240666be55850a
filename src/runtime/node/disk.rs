//! The node's disk as its actors use it: the blocking store behind futures.

use std::sync::Arc;

use crate::{
    io::store::{Store, StoreError},
    runtime::group::Keep,
    words::GroupName,
};

/// The store, usable from an arbiter: whatever blocks runs on tokio's blocking threads. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Disk(Arc<Store>);

impl Disk {
    /// The disk of a store.
    pub(super) fn new(store: Store) -> Disk {
        Disk(Arc::new(store))
    }

    /// The store itself, for threads that may block.
    pub(super) fn store(&self) -> &Store {
        &self.0
    }

    /// Runs a request on the store, off the arbiter.
    ///
    /// # Errors
    /// What the store says.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        request: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, String> {
        let store = self.0.clone();
        let done = tokio::task::spawn_blocking(move || request(&store)).await;
        done.expect("requests to the store do not panic, and the runtime outlives its tasks").map_err(in_words)
    }
}

/// An error with what helps against it.
fn in_words(error: StoreError) -> String {
    let help = error.help();
    if help.is_empty() { error.to_string() } else { format!("{error} ({help})") }
}

/// What a group keeps, in the node's store.
#[derive(Debug)]
pub(super) struct GroupDisk {
    disk: Disk,
    group: GroupName,
}

impl GroupDisk {
    /// The place of a group.
    pub(super) fn new(disk: Disk, group: GroupName) -> GroupDisk {
        GroupDisk { disk, group }
    }
}

impl Keep for GroupDisk {
    fn load(&mut self) -> Result<Vec<Vec<u8>>, String> {
        self.disk.0.load_group(&self.group).map_err(in_words)
    }

    fn append(&mut self, record: &[u8]) -> Result<(), String> {
        self.disk.0.append_group(&self.group, record).map_err(in_words)
    }

    fn replace(&mut self, base: &[u8]) -> Result<(), String> {
        self.disk.0.replace_group(&self.group, base).map_err(in_words)
    }
}
