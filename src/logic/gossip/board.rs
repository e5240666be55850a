//! What the members of a group say about themselves, and what follows: who is there, how a revision fares, who is in step.

use std::collections::{BTreeMap, BTreeSet};

use super::{Adoption, Member, Outcome, Presence, Report, Revision, RevisionId, Snapshot, StateDigest, Status};
use crate::{
    model::Model,
    words::{GroupName, NodeName},
};

/// Of so many nodes that are neither there nor attached the last words are kept: they may have spoken before they are seen. Each may
/// be 300 KB large.
pub const STATUSES_MAX: usize = 32;

/// The members and their last words.
#[derive(Clone, Debug)]
pub struct Board {
    group: GroupName,
    mine: Status,
    statuses: BTreeMap<NodeName, Status>,
    up: BTreeMap<NodeName, Option<StateDigest>>,
}

impl Board {
    /// The board of a node that has heard of nobody.
    pub fn new(group: GroupName, me: NodeName, incarnation: u64) -> Board {
        Board { group, mine: Status::of(me, incarnation), statuses: BTreeMap::new(), up: BTreeMap::new() }
    }

    /// What this node says about itself.
    pub fn mine(&self) -> &Status {
        &self.mine
    }

    /// Notes that a node is connected; false when that is known.
    pub fn up(&mut self, node: &NodeName) -> bool {
        self.up.insert(node.clone(), None).is_none()
    }

    /// Notes that a node is gone; false when it was not there.
    pub fn down(&mut self, node: &NodeName) -> bool {
        self.up.remove(node).is_some()
    }

    /// Who is connected.
    pub fn peers(&self) -> impl Iterator<Item = &NodeName> {
        self.up.keys()
    }

    /// Whether a node is connected, or is this one.
    pub fn is_up(&self, node: &NodeName) -> bool {
        *node == self.mine.node || self.up.contains_key(node)
    }

    /// Notes what a node knows.
    pub fn knows(&mut self, node: &NodeName, digest: StateDigest) {
        self.up.insert(node.clone(), Some(digest));
    }

    /// Takes a node's word, when it is news; what it had not answered before comes back. The model says whose words are kept.
    pub fn hear(&mut self, status: Status, model: &Model) -> Option<Vec<(RevisionId, Adoption)>> {
        if status.node == self.mine.node {
            return None;
        }
        let held = self.statuses.get(&status.node);
        if held.is_some_and(|held| !status.supersedes(held)) {
            return None;
        }
        let status = status.bounded();
        let told = |id: &RevisionId, adoption: &Adoption| held.and_then(|held| held.outcome(id)) == Some(adoption);
        let news = status.outcomes.iter().filter(|(id, adoption)| !told(id, adoption)).cloned().collect();
        let node = status.node.clone();
        self.statuses.insert(node.clone(), status);
        self.forget_others(&node, model);
        Some(news)
    }

    /// Keeps the words of who is there, or attached by the model, and of so many others; who just spoke is heard.
    fn forget_others(&mut self, spoke: &NodeName, model: &Model) {
        if self.statuses.len() <= STATUSES_MAX {
            return;
        }
        let counts = |node: &NodeName| self.up.contains_key(node) || self.is_attached(node, model);
        let others: Vec<NodeName> = self.statuses.keys().filter(|node| !counts(node)).cloned().collect();
        let n_beyond = others.len().saturating_sub(STATUSES_MAX);
        for node in others.iter().filter(|node| *node != spoke).take(n_beyond) {
            self.statuses.remove(node);
        }
    }

    fn is_attached(&self, node: &NodeName, model: &Model) -> bool {
        model.nodes.get(node).is_some_and(|node| node.groups.contains(&self.group))
    }

    /// Whether a node has answered to a revision.
    pub fn has_answered(&self, node: &NodeName, revision: &RevisionId) -> bool {
        self.statuses.get(node).is_some_and(|status| status.outcome(revision).is_some())
    }

    /// Whether a node's word of this age is already here.
    pub fn has_heard(&self, node: &NodeName, incarnation: u64, version: u64) -> bool {
        self.statuses.get(node).is_some_and(|held| (held.incarnation, held.version) >= (incarnation, version))
    }

    /// Notes how this node dealt with a target: an answer to its latest revision, and to every other of these in it that it had not
    /// answered yet. The latest come first.
    pub fn adopted<'a>(
        &mut self,
        target: &Snapshot,
        adoption: &Adoption,
        revisions: impl Iterator<Item = &'a Revision>,
    ) -> Vec<RevisionId> {
        let adoption = adoption.clone().bounded();
        let latest = target.id().cloned();
        // The whole of what runs already (a part of it came first): its first answer stands.
        let runs = self.mine.revision == latest && self.mine.digest == Some(target.digest);
        let is_same = runs && matches!(adoption, Adoption::Adopted { .. });
        let mut answered: Vec<RevisionId> = revisions
            .filter(|revision| {
                !is_same && Some(&revision.id) == latest.as_ref() || self.mine.outcome(&revision.id).is_none()
            })
            .take(super::report::OUTCOMES_MAX)
            .map(|revision| revision.id.clone())
            .collect();
        if is_same && answered.is_empty() {
            return answered;
        }
        answered.reverse();
        for id in &answered {
            self.mine.record(id.clone(), adoption.clone());
        }
        self.mine.revision = latest;
        match adoption {
            Adoption::Adopted { .. } => self.mine.digest = Some(target.digest),
            // The node runs what it ran before.
            Adoption::RolledBack { .. } | Adoption::Refused { .. } | Adoption::Poisoned { .. } => {}
            Adoption::Degraded { .. } => self.mine.digest = None,
        }
        self.mine.version += 1;
        answered
    }

    /// What this node said to run is taken back.
    pub(super) fn withdraw(&mut self, revision: &RevisionId) {
        let n_before = self.mine.outcomes.len();
        let is_it = |(id, adoption): &(_, _)| id == revision && matches!(adoption, Adoption::Adopted { .. });
        self.mine.outcomes.retain(|outcome| !is_it(outcome));
        self.mine.version += u64::from(self.mine.outcomes.len() < n_before);
    }

    /// Takes this node's report; false when it says nothing new.
    pub fn report(&mut self, report: Report) -> bool {
        if self.mine.report == report {
            return false;
        }
        self.mine.report = report;
        self.mine.version += 1;
        true
    }

    /// The nodes that the model attaches to the group.
    pub fn attached(&self, model: &Model) -> BTreeSet<NodeName> {
        let attached = model.nodes.iter().filter(|(_, node)| node.groups.contains(&self.group));
        attached.map(|(name, _)| name.clone()).collect()
    }

    /// The members: all that the model attaches, and all that are connected.
    pub fn members(&self, model: &Model, digest: StateDigest) -> Vec<Member> {
        let attached = self.attached(model);
        let mut names = attached.clone();
        names.extend(self.up.keys().cloned());
        names.insert(self.mine.node.clone());
        let member = |node: NodeName| {
            let presence = match (self.is_up(&node), attached.contains(&node)) {
                (true, true) => Presence::Up,
                (true, false) => Presence::Guest,
                (false, _) => Presence::Absent,
            };
            let me = node == self.mine.node;
            let status = if me { Some(self.mine.clone()) } else { self.statuses.get(&node).cloned() };
            let in_step = me || self.up.get(&node) == Some(&Some(digest));
            Member { node, presence, status, in_step }
        };
        names.into_iter().map(member).collect()
    }

    /// How a revision fares on each attached node.
    pub fn outcomes(&self, revision: &RevisionId, model: &Model) -> Vec<(NodeName, Outcome)> {
        let outcome = |node: NodeName| {
            let status = if node == self.mine.node { Some(&self.mine) } else { self.statuses.get(&node) };
            let outcome = match status.and_then(|status| status.outcome(revision)) {
                Some(adoption) => Outcome::Done(adoption.clone()),
                None if self.is_up(&node) => Outcome::Waiting,
                None => Outcome::Unreachable,
            };
            (node, outcome)
        };
        self.attached(model).into_iter().map(outcome).collect()
    }

    /// Whether everyone who is there knows the same as this node and runs it.
    pub fn has_converged(&self, model: &Model, digest: StateDigest) -> bool {
        let runs_it = |node: &NodeName| {
            let (knows, status) = match *node == self.mine.node {
                true => (true, Some(&self.mine)),
                false => (self.up.get(node) == Some(&Some(digest)), self.statuses.get(node)),
            };
            knows && status.is_some_and(|status| status.digest == Some(digest))
        };
        let attached = model.nodes.iter().filter(|(_, node)| node.groups.contains(&self.group));
        attached.map(|(name, _)| name).filter(|name| self.is_up(name)).all(runs_it)
    }

    /// Whether more than half of the attached nodes, this one among them, know the same.
    pub fn majority_in_step(&self, model: &Model, digest: StateDigest) -> bool {
        let attached = self.attached(model);
        let in_step = attached
            .iter()
            .filter(|node| **node == self.mine.node || self.up.get(*node) == Some(&Some(digest)))
            .count();
        attached.contains(&self.mine.node) && in_step * 2 > attached.len()
    }
}

#[cfg(test)]
mod tests;
