//! Groups: an actor on each attached node that spreads the model. The type of a group is its strategy; users write their own.
//!
//! The node talks to its group through a `GroupHandle`: `push`, `outcome`, `current`, `history`, `model_at`, `rollback`,
//! `members`, `set_report`, `synced`. The group talks to its node through the recipients of [`Adopt`] and [`GroupEvent`].

pub mod seam;

pub use seam::{Adopt, GroupEvent, Keep, KeepNothing};
