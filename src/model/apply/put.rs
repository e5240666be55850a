//! Edits that put something somewhere: instances, hosts, types, bindings.

use crate::{
    model::{Binding, Channel, Component, EditError, Group, Instance, Model, Node},
    words::{ComponentName, InstancePath, NodeName, PortName, TypeRef},
};

impl Model {
    pub(super) fn add_node(
        &mut self,
        name: &NodeName,
        instance: &Instance,
        host: Option<&NodeName>,
    ) -> Result<(), EditError> {
        self.unused(name.as_str())?;
        if let Some(host) = host {
            self.known_node(host)?;
        }
        let node = Node { instance: instance.clone(), host: host.cloned(), ..Node::default() };
        self.nodes.insert(name.clone(), node.into());
        Ok(())
    }

    pub(super) fn add_component(
        &mut self,
        node: &NodeName,
        name: &ComponentName,
        component: Component,
    ) -> Result<(), EditError> {
        one_direction(node, name, &component)?;
        if let Some((node, component_name)) = self.path_of(component.id) {
            let (node, name) = (node.clone(), component_name.clone());
            return Err(EditError::IdentityTaken { id: component.id, node, component: name });
        }
        if self.known_node(node)?.components.contains_key(name) {
            return Err(EditError::ComponentTaken(node.clone(), name.clone()));
        }
        let id = component.id;
        self.node_mut(node)?.components.insert(name.clone(), component.into());
        self.places.put(id, node, name);
        Ok(())
    }

    pub(super) fn add_instance(&mut self, path: &InstancePath, instance: &Instance) -> Result<(), EditError> {
        let instance = instance.clone();
        match path {
            InstancePath::Channel(name) => {
                self.unused(name.as_str())?;
                self.channels.insert(name.clone(), Channel { instance }.into());
            }
            InstancePath::Group(name) => {
                self.unused(name.as_str())?;
                self.groups.insert(name.clone(), Group { instance }.into());
            }
            InstancePath::Node(_) | InstancePath::Component(..) => return Err(EditError::NotTopLevel(path.clone())),
        }
        Ok(())
    }

    /// Nodes, channels and groups share their names: a script names them without saying what they are.
    fn unused(&self, name: &str) -> Result<(), EditError> {
        match self.kind_of(name) {
            None => Ok(()),
            Some(kind) => Err(EditError::NameTaken { name: name.to_owned(), kind }),
        }
    }

    pub(super) fn move_component(
        &mut self,
        node: &NodeName,
        name: &ComponentName,
        to: &NodeName,
    ) -> Result<(), EditError> {
        let target = self.nodes.get(to).ok_or_else(|| EditError::NoNode(to.clone()))?;
        if node != to && target.components.contains_key(name) {
            return Err(EditError::ComponentTaken(to.clone(), name.clone()));
        }
        if node == to {
            return self
                .component(node, name)
                .map(drop)
                .ok_or_else(|| EditError::NoComponent(node.clone(), name.clone()));
        }
        let bindings: Vec<Binding> = self.bindings.of_component(node, name).cloned().collect();
        let component = self.take_component(node, name)?;
        self.places.put(component.id, to, name);
        self.node_mut(to)?.components.insert(name.clone(), component);
        for mut binding in bindings {
            binding.port.node = to.clone();
            self.bindings.insert(binding);
        }
        Ok(())
    }

    pub(super) fn host(&mut self, node: &NodeName, host: Option<&NodeName>) -> Result<(), EditError> {
        let mut above = host;
        // Bounded: a cycle that is there already is not walked for ever.
        for _ in 0..=self.nodes.len() {
            let Some(name) = above else { break };
            if name == node {
                let host = host.unwrap_or(node).clone();
                return Err(EditError::HostCycle { node: node.clone(), host });
            }
            above = self.nodes.get(name).ok_or_else(|| EditError::NoNode(name.clone()))?.host.as_ref();
        }
        if self.known_node(node)?.host.as_ref() != host {
            self.node_mut(node)?.host = host.cloned();
        }
        Ok(())
    }

    pub(super) fn retype(
        &mut self,
        path: &InstancePath,
        type_ref: &TypeRef,
        provided: &[PortName],
        required: &[PortName],
    ) -> Result<(), EditError> {
        if let InstancePath::Component(node, name) = path {
            let gone =
                |binding: &&Binding| !provided.contains(&binding.port.port) && !required.contains(&binding.port.port);
            if let Some(binding) = self.bindings.of_component(node, name).find(gone) {
                return Err(EditError::PortBound(binding.port.clone(), binding.channel.clone()));
            }
            let component = self.component_mut(node, name)?;
            component.provided = provided.iter().cloned().collect();
            component.required = required.iter().cloned().collect();
            one_direction(node, name, component)?;
        }
        self.instance_mut(path)?.type_ref = Some(type_ref.clone());
        Ok(())
    }

    pub(super) fn bind(&mut self, binding: &Binding) -> Result<(), EditError> {
        let Binding { port, channel } = binding;
        if !self.channels.contains_key(channel) {
            return Err(EditError::NoChannel(channel.clone()));
        }
        self.known_node(&port.node)?;
        let component = self
            .component(&port.node, &port.component)
            .ok_or_else(|| EditError::NoComponent(port.node.clone(), port.component.clone()))?;
        if !component.provided.contains(&port.port) && !component.required.contains(&port.port) {
            let there: Vec<&str> =
                component.provided.iter().chain(component.required.iter()).map(PortName::as_str).collect();
            let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
            return Err(EditError::NoPort { port: port.clone(), there });
        }
        self.bindings.insert(binding.clone());
        Ok(())
    }
}

/// A binding does not say whether its port sends or receives: the port has to.
fn one_direction(node: &NodeName, name: &ComponentName, component: &Component) -> Result<(), EditError> {
    match component.provided.iter().find(|port| component.required.contains(*port)) {
        None => Ok(()),
        Some(port) => Err(EditError::PortTwice { node: node.clone(), component: name.clone(), port: port.clone() }),
    }
}
