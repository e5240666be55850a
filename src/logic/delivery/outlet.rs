//! What is on its way to one end: a bounded queue in order.

use std::collections::VecDeque;

use super::{
    end::{EndState, stable_hash},
    frame::Place,
    strategy::{SourceId, Ticket},
};
use crate::words::{NodeName, Time};

/// What happens to a message when what is kept for its receiver has reached the bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The senders wait, up to [`Policy::patience`]; then messages are refused until the receiver has caught up.
    #[default]
    Wait,
    /// The oldest one makes room, and is lost.
    DropOldest,
    /// The new one is lost.
    Refuse,
}

/// The bounds of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The most messages kept for one end, and the most held by the strategy.
    pub capacity: usize,
    /// What happens beyond.
    pub overflow: Overflow,
    /// How long messages are kept for a node that does not answer.
    pub away: std::time::Duration,
    /// How long senders wait. No longer, so that a ring of components that wait for each other gets loose.
    pub patience: std::time::Duration,
}

impl Policy {
    /// Bounds for a fragment that will never carry anything.
    pub const NOTHING: Policy = Policy {
        capacity: 1,
        overflow: Overflow::Refuse,
        patience: std::time::Duration::ZERO,
        away: std::time::Duration::ZERO,
    };
}

/// Who follows the handling of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track {
    pub(super) ticket: Ticket,
    pub(super) attempt: u32,
    /// The fragment that holds the message, and its epoch; `None` for this one.
    pub(super) peer: Option<(u32, u64)>,
}

/// Where a message in an outlet comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A component of this node.
    Here { from: SourceId, follow: Follow },
    /// Another fragment, whose number of the message is `seq`.
    There { peer: u32, epoch: u64, seq: u64, follow: Follow },
}

/// The ticket and the attempt under which a message is followed, if it is. Boxed, since most are not and every place in a queue
/// has room for one.
pub(super) type Follow = Option<Box<(Ticket, u32)>>;

#[derive(Clone, Debug)]
pub(super) struct Item<M> {
    /// `None` when it was taken back.
    pub(super) message: Option<M>,
    /// When its sender sent it.
    pub(super) stamp: Time,
    pub(super) origin: Origin,
}

/// The messages on their way to an end. For an end on another node, the first `posted` ones have been sent there.
#[derive(Debug)]
pub(super) struct Outlet<M> {
    /// Where its receiver is, and who: the default identity as long as a receiver of this node is not known from the wiring.
    pub(super) place: Place,
    pub(super) rank: u64,
    pub(super) generation: u32,
    /// The node of the end; `None` for this one.
    pub(super) node: Option<NodeName>,
    pub(super) state: EndState,
    pub(super) queue: VecDeque<Item<M>>,
    /// Messages had to wait since the queue was last empty, for a receiver that was away or did not run.
    pub(super) has_kept: bool,
    /// Messages in the queue that the capacity bounds.
    pub(super) n_own: usize,
    /// The bound is reached and senders wait for it.
    pub(super) is_full: bool,
    /// Senders have waited for long enough: no more waiting until half of the queue is gone.
    pub(super) is_overrun: bool,
    /// To be looked at before the turn ends.
    pub(super) is_dirty: bool,
    /// The number of the first message in the queue.
    pub(super) first: u64,
    pub(super) posted: usize,
    /// How many have their number for good, since they have been posted once: never fewer than `posted`.
    pub(super) n_numbered: usize,
    /// The other fragment has all below this number.
    pub(super) received: u64,
    /// The epoch of the other fragment; 0 when not known.
    pub(super) peer_epoch: u64,
    /// When to send again what is posted and not received.
    pub(super) resend_at: Time,
    pub(super) n_resent: u32,
    /// Its receiver has moved away: see [`super::leaving`].
    pub(super) is_leaving: bool,
    /// Who takes its messages until they may come here: the outlet that leaves.
    pub(super) stand_in: Option<usize>,
    /// Whose stand-in it is.
    pub(super) stands_in_for: Option<usize>,
}

impl<M> Outlet<M> {
    pub(super) fn new(place: Place, generation: u32, node: Option<NodeName>, first: u64) -> Self {
        let rank = stable_hash(place.port.to_string().as_bytes());
        Outlet {
            place,
            rank,
            generation,
            node,
            state: EndState::Closed,
            queue: VecDeque::new(),
            has_kept: false,
            n_own: 0,
            is_full: false,
            is_overrun: false,
            is_dirty: false,
            first,
            posted: 0,
            n_numbered: 0,
            received: first,
            peer_epoch: 0,
            resend_at: Time::NEVER,
            n_resent: 0,
            is_leaving: false,
            stand_in: None,
            stands_in_for: None,
        }
    }

    pub(super) fn push(&mut self, item: Item<M>) {
        self.n_own += usize::from(item.is_own());
        self.has_kept |= self.state != EndState::Open;
        self.queue.push_back(item);
    }

    pub(super) fn pop(&mut self) -> Option<Item<M>> {
        let item = self.queue.pop_front()?;
        if self.queue.is_empty() {
            if std::mem::take(&mut self.has_kept) {
                // Room for ten thousand messages that nobody took for a minute is not needed again so soon.
                self.queue = VecDeque::new();
            } else {
                // It begins at its beginning again: what is used stays in the processor's cache.
                self.queue.clear();
            }
        }
        self.n_own -= usize::from(item.is_own());
        self.posted = self.posted.saturating_sub(1);
        self.n_numbered = self.n_numbered.saturating_sub(1);
        self.first += 1;
        Some(item)
    }

    /// Takes a message back that was popped last, or that went around it.
    pub(super) fn unpop(&mut self, item: Item<M>) {
        self.n_own += usize::from(item.is_own());
        self.queue.push_front(item);
        // What went around was not counted.
        self.first = self.first.saturating_sub(1);
    }

    /// Takes out what comes from this node, was never under way, and is to keep its order.
    pub(super) fn take_unsent(&mut self) -> Vec<Item<M>> {
        let (taken, left) = self.queue.drain(self.n_numbered..).partition::<Vec<_>, _>(Item::is_own);
        self.queue.extend(left);
        self.n_own -= taken.len();
        taken
    }

    /// Removes the oldest message of this node's that was never under way and that nobody follows.
    pub(super) fn drop_oldest(&mut self) -> Option<Item<M>> {
        let idx = (self.n_numbered..self.queue.len()).find(|idx| self.queue[*idx].is_own())?;
        self.n_own -= 1;
        self.queue.remove(idx)
    }

    /// The number after that of its last message.
    pub(super) fn end(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    /// The other fragment is new, or what was sent is gone: all that it does not have is sent again.
    pub(super) fn rewind(&mut self) {
        self.posted = usize::try_from(self.received.saturating_sub(self.first)).unwrap_or(0).min(self.queue.len());
    }
}

impl<M> Item<M> {
    /// Whether the capacity bounds it: it comes from a component of this node, and is not bounded by what may be held.
    fn is_own(&self) -> bool {
        matches!(self.origin, Origin::Here { follow: None, .. })
    }

    /// The ticket under which this fragment holds it.
    pub(super) fn ticket(&self) -> Option<Ticket> {
        match &self.origin {
            Origin::Here { follow, .. } => follow.as_ref().map(|follow| follow.0),
            Origin::There { .. } => None,
        }
    }

    pub(super) fn is_followed_here(&self) -> bool {
        matches!(self.origin, Origin::Here { follow: Some(_), .. })
    }
}

impl Origin {
    pub(super) fn track(&self) -> Option<Track> {
        let (follow, peer) = match self {
            Origin::Here { follow, .. } => (follow, None),
            Origin::There { follow, peer, epoch, .. } => (follow, Some((*peer, *epoch))),
        };
        follow.as_ref().map(|follow| Track { ticket: follow.0, attempt: follow.1, peer })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ComponentId;

    #[test]
    fn room_for_what_waited_is_given_back_when_it_has_gone() {
        let mut outlet = Outlet::new(Place { port: "n.c.in".parse().unwrap(), of: ComponentId(1) }, 0, None, 0);
        let item = |n: u64| Item {
            message: Some(n),
            stamp: Time::default(),
            origin: Origin::Here { from: SourceId(0), follow: None },
        };
        for (state, is_kept) in [(EndState::Away, false), (EndState::Open, true), (EndState::Closed, false)] {
            outlet.state = state;
            (0..10_000).for_each(|n| outlet.push(item(n)));
            outlet.state = EndState::Open;
            while outlet.pop().is_some() {}
            assert_eq!(outlet.queue.capacity() >= 10_000, is_kept, "{state:?}");
        }
    }
}
