//! Who moves again and again: what is said meanwhile it hears once, but it is not promised in order (ARCHITECTURE.md).

use std::collections::BTreeMap;

use enact::{
    model::{ComponentId, Model},
    words::NodeName,
};

/// Where each member has seen the components, and how often they had moved.
#[derive(Default)]
pub(super) struct Moves(BTreeMap<(usize, ComponentId), Seen>);

struct Seen {
    /// `node.component`.
    path: String,
    node: NodeName,
    n_moves: u32,
}

impl Moves {
    /// What a member knows now.
    pub(super) fn look(&mut self, at: usize, model: &Model) {
        for (node, name, part) in model.components() {
            let path = format!("{node}.{name}");
            let seen = self.0.entry((at, part.id)).or_insert_with(|| Seen {
                path: path.clone(),
                node: node.clone(),
                n_moves: 0,
            });
            seen.n_moves += u32::from(seen.node != *node);
            (seen.path, seen.node) = (path, node.clone());
        }
    }

    /// How often who is there now has moved, for who has seen most of it.
    pub(super) fn of(&self, path: &str) -> u32 {
        self.0.values().filter(|seen| seen.path == path).map(|seen| seen.n_moves).max().unwrap_or_default()
    }
}
