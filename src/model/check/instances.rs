//! What can be wrong with nodes, components, channels and groups.

use super::{Faults, Place, What, hosts_itself};
use crate::{
    model::{Attribute, Dictionary, Instance, Kind, Model, TypeDefinition, Unfit, kmf::ODD_DICTIONARY_ID},
    words::{ComponentName, InstancePath, NodeName, PortName},
};

/// What can be wrong with an instance of any kind.
pub(super) fn instance(model: &Model, path: &InstancePath, instance: &Instance, faults: &mut Faults) {
    let place = || Place::Instance(path.clone());
    let (kind, name) = match path {
        InstancePath::Node(name) => (Kind::Node, Some(name.as_str())),
        InstancePath::Component(..) => (Kind::Component, None),
        InstancePath::Channel(name) => (Kind::Channel, Some(name.as_str())),
        InstancePath::Group(name) => (Kind::Group, Some(name.as_str())),
    };
    if let Some(other) = name.and_then(|name| model.kind_of(name)).filter(|other| *other != kind) {
        faults.add(place(), What::NameShared { kind: other });
    }
    if let Some(id) = instance.metadata.get(ODD_DICTIONARY_ID) {
        faults.add(place(), What::OddDictionaryId { id: id.to_string() });
    }
    for node in instance.fragments.keys().filter(|node| !model.nodes.contains_key(*node)) {
        faults.add(place(), What::UnknownFragment { node: node.clone() });
    }
    let Some(type_ref) = instance.type_ref.clone() else { return faults.add(place(), What::NoType {}) };
    let Some(definition) = model.types.get(&type_ref) else {
        return faults.add(place(), What::UnknownType { type_ref });
    };
    if definition.kind != kind {
        faults.add(place(), What::WrongKind { type_ref: type_ref.clone(), kind: definition.kind });
    }
    if definition.is_abstract {
        faults.add(place(), What::AbstractType { type_ref });
    }
    values(path, instance, definition, faults);
}

fn values(path: &InstancePath, instance: &Instance, definition: &TypeDefinition, faults: &mut Faults) {
    let place = || Place::Instance(path.clone());
    let Some(attributes) = &definition.attributes else { return };
    if instance.dictionary.is_none() && attributes.iter().any(|attribute| !attribute.fragment) {
        faults.add(place(), What::MissingDictionary {});
    }
    for attribute in attributes {
        let name = &attribute.name;
        if attribute.fragment {
            for (node, dictionary) in &instance.fragments {
                match value_fault(attribute, dictionary) {
                    Some(None) => {
                        let (attribute, node) = (name.clone(), node.clone());
                        faults.add(place(), What::MissingFragmentAttribute { attribute, node });
                    }
                    Some(Some(unfit)) => {
                        let (attribute, node) = (name.clone(), node.clone());
                        faults.add(place(), What::UnfitFragmentValue { attribute, node, unfit });
                    }
                    None => {}
                }
            }
        } else if let Some(dictionary) = &instance.dictionary {
            match value_fault(attribute, dictionary) {
                Some(None) => faults.add(place(), What::MissingAttribute { attribute: name.clone() }),
                Some(Some(unfit)) => faults.add(place(), What::UnfitValue { attribute: name.clone(), unfit }),
                None => {}
            }
        }
    }
    let fragments = instance.fragments.values().map(|dictionary| (true, dictionary));
    for (in_fragment, dictionary) in instance.dictionary.iter().map(|dictionary| (false, dictionary)).chain(fragments) {
        for (name, _) in dictionary.iter() {
            let attribute = name.clone();
            match attributes.iter().find(|attribute| attribute.name == *name) {
                None => {
                    let there: Vec<&str> = attributes.iter().map(|attribute| attribute.name.as_str()).collect();
                    let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
                    faults.add(place(), What::UnknownAttribute { attribute, there });
                }
                Some(defined) if defined.fragment && !in_fragment => {
                    let belongs = "has a value for each node, not one for all";
                    faults.add(place(), What::WrongFragment { attribute, belongs });
                }
                Some(defined) if !defined.fragment && in_fragment => {
                    let belongs = "has one value for all nodes, not one for each";
                    faults.add(place(), What::WrongFragment { attribute, belongs });
                }
                Some(_) => {}
            }
        }
    }
}

/// `Some(None)` when the value is missing. A default stands in for it; an optional attribute may be empty.
fn value_fault(attribute: &Attribute, dictionary: &Dictionary) -> Option<Option<Unfit>> {
    match dictionary.value(&attribute.name) {
        None if attribute.default.as_ref().is_some_and(|default| !default.is_empty()) => None,
        None => Some(None),
        Some(value) if value.is_empty() && attribute.optional => None,
        Some(value) => attribute.accepts(value).err().map(Some),
    }
}

/// What can be wrong with a node beyond its instance.
pub(super) fn node(model: &Model, name: &NodeName, faults: &mut Faults) {
    let place = || Place::Instance(InstancePath::Node(name.clone()));
    let Some(node) = model.nodes.get(name) else { return };
    if let Some(host) = node.host.as_ref().filter(|host| !model.nodes.contains_key(*host)) {
        faults.add(place(), What::UnknownHost { host: host.clone() });
    } else if hosts_itself(model, name) {
        faults.add(place(), What::HostCycle {});
    }
    for group in node.groups.iter().filter(|group| !model.groups.contains_key(*group)) {
        faults.add(place(), What::UnknownGroup { group: group.clone() });
    }
}

/// What can be wrong with the ports of a component.
pub(super) fn ports(model: &Model, node: &NodeName, name: &ComponentName, faults: &mut Faults) {
    let place = || Place::Instance(InstancePath::Component(node.clone(), name.clone()));
    let Some(component) = model.component(node, name) else { return };
    let Some(definition) = model.definition(&component.instance) else { return };
    for (there, defined) in [(&component.provided, &definition.provided), (&component.required, &definition.required)] {
        for port in there.iter().filter(|port| !defined.iter().any(|defined| defined.name == **port)) {
            faults.add(place(), What::UnknownPort { port: port.clone() });
        }
        for defined in defined {
            let port = defined.name.clone();
            if !there.contains(&port) {
                faults.add(place(), What::MissingPort { port });
            } else if !defined.optional && is_unbound(model, node, name, &port) {
                faults.add(place(), What::UnboundPort { port });
            }
        }
    }
}

fn is_unbound(model: &Model, node: &NodeName, component: &ComponentName, port: &PortName) -> bool {
    !model.bindings.of_component(node, component).any(|binding| binding.port.port == *port)
}
