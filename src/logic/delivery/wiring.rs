//! Ends come and go, open and close.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use super::{
    effect::{Effect, Wiring},
    end::{End, EndId, EndState, Ends},
    fragment::Fragment,
    frame::{LocalPort, Place},
    outlet::{Item, Origin, Outlet},
    strategy::{Outcome, SourceId, Strategy, Ticket},
    tally::Loss,
};
use crate::{
    model::ComponentId,
    words::{NodeName, PortPath, Time},
};

impl<M: Clone> Fragment<M> {
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
            None => self.add_outlet(Place { port: port.clone(), of: ComponentId::default() }),
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
        self.recognize(&wiring);
        let removed = self.take_out(&wiring);
        let added = wiring.receivers.iter().filter(|(port, _)| !self.by_port.contains_key(*port));
        let added: Vec<Place> = added.map(|(port, id)| Place { port: port.clone(), of: *id }).collect();
        let new_senders = wiring.senders.difference(&self.wiring.senders).filter(|node| **node != self.me);
        let new_senders: Vec<NodeName> = new_senders.cloned().collect();
        let old = mem::replace(&mut self.wiring, wiring);
        for place in &added {
            if !self.returns(place) {
                self.add_outlet(place.clone());
            }
        }
        let heirs = if removed.is_empty() { BTreeMap::new() } else { self.wiring.came_since(&old) };
        for (place, idx) in removed {
            let heir = heirs.get(&(place.of, place.port.port.clone()));
            if !heir.is_some_and(|heir| self.leave(strategy, now, (idx, &place), heir, effects)) {
                self.remove_outlet(strategy, now, (idx, place), heir, effects);
            }
        }
        let nodes = added.iter().map(|place| &place.port.node).filter(|node| **node != self.me);
        let nodes: BTreeSet<&NodeName> = nodes.collect();
        self.greet(now, nodes.into_iter(), effects);
        for node in &new_senders {
            let idx = self.peer(node);
            self.peers[idx].wants_state = true;
        }
        self.is_changed = true;
        self.plan_to_wake(now, effects);
    }

    /// Ports of this node that were opened before anybody said whose they are.
    fn recognize(&mut self, wiring: &Wiring) {
        for outlet in self.outlets.iter_mut().flatten().filter(|outlet| outlet.place.of == ComponentId::default()) {
            outlet.place.of = wiring.receivers.get(&outlet.place.port).copied().unwrap_or_default();
        }
    }

    /// Takes out whom a wiring does not have, or has somebody else in place of.
    fn take_out(&mut self, wiring: &Wiring) -> Vec<(Place, usize)> {
        let (outlets, mut out) = (&self.outlets, Vec::new());
        self.by_port.retain(|port, idx| {
            let Some(outlet) = &outlets[*idx] else { return false };
            let stays = wiring.receivers.get(port) == Some(&outlet.place.of);
            if !stays {
                out.push((outlet.place.clone(), *idx));
            }
            stays
        });
        out
    }

    fn add_outlet(&mut self, place: Place) -> usize {
        self.generations += 1;
        let port = place.port.clone();
        let node = (port.node != self.me).then(|| port.node.clone());
        let mut outlet = Outlet::new(place, self.generations, node, self.next_seq);
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

    pub(super) fn remove_outlet<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        (idx, place): (usize, Place),
        heir: Option<&Place>,
        effects: &mut Vec<Effect<M>>,
    ) {
        self.is_changed = true;
        self.return_followed(idx, effects);
        self.recall(strategy, now, idx, true, effects);
        let Some(outlet) = self.outlets[idx].as_ref() else { return };
        let is_here = outlet.node.is_none();
        if is_here {
            (self.n_left, self.has_left) = (self.n_left + 1, true);
            self.peers.iter_mut().for_each(|peer| peer.left(&place, self.n_left));
        }
        self.inherit_stand_in(idx, heir, effects);
        let forwarded = self.hand_on(idx, heir, effects);
        if let (true, Some(forwarded)) = (is_here, forwarded) {
            self.forward(place, forwarded);
        }
        self.weigh_wait(now);
    }

    /// Gives what an outlet has to the one of its heir, and clears its place. Says what the heir has to give away for that.
    pub(super) fn hand_on(
        &mut self,
        idx: usize,
        heir: Option<&Place>,
        effects: &mut Vec<Effect<M>>,
    ) -> Option<(EndId, u64)> {
        let former = self.end_id(idx);
        let mut outlet = self.outlets[idx].take()?;
        self.free.push(idx);
        self.n_full -= usize::from(outlet.is_full);
        self.next_seq = self.next_seq.max(outlet.end());
        let heir = heir.and_then(|heir| self.outlet_of(heir));
        let mut n_given = 0;
        while let Some(item) = outlet.pop() {
            match (&item.origin, heir) {
                // Taken back after it had its number.
                _ if item.message.is_none() => {}
                // Its own fragment still has it, and decides.
                (Origin::There { .. }, _) => {}
                (Origin::Here { .. }, Some(heir)) => {
                    n_given += 1;
                    let end = self.end_id(heir);
                    self.enqueue(end, item, effects);
                }
                (Origin::Here { .. }, None) => {
                    self.lose_item(None, item, Loss::ReceiverRemoved, effects);
                }
            }
        }
        let end = heir.and_then(|heir| Some((self.end_id(heir), self.outlets[heir].as_ref()?.end())));
        self.forwarded.values_mut().filter(|forwarded| forwarded.to == former).for_each(|forwarded| {
            match end {
                Some((to, below)) => (forwarded.to, forwarded.below) = (to, below),
                // Lost with its receiver.
                None => forwarded.below = 0,
            }
        });
        end.filter(|_| n_given > 0)
    }

    pub(super) fn end_id(&self, idx: usize) -> EndId {
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
    pub(super) fn refresh<S: Strategy<M> + ?Sized>(
        &mut self,
        strategy: &mut S,
        now: Time,
        effects: &mut Vec<Effect<M>>,
    ) {
        self.is_changed = false;
        self.list_ends();
        self.tell_senders();
        self.tell(strategy, now, effects, |strategy, ends, ctx| strategy.changed(ends, ctx));
    }

    pub(super) fn list_ends(&mut self) {
        // One that was opened here and is not known from the wiring yet may be at its former place still.
        let known = self.by_port.iter().filter(|(port, _)| self.wiring.receivers.contains_key(*port));
        let list = known.filter_map(|(_, idx)| {
            let outlet = self.outlets[*idx].as_ref()?;
            Some(End {
                id: self.taker(*idx),
                port: outlet.place.port.clone(),
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
        if self.is_changed && !tickets.is_empty() {
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

    /// The ports of this node, and whether they take messages of another one.
    pub(super) fn own_ports(&self, of: &NodeName) -> Arc<[(LocalPort, bool)]> {
        let here = self.by_port.iter().filter(|(port, _)| port.node == self.me).filter_map(|(_, idx)| {
            let outlet = self.outlets[*idx].as_ref()?;
            let is_open = outlet.state == EndState::Open && !self.waits_for_another(*idx, of);
            Some((outlet.place.local(), is_open))
        });
        // Who has left, but for what is on its way to it.
        let leaving = self.forwarded.keys().filter(|place| self.outlet_of(place).is_none());
        here.chain(leaving.map(|place| (place.local(), false))).collect()
    }
}
