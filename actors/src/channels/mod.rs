//! The channels that ship with Enact.

mod broadcast;
mod hash;
mod queue;
mod request;
mod round_robin;

use enact::runtime::{channel::bundle, instance::Bundle};

pub use broadcast::Broadcast;
pub use hash::Hash;
pub use queue::Queue;
pub use request::Request;
pub use round_robin::RoundRobin;

/// All of them, for a catalog.
pub fn all() -> Vec<Bundle> {
    let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    vec![
        bundle::<Broadcast>(name, version),
        bundle::<RoundRobin>(name, version),
        bundle::<Hash>(name, version),
        bundle::<Queue>(name, version),
        bundle::<Request>(name, version),
    ]
}
