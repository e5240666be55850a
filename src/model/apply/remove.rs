//! Edits that take something away, with what hangs on it.

use crate::{
    model::{Binding, Component, EditError, Model, Shared},
    words::{ComponentName, GroupName, InstancePath, NodeName, PortPath, TypeRef, UnitRef},
};

impl Model {
    pub(super) fn remove(&mut self, path: &InstancePath) -> Result<(), EditError> {
        match path {
            InstancePath::Node(name) => self.remove_node(name),
            InstancePath::Component(node, name) => self.take_component(node, name).map(drop),
            InstancePath::Channel(name) => {
                self.channels.remove(name).ok_or_else(|| EditError::NoChannel(name.clone()))?;
                let ports: Vec<PortPath> = self.bindings.of_channel(name).cloned().collect();
                for port in ports {
                    self.bindings.remove(&Binding { port, channel: name.clone() });
                }
                Ok(())
            }
            InstancePath::Group(name) => {
                self.groups.remove(name).ok_or_else(|| EditError::NoGroup(name.clone()))?;
                let attached = self.nodes.iter().filter(|(_, node)| node.groups.contains(name));
                let attached: Vec<NodeName> = attached.map(|(node, _)| node.clone()).collect();
                for node in attached {
                    self.node_mut(&node)?.groups.remove(name);
                }
                Ok(())
            }
        }
    }

    /// Takes a node and all that it hosts, over any number of floors.
    fn remove_node(&mut self, name: &NodeName) -> Result<(), EditError> {
        self.known_node(name)?;
        let mut going = vec![name.clone()];
        while let Some(name) = going.pop() {
            going.extend(self.hosted_by(&name).cloned());
            let Some(node) = self.nodes.remove(&name) else { continue };
            for (component, found) in &node.components {
                self.unbind_component(&name, component);
                self.places.remove(found.id);
            }
            self.forget_fragments(&name);
        }
        Ok(())
    }

    /// Takes what channels, groups and scopes say about a node that goes.
    fn forget_fragments(&mut self, node: &NodeName) {
        let channels = self.channels.iter().filter(|(_, channel)| channel.instance.fragments.contains_key(node));
        for name in channels.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            if let Some(channel) = self.channels.get_mut(&name) {
                channel.to_mut().instance.fragments.remove(node);
            }
        }
        let groups = self.groups.iter().filter(|(_, group)| group.instance.fragments.contains_key(node));
        for name in groups.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            if let Some(group) = self.groups.get_mut(&name) {
                group.to_mut().instance.fragments.remove(node);
            }
        }
        let scopes = self.scopes.iter().filter(|(_, scope)| scope.members.contains(node));
        for name in scopes.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            if let Some(scope) = self.scopes.get_mut(&name) {
                scope.to_mut().members.remove(node);
            }
        }
    }

    /// Takes a component out, with its bindings.
    pub(super) fn take_component(
        &mut self,
        node: &NodeName,
        name: &ComponentName,
    ) -> Result<Shared<Component>, EditError> {
        let no_component = || EditError::NoComponent(node.clone(), name.clone());
        self.component(node, name).ok_or_else(no_component)?;
        let component = self.node_mut(node)?.components.remove(name).ok_or_else(no_component)?;
        self.unbind_component(node, name);
        self.places.remove(component.id);
        Ok(component)
    }

    /// Takes all bindings of a component; what they were comes back.
    pub(in crate::model) fn unbind_component(&mut self, node: &NodeName, name: &ComponentName) -> Vec<Binding> {
        let bindings: Vec<Binding> = self.bindings.of_component(node, name).cloned().collect();
        for binding in &bindings {
            self.bindings.remove(binding);
        }
        bindings
    }

    pub(super) fn detach(&mut self, node: &NodeName, group: &GroupName) -> Result<(), EditError> {
        let found = self.groups.get(group).ok_or_else(|| EditError::NoGroup(group.clone()))?;
        let has_fragment = found.instance.fragments.contains_key(node);
        if self.known_node(node)?.groups.contains(group) {
            self.node_mut(node)?.groups.remove(group);
        }
        if has_fragment {
            self.group_mut(group)?.instance.fragments.remove(node);
        }
        Ok(())
    }

    pub(super) fn remove_type(&mut self, id: &TypeRef) -> Result<(), EditError> {
        let in_use = |by| Err(EditError::TypeInUse { type_ref: id.clone(), by });
        if !self.types.contains_key(id) {
            return Err(EditError::NoType(id.clone()));
        }
        if let Some((path, _)) = self.instances().find(|(_, instance)| instance.type_ref.as_ref() == Some(id)) {
            return in_use(format!("\"{path}\""));
        }
        if let Some(other) = self.types.values().find(|other| other.super_types.contains(id)) {
            return in_use(format!("type \"{}\"", other.id));
        }
        self.types.remove(id);
        Ok(())
    }

    pub(super) fn remove_unit(&mut self, id: &UnitRef) -> Result<(), EditError> {
        let in_use = |by| Err(EditError::UnitInUse { unit: id.clone(), by });
        if !self.units.contains_key(id) {
            return Err(EditError::NoUnit(id.clone()));
        }
        if let Some(definition) = self.types.values().find(|definition| definition.units.contains(id)) {
            return in_use(format!("type \"{}\"", definition.id));
        }
        if let Some(other) = self.units.values().find(|other| other.requires.contains(id)) {
            return in_use(format!("deploy unit \"{}/{}\"", other.id.name, other.id.version));
        }
        self.units.remove(id);
        Ok(())
    }
}
