//! What goes to other members: the strategy is asked who is told what, and each message is encoded once.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use bytes::Bytes;

use super::GroupActor;
use crate::{
    io::engine::{Lane, MESSAGE_MAX_BYTES, codec},
    logic::gossip::{Effect, GroupMessage, PushRefused},
    runtime::{
        group::kind::{Gossip, GroupCtx, Strategy},
        instance::{Ended, Failure, inbox::panic_text},
    },
    words::NodeName,
};

/// The most bytes of a revision: a message carries them, with what stands around them in an answer to who missed it.
const REVISION_MAX_BYTES: usize = MESSAGE_MAX_BYTES - 1024 * 1024;

/// Whether the others can be told of the revision that a push made.
pub(super) fn check_size(effects: &[Effect]) -> Result<(), PushRefused> {
    for effect in effects {
        // What has no form on the wire is told when it is kept or sent.
        if let Effect::SendAll(delta @ GroupMessage::Delta { .. }) = effect
            && let Ok(size) = codec::encoded_len(delta)
            && size > REVISION_MAX_BYTES
        {
            return Err(PushRefused::TooLarge { size, limit: REVISION_MAX_BYTES });
        }
    }
    Ok(())
}

impl GroupActor {
    /// Asks the strategy. One that panics is replaced by `Gossip` until it is revived: the node stays in the group.
    pub(super) fn with_strategy<T>(
        &mut self,
        effects: &mut Vec<Effect>,
        run: impl FnOnce(&mut dyn Strategy, &mut GroupCtx<'_>) -> T,
    ) -> Option<T> {
        let (protocol, me) = (&mut self.protocol, &self.seat.me);
        let mut ctx = GroupCtx { me, now: self.clock.now(), protocol, effects };
        match catch_unwind(AssertUnwindSafe(|| run(&mut *self.strategy, &mut ctx))) {
            Ok(answer) => Some(answer),
            Err(panic) => {
                self.crash(&*panic);
                None
            }
        }
    }

    pub(super) fn crash(&mut self, panic: &(dyn Any + Send)) {
        let failure = Failure::Panicked { what: "the group".to_owned(), reason: panic_text(panic) };
        tracing::warn!(group = %self.seat.name, %failure, "a group's strategy failed; the group goes on as Gossip");
        self.strategy = Box::new(Gossip);
        self.seat.inbox.fail(failure.clone());
        if let Some(watcher) = &self.seat.watcher {
            let (path, life) = (self.seat.inbox.path().clone(), self.seat.inbox.life());
            watcher.do_send(Ended { path, life, failure });
        }
    }

    /// Asks the strategy who is told; the core decides what of it goes first.
    pub(super) fn spread(&mut self, message: GroupMessage) -> Vec<Effect> {
        let mut wished = Vec::new();
        self.with_strategy(&mut wished, |strategy, ctx| strategy.spread(message, ctx));
        let (mut messages, mut others) = (Vec::new(), Vec::new());
        for effect in wished {
            match effect {
                Effect::Send(to, message) => messages.push((to, message)),
                other => others.push(other),
            }
        }
        let mut effects = Vec::new();
        self.protocol.spread(messages, &mut effects);
        effects.append(&mut others);
        effects
    }

    /// Sends a message. What goes to many is encoded once.
    pub(super) fn send(&mut self, to: &NodeName, message: GroupMessage, encoded: &mut Option<(GroupMessage, Bytes)>) {
        let by_itself = matches!(message, GroupMessage::Heartbeat(_) | GroupMessage::Ask { .. });
        if by_itself {
            let talks = self.with_strategy(&mut Vec::new(), |strategy, ctx| strategy.talks_to(to, ctx));
            if talks == Some(false) {
                return;
            }
        }
        let lane = if message.is_bulk() { Lane::Bulk } else { Lane::Control };
        let body = match encoded {
            Some((known, body)) if known.is_same(&message) => body.clone(),
            _ => match codec::encode(&message) {
                Ok(body) => encoded.insert((message, body.into())).1.clone(),
                Err(error) => return tracing::error!(%to, %error, "a group's message has no form on the wire"),
            },
        };
        self.seat.wire.tell(to, lane, body);
    }
}
