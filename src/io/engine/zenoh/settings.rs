//! What zenoh is told of a node's place in the network.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use serde::Serialize;

use crate::{
    io::engine::{
        Config, EngineError, Role,
        config::{host_of, is_loopback},
    },
    words::name::Name,
};

/// The shortest lease that is accepted: four signs of life have to fit.
const LEASE_MIN_MS: u64 = 100;
/// Connections whose other end has not introduced itself yet; more are closed at once.
const ACCEPT_PENDING: usize = 1000;
/// How long an introduction may take: far longer than a starved machine needs for it.
const ACCEPT_TIMEOUT_MS: u64 = 5000;
/// What a connection holds to receive into: four frames. It is taken anew for each connection, each command's as well, and all of it is
/// touched; beyond that zenoh takes a buffer for each frame.
const RECEIVE_BYTES: usize = 256 * 1024;
/// Pauses between attempts to connect to an address of `join`: short at first, for nodes are often started together.
const JOIN_RETRY: &str = "{ period_init_ms: 200, period_max_ms: 2000, period_increase_factor: 2 }";

/// An address as zenoh writes it, and the parts of it.
fn endpoint(address: &str) -> Result<(String, &str), EngineError> {
    let plain = address.strip_prefix("tcp/").unwrap_or(address);
    let wrong = |detail: &str| EngineError::Address { address: address.to_owned(), detail: detail.to_owned() };
    let (host, port) = plain.rsplit_once(':').ok_or_else(|| wrong("there is no port"))?;
    if host.is_empty() || (host.contains(':') && !host.starts_with('[')) {
        return Err(wrong("there is no host, or an IPv6 address without [ ]"));
    }
    if port.parse::<u16>().is_err() {
        return Err(wrong("the port is no number below 65536"));
    }
    Ok((format!("tcp/{plain}"), plain))
}

/// Whether the address can be listened on, found out before zenoh tries: its error would not say which and why.
fn try_listen(address: &str) -> Result<(), EngineError> {
    let refused = |detail: String| EngineError::Listen { address: address.to_owned(), detail };
    let resolved = address.to_socket_addrs().map_err(|error| refused(error.to_string()))?;
    let addresses: Vec<SocketAddr> = resolved.collect();
    match TcpListener::bind(&addresses[..]) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(refused("the port is in use".to_owned())),
        Err(error) => Err(refused(error.to_string())),
    }
}

impl Config {
    /// Checks everything and says it to zenoh.
    pub(in crate::io::engine) fn to_zenoh(&self, role: Role) -> Result<zenoh::Config, EngineError> {
        if let Err(error) = Name::parse(&self.group) {
            return Err(EngineError::Network(format!("the group: {error}")));
        }
        if self.lease_ms < LEASE_MIN_MS {
            return Err(EngineError::Network(format!("a lease of {} ms is too short", self.lease_ms)));
        }
        let listen = if role == Role::Console { &[] } else { &self.listen[..] };
        let mut listen_on = Vec::new();
        for address in listen {
            let (endpoint, plain) = endpoint(address)?;
            if !is_loopback(host_of(plain)) && !self.insecure {
                return Err(EngineError::Insecure { address: address.clone() });
            }
            try_listen(plain)?;
            listen_on.push(endpoint);
        }
        let connect: Vec<String> =
            self.join.iter().map(|address| Ok(endpoint(address)?.0)).collect::<Result<_, EngineError>>()?;
        let socket = self.multicast_socket();
        if socket.parse::<SocketAddr>().is_err() {
            return Err(EngineError::Address { address: socket, detail: "multicast needs IP:PORT".to_owned() });
        }
        let settings = [
            ("mode", "\"peer\"".to_owned()),
            ("listen/endpoints", json(&listen_on)),
            ("connect/endpoints", json(&connect)),
            ("connect/retry", JOIN_RETRY.to_owned()),
            ("scouting/multicast/enabled", self.multicast.to_string()),
            ("scouting/multicast/address", json(&socket)),
            ("scouting/multicast/interface", json(&self.multicast_interface())),
            ("scouting/gossip/enabled", self.gossip.to_string()),
            // The time to find others is ours (`Times::settle`), not zenoh's half second.
            ("open/return_conditions/connect_scouted", "false".to_owned()),
            ("transport/link/tx/lease", self.lease_ms.to_string()),
            // Hundreds that connect and do not introduce themselves keep no newcomer out.
            ("transport/unicast/accept_pending", ACCEPT_PENDING.to_string()),
            ("transport/unicast/accept_timeout", ACCEPT_TIMEOUT_MS.to_string()),
            // A put that blocks holds back zenoh's own lease: not longer than half of it (engine.md 3.3).
            ("transport/link/tx/queue/congestion_control/block/wait_before_close", (self.lease_ms * 500).to_string()),
            // As much as a link's windows, so that a put does not block at all (`Limits::window_bytes`).
            ("transport/link/tx/queue/size/data", "16".to_owned()),
            ("transport/link/tx/queue/size/interactive_high", "6".to_owned()),
            ("transport/link/rx/buffer_size", RECEIVE_BYTES.to_string()),
        ];
        let mut config = zenoh::Config::default();
        for (key, value) in settings {
            config
                .insert_json5(key, &value)
                .map_err(|error| EngineError::Network(format!("{key} = {value}: {error}")))?;
        }
        Ok(config)
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("texts and lists of texts are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> EngineError {
        let mut config = Config::default();
        change(&mut config);
        config.to_zenoh(Role::Node).unwrap_err()
    }

    #[test]
    fn the_default_is_accepted_and_an_empty_file_is_the_default() {
        assert!(Config::default().to_zenoh(Role::Node).is_ok());
        assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
    }

    #[test]
    fn an_address_that_others_can_reach_needs_insecure() {
        let error = refused(|config| config.listen = vec!["0.0.0.0:0".into()]);
        assert_eq!(error, EngineError::Insecure { address: "0.0.0.0:0".into() });
        assert!(error.help().contains("--insecure"));
        let open = Config { listen: vec!["0.0.0.0:0".into()], insecure: true, ..Config::default() };
        assert!(open.to_zenoh(Role::Node).is_ok());
        let console = Config { listen: vec!["0.0.0.0:0".into()], ..Config::default() };
        assert!(console.to_zenoh(Role::Console).is_ok(), "a console listens nowhere");
    }

    #[test]
    fn addresses_that_are_none_are_told_apart() {
        for (address, what) in
            [("7450", "no port"), (":7450", "no host"), ("::1:7450", "[ ]"), ("127.0.0.1:http", "number")]
        {
            let error = refused(|config| config.join = vec![address.to_owned()]);
            assert!(error.to_string().contains(what), "{error}");
        }
    }

    #[test]
    fn a_port_in_use_is_one_line() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let error = refused(|config| config.listen = vec![address.clone()]);
        assert_eq!(error.to_string(), format!("cannot listen on {address}: the port is in use"));
    }
}
