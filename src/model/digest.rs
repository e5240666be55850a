//! The digest of a model: equal models have equal digests, whatever their history.
//!
//! It is the sum of the hashes of all registers, so that it follows a change at the cost of the change. It tells models
//! apart that differ by accident; it is no proof against someone who looks for two with one digest.

use std::{fmt, fmt::Write, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Model,
    change::{Cell, Change, Element, Register},
    diff::differences,
};

/// The digest of a model.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u64; 4]);

/// The digest of a whole model.
pub fn of(model: &Model) -> Digest {
    let mut sum = Digest::default();
    let mut bytes = Vec::with_capacity(256);
    differences(&Model::default(), model, &mut |element, register, _, after| {
        sum.add(element, &register, after.as_ref(), &mut bytes);
    });
    sum
}

impl Digest {
    /// The digest of the model after changes that [`diff`](super::change::diff) found.
    #[must_use]
    pub fn after(mut self, changes: &[Change]) -> Digest {
        let mut bytes = Vec::with_capacity(256);
        for Change { element, register, before, after } in changes {
            self.subtract(element, register, before.as_ref(), &mut bytes);
            self.add(element, register, after.as_ref(), &mut bytes);
        }
        self
    }

    fn add(&mut self, element: &Element, register: &Register, cell: Option<&Cell>, bytes: &mut Vec<u8>) {
        let Some(cell) = cell else { return };
        let hash = hash(element, register, cell, bytes);
        self.0 = [0, 1, 2, 3].map(|idx| self.0[idx].wrapping_add(hash[idx]));
    }

    fn subtract(&mut self, element: &Element, register: &Register, cell: Option<&Cell>, bytes: &mut Vec<u8>) {
        let Some(cell) = cell else { return };
        let hash = hash(element, register, cell, bytes);
        self.0 = [0, 1, 2, 3].map(|idx| self.0[idx].wrapping_sub(hash[idx]));
    }

    /// The first eight digits: enough for people.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(8);
        text
    }
}

fn hash(element: &Element, register: &Register, cell: &Cell, bytes: &mut Vec<u8>) -> [u64; 4] {
    bytes.clear();
    serde_json::to_writer(&mut *bytes, &(element, register, cell)).expect("registers have no keys that are not texts");
    let hash = blake3::hash(bytes);
    let (words, _) = hash.as_bytes().as_chunks::<8>();
    [0, 1, 2, 3].map(|idx| u64::from_le_bytes(words[idx]))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(64);
        self.0.iter().try_for_each(|word| write!(text, "{word:016x}"))?;
        f.pad(&text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is no digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no digest: expected 64 hexadecimal digits")]
pub struct NoDigest(String);

impl FromStr for Digest {
    type Err = NoDigest;
    fn from_str(text: &str) -> Result<Digest, NoDigest> {
        let no_digest = || NoDigest(text.chars().take(80).collect());
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(no_digest());
        }
        let mut words = [0; 4];
        for (idx, word) in words.iter_mut().enumerate() {
            *word = u64::from_str_radix(&text[idx * 16..][..16], 16).map_err(|_| no_digest())?;
        }
        Ok(Digest(words))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            <[u64; 4]>::deserialize(deserializer).map(Digest)
        }
    }
}
