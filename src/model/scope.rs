//! Scopes: named sets of nodes that archetypes search in.

use imbl::OrdSet;
use serde::{Deserialize, Serialize};

use crate::words::NodeName;

/// A named set of nodes. Who leads it is derived from who is alive, never written here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scope {
    /// The nodes that belong to it.
    #[serde(deserialize_with = "super::bounded::set")]
    pub members: OrdSet<NodeName>,
}
