//! Who is on a channel, on every node, as the model says.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    logic::delivery,
    model::{Model, PortDefinition},
    words::{ChannelName, NodeName, PortPath},
};

/// Who is on a channel, on every node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wiring {
    /// All bound ports that receive, with the schema of their messages (0 for any).
    pub receivers: BTreeMap<PortPath, u64>,
    /// All nodes with a bound port that sends.
    pub senders: BTreeSet<NodeName>,
}

impl Wiring {
    /// The wiring of a channel in a model.
    pub fn of(model: &Model, channel: &ChannelName) -> Wiring {
        let mut wiring = Wiring::default();
        for path in model.bindings.of_channel(channel) {
            let Some(component) = model.component(&path.node, &path.component) else { continue };
            let definition = model.definition(&component.instance);
            let schema =
                |ports: &[PortDefinition]| ports.iter().find(|port| port.name == path.port).map(|port| port.schema);
            let provided = definition.and_then(|definition| schema(&definition.provided));
            if provided.is_some() || component.provided.contains(&path.port) {
                wiring.receivers.insert(path.clone(), provided.unwrap_or(0));
            } else {
                wiring.senders.insert(path.node.clone());
            }
        }
        wiring
    }

    pub(super) fn core(&self) -> delivery::Wiring {
        delivery::Wiring { receivers: self.receivers.keys().cloned().collect(), senders: self.senders.clone() }
    }
}
