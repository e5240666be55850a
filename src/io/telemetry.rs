//! Logs and metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::words::{Time, Value};

/// A log record as it is kept in memory and read with `logs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When.
    pub at: Time,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The module that said it.
    pub target: String,
    /// The instance in whose span it was said: `node1.ticker`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The message.
    pub message: String,
    /// Its fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Value>,
}
