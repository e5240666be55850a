//! The schema of a message type: a hash of its structure, the same in every process and every build.
//!
//! It is found by letting serde's `Deserialize` of the type describe itself to a deserializer that gives sample values and
//! writes down what was asked for: names of structs, fields and variants, and the kinds of primitives, in order. Module
//! paths are not part of it, so a type may move within its crate. A type whose structure cannot be followed to the end
//! (its own `Deserialize` refuses the samples, `flatten`, `untagged`) gets a hash of what was seen, and always travels in
//! the self-describing form, which is safe. So does a type whose two halves disagree about the bytes (`skip_serializing_if`):
//! the samples are encoded and decoded once, and must survive it.

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{message::Payload, trace};
use crate::{io::engine::codec, words::Value};

/// What is known about a message type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// The name without module paths: `Vec<Reading>`.
    pub name: Arc<str>,
    /// The structural hash; 0 for [`Value`], which accepts and can become anything.
    pub hash: u64,
    /// Whether the compact form carries it faithfully.
    pub compact: bool,
}

/// Bytes that a sample may take when it is tried out; samples have one element in every list.
const SAMPLE_MAX_BYTES: usize = 1024 * 1024;

impl Schema {
    /// The schema of a type. Found once for each type and kept.
    pub fn of<T: Payload>() -> Schema {
        static KNOWN: RwLock<Option<HashMap<TypeId, Schema>>> = RwLock::new(None);
        let id = TypeId::of::<T>();
        let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|all| all.get(&id).cloned());
        known.unwrap_or_else(|| {
            let schema = Schema::find::<T>();
            let mut all = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
            all.get_or_insert_default().insert(id, schema.clone());
            schema
        })
    }

    fn find<T: Payload>() -> Schema {
        let name: Arc<str> = short_name(std::any::type_name::<T>()).into();
        if TypeId::of::<T>() == TypeId::of::<Value>() {
            return Schema { name, hash: 0, compact: false };
        }
        let structure = trace::structure::<T>();
        let compact = structure.samples.as_ref().is_some_and(|samples| samples.iter().all(survives));
        let bytes: [u8; 8] = blake3::hash(structure.text.as_bytes()).as_bytes()[..8].try_into().expect("32 bytes");
        Schema { name, hash: u64::from_le_bytes(bytes).max(1), compact }
    }
}

/// Whether a sample comes back from the compact form as it went in.
fn survives<T: Payload>(sample: &T) -> bool {
    let Ok(bytes) = codec::encode(sample) else { return false };
    let Ok(back) = codec::decode::<T>(&bytes, SAMPLE_MAX_BYTES) else { return false };
    codec::encode(&back).is_ok_and(|again| again == bytes)
}

/// A type's name without the paths of modules: `alloc::vec::Vec<shop::Order>` is `Vec<Order>`.
pub fn short_name(full: &str) -> String {
    let mut short = String::with_capacity(full.len());
    let mut word_at = 0;
    for c in full.chars() {
        if c == ':' {
            short.truncate(word_at);
            continue;
        }
        short.push(c);
        if !(c.is_alphanumeric() || c == '_') {
            word_at = short.len();
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Serialize, Deserialize)]
    struct Order {
        id: u64,
        lines: Vec<(String, u32)>,
        kind: Kind,
    }

    #[derive(Clone, Serialize, Deserialize)]
    enum Kind {
        Urgent { until: u64 },
        Normal,
        Nested(Box<Kind>),
    }

    #[derive(Clone, Serialize, Deserialize)]
    struct Tree {
        leaf: Option<Box<Tree>>,
        children: Vec<Tree>,
        named: BTreeMap<String, Tree>,
    }

    mod elsewhere {
        use super::*;
        #[derive(Clone, Serialize, Deserialize)]
        pub(super) struct Order {
            id: u64,
            lines: Vec<(String, u32)>,
            kind: super::Kind,
        }
    }

    mod other {
        use super::*;
        #[derive(Clone, Serialize, Deserialize)]
        pub(super) struct Order {
            id: u32,
            lines: Vec<(String, u32)>,
            kind: super::Kind,
        }
    }

    #[test]
    fn a_schema_is_the_structure_not_the_place() {
        let here = Schema::of::<Order>();
        assert_eq!(here.hash, Schema::of::<elsewhere::Order>().hash);
        assert_ne!(here.hash, Schema::of::<other::Order>().hash);
        assert!(here.compact);
        assert_eq!(&*Schema::of::<Vec<Order>>().name, "Vec<Order>");
        assert_eq!(&*Schema::of::<BTreeMap<String, (Order, u8)>>().name, "BTreeMap<String, (Order, u8)>");
    }

    #[test]
    fn a_schema_is_the_same_in_every_build() {
        assert_eq!(Schema::of::<Value>(), Schema { name: "Value".into(), hash: 0, compact: false });
        assert_eq!(
            Schema::of::<i64>().hash,
            u64::from_le_bytes(blake3::hash(b"i64").as_bytes()[..8].try_into().unwrap())
        );
        assert!(Schema::of::<()>().compact && Schema::of::<std::time::Duration>().compact);
    }

    #[test]
    fn types_that_hold_themselves_have_a_schema() {
        assert!(Schema::of::<Kind>().compact);
        assert!(Schema::of::<Tree>().compact);
    }

    #[test]
    fn what_the_compact_form_would_garble_never_uses_it() {
        #[derive(Clone, Serialize, Deserialize)]
        struct Skips {
            #[serde(skip_serializing_if = "Option::is_none")]
            a: Option<u8>,
            b: u8,
        }
        #[derive(Clone, Serialize, Deserialize)]
        struct Flat {
            #[serde(flatten)]
            rest: BTreeMap<String, u8>,
        }
        #[derive(Clone, Serialize, Deserialize)]
        struct Any(Value);
        #[derive(Clone, Serialize, Deserialize)]
        struct Named(crate::words::NodeName, u8);
        assert!(!Schema::of::<Skips>().compact);
        assert!(!Schema::of::<Flat>().compact);
        assert!(!Schema::of::<Any>().compact);
        assert!(Schema::of::<Named>().hash != 0);
    }
}
