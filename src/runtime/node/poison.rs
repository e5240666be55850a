//! Poison: a revision that ends the process again and again is left alone, and the last one that ran well runs instead. So it does
//! where a node that runs nothing, since it has just started, cannot take up what is wanted.
//!
//! A revision is on trial from its first step until the node has run for its probation (`limits.probation`). Trials are on disk
//! with the plan, so a start finds those that a crash ended. A crash ends all trials of its life at once, so lives are counted.
//! What is asked of this node counts, not the number: a later revision that asks the same of it is the same poison, and one that
//! asks something else gets its own trials.

use std::{collections::BTreeSet, rc::Rc, time::Duration};

use tokio::time::sleep;

use super::{adapt, serve, world::World};
use crate::{
    io::{clock, store},
    logic::{
        gossip::{Adoption, RevisionId, Snapshot},
        plan::{self, Limits},
        restart,
    },
    model::{Edit, Model},
    words::{InstancePath, NodeName},
};

/// What is known of the revisions that were tried before this start, and of the last one that ran well.
#[derive(Clone, Debug, Default)]
pub(super) struct Trials {
    found: Vec<Found>,
    good: Option<(RevisionId, Model)>,
    /// Whether what is wanted now is left alone: that something else runs well says nothing for it.
    leaves_alone: bool,
}

/// Trials that a crash ended.
#[derive(Clone, Debug)]
struct Found {
    trials: store::Trials,
    /// What was tried, where the group still knows it.
    model: Option<Model>,
}

impl Trials {
    /// How often what is wanted has ended the process, and whether it had run well before.
    fn of(&self, id: Option<&RevisionId>, wanted: &Model, me: &NodeName) -> (usize, bool) {
        let is_same = |known: &RevisionId, model: Option<&Model>| {
            id == Some(known) || model.is_some_and(|model| asks_the_same(model, wanted, me))
        };
        let crashed = self.found.iter().filter(|found| is_same(&found.trials.revision, found.model.as_ref()));
        let was_good = self.good.as_ref().is_some_and(|(good, model)| is_same(good, Some(model)));
        // One crash ends all that was tried in its life, also what was tried under several names.
        let lives: BTreeSet<u64> = crashed.flat_map(|found| &found.trials.lives).map(|life| life.incarnation).collect();
        (lives.len(), was_good)
    }
}

/// Whether two models ask the same of a node.
fn asks_the_same(a: &Model, b: &Model, me: &NodeName) -> bool {
    plan::plan(a, b, me).is_empty()
}

/// Finds out what was tried before. Without a probation nothing is ever poison.
pub(super) async fn load(world: &Rc<World>, probation: Duration) {
    if probation.is_zero() {
        return;
    }
    match world.disk.run(|store| Ok((store.trials()?, store.good()?))).await {
        Ok((trials, good)) => {
            let found = trials.into_iter().map(|trials| Found { trials, model: None }).collect();
            *world.trials.borrow_mut() = Trials { found, good, leaves_alone: false };
        }
        Err(cause) => tracing::warn!(cause, "what crashed this node before cannot be read"),
    }
}

/// How often a target has ended the process, when that is too often.
pub(super) async fn crashes(world: &Rc<World>, target: &Snapshot) -> Option<usize> {
    if world.trials.borrow().found.is_empty() {
        world.trials.borrow_mut().leaves_alone = false;
        return None;
    }
    recall(world).await;
    let mut trials = world.trials.borrow_mut();
    let (n_crashes, was_good) = trials.of(target.id(), &target.model, &world.me);
    trials.leaves_alone = restart::is_poison(n_crashes, was_good);
    trials.leaves_alone.then_some(n_crashes)
}

/// Asks the group for the models of what was tried.
async fn recall(world: &Rc<World>) {
    let Some(group) = world.group() else { return };
    let unknown = |found: &&Found| found.model.is_none();
    let ids: Vec<RevisionId> =
        world.trials.borrow().found.iter().filter(unknown).map(|found| found.trials.revision.clone()).collect();
    for id in ids {
        // One that is no longer kept is known by its name alone.
        let Ok(model) = group.model_at(id.clone()).await else { continue };
        if let Some(found) = world.trials.borrow_mut().found.iter_mut().find(|found| found.trials.revision == id) {
            found.model = Some(model);
        }
    }
}

/// Leaves a target alone. A node that runs nothing yet starts the last revision that ran well.
pub(super) async fn leave_alone(world: Rc<World>, target: Snapshot, n_crashes: usize, limits: Limits) -> Adoption {
    if world.running.borrow().nodes.is_empty() {
        start_good(&world, &target.model, limits).await;
    }
    let runs = world.adopted.borrow().clone();
    let (revision, instead) = (serve::name(target.id()), runs.as_ref().map(|id| serve::name(Some(id)).to_string()));
    let instead = instead.unwrap_or_else(|| "nothing".to_owned());
    tracing::error!(%revision, n_crashes, runs = instead, "poisoned: this revision ended the process again and again");
    Adoption::Poisoned { n_crashes: u32::try_from(n_crashes).unwrap_or(u32::MAX), runs }
}

/// Starts the last revision that ran well where what is wanted could not be taken up and what ran before is nothing: a failure leads
/// back to that only in a node that has just started, or had to take everything down. The answer says what runs instead.
pub(super) async fn run_instead(world: &Rc<World>, adoption: Adoption, limits: Limits) -> Adoption {
    let is_over = matches!(adoption, Adoption::Adopted { .. });
    if is_over || world.adopted.borrow().is_some() || !world.running.borrow().nodes.is_empty() {
        return adoption;
    }
    let newest = world.wanted.borrow().clone();
    let is_same = |(_, good): &(RevisionId, Model)| asks_the_same(good, &newest, &world.me);
    if world.trials.borrow().good.as_ref().is_none_or(is_same) {
        return adoption;
    }
    start_good(world, &newest, limits).await;
    let Some(runs) = world.adopted.borrow().clone() else { return adoption };
    let runs = serve::name(Some(&runs));
    tracing::warn!(%runs, "what is wanted does not start here: the last revision that ran well runs instead");
    adoption.with_more(&format!("; {runs}, which ran well before, runs instead"))
}

/// Starts the last revision that ran well, unless that crashes by now, too.
async fn start_good(world: &Rc<World>, newest: &Model, limits: Limits) {
    let (good, found) = {
        let trials = world.trials.borrow();
        let Some((id, model)) = trials.good.clone() else { return };
        let (n_crashes, _) = trials.of(Some(&id), &model, &world.me);
        ((id, model), restart::is_poison(n_crashes, true))
    };
    let ((id, mut model), false) = (good, found) else { return };
    if let Err(error) = model.apply(&moved_away(&model, newest, &world.me)) {
        tracing::error!(%error, "the last good revision cannot be made of what it was");
        return;
    }
    let adoption = adapt::bring(world.clone(), Some(id), model, limits).await;
    if !matches!(adoption, Adoption::Adopted { .. }) {
        tracing::error!(?adoption, "the last good revision does not start");
    }
}

/// What would make an old model start nothing that has moved to another node since: that runs there.
fn moved_away(old: &Model, newest: &Model, me: &NodeName) -> Vec<Edit> {
    let components = old.nodes.get(me).into_iter().flat_map(|node| node.components.iter());
    let moved = components.filter(|(_, component)| newest.path_of(component.id).is_some_and(|(node, _)| node != me));
    moved.map(|(name, _)| Edit::Remove { path: InstancePath::Component(me.clone(), name.clone()) }).collect()
}

/// Calls a revision good when the node has lived through its probation. One at a time: under a stream of changes one in each
/// probation, and at its end the last.
pub(super) async fn probation(world: Rc<World>, probation: Duration) {
    let mut progress = world.progress.subscribe();
    let mut last = None;
    loop {
        progress.borrow_and_update();
        let adopted = world.adopted.borrow().clone().filter(|id| last.as_ref() != Some(id));
        let Some(id) = adopted else {
            if progress.changed().await.is_err() {
                return;
            }
            continue;
        };
        let (model, since) = (world.running.borrow().clone(), clock::now());
        sleep(probation).await;
        let is_same = |(known, good): &(RevisionId, Model)| *known == id || asks_the_same(good, &model, &world.me);
        let is_known = world.trials.borrow().good.as_ref().is_some_and(is_same);
        let good = (!is_known).then(|| (id.clone(), model));
        let only = world.trials.borrow().leaves_alone.then(|| id.clone());
        let (written, passed) = (good.clone(), only.clone());
        match world.disk.run(move |store| store.passed(written.as_ref(), since, passed.as_ref())).await {
            Ok(()) => {
                tracing::info!(revision = %serve::name(Some(&id)), "runs well: to be started again should a newer one crash");
                let mut trials = world.trials.borrow_mut();
                trials.found.retain(|found| only.as_ref().is_some_and(|only| found.trials.revision != *only));
                trials.good = good.or_else(|| trials.good.take());
                last = Some(id);
            }
            // Tried again with whatever runs then.
            Err(cause) => tracing::warn!(cause, "what ran well could not be noted"),
        }
    }
}

/// Notes that the node ends in order: what it has tried was no crash.
pub(super) async fn end_in_order(world: &Rc<World>) {
    let found: Vec<store::Trials> = world.trials.borrow().found.iter().map(|found| found.trials.clone()).collect();
    if let Err(cause) = world.disk.run(move |store| store.reset_trials(&found)).await {
        tracing::warn!(cause, "it could not be noted that this was no crash");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{io::store::Store, words::Time};

    #[test]
    fn a_crash_counts_once_for_what_was_tried_under_several_names() {
        let (store, me) = (Store::in_memory().unwrap(), NodeName::parse("n0").unwrap());
        let id = |number| RevisionId { number, origin: me.clone() };
        let plan = plan::plan(&Model::default(), &Model::default(), &me);
        let try_all = || {
            store.take_up(&me, Time(1)).unwrap();
            for number in [1, 2, 3, 2] {
                store.begin(&plan, None, Some(&id(number)), Time(number)).unwrap();
            }
        };
        let n_crashes = || {
            let model_of = |trials: &store::Trials| (trials.revision.number != 2).then(Model::default);
            let found = store.trials().unwrap().into_iter();
            let found = found.map(|trials| Found { model: model_of(&trials), trials }).collect();
            let trials = Trials { found, ..Trials::default() };
            (trials.of(Some(&id(1)), &Model::default(), &me).0, trials.of(Some(&id(3)), &Model::default(), &me).0)
        };
        try_all();
        assert_eq!(n_crashes(), (1, 1));
        try_all();
        assert_eq!(n_crashes(), (2, 2), "another life");
    }
}
