//! Reading persistent maps and sets from bytes that others wrote: `imbl`'s own reading makes room for as many elements as the bytes
//! declare before one of them is there, so that a few bytes could ask for all memory. Ordinary collections grow as elements come.

use std::collections::{BTreeMap, BTreeSet};

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Deserializer};

/// For `deserialize_with` on every field that is a map.
pub(crate) fn map<'de, D, K, V>(from: D) -> Result<OrdMap<K, V>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + Clone,
    V: Deserialize<'de> + Clone,
{
    BTreeMap::deserialize(from).map(|map| map.into_iter().collect())
}

/// For `deserialize_with` on every field that is a set.
pub(crate) fn set<'de, D, T>(from: D) -> Result<OrdSet<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Ord + Clone,
{
    BTreeSet::deserialize(from).map(|set| set.into_iter().collect())
}

/// For a map of maps.
pub(crate) fn maps<'de, D, K, L, V>(from: D) -> Result<OrdMap<K, OrdMap<L, V>>, D::Error>
where
    D: Deserializer<'de>,
    K: Deserialize<'de> + Ord + Clone,
    L: Deserialize<'de> + Ord + Clone,
    V: Deserialize<'de> + Clone,
{
    let maps: BTreeMap<K, BTreeMap<L, V>> = BTreeMap::deserialize(from)?;
    Ok(maps.into_iter().map(|(key, map)| (key, OrdMap::from_iter(map))).collect())
}
