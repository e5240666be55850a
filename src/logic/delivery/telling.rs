//! What other fragments are told beside messages: how far theirs got, which ports take any, and that they are asked the same.

use std::{mem, sync::Arc};

use super::{
    effect::Effect,
    far::{RESEND_AFTER, RESEND_DOUBLINGS_MAX},
    fragment::Fragment,
    frame::Frame,
};
use crate::words::{NodeName, Time};

impl<M: Clone> Fragment<M> {
    /// Tells the other fragments what is owed to them: first how far their messages got, then which ports take messages. In this order,
    /// so that who hears that a port is gone knows what became of all that it was sent.
    pub(super) fn report(&mut self, now: Time, effects: &mut Vec<Effect<M>>) {
        let mut ports = None;
        for idx in 0..self.peers.len() {
            let peer = &mut self.peers[idx];
            peer.told_again_at = peer.told_again_at.filter(|at| now < *at);
            if !peer.is_up || peer.told_again_at.is_some() {
                continue;
            }
            if mem::take(&mut self.peers[idx].wants_hello) {
                self.say_hello(idx, now, effects);
            }
            let peer = &mut self.peers[idx];
            for (port, inbound) in peer.inbound.iter_mut().filter(|(_, inbound)| inbound.is_dirty) {
                inbound.is_dirty = false;
                let frame = Frame::Confirm {
                    of: inbound.epoch,
                    by: self.epoch,
                    port: port.clone(),
                    received: inbound.next,
                    handed: inbound.handed,
                };
                effects.push(Effect::Post { to: peer.name.clone(), frame });
            }
            if mem::take(&mut peer.wants_state) {
                let (to, heard) = (peer.name.clone(), peer.heard.1);
                let ports = match &ports {
                    Some(ports) if self.leaving.is_empty() => Arc::clone(ports),
                    _ => ports.insert(self.own_ports(&to)).clone(),
                };
                effects.push(Effect::Post { to, frame: Frame::State { by: self.epoch, heard, ports } });
            }
        }
        // Not before they were told.
        self.forget_long_left();
    }

    /// All who send to this node are to be told which of its ports take messages: those with senders, and those who have asked since
    /// they have something to forward.
    pub(super) fn tell_senders(&mut self) {
        for peer in &mut self.peers {
            peer.wants_state |= peer.has_asked() || self.wiring.senders.contains(&peer.name);
        }
    }

    pub(super) fn say_hello(&mut self, peer: usize, now: Time, effects: &mut Vec<Effect<M>>) {
        let peer = &mut self.peers[peer];
        let mut ports = self.wiring.receivers.keys().chain(self.leaving.keys().map(|place| &place.port));
        if !peer.is_up || !ports.any(|port| port.node == peer.name) {
            peer.hello_at = Time::NEVER;
            return;
        }
        peer.hello_at = now + RESEND_AFTER * (1 << RESEND_DOUBLINGS_MAX);
        peer.n_hellos += 1;
        let frame = Frame::Hello { by: self.epoch, number: peer.n_hellos };
        effects.push(Effect::Post { to: peer.name.clone(), frame });
    }

    /// Asks the nodes of new ends for their state, tells new senders ours, and starts the patience with absent nodes.
    pub(super) fn greet<'a>(
        &mut self,
        now: Time,
        receivers: impl Iterator<Item = &'a NodeName>,
        effects: &mut Vec<Effect<M>>,
    ) {
        for node in receivers {
            let idx = self.peer(node);
            if self.peers[idx].is_up {
                self.say_hello(idx, now, effects);
            } else if self.peers[idx].away_since.is_none() && !self.peers[idx].is_gone {
                self.peers[idx].away_since = Some(now);
            }
        }
    }
}
