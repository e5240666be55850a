//! Counters and gauges, and their text form for Prometheus.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The most series of one name. Beyond it a new series counts for itself but is not shown: labels must not fill the memory.
const SERIES_MAX: usize = 10_000;

/// Counts up. Cheap to clone and to use from any thread.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How much was counted.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Holds the newest of a changing number.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// The newest value.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

#[derive(Debug)]
struct Family {
    help: &'static str,
    kind: Kind,
    /// By labels, written as they are shown.
    series: BTreeMap<String, Arc<AtomicU64>>,
}

/// All metrics of a process. Cheap to clone, all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<BTreeMap<&'static str, Family>>>);

impl Metrics {
    /// The counter of this name and labels; made on first use. Names end in `_total`.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Counter {
        Counter(self.series(name, help, Kind::Counter, labels))
    }

    /// The gauge of this name and labels; made on first use.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)]) -> Gauge {
        Gauge(self.series(name, help, Kind::Gauge, labels))
    }

    /// Forgets every series with this label: what it described is gone.
    pub fn forget(&self, label: &str, value: &str) {
        let needle = written(&[(label, value)]);
        for family in self.families().values_mut() {
            family
                .series
                .retain(|labels, _| !labels.split_inclusive("\",").any(|one| one.trim_end_matches(',') == needle));
        }
    }

    /// Everything in Prometheus' text form.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (name, family) in self.families().iter() {
            let kind = if family.kind == Kind::Counter { "counter" } else { "gauge" };
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", family.help);
            for (labels, cell) in &family.series {
                let bits = cell.load(Ordering::Relaxed);
                let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
                let _ = match family.kind {
                    Kind::Counter => writeln!(text, "{name}{labels} {bits}"),
                    Kind::Gauge => writeln!(text, "{name}{labels} {}", f64::from_bits(bits)),
                };
            }
        }
        text
    }

    fn series(&self, name: &'static str, help: &'static str, kind: Kind, labels: &[(&str, &str)]) -> Arc<AtomicU64> {
        let mut families = self.families();
        let family = families.entry(name).or_insert_with(|| Family { help, kind, series: BTreeMap::new() });
        debug_assert_eq!(family.kind, kind, "metric {name} is used as two kinds");
        let labels = written(labels);
        if !family.series.contains_key(&labels) && family.series.len() >= SERIES_MAX {
            return Arc::default();
        }
        Arc::clone(family.series.entry(labels).or_default())
    }

    fn families(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Family>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Labels as Prometheus reads them: `a="1",b="2"`.
fn written(labels: &[(&str, &str)]) -> String {
    let escaped = |value: &str| value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
    labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_shown_as_prometheus_reads_them() {
        let metrics = Metrics::default();
        let sent = metrics.counter("enact_sent_total", "Messages sent.", &[("channel", "ti\"cks")]);
        sent.add(2);
        metrics.counter("enact_sent_total", "Messages sent.", &[("channel", "ti\"cks")]).add(1);
        metrics.gauge("enact_nodes", "Nodes present.", &[]).set(2.5);
        insta::assert_snapshot!(metrics.render(), @r#"
        # HELP enact_nodes Nodes present.
        # TYPE enact_nodes gauge
        enact_nodes 2.5
        # HELP enact_sent_total Messages sent.
        # TYPE enact_sent_total counter
        enact_sent_total{channel="ti\"cks"} 3
        "#);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let metrics = Metrics::default();
        metrics.counter("c_total", "", &[("node", "a"), ("instance", "x")]).add(1);
        metrics.counter("c_total", "", &[("node", "b"), ("instance", "x")]).add(1);
        metrics.forget("node", "a");
        assert!(!metrics.render().contains("node=\"a\""));
        assert!(metrics.render().contains("node=\"b\""));
    }
}
