//! How models spread and who wins.
//!
//! A replica holds one register per part of the model, each with the stamp of its last write; the later write wins. What
//! dangles is hidden in the visible model, not deleted. Every push is a revision; replicas that know the same revisions show
//! the same model. Pure values: the actor in `runtime::group` reads the clock and obeys.

pub mod push;
pub mod report;
pub mod revision;
pub mod stamp;

pub use push::{Conflict, Party, Push, PushRefused, Pushed};
pub use report::{Adoption, InstanceReport, InstanceState, Member, Outcome, Presence, Report, Status};
pub use revision::{InvalidRevision, Revision, RevisionId, Snapshot, StateDigest, Writes, Written};
pub use stamp::{Clock, Origin, Stamp, TooFarAhead};
