//! Completion in the shell: verbs and flags, and the names of what is running, asked from a node with a short limit.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use clap_complete::{CompleteEnv, CompletionCandidate, Shell};

use super::{
    App,
    client::Client,
    connect::Connector,
    failure::{Exit, Failure},
    term::Term,
};
use crate::{
    doors::config::{Config, Settings, Sources},
    model::Model,
};

/// How long a shell waits for names. Longer feels broken; nothing is completed then.
const LIMIT: Duration = Duration::from_millis(200);

/// The way to a node. A completer is a plain function, so it finds this here.
static CONNECT: OnceLock<Connector> = OnceLock::new();

/// Answers a shell that asks for completions (`COMPLETE=bash enact`), and ends the process then; else does nothing.
pub(super) fn serve(app: &App, name: &'static str) {
    if std::env::var_os("COMPLETE").is_none() {
        return;
    }
    let _ = CONNECT.set(Arc::clone(&app.connect));
    CompleteEnv::with_factory(|| super::command(app, name)).bin(name).complete();
}

/// Prints what a shell has to source. The script asks this binary while completing, so it never goes stale.
pub(super) fn print(shell: Shell, name: &str, term: &mut Term) -> Result<(), Failure> {
    let shell = shell.to_string();
    let shells = clap_complete::env::Shells::builtins();
    let Some(known) = shells.completer(&shell) else {
        return Err(Failure::new(
            Exit::Error,
            format!("there are no completions for {shell}"),
            "bash, elvish, fish, powershell and zsh have them",
        ));
    };
    let binary = std::env::current_exe().map_or_else(|_| name.to_owned(), |path| path.display().to_string());
    let mut script = Vec::new();
    known.write_registration("COMPLETE", name, name, &binary, &mut script)?;
    term.print(&String::from_utf8_lossy(&script))
}

/// Nodes, components, channels and groups.
pub(super) fn instances() -> Vec<CompletionCandidate> {
    live(async |client| Some(model_names(&client.model(None).await.ok()?.model.0)))
}

/// Nodes, those that are absent included.
pub(super) fn nodes() -> Vec<CompletionCandidate> {
    live(async |client| Some(client.status().await.ok()?.nodes.iter().map(|node| node.name.to_string()).collect()))
}

/// Channels.
pub(super) fn channels() -> Vec<CompletionCandidate> {
    live(async |client| Some(client.model(None).await.ok()?.model.0.channels.keys().map(ToString::to_string).collect()))
}

/// Ports that receive.
pub(super) fn ports() -> Vec<CompletionCandidate> {
    live(async |client| {
        let model = client.model(None).await.ok()?.model.0;
        let mut names = BTreeSet::new();
        for (node, value) in model.nodes.iter() {
            for (component, value) in value.components.iter() {
                names.extend(value.provided.iter().map(|port| format!("{node}.{component}.{port}")));
            }
        }
        Some(names)
    })
}

/// The last revisions.
pub(super) fn revisions() -> Vec<CompletionCandidate> {
    live(async |client| Some(client.history(50).await.ok()?.iter().map(|entry| entry.revision.to_string()).collect()))
}

/// Every path of a model.
pub(crate) fn model_names(model: &Model) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = model.channels.keys().map(ToString::to_string).collect();
    names.extend(model.groups.keys().map(ToString::to_string));
    for (node, value) in model.nodes.iter() {
        names.insert(node.to_string());
        names.extend(value.components.keys().map(|component| format!("{node}.{component}")));
    }
    names
}

/// Asks a node within the limit. The flags of the line being typed are not known here: environment and files say where to look.
fn live(ask: impl AsyncFn(&Client) -> Option<BTreeSet<String>>) -> Vec<CompletionCandidate> {
    let names = || {
        let connect = CONNECT.get()?;
        let mut config = Config::of(&Settings::merge(&Sources::usual(None, Vec::new())).ok()?).ok()?;
        config.console.search = LIMIT;
        let runtime = super::runtime().ok()?;
        let names = runtime.block_on(async {
            let search = async {
                let api = connect(&config).await.ok()??;
                ask(&Client::greet(api).await.ok()?).await
            };
            tokio::time::timeout(LIMIT, search).await.ok()?
        });
        runtime.shutdown_background();
        names
    };
    names().unwrap_or_default().into_iter().map(CompletionCandidate::new).collect()
}
