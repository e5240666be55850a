//! Nothing exceeds its bound: what is lost is counted, who waits is let go in time.

use std::time::Duration;

use super::{
    carry::refuse_answer,
    effect::{Effect, Sample},
    end::EndState,
    fragment::Fragment,
    frame::{LocalPort, Place},
    outlet::{Item, Origin, Overflow},
    strategy::{Outcome, SourceId, Strategy},
    tally::Loss,
};
use crate::words::{PortPath, Time};

/// A strategy that sends a message again and again to an end that is gone is asked no more often than this.
const BOUNCE_AFTER: Duration = Duration::from_millis(10);

impl<M: Clone> Fragment<M> {
    pub(super) fn wants_sample(&mut self) -> bool {
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

    pub(super) fn lose_item(&mut self, outlet: Option<usize>, item: Item<M>, loss: Loss, effects: &mut Vec<Effect<M>>) {
        // A followed message is still held: its strategy hears that this attempt was lost and decides.
        if let Origin::Here { from, follow: None } = item.origin {
            let to = outlet.and_then(|idx| self.outlets[idx].as_ref()).map(|outlet| outlet.place.port.clone());
            if let Some(message) = item.message {
                self.lose(from, to, message, item.stamp, loss, effects);
            }
        }
    }

    pub(super) fn lose(
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
        self.tally.delivered(latency, 1);
        if let (true, Origin::Here { from, .. }) = (self.wants_sample(), item.origin) {
            let to = self.outlets[idx].as_ref().map(|outlet| outlet.place.port.clone());
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

    pub(super) fn weigh_held(&mut self) {
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
    pub(super) fn room_to_hold<S: Strategy<M> + ?Sized>(
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

    /// Knows no more than is bounded of what came for ports that are not here any more.
    pub(super) fn forget_long_left(&mut self) {
        if !std::mem::take(&mut self.has_left) {
            return;
        }
        let mut peers = std::mem::take(&mut self.peers);
        let is_needed = |port: &LocalPort| {
            let place = Place { port: port.on(&self.me), of: port.of };
            self.outlet_of(&place).is_some() || self.forwarded.contains_key(&place)
        };
        peers.iter_mut().for_each(|peer| peer.forget_long_left(is_needed));
        self.peers = peers;
    }

    pub(super) fn weigh_wait(&mut self, now: Time) {
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
}
