//! One fragment of a channel: the part on this node.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::{
    end::{End, EndId, EndState, Ends},
    far::Peer,
    frame::{Frame, LocalPort},
    outlet::{Item, Origin, Outlet, Overflow, Policy, Track},
    strategy::{Ctx, Outcome, SourceId, Strategy, Ticket, Wish},
    tally::{Counters, Loss, Tally},
};
use crate::words::{NodeName, PortPath, Time};

/// A strategy that sends a message again and again to an end that is gone is asked no more often than this.
const BOUNCE_AFTER: Duration = Duration::from_millis(10);

/// Somebody who waits for a reply; the shell knows who.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AskId(pub u64);

/// Who is on a channel, as the model says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wiring {
    /// All bound ports that receive, on every node.
    pub receivers: BTreeSet<PortPath>,
    /// All nodes with a bound port that sends.
    pub senders: BTreeSet<NodeName>,
}

/// A wish of the fragment's.
#[derive(Debug, PartialEq)]
pub enum Effect<M> {
    /// An end of this node has messages: hand them over with [`Fragment::drain`].
    Drain(EndId),
    /// A frame for the fragment on another node.
    Post {
        /// The node.
        to: NodeName,
        /// What to say.
        frame: Frame<M>,
    },
    /// The answer to somebody who waits for a reply.
    Answer {
        /// Who waits.
        ask: AskId,
        /// The reply, or why there is none.
        reply: Result<Option<M>, Arc<str>>,
    },
    /// Something to show to who taps the channel.
    Tapped(Sample<M>),
    /// Call [`Fragment::tick`] at that time, at the latest.
    Wake(Time),
}

/// A message as a tap shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<M> {
    /// The port that sent it.
    pub from: SourceId,
    /// The port that it was given to; `None` when there was none to give it to.
    pub to: Option<PortPath>,
    /// The message.
    pub message: M,
    /// When it was sent.
    pub sent: Time,
    /// How long it took, or why it was lost.
    pub result: Result<Duration, Loss>,
}

/// A message to hand to a receiver.
#[derive(Debug)]
pub struct Given<M> {
    /// The message.
    pub message: M,
    /// When set, its handling is followed: tell [`Fragment::outcome`].
    pub track: Option<Track>,
}

struct Held<M> {
    message: M,
    stamp: Time,
    from: SourceId,
    ask: Option<AskId>,
    /// The end whose receiver has it now, and for the how manieth time it was handed to one.
    at: Option<EndId>,
    attempt: u32,
}

/// The fragment. See the module.
pub struct Fragment<M> {
    pub(super) me: NodeName,
    /// This life of the fragment; greater than that of any earlier one on this node.
    pub(super) epoch: u64,
    pub(super) policy: Policy,
    ends: Ends,
    pub(super) outlets: Vec<Option<Outlet<M>>>,
    generations: u32,
    pub(super) by_port: BTreeMap<PortPath, usize>,
    pub(super) wiring: Wiring,
    pub(super) peers: Vec<Peer>,
    pub(super) peer_idx: BTreeMap<NodeName, usize>,
    held: BTreeMap<Ticket, Held<M>>,
    last_ticket: u64,
    pub(super) tally: Tally,
    /// How many things are at their bound and make senders wait.
    n_full: usize,
    held_is_full: bool,
    held_is_overrun: bool,
    waiting_since: Option<Time>,
    strategy_wake: Time,
    next_wake: Time,
    /// When the way to other nodes wants to be looked at; found out once a turn.
    far_wake: Time,
    pub(super) dirty: Vec<usize>,
    wishes: Vec<Wish<M>>,
    /// How many more samples to make for those who tap the channel, and how many were not made for want of these.
    samples: u32,
    is_tapped: bool,
    n_unshown: u64,
    /// Followed to an end that takes nothing any more: the strategy hears of it before the turn ends.
    bounced: Vec<Ticket>,
    /// Ends came, went, opened or closed since the strategy was told.
    is_changed: bool,
    free: Vec<usize>,
    /// The next outlet's numbers start here, so that none is used twice.
    next_seq: u64,
}

/// What the strategy was called for.
struct Hand<M> {
    message: Option<M>,
    stamp: Time,
    from: SourceId,
    ask: Option<AskId>,
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

    /// Makes up to so many samples from now on, for those who tap the channel; `None` when nobody does. Gives back how many
    /// messages were not shown since the last call.
    pub fn sample(&mut self, n_samples: Option<u32>) -> u64 {
        self.is_tapped = n_samples.is_some();
        self.samples = n_samples.unwrap_or(0);
        std::mem::take(&mut self.n_unshown)
    }

    fn wants_sample(&mut self) -> bool {
        if !self.is_tapped {
            return false;
        }
        if self.samples == 0 {
            self.n_unshown += 1;
            return false;
        }
        self.samples -= 1;
        true
    }

    /// What an end of this fragment is called.
    pub fn end_of(&self, port: &PortPath) -> Option<EndId> {
        self.by_port.get(port).map(|idx| self.end_id(*idx))
    }

    /// Puts messages back that a receiver of this node was given and did not handle: they are the first that it, or who takes
    /// its place, is given.
    pub fn take_back(&mut self, now: Time, port: &PortPath, messages: Vec<M>) {
        let Some(idx) = self.by_port.get(port).copied() else { return };
        let Some(outlet) = self.outlets[idx].as_mut().filter(|outlet| outlet.n_numbered == 0) else { return };
        for message in messages.into_iter().rev() {
            self.tally.delivered = self.tally.delivered.saturating_sub(1);
            let origin = Origin::Here { from: SourceId::UNKNOWN, follow: None };
            outlet.unpop(Item { message: Some(message), stamp: now, origin });
        }
        self.mark_dirty(idx);
        self.weigh(idx);
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

    /// A component of this node sent a message at `stamp`. Under [`Overflow::Wait`], ask [`Fragment::takes`] before.
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
        let hand = Hand { message: Some(message), stamp, from, ask };
        self.wishes = self.obey(wishes, hand, now, effects);
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
        self.wishes = self.obey(wishes, hand, now, effects);
    }

    /// Does what the strategy wished. Gives the emptied list back, so that its memory is used again.
    fn obey(
        &mut self,
        mut wishes: Vec<Wish<M>>,
        mut hand: Hand<M>,
        now: Time,
        effects: &mut Vec<Effect<M>>,
    ) -> Vec<Wish<M>> {
        let mut n_uses = wishes.iter().filter(|wish| matches!(wish, Wish::Deliver(_) | Wish::Hold(_))).count();
        if n_uses == 0 && wishes.is_empty() {
            if let Some(message) = hand.message.take() {
                self.lose(hand.from, None, message, hand.stamp, Loss::NoReceiver, effects);
            }
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
        self.plan_to_wake(now, effects);
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

    fn follow(&mut self, ticket: Ticket, end: EndId, effects: &mut Vec<Effect<M>>) {
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
        let origin = Origin::Here { from: held.from, follow: Some((ticket, held.attempt)) };
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
        while let Some(Item { message, stamp, origin }) = outlet.pop() {
            if let Some(message) = message {
                let is_shown = self.is_tapped && matches!(origin, Origin::Here { .. });
                let shown = is_shown.then(|| message.clone());
                if let Err(message) = give(Given { message, track: origin.track() }) {
                    outlet.unpop(Item { message: Some(message), stamp, origin });
                    break;
                }
                if let Origin::Here { from, .. } = origin {
                    let latency = now.since(stamp);
                    self.tally.delivered(latency);
                    self.n_unshown += u64::from(is_shown && self.samples == 0);
                    if let Some(message) = shown.filter(|_| self.samples > 0) {
                        self.samples -= 1;
                        let to = Some(outlet.port.clone());
                        effects.push(Effect::Tapped(Sample { from, to, message, sent: stamp, result: Ok(latency) }));
                    }
                }
            }
            if let Origin::There { peer, epoch, seq, .. } = origin {
                if let Some((other, epoch, seq)) = last.filter(|last| (last.0, last.1) != (peer, epoch)) {
                    self.peers[other as usize].handed(epoch, &outlet.port, seq);
                }
                last = Some((peer, epoch, seq));
            }
        }
        if let Some((peer, epoch, seq)) = last {
            self.peers[peer as usize].handed(epoch, &outlet.port, seq);
        }
        if outlet.is_full || outlet.is_overrun {
            self.weigh(idx);
        }
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

    /// The receiver of a port of this node is started (or not any more).
    pub fn set_open<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        port: &PortPath,
        is_open: bool,
        effects: &mut Vec<Effect<M>>,
    ) {
        let idx = match self.by_port.get(port) {
            Some(idx) => *idx,
            None => self.add_outlet(port.clone()),
        };
        self.set_state(idx, if is_open { EndState::Open } else { EndState::Closed });
        if !is_open {
            self.return_followed(idx, effects);
            self.recall(strategy, now, idx, false, effects);
        }
    }

    /// Takes over who is on the channel. What was kept for a receiver that moves to another node moves with it; what was kept
    /// for one that is gone is lost.
    pub fn connect<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        wiring: Wiring,
        effects: &mut Vec<Effect<M>>,
    ) {
        let removed: Vec<PortPath> =
            self.by_port.keys().filter(|port| !wiring.receivers.contains(*port)).cloned().collect();
        let added: Vec<PortPath> =
            wiring.receivers.iter().filter(|port| !self.by_port.contains_key(*port)).cloned().collect();
        let new_senders: Vec<NodeName> = wiring.senders.difference(&self.wiring.senders).cloned().collect();
        self.wiring = wiring;
        for port in &added {
            self.add_outlet(port.clone());
        }
        for port in removed {
            let heir = added.iter().find(|new| new.component == port.component && new.port == port.port);
            self.remove_outlet(strategy, now, &port, heir, effects);
        }
        let nodes: BTreeSet<&NodeName> = added.iter().map(|port| &port.node).filter(|node| **node != self.me).collect();
        self.greet(now, nodes.into_iter(), effects);
        for node in new_senders.iter().filter(|node| **node != self.me) {
            effects.push(Effect::Post { to: node.clone(), frame: self.state() });
        }
        self.is_changed = true;
        self.plan_to_wake(now, effects);
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
        self.far_wake = self.wake_far();
        self.plan_to_wake(now, effects);
    }

    /// Ends a turn: posts to other nodes what the turn gave them, and asks for what is to be handed over here. Call it after a
    /// batch of anything.
    pub fn flush<S: Strategy<M> + ?Sized>(&mut self, strategy: &mut S, now: Time, effects: &mut Vec<Effect<M>>) {
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
        self.post_confirmations(effects);
        self.far_wake = self.wake_far();
        self.plan_to_wake(now, effects);
    }

    // -- ends ----------------------------------------------------------------------------------------------------------

    pub(super) fn add_outlet(&mut self, port: PortPath) -> usize {
        self.generations += 1;
        let node = (port.node != self.me).then(|| port.node.clone());
        let mut outlet = Outlet::new(port.clone(), self.generations, node, self.next_seq);
        if let Some(node) = &outlet.node {
            let peer = self.peer(node);
            outlet.state = self.peers[peer].state_for_new_ends();
        }
        let idx = self.free.pop().unwrap_or_else(|| {
            self.outlets.push(None);
            self.outlets.len() - 1
        });
        self.outlets[idx] = Some(outlet);
        self.by_port.insert(port, idx);
        self.is_changed = true;
        idx
    }

    fn remove_outlet<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        port: &PortPath,
        heir: Option<&PortPath>,
        effects: &mut Vec<Effect<M>>,
    ) {
        let Some(idx) = self.by_port.remove(port) else { return };
        self.is_changed = true;
        self.return_followed(idx, effects);
        self.recall(strategy, now, idx, true, effects);
        let Some(mut outlet) = self.outlets[idx].take() else { return };
        self.free.push(idx);
        self.n_full -= usize::from(outlet.is_full);
        self.next_seq = self.next_seq.max(outlet.first + outlet.queue.len() as u64);
        if outlet.node.is_none() {
            self.peers.iter_mut().for_each(|peer| peer.forget_unhanded(port));
        }
        let heir = heir.and_then(|heir| self.by_port.get(heir)).copied();
        while let Some(item) = outlet.pop() {
            match (item.origin, heir) {
                // Its own fragment still has it, and decides.
                (Origin::There { .. }, _) => {}
                (Origin::Here { .. }, Some(heir)) => {
                    let end = self.end_id(heir);
                    self.enqueue(end, item, effects);
                }
                (Origin::Here { .. }, None) => {
                    self.lose_item(None, item, Loss::ReceiverRemoved, effects);
                }
            }
        }
        self.weigh_wait(now);
    }

    fn end_id(&self, idx: usize) -> EndId {
        let generation = self.outlets[idx].as_ref().map_or(0, |outlet| outlet.generation);
        EndId { index: idx as u32, generation }
    }

    pub(super) fn set_state(&mut self, idx: usize, state: EndState) {
        let Some(outlet) = self.outlets[idx].as_mut() else { return };
        self.is_changed |= outlet.state != state;
        outlet.state = state;
        if state == EndState::Open {
            self.mark_dirty(idx);
        }
    }

    /// Lists the ends anew, and tells all who want to know: once for however many changes.
    #[cold]
    fn refresh<S: Strategy<M> + ?Sized>(&mut self, strategy: &mut S, now: Time, effects: &mut Vec<Effect<M>>) {
        self.is_changed = false;
        self.list_ends();
        self.tell_senders(effects);
        self.tell(strategy, now, effects, |strategy, ends, ctx| strategy.changed(ends, ctx));
    }

    fn list_ends(&mut self) {
        let list = self.by_port.values().filter_map(|idx| {
            let outlet = self.outlets[*idx].as_ref()?;
            Some(End {
                id: EndId { index: *idx as u32, generation: outlet.generation },
                port: outlet.port.clone(),
                local: outlet.node.is_none(),
                state: outlet.state,
                rank: outlet.rank,
            })
        });
        self.ends = Ends { list: list.collect() };
    }

    /// Takes followed messages back from an end, and tells the strategy, which may send them elsewhere: those that were not handed
    /// over yet, and with `is_dead` also those that were.
    pub(super) fn recall<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        idx: usize,
        is_dead: bool,
        effects: &mut Vec<Effect<M>>,
    ) {
        let end = self.end_id(idx);
        let Some(outlet) = self.outlets[idx].as_mut() else { return };
        let mut tickets: BTreeSet<Ticket> = BTreeSet::new();
        for (place, item) in outlet.queue.iter_mut().enumerate().filter(|(_, item)| item.is_followed_here()) {
            // What has its number keeps its place.
            if is_dead || place >= outlet.n_numbered {
                item.message = None;
                tickets.extend(item.ticket());
            }
        }
        let mut place = 0;
        let n_numbered = outlet.n_numbered;
        outlet.queue.retain(|item| {
            place += 1;
            place <= n_numbered || item.message.is_some()
        });
        if is_dead {
            tickets.extend(self.held.iter().filter(|(_, held)| held.at == Some(end)).map(|(ticket, _)| *ticket));
        }
        // What the strategy is told must not show it the end as it was.
        if self.is_changed {
            self.list_ends();
        }
        for ticket in tickets {
            let Some(held) = self.held.get_mut(&ticket).filter(|held| held.at == Some(end)) else { continue };
            held.at = None;
            // Whatever the old receiver still says comes too late, unless it is that the work is done.
            held.attempt += 1;
            self.tell(strategy, now, effects, |strategy, ends, ctx| {
                strategy.settled(ticket, Outcome::Lost, ends, ctx);
            });
        }
    }

    // -- losses and bounds ---------------------------------------------------------------------------------------------

    pub(super) fn lose_item(&mut self, outlet: Option<usize>, item: Item<M>, loss: Loss, effects: &mut Vec<Effect<M>>) {
        // A followed message is still held: its strategy hears that this attempt was lost and decides.
        if let Origin::Here { from, follow: None } = item.origin {
            let to = outlet.and_then(|idx| self.outlets[idx].as_ref()).map(|outlet| outlet.port.clone());
            if let Some(message) = item.message {
                self.lose(from, to, message, item.stamp, loss, effects);
            }
        }
    }

    fn lose(
        &mut self,
        from: SourceId,
        to: Option<PortPath>,
        message: M,
        sent: Time,
        loss: Loss,
        effects: &mut Vec<Effect<M>>,
    ) {
        self.tally.lost += 1;
        if self.wants_sample() {
            effects.push(Effect::Tapped(Sample { from, to, message, sent, result: Err(loss) }));
        }
    }

    pub(super) fn delivered(&mut self, idx: usize, item: Item<M>, now: Time, effects: &mut Vec<Effect<M>>) {
        let Some(message) = item.message else { return };
        let latency = now.since(item.stamp);
        self.tally.delivered(latency);
        if let (true, Origin::Here { from, .. }) = (self.wants_sample(), item.origin) {
            let to = self.outlets[idx].as_ref().map(|outlet| outlet.port.clone());
            let sample = Sample { from, to, message, sent: item.stamp, result: Ok(latency) };
            effects.push(Effect::Tapped(sample));
        }
    }

    /// Looks again at whether an outlet makes senders wait.
    pub(super) fn weigh(&mut self, idx: usize) {
        let Some(outlet) = self.outlets[idx].as_mut() else { return };
        if outlet.n_own <= self.policy.capacity / 2 {
            outlet.is_overrun = false;
        }
        let is_full = self.policy.overflow == Overflow::Wait
            && outlet.n_own >= self.policy.capacity
            && outlet.state != EndState::Gone
            && !outlet.is_overrun;
        if is_full != outlet.is_full {
            outlet.is_full = is_full;
            if is_full { self.n_full += 1 } else { self.n_full -= 1 }
        }
    }

    fn weigh_held(&mut self) {
        if self.held.len() <= self.policy.capacity / 2 {
            self.held_is_overrun = false;
        }
        let is_full =
            self.policy.overflow == Overflow::Wait && self.held.len() >= self.policy.capacity && !self.held_is_overrun;
        if is_full != self.held_is_full {
            self.held_is_full = is_full;
            if is_full { self.n_full += 1 } else { self.n_full -= 1 }
        }
    }

    /// How many more messages may be held; makes room if that is the policy.
    fn room_to_hold<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        effects: &mut Vec<Effect<M>>,
    ) -> usize {
        if self.held.len() < self.policy.capacity || self.policy.overflow != Overflow::DropOldest {
            return self.policy.capacity.saturating_sub(self.held.len());
        }
        let oldest = self.held.iter().find(|(_, held)| held.at.is_none()).map(|(ticket, _)| *ticket);
        let Some((ticket, held)) = oldest.and_then(|ticket| Some((ticket, self.held.remove(&ticket)?))) else {
            return 0;
        };
        refuse_answer(held.ask, "the channel is full: a newer request took its place", effects);
        self.lose(held.from, None, held.message, held.stamp, Loss::Full, effects);
        self.tell(strategy, now, effects, |strategy, ends, ctx| {
            strategy.settled(ticket, Outcome::Dropped, ends, ctx);
        });
        1
    }

    fn weigh_wait(&mut self, now: Time) {
        self.waiting_since = match (self.n_full, self.waiting_since) {
            (0, _) => None,
            (_, None) => Some(now),
            (_, since) => since,
        };
    }

    #[inline]
    pub(super) fn plan_to_wake(&mut self, now: Time, effects: &mut Vec<Effect<M>>) {
        if self.n_full > 0 || self.waiting_since.is_some() {
            self.weigh_wait(now);
        }
        let patience = self.waiting_since.map_or(Time::NEVER, |since| since + self.policy.patience);
        let bounced = if self.bounced.is_empty() { Time::NEVER } else { now + BOUNCE_AFTER };
        let wake = self.strategy_wake.min(patience).min(self.far_wake).min(bounced);
        if wake < self.next_wake {
            self.next_wake = wake;
            effects.push(Effect::Wake(wake));
        }
    }

    pub(super) fn state(&self) -> Frame<M> {
        let ports = self.by_port.iter().filter(|(port, _)| port.node == self.me).filter_map(|(port, idx)| {
            let is_open = self.outlets[*idx].as_ref()?.state == EndState::Open;
            Some((local_port(port), is_open))
        });
        Frame::State { by: self.epoch, ports: ports.collect() }
    }
}

impl Origin {
    fn track(&self) -> Option<Track> {
        match *self {
            Origin::Here { follow, .. } => follow.map(|(ticket, attempt)| Track { ticket, attempt, peer: None }),
            Origin::There { follow, peer, epoch, .. } => {
                follow.map(|(ticket, attempt)| Track { ticket, attempt, peer: Some((peer, epoch)) })
            }
        }
    }
}

pub(super) fn local_port(port: &PortPath) -> LocalPort {
    (port.component.clone(), port.port.clone())
}

/// The message at hand: itself for the last who uses it, a copy for the others.
#[inline]
fn last_use<M: Clone>(message: &mut Option<M>, n_uses: &mut usize) -> Option<M> {
    *n_uses -= 1;
    if *n_uses == 0 { message.take() } else { message.clone() }
}

fn refuse_answer<M>(ask: Option<AskId>, why: &str, effects: &mut Vec<Effect<M>>) {
    if let Some(ask) = ask {
        effects.push(Effect::Answer { ask, reply: Err(why.into()) });
    }
}
