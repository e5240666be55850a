//! Configuration: flag > environment > file > default, and where each value came from.
//!
//! [`keys`] lists every key once, with its default and what it is for; the sample file, `config show` and the checks all
//! follow from that list. [`Config`] is what the rest of the program sees.

pub mod keys;
mod merge;

use std::{path::PathBuf, time::Duration};

pub use keys::{KEYS, Key, Takes, sample};
pub use merge::{Fault, Faults, Origin, Setting, Settings, Sources};

use crate::{
    io::{engine, telemetry::LogForm},
    words::{GroupName, NodeName},
};

/// Everything that a node or a console can be told, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The node's name; `None` when nobody gave one (the node then takes the machine's).
    pub name: Option<NodeName>,
    /// The group.
    pub group: GroupName,
    /// Where to listen, as `tcp/HOST:PORT`.
    pub listen: Vec<String>,
    /// Whether somebody asked for these addresses. If not, a port that is taken is replaced by a free one.
    pub listen_given: bool,
    /// Nodes to join, as `tcp/HOST:PORT`.
    pub join: Vec<String>,
    /// The node that a console talks to; `None` is any that is found.
    pub node: Option<String>,
    /// Whether addresses other than loopback may be used without encryption.
    pub insecure: bool,
    /// Where the node keeps what must survive; `None` keeps it in memory.
    pub data: Option<PathBuf>,
    /// The script or model to start from; `None` is the built-in one.
    pub boot: Option<PathBuf>,
    /// How nodes of one subnet find each other.
    pub multicast: Multicast,
    /// The log.
    pub log: Log,
    /// Threads for components; 0 is one a core.
    pub workers: usize,
    /// Bounds and time limits.
    pub limits: Limits,
    /// Where metrics are served for Prometheus, as `HOST:PORT`; `None` is nowhere.
    pub metrics: Option<String>,
    /// What a console does.
    pub console: Console,
}

/// How nodes of one subnet find each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Multicast {
    /// Whether they do.
    pub enabled: bool,
    /// The multicast address and port; `None` is one that follows from the group's name.
    pub address: Option<String>,
    /// The network interface; `None` is what the listening addresses suggest.
    pub interface: Option<String>,
}

/// The log.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// The level, or directives.
    pub level: String,
    /// How lines look.
    pub form: LogForm,
    /// How many records are kept in memory for `logs`.
    pub kept: usize,
}

/// Bounds and time limits of a node.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The longest that one step of an adaptation may take.
    pub step: Duration,
    /// The longest that stopping everything may take when the node ends.
    pub drain: Duration,
    /// Restarts of a crashing instance …
    pub restarts: usize,
    /// … within this time, before it has failed for good.
    pub restart_window: Duration,
    /// How long a node must run a revision until that is good.
    pub probation: Duration,
    /// A node that is silent for this long is suspected.
    pub suspect: Duration,
}

/// What a console does.
#[derive(Clone, Debug, PartialEq)]
pub struct Console {
    /// How long it looks for a node.
    pub search: Duration,
    /// How long `apply` waits for the group.
    pub wait: Duration,
}

impl Config {
    /// Reads the configuration out of settings that were merged.
    ///
    /// # Errors
    /// All values that are not what their key wants.
    pub fn of(settings: &Settings) -> Result<Config, Faults> {
        let mut read = settings.reader();
        let config = Config {
            name: read.parsed("name"),
            group: read.parsed("group").unwrap_or_else(|| GroupName::parse("sync").expect("a valid name")),
            listen: read.addresses("listen"),
            listen_given: settings.get("listen").is_some_and(|setting| setting.origin != Origin::Default),
            join: read.addresses("join"),
            node: read.addresses("node").pop(),
            insecure: read.flag("insecure"),
            data: read.text("data").map(PathBuf::from),
            boot: read.text("boot").map(PathBuf::from),
            multicast: Multicast {
                enabled: read.flag("multicast.enabled"),
                address: read.text("multicast.address"),
                interface: read.text("multicast.interface"),
            },
            log: Log {
                level: read.text("log.level").unwrap_or_default(),
                form: match read.text("log.form").as_deref() {
                    Some("human") => LogForm::Human,
                    Some("json") => LogForm::Json,
                    _ => LogForm::Auto,
                },
                kept: read.count("log.kept"),
            },
            workers: read.count("workers"),
            limits: Limits {
                step: read.duration("limits.step"),
                drain: read.duration("limits.drain"),
                restarts: read.count("limits.restarts"),
                restart_window: read.duration("limits.restart_window"),
                probation: read.duration("limits.probation"),
                suspect: read.duration("limits.suspect"),
            },
            metrics: read.text("metrics.listen"),
            console: Console { search: read.duration("console.search"), wait: read.duration("console.wait") },
        };
        read.finish(config)
    }

    /// The place of a node in the network. When nobody asked for the usual port and it is taken (by another node on this
    /// machine, mostly), any free one will do.
    pub fn of_node(&self) -> engine::Config {
        let mut listen = self.listen.clone();
        if !self.listen_given {
            for address in &mut listen {
                let plain = address.split_once('/').map_or(address.as_str(), |(_, plain)| plain);
                if std::net::TcpListener::bind(plain).is_err() {
                    *address = format!("{}:0", plain.rsplit_once(':').map_or(plain, |(host, _)| host));
                }
            }
        }
        engine::Config { listen, ..self.network() }
    }

    /// The place of a console in the network: it listens nowhere, and looks for a node on this machine's usual port too. A node
    /// that was named is looked for alone.
    pub fn of_console(&self) -> engine::Config {
        let network = self.network();
        match &self.node {
            Some(node) => engine::Config { join: vec![node.clone()], multicast: false, gossip: false, ..network },
            None => {
                let join = if self.join.is_empty() { self.listen.clone() } else { self.join.clone() };
                engine::Config { join, listen: Vec::new(), ..network }
            }
        }
    }

    fn network(&self) -> engine::Config {
        engine::Config {
            group: self.group.to_string(),
            join: self.join.clone(),
            multicast: self.multicast.enabled,
            multicast_address: self.multicast.address.clone(),
            interface: self.multicast.interface.clone(),
            insecure: self.insecure,
            lease_ms: u64::try_from(self.limits.suspect.as_millis()).unwrap_or(u64::MAX),
            ..engine::Config::default()
        }
    }

    /// Refuses to listen where strangers can reach a node that does not encrypt, unless that was asked for.
    ///
    /// # Errors
    /// The address that is not loopback.
    pub fn check_exposure(&self) -> Result<(), Fault> {
        let open = self.listen.iter().find(|address| !is_loopback(address));
        match open {
            Some(address) if !self.insecure => Err(Fault {
                place: "listen".to_owned(),
                what: format!("\"{address}\" can be reached from other machines, and frames are not encrypted"),
                help: "give --insecure on a network that you trust, or listen on 127.0.0.1".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

/// Whether an address `tcp/HOST:PORT` stays on this machine.
pub fn is_loopback(address: &str) -> bool {
    let host = address.split_once('/').map_or(address, |(_, rest)| rest);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(flags: &[(&'static str, &str)]) -> Result<Config, Faults> {
        let flags = flags.iter().map(|(key, value)| (*key, vec![(*value).to_owned()])).collect();
        Config::of(&Settings::merge(&Sources { flags, ..Sources::default() })?)
    }

    #[test]
    fn nothing_given_is_a_node_on_loopback() {
        let config = config(&[]).unwrap();
        assert_eq!((config.group.as_str(), config.listen.clone()), ("sync", vec!["tcp/127.0.0.1:7700".to_owned()]));
        assert!(!config.listen_given && config.check_exposure().is_ok());
        assert_eq!(config.limits.step, Duration::from_secs(30));
        assert_eq!(config.limits.probation, crate::logic::restart::PROBATION);
    }

    #[test]
    fn an_open_address_wants_a_word() {
        let open = config(&[("listen", "0.0.0.0:7700")]).unwrap();
        assert_eq!(open.listen, vec!["tcp/0.0.0.0:7700"]);
        assert!(open.check_exposure().unwrap_err().help.contains("--insecure"));
        assert!(config(&[("listen", "0.0.0.0:7700"), ("insecure", "true")]).unwrap().check_exposure().is_ok());
    }

    #[test]
    fn loopback_has_many_names() {
        for address in ["tcp/127.0.0.1:7700", "tcp/[::1]:0", "localhost:1", "tcp/127.8.8.8:2"] {
            assert!(is_loopback(address), "{address}");
        }
        for address in ["tcp/0.0.0.0:7700", "tcp/node1:7700", "tcp/[::]:7700"] {
            assert!(!is_loopback(address), "{address}");
        }
    }

    #[test]
    fn every_wrong_value_is_told_at_once() {
        let faults = config(&[("name", "a.b"), ("limits.step", "soon"), ("workers", "many")]).unwrap_err();
        assert_eq!(faults.0.len(), 3, "{faults}");
    }

    #[test]
    fn the_sample_file_says_what_the_code_does() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/config/node.toml");
        let file = std::fs::read_to_string(path).unwrap();
        assert_eq!(file, sample(), "write what `enact config sample` prints to deploy/config/node.toml");
    }
}
