//! The node's disk as its actors use it: the blocking store behind futures; and what happens when it was full.

use std::{
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

use super::{api::What, world::World};
use crate::{
    io::store::{Store, StoreError},
    runtime::group::Keep,
    words::GroupName,
};

/// How often a disk that was full is tried again: soon enough for who waits for room, and a write that costs nothing.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The store, usable from an arbiter: whatever blocks runs on tokio's blocking threads. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Disk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<Store>,
    /// Whatever blocks runs on the thread that asks.
    blocks_here: bool,
    /// Whether something could not be written since the disk was last tried.
    is_full: AtomicBool,
}

impl Disk {
    /// The disk of a store.
    pub(super) fn new(store: impl Into<Arc<Store>>) -> Disk {
        Disk(Arc::new(Shared { store: store.into(), blocks_here: false, is_full: AtomicBool::new(false) }))
    }

    /// The same; requests run on the thread that asks.
    pub(super) fn blocking_here(store: Arc<Store>) -> Disk {
        Disk(Arc::new(Shared { store, blocks_here: true, is_full: AtomicBool::new(false) }))
    }

    /// The store itself, for threads that may block.
    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Runs a request on the store, off the arbiter.
    ///
    /// # Errors
    /// What the store says.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        request: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, String> {
        let disk = self.clone();
        self.off_the_thread(move || disk.note(request(disk.store()))).await
    }

    /// Runs what blocks, off the arbiter.
    pub(super) async fn off_the_thread<T: Send + 'static>(&self, blocking: impl FnOnce() -> T + Send + 'static) -> T {
        if self.0.blocks_here {
            return blocking();
        }
        let done = tokio::task::spawn_blocking(blocking).await;
        done.expect("requests to the store do not panic, and the runtime outlives its tasks")
    }

    /// What a request came to, in words; notes when the disk is full.
    pub(super) fn note<T>(&self, done: Result<T, StoreError>) -> Result<T, String> {
        done.map_err(|error| {
            if matches!(error, StoreError::DiskFull { .. }) {
                self.0.is_full.store(true, Ordering::Relaxed);
            }
            in_words(error)
        })
    }
}

/// Looks after a disk that was full: when there is room again, the group keeps what it could not, and the node takes up what it
/// had to turn down.
pub(super) async fn heal(world: Rc<World>) {
    loop {
        sleep(TRY_AGAIN).await;
        let disk = &world.disk.0;
        // Cleared before the try: what fails meanwhile sets it again.
        if !disk.is_full.swap(false, Ordering::Relaxed) || world.disk.run(Store::touch).await.is_err() {
            continue;
        }
        let text = "there is room on the disk again: what could not be kept is kept now";
        tracing::info!("{text}");
        world.journal.borrow_mut().note(Some(world.me.clone()), What::Note { text: text.to_owned() });
        if let Some(group) = world.group() {
            group.renew();
        }
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
        self.disk.note(self.disk.store().load_group(&self.group))
    }

    fn append(&mut self, record: &[u8]) -> Result<(), String> {
        self.disk.note(self.disk.store().append_group(&self.group, record))
    }

    fn replace(&mut self, base: &[u8]) -> Result<(), String> {
        self.disk.note(self.disk.store().replace_group(&self.group, base))
    }
}
