//! What a node refuses before it touches anything.

use std::collections::BTreeSet;

use super::world::World;
use crate::{
    logic::plan::{Plan, refuse},
    model::Model,
    words::TypeRef,
};

/// The types that this node can make instances of.
pub(super) fn known(world: &World) -> BTreeSet<TypeRef> {
    world.catalog.iter().map(|bundle| bundle.definition.id.clone()).collect()
}

/// What speaks against a plan of this node, in words.
pub(super) fn of(world: &World, plan: &Plan, running: &Model, wanted: &Model) -> Vec<String> {
    refuse(plan, running, wanted, Some(&known(world))).iter().map(ToString::to_string).collect()
}
