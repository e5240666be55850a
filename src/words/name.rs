//! Names as types: a node's name is never mistaken for a channel's. Parsed once at the door, trusted afterwards.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

mod recent;

/// The most bytes a name may have.
pub const NAME_MAX_BYTES: usize = 255;

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing there.
    #[error("a name must not be empty")]
    Empty,
    /// Longer than [`NAME_MAX_BYTES`].
    #[error("a name has at most {NAME_MAX_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// A character outside of letters, digits, `_` and `-`.
    #[error("\"{text}\" is no name: {found:?} is not a letter, a digit, \"_\" or \"-\"")]
    Character {
        /// The whole text.
        text: String,
        /// The first character that does not belong.
        found: char,
    },
    /// A path with the wrong number of parts.
    #[error("\"{text}\" is no path: expected {expected}")]
    Parts {
        /// The whole text.
        text: String,
        /// What was expected.
        expected: &'static str,
    },
}

/// A name: letters, digits, `_` and `-`. Cheap to clone.
#[derive(Clone, Serialize)]
#[serde(transparent)]
pub struct Name(Arc<str>);

// Most names that meet are clones of one another: the same text at the same place.
impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Name {}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Name {
    /// Parses a name.
    ///
    /// # Errors
    /// [`InvalidName`] says which character does not belong.
    pub fn parse(text: &str) -> Result<Name, InvalidName> {
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if text.len() > NAME_MAX_BYTES {
            return Err(InvalidName::TooLong(text.len()));
        }
        match text.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))) {
            Some(found) => Err(InvalidName::Character { text: text.to_owned(), found }),
            None => Ok(Name(text.into())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        struct Parse;
        impl serde::de::Visitor<'_> for Parse {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Name, E> {
                recent::name(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Parse)
    }
}

impl FromStr for Name {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Name, InvalidName> {
        Name::parse(text)
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Name);

        impl $name {
            /// Parses a name.
            ///
            /// # Errors
            /// [`InvalidName`] says which character does not belong.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                Name::parse(text).map(Self)
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl From<Name> for $name {
            fn from(name: Name) -> Self {
                Self(name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::parse(text)
            }
        }
    )*};
}

names! {
    /// The name of a node, unique in a model.
    NodeName,
    /// The name of a component, unique on its node.
    ComponentName,
    /// The name of a channel, unique in a model.
    ChannelName,
    /// The name of a group, unique in a model.
    GroupName,
    /// The name of a port, unique among the ports of a type.
    PortName,
    /// The name of a dictionary attribute.
    AttributeName,
    /// The name of a scope, unique in a model.
    ScopeName,
    /// The name of a type definition, without namespace and version.
    TypeName,
}

/// Where types and units are listed: one name, or several with dots between them (Kevoree's packages within packages).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Namespace(Name);

impl Namespace {
    /// Parses a namespace: `kevoree`, `org.kevoree.library`.
    ///
    /// # Errors
    /// [`InvalidName`] says which character does not belong.
    pub fn parse(text: &str) -> Result<Namespace, InvalidName> {
        if text.len() > NAME_MAX_BYTES {
            return Err(InvalidName::TooLong(text.len()));
        }
        for part in text.split('.') {
            Name::parse(part)?;
        }
        Ok(Namespace(Name(text.into())))
    }

    /// The namespace as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The names between the dots, outermost first.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.as_str().split('.')
    }
}

impl From<Name> for Namespace {
    fn from(name: Name) -> Self {
        Namespace(name)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for Namespace {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Namespace, InvalidName> {
        Namespace::parse(text)
    }
}

impl<'de> Deserialize<'de> for Namespace {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Namespace, D::Error> {
        struct Parse;
        impl serde::de::Visitor<'_> for Parse {
            type Value = Namespace;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a namespace")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Namespace, E> {
                recent::namespace(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Parse)
    }
}

/// What a type definition is known by: namespace, name and version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TypeRef {
    /// The namespace; `kevoree` for a script that names none, `enact` for what ships with Enact.
    pub namespace: Namespace,
    /// The name.
    pub name: TypeName,
    /// The version as its author wrote it: `1`, `2.0.0`.
    #[serde(deserialize_with = "recent::text")]
    pub version: Arc<str>,
}

impl TypeRef {
    /// A reference to a type whose namespace and name are known to be good.
    ///
    /// # Errors
    /// [`InvalidName`] when namespace or name is none.
    pub fn new(namespace: &str, name: &str, version: &str) -> Result<TypeRef, InvalidName> {
        Ok(TypeRef { namespace: Namespace::parse(namespace)?, name: TypeName::parse(name)?, version: version.into() })
    }
}

impl FromStr for TypeRef {
    type Err = InvalidName;
    /// The form that is printed: `namespace.Name/version`.
    fn from_str(text: &str) -> Result<TypeRef, InvalidName> {
        let parts = || InvalidName::Parts { text: text.to_owned(), expected: "namespace.Name/version" };
        let (full, version) = text.split_once('/').ok_or_else(parts)?;
        let (namespace, name) = full.rsplit_once('.').ok_or_else(parts)?;
        if version.is_empty() {
            return Err(parts());
        }
        TypeRef::new(namespace, name, version)
    }
}

impl fmt::Display for TypeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}/{}", self.namespace, self.name, self.version)
    }
}

impl fmt::Debug for TypeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a deploy unit is known by, within its namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitRef {
    /// The namespace (Kevoree's package) that lists the unit.
    pub namespace: Namespace,
    /// The unit's name; free text, as package names are.
    pub name: Arc<str>,
    /// The unit's version.
    pub version: Arc<str>,
    /// The hash of its content; may be empty.
    pub hashcode: Arc<str>,
}

/// The address of an instance in a model. Text form: `node`, `node.component`, or the bare name of a channel or group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum InstancePath {
    /// A node.
    Node(NodeName),
    /// A component on a node.
    Component(NodeName, ComponentName),
    /// A channel.
    Channel(ChannelName),
    /// A group.
    Group(GroupName),
}

impl fmt::Display for InstancePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InstancePath::Node(node) => write!(f, "{node}"),
            InstancePath::Component(node, component) => write!(f, "{node}.{component}"),
            InstancePath::Channel(channel) => write!(f, "{channel}"),
            InstancePath::Group(group) => write!(f, "{group}"),
        }
    }
}

impl fmt::Debug for InstancePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A port of a component: `node.component.port`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortPath {
    /// The node that the component lives on.
    pub node: NodeName,
    /// The component.
    pub component: ComponentName,
    /// The port.
    pub port: PortName,
}

impl fmt::Display for PortPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.node, self.component, self.port)
    }
}

impl FromStr for PortPath {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<PortPath, InvalidName> {
        let parts: Vec<&str> = text.split('.').collect();
        let [node, component, port] = parts[..] else {
            return Err(InvalidName::Parts { text: text.to_owned(), expected: "node.component.port" });
        };
        Ok(PortPath {
            node: NodeName::parse(node)?,
            component: ComponentName::parse(component)?,
            port: PortName::parse(port)?,
        })
    }
}

impl fmt::Debug for PortPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_character_does_not_belong() {
        assert_eq!(Name::parse("web-1_a").unwrap().as_str(), "web-1_a");
        assert_eq!(Name::parse(""), Err(InvalidName::Empty));
        assert_eq!(Name::parse("a.b"), Err(InvalidName::Character { text: "a.b".into(), found: '.' }));
        assert_eq!(Name::parse(&"x".repeat(256)), Err(InvalidName::TooLong(256)));
    }

    #[test]
    fn what_a_type_prints_as_is_read_again() {
        for text in ["kevoree.Ticker/1", "org.kevoree.library.JavaNode/5.4.0-SNAPSHOT"] {
            assert_eq!(text.parse::<TypeRef>().unwrap().to_string(), text);
        }
        for text in ["Ticker/1", "kevoree.Ticker", "kevoree.Ticker/", "a..B/1"] {
            assert!(text.parse::<TypeRef>().is_err(), "{text}");
        }
    }
}
