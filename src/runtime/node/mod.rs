//! The node actor: starts everyone, applies plans, supervises. The only one that knows the others.
//!
//! [`launch::run`] makes a node of [`Options`] and a catalog. The group hands over a target ([`adapt`]), a plan says what to do, its
//! steps do it ([`step`]); what crashes is started again ([`supervise`]); consoles are answered ([`serve`]). All of it lives on one
//! arbiter, where no user code runs, and shares one [`world::World`].

mod adapt;
pub mod api;
mod boot;
mod disk;
mod handover;
mod hosted;
mod instances;
mod journal;
pub mod launch;
mod local;
mod model_service;
pub mod options;
mod overwritten;
mod placement;
mod poison;
mod rates;
mod refusals;
mod scrape;
mod serve;
mod states;
mod step;
mod steps_back;
mod supervise;
mod told;
mod wires;
mod wiring;
mod world;

use std::rc::Rc;

use actix::{Actor, AsyncContext, Context, Handler, ResponseFuture, WrapFuture};

pub use boot::{Boot, BootError};
pub use launch::StartError;
pub use options::Options;

use self::world::World;
use crate::{
    logic::{gossip::Adoption, plan::Limits},
    runtime::{
        group::{Adopt, GroupEvent},
        instance::Ended,
    },
};

/// The actor that groups and instances talk up to.
struct NodeActor {
    world: Rc<World>,
    limits: Limits,
}

impl Actor for NodeActor {
    type Context = Context<Self>;
}

impl Handler<Adopt> for NodeActor {
    type Result = ResponseFuture<Adoption>;

    fn handle(&mut self, target: Adopt, _: &mut Context<Self>) -> Self::Result {
        let (world, limits) = (self.world.clone(), self.limits.clone());
        Box::pin(async move {
            if let Some(own) = world.group().filter(|own| *own.name() != target.group) {
                // One group says what a node runs; others that it is attached to spread their models to those who follow them.
                let cause = format!("\"{}\" takes its model from the group \"{}\"", world.me, own.name());
                return Adoption::Refused { cause };
            }
            let adoption = adapt::adopt(world.clone(), target.snapshot, limits).await;
            world.tell_group();
            if world.stop_wanted.get() {
                world.stop.notify_one();
            }
            adoption
        })
    }
}

impl Handler<Ended> for NodeActor {
    type Result = ();

    fn handle(&mut self, ended: Ended, ctx: &mut Context<Self>) {
        let restart = supervise::ended(&self.world, &ended);
        self.world.tell_group();
        let Some(restart) = restart else { return };
        let (world, limit, me) = (self.world.clone(), self.limits.step, ctx.address());
        let revive = async move {
            if let Some(ended) = supervise::revive(world.clone(), restart, limit).await {
                me.do_send(ended);
            }
            world.tell_group();
        };
        ctx.spawn(revive.into_actor(self));
    }
}

impl Handler<GroupEvent> for NodeActor {
    type Result = ();

    fn handle(&mut self, event: GroupEvent, _: &mut Context<Self>) {
        told::note(&self.world, event);
    }
}
