//! An instance starts and stops, and is mended before it starts.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{Begun, NOTHING, Then, becomes, failed, handle_of, hosted_node, waits};
use crate::{
    logic::{gossip::InstanceState, plan::Subject},
    model::Dictionary,
    runtime::{
        instance::{Condition, Failure, Handle, Op, inbox::Outcome},
        node::{hosted, supervise, world::World},
    },
    words::Value,
};

pub(super) fn begin_start(world: &Rc<World>, subject: &Arc<Subject>, limit: Duration) -> Begun {
    if let Some(node) = hosted_node(subject).cloned() {
        let world = world.clone();
        return waits(async move { hosted::start(&world, &node, limit).await });
    }
    let mut instances = world.instances.borrow_mut();
    let Some(slot) = instances.of_mut(subject) else { return NOTHING };
    let handle = slot.handle.clone();
    if slot.is_told && handle.condition() != Condition::Failed {
        slot.becomes(InstanceState::Starting, "");
        return Begun::Asks(handle, Op::Start, Then::Started);
    }
    drop(instances);
    let (world, subject) = (world.clone(), subject.clone());
    waits(async move {
        prepare(&world, &subject, &handle, limit).await?;
        becomes(&world, &subject, InstanceState::Starting, "");
        started(&world, &subject, handle.start(limit).await.map(|()| Value::Null))
    })
}

/// Mends an instance that is to start, and tells it what it has not heard of.
async fn prepare(world: &Rc<World>, subject: &Subject, handle: &Handle, limit: Duration) -> Result<(), String> {
    let prepared = async {
        mend(world, subject, handle, limit).await?;
        // What was noted while it was stopped: a plan that starts an instance tells it nothing else.
        match untold(world, subject) {
            Some(values) => handle.update(values, limit).await,
            None => Ok(()),
        }
    };
    prepared.await.map_err(|failure| failed(world, subject, &failure))
}

pub(super) fn started(world: &World, subject: &Subject, outcome: Outcome) -> Result<(), String> {
    let mut instances = world.instances.borrow_mut();
    let failure = match (outcome, instances.of_mut(subject)) {
        (Err(failure), _) => failure,
        (Ok(_), None) => return Ok(()),
        (Ok(_), Some(slot)) => {
            if !matches!(slot.handle.condition(), Condition::Failed | Condition::Zombie | Condition::Gone) {
                slot.becomes(InstanceState::Running, "");
                return Ok(());
            }
            // It may crash between its own "started" and now; supervision minds only what runs.
            slot.handle.cause().unwrap_or(Failure::Gone)
        }
    };
    drop(instances);
    Err(failed(world, subject, &failure))
}

pub(super) fn begin_stop(world: &Rc<World>, subject: &Arc<Subject>, limit: Duration) -> Begun {
    if let Some(node) = hosted_node(subject).cloned() {
        let world = world.clone();
        return waits(async move { hosted::stop(&world, &node, limit).await });
    }
    match handle_of(world, subject) {
        Some(handle) => Begun::Asks(handle, Op::Stop, Then::Stopped),
        None => NOTHING,
    }
}

pub(super) fn stopped(world: &World, subject: &Subject, outcome: Outcome) -> Result<(), String> {
    match outcome {
        Ok(_) => {
            becomes(world, subject, InstanceState::Stopped, "");
            Ok(())
        }
        // It was given up and no longer runs, which is what was wanted; what it had not said by then is lost.
        Err(failure) if failure.is_crash() => {
            tracing::warn!(instance = %subject.path, %failure, "did not stop by itself");
            failed(world, subject, &failure);
            Ok(())
        }
        // It says that something went wrong, and has stopped all the same. To start it again would keep it for ever, and its node
        // at a model that nobody wants any more.
        Err(failure) if handle_of(world, subject).is_some_and(|it| it.condition() == Condition::Stopped) => {
            tracing::warn!(instance = %subject.path, %failure, "did not stop well");
            becomes(world, subject, InstanceState::Stopped, &failure.to_string());
            Ok(())
        }
        // What has crashed does not run: that is what was wanted.
        Err(Failure::Condition { .. } | Failure::Gone) => Ok(()),
        Err(failure) => Err(failed(world, subject, &failure)),
    }
}

/// The values that were noted and that the instance has not heard of; from now on they count as told.
fn untold(world: &World, subject: &Subject) -> Option<Dictionary> {
    let mut instances = world.instances.borrow_mut();
    let slot = instances.of_mut(subject).filter(|slot| !slot.is_told)?;
    slot.is_told = true;
    Some(slot.values.clone())
}

/// Makes an instance that has failed anew: it is wanted again, so its past is forgiven.
pub(super) async fn mend(
    world: &Rc<World>,
    subject: &Subject,
    handle: &Handle,
    limit: Duration,
) -> Result<(), Failure> {
    if handle.condition() != Condition::Failed {
        return Ok(());
    }
    becomes(world, subject, InstanceState::Starting, "");
    supervise::renew(world, subject, handle, limit, || handle.condition() == Condition::Failed).await?;
    if let Some(slot) = world.instances.borrow_mut().of_mut(subject) {
        slot.restarts.forgive();
    }
    Ok(())
}
