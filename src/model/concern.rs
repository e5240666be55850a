//! Whom changes concern: what a node has to know of them before it can take up its own part.
//!
//! Nodes, channels, groups, types and the like concern everybody. A component and its bindings concern the nodes that it lives on,
//! before or after, and those that share a channel with it, since a channel knows all its ends.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ComponentId, Model,
    change::{Element, Register, Written},
};
use crate::words::{ChannelName, NodeName};

/// What changes, sorted out by the nodes that it concerns.
#[derive(Debug)]
pub struct Parts<'c> {
    common: Vec<&'c Written>,
    of: BTreeMap<&'c NodeName, Vec<&'c Written>>,
}

impl<'c> Parts<'c> {
    /// Sorts out the rows that make `after` of `before`.
    pub fn of(before: &'c Model, after: &'c Model, rows: &'c [Written]) -> Parts<'c> {
        let mut parts = Parts { common: Vec::new(), of: BTreeMap::new() };
        let sharing = Sharing::of(before, after);
        for row in rows {
            let mut nodes = BTreeSet::new();
            match &row.element {
                Element::Component(id) => {
                    nodes.extend(sharing.homes(*id));
                    // Others see of it whether it is there, and what its ports are.
                    let is_seen =
                        |register: &Register| matches!(register, Register::Here | Register::Type | Register::Port(_));
                    if row.cells.iter().any(|(register, _)| is_seen(register)) {
                        sharing.with(*id, &mut nodes);
                    }
                    // Who takes its place has to find it free.
                    if let Some(next) = sharing.successor(*id) {
                        nodes.extend(sharing.homes(next));
                        sharing.with(next, &mut nodes);
                    }
                }
                Element::Binding(id, _, channel) => {
                    nodes.extend(sharing.homes(*id));
                    nodes.extend(sharing.on(channel));
                }
                _ => {
                    parts.common.push(row);
                    continue;
                }
            }
            for node in nodes {
                parts.of.entry(node).or_default().push(row);
            }
        }
        parts
    }

    /// What concerns a node.
    pub fn for_node(&self, node: &NodeName) -> impl Iterator<Item = &'c Written> {
        self.common.iter().copied().chain(self.of.get(node).into_iter().flatten().copied())
    }
}

/// Which nodes share channels, before or after. Most channels are on one node.
struct Sharing<'c> {
    models: [&'c Model; 2],
    wide: BTreeMap<&'c ChannelName, BTreeSet<&'c NodeName>>,
}

impl<'c> Sharing<'c> {
    fn of(before: &'c Model, after: &'c Model) -> Sharing<'c> {
        let models = [before, after];
        let mut first: BTreeMap<&ChannelName, &NodeName> = BTreeMap::new();
        let mut wide: BTreeMap<&ChannelName, BTreeSet<&NodeName>> = BTreeMap::new();
        for binding in models.into_iter().flat_map(|model| model.bindings.iter()) {
            let (channel, node) = (&binding.channel, &binding.port.node);
            let known = *first.entry(channel).or_insert(node);
            if known != node {
                wide.entry(channel).or_default().extend([known, node]);
            }
        }
        Sharing { models, wide }
    }

    /// Where a component lived and lives.
    fn homes(&self, id: ComponentId) -> impl Iterator<Item = &'c NodeName> {
        self.models.into_iter().filter_map(move |model| model.path_of(id)).map(|(node, _)| node)
    }

    /// The other component that stands now where a component stood.
    fn successor(&self, id: ComponentId) -> Option<ComponentId> {
        let [before, after] = self.models;
        let (node, name) = before.path_of(id)?;
        after.component(node, name).map(|component| component.id).filter(|next| *next != id)
    }

    /// The other nodes on the channels that a component was or is bound to.
    fn with(&self, id: ComponentId, nodes: &mut BTreeSet<&'c NodeName>) {
        for model in self.models.into_iter().filter(|_| !self.wide.is_empty()) {
            let Some((node, name)) = model.path_of(id) else { continue };
            for binding in model.bindings.of_component(node, name) {
                nodes.extend(self.on(&binding.channel));
            }
        }
    }

    /// The nodes on a channel, where there are several.
    fn on(&self, channel: &ChannelName) -> impl Iterator<Item = &'c NodeName> + use<'c, '_> {
        self.wide.get(channel).into_iter().flatten().copied()
    }
}
