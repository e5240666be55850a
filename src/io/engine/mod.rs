//! Everything between nodes: who is there, and how bytes get to them. [`Router`] is what the rest of Enact uses.
//!
//! Three layers, each replaceable: an [`Engine`] moves single frames and may lose them (zenoh in the product, [`sim`] in tests);
//! a link per peer makes of that an ordered, bounded, lossless stream for each [`Lane`]; the [`Router`] above gives services by
//! name, requests with deadlines, and the view of who is up.

pub mod codec;
pub mod config;
mod dispatch;
mod envelope;
mod inbox;
mod mesh;
pub mod router;
mod service;
mod shared;
pub mod sim;
mod wire;
#[cfg(feature = "zenoh")]
pub mod zenoh;

#[cfg(test)]
mod router_tests;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::logic::peers::Refusal;

pub use crate::logic::{
    link::Lane,
    peers::{Address, DownReason, PROTOCOL, Peer, PeerEvent, RefuseReason, Role, Sighting},
};
pub use config::Config;
pub use inbox::{INBOX_MAX, INBOX_MAX_BYTES, Inbox};
pub use router::{AskError, PeerStats, Router, SendError, Stats};
pub use service::{Incoming, ReplyTo, ServiceId};
#[cfg(feature = "zenoh")]
pub use zenoh::start;

/// Would join the network, which this binary was built without.
///
/// # Errors
/// Always.
#[cfg(not(feature = "zenoh"))]
pub fn start(_: &Config, _: Peer) -> Result<Router, EngineError> {
    Err(EngineError::Network("this binary was built without the network (feature `zenoh`)".to_owned()))
}

/// The largest message, in bytes: what does not fit in a frame is cut and put together again up to this size.
pub const MESSAGE_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Why a node cannot take part in the network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Another node of this name is up.
    #[error("a node named \"{}\" is already in the group (incarnation {:x}, address {place})", .by.name, .by.incarnation)]
    NameInUse {
        /// Who has the name.
        by: Peer,
        /// Where it listens.
        place: String,
    },
    /// An address is none.
    #[error("\"{address}\" is no address: {detail}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        detail: String,
    },
    /// An address that others can reach, and nothing that keeps strangers out.
    #[error("\"{address}\" can be reached by others, and nothing keeps strangers out")]
    Insecure {
        /// What was given.
        address: String,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {detail}")]
    Listen {
        /// Which.
        address: String,
        /// What the system said.
        detail: String,
    },
    /// Something else in the network failed.
    #[error("the network cannot be used: {0}")]
    Network(String),
}

impl EngineError {
    /// What the user can do about it, in a line.
    pub fn help(&self) -> &'static str {
        match self {
            EngineError::NameInUse { .. } => "give this node another name, or stop the other one first",
            EngineError::Address { .. } => "write HOST:PORT, for example 127.0.0.1:7450 (port 0: any free one)",
            EngineError::Insecure { .. } => "listen on 127.0.0.1, or say --insecure on a network you trust",
            EngineError::Listen { .. } => "choose another port (0 takes any free one), or stop what uses it",
            EngineError::Network(_) => {
                "check the addresses and the interface; `enact doctor` looks for the usual causes"
            }
        }
    }
}

impl From<Refusal> for EngineError {
    fn from(refusal: Refusal) -> EngineError {
        EngineError::NameInUse { by: refusal.by, place: refusal.place }
    }
}

/// What an engine tells the layer above.
#[derive(Clone, Debug)]
pub enum NetworkEvent {
    /// Somebody is there.
    Appeared(Sighting),
    /// Nobody is there any more: the process ended, or the way to it is cut.
    Vanished(Address),
    /// A frame for us. From whom, the frame itself says.
    Frame(Bytes),
}

/// The seam to the network: moves frames, shows who is there, promises little. A frame may be lost, doubled, late, or out of
/// order; the links above put that right.
pub trait Engine: Send + Sync + 'static {
    /// Sends a frame to somebody there is no [`Way`] to. May block for a short time (bounded by the engine's own limits), hence
    /// only ever called from a task given to [`Engine::spawn_outbox`]. No error: a frame that cannot be sent is a lost frame.
    fn send(&self, to: &Address, lane: Lane, frame: Bytes);

    /// Opens the way to a peer that many frames will go to. May block, like [`Engine::send`].
    fn open_way(&self, to: &Address) -> Way;

    /// Runs a task that calls [`Engine::send`] or a [`Way`], in a place where its blocking delays nobody else.
    fn spawn_outbox(&self, task: BoxFuture<'static, ()>);

    /// Runs any other task of the layer above; never blocks.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Makes us visible to others, as what [`Sighting`] says.
    fn announce(&self);

    /// What makes the engine leave the network. Does not own the engine: the last of it may have to go on a thread of its own.
    fn closer(&self) -> Closer;
}

/// Makes an engine leave the network, without waiting for that: the receiver tells when it is done. May be called anywhere.
pub type Closer = Box<dyn Fn() -> oneshot::Receiver<()> + Send + Sync>;

/// Sends a frame to a peer. Blocks for a short time while the network's queue for the lane is full; returns at once when nothing
/// is under way on the lane. Does not own the engine: the last of it may have to go on a thread of its own.
pub type Way = Arc<dyn Fn(Lane, Bytes) + Send + Sync>;
