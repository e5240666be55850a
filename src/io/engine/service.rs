//! What a service is: a name that messages are sent to, a bounded queue behind it, and the way back for a reply.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    Peer,
    inbox::{Inbox, Parcel, Queue, Undelivered},
    wire::Wire,
};
use crate::logic::link::Lane;

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
    Here(oneshot::Sender<Reply>),
    There { wire: Arc<Wire>, lane: Lane, ask: u64 },
}

/// What comes back for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Done(Bytes),
    Refused(String),
    Dropped,
    NoService,
    Busy,
    PeerDown,
    Closed,
}

impl ReplyTo {
    pub(super) fn here(asker: oneshot::Sender<Reply>) -> ReplyTo {
        ReplyTo(Some(Back::Here(asker)))
    }

    pub(super) fn there(wire: Arc<Wire>, lane: Lane, ask: u64) -> ReplyTo {
        ReplyTo(Some(Back::There { wire, lane, ask }))
    }

    /// Replies. An error text reaches the asker as [`super::AskError::Refused`].
    pub fn send(mut self, reply: Result<Bytes, String>) {
        let reply = match reply {
            Ok(body) => Reply::Done(body),
            Err(text) => Reply::Refused(text),
        };
        match self.0.take() {
            Some(Back::There { wire, lane, ask }) => wire.reply(lane, ask, reply).go(),
            here => ReplyTo(here).end(reply),
        }
    }

    /// Ends the request without calling the network: may be done from within it.
    pub(super) fn end(&mut self, reply: Reply) {
        match self.0.take() {
            // The asker may have stopped waiting: nothing to do then.
            Some(Back::Here(asker)) => drop(asker.send(reply)),
            Some(Back::There { wire, lane, ask }) => wire.reply_later(lane, ask, reply),
            None => {}
        }
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        self.end(Reply::Dropped);
    }
}

impl fmt::Debug for ReplyTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyTo")
    }
}

/// The services of this node.
#[derive(Debug, Default)]
pub(super) struct Services(RwLock<HashMap<ServiceId, Arc<Queue>>>);

impl Services {
    pub(super) fn serve(&self, service: ServiceId) -> Inbox {
        let queue = Arc::new(Queue::default());
        let former = self.0.write().unwrap_or_else(PoisonError::into_inner).insert(service, queue.clone());
        if let Some(former) = former {
            former.close();
        }
        Inbox::of(queue)
    }

    /// Delivers what there is room for.
    pub(super) fn deliver(&self, service: ServiceId, parcel: Parcel) -> Result<(), Undelivered> {
        let services = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match services.get(&service) {
            Some(queue) => queue.deliver(parcel),
            None => Err(Undelivered::NoService(parcel)),
        }
    }

    pub(super) fn queue(&self, service: ServiceId) -> Option<Arc<Queue>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&service).cloned()
    }

    pub(super) fn clear(&self) {
        let services = std::mem::take(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner));
        services.values().for_each(|queue| queue.close());
    }
}
