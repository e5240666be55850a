//! Models as Kevoree's serialiser writes them, so that real Kevoree loads them.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use imbl::OrdMap;

use super::{
    DICTIONARY_ID, ODD_DICTIONARY_ID,
    out::Out,
    path::{PathOf, binding_id},
    read::{COMPONENT_ID, EXTRAS_TYPE, PROPERTY, SCOPE},
    write_types::{write_type, write_unit},
};
use crate::{
    model::{Binding, Component, ComponentId, DeployUnit, Dictionary, Instance, Model, Node, TypeDefinition},
    words::{ComponentName, GroupName, InstancePath, NodeName, PortName},
};

/// The id of the root. Kevoree draws one at random for each file; it means nothing.
const ROOT_ID: &str = "0.0";

/// Writes a model. Reading it again gives the same model.
pub fn write(model: &Model) -> String {
    let mut out = Out::new();
    let opposites = Opposites::of(model);
    out.open(true, "ContainerRoot", ROOT_ID);
    out.attribute("generated_KMF_ID", ROOT_ID);
    out.objects("nodes", &model.nodes, |out, (name, node)| write_node(out, model, &opposites, name, node));
    out.objects("repositories", &model.repositories, |out, url| {
        out.open(false, "Repository", url);
        out.attribute("url", url);
        out.close();
    });
    out.objects("hubs", &model.channels, |out, (name, channel)| {
        open_instance(out, "Channel", name.as_str(), &channel.instance);
        let bindings = model.bindings.of_channel(name);
        let bindings = bindings.map(|port| Binding { port: port.clone(), channel: name.clone() });
        out.references("bindings", bindings.filter_map(|binding| reference(model, &binding)));
        close_instance(out, &channel.instance, []);
        out.close();
    });
    let bindings = model.bindings.iter().filter_map(|binding| Some((binding, binding_path(model, binding)?)));
    out.objects("mBindings", bindings, |out, (binding, port)| {
        let hub = PathOf(&binding.channel).to_string();
        let id = binding_id(&hub, &port).to_string();
        out.open(false, "MBinding", &id);
        out.attribute("generated_KMF_ID", &id);
        out.references("port", [port]);
        out.references("hub", [hub]);
        out.close();
    });
    out.objects("groups", &model.groups, |out, (name, group)| {
        open_instance(out, "Group", name.as_str(), &group.instance);
        let attached = opposites.attached.get(name).map_or(&[][..], Vec::as_slice);
        out.references("subNodes", attached.iter().map(|node| PathOf(*node).to_string()));
        close_instance(out, &group.instance, []);
        out.close();
    });
    let packages = Package::tree(model);
    out.objects("packages", &packages.inner, |out, (name, package)| write_package(out, name, package));
    out.close();
    out.finish()
}

/// What a reference is written on the other side of as well.
struct Opposites<'a> {
    hosted: HashMap<&'a NodeName, Vec<&'a NodeName>>,
    attached: HashMap<&'a GroupName, Vec<&'a NodeName>>,
}

impl<'a> Opposites<'a> {
    fn of(model: &'a Model) -> Opposites<'a> {
        let mut opposites = Opposites { hosted: HashMap::new(), attached: HashMap::new() };
        for (name, node) in &model.nodes {
            if let Some(host) = &node.host {
                opposites.hosted.entry(host).or_default().push(name);
            }
            for group in &node.groups {
                opposites.attached.entry(group).or_default().push(name);
            }
        }
        opposites
    }
}

fn write_node(out: &mut Out, model: &Model, opposites: &Opposites<'_>, name: &NodeName, node: &Node) {
    open_instance(out, "ContainerNode", name.as_str(), &node.instance);
    let hosted = opposites.hosted.get(name).map_or(&[][..], Vec::as_slice);
    out.references("hosts", hosted.iter().map(|hosted| PathOf(*hosted).to_string()));
    out.references("host", node.host.iter().map(|host| PathOf(host).to_string()));
    out.references("groups", node.groups.iter().map(|group| PathOf(group).to_string()));
    let properties = node.properties.iter();
    close_instance(out, &node.instance, properties.map(|(key, value)| (format!("{PROPERTY}{key}"), value.to_string())));
    out.objects("components", &node.components, |out, (component, found)| {
        write_component(out, model, name, component, found);
    });
    out.objects("networkInformation", &node.networks, |out, (interface, values)| {
        out.open(false, "NetworkInfo", interface);
        out.attribute("name", interface);
        out.values("values", values);
        out.close();
    });
    out.close();
}

fn write_component(out: &mut Out, model: &Model, node: &NodeName, name: &ComponentName, component: &Component) {
    open_instance(out, "ComponentInstance", name.as_str(), &component.instance);
    let path = InstancePath::Component(node.clone(), name.clone());
    let usual = component.id == ComponentId::born(0, &path, 0);
    let id = (!usual).then(|| (COMPONENT_ID.to_owned(), component.id.to_string()));
    close_instance(out, &component.instance, id);
    let bindings: Vec<&Binding> = model.bindings.of_component(node, name).collect();
    let definition = model.definition(&component.instance);
    let mut ports = |relation: &str, ports: &imbl::OrdSet<PortName>| {
        out.objects(relation, ports, |out, port| {
            out.open(false, "Port", port.as_str());
            out.attribute("name", port.as_str());
            let bindings = bindings.iter().filter(|binding| binding.port.port == *port);
            out.references("bindings", bindings.filter_map(|binding| reference(model, binding)));
            let typed = definition.filter(|definition| {
                let ports = if relation == "provided" { &definition.provided } else { &definition.required };
                ports.iter().any(|defined| defined.name == *port)
            });
            out.references("portTypeRef", typed.map(|typed| format!("{}/{relation}[{port}]", PathOf(&typed.id))));
            out.close();
        });
    };
    ports("provided", &component.provided);
    ports("required", &component.required);
    out.close();
}

fn open_instance(out: &mut Out, class: &str, name: &str, instance: &Instance) {
    out.open(false, class, name);
    out.attribute("name", name);
    out.flag("started", instance.started);
    out.references("typeDefinition", instance.type_ref.iter().map(|id| PathOf(id).to_string()));
}

fn close_instance(out: &mut Out, instance: &Instance, ours: impl IntoIterator<Item = (String, String)>) {
    let odd_id = instance.metadata.get(ODD_DICTIONARY_ID).map(|id| &**id);
    out.objects("dictionary", &instance.dictionary, |out, dictionary| {
        let id = odd_id.unwrap_or(DICTIONARY_ID);
        out.open(false, "Dictionary", id);
        write_values(out, id, dictionary);
    });
    out.objects("fragmentDictionary", &instance.fragments, |out, (node, dictionary)| {
        out.open(false, "FragmentDictionary", node.as_str());
        out.attribute("name", node.as_str());
        write_values(out, DICTIONARY_ID, dictionary);
    });
    let theirs = instance.metadata.iter().filter(|(key, _)| &***key != ODD_DICTIONARY_ID);
    let theirs = theirs.map(|(key, value)| (Cow::Borrowed(&**key), Cow::Borrowed(&**value)));
    out.values("metaData", theirs.chain(ours.into_iter().map(|(key, value)| (key.into(), value.into()))));
}

fn write_values(out: &mut Out, id: &str, dictionary: &Dictionary) {
    if !id.is_empty() {
        out.attribute("generated_KMF_ID", id);
    }
    out.values("values", dictionary.iter().map(|(name, value)| (name.as_str(), value)));
    out.close();
}

/// The path of a binding's port; a binding whose port is nowhere has none and is not written.
fn binding_path(model: &Model, Binding { port, .. }: &Binding) -> Option<String> {
    let component = model.component(&port.node, &port.component)?;
    let relation = if component.provided.contains(&port.port) { "provided" } else { "required" };
    Some(format!("{}/components[{}]/{relation}[{}]", PathOf(&port.node), port.component, port.port))
}

fn reference(model: &Model, binding: &Binding) -> Option<String> {
    let port = binding_path(model, binding)?;
    Some(format!("/mBindings[{}]", binding_id(&PathOf(&binding.channel).to_string(), &port)))
}

/// A namespace part with what it lists.
#[derive(Default)]
struct Package<'a> {
    inner: BTreeMap<&'a str, Package<'a>>,
    types: Vec<Cow<'a, TypeDefinition>>,
    units: Vec<&'a DeployUnit>,
}

impl<'a> Package<'a> {
    fn tree(model: &'a Model) -> Package<'a> {
        let mut root = Package::default();
        for definition in model.types.values() {
            root.at(definition.id.namespace.parts()).types.push(Cow::Borrowed(definition));
        }
        for unit in model.units.values() {
            root.at(unit.id.namespace.parts()).units.push(unit);
        }
        if let Some(extras) = extras(model) {
            root.at([EXTRAS_TYPE.0]).types.push(Cow::Owned(extras));
        }
        root
    }

    fn at(&mut self, parts: impl IntoIterator<Item = &'a str>) -> &mut Package<'a> {
        parts.into_iter().fold(self, |package, part| package.inner.entry(part).or_default())
    }
}

fn write_package(out: &mut Out, name: &str, package: &Package<'_>) {
    out.open(false, "Package", name);
    out.attribute("name", name);
    out.objects("packages", &package.inner, |out, (name, package)| write_package(out, name, package));
    out.objects("typeDefinitions", &package.types, |out, definition| write_type(out, definition));
    out.objects("deployUnits", &package.units, |out, unit| write_unit(out, unit));
    out.close();
}

/// What belongs to the whole model and Kevoree has no place for, as a virtual type that nothing is an instance of.
fn extras(model: &Model) -> Option<TypeDefinition> {
    if model.scopes.is_empty() {
        return None;
    }
    let mut metadata: OrdMap<Arc<str>, Arc<str>> = OrdMap::unit("virtual".into(), "true".into());
    for (name, scope) in &model.scopes {
        let members: Vec<&str> = scope.members.iter().map(NodeName::as_str).collect();
        metadata.insert(format!("{SCOPE}{name}").into(), members.join(",").into());
    }
    let (namespace, name, version) = EXTRAS_TYPE;
    let id = crate::words::TypeRef::new(namespace, name, version).ok()?;
    Some(TypeDefinition {
        id,
        kind: crate::model::Kind::Node,
        is_abstract: true,
        units: Vec::new(),
        super_types: Vec::new(),
        attributes: None,
        provided: Vec::new(),
        required: Vec::new(),
        metadata,
    })
}
