//! An instance takes other values.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{
    Begun, NOTHING, becomes, failed, handle_of, hosted_node,
    running::{mend, started},
    waits,
};
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
    words::{AttributeName, Value},
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
    // What waited for it may have crashed it since it answered.
    if is_to_start { started(world, subject, Ok(Value::Null)) } else { Ok(()) }
}

/// Whether the model that runs here wants an instance running: one that does not has crashed, or could not be started again.
fn is_to_run(world: &World, subject: &Subject) -> bool {
    world.running.borrow().instance(&subject.path).is_some_and(|instance| instance.started)
}

/// An update that was refused leaves the instance as it was; one that crashed it does not.
fn failed_update(world: &World, subject: &Subject, failure: &Failure) -> String {
    if failure.is_crash() { failed(world, subject, failure) } else { failure.to_string() }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join;

    use super::*;
    use crate::{
        io::clock,
        logic::restart::{Policy, Restarts},
        model::{ComponentId, Edit, Instance, Kind},
        runtime::{
            instance::{Inbox, Op, inbox::Event},
            node::instances::Slot,
        },
        words::{ChannelName, InstancePath, TypeRef},
    };

    const LIMIT: Duration = Duration::from_secs(10);

    /// Something that the model wants running, and that is down.
    fn down(world: &World) -> (Subject, Arc<Inbox>) {
        let path = InstancePath::Channel(ChannelName::parse("c").unwrap());
        let type_ref = TypeRef::new("enact", "Cable", "1.0.0").unwrap();
        let instance = Instance { type_ref: Some(type_ref.clone()), started: true, ..Instance::default() };
        world.running.borrow_mut().apply(&[Edit::AddInstance { path: path.clone(), instance }]).unwrap();
        let subject = Subject { path: path.clone(), type_ref, id: ComponentId(0) };
        let inbox = Inbox::new(path, Kind::Channel, 1, Arc::from([]), None);
        inbox.set_condition(Condition::Stopped);
        world.instances.borrow_mut().insert(Slot {
            subject: Arc::new(subject.clone()),
            policy: Policy::DEFAULT,
            missed: None,
            was_down: false,
            handle: Handle::new(inbox.clone()),
            place: None,
            values: Dictionary::default(),
            is_told: true,
            state: InstanceState::Failed,
            cause: Arc::default(),
            since: clock::now(),
            turn: 0,
            born: clock::now(),
            restarts: Restarts::default(),
            n_restarts: 0,
            kept: None,
        });
        (subject, inbox)
    }

    #[actix_rt::test]
    async fn what_crashes_as_soon_as_new_values_have_started_it_does_not_run() {
        let (world, _) = World::alone(|_| ());
        let (subject, inbox) = down(&world);
        let handle = Handle::new(inbox.clone());
        let instance = async {
            loop {
                let Event::Op(op, done) = inbox.next(false).await else { continue };
                done.send(Ok(Value::Null));
                if matches!(op, Op::Start) {
                    // What had waited for it crashes it before anybody looks at the answer.
                    return inbox.fail(Failure::Other("it crashed".to_owned()));
                }
            }
        };
        let (updated, ()) =
            join(update(&world, &subject, &handle, Dictionary::default(), Way::Do, LIMIT), instance).await;
        let instances = world.instances.borrow();
        let slot = instances.of(&subject).unwrap();
        assert_eq!(
            (updated, slot.state, &*slot.cause),
            (Err("it crashed".to_owned()), InstanceState::Failed, "it crashed")
        );
    }
}
