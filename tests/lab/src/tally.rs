//! What a campaign of faults counts: how often each was provoked, and what came of it.
//!
//! An ordinary test run provokes few. `ENACT_FAULTS=full` provokes as many as are promised, `ENACT_FAULTS_OUT=FILE` adds each row to
//! a file as a line of JSON.

use std::{fmt::Display, fs::File, io::Write};

/// As many as an ordinary test run can afford, or as a campaign wants.
pub fn scale(few: usize, full: usize) -> usize {
    if std::env::var("ENACT_FAULTS").is_ok_and(|wanted| wanted == "full") { full } else { few }
}

/// A row of the table.
pub fn note(fault: &str, count: usize, outcome: impl Display) {
    println!("| {fault} | {count} | {outcome} |");
    let Ok(path) = std::env::var("ENACT_FAULTS_OUT") else { return };
    let row = serde_json::json!({ "fault": fault, "count": count, "outcome": outcome.to_string() });
    let mut file = File::options().create(true).append(true).open(&path).expect("ENACT_FAULTS_OUT can be written");
    writeln!(file, "{row}").expect("ENACT_FAULTS_OUT can be written");
}

/// A process as the system sees it.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// What of it is in memory.
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
        Held { memory_kib: of("VmRSS:"), n_threads: of("Threads:"), n_files: files.count() as u64 }
    }
}
