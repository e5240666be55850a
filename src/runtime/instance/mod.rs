//! What every running thing answers to, what travels between them, and the catalog of types that this binary brings.
//!
//! A running instance is a shell (an actor on some arbiter) with an [`Inbox`]; everyone else holds a [`Handle`] to it. The node
//! tells it what to do (start, stop, update, bind …) through the handle, channels give it messages through an [`Inlet`], and it
//! sends through [`Sink`]s. Types come from the [`Catalog`]; an instance is born with a [`Birth`].

pub mod birth;
pub mod burst;
pub mod bypass;
pub mod calls;
pub mod catalog;
pub mod cradle;
pub mod failure;
pub mod handle;
pub mod inbox;
pub mod message;
pub mod route;
pub mod schema;
pub mod services;
mod trace;

pub use birth::{Birth, Environment};
pub use bypass::Bypass;
pub use calls::Calls;
pub use catalog::{Bundle, Catalog, Factory};
pub use cradle::Cradle;
pub use failure::{Failure, ParamError};
pub use handle::{Handle, Inlet};
pub use inbox::{Condition, Counts, Inbox, InputPort, Op, Overflow};
pub use message::{Form, Message, MessageError, Payload, Wire};
pub use route::{Accept, Refused, ReplyTo, Sink, Why};
pub use schema::Schema;
pub use services::{Ended, ModelService, NoModel, SubmitError};
