//! How a kind of channel says who gets a message: what it is told, and what it may wish.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    end::{EndId, Ends},
    tally::Loss,
};
use crate::words::Time;

/// A message that a channel holds on to until it is settled.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub(super) u64);

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The sending port of a message: which of those bound on this node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub u32);

impl SourceId {
    /// A port that is not known any more.
    pub const UNKNOWN: SourceId = SourceId(u32::MAX);
}

/// What became of a message whose handling is followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome<M> {
    /// The receiver's handler has finished; with what it replied, if it did.
    Done(Option<M>),
    /// The receiver's handler failed or panicked.
    Failed(Arc<str>),
    /// The receiver or its node went away before it answered. It may have handled the message.
    Lost,
    /// The channel's bound made it give up this message for a newer one. It is not held any more.
    Dropped,
}

/// The rules of a kind of channel. Every method decides and wishes through `ctx`; none waits.
pub trait Strategy<M> {
    /// A component of this node sends a message.
    fn route(&mut self, message: &M, ends: &Ends, ctx: &mut Ctx<'_, M>);

    /// The end that gets every message, whatever it says, for as long as the ends are as they are.
    fn sole(&self, ends: &Ends) -> Option<EndId> {
        let _ = ends;
        None
    }

    /// The outcome of a message that was handed over with [`Ctx::follow`].
    fn settled(&mut self, ticket: Ticket, outcome: Outcome<M>, ends: &Ends, ctx: &mut Ctx<'_, M>) {
        let _ = (outcome, ends);
        ctx.release(ticket);
    }

    /// Ends came, went, opened or closed.
    fn changed(&mut self, ends: &Ends, ctx: &mut Ctx<'_, M>) {
        let _ = (ends, ctx);
    }

    /// The time that was asked for with [`Ctx::wake_in`] has come. May come early: compare times.
    fn woken(&mut self, ends: &Ends, ctx: &mut Ctx<'_, M>) {
        let _ = (ends, ctx);
    }
}

/// A wish of a strategy, obeyed after it has returned.
pub(super) enum Wish<M> {
    Deliver(EndId),
    Hold(Ticket),
    Follow(Ticket, EndId),
    Forward(Ticket, EndId),
    Release(Ticket),
    GiveUp(Ticket, Loss),
    Answer(Ticket, Result<Option<M>, Arc<str>>),
    NoRoom,
    Discard,
}

/// What a strategy may ask for while it decides.
pub struct Ctx<'a, M> {
    pub(super) now: Time,
    pub(super) source: SourceId,
    pub(super) asked: bool,
    pub(super) wishes: &'a mut Vec<Wish<M>>,
    pub(super) last_ticket: &'a mut u64,
    pub(super) wake: &'a mut Time,
    pub(super) room: usize,
}

impl<M> Ctx<'_, M> {
    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The port that sent the message at hand.
    pub fn source(&self) -> SourceId {
        self.source
    }

    /// Whether the sender of the message at hand waits for a reply.
    pub fn asked(&self) -> bool {
        self.asked
    }

    /// Delivers the message at hand to an end: in order, kept within the channel's bound while the receiver is stopped.
    #[inline]
    pub fn deliver(&mut self, end: EndId) {
        self.wishes.push(Wish::Deliver(end));
    }

    /// Lets the message at hand go, on purpose: it does not count as lost.
    pub fn discard(&mut self) {
        self.wishes.push(Wish::Discard);
    }

    /// Holds on to the message at hand, within the channel's bound. `None` when the bound is reached: then it is lost.
    pub fn hold(&mut self) -> Option<Ticket> {
        let Some(room) = self.room.checked_sub(1) else {
            self.wishes.push(Wish::NoRoom);
            return None;
        };
        self.room = room;
        *self.last_ticket += 1;
        let ticket = Ticket(*self.last_ticket);
        self.wishes.push(Wish::Hold(ticket));
        Some(ticket)
    }

    /// Hands a held message to an end and follows its handling: the outcome comes to [`Strategy::settled`]. The message stays
    /// held. Following it again, elsewhere, makes the earlier attempt's failure void.
    pub fn follow(&mut self, ticket: Ticket, end: EndId) {
        self.wishes.push(Wish::Follow(ticket, end));
    }

    /// Hands a held message to an end like [`Ctx::deliver`], and holds it no longer.
    pub fn forward(&mut self, ticket: Ticket, end: EndId) {
        self.wishes.push(Wish::Forward(ticket, end));
    }

    /// Holds a message no longer. Who waits for its reply is told that there is none.
    pub fn release(&mut self, ticket: Ticket) {
        self.wishes.push(Wish::Release(ticket));
    }

    /// Holds a message no longer and counts it as lost.
    pub fn give_up(&mut self, ticket: Ticket, loss: Loss) {
        self.wishes.push(Wish::GiveUp(ticket, loss));
    }

    /// Answers who waits for the reply to a held message, and holds it no longer.
    pub fn answer(&mut self, ticket: Ticket, reply: Result<Option<M>, Arc<str>>) {
        self.wishes.push(Wish::Answer(ticket, reply));
    }

    /// Asks to be woken after a while, at the latest.
    pub fn wake_in(&mut self, span: Duration) {
        *self.wake = (*self.wake).min(self.now + span);
    }
}
