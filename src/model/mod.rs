//! The model: the wanted system as a value. What runs is never in here (see each node's report).
//!
//! Kevoree's metamodel plus scopes and node properties. All maps are persistent with shared structure: a clone of a model
//! costs nothing, a diff costs what changed.

pub mod binding;
pub mod change;
pub mod check;
pub mod digest;
pub mod edit;
pub mod fit;
pub mod instance;
pub mod json;
pub mod kmf;
pub mod library;
pub mod scope;
pub mod shared;
pub mod typedef;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

pub use binding::{Binding, Bindings};
pub use edit::Edit;
pub use fit::Unfit;
pub use instance::{Channel, Component, ComponentId, Dictionary, Group, Instance, Node};
pub use scope::Scope;
pub use shared::Shared;
pub use typedef::{Attribute, DataType, DeployUnit, Kind, PortDefinition, TypeDefinition};

use crate::words::{ChannelName, ComponentName, GroupName, InstancePath, NodeName, ScopeName, TypeRef, UnitRef};

/// The wanted system. Cheap to clone; changed by [`Edit`]s, all or nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Nodes with their components, hosted nodes included (see [`Node::host`]).
    pub nodes: OrdMap<NodeName, Shared<Node>>,
    /// Channels (Kevoree's hubs).
    pub channels: OrdMap<ChannelName, Shared<Channel>>,
    /// Groups.
    pub groups: OrdMap<GroupName, Shared<Group>>,
    /// Bindings between ports and channels, indexed from both ends.
    pub bindings: Bindings,
    /// Type definitions that instances may have (Kevoree's packages).
    pub types: OrdMap<TypeRef, Shared<TypeDefinition>>,
    /// Deploy units that bring the types.
    pub units: OrdMap<UnitRef, Shared<DeployUnit>>,
    /// Scopes.
    pub scopes: OrdMap<ScopeName, Shared<Scope>>,
    /// Addresses of repositories; kept for Kevoree's models, not used.
    pub repositories: OrdSet<Arc<str>>,
}

impl Model {
    /// The instance at a path.
    pub fn instance(&self, path: &InstancePath) -> Option<&Instance> {
        match path {
            InstancePath::Node(node) => self.nodes.get(node).map(|n| &n.instance),
            InstancePath::Component(node, component) => self.component(node, component).map(|c| &c.instance),
            InstancePath::Channel(channel) => self.channels.get(channel).map(|c| &c.instance),
            InstancePath::Group(group) => self.groups.get(group).map(|g| &g.instance),
        }
    }

    /// A component by node and name.
    pub fn component(&self, node: &NodeName, component: &ComponentName) -> Option<&Shared<Component>> {
        self.nodes.get(node)?.components.get(component)
    }

    /// The definition of an instance's type, when the model has it.
    pub fn definition(&self, instance: &Instance) -> Option<&Shared<TypeDefinition>> {
        self.types.get(instance.type_ref.as_ref()?)
    }

    /// The nodes hosted by `host`, in order of name.
    pub fn hosted_by<'a>(&'a self, host: &'a NodeName) -> impl Iterator<Item = &'a NodeName> {
        self.nodes.iter().filter(move |(_, node)| node.host.as_ref() == Some(host)).map(|(name, _)| name)
    }

    /// How many instances there are: nodes, components, channels and groups.
    pub fn n_instances(&self) -> usize {
        let n_components: usize = self.nodes.values().map(|node| node.components.len()).sum();
        self.nodes.len() + n_components + self.channels.len() + self.groups.len()
    }
}
