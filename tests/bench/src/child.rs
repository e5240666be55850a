//! Processes of the bench's own: a sample each, and the other ends of samples that take two. None outlives who started it.

use std::{
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{
    host, peers, remote,
    rows::{self, Sample},
};

/// How long a sample may take: the slowest, a million actors of the slowest peer, takes some ten seconds on four cores.
const SAMPLE_MAX: Duration = Duration::from_secs(120);

/// How long another process of a sample may take to say its first word.
const WORD_MAX: Duration = Duration::from_secs(30);

/// A process of this very binary. Killed when dropped; ends by itself when this process ends, however that happens.
pub(crate) struct Process {
    child: Child,
    words: mpsc::Receiver<String>,
    /// Held open: its end is the other's end.
    stdin: Option<ChildStdin>,
}

impl Process {
    /// Starts `enact-bench role WORDS…`.
    pub(crate) fn role(words: &[&str]) -> Result<Process> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("role").args(words);
        Process::start(command)
    }

    /// Starts any command whose lines are to be read.
    pub(crate) fn start(mut command: Command) -> Result<Process> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // Where a developer asks for backtraces, errors that the network deals with quietly would cost more than messages.
        command.env("RUST_LIB_BACKTRACE", "0");
        let mut child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("its output was asked for")?;
        Ok(Process { child, words: lines(stdout), stdin })
    }

    /// The next line that it says.
    pub(crate) fn word(&self) -> Result<String> {
        self.words.recv_timeout(WORD_MAX).map_err(|_| anyhow!("the other process says nothing"))
    }

    /// The process's number.
    pub(crate) fn pid(&self) -> Result<rustix::process::Pid> {
        i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).context("a process has a number")
    }
}

/// The processor time that these processes and this one have taken so far. Threads that have ended count no more.
pub(crate) fn processor_time(others: &[Process]) -> Duration {
    let own = std::process::id();
    let of_thread = |task: std::io::Result<std::fs::DirEntry>| -> Option<u64> {
        let spent = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        spent.split_whitespace().next()?.parse().ok()
    };
    let pids = others.iter().map(|other| other.child.id()).chain([own]);
    let tasks = pids.filter_map(|pid| std::fs::read_dir(format!("/proc/{pid}/task")).ok()).flatten();
    Duration::from_nanos(tasks.filter_map(of_thread).sum())
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(from: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Takes a sample in a process of its own.
pub(crate) fn take(measurement: &str, contestant: &str, size: u64) -> Result<Vec<(String, f64)>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["sample", measurement, contestant, &size.to_string()]);
    let mut process = Process::start(command)?;
    let line = match process.words.recv_timeout(SAMPLE_MAX) {
        Ok(line) => line,
        Err(mpsc::RecvTimeoutError::Timeout) => bail!("the sample took longer than {SAMPLE_MAX:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            bail!("the sample ended without a figure ({})", process.child.wait()?)
        }
    };
    let figures: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&line).with_context(|| format!("no sample: {line}"))?;
    Ok(figures.into_iter().filter_map(|(name, value)| Some((name, value.as_f64()?))).collect())
}

/// `enact-bench sample`: takes one and prints it.
pub(crate) fn sample(measurement: &str, contestant: &str, size: u64) -> Result<()> {
    end_with_the_parent();
    let known = rows::measurement(measurement).with_context(|| format!("no measurement \"{measurement}\""))?;
    let known = known.contestants.iter().find(|known| known.name == contestant);
    let known = known.with_context(|| format!("no contestant \"{contestant}\" in {measurement}"))?;
    let sample: Sample = (known.sample)(size)?;
    println!("{}", serde_json::to_string(&sample)?);
    // What still runs in here ends with the process: taking a million actors down is not what was measured.
    std::process::exit(0);
}

/// `enact-bench role`: the other end of a sample.
pub(crate) fn role(words: &[String]) -> Result<()> {
    end_with_the_parent();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["enact-remote", rest @ ..] => remote::other(rest),
        ["tcp", rest @ ..] => peers::tcp::other(rest),
        ["floor", rest @ ..] => peers::floor::other(rest),
        ["node", rest @ ..] => host::other(rest),
        _ => bail!("no role {words:?}"),
    }
}

fn end_with_the_parent() {
    thread::spawn(|| {
        // Nothing is ever said there; an error means the end, too.
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
}
