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
    /// Whether the figure and all ratios are reached: false without a figure of ours; nothing where there is nothing to reach, or
    /// where a peer is not there beside which something is to be reached.
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
    /// Nothing where the peer has no figure, or we have none.
    ratio: Option<f64>,
    reach: f64,
    met: Option<bool>,
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
        let ratio_of = |(peer, reach): &(&'static str, f64)| {
            let ratio = middle.zip(beside.get(peer)).map(|(ours, theirs)| row.reach.ratio(ours, *theirs));
            Ratio { peer, ratio, reach: *reach, met: ratio.map(|ratio| ratio >= *reach) }
        };
        let ratios: Vec<Ratio> = row.ratios.iter().map(ratio_of).collect();
        let is_reached = row.reach.bound().map(|_| middle.map(|middle| row.reach.is_met(middle)));
        let goals: Vec<Option<bool>> = is_reached.into_iter().chain(ratios.iter().map(|ratio| ratio.met)).collect();
        let failure = |name: &str| samples.get(name).and_then(|found| found.as_ref().err()).cloned();
        let lost = samples.get(OURS).and_then(|found| found.as_ref().ok()?.get("lost")).map(|lost| lost.iter().sum());
        Figure {
            row: row.name,
            ours: middle,
            unit: row.unit,
            reach: row.reach.bound(),
            met: if middle.is_some() { verdict(&goals) } else { Some(false) },
            ratios,
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

    /// Whether there is anything to reach.
    fn has_goal(&self) -> bool {
        self.reach.is_some() || !self.ratios.is_empty()
    }

    /// Whether all is reached that is to be. What nobody can tell, for want of a peer, is not.
    pub(crate) fn is_good(&self) -> bool {
        self.error.is_none() && (self.met == Some(true) || !self.has_goal())
    }
}

/// Whether all goals are met: not if one is not; nobody knows if one is not known, or if there is none.
fn verdict(goals: &[Option<bool>]) -> Option<bool> {
    if goals.contains(&Some(false)) {
        return Some(false);
    }
    let is_known = !goals.is_empty() && goals.iter().all(Option::is_some);
    is_known.then_some(true)
}

/// How a verdict is shown.
fn sign(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "✓",
        Some(false) => "✗",
        None => "?",
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
        let met = if figure.met.is_some() || figure.has_goal() { sign(figure.met) } else { " " };
        let mut beside: Vec<String> = figure
            .beside
            .iter()
            .map(|(peer, theirs)| {
                let ratio = figure.ours.map(|ours| format!(" ({}×)", short(row.reach.ratio(ours, *theirs))));
                format!("{peer} {}{}", short(*theirs), ratio.unwrap_or_default())
            })
            .collect();
        beside.extend(
            figure.ratios.iter().map(|ratio| format!("≥ {} × {} {}", short(ratio.reach), ratio.peer, sign(ratio.met))),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Measurement;

    static MEASUREMENT: Measurement = Measurement { name: "race", size: 1, quick: 1, contestants: &[] };

    const fn row(reach: Reach, ratios: &'static [(&'static str, f64)]) -> Row {
        Row { name: "race", what: "a race", measurement: &MEASUREMENT, figure: "rate", unit: "M/s", reach, ratios }
    }

    static TWICE: Row = row(Reach::AtLeast(6.0), &[("hare", 2.0)]);

    /// Each contestant's figure, or none because it failed.
    fn figure(row: &Row, contestants: &[(&'static str, Option<f64>)]) -> Figure {
        let samples = contestants.iter().map(|(name, rate)| {
            let rates = rate.map(|rate| BTreeMap::from([("rate".to_owned(), vec![rate])]));
            (*name, rates.ok_or_else(|| "it fell asleep".to_owned()))
        });
        Figure::of(row, &samples.collect())
    }

    #[test]
    fn a_row_is_met_when_its_figure_and_all_its_ratios_are() {
        let verdict = |ours, theirs| figure(&TWICE, &[(OURS, Some(ours)), ("hare", Some(theirs))]).met;
        assert_eq!(verdict(8.0, 4.0), Some(true));
        assert_eq!(verdict(8.0, 4.1), Some(false), "1.95 times is not twice");
        assert_eq!(verdict(5.0, 1.0), Some(false), "5 is short of 6, whoever is beside");
    }

    #[test]
    fn less_than_a_bound_and_so_many_times_less_than_a_peer() {
        static SOON: Row = row(Reach::AtMost(10.0), &[("hare", 2.0)]);
        let verdict = |ours, theirs| figure(&SOON, &[(OURS, Some(ours)), ("hare", Some(theirs))]).met;
        assert_eq!(
            (verdict(9.0, 18.0), verdict(9.0, 17.0), verdict(11.0, 99.0)),
            (Some(true), Some(false), Some(false))
        );
    }

    #[test]
    fn a_ratio_to_a_peer_that_is_absent_or_failed_is_not_met_in_silence() {
        for beside in [[(OURS, Some(8.0))].as_slice(), &[(OURS, Some(8.0)), ("hare", None)]] {
            let figure = figure(&TWICE, beside);
            let json = serde_json::to_value(&figure).expect("it is JSON");
            assert!(json["met"].is_null(), "{json}");
            assert!(json["ratios"][0]["ratio"].is_null() && json["ratios"][0]["met"].is_null(), "{json}");
            assert!(!figure.is_good(), "--strict does not let it pass");
            assert!(draw(&[&TWICE], &[figure]).contains("≥ 2.00 × hare ?"));
        }
        assert_eq!(figure(&TWICE, &[(OURS, Some(5.0))]).met, Some(false), "short by itself");
    }

    #[test]
    fn a_row_of_ours_that_failed_is_not_met() {
        let failed = figure(&TWICE, &[(OURS, None), ("hare", Some(4.0))]);
        assert_eq!((failed.met, failed.error.as_deref()), (Some(false), Some("it fell asleep")));
        assert!(!failed.is_good());
    }

    #[test]
    fn a_row_without_a_goal_is_neither_met_nor_short() {
        let shown = figure(&row(Reach::More, &[]), &[(OURS, Some(1.0)), ("hare", Some(4.0))]);
        assert_eq!(shown.met, None);
        assert!(shown.is_good());
    }
}
