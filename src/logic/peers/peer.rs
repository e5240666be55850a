//! Who is who between nodes, and what happens to them: the words that the network and everybody above it share.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::words::NodeName;

/// One living (or once living) process in the group.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Peer {
    /// The node's name, unique in the group; a console makes one up.
    pub name: NodeName,
    /// Grows with each start of the node of this name, so that a restarted node is never mistaken for its former life.
    pub incarnation: u64,
    /// What it is here for.
    pub role: Role,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{:x}", self.name, self.incarnation)?;
        if self.role == Role::Console { f.write_str(" (console)") } else { Ok(()) }
    }
}

/// What a peer is here for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Runs instances, counts as a member.
    Node,
    /// Asks and shows; never counted as a node.
    Console,
}

/// What happens to peers; as `Router::watch` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// Found, introduced, reachable. Comes again when a peer returns after [`PeerEvent::Down`].
    Up(Peer),
    /// Nothing was heard of it for longer than it should be silent; it may hang. [`PeerEvent::Trusted`] or `Down` follows.
    Suspected(Peer),
    /// A suspected peer gave a sign of life.
    Trusted(Peer),
    /// Gone. What was accepted for it is kept for a while: it is delivered should the same incarnation return.
    Down {
        /// Who.
        peer: Peer,
        /// Why we think so.
        reason: DownReason,
    },
    /// Messages that had been accepted for a peer and will never be delivered: it is dead, or it forgot us.
    Lost {
        /// Who was to get them.
        peer: Peer,
        /// How many.
        n_messages: u64,
    },
    /// Somebody out there whom we do not talk to. Told once for each.
    Refused {
        /// Who it says it is.
        who: String,
        /// Why.
        reason: RefuseReason,
    },
    /// Another node took our name while we were out of touch (or started in the same moment). This node must stop.
    NameTaken {
        /// By whom.
        by: Peer,
    },
}

/// Why a peer is considered gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// It said goodbye.
    Left,
    /// Its connection broke or it fell silent: killed, cut off, or hung for too long.
    Unreachable,
    /// A newer incarnation of the same node took its place.
    Replaced,
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DownReason::Left => "left",
            DownReason::Unreachable => "unreachable",
            DownReason::Replaced => "replaced by a newer incarnation",
        })
    }
}

/// Why somebody is not talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefuseReason {
    /// It belongs to another group.
    Group {
        /// Theirs.
        theirs: String,
        /// Ours.
        ours: String,
    },
    /// It speaks another protocol.
    Protocol {
        /// Theirs.
        theirs: u16,
        /// Ours.
        ours: u16,
    },
    /// What it sends is not understood.
    Garbage {
        /// What was wrong with the first such frame.
        detail: String,
    },
}

impl fmt::Display for RefuseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RefuseReason::Group { theirs, ours } => {
                write!(f, "it is in group \"{theirs}\", this node is in \"{ours}\"")
            }
            RefuseReason::Protocol { theirs, ours } => {
                write!(f, "it speaks protocol {theirs}, this node speaks {ours}: run the same release on both")
            }
            RefuseReason::Garbage { detail } => write!(f, "it sends what is no frame ({detail})"),
        }
    }
}

/// Where frames for one incarnation go. Opaque: the engine that made it knows what it means.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub Arc<str>);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody the network shows: what everybody may know before a word was exchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Where its inbox is.
    pub address: Address,
    /// The protocol it speaks.
    pub protocol: u16,
    /// Its group.
    pub group: String,
    /// Who it is.
    pub peer: Peer,
}
