//! Whether something levels off: how much it still grew in the second half of the run.

use std::{fmt::Write, time::Duration};

use super::{Account, sample::Sample};

/// A figure of a process, and how much it may grow in the second half: what one more burst of work may leave behind, and far
/// less than what a leak of a few bytes a message or a kilobyte a change would come to in half an hour.
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) of: fn(&Sample) -> f64,
    pub(super) may_grow: f64,
}

pub(super) const FIGURES: [Figure; 5] = [
    Figure { name: "memory", unit: "MiB", of: |sample| sample.memory_kib as f64 / 1024.0, may_grow: 4.0 },
    Figure { name: "threads", unit: "", of: |sample| sample.n_threads as f64, may_grow: 2.0 },
    // One more for each connection that comes or goes in the same moment, until ten seconds without such a one; commands come more
    // often than that.
    Figure { name: "threads of zenoh", unit: "", of: |sample| sample.n_zenoh_threads as f64, may_grow: 4.0 },
    Figure { name: "files", unit: "", of: |sample| sample.n_files as f64, may_grow: 8.0 },
    Figure { name: "store", unit: "MiB", of: |sample| sample.store_kib as f64 / 1024.0, may_grow: 4.0 },
];

/// What became of a figure on a node.
pub(super) struct Verdict {
    figure: &'static Figure,
    node: String,
    /// Whether one process lived through the second half.
    one_life: bool,
    highest: f64,
    last: f64,
    grew: f64,
}

impl Verdict {
    pub(super) fn is_level(&self) -> bool {
        self.grew <= self.figure.may_grow
    }
}

/// Looks at every figure of every node.
pub(super) fn judge(samples: &[Sample], whole: Duration) -> Vec<Verdict> {
    let mut nodes: Vec<&str> = samples.iter().map(|sample| sample.node.as_str()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let one = |figure: &'static Figure, node: &str| {
        let of_node: Vec<&Sample> = samples.iter().filter(|sample| sample.node == node).collect();
        let half: Vec<&Sample> = of_node.iter().copied().filter(|sample| sample.at >= whole / 2).collect();
        let one_life = half.windows(2).all(|pair| pair[0].pid == pair[1].pid);
        let grew = if one_life { growth(figure, &half) } else { peaks(figure, &half, whole) };
        let highest = of_node.iter().map(|sample| (figure.of)(sample)).fold(0.0, f64::max);
        let last = of_node.last().map_or(0.0, |sample| (figure.of)(sample));
        Verdict { figure, node: node.to_owned(), one_life, highest, last, grew }
    };
    FIGURES.iter().flat_map(|figure| nodes.iter().map(move |node| one(figure, node))).collect()
}

/// The growth of a straight line through all points (least squares), from the first to the last.
fn growth(figure: &Figure, samples: &[&Sample]) -> f64 {
    let points: Vec<(f64, f64)> = samples.iter().map(|sample| (sample.at.as_secs_f64(), (figure.of)(sample))).collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return 0.0 };
    let n = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0 / n, y + point.1 / n));
    let (up, down) = points.iter().fold((0.0, 0.0), |(up, down), point| {
        (up + (point.0 - x) * (point.1 - y), down + (point.0 - x) * (point.0 - x))
    });
    if down > 0.0 { up / down * (last.0 - first.0) } else { 0.0 }
}

/// How much higher the last quarter went than the one before: for nodes that were killed now and then.
fn peaks(figure: &Figure, half: &[&Sample], whole: Duration) -> f64 {
    let highest = |late: bool| {
        let quarter = half.iter().filter(|sample| (sample.at >= whole * 3 / 4) == late);
        quarter.map(|sample| (figure.of)(sample)).fold(0.0, f64::max)
    };
    highest(true) - highest(false)
}

/// The page that tells what became of it.
pub(super) fn summary(
    verdict: &[Verdict],
    account: &Account,
    samples: &[Sample],
    n_nodes: u32,
    in_step: bool,
) -> String {
    let mut page = String::from(
        "| figure | node | highest | last | grew in the second half | may grow | |\n|---|---|---|---|---|---|---|\n",
    );
    for Verdict { figure: Figure { name, unit, may_grow, .. }, node, highest, last, grew, one_life } in verdict {
        let how = if *one_life { "" } else { " (peaks)" };
        let word = if grew <= may_grow { "level" } else { "GROWS" };
        let _ = writeln!(
            page,
            "| {name} {unit} | {node} | {highest:.1} | {last:.1} | {grew:+.2}{how} | {may_grow} | {word} |"
        );
    }
    let done: Vec<String> = account.done.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    let _ = writeln!(page, "\nChanges: {}.", done.join(", "));
    let _ = writeln!(page, "Messages received: {}.", messages(samples));
    let killed: Vec<String> = account.kills.iter().map(|(at, node)| format!("{node} at {}", minutes(*at))).collect();
    let _ = writeln!(
        page,
        "Killed and started again: {}.",
        if killed.is_empty() { "none".into() } else { killed.join(", ") }
    );
    for (at, node) in &account.ended {
        let _ = writeln!(page, "{node} ENDED BY ITSELF at {}.", minutes(*at));
    }
    for (at, error) in &account.refused {
        let error = error.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" | ");
        let _ = writeln!(page, "At {}: {error}", minutes(*at));
    }
    let (n_false, n_silent) = (account.false_deaths(n_nodes), account.suspicions);
    let _ =
        writeln!(page, "Nodes thought dead that lived: {n_false}. Nodes that were silent for a moment: {n_silent}.");
    let _ = writeln!(page, "In the end all nodes {} in step.", if in_step { "are" } else { "ARE NOT" });
    page
}

/// Over all processes: each counts from zero.
fn messages(samples: &[Sample]) -> u64 {
    let mut most = std::collections::BTreeMap::new();
    for sample in samples {
        let highest: &mut u64 = most.entry(sample.pid).or_default();
        *highest = sample.n_messages.max(*highest);
    }
    most.values().sum()
}

fn minutes(at: Duration) -> String {
    format!("{}:{:02}", at.as_secs() / 60, at.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(memory_kib: impl Fn(u64) -> u64, pid: impl Fn(u64) -> u32) -> Vec<Sample> {
        let one = |second: u64| Sample {
            at: Duration::from_secs(second),
            node: "node01".into(),
            pid: pid(second),
            memory_kib: memory_kib(second),
            resident_kib: 25_000 + memory_kib(second),
            n_threads: 20,
            n_zenoh_threads: 6,
            n_files: 60 + second % 2,
            store_kib: 100,
            n_messages: second,
            cpu_ms: second,
            revision: second,
        };
        (0..3600).step_by(5).map(one).collect()
    }

    fn grows(samples: &[Sample]) -> Vec<&'static str> {
        let verdict = judge(samples, Duration::from_secs(3600));
        verdict.iter().filter(|one| !one.is_level()).map(|one| one.figure.name).collect()
    }

    #[test]
    fn what_grows_at_first_and_then_no_more_is_level() {
        assert_eq!(grows(&samples(|second| 20_000 + 10 * second.min(1500), |_| 1)), Vec::<&str>::new());
    }

    #[test]
    fn what_grows_slowly_and_always_is_found() {
        // Three kilobytes a second: 5 MiB in half an hour.
        assert_eq!(grows(&samples(|second| 20_000 + 3 * second, |_| 1)), ["memory"]);
    }

    #[test]
    fn what_a_killed_node_holds_is_judged_by_its_peaks() {
        let life = |second: u64| u32::try_from(second / 500).expect("small");
        assert_eq!(grows(&samples(|second| 20_000 + 20 * (second % 500), life)), Vec::<&str>::new());
        assert_eq!(grows(&samples(|second| 20_000 + 10 * second, life)), ["memory"]);
    }
}
