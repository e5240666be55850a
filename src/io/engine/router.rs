//! Services by name, requests with deadlines, and the view of who is up: what the rest of Enact sees of the network.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{Lane, MESSAGE_MAX_BYTES, Peer, PeerEvent};
use crate::words::NodeName;

/// Messages that wait for a service: a full frame of the smallest messages fits several times, and a stuck service keeps at most
/// this many.
pub const INBOX_MAX: usize = 8192;

/// Events that a slow watcher may be behind before it misses some (it is told so by `RecvError::Lagged`).
const EVENTS_MAX: usize = 1024;

/// What a service is called on the wire: a hash of its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(pub u64);

impl ServiceId {
    /// The id of the service of this name. Cheap, but who sends millions of messages computes it once.
    pub const fn of(name: &str) -> ServiceId {
        // FNV-1a: short names, no adversary (who may talk to us at all is the engine's question).
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let (bytes, mut idx) = (name.as_bytes(), 0);
        while idx < bytes.len() {
            hash = (hash ^ bytes[idx] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            idx += 1;
        }
        ServiceId(hash)
    }
}

impl From<&str> for ServiceId {
    fn from(name: &str) -> ServiceId {
        ServiceId::of(name)
    }
}

impl From<&String> for ServiceId {
    fn from(name: &String) -> ServiceId {
        ServiceId::of(name)
    }
}

impl fmt::Debug for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Why a message was not accepted. One that was accepted arrives exactly once and in order, unless a process dies or stays away
/// too long; then it is counted and told as [`PeerEvent::Lost`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nobody of this name is up.
    #[error("no node \"{to}\" is up (up are: {up})")]
    NotUp {
        /// Who was meant.
        to: NodeName,
        /// Who is up, as text.
        up: String,
    },
    /// The receiver does not keep up and the bounded queue to it is full.
    #[error("the queue to \"{to}\" is full: it does not keep up")]
    Full {
        /// Who was meant.
        to: NodeName,
    },
    /// Beyond [`MESSAGE_MAX_BYTES`].
    #[error("a message of {size} bytes is too large, at most {MESSAGE_MAX_BYTES} are sent")]
    TooLarge {
        /// Its size.
        size: usize,
    },
    /// On this very node, nobody serves it.
    #[error("nothing on \"{to}\" serves this")]
    NoService {
        /// Who was meant.
        to: NodeName,
    },
    /// The router is closed.
    #[error("this node has left the network")]
    Closed,
}

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The request was not even accepted.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The peer went down; whether it did what was asked is unknown.
    #[error("\"{to}\" went down before it replied")]
    PeerDown {
        /// Who was asked.
        to: NodeName,
    },
    /// No reply in time; whether it did or will do what was asked is unknown.
    #[error("\"{to}\" did not reply within {}", humantime::format_duration(*.after))]
    Timeout {
        /// Who was asked.
        to: NodeName,
        /// The deadline that passed.
        after: Duration,
    },
    /// Nothing serves it there.
    #[error("nothing on \"{to}\" serves this")]
    NoService {
        /// Who was asked.
        to: NodeName,
    },
    /// The service's queue is full; nothing was done.
    #[error("\"{to}\" is too busy")]
    Busy {
        /// Who was asked.
        to: NodeName,
    },
    /// The service replied with an error.
    #[error("{0}")]
    Refused(String),
    /// The service took the request and dropped it without a reply.
    #[error("\"{to}\" gave the request up without a reply")]
    Dropped {
        /// Who was asked.
        to: NodeName,
    },
}

/// A message that arrived for a service.
#[derive(Debug)]
pub struct Incoming {
    /// Who sent it. May be this very node.
    pub from: Peer,
    /// What it says.
    pub body: Bytes,
    /// Where the reply goes; `None` for a tell.
    pub reply: Option<ReplyTo>,
}

/// The one chance to reply to a request. Dropped unused, the asker is told so at once.
pub struct ReplyTo(Option<Back>);

enum Back {
    Here(oneshot::Sender<Result<Bytes, ReplyError>>),
}

/// What may come back instead of a reply.
enum ReplyError {
    Refused(String),
    Dropped,
}

impl ReplyTo {
    /// Replies. An error text reaches the asker as [`AskError::Refused`].
    pub fn send(mut self, reply: Result<Bytes, String>) {
        if let Some(back) = self.0.take() {
            back.send(reply.map_err(ReplyError::Refused));
        }
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        if let Some(back) = self.0.take() {
            back.send(Err(ReplyError::Dropped));
        }
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyTo")
    }
}

impl Back {
    fn send(self, reply: Result<Bytes, ReplyError>) {
        match self {
            // The asker may have stopped waiting: nothing to do then.
            Back::Here(sender) => drop(sender.send(reply)),
        }
    }
}

/// What a router has counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Per peer, those that are gone included as long as they are remembered.
    pub peers: Vec<PeerStats>,
    /// Tells that arrived and were dropped because nothing serves them here or the service's queue stayed full.
    pub undeliverable: u64,
    /// Frames that were refused: garbage, strangers, other protocols.
    pub refused_frames: u64,
}

/// What was counted for one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStats {
    /// Who.
    pub peer: Peer,
    /// Whether it is up.
    pub up: bool,
    /// Messages accepted for it.
    pub sent: u64,
    /// Messages that came from it, in order and once.
    pub received: u64,
    /// Messages not accepted for it because its queue was full.
    pub refused: u64,
    /// Frames sent again.
    pub resent_frames: u64,
    /// Messages that had been accepted and are lost for good.
    pub lost: u64,
    /// Bytes that wait to be sent to it or to be acknowledged by it.
    pub queued_bytes: u64,
}

/// The network as the rest of Enact sees it. Cheap to clone; every method may be called from any thread, none blocks.
#[derive(Clone)]
pub struct Router(Arc<Shared>);

struct Shared {
    me: Peer,
    services: RwLock<HashMap<ServiceId, mpsc::Sender<Incoming>>>,
    events: broadcast::Sender<PeerEvent>,
    asks: Mutex<HashMap<u64, oneshot::Sender<Result<Bytes, ReplyError>>>>,
    undeliverable: AtomicU64,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Router({:?})", self.0.me)
    }
}

impl Router {
    /// A router with nobody else around: for tests, and for a node that is told to stay alone.
    pub fn alone(me: Peer) -> Router {
        Router(Arc::new(Shared {
            me,
            services: RwLock::default(),
            events: broadcast::channel(EVENTS_MAX).0,
            asks: Mutex::default(),
            undeliverable: AtomicU64::new(0),
        }))
    }

    /// Who we are.
    pub fn me(&self) -> &Peer {
        &self.0.me
    }

    /// Who else is up, consoles too, by name.
    pub fn peers(&self) -> Vec<Peer> {
        Vec::new()
    }

    /// What happens to peers from now on. Who needs the whole picture calls [`Router::peers`] after this.
    pub fn watch(&self) -> broadcast::Receiver<PeerEvent> {
        self.0.events.subscribe()
    }

    /// Serves a name on this node: whatever is sent to it arrives in the receiver, up to [`INBOX_MAX`] waiting. When the queue is
    /// full, requests are answered with [`AskError::Busy`]; tells hold their lane of that peer back for a moment, and are
    /// then dropped and counted. Serving a name again replaces the former receiver; dropping the receiver ends the service.
    pub fn serve(&self, service: impl Into<ServiceId>) -> mpsc::Receiver<Incoming> {
        let (sender, receiver) = mpsc::channel(INBOX_MAX);
        self.0.services.write().unwrap_or_else(PoisonError::into_inner).insert(service.into(), sender);
        receiver
    }

    /// Sends a message to a service of a node. Never blocks: accepted or refused, at once. `to` may be this node.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn tell(&self, to: &NodeName, service: impl Into<ServiceId>, lane: Lane, body: Bytes) -> Result<(), SendError> {
        let _ = lane;
        if *to != self.0.me.name {
            return Err(self.not_up(to));
        }
        self.deliver_here(service.into(), Incoming { from: self.0.me.clone(), body, reply: None })
            .map_err(|error| error.0)
    }

    /// Sends a message to a service of every other node that is up (not to consoles). Gives back who did not get it, and why.
    pub fn tell_all(&self, service: impl Into<ServiceId>, lane: Lane, body: Bytes) -> Vec<(NodeName, SendError)> {
        let service = service.into();
        let nodes = self.peers().into_iter().filter(|peer| peer.role == super::Role::Node);
        nodes
            .filter_map(|peer| Some((peer.name.clone(), self.tell(&peer.name, service, lane, body.clone()).err()?)))
            .collect()
    }

    /// Sends a request to a service of a node and waits for the reply, no longer than `deadline`.
    ///
    /// # Errors
    /// See [`AskError`]. It ends at once when the peer goes down.
    pub async fn ask(
        &self,
        to: &NodeName,
        service: impl Into<ServiceId>,
        lane: Lane,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, AskError> {
        let _ = lane;
        if *to != self.0.me.name {
            return Err(self.not_up(to).into());
        }
        let (sender, receiver) = oneshot::channel();
        let reply = Some(ReplyTo(Some(Back::Here(sender))));
        if let Err(refused) = self.deliver_here(service.into(), Incoming { from: self.0.me.clone(), body, reply }) {
            return Err(match refused.0 {
                SendError::Full { to } => AskError::Busy { to },
                SendError::NoService { to } => AskError::NoService { to },
                error => error.into(),
            });
        }
        match tokio::time::timeout(deadline, receiver).await {
            Err(_) => Err(AskError::Timeout { to: to.clone(), after: deadline }),
            Ok(Ok(Ok(reply))) => Ok(reply),
            Ok(Ok(Err(ReplyError::Refused(text)))) => Err(AskError::Refused(text)),
            Ok(Ok(Err(ReplyError::Dropped)) | Err(_)) => Err(AskError::Dropped { to: to.clone() }),
        }
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        Stats { peers: Vec::new(), undeliverable: self.0.undeliverable.load(Relaxed), refused_frames: 0 }
    }

    /// Leaves the network: tells the peers, and waits until they know or `limit` has passed. Tells and asks end with
    /// [`SendError::Closed`] from then on. May be awaited anywhere, on an actix arbiter too.
    pub async fn close(&self, limit: Duration) {
        let _ = limit;
        self.0.asks.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Puts a message into the queue of a service of this node.
    fn deliver_here(&self, service: ServiceId, message: Incoming) -> Result<(), (SendError, Incoming)> {
        let services = self.0.services.read().unwrap_or_else(PoisonError::into_inner);
        let to = || self.0.me.name.clone();
        let Some(sender) = services.get(&service) else { return Err((SendError::NoService { to: to() }, message)) };
        sender.try_send(message).map_err(|error| match error {
            mpsc::error::TrySendError::Full(message) => (SendError::Full { to: to() }, message),
            mpsc::error::TrySendError::Closed(message) => (SendError::NoService { to: to() }, message),
        })
    }

    fn not_up(&self, to: &NodeName) -> SendError {
        let names: Vec<String> = self.peers().iter().map(|peer| peer.name.to_string()).collect();
        let up = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        SendError::NotUp { to: to.clone(), up }
    }
}
