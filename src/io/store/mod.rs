//! The store: what a node must not forget, in one file of its data directory.
//!
//! Who it is and how often it was started; the revision that last ran well; the plan under way; the states of its components; what
//! its groups know, the history of revisions with it. A call that writes returns when the bytes are safe on
//! the disk, unless it says otherwise. All calls block: make them from a thread that may wait, never from an arbiter.
//!
//! Each value is sealed with a hash, so that a damaged file is noticed before anything starts from it.

#[cfg(test)]
mod damage;
mod error;
mod geometry;
mod identity;
mod plans;
mod registers;
mod sequence;
mod states;
#[cfg(test)]
mod tests;
mod trials;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use redb::{Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use serde::{Serialize, de::DeserializeOwned};

pub use error::StoreError;
pub use identity::Identity;
pub use plans::UnderWay;
pub use states::State;
pub use trials::{Life, Trials};

use self::{error::Fault, sequence::Sequence};
use crate::{io::engine::codec, words::Time};

/// The name of the file in the data directory.
pub const FILE_NAME: &str = "enact.redb";

/// The version of the tables and of what is in them.
const SCHEMA: u32 = 1;

/// The most bytes that one value may have when it is read: far above a model of 100k components (45 MB), far below memory.
pub const VALUE_MAX_BYTES: usize = 1 << 30;

/// What redb may hold in memory. Its default is 1 GiB; a node reads little of what it has written, and what it changes in one
/// transaction is held beside this.
const CACHE_BYTES: usize = 4 << 20;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

/// The store of a node.
#[derive(Debug)]
pub struct Store {
    /// The file; none in memory.
    path: Option<PathBuf>,
    /// None between a failed write and the next call, which opens the file again.
    database: Mutex<Option<Database>>,
    /// How many writes there were; says when the file has lost some.
    sequence: Sequence,
    damage: Option<Damage>,
}

/// What the disk has done to a store, found when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The file could not be used: it is kept under another name, and a new one took its place.
    SetAside {
        /// Where it is now.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The newest writes are gone; the state before them is whole.
    Lost {
        /// How many.
        n_writes: u64,
    },
}

impl Store {
    /// Opens the store of a data directory; makes directory and file when they are not there.
    ///
    /// # Errors
    /// When the file is another process's, damaged, of another version, or out of reach.
    pub fn open(directory: &Path) -> Result<Store, StoreError> {
        fs::create_dir_all(directory).map_err(|source| StoreError::Io { path: directory.to_owned(), source })?;
        let path = directory.join(FILE_NAME);
        let database = open_file(&path).map_err(|fault| fault.at(path.clone()))?;
        Store::over(database, Some(path))
    }

    /// The same; a file that is damaged is set aside under a name with the time, and a new one takes its place: see
    /// [`Store::damage`].
    ///
    /// # Errors
    /// When the file is another process's, of another version, or out of reach.
    pub fn open_or_set_aside(directory: &Path, now: Time) -> Result<Store, StoreError> {
        let (path, why) = match Store::open(directory) {
            Err(StoreError::Corrupted { path, why }) => (path, why),
            opened => return opened,
        };
        let aside = directory.join(format!("{FILE_NAME}.damaged-{}", now.micros()));
        fs::rename(&path, &aside).map_err(|source| StoreError::Io { path, source })?;
        sequence::forget(directory);
        let damage = Some(Damage::SetAside { path: aside, why });
        Ok(Store { damage, ..Store::open(directory)? })
    }

    /// A store that is gone with the process: for tests, and for nodes that are told to leave nothing behind.
    ///
    /// # Errors
    /// When the memory cannot be had.
    pub fn in_memory() -> Result<Store, StoreError> {
        let backend = redb::backends::InMemoryBackend::new();
        let database = builder().create_with_backend(backend).map_err(|error| Fault::from(error).at(PathBuf::new()))?;
        Store::over(database, None)
    }

    fn over(database: Database, path: Option<PathBuf>) -> Result<Store, StoreError> {
        let mut store = Store {
            sequence: Sequence::beside(path.as_deref()),
            path,
            database: Mutex::new(Some(database)),
            damage: None,
        };
        let said = store.sequence.said();
        let found = store.write(|txn| {
            let found = sequence::of(txn)?;
            let known: Option<u32> = get(&txn.open_table(META)?, "schema")?;
            match known {
                None => put(txn, "schema", &SCHEMA)?,
                Some(SCHEMA) => {}
                Some(found) => return Err(StoreError::Schema { path: store.file(), found, known: SCHEMA }.into()),
            }
            // Made here, so that reading finds all of them.
            plans::make_tables(txn)?;
            registers::make_tables(txn)?;
            states::make_tables(txn)?;
            trials::make_tables(txn)?;
            Ok(found)
        })?;
        store.damage = (said > found).then(|| Damage::Lost { n_writes: said - found });
        Ok(store)
    }

    /// The file, when it is not in memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    fn file(&self) -> PathBuf {
        self.path.clone().unwrap_or_default()
    }

    /// Writes nothing, safely: finds out whether there is room.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn touch(&self) -> Result<(), StoreError> {
        self.write(|_| Ok(()))
    }

    /// What the disk has done to it, if anything.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// Writes in one transaction, on disk when this returns.
    fn write<T>(&self, write: impl Fn(&WriteTransaction) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.transact(|database| {
            let txn = database.begin_write()?;
            let value = write(&txn)?;
            let number = sequence::next(&txn)?;
            txn.commit()?;
            self.sequence.say(number);
            Ok(value)
        })
    }

    /// Writes in one transaction that may get lost in a crash, with all the later ones of its kind, until the next
    /// [`Store::write`] makes them safe.
    fn write_soon<T>(&self, write: impl Fn(&WriteTransaction) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.transact(|database| {
            let mut txn = database.begin_write()?;
            txn.set_durability(Durability::None)?;
            let value = write(&txn)?;
            txn.commit()?;
            Ok(value)
        })
    }

    fn read<T>(&self, read: impl Fn(&ReadTransaction) -> Result<T, Fault>) -> Result<T, StoreError> {
        self.transact(|database| read(&database.begin_read()?))
    }

    /// After a failed write (a full disk) redb refuses everything until the file is opened again: done here, once a call.
    fn transact<T>(&self, transact: impl Fn(&Database) -> Result<T, Fault>) -> Result<T, StoreError> {
        // A panic in the midst of a transaction has rolled it back: the database itself is as before.
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_reopened = false;
        loop {
            let open = match (database.take(), &self.path) {
                (Some(open), _) => open,
                (None, Some(path)) => open_file(path).map_err(|fault| fault.at(self.file()))?,
                (None, None) => return Err(StoreError::Internal("the memory of the store is gone".to_owned())),
            };
            let done = transact(&open);
            let is_stuck = done.as_ref().is_err_and(Fault::is_stuck);
            if is_stuck && self.path.is_some() {
                drop(open);
                if !is_reopened {
                    is_reopened = true;
                    continue;
                }
            } else {
                *database = Some(open);
            }
            return done.map_err(|fault| fault.at(self.file()));
        }
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    // Without the check a file that something else has written to may make redb panic.
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

fn open_file(path: &Path) -> Result<Database, Fault> {
    geometry::check(path)?;
    Ok(builder().create(path)?)
}

/// The bytes of a value behind their hash.
fn seal<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![0; blake3::OUT_LEN];
    codec::encode_into(value, &mut bytes)?;
    let hash = blake3::hash(&bytes[blake3::OUT_LEN..]);
    bytes[..blake3::OUT_LEN].copy_from_slice(hash.as_bytes());
    Ok(bytes)
}

fn unseal<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, Fault> {
    let damaged = |why: &str| Fault::Damaged(format!("{what} {why}"));
    let (hash, value) = bytes.split_at_checked(blake3::OUT_LEN).ok_or_else(|| damaged("is cut off"))?;
    if *blake3::hash(value).as_bytes() != *hash {
        return Err(damaged("is not what was written"));
    }
    codec::decode(value, VALUE_MAX_BYTES).map_err(|error| damaged(&error.to_string()))
}

fn get<T: DeserializeOwned>(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &'static str,
) -> Result<Option<T>, Fault> {
    meta.get(key)?.map(|bytes| unseal(bytes.value(), key)).transpose()
}

fn put<T: Serialize>(txn: &WriteTransaction, key: &str, value: &T) -> Result<(), Fault> {
    txn.open_table(META)?.insert(key, seal(value)?.as_slice())?;
    Ok(())
}
