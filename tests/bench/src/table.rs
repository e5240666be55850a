//! How figures are shown: as JSON for tools, as a table for people.

use std::{collections::BTreeMap, fmt::Write};

use serde::Serialize;

use crate::rows::{OURS, Reach, Row};

/// A row with what was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    row: &'static str,
    ours: Option<f64>,
    unit: &'static str,
    reach: Option<f64>,
    /// Whether the figure is reached; nothing where there is none to reach.
    met: Option<bool>,
    /// Each peer's median.
    beside: BTreeMap<&'static str, f64>,
    /// Whether more is better, or less.
    better: &'static str,
    min: Option<f64>,
    max: Option<f64>,
    runs: usize,
    /// What was sent and did not arrive, over all runs; always 0, for a sample that loses something fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<f64>,
    /// How many times better than a peer it is, where that is a goal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ratios: Vec<Ratio>,
    /// Why there is no figure of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Why there is none of a peer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    failed: BTreeMap<&'static str, String>,
}

/// A goal beside a peer.
#[derive(Debug, Serialize)]
pub(crate) struct Ratio {
    peer: &'static str,
    ratio: f64,
    reach: f64,
    met: bool,
}

/// The samples of all contestants, as `figures` gathers them.
type Samples = BTreeMap<&'static str, Result<BTreeMap<String, Vec<f64>>, String>>;

impl Figure {
    /// What a row's samples come to.
    pub(crate) fn of(row: &Row, samples: &Samples) -> Figure {
        let values = |name: &str| -> Option<Vec<f64>> {
            let mut values = samples.get(name)?.as_ref().ok()?.get(row.figure)?.clone();
            values.sort_by(f64::total_cmp);
            (!values.is_empty()).then_some(values)
        };
        let ours = values(OURS);
        let middle = ours.as_deref().map(median);
        let others = samples.keys().filter(|name| **name != OURS);
        let beside: BTreeMap<&'static str, f64> =
            others.filter_map(|name| Some((*name, median(&values(name)?)))).collect();
        let ratios = row.ratios.iter().filter_map(|(peer, reach)| {
            let ratio = row.reach.ratio(middle?, *beside.get(peer)?);
            Some(Ratio { peer, ratio, reach: *reach, met: ratio >= *reach })
        });
        let failure = |name: &str| samples.get(name).and_then(|found| found.as_ref().err()).cloned();
        let lost = samples.get(OURS).and_then(|found| found.as_ref().ok()?.get("lost")).map(|lost| lost.iter().sum());
        Figure {
            row: row.name,
            ours: middle,
            unit: row.unit,
            reach: row.reach.bound(),
            met: row.reach.bound().and(middle).map(|middle| row.reach.is_met(middle)),
            ratios: ratios.collect(),
            beside,
            better: if matches!(row.reach, Reach::AtLeast(_) | Reach::More) { "more" } else { "less" },
            min: ours.as_ref().and_then(|ours| ours.first().copied()),
            max: ours.as_ref().and_then(|ours| ours.last().copied()),
            runs: ours.as_ref().map_or(0, Vec::len),
            lost,
            error: if middle.is_none() { failure(OURS).or(Some("no figure".to_owned())) } else { None },
            failed: samples
                .keys()
                .filter(|name| **name != OURS)
                .filter_map(|name| Some((*name, failure(name)?)))
                .collect(),
        }
    }

    /// Whether the row and its ratios are reached.
    pub(crate) fn is_good(&self) -> bool {
        self.error.is_none() && self.met != Some(false) && self.ratios.iter().all(|ratio| ratio.met)
    }
}

/// The middle of sorted values; the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 }
}

/// A figure with three digits that count.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || size == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

/// The table.
pub(crate) fn draw(rows: &[&Row], figures: &[Figure]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let mut text = format!(
        "{:width$}  {:>7} {:7} {:17} {:>9} met  beside (how many times better ours is)\n",
        "row", "ours", "", "min–max", "reach"
    );
    for (row, figure) in rows.iter().zip(figures) {
        let (ours, spread) = match (figure.ours, figure.min, figure.max) {
            (Some(ours), Some(min), Some(max)) => (short(ours), format!("{}–{}", short(min), short(max))),
            _ => ("–".to_owned(), String::new()),
        };
        let reach = match row.reach {
            Reach::AtLeast(bound) => format!("≥ {}", short(bound)),
            Reach::AtMost(bound) => format!("≤ {}", short(bound)),
            Reach::More | Reach::Less => String::new(),
        };
        let met = match figure.met {
            Some(true) => "✓",
            Some(false) => "✗",
            None => " ",
        };
        let mut beside: Vec<String> = figure
            .beside
            .iter()
            .map(|(peer, theirs)| {
                let ratio = figure.ours.map(|ours| format!(" ({}×)", short(row.reach.ratio(ours, *theirs))));
                format!("{peer} {}{}", short(*theirs), ratio.unwrap_or_default())
            })
            .collect();
        beside.extend(
            figure.ratios.iter().map(|ratio| {
                format!("≥ {} × {} {}", short(ratio.reach), ratio.peer, if ratio.met { "✓" } else { "✗" })
            }),
        );
        beside.extend(figure.failed.iter().map(|(peer, why)| format!("{peer} failed: {why}")));
        beside.extend(figure.error.iter().map(|why| format!("failed: {why}")));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:width$}  {ours:>7} {:7} {spread:17} {reach:>9}  {met}   {}",
            row.name,
            figure.unit,
            beside.join(" · ")
        );
    }
    text
}

/// The rows and what they are.
pub(crate) fn list(rows: &[&Row]) {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    for row in rows {
        println!("{:width$}  {} [{}]", row.name, row.what, row.unit);
    }
}
