//! The network as the rest of Enact sees it: services by name, requests with deadlines, and the view of who is up.

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, PoisonError, atomic::Ordering::Relaxed},
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::{broadcast, oneshot};

use super::{
    Inbox, Incoming, Lane, MESSAGE_MAX_BYTES, Peer, PeerEvent, ReplyTo, Role, ServiceId, envelope,
    inbox::{Parcel, Undelivered},
    service::Reply,
    shared::{Shared, Standing},
    wire::Wire,
};
use crate::{logic::peers::Refusal, words::NodeName};

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

/// What a router has counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Per peer, those that are gone included as long as they are remembered.
    pub peers: Vec<PeerStats>,
    /// Tells that arrived and were dropped because nothing serves them here or the service's queue stayed full.
    pub undeliverable: u64,
    /// Frames that were refused: garbage, strangers, other protocols, greetings beyond what can be followed.
    pub refused_frames: u64,
    /// Requests to peers that wait for their replies.
    pub requests: u64,
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

/// The network. Cheap to clone; every method may be called from any thread, none blocks. When the last clone goes without
/// [`Router::close`], this node leaves the network without goodbye.
#[derive(Clone)]
pub struct Router(Arc<Handle>);

struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        drop(self.0.shut());
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Router({:?})", self.me())
    }
}

impl Router {
    /// A router with nobody else around: for tests, and for a node that is told to stay alone.
    pub fn alone(me: Peer) -> Router {
        Router::over(Shared::alone(me))
    }

    pub(super) fn over(shared: Arc<Shared>) -> Router {
        Router(Arc::new(Handle(shared)))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    /// Who we are.
    pub fn me(&self) -> &Peer {
        &self.shared().me
    }

    /// Who else is up, consoles too, by name.
    pub fn peers(&self) -> Vec<Peer> {
        let up = self.shared().up.read().unwrap_or_else(PoisonError::into_inner);
        let mut peers: Vec<Peer> = up.values().map(|wire| wire.peer.clone()).collect();
        peers.sort();
        peers
    }

    /// What happens to peers from now on. Who needs the whole picture calls [`Router::peers`] after this.
    pub fn watch(&self) -> broadcast::Receiver<PeerEvent> {
        self.shared().events.subscribe()
    }

    /// Waits until a node is up, no longer than `limit`. False: nobody was found.
    pub async fn found(&self, limit: Duration) -> bool {
        let mut events = self.watch();
        let node_up = || self.peers().iter().any(|peer| peer.role == Role::Node);
        let up = async {
            while !node_up() {
                // Lagging is as good as an event; closed does not happen while the router lives.
                let _ = events.recv().await;
            }
        };
        tokio::time::timeout(limit, up).await.is_ok()
    }

    /// Serves a name on this node: whatever is sent to it arrives in the receiver, up to [`super::INBOX_MAX`] messages or
    /// [`super::INBOX_MAX_BYTES`] waiting. When the queue is full, requests are answered with [`AskError::Busy`]; tells of a
    /// peer hold their lane back, and are dropped and counted when not one was taken for a second. Serving a name again replaces
    /// the former receiver; dropping the receiver ends the service.
    pub fn serve(&self, service: impl Into<ServiceId>) -> Inbox {
        self.shared().services.serve(service.into())
    }

    /// Sends a message to a service of a node. Never blocks: accepted or refused, at once. `to` may be this node.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn tell(&self, to: &NodeName, service: impl Into<ServiceId>, lane: Lane, body: Bytes) -> Result<(), SendError> {
        let (shared, service) = (self.shared(), service.into());
        check_size(&body)?;
        if *to == shared.me.name {
            return self.deliver_here(service, body, None);
        }
        let pushed = self.with_wire(to, |wire| wire.push(lane, &envelope::tell_head(service), &body))?;
        pushed.map_err(|_| SendError::Full { to: to.clone() })?.go();
        Ok(())
    }

    /// Waits until half of the queue to a node is free, after [`SendError::Full`]; no longer than `limit`. It is free as well when
    /// the node is not up: the next [`Router::tell`] says so.
    pub async fn has_room(&self, to: &NodeName, lane: Lane, limit: Duration) -> bool {
        let wire = self.shared().up.read().unwrap_or_else(PoisonError::into_inner).get(to).cloned();
        match wire {
            Some(wire) => tokio::time::timeout(limit, wire.has_room(lane)).await.is_ok(),
            None => true,
        }
    }

    /// Sends a message to a service of every other node that is up (not to consoles). Gives back who did not get it, and why.
    pub fn tell_all(&self, service: impl Into<ServiceId>, lane: Lane, body: Bytes) -> Vec<(NodeName, SendError)> {
        let service = service.into();
        let nodes = self.peers().into_iter().filter(|peer| peer.role == Role::Node);
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
        let (shared, service) = (self.shared(), service.into());
        check_size(&body)?;
        let (asker, reply) = oneshot::channel();
        let mut waiting = Waiting { shared, ask: None, gathered: None };
        if *to == shared.me.name {
            self.deliver_here(service, body, Some(ReplyTo::here(asker))).map_err(|error| match error {
                SendError::Full { to } => AskError::Busy { to },
                SendError::NoService { to } => AskError::NoService { to },
                error => error.into(),
            })?;
        } else {
            // Registered while the peer is held up: should it go down right after, the request is ended with it.
            let gathered = self.with_wire(to, |wire| {
                let ask = shared.asks.begin(&wire.peer, asker);
                waiting.ask = Some(ask);
                waiting.gathered = Some(wire.clone());
                wire.gather(lane, &envelope::ask_head(service, ask), &body)
            })?;
            gathered.map_err(|_| SendError::Full { to: to.clone() })?;
            // Those who ask in the same turn of this thread share a frame.
            next_turn().await;
            if let Some(wire) = waiting.gathered.take() {
                wire.flush(lane).go();
            }
        }
        let to = to.clone();
        match tokio::time::timeout(deadline, reply).await {
            Err(_) => Err(AskError::Timeout { to, after: deadline }),
            Ok(Ok(Reply::Done(body))) => Ok(body),
            Ok(Ok(Reply::Refused(text))) => Err(AskError::Refused(text)),
            Ok(Ok(Reply::NoService)) => Err(AskError::NoService { to }),
            Ok(Ok(Reply::Busy)) => Err(AskError::Busy { to }),
            Ok(Ok(Reply::PeerDown)) => Err(AskError::PeerDown { to }),
            Ok(Ok(Reply::Closed)) => Err(AskError::Send(SendError::Closed)),
            Ok(Ok(Reply::Dropped) | Err(_)) => Err(AskError::Dropped { to }),
        }
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        let shared = self.shared();
        let mut peers: Vec<PeerStats> = shared.all_wires().iter().map(|wire| peer_stats(wire)).collect();
        peers.sort_by(|a, b| a.peer.cmp(&b.peer));
        Stats {
            peers,
            undeliverable: shared.undeliverable.load(Relaxed),
            refused_frames: shared.strange_frames.load(Relaxed),
            requests: shared.asks.n_waiting() as u64,
        }
    }

    /// Leaves the network: lets the peers take what was accepted for them and says goodbye, but takes no longer than `limit`.
    /// Tells and asks end with [`SendError::Closed`] from then on. May be awaited anywhere, on an actix arbiter too.
    pub async fn close(&self, limit: Duration) {
        self.shared().leave(true, limit).await;
    }

    /// Waits until this node belongs to the group: its name is free.
    pub(super) async fn joined(&self) -> Result<(), Refusal> {
        let mut standing = self.shared().standing.subscribe();
        let decided = standing.wait_for(|standing| *standing != Standing::Joining).await;
        match decided.as_deref() {
            Ok(Standing::NameInUse(refusal)) => Err(refusal.clone()),
            // An error would be a router that is gone, and we hold it.
            Ok(Standing::Member | Standing::Joining) | Err(_) => Ok(()),
        }
    }

    fn deliver_here(&self, service: ServiceId, body: Bytes, reply: Option<ReplyTo>) -> Result<(), SendError> {
        let shared = self.shared();
        if shared.closed.load(Relaxed) {
            return Err(SendError::Closed);
        }
        let message = Incoming { from: shared.me.clone(), body, reply };
        let to = || shared.me.name.clone();
        shared.services.deliver(service, Parcel::One(message)).map_err(|undelivered| match undelivered {
            Undelivered::Full(_) => SendError::Full { to: to() },
            Undelivered::NoService(_) => SendError::NoService { to: to() },
        })
    }

    /// Calls `send` with the link to a node while that is up.
    fn with_wire<T>(&self, to: &NodeName, send: impl FnOnce(&Arc<Wire>) -> T) -> Result<T, SendError> {
        let shared = self.shared();
        if shared.closed.load(Relaxed) {
            return Err(SendError::Closed);
        }
        let up = shared.up.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(wire) = up.get(to) {
            return Ok(send(wire));
        }
        let mut names: Vec<&str> = up.keys().map(NodeName::as_str).collect();
        names.sort_unstable();
        let up = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        Err(SendError::NotUp { to: to.clone(), up })
    }
}

/// A request under way; forgotten when nobody waits any more, whyever.
struct Waiting<'a> {
    shared: &'a Shared,
    ask: Option<u64>,
    /// It is still to be sent.
    gathered: Option<Arc<Wire>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(wire) = self.gathered.take() {
            wire.flush_later();
        }
        if let Some(ask) = self.ask {
            self.shared.asks.end(ask);
        }
    }
}

/// Lets the other tasks that are ready have their turn.
async fn next_turn() {
    let mut is_next = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_next, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn check_size(body: &Bytes) -> Result<(), SendError> {
    match body.len() {
        size if size > MESSAGE_MAX_BYTES => Err(SendError::TooLarge { size }),
        _ => Ok(()),
    }
}

fn peer_stats(wire: &Wire) -> PeerStats {
    let (counts, queued) = wire.counts();
    PeerStats {
        peer: wire.peer.clone(),
        up: wire.up.load(Relaxed),
        sent: counts.sent,
        received: wire.received.load(Relaxed),
        refused: counts.refused,
        resent_frames: counts.resent_frames,
        lost: counts.lost,
        queued_bytes: queued as u64,
    }
}
