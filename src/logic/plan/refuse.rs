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
    words::{ChannelName, InstancePath, NodeName, PortPath, TypeRef},
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
    for step in &plan.steps {
        if let (Adaptation::AddInstance { blueprint, .. }, Some(known)) = (step, known) {
            refusals.extend(unknown_type(node, &blueprint.subject, known));
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
