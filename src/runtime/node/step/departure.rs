//! An instance goes: its state is kept, what it had not handled goes to its successor, its place is given back.

use std::{rc::Rc, sync::Arc, time::Duration};

use super::{Begun, NOTHING, Then, handle_of, hosted_node, waits};
use crate::{
    logic::plan::{Blueprint, HandOver, Subject},
    runtime::{
        instance::{Condition, Failure, Op, handle::GRACE, inbox::Outcome},
        node::{handover, hosted, instances::Slot, wiring, world::World},
    },
};

pub(super) fn begin_remove(world: &Rc<World>, blueprint: &Blueprint, hand_over: &HandOver, limit: Duration) -> Begun {
    let subject = &blueprint.subject;
    if let Some(node) = hosted_node(subject).cloned() {
        let world = world.clone();
        return waits(async move { hosted::remove(&world, &node, limit).await });
    }
    let Some(handle) = handle_of(world, subject) else { return NOTHING };
    if handover::is_wanted(subject, hand_over) {
        return Begun::Asks(handle, Op::Snapshot, Then::Snapshot);
    }
    begin_end(world, subject, hand_over)
}

/// The state of an instance that goes is there: keeps it, where that says anything.
pub(super) fn snapshot_taken(
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
    wiring::tell_last(world, &subject.path);
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
pub(super) fn ended(world: &Rc<World>, slot: Box<Slot>, outcome: Outcome) -> Begun {
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
pub(super) async fn discard(world: &Rc<World>, subject: &Subject, limit: Duration) {
    if let Some(slot) = take(world, subject) {
        end(world, *slot, limit).await;
    }
}

/// Ends an instance that is out of the table already, and gives its place back.
pub(in crate::runtime::node) async fn end(world: &World, slot: Slot, limit: Duration) {
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
