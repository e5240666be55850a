//! Who watches whom. What all nodes say of themselves would grow with the square of their number, so among many a node gives signs
//! of life at full pace to its **watchers** alone, the next ones in the ring of addresses, and to all others at a slower one. A
//! watcher that misses them tells everybody, who need not have noticed by themselves yet.

use std::{ops::Bound, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Address, Effect, Peers, Role, State};
use crate::words::Time;

/// Who is up and has heard something of whom a watcher suspects so much later than the watcher knows better. It is more than a sign
/// of life at full pace and its way take: of who hangs one may have heard this much later than another.
const FRESHER: Duration = Duration::from_millis(300);

/// A watcher's word: somebody is silent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The inbox of the watcher.
    pub by: String,
    /// The inbox of who is silent.
    pub of: String,
    /// For how long.
    pub silence_ms: u64,
}

impl Peers {
    /// Chooses this node's watchers anew.
    pub(super) fn choose_watchers(&mut self, effects: &mut Vec<Effect>) {
        let after = (Bound::Excluded(self.me.address.clone()), Bound::Unbounded);
        let before = (Bound::Unbounded, Bound::Excluded(self.me.address.clone()));
        let ring = self.entries.range(after).chain(self.entries.range(before));
        // Who hangs watches nobody; a console comes and goes.
        let watches = |state: State, role: Role| state == State::Up { suspected: false } && role == Role::Node;
        let watchers: Vec<Address> = ring
            .filter(|(_, entry)| watches(entry.state, entry.peer.role))
            .map(|(address, _)| address.clone())
            .take(self.times.watchers)
            .collect();
        for (address, entry) in &mut self.entries {
            let slow =
                matches!(entry.state, State::Up { .. }) && entry.peer.role == Role::Node && !watchers.contains(address);
            if slow != entry.hears_slowly {
                entry.hears_slowly = slow;
                effects.push(Effect::Pace { link: entry.link, slow });
            }
        }
    }

    /// This node watches somebody who is silent: the others are told, if there are more than watch it.
    pub(super) fn tell_doubt(&self, now: Time, of: &Address, effects: &mut Vec<Effect>) {
        let Some(silent) = self.entries.get(of).filter(|entry| !entry.beats_slowly) else { return };
        // Others that hang watch it as little as they did before.
        let n_up = self.entries.values().filter(|entry| matches!(entry.state, State::Up { .. })).count();
        if n_up <= self.times.watchers {
            return;
        }
        let up = self.entries.iter().filter(|(_, entry)| entry.state == State::Up { suspected: false });
        let silence_ms = now.since(silent.heard).as_millis() as u64;
        let doubt = Doubt { by: self.me.address.0.to_string(), of: of.0.to_string(), silence_ms };
        effects.extend(up.map(|(address, entry)| {
            let (address, link) = (address.clone(), entry.link);
            Effect::Doubt { address, link, doubt: doubt.clone() }
        }));
    }

    /// A watcher misses somebody. Who has heard of it since knows better; and a silence of which nobody would think anything is none.
    pub fn doubted(&mut self, now: Time, doubt: &Doubt, effects: &mut Vec<Effect>) {
        let silence = Duration::from_millis(doubt.silence_ms);
        if silence < self.times.suspect {
            return;
        }
        let is_up = |entry: &super::Entry| matches!(entry.state, State::Up { .. });
        if !self.entries.get(&Address(doubt.by.as_str().into())).is_some_and(is_up) {
            return;
        }
        let Some(entry) = self.entries.get_mut(&Address(doubt.of.as_str().into())) else { return };
        let is_older = now.since(entry.heard) + FRESHER >= silence;
        if entry.state == (State::Up { suspected: false }) && is_older {
            entry.suspect(effects);
        }
    }
}
