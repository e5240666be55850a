//! Applying edits to a model: all of a list, or none.

use super::{
    Binding, Channel, Component, Edit, EditError, Group, Instance, Model, Node, Scope, Shared, instance::Dictionary,
};
use crate::words::{
    ChannelName, ComponentName, GroupName, InstancePath, NodeName, PortName, PortPath, ScopeName, TypeRef, UnitRef,
};

impl Model {
    /// Applies edits in their order. What they leave alone stays shared with the model as it was.
    ///
    /// # Errors
    /// [`EditError`] of the first edit that cannot be applied; then the model is as it was before the call.
    pub fn apply(&mut self, edits: &[Edit]) -> Result<(), EditError> {
        let mut next = self.clone();
        for edit in edits {
            next.apply_one(edit)?;
        }
        debug_assert_eq!(next.places.len(), next.components().count(), "every component has its place");
        *self = next;
        Ok(())
    }

    fn apply_one(&mut self, edit: &Edit) -> Result<(), EditError> {
        match edit {
            Edit::AddNode { name, instance, host } => self.add_node(name, instance, host.as_ref()),
            Edit::AddComponent { node, name, id, instance, provided, required } => {
                let component = Component {
                    id: *id,
                    instance: instance.clone(),
                    provided: provided.iter().cloned().collect(),
                    required: required.iter().cloned().collect(),
                };
                self.add_component(node, name, component)
            }
            Edit::AddInstance { path, instance } => self.add_instance(path, instance),
            Edit::Remove { path } => self.remove(path),
            Edit::MoveComponent { node, name, to } => self.move_component(node, name, to),
            Edit::Host { node, host } => self.host(node, host.as_ref()),
            Edit::Retype { path, type_ref, provided, required } => self.retype(path, type_ref, provided, required),
            Edit::Attach { node, group } => {
                self.groups.get(group).ok_or_else(|| EditError::NoGroup(group.clone()))?;
                if !self.known_node(node)?.groups.contains(group) {
                    self.node_mut(node)?.groups.insert(group.clone());
                }
                Ok(())
            }
            Edit::Detach { node, group } => self.detach(node, group),
            Edit::Set { path, fragment, attribute, value } => {
                if let Some(node) = fragment {
                    self.known_node(node)?;
                }
                let there = self.instance(path).and_then(|instance| match fragment {
                    None => instance.dictionary.as_ref()?.value(attribute),
                    Some(node) => instance.fragments.get(node)?.value(attribute),
                });
                if there != Some(value) {
                    let instance = self.instance_mut(path)?;
                    let dictionary = match fragment {
                        None => instance.dictionary.get_or_insert_default(),
                        Some(node) => instance.fragments.entry(node.clone()).or_default(),
                    };
                    dictionary.set(attribute.clone(), value.clone());
                }
                Ok(())
            }
            Edit::Unset { path, fragment, attribute } => {
                let instance = self.instance_mut(path)?;
                match fragment {
                    None => instance.dictionary.as_mut().map(|dictionary| dictionary.unset(attribute)),
                    Some(node) => instance.fragments.get_mut(node).map(|dictionary| dictionary.unset(attribute)),
                };
                if let Some(node) = fragment
                    && instance.fragments.get(node).is_some_and(Dictionary::is_empty)
                {
                    instance.fragments.remove(node);
                }
                Ok(())
            }
            Edit::SetStarted { path, started } => {
                if self.instance(path).map(|instance| instance.started) != Some(*started) {
                    self.instance_mut(path)?.started = *started;
                }
                Ok(())
            }
            Edit::Bind(binding) => self.bind(binding),
            Edit::Unbind(binding) => {
                self.bindings.remove(binding);
                Ok(())
            }
            Edit::SetNetwork { node, interface, key, value } => {
                let networks = &mut self.node_mut(node)?.networks;
                match value {
                    Some(value) => {
                        networks.entry(interface.clone()).or_default().insert(key.clone(), value.clone());
                    }
                    None => {
                        networks.get_mut(interface).map(|values| values.remove(key));
                        if networks.get(interface).is_some_and(imbl::OrdMap::is_empty) {
                            networks.remove(interface);
                        }
                    }
                }
                Ok(())
            }
            Edit::SetProperty { node, property, value } => {
                let properties = &mut self.node_mut(node)?.properties;
                match value {
                    Some(value) => properties.insert(property.clone(), value.clone()),
                    None => properties.remove(property),
                };
                Ok(())
            }
            Edit::SetMetadata { path, key, value } => {
                let metadata = &mut self.instance_mut(path)?.metadata;
                match value {
                    Some(value) => metadata.insert(key.clone(), value.clone()),
                    None => metadata.remove(key),
                };
                Ok(())
            }
            Edit::AddType(definition) => {
                if self.types.get(&definition.id).is_none_or(|there| **there != **definition) {
                    self.types.insert(definition.id.clone(), definition.clone().into());
                }
                Ok(())
            }
            Edit::RemoveType(id) => self.remove_type(id),
            Edit::AddUnit(unit) => {
                if self.units.get(&unit.id).is_none_or(|there| **there != **unit) {
                    self.units.insert(unit.id.clone(), unit.clone().into());
                }
                Ok(())
            }
            Edit::RemoveUnit(id) => self.remove_unit(id),
            Edit::AddScope(scope) => {
                self.scopes.entry(scope.clone()).or_insert_with(|| Scope::default().into());
                Ok(())
            }
            Edit::RemoveScope(scope) => {
                self.scopes.remove(scope).map(drop).ok_or_else(|| EditError::NoScope(scope.clone()))
            }
            Edit::Enter { node, scope } => {
                self.known_node(node)?;
                self.scope_mut(scope)?.members.insert(node.clone());
                Ok(())
            }
            Edit::Leave { node, scope } => {
                self.scope_mut(scope)?.members.remove(node);
                Ok(())
            }
            Edit::SetRepository { url, listed } => {
                if *listed {
                    self.repositories.insert(url.clone());
                } else {
                    self.repositories.remove(url);
                }
                Ok(())
            }
        }
    }

    fn add_node(&mut self, name: &NodeName, instance: &Instance, host: Option<&NodeName>) -> Result<(), EditError> {
        self.unused(name.as_str())?;
        if let Some(host) = host {
            self.known_node(host)?;
        }
        let node = Node { instance: instance.clone(), host: host.cloned(), ..Node::default() };
        self.nodes.insert(name.clone(), node.into());
        Ok(())
    }

    fn add_component(&mut self, node: &NodeName, name: &ComponentName, component: Component) -> Result<(), EditError> {
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

    fn add_instance(&mut self, path: &InstancePath, instance: &Instance) -> Result<(), EditError> {
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

    fn remove(&mut self, path: &InstancePath) -> Result<(), EditError> {
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
    fn take_component(&mut self, node: &NodeName, name: &ComponentName) -> Result<Shared<Component>, EditError> {
        let no_component = || EditError::NoComponent(node.clone(), name.clone());
        self.component(node, name).ok_or_else(no_component)?;
        let component = self.node_mut(node)?.components.remove(name).ok_or_else(no_component)?;
        self.unbind_component(node, name);
        self.places.remove(component.id);
        Ok(component)
    }

    /// Takes all bindings of a component; what they were comes back.
    pub(super) fn unbind_component(&mut self, node: &NodeName, name: &ComponentName) -> Vec<Binding> {
        let bindings: Vec<Binding> = self.bindings.of_component(node, name).cloned().collect();
        for binding in &bindings {
            self.bindings.remove(binding);
        }
        bindings
    }

    fn move_component(&mut self, node: &NodeName, name: &ComponentName, to: &NodeName) -> Result<(), EditError> {
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

    fn host(&mut self, node: &NodeName, host: Option<&NodeName>) -> Result<(), EditError> {
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

    fn retype(
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

    fn detach(&mut self, node: &NodeName, group: &GroupName) -> Result<(), EditError> {
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

    fn bind(&mut self, binding: &Binding) -> Result<(), EditError> {
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

    fn remove_type(&mut self, id: &TypeRef) -> Result<(), EditError> {
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

    fn remove_unit(&mut self, id: &UnitRef) -> Result<(), EditError> {
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

    /// Looks without touching: what is only looked at stays shared.
    fn known_node(&self, name: &NodeName) -> Result<&Shared<Node>, EditError> {
        self.nodes.get(name).ok_or_else(|| EditError::NoNode(name.clone()))
    }

    fn node_mut(&mut self, name: &NodeName) -> Result<&mut Node, EditError> {
        self.nodes.get_mut(name).map(Shared::to_mut).ok_or_else(|| EditError::NoNode(name.clone()))
    }

    fn component_mut(&mut self, node: &NodeName, name: &ComponentName) -> Result<&mut Component, EditError> {
        let component = self.node_mut(node)?.components.get_mut(name);
        component.map(Shared::to_mut).ok_or_else(|| EditError::NoComponent(node.clone(), name.clone()))
    }

    fn group_mut(&mut self, name: &GroupName) -> Result<&mut Group, EditError> {
        self.groups.get_mut(name).map(Shared::to_mut).ok_or_else(|| EditError::NoGroup(name.clone()))
    }

    fn channel_mut(&mut self, name: &ChannelName) -> Result<&mut Channel, EditError> {
        self.channels.get_mut(name).map(Shared::to_mut).ok_or_else(|| EditError::NoChannel(name.clone()))
    }

    fn scope_mut(&mut self, name: &ScopeName) -> Result<&mut Scope, EditError> {
        self.scopes.get_mut(name).map(Shared::to_mut).ok_or_else(|| EditError::NoScope(name.clone()))
    }

    fn instance_mut(&mut self, path: &InstancePath) -> Result<&mut Instance, EditError> {
        Ok(match path {
            InstancePath::Node(name) => &mut self.node_mut(name)?.instance,
            InstancePath::Component(node, name) => &mut self.component_mut(node, name)?.instance,
            InstancePath::Channel(name) => &mut self.channel_mut(name)?.instance,
            InstancePath::Group(name) => &mut self.group_mut(name)?.instance,
        })
    }
}

/// A binding does not say whether its port sends or receives: the port has to.
fn one_direction(node: &NodeName, name: &ComponentName, component: &Component) -> Result<(), EditError> {
    match component.provided.iter().find(|port| component.required.contains(*port)) {
        None => Ok(()),
        Some(port) => Err(EditError::PortTwice { node: node.clone(), component: name.clone(), port: port.clone() }),
    }
}
