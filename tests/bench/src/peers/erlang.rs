//! Erlang: a program of our own (`bench.erl`), compiled and run by what is installed. Left out where `erl` is not there.

use std::{path::PathBuf, process::Command, sync::LazyLock};

use anyhow::{Context, Result, ensure};
use enact::io::clock::Stopwatch;
use rustix::process::{Pid, Signal, kill_process};

use crate::{
    child::Process,
    remote::{Latencies, free_address},
    rows::Sample,
};

static PROGRAM: &str = include_str!("bench.erl");

/// Whether this machine has Erlang with its compiler.
pub(crate) fn is_there() -> bool {
    static IS_THERE: LazyLock<bool> = LazyLock::new(|| {
        let found = |name: &str| {
            std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
                .any(|folder| folder.join(name).is_file())
        };
        found("erl") && found("erlc")
    });
    *IS_THERE
}

/// The folder with the compiled program, its name the program's digest: compiled once for all samples.
fn compiled() -> Result<PathBuf> {
    let folder = std::env::temp_dir().join(format!("enact-bench-erlang-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let source = folder.join("bench.erl");
    std::fs::write(&source, PROGRAM)?;
    let compiled = Command::new("erlc").arg("-o").arg(&folder).arg(&source).output().context("erlc")?;
    ensure!(compiled.status.success(), "erlc: {}", String::from_utf8_lossy(&compiled.stdout));
    Ok(folder)
}

/// Runs `bench:main(WORDS)` while `act` reads what it says.
fn with<T>(words: &[&str], act: impl FnOnce(&Process) -> Result<T>) -> Result<T> {
    let folder = compiled()?;
    let done = command(&folder, words).and_then(Process::start).and_then(|erl| act(&erl));
    // What cannot be removed stays in the system's temporary folder, which is cleaned anyway.
    let _ = std::fs::remove_dir_all(&folder);
    done
}

/// Runs `bench:main(WORDS)`, which prints figures as `name value` on one line.
fn run(words: &[&str]) -> Result<Sample> {
    let line = with(words, Process::word)?;
    let mut sample = Sample::new();
    let mut words = line.split_whitespace();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        let name = NAMES.iter().find(|known| **known == name).with_context(|| format!("no figure: {line}"))?;
        sample.insert(name, value.parse()?);
    }
    Ok(sample)
}

/// What the program may tell.
const NAMES: [&str; 6] = ["rate", "bytes", "p50", "p99", "lost", "ms"];

fn command(folder: &std::path::Path, words: &[&str]) -> Result<Command> {
    let address = free_address()?;
    let port = address.rsplit(':').next().unwrap_or_default();
    let mut command = Command::new("erl");
    // Room for a million processes and more; a second node without the daemon `epmd`, which would outlive the bench.
    command.args(["-kernel", "logger_level", "emergency"]);
    command.args(["+P", "2000000", "-noshell", "-start_epmd", "false", "-setcookie", "bench", "-erl_epmd_port", port]);
    command.env("ERL_CRASH_DUMP", "/dev/null");
    command.arg("-pa").arg(folder).args(["-run", "bench", "main"]).args(words);
    Ok(command)
}

/// Processes that send to processes.
pub(crate) fn pairs(size: u64, n_pairs: u64) -> Result<Sample> {
    run(&["pairs", &size.to_string(), &n_pairs.to_string()])
}

/// Bare processes from a spawner for each scheduler; their numbers are kept.
pub(crate) fn spawn(n: u64) -> Result<Sample> {
    run(&["spawn", &n.to_string()])
}

/// Distributed Erlang, two nodes: tells of so many bytes.
pub(crate) fn tell(n: u64, bytes: usize) -> Result<Sample> {
    run(&["tell", &n.to_string(), &bytes.to_string()])
}

/// Distributed Erlang, two nodes: asks, so many in flight.
pub(crate) fn ask(n: u64, in_flight: usize) -> Result<Sample> {
    run(&["ask", &n.to_string(), &in_flight.to_string()])
}

/// So many `gen_server`s, one after the other: milliseconds.
pub(crate) fn servers(n: u64) -> Result<Sample> {
    run(&["servers", &n.to_string()])
}

/// Kills the other node, until `nodedown` comes.
pub(crate) fn killed(n: u64) -> Result<Sample> {
    let mut latencies = Latencies::of(n);
    for _ in 0..n {
        latencies.note(with(&["watch"], |erl| {
            let pid = erl.word()?.parse().ok().and_then(Pid::from_raw).context("the other node's process")?;
            let watch = Stopwatch::start();
            kill_process(pid, Signal::KILL)?;
            ensure!(erl.word()? == "down", "it says when the other is down");
            Ok(watch.elapsed())
        })?);
    }
    Ok(latencies.in_ms())
}
