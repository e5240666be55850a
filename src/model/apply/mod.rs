//! Applying edits to a model: all of a list, or none.

mod put;
mod remove;

use super::{Channel, Component, Edit, EditError, Group, Instance, Model, Node, Scope, Shared, instance::Dictionary};
use crate::words::{ChannelName, ComponentName, GroupName, InstancePath, NodeName, ScopeName};

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
