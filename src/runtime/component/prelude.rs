//! What a component's source needs: `use enact::prelude::*;`.

pub use std::time::Duration;

pub use enact_macros::{Component, component};

pub use super::{Changed, Ctx, Me, Out, ParamType, Result, Sent, from_value, to_value};
pub use crate::{runtime::instance::Message, words::Value};
