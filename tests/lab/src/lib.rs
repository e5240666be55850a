//! A group of real processes on loopback: started, asked, killed, and cleaned up whatever happens.

mod dice;
pub mod tally;

use std::{
    cell::RefCell,
    fs::File,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

pub use dice::Dice;
use tally::{Grown, Held};

/// How long a fact may take to become true: generous, since two slow cores may be shared by many.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a fact is looked at that nobody tells of.
const LOOK_AGAIN: Duration = Duration::from_millis(30);

/// A node process.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub address: String,
    /// The process.
    pub child: Child,
    log: PathBuf,
    /// What it held when it was ready, if somebody waited for that.
    at_first: Option<Held>,
}

impl Node {
    /// What the node wrote so far.
    pub fn log(&self) -> String {
        read(&self.log)
    }

    /// Ends the node at once, as a crash would.
    pub fn kill(&mut self) {
        self.child.kill().expect("the process is ours");
        self.child.wait().expect("it was killed");
    }

    /// Asks the node to end, and waits for its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.wait()
    }

    /// Sends a signal by name.
    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{signal}"), &pid]).status().expect("kill is there");
        assert!(status.success(), "cannot send {signal} to {}", self.name);
    }

    /// Waits until the process has ended.
    #[track_caller]
    pub fn wait(&mut self) -> Option<i32> {
        let mut code = None;
        let (name, log) = (self.name.clone(), self.log.clone());
        let child = &mut self.child;
        let ended = || child.try_wait().expect("the process is ours").map(|status| code = status.code()).is_some();
        eventually(&format!("{name} ends"), ended, || read(&log));
        code
    }

    /// What the process holds now.
    pub fn held(&self) -> Held {
        Held::by(self.child.id())
    }

    /// Whether the process runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("the process is ours").is_none()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // With the nodes that it hosts as processes. Fails only when all have ended already.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}

/// What a command came to.
#[derive(Debug)]
pub struct Done {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said beside that.
    pub stderr: String,
}

impl Done {
    /// What a command comes to.
    pub fn of(command: &mut Command) -> Done {
        let output = command.output().expect("the binary is there");
        Done {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The JSON on its standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }

    /// The command, expected to have ended with 0.
    #[track_caller]
    pub fn ok(self) -> Done {
        self.ended(0)
    }

    /// The command, expected to have ended with this code.
    #[track_caller]
    pub fn ended(self, code: i32) -> Done {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// The command, expected to have said all of this on standard error.
    #[track_caller]
    pub fn said(self, words: &[&str]) -> Done {
        for word in words {
            assert!(self.stderr.contains(word), "not said: {word:?} by {self}");
        }
        self
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a command that ended with {}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

/// A group with a folder of its own, unknown to other groups on this machine.
#[derive(Debug)]
pub struct Group {
    folder: TempDir,
    name: String,
    /// Where its nodes listen, in the order of their first start.
    addresses: Vec<String>,
    /// Settings of its nodes and commands.
    settings: Vec<(&'static str, &'static str)>,
}

impl Group {
    /// An empty group; the name is made unique.
    pub fn new(name: &str) -> Group {
        let folder = tempfile::tempdir().expect("a folder");
        let name = format!("{name}-{}", std::process::id());
        Group { folder, name, addresses: Vec::new(), settings: Vec::new() }
    }

    /// The same with an environment variable set.
    pub fn with(mut self, variable: &'static str, value: &'static str) -> Group {
        self.settings.push((variable, value));
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts a node that joins those that were started before, and waits until it answers.
    #[track_caller]
    pub fn start(&mut self, name: &str) -> Node {
        self.start_with(name, &[])
    }

    /// The same with more arguments.
    #[track_caller]
    pub fn start_with(&mut self, name: &str, more: &[&str]) -> Node {
        let mut node = self.spawn(name, more);
        self.await_status(&node, &format!("{name} is ready"), |status| node_status(status, name)["state"] == "ready");
        node.at_first = Some(node.held());
        node
    }

    /// Starts a node without waiting for it. A node of a name that ran before takes up its data and its address.
    pub fn spawn(&mut self, name: &str, more: &[&str]) -> Node {
        let (mut command, address) = self.logged_node(name);
        let child = command.args(more).spawn().expect("the binary is there");
        self.adopt(name, address, child)
    }

    /// The command that runs a node, again and again, with its log in the folder; and where it listens.
    pub fn logged_node(&mut self, name: &str) -> (Command, String) {
        let log = self.path(&format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("the folder is ours");
        let (mut command, address) = self.node(name);
        command.stderr(file.try_clone().expect("a file")).stdout(file);
        (command, address)
    }

    /// The command that runs a node, and where it listens.
    pub fn node(&mut self, name: &str) -> (Command, String) {
        let address_file = self.path(&format!("{name}.address"));
        let address = std::fs::read_to_string(&address_file).unwrap_or_else(|_| {
            let address = format!("tcp/127.0.0.1:{}", free_port());
            std::fs::write(&address_file, &address).expect("the folder is ours");
            address
        });
        let mut command = self.command();
        command.args(["node", "--name", name, "--listen", &address]).arg("--data").arg(self.path(name));
        for other in self.addresses.iter().filter(|other| **other != address) {
            command.args(["--join", other]);
        }
        if !self.addresses.contains(&address) {
            self.addresses.push(address.clone());
        }
        command.process_group(0);
        (command, address)
    }

    /// A node whose process was started from [`Group::node`].
    pub fn adopt(&self, name: &str, address: String, child: Child) -> Node {
        Node { name: name.to_owned(), address, child, log: self.path(&format!("{name}.log")), at_first: None }
    }

    /// Runs `enact` against a node.
    pub fn at(&self, node: &Node, args: &[&str]) -> Done {
        self.to(&node.address, args)
    }

    /// Runs `enact` against the node at an address.
    pub fn to(&self, address: &str, args: &[&str]) -> Done {
        Done::of(self.command().args(args).env("ENACT_NODE", address))
    }

    /// Runs `enact` in the folder of the group, with nobody to talk to.
    pub fn run(&self, args: &[&str]) -> Done {
        Done::of(self.command().args(args))
    }

    /// Applies a script at a node, and waits for the outcome.
    pub fn apply(&self, node: &Node, script: &str) -> Done {
        self.write("script.kevs", script);
        self.at(node, &["apply", "script.kevs", "--yes", "--timeout", "60s"])
    }

    /// The status of the group as a node sees it.
    #[track_caller]
    pub fn status(&self, node: &Node) -> Value {
        self.at(node, &["status", "-o", "json"]).ok().json()
    }

    /// The revision of the group as a node sees it.
    #[track_caller]
    pub fn revision(&self, node: &Node) -> String {
        self.status(node)["revision"].as_str().expect("a revision").to_owned()
    }

    /// What an input port replies.
    #[track_caller]
    pub fn ask(&self, node: &Node, port: &str) -> Value {
        self.send(node, port, "null")
    }

    /// Sends a message to an input port, and gives what it replies.
    #[track_caller]
    pub fn send(&self, node: &Node, port: &str, message: &str) -> Value {
        serde_json::from_str(&self.at(node, &["send", port, message, "--reply"]).ok().stdout).unwrap_or_default()
    }

    /// Waits until an input port replies with what is wanted.
    #[track_caller]
    pub fn await_reply(&self, node: &Node, port: &str, wanted: impl Fn(&Value) -> bool) {
        let last = RefCell::new(String::new());
        let fact = || {
            let done = self.at(node, &["send", port, "null", "--reply"]);
            *last.borrow_mut() = done.to_string();
            done.code == 0 && wanted(&done.json())
        };
        eventually(&format!("{port} replies as wanted"), fact, || format!("{}\n{}", last.borrow(), node.log()));
    }

    /// Waits until the status as a node sees it is as wanted.
    #[track_caller]
    pub fn await_status(&self, node: &Node, what: &str, wanted: impl Fn(&Value) -> bool) {
        let last = RefCell::new(String::new());
        let fact = || {
            let done = self.at(node, &["status", "-o", "json"]);
            *last.borrow_mut() = done.to_string();
            done.code == 0 && wanted(&done.json())
        };
        eventually(what, fact, || format!("{}\n{}", last.borrow(), node.log()));
    }

    /// Waits until so many nodes run the newest revision.
    #[track_caller]
    pub fn await_in_step(&self, node: &Node, n_nodes: usize) {
        self.await_status(node, &format!("{n_nodes} nodes are in step"), |status| {
            let nodes = status["nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
            nodes.len() == n_nodes
                && nodes.iter().all(|node| node["state"] == "ready" && node["revision"] == status["revision"])
        });
    }

    /// A path in the folder of the group.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder of the group.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("the folder is ours");
    }

    /// `enact` in the folder of the group, with nothing of this machine's settings.
    pub fn command(&self) -> Command {
        let mut command = Command::new(enact());
        for (variable, _) in std::env::vars().filter(|(variable, _)| variable.starts_with("ENACT_")) {
            command.env_remove(variable);
        }
        command.current_dir(self.folder.path()).env("ENACT_GROUP", &self.name).env("ENACT_MULTICAST_ENABLED", "false");
        command.envs(self.settings.iter().copied()).stdin(Stdio::null());
        // The symbols for a backtrace take 50 MiB, which would be taken for a node's.
        command.env("XDG_CONFIG_HOME", self.folder.path()).env_remove("RUST_LOG").env_remove("RUST_BACKTRACE");
        command
    }
}

/// The binary under test: cargo puts it beside the folder of the tests, and builds it before those of its package.
fn enact() -> PathBuf {
    let mut path = std::env::current_exe().expect("a test is a file");
    path.pop();
    if path.ends_with("deps") {
        path.pop();
    }
    path.join("enact")
}

/// A node in the JSON of `status`.
pub fn node_status<'a>(status: &'a Value, name: &str) -> &'a Value {
    status["nodes"].as_array().into_iter().flatten().find(|node| node["name"] == name).unwrap_or(&Value::Null)
}

/// An instance in the JSON of `status`.
pub fn instance_status<'a>(status: &'a Value, node: &str, name: &str) -> &'a Value {
    let instances = node_status(status, node)["instances"].as_array();
    instances.into_iter().flatten().find(|instance| instance["name"] == name).unwrap_or(&Value::Null)
}

/// All processes run, none of them has panicked where nobody ordered it, and none has taken much more memory than it had when it was
/// ready. Gives the most that one of them has taken.
#[track_caller]
pub fn unharmed(nodes: &mut [&mut Node]) -> Grown {
    let mut most = Grown::default();
    for node in nodes {
        assert!(node.runs(), "{} has ended: {}", node.name, node.log());
        let log = node.log();
        let panics: Vec<&str> =
            log.lines().filter(|line| line.contains("panicked at") && !line.contains("faulty.rs")).collect();
        assert!(panics.is_empty(), "{} panicked: {panics:#?}", node.name);
        most = most.max(Grown::of(&node.name, node.child.id(), node.at_first));
    }
    most
}

/// Waits for a fact; says more when it does not come.
#[track_caller]
pub fn eventually(what: &str, mut fact: impl FnMut() -> bool, more: impl Fn() -> String) {
    let until = now() + PATIENCE;
    while !fact() {
        assert!(now() < until, "not within {PATIENCE:?}: {what}\n{}", more());
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The time, to measure how long something took.
#[allow(clippy::disallowed_methods, reason = "a test of real processes waits in real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    listener.local_addr().expect("it is bound").port()
}

/// The text of a file, empty when it is not there.
pub fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
