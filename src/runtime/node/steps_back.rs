//! Taking everything down: for a node that ends, and for one whose last adaptation left it in between.

use std::{rc::Rc, time::Duration};

use futures_util::future::join_all;

use super::{handover, step, world::World};
use crate::{logic::plan::HandOver, model::Model, words::InstancePath};

/// Stops all that runs (senders before channels, channels before receivers would be ideal; components before channels is
/// enough, since channels keep what nobody takes), keeps the states of components, and ends every instance.
pub(super) async fn clear(world: &Rc<World>, limit: Duration) {
    let paths: Vec<InstancePath> =
        world.instances.borrow().in_order().iter().map(|slot| slot.subject.path.clone()).collect();
    let (components, others): (Vec<_>, Vec<_>) =
        paths.into_iter().partition(|path| matches!(path, InstancePath::Component(..)));
    join_all(components.iter().map(|path| stop_and_keep(world, path, limit))).await;
    join_all(components.iter().chain(&others).map(|path| end(world, path, limit))).await;
    super::hosted::stop_all(world, limit).await;
    *world.wires.borrow_mut() = Default::default();
    *world.running.borrow_mut() = Model::default();
    *world.adopted.borrow_mut() = None;
    world.is_degraded.set(false);
}

async fn stop_and_keep(world: &Rc<World>, path: &InstancePath, limit: Duration) {
    let found = world.instances.borrow().at(path).map(|slot| (slot.handle.clone(), slot.subject.clone()));
    let Some((handle, subject)) = found else { return };
    if let Err(failure) = handle.stop(limit).await {
        tracing::warn!(instance = %path, %failure, "did not stop well");
    }
    if let Err(cause) = handover::keep(world, &subject, &HandOver::Forget, &handle, limit).await {
        tracing::warn!(instance = %path, cause, "its state is lost");
    }
}

async fn end(world: &Rc<World>, path: &InstancePath, limit: Duration) {
    let slot = world.instances.borrow_mut().remove(path);
    if let Some(slot) = slot {
        step::end(world, *slot, limit).await;
    }
}
