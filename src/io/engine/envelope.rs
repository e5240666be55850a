//! What stands before the body of each message on a link: tell, request or reply, and for whom. By hand, for it is on the path of
//! every message.

use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::{
    service::{Incoming, Reply, ReplyTo, ServiceId},
    wire::Wire,
};
use crate::logic::link::Lane;

const TELL: u8 = 0;
const ASK: u8 = 1;
const REPLY: u8 = 2;

const TELL_LEN: usize = 9;
const ASK_LEN: usize = 17;
const REPLY_LEN: usize = 10;

/// What stands before the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    Tell { service: ServiceId },
    Ask { service: ServiceId, ask: u64 },
    Reply { ask: u64, code: u8 },
}

/// A message as it comes from a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Envelope {
    Tell { service: ServiceId, body: Bytes },
    Ask { service: ServiceId, ask: u64, body: Bytes },
    Reply { ask: u64, reply: Reply },
}

/// Why a message makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of {len} bytes with an unknown head")]
pub(super) struct InvalidEnvelope {
    len: usize,
}

pub(super) fn tell_head(service: ServiceId) -> [u8; TELL_LEN] {
    let mut head = [TELL; TELL_LEN];
    head[1..].copy_from_slice(&service.0.to_le_bytes());
    head
}

pub(super) fn ask_head(service: ServiceId, ask: u64) -> [u8; ASK_LEN] {
    let mut head = [ASK; ASK_LEN];
    head[1..9].copy_from_slice(&service.0.to_le_bytes());
    head[9..].copy_from_slice(&ask.to_le_bytes());
    head
}

/// The head and the body of a reply.
pub(super) fn reply(ask: u64, reply: Reply) -> ([u8; REPLY_LEN], Bytes) {
    let (code, body) = match reply {
        Reply::Done(body) => (0, body),
        Reply::Refused(text) => (1, text.into()),
        Reply::NoService => (3, Bytes::new()),
        Reply::Busy => (4, Bytes::new()),
        // The last two do not go over the wire; for the asker the request was dropped.
        Reply::Dropped | Reply::PeerDown | Reply::Closed => (2, Bytes::new()),
    };
    let mut head = [REPLY; REPLY_LEN];
    head[1..9].copy_from_slice(&ask.to_le_bytes());
    head[9] = code;
    (head, body)
}

impl Head {
    /// Reads the head of a message; with it comes where the body begins.
    pub(super) fn read(message: &[u8]) -> Result<(Head, usize), InvalidEnvelope> {
        let invalid = InvalidEnvelope { len: message.len() };
        let number = |at: usize| -> Option<u64> { Some(u64::from_le_bytes(message.get(at..at + 8)?.try_into().ok()?)) };
        let first = number(1).ok_or(invalid.clone())?;
        match message[0] {
            TELL => Ok((Head::Tell { service: ServiceId(first) }, TELL_LEN)),
            ASK => Ok((Head::Ask { service: ServiceId(first), ask: number(9).ok_or(invalid)? }, ASK_LEN)),
            REPLY => Ok((Head::Reply { ask: first, code: *message.get(9).ok_or(invalid)? }, REPLY_LEN)),
            _ => Err(invalid),
        }
    }
}

impl Envelope {
    /// Reads a message.
    pub(super) fn read(mut message: Bytes) -> Result<Envelope, InvalidEnvelope> {
        let (head, body_at) = Head::read(&message)?;
        let len = message.len();
        message.advance(body_at);
        let body = message;
        Ok(match head {
            Head::Tell { service } => Envelope::Tell { service, body },
            Head::Ask { service, ask } => Envelope::Ask { service, ask, body },
            Head::Reply { ask, code } => {
                let reply = match code {
                    0 => Reply::Done(body),
                    1 => Reply::Refused(String::from_utf8_lossy(&body).into_owned()),
                    2 => Reply::Dropped,
                    3 => Reply::NoService,
                    4 => Reply::Busy,
                    _ => return Err(InvalidEnvelope { len }),
                };
                Envelope::Reply { ask, reply }
            }
        })
    }

    /// Whom it is for; a reply is for whoever asked.
    pub(super) fn service(&self) -> Option<ServiceId> {
        match self {
            Envelope::Tell { service, .. } | Envelope::Ask { service, .. } => Some(*service),
            Envelope::Reply { .. } => None,
        }
    }

    /// The message for a service, with the way back for its reply. Nothing else came with it.
    pub(super) fn incoming(self, wire: &Arc<Wire>, lane: Lane) -> Option<Incoming> {
        let from = wire.peer.clone();
        match self {
            Envelope::Tell { body, .. } => Some(Incoming { from, body, reply: None }),
            Envelope::Ask { ask, body, .. } => {
                Some(Incoming { from, body, reply: Some(ReplyTo::there(wire.clone(), lane, ask, true)) })
            }
            Envelope::Reply { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(service in any::<u64>(), ask in any::<u64>(), body in any::<Vec<u8>>(), code in 0..4) {
            let (service, body) = (ServiceId(service), Bytes::from(body));
            let join = |head: &[u8], body: &Bytes| Bytes::from([head, body].concat());
            let tell = Envelope::read(join(&tell_head(service), &body));
            prop_assert_eq!(tell, Ok(Envelope::Tell { service, body: body.clone() }));
            let request = Envelope::read(join(&ask_head(service, ask), &body));
            prop_assert_eq!(request, Ok(Envelope::Ask { service, ask, body: body.clone() }));
            let answer = match code { 0 => Reply::Done(body), 1 => Reply::Refused("no".into()), 2 => Reply::Busy, _ => Reply::NoService };
            let (head, body) = reply(ask, answer.clone());
            prop_assert_eq!(Envelope::read(join(&head, &body)), Ok(Envelope::Reply { ask, reply: answer }));
        }

        #[test]
        fn garbage_never_panics(message in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Envelope::read(message.into());
        }
    }
}
