//! Instances: nodes, components, channels and groups, and what they have in common.

use std::{collections::BTreeMap, fmt, sync::Arc};

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use super::Shared;
use crate::words::{AttributeName, ComponentName, GroupName, InstancePath, NodeName, PortName, TypeRef};

/// Values of attributes by name; all values are texts, as in Kevoree, and are checked against the type's attributes.
/// Copied on the first write after a clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dictionary(Arc<BTreeMap<AttributeName, Arc<str>>>);

impl Dictionary {
    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        let name = AttributeName::parse(name).ok()?;
        self.0.get(&name).map(|text| &**text)
    }

    /// The value of an attribute whose name is known to be good.
    pub fn value(&self, name: &AttributeName) -> Option<&Arc<str>> {
        self.0.get(name)
    }

    /// Sets a value; the old one comes back.
    pub fn set(&mut self, name: AttributeName, value: impl Into<Arc<str>>) -> Option<Arc<str>> {
        Arc::make_mut(&mut self.0).insert(name, value.into())
    }

    /// Removes a value.
    pub fn unset(&mut self, name: &AttributeName) -> Option<Arc<str>> {
        self.0.get(name)?;
        Arc::make_mut(&mut self.0).remove(name)
    }

    /// All values in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&AttributeName, &Arc<str>)> {
        self.0.iter()
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether both are one allocation.
    pub fn same(&self, other: &Dictionary) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl FromIterator<(AttributeName, Arc<str>)> for Dictionary {
    fn from_iter<I: IntoIterator<Item = (AttributeName, Arc<str>)>>(values: I) -> Self {
        Dictionary(Arc::new(values.into_iter().collect()))
    }
}

/// What every instance has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// The type; absent only in broken models (see `check`).
    pub type_ref: Option<TypeRef>,
    /// Whether it is wanted running.
    pub started: bool,
    /// Values of the attributes that are not fragment dependent. `None` only in models read from Kevoree's JSON.
    pub dictionary: Option<Dictionary>,
    /// Values of the fragment dependent attributes, for each node.
    #[serde(deserialize_with = "super::bounded::map")]
    pub fragments: OrdMap<NodeName, Dictionary>,
    /// Free annotations: `description`, `virtual`, positions of editors.
    #[serde(deserialize_with = "super::bounded::map")]
    pub metadata: OrdMap<Arc<str>, Arc<str>>,
}

impl Instance {
    /// A started instance of a type without any value.
    pub fn of(type_ref: TypeRef) -> Instance {
        Instance {
            type_ref: Some(type_ref),
            started: true,
            dictionary: Some(Dictionary::default()),
            ..Instance::default()
        }
    }

    /// The value of an attribute that is not fragment dependent.
    pub fn get(&self, attribute: &str) -> Option<&str> {
        self.dictionary.as_ref()?.get(attribute)
    }

    /// The value of an attribute on a node: the fragment's, else the instance's.
    pub fn get_on(&self, node: &NodeName, attribute: &str) -> Option<&str> {
        self.fragments.get(node).and_then(|fragment| fragment.get(attribute)).or_else(|| self.get(attribute))
    }

    /// The dictionary as `node` sees it: the instance's values with the fragment's over them.
    pub fn dictionary_on(&self, node: &NodeName) -> Dictionary {
        let mut all = self.dictionary.clone().unwrap_or_default();
        for (name, value) in self.fragments.get(node).into_iter().flat_map(Dictionary::iter) {
            all.set(name.clone(), value.clone());
        }
        all
    }
}

/// A place where components run: one actor system, usually one process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Type, dictionary, whether started.
    pub instance: Instance,
    /// The components that live here.
    #[serde(deserialize_with = "super::bounded::map")]
    pub components: OrdMap<ComponentName, Shared<Component>>,
    /// The node that hosts this one, if any.
    pub host: Option<NodeName>,
    /// The groups that it is attached to.
    #[serde(deserialize_with = "super::bounded::set")]
    pub groups: OrdSet<GroupName>,
    /// Addresses by interface and key, as in `lan.ip`.
    #[serde(deserialize_with = "super::bounded::maps")]
    pub networks: OrdMap<Arc<str>, OrdMap<Arc<str>, Arc<str>>>,
    /// Facts about the machine that archetypes ask for: `gpu = true`.
    #[serde(deserialize_with = "super::bounded::map")]
    pub properties: OrdMap<AttributeName, Arc<str>>,
}

/// What stays the same when a component moves: given when it is added, kept over moves and upgrades.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ComponentId(pub u64);

impl ComponentId {
    /// The identity of the `nth` component added by a change with `salt`. Offline models use salt 0.
    pub fn born(salt: u64, path: &InstancePath, nth: u64) -> ComponentId {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&salt.to_le_bytes()).update(&nth.to_le_bytes()).update(path.to_string().as_bytes());
        let bytes: [u8; 8] = hasher.finalize().as_bytes()[..8].try_into().expect("a hash has 32 bytes");
        ComponentId(u64::from_le_bytes(bytes))
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A component: a piece of user code with ports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Component {
    /// Who it is, wherever it lives.
    pub id: ComponentId,
    /// Type, dictionary, whether started.
    pub instance: Instance,
    /// Ports that receive.
    #[serde(deserialize_with = "super::bounded::set")]
    pub provided: OrdSet<PortName>,
    /// Ports that send.
    #[serde(deserialize_with = "super::bounded::set")]
    pub required: OrdSet<PortName>,
}

/// A channel: carries messages from the required ports to the provided ports that are bound to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// Type, dictionary, whether started.
    pub instance: Instance,
}

/// A group: spreads the model over the nodes that are attached to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Type, dictionary, whether started.
    pub instance: Instance,
}
