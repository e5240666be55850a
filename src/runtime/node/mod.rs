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
mod placement;
mod refusals;
mod scrape;
mod serve;
mod step;
mod steps_back;
mod supervise;
mod wires;
mod wiring;
mod world;

use std::rc::Rc;

use actix::{Actor, AsyncContext, Context, Handler, ResponseFuture, WrapFuture};

pub use boot::{Boot, BootError};
pub use launch::StartError;
pub use options::Options;

use self::{api::What, world::World};
use crate::{
    logic::{gossip::Adoption, plan::Limits},
    model::change::Element,
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
        let Some((subject, delay)) = restart else { return };
        let (world, limit, me) = (self.world.clone(), self.limits.step, ctx.address());
        let revive = async move {
            if let Some(ended) = supervise::revive(world.clone(), subject, delay, limit).await {
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
        if let Some((node, what)) = told(event) {
            self.world.journal.borrow_mut().note(node, what);
        }
    }
}

/// A group's event in the words of the API. What the network tells too (who came, who went) is noted from there.
fn told(event: GroupEvent) -> Option<(Option<crate::words::NodeName>, What)> {
    use serve::name;
    match event {
        GroupEvent::MemberUp { .. } | GroupEvent::MemberDown { .. } => None,
        GroupEvent::Synced { by } => {
            let text = match by {
                Some(node) => format!("took the model from {node}"),
                None => "nobody is there: alone in the group".to_owned(),
            };
            Some((None, What::Note { text }))
        }
        GroupEvent::Revised { revision, by, message, .. } => {
            let from = api::Revision::new(revision.number.saturating_sub(1));
            let node = Some(revision.origin.clone());
            Some((node, What::Proposed { revision: name(Some(&revision)), from, by, message }))
        }
        GroupEvent::Answered { node, revision, adoption } => {
            let revision = name(Some(&revision));
            let what = match adoption {
                Adoption::Adopted => What::Adopted { revision, n_steps: 0, elapsed_ms: 0 },
                Adoption::RolledBack { step, cause } => What::RolledBack { revision, step, cause },
                Adoption::Refused { cause } => {
                    What::RolledBack { revision, step: "before the first step".to_owned(), cause }
                }
                Adoption::Degraded { cause } => What::Degraded { revision, cause },
            };
            Some((Some(node), what))
        }
        GroupEvent::Converged { revision } => {
            Some((None, What::Converged { revision: name(Some(&revision)), n_nodes: 0, elapsed_ms: 0 }))
        }
        GroupEvent::Collided { conflict, .. } => {
            let party = |party: &crate::logic::gossip::Party| {
                party.revision.as_ref().map_or_else(api::Revision::default, |id| api::Revision {
                    number: id.number,
                    origin: Some(id.origin.clone()),
                })
            };
            let lost = vec![format!("{}: {}", element(&conflict.element), register(&conflict))];
            Some((None, What::Overwritten { loser: party(&conflict.loser), winner: party(&conflict.winner), lost }))
        }
        GroupEvent::Refused { node, cause } => Some((Some(node), What::NodeRefused { reason: cause })),
    }
}

/// An element as people call it.
fn element(element: &Element) -> String {
    match element {
        Element::Node(name) => format!("node {name}"),
        Element::Component(id) => format!("component {id}"),
        Element::Channel(name) => format!("channel {name}"),
        Element::Group(name) => format!("group {name}"),
        Element::Binding(id, port, channel) => format!("binding of {id}.{port} to {channel}"),
        Element::Type(id) => format!("type {id}"),
        Element::Unit(id) => format!("unit {} {}", id.name, id.version),
        Element::Scope(name) => format!("scope {name}"),
        Element::Repository(url) => format!("repository {url}"),
    }
}

fn register(conflict: &crate::logic::gossip::Conflict) -> String {
    let cell = |cell: &Option<crate::model::change::Cell>| {
        cell.as_ref().map_or("nothing".to_owned(), |cell| format!("{cell:?}"))
    };
    format!("{:?} {} (kept {})", conflict.register, cell(&conflict.lost), cell(&conflict.kept))
}
