//! Type definitions: what an instance can be, which attributes and ports it has, and the deploy units that bring it.

use std::{fmt, sync::Arc};

use imbl::OrdMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{AttributeName, PortName, TypeRef, UnitRef};

/// What instances of a type are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nodes.
    Node,
    /// Components.
    Component,
    /// Channels.
    Channel,
    /// Groups.
    Group,
    /// Ports: Kevoree's message and service types. Kept for its models; nothing is an instance of them.
    Port,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Node => "node",
            Kind::Component => "component",
            Kind::Channel => "channel",
            Kind::Group => "group",
            Kind::Port => "port",
        })
    }
}

/// The datatype of an attribute: Kevoree's, and `Duration`, which is Enact's own (`3s`, `250ms`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "the names say it")]
pub enum DataType {
    Byte,
    Short,
    Int,
    Long,
    Float,
    Double,
    Boolean,
    Char,
    String,
    Duration,
}

/// An attribute of a dictionary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    /// The name.
    pub name: AttributeName,
    /// What values are allowed.
    pub datatype: DataType,
    /// Whether it may have no value.
    pub optional: bool,
    /// Whether it is part of the state rather than of the configuration (Kevoree's flag; kept, not used).
    pub state: bool,
    /// Whether each node has a value of its own.
    pub fragment: bool,
    /// The value of who says nothing.
    pub default: Option<Arc<str>>,
    /// The smallest value, in the attribute's own notation.
    pub min: Option<Arc<str>>,
    /// The largest value.
    pub max: Option<Arc<str>>,
    /// The only values allowed; empty for any.
    pub one_of: Vec<Arc<str>>,
    /// Shown as `•••`, never logged.
    pub secret: bool,
    /// What it is for.
    pub doc: Arc<str>,
}

/// A port of a component type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PortDefinition {
    /// The name.
    pub name: PortName,
    /// Whether it may stay unbound.
    pub optional: bool,
    /// Whether a component may start before what is bound to this port (Kevoree's noDependency).
    pub no_dependency: bool,
    /// The name of the message type; `Value` for any.
    pub message: Arc<str>,
    /// The structural hash of the message type; 0 for any and for ports that only Kevoree described.
    pub schema: u64,
    /// What it is for.
    pub doc: Arc<str>,
    /// Kevoree's reference to a port type, kept as it was.
    pub port_type: Option<TypeRef>,
}

/// A type that instances may have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TypeDefinition {
    /// Namespace, name and version.
    pub id: TypeRef,
    /// What its instances are.
    pub kind: Kind,
    /// Whether it only serves as a super type.
    pub is_abstract: bool,
    /// The deploy units that bring it, at most one for each platform.
    pub units: Vec<UnitRef>,
    /// Super types.
    pub super_types: Vec<TypeRef>,
    /// The attributes of its instances. `None` only in models read from Kevoree's JSON.
    pub attributes: Option<Vec<Attribute>>,
    /// Ports that receive; components only.
    pub provided: Vec<PortDefinition>,
    /// Ports that send; components only.
    pub required: Vec<PortDefinition>,
    /// Free annotations; `virtual` marks types that exist in the model only, `description` is shown to people.
    #[serde(deserialize_with = "super::bounded::map")]
    pub metadata: OrdMap<Arc<str>, Arc<str>>,
}

impl TypeDefinition {
    /// The attribute of a name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().flatten().find(|attribute| attribute.name.as_str() == name)
    }

    /// Whether its instances exist in the model only: no deploy unit, nothing to run.
    pub fn is_virtual(&self) -> bool {
        self.metadata.contains_key("virtual")
    }
}

/// A unit of code that brings types: a crate, a package, a module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeployUnit {
    /// Namespace, name, version and hash.
    pub id: UnitRef,
    /// Where it can be had.
    pub url: Arc<str>,
    /// Conditions; `platform` says what can run it (`rust`, `js`, `java`).
    #[serde(deserialize_with = "super::bounded::map")]
    pub filters: OrdMap<Arc<str>, Arc<str>>,
    /// Units that it needs.
    pub requires: Vec<UnitRef>,
}

impl DeployUnit {
    /// The platform that can run it.
    pub fn platform(&self) -> Option<&str> {
        self.filters.get("platform").map(|text| &**text)
    }
}
