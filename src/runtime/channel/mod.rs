//! Channels: the API, the actor, and what they say to each other.
//!
//! A channel has a *fragment* on each node with a port bound to it. An instance of a [`ChannelType`] in each fragment says who gets
//! a message; the fragment keeps order and bounds ([`crate::logic::delivery`]). The node holds a `Handle` as for every instance; its
//! facet [`Door`] binds ports:
//!
//! ```no_run
//! # use enact::{runtime::{channel::{Door, Wiring}, instance::{Handle, Inlet, Sink}}, words::PortPath, model::Model};
//! # fn bind(channel: Handle, model: &Model, from: PortPath, to: PortPath, receiver: Inlet) {
//! let door = channel.facet::<Door>().expect("a channel's handle has a door");
//! let sink: Sink = door.sink(from); // for the sender: `Handle::bind`
//! door.open(to, receiver); // a receiver of this node
//! door.rewire(Wiring::of(model, &"ticks".parse().unwrap())); // who else is on the channel, on every node
//! # }
//! ```

mod door;
mod kind;
mod network;
mod orders;
mod settings;
mod shell;
mod tap;
pub mod testing;
mod wiring;

pub use door::Door;
pub use kind::{ChannelCtx, ChannelType, bundle, definition};
pub use settings::{Settings, attribute};
pub use tap::{Tap, Tapped};
pub use wiring::{Receiving, Wiring};

pub use crate::logic::delivery::{
    Counters, End, EndId, EndState, Ends, Loss, Outcome, Overflow, Policy, SourceId, Ticket, rendezvous, stable_hash,
};
