//! Edits: the only way to change a model. A list of them is applied whole or not at all.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Binding, ComponentId, DeployUnit, Instance, Kind, TypeDefinition};
use crate::words::{
    AttributeName, ChannelName, ComponentName, GroupName, InstancePath, NodeName, PortName, PortPath, ScopeName,
    TypeRef, UnitRef,
};

/// One change of a model.
#[allow(missing_docs, reason = "each variant says what its fields are")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Edit {
    /// Adds a node, at the top or hosted.
    AddNode { name: NodeName, instance: Instance, host: Option<NodeName> },
    /// Adds a component to a node.
    AddComponent {
        node: NodeName,
        name: ComponentName,
        id: ComponentId,
        instance: Instance,
        provided: Vec<PortName>,
        required: Vec<PortName>,
    },
    /// Adds a channel or a group: `path` says which.
    AddInstance { path: InstancePath, instance: Instance },
    /// Removes an instance and what hangs on it: bindings, hosted nodes, components, attachments, fragments.
    Remove { path: InstancePath },
    /// Moves a component to another node; its bindings, values and identity go with it.
    MoveComponent { node: NodeName, name: ComponentName, to: NodeName },
    /// Puts a node under a host, or back to the top.
    Host { node: NodeName, host: Option<NodeName> },
    /// Gives an instance another type (an upgrade, mostly); a component's ports become those given, and those that go must
    /// not be bound.
    Retype { path: InstancePath, type_ref: TypeRef, provided: Vec<PortName>, required: Vec<PortName> },
    /// Attaches a node to a group.
    Attach { node: NodeName, group: GroupName },
    /// Detaches a node from a group; the group's fragment values for it go.
    Detach { node: NodeName, group: GroupName },
    /// Sets the value of an attribute, on the instance or in the fragment of a node.
    Set { path: InstancePath, fragment: Option<NodeName>, attribute: AttributeName, value: Arc<str> },
    /// Removes a value.
    Unset { path: InstancePath, fragment: Option<NodeName>, attribute: AttributeName },
    /// Says whether an instance is wanted running.
    SetStarted { path: InstancePath, started: bool },
    /// Hangs a port on a channel.
    Bind(Binding),
    /// Takes a port off a channel.
    Unbind(Binding),
    /// Sets an address of a node; `None` removes it.
    SetNetwork { node: NodeName, interface: Arc<str>, key: Arc<str>, value: Option<Arc<str>> },
    /// Sets a property of a node; `None` removes it.
    SetProperty { node: NodeName, property: AttributeName, value: Option<Arc<str>> },
    /// Sets an annotation of an instance; `None` removes it.
    SetMetadata { path: InstancePath, key: Arc<str>, value: Option<Arc<str>> },
    /// Adds a type definition, or replaces the one of that name and version.
    AddType(Arc<TypeDefinition>),
    /// Removes a type definition that no instance has and no other type extends.
    RemoveType(TypeRef),
    /// Adds a deploy unit, or replaces the same one.
    AddUnit(Arc<DeployUnit>),
    /// Removes a deploy unit that no type and no other unit names.
    RemoveUnit(UnitRef),
    /// Adds an empty scope.
    AddScope(ScopeName),
    /// Removes a scope.
    RemoveScope(ScopeName),
    /// Puts a node into a scope.
    Enter { node: NodeName, scope: ScopeName },
    /// Takes a node out of a scope.
    Leave { node: NodeName, scope: ScopeName },
    /// Adds or removes the address of a repository.
    SetRepository { url: Arc<str>, listed: bool },
}

/// Why an edit cannot be applied; then none of its list is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum EditError {
    #[error("there is no node \"{0}\"")]
    NoNode(NodeName),
    #[error("there is no component \"{1}\" on node \"{0}\"")]
    NoComponent(NodeName, ComponentName),
    #[error("there is no channel \"{0}\"")]
    NoChannel(ChannelName),
    #[error("there is no group \"{0}\"")]
    NoGroup(GroupName),
    #[error("there is no scope \"{0}\"")]
    NoScope(ScopeName),
    #[error("there is no type \"{0}\"")]
    NoType(TypeRef),
    #[error("there is no deploy unit \"{name}/{version}\" in namespace \"{namespace}\"", name = .0.name, version = .0.version, namespace = .0.namespace)]
    NoUnit(UnitRef),
    #[error("component \"{}.{}\" has no port \"{}\" (it has: {there})", port.node, port.component, port.port)]
    NoPort { port: PortPath, there: String },
    #[error("\"{name}\" is already the name of a {kind}")]
    NameTaken { name: String, kind: Kind },
    #[error("there is already a component \"{1}\" on node \"{0}\"")]
    ComponentTaken(NodeName, ComponentName),
    #[error("the identity {id} already belongs to component \"{node}.{component}\"")]
    IdentityTaken { id: ComponentId, node: NodeName, component: ComponentName },
    #[error("port \"{port}\" of component \"{node}.{component}\" cannot both send and receive")]
    PortTwice { node: NodeName, component: ComponentName, port: PortName },
    #[error("port \"{0}\" is bound to channel \"{1}\" and is not a port of the new type; unbind it first")]
    PortBound(PortPath, ChannelName),
    #[error("\"{0}\" is added with its node, not as a channel or group")]
    NotTopLevel(InstancePath),
    #[error("node \"{node}\" cannot be hosted by \"{host}\", which it hosts itself")]
    HostCycle { node: NodeName, host: NodeName },
    #[error("type \"{type_ref}\" is still used by {by}")]
    TypeInUse { type_ref: TypeRef, by: String },
    #[error("deploy unit \"{}/{}\" is still used by {by}", unit.name, unit.version)]
    UnitInUse { unit: UnitRef, by: String },
}
