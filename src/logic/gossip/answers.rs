//! What a node answers: how it dealt with the revisions in a target, and with no other that came meanwhile.

use std::collections::BTreeSet;

use super::{Adoption, Effect, News, Protocol, Snapshot, Stamp};
use crate::words::NodeName;

impl Protocol {
    /// This node dealt with a target.
    pub fn adopted(&mut self, target: &Snapshot, adoption: &Adoption, effects: &mut Vec<Effect>) {
        // A part that ran for a while only is answered with its whole; that it could not run, that holds.
        let runs = matches!(adoption, Adoption::Adopted { .. });
        let latest = target.revision.as_deref().filter(|revision| !(runs && self.is_given_up(revision)));
        let is_given_up = target.revision.is_some() && latest.is_none();
        let heads = if is_given_up { self.dealt.clone() } else { heads(target) };
        let others = self.replica.history().between(&self.dealt, &heads);
        let others = others.filter(|revision| latest.is_none_or(|latest| latest.stamp != revision.stamp));
        let answered = self.board.adopted(target, adoption, latest.into_iter().chain(others));
        self.dealt = heads;
        let me = self.board.mine().node.clone();
        // Who pushed waits for the answer; the others hear it with a heartbeat, together with whatever follows.
        let authors: BTreeSet<&NodeName> = answered.iter().map(|id| &id.origin).filter(|node| **node != me).collect();
        for author in authors.into_iter().filter(|node| self.board.is_up(node)) {
            effects.push(Effect::Send(author.clone(), self.status()));
        }
        effects.extend(
            answered.into_iter().map(|id| Effect::Tell(News::Answered(me.clone(), id, adoption.clone().bounded()))),
        );
        self.converged(effects);
    }
}

/// What led to a target. A revision whose part alone is here so far is not in the history yet; what its author had seen is.
fn heads(target: &Snapshot) -> Vec<Stamp> {
    let seen = target.revision.iter().flat_map(|revision| &revision.parents);
    target.heads.iter().chain(seen).copied().collect()
}

#[cfg(test)]
mod tests;
