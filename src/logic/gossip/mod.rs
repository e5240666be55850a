//! How models spread and who wins.
//!
//! A replica holds one register per part of the model, each with the stamp of its last write; the later write wins. What
//! dangles is hidden in the visible model, not deleted. Every push is a revision; replicas that know the same revisions show
//! the same model. Pure values: the actor in `runtime::group` reads the clock and obeys.

mod ahead;
mod answers;
mod believe;
pub mod board;
mod catch_up;
mod clocks;
mod conflict;
pub mod full;
mod hash;
pub mod history;
pub mod message;
pub mod protocol;
pub mod push;
pub mod registers;
pub mod replica;
pub mod report;
mod revise;
pub mod revision;
pub mod row;
pub mod stamp;
pub mod timing;
mod view;
mod weight;

#[cfg(test)]
mod history_laws;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod many;

pub use believe::Unbelievable;
pub use board::Board;
pub use full::{Full, Record};
pub use history::History;
pub use message::{GroupMessage, Heartbeat};
pub use protocol::{Effect, News, Protocol};
pub use push::{Conflict, Party, Push, PushRefused, Pushed};
pub use registers::Registers;
pub use replica::{Answer, Delta, Learned, Replica};
pub use report::{Adoption, InstanceReport, InstanceState, Member, Outcome, Presence, Report, Status};
pub use revision::{InvalidRevision, Revision, RevisionId, Snapshot, StateDigest, Writes, Written};
pub use row::Row;
pub use stamp::{Clock, Origin, Stamp, TooFarAhead};
pub use timing::Timing;
