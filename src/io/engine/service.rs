//! What a service is: a name that messages are sent to, a bounded queue behind it, and the way back for a reply.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{
    Peer,
    inbox::{INBOX_MAX_BYTES, Inbox, Parcel, Queue, Undelivered},
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
    There { wire: Arc<Wire>, lane: Lane, ask: u64, is_alone: bool },
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

    /// `is_alone`: no other request came with it.
    pub(super) fn there(wire: Arc<Wire>, lane: Lane, ask: u64, is_alone: bool) -> ReplyTo {
        ReplyTo(Some(Back::There { wire, lane, ask, is_alone }))
    }

    /// Replies. An error text reaches the asker as [`super::AskError::Refused`].
    pub fn send(mut self, reply: Result<Bytes, String>) {
        let reply = match reply {
            Ok(body) => Reply::Done(body),
            Err(text) => Reply::Refused(text),
        };
        match self.0.take() {
            Some(Back::There { wire, lane, ask, is_alone: true }) => wire.reply(lane, ask, reply).go(),
            // Replies to requests that came together go together: the outbox takes what there is when it has woken.
            here => ReplyTo(here).end(reply),
        }
    }

    /// Ends the request without calling the network: may be done from within it.
    pub(super) fn end(&mut self, reply: Reply) {
        match self.0.take() {
            // The asker may have stopped waiting: nothing to do then.
            Some(Back::Here(asker)) => drop(asker.send(reply)),
            Some(Back::There { wire, lane, ask, .. }) => wire.reply_later(lane, ask, reply),
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

/// Messages kept for services that are not served yet; a handful of peers and consoles ask a newcomer at once. And of their bytes no
/// more than an inbox takes.
const EARLY_MAX: usize = 1024;

/// What came from peers for services that are not served yet.
#[derive(Debug, Default)]
struct Early {
    parcels: Vec<(ServiceId, Parcel)>,
}

impl Early {
    /// Keeps a parcel, or gives it back.
    fn keep(&mut self, service: ServiceId, mut parcel: Parcel) -> Result<(), Parcel> {
        let kept = || self.parcels.iter().map(|(_, parcel)| parcel);
        let n_messages: usize = kept().map(Parcel::len).sum();
        let n_bytes: usize = kept().map(Parcel::n_bytes).sum();
        if n_messages + parcel.len() > EARLY_MAX || n_bytes >= INBOX_MAX_BYTES {
            return Err(parcel);
        }
        parcel.leave_frame();
        self.parcels.push((service, parcel));
        Ok(())
    }
}

/// The services of this node.
#[derive(Debug, Default)]
pub(super) struct Services {
    queues: RwLock<HashMap<ServiceId, Arc<Queue>>>,
    /// In this node's first moment; `None` after it.
    early: Mutex<Option<Early>>,
}

impl Services {
    pub(super) fn serve(&self, service: ServiceId) -> Inbox {
        let queue = Arc::new(Queue::default());
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        let former = queues.insert(service, queue.clone());
        if let Some(early) = self.early().as_mut() {
            for (_, parcel) in early.parcels.extract_if(.., |(of, _)| *of == service) {
                // There is room: it is empty, and no more is kept.
                drop(queue.deliver(parcel));
            }
        }
        drop(queues);
        if let Some(former) = former {
            former.close();
        }
        Inbox::of(queue)
    }

    /// Delivers what there is room for.
    pub(super) fn deliver(&self, service: ServiceId, parcel: Parcel) -> Result<(), Undelivered> {
        match self.queue(service) {
            Some(queue) => queue.deliver(parcel),
            None => Err(Undelivered::NoService(parcel)),
        }
    }

    /// The same for what comes from a peer: in this node's first moment it waits for its service.
    pub(super) fn deliver_from_afar(&self, service: ServiceId, parcel: Parcel) -> Result<(), Undelivered> {
        // Held until the parcel is put somewhere: nobody serves it in between.
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(&service) {
            return queue.deliver(parcel);
        }
        match self.early().as_mut() {
            Some(early) => early.keep(service, parcel).map_err(Undelivered::NoService),
            None => Err(Undelivered::NoService(parcel)),
        }
    }

    /// From now on messages wait for services that are not served yet.
    pub(super) fn begin_first_moment(&self) {
        self.early().get_or_insert_default();
    }

    /// From now on they do not; gives those whose services did not come.
    pub(super) fn end_first_moment(&self) -> Vec<Parcel> {
        let early = self.early().take().unwrap_or_default();
        early.parcels.into_iter().map(|(_, parcel)| parcel).collect()
    }

    pub(super) fn queue(&self, service: ServiceId) -> Option<Arc<Queue>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner).get(&service).cloned()
    }

    pub(super) fn clear(&self) {
        let services = std::mem::take(&mut *self.queues.write().unwrap_or_else(PoisonError::into_inner));
        services.values().for_each(|queue| queue.close());
        drop(self.end_first_moment());
    }

    fn early(&self) -> MutexGuard<'_, Option<Early>> {
        self.early.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::engine::{INBOX_MAX_BYTES, Role};

    #[tokio::test]
    async fn what_waits_for_services_that_are_not_served_yet_is_bounded_in_bytes() {
        let from = Peer { name: "n".parse().unwrap(), incarnation: 1, role: Role::Node };
        let (services, service) = (Services::default(), ServiceId::of("later"));
        let body = Bytes::from(vec![0; 1024 * 1024]);
        let large = || Parcel::One(Incoming { from: from.clone(), body: body.clone(), reply: None });
        services.begin_first_moment();
        let n_kept = (0..EARLY_MAX).take_while(|_| services.deliver_from_afar(service, large()).is_ok()).count();
        assert_eq!(n_kept, INBOX_MAX_BYTES / body.len());
        let mut inbox = services.serve(service);
        let n_served = std::iter::from_fn(|| inbox.try_recv()).count();
        assert_eq!(n_served, n_kept);
    }
}
