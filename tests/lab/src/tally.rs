//! What a campaign of faults counts: how often each was provoked, what came of it, and how much memory it cost.
//!
//! An ordinary test run provokes few. `ENACT_FAULTS=full` provokes as many as are promised, `ENACT_FAULTS_OUT=FILE` adds each row to
//! a file as a line of JSON.

use std::{fmt::Display, fs::File, io::Write, time::Duration};

/// How soon after the last heal all must agree.
const AGREE_WITHIN: Duration = Duration::from_secs(10);

/// As many as an ordinary test run can afford, or as a campaign wants.
pub fn scale(few: usize, full: usize) -> usize {
    if is_campaign() { full } else { few }
}

fn is_campaign() -> bool {
    std::env::var("ENACT_FAULTS").is_ok_and(|wanted| wanted == "full") || std::env::var_os("ENACT_KILLS").is_some()
}

/// All agree so long after the last heal.
///
/// # Panics
/// When that is longer than promised. Only asked of a campaign of its own: an ordinary test shares its machine.
#[track_caller]
pub fn agreed_after(took: Duration) {
    assert!(!is_campaign() || took <= AGREE_WITHIN, "they agreed only after {took:?}");
}

/// A row of the table.
pub fn note(fault: &str, count: usize, grown: Grown, outcome: impl Display) {
    println!("| {fault} | {count} | {outcome} | {grown} |");
    let Ok(path) = std::env::var("ENACT_FAULTS_OUT") else { return };
    let outcome = outcome.to_string();
    let row = serde_json::json!({ "fault": fault, "count": count, "outcome": outcome, "memoryKib": grown.0 });
    let mut file = File::options().create(true).append(true).open(&path).expect("ENACT_FAULTS_OUT can be written");
    writeln!(file, "{row}").expect("ENACT_FAULTS_OUT can be written");
}

/// A process as the system sees it.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// What of its memory is its own: pages of the program file, which all nodes share, are not.
    pub memory_kib: u64,
    /// Its threads.
    pub n_threads: u64,
    /// Its open files, sockets included.
    pub n_files: u64,
}

impl Held {
    /// What a living process holds now.
    pub fn by(pid: u32) -> Held {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
        let of = |key: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(key)).expect("the key is there");
            line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
        };
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is ours");
        let memory_kib = of("RssAnon:") + of("RssShmem:");
        Held { memory_kib, n_threads: of("Threads:"), n_files: files.count() as u64 }
    }
}

/// How much more memory a node may hold after the faults of a test than when it was ready.
const GROWTH_MAX_KIB: u64 = 64 * 1024;

/// How much more memory nodes hold than when they were ready: the most of all, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grown(u64);

impl Grown {
    /// What a living process holds now more than then. A node that nobody saw get ready has had nothing.
    ///
    /// # Panics
    /// When that is too much.
    #[track_caller]
    pub fn of(name: &str, pid: u32, before: Option<Held>) -> Grown {
        let now = Held::by(pid);
        let grown = now.memory_kib.saturating_sub(before.map_or(0, |before| before.memory_kib));
        assert!(grown < GROWTH_MAX_KIB, "the memory of {name} has grown by {grown} KiB: {before:?} → {now:?}");
        Grown(grown)
    }
}

impl Display for Grown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "+{:.1} MiB", self.0 as f64 / 1024.0)
    }
}
