//! Large revisions go to each node in two: first what concerns the node, so that it can take up its part, then the whole, when
//! everyone has, or after a heartbeat. To learn a whole model takes fifty times as long as to take up a fiftieth of it.
//!
//! A part is taken up by who knows just what the author knew; whoever knows something else waits for the whole. A node that runs
//! ahead gives its components nothing else to run before the whole is there, and goes back when it does not come.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{Effect, GroupMessage, Protocol, Revision, Snapshot, StateDigest, Writes, message::Part, revise::Made};
use crate::{
    model::{
        Model,
        change::{self, Row},
        concern::Parts,
    },
    words::{NodeName, Time},
};

/// How long a node runs ahead. The whole follows within a second even on a busy machine, unless its author died.
const AHEAD_MAX: Duration = Duration::from_secs(10);

/// For so many heartbeats a node that runs ahead does not ask for what it misses: it is on its way.
const PATIENCE_HEARTBEATS: u32 = 4;

/// A revision made here whose whole waits until everyone has taken up its part.
#[derive(Clone, Debug)]
pub(super) struct Held {
    since: Time,
    revision: Arc<Revision>,
    writes: Writes,
    base: StateDigest,
    /// The models before and after.
    before: Model,
    after: Model,
    /// Who gets the whole later.
    waiting: Vec<(NodeName, GroupMessage)>,
    /// Who has not taken up its part yet.
    open: BTreeSet<NodeName>,
}

/// A revision whose part runs here, and whose whole is on its way.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
    since: Time,
    revision: Arc<Revision>,
}

impl Protocol {
    /// Whether this node runs its part of a revision whose whole is still on its way.
    pub fn is_ahead(&self) -> bool {
        self.ahead.is_some()
    }

    /// Decides whether a revision made here goes out in two.
    pub(super) fn hold(&mut self, now: Time, made: &Made, after: &Model, effects: &mut Vec<Effect>) {
        // What comes next finds the whole of what was before on its way.
        self.release(effects);
        let (revision, writes) = &made.delta;
        if made.shows_all && revision.n_changes > self.timing.whole_max {
            self.held = Some(Held {
                since: now,
                revision: Arc::clone(revision),
                writes: Arc::clone(writes),
                base: made.base,
                before: made.before.clone(),
                after: after.clone(),
                waiting: Vec::new(),
                open: BTreeSet::new(),
            });
        }
    }

    /// What this node has to say to others, each message to whom the group's strategy chose: of a revision that goes in two they
    /// get their parts at once, and the whole when those are taken up.
    pub fn spread(&mut self, messages: Vec<(NodeName, GroupMessage)>, effects: &mut Vec<Effect>) {
        let Some(mut held) = self.held.take() else {
            effects.extend(messages.into_iter().map(|(to, message)| Effect::Send(to, message)));
            return;
        };
        let is_held = |(_, message): &(NodeName, GroupMessage)| match message {
            GroupMessage::Delta { revision, .. } => revision.stamp == held.revision.stamp,
            _ => false,
        };
        let (wholes, others): (Vec<_>, Vec<_>) = messages.into_iter().partition(is_held);
        let parts = (!wholes.is_empty()).then(|| Parts::of(&held.before, &held.after, &held.writes));
        for (parts, (to, _)) in parts.iter().flat_map(|parts| wholes.iter().map(move |whole| (parts, whole))) {
            let shown = parts.for_node(to).cloned().collect();
            let part = Part { revision: Arc::clone(&held.revision), base: held.base, shown };
            effects.push(Effect::Send(to.clone(), GroupMessage::Part(Box::new(part))));
        }
        effects.extend(others.into_iter().map(|(to, message)| Effect::Send(to, message)));
        // Guests adopt nothing, and nobody waits for them.
        held.open.extend(wholes.iter().map(|(to, _)| to).filter(|to| held.after.nodes.contains_key(*to)).cloned());
        held.waiting.extend(wholes);
        self.held = Some(held).filter(|held| !held.waiting.is_empty());
    }

    /// Sends the wholes that are held: as they are taken up, and as the last that a member does before it goes.
    pub fn release(&mut self, effects: &mut Vec<Effect>) {
        let held = self.held.take();
        effects.extend(held.into_iter().flat_map(|held| held.waiting).map(|(to, whole)| Effect::Send(to, whole)));
    }

    /// The same, once everyone who is there has taken up its part.
    pub(super) fn release_when_taken_up(&mut self, effects: &mut Vec<Effect>) {
        let board = &self.board;
        let Some(held) = &mut self.held else { return };
        held.open.retain(|node| board.is_up(node) && !board.has_answered(node, &held.revision.id));
        if held.open.is_empty() {
            self.release(effects);
        }
    }

    /// Time has passed: whoever was waited for has had its time.
    pub(super) fn end_waits(&mut self, now: Time, effects: &mut Vec<Effect>) {
        if self.held.as_ref().is_some_and(|held| now.since(held.since) >= self.timing.heartbeat) {
            self.release(effects);
        }
        if self.ahead.as_ref().is_some_and(|ahead| now.since(ahead.since) >= AHEAD_MAX) {
            self.give_up();
            effects.push(Effect::Changed(self.replica.snapshot()));
        }
    }

    /// Takes up a part, when this node knows what its author knew.
    pub(super) fn take_up(&mut self, now: Time, part: Part, effects: &mut Vec<Effect>) {
        let Part { revision, base, mut shown } = part;
        let believed = self.replica.believe(self.clocks.to_judge(now), &revision).is_ok();
        if !self.synced || self.ahead.is_some() || self.replica.digest() != base || !believed {
            return;
        }
        let mut model = self.replica.model().clone();
        // They come in order; who sends something else does itself no good.
        shown.iter_mut().for_each(|row| row.cells.sort_by(|x, y| x.0.cmp(&y.0)));
        shown.sort_by(|x, y| x.element.cmp(&y.element));
        let rows = shown.iter().map(|row| {
            let cells = row.cells.iter().map(|(register, cell)| (register, cell.as_ref())).collect();
            Row { element: &row.element, cells }
        });
        change::patch_rows(&mut model, &rows.collect::<Vec<_>>());
        self.ahead = Some(Ahead { since: now, revision: Arc::clone(&revision) });
        let heads = vec![revision.stamp];
        effects.push(Effect::Ahead(Snapshot { heads, digest: revision.digest, revision: Some(revision), model }));
    }

    /// Whether what this node misses is on its way.
    pub(super) fn expects_more(&self, now: Time) -> bool {
        let patience = self.timing.heartbeat * PATIENCE_HEARTBEATS;
        self.ahead.as_ref().is_some_and(|ahead| now.since(ahead.since) < patience)
    }

    /// Gives up running ahead of a whole. When it comes it is answered anew; what could not be taken up stays answered.
    pub(super) fn give_up(&mut self) {
        let Some(ahead) = self.ahead.take() else { return };
        self.dealt.retain(|stamp| *stamp != ahead.revision.stamp);
        self.board.withdraw(&ahead.revision.id);
    }

    /// Whether of a revision only a part was here, and that was given up.
    pub(super) fn is_given_up(&self, revision: &Revision) -> bool {
        let is_ahead = self.ahead.as_ref().is_some_and(|ahead| ahead.revision.stamp == revision.stamp);
        !is_ahead && !self.replica.history().contains(revision.stamp)
    }

    /// The model has changed: the node is given it, unless it runs ahead of it.
    pub(super) fn changed(&mut self, effects: &mut Vec<Effect>) {
        let history = self.replica.history();
        if self.ahead.as_ref().is_some_and(|ahead| history.contains(ahead.revision.stamp)) {
            self.ahead = None;
        }
        if self.ahead.is_none() {
            effects.push(Effect::Changed(self.replica.snapshot()));
        }
    }
}

#[cfg(test)]
mod tests;
