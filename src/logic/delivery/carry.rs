//! What a strategy wished, carried out: messages into outlets, out of outlets, held and followed.

use super::{
    effect::{AskId, Effect, Given, Sample},
    end::{EndId, EndState},
    fragment::{Fragment, Held},
    outlet::{Item, Origin, Overflow},
    strategy::{SourceId, Ticket, Wish},
    tally::Loss,
};
use crate::words::Time;

/// What the strategy was called for.
pub(super) struct Hand<M> {
    pub(super) message: Option<M>,
    pub(super) stamp: Time,
    pub(super) from: SourceId,
    pub(super) ask: Option<AskId>,
}

impl<M: Clone> Fragment<M> {
    /// Does what the strategy wished. Gives the emptied list back, so that its memory is used again.
    pub(super) fn obey(
        &mut self,
        mut wishes: Vec<Wish<M>>,
        mut hand: Hand<M>,
        effects: &mut Vec<Effect<M>>,
    ) -> Vec<Wish<M>> {
        let mut n_uses = wishes.iter().filter(|wish| matches!(wish, Wish::Deliver(_) | Wish::Hold(_))).count();
        if wishes.is_empty()
            && let Some(message) = hand.message.take()
        {
            self.lose(hand.from, None, message, hand.stamp, Loss::NoReceiver, effects);
        }
        let mut is_held = false;
        for wish in wishes.drain(..) {
            match wish {
                Wish::Deliver(end) => {
                    if let Some(message) = last_use(&mut hand.message, &mut n_uses) {
                        let origin = Origin::Here { from: hand.from, follow: None };
                        self.enqueue(end, Item { message: Some(message), stamp: hand.stamp, origin }, effects);
                    }
                }
                Wish::Hold(ticket) => {
                    if let Some(message) = last_use(&mut hand.message, &mut n_uses) {
                        is_held = true;
                        let ask = hand.ask.take();
                        let held = Held { message, stamp: hand.stamp, from: hand.from, ask, at: None, attempt: 0 };
                        self.held.insert(ticket, held);
                    }
                }
                Wish::Follow(ticket, end) => self.follow(ticket, end, effects),
                Wish::Forward(ticket, end) => {
                    if let Some(held) = self.held.remove(&ticket) {
                        refuse_answer(held.ask, "this channel sends no replies", effects);
                        let origin = Origin::Here { from: held.from, follow: None };
                        self.enqueue(end, Item { message: Some(held.message), stamp: held.stamp, origin }, effects);
                    }
                }
                Wish::Release(ticket) => {
                    if let Some(held) = self.held.remove(&ticket) {
                        refuse_answer(held.ask, "nobody replied", effects);
                    }
                }
                Wish::GiveUp(ticket, loss) => {
                    if let Some(held) = self.held.remove(&ticket) {
                        refuse_answer(held.ask, "the channel gave up", effects);
                        self.tally.dead_letters += u64::from(loss == Loss::GivenUp);
                        self.lose(held.from, None, held.message, held.stamp, loss, effects);
                    }
                }
                Wish::Answer(ticket, reply) => {
                    if let Some(Held { ask: Some(ask), .. }) = self.held.remove(&ticket) {
                        effects.push(Effect::Answer { ask, reply });
                    }
                }
                Wish::NoRoom => {
                    if let Some(message) = hand.message.take() {
                        self.lose(hand.from, None, message, hand.stamp, Loss::Full, effects);
                    }
                }
                Wish::Discard => {}
            }
        }
        if !is_held {
            refuse_answer(hand.ask, "this channel sends no replies, or has no room for another request", effects);
        }
        self.weigh_held();
        wishes
    }

    /// Puts a message into an end's outlet, within its bound.
    #[inline]
    pub(super) fn enqueue(&mut self, end: EndId, item: Item<M>, effects: &mut Vec<Effect<M>>) {
        let idx = end.index as usize;
        let known = self.outlets.get_mut(idx).and_then(Option::as_mut).filter(|o| o.generation == end.generation);
        let Some(outlet) = known else {
            return self.lose_item(None, item, Loss::ReceiverRemoved, effects);
        };
        if outlet.state == EndState::Gone {
            return self.lose_item(Some(idx), item, Loss::NodeLost, effects);
        }
        // What is followed is bounded by what may be held.
        if outlet.n_own >= self.policy.capacity && !item.is_followed_here() {
            let oldest = match self.policy.overflow {
                Overflow::DropOldest => outlet.drop_oldest(),
                Overflow::Wait | Overflow::Refuse => None,
            };
            let Some(oldest) = oldest else {
                return self.lose_item(Some(idx), item, Loss::Full, effects);
            };
            outlet.push(item);
            return self.lose_item(Some(idx), oldest, Loss::Full, effects);
        }
        outlet.push(item);
        if !outlet.is_dirty {
            outlet.is_dirty = true;
            self.dirty.push(idx);
        }
        if outlet.n_own >= self.policy.capacity {
            self.weigh(idx);
        }
    }

    pub(super) fn follow(&mut self, ticket: Ticket, end: EndId, effects: &mut Vec<Effect<M>>) {
        // What is followed needs not keep its place among others.
        let end = self.giver(end);
        let known = self.outlets.get(end.index as usize).and_then(Option::as_ref);
        let takes = known.is_some_and(|o| o.generation == end.generation && o.state != EndState::Gone);
        let Some(held) = self.held.get_mut(&ticket) else { return };
        held.attempt += 1;
        if !takes {
            held.at = None;
            self.bounced.push(ticket);
            return;
        }
        held.at = Some(end);
        let origin = Origin::Here { from: held.from, follow: Some(Box::new((ticket, held.attempt))) };
        let item = Item { message: Some(held.message.clone()), stamp: held.stamp, origin };
        self.enqueue(end, item, effects);
    }

    /// Hands messages of an end of this node to its receiver, until there is none or `give` gives one back: then the receiver is
    /// full, and the shell calls again when it has room.
    pub fn drain(
        &mut self,
        end: EndId,
        now: Time,
        effects: &mut Vec<Effect<M>>,
        mut give: impl FnMut(Given<M>) -> Result<(), M>,
    ) {
        let idx = end.index as usize;
        let Some(outlet) = self.outlets.get_mut(idx).and_then(Option::as_mut) else { return };
        if outlet.generation != end.generation || outlet.state != EndState::Open || outlet.node.is_some() {
            return;
        }
        // The last message given of each run that came from one peer: what is confirmed to it.
        let mut last: Option<(u32, u64, u64)> = None;
        // Messages of one moment are counted together.
        let mut moment = (Time::default(), 0);
        while let Some(Item { message, stamp, origin }) = outlet.pop() {
            if let Some(message) = message {
                let is_shown = self.is_tapped && matches!(origin, Origin::Here { .. });
                let shown = is_shown.then(|| message.clone());
                if let Err(message) = give(Given { message, track: origin.track() }) {
                    outlet.unpop(Item { message: Some(message), stamp, origin });
                    break;
                }
                if let Origin::Here { from, .. } = origin {
                    if moment.0 != stamp {
                        self.tally.delivered(now.since(moment.0), moment.1);
                        moment = (stamp, 0);
                    }
                    moment.1 += 1;
                    self.n_unshown += u64::from(is_shown && self.samples == 0);
                    if let Some(message) = shown.filter(|_| self.samples > 0) {
                        self.samples -= 1;
                        let to = Some(outlet.place.port.clone());
                        let result = Ok(now.since(stamp));
                        effects.push(Effect::Tapped(Sample { from, to, message, sent: stamp, result }));
                    }
                }
            }
            if let Origin::There { peer, epoch, seq, .. } = origin {
                if let Some((other, epoch, seq)) = last.filter(|last| (last.0, last.1) != (peer, epoch)) {
                    self.peers[other as usize].handed(epoch, &outlet.place, seq);
                }
                last = Some((peer, epoch, seq));
            }
        }
        self.tally.delivered(now.since(moment.0), moment.1);
        if let Some((peer, epoch, seq)) = last {
            self.peers[peer as usize].handed(epoch, &outlet.place, seq);
        }
        if outlet.is_full || outlet.is_overrun {
            self.weigh(idx);
        }
    }
}

/// The message at hand: itself for the last who uses it, a copy for the others.
#[inline]
fn last_use<M: Clone>(message: &mut Option<M>, n_uses: &mut usize) -> Option<M> {
    *n_uses -= 1;
    if *n_uses == 0 { message.take() } else { message.clone() }
}

pub(super) fn refuse_answer<M>(ask: Option<AskId>, why: &str, effects: &mut Vec<Effect<M>>) {
    if let Some(ask) = ask {
        effects.push(Effect::Answer { ask, reply: Err(why.into()) });
    }
}
