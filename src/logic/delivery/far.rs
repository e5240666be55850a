//! The way to the other fragments: numbered messages, confirmations, and what happens when a node goes away and comes back.
//!
//! The network below keeps order and loses nothing between two living nodes, but a node may die, and a message may arrive
//! before its receiver is there. So the sender's fragment keeps every message until the receiver was given it, and sends again
//! what the other side does not have.

use std::{collections::BTreeMap, time::Duration};

use super::{
    effect::Effect,
    end::EndState,
    fragment::Fragment,
    frame::{Frame, LocalPort, Parcel, Place},
    outlet::{Item, Origin},
    peer::{Inbound, Peer},
    strategy::{Outcome, Strategy},
    tally::Loss,
};
use crate::words::{NodeName, Time};

/// How long to wait for a sign that a message arrived before it is sent again; doubles each time. The network below does not
/// lose messages, so this is for a fragment that was not there yet, or whose inbox was full.
pub(super) const RESEND_AFTER: Duration = Duration::from_millis(500);

/// How often that doubles: 8 s at most.
pub(super) const RESEND_DOUBLINGS_MAX: u32 = 4;

/// How long to wait when the queue to a node is full: it drains in milliseconds unless the node is stuck.
const CONGESTED_FOR: Duration = Duration::from_millis(20);

/// The most messages in one frame; the shell cuts further by size.
const PARCELS_MAX: usize = 1024;

/// The most messages that another fragment may have us keep for one port; ten times the usual bound at the sender, which is
/// what holds them back. Beyond it they are not taken: the sender sends them again.
pub(super) const INBOUND_MAX: u64 = 131_072;

/// The most messages that all others, in all their lives, may have us keep for one port: some hundred times the usual bound at a sender.
pub(super) const FROM_OTHERS_MAX: usize = 8 * INBOUND_MAX as usize;

impl<M: Clone> Fragment<M> {
    /// The number of a peer, which is made known if it is not.
    pub(super) fn peer(&mut self, node: &NodeName) -> usize {
        if let Some(idx) = self.peer_idx.get(node) {
            return *idx;
        }
        self.peers.push(Peer::new(node.clone(), self.epoch));
        self.peer_idx.insert(node.clone(), self.peers.len() - 1);
        self.peers.len() - 1
    }

    /// A node can be reached (again).
    pub fn up(&mut self, now: Time, node: &NodeName, effects: &mut Vec<Effect<M>>) {
        let idx = self.peer(node);
        let peer = &mut self.peers[idx];
        (peer.is_up, peer.is_gone, peer.away_since) = (true, false, None);
        peer.hello_at = now;
        for outlet in self.outlets_of(node) {
            self.set_state(outlet, EndState::Closed);
        }
        self.peers[idx].confirm_again();
        self.peers[idx].wants_state |= self.peers[idx].has_asked() || self.wiring.senders.contains(node);
        self.say_hello(idx, now, effects);
        self.plan_to_wake(now, effects);
    }

    /// A node cannot be reached any more. What is kept for its receivers stays for a while.
    pub fn down<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        node: &NodeName,
        effects: &mut Vec<Effect<M>>,
    ) {
        let idx = self.peer(node);
        let peer = &mut self.peers[idx];
        (peer.is_up, peer.away_since, peer.hello_at) = (false, Some(now), Time::NEVER);
        let outlets = self.outlets_of(node);
        for outlet in &outlets {
            self.set_state(*outlet, EndState::Away);
        }
        for idx in outlets {
            if let Some(outlet) = self.outlets[idx].as_mut() {
                outlet.rewind();
                outlet.resend_at = Time::NEVER;
            }
            self.recall(strategy, now, idx, true, effects);
        }
        self.plan_to_wake(now, effects);
    }

    /// A frame, with messages or without, could not be sent because the queue to its node is full.
    pub fn congested(&mut self, now: Time, node: &NodeName, has_messages: bool, effects: &mut Vec<Effect<M>>) {
        let again = now + CONGESTED_FOR;
        for idx in self.outlets_of(node) {
            if let Some(outlet) = self.outlets[idx].as_mut() {
                outlet.resend_at = outlet.resend_at.min(again);
            }
        }
        let idx = self.peer(node);
        self.peers[idx].hello_at = again;
        if !has_messages {
            self.peers[idx].confirm_again();
            self.peers[idx].wants_state = true;
            self.peers[idx].told_again_at = Some(again);
        }
        self.plan_to_wake(now, effects);
    }

    /// A frame of another fragment's.
    pub fn arrived<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        from: &NodeName,
        frame: Frame<M>,
        effects: &mut Vec<Effect<M>>,
    ) {
        match frame {
            Frame::Deliver { epoch, to, base, first, port, parcels } => {
                if to != 0 && to != self.epoch {
                    // It means an earlier life of this fragment, and will send again when it knows.
                    let idx = self.peer(from);
                    self.peers[idx].wants_state = true;
                } else {
                    self.take_in(from, (epoch, base, first), port, parcels);
                }
            }
            Frame::Confirm { of, by, port, received, handed } => {
                if of == self.epoch {
                    self.confirmed(now, from, by, &port, (received, handed), effects);
                }
            }
            Frame::Settled { of, follow: (ticket, attempt), outcome } => {
                if of == self.epoch {
                    let track = super::Track { ticket, attempt, peer: None };
                    self.outcome(strategy, now, track, outcome, effects);
                }
            }
            Frame::State { by, heard, ports } => {
                let ports: BTreeMap<&LocalPort, bool> = ports.iter().map(|(port, is_open)| (port, *is_open)).collect();
                self.learn_state(strategy, now, from, by, &ports, effects);
                self.settle_by_state(from, (by, heard), &ports, effects);
            }
            Frame::Hello { by, number } => {
                let idx = self.peer(from);
                // One of an earlier life may come late.
                self.peers[idx].heard = self.peers[idx].heard.max((by, number));
                self.peers[idx].confirm_again();
                self.peers[idx].wants_state = true;
            }
        }
    }

    fn take_in(
        &mut self,
        from: &NodeName,
        (epoch, base, first): (u64, u64, u64),
        port: LocalPort,
        parcels: Vec<Parcel<M>>,
    ) {
        let peer = self.peer(from);
        // Another one of its name may be here still, or already.
        let place = Place { port: port.on(&self.me), of: port.of };
        let Some(idx) = self.outlet_of(&place) else { return };
        let waits = self.waits_for_another(idx, from);
        let Some(outlet) = self.outlets[idx].as_mut() else { return };
        let start = || Inbound { epoch, next: base, handed: base, is_dirty: true, left: None };
        let inbound = self.peers[peer].inbound.entry(port).or_insert_with(start);
        if inbound.epoch < epoch {
            *inbound = start();
        }
        if inbound.epoch > epoch {
            return;
        }
        inbound.is_dirty = true;
        // What the sender does not have any more will not come. Its numbers leap when a receiver comes back.
        if inbound.next < base {
            if inbound.handed == inbound.next {
                inbound.handed = base;
            }
            inbound.next = base;
        }
        if first > inbound.next || waits {
            return;
        }
        for (seq, parcel) in (first..).zip(parcels) {
            if seq < inbound.next {
                continue;
            }
            let n_waiting = inbound.next - inbound.handed.min(inbound.next);
            if n_waiting >= INBOUND_MAX || outlet.queue.len() - outlet.n_own >= FROM_OTHERS_MAX {
                break;
            }
            inbound.next = seq + 1;
            let origin = Origin::There { peer: peer as u32, epoch, seq, follow: parcel.follow.map(Box::new) };
            // The latency is measured where the message was sent.
            outlet.push(Item { message: parcel.message, stamp: Time::default(), origin });
        }
        self.mark_dirty(idx);
    }

    fn confirmed(
        &mut self,
        now: Time,
        from: &NodeName,
        by: u64,
        port: &LocalPort,
        (received, handed): (u64, u64),
        effects: &mut Vec<Effect<M>>,
    ) {
        let Some(idx) = self.outlet_of(&Place { port: port.on(from), of: port.of }) else { return };
        let Some(outlet) = self.outlets[idx].as_mut() else { return };
        if outlet.peer_epoch != by {
            return;
        }
        let mut done = Vec::new();
        while outlet.first < handed && outlet.n_numbered > 0 {
            done.extend(outlet.pop());
        }
        let end = outlet.first + outlet.n_numbered as u64;
        let has_moved = received > outlet.received || !done.is_empty();
        let was_lost = received < outlet.received.min(end);
        outlet.received = received.clamp(outlet.first, end);
        if was_lost {
            outlet.rewind();
        }
        // What was to be sent again and has arrived after all is not.
        outlet.posted = outlet.posted.max((outlet.received - outlet.first) as usize);
        if outlet.received == end {
            (outlet.resend_at, outlet.n_resent) = (Time::NEVER, 0);
        } else if has_moved {
            (outlet.resend_at, outlet.n_resent) = (now + RESEND_AFTER, 0);
        }
        if outlet.posted < outlet.queue.len() {
            self.mark_dirty(idx);
        }
        for item in done {
            self.delivered(idx, item, now, effects);
        }
        self.weigh(idx);
    }

    fn learn_state<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        from: &NodeName,
        by: u64,
        ports: &BTreeMap<&LocalPort, bool>,
        effects: &mut Vec<Effect<M>>,
    ) {
        let idx = self.peer(from);
        self.peers[idx].hello_at = Time::NEVER;
        for idx in self.outlets_of(from) {
            let Some(outlet) = self.outlets[idx].as_mut().filter(|outlet| !outlet.is_leaving) else { continue };
            if outlet.peer_epoch > by {
                continue;
            }
            if outlet.peer_epoch != by {
                // Another life of the fragment: what the former one had and had not handed over is gone.
                outlet.peer_epoch = by;
                outlet.received = outlet.first;
                outlet.rewind();
                self.recall(strategy, now, idx, true, effects);
            }
            let Some(outlet) = self.outlets[idx].as_ref() else { continue };
            let is_open = ports.get(&outlet.place.local()).copied().unwrap_or(false);
            self.set_state(idx, if is_open { EndState::Open } else { EndState::Closed });
            if !is_open {
                self.recall(strategy, now, idx, false, effects);
            }
        }
    }

    /// Sends what an outlet has for another node and has not sent yet.
    pub(super) fn post(&mut self, idx: usize, now: Time, effects: &mut Vec<Effect<M>>) {
        let Some(outlet) = self.outlets[idx].as_mut() else { return };
        let Some(to) = outlet.node.clone() else { return };
        while outlet.posted < outlet.queue.len() {
            let until = outlet.queue.len().min(outlet.posted + PARCELS_MAX);
            let parcels = outlet.queue.range(outlet.posted..until).map(|item| {
                let follow = match &item.origin {
                    Origin::Here { follow, .. } | Origin::There { follow, .. } => follow.as_deref().copied(),
                };
                Parcel { message: item.message.clone(), follow }
            });
            let frame = Frame::Deliver {
                epoch: self.epoch,
                to: outlet.peer_epoch,
                base: outlet.first,
                first: outlet.first + outlet.posted as u64,
                port: outlet.place.local(),
                parcels: parcels.collect(),
            };
            effects.push(Effect::Post { to: to.clone(), frame });
            outlet.posted = until;
            outlet.n_numbered = outlet.n_numbered.max(until);
            if outlet.resend_at == Time::NEVER {
                outlet.resend_at = now + RESEND_AFTER;
            }
        }
    }

    pub(super) fn tick_far(&mut self, now: Time, effects: &mut Vec<Effect<M>>) {
        for idx in 0..self.peers.len() {
            if self.peers[idx].hello_at <= now {
                self.say_hello(idx, now, effects);
            }
            let patience = self.policy.away;
            if self.peers[idx].away_since.is_some_and(|since| since + patience <= now) {
                self.peers[idx].away_since = None;
                self.peers[idx].is_gone = true;
                self.give_up_node(idx, effects);
            }
        }
        for idx in 0..self.outlets.len() {
            let Some(outlet) = self.outlets[idx].as_mut().filter(|outlet| outlet.resend_at <= now) else { continue };
            outlet.n_resent = (outlet.n_resent + 1).min(RESEND_DOUBLINGS_MAX);
            outlet.resend_at = now + RESEND_AFTER * (1 << outlet.n_resent);
            outlet.rewind();
            self.mark_dirty(idx);
        }
    }

    fn give_up_node(&mut self, peer: usize, effects: &mut Vec<Effect<M>>) {
        let node = self.peers[peer].name.clone();
        self.settle_without(&node, effects);
        for idx in self.outlets_of(&node) {
            self.set_state(idx, EndState::Gone);
            while let Some(item) = self.outlets[idx].as_mut().and_then(|outlet| outlet.pop()) {
                self.lose_item(Some(idx), item, Loss::NodeLost, effects);
            }
            if let Some(outlet) = self.outlets[idx].as_mut() {
                outlet.received = outlet.first;
            }
            self.weigh(idx);
        }
    }

    pub(super) fn wake_far(&self) -> Time {
        let outlets = self.outlets.iter().flatten().filter(|outlet| outlet.node.is_some());
        let resend = outlets.map(|outlet| outlet.resend_at);
        let peers = self.peers.iter().map(|peer| {
            peer.hello_at
                .min(peer.told_again_at.unwrap_or(Time::NEVER))
                .min(peer.away_since.map_or(Time::NEVER, |since| since + self.policy.away))
        });
        resend.chain(peers).min().unwrap_or(Time::NEVER).min(self.wake_leaving())
    }

    /// Says that what is followed to a closed port of this node is not going to be handled there.
    pub(super) fn return_followed(&mut self, idx: usize, effects: &mut Vec<Effect<M>>) {
        let Some(outlet) = self.outlets[idx].as_mut() else { return };
        for item in &mut outlet.queue {
            if let Origin::There { peer, epoch, ref mut follow, .. } = item.origin
                && let Some(follow) = follow.take()
            {
                item.message = None;
                let to = self.peers[peer as usize].name.clone();
                let frame = Frame::Settled { of: epoch, follow: *follow, outcome: Outcome::Lost };
                effects.push(Effect::Post { to, frame });
            }
        }
    }

    pub(super) fn mark_dirty(&mut self, idx: usize) {
        if let Some(outlet) = self.outlets[idx].as_mut() {
            // An outlet may be marked by `rewind` without being listed: listing twice is harmless, not listing is not.
            outlet.is_dirty = true;
            self.dirty.push(idx);
        }
    }

    fn outlets_of(&self, node: &NodeName) -> Vec<usize> {
        let of_node = |(idx, outlet): (usize, &Option<super::outlet::Outlet<M>>)| {
            (outlet.as_ref()?.node.as_ref()? == node).then_some(idx)
        };
        self.outlets.iter().enumerate().filter_map(of_node).collect()
    }
}
