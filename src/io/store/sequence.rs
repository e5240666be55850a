//! The number of the last write, once in the store and once beside it: a file that has lost its newest writes does not hide it.
//!
//! When what was written last is damaged, redb opens the state before it, as after a crash in the middle of a write. The number
//! beside the store tells the two apart: it is put there after the write was safe, so it is never ahead of a sound store. It is
//! not flushed itself: after a loss of power it may be behind, and then tells nothing.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
};

use redb::WriteTransaction;

use super::{META, error::Fault, get, put};

/// Where the number is kept in the store.
const SEQUENCE: &str = "sequence";

/// The name of the file beside the store.
pub(super) const FILE_NAME: &str = "enact.sequence";

/// The file beside the store.
#[derive(Debug)]
pub(super) struct Sequence(Option<File>);

impl Sequence {
    /// The one of a store. Without a file (in memory, or where none can be made) it says nothing.
    pub(super) fn beside(store: Option<&Path>) -> Sequence {
        let open = |path: &Path| fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        Sequence(store.and_then(|store| open(&store.with_file_name(FILE_NAME)).ok()))
    }

    /// The number that was said last; 0 when there is none, or it is damaged.
    pub(super) fn said(&self) -> u64 {
        let mut bytes = [0; 16];
        let read = self.0.as_ref().map(|file| file.read_exact_at(&mut bytes, 0));
        let (number, check) = bytes.split_at(8);
        let [number, check] = [number, check].map(|half| u64::from_le_bytes(half.try_into().expect("8 of 16 bytes")));
        if matches!(read, Some(Ok(()))) && check == !number { number } else { 0 }
    }

    /// Says a number.
    pub(super) fn say(&self, number: u64) {
        let Some(file) = &self.0 else { return };
        let bytes = [number.to_le_bytes(), (!number).to_le_bytes()].concat();
        if let Err(error) = file.write_all_at(&bytes, 0) {
            tracing::debug!(%error, "the number of the last write could not be noted beside the store");
        }
    }
}

/// The number of the last write that is in the store.
pub(super) fn of(txn: &WriteTransaction) -> Result<u64, Fault> {
    Ok(get(&txn.open_table(META)?, SEQUENCE)?.unwrap_or(0))
}

/// Counts a write, within it. Gives its number.
pub(super) fn next(txn: &WriteTransaction) -> Result<u64, Fault> {
    let number = of(txn)? + 1;
    put(txn, SEQUENCE, &number)?;
    Ok(number)
}

/// Forgets the number of a store that is no longer used.
pub(super) fn forget(directory: &Path) {
    // It may never have been there; one that stays says that all writes are lost, which is so.
    let _ = fs::remove_file(directory.join(FILE_NAME));
}
