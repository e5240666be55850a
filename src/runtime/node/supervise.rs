//! Supervision: what crashed is started again, with growing delays, until it has crashed too often.
//!
//! Actors do not come back by themselves: a panic closes an actix mailbox. So the shell of an instance outlives its code, and
//! the node makes the code anew. State comes back from the last checkpoint.

use std::{rc::Rc, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::ready, stream};
use tokio::time::{interval, sleep};

use super::{api::What, handover, world::World};
use crate::{
    io::clock,
    logic::{gossip::InstanceState, plan::Subject, restart::Verdict},
    runtime::instance::{Condition, Ended, Failure, Handle},
    words::InstancePath,
};

/// Checkpoints that are taken at the same time: each may hold a state in memory.
const CHECKPOINTS_AT_ONCE: usize = 16;

/// An instance that is to be started again.
pub(super) struct Restart {
    subject: Arc<Subject>,
    delay: Duration,
    /// What it is until then; once it is something else, somebody else has taken it up.
    turn: u64,
}

impl Restart {
    /// Whether it still waits for this restart: not if a plan has taken it up meanwhile, also if it has crashed again since.
    fn is_due(&self, world: &World) -> bool {
        world.instances.borrow().of(&self.subject).is_some_and(|slot| slot.turn == self.turn)
    }
}

/// An instance ended or failed without being asked. Says when to start it again; `None` when it stays down.
pub(super) fn ended(world: &Rc<World>, ended: &Ended) -> Option<Restart> {
    let mut instances = world.instances.borrow_mut();
    let slot = instances.at_mut(&ended.path).filter(|slot| slot.handle.life() == ended.life)?;
    if slot.state == InstanceState::Restarting {
        // A message that had waited may crash it at once: `revive` looks here before it calls it running.
        slot.missed = Some(ended.failure.clone());
        return None;
    }
    if slot.state != InstanceState::Running {
        // It crashed in a step of a plan, or while it waited for its restart: whoever waits for the step knows.
        return None;
    }
    let cause = ended.failure.to_string();
    let subject = slot.subject.clone();
    let now = clock::now();
    let verdict = match &ended.failure {
        // Its thread is lost: another life would find the same fate, and cost another thread.
        Failure::Zombie { .. } => Verdict::GiveUp,
        _ => slot.restarts.crashed(&slot.policy, now),
    };
    let me = Some(world.me.clone());
    match verdict {
        Verdict::RestartAt(at) => {
            let delay = at.since(now);
            slot.becomes(InstanceState::Restarting, cause.as_str());
            let in_ms = delay.as_millis() as u64;
            tracing::warn!(instance = %ended.path, cause, in_ms, "crashed; to be started again");
            let event = What::Restarting { path: ended.path.clone(), cause, in_ms };
            world.journal.borrow_mut().note(me, event);
            Some(Restart { subject, delay, turn: slot.turn })
        }
        Verdict::GiveUp => {
            let state = if matches!(ended.failure, Failure::Zombie { .. }) {
                InstanceState::Zombie
            } else {
                InstanceState::Failed
            };
            slot.becomes(state, cause.as_str());
            tracing::error!(instance = %ended.path, cause, "crashed too often; stays down until the model changes");
            world.journal.borrow_mut().note(me, What::Failed { path: ended.path.clone(), cause });
            None
        }
    }
}

/// Starts a crashed instance again after its delay, unless a plan was faster. Gives what went wrong, to be treated as one more
/// crash.
pub(super) async fn revive(world: Rc<World>, restart: Restart, limit: Duration) -> Option<Ended> {
    sleep(restart.delay).await;
    if !restart.is_due(&world) {
        return None;
    }
    let subject = restart.subject.clone();
    let handle = world.instances.borrow().of(&subject)?.handle.clone();
    if let Some(slot) = world.instances.borrow_mut().of_mut(&subject) {
        slot.missed = None;
    }
    let mut result = renew(&world, &subject, &handle, limit, || restart.is_due(&world)).await;
    // A plan may have stopped it meanwhile: what the model wants goes first.
    if !restart.is_due(&world) {
        return None;
    }
    if result.is_ok() {
        result = handle.start(limit).await;
        if !restart.is_due(&world) {
            return None;
        }
    }
    let mut instances = world.instances.borrow_mut();
    let slot = instances.of_mut(&subject)?;
    slot.n_restarts += 1;
    let result = match slot.missed.take() {
        Some(failure) => result.and(Err(failure)),
        None => result,
    };
    match result {
        Ok(()) => {
            slot.becomes(InstanceState::Running, "");
            tracing::info!(instance = %subject.path, n_restarts = slot.n_restarts, "started again");
            world.journal.borrow_mut().note(Some(world.me.clone()), What::Started { path: subject.path.clone() });
            None
        }
        Err(failure) => {
            // Counted as a crash of a running instance, so that it is tried again, but not for ever.
            slot.becomes(InstanceState::Running, "");
            Some(Ended { path: subject.path.clone(), life: handle.life(), failure })
        }
    }
}

/// Makes the code of a failed instance anew, with the state that was kept last; not started. Supervision and a plan may both be at it:
/// whoever finds that it is not wanted any more when the state is at hand leaves it as it is.
///
/// # Errors
/// What its making came to, or that its state does not fit.
pub(super) async fn renew(
    world: &Rc<World>,
    subject: &Subject,
    handle: &Handle,
    limit: Duration,
    is_wanted: impl Fn() -> bool,
) -> Result<(), Failure> {
    let kept = handover::kept(world, subject.id).await.map_err(Failure::Other)?;
    match is_wanted() {
        true => handle.renew(kept, limit).await,
        false => Ok(()),
    }
}

/// Keeps the states of running components on disk, now and then: what a crash may lose is bounded by the period.
pub(super) async fn checkpoints(world: Rc<World>, period: Duration, limit: Duration) {
    let mut ticks = interval(period);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let running: Vec<_> = world
            .instances
            .borrow()
            .in_order()
            .into_iter()
            .filter(|slot| {
                slot.state == InstanceState::Running && matches!(slot.subject.path, InstancePath::Component(..))
            })
            .map(|slot| (slot.subject.clone(), slot.handle.clone()))
            .collect();
        // Side by side: one that is busy holds up nobody else's checkpoint, and its own until the next time only.
        let running = stream::iter(running).filter(|(_, handle)| ready(handle.condition() == Condition::Running));
        let keep = async |(subject, handle): (Arc<Subject>, Handle)| match handle.snapshot(limit.min(period)).await {
            Ok(state) => keep_if_changed(&world, &subject, &state).await,
            Err(failure) => tracing::debug!(instance = %subject.path, %failure, "no checkpoint"),
        };
        running.for_each_concurrent(CHECKPOINTS_AT_ONCE, keep).await;
    }
}

async fn keep_if_changed(world: &Rc<World>, subject: &Subject, state: &crate::words::Value) {
    let hash = blake3::hash(state.to_string().as_bytes());
    let is_known = world.instances.borrow().of(subject).is_none_or(|slot| slot.kept == Some(hash));
    if handover::is_nothing(state) || is_known {
        return;
    }
    match handover::save(world, subject, state, None).await {
        Ok(()) => {
            if let Some(slot) = world.instances.borrow_mut().of_mut(subject) {
                slot.kept = Some(hash);
            }
        }
        Err(cause) => tracing::warn!(instance = %subject.path, cause, "its state could not be kept"),
    }
}
