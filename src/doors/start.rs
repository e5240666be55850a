//! `enact node`: from the configuration to a running node, and what its terminal shows.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    sync::Arc,
};

use tokio::{process::Command, sync::oneshot};

use super::{
    cli::{
        draw::draw,
        failure::{Exit, Failure},
    },
    config::Config,
};
use crate::{
    io::telemetry::{self, Metrics},
    logic::{plan::Limits, restart::Policy},
    model::{json, kmf},
    runtime::{
        instance::Catalog,
        node::{
            Boot, BootError, Options, StartError,
            launch::{self, Ready},
            options::ChildCommand,
        },
    },
    words::NodeName,
};

/// How often the states of running components are kept on disk.
const CHECKPOINT: std::time::Duration = std::time::Duration::from_secs(5);

/// Set for a node that another one hosts as a process: its standard input ends with its host.
const HOSTED: &str = "ENACT_HOSTED";

/// Stops the node when its host is gone, however that ended.
fn end_with_the_host(stop: Option<oneshot::Sender<()>>) {
    std::thread::spawn(move || {
        // Nothing is ever said there; an error means the end, too.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        drop(stop);
    });
}

/// Runs a node until it is told to end.
///
/// # Errors
/// One line what, one line help.
pub(super) fn run(config: Config, catalog: Arc<Catalog>, version: &'static str) -> Result<(), Failure> {
    let logs = telemetry::start(&config.log.level, config.log.form, config.log.kept)
        .map_err(|error| Failure::new(Exit::Error, error.to_string(), "expected a level, as in `--log debug`"))?;
    let mut options = options(&config, version)?;
    options.logs = Some(logs);
    let (stop, stopped) = oneshot::channel();
    let (name, n_types) = (options.name.clone(), catalog.iter().count());
    let group = options.group.to_string();
    let data = options.data.clone();
    let mut stop = Some(stop);
    if std::env::var_os(HOSTED).is_some() {
        end_with_the_host(stop.take());
    }
    let done = launch::run_then(options, catalog, stopped, move |ready| {
        show(&name, &group, data.as_deref(), n_types, version, ready);
        // Fails where no service manager waits for it.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    });
    done.map_err(|error| {
        if let StartError::Boot(BootError::Script { file, text, diagnostics }) = &error {
            // Nobody listening is no failure.
            let _ = anstream::stderr().write_all(draw(file, text, diagnostics).as_bytes());
        }
        Failure::new(Exit::Error, error.to_string(), error.help())
    })
}

/// The options of a node as its configuration has them.
///
/// # Errors
/// When the boot file cannot be read or the machine has no usable name.
pub(super) fn options(config: &Config, version: &str) -> Result<Options, Failure> {
    let name = match &config.name {
        Some(name) => name.clone(),
        None => machine_name()?,
    };
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Options {
        engine: config.of_node(),
        any_port: !config.listen_given,
        name,
        group: config.group.clone(),
        data: config.data.clone(),
        boot: config.boot.as_deref().map(boot).transpose()?.unwrap_or_default(),
        n_workers: if config.workers == 0 { n_cores } else { config.workers },
        limits: Limits { step: config.limits.step, ..Limits::default() },
        checkpoint: CHECKPOINT,
        drain: config.limits.drain,
        restart: Policy {
            restarts: u32::try_from(config.limits.restarts).unwrap_or(u32::MAX),
            within: config.limits.restart_window,
            ..Policy::DEFAULT
        },
        scrape: config.metrics.clone(),
        probation: config.limits.probation,
        version: version.to_owned(),
        logs: None,
        metrics: Metrics::default(),
        child_command: Some(child_command(config)),
        obeys_signals: true,
    })
}

/// The name of the machine, with what is no part of a name left out.
fn machine_name() -> Result<NodeName, Failure> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let short = text.trim().split('.').next().unwrap_or_default();
    let name: String = short.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect();
    NodeName::parse(&name)
        .map_err(|_| Failure::new(Exit::Error, "this machine has no usable name", "give the node one with --name"))
}

fn boot(path: &Path) -> Result<Boot, Failure> {
    let file = path.display().to_string();
    let unread = |error: String, help: &str| Failure::new(Exit::Error, format!("{file}: {error}"), help);
    let text =
        std::fs::read_to_string(path).map_err(|error| unread(error.to_string(), "check the path and permissions"))?;
    if path.extension().is_some_and(|extension| extension == "json") {
        let model = match json::read(&text) {
            Ok(model) => model,
            Err(own) => kmf::read(&text).map_err(|_| {
                unread(
                    own.to_string(),
                    "expected a model in Enact's or Kevoree's JSON form; `enact model check` tells more",
                )
            })?,
        };
        return Ok(Boot::Model(model));
    }
    Ok(Boot::Script { text, file })
}

/// This very binary, started as a hosted node.
fn child_command(config: &Config) -> ChildCommand {
    let insecure = config.insecure;
    Arc::new(move |options: &Options| {
        let binary = std::env::current_exe().unwrap_or_else(|_| "enact".into());
        let mut command = Command::new(binary);
        command.arg("node").args(["--name", options.name.as_str()]).env("ENACT_GROUP", options.group.as_str());
        for address in &options.engine.listen {
            command.args(["--listen", address]);
        }
        // What is the host's alone.
        for key in ["ENACT_NAME", "ENACT_DATA", "ENACT_BOOT", "ENACT_LISTEN", "ENACT_NODE", "ENACT_METRICS_LISTEN"] {
            command.env_remove(key);
        }
        command.env("ENACT_JOIN", options.engine.join.join(","));
        command.env("ENACT_MULTICAST_ENABLED", options.engine.multicast.to_string());
        if let Some(data) = &options.data {
            command.arg("--data").arg(data);
        }
        if insecure {
            command.arg("--insecure");
        }
        // Held open by the host as long as it lives.
        command.env(HOSTED, "true").stdin(std::process::Stdio::piped());
        command
    })
}

/// What the terminal shows when the node is ready. In a pipe the log says it.
fn show(name: &NodeName, group: &str, data: Option<&Path>, n_types: usize, version: &str, ready: &Ready) {
    let n_nodes = ready.peers.len() + 1;
    tracing::info!(node = %name, group, revision = ready.revision, n_nodes, elapsed_ms = ready.elapsed.as_millis() as u64, "ready");
    if !std::io::stderr().is_terminal() {
        return;
    }
    let data = data.map_or_else(
        || "in memory (give --data DIR to keep history and states)".to_owned(),
        |data| data.display().to_string(),
    );
    let mut lines = vec![
        format!("  enact {version}  {name}  group {group}  revision r{}", ready.revision),
        format!("  listen     {}", ready.listen.join(", ")),
        format!("  data       {data}"),
        format!("  types      {n_types}; `enact types` lists them"),
    ];
    let elapsed = ready.elapsed.as_millis();
    if ready.peers.is_empty() {
        lines.push(format!("  ✓ ready in {elapsed} ms — alone in the group"));
        lines.push(format!("  ! no other node answered. Looked by: {}", ready.tried));
        lines.push(
            "    help: start another node; where multicast does not reach, give it `--join HOST:PORT`".to_owned(),
        );
    } else {
        let names: Vec<&str> = ready.peers.iter().map(|peer| peer.name.as_str()).collect();
        lines.push(format!("  ✓ ready in {elapsed} ms — {n_nodes} nodes (found {})", names.join(", ")));
    }
    // A terminal that went away must not end the node.
    let _ = writeln!(std::io::stderr(), "{}", lines.join("\n"));
}
