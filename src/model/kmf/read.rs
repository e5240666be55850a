//! Whole models of Kevoree's, read.

use imbl::{OrdMap, OrdSet};
use serde_json::Value;

use super::{
    DICTIONARY_ID, Error, FILE_MAX_BYTES, ODD_DICTIONARY_ID,
    object::Object,
    path,
    types::{TYPE_CLASSES, TYPE_SCALARS, UNIT_SCALARS, deploy_unit, type_definition},
};
use crate::{
    model::{Binding, Channel, Component, ComponentId, Dictionary, Group, Instance, Model, Node, Scope, Shared},
    words::{AttributeName, ComponentName, InstancePath, Namespace, NodeName, PortName, ScopeName},
};

/// The identity of a component, where it is not the one that follows from its path.
pub(super) const COMPONENT_ID: &str = "enact.id";

/// What a property of a node begins with in its `metaData`.
pub(super) const PROPERTY: &str = "enact.property.";

/// The virtual type that carries what belongs to the whole model.
pub(super) const EXTRAS_TYPE: (&str, &str, &str) = ("enact", "ModelExtras", "1");

/// What a scope begins with in the metadata of [`EXTRAS_TYPE`]; the value lists the members.
pub(super) const SCOPE: &str = "enact.scope.";

const INSTANCE: &[&str] = &["name", "started"];

/// Reads a model.
///
/// # Errors
/// [`Error`] says what is not Kevoree's format or dangles, and where.
pub fn read(text: &str) -> Result<Model, Error> {
    if text.len() > FILE_MAX_BYTES {
        return Err(Error::TooLarge(text.len()));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| Error::Json(error.to_string()))?;
    let root = Object::open(&value, None, "", &["ContainerRoot"], &[])?;
    let mut model = Model::default();
    for package in root.objects("packages", &["Package"], &["name"]) {
        read_package(&package?, None, &mut model)?;
    }
    read_extras(&mut model)?;
    for node in root.objects("nodes", &["ContainerNode"], INSTANCE) {
        read_node(&node?, &mut model)?;
    }
    for group in root.objects("groups", &["Group"], INSTANCE) {
        let group = group?;
        let instance = read_instance(&group)?;
        insert_once(&group, &mut model.groups, group.name()?, Group { instance })?;
    }
    for channel in root.objects("hubs", &["Channel"], INSTANCE) {
        let channel = channel?;
        let instance = read_instance(&channel)?;
        insert_once(&channel, &mut model.channels, channel.name()?, Channel { instance })?;
    }
    for repository in root.objects("repositories", &["Repository"], &["url"]) {
        model.repositories.insert(repository?.required("url")?.into());
    }
    read_opposites(&root, &mut model)?;
    read_bindings(&root, &mut model)?;
    resolve(&model)?;
    let model = model.indexed();
    if let Some((place, id)) = model.identity_used_twice() {
        return Err(Error::format(place, format!("the identity {id} is another component's")));
    }
    Ok(model)
}

fn read_package(package: &Object<'_>, parent: Option<&Namespace>, model: &mut Model) -> Result<(), Error> {
    let name = package.required("name")?;
    let full = parent.map_or_else(|| name.to_owned(), |parent| format!("{parent}.{name}"));
    let namespace = Namespace::parse(&full).map_err(|source| Error::name(package, source))?;
    for unit in package.objects("deployUnits", &["DeployUnit"], UNIT_SCALARS) {
        let object = unit?;
        let unit = deploy_unit(&object, &namespace)?;
        insert_once(&object, &mut model.units, unit.id.clone(), unit)?;
    }
    for definition in package.objects("typeDefinitions", TYPE_CLASSES, TYPE_SCALARS) {
        let object = definition?;
        let definition = type_definition(&object, &namespace)?;
        insert_once(&object, &mut model.types, definition.id.clone(), definition)?;
    }
    for inner in package.objects("packages", &["Package"], &["name"]) {
        read_package(&inner?, Some(&namespace), model)?;
    }
    Ok(())
}

/// Takes the scopes out of the virtual type that carries them.
fn read_extras(model: &mut Model) -> Result<(), Error> {
    let (namespace, name, version) = EXTRAS_TYPE;
    let found = model
        .types
        .iter()
        .find(|(id, _)| id.namespace.as_str() == namespace && id.name.as_str() == name && &*id.version == version);
    let Some((id, extras)) = found.map(|(id, extras)| (id.clone(), extras.clone())) else { return Ok(()) };
    for (key, value) in &extras.metadata {
        let Some(scope) = key.strip_prefix(SCOPE) else { continue };
        let scope = ScopeName::parse(scope).map_err(|source| Error::name(&id, source))?;
        let members = value.split(',').filter(|member| !member.is_empty()).map(NodeName::parse);
        let members = members.collect::<Result<_, _>>().map_err(|source| Error::name(&id, source))?;
        model.scopes.insert(scope, Shared::new(Scope { members }));
    }
    model.types.remove(&id);
    Ok(())
}

fn read_node(object: &Object<'_>, model: &mut Model) -> Result<(), Error> {
    let name: NodeName = object.name()?;
    let mut instance = read_instance(object)?;
    let mut properties = OrdMap::new();
    for (key, value) in instance.metadata.clone() {
        let Some(property) = key.strip_prefix(PROPERTY) else { continue };
        let property = AttributeName::parse(property).map_err(|source| Error::name(object, source))?;
        properties.insert(property, value);
        instance.metadata.remove(&key);
    }
    let mut components = OrdMap::new();
    for component in object.objects("components", &["ComponentInstance"], INSTANCE) {
        let component = component?;
        let read = read_component(&component, &name)?;
        insert_once(&component, &mut components, component.name()?, read)?;
    }
    let mut networks = OrdMap::new();
    for network in object.objects("networkInformation", &["NetworkInfo"], &["name"]) {
        let network = network?;
        networks.insert(network.required("name")?.into(), network.values("values")?);
    }
    let host = match object.reference("host")? {
        Some(text) => Some(path::node(text).ok_or_else(|| Error::unresolved(object, text))?),
        None => None,
    };
    let mut node = Node { instance, components, host, networks, properties, ..Node::default() };
    for text in object.references("groups")? {
        node.groups.insert(path::group(text).ok_or_else(|| Error::unresolved(object, text))?);
    }
    insert_once(object, &mut model.nodes, name, node)
}

fn read_component(object: &Object<'_>, node: &NodeName) -> Result<Component, Error> {
    let mut instance = read_instance(object)?;
    let id = match instance.metadata.remove(COMPONENT_ID) {
        Some(text) => u64::from_str_radix(&text, 16)
            .map(ComponentId)
            .map_err(|_| Error::format(object, format!("\"{text}\" is no identity")))?,
        None => ComponentId::born(0, &InstancePath::Component(node.clone(), object.name::<ComponentName>()?), 0),
    };
    let ports = |relation| -> Result<OrdSet<PortName>, Error> {
        object.objects(relation, &["Port"], &["name"]).map(|port| port?.name::<PortName>()).collect()
    };
    let (provided, required) = (ports("provided")?, ports("required")?);
    match provided.iter().find(|port| required.contains(*port)) {
        None => Ok(Component { id, instance, provided, required }),
        Some(port) => Err(Error::format(object, format!("port \"{port}\" cannot both send and receive"))),
    }
}

fn read_instance(object: &Object<'_>) -> Result<Instance, Error> {
    let mut metadata = object.values("metaData")?;
    let type_ref = match object.reference("typeDefinition")? {
        Some(text) => Some(path::type_ref(text).ok_or_else(|| Error::unresolved(object, text))?),
        None => None,
    };
    let dictionary = match object.object("dictionary", "Dictionary", &[])? {
        Some(dictionary) => {
            let id = dictionary.text("generated_KMF_ID").unwrap_or_default();
            if id != DICTIONARY_ID {
                metadata.insert(ODD_DICTIONARY_ID.into(), id.into());
            }
            Some(read_dictionary(&dictionary)?)
        }
        None => None,
    };
    let mut fragments = OrdMap::new();
    for fragment in object.objects("fragmentDictionary", &["FragmentDictionary"], &["name"]) {
        let fragment = fragment?;
        fragments.insert(fragment.name()?, read_dictionary(&fragment)?);
    }
    Ok(Instance { type_ref, started: object.flag("started")?, dictionary, fragments, metadata })
}

fn read_dictionary(object: &Object<'_>) -> Result<Dictionary, Error> {
    object
        .objects("values", &["Value"], &["name", "value"])
        .map(|value| {
            let value = value?;
            Ok((value.name()?, value.text("value").unwrap_or_default().into()))
        })
        .collect()
}

/// Takes what is written on the other side of a reference: either side alone counts, as in Kevoree.
fn read_opposites(root: &Object<'_>, model: &mut Model) -> Result<(), Error> {
    for group in root.objects("groups", &["Group"], INSTANCE) {
        let group = group?;
        for text in group.references("subNodes")? {
            let node = path::node(text).and_then(|name| model.nodes.get_mut(&name));
            node.ok_or_else(|| Error::unresolved(&group, text))?.to_mut().groups.insert(group.name()?);
        }
    }
    for host in root.objects("nodes", &["ContainerNode"], INSTANCE) {
        let host = host?;
        for text in host.references("hosts")? {
            let node = path::node(text).and_then(|name| model.nodes.get_mut(&name));
            node.ok_or_else(|| Error::unresolved(&host, text))?.to_mut().host = Some(host.name()?);
        }
    }
    Ok(())
}

fn read_bindings(root: &Object<'_>, model: &mut Model) -> Result<(), Error> {
    for object in root.objects("mBindings", &["MBinding"], &[]) {
        let object = object?;
        let (Some(port), Some(hub)) = (object.reference("port")?, object.reference("hub")?) else {
            return Err(Error::format(&object, "a binding has a port and a hub"));
        };
        let channel = path::channel(hub).filter(|name| model.channels.contains_key(name));
        let channel = channel.ok_or_else(|| Error::unresolved(&object, hub))?;
        let port_path = path::port(port).filter(|path| {
            let component = model.component(&path.node, &path.component);
            component.is_some_and(|c| c.provided.contains(&path.port) || c.required.contains(&path.port))
        });
        let port = port_path.ok_or_else(|| Error::unresolved(&object, port))?;
        model.bindings.insert(Binding { port, channel });
    }
    Ok(())
}

/// Refuses references that lead nowhere, as Kevoree's loader does.
fn resolve(model: &Model) -> Result<(), Error> {
    let check_type = |place: &dyn std::fmt::Display, instance: &Instance| match &instance.type_ref {
        Some(id) if !model.types.contains_key(id) => Err(Error::unresolved(place, &id.to_string())),
        _ => Ok(()),
    };
    for (name, node) in &model.nodes {
        check_type(name, &node.instance)?;
        for (component, found) in &node.components {
            check_type(&format!("{name}.{component}"), &found.instance)?;
        }
        if let Some(host) = node.host.as_ref().filter(|host| !model.nodes.contains_key(*host)) {
            return Err(Error::unresolved(name, host.as_str()));
        }
        if let Some(group) = node.groups.iter().find(|group| !model.groups.contains_key(*group)) {
            return Err(Error::unresolved(name, group.as_str()));
        }
    }
    for (name, group) in &model.groups {
        check_type(name, &group.instance)?;
    }
    for (name, channel) in &model.channels {
        check_type(name, &channel.instance)?;
    }
    for (id, definition) in &model.types {
        if let Some(unit) = definition.units.iter().find(|unit| !model.units.contains_key(*unit)) {
            return Err(Error::unresolved(id, &format!("{}/{}", unit.name, unit.version)));
        }
        if let Some(other) = definition.super_types.iter().find(|other| !model.types.contains_key(*other)) {
            return Err(Error::unresolved(id, &other.to_string()));
        }
    }
    for (id, unit) in &model.units {
        if let Some(other) = unit.requires.iter().find(|other| !model.units.contains_key(*other)) {
            return Err(Error::unresolved(&id.name, &format!("{}/{}", other.name, other.version)));
        }
    }
    Ok(())
}

fn insert_once<K: Ord + Clone, V: Clone>(
    object: &Object<'_>,
    all: &mut OrdMap<K, Shared<V>>,
    name: K,
    value: V,
) -> Result<(), Error> {
    match all.insert(name, Shared::new(value)) {
        None => Ok(()),
        Some(_) => Err(Error::format(object, "this name is used twice")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_kevorees_format_is_refused_with_its_place() {
        let cases = [
            ("{}", "\"class\" must be first"),
            ("[", "not JSON"),
            (
                r#"{"class": "root:org.kevoree.ContainerRoot@0", "nodes": [{"name": "n", "class": "org.kevoree.ContainerNode@n"}]}"#,
                "/nodes: \"class\"",
            ),
            (
                r#"{"class": "org.kevoree.ContainerRoot", "nodes": [{"class": "org.kevoree.ContainerNode@n", "name": "n", "started": true}]}"#,
                "/nodes[n]: \"started\" must be a text",
            ),
            (
                r#"{"class": "org.kevoree.ContainerRoot", "nodes": [{"class": "org.kevoree.ContainerNode@n", "name": "n", "colour": "red"}]}"#,
                "\"colour\"",
            ),
            (
                r#"{"class": "org.kevoree.ContainerRoot", "nodes": [{"class": "org.kevoree.ContainerNode@n", "name": "n", "groups": ["/groups[g]"]}]}"#,
                "refers to \"g\"",
            ),
            (
                r#"{"class": "org.kevoree.ContainerRoot", "mBindings": [{"class": "org.kevoree.MBinding@1", "port": [], "hub": []}]}"#,
                "a binding has a port and a hub",
            ),
            (
                r#"{"class": "org.kevoree.ContainerRoot", "packages": [{"class": "org.kevoree.Package@p", "name": "p", "typeDefinitions": [
                    {"class": "org.kevoree.GroupType@g", "name": "G", "version": "1", "provided": [{"class": "org.kevoree.PortTypeRef@in", "name": "in"}]}]}]}"#,
                "only component types have ports",
            ),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn an_array_that_nobody_knows_is_ignored() {
        let model = read(r#"{"class": "org.kevoree.ContainerRoot", "dreams": [{"of": "sheep"}]}"#).unwrap();
        assert_eq!(model, Model::default());
    }
}
