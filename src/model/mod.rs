//! The model: the wanted system as a value. What runs is never in here (see each node's report).
//!
//! Kevoree's metamodel plus scopes and node properties. All maps are persistent with shared structure: a clone of a model
//! costs nothing, a diff costs what changed.

mod apply;
pub mod binding;
pub(crate) mod bounded;
pub mod change;
pub mod check;
pub mod concern;
mod diff;
pub mod digest;
pub mod edit;
pub mod fit;
pub mod instance;
pub mod json;
pub mod kmf;
#[cfg(test)]
mod laws;
pub mod library;
mod patch;
mod places;
pub mod scope;
mod serial;
pub mod shared;
#[cfg(test)]
pub(crate) mod testing;
pub mod typedef;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

pub use binding::{Binding, Bindings};
pub use change::Change;
pub use digest::Digest;
pub use edit::{Edit, EditError};
pub use fit::Unfit;
pub use instance::{Channel, Component, ComponentId, Dictionary, Group, Instance, Node};
pub use scope::Scope;
pub use shared::Shared;
pub use typedef::{Attribute, DataType, DeployUnit, Kind, PortDefinition, TypeDefinition};

use crate::words::{
    ChannelName, ComponentName, GroupName, InstancePath, Name, NodeName, ScopeName, TypeName, TypeRef, UnitRef,
};
use places::Places;

/// The wanted system. Cheap to clone; changed by [`Edit`]s, all or nothing.
///
/// The fields are there to be read. Whoever writes to `nodes` by hand calls [`Model::indexed`] afterwards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "serial::Parts", into = "serial::Parts")]
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
    /// Where each component lives; follows from `nodes`.
    places: Places,
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

    /// Where a component lives.
    pub fn path_of(&self, id: ComponentId) -> Option<(&NodeName, &ComponentName)> {
        self.places.get(id)
    }

    /// A component by identity.
    pub fn component_of(&self, id: ComponentId) -> Option<&Shared<Component>> {
        let (node, component) = self.path_of(id)?;
        self.component(node, component)
    }

    /// An identity that no component of the model has, for one that is added at a path by a change with `salt`.
    pub fn fresh_id(&self, salt: u64, node: &NodeName, component: &ComponentName) -> ComponentId {
        let path = InstancePath::Component(node.clone(), component.clone());
        (0..).map(|nth| ComponentId::born(salt, &path, nth)).find(|id| self.path_of(*id).is_none()).unwrap_or_default()
    }

    /// The model with its index of components made anew, after `nodes` was written to by hand.
    #[must_use]
    pub fn indexed(mut self) -> Model {
        self.places = self.nodes.iter().collect();
        self
    }

    /// A component whose identity another has, which only hand-made files bring about.
    fn identity_used_twice(&self) -> Option<(InstancePath, ComponentId)> {
        let mut components = self.components();
        let twice = components.find(|(node, name, found)| self.path_of(found.id) != Some((*node, *name)));
        twice.map(|(node, name, found)| (InstancePath::Component(node.clone(), name.clone()), found.id))
    }

    /// What a top-level name is taken by.
    pub fn kind_of(&self, name: &str) -> Option<Kind> {
        let name = Name::parse(name).ok()?;
        if self.nodes.contains_key(&NodeName::from(name.clone())) {
            Some(Kind::Node)
        } else if self.channels.contains_key(&ChannelName::from(name.clone())) {
            Some(Kind::Channel)
        } else {
            self.groups.contains_key(&GroupName::from(name)).then_some(Kind::Group)
        }
    }

    /// The types of a name, whatever their namespace and version.
    pub fn types_named<'a>(&'a self, name: &'a TypeName) -> impl Iterator<Item = &'a Shared<TypeDefinition>> {
        self.types.values().filter(move |definition| definition.id.name == *name)
    }

    /// All components in order of node and name.
    pub fn components(&self) -> impl Iterator<Item = (&NodeName, &ComponentName, &Shared<Component>)> {
        self.nodes.iter().flat_map(|(node, found)| found.components.iter().map(move |(name, c)| (node, name, c)))
    }

    /// All instances: each node followed by its components, then channels, then groups.
    pub fn instances(&self) -> impl Iterator<Item = (InstancePath, &Instance)> {
        let nodes = self.nodes.iter().flat_map(|(name, node)| {
            let components = node.components.iter();
            let components = components
                .map(move |(component, c)| (InstancePath::Component(name.clone(), component.clone()), &c.instance));
            std::iter::once((InstancePath::Node(name.clone()), &node.instance)).chain(components)
        });
        let channels = self.channels.iter().map(|(name, c)| (InstancePath::Channel(name.clone()), &c.instance));
        let groups = self.groups.iter().map(|(name, g)| (InstancePath::Group(name.clone()), &g.instance));
        nodes.chain(channels).chain(groups)
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
