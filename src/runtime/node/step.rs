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
    runtime::instance::{Birth, Condition, Failure, Handle, Op, handle::GRACE, inbox::Outcome},
    words::{AttributeName, ChannelName, InstancePath, NodeName, Value},
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
        Adaptation::StopInstance(subject) => begin_stop(world, subject, limit),
        Adaptation::RemoveBinding(end) => begin_unbind(world, end),
        Adaptation::RemoveInstance { blueprint, hand_over } => begin_remove(world, blueprint, hand_over, limit),
        Adaptation::AddInstance { blueprint, .. } => begin_add(world, blueprint),
        Adaptation::AddBinding(end) => begin_bind(world, end),
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

/// Goes on with a step, told what an instance has answered.
pub(super) fn go_on(world: &Rc<World>, step: &Adaptation, then: Then, outcome: Outcome, limit: Duration) -> Begun {
    match (step, then) {
        (Adaptation::AddInstance { blueprint, state }, Then::Made) => {
            made(world, &blueprint.subject, state, outcome, limit)
        }
        (Adaptation::StartInstance(subject), Then::Started) => Begun::Over(started(world, subject, outcome)),
        (Adaptation::StopInstance(subject), Then::Stopped) => Begun::Over(stopped(world, subject, outcome)),
        (Adaptation::RemoveInstance { blueprint, hand_over }, Then::Snapshot) => {
            snapshot_taken(world, &blueprint.subject, hand_over, outcome, limit)
        }
        (_, Then::Ended(slot)) => ended(world, slot, outcome),
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

fn hosted(subject: &Subject) -> Option<&NodeName> {
    match &subject.path {
        InstancePath::Node(name) => Some(name),
        _ => None,
    }
}

fn begin_start(world: &Rc<World>, subject: &Arc<Subject>, limit: Duration) -> Begun {
    if let Some(node) = hosted(subject).cloned() {
        let world = world.clone();
        return waits(async move { super::hosted::start(&world, &node, limit).await });
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

fn started(world: &World, subject: &Subject, outcome: Outcome) -> Result<(), String> {
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

fn begin_stop(world: &Rc<World>, subject: &Arc<Subject>, limit: Duration) -> Begun {
    if let Some(node) = hosted(subject).cloned() {
        let world = world.clone();
        return waits(async move { super::hosted::stop(&world, &node, limit).await });
    }
    match handle_of(world, subject) {
        Some(handle) => Begun::Asks(handle, Op::Stop, Then::Stopped),
        None => NOTHING,
    }
}

fn stopped(world: &World, subject: &Subject, outcome: Outcome) -> Result<(), String> {
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

fn begin_add(world: &Rc<World>, blueprint: &Blueprint) -> Begun {
    let subject = &blueprint.subject;
    if let Some(node) = hosted(subject) {
        return Begun::Over(super::hosted::add(world, node, blueprint));
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
fn made(world: &Rc<World>, subject: &Arc<Subject>, state: &StateFrom, outcome: Outcome, limit: Duration) -> Begun {
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
            Err(_) => discard(&world, &subject, limit).await,
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

fn begin_remove(world: &Rc<World>, blueprint: &Blueprint, hand_over: &HandOver, limit: Duration) -> Begun {
    let subject = &blueprint.subject;
    if let Some(node) = hosted(subject).cloned() {
        let world = world.clone();
        return waits(async move { super::hosted::remove(&world, &node, limit).await });
    }
    let Some(handle) = handle_of(world, subject) else { return NOTHING };
    if handover::is_wanted(subject, hand_over) {
        return Begun::Asks(handle, Op::Snapshot, Then::Snapshot);
    }
    begin_end(world, subject, hand_over)
}

/// The state of an instance that goes is there: keeps it, where that says anything.
fn snapshot_taken(
    world: &Rc<World>,
    subject: &Arc<Subject>,
    hand_over: &HandOver,
    outcome: Outcome,
    limit: Duration,
) -> Begun {
    let state = match handover::to_be_kept(world, subject, hand_over, outcome) {
        Ok(None) => return begin_end(world, subject, hand_over),
        Ok(Some(state)) => state,
        Err(cause) => return Begun::Over(Err(cause)),
    };
    let (world, subject, hand_over) = (world.clone(), subject.clone(), hand_over.clone());
    waits(async move {
        handover::save(&world, &subject, &state, handover::for_whom(&hand_over)).await?;
        give_back_waiting(&world, &subject, &hand_over);
        discard(&world, &subject, limit).await;
        Ok(())
    })
}

fn begin_end(world: &Rc<World>, subject: &Subject, hand_over: &HandOver) -> Begun {
    give_back_waiting(world, subject, hand_over);
    match take(world, subject) {
        Some(slot) => Begun::Asks(slot.handle.clone(), Op::End, Then::Ended(slot)),
        None => NOTHING,
    }
}

/// What an instance has not handled is given to its successor first.
fn give_back_waiting(world: &World, subject: &Subject, hand_over: &HandOver) {
    if let (HandOver::Upgrade { .. } | HandOver::Move { .. }, Some(handle)) = (hand_over, handle_of(world, subject)) {
        wiring::return_waiting(world, &subject.path, handle.take_waiting());
    }
}

/// An instance has ended. One that was given up may still be at it: it has a little longer.
fn ended(world: &Rc<World>, slot: Box<Slot>, outcome: Outcome) -> Begun {
    if !matches!(outcome, Err(Failure::TimedOut { .. })) {
        leave_place(world, &slot, matches!(outcome, Ok(_) | Err(Failure::Gone)));
        return NOTHING;
    }
    let world = world.clone();
    waits(async move {
        end(&world, *slot, GRACE).await;
        Ok(())
    })
}

/// Ends an instance and clears its slot, whatever its code does.
async fn discard(world: &Rc<World>, subject: &Subject, limit: Duration) {
    if let Some(slot) = take(world, subject) {
        end(world, *slot, limit).await;
    }
}

/// Ends an instance that is out of the table already, and gives its place back.
pub(super) async fn end(world: &World, slot: Slot, limit: Duration) {
    let ended = slot.handle.end(limit).await;
    leave_place(world, &slot, ended.is_ok());
}

fn leave_place(world: &World, slot: &Slot, has_ended: bool) {
    let Some(place) = slot.place else { return };
    let mut placement = world.placement.borrow_mut();
    if !has_ended || slot.handle.condition() == Condition::Zombie {
        tracing::error!(instance = %slot.subject.path, "an instance blocks its thread and was left behind");
        placement.condemn(place);
    }
    placement.release(place, &slot.subject.path);
}

fn take(world: &World, subject: &Subject) -> Option<Box<Slot>> {
    let mut instances = world.instances.borrow_mut();
    instances.of(subject)?;
    instances.remove(&subject.path)
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
