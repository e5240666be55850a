//! Groups: an actor on each attached node that spreads the model. The type of a group is its strategy; users write their own.
//!
//! The node makes a group through the catalog, like every instance, with the engine's `Router` and a [`GroupHost`] in its
//! environment; the facet of the group's handle is a [`GroupHandle`]: `push`, `outcome`, `current`, `history`, `model_at`,
//! `rollback`, `members`, `set_report`, `synced`. The group talks to its node through the recipients of [`Adopt`] and
//! [`GroupEvent`].

mod handle;
mod kind;
pub mod seam;
mod shell;
mod wire;

pub use handle::{GroupHandle, Outcomes};
pub use kind::{Gossip, GroupCtx, GroupType, Strategy, bundle, definition};
pub use seam::{Adopt, GroupEvent, GroupHost, Keep, KeepNothing, KeepOf};

#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod tests;
