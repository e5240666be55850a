//! Two machines with real nodes on them: started, asked, cut apart, and cleaned up whatever happens.

use std::{
    fs::File,
    path::PathBuf,
    process::{Child, Stdio},
    time::Duration,
};

use enact::io::clock::Stopwatch;
use enact_lab::tally::{Grown, Held};
use lab::Lab;
use serde_json::Value;
use tempfile::TempDir;

#[path = "../support/lab.rs"]
mod lab;

const ENACT: &str = env!("CARGO_BIN_EXE_enact");

/// How long a fact may take to become true: finding each other again takes zenoh several seconds, a busy machine more.
const PATIENCE: Duration = Duration::from_secs(60);

/// The exit code of a command that could reach no node.
const NOBODY_FOUND: i32 = 8;

const PORT: u16 = 7700;

/// Two machines, a cable, and a group of their own.
pub(crate) struct Machines {
    lab: Lab,
    folder: TempDir,
    group: String,
    multicast: bool,
}

impl Machines {
    /// `None`, and a word why, where namespaces cannot be made.
    pub(crate) fn build(test: &str) -> Option<Machines> {
        let lab = Lab::build(test)?;
        let folder = tempfile::tempdir().expect("a folder");
        Some(Machines { lab, folder, group: format!("lab-{test}"), multicast: true })
    }

    pub(crate) fn without_multicast(self) -> Machines {
        Machines { multicast: false, ..self }
    }

    pub(crate) fn cable(&self, state: &str) {
        self.lab.cable(state);
    }

    /// Drops what comes in over a side's cable, all of it (`drop`) or some (`numgen random mod 100 < 30 drop`). False, and a word why,
    /// where nftables cannot do that.
    pub(crate) fn filter(&self, side: usize, rule: &str) -> bool {
        let done = self.nft(side, "add table inet cut")
            && self.nft(side, "add chain inet cut in { type filter hook input priority 0 ; }")
            && self.nft(side, &format!("add rule inet cut in iifname != lo {rule}"));
        if !done {
            eprintln!("skipped: dropping packets needs nftables");
        }
        done
    }

    /// Drops nothing any more.
    pub(crate) fn unfilter(&self, side: usize) {
        assert!(self.nft(side, "delete table inet cut"));
    }

    fn nft(&self, side: usize, arguments: &str) -> bool {
        let mut command = self.lab.command(side, "nft");
        command.args(arguments.split_whitespace()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Starts a node, with the data of one of that name that ran before.
    pub(crate) fn start(&self, side: usize, name: &str, more: &[&str]) -> Node {
        self.start_at(side, PORT, name, more)
    }

    /// The same at another port: a second node on the machine.
    pub(crate) fn start_at(&self, side: usize, port: u16, name: &str, more: &[&str]) -> Node {
        let address = format!("tcp/{}:{port}", Lab::address(side));
        let log = self.folder.path().join(format!("{name}-{side}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("the folder is ours");
        let mut command = self.command(side);
        command.args(["node", "--name", name, "--listen", &address, "--insecure"]).args(more);
        command.arg("--data").arg(self.folder.path().join(format!("{name}-{side}")));
        command.stdin(Stdio::null()).stderr(file.try_clone().expect("a file")).stdout(file);
        let child = command.spawn().expect("ip is there");
        Node { address, child, log, at_first: None }
    }

    /// Runs `enact` on a machine, against the node there.
    pub(crate) fn at(&self, side: usize, args: &[&str]) -> Done {
        let output = self.command(side).args(args).output().expect("ip is there");
        Done {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Applies statements on a machine, and waits for the outcome there.
    pub(crate) fn apply(&self, side: usize, statements: &[&str]) -> Done {
        let script = statements.join("\n").replace("$group", &self.group);
        let watch = Stopwatch::start();
        loop {
            let done = self.at(side, &["apply", "-e", &script, "--yes", "--timeout", "60s"]);
            // Where a busy machine let no node be found in time, nothing was said to any.
            if done.code != NOBODY_FOUND || watch.elapsed() > PATIENCE {
                return done;
            }
        }
    }

    /// The status of the group as a machine sees it; null while its node does not answer.
    pub(crate) fn status(&self, side: usize) -> Value {
        let done = self.at(side, &["status", "-o", "json"]);
        serde_json::from_str(&done.stdout).unwrap_or(Value::Null)
    }

    /// The model as a machine knows it.
    pub(crate) fn model(&self, side: usize) -> Value {
        self.at(side, &["get", "-o", "json"]).ok().json()["model"].take()
    }

    /// The number of the newest revision.
    pub(crate) fn revision(&self, side: usize) -> u64 {
        number(&self.status(side)["revision"])
    }

    /// The number that an input port replies; NaN, which is above nothing, when it does not.
    pub(crate) fn ask(&self, side: usize, port: &str) -> f64 {
        let done = self.at(side, &["send", port, "null", "--reply"]);
        done.stdout.trim().parse().unwrap_or(f64::NAN)
    }

    /// Waits until both machines see these nodes ready.
    #[track_caller]
    pub(crate) fn await_ready(&self, nodes: &[&str]) {
        let mut seen = Value::Null;
        let n_sides = nodes.len().min(2);
        eventually(&format!("{nodes:?} are ready"), || {
            (0..n_sides).all(|side| {
                seen = self.status(side);
                nodes.iter().all(|node| node_status(&seen, node)["state"] == "ready")
            })
        });
    }

    fn command(&self, side: usize) -> std::process::Command {
        let mut command = self.lab.command(side, ENACT);
        command
            .current_dir(self.folder.path())
            .env("XDG_CONFIG_HOME", self.folder.path())
            .env_remove("RUST_LOG")
            .env_remove("RUST_BACKTRACE");
        command.env("ENACT_GROUP", &self.group).env("ENACT_MULTICAST_ENABLED", self.multicast.to_string());
        command.env("ENACT_NODE", format!("tcp/{}:{PORT}", Lab::address(side)));
        command
    }
}

/// A node process.
pub(crate) struct Node {
    pub(crate) address: String,
    child: Child,
    log: PathBuf,
    /// What it held when its group was first ready, if somebody waited for that.
    at_first: Option<Held>,
}

impl Node {
    /// What it wrote so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// It is ready: what it takes from here on is what the test costs it.
    pub(crate) fn now_ready(&mut self) {
        self.at_first = Some(Held::by(self.child.id()));
    }

    /// Whether it runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("the process is ours").is_none()
    }

    /// It runs, has not panicked, and has not taken much memory. Gives how much.
    #[track_caller]
    pub(crate) fn unharmed(&mut self) -> Grown {
        assert!(self.runs(), "{}", self.log());
        assert!(!self.log().contains("panicked at"), "{}", self.log());
        Grown::of(&self.address, self.child.id(), self.at_first)
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("the process is ours");
        self.child.wait().expect("it was killed");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let mut code = None;
        let child = &mut self.child;
        eventually("the node ends", || child.try_wait().expect("ours").map(|status| code = status.code()).is_some());
        code
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
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// The command, expected to have ended with 0.
    #[track_caller]
    pub(crate) fn ok(self) -> Done {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }

    /// The JSON on its standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

/// A node in the JSON of `status`.
pub(crate) fn node_status<'a>(status: &'a Value, name: &str) -> &'a Value {
    let nodes = status["nodes"].as_array();
    nodes.into_iter().flatten().find(|node| node["name"] == name).unwrap_or(&Value::Null)
}

/// The number in `r7` or `r7@node1`.
pub(crate) fn number(revision: &Value) -> u64 {
    let text = revision.as_str().unwrap_or_else(|| panic!("no revision: {revision}"));
    text.trim_start_matches('r').split('@').next().and_then(|digits| digits.parse().ok()).expect("a number")
}

/// Waits for a fact.
#[track_caller]
pub(crate) fn eventually(what: &str, mut fact: impl FnMut() -> bool) {
    let watch = Stopwatch::start();
    while !fact() {
        assert!(watch.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
