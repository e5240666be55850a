//! An instance takes other values.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{Begun, NOTHING, becomes, failed, handle_of, hosted_node, running::mend, waits};
use crate::{
    logic::{
        gossip::InstanceState,
        plan::{Subject, Way},
    },
    model::Dictionary,
    runtime::{
        instance::{Condition, Failure, Handle},
        node::{hosted, world::World},
    },
    words::AttributeName,
};

pub(super) fn note_value(world: &World, subject: &Subject, attribute: &AttributeName, value: Option<&Arc<str>>) {
    if let Some(slot) = world.instances.borrow_mut().of_mut(subject) {
        if slot.values.value(attribute) == value {
            // So it was made: nothing to be noted, and the values stay shared with the model.
            return;
        }
        slot.is_told = false;
        match value {
            Some(value) => slot.values.set(attribute.clone(), value.clone()),
            None => slot.values.unset(attribute),
        };
    }
}

pub(super) fn begin_update(
    world: &Rc<World>,
    subject: &Arc<Subject>,
    values: &Dictionary,
    way: Way,
    limit: Duration,
) -> Begun {
    if let Some(node) = hosted_node(subject) {
        return Begun::Over(hosted::update(world, node, values));
    }
    let Some(handle) = handle_of(world, subject) else { return NOTHING };
    let (world, subject, values) = (world.clone(), subject.clone(), values.clone());
    waits(async move { update(&world, &subject, &handle, values, way, limit).await })
}

async fn update(
    world: &Rc<World>,
    subject: &Subject,
    handle: &Handle,
    values: Dictionary,
    way: Way,
    limit: Duration,
) -> Result<(), String> {
    let is_down = handle.condition() != Condition::Running && is_to_run(world, subject);
    let mut is_to_start = is_down;
    if let Some(slot) = world.instances.borrow_mut().of_mut(subject) {
        slot.values = values.clone();
        slot.is_told = true;
        match way {
            Way::Do => slot.was_down = is_down,
            // What was down before the plan came need not run for it to be undone.
            Way::Undo => is_to_start &= !slot.was_down,
        }
    }
    if is_to_start {
        // Supervision, which may be about to start it again, leaves it to us from here on.
        becomes(world, subject, InstanceState::Starting, "");
    }
    let updated = async {
        mend(world, subject, handle, limit).await?;
        handle.update(values, limit).await?;
        if !is_to_start {
            return Ok(());
        }
        // A start of supervision's may have come to its end meanwhile.
        mend(world, subject, handle, limit).await?;
        // New values may be what it needed; and the old ones, after an update that crashed it, are what it ran with.
        handle.start(limit).await
    };
    updated.await.map_err(|failure| match is_to_start {
        true => failed(world, subject, &failure),
        false => failed_update(world, subject, &failure),
    })?;
    if is_to_start {
        becomes(world, subject, InstanceState::Running, "");
    }
    Ok(())
}

/// Whether the model that runs here wants an instance running: one that does not has crashed, or could not be started again.
fn is_to_run(world: &World, subject: &Subject) -> bool {
    world.running.borrow().instance(&subject.path).is_some_and(|instance| instance.started)
}

/// An update that was refused leaves the instance as it was; one that crashed it does not.
fn failed_update(world: &World, subject: &Subject, failure: &Failure) -> String {
    if failure.is_crash() { failed(world, subject, failure) } else { failure.to_string() }
}
