//! The node processes of a soak: started, asked, killed, and gone with it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use enact::io::clock::Stopwatch;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use tempfile::TempDir;

/// How long a command may take: longer than it gives itself.
const COMMAND_MAX: Duration = Duration::from_secs(60);

/// How long the nodes may take to see each other.
const START_MAX: Duration = Duration::from_secs(60);

const LOOK_AGAIN: Duration = Duration::from_millis(10);

struct Node {
    address: String,
    child: Option<Child>,
}

/// A group of processes in a folder of its own.
pub(super) struct Nodes {
    enact: PathBuf,
    folder: TempDir,
    group: String,
    nodes: BTreeMap<String, Node>,
    n_kills: usize,
}

impl Nodes {
    /// Nobody runs yet.
    pub(super) fn new(n_nodes: u32, enact: Option<&Path>) -> io::Result<Nodes> {
        let enact = match enact {
            Some(path) => path.to_owned(),
            None => std::env::current_exe()?.with_file_name("enact"),
        };
        if !enact.exists() {
            let hint = "build it (`cargo build --release -p enact-actors`), or name one with --enact";
            return Err(io::Error::other(format!("{} is not there: {hint}", enact.display())));
        }
        let mut nodes = BTreeMap::new();
        for n in 1..=n_nodes {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            nodes.insert(format!("node{n:02}"), Node { address: format!("tcp/127.0.0.1:{port}"), child: None });
        }
        let group = format!("soak-{}", std::process::id());
        Ok(Nodes { enact: enact.canonicalize()?, folder: tempfile::tempdir()?, group, nodes, n_kills: 0 })
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.nodes.keys().cloned().collect()
    }

    pub(super) fn start_all(&mut self) -> io::Result<()> {
        for name in self.names() {
            self.start(&name)?;
        }
        let watch = Stopwatch::start();
        while !self.in_step() {
            if watch.elapsed() > START_MAX {
                return Err(io::Error::other("the nodes do not see each other"));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    /// Starts a node, with the data of its last life.
    pub(super) fn start(&mut self, name: &str) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(self.log(name))?;
        let mut command = self.command();
        command.args(["node", "--name", name, "--listen", &self.nodes[name].address]);
        command.arg("--data").arg(self.data(name));
        for (_, other) in self.nodes.iter().filter(|(other, _)| *other != name) {
            command.args(["--join", &other.address]);
        }
        // What printers print is for nobody.
        command.stdout(Stdio::null()).stderr(log).process_group(0);
        let child = command.spawn()?;
        self.nodes.get_mut(name).expect("its name is known").child = Some(child);
        Ok(())
    }

    /// Kills the next node: one of the second half, so that the others grow old. Says which.
    pub(super) fn kill_next(&mut self) -> String {
        let n_old = self.nodes.len().div_ceil(2);
        let name = self.names()[n_old + self.n_kills % (self.nodes.len() - n_old)].clone();
        self.n_kills += 1;
        end(self.nodes.get_mut(&name).and_then(|node| node.child.take()));
        name
    }

    /// A node that was killed and not started yet.
    pub(super) fn away(&self) -> Option<String> {
        self.nodes.iter().find(|(_, node)| node.child.is_none()).map(|(name, _)| name.clone())
    }

    /// Nodes whose process ended by itself.
    pub(super) fn ended(&mut self) -> Vec<String> {
        let mut ended = Vec::new();
        for (name, node) in &mut self.nodes {
            if node.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_some())) {
                end(node.child.take());
                ended.push(name.clone());
            }
        }
        ended
    }

    /// The living processes.
    pub(super) fn pids(&self) -> impl Iterator<Item = (&str, u32)> {
        self.nodes.iter().filter_map(|(name, node)| Some((name.as_str(), node.child.as_ref()?.id())))
    }

    /// Where a node keeps its data.
    pub(super) fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The newest model.
    pub(super) fn model(&self) -> Result<Value, String> {
        Ok(self.ask(&["get", "-o", "json"])?["model"].take())
    }

    /// How the group is.
    pub(super) fn status(&self) -> Result<Value, String> {
        self.ask(&["status", "-o", "json"])
    }

    /// Applies a script and waits for the outcome.
    pub(super) fn apply(&self, script: &str) -> Result<(), String> {
        self.run(&["apply", "--yes", "--timeout", "20s", "-e", script]).map(drop)
    }

    /// Whether all nodes are ready and at the newest revision.
    pub(super) fn in_step(&self) -> bool {
        let status = self.status().unwrap_or_default();
        let nodes = status["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
        nodes.len() == self.nodes.len()
            && nodes.iter().all(|node| node["state"] == "ready" && node["revision"] == status["revision"])
    }

    /// Lines of the logs that say so.
    pub(super) fn said(&self, what: &str) -> Vec<String> {
        let logs = self.nodes.keys().filter_map(|name| File::open(self.log(name)).ok());
        let lines = logs.flat_map(|log| BufReader::new(log).lines().map_while(Result::ok));
        lines.filter(|line| line.contains(what)).collect()
    }

    fn ask(&self, args: &[&str]) -> Result<Value, String> {
        serde_json::from_str(&self.run(args)?).map_err(|error| error.to_string())
    }

    /// Runs `enact` against the first node, which is never killed; its standard output, or what it said on the other.
    fn run(&self, args: &[&str]) -> Result<String, String> {
        let said = tempfile::tempfile().and_then(|out| Ok((out.try_clone()?, out, tempfile::tempfile()?)));
        let (for_child, out, err) = said.map_err(|error| error.to_string())?;
        let first = self.nodes.values().next().expect("there are two at least");
        let mut command = self.command();
        command.args(args).env("ENACT_NODE", &first.address).stdout(for_child);
        command.stderr(err.try_clone().map_err(|error| error.to_string())?);
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        let watch = Stopwatch::start();
        loop {
            match child.try_wait().map_err(|error| error.to_string())? {
                Some(status) if status.success() => return text(out),
                Some(status) => return Err(format!("{status}: {}", text(err)?.trim())),
                None if watch.elapsed() > COMMAND_MAX => {
                    // It is ours, so it can be killed and waited for.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(format!("no end within {COMMAND_MAX:?}"));
                }
                None => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.enact);
        command.current_dir(self.folder.path()).env("XDG_CONFIG_HOME", self.folder.path()).stdin(Stdio::null());
        command.env("ENACT_GROUP", &self.group).env("ENACT_MULTICAST_ENABLED", "false").env_remove("RUST_LOG");
        command
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for node in self.nodes.values_mut() {
            end(node.child.take());
        }
    }
}

/// What was written to a file, from its beginning.
fn text(mut file: File) -> Result<String, String> {
    let mut text = String::new();
    file.rewind().and_then(|()| file.read_to_string(&mut text)).map_err(|error| error.to_string())?;
    Ok(text)
}

/// Ends a process with those that its components started.
fn end(child: Option<Child>) {
    let Some(mut child) = child else { return };
    if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
        // Fails only when all have ended already.
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let _ = child.wait();
}
