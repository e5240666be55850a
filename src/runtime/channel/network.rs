//! The fragment's way to the fragments on other nodes: frames to bytes, and back.

use std::{pin::Pin, sync::Arc, task::Context, task::Poll};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::{
    io::engine::{
        Inbox, Lane, MESSAGE_MAX_BYTES, PeerEvent, Role, Router, SendError, ServiceId,
        codec::{self, CodecError},
    },
    logic::delivery::{Frame, LocalPort, Outcome, Parcel, Ticket},
    model::ComponentId,
    runtime::instance::{Form, Message, Wire},
    words::{ChannelName, ComponentName, Name, NodeName, PortName},
};

/// Where a frame is cut: a few of the engine's own frames, so that one channel does not hold up another for long.
const FRAME_BYTES: usize = 256 * 1024;

/// The largest message that fits in a frame with what belongs around it.
const BODY_MAX_BYTES: usize = MESSAGE_MAX_BYTES - 64 * 1024;

/// Replies below this size go with the control traffic: they are awaited.
const SMALL_BYTES: usize = 4096;

/// A frame as it travels.
#[derive(Debug, Serialize, Deserialize)]
enum WireFrame {
    Deliver {
        epoch: u64,
        to: u64,
        base: u64,
        first: u64,
        port: LocalPort,
        kinds: Vec<WireKind>,
        parcels: Vec<WireParcel>,
    },
    Confirm {
        of: u64,
        by: u64,
        port: LocalPort,
        received: u64,
        handed: u64,
    },
    Settled {
        of: u64,
        follow: (Ticket, u32),
        outcome: Outcome<Wire>,
    },
    State {
        by: u64,
        heard: u64,
        ports: Arc<[(LocalPort, bool)]>,
    },
    Hello {
        by: u64,
        number: u64,
    },
}

/// What many messages of a frame have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct WireKind {
    type_name: Arc<str>,
    schema: u64,
    form: Form,
}

/// A message of a frame; without a kind it was taken back.
#[derive(Debug, Serialize, Deserialize)]
struct WireParcel {
    kind: Option<u16>,
    follow: Option<(Ticket, u32)>,
    body: Bytes,
}

/// What became of a frame.
#[derive(Debug, Default)]
pub(super) struct Posted {
    /// The queue to the node is full; try later.
    pub(super) is_congested: bool,
    /// Messages that can never be sent.
    pub(super) n_unsendable: u64,
}

/// What comes from the network.
pub(super) enum Arrival {
    /// A frame from a node.
    Frame(NodeName, Frame<Message>),
    /// A node is up.
    Up(NodeName),
    /// A node is down.
    Down(NodeName),
    /// Something was missed: [`Network::nodes`] tells who is up.
    Unsure,
}

/// The network as one fragment sees it.
pub(super) struct Network {
    router: Router,
    service: ServiceId,
    incoming: Inbox,
    events: Pin<Box<dyn Stream<Item = Option<PeerEvent>>>>,
}

impl Network {
    pub(super) fn new(router: Router, channel: &ChannelName) -> Network {
        let service = ServiceId::of(&format!("channel/{channel}"));
        let incoming = router.serve(service);
        let events = stream::unfold(router.watch(), |mut events| async move {
            match events.recv().await {
                Ok(event) => Some((Some(event), events)),
                Err(broadcast::error::RecvError::Lagged(_)) => Some((None, events)),
                Err(broadcast::error::RecvError::Closed) => None,
            }
        });
        Network { router, service, incoming, events: Box::pin(events) }
    }

    /// Grows with each start of this node.
    pub(super) fn incarnation(&self) -> u64 {
        self.router.me().incarnation
    }

    /// The nodes that are up.
    pub(super) fn nodes(&self) -> Vec<NodeName> {
        let peers = self.router.peers().into_iter();
        peers
            .filter(|peer| peer.role == Role::Node && peer.name != self.router.me().name)
            .map(|peer| peer.name)
            .collect()
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Arrival> {
        while let Poll::Ready(Some(event)) = self.events.poll_next_unpin(cx) {
            let arrival = match event {
                Some(PeerEvent::Up(peer)) if peer.role == Role::Node => Arrival::Up(peer.name),
                Some(PeerEvent::Down { peer, .. }) if peer.role == Role::Node => Arrival::Down(peer.name),
                None => Arrival::Unsure,
                Some(_) => continue,
            };
            return Poll::Ready(arrival);
        }
        while let Poll::Ready(Some(incoming)) = self.incoming.poll_recv(cx) {
            match read(&incoming.body) {
                Ok(Some(frame)) => return Poll::Ready(Arrival::Frame(incoming.from.name, frame)),
                // A peer can send anything: what is no frame is left alone.
                Ok(None) => tracing::debug!(peer = %incoming.from, "a channel's frame contradicts itself"),
                Err(error) => tracing::debug!(peer = %incoming.from, %error, "no frame of a channel"),
            }
        }
        Poll::Pending
    }

    /// Sends a frame to the fragment on another node. `schema` is that of the receiving port.
    pub(super) fn post(&self, to: &NodeName, frame: Frame<Message>, schema: impl Fn(&LocalPort) -> u64) -> Posted {
        let mut posted = Posted::default();
        match frame {
            Frame::Deliver { epoch, to: of, base, first, port, parcels } => {
                let schema = schema(&port);
                let mut cut =
                    Cut { epoch, to: of, base, port, first, kinds: Vec::new(), parcels: Vec::new(), n_bytes: 0 };
                for parcel in parcels {
                    posted.n_unsendable += u64::from(!cut.add(parcel, schema));
                    if cut.is_full() && !self.send(to, Lane::Bulk, &cut.take(), &mut posted) {
                        return posted;
                    }
                }
                if !cut.parcels.is_empty() {
                    self.send(to, Lane::Bulk, &cut.take(), &mut posted);
                }
            }
            Frame::Settled { of, follow, outcome } => {
                let outcome = pack_outcome(outcome);
                let lane = match &outcome {
                    Outcome::Done(Some(wire)) if wire.body.len() > SMALL_BYTES => Lane::Bulk,
                    _ => Lane::Control,
                };
                self.send(to, lane, &WireFrame::Settled { of, follow, outcome }, &mut posted);
            }
            Frame::Confirm { of, by, port, received, handed } => {
                let frame = WireFrame::Confirm { of, by, port, received, handed };
                self.send(to, Lane::Control, &frame, &mut posted);
            }
            Frame::State { by, heard, ports } => {
                self.send(to, Lane::Control, &WireFrame::State { by, heard, ports }, &mut posted);
            }
            // Behind all messages: the answer says what became of them.
            Frame::Hello { by, number } => {
                self.send(to, Lane::Bulk, &WireFrame::Hello { by, number }, &mut posted);
            }
        }
        posted
    }

    fn send(&self, to: &NodeName, lane: Lane, frame: &WireFrame, posted: &mut Posted) -> bool {
        let bytes = match codec::encode(frame) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(node = %to, %error, "a channel's frame cannot be encoded");
                return false;
            }
        };
        match self.router.tell(to, self.service, lane, bytes.into()) {
            Ok(()) => true,
            // Its fragment keeps what it has for a node that is down, and hears when it is back.
            Err(SendError::NotUp { .. } | SendError::Closed | SendError::NoService { .. }) => false,
            Err(SendError::Full { .. }) => {
                posted.is_congested = true;
                false
            }
            Err(error @ SendError::TooLarge { .. }) => {
                tracing::warn!(node = %to, %error, "a channel's frame is too large");
                false
            }
        }
    }
}

/// A frame being filled.
struct Cut {
    epoch: u64,
    to: u64,
    base: u64,
    port: LocalPort,
    /// The number of the first parcel of the frame.
    first: u64,
    kinds: Vec<WireKind>,
    parcels: Vec<WireParcel>,
    n_bytes: usize,
}

impl Cut {
    /// Adds a parcel; false when its message can never be sent (its number is then sent without it).
    fn add(&mut self, Parcel { message, follow }: Parcel<Message>, schema: u64) -> bool {
        let Some(message) = message else {
            self.parcels.push(WireParcel { kind: None, follow, body: Bytes::new() });
            return true;
        };
        match message.encode(schema) {
            Ok(Wire { type_name, schema, form, body }) if body.len() <= BODY_MAX_BYTES => {
                let kind = self.kind(WireKind { type_name, schema, form });
                self.n_bytes += body.len();
                self.parcels.push(WireParcel { kind: Some(kind), follow, body });
                true
            }
            Ok(wire) => {
                tracing::warn!(size = wire.body.len(), kind = %wire.type_name, "a message is too large for another node");
                self.parcels.push(WireParcel { kind: None, follow, body: Bytes::new() });
                false
            }
            Err(error) => {
                tracing::warn!(%error, "a message cannot go to another node");
                self.parcels.push(WireParcel { kind: None, follow, body: Bytes::new() });
                false
            }
        }
    }

    fn kind(&mut self, kind: WireKind) -> u16 {
        // Nearly always one kind; the frame is cut long before there are too many.
        let known = self.kinds.iter().position(|known| *known == kind);
        let idx = known.unwrap_or_else(|| {
            self.kinds.push(kind);
            self.kinds.len() - 1
        });
        idx as u16
    }

    fn is_full(&self) -> bool {
        self.n_bytes >= FRAME_BYTES || self.kinds.len() >= 1024
    }

    fn take(&mut self) -> WireFrame {
        let first = self.first;
        self.first += self.parcels.len() as u64;
        self.n_bytes = 0;
        WireFrame::Deliver {
            epoch: self.epoch,
            to: self.to,
            base: self.base,
            first,
            port: self.port.clone(),
            kinds: std::mem::take(&mut self.kinds),
            parcels: std::mem::take(&mut self.parcels),
        }
    }
}

fn pack_outcome(outcome: Outcome<Message>) -> Outcome<Wire> {
    match outcome {
        Outcome::Done(None) => Outcome::Done(None),
        // The asker's type is not known here: the form that describes itself suits everyone.
        Outcome::Done(Some(reply)) => match reply.encode(0) {
            Ok(wire) if wire.body.len() <= BODY_MAX_BYTES => Outcome::Done(Some(wire)),
            Ok(_) => Outcome::Failed("the reply is too large to be sent".into()),
            Err(error) => Outcome::Failed(error.to_string().into()),
        },
        Outcome::Failed(reason) => Outcome::Failed(reason),
        Outcome::Lost => Outcome::Lost,
        Outcome::Dropped => Outcome::Dropped,
    }
}

/// A frame from bytes that another node sent; `None` when it contradicts itself.
///
/// # Errors
/// When the bytes are no frame.
pub(super) fn read(bytes: &[u8]) -> Result<Option<Frame<Message>>, CodecError> {
    codec::decode(bytes, MESSAGE_MAX_BYTES).map(unpack)
}

/// A frame of each kind as bytes, for tests that have no network.
pub(super) fn samples() -> Vec<Vec<u8>> {
    let port = sample_port();
    let kind = WireKind { type_name: "u64".into(), schema: 0, form: Form::Value };
    let parcel = |kind| WireParcel { kind, follow: None, body: Bytes::from_static(b"7") };
    let frames = [
        WireFrame::Deliver {
            epoch: 1,
            to: 1,
            base: 1,
            first: 1,
            port: port.clone(),
            kinds: vec![kind],
            parcels: vec![parcel(Some(0)), parcel(None)],
        },
        WireFrame::Confirm { of: 1, by: 1, port: port.clone(), received: 2, handed: 1 },
        WireFrame::Settled { of: 1, follow: (Ticket::default(), 1), outcome: Outcome::Failed("no".into()) },
        WireFrame::State { by: 1, heard: 1, ports: Arc::from([(port, true)]) },
        WireFrame::Hello { by: 1, number: 1 },
    ];
    frames.iter().flat_map(codec::encode).collect()
}

/// A port as [`super::testing::Bench`] has them.
fn sample_port() -> LocalPort {
    let name = |name| Name::parse(name).expect("a good name");
    LocalPort {
        of: ComponentId::default(),
        component: ComponentName::from(name("a")),
        port: PortName::from(name("input")),
    }
}

fn unpack(frame: WireFrame) -> Option<Frame<Message>> {
    Some(match frame {
        WireFrame::Deliver { epoch, to, base, first, port, kinds, parcels } => {
            let parcels = parcels.into_iter().map(|WireParcel { kind, follow, body }| {
                let message = match kind {
                    None => None,
                    Some(kind) => {
                        let WireKind { type_name, schema, form } = kinds.get(usize::from(kind))?.clone();
                        Some(Message::from_wire(Wire { type_name, schema, form, body }))
                    }
                };
                Some(Parcel { message, follow })
            });
            let parcels = parcels.collect::<Option<Vec<_>>>()?;
            // Numbers grow for as long as a fragment lives; nobody gets near the end, where there is none for what comes next.
            first.checked_add(parcels.len() as u64 + 1).filter(|_| base <= first)?;
            Frame::Deliver { epoch, to, base, first, port, parcels }
        }
        WireFrame::Confirm { of, by, port, received, handed } => Frame::Confirm { of, by, port, received, handed },
        WireFrame::Settled { of, follow, outcome } => {
            let outcome = match outcome {
                Outcome::Done(reply) => Outcome::Done(reply.map(Message::from_wire)),
                Outcome::Failed(reason) => Outcome::Failed(reason),
                Outcome::Lost => Outcome::Lost,
                Outcome::Dropped => Outcome::Dropped,
            };
            Frame::Settled { of, follow, outcome }
        }
        WireFrame::State { by, heard, ports } => Frame::State { by, heard, ports },
        WireFrame::Hello { by, number } => Frame::Hello { by, number },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages_from(base: u64, first: u64, n_parcels: usize) -> Vec<u8> {
        let port = sample_port();
        let parcels = (0..n_parcels).map(|_| WireParcel { kind: None, follow: None, body: Bytes::new() }).collect();
        codec::encode(&WireFrame::Deliver { epoch: 1, to: 0, base, first, port, kinds: Vec::new(), parcels }).unwrap()
    }

    #[test]
    fn messages_whose_numbers_come_to_their_end_are_refused() {
        let is_read = |base, first, n_parcels| read(&messages_from(base, first, n_parcels)).unwrap().is_some();
        assert!(is_read(1, 1, 2) && is_read(1, 3, 2) && is_read(u64::MAX - 2, u64::MAX - 2, 1));
        for (base, first, n_parcels) in [
            (u64::MAX, u64::MAX, 0),
            (u64::MAX - 1, u64::MAX - 1, 1),
            (1, u64::MAX - 2, 2),
            (u64::MAX, 1, 1),
            (3, 2, 1),
        ] {
            assert!(!is_read(base, first, n_parcels), "{base} {first} {n_parcels}");
        }
    }
}
