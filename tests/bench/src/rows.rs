//! What is measured: measurements with their contestants, and the rows that are read from them.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::{adopt, detect, local, model, push, remote, spawn};

/// Enact's name among the contestants.
pub(crate) const OURS: &str = "enact";

/// What one sample gives: figures by name.
pub(crate) type Sample = BTreeMap<&'static str, f64>;

/// Who takes part in a measurement. A sample does `size` of whatever is counted, and fails when one of it is lost.
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) sample: fn(size: u64) -> Result<Sample>,
}

/// What several contestants do in the same run.
pub(crate) struct Measurement {
    pub(crate) name: &'static str,
    /// How much a sample does, and how much a quick one.
    pub(crate) size: u64,
    pub(crate) quick: u64,
    pub(crate) contestants: &'static [Contestant],
}

/// What is good.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    AtLeast(f64),
    AtMost(f64),
    /// Shown for what it is; more is better.
    More,
    /// Shown for what it is; less is better.
    Less,
}

impl Reach {
    /// The bound, if there is one.
    pub(crate) fn bound(self) -> Option<f64> {
        match self {
            Reach::AtLeast(bound) | Reach::AtMost(bound) => Some(bound),
            Reach::More | Reach::Less => None,
        }
    }

    /// Whether a figure is good enough.
    pub(crate) fn is_met(self, figure: f64) -> bool {
        match self {
            Reach::AtLeast(bound) => figure >= bound,
            Reach::AtMost(bound) => figure <= bound,
            Reach::More | Reach::Less => true,
        }
    }

    /// How many times better ours is than theirs.
    pub(crate) fn ratio(self, ours: f64, theirs: f64) -> f64 {
        match self {
            Reach::AtLeast(_) | Reach::More => ours / theirs,
            Reach::AtMost(_) | Reach::Less => theirs / ours,
        }
    }
}

/// A line of the table.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) measurement: &'static Measurement,
    /// Which figure of its samples.
    pub(crate) figure: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) reach: Reach,
    /// How many times better than a peer it is to be, in the same run.
    pub(crate) ratios: &'static [(&'static str, f64)],
}

/// All rows, in the order of the table.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    [local::ROWS, spawn::ROWS, remote::ROWS, detect::ROWS, model::ROWS, adopt::ROWS, push::ROWS].into_iter().flatten()
}

/// A measurement by name.
pub(crate) fn measurement(name: &str) -> Option<&'static Measurement> {
    all().map(|row| row.measurement).find(|measurement| measurement.name == name)
}
