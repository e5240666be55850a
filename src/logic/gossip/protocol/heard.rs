//! What a member makes of what others know: it asks, learns, is synced and forgets.

use super::{Effect, News, Peer, Protocol};
use crate::{
    logic::gossip::{Full, GroupMessage, Heartbeat, Learned, StateDigest, Unbelievable, replica::Delta},
    words::{NodeName, Time},
};

/// An asked member that has not answered for so many heartbeats is asked again.
const ASK_AGAIN_HEARTBEATS: u32 = 4;

/// So many members are asked at once by one that starts: the first answer will do, but some may be as new.
const JOIN_ASKS_MAX: usize = 3;

/// Removals are forgotten in steps of this part of the horizon, so that members rarely differ in it.
const FLOOR_STEPS: u64 = 24;

impl Protocol {
    pub(super) fn heard(&mut self, now: Time, from: &NodeName, heartbeat: &Heartbeat, effects: &mut Vec<Effect>) {
        if self.board.up(from) {
            self.peers.entry(from.clone()).or_default();
            effects.push(Effect::Tell(News::Up(from.clone())));
        }
        match self.clocks.shown(now, from, heartbeat.clock) {
            Ok(()) => self.fine(from),
            Err(error) => self.warn(from, error.into(), effects),
        }
        self.board.knows(from, heartbeat.digest);
        if heartbeat.wants_status {
            effects.push(Effect::Send(from.clone(), self.status()));
        }
        self.follow_floor(now, from, heartbeat, effects);
        let (mine, expects_more) = (self.replica.digest(), self.expects_more(now));
        let Some(peer) = self.peers.get_mut(from) else { return };
        peer.status = (heartbeat.incarnation, heartbeat.status);
        if heartbeat.digest == mine {
            peer.differs = None;
            self.converged(effects);
            return;
        }
        if expects_more {
            return;
        }
        // The first time it may simply be a delta under way.
        let again = peer.differs == Some(mine) || !self.synced;
        peer.differs = Some(mine);
        if again {
            self.ask(now, from, effects);
        }
    }

    pub(super) fn ask(&mut self, now: Time, node: &NodeName, effects: &mut Vec<Effect>) {
        let patience = self.timing.heartbeat * ASK_AGAIN_HEARTBEATS;
        let is_asked = |peer: &Peer| peer.asked.is_some_and(|asked| now.since(asked) < patience && asked <= now);
        let n_asked = if self.synced { 0 } else { self.peers.values().filter(|peer| is_asked(peer)).count() };
        let Some(peer) = self.peers.get_mut(node).filter(|peer| !is_asked(peer)) else { return };
        if n_asked >= JOIN_ASKS_MAX {
            return;
        }
        peer.asked = Some(now);
        let (vector, digest) = (self.replica.vector().clone(), self.replica.digest());
        effects.push(Effect::Send(node.clone(), GroupMessage::Ask { vector, digest, joining: !self.synced }));
    }

    /// Learns revisions; false when one was refused.
    pub(super) fn learn(
        &mut self,
        now: Time,
        from: &NodeName,
        deltas: &[Delta],
        fill_gaps: bool,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let before = self.replica.digest();
        let (mut learned, result) = self.replica.learn(self.clocks.to_judge(now), deltas);
        let new = std::mem::take(&mut learned.deltas);
        let gap = learned.gap;
        self.learned(before, learned, effects);
        // The node is at work already while this is written: who sent it has it on disk, so nothing waits for ours.
        if !new.is_empty() {
            effects.push(Effect::Keep(new));
        }
        if let Err(error) = result {
            self.warn(from, error, effects);
            return false;
        }
        if gap && fill_gaps && !self.expects_more(now) {
            self.ask(now, from, effects);
        }
        true
    }

    pub(super) fn absorb(&mut self, now: Time, from: &NodeName, full: Full, effects: &mut Vec<Effect>) {
        if let Some(peer) = self.peers.get_mut(from) {
            peer.asked = None;
        }
        let (before, floor) = (self.replica.digest(), self.replica.registers().floor());
        match self.replica.absorb(self.clocks.to_judge(now), full) {
            Ok(learned) => {
                // What comes after is judged by the floor, also after a restart.
                if (self.replica.digest(), self.replica.registers().floor()) != (before, floor) {
                    effects.push(Effect::KeepAll);
                }
                self.learned(before, learned, effects);
                self.sync(Some(from), effects);
            }
            Err(error) => self.warn(from, error, effects),
        }
    }

    /// Tells what was learned. Where only removals were, the model is the same under another digest: the node is to say that it
    /// runs this one.
    pub(super) fn learned(&mut self, before: StateDigest, learned: Learned, effects: &mut Vec<Effect>) {
        effects.extend(learned.revisions.into_iter().map(|revision| Effect::Tell(News::Revised(revision))));
        effects.extend(learned.conflicts.into_iter().map(|conflict| Effect::Tell(News::Collided(Box::new(conflict)))));
        if self.replica.digest() != before {
            self.changed(effects);
        }
    }

    pub(super) fn warn(&mut self, from: &NodeName, error: Unbelievable, effects: &mut Vec<Effect>) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        let told = match error {
            Unbelievable::TooFarAhead(_) => &mut peer.warned,
            Unbelievable::Number { .. } | Unbelievable::Origins { .. } => &mut peer.disbelieved,
        };
        if !std::mem::replace(told, true) {
            effects.push(Effect::Tell(News::Refused(from.clone(), error)));
        }
    }

    /// A peer's clock is as it should be: when it is not again, that is told again.
    pub(super) fn fine(&mut self, from: &NodeName) {
        if let Some(peer) = self.peers.get_mut(from) {
            peer.warned = false;
        }
    }

    pub(in crate::logic::gossip) fn sync(&mut self, by: Option<&NodeName>, effects: &mut Vec<Effect>) {
        if !self.synced {
            self.synced = true;
            effects.push(Effect::Tell(News::Synced(by.cloned())));
            effects.push(Effect::Changed(self.replica.snapshot()));
        }
    }

    pub(in crate::logic::gossip) fn converged(&mut self, effects: &mut Vec<Effect>) {
        let digest = self.replica.digest();
        let Some(latest) = self.replica.history().latest() else { return };
        if self.told_converged != Some(digest) && self.board.has_converged(self.replica.model(), digest) {
            self.told_converged = Some(digest);
            effects.push(Effect::Tell(News::Converged(latest.id.clone())));
        }
    }

    /// Forgets removals older than the horizon, when more than half of the members know the same: the others follow.
    pub(super) fn forget_removals(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let step = u64::try_from(self.timing.horizon.as_micros()).unwrap_or(u64::MAX) / FLOOR_STEPS;
        let (Some(until), true) = (now.micros().checked_sub(step * FLOOR_STEPS), step > 0) else { return };
        let floor = Time(until / step * step);
        let is_due = floor > self.replica.registers().floor();
        if is_due && self.synced && self.board.majority_in_step(self.replica.model(), self.replica.digest()) {
            self.forget(floor, effects);
        }
    }

    /// A member has forgotten removals of which this one still knows: where that is all in which they differ, it forgets them, too.
    pub(super) fn follow_floor(
        &mut self,
        now: Time,
        from: &NodeName,
        heartbeat: &Heartbeat,
        effects: &mut Vec<Effect>,
    ) {
        if heartbeat.floor <= self.replica.registers().floor() {
            return;
        }
        if let Err(error) = self.replica.check_time(self.clocks.to_judge(now), heartbeat.floor) {
            return self.warn(from, error.into(), effects);
        }
        if self.replica.digest_at(heartbeat.floor) == heartbeat.digest {
            self.forget(heartbeat.floor, effects);
        }
    }

    pub(super) fn forget(&mut self, until: Time, effects: &mut Vec<Effect>) {
        let before = self.replica.digest();
        self.replica.forget_removals(until);
        effects.push(Effect::KeepAll);
        self.learned(before, Learned::default(), effects);
    }
}
