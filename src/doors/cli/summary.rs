//! What is in a model, as one JSON value that is easy to compare: see `enact script run -o summary`.

use serde_json::{Map, Value, json};

use crate::model::{Component, Dictionary, Instance, Model, Node};

/// Nodes with their components, groups, channels and bindings; lists sorted by name, paths as in Kevoree.
pub fn summary(model: &Model) -> Value {
    let groups = model.groups.iter().map(|(name, group)| {
        let attached = model.nodes.iter().filter(|(_, node)| node.groups.contains(name));
        let attached: Vec<&str> = attached.map(|(node, _)| node.as_str()).collect();
        let mut group = instance(name.as_str(), &group.instance, true);
        group["subNodes"] = json!(attached);
        group
    });
    let channels = model.channels.iter().map(|(name, channel)| instance(name.as_str(), &channel.instance, true));
    let bindings = model.bindings.iter().map(|binding| {
        let port = &binding.port;
        let component = model.component(&port.node, &port.component);
        let receives = component.is_some_and(|component| component.provided.contains(&port.port));
        let ports = if receives { "provided" } else { "required" };
        let path = format!("/nodes[{}]/components[{}]/{ports}[{}]", port.node, port.component, port.port);
        format!("{} <- {path}", binding.channel)
    });
    let mut bindings: Vec<String> = bindings.collect();
    bindings.sort();
    json!({
        "nodes": model.nodes.iter().map(|(name, found)| node(model, name.as_str(), found)).collect::<Vec<_>>(),
        "groups": groups.collect::<Vec<_>>(),
        "channels": channels.collect::<Vec<_>>(),
        "bindings": bindings,
    })
}

fn node(model: &Model, name: &str, node: &Node) -> Value {
    let units = model.definition(&node.instance).into_iter().flat_map(|definition| &definition.units);
    let mut units: Vec<String> = units
        .map(|id| {
            let platform = model.units.get(id).and_then(|unit| unit.platform()).unwrap_or_default().to_owned();
            format!("{platform}:{}:{}", id.name, id.version)
        })
        .collect();
    units.sort();
    let hosted = model.nodes.iter().filter(|(_, other)| other.host.as_ref().is_some_and(|host| host.as_str() == name));
    let hosted: Vec<&str> = hosted.map(|(hosted, _)| hosted.as_str()).collect();
    let networks = node.networks.iter().map(|(interface, values)| {
        let values = values.iter().map(|(key, value)| (key.to_string(), Value::from(&**value)));
        (interface.to_string(), Value::Object(values.collect()))
    });
    let components = node.components.iter().map(|(name, found)| component(name.as_str(), found));
    let mut value = instance(name, &node.instance, false);
    value["dus"] = json!(units);
    value["host"] = json!(node.host.as_ref().map(|host| host.as_str()));
    value["hosts"] = json!(hosted);
    value["groups"] = json!(node.groups.iter().map(|group| group.as_str()).collect::<Vec<_>>());
    value["network"] = Value::Object(networks.collect());
    value["components"] = Value::Array(components.collect());
    value
}

fn component(name: &str, component: &Component) -> Value {
    let ports = |ports: &imbl::OrdSet<_>| ports.iter().map(ToString::to_string).collect::<Vec<String>>();
    let mut value = instance(name, &component.instance, false);
    value["provided"] = json!(ports(&component.provided));
    value["required"] = json!(ports(&component.required));
    value
}

fn instance(name: &str, instance: &Instance, with_fragments: bool) -> Value {
    let mut value = json!({
        "name": name,
        "type": instance.type_ref.as_ref().map(ToString::to_string),
        "started": instance.started,
        "dictionary": instance.dictionary.as_ref().map(dictionary).unwrap_or_default(),
    });
    if with_fragments {
        let fragments = instance.fragments.iter();
        let fragments: Map<String, Value> =
            fragments.map(|(node, values)| (node.to_string(), Value::Object(dictionary(values)))).collect();
        value["fragments"] = Value::Object(fragments);
    }
    value
}

fn dictionary(dictionary: &Dictionary) -> Map<String, Value> {
    dictionary.iter().map(|(name, value)| (name.to_string(), Value::from(&**value))).collect()
}
