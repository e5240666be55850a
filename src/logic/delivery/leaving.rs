//! A receiver moves to another node: what is said to it meanwhile it hears once, and in the order in which it was said.
//!
//! Its old node has some of what it was sent: what was handed to it and not handled is *forwarded* to where it is now; what was not
//! handed to it is dropped, for its sender has it still. Which is which only the old node's confirmations tell. So the outlet to the
//! old place stays for a while, *leaving*: it sends nothing, hears confirmations, and stands in for its heir, the outlet to the new
//! place. When the old node, asked after all that it was sent, says that it has that port no more (which it does when all that it
//! forwarded was taken), what was not confirmed and what was said since go to the heir.

use std::collections::BTreeMap;

use super::{
    effect::Effect,
    end::EndId,
    fragment::Fragment,
    frame::{LocalPort, Place},
    strategy::Strategy,
};
use crate::words::{NodeName, Time};

/// How long to wait for the word of an old place. It comes within a round trip unless its node is cut off, dead or slow to adapt;
/// most cuts, and restarts, are over by then. What was not confirmed until then is sent to the new place.
const SETTLED_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// An outlet whose receiver has moved away.
pub(super) struct Leaving {
    pub(super) outlet: usize,
    /// Where to.
    heir: Place,
    /// The number of the first [`super::Frame::Hello`] after all that was sent.
    asked: u64,
    /// Then it is waited for no more.
    until: Time,
}

/// What a port of this node had for a receiver that has moved away: given to the outlet of its new place.
pub(super) struct Forwarded {
    pub(super) to: EndId,
    /// All of it is there when that outlet has given away what is numbered below.
    pub(super) below: u64,
}

impl<M: Clone> Fragment<M> {
    /// The outlet of a receiver's port, also of one that leaves. Another receiver of its name has another one.
    pub(super) fn outlet_of(&self, place: &Place) -> Option<usize> {
        let is_its = |idx: &usize| self.outlets[*idx].as_ref().is_some_and(|outlet| outlet.place.of == place.of);
        let known = self.by_port.get(&place.port).copied().filter(is_its);
        known.or_else(|| self.leaving.get(place).map(|leaving| leaving.outlet))
    }

    /// Where messages for an end are put: into its own outlet, or the one that stands in for it.
    pub(super) fn taker(&self, mut idx: usize) -> EndId {
        while let Some(stand_in) = self.outlets[idx].as_ref().and_then(|outlet| outlet.stand_in) {
            idx = stand_in;
        }
        self.end_id(idx)
    }

    /// The end for which another one stands in, or itself.
    pub(super) fn giver(&self, mut end: EndId) -> EndId {
        let leaves = |end: EndId| {
            let outlet = self.outlets.get(end.index as usize)?.as_ref()?;
            (outlet.is_leaving && outlet.generation == end.generation).then(|| self.leaving.get(&outlet.place))?
        };
        while let Some(heir) = leaves(end).and_then(|leaving| self.outlet_of(&leaving.heir)) {
            end = self.end_id(heir);
        }
        end
    }

    /// Whether a receiver has come here, and the node where it was has something for it still: what others send comes after that.
    pub(super) fn waits_for_another(&self, idx: usize, node: &NodeName) -> bool {
        let stand_in = self.outlets[idx].as_ref().and_then(|outlet| outlet.stand_in);
        let leaving = stand_in.and_then(|idx| self.outlets[idx].as_ref());
        leaving.is_some_and(|leaving| leaving.place.port.node != *node)
    }

    /// Whether it is worth waiting for the word of the node that a port has moved away from.
    fn can_leave(&mut self, now: Time, idx: usize, heir: usize) -> bool {
        let (Some(outlet), Some(heir)) = (&self.outlets[idx], &self.outlets[heir]) else { return false };
        let Some(node) = outlet.node.clone() else { return false };
        let has_some = outlet.peer_epoch != 0 || outlet.stand_in.is_some();
        has_some && heir.stand_in.is_none() && self.patience_with(now, &node) > now
    }

    fn patience_with(&mut self, now: Time, node: &NodeName) -> Time {
        let idx = self.peer(node);
        match (self.peers[idx].is_gone, self.peers[idx].away_since) {
            (true, _) => now,
            (false, since) => since.unwrap_or(now) + SETTLED_WITHIN,
        }
    }

    /// The receiver of an outlet has moved away. False if it is not worth waiting for a word of where it was.
    pub(super) fn leave<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        (idx, place): (usize, &Place),
        heir: &Place,
        effects: &mut Vec<Effect<M>>,
    ) -> bool {
        let Some(heir_idx) = self.outlet_of(heir).filter(|heir| self.can_leave(now, idx, *heir)) else { return false };
        self.is_changed = true;
        self.recall(strategy, now, idx, true, effects);
        let node = &place.port.node;
        let until = self.patience_with(now, node);
        let Some(outlet) = self.outlets[idx].as_mut() else { return true };
        (outlet.is_leaving, outlet.state, outlet.resend_at) = (true, super::EndState::Closed, Time::NEVER);
        self.stand_in(idx, heir_idx, effects);
        let peer = self.peer(node);
        self.peers[peer].wants_hello = true;
        let asked = self.peers[peer].n_hellos + 1;
        self.leaving.insert(place.clone(), Leaving { outlet: idx, heir: heir.clone(), asked, until });
        true
    }

    /// A receiver that comes may be one that leaves, and is back: then all is as it was.
    pub(super) fn returns(&mut self, place: &Place) -> bool {
        let Some(Leaving { outlet: idx, .. }) = self.leaving.remove(place) else { return false };
        self.forget_stand_in(idx);
        let port = &place.port;
        let peer = self.peer(&port.node);
        let state = self.peers[peer].state_for_new_ends();
        if let Some(outlet) = self.outlets[idx].as_mut() {
            outlet.is_leaving = false;
            outlet.rewind();
        }
        self.set_state(idx, state);
        self.by_port.insert(port.clone(), idx);
        self.is_changed = true;
        true
    }

    /// An outlet stands in for nobody any more.
    fn forget_stand_in(&mut self, idx: usize) {
        let heir = self.outlets[idx].as_mut().and_then(|outlet| outlet.stands_in_for.take());
        if let Some(heir) = heir.and_then(|heir| self.outlets[heir].as_mut()) {
            heir.stand_in = None;
        }
    }

    /// Who stood in for an outlet that goes stands in for its heir. Without one, it goes as well.
    pub(super) fn inherit_stand_in(&mut self, idx: usize, heir: Option<&Place>, effects: &mut Vec<Effect<M>>) {
        let Some(stand_in) = self.outlets[idx].as_mut().and_then(|outlet| outlet.stand_in.take()) else { return };
        let Some(outlet) = self.outlets[stand_in].as_mut() else { return };
        outlet.stands_in_for = None;
        let place = outlet.place.clone();
        let Some(heir) = heir else {
            self.leaving.remove(&place);
            self.inherit_stand_in(stand_in, None, effects);
            self.hand_on(stand_in, None, effects);
            return;
        };
        if let Some(leaving) = self.leaving.get_mut(&place) {
            leaving.heir = heir.clone();
        }
        if let Some(heir) = self.outlet_of(heir) {
            self.stand_in(stand_in, heir, effects);
        }
    }

    /// An outlet stands in for another, unless one does already. The other may itself have left a moment ago: what it was to send since
    /// comes after what this one has.
    fn stand_in(&mut self, idx: usize, heir: usize, effects: &mut Vec<Effect<M>>) {
        let Some(outlet) = self.outlets[heir].as_mut().filter(|outlet| outlet.stand_in.is_none()) else { return };
        outlet.stand_in = Some(idx);
        let unsent = outlet.take_unsent();
        if let Some(stand_in) = self.outlets[idx].as_mut() {
            stand_in.stands_in_for = Some(heir);
        }
        let end = self.taker(idx);
        unsent.into_iter().for_each(|item| self.enqueue(end, item, effects));
    }

    /// Enough is known of what a receiver that leaves was sent: the rest goes to its heir.
    fn settle(&mut self, place: &Place, effects: &mut Vec<Effect<M>>) {
        let Some(Leaving { outlet, heir, .. }) = self.leaving.remove(place) else { return };
        self.is_changed = true;
        self.forget_stand_in(outlet);
        self.inherit_stand_in(outlet, Some(&heir), effects);
        self.hand_on(outlet, Some(&heir), effects);
    }

    fn settle_where(&mut self, is_over: impl Fn(&Self, &Place, &Leaving) -> bool, effects: &mut Vec<Effect<M>>) {
        if self.leaving.is_empty() {
            return;
        }
        let over = self.leaving.iter().filter(|(place, leaving)| is_over(self, place, leaving));
        for place in over.map(|(place, _)| place.clone()).collect::<Vec<_>>() {
            self.settle(&place, effects);
        }
    }

    /// A node says which ports it has, in a life of its fragment. What an earlier life was sent is gone with it.
    pub(super) fn settle_by_state(
        &mut self,
        from: &NodeName,
        (by, heard): (u64, u64),
        ports: &BTreeMap<&LocalPort, bool>,
        effects: &mut Vec<Effect<M>>,
    ) {
        let is_over = |fragment: &Self, place: &Place, leaving: &Leaving| {
            let known = fragment.outlets[leaving.outlet].as_ref().map_or(0, |outlet| outlet.peer_epoch);
            let has_said = known == by && leaving.asked <= heard && !ports.contains_key(&place.local());
            place.port.node == *from && (known < by || has_said)
        };
        self.settle_where(is_over, effects);
    }

    /// A node is given up.
    pub(super) fn settle_without(&mut self, node: &NodeName, effects: &mut Vec<Effect<M>>) {
        self.settle_where(|_, place, _| place.port.node == *node, effects);
    }

    pub(super) fn tick_leaving(&mut self, now: Time, effects: &mut Vec<Effect<M>>) {
        self.settle_where(|_, _, leaving| leaving.until <= now, effects);
    }

    /// What a port of this node had has been given to the outlet of where its receiver is now. However long that takes to be ready: who
    /// learns of the move late comes after what was said early.
    pub(super) fn forward(&mut self, place: Place, (to, below): (EndId, u64)) {
        self.forwarded.insert(place, Forwarded { to, below });
    }

    /// Tells senders of ports that are gone with all that they had.
    pub(super) fn review_forwarded(&mut self) {
        let n_before = self.forwarded.len();
        let outlets = &self.outlets;
        self.forwarded.retain(|_, forwarded| {
            let outlet = outlets.get(forwarded.to.index as usize).and_then(Option::as_ref);
            let outlet = outlet.filter(|outlet| outlet.generation == forwarded.to.generation);
            // Where it is now, if its receiver has moved on, is known when that outlet is settled.
            let is_there = outlet.is_none_or(|outlet| outlet.first >= forwarded.below && !outlet.is_leaving);
            !is_there
        });
        if self.forwarded.len() < n_before {
            self.tell_senders();
        }
    }

    /// No receiver of this node hangs on the channel any more. Who sends hears how far each got.
    pub fn shut(&mut self) {
        for outlet in self.outlets.iter().flatten().filter(|outlet| outlet.node.is_none()) {
            self.peers.iter_mut().for_each(|peer| peer.forget_unhanded(&outlet.place));
        }
        self.by_port.retain(|port, _| port.node != self.me);
        self.tell_senders();
    }

    /// Whether something is still on its way to other nodes.
    pub fn owes(&self) -> bool {
        let far = self.outlets.iter().flatten().filter(|outlet| outlet.node.is_some());
        !self.forwarded.is_empty() || far.into_iter().any(|outlet| !outlet.queue.is_empty())
    }

    /// What is still on its way is waited for no more.
    pub fn give_up(&mut self, now: Time, effects: &mut Vec<Effect<M>>) {
        self.forwarded.clear();
        self.tell_senders();
        self.report(now, effects);
    }

    pub(super) fn wake_leaving(&self) -> Time {
        self.leaving.values().map(|leaving| leaving.until).min().unwrap_or(Time::NEVER)
    }
}
