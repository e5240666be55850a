//! A group of real processes on loopback: started, asked, killed, and cleaned up whatever happens.

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// The binary under test.
pub const ENACT: &str = env!("CARGO_BIN_EXE_enact");

/// How long a fact may take to become true: generous, since two slow cores may be shared by many.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A node process.
pub struct Node {
    pub name: String,
    pub address: String,
    child: Child,
    log: PathBuf,
}

impl Node {
    /// What the node wrote so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
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
    pub fn wait(&mut self) -> Option<i32> {
        let name = self.name.clone();
        let child = &mut self.child;
        let mut code = None;
        eventually(&format!("{name} ends"), || {
            child.try_wait().expect("the process is ours").map(|status| code = status.code()).is_some()
        });
        code
    }

    /// Whether the process runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().expect("the process is ours").is_none()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command came to.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// The JSON on its standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The command, expected to have ended with 0.
    #[track_caller]
    pub fn ok(self) -> Done {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// A group with a folder of its own, unknown to other groups on this machine.
pub struct Group {
    pub folder: TempDir,
    name: String,
    first: Option<String>,
}

impl Group {
    pub fn new(name: &str) -> Group {
        let folder = tempfile::tempdir().expect("a folder");
        Group { folder, name: format!("{name}-{}", std::process::id()), first: None }
    }

    /// Starts a node that joins whoever was started first, and waits until it answers.
    pub fn start(&mut self, name: &str) -> Node {
        self.start_with(name, &[])
    }

    /// The same with more arguments.
    pub fn start_with(&mut self, name: &str, more: &[&str]) -> Node {
        let node = self.spawn(name, more);
        self.await_ready(&node);
        node
    }

    /// Starts a node without waiting for it. A node of a name that ran before takes up its data and its address.
    pub fn spawn(&mut self, name: &str, more: &[&str]) -> Node {
        let address_file = self.path(&format!("{name}.address"));
        let address = std::fs::read_to_string(&address_file).unwrap_or_else(|_| {
            let address = format!("tcp/127.0.0.1:{}", free_port());
            std::fs::write(&address_file, &address).expect("the folder is ours");
            address
        });
        let mut command = self.command();
        command.args(["node", "--name", name, "--listen", &address]).arg("--data").arg(self.path(name));
        match &self.first {
            Some(first) if *first != address => {
                command.args(["--join", first]);
            }
            _ => self.first = Some(address.clone()),
        }
        let log = self.path(&format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("the folder is ours");
        command.args(more).stdin(Stdio::null()).stderr(file.try_clone().expect("a file")).stdout(file);
        let child = command.spawn().expect("the binary is there");
        Node { name: name.to_owned(), address, child, log }
    }

    /// Waits until a node answers.
    pub fn await_ready(&self, node: &Node) {
        eventually_or(
            &format!("{} is ready", node.name),
            || {
                let status = self.at(node, &["status", "-o", "json"]);
                status.code == 0 && node_status(&status.json(), &node.name)["state"] == "ready"
            },
            || node.log(),
        );
    }

    /// Runs `enact` against a node.
    pub fn at(&self, node: &Node, args: &[&str]) -> Done {
        let output = self.command().args(args).env("ENACT_NODE", &node.address).output().expect("the binary is there");
        Done {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Applies a script at a node, and waits for the outcome.
    pub fn apply(&self, node: &Node, script: &str) -> Done {
        let file = self.path("script.kevs");
        std::fs::write(&file, script).expect("the folder is ours");
        self.at(node, &["apply", file.to_str().expect("UTF-8"), "--yes", "--timeout", "60s"])
    }

    /// The status of the group as a node sees it.
    pub fn status(&self, node: &Node) -> Value {
        self.at(node, &["status", "-o", "json"]).ok().json()
    }

    /// What an input port replies.
    pub fn ask(&self, node: &Node, port: &str) -> Value {
        self.at(node, &["send", port, "null", "--reply", "-o", "json"]).ok().json()
    }

    /// A path in the folder of the group.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(ENACT);
        command.current_dir(self.folder.path()).env("ENACT_GROUP", &self.name).env("ENACT_MULTICAST_ENABLED", "false");
        command.env("XDG_CONFIG_HOME", self.folder.path()).env_remove("RUST_LOG");
        command
    }
}

/// A node in the JSON of `status`.
pub fn node_status<'a>(status: &'a Value, name: &str) -> &'a Value {
    let nodes = status["status"]["nodes"].as_array().or_else(|| status["nodes"].as_array());
    nodes.into_iter().flatten().find(|node| node["name"] == name).unwrap_or(&Value::Null)
}

/// An instance in the JSON of `status`.
pub fn instance_status<'a>(status: &'a Value, node: &str, name: &str) -> &'a Value {
    let instances = node_status(status, node)["instances"].as_array();
    instances.into_iter().flatten().find(|instance| instance["name"] == name).unwrap_or(&Value::Null)
}

/// Waits for a fact.
#[track_caller]
pub fn eventually(what: &str, fact: impl FnMut() -> bool) {
    eventually_or(what, fact, String::new);
}

/// Waits for a fact; says more when it does not come.
#[track_caller]
pub fn eventually_or(what: &str, mut fact: impl FnMut() -> bool, more: impl Fn() -> String) {
    let until = now() + PATIENCE;
    while !fact() {
        assert!(now() < until, "not within {PATIENCE:?}: {what}\n{}", more());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[allow(clippy::disallowed_methods, reason = "a test of real processes waits in real time")]
fn now() -> Instant {
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
