//! Kevoree's JSON form of a model (KMF), in and out: what real Kevoree writes is read, what is written real Kevoree loads.
//!
//! What Kevoree has no place for (scopes, properties, identities, bounds of attributes) rides in `metaData` values whose
//! names begin with [`OURS`]. What Enact has no place for (odd ids, bounds of channel types) is kept in the metadata of
//! instances and types under names that begin with [`THEIRS`], so that it comes out again as it went in.

mod object;
mod out;
mod path;
mod read;
mod types;
mod write;
mod write_types;

use std::fmt;

use crate::words::InvalidName;

pub use read::read;
pub use types::{read_type, read_unit};
pub use write::write;

/// The largest file that is read: a model of 100,000 components is about 50 MB.
pub const FILE_MAX_BYTES: usize = 128 << 20;

/// What `metaData` of Enact's own begins with in a file.
pub const OURS: &str = "enact.";

/// What metadata that keeps a peculiarity of Kevoree's begins with in a model.
pub const THEIRS: &str = "kmf.";

/// Kevoree's id of a dictionary, where it is not [`DICTIONARY_ID`]: kept, since its validator looks at it.
pub const ODD_DICTIONARY_ID: &str = "kmf.dictionary-id";

/// The id that every dictionary and every dictionary type has to have.
pub const DICTIONARY_ID: &str = "0.0";

/// Why a text is no model of Kevoree's. `place` is the path of the object, or what there is of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error("the model has {0} bytes; at most {FILE_MAX_BYTES} are read")]
    TooLarge(usize),
    #[error("not JSON: {0}")]
    Json(String),
    #[error("not Kevoree's format: {place}: {what}")]
    Format { place: String, what: String },
    #[error("{place}: {source}")]
    Name { place: String, source: InvalidName },
    #[error("{place} refers to \"{reference}\", which is not in the model")]
    Unresolved { place: String, reference: String },
}

impl Error {
    fn format(place: impl fmt::Display, what: impl Into<String>) -> Error {
        Error::Format { place: place.to_string(), what: what.into() }
    }

    fn unresolved(place: impl fmt::Display, reference: &str) -> Error {
        Error::Unresolved { place: place.to_string(), reference: reference.to_owned() }
    }

    fn name(place: impl fmt::Display, source: InvalidName) -> Error {
        Error::Name { place: place.to_string(), source }
    }
}
