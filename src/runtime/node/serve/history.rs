//! Revisions: their names, their models, how they fare, and the history.

use std::{rc::Rc, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{Server, not_found, stopped};
use crate::{
    io::clock,
    logic::gossip::{self, Adoption, Conflict, RevisionId, Snapshot},
    model::Model,
    runtime::node::{
        api::{
            ApiError, ErrorCode, HistoryEntry, NodeOutcome, NodeVerdict, OutcomeReply, Overwritten, Revised, Revision,
            Verdict, poisoned_text, waiting,
        },
        overwritten,
    },
};

/// How often a waiting request looks again when nothing wakes it: a backstop.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The most revisions that are looked through.
const HISTORY_MAX: usize = 100_000;

/// How people call a revision, by its number alone.
pub(in crate::runtime::node) fn name(id: Option<&RevisionId>) -> Revision {
    id.map_or_else(Revision::default, |id| Revision::new(id.number))
}

impl Server {
    /// What people mean by a name. The node has to be said where a partition gave a number twice.
    pub(super) async fn revision_id(&self, revision: &Revision) -> Result<RevisionId, ApiError> {
        let history = self.group.history(HISTORY_MAX).await.map_err(stopped)?;
        let current = self.group.current();
        let same: Vec<&RevisionId> = history
            .iter()
            .map(|known| &known.id)
            .filter(|id| id.number == revision.number && revision.origin.as_ref().is_none_or(|node| id.origin == *node))
            .collect();
        match same.as_slice() {
            [only] => Ok((*only).clone()),
            [] => {
                Err(not_found(format!("there is no revision {revision}")).help("`enact history` shows what there is"))
            }
            // After several nodes pushed at once, the number alone means the one that shows.
            several if revision.origin.is_none() && several.iter().any(|id| current.id() == Some(*id)) => {
                Ok(current.id().expect("compared just above").clone())
            }
            several => {
                let names: Vec<String> = several.iter().map(|id| format!("r{id}")).collect();
                let what = format!("{revision} is ambiguous: two sides of a partition made one");
                // Stale: whoever took the number for a base plans again, and sees which one shows.
                Err(ApiError::new(ErrorCode::Stale, what).help(format!("say {}", names.join(" or "))))
            }
        }
    }

    /// How people call a revision: with its node where the number was given twice, so that the name finds it again.
    pub(super) async fn called(&self, id: Option<&RevisionId>) -> Result<Revision, ApiError> {
        let Some(id) = id else { return Ok(Revision::default()) };
        let history = self.group.history(HISTORY_MAX).await.map_err(stopped)?;
        let is_twice = history.iter().any(|known| known.id.number == id.number && known.id.origin != id.origin);
        Ok(Revision { number: id.number, origin: is_twice.then(|| id.origin.clone()) })
    }

    /// The model of a revision.
    pub(super) async fn model_at(&self, revision: &Revision) -> Result<Model, ApiError> {
        if revision.number == 0 {
            return Ok(Model::default());
        }
        let id = self.revision_id(revision).await?;
        let current = self.group.current();
        if current.id() == Some(&id) {
            return Ok(current.model);
        }
        self.group.model_at(id).await.map_err(stopped)
    }

    /// The snapshot of a revision, to push from.
    pub(super) async fn snapshot_at(&self, revision: &Revision, newest: &Snapshot) -> Result<Snapshot, ApiError> {
        if name(newest.id()) == *revision {
            return Ok(newest.clone());
        }
        if revision.number == 0 {
            return Ok(Snapshot::default());
        }
        let id = self.revision_id(revision).await?;
        if newest.id() == Some(&id) {
            return Ok(newest.clone());
        }
        let history = self.group.history(HISTORY_MAX).await.map_err(stopped)?;
        let known = history.iter().find(|known| known.id == id).cloned();
        let known = known.ok_or_else(|| not_found(format!("there is no revision {revision}")))?;
        let model = self.model_at(revision).await?;
        Ok(Snapshot { heads: vec![known.stamp], digest: known.digest, revision: Some(known), model })
    }

    /// A model with its revision.
    pub(super) async fn model(&self, revision: Option<Revision>) -> Result<Revised, ApiError> {
        match revision {
            None => {
                let current = self.group.current();
                Ok(Revised { revision: self.called(current.id()).await?, model: current.model.into() })
            }
            Some(revision) => Ok(Revised { model: self.model_at(&revision).await?.into(), revision }),
        }
    }

    /// The last revisions, newest first.
    pub(super) async fn history(&self, limit: usize) -> Result<Vec<HistoryEntry>, ApiError> {
        let revisions = self.group.history(HISTORY_MAX).await.map_err(stopped)?;
        let twice = |number: u64| revisions.iter().filter(|revision| revision.id.number == number).count() > 1;
        let called =
            |id: &RevisionId| Revision { number: id.number, origin: twice(id.number).then(|| id.origin.clone()) };
        let conflicts = self.group.conflicts(None).await.map_err(stopped)?;
        let mut entries = Vec::new();
        for revision in revisions.iter().take(limit) {
            let nodes = self.verdicts(&revision.id).await?;
            let verdict = overall(&nodes);
            let lost = self.overwritten(&revision.id, &conflicts).await;
            let parents: Vec<_> = revision
                .parents
                .iter()
                .filter_map(|stamp| revisions.iter().find(|known| known.stamp == *stamp))
                .map(|known| called(&known.id))
                .collect();
            entries.push(HistoryEntry {
                revision: called(&revision.id),
                at: revision.time(),
                by: revision.by.to_string(),
                from: parents.into_iter().max().unwrap_or_default(),
                what: what(revision),
                result: in_words(&nodes, verdict, &lost),
                verdict,
                overwritten: lost,
                kept: self.group.keeps_model(revision.id.clone()).await.map_err(stopped)?,
            });
        }
        Ok(entries)
    }

    /// How a revision fares; waits for news when the asker has seen what there is.
    pub(super) async fn outcome(
        self: &Rc<Self>,
        revision: Revision,
        seen: u64,
        wait_ms: u64,
    ) -> Result<OutcomeReply, ApiError> {
        // Whoever asks by the number alone has just pushed here: another side's revision of that number is not meant.
        let mine = Revision {
            origin: Some(revision.origin.as_ref().unwrap_or(&self.world.me).clone()),
            number: revision.number,
        };
        let id = match self.revision_id(&mine).await {
            Err(_) if revision.origin.is_none() => self.revision_id(&revision).await?,
            id => id?,
        };
        let until = waiting(wait_ms);
        let watch = clock::Stopwatch::start();
        let mut grown = self.world.journal.borrow().grown();
        let mut progress = self.world.progress.subscribe();
        loop {
            let nodes = self.verdicts(&id).await?;
            let n_reports = fingerprint(&nodes);
            let verdict = overall(&nodes);
            if n_reports != seen || verdict.is_some() || watch.elapsed() >= until {
                let made = self
                    .group
                    .history(HISTORY_MAX)
                    .await
                    .map_err(stopped)?
                    .into_iter()
                    .find(|known| known.id == id)
                    .map(|known| known.time());
                let elapsed_ms = made.map_or(0, |made| clock::now().since(made).as_millis() as u64);
                let conflicts = self.group.conflicts(Some(id.clone())).await.map_err(stopped)?;
                let overwritten = self.overwritten(&id, &conflicts).await;
                return Ok(OutcomeReply { revision, n_reports, nodes, verdict, elapsed_ms, overwritten });
            }
            let left = until.saturating_sub(watch.elapsed()).min(LOOK_AGAIN);
            // Woken by an event or a step here, or by the backstop: it only decides when to look again.
            let _ = timeout(left, async {
                tokio::select! { _ = grown.changed() => (), _ = progress.changed() => () }
            })
            .await;
        }
    }

    /// What of a revision was overwritten by pushes that did not know of it.
    async fn overwritten(&self, id: &RevisionId, conflicts: &[Conflict]) -> Vec<Overwritten> {
        let mut lost = Vec::new();
        for conflict in conflicts.iter().filter(|conflict| conflict.loser.revision.as_ref() == Some(id)) {
            lost.push(overwritten::told(conflict, &self.group).await);
        }
        lost
    }

    /// How a revision fares, node by node.
    async fn verdicts(&self, id: &RevisionId) -> Result<Vec<NodeOutcome>, ApiError> {
        let outcomes = self.group.outcomes(id.clone()).await.map_err(stopped)?;
        let verdict = |node, outcome| NodeOutcome { verdict: self.verdict(&node, outcome, id), node };
        Ok(outcomes.into_iter().map(|(node, outcome)| verdict(node, outcome)).collect())
    }

    fn verdict(&self, node: &crate::words::NodeName, outcome: gossip::Outcome, id: &RevisionId) -> NodeVerdict {
        let progress = self.world.progress.borrow();
        let is_here = *node == self.world.me && progress.revision == id.number;
        match outcome {
            gossip::Outcome::Waiting if is_here && !progress.is_over && progress.n_steps > 0 => NodeVerdict::Working {
                n_done: progress.n_done,
                n_steps: progress.n_steps,
                doing: progress.doing.clone(),
            },
            gossip::Outcome::Waiting => NodeVerdict::Waiting,
            gossip::Outcome::Unreachable => NodeVerdict::Absent,
            gossip::Outcome::Done(Adoption::Adopted { n_steps, elapsed_ms }) => NodeVerdict::Adopted {
                n_steps: n_steps as usize,
                elapsed_ms: elapsed_ms.into(),
                doing: if is_here { progress.doing.clone() } else { String::new() },
                unresolved: Vec::new(),
            },
            gossip::Outcome::Done(Adoption::RolledBack { step, cause }) => NodeVerdict::RolledBack { step, cause },
            gossip::Outcome::Done(Adoption::Refused { cause }) => NodeVerdict::Refused { cause },
            gossip::Outcome::Done(Adoption::Degraded { cause }) => NodeVerdict::Degraded { cause },
            gossip::Outcome::Done(Adoption::Poisoned { n_crashes, runs }) => {
                NodeVerdict::Poisoned { n_crashes, runs: runs.map(|runs| name(Some(&runs))) }
            }
        }
    }
}

/// Changes whenever a verdict does.
fn fingerprint(nodes: &[NodeOutcome]) -> u64 {
    let text = serde_json::to_vec(nodes).unwrap_or_default();
    let hash = blake3::hash(&text);
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes")) >> 11 | 1
}

/// The verdict over all nodes, once every node that is present has decided.
fn overall(nodes: &[NodeOutcome]) -> Option<Verdict> {
    let mut worst = Verdict::Converged;
    for node in nodes {
        worst = worst.min(match &node.verdict {
            NodeVerdict::Waiting | NodeVerdict::Working { .. } => return None,
            NodeVerdict::Degraded { .. } => Verdict::Degraded,
            NodeVerdict::Poisoned { .. } => Verdict::Poisoned,
            NodeVerdict::RolledBack { .. } => Verdict::RolledBack,
            NodeVerdict::Refused { .. } => Verdict::Refused,
            NodeVerdict::Superseded { .. } => Verdict::Superseded,
            NodeVerdict::Adopted { unresolved, .. } if !unresolved.is_empty() => Verdict::Unresolved,
            NodeVerdict::Adopted { .. } | NodeVerdict::Absent | NodeVerdict::Unreachable => Verdict::Converged,
        });
    }
    Some(worst)
}

fn in_words(nodes: &[NodeOutcome], verdict: Option<Verdict>, lost: &[Overwritten]) -> String {
    let first = nodes.iter().find_map(|node| match &node.verdict {
        NodeVerdict::RolledBack { cause, .. } | NodeVerdict::Degraded { cause } | NodeVerdict::Refused { cause } => {
            Some(format!("{}: {cause}", node.node))
        }
        NodeVerdict::Poisoned { n_crashes, runs } => {
            Some(format!("{}: {}", node.node, poisoned_text(*n_crashes, runs.as_ref())))
        }
        _ => None,
    });
    match (verdict, first) {
        (Some(Verdict::Degraded), Some(cause)) => format!("degraded: {cause}"),
        (Some(Verdict::Poisoned), Some(cause)) => format!("poisoned: {cause}"),
        (Some(Verdict::RolledBack), Some(cause)) => format!("rolled back: {cause}"),
        (Some(Verdict::Refused), Some(cause)) => format!("refused: {cause}"),
        (Some(_), _) if !lost.is_empty() => {
            let lost: Vec<String> =
                lost.iter().map(|lost| format!("overwritten by {}: {}", lost.by, lost.what)).collect();
            lost.join("; ")
        }
        (Some(_), _) => "converged".to_owned(),
        (None, _) => "under way".to_owned(),
    }
}

fn what(revision: &Arc<gossip::Revision>) -> String {
    match (&revision.rolls_back_to, &*revision.message) {
        (_, message) if !message.is_empty() => message.to_owned(),
        (Some(to), _) => format!("rollback to r{}", to.number),
        (None, _) => {
            let n = revision.n_changes;
            format!("{}: {n} change{}", revision.from, if n == 1 { "" } else { "s" })
        }
    }
}
