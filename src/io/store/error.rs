//! How the store fails, and what a person can do about it.

use std::{io, path::PathBuf};

use crate::{io::engine::codec::CodecError, words::NodeName};

/// Why the store could not do what it was asked. Nothing that was acknowledged before is lost by any of them.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the file open.
    #[error("{} is in use by another process", .path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// No room for what was to be written.
    #[error("the disk of {} is full", .path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what the store wrote.
    #[error("{} is damaged: {why}", .path.display())]
    Corrupted {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// The file was written by another version of Enact.
    #[error("{} has schema {found}, this binary knows schema {known}", .path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: u32,
        /// What this binary reads and writes.
        known: u32,
    },
    /// The directory belongs to another node.
    #[error("{} belongs to node \"{owner}\", not to \"{asked}\"", .path.display())]
    OtherNode {
        /// The file.
        path: PathBuf,
        /// The node whose data it is.
        owner: NodeName,
        /// The node that was to be started.
        asked: NodeName,
    },
    /// The operating system refused.
    #[error("cannot access {}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something that the store cannot write.
    #[error("cannot be stored: {0}")]
    Codec(#[from] CodecError),
    /// The database refused in a way that is a mistake of ours.
    #[error("the store failed: {0}")]
    Internal(String),
}

impl StoreError {
    /// What to do about it, in one line; may be empty.
    pub fn help(&self) -> String {
        match self {
            StoreError::Locked { .. } => {
                "stop the node that uses it, or give this one another directory with --data".to_owned()
            }
            StoreError::DiskFull { .. } => "make room; the node goes on by itself".to_owned(),
            StoreError::Corrupted { path, .. } => {
                format!("move {} away: the node then takes the model from its group", path.display())
            }
            StoreError::Schema { found, known, .. } if found > known => "use a newer enact".to_owned(),
            StoreError::Schema { path, .. } => {
                format!("move {} away, or use the enact that wrote it", path.display())
            }
            StoreError::OtherNode { owner, .. } => {
                format!("start it with --name {owner}, or give this node another directory with --data")
            }
            StoreError::Io { .. } => "check the directory's owner and permissions".to_owned(),
            StoreError::Codec(_) | StoreError::Internal(_) => String::new(),
        }
    }
}

/// What redb told, before it is known which file it is about.
#[derive(Debug)]
pub(super) enum Fault {
    Redb(redb::Error),
    Io(io::Error),
    Store(StoreError),
    /// What was read is not what was written.
    Damaged(String),
}

impl Fault {
    /// Whether opening the file again may help: redb refuses everything after a failed write.
    pub(super) fn is_stuck(&self) -> bool {
        matches!(self, Fault::Redb(redb::Error::PreviousIo | redb::Error::DatabaseClosed))
    }

    pub(super) fn at(self, path: PathBuf) -> StoreError {
        match self {
            Fault::Store(error) => error,
            Fault::Io(source) => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    StoreError::DiskFull { path }
                }
                // What redb says of a file that it did not write.
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    StoreError::Corrupted { path, why: source.to_string() }
                }
                _ => StoreError::Io { path, source },
            },
            Fault::Damaged(why) => StoreError::Corrupted { path, why },
            Fault::Redb(error) => match error {
                redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => StoreError::Locked { path },
                redb::Error::Corrupted(why) => StoreError::Corrupted { path, why },
                redb::Error::RepairAborted => StoreError::Corrupted { path, why: "it cannot be repaired".to_owned() },
                redb::Error::UpgradeRequired(found) => {
                    StoreError::Corrupted { path, why: format!("its file format {found} is too old") }
                }
                redb::Error::TableTypeMismatch { table, .. } => {
                    StoreError::Corrupted { path, why: format!("its table \"{table}\" is of another form") }
                }
                redb::Error::Io(source) => Fault::Io(source).at(path),
                other => StoreError::Internal(other.to_string()),
            },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(source: io::Error) -> Fault {
        Fault::Io(source)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

impl From<CodecError> for Fault {
    fn from(error: CodecError) -> Fault {
        Fault::Store(StoreError::Codec(error))
    }
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Fault {
                Fault::Redb(error.into())
            }
        }
    )*};
}

from_redb!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError
);
