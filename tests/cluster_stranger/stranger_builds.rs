//! A crate outside of the workspace, with its own component types (by macros, by traits, as an actix actor), channel type, group
//! type and `main`: it builds against the public API, and its binary is a node like any other.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

/// How long a fact may take to become true: generous, since two slow cores may be shared by many.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the node starts with: a group of the stranger's own type.
const BOOT: &str = "
add station : EnactNode
add sync : weather.Reasoned
attach station sync
";

const SCRIPT: &str = "
add station.thermometer : weather.Thermometer
set station.thermometer.period = '20ms'
add station.average, station.last_alarm : weather.Average
set station.last_alarm.over = '1'
add station.alarm : weather.Alarm
set station.alarm.above = '25'
add readings, alarms : weather.Sample
set readings.one_in = '4'
set alarms.one_in = '1'
bind station.thermometer.reading readings
bind station.average.reading readings
bind station.alarm.reading readings
bind station.alarm.alarm alarms
bind station.last_alarm.reading alarms
";

#[test]
fn a_strangers_crate_builds_and_runs_as_a_node() {
    let station = Station::start(&build());
    let types = station.run(&["types", "--local", "-o", "json"]).json().to_string();
    for name in ["Thermometer", "Average", "Alarm", "Sample", "Reasoned"] {
        assert!(types.contains(&format!("\"{name}\"")), "no {name} in {types}");
    }

    // Its group takes no change without a reason, and its plans know its types.
    let refused = station.apply(&[]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("say why"), "{refused:?}");
    station.apply(&["--message", "the first instruments"]).ok();

    // Messages flow: one reading in four reaches the average and the alarm, and alarms go on from there.
    let warmest = station.eventually("an alarm", |station| {
        station.ask("station.last_alarm.average").as_f64().filter(|celsius| *celsius > 25.0)
    });
    assert_eq!((warmest * 2.0) % 4.0, 0.0, "only one reading in four comes through: {warmest}");
    assert!(station.ask("station.alarm.count").as_u64().is_some_and(|n| n > 0));
    let last = station.ask("station.thermometer.last");
    assert_eq!(last["celsius"].as_f64(), last["n"].as_f64().map(|n| 20.0 + n / 2.0));

    // A parameter of its channel and one of its actor change while they run.
    let wrong = station.run(&["apply", "-e", "set readings.one_in = '0'", "--yes", "-m", "never"]);
    assert!(wrong.code != 0 && wrong.stderr.contains("one_in"), "{wrong:?}");
    let change = ["apply", "-e", "set station.alarm.above = '1000000'", "-e", "set readings.one_in = '1'", "--yes"];
    station.run(&[&change[..], &["-m", "summer comes"]].concat()).ok();
    let history = station.run(&["history", "-o", "json"]).json().to_string();
    assert!(history.contains("the first instruments") && history.contains("summer comes"), "{history}");
    let mean = station.ask("station.average.average").as_f64();
    station
        .eventually("more readings", |station| (station.ask("station.average.average").as_f64() > mean).then_some(()));
    station.stop();
}

/// Builds the crate beside what is built already, with the versions of the workspace; gives the binary.
///
/// The lock file is the workspace's, so that no version differs: cargo takes out of it what the crate does not need. The target
/// directory is the one that this test was built in, whose dependencies then need no second build. (`cargo test` holds its lock
/// while it builds, not while tests run.)
fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a package of the workspace");
    let stranger = root.join("tests/stranger");
    fs::copy(root.join("Cargo.lock"), stranger.join("Cargo.lock")).expect("the lock file is copied");
    // target/PROFILE/deps/this_test
    let this_test = std::env::current_exe().expect("this test is a file");
    let target = this_test.ancestors().nth(3).expect("it is in a target directory");
    let cargo = |offline: &[&str]| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.arg("build").args(offline).current_dir(&stranger).env("CARGO_TARGET_DIR", target);
        // What `cargo test` says about this package is not so for that one, and would have build scripts run again.
        for (name, _) in std::env::vars_os() {
            let about = name.to_string_lossy();
            if about.starts_with("CARGO_MANIFEST_") || about.starts_with("CARGO_PKG_") {
                cargo.env_remove(name);
            }
        }
        cargo.output().expect("cargo is there")
    };
    let mut built = cargo(&["--offline"]);
    if !built.status.success() {
        built = cargo(&[]);
    }
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    target.join("debug").join(format!("weather{}", std::env::consts::EXE_SUFFIX))
}

/// A node of the stranger's binary, ended whatever happens.
struct Station {
    binary: PathBuf,
    folder: tempfile::TempDir,
    address: String,
    node: Child,
}

impl Station {
    fn start(binary: &Path) -> Station {
        let folder = tempfile::tempdir().expect("a folder");
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
        let address = format!("tcp/127.0.0.1:{port}");
        fs::write(folder.path().join("boot.kevs"), BOOT).expect("the folder is ours");
        let log = fs::File::create(folder.path().join("log")).expect("the folder is ours");
        let mut node = command(binary, folder.path());
        node.args(["node", "--name", "station", "--listen", &address, "--boot", "boot.kevs"]).stdin(Stdio::null());
        node.stdout(log.try_clone().expect("a file")).stderr(log);
        let node = node.spawn().expect("the binary is there");
        let station = Station { binary: binary.to_owned(), folder, address, node };
        station.eventually("the node is ready", |station| {
            let status = station.run(&["status", "-o", "json"]);
            (status.code == 0 && status.stdout.contains("\"ready\"")).then_some(())
        });
        station
    }

    fn run(&self, args: &[&str]) -> Done {
        let output = command(&self.binary, self.folder.path()).args(args).env("ENACT_NODE", &self.address).output();
        Done::of(output.expect("the binary is there"))
    }

    fn apply(&self, more: &[&str]) -> Done {
        fs::write(self.folder.path().join("weather.kevs"), SCRIPT).expect("the folder is ours");
        self.run(&[&["apply", "weather.kevs", "--yes", "--timeout", "60s"], more].concat())
    }

    fn ask(&self, port: &str) -> Value {
        let told = self.run(&["send", port, "null", "--reply"]).ok();
        if told.stdout.trim().is_empty() { Value::Null } else { told.json() }
    }

    fn eventually<T>(&self, what: &str, mut fact: impl FnMut(&Station) -> Option<T>) -> T {
        let until = now() + PATIENCE;
        loop {
            if let Some(found) = fact(self) {
                return found;
            }
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(now() < until, "not within {PATIENCE:?}: {what}\n{}", log());
            sleep(Duration::from_millis(50));
        }
    }

    fn stop(mut self) {
        self.run(&["stop", "station", "--yes"]).ok();
        let mut ended = None;
        let until = now() + PATIENCE;
        while ended.is_none() && now() < until {
            ended = self.node.try_wait().expect("the process is ours");
            sleep(Duration::from_millis(20));
        }
        assert_eq!(ended.and_then(|status| status.code()), Some(0));
    }
}

impl Drop for Station {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let _ = self.node.kill();
        let _ = self.node.wait();
    }
}

#[derive(Debug)]
struct Done {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Done {
    fn of(output: Output) -> Done {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Done { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    #[track_caller]
    fn ok(self) -> Done {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

/// The binary in a world of its own: no configuration and no group of this machine reaches it.
fn command(binary: &Path, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    command.current_dir(folder).env("XDG_CONFIG_HOME", folder).env_remove("RUST_LOG");
    command.env("ENACT_GROUP", "sync").env("ENACT_MULTICAST_ENABLED", "false");
    command
}

#[allow(clippy::disallowed_methods, reason = "a test of real processes waits in real time")]
fn now() -> Instant {
    Instant::now()
}
