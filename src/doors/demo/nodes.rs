//! The demo's node processes: started from this very binary, in a folder of their own, and ended with the demo.

use std::{
    fs::File,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::{
    doors::{
        cli::{
            client::Client,
            connect::{self, Connector},
            failure::{Exit, Failure},
        },
        config::Config,
    },
    io::clock::{self, Stopwatch},
    words::GroupName,
};

/// How long a node may take to end when it is asked to.
const END_MAX: Duration = Duration::from_secs(15);

/// How often a process is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

struct Process {
    name: String,
    address: String,
    child: Option<Child>,
}

/// The processes of a demo.
pub(super) struct Nodes {
    folder: PathBuf,
    group: GroupName,
    keep: bool,
    processes: Vec<Process>,
}

impl Nodes {
    /// Nobody yet, in a new folder under the system's temporary one.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(super) fn new(keep: bool) -> Result<Nodes, Failure> {
        let name = format!("enact-demo-{}-{:x}", std::process::id(), clock::now().micros() & 0xff_ffff);
        let folder = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&folder)
            .map_err(|error| failed(format!("cannot make {}: {error}", folder.display())))?;
        let group = GroupName::parse(&name).map_err(|error| failed(error.to_string()))?;
        Ok(Nodes { folder, group, keep, processes: Vec::new() })
    }

    /// Where logs and data are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps the folder when the demo ends.
    pub(super) fn keep(&mut self) {
        self.keep = true;
    }

    /// Starts a node, or one that was killed again, with its address and data.
    ///
    /// # Errors
    /// When there is no free port, or the process cannot be started.
    pub(super) fn start(&mut self, name: &str) -> Result<(), Failure> {
        let idx = match self.processes.iter().position(|process| process.name == name) {
            Some(idx) => idx,
            None => {
                let address = free_address()?;
                self.processes.push(Process { name: name.to_owned(), address, child: None });
                self.processes.len() - 1
            }
        };
        let address = self.processes[idx].address.clone();
        let log = self.folder.join(format!("{name}.log"));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|error| failed(format!("{}: {error}", log.display())))?;
        let both = file.try_clone().map_err(|error| failed(error.to_string()))?;
        let binary = std::env::current_exe().map_err(|error| failed(format!("cannot find this binary: {error}")))?;
        let join: Vec<&str> =
            self.processes.iter().map(|process| process.address.as_str()).filter(|other| *other != address).collect();
        let mut command = Command::new(binary);
        command
            .args(["node", "--name", name, "--listen", &address])
            .arg("--data")
            .arg(self.folder.join(name))
            .env("ENACT_GROUP", self.group.as_str())
            .env("ENACT_MULTICAST_ENABLED", "false")
            .env("ENACT_JOIN", join.join(","))
            .env("ENACT_LOG_FORM", "human")
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(both)
            // Ctrl-C at the terminal is the console's business, not the nodes'.
            .process_group(0);
        let child = command.spawn().map_err(|error| failed(format!("cannot start {name}: {error}")))?;
        self.processes[idx].child = Some(child);
        Ok(())
    }

    /// Ends a node as a crash would.
    ///
    /// # Errors
    /// When there is no such node.
    pub(super) fn kill(&mut self, name: &str) -> Result<(), Failure> {
        let process = self.processes.iter_mut().find(|process| process.name == name);
        let child = process.and_then(|process| process.child.take());
        let mut child = child.ok_or_else(|| failed(format!("{name} does not run")))?;
        child
            .kill()
            .and_then(|()| child.wait())
            .map(drop)
            .map_err(|error| failed(format!("cannot kill {name}: {error}")))
    }

    /// The configuration of a console that talks to the first node.
    pub(super) fn config(&self, config: &Config) -> Config {
        let mut config = config.clone();
        config.group = self.group.clone();
        config.node = self.processes.first().map(|process| process.address.clone());
        config.multicast.enabled = false;
        config
    }

    /// Waits until the first node answers.
    ///
    /// # Errors
    /// When it does not in time, or has ended.
    pub(super) async fn reach(
        &mut self,
        connector: &Connector,
        config: &Config,
        limit: Duration,
    ) -> Result<Client, Failure> {
        let watch = Stopwatch::start();
        loop {
            match connect::open(connector, config).await {
                Ok(client) => return Ok(client),
                Err(failure) if watch.elapsed() > limit => return Err(failure),
                Err(_) => self.check_alive()?,
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Every node that was started and not killed runs.
    ///
    /// # Errors
    /// Which one has ended, and what it said last.
    pub(super) fn check_alive(&mut self) -> Result<(), Failure> {
        for process in &mut self.processes {
            let Some(child) = &mut process.child else { continue };
            if let Ok(Some(status)) = child.try_wait() {
                let log = self.folder.join(format!("{}.log", process.name));
                let text = std::fs::read_to_string(&log).unwrap_or_default();
                let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
                return Err(failed(format!("{} ended ({status}); its last words: {last}", process.name)));
            }
        }
        Ok(())
    }

    /// Asks every node to end, and ends those that do not; removes the folder unless it is to be kept.
    pub(super) fn stop(&mut self) {
        for process in &self.processes {
            if let Some(child) = &process.child {
                terminate(child);
            }
        }
        let watch = Stopwatch::start();
        for process in &mut self.processes {
            let Some(mut child) = process.child.take() else { continue };
            while matches!(child.try_wait(), Ok(None)) && watch.elapsed() < END_MAX {
                std::thread::sleep(LOOK_AGAIN);
            }
            // Fails only when it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
        if !self.keep {
            // What cannot be removed stays in the system's temporary folder, which is cleaned anyway.
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.stop();
    }
}

fn terminate(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // Fails only when it has ended already.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

fn free_address() -> Result<String, Failure> {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.map(|address| format!("tcp/{address}")).map_err(|error| failed(format!("no free port: {error}")))
}

/// A step of the demo that did not work.
pub(super) fn failed(what: String) -> Failure {
    Failure::new(Exit::Error, what, "`enact demo --check --keep` keeps the logs of the nodes")
}
