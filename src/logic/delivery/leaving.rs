//! A receiver moves to another node: what is said to it meanwhile it hears once, and in the order in which it was said.
//!
//! Its old node has some of what it was sent: what was handed to it and not handled is *forwarded* to where it is now; what was not
//! handed to it is dropped, for its sender has it still. Which is which only the old node's confirmations tell. So the outlet to the
//! old place stays for a while, *leaving*: it sends nothing, hears confirmations, and stands in for its heir, the outlet to the new
//! place. When the old node, asked after all that it was sent, says that it has that port no more (which it does when all that it
//! forwarded was taken), what was not confirmed and what was said since go to the heir.

use std::collections::BTreeMap;

use super::{effect::Effect, end::EndId, fragment::Fragment, frame::LocalPort, strategy::Strategy, wiring::local_port};
use crate::{
    model::ComponentId,
    words::{NodeName, PortPath, Time},
};

/// How long to wait for the word of an old place. It comes within a round trip unless its node is cut off, dead or slow to adapt;
/// most cuts, and restarts, are over by then. What was not confirmed until then is sent to the new place.
const SETTLED_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// An outlet whose receiver has moved away.
pub(super) struct Leaving {
    pub(super) outlet: usize,
    /// Who moved.
    id: ComponentId,
    /// Where to.
    heir: PortPath,
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
    /// The outlet of a port, also of one that leaves.
    pub(super) fn outlet_of(&self, port: &PortPath) -> Option<usize> {
        self.by_port.get(port).copied().or_else(|| self.leaving.get(port).map(|leaving| leaving.outlet))
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
            (outlet.is_leaving && outlet.generation == end.generation).then(|| self.leaving.get(&outlet.port))?
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
        leaving.is_some_and(|leaving| leaving.port.node != *node)
    }

    /// Whether it is worth waiting for the word of the node that a port has moved away from.
    pub(super) fn can_leave(&mut self, now: Time, port: &PortPath, heir: &PortPath) -> bool {
        let stands_in = |fragment: &Self, port| {
            let outlet = fragment.outlets[*fragment.by_port.get(port)?].as_ref()?;
            Some((outlet.stand_in.is_some(), outlet.peer_epoch != 0 && outlet.node.is_some()))
        };
        let (Some((has_stand_in, was_sent_to)), Some((false, _))) = (stands_in(self, port), stands_in(self, heir))
        else {
            return false;
        };
        let is_far = port.node != self.me;
        is_far && (was_sent_to || has_stand_in) && self.patience_with(now, &port.node) > now
    }

    fn patience_with(&mut self, now: Time, node: &NodeName) -> Time {
        let idx = self.peer(node);
        match (self.peers[idx].is_gone, self.peers[idx].away_since) {
            (true, _) => now,
            (false, since) => since.unwrap_or(now) + SETTLED_WITHIN,
        }
    }

    /// The receiver of a port of another node has moved away.
    pub(super) fn leave<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        port: &PortPath,
        heir: &PortPath,
        effects: &mut Vec<Effect<M>>,
    ) {
        let (Some(idx), Some(heir_idx)) = (self.by_port.remove(port), self.by_port.get(heir).copied()) else { return };
        self.is_changed = true;
        self.recall(strategy, now, idx, true, effects);
        let until = self.patience_with(now, &port.node);
        let Some(outlet) = self.outlets[idx].as_mut() else { return };
        (outlet.is_leaving, outlet.state, outlet.resend_at) = (true, super::EndState::Closed, Time::NEVER);
        self.stand_in(idx, heir_idx, effects);
        let id = self.wiring.receivers.get(heir).copied().unwrap_or_default();
        let peer = self.peer(&port.node);
        self.peers[peer].wants_hello = true;
        let asked = self.peers[peer].n_hellos + 1;
        self.leaving.insert(port.clone(), Leaving { outlet: idx, id, heir: heir.clone(), asked, until });
    }

    /// A port that comes may be one that leaves. Its receiver may be back: then all is as it was. Otherwise what it leaves behind can
    /// be told from what another one of its name is sent no more.
    pub(super) fn returns(&mut self, port: &PortPath, effects: &mut Vec<Effect<M>>) -> bool {
        let Some(leaving) = self.leaving.get(port) else { return false };
        if self.wiring.receivers.get(port) != Some(&leaving.id) {
            self.settle(port, effects);
            return false;
        }
        let idx = leaving.outlet;
        self.forget_stand_in(idx, &leaving.heir.clone());
        self.leaving.remove(port);
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

    /// Nobody stands in for the heir any more, unless it is another one.
    fn forget_stand_in(&mut self, idx: usize, heir: &PortPath) {
        let heir = self.outlet_of(heir).and_then(|heir| self.outlets[heir].as_mut());
        if let Some(heir) = heir.filter(|heir| heir.stand_in == Some(idx)) {
            heir.stand_in = None;
        }
    }

    /// Who stood in for an outlet that goes stands in for its heir. Without one, it goes as well.
    pub(super) fn inherit_stand_in(&mut self, idx: usize, heir: Option<&PortPath>, effects: &mut Vec<Effect<M>>) {
        let Some(stand_in) = self.outlets[idx].as_mut().and_then(|outlet| outlet.stand_in.take()) else { return };
        let Some(port) = self.outlets[stand_in].as_ref().map(|outlet| outlet.port.clone()) else { return };
        let Some(heir) = heir else {
            self.leaving.remove(&port);
            self.inherit_stand_in(stand_in, None, effects);
            self.hand_on(stand_in, None, effects);
            return;
        };
        if let Some(leaving) = self.leaving.get_mut(&port) {
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
        let end = self.taker(idx);
        unsent.into_iter().for_each(|item| self.enqueue(end, item, effects));
    }

    /// Enough is known of what a port that leaves was sent: the rest goes to its heir.
    fn settle(&mut self, port: &PortPath, effects: &mut Vec<Effect<M>>) {
        let Some(Leaving { outlet, heir, .. }) = self.leaving.remove(port) else { return };
        self.is_changed = true;
        self.forget_stand_in(outlet, &heir);
        self.inherit_stand_in(outlet, Some(&heir), effects);
        self.hand_on(outlet, Some(&heir), effects);
    }

    fn settle_where(&mut self, is_over: impl Fn(&Self, &PortPath, &Leaving) -> bool, effects: &mut Vec<Effect<M>>) {
        if self.leaving.is_empty() {
            return;
        }
        let over = self.leaving.iter().filter(|(port, leaving)| is_over(self, port, leaving));
        for port in over.map(|(port, _)| port.clone()).collect::<Vec<_>>() {
            self.settle(&port, effects);
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
        let is_over = |fragment: &Self, port: &PortPath, leaving: &Leaving| {
            let known = fragment.outlets[leaving.outlet].as_ref().map_or(0, |outlet| outlet.peer_epoch);
            let has_said = known == by && leaving.asked <= heard && !ports.contains_key(&local_port(port));
            port.node == *from && (known < by || has_said)
        };
        self.settle_where(is_over, effects);
    }

    /// A node is given up.
    pub(super) fn settle_without(&mut self, node: &NodeName, effects: &mut Vec<Effect<M>>) {
        self.settle_where(|_, port, _| port.node == *node, effects);
    }

    pub(super) fn tick_leaving(&mut self, now: Time, effects: &mut Vec<Effect<M>>) {
        self.settle_where(|_, _, leaving| leaving.until <= now, effects);
    }

    /// What a port of this node had has been given to the outlet of where its receiver is now. However long that takes to be ready: who
    /// learns of the move late comes after what was said early.
    pub(super) fn forward(&mut self, port: &PortPath, (to, below): (EndId, u64)) {
        self.forwarded.insert(port.clone(), Forwarded { to, below });
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
        for port in self.by_port.keys().filter(|port| port.node == self.me) {
            self.peers.iter_mut().for_each(|peer| peer.forget_unhanded(port));
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
