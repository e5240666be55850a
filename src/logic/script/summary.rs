//! A model in short, as tools and tests compare it: what is there, of which type, with which values and bindings.

use serde_json::{Map, Value, json};

use crate::{
    model::{Component, Dictionary, Instance, Model, Node},
    words::{GroupName, NodeName},
};

/// The summary of a model as JSON; all lists in order of name.
pub fn summary(model: &Model) -> Value {
    json!({
        "nodes": model.nodes.iter().map(|(name, node)| node_summary(model, name, node)).collect::<Vec<_>>(),
        "groups": model.groups.iter().map(|(name, group)| group_summary(model, name, &group.instance)).collect::<Vec<_>>(),
        "channels": model.channels.iter().map(|(name, channel)| json!({
            "name": name.as_str(),
            "type": type_of(&channel.instance),
            "started": channel.instance.started,
            "dictionary": dictionary(&channel.instance),
            "fragments": fragments(&channel.instance),
        })).collect::<Vec<_>>(),
        "bindings": bindings(model),
    })
}

fn node_summary(model: &Model, name: &NodeName, node: &Node) -> Value {
    let mut all = json!({
        "name": name.as_str(),
        "type": type_of(&node.instance),
        "dus": units(model, &node.instance),
        "started": node.instance.started,
        "host": node.host.as_ref().map(NodeName::as_str),
        "hosts": model.hosted_by(name).map(NodeName::as_str).collect::<Vec<_>>(),
        "groups": node.groups.iter().map(GroupName::as_str).collect::<Vec<_>>(),
        "dictionary": dictionary(&node.instance),
        "network": node.networks.iter().map(|(interface, values)| {
            (interface.to_string(), Value::from(values.iter().map(|(key, value)| (key.to_string(), json!(&**value))).collect::<Map<_, _>>()))
        }).collect::<Map<_, _>>(),
        "components": node.components.iter().map(|(name, component)| component_summary(name.as_str(), component)).collect::<Vec<_>>(),
    });
    if !node.properties.is_empty() {
        let properties = node.properties.iter().map(|(key, value)| (key.to_string(), json!(&**value)));
        all["properties"] = properties.collect::<Map<_, _>>().into();
    }
    all
}

fn component_summary(name: &str, component: &Component) -> Value {
    json!({
        "name": name,
        "type": type_of(&component.instance),
        "started": component.instance.started,
        "dictionary": dictionary(&component.instance),
        "provided": component.provided.iter().map(|port| port.as_str()).collect::<Vec<_>>(),
        "required": component.required.iter().map(|port| port.as_str()).collect::<Vec<_>>(),
    })
}

fn group_summary(model: &Model, name: &GroupName, instance: &Instance) -> Value {
    let attached = model.nodes.iter().filter(|(_, node)| node.groups.contains(name));
    json!({
        "name": name.as_str(),
        "type": type_of(instance),
        "started": instance.started,
        "subNodes": attached.map(|(node, _)| node.as_str()).collect::<Vec<_>>(),
        "dictionary": dictionary(instance),
        "fragments": fragments(instance),
    })
}

fn type_of(instance: &Instance) -> Option<String> {
    instance.type_ref.as_ref().map(ToString::to_string)
}

/// The units of an instance's type: `platform:name:version`.
fn units(model: &Model, instance: &Instance) -> Vec<String> {
    let definition = model.definition(instance);
    let units = definition.into_iter().flat_map(|definition| definition.units.iter());
    let label = |unit: &crate::words::UnitRef| {
        let platform = model.units.get(unit).and_then(|unit| unit.platform()).unwrap_or_default();
        format!("{platform}:{}:{}", unit.name, unit.version)
    };
    let mut labels: Vec<String> = units.map(label).collect();
    labels.sort();
    labels
}

fn values(dictionary: &Dictionary) -> Map<String, Value> {
    dictionary.iter().map(|(name, value)| (name.to_string(), json!(&**value))).collect()
}

fn dictionary(instance: &Instance) -> Map<String, Value> {
    instance.dictionary.as_ref().map(values).unwrap_or_default()
}

fn fragments(instance: &Instance) -> Map<String, Value> {
    instance.fragments.iter().map(|(node, fragment)| (node.to_string(), values(fragment).into())).collect()
}

fn bindings(model: &Model) -> Vec<String> {
    let mut all: Vec<String> = Vec::with_capacity(model.bindings.len());
    for binding in model.bindings.iter() {
        let port = &binding.port;
        let sends =
            model.component(&port.node, &port.component).is_some_and(|found| found.required.contains(&port.port));
        let side = if sends { "required" } else { "provided" };
        all.push(format!(
            "{} <- /nodes[{}]/components[{}]/{side}[{}]",
            binding.channel, port.node, port.component, port.port
        ));
    }
    all.sort();
    all
}
