//! `enact doctor`: examines this machine and the group, and says what to do.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
    path::Path,
    time::Duration,
};

use super::{
    args::DoctorArgs,
    connect::{self, Connector},
    failure::{Exit, Failure},
    output::{self, Output},
    paint,
    render::count,
    term::Term,
};
use crate::{
    doors::config::{Config, is_loopback},
    io::clock,
    runtime::node::api::{Finding, Severity},
    words::Time,
};

/// How long a connection to another machine may take.
const CONNECT_MAX: Duration = Duration::from_secs(1);

/// How long a multicast packet to ourselves may take.
const ECHO_MAX: Duration = Duration::from_millis(500);

/// Where nodes look for each other unless told otherwise; the port is the group's.
const MULTICAST_DEFAULT: &str = "224.0.0.224:7446";

/// A clock before this moment (2026-01-01) is wrong: this code is younger.
const BORN: Time = Time(1_767_225_600_000_000);

/// `enact doctor`
pub(super) async fn run(
    args: &DoctorArgs,
    config: &Config,
    connect: &Connector,
    term: &mut Term,
) -> Result<(), Failure> {
    let mut findings = tokio::task::spawn_blocking({
        let config = config.clone();
        move || here(&config)
    })
    .await?;
    findings.extend(group(config, connect).await);
    match args.output {
        Output::Json | Output::Jsonl => output::json_list(term, args.output, "Finding", &findings)?,
        Output::Table | Output::Wide => term.print(&text(&findings))?,
        other => return Err(other.unknown("doctor", "table, json and jsonl")),
    }
    match findings.iter().any(|finding| finding.severity == Severity::Error) {
        true => Err(Failure::silent(Exit::Error)),
        false => Ok(()),
    }
}

fn text(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.what.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.severity {
            Severity::Fine => paint::green("✓"),
            Severity::Warning => paint::yellow("!"),
            Severity::Error => paint::red("×"),
        };
        text.push_str(&format!("{mark} {:<width$}  {}\n", finding.what, finding.found));
        if !finding.help.is_empty() {
            text.push_str(&format!("  {:<width$}  help: {}\n", "", finding.help));
        }
    }
    let n = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (n_errors, n_warnings) = (n(Severity::Error), n(Severity::Warning));
    text.push_str(&match (n_errors, n_warnings) {
        (0, 0) => "all is well\n".to_owned(),
        (0, n) => format!("{}\n", count(n, "warning")),
        (n, 0) => format!("{}\n", count(n, "error")),
        (n, m) => format!("{}, {}\n", count(n, "error"), count(m, "warning")),
    });
    text
}

fn finding(what: &str, severity: Severity, found: impl Into<String>, help: impl Into<String>) -> Finding {
    Finding { what: what.to_owned(), severity, found: found.into(), help: help.into() }
}

/// What can be said about this machine. Blocks for a short time.
fn here(config: &Config) -> Vec<Finding> {
    let mut findings = vec![check_clock(clock::now())];
    findings.extend(config.listen.iter().map(|address| check_port(address, config)));
    findings.push(check_multicast(config));
    findings.push(check_data(config.data.as_deref()));
    findings.extend(config.join.iter().map(|address| check_reach("join", address)));
    findings.extend(config.node.iter().map(|address| check_reach("node", address)));
    findings
}

fn check_clock(now: Time) -> Finding {
    match now >= BORN {
        true => finding("clock", Severity::Fine, "plausible", ""),
        false => {
            let help = "set the time (timedatectl, ntpd): revisions are ordered by it";
            finding("clock", Severity::Error, "it is before 2026 on this machine", help)
        }
    }
}

fn check_port(address: &str, config: &Config) -> Finding {
    let what = format!("listen {address}");
    if !is_loopback(address) && !config.insecure {
        let help = "a node needs --insecure to listen here; better 127.0.0.1 when all nodes are on this machine";
        return finding(&what, Severity::Warning, "reachable from other machines, and frames are not encrypted", help);
    }
    let addresses = match resolve(address) {
        Ok(addresses) => addresses,
        Err(error) => return finding(&what, Severity::Error, error, "give an address of this machine and a port"),
    };
    match TcpListener::bind(addresses.as_slice()) {
        Ok(_) => finding(&what, Severity::Fine, "free", ""),
        Err(error) if error.kind() == ErrorKind::AddrInUse && !config.listen_given => {
            finding(&what, Severity::Fine, "in use, by a node perhaps; the next node takes a free port", "")
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => finding(
            &what,
            Severity::Error,
            "in use",
            "another process has the port: give another one, or port 0 for any",
        ),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            finding(&what, Severity::Error, "not allowed", "ports below 1024 need a privilege: take one above")
        }
        Err(error) => finding(&what, Severity::Error, error.to_string(), "give an address of this machine"),
    }
}

/// The socket addresses of `tcp/HOST:PORT`.
fn resolve(address: &str) -> Result<Vec<SocketAddr>, String> {
    let host = address.split_once('/').map_or(address, |(_, rest)| rest);
    match host.to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) => Err(format!("cannot be resolved: {error}")),
    }
}

/// Sends a packet to the multicast address and waits to hear it.
fn check_multicast(config: &Config) -> Finding {
    let what = "multicast";
    if !config.multicast.enabled {
        return finding(what, Severity::Warning, "off", "nodes find each other by --join only");
    }
    let address = config.multicast.address.as_deref().unwrap_or(MULTICAST_DEFAULT);
    let Ok(SocketAddr::V4(group)) = address.parse::<SocketAddr>() else {
        let found = format!("\"{address}\" is no IPv4 address with a port");
        return finding(what, Severity::Error, found, "expected as in 239.77.0.1:7700");
    };
    if !group.ip().is_multicast() {
        let help = "multicast addresses go from 224.0.0.0 to 239.255.255.255";
        return finding(what, Severity::Error, format!("{} is no multicast address", group.ip()), help);
    }
    match echo(*group.ip()) {
        Ok(()) => finding(what, Severity::Fine, format!("{} works on this machine", group.ip()), ""),
        Err(error) => {
            let help = "multicast is often filtered in clouds and containers: give --join HOST:7700";
            finding(what, Severity::Warning, format!("{} does not work here: {error}", group.ip()), help)
        }
    }
}

/// A port of our own, so that a running node is not disturbed.
fn echo(group: Ipv4Addr) -> std::io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.join_multicast_v4(&group, &Ipv4Addr::UNSPECIFIED)?;
    socket.set_multicast_loop_v4(true)?;
    socket.set_read_timeout(Some(ECHO_MAX))?;
    let to = SocketAddrV4::new(group, socket.local_addr()?.port());
    socket.send_to(b"enact doctor", to)?;
    let mut heard = [0; 32];
    socket.recv_from(&mut heard).map(|_| ())
}

fn check_data(directory: Option<&Path>) -> Finding {
    let what = "data directory";
    let Some(directory) = directory else {
        let help = "give --data DIRECTORY where history and states should survive a restart";
        return finding(what, Severity::Fine, "none: a node keeps everything in memory", help);
    };
    let shown = directory.display();
    let probe = directory.join(".enact-doctor");
    match std::fs::create_dir_all(directory).and_then(|()| std::fs::write(&probe, b"")) {
        Ok(()) => {
            // What was only written to try may stay when it cannot be removed.
            let _ = std::fs::remove_file(&probe);
            finding(what, Severity::Fine, format!("{shown} can be written"), "")
        }
        Err(error) => finding(
            what,
            Severity::Error,
            format!("{shown}: {error}"),
            "make it writable for this user, or give another",
        ),
    }
}

fn check_reach(flag: &str, address: &str) -> Finding {
    let what = format!("{flag} {address}");
    let tried = resolve(address).and_then(|addresses| {
        let first = addresses.first().ok_or("no address")?;
        TcpStream::connect_timeout(first, CONNECT_MAX).map(|_| ()).map_err(|error| error.to_string())
    });
    match tried {
        Ok(()) => finding(&what, Severity::Fine, "something listens there", ""),
        Err(error) => {
            let help = "is the node running, does it listen on that address, does a firewall filter the port?";
            finding(&what, Severity::Error, format!("cannot be reached: {error}"), help)
        }
    }
}

/// What the group says.
async fn group(config: &Config, connect: &Connector) -> Vec<Finding> {
    let client = match connect::open(connect, config).await {
        Ok(client) => client,
        Err(failure) => return vec![finding("group", Severity::Warning, failure.what, failure.help)],
    };
    let info = client.info();
    let found = format!("{} answers: {} {}, {}", info.node, info.group, info.revision, count(info.n_nodes, "node"));
    let mut findings = vec![finding("group", Severity::Fine, found, "")];
    match client.doctor().await {
        Ok(of_the_node) => findings.extend(of_the_node),
        Err(failure) => findings.push(finding("node", Severity::Error, failure.what, failure.help)),
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doors::config::{Settings, Sources};

    fn config(flags: &[(&'static str, &str)]) -> Config {
        let flags = flags.iter().map(|(key, value)| (*key, vec![(*value).to_owned()])).collect();
        Config::of(&Settings::merge(&Sources { flags, ..Sources::default() }).unwrap()).unwrap()
    }

    #[test]
    fn a_port_in_use_is_an_error_only_when_it_was_asked_for() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp/{}", taken.local_addr().unwrap());
        let asked = config(&[("listen", &address)]);
        assert_eq!(check_port(&address, &asked).severity, Severity::Error);
        assert_eq!(check_port(&address, &config(&[])).severity, Severity::Fine);
        assert_eq!(check_port("tcp/0.0.0.0:0", &config(&[])).severity, Severity::Warning);
    }

    #[test]
    fn a_data_directory_is_tried() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(check_data(Some(directory.path())).severity, Severity::Fine);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(check_data(Some(&file)).severity, Severity::Error);
    }

    #[test]
    fn every_error_says_what_to_do() {
        let wrong = [
            check_clock(Time(0)),
            check_reach("join", "tcp/127.0.0.1:1"),
            check_multicast(&config(&[("multicast.address", "10.0.0.1:7700")])),
            check_multicast(&config(&[("multicast.address", "here")])),
        ];
        for finding in &wrong {
            assert!(finding.severity == Severity::Error && !finding.help.is_empty(), "{finding:?}");
        }
        assert!(text(&wrong).ends_with("4 errors\n"));
    }
}
