//! Models in the making: edits upon what a node has booted with.

use std::sync::Arc;

use anyhow::{Context, Result};
use enact::{
    model::{Binding, ComponentId, Edit, Instance, Kind, Model, TypeDefinition},
    words::{ChannelName, ComponentName, InstancePath, NodeName, PortPath},
};

/// A model that grows by edits, all of which are applied at the end.
pub(crate) struct Draft {
    base: Model,
    edits: Vec<Edit>,
    salt: u64,
}

impl Draft {
    /// A draft upon a model. Components of drafts with another salt are other components.
    pub(crate) fn of(base: Model, salt: u64) -> Draft {
        Draft { base, edits: Vec::new(), salt }
    }

    fn definition(&self, kind: Kind, type_name: &str) -> Result<&TypeDefinition> {
        let mut all =
            self.base.types.values().filter(|found| found.kind == kind && found.id.name.as_str() == type_name);
        all.next().map(|found| &**found).with_context(|| format!("the node brings no {kind} type {type_name}"))
    }

    /// Adds a started component; values that are not given are the defaults.
    pub(crate) fn component(
        &mut self,
        node: &NodeName,
        name: &str,
        type_name: &str,
        values: &[(&str, &str)],
    ) -> Result<()> {
        let name = ComponentName::parse(name)?;
        let id = ComponentId::born(self.salt, &InstancePath::Component(node.clone(), name.clone()), 0);
        let definition = self.definition(Kind::Component, type_name)?;
        let instance = instance(definition, values)?;
        let ports = |ports: &[enact::model::PortDefinition]| ports.iter().map(|port| port.name.clone()).collect();
        let (provided, required) = (ports(&definition.provided), ports(&definition.required));
        self.edits.push(Edit::AddComponent { node: node.clone(), name, id, instance, provided, required });
        Ok(())
    }

    /// Adds a device with a value of each of its three attributes.
    pub(crate) fn device(&mut self, node: &NodeName, nth: u64, label: &str) -> Result<()> {
        self.component(node, &Draft::device_name(nth), "Device", &[("label", label)])
    }

    /// What a device is called.
    pub(crate) fn device_name(nth: u64) -> String {
        format!("device{nth}")
    }

    /// Adds a started channel.
    pub(crate) fn channel(&mut self, name: &str, type_name: &str) -> Result<()> {
        let instance = instance(self.definition(Kind::Channel, type_name)?, &[])?;
        self.edits.push(Edit::AddInstance { path: InstancePath::Channel(ChannelName::parse(name)?), instance });
        Ok(())
    }

    /// Hangs a port of a component on a channel.
    pub(crate) fn bind(&mut self, node: &NodeName, component: &str, port: &str, channel: &str) -> Result<()> {
        let port = PortPath { node: node.clone(), component: component.parse()?, port: port.parse()? };
        self.edits.push(Edit::Bind(Binding { port, channel: channel.parse()? }));
        Ok(())
    }

    /// The model.
    pub(crate) fn done(self) -> Result<Model> {
        let mut model = self.base;
        model.apply(&self.edits)?;
        Ok(model)
    }
}

fn instance(definition: &TypeDefinition, values: &[(&str, &str)]) -> Result<Instance> {
    let mut instance = Instance::of(definition.id.clone());
    let dictionary = instance.dictionary.get_or_insert_default();
    for attribute in definition.attributes.iter().flatten() {
        if let Some(default) = &attribute.default {
            dictionary.set(attribute.name.clone(), default.clone());
        }
    }
    for (name, value) in values {
        dictionary.set(name.parse()?, Arc::from(*value));
    }
    Ok(instance)
}
