//! An instance comes: its place, its code, its state.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{Begun, NOTHING, Then, becomes, departure, handle_of, hosted_node, waits};
use crate::{
    io::clock,
    logic::{
        gossip::InstanceState,
        plan::{Blueprint, StateFrom, Subject},
        restart::{Policy, Restarts},
    },
    runtime::{
        instance::{Birth, Handle, Op, inbox::Outcome},
        node::{handover, hosted, instances::Slot, world::World},
    },
    words::{ChannelName, InstancePath},
};

pub(super) fn begin_add(world: &Rc<World>, blueprint: &Blueprint) -> Begun {
    let subject = &blueprint.subject;
    if let Some(node) = hosted_node(subject) {
        return Begun::Over(hosted::add(world, node, blueprint));
    }
    if world.instances.borrow().of(subject).is_some() || world.is_own_group(&subject.path) {
        return NOTHING;
    }
    match create(world, blueprint) {
        Ok(handle) => Begun::Asks(handle, Op::Ready, Then::Made),
        Err(cause) => Begun::Over(Err(cause)),
    }
}

/// An instance is made, or could not be: gives it its state.
pub(super) fn made(
    world: &Rc<World>,
    subject: &Arc<Subject>,
    state: &StateFrom,
    outcome: Outcome,
    limit: Duration,
) -> Begun {
    if outcome.is_ok() && !handover::may_have(world, subject, state) {
        becomes_ready(world, subject);
        return NOTHING;
    }
    let (world, subject, state) = (world.clone(), subject.clone(), state.clone());
    waits(async move {
        let restored = match (outcome, handle_of(&world, &subject)) {
            (Err(failure), _) => Err(failure.to_string()),
            (Ok(_), None) => Ok(()),
            (Ok(_), Some(handle)) => handover::restore(&world, &subject, &state, &handle, limit).await,
        };
        match restored {
            Ok(()) => becomes_ready(&world, &subject),
            Err(_) => departure::discard(&world, &subject, limit).await,
        }
        restored
    })
}

fn becomes_ready(world: &World, subject: &Subject) {
    becomes(world, subject, InstanceState::Stopped, "");
    if let InstancePath::Channel(channel) = &subject.path {
        world.wires.borrow_mut().tell_again(channel);
    }
}

/// The channel that an instance is to live near to: the first one that it hangs on.
fn near(world: &World, path: &InstancePath) -> Option<ChannelName> {
    match path {
        InstancePath::Channel(name) => Some(name.clone()),
        InstancePath::Component(node, name) => {
            let wanted = world.wanted.borrow();
            if wanted.bindings.is_empty() {
                return None;
            }
            wanted.bindings.of_component(node, name).next().map(|binding| binding.channel.clone())
        }
        InstancePath::Node(_) | InstancePath::Group(_) => None,
    }
}

/// Makes an instance and puts it into the table.
fn create(world: &Rc<World>, blueprint: &Blueprint) -> Result<Handle, String> {
    let subject = &blueprint.subject;
    let Some(bundle) = world.catalog.get(&subject.type_ref) else {
        return Err(format!("this binary brings no type {}", subject.type_ref));
    };
    let (place, arbiter) = match subject.path {
        // Groups live by themselves: no component's code delays what a group says.
        InstancePath::Group(_) => (None, world.group_thread.cradle()),
        _ => {
            let (place, arbiter) = world.placement.borrow_mut().place(near(world, &subject.path).as_ref());
            (Some(place), arbiter)
        }
    };
    let birth = Birth {
        path: subject.path.clone(),
        life: world.instances.borrow_mut().next_life(),
        definition: bundle.definition.clone(),
        dictionary: blueprint.values.clone(),
        arbiter,
        environment: world.environment(),
    };
    let handle = world.catalog.create(birth).map_err(|failure| {
        if let Some(place) = place {
            world.placement.borrow_mut().release(place, &subject.path);
        }
        failure.to_string()
    })?;
    let now = clock::now();
    world.instances.borrow_mut().insert(Slot {
        subject: subject.clone(),
        is_told: true,
        policy: if bundle.restart == Policy::DEFAULT { world.restart } else { bundle.restart },
        handle: handle.clone(),
        place,
        values: blueprint.values.clone(),
        state: InstanceState::Starting,
        cause: Arc::default(),
        since: now,
        born: now,
        restarts: Restarts::default(),
        n_restarts: 0,
        kept: None,
        missed: None,
        was_down: false,
        turn: 0,
    });
    Ok(handle)
}
