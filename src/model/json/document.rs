//! The document: what each part of a model looks like in JSON.

mod convert;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{Hex, Text};
use crate::{
    model::{DataType, Kind},
    words::{
        AttributeName, ChannelName, ComponentName, GroupName, Namespace, NodeName, PortName, PortPath, ScopeName,
        TypeRef,
    },
};

/// Texts by name.
type Texts = BTreeMap<String, String>;

/// Values of attributes.
type Values = BTreeMap<Text<AttributeName>, String>;

/// A model: the wanted system.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Model")]
pub(super) struct Document {
    /// The version of this form: `enact/v1`.
    api_version: String,
    /// What the document holds: `Model`.
    kind: String,
    /// The nodes by name, each with its components.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    nodes: BTreeMap<Text<NodeName>, NodeDocument>,
    /// The channels by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    channels: BTreeMap<Text<ChannelName>, InstanceDocument>,
    /// The groups by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    groups: BTreeMap<Text<GroupName>, InstanceDocument>,
    /// Which port hangs on which channel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bindings: Vec<BindingDocument>,
    /// The scopes by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    scopes: BTreeMap<Text<ScopeName>, ScopeDocument>,
    /// The types that instances have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    types: Vec<TypeDocument>,
    /// The deploy units that bring the types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    units: Vec<UnitDocument>,
    /// Addresses of repositories; kept for Kevoree's models.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    repositories: BTreeSet<String>,
}

macro_rules! instances {
    ($($(#[doc = $doc:literal])+ $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* })+) => {$(
        $(#[doc = $doc])+
        #[derive(Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct $name {
            /// The type: `namespace.Name/version`.
            #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
            type_ref: Option<Text<TypeRef>>,
            $($(#[$meta])* $field: $type,)*
            /// Whether it is wanted running.
            #[serde(default = "yes", skip_serializing_if = "is_yes")]
            started: bool,
            /// The values of its attributes; null when there is no dictionary at all, which only Kevoree's models have.
            #[serde(default = "empty", skip_serializing_if = "is_empty")]
            dictionary: Option<Values>,
            /// The values of attributes that each node has for itself, by node.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            fragments: BTreeMap<Text<NodeName>, Values>,
            /// Free annotations.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            metadata: Texts,
        }
    )+};
}

instances! {
    /// A channel or a group.
    InstanceDocument {}

    /// A node.
    NodeDocument {
        /// The node that hosts this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<Text<NodeName>>,
        /// The groups that it is attached to.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        groups: BTreeSet<Text<GroupName>>,
        /// Addresses by interface and key.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        networks: BTreeMap<String, Texts>,
        /// Facts about the machine.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        properties: Values,
        /// The components that live on it, by name.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        components: BTreeMap<Text<ComponentName>, ComponentDocument>,
    }

    /// A component.
    ComponentDocument {
        /// Its identity, 16 hexadecimal digits: what stays the same when it moves. Without it, one follows from the path.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<Text<Hex>>,
        /// The ports that receive.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        provided: BTreeSet<Text<PortName>>,
        /// The ports that send.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        required: BTreeSet<Text<PortName>>,
    }
}

/// One port on one channel.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BindingDocument {
    /// The port: `node.component.port`.
    port: Text<PortPath>,
    /// The channel.
    channel: Text<ChannelName>,
}

/// A named set of nodes.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScopeDocument {
    /// The nodes that belong to it.
    #[serde(default)]
    members: BTreeSet<Text<NodeName>>,
}

/// A type that instances may have.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TypeDocument {
    /// Namespace, name and version: `namespace.Name/version`.
    id: Text<TypeRef>,
    /// What its instances are.
    kind: Kind,
    /// Whether it only serves as a super type.
    #[serde(rename = "abstract", default, skip_serializing_if = "is_no")]
    is_abstract: bool,
    /// The deploy units that bring it, at most one for each platform.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    units: Vec<UnitName>,
    /// Super types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    super_types: Vec<Text<TypeRef>>,
    /// The attributes of its instances; null when there is no dictionary type at all, which only Kevoree's models have.
    #[serde(default = "no_attributes", skip_serializing_if = "has_no_attributes")]
    attributes: Option<Vec<AttributeDocument>>,
    /// The ports that receive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    provided: Vec<PortDocument>,
    /// The ports that send.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    required: Vec<PortDocument>,
    /// Free annotations; `virtual` marks types that exist in the model only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: Texts,
}

/// An attribute of a dictionary.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AttributeDocument {
    /// The name.
    name: Text<AttributeName>,
    /// What values are allowed.
    datatype: DataType,
    /// Whether it may have no value.
    #[serde(default, skip_serializing_if = "is_no")]
    optional: bool,
    /// Whether it is part of the state rather than of the configuration.
    #[serde(default, skip_serializing_if = "is_no")]
    state: bool,
    /// Whether each node has a value of its own.
    #[serde(default, skip_serializing_if = "is_no")]
    fragment: bool,
    /// The value of who says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    /// The smallest value, in the attribute's own notation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    min: Option<String>,
    /// The largest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<String>,
    /// The only values allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    one_of: Vec<String>,
    /// Shown as dots, never logged.
    #[serde(default, skip_serializing_if = "is_no")]
    secret: bool,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    doc: String,
}

/// A port of a component type.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PortDocument {
    /// The name.
    name: Text<PortName>,
    /// Whether it may stay unbound.
    #[serde(default, skip_serializing_if = "is_no")]
    optional: bool,
    /// Whether a component may start before what is bound to this port.
    #[serde(default, skip_serializing_if = "is_no")]
    no_dependency: bool,
    /// The name of the message type; `Value` for any.
    #[serde(default = "any_message", skip_serializing_if = "is_any_message")]
    message: String,
    /// The structural hash of the message type, in hexadecimal; 0 for any.
    #[serde(default = "no_schema", skip_serializing_if = "is_no_schema")]
    schema: Text<Hex>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    doc: String,
    /// Kevoree's port type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port_type: Option<Text<TypeRef>>,
}

/// What a deploy unit is known by.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UnitName {
    /// The namespace that lists it.
    namespace: Text<Namespace>,
    /// Its name.
    name: String,
    /// Its version.
    version: String,
    /// The hash of its content.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    hashcode: String,
}

/// A unit of code that brings types.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UnitDocument {
    /// The namespace that lists it.
    namespace: Text<Namespace>,
    /// Its name.
    name: String,
    /// Its version.
    version: String,
    /// The hash of its content.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    hashcode: String,
    /// Where it can be had.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    url: String,
    /// Conditions; `platform` says what can run it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    filters: Texts,
    /// Units that it needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    requires: Vec<UnitName>,
}

fn yes() -> bool {
    true
}

fn is_yes(flag: &bool) -> bool {
    *flag
}

fn is_no(flag: &bool) -> bool {
    !*flag
}

fn empty() -> Option<Values> {
    Some(Values::new())
}

fn is_empty(values: &Option<Values>) -> bool {
    values.as_ref().is_some_and(Values::is_empty)
}

fn no_attributes() -> Option<Vec<AttributeDocument>> {
    Some(Vec::new())
}

fn has_no_attributes(attributes: &Option<Vec<AttributeDocument>>) -> bool {
    attributes.as_ref().is_some_and(Vec::is_empty)
}

fn any_message() -> String {
    "Value".to_owned()
}

fn is_any_message(message: &str) -> bool {
    message == "Value"
}

fn no_schema() -> Text<Hex> {
    Text(Hex(0))
}

fn is_no_schema(schema: &Text<Hex>) -> bool {
    schema.0.0 == 0
}
