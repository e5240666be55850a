//! What a process holds at a moment: a line of the table.

use std::{fmt, fs, path::Path, time::Duration};

use enact::io::clock::Stopwatch;
use serde_json::Value;

use super::nodes::Nodes;

/// What the names of zenoh's threads begin with.
const ZENOH_RUNTIMES: [&str; 5] = ["acc-", "app-", "net-", "rx-", "tx-"];

/// A node process at a moment.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) node: String,
    pub(super) pid: u32,
    /// What is its own: neither pages of the program file nor of other files.
    pub(super) memory_kib: u64,
    /// All of it that is in memory.
    pub(super) resident_kib: u64,
    /// Threads that Enact has started.
    pub(super) n_threads: u64,
    /// Threads that zenoh has started, which it does as connections come and go; they end when nothing needed them for ten seconds.
    pub(super) n_zenoh_threads: u64,
    pub(super) n_files: u64,
    pub(super) store_kib: u64,
    /// Messages that its instances received in the life of this process.
    pub(super) n_messages: u64,
    /// Processor time used in this life.
    pub(super) cpu_ms: u64,
    pub(super) revision: u64,
}

impl Sample {
    pub(super) const HEAD: &'static str =
        "seconds,node,pid,memory_kib,resident_kib,threads,zenoh_threads,files,store_kib,messages,cpu_ms,revision";
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sample { node, pid, memory_kib, resident_kib, n_threads, n_zenoh_threads, .. } = self;
        let Sample { n_files, store_kib, n_messages, cpu_ms, revision, .. } = self;
        let seconds = self.at.as_secs_f64();
        write!(
            f,
            "{seconds:.1},{node},{pid},{memory_kib},{resident_kib},{n_threads},{n_zenoh_threads},{n_files},{store_kib},{n_messages},{cpu_ms},{revision}"
        )
    }
}

/// Looks at every living process.
pub(super) fn all(nodes: &Nodes, watch: Stopwatch) -> Vec<Sample> {
    let status = nodes.status().unwrap_or_default();
    let revision = status["revision"].as_str().unwrap_or_default().trim_start_matches('r').parse().unwrap_or_default();
    nodes.pids().filter_map(|(name, pid)| one(nodes, name, pid, &status, revision, watch.elapsed())).collect()
}

/// `None` when the process has just ended.
fn one(nodes: &Nodes, name: &str, pid: u32, status: &Value, revision: u64, at: Duration) -> Option<Sample> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let of = |key: &str| -> Option<u64> {
        text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
    };
    let (n_threads, n_zenoh_threads) = threads(pid)?;
    Some(Sample {
        at,
        node: name.to_owned(),
        pid,
        memory_kib: of("RssAnon:")? + of("RssShmem:")?,
        resident_kib: of("VmRSS:")?,
        n_threads,
        n_zenoh_threads,
        n_files: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64,
        store_kib: kib(&nodes.data(name)),
        n_messages: messages(status, name),
        cpu_ms: cpu_ms(pid)?,
        revision,
    })
}

/// How many threads are Enact's, and how many zenoh's, which names them after its runtimes.
fn threads(pid: u32) -> Option<(u64, u64)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten();
    let names: Vec<String> = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok()).collect();
    let is_zenoh = |name: &&String| ZENOH_RUNTIMES.iter().any(|runtime| name.starts_with(runtime));
    let n_zenoh = names.iter().filter(is_zenoh).count();
    Some(((names.len() - n_zenoh) as u64, n_zenoh as u64))
}

/// The size of the files in a folder.
fn kib(folder: &Path) -> u64 {
    let sizes = fs::read_dir(folder).into_iter().flatten().flatten();
    sizes.filter_map(|entry| entry.metadata().ok()).filter(|file| file.is_file()).map(|file| file.len()).sum::<u64>()
        / 1024
}

fn messages(status: &Value, name: &str) -> u64 {
    let node = status["nodes"].as_array().into_iter().flatten().find(|node| node["name"] == name);
    let instances = node.and_then(|node| node["instances"].as_array()).into_iter().flatten();
    instances.filter_map(|instance| instance["counters"]["received"].as_u64()).sum()
}

/// User and system time: the 14th and 15th field of `stat`, in hundredths of a second.
fn cpu_ms(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some((next()? + next()?) * 10)
}
