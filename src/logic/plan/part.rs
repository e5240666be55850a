//! A node's own part of a model: which instances run on it, on which channels they hang, which types and units it needs.

use std::{collections::BTreeSet, sync::Arc};

use imbl::{OrdSet, ordmap::DiffItem};

use super::adaptation::{End, Subject};
use crate::{
    model::{Binding, Component, ComponentId, DeployUnit, Instance, Kind, Model, PortDefinition, Shared},
    words::{ChannelName, ComponentName, GroupName, InstancePath, NodeName, PortName, PortPath, TypeRef, UnitRef},
};

/// The identity of what is known by its name alone.
pub(super) const NOBODY: ComponentId = ComponentId(0);

/// An instance of the own part.
pub(super) struct Here<'m> {
    pub(super) subject: Arc<Subject>,
    pub(super) instance: &'m Instance,
    pub(super) provided: OrdSet<PortName>,
    pub(super) required: OrdSet<PortName>,
}

impl<'m> Here<'m> {
    /// None without a type (only broken models) and for virtual types.
    fn new(model: &Model, path: InstancePath, id: ComponentId, instance: &'m Instance) -> Option<Here<'m>> {
        let type_ref = instance.type_ref.clone()?;
        let subject = Arc::new(Subject { path, type_ref, id });
        (!is_virtual(model, instance)).then(|| Here {
            subject,
            instance,
            provided: OrdSet::new(),
            required: OrdSet::new(),
        })
    }

    /// Whether it is the same instance, with the same ports: it can go on running.
    pub(super) fn is(&self, other: &Here<'_>) -> bool {
        self.subject == other.subject && self.provided == other.provided && self.required == other.required
    }

    /// Whether it is a hosted node.
    pub(super) fn is_node(&self) -> bool {
        matches!(self.subject.path, InstancePath::Node(_))
    }

    /// Whether its successor under the same name takes its state: a component of the same identity; a channel or group whose
    /// type has another version.
    pub(super) fn hands_over_to(&self, next: &Here<'_>) -> bool {
        let (old, new) = (&self.subject.type_ref, &next.subject.type_ref);
        match self.subject.path {
            InstancePath::Component(..) => self.subject.id == next.subject.id,
            InstancePath::Channel(_) | InstancePath::Group(_) => old.namespace == new.namespace && old.name == new.name,
            InstancePath::Node(_) => false,
        }
    }
}

fn is_virtual(model: &Model, instance: &Instance) -> bool {
    model.definition(instance).is_some_and(|definition| definition.is_virtual())
}

/// A component of the node.
pub(super) fn component<'m>(
    model: &Model,
    node: &NodeName,
    name: &ComponentName,
    component: &'m Component,
) -> Option<Here<'m>> {
    let path = InstancePath::Component(node.clone(), name.clone());
    let mut here = Here::new(model, path, component.id, &component.instance)?;
    here.provided = component.provided.clone();
    here.required = component.required.clone();
    Some(here)
}

/// A node that the node hosts.
pub(super) fn hosted_node<'m>(model: &'m Model, host: &NodeName, name: &NodeName) -> Option<Here<'m>> {
    let node = model.nodes.get(name).filter(|node| node.host.as_ref() == Some(host) && name != host)?;
    Here::new(model, InstancePath::Node(name.clone()), NOBODY, &node.instance)
}

/// A group that the node is attached to.
pub(super) fn group<'m>(model: &'m Model, node: &NodeName, name: &GroupName) -> Option<Here<'m>> {
    model.nodes.get(node)?.groups.get(name)?;
    Here::new(model, InstancePath::Group(name.clone()), NOBODY, &model.groups.get(name)?.instance)
}

/// A channel that one of the node's components is bound to.
pub(super) fn channel<'m>(model: &'m Model, node: &NodeName, name: &ChannelName) -> Option<Here<'m>> {
    let channel = model.channels.get(name)?;
    let mut own = model.bindings.of_channel_on(name, node);
    own.find(|port| port_of(model, &port.node, &port.component, &port.port).is_some())?;
    Here::new(model, InstancePath::Channel(name.clone()), NOBODY, &channel.instance)
}

/// All ends of a channel.
pub(super) fn ends<'m>(model: &'m Model, channel: &'m ChannelName) -> impl Iterator<Item = End> + 'm {
    let binding = |port: &PortPath| Binding { port: port.clone(), channel: channel.clone() };
    model.bindings.of_channel(channel).filter_map(move |port| end(model, &binding(port)))
}

/// What a channel has to know of one of its ends. None when nothing runs there: a virtual component, or a broken model.
pub(super) fn end(model: &Model, binding: &Binding) -> Option<End> {
    let port = &binding.port;
    let (component, receives) = port_of(model, &port.node, &port.component, &port.port)?;
    let schema = definition_of(model, port).map_or(0, |(definition, _)| definition.schema);
    Some(End { binding: binding.clone(), id: component.id, receives, schema })
}

/// The definition of a port, when the model has it, and whether the port receives.
pub(super) fn definition_of<'m>(model: &'m Model, port: &PortPath) -> Option<(&'m PortDefinition, bool)> {
    let (component, receives) = port_of(model, &port.node, &port.component, &port.port)?;
    let definition = model.definition(&component.instance)?;
    let ports = if receives { &definition.provided } else { &definition.required };
    ports.iter().find(|candidate| candidate.name == port.port).map(|found| (found, receives))
}

/// The component of a port, and whether the port receives.
fn port_of<'m>(
    model: &'m Model,
    node: &NodeName,
    name: &ComponentName,
    port: &PortName,
) -> Option<(&'m Component, bool)> {
    let component = model.component(node, name)?;
    component.instance.type_ref.as_ref()?;
    let receives = component.provided.contains(port);
    ((receives || component.required.contains(port)) && !is_virtual(model, &component.instance))
        .then_some((&**component, receives))
}

/// Whether some type now means another thing than it did (a version published twice, or one that came after its instances or
/// went before them, as a merge may leave it), or the node is of another platform. Rare; then a diff looks at everything.
pub(super) fn is_redefined(running: &Model, wanted: &Model, node: &NodeName) -> bool {
    let (mut came, mut gone) = (BTreeSet::new(), BTreeSet::new());
    for item in running.types.diff(&wanted.types) {
        match item {
            DiffItem::Update { .. } => return true,
            DiffItem::Add(type_ref, _) => came.insert(type_ref),
            DiffItem::Remove(type_ref, _) => gone.insert(type_ref),
        };
    }
    has_instance_of(running, &came)
        || has_instance_of(wanted, &gone)
        || running.nodes.contains_key(node) && platforms(running, node) != platforms(wanted, node)
}

fn has_instance_of(model: &Model, types: &BTreeSet<&TypeRef>) -> bool {
    let names_one = |instance: &Instance| instance.type_ref.as_ref().is_some_and(|type_ref| types.contains(type_ref));
    !types.is_empty() && model.instances().any(|(_, instance)| names_one(instance))
}

/// Whether something of the node's part has the type. The node itself does not count: it brings its own code.
pub(super) fn uses(model: &Model, node: &NodeName, type_ref: &TypeRef) -> bool {
    let is = |instance: &Instance| instance.type_ref.as_ref() == Some(type_ref);
    let Some(definition) = model.types.get(type_ref) else { return false };
    if definition.is_virtual() {
        return false;
    }
    let Some(own) = model.nodes.get(node) else { return false };
    match definition.kind {
        Kind::Component => own.components.values().any(|component| is(&component.instance)),
        Kind::Group => own.groups.iter().any(|name| model.groups.get(name).is_some_and(|group| is(&group.instance))),
        Kind::Channel => {
            let mut channels = model.channels.iter().filter(|(_, channel)| is(&channel.instance));
            channels.any(|(name, _)| channel(model, node, name).is_some())
        }
        Kind::Port => false,
        Kind::Node => {
            let mut nodes = model.nodes.iter().filter(|(_, hosted)| is(&hosted.instance));
            nodes.any(|(name, hosted)| hosted.host.as_ref() == Some(node) && name != node)
        }
    }
}

/// The units that the node loads for a type: those of its platform, and what they require.
pub(super) fn units<'m>(model: &'m Model, node: &NodeName, type_ref: &TypeRef) -> Vec<&'m Shared<DeployUnit>> {
    let platforms = platforms(model, node);
    let fits = |unit: &DeployUnit| unit.platform().is_none_or(|p| platforms.is_empty() || platforms.contains(p));
    let mut found: Vec<&Shared<DeployUnit>> = Vec::new();
    let mut open: Vec<&UnitRef> = model.types.get(type_ref).into_iter().flat_map(|t| &t.units).collect();
    while let Some(id) = open.pop() {
        let Some(unit) = model.units.get(id).filter(|unit| fits(unit)) else { continue };
        if !found.iter().any(|known| known.id == *id) {
            found.push(unit);
            open.extend(&unit.requires);
        }
    }
    found
}

/// What the node can run, told by the units of its own type; empty when nothing is known.
fn platforms<'m>(model: &'m Model, node: &NodeName) -> BTreeSet<&'m str> {
    let definition = model.nodes.get(node).and_then(|node| model.definition(&node.instance));
    let units = definition.into_iter().flat_map(|definition| &definition.units);
    units.filter_map(|id| model.units.get(id)?.platform()).collect()
}

/// All types that the node's part has instances of.
pub(super) fn used<'m>(model: &'m Model, node: &NodeName) -> impl Iterator<Item = &'m TypeRef> {
    model.types.keys().filter(move |type_ref| uses(model, node, type_ref))
}

/// Whether the node's part needs the unit.
pub(super) fn loads(model: &Model, node: &NodeName, unit: &UnitRef) -> bool {
    model.types.keys().any(|type_ref| {
        units(model, node, type_ref).iter().any(|found| found.id == *unit) && uses(model, node, type_ref)
    })
}
