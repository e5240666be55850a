//! Where each component lives: the index of a model's components by identity.

use imbl::OrdMap;

use super::{ComponentId, Node, Shared};
use crate::words::{ComponentName, NodeName};

/// Node and name of each component. Follows from the nodes, so it never makes two models differ.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(OrdMap<ComponentId, (NodeName, ComponentName)>);

impl Places {
    pub(super) fn get(&self, id: ComponentId) -> Option<(&NodeName, &ComponentName)> {
        self.0.get(&id).map(|(node, component)| (node, component))
    }

    pub(super) fn put(&mut self, id: ComponentId, node: &NodeName, component: &ComponentName) {
        self.0.insert(id, (node.clone(), component.clone()));
    }

    pub(super) fn remove(&mut self, id: ComponentId) {
        self.0.remove(&id);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl PartialEq for Places {
    fn eq(&self, _: &Places) -> bool {
        true
    }
}

impl<'a> FromIterator<(&'a NodeName, &'a Shared<Node>)> for Places {
    fn from_iter<I: IntoIterator<Item = (&'a NodeName, &'a Shared<Node>)>>(nodes: I) -> Places {
        let components = nodes.into_iter().flat_map(|(node, found)| {
            found.components.iter().map(move |(name, component)| (component.id, (node.clone(), name.clone())))
        });
        Places(components.collect())
    }
}
