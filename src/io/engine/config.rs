//! What can be set about a node's place in the network.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::ServiceId;

/// Where a node that is given no address listens: seen by this machine alone, on any free port.
pub const LISTEN_DEFAULT: &str = "127.0.0.1:0";

/// A node's place in the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Only nodes of one group talk to each other. A name; default `default`.
    pub group: String,
    /// Where this node listens, `HOST:PORT` each; port 0 takes any free one. Default `127.0.0.1:0`; a console listens nowhere.
    /// Any address that is not loopback needs `insecure`.
    pub listen: Vec<String>,
    /// Nodes to connect to, `HOST:PORT` each, tried again and again. One is enough: it tells of the others. Default none.
    pub join: Vec<String>,
    /// Whether nodes find each other by multicast: on this machine, and on the subnets of the addresses in `listen`. Default true.
    pub multicast: bool,
    /// The address and port of multicast, the same for all nodes of a group. Default 224.0.0.224 and a port that follows from the
    /// group's name, so that groups do not disturb each other.
    pub multicast_address: Option<String>,
    /// The interface of multicast: its name or its address. Default: what `listen` suggests.
    pub interface: Option<String>,
    /// Whether connected nodes tell each other of further ones. Default true.
    pub gossip: bool,
    /// Listen on other addresses than loopback although nothing encrypts what is said and nothing keeps strangers out.
    /// Default false.
    pub insecure: bool,
    /// After this silence, in milliseconds, a connection counts as broken. Below 500 a busy machine breaks connections for
    /// nothing; default 3000: a peer that hangs or is cut off is suspected long before, and one that waits for a core on a machine
    /// with fifty others is not taken for dead.
    pub lease_ms: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            group: "default".to_owned(),
            listen: vec![LISTEN_DEFAULT.to_owned()],
            join: Vec::new(),
            multicast: true,
            multicast_address: None,
            interface: None,
            gossip: true,
            insecure: false,
            lease_ms: 3000,
        }
    }
}

/// The ports that multicast uses, by a hash of the group's name: below those that systems give to clients.
const MULTICAST_PORTS: std::ops::Range<u16> = 17_000..18_000;

/// The host of `HOST:PORT`.
pub(super) fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}

pub(super) fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl Config {
    /// What was tried to find others, for people.
    pub fn tried(&self) -> String {
        let mut tried = Vec::new();
        if self.multicast {
            tried.push(format!("multicast {} on {}", self.multicast_socket(), self.multicast_interface()));
        }
        tried.extend(self.join.iter().map(|address| format!("join {address}")));
        if tried.is_empty() {
            "nothing: multicast is off and no node to join is given".to_owned()
        } else {
            tried.join(", ")
        }
    }

    pub(super) fn multicast_socket(&self) -> String {
        let n_ports = u64::from(MULTICAST_PORTS.end - MULTICAST_PORTS.start);
        let port = u64::from(MULTICAST_PORTS.start) + ServiceId::of(&self.group).0 % n_ports;
        self.multicast_address.clone().unwrap_or_else(|| format!("224.0.0.224:{port}"))
    }

    /// The interfaces of the addresses that are listened on, and loopback, so that a console on the same machine finds the node.
    /// Named by address: zenoh's `auto` passes over an interface that is still coming up.
    pub(super) fn multicast_interface(&self) -> String {
        let suggested = || {
            let mut interfaces = Vec::new();
            for address in &self.listen {
                let host = host_of(address.strip_prefix("tcp/").unwrap_or(address));
                match host.parse::<IpAddr>() {
                    Ok(ip) if !ip.is_unspecified() && !ip.is_loopback() => interfaces.push(ip.to_string()),
                    _ if is_loopback(host) => {}
                    _ => return "auto".to_owned(),
                }
            }
            interfaces.push("127.0.0.1".to_owned());
            interfaces.join(",")
        };
        self.interface.clone().unwrap_or_else(suggested)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multicast_goes_where_the_node_listens_and_to_its_own_machine() {
        let on = |listen: &[&str]| {
            Config { listen: listen.iter().map(ToString::to_string).collect(), ..Config::default() }
                .multicast_interface()
        };
        assert_eq!(on(&["127.0.0.1:0"]), "127.0.0.1");
        assert_eq!(on(&["tcp/10.0.0.1:7450", "localhost:0"]), "10.0.0.1,127.0.0.1");
        assert_eq!(on(&["0.0.0.0:7450"]), "auto");
    }
}
