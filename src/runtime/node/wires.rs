//! Who hangs on which channel, as the steps of plans have it: from here each channel's fragment learns its ends.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    logic::plan::End,
    runtime::channel::Receiving,
    words::{ChannelName, NodeName, PortPath},
};

/// The ends of the channels that run on a node, and which channels have not yet been told what changed.
#[derive(Default)]
pub(super) struct Wires {
    ends: BTreeMap<ChannelName, BTreeMap<PortPath, End>>,
    untold: BTreeSet<ChannelName>,
    /// The channel that each port of this plan was taken off last: where its unhandled messages go back to.
    last: BTreeMap<PortPath, ChannelName>,
}

impl Wires {
    /// A port hangs on its channel.
    pub(super) fn attach(&mut self, end: End) {
        let channel = end.binding.channel.clone();
        self.ends.entry(channel.clone()).or_default().insert(end.binding.port.clone(), end);
        self.untold.insert(channel);
    }

    /// A port no longer hangs on its channel.
    pub(super) fn detach(&mut self, end: &End) {
        let channel = &end.binding.channel;
        self.last.insert(end.binding.port.clone(), channel.clone());
        if let Some(ends) = self.ends.get_mut(channel) {
            ends.remove(&end.binding.port);
            if ends.is_empty() {
                self.ends.remove(channel);
            }
        }
        self.untold.insert(channel.clone());
    }

    /// The channel must be told again, e.g. since it was made anew.
    pub(super) fn tell_again(&mut self, channel: &ChannelName) {
        self.untold.insert(channel.clone());
    }

    /// The channels that must be told; from now on they count as told.
    pub(super) fn take_untold(&mut self) -> BTreeSet<ChannelName> {
        self.last.clear();
        std::mem::take(&mut self.untold)
    }

    /// The channel that a port was taken off since channels were told last.
    pub(super) fn last_channel_of(&self, port: &PortPath) -> Option<ChannelName> {
        self.last.get(port).cloned()
    }

    /// The ends of a channel.
    pub(super) fn of<'a>(&'a self, channel: &ChannelName) -> impl Iterator<Item = &'a End> + use<'a> {
        self.ends.get(channel).into_iter().flat_map(BTreeMap::values)
    }

    /// The nodes that have a sending end on a channel.
    pub(super) fn senders(&self, channel: &ChannelName) -> BTreeSet<NodeName> {
        self.of(channel).filter(|end| !end.receives).map(|end| end.binding.port.node.clone()).collect()
    }

    /// The ports that receive from a channel, on every node.
    pub(super) fn receivers(&self, channel: &ChannelName) -> BTreeMap<PortPath, Receiving> {
        let receiving = |end: &End| (end.binding.port.clone(), Receiving { id: end.id, schema: end.schema });
        self.of(channel).filter(|end| end.receives).map(receiving).collect()
    }
}
