//! One fragment of a channel: the part on this node.

use std::{collections::BTreeMap, time::Duration};

use super::{
    carry::{Hand, refuse_answer},
    effect::{AskId, Effect, Wiring},
    end::{EndId, EndState, Ends},
    frame::{Frame, Place},
    leaving::{Forwarded, Leaving},
    outlet::{Item, Origin, Outlet, Policy, Track},
    peer::Peer,
    strategy::{Ctx, Outcome, SourceId, Strategy, Ticket, Wish},
    tally::{Counters, Loss, Tally},
};
use crate::words::{NodeName, PortPath, Time};

pub(super) struct Held<M> {
    pub(super) message: M,
    pub(super) stamp: Time,
    pub(super) from: SourceId,
    pub(super) ask: Option<AskId>,
    /// The end whose receiver has it now, and for the how manieth time it was handed to one.
    pub(super) at: Option<EndId>,
    pub(super) attempt: u32,
}

/// The fragment. See the module.
pub struct Fragment<M> {
    pub(super) me: NodeName,
    /// This life of the fragment; greater than that of any earlier one on this node.
    pub(super) epoch: u64,
    pub(super) policy: Policy,
    pub(super) ends: Ends,
    pub(super) outlets: Vec<Option<Outlet<M>>>,
    pub(super) generations: u32,
    pub(super) by_port: BTreeMap<PortPath, usize>,
    pub(super) wiring: Wiring,
    pub(super) peers: Vec<Peer>,
    pub(super) peer_idx: BTreeMap<NodeName, usize>,
    pub(super) held: BTreeMap<Ticket, Held<M>>,
    pub(super) last_ticket: u64,
    pub(super) tally: Tally,
    /// How many things are at their bound and make senders wait.
    pub(super) n_full: usize,
    pub(super) held_is_full: bool,
    pub(super) held_is_overrun: bool,
    pub(super) waiting_since: Option<Time>,
    pub(super) strategy_wake: Time,
    pub(super) next_wake: Time,
    /// When the way to other nodes wants to be looked at; found out once a turn.
    pub(super) far_wake: Time,
    pub(super) dirty: Vec<usize>,
    pub(super) wishes: Vec<Wish<M>>,
    /// How many more samples to make for those who tap the channel, and how many were not made for want of these.
    pub(super) samples: u32,
    pub(super) is_tapped: bool,
    pub(super) n_unshown: u64,
    /// Followed to an end that takes nothing any more: the strategy hears of it before the turn ends.
    pub(super) bounced: Vec<Ticket>,
    /// Ends came, went, opened or closed since the strategy was told.
    pub(super) is_changed: bool,
    pub(super) free: Vec<usize>,
    /// The next outlet's numbers start here, so that none is used twice.
    pub(super) next_seq: u64,
    /// The outlets whose receivers have moved away, by where they were.
    pub(super) leaving: BTreeMap<Place, Leaving>,
    /// Ports of this node whose receivers have moved away, with what they had not handled: it is on its way to where they are.
    pub(super) forwarded: BTreeMap<Place, Forwarded>,
    /// How many ports of this node have ever left, and whether one has since it was last looked at what is known of them.
    pub(super) n_left: u64,
    pub(super) has_left: bool,
}

impl<M: Clone> Fragment<M> {
    /// A fragment without ends. The epoch must be greater than that of any earlier fragment of the channel on this node, and
    /// not zero.
    pub fn new(me: NodeName, epoch: u64, policy: Policy) -> Self {
        Fragment {
            me,
            epoch: epoch.max(1),
            policy: Policy { capacity: policy.capacity.max(1), ..policy },
            ends: Ends::default(),
            outlets: Vec::new(),
            generations: 0,
            by_port: BTreeMap::new(),
            wiring: Wiring::default(),
            peers: Vec::new(),
            peer_idx: BTreeMap::new(),
            held: BTreeMap::new(),
            last_ticket: 0,
            tally: Tally::default(),
            n_full: 0,
            held_is_full: false,
            held_is_overrun: false,
            waiting_since: None,
            strategy_wake: Time::NEVER,
            next_wake: Time::NEVER,
            far_wake: Time::NEVER,
            dirty: Vec::new(),
            wishes: Vec::new(),
            samples: 0,
            is_tapped: false,
            n_unshown: 0,
            bounced: Vec::new(),
            is_changed: false,
            free: Vec::new(),
            next_seq: 1,
            leaving: BTreeMap::new(),
            forwarded: BTreeMap::new(),
            n_left: 0,
            has_left: false,
        }
    }

    /// The receiving ends.
    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Who is on the channel.
    pub fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// The bounds.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Sets the bounds. Lowering the capacity loses nothing that is kept already.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = Policy { capacity: policy.capacity.max(1), ..policy };
        (0..self.outlets.len()).for_each(|idx| self.weigh(idx));
    }

    /// How many messages the strategy holds.
    pub fn n_held(&self) -> usize {
        self.held.len()
    }

    /// How many messages of this node's are kept for the end that has most of them, beside those held: what the capacity bounds.
    pub fn n_kept_most(&self) -> usize {
        self.outlets.iter().flatten().map(|outlet| outlet.n_own).max().unwrap_or(0)
    }

    /// Makes up to so many samples from now on, for those who tap the channel; `None` when nobody does. Gives back how many
    /// messages were not shown since the last call.
    pub fn sample(&mut self, n_samples: Option<u32>) -> u64 {
        self.is_tapped = n_samples.is_some();
        self.samples = n_samples.unwrap_or(0);
        std::mem::take(&mut self.n_unshown)
    }

    /// What an end of this fragment is called.
    pub fn end_of(&self, port: &PortPath) -> Option<EndId> {
        self.by_port.get(port).map(|idx| self.end_id(*idx))
    }

    /// The strategy is gone with all that it knew: what it held is lost.
    pub fn abandon(&mut self, now: Time, effects: &mut Vec<Effect<M>>) {
        for (_, held) in std::mem::take(&mut self.held) {
            refuse_answer(held.ask, "the channel failed", effects);
            self.lose(held.from, None, held.message, held.stamp, Loss::GivenUp, effects);
        }
        self.weigh_held();
        self.is_changed = true;
        self.plan_to_wake(now, effects);
    }

    /// The numbers so far.
    pub fn counters(&self) -> Counters {
        let queued: usize = self.outlets.iter().flatten().map(|outlet| outlet.queue.len()).sum();
        let unassigned = self.held.values().filter(|held| held.at.is_none()).count();
        self.tally.counters(queued + unassigned)
    }

    /// Counts messages that were lost before they came here (at a full inbox).
    pub fn count_refused(&mut self, n_messages: u64) {
        self.tally.received += n_messages;
        self.tally.lost += n_messages;
    }

    /// Counts deliveries that turned out to be impossible, since the message cannot be encoded.
    pub fn count_unsendable(&mut self, n_messages: u64) {
        self.tally.lost += n_messages;
    }

    /// Whether another message of a local sender may come in. False while something that senders wait for is at its bound.
    #[inline]
    pub fn takes(&self) -> bool {
        self.n_full == 0
    }

    /// The receiver of this node to which whatever is sent next would go, at once and alone: as long as nothing but that happens
    /// here, senders may give it their messages themselves. `None` while anything waits, changes, or is watched.
    pub fn straight<S: Strategy<M> + ?Sized>(&self, strategy: &S) -> Option<EndId> {
        if self.is_changed || self.is_tapped || !self.takes() {
            return None;
        }
        let end = strategy.sole(&self.ends)?;
        let outlet = self.outlets.get(end.index as usize)?.as_ref()?;
        let is_there = outlet.generation == end.generation && outlet.node.is_none() && outlet.state == EndState::Open;
        (is_there && outlet.queue.is_empty()).then_some(end)
    }

    /// Counts messages that senders gave to a receiver themselves.
    pub fn count_straight(&mut self, n_messages: u64) {
        self.tally.received += n_messages;
        self.tally.delivered(Duration::ZERO, n_messages);
    }

    /// A component of this node sent a message at `stamp`. Under [`super::Overflow::Wait`], ask [`Fragment::takes`] before.
    pub fn sent<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        stamp: Time,
        (from, message, ask): (SourceId, M, Option<AskId>),
        effects: &mut Vec<Effect<M>>,
    ) {
        self.tally.received += 1;
        if self.is_changed {
            self.refresh(strategy, now, effects);
        }
        let room = self.room_to_hold(strategy, now, effects);
        let mut wishes = std::mem::take(&mut self.wishes);
        let mut ctx = Ctx {
            now,
            source: from,
            asked: ask.is_some(),
            wishes: &mut wishes,
            last_ticket: &mut self.last_ticket,
            wake: &mut self.strategy_wake,
            room,
        };
        strategy.route(&message, &self.ends, &mut ctx);
        // What most messages come to, without a detour.
        if let ([Wish::Deliver(end)], None) = (&wishes[..], ask) {
            let end = *end;
            wishes.clear();
            self.wishes = wishes;
            let origin = Origin::Here { from, follow: None };
            return self.enqueue(end, Item { message: Some(message), stamp, origin }, effects);
        }
        let hand = Hand { message: Some(message), stamp, from, ask };
        self.wishes = self.obey(wishes, hand, effects);
    }

    /// Tells the strategy something that is not a message, and obeys it.
    pub(super) fn tell<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        effects: &mut Vec<Effect<M>>,
        what: impl FnOnce(&mut S, &Ends, &mut Ctx<'_, M>),
    ) {
        let mut wishes = std::mem::take(&mut self.wishes);
        let mut ctx = Ctx {
            now,
            source: SourceId::default(),
            asked: false,
            wishes: &mut wishes,
            last_ticket: &mut self.last_ticket,
            wake: &mut self.strategy_wake,
            room: 0,
        };
        what(strategy, &self.ends, &mut ctx);
        let hand = Hand { message: None, stamp: now, from: SourceId::default(), ask: None };
        self.wishes = self.obey(wishes, hand, effects);
    }

    /// What became of a message that was handed over with a track.
    pub fn outcome<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        track: Track,
        outcome: Outcome<M>,
        effects: &mut Vec<Effect<M>>,
    ) {
        if let Some((peer, of)) = track.peer {
            if let Some(peer) = self.peers.get(peer as usize) {
                let frame = Frame::Settled { of, follow: (track.ticket, track.attempt), outcome };
                effects.push(Effect::Post { to: peer.name.clone(), frame });
            }
            return;
        }
        let Some(held) = self.held.get_mut(&track.ticket) else { return };
        // An earlier attempt may still succeed; its failure means nothing any more.
        if held.attempt != track.attempt && !matches!(outcome, Outcome::Done(_)) {
            return;
        }
        held.at = None;
        self.tell(strategy, now, effects, |strategy, ends, ctx| strategy.settled(track.ticket, outcome, ends, ctx));
    }

    /// Time has passed: wakes the strategy, ends waits, sends again what got no answer, gives up nodes that stay away.
    pub fn tick<S: Strategy<M> + ?Sized>(&mut self, strategy: &mut S, now: Time, effects: &mut Vec<Effect<M>>) {
        self.next_wake = Time::NEVER;
        if self.strategy_wake <= now {
            self.strategy_wake = Time::NEVER;
            self.tell(strategy, now, effects, |strategy, ends, ctx| strategy.woken(ends, ctx));
        }
        if self.waiting_since.is_some_and(|since| since + self.policy.patience <= now) {
            for idx in 0..self.outlets.len() {
                if let Some(outlet) = self.outlets[idx].as_mut().filter(|outlet| outlet.is_full) {
                    outlet.is_overrun = true;
                    self.weigh(idx);
                }
            }
            self.held_is_overrun |= self.held_is_full;
            self.weigh_held();
        }
        self.tick_far(now, effects);
        self.tick_leaving(now, effects);
        self.far_wake = self.wake_far();
        self.plan_to_wake(now, effects);
    }

    /// Ends a turn: posts to other nodes what the turn gave them, and asks for what is to be handed over here. Call it after a
    /// batch of anything.
    pub fn flush<S: Strategy<M> + ?Sized>(&mut self, strategy: &mut S, now: Time, effects: &mut Vec<Effect<M>>) {
        if !self.forwarded.is_empty() {
            self.review_forwarded();
        }
        if self.is_changed {
            self.refresh(strategy, now, effects);
        }
        for ticket in std::mem::take(&mut self.bounced) {
            self.tell(strategy, now, effects, |strategy, ends, ctx| {
                strategy.settled(ticket, Outcome::Lost, ends, ctx);
            });
        }
        let mut dirty = std::mem::take(&mut self.dirty);
        for idx in dirty.drain(..) {
            let Some(outlet) = self.outlets[idx].as_mut() else { continue };
            outlet.is_dirty = false;
            if outlet.state != EndState::Open {
                continue;
            }
            match outlet.node {
                None if outlet.queue.is_empty() => {}
                None => effects.push(Effect::Drain(EndId { index: idx as u32, generation: outlet.generation })),
                Some(_) => self.post(idx, now, effects),
            }
        }
        self.dirty = dirty;
        self.report(now, effects);
        self.far_wake = self.wake_far();
        self.plan_to_wake(now, effects);
    }
}
