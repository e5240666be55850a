//! Edits: the only way to change a model. A list of them is applied whole or not at all.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Binding, ComponentId, DeployUnit, Instance, TypeDefinition};
use crate::words::{
    AttributeName, ComponentName, GroupName, InstancePath, NodeName, PortName, ScopeName, TypeRef, UnitRef,
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
    /// Gives an instance another type (an upgrade, mostly); a component's ports become those given.
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
    /// Removes a type definition that no instance has.
    RemoveType(TypeRef),
    /// Adds a deploy unit, or replaces the same one.
    AddUnit(Arc<DeployUnit>),
    /// Removes a deploy unit that no type names.
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
