//! What cannot work is refused before anything is touched: unknown types, ports that are not there, bindings that do not fit.

use std::collections::{BTreeMap, BTreeSet};

use imbl::ordset::DiffItem;
use serde::{Deserialize, Serialize};

use super::{
    adaptation::{Adaptation, Subject},
    order::Plan,
    part,
};
use crate::{
    model::{Binding, Model, PortDefinition},
    words::{AttributeName, ChannelName, InstancePath, NodeName, PortPath, TypeRef},
};

/// Why a node will not carry out a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The wanted model does not name the node.
    #[error("the model has no node \"{node}\"")]
    NoSuchNode {
        /// The node that plans.
        node: NodeName,
    },
    /// The node cannot make instances of the type.
    #[error("node \"{node}\" cannot make \"{path}\": it has no type {type_ref}{}", has(.others))]
    UnknownType {
        /// The node that plans.
        node: NodeName,
        /// The instance.
        path: InstancePath,
        /// Its type.
        type_ref: TypeRef,
        /// Types of that name that the node does have.
        others: Vec<TypeRef>,
    },
    /// A binding names a channel that is not in the model.
    #[error("\"{port}\" is bound to \"{channel}\", and there is no such channel")]
    NoSuchChannel {
        /// The bound port.
        port: PortPath,
        /// The channel.
        channel: ChannelName,
    },
    /// A binding names a port that its component does not have.
    #[error("\"{port}\" is bound to \"{channel}\", and its component has no such port{}", has(.ports))]
    NoSuchPort {
        /// The bound port.
        port: PortPath,
        /// The channel.
        channel: ChannelName,
        /// The ports that the component has.
        ports: Vec<String>,
    },
    /// A value is not what the attribute takes.
    #[error("\"{path}\" does not take {attribute}: {why}")]
    UnfitValue {
        /// The instance.
        path: InstancePath,
        /// The attribute.
        attribute: AttributeName,
        /// Why it does not fit. A secret value is not shown.
        why: String,
    },
    /// A sender's messages are not what a receiver on the same channel takes.
    #[error("\"{sender}\" sends {sends} over \"{channel}\", but \"{receiver}\" takes {takes}")]
    DoesNotFit {
        /// The channel.
        channel: ChannelName,
        /// The sending port.
        sender: PortPath,
        /// The message type that it sends.
        sends: String,
        /// The receiving port.
        receiver: PortPath,
        /// The message type that it takes.
        takes: String,
    },
}

fn has(there: &[impl ToString]) -> String {
    match there {
        [] => String::new(),
        there => format!(" (it has: {})", there.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// What speaks against a plan. `known` is what the node can make instances of; without it, that is not asked. Costs what the
/// plan changes. Faults of a model as a whole are [`crate::model::check`]'s.
pub fn refuse(plan: &Plan, running: &Model, wanted: &Model, known: Option<&BTreeSet<TypeRef>>) -> Vec<Refusal> {
    let node = &plan.node;
    if !wanted.nodes.contains_key(node) {
        return vec![Refusal::NoSuchNode { node: node.clone() }];
    }
    let mut refusals = Vec::new();
    // Values of what is added are looked at once, with the addition. Instances of one type mostly follow each other.
    let mut added: BTreeSet<&InstancePath> = BTreeSet::new();
    let has_values = plan.steps.iter().any(|step| matches!(step, Adaptation::UpdateDictionary { .. }));
    let mut last_known: Option<&TypeRef> = None;
    for step in &plan.steps {
        match step {
            Adaptation::AddInstance { blueprint, .. } => {
                let subject = &blueprint.subject;
                if has_values {
                    added.insert(&subject.path);
                }
                if last_known != Some(&subject.type_ref) {
                    let refusal = known.and_then(|known| unknown_type(node, subject, known));
                    last_known = refusal.is_none().then_some(&subject.type_ref);
                    refusals.extend(refusal);
                }
                let values = blueprint.values.iter();
                refusals.extend(values.filter_map(|(name, value)| unfit(wanted, &subject.path, name, value)));
            }
            Adaptation::UpdateDictionary { subject, attribute, after: Some(value), .. }
                if !added.contains(&subject.path) =>
            {
                refusals.extend(unfit(wanted, &subject.path, attribute, value));
            }
            _ => {}
        }
    }
    for item in running.bindings.as_set().diff(wanted.bindings.as_set()) {
        if let DiffItem::Add(binding) = item
            && binding.port.node == *node
        {
            refusals.extend(dangling(wanted, binding));
        }
    }
    let added = plan.steps.iter().filter_map(|step| match step {
        Adaptation::AddBinding(end) => Some(&end.binding.channel),
        _ => None,
    });
    let channels: BTreeSet<&ChannelName> = added.collect();
    refusals.extend(channels.into_iter().flat_map(|channel| misfits(wanted, channel)));
    refusals
}

fn unknown_type(node: &NodeName, subject: &Subject, known: &BTreeSet<TypeRef>) -> Option<Refusal> {
    let type_ref = &subject.type_ref;
    let others = || known.iter().filter(|other| other.name == type_ref.name).cloned().collect();
    (!known.contains(type_ref)).then(|| Refusal::UnknownType {
        node: node.clone(),
        path: subject.path.clone(),
        type_ref: type_ref.clone(),
        others: others(),
    })
}

fn unfit(wanted: &Model, path: &InstancePath, attribute: &AttributeName, value: &str) -> Option<Refusal> {
    let definition = wanted.definition(wanted.instance(path)?)?;
    let found = definition.attribute(attribute.as_str())?;
    let error = found.accepts(value).err()?;
    let why = if found.secret { "its value does not fit (it is secret)".to_owned() } else { error.to_string() };
    Some(Refusal::UnfitValue { path: path.clone(), attribute: attribute.clone(), why })
}

fn dangling(wanted: &Model, binding: &Binding) -> Option<Refusal> {
    let Binding { port, channel } = binding.clone();
    if !wanted.channels.contains_key(&channel) {
        return Some(Refusal::NoSuchChannel { port, channel });
    }
    let component = wanted.component(&port.node, &port.component);
    let ports = component.into_iter().flat_map(|component| component.provided.iter().chain(&component.required));
    let ports: Vec<String> = ports.map(ToString::to_string).collect();
    (!ports.iter().any(|there| there == port.port.as_str())).then_some(Refusal::NoSuchPort { port, channel, ports })
}

/// Pairs of ports on a channel of which one sends what the other does not take: both say their message type, and it differs in
/// name. The same name with another structure is another version; its messages go in the self-describing form.
fn misfits(wanted: &Model, channel: &ChannelName) -> Vec<Refusal> {
    let mut senders: BTreeMap<&str, &PortPath> = BTreeMap::new();
    let mut receivers: BTreeMap<&str, &PortPath> = BTreeMap::new();
    for path in wanted.bindings.of_channel(channel) {
        if let Some((definition, receives)) = part::definition_of(wanted, path)
            && !takes_anything(definition)
        {
            let side = if receives { &mut receivers } else { &mut senders };
            side.entry(&definition.message).or_insert(path);
        }
    }
    let mut misfits = Vec::new();
    for (sends, sender) in &senders {
        for (takes, receiver) in receivers.iter().filter(|(takes, _)| *takes != sends) {
            misfits.push(Refusal::DoesNotFit {
                channel: channel.clone(),
                sender: (*sender).clone(),
                sends: (*sends).to_owned(),
                receiver: (*receiver).clone(),
                takes: (*takes).to_owned(),
            });
        }
    }
    misfits
}

fn takes_anything(port: &PortDefinition) -> bool {
    port.schema == 0 || port.message.is_empty() || &*port.message == "Value"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        logic::plan::plan,
        model::{
            Attribute, Channel, Component, ComponentId, DataType, Instance, Kind, Node, Shared, TypeDefinition,
            testing::name,
        },
    };

    fn definition(id: &str, kind: Kind, takes: &str, sends: &str) -> TypeDefinition {
        let port = |text: &str, message: &str| PortDefinition {
            name: name(text),
            optional: true,
            no_dependency: false,
            message: message.into(),
            schema: if message == "Value" { 0 } else { message.len() as u64 },
            doc: "".into(),
            port_type: None,
        };
        let period = Attribute {
            name: name("period"),
            datatype: DataType::Int,
            optional: false,
            state: false,
            fragment: false,
            default: None,
            min: None,
            max: None,
            one_of: Vec::new(),
            secret: false,
            doc: "".into(),
        };
        let is_component = kind == Kind::Component;
        TypeDefinition {
            id: id.parse().unwrap(),
            kind,
            is_abstract: false,
            units: Vec::new(),
            super_types: Vec::new(),
            attributes: Some(vec![period]),
            provided: if is_component { vec![port("in", takes)] } else { Vec::new() },
            required: if is_component { vec![port("out", sends)] } else { Vec::new() },
            metadata: Default::default(),
        }
    }

    /// Components a and b of two types, bound to x as told, with a period of a.
    fn model(bindings: &[(&str, &str)], period: &str) -> Model {
        let mut model = Model::default();
        for definition in [
            definition("enact.Box/1", Kind::Node, "", ""),
            definition("enact.Wire/1", Kind::Channel, "", ""),
            definition("enact.A/1", Kind::Component, "Value", "Tick"),
            definition("enact.B/1", Kind::Component, "Text", "Value"),
        ] {
            model.types.insert(definition.id.clone(), Shared::new(definition));
        }
        let of = |id: &str| Instance::of(id.parse().unwrap());
        let mut own = Node { instance: of("enact.Box/1"), ..Node::default() };
        for (idx, (text, id)) in [("a", "enact.A/1"), ("b", "enact.B/1")].into_iter().enumerate() {
            let mut component = Component { id: ComponentId(idx as u64 + 1), instance: of(id), ..Component::default() };
            component.provided.insert(name("in"));
            component.required.insert(name("out"));
            component.instance.dictionary.as_mut().unwrap().set(name("period"), period);
            own.components.insert(name(text), Shared::new(component));
        }
        model.nodes.insert(name("n"), Shared::new(own));
        model.channels.insert(name("x"), Shared::new(Channel { instance: of("enact.Wire/1") }));
        for (port, channel) in bindings {
            let port = format!("n.{port}").parse().unwrap();
            model.bindings.insert(Binding { port, channel: name(channel) });
        }
        model.indexed()
    }

    fn refused(wanted: &Model, known: &[&str]) -> Vec<String> {
        let known = known.iter().map(|id| id.parse().unwrap()).collect();
        let plan = plan(&Model::default(), wanted, &name("n"));
        refuse(&plan, &Model::default(), wanted, Some(&known)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_would() {
        let all = ["enact.A/1", "enact.B/1", "enact.Wire/1"];
        assert!(refused(&model(&[("a.out", "x"), ("a.in", "x"), ("b.out", "x")], "1"), &all).is_empty());
        let cases = [
            (
                refused(&model(&[], "1"), &["enact.A/2", "enact.B/1"]),
                "node \"n\" cannot make \"n.a\": it has no type enact.A/1 (it has: enact.A/2)",
            ),
            (
                refused(&model(&[("a.out", "y")], "1"), &all),
                "\"n.a.out\" is bound to \"y\", and there is no such channel",
            ),
            (
                refused(&model(&[("a.output", "x")], "1"), &all),
                "\"n.a.output\" is bound to \"x\", and its component has no such port (it has: in, out)",
            ),
            (
                refused(&model(&[("a.out", "x"), ("b.in", "x")], "1"), &all),
                "\"n.a.out\" sends Tick over \"x\", but \"n.b.in\" takes Text",
            ),
        ];
        for (found, expected) in cases {
            assert_eq!(found, [expected]);
        }
        let unfit = refused(&model(&[], "soon"), &all);
        assert!(unfit[0].starts_with("\"n.a\" does not take period: \"soon\" is no"), "{unfit:?}");
        let plan = plan(&model(&[], "1"), &Model::default(), &name("n"));
        let refusals = refuse(&plan, &model(&[], "1"), &Model::default(), None);
        assert_eq!(refusals, [Refusal::NoSuchNode { node: name("n") }]);
    }
}
