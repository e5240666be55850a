//! Channels learn from here who hangs on them: receivers of this node one by one, everyone else at once.

use std::time::Duration;

use super::{api::Counters, world::World};
use crate::{
    logic::plan::End,
    runtime::{
        channel::{Door, Wiring},
        instance::{Handle, Message, Sink},
    },
    words::{ChannelName, InstancePath, PortName, PortPath},
};

/// How long a fragment has to say what went through it: it may be busy, and the status must not wait for it.
const COUNTERS_LIMIT: Duration = Duration::from_millis(50);

/// Connects an end of this node to its channel. Others on the channel are told of it by [`tell_channels`]. A sender has to be told
/// itself: who, and where it sends from now on.
///
/// # Errors
/// When the channel or the component does not run here, or has no such port.
pub(super) fn connect(world: &World, end: &End) -> Result<Option<(Handle, Sink)>, String> {
    let port = &end.binding.port;
    let (Some(channel), Some(component)) = (channel(world, &end.binding.channel), component(world, port)) else {
        return Err(format!("\"{port}\" or its channel \"{}\" does not run here", end.binding.channel));
    };
    let door = door(&channel)?;
    if end.receives {
        let inlet = component.inlet(port.port.as_str()).map_err(|failure| failure.to_string())?;
        door.open(port.clone(), inlet);
        return Ok(None);
    }
    Ok(Some((component, door.sink(port.clone()))))
}

/// Takes an end of this node off its channel; a sender has to be told itself. What the channel keeps for a receiver stays until
/// [`tell_channels`] says that it is gone for good: its successor here or elsewhere is given it.
///
/// # Errors
/// When the channel is none.
pub(super) fn disconnect(world: &World, end: &End) -> Result<Option<Handle>, String> {
    let port = &end.binding.port;
    if !end.receives {
        return Ok(component(world, port));
    }
    if let Some(channel) = channel(world, &end.binding.channel) {
        door(&channel)?.close(port.clone());
    }
    Ok(None)
}

/// Tells every channel whose ends have changed who is on it now.
pub(super) fn tell_channels(world: &World) {
    let untold = world.wires.borrow_mut().take_untold();
    for name in untold {
        let Some(Ok(door)) = channel(world, &name).map(|channel| door(&channel)) else { continue };
        let wires = world.wires.borrow();
        door.rewire(Wiring { receivers: wires.receivers(&name), senders: wires.senders(&name) });
    }
}

/// Tells a channel that goes from this node who will be on it elsewhere: there goes what it still has.
pub(super) fn tell_last(world: &World, path: &InstancePath) {
    let InstancePath::Channel(name) = path else { return };
    if let Some(Ok(door)) = channel(world, name).map(|channel| door(&channel)) {
        door.rewire(Wiring::of(&world.wanted.borrow(), name));
    }
}

/// Gives back to their channels what a component that goes has not handled: its successor is given it first.
pub(super) fn return_waiting(world: &World, path: &InstancePath, waiting: Vec<(PortName, Message)>) {
    let InstancePath::Component(node, component) = path else { return };
    let mut by_port: std::collections::BTreeMap<PortName, Vec<Message>> = Default::default();
    for (port, message) in waiting {
        by_port.entry(port).or_default().push(message);
    }
    for (port, messages) in by_port {
        let path = PortPath { node: node.clone(), component: component.clone(), port };
        let name = world.wires.borrow().last_channel_of(&path);
        match name.and_then(|name| channel(world, &name)).map(|channel| door(&channel)) {
            Some(Ok(door)) => door.take_back(path, messages),
            _ => tracing::warn!(port = %path, n_messages = messages.len(), "messages are lost with their receiver"),
        }
    }
}

/// What went through a channel's fragment on this node, and the time that 99 of 100 messages stayed below, in us.
pub(super) async fn counters(channel: &Handle) -> Option<(Counters, u64)> {
    let counters = door(channel).ok()?.counters(COUNTERS_LIMIT).await.ok()?;
    let p99_us = counters.p99_us;
    let counters = Counters {
        received: counters.received,
        sent: counters.delivered,
        queued: counters.kept,
        lost: counters.lost,
        per_s: 0.0,
    };
    Some((counters, p99_us))
}

/// The handle of a channel's fragment on this node.
pub(super) fn channel(world: &World, name: &ChannelName) -> Option<Handle> {
    world.instances.borrow().at(&InstancePath::Channel(name.clone())).map(|slot| slot.handle.clone())
}

fn component(world: &World, port: &PortPath) -> Option<Handle> {
    let path = InstancePath::Component(port.node.clone(), port.component.clone());
    world.instances.borrow().at(&path).map(|slot| slot.handle.clone())
}

/// The door of a channel.
///
/// # Errors
/// When the instance is no channel: only a type of a foreign making has none.
pub(super) fn door(channel: &Handle) -> Result<std::sync::Arc<Door>, String> {
    channel.facet::<Door>().ok_or_else(|| format!("\"{}\" has no door: its type is no channel's", channel.path()))
}
