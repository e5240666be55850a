//! What people want in the world of gossip: some edit of the model, drawn from few names so that pushes meet.

use std::sync::Arc;

use enact::{
    model::{Binding, ComponentId, Edit, Instance, Model},
    words::{
        AttributeName, ChannelName, ComponentName, GroupName, InstancePath, Name, NodeName, PortName, PortPath,
        ScopeName, TypeRef,
    },
};

use crate::chance::Chance;

const NODES: [&str; 5] = ["m0", "m1", "m2", "m3", "m4"];
const CHANNELS: [&str; 3] = ["x", "y", "z"];
const COMPONENTS: [&str; 2] = ["a", "b"];

/// The group that all members belong to.
pub(super) const GROUP: &str = "sync";

/// A name of any kind.
pub(super) fn name<N: From<Name>>(text: &str) -> N {
    N::from(Name::parse(text).expect("a valid name"))
}

/// The type of all components.
fn part() -> TypeRef {
    TypeRef::new("sim", "Part", "1").expect("a valid type")
}

/// What a member is called.
pub(super) fn node(idx: usize) -> NodeName {
    name(NODES[idx])
}

/// Which member is called so.
pub(super) fn idx_of(node: &NodeName) -> usize {
    NODES.iter().position(|name| *name == node.as_str()).expect("a member")
}

/// Attaches a node to the group, adding both where they lack.
pub(super) fn attach(model: &mut Model, node: &NodeName) {
    let group: GroupName = name(GROUP);
    let edits = [
        (!model.groups.contains_key(&group))
            .then(|| Edit::AddInstance { path: InstancePath::Group(group.clone()), instance: Instance::default() }),
        (!model.nodes.contains_key(node)).then(|| Edit::AddNode {
            name: node.clone(),
            instance: Instance::default(),
            host: None,
        }),
        Some(Edit::Attach { node: node.clone(), group }),
    ];
    // Attached already: then it is as it should be.
    edits.into_iter().flatten().for_each(|edit| drop(model.apply(&[edit])));
}

/// Where a component is, or may be.
fn place(chance: &mut Chance, model: &Model) -> (NodeName, ComponentName) {
    let there: Vec<(&NodeName, &ComponentName)> = model.components().map(|(node, name, _)| (node, name)).collect();
    match chance.percent(50) && !there.is_empty() {
        true => there.get(chance.idx(there.len())).map(|(node, name)| ((*node).clone(), (*name).clone())),
        false => None,
    }
    .unwrap_or_else(|| (name(chance.pick(&NODES)), name(chance.pick(&COMPONENTS))))
}

/// A channel that is there, or may be.
fn channel(chance: &mut Chance, model: &Model) -> ChannelName {
    match chance.percent(50) {
        true => model.channels.keys().nth(chance.idx(model.channels.len())).cloned(),
        false => None,
    }
    .unwrap_or_else(|| name(chance.pick(&CHANNELS)))
}

/// Some change; it need not fit the model.
pub(super) fn some(chance: &mut Chance, model: &Model) -> Edit {
    let (node, component) = place(chance, model);
    let channel = channel(chance, model);
    let channel_path = InstancePath::Channel(channel.clone());
    let component_path = InstancePath::Component(node.clone(), component.clone());
    let value: Arc<str> = chance.below(1000).to_string().into();
    match chance.below(20) {
        0 | 1 if !model.nodes.contains_key(&node) => {
            Edit::AddNode { name: node, instance: Instance::default(), host: None }
        }
        0..=2 => Edit::AddInstance { path: channel_path, instance: Instance::default() },
        3 => Edit::Remove { path: channel_path },
        4..=6 => Edit::AddComponent {
            id: ComponentId::born(chance.next(), &component_path, 0),
            node,
            name: component,
            instance: Instance::of(part()),
            provided: vec![name::<PortName>("in")],
            required: vec![name::<PortName>("out")],
        },
        7 | 8 => Edit::MoveComponent { node, name: component, to: name(chance.pick(&NODES)) },
        9 => Edit::Remove { path: component_path },
        10..=12 => {
            let port = PortPath { node, component, port: name(chance.pick(&["in", "out"])) };
            let binding = Binding { port, channel };
            if chance.percent(75) { Edit::Bind(binding) } else { Edit::Unbind(binding) }
        }
        13 | 14 => Edit::Set { path: component_path, fragment: None, attribute: name::<AttributeName>("p"), value },
        15 if chance.percent(50) => Edit::SetStarted { path: component_path, started: chance.percent(50) },
        15 => Edit::SetMetadata { path: channel_path, key: "note".into(), value: Some(value) },
        16 => Edit::Host { node, host: chance.percent(70).then(|| name(chance.pick(&NODES))) },
        17 => {
            let scope: ScopeName = name("s");
            match (model.scopes.contains_key(&scope), chance.percent(60)) {
                (false, _) => Edit::AddScope(scope),
                (true, true) => Edit::Enter { node, scope },
                (true, false) => Edit::Leave { node, scope },
            }
        }
        18 => Edit::Detach { node, group: name(GROUP) },
        _ if chance.percent(25) => Edit::Remove { path: InstancePath::Node(node) },
        _ => Edit::SetMetadata { path: component_path, key: "note".into(), value: Some(value) },
    }
}
