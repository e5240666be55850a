//! Delivery: what one fragment of a channel keeps, for whom, how long, and what it tells the other fragments.
//!
//! A [`Strategy`] (the kind of channel) says who gets a message; the [`Fragment`] around it keeps order and bounds, hands messages
//! over, follows their outcomes, and makes the way to the other fragments lossless. It is generic over the message, told the
//! time, and acts through [`Effect`]s alone.

mod bounds;
mod carry;
mod effect;
mod end;
mod far;
mod fragment;
mod frame;
#[cfg(test)]
mod laws;
mod leaving;
mod outlet;
mod peer;
mod strategy;
mod tally;
mod telling;
mod wiring;

pub use effect::{AskId, Effect, Given, Sample, Wiring};
pub use end::{End, EndId, EndState, Ends, rendezvous, stable_hash};
pub use fragment::Fragment;
pub use frame::{Frame, LocalPort, Parcel};
pub use outlet::{Overflow, Policy, Track};
pub use strategy::{Ctx, Outcome, SourceId, Strategy, Ticket};
pub use tally::{Counters, Loss};
