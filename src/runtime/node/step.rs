//! How each step of a plan is done: the only place where the running system changes.
//!
//! Every step is idempotent, and does nothing where its subject is not there: a plan that was cut short by a crash is done
//! again, or undone, from whatever was reached.

mod birth;
mod departure;
mod running;
mod values;

use std::{rc::Rc, time::Duration};

use futures_util::future::LocalBoxFuture;

pub(super) use self::departure::end;
use super::{instances::Slot, wiring, world::World};
use crate::{
    logic::{
        gossip::InstanceState,
        plan::{Adaptation, End, Subject, Way},
    },
    runtime::instance::{Failure, Handle, Op, inbox::Outcome},
    words::{InstancePath, NodeName},
};

/// A step that was begun.
pub(super) enum Begun {
    /// It took no waiting; why it could not be done, in words for the report.
    Over(Result<(), String>),
    /// It goes on with the answer of an instance: see [`go_on`].
    Asks(Handle, Op, Then),
    /// It goes on, beside others.
    Waits(LocalBoxFuture<'static, Result<(), String>>),
}

/// What an instance was asked in the course of a step.
pub(super) enum Then {
    /// Whether it is made.
    Made,
    /// To start.
    Started,
    /// To stop.
    Stopped,
    /// For its state, before it goes.
    Snapshot,
    /// To end. It is out of the table already.
    Ended(Box<Slot>),
    /// To send into a channel.
    Bound,
    /// No longer to send into one.
    Unbound,
}

/// It is so already, or there is nothing that it could be done to.
const NOTHING: Begun = Begun::Over(Ok(()));

fn waits(step: impl Future<Output = Result<(), String>> + 'static) -> Begun {
    Begun::Waits(Box::pin(step))
}

/// Begins a step; most of a large plan is over with that. Whoever undoes one does its inverse, and says so with `way`.
pub(super) fn begin(world: &Rc<World>, step: &Adaptation, way: Way, limit: Duration) -> Begun {
    if matches!(step, Adaptation::UpdateInstance { .. } | Adaptation::StartInstance(_)) {
        // All bindings are made by now: channels hear of them at once. Not before: what is unbound only to be bound again (an
        // upgrade, say) must not look gone, since a channel gives up what it keeps for who is gone.
        wiring::tell_channels(world);
    }
    match step {
        Adaptation::StopInstance(subject) => running::begin_stop(world, subject, limit),
        Adaptation::RemoveBinding(end) => begin_unbind(world, end),
        Adaptation::RemoveInstance { blueprint, hand_over } => {
            departure::begin_remove(world, blueprint, hand_over, limit)
        }
        Adaptation::AddInstance { blueprint, .. } => birth::begin_add(world, blueprint),
        Adaptation::AddBinding(end) => begin_bind(world, end),
        Adaptation::UpdateDictionary { subject, attribute, after, .. } => {
            values::note_value(world, subject, attribute, after.as_ref());
            NOTHING
        }
        Adaptation::UpdateInstance { subject, after, .. } => values::begin_update(world, subject, after, way, limit),
        Adaptation::StartInstance(subject) => running::begin_start(world, subject, limit),
        Adaptation::StopSelf(_) => {
            world.stop_wanted.set(true);
            NOTHING
        }
        // Types are linked into the binary: what a plan may use was checked before it began.
        Adaptation::RemoveTypeDef(_)
        | Adaptation::RemoveDeployUnit(_)
        | Adaptation::AddDeployUnit(_)
        | Adaptation::AddTypeDef { .. } => NOTHING,
    }
}

/// Goes on with a step, told what an instance has answered.
pub(super) fn go_on(world: &Rc<World>, step: &Adaptation, then: Then, outcome: Outcome, limit: Duration) -> Begun {
    match (step, then) {
        (Adaptation::AddInstance { blueprint, state }, Then::Made) => {
            birth::made(world, &blueprint.subject, state, outcome, limit)
        }
        (Adaptation::StartInstance(subject), Then::Started) => Begun::Over(running::started(world, subject, outcome)),
        (Adaptation::StopInstance(subject), Then::Stopped) => Begun::Over(running::stopped(world, subject, outcome)),
        (Adaptation::RemoveInstance { blueprint, hand_over }, Then::Snapshot) => {
            departure::snapshot_taken(world, &blueprint.subject, hand_over, outcome, limit)
        }
        (_, Then::Ended(slot)) => departure::ended(world, slot, outcome),
        (_, Then::Bound) => Begun::Over(outcome.map(drop).map_err(|failure| failure.to_string())),
        (_, Then::Unbound) => Begun::Over(match outcome {
            // What has crashed sends nothing.
            Ok(_) | Err(Failure::Gone | Failure::Condition { .. } | Failure::Zombie { .. }) => Ok(()),
            Err(failure) => Err(failure.to_string()),
        }),
        (step, _) => Begun::Over(Err(format!("an answer to another step came for {step}"))),
    }
}

/// The handle of what is there, if it is the subject.
fn handle_of(world: &World, subject: &Subject) -> Option<Handle> {
    world.instances.borrow().of(subject).map(|slot| slot.handle.clone())
}

/// Notes how the subject is from now on.
fn becomes(world: &World, subject: &Subject, state: InstanceState, cause: &str) {
    if let Some(slot) = world.instances.borrow_mut().of_mut(subject) {
        slot.becomes(state, cause);
    }
}

fn hosted_node(subject: &Subject) -> Option<&NodeName> {
    match &subject.path {
        InstancePath::Node(name) => Some(name),
        _ => None,
    }
}

/// Notes a failure in the table, and gives it in words.
fn failed(world: &World, subject: &Subject, failure: &Failure) -> String {
    let state = if matches!(failure, Failure::Zombie { .. }) { InstanceState::Zombie } else { InstanceState::Failed };
    let cause = failure.to_string();
    if let Some(slot) = world.instances.borrow_mut().of_mut(subject) {
        if let (InstanceState::Zombie, Some(place)) = (state, slot.place) {
            world.placement.borrow_mut().condemn(place);
        }
        slot.becomes(state, cause.as_str());
    }
    cause
}

fn begin_bind(world: &Rc<World>, end: &End) -> Begun {
    world.wires.borrow_mut().attach(end.clone());
    if end.binding.port.node != world.me {
        return NOTHING;
    }
    match wiring::connect(world, end) {
        Ok(None) => NOTHING,
        Ok(Some((component, sink))) => {
            let (port, channel) = (end.binding.port.port.clone(), end.binding.channel.clone());
            Begun::Asks(component, Op::Bind { port, channel, sink }, Then::Bound)
        }
        Err(cause) => Begun::Over(Err(cause)),
    }
}

fn begin_unbind(world: &Rc<World>, end: &End) -> Begun {
    world.wires.borrow_mut().detach(end);
    if end.binding.port.node != world.me {
        return NOTHING;
    }
    match wiring::disconnect(world, end) {
        Ok(None) => NOTHING,
        Ok(Some(component)) => {
            let (port, channel) = (end.binding.port.port.clone(), end.binding.channel.clone());
            Begun::Asks(component, Op::Unbind { port, channel }, Then::Unbound)
        }
        Err(cause) => Begun::Over(Err(cause)),
    }
}
