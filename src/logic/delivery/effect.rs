//! What a fragment is told of and wishes for, in plain values.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    end::EndId,
    frame::{Frame, Place},
    outlet::Track,
    strategy::SourceId,
    tally::Loss,
};
use crate::{
    model::ComponentId,
    words::{NodeName, PortName, PortPath, Time},
};

/// Somebody who waits for a reply; the shell knows who.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// Who is on a channel, as the model says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wiring {
    /// All bound ports that receive, on every node, and whose each is, wherever that lives: so a component that moves is told from
    /// another one of its name.
    pub receivers: BTreeMap<PortPath, ComponentId>,
    /// All nodes with a bound port that sends.
    pub senders: BTreeSet<NodeName>,
}

impl Wiring {
    /// The places that nobody, or somebody else, had before, by whose they are and what the port is called: whoever was there before and
    /// is not now has moved to the one that is the same.
    pub(super) fn came_since(&self, old: &Wiring) -> BTreeMap<(ComponentId, PortName), Place> {
        let new = self.receivers.iter().filter(|(port, id)| old.receivers.get(*port) != Some(*id));
        new.map(|(port, id)| ((*id, port.port.clone()), Place { port: port.clone(), of: *id })).collect()
    }
}

/// A wish of the fragment's.
#[derive(Debug, PartialEq)]
pub enum Effect<M> {
    /// An end of this node has messages: hand them over with [`super::Fragment::drain`].
    Drain(EndId),
    /// A frame for the fragment on another node.
    Post {
        /// The node.
        to: NodeName,
        /// What to say.
        frame: Frame<M>,
    },
    /// The answer to somebody who waits for a reply.
    Answer {
        /// Who waits.
        ask: AskId,
        /// The reply, or why there is none.
        reply: Result<Option<M>, Arc<str>>,
    },
    /// Something to show to who taps the channel.
    Tapped(Sample<M>),
    /// Call [`super::Fragment::tick`] at that time, at the latest.
    Wake(Time),
}

/// A message as a tap shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<M> {
    /// The port that sent it.
    pub from: SourceId,
    /// The port that it was given to; `None` when there was none to give it to.
    pub to: Option<PortPath>,
    /// The message.
    pub message: M,
    /// When it was sent.
    pub sent: Time,
    /// How long it took, or why it was lost.
    pub result: Result<Duration, Loss>,
}

/// A message to hand to a receiver.
#[derive(Debug)]
pub struct Given<M> {
    /// The message.
    pub message: M,
    /// When set, its handling is followed: tell [`super::Fragment::outcome`].
    pub track: Option<Track>,
}
