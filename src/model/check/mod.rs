//! What is wrong with a model: Kevoree's validator, and what else must not run.

mod fault;
mod instances;
mod types;

use std::collections::BTreeSet;

pub use fault::{CODES, Fault, Place, Severity, What, explain};

use super::{
    Bindings, Model, PortDefinition,
    change::{Change, Element, Register},
};
use crate::words::{ChannelName, InstancePath, NodeName, PortPath};

/// All faults of a model, in order of nodes with their components, channels, groups, bindings, types, units, scopes.
pub fn check(model: &Model) -> Vec<Fault> {
    let mut faults = Faults::default();
    for (path, instance) in model.instances() {
        instances::instance(model, &path, instance, &mut faults);
        match &path {
            InstancePath::Node(name) => instances::node(model, name, &mut faults),
            InstancePath::Component(node, name) => instances::ports(model, node, name, &mut faults),
            InstancePath::Channel(name) => channel(model, name, &mut faults),
            InstancePath::Group(_) => {}
        }
    }
    dangling_bindings(model, &model.bindings, &mut faults);
    model.types.values().for_each(|definition| types::definition(model, definition, &mut faults));
    model.units.values().for_each(|unit| types::unit(model, unit, &mut faults));
    for (name, scope) in &model.scopes {
        for node in scope.members.iter().filter(|node| !model.nodes.contains_key(*node)) {
            faults.add(Place::Scope(name.clone()), What::UnknownMember { node: node.clone() });
        }
    }
    faults.0
}

/// The faults that changes may have brought into a model that had none: `model` is what they made. Looks at what changed
/// and what refers to it; at the whole model only where a node, type or unit came, went or changed itself.
pub fn check_changes(model: &Model, changes: &[Change]) -> Vec<Fault> {
    let mut paths = BTreeSet::new();
    let mut channels = BTreeSet::new();
    for change in changes {
        match &change.element {
            Element::Component(id) => {
                let Some((node, name)) = model.path_of(*id) else { continue };
                paths.insert(InstancePath::Component(node.clone(), name.clone()));
                // A value fits or not, whatever is bound; who can talk to whom follows from types, ports and places.
                if matches!(change.register, Register::Here | Register::Type | Register::Port(_)) {
                    channels.extend(model.bindings.of_component(node, name).map(|binding| binding.channel.clone()));
                }
            }
            Element::Binding(id, _, channel) => {
                channels.insert(channel.clone());
                if let Some((node, name)) = model.path_of(*id) {
                    paths.insert(InstancePath::Component(node.clone(), name.clone()));
                }
            }
            Element::Node(name) if !change.adds() && !change.removes() && model.nodes.contains_key(name) => {
                paths.insert(InstancePath::Node(name.clone()));
            }
            Element::Channel(name) if !change.adds() && !change.removes() && model.channels.contains_key(name) => {
                paths.insert(InstancePath::Channel(name.clone()));
            }
            Element::Group(name) if !change.adds() && !change.removes() && model.groups.contains_key(name) => {
                paths.insert(InstancePath::Group(name.clone()));
            }
            Element::Repository(_) => {}
            _ => return check(model),
        }
    }
    let mut faults = Faults::default();
    for path in &paths {
        let Some(instance) = model.instance(path) else { continue };
        instances::instance(model, path, instance, &mut faults);
        match path {
            InstancePath::Node(name) => instances::node(model, name, &mut faults),
            InstancePath::Component(node, name) => instances::ports(model, node, name, &mut faults),
            InstancePath::Channel(_) | InstancePath::Group(_) => {}
        }
    }
    for name in &channels {
        channel(model, name, &mut faults);
        let bindings = model.bindings.of_channel(name).cloned();
        let bindings = bindings.map(|port| super::Binding { port, channel: name.clone() }).collect();
        dangling_bindings(model, &bindings, &mut faults);
    }
    faults.0
}

/// Faults found so far.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, place: Place, what: What) {
        self.0.push(Fault { place, what });
    }
}

fn dangling_bindings(model: &Model, bindings: &Bindings, faults: &mut Faults) {
    for binding in bindings.iter() {
        let place = || Place::Binding(binding.port.clone(), binding.channel.clone());
        if !model.channels.contains_key(&binding.channel) {
            faults.add(place(), What::UnknownChannel {});
        }
        let component = model.component(&binding.port.node, &binding.port.component);
        let port = &binding.port.port;
        if !component.is_some_and(|found| found.provided.contains(port) || found.required.contains(port)) {
            faults.add(place(), What::NoSuchPort {});
        }
    }
}

/// Whether each port that receives from a channel can receive what each port sends to it. What has no structure known to
/// the model (`Value`, ports that only Kevoree described) fits everything.
fn channel(model: &Model, name: &ChannelName, faults: &mut Faults) {
    let mut sends: Vec<(&PortPath, &PortDefinition)> = Vec::new();
    let mut receives: Vec<(&PortPath, &PortDefinition)> = Vec::new();
    for path in model.bindings.of_channel(name) {
        let Some(component) = model.component(&path.node, &path.component) else { continue };
        let Some(definition) = model.definition(&component.instance) else { continue };
        let sending = component.required.contains(&path.port);
        let (ports, ends) =
            if sending { (&definition.required, &mut sends) } else { (&definition.provided, &mut receives) };
        let typed = ports.iter().find(|port| port.name == path.port && port.schema != 0);
        ends.extend(typed.map(|port| (path, port)));
    }
    // One sender for each structure is enough to tell: a channel may have thousands of ends.
    sends.sort_by_key(|(_, port)| port.schema);
    sends.dedup_by_key(|(_, port)| port.schema);
    for (path, port) in receives {
        if let Some((sender, sent)) = sends.iter().find(|(_, sent)| sent.schema != port.schema) {
            let what = What::PortsDoNotFit {
                receives: message(port, sent),
                sender: (*sender).clone(),
                sends: message(sent, port),
            };
            faults.add(Place::Binding(path.clone(), name.clone()), what);
        }
    }
}

/// The name of a message type; with its structure where the name alone does not tell it from the other's.
fn message(port: &PortDefinition, other: &PortDefinition) -> String {
    if port.message == other.message {
        format!("\"{}\" of structure {:x}", port.message, port.schema)
    } else {
        format!("\"{}\"", port.message)
    }
}

/// Whether a node is its own host, by whatever way round.
fn hosts_itself(model: &Model, name: &NodeName) -> bool {
    let mut above = model.nodes.get(name).and_then(|node| node.host.as_ref());
    for _ in 0..model.nodes.len() {
        match above {
            Some(host) if host == name => return true,
            Some(host) => above = model.nodes.get(host).and_then(|node| node.host.as_ref()),
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Attribute, Binding, DataType, Edit, Instance, Kind, TypeDefinition, testing::name};

    fn port(text: &str, message: &str, schema: u64) -> PortDefinition {
        PortDefinition {
            name: name(text),
            optional: true,
            no_dependency: false,
            message: message.into(),
            schema,
            doc: "".into(),
            port_type: None,
        }
    }

    fn definition(id: &str, kind: Kind) -> TypeDefinition {
        TypeDefinition {
            id: id.parse().unwrap(),
            kind,
            is_abstract: false,
            units: Vec::new(),
            super_types: Vec::new(),
            attributes: Some(Vec::new()),
            provided: Vec::new(),
            required: Vec::new(),
            metadata: imbl::OrdMap::unit("virtual".into(), "true".into()),
        }
    }

    /// A ticker that sends numbers to a printer over channel x, all well.
    fn well() -> Model {
        let period = Attribute {
            name: name("period"),
            datatype: DataType::Int,
            optional: false,
            state: false,
            fragment: false,
            default: Some("3000".into()),
            min: Some("1".into()),
            max: None,
            one_of: Vec::new(),
            secret: false,
            doc: "".into(),
        };
        let ticker = TypeDefinition {
            attributes: Some(vec![period]),
            required: vec![port("tick", "u64", 7)],
            ..definition("enact.Ticker/1", Kind::Component)
        };
        let printer = TypeDefinition {
            provided: vec![port("input", "Value", 0), port("number", "u64", 7), port("text", "String", 8)],
            ..definition("enact.Printer/1", Kind::Component)
        };
        let of = |id: &str| Instance::of(id.parse().unwrap());
        let add = |text: &str, id: &str, instance: Instance, provided: &[&str], required: &[&str]| Edit::AddComponent {
            node: name("n"),
            name: name(text),
            id: super::super::ComponentId(id.len() as u64),
            instance,
            provided: provided.iter().map(|text| name(text)).collect(),
            required: required.iter().map(|text| name(text)).collect(),
        };
        let mut model = Model::default();
        model
            .apply(&[
                Edit::AddType(definition("enact.Node/1", Kind::Node).into()),
                Edit::AddType(definition("enact.Broadcast/1", Kind::Channel).into()),
                Edit::AddType(ticker.into()),
                Edit::AddType(printer.into()),
                Edit::AddNode { name: name("n"), instance: of("enact.Node/1"), host: None },
                Edit::AddInstance { path: InstancePath::Channel(name("x")), instance: of("enact.Broadcast/1") },
                add("t", "1", of("enact.Ticker/1"), &[], &["tick"]),
                add("p", "22", of("enact.Printer/1"), &["input", "number", "text"], &[]),
                bind("t.tick"),
                bind("p.input"),
                bind("p.number"),
            ])
            .unwrap();
        model
    }

    fn bind(port: &str) -> Edit {
        Edit::Bind(Binding { port: format!("n.{port}").parse().unwrap(), channel: name("x") })
    }

    fn codes(model: &Model) -> Vec<String> {
        check(model).iter().map(|fault| format!("{} {fault}", fault.code())).collect()
    }

    fn set(attribute: &str, value: &str) -> Edit {
        let path = InstancePath::Component(name("n"), name("t"));
        Edit::Set { path, fragment: None, attribute: name(attribute), value: value.into() }
    }

    #[test]
    fn each_fault_says_where_it_is_and_what_would_fit() {
        assert_eq!(codes(&well()), Vec::<String>::new());
        let cases = [
            (
                bind("p.text"),
                "M0303 binding n.p.text x: it receives \"String\", but \"n.t.tick\" sends \"u64\" on the channel",
            ),
            (set("period", "0"), "M0109 component n.t: attribute \"period\": \"0\" is below the minimum 1"),
            (set("perod", "1"), "M0111 component n.t: its type has no attribute \"perod\" (it has: period)"),
            (Edit::SetStarted { path: InstancePath::Node(name("n")), started: false }, ""),
            (
                Edit::Retype {
                    path: InstancePath::Channel(name("x")),
                    type_ref: "enact.Node/1".parse().unwrap(),
                    provided: Vec::new(),
                    required: Vec::new(),
                },
                "M0103 channel x: its type \"enact.Node/1\" is a node type",
            ),
            (
                Edit::AddType(
                    TypeDefinition { metadata: imbl::OrdMap::new(), ..definition("a.B/1", Kind::Group) }.into(),
                ),
                "M0401 type a.B/1: it has no deploy unit",
            ),
        ];
        for (edit, expected) in cases {
            let mut model = well();
            model.apply(&[edit]).unwrap();
            assert_eq!(codes(&model).join(" | "), expected);
        }
    }

    #[test]
    fn every_code_is_used_once_and_explained() {
        let mut codes: Vec<&str> = CODES.iter().map(|(code, _)| *code).collect();
        codes.dedup();
        assert_eq!(codes.len(), CODES.len());
        assert!(CODES.is_sorted() && CODES.iter().all(|(_, text)| text.len() > 20));
        assert!(explain("m0303").is_some() && explain("M9999").is_none());
    }
}
