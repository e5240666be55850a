//! Who is on a channel, on every node, as the model says.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    logic::delivery,
    model::{ComponentId, Model, PortDefinition},
    words::{ChannelName, NodeName, PortPath},
};

/// Who is on a channel, on every node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wiring {
    /// All bound ports that receive.
    pub receivers: BTreeMap<PortPath, Receiving>,
    /// All nodes with a bound port that sends.
    pub senders: BTreeSet<NodeName>,
}

/// What a channel knows of a port that receives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receiving {
    /// Whose port it is, wherever the component lives.
    pub id: ComponentId,
    /// The schema of its messages; 0 for any.
    pub schema: u64,
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
                let receiving = Receiving { id: component.id, schema: provided.unwrap_or(0) };
                wiring.receivers.insert(path.clone(), receiving);
            } else {
                wiring.senders.insert(path.node.clone());
            }
        }
        wiring
    }

    pub(super) fn core(&self) -> delivery::Wiring {
        let receivers = self.receivers.iter().map(|(port, receiving)| (port.clone(), receiving.id));
        delivery::Wiring { receivers: receivers.collect(), senders: self.senders.clone() }
    }
}
