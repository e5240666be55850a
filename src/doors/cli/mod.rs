//! The command line: verbs, exit codes, output forms.
//!
//! [`main`] is the whole program of a node binary, the shipped one and users' own. A verb is a function of its arguments, a
//! [`client::Client`] and a [`term::Term`], so that it is tested with doubles of both.

mod args;
pub(crate) mod change;
pub mod client;
pub(crate) mod complete;
pub mod connect;
mod doctor;
pub mod draw;
pub(crate) mod explain;
pub mod failure;
pub mod files;
pub(crate) mod follow;
pub mod model;
pub mod model_diff;
pub mod model_plan;
pub(crate) mod output;
pub(crate) mod paint;
pub(crate) mod render;
pub mod script;
mod show;
mod stream;
pub mod summary;
pub mod term;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::{ffi::OsString, path::Path, process::ExitCode, sync::Arc, time::Duration};

use clap::{CommandFactory, FromArgMatches, Parser};

pub use args::DemoArgs;
use args::{Cli, ConfigVerb, NodeArgs, Shared, Verb};
use client::Client;
use connect::Connector;
use failure::{Exit, Failure};
use output::Output;
use term::Term;

use crate::{
    doors::{
        config::{self, Config, Settings, Sources},
        console,
    },
    logic::script::diagnostic::did_you_mean,
    runtime::{instance::Catalog, node::api::OfferedType},
};

/// Runs a node until it is told to end.
pub type NodeMain = Box<dyn FnOnce(Config) -> Result<(), Failure>>;

/// Runs the demo.
pub type DemoMain = Box<dyn FnOnce(DemoArgs, Config) -> Result<(), Failure>>;

/// What a node binary is made of: its name, its types, and what to do for the verbs that need actors.
pub struct App {
    /// The version of the binary.
    pub version: &'static str,
    /// The types that it brings.
    pub catalog: Arc<Catalog>,
    /// How it reaches a node.
    pub connect: Connector,
    /// What `node` does.
    pub node: NodeMain,
    /// What `demo` does; without it there is no such verb.
    pub demo: Option<DemoMain>,
}

/// The whole program: reads the arguments, does what they say, tells how it ended. In help and messages the binary goes by the
/// name it was started by.
pub fn main(app: App) -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    // Clap wants names that live as long as the program; this one does.
    let name: &'static str = Box::leak(binary_name().into_boxed_str());
    complete::serve(&app, name);
    let cli = match parse(&app, name, words) {
        Ok(cli) => cli,
        // Clap knows what is help (stdout, 0) and what is wrong use (stderr, 2). A reader that is gone is no error.
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage as u8));
        }
    };
    cli.shared.color.for_all();
    let mut term = Term::real(cli.shared.color);
    match run(app, name, cli, &mut term) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            term.say(&failure.text());
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// The name that the binary was started by.
fn binary_name() -> String {
    let first = std::env::args_os().next();
    let stem = first.and_then(|word| Path::new(&word).file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    stem.unwrap_or_else(|| "enact".to_owned())
}

fn parse(app: &App, name: &'static str, words: Vec<OsString>) -> Result<Cli, clap::Error> {
    let matches = command(app, name).try_get_matches_from(words)?;
    Cli::from_arg_matches(&matches)
}

/// The command under the name of the binary: examples and usage say what the user would type.
fn command(app: &App, name: &'static str) -> clap::Command {
    let own = |text: &clap::builder::StyledStr| text.to_string().replace("enact ", &format!("{name} "));
    let mut command = Cli::command().name(name).bin_name(name).version(app.version);
    if app.demo.is_none() {
        command = command.mut_subcommand("demo", |demo| demo.hide(true));
    }
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    for verb in verbs {
        command = command.mut_subcommand(verb, |verb| match verb.get_after_help().map(own) {
            Some(text) => verb.after_help(text),
            None => verb,
        });
    }
    command
}

fn run(app: App, name: &str, cli: Cli, term: &mut Term) -> Result<(), Failure> {
    // Work on files needs no configuration, and a model's `--node` is a name, not an address.
    let cli = match cli.verb {
        Verb::Script(args) => return script::run(args),
        Verb::Model(args) => return model::run(&args),
        verb => Cli { verb, ..cli },
    };
    let settings = settings(&cli)?;
    let config = Config::of(&settings).map_err(|faults| Failure::new(Exit::Error, faults.to_string(), ""))?;
    match cli.verb {
        Verb::Node(_) => {
            config.check_exposure().map_err(|fault| Failure::new(Exit::Refused, fault.what, fault.help))?;
            (app.node)(config)
        }
        Verb::Demo(args) => match app.demo {
            Some(demo) => demo(args, config),
            None => Err(Failure::new(Exit::Error, "this binary brings no demo", "the binary `enact` does")),
        },
        Verb::Config(verb) => show_config(&verb, &settings, term),
        Verb::Completions { shell } => complete::print(shell, name, term),
        Verb::Explain(args) => explain::run(&args, &app.catalog, term),
        Verb::Types(args) if args.local => show::types(&args, &local_types(&app.catalog), term),
        verb => runtime()?.block_on(connected(verb, &app, &config, term)),
    }
}

/// The verbs that talk to a node.
async fn connected(verb: Verb, app: &App, config: &Config, term: &mut Term) -> Result<(), Failure> {
    if let Verb::Doctor(args) = &verb {
        return doctor::run(args, config, &app.connect, term).await;
    }
    let client = connect::open(&app.connect, config).await?;
    let wait = config.console.wait;
    match verb {
        Verb::Console(args) => console::run(client, console::Options::new(args.execute, args.yes, wait), term).await,
        verb => asked(verb, &client, wait, term).await,
    }
}

/// A verb with its arguments, typed in the console.
pub(crate) async fn verb(words: Vec<String>, client: &Client, wait: Duration, term: &mut Term) -> Result<(), Failure> {
    let line = std::iter::once("enact".to_owned()).chain(words);
    match Cli::try_parse_from(line) {
        Ok(cli) => asked(cli.verb, client, wait, term).await,
        Err(error) if !error.use_stderr() => term.print(&error.render().ansi().to_string()),
        Err(error) => Err(Failure::new(Exit::Usage, error.to_string().trim_start_matches("error: ").trim_end(), "")),
    }
}

async fn asked(verb: Verb, client: &Client, wait: Duration, term: &mut Term) -> Result<(), Failure> {
    match verb {
        Verb::Plan(args) => change::plan(&args, client, term).await,
        Verb::Apply(args) => change::apply(&args.wanted, &args.applying, wait, client, term).await,
        Verb::Rollback(args) => change::rollback(args.revision, &args.applying, wait, client, term).await,
        Verb::Get(args) => show::get(&args, client, term).await,
        Verb::Status(args) => show::status(&args, client, term).await,
        Verb::Watch(args) => stream::watch(&args, wait, client, term).await,
        Verb::History(args) => show::history(&args, client, term).await,
        Verb::Diff(args) => show::diff(&args, client, term).await,
        Verb::Logs(args) => stream::logs(&args, client, term).await,
        Verb::Tail(args) => stream::tail(&args, client, term).await,
        Verb::Send(args) => stream::send(&args, client, term).await,
        Verb::Types(args) => show::types(&args, &client.types().await?, term),
        Verb::Why(args) => show::why(&args, client, term).await,
        Verb::Metrics(args) => show::metrics(args.node_name.as_deref(), client, term).await,
        Verb::Stop(args) => show::stop(&args, client, term).await,
        Verb::Explain(args) => explain::run(&args, &Catalog::default(), term),
        Verb::Node(_)
        | Verb::Demo(_)
        | Verb::Console(_)
        | Verb::Config(_)
        | Verb::Completions { .. }
        | Verb::Doctor(_)
        | Verb::Script(_)
        | Verb::Model(_) => Err(Failure::new(Exit::Usage, "this verb asks no running node", "run it from a shell")),
    }
}

/// A runtime for a console: requests and timers, nothing heavy.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// The settings of a command: its flags over the environment and the files.
fn settings(cli: &Cli) -> Result<Settings, Failure> {
    let mut flags = Vec::new();
    for setting in &cli.shared.set {
        flags.push(set_flag(setting)?);
    }
    shared_flags(&cli.shared, &mut flags);
    match &cli.verb {
        Verb::Node(args) => node_flags(args, &mut flags),
        Verb::Doctor(args) => {
            list(&mut flags, "listen", &args.listen);
            one(&mut flags, "data", args.data.as_ref().map(|path| path.display().to_string()));
        }
        _ => {}
    }
    Settings::merge(&Sources::usual(cli.shared.config.as_deref(), flags))
        .map_err(|faults| Failure::new(Exit::Error, faults.to_string(), ""))
}

type Flags = Vec<(&'static str, Vec<String>)>;

fn one(flags: &mut Flags, key: &'static str, value: Option<String>) {
    flags.extend(value.map(|value| (key, vec![value])));
}

fn list(flags: &mut Flags, key: &'static str, values: &[String]) {
    if !values.is_empty() {
        flags.push((key, values.to_vec()));
    }
}

fn shared_flags(shared: &Shared, flags: &mut Flags) {
    one(flags, "node", shared.node.clone());
    list(flags, "join", &shared.join);
    one(flags, "group", shared.group.clone());
    one(flags, "multicast.enabled", shared.no_multicast.then(|| "false".to_owned()));
}

fn node_flags(args: &NodeArgs, flags: &mut Flags) {
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    one(flags, "name", args.name.clone());
    list(flags, "listen", &args.listen);
    one(flags, "insecure", args.insecure.then(|| "true".to_owned()));
    one(flags, "data", path(&args.data));
    one(flags, "boot", path(&args.boot));
    one(flags, "workers", args.workers.map(|n| n.to_string()));
    one(flags, "log.level", args.log.clone());
    one(flags, "metrics.listen", args.metrics.clone());
}

/// `--set KEY=VALUE`
fn set_flag(text: &str) -> Result<(&'static str, Vec<String>), Failure> {
    let wrong = |help: String| Failure::new(Exit::Usage, format!("\"{text}\" sets nothing"), help);
    let (key, value) =
        text.split_once('=').ok_or_else(|| wrong("expected KEY=VALUE, as in limits.step=10s".to_owned()))?;
    let unknown = || match did_you_mean(key.trim(), config::keys::KEYS.iter().map(|key| key.name)) {
        help if help.is_empty() => wrong("`config sample` prints every key".to_owned()),
        help => wrong(help),
    };
    let known = config::keys::find(key.trim()).ok_or_else(unknown)?;
    Ok((known.name, value.split(',').map(|part| part.trim().to_owned()).collect()))
}

fn show_config(verb: &ConfigVerb, settings: &Settings, term: &mut Term) -> Result<(), Failure> {
    let (origin, form) = match verb {
        ConfigVerb::Sample => return term.print(&config::sample()),
        ConfigVerb::Show { origin, output } => (*origin, *output),
    };
    if matches!(form, Output::Json | Output::Jsonl) {
        let items: Vec<_> = settings
            .iter()
            .map(|setting| {
                let (key, values) = (setting.key.name, &setting.values);
                serde_json::json!({ "key": key, "values": values, "origin": setting.origin.to_string() })
            })
            .collect();
        return output::json_list(term, form, "Setting", &items);
    }
    let headings = if origin { &["KEY", "VALUE", "ORIGIN"][..] } else { &["KEY", "VALUE"][..] };
    let mut columns = render::table::Columns::new(headings);
    for setting in settings.iter() {
        let value = if setting.values.is_empty() { "-".to_owned() } else { setting.values.join(", ") };
        let mut row = vec![setting.key.name.to_owned(), value];
        row.extend(origin.then(|| setting.origin.to_string()));
        columns.row(row);
    }
    term.print(&columns.render())
}

/// The types that this binary brings.
fn local_types(catalog: &Catalog) -> Vec<OfferedType> {
    let types = catalog.iter().map(|bundle| OfferedType {
        definition: bundle.definition.clone(),
        units: vec![bundle.unit.clone()],
        nodes: Vec::new(),
    });
    types.collect()
}
