//! What the group tells, in the words of the API.

use std::rc::Rc;

use super::{
    api::{Revision, What},
    overwritten, serve,
    world::World,
};
use crate::{
    io::{clock, engine::Role},
    logic::gossip::{Adoption, Conflict, RevisionId},
    runtime::group::GroupEvent,
    words::NodeName,
};

/// Notes a group's event for those who watch. What the network tells too (who came, who went) is noted from there, and what this
/// node did where it did it.
pub(super) fn note(world: &Rc<World>, event: GroupEvent) {
    let (node, what) = match event {
        GroupEvent::MemberUp { .. } | GroupEvent::MemberDown { .. } => return,
        GroupEvent::Synced { by } => {
            let text = match by {
                Some(node) => format!("took the model from {node}"),
                None => "nobody is there: alone in the group".to_owned(),
            };
            (None, What::Note { text })
        }
        GroupEvent::Revised { revision, by, message, .. } => {
            let from = Revision::new(revision.number.saturating_sub(1));
            (
                Some(revision.origin.clone()),
                What::Proposed { revision: serve::name(Some(&revision)), from, by, message },
            )
        }
        GroupEvent::Answered { node, adoption, .. }
            if node == world.me && !matches!(adoption, Adoption::Refused { .. } | Adoption::Poisoned { .. }) =>
        {
            return;
        }
        GroupEvent::Answered { node, revision, adoption } => (Some(node), answered(&revision, adoption)),
        GroupEvent::Converged { revision } => (None, converged(world, &revision)),
        GroupEvent::Collided { conflict, mine } => {
            let world = world.clone();
            actix_rt::spawn(async move { collided(&world, &conflict, mine).await });
            return;
        }
        GroupEvent::Refused { node, cause } => {
            tracing::warn!(%node, cause, "trouble with a member");
            (Some(node), What::NodeRefused { reason: cause })
        }
    };
    world.journal.borrow_mut().note(node, what);
}

/// Notes a collision. Its element may be gone from the model of today; the loser's model knows what it was called.
async fn collided(world: &World, conflict: &Conflict, mine: bool) {
    let Some(group) = world.group() else { return };
    let lost = overwritten::told(conflict, group).await;
    let loser = overwritten::party(&conflict.loser);
    if mine {
        tracing::warn!(revision = %loser, by = %lost.by, lost = lost.what, "overwritten by a push that did not know of it");
    }
    world.journal.borrow_mut().note(None, What::Overwritten { loser, winner: lost.by, lost: vec![lost.what] });
}

fn answered(revision: &RevisionId, adoption: Adoption) -> What {
    let revision = serve::name(Some(revision));
    match adoption {
        Adoption::Adopted { n_steps, elapsed_ms } => {
            What::Adopted { revision, n_steps: n_steps as usize, elapsed_ms: elapsed_ms.into() }
        }
        Adoption::RolledBack { step, cause } => What::RolledBack { revision, step, cause },
        Adoption::Refused { cause } => What::RolledBack { revision, step: "before the first step".to_owned(), cause },
        Adoption::Degraded { cause } => What::Degraded { revision, cause },
        Adoption::Poisoned { n_crashes, runs } => {
            What::Poisoned { revision, n_crashes, runs: runs.map(|runs| serve::name(Some(&runs))) }
        }
    }
}

fn converged(world: &World, revision: &RevisionId) -> What {
    let current = world.group().map(|group| group.current()).unwrap_or_default();
    let is_there = |node: &NodeName| *node == world.me || current.model.nodes.contains_key(node);
    let peers = world.router.peers().into_iter().filter(|peer| peer.role == Role::Node && is_there(&peer.name));
    let made = current.revision.filter(|known| known.id == *revision).map(|known| known.time());
    let elapsed_ms = made.map_or(0, |made| clock::now().since(made).as_millis() as u64);
    What::Converged { revision: serve::name(Some(revision)), n_nodes: 1 + peers.count(), elapsed_ms }
}
