//! How each step of a plan is done: the only place where the running system changes.
//!
//! Every step is idempotent, and does nothing where its subject is not there: a plan that was cut short by a crash is done
//! again, or undone, from whatever was reached.

use std::{rc::Rc, sync::Arc, time::Duration};

use futures_util::future::LocalBoxFuture;

use super::{handover, instances::Slot, supervise, wiring, world::World};
use crate::{
    io::clock,
    logic::{
        gossip::InstanceState,
        plan::{Adaptation, Blueprint, End, HandOver, StateFrom, Subject, Way},
        restart::{Policy, Restarts},
    },
    model::Dictionary,
    runtime::instance::{Birth, Condition, Failure, Handle},
    words::{AttributeName, ChannelName, InstancePath, NodeName},
};

/// A step that was begun.
pub(super) enum Begun {
    /// It took no waiting; why it could not be done, in words for the report.
    Over(Result<(), String>),
    /// It goes on, beside others.
    Waits(LocalBoxFuture<'static, Result<(), String>>),
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
        Adaptation::StopInstance(subject) => begin_stop(world, subject, limit),
        Adaptation::RemoveBinding(end) => begin_unbind(world, end, limit),
        Adaptation::RemoveInstance { blueprint, hand_over } => begin_remove(world, blueprint, hand_over, limit),
        Adaptation::AddInstance { blueprint, state } => begin_add(world, blueprint, state, limit),
        Adaptation::AddBinding(end) => begin_bind(world, end, limit),
        Adaptation::UpdateDictionary { subject, attribute, after, .. } => {
            note_value(world, subject, attribute, after.as_ref());
            NOTHING
        }
        Adaptation::UpdateInstance { subject, after, .. } => begin_update(world, subject, after, way, limit),
        Adaptation::StartInstance(subject) => begin_start(world, subject, limit),
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

fn hosted(subject: &Subject) -> Option<&NodeName> {
    match &subject.path {
        InstancePath::Node(name) => Some(name),
        _ => None,
    }
}

fn begin_start(world: &Rc<World>, subject: &Arc<Subject>, limit: Duration) -> Begun {
    let (world, subject) = (world.clone(), subject.clone());
    if let Some(node) = hosted(&subject).cloned() {
        return waits(async move { super::hosted::start(&world, &node, limit).await });
    }
    let Some(handle) = handle_of(&world, &subject) else { return NOTHING };
    waits(async move {
        // Boxed since it is rare: ten thousand that start together do not carry the room for it.
        if handle.condition() == Condition::Failed || is_untold(&world, &subject) {
            Box::pin(prepare(&world, &subject, &handle, limit)).await?;
        }
        start(&world, &subject, &handle, limit).await
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

async fn start(world: &World, subject: &Subject, handle: &Handle, limit: Duration) -> Result<(), String> {
    becomes(world, subject, InstanceState::Starting, "");
    match handle.start(limit).await {
        // It may crash between its own "started" and now; supervision minds only what runs.
        Ok(()) if matches!(handle.condition(), Condition::Failed | Condition::Zombie | Condition::Gone) => {
            Err(failed(world, subject, &handle.cause().unwrap_or(Failure::Gone)))
        }
        Ok(()) => {
            becomes(world, subject, InstanceState::Running, "");
            Ok(())
        }
        Err(failure) => Err(failed(world, subject, &failure)),
    }
}

fn begin_stop(world: &Rc<World>, subject: &Arc<Subject>, limit: Duration) -> Begun {
    let (world, subject) = (world.clone(), subject.clone());
    if let Some(node) = hosted(&subject).cloned() {
        return waits(async move { super::hosted::stop(&world, &node, limit).await });
    }
    let Some(handle) = handle_of(&world, &subject) else { return NOTHING };
    waits(async move { stop(&world, &subject, &handle, limit).await })
}

async fn stop(world: &World, subject: &Subject, handle: &Handle, limit: Duration) -> Result<(), String> {
    match handle.stop(limit).await {
        Ok(()) => {
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
        Err(failure) if handle.condition() == Condition::Stopped => {
            tracing::warn!(instance = %subject.path, %failure, "did not stop well");
            becomes(world, subject, InstanceState::Stopped, &failure.to_string());
            Ok(())
        }
        // What has crashed does not run: that is what was wanted.
        Err(Failure::Condition { .. } | Failure::Gone) => Ok(()),
        Err(failure) => Err(failed(world, subject, &failure)),
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

fn begin_add(world: &Rc<World>, blueprint: &Blueprint, state: &StateFrom, limit: Duration) -> Begun {
    let subject = blueprint.subject.clone();
    if let Some(node) = hosted(&subject) {
        return Begun::Over(super::hosted::add(world, node, blueprint));
    }
    if world.instances.borrow().of(&subject).is_some() || world.is_own_group(&subject.path) {
        return NOTHING;
    }
    match create(world, blueprint) {
        Ok(handle) => {
            let (world, state) = (world.clone(), state.clone());
            waits(async move { made(&world, &subject, &state, &handle, limit).await })
        }
        Err(cause) => Begun::Over(Err(cause)),
    }
}

/// Waits until an instance is made, and gives it its state.
async fn made(
    world: &Rc<World>,
    subject: &Subject,
    state: &StateFrom,
    handle: &Handle,
    limit: Duration,
) -> Result<(), String> {
    let mut made = handle.ready(limit).await.map_err(|failure| failure.to_string());
    if made.is_ok() && handover::may_have(world, subject, state) {
        // Boxed since it is rare: ten thousand that are made together do not carry the room for it.
        made = Box::pin(handover::restore(world, subject, state, handle, limit)).await;
    }
    if let Err(cause) = made {
        Box::pin(discard(world, subject, limit)).await;
        return Err(cause);
    }
    becomes(world, subject, InstanceState::Stopped, "");
    if let InstancePath::Channel(channel) = &subject.path {
        world.wires.borrow_mut().tell_again(channel);
    }
    Ok(())
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

fn begin_remove(world: &Rc<World>, blueprint: &Blueprint, hand_over: &HandOver, limit: Duration) -> Begun {
    let (world, subject, hand_over) = (world.clone(), blueprint.subject.clone(), hand_over.clone());
    if let Some(node) = hosted(&subject).cloned() {
        return waits(async move { super::hosted::remove(&world, &node, limit).await });
    }
    let Some(handle) = handle_of(&world, &subject) else { return NOTHING };
    waits(async move { remove(&world, &subject, &hand_over, &handle, limit).await })
}

async fn remove(
    world: &Rc<World>,
    subject: &Subject,
    hand_over: &HandOver,
    handle: &Handle,
    limit: Duration,
) -> Result<(), String> {
    if *hand_over != HandOver::Discard {
        Box::pin(handover::keep(world, subject, hand_over, handle, limit)).await?;
    }
    if matches!(hand_over, HandOver::Upgrade { .. } | HandOver::Move { .. }) {
        wiring::return_waiting(world, &subject.path, handle.take_waiting());
    }
    discard(world, subject, limit).await;
    Ok(())
}

/// Ends an instance and clears its slot, whatever its code does.
async fn discard(world: &Rc<World>, subject: &Subject, limit: Duration) {
    if let Some(slot) = take(world, subject) {
        end(world, slot, limit).await;
    }
}

/// Ends an instance that is out of the table already, and gives its place back.
pub(super) async fn end(world: &World, slot: Slot, limit: Duration) {
    let ended = slot.handle.end(limit).await;
    let Some(place) = slot.place else { return };
    let mut placement = world.placement.borrow_mut();
    if ended.is_err() || slot.handle.condition() == Condition::Zombie {
        tracing::error!(instance = %slot.subject.path, "an instance blocks its thread and was left behind");
        placement.condemn(place);
    }
    placement.release(place, &slot.subject.path);
}

fn take(world: &World, subject: &Subject) -> Option<Slot> {
    let mut instances = world.instances.borrow_mut();
    instances.of(subject)?;
    instances.remove(&subject.path)
}

fn begin_bind(world: &Rc<World>, end: &End, limit: Duration) -> Begun {
    world.wires.borrow_mut().attach(end.clone());
    if end.binding.port.node != world.me {
        return NOTHING;
    }
    match wiring::connect(world, end) {
        Ok(None) => NOTHING,
        Ok(Some((component, sink))) => {
            let (port, channel) = (end.binding.port.port.clone(), end.binding.channel.clone());
            waits(
                async move { component.bind(port, channel, sink, limit).await.map_err(|failure| failure.to_string()) },
            )
        }
        Err(cause) => Begun::Over(Err(cause)),
    }
}

fn begin_unbind(world: &Rc<World>, end: &End, limit: Duration) -> Begun {
    world.wires.borrow_mut().detach(end);
    if end.binding.port.node != world.me {
        return NOTHING;
    }
    match wiring::disconnect(world, end) {
        Ok(None) => NOTHING,
        Ok(Some(component)) => {
            let (port, channel) = (end.binding.port.port.clone(), end.binding.channel.clone());
            waits(async move {
                match component.unbind(port, channel, limit).await {
                    // What has crashed sends nothing.
                    Ok(()) | Err(Failure::Gone | Failure::Condition { .. } | Failure::Zombie { .. }) => Ok(()),
                    Err(failure) => Err(failure.to_string()),
                }
            })
        }
        Err(cause) => Begun::Over(Err(cause)),
    }
}

fn note_value(world: &World, subject: &Subject, attribute: &AttributeName, value: Option<&Arc<str>>) {
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

fn begin_update(world: &Rc<World>, subject: &Arc<Subject>, values: &Dictionary, way: Way, limit: Duration) -> Begun {
    if let Some(node) = hosted(subject) {
        return Begun::Over(super::hosted::update(world, node, values));
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

/// Whether values were noted that the instance has not heard of.
fn is_untold(world: &World, subject: &Subject) -> bool {
    world.instances.borrow().of(subject).is_some_and(|slot| !slot.is_told)
}

/// The values that were noted and that the instance has not heard of; from now on they count as told.
fn untold(world: &World, subject: &Subject) -> Option<Dictionary> {
    let mut instances = world.instances.borrow_mut();
    let slot = instances.of_mut(subject).filter(|slot| !slot.is_told)?;
    slot.is_told = true;
    Some(slot.values.clone())
}

/// Makes an instance that has failed anew: it is wanted again, so its past is forgiven.
async fn mend(world: &Rc<World>, subject: &Subject, handle: &Handle, limit: Duration) -> Result<(), Failure> {
    if handle.condition() != Condition::Failed {
        return Ok(());
    }
    becomes(world, subject, InstanceState::Starting, "");
    supervise::renew(world, subject, handle, limit).await?;
    if let Some(slot) = world.instances.borrow_mut().of_mut(subject) {
        slot.restarts.forgive();
    }
    Ok(())
}

/// An update that was refused leaves the instance as it was; one that crashed it does not.
fn failed_update(world: &World, subject: &Subject, failure: &Failure) -> String {
    if failure.is_crash() { failed(world, subject, failure) } else { failure.to_string() }
}
