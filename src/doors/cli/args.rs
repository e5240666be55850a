//! The verbs and their flags. Examples say `enact`; a user's binary shows its own name instead.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, builder::Styles, builder::styling::AnsiColor};
use clap_complete::{ArgValueCandidates, Shell};

use super::{complete, model, output::Output, script, term::Colour};
use crate::runtime::node::api::Revision;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Green.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Start nodes and adapt the system that runs on them.
#[derive(Debug, Parser)]
#[command(name = "enact", styles = STYLES, disable_help_subcommand = true, infer_subcommands = false, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Shared options")]
pub(crate) struct Shared {
    /// The node to talk to; without it, any that answers
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) node: Option<String>,
    /// Where to find other nodes, where multicast does not reach; may be given several times
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub(crate) join: Vec<String>,
    /// The group
    #[arg(long, global = true, value_name = "GROUP")]
    pub(crate) group: Option<String>,
    /// Do not look for nodes by multicast
    #[arg(long, global = true)]
    pub(crate) no_multicast: bool,
    /// Configuration file, instead of ./enact.toml and the user's
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Sets any key of the configuration, as in `--set limits.step=10s`
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// When to colour: auto, always, never
    #[arg(long, global = true, value_enum, default_value_t, hide_possible_values = true, value_name = "WHEN")]
    pub(crate) color: Colour,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run a node on this machine
    #[command(
        alias = "run",
        after_help = "\
Examples:
  enact node                                     a node named after this machine, on loopback
  enact node --name node2                        a second one finds the first by multicast
  enact node --join 192.168.1.10:7700            where multicast does not reach
  enact node --listen 0.0.0.0:7700 --insecure    reachable from a network that you trust
  enact node --data /var/lib/enact               keeps history and states over restarts"
    )]
    Node(NodeArgs),
    /// Start three nodes on this machine and try everything
    #[command(after_help = "\
Examples:
  enact demo            three nodes, a script, then the console
  enact demo --check    the same unattended, with moves, upgrades, roll-backs and a killed node; 0 when all went well")]
    Demo(DemoArgs),
    /// Talk to the running system, statement by statement
    #[command(after_help = "\
Statements gather in a draft; nothing happens before :apply. :help tells more.

Examples:
  enact console
  enact console --node 192.168.1.10:7700
  echo 'set node1.ticker.period = \"1s\"
  :apply' | enact console")]
    Console(ConsoleArgs),
    /// Show what a script, a model or a roll-back would do; changes nothing
    #[command(after_help = "\
Marks: + added, - removed, ~ changed, -/+ replaced, > moved, ! unresolved.

Examples:
  enact plan app.kevs
  enact plan app.kevs -o app.plan        saved: `enact apply app.plan` does exactly this, or refuses
  enact plan app.kevs --exit-code        3 when there is something to do
  enact plan -e 'remove node1.ticker'
  enact plan --to r4                     what `enact rollback r4` would do")]
    Plan(PlanArgs),
    /// Make the system what a script, a model or a saved plan says
    #[command(after_help = "\
Shows the plan, asks, applies, and waits until every node has answered. Exit codes: 0 done, 4 refused (stale, not
confirmed), 5 rolled back, 6 something unresolved, 7 not done in time, 8 no node reachable.

Examples:
  enact apply app.kevs
  enact apply app.kevs --yes --timeout 30s -m 'add the ticker'
  enact apply -e 'set node1.ticker.period = \"1s\"' --yes
  enact apply app.plan                   a plan saved by `enact plan -o`
  enact apply model.json                 a whole model: Enact's form or Kevoree's")]
    Apply(ApplyArgs),
    /// Show what is there
    #[command(after_help = "\
Examples:
  enact get                  a table of all instances
  enact get -o tree          what runs where
  enact get node1.ticker     one instance with its values
  enact get -o kevs          the model as a script
  enact get -o json          the model as JSON
  enact get -o dot | dot -Tsvg > model.svg
  enact get -w               redrawn as it changes; JSON lines in a pipe")]
    Get(GetArgs),
    /// Show how the group and its nodes are
    #[command(after_help = "\
Examples:
  enact status
  enact status -o wide
  enact status -w
  enact status --wait --timeout 30s    waits until all nodes have converged")]
    Status(StatusArgs),
    /// Follow what happens in the group, or how a revision fares
    #[command(after_help = "\
Examples:
  enact watch           events from now on
  enact watch --all     those that are still kept first
  enact watch r42       until every node has answered to r42
  enact watch -o jsonl  for programs")]
    Watch(WatchArgs),
    /// Show who changed what, when and why
    #[command(after_help = "\
Examples:
  enact history
  enact history -n 100 -o json")]
    History(HistoryArgs),
    /// Show what differs between two revisions
    #[command(after_help = "\
Examples:
  enact diff            the last change
  enact diff r5         from r5 to now
  enact diff r5 r7")]
    Diff(DiffArgs),
    /// Bring back an older revision, as a new one
    #[command(after_help = "\
Shows the plan and asks, as apply does. The history is never cut: the old model becomes the newest revision.

Examples:
  enact rollback r4
  enact rollback r4 --yes -m 'the new page was wrong'")]
    Rollback(RollbackArgs),
    /// Show what nodes and instances have logged
    #[command(after_help = "\
Examples:
  enact logs node1
  enact logs node1.web -f
  enact logs node1/web -n 100 --since 10m --level warn")]
    Logs(LogsArgs),
    /// Show the messages that pass through a channel
    #[command(after_help = "\
The channel is never slowed: when you cannot read fast enough, messages are left out and counted.

Examples:
  enact tail ticks
  enact tail ticks --where 'value > 40' -n 3
  enact tail ticks -o jsonl | jq .value")]
    Tail(TailArgs),
    /// Put a message into an input of a component
    #[command(after_help = "\
Examples:
  enact send node2.printer.input hello
  enact send node2.printer.input '{\"text\": \"hello\", \"n\": 3}'
  enact send node1.store.get '\"key\"' --reply")]
    Send(SendArgs),
    /// Show the types that the nodes can run
    #[command(after_help = "\
Examples:
  enact types
  enact types Ticker      ports and parameters
  enact types --local     what this binary brings, without asking anybody")]
    Types(TypesArgs),
    /// Explain an error code, a statement, a type, or an exit code
    #[command(after_help = "\
Examples:
  enact explain E0203
  enact explain bind
  enact explain type Ticker
  enact explain exit")]
    Explain(ExplainArgs),
    /// Say why an instance is in the state that it is in
    #[command(after_help = "\
Examples:
  enact why node2.web")]
    Why(WhyArgs),
    /// Examine this machine and the group, and say what to do
    #[command(after_help = "\
Examples:
  enact doctor
  enact doctor --listen 0.0.0.0:7700 --join 192.168.1.10:7700")]
    Doctor(DoctorArgs),
    /// Show the metrics of a node, as Prometheus reads them
    #[command(after_help = "\
Examples:
  enact metrics
  enact metrics node2")]
    Metrics(MetricsArgs),
    /// End a node in order
    #[command(after_help = "\
Its components are stopped first. The model keeps the node: it takes up its part when it comes back.

Examples:
  enact stop node3 --yes")]
    Stop(StopArgs),
    /// Show the configuration and where each value comes from
    #[command(
        subcommand,
        after_help = "\
Examples:
  enact config show --origin
  enact config sample > enact.toml"
    )]
    Config(ConfigVerb),
    /// Print the completions for a shell
    #[command(after_help = "\
Names of running instances, nodes and revisions are completed too.

Examples:
  source <(enact completions bash)
  enact completions fish > ~/.config/fish/completions/enact.fish")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Run or check a script without any node
    Script(script::ScriptArgs),
    /// Work on model files without any node
    Model(model::ModelArgs),
}

#[derive(Debug, Default, Args)]
pub(crate) struct NodeArgs {
    /// The node's name, unique in the group; without it, the machine's
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Where to listen; may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<String>,
    /// Use addresses other than loopback although frames are not encrypted
    #[arg(long)]
    pub(crate) insecure: bool,
    /// The directory for what must survive a restart
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) data: Option<PathBuf>,
    /// The script (.kevs) or model (.json) to start a new group with
    #[arg(long, value_name = "FILE")]
    pub(crate) boot: Option<PathBuf>,
    /// Threads that run components; 0 is one for each core
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<usize>,
    /// error, warn, info, debug, trace, or by module
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// Where to serve metrics for Prometheus
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<String>,
}

/// What `demo` takes.
#[derive(Clone, Debug, Default, Args)]
pub struct DemoArgs {
    /// Run unattended, verify each step, and end
    #[arg(long)]
    pub check: bool,
    /// Keep the data directories and logs of the nodes
    #[arg(long)]
    pub keep: bool,
}

#[derive(Debug, Default, Args)]
pub(crate) struct ConsoleArgs {
    /// Run these statements or commands and end
    #[arg(short, long, value_name = "STATEMENT")]
    pub(crate) execute: Vec<String>,
    /// Apply without being asked
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// What somebody wants.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct WantedArgs {
    /// A script, a model (.json), a saved plan, or - for standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["execute", "to"], conflicts_with_all = ["execute", "to"])]
    pub(crate) file: Option<PathBuf>,
    /// Statements, instead of a file; may be given several times
    #[arg(short, long, value_name = "STATEMENT")]
    pub(crate) execute: Vec<String>,
    /// A context variable of the script; may be given several times
    #[arg(long = "var", value_name = "NAME=VALUE")]
    pub(crate) variables: Vec<String>,
    /// An older revision, instead of a file
    #[arg(long, value_name = "REVISION", conflicts_with = "execute", add = ArgValueCandidates::new(complete::revisions))]
    pub(crate) to: Option<Revision>,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) wanted: WantedArgs,
    /// A form (table, wide, json, jsonl, dot), or a file to save the plan in
    #[arg(short, long, value_name = "FORM|FILE", default_value = "table")]
    pub(crate) output: String,
    /// Ends with 3 when there is something to do
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// How to apply.
#[derive(Clone, Debug, Args)]
pub(crate) struct Applying {
    /// Apply without being asked
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Why, for the history
    #[arg(short, long, value_name = "TEXT", default_value = "")]
    pub(crate) message: String,
    /// Do not wait for the nodes
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How long to wait for the nodes; 60s without it, unless configured
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<std::time::Duration>,
    /// Output form: table or json
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) wanted: WantedArgs,
    #[command(flatten)]
    pub(crate) applying: Applying,
}

#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// The revision to bring back
    #[arg(add = ArgValueCandidates::new(complete::revisions))]
    pub(crate) revision: Revision,
    #[command(flatten)]
    pub(crate) applying: Applying,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// Only this instance: NODE, NODE.COMPONENT, CHANNEL or GROUP
    #[arg(add = ArgValueCandidates::new(complete::instances))]
    pub(crate) path: Option<String>,
    /// The model of this revision (with -o kevs, json, dot, mermaid)
    #[arg(long, value_name = "REVISION", add = ArgValueCandidates::new(complete::revisions))]
    pub(crate) at: Option<Revision>,
    /// Output form: table, wide, tree, json, jsonl, dot, mermaid, kevs
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    pub(crate) output: Output,
    /// Show again whenever it changes
    #[arg(short, long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Output form: table, wide, tree, json, jsonl
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    pub(crate) output: Output,
    /// Show again whenever it changes
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Wait until every node that is present has converged
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "60s")]
    pub(crate) timeout: std::time::Duration,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Only how this revision fares
    #[arg(add = ArgValueCandidates::new(complete::revisions))]
    pub(crate) revision: Option<Revision>,
    /// Begin with the events that are still kept
    #[arg(long)]
    pub(crate) all: bool,
    /// End after so many events
    #[arg(short, value_name = "N")]
    pub(crate) n: Option<usize>,
    /// Output form: table, json, jsonl
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    pub(crate) output: Output,
    /// How long to wait for the revision
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<std::time::Duration>,
}

#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// How many revisions
    #[arg(short, default_value_t = 20)]
    pub(crate) n: usize,
    /// Output form: table, json, jsonl
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// From this revision; without it, the one before the newest
    #[arg(add = ArgValueCandidates::new(complete::revisions))]
    pub(crate) from: Option<Revision>,
    /// To this revision; without it, the newest
    #[arg(add = ArgValueCandidates::new(complete::revisions))]
    pub(crate) to: Option<Revision>,
    /// Output form: table, json
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    pub(crate) output: Output,
    /// Ends with 3 when something differs
    #[arg(long)]
    pub(crate) exit_code: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// NODE, NODE.COMPONENT, CHANNEL or GROUP; without it, the node that answers
    #[arg(add = ArgValueCandidates::new(complete::instances))]
    pub(crate) path: Option<String>,
    /// Go on as more is logged
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many of the last records
    #[arg(short, default_value_t = 50)]
    pub(crate) n: usize,
    /// Only what is younger, as in 10m
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) since: Option<std::time::Duration>,
    /// Only this level and worse
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub(crate) level: Option<String>,
    /// Output form: table, json, jsonl
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// The channel
    #[arg(add = ArgValueCandidates::new(complete::channels))]
    pub(crate) channel: String,
    /// Only messages for which this holds: `value > 40`, `value.city = 'Rennes'`
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) filter: Option<String>,
    /// End after so many messages
    #[arg(short, value_name = "N")]
    pub(crate) n: Option<usize>,
    /// Output form: table, json, jsonl
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// NODE.COMPONENT.PORT
    #[arg(add = ArgValueCandidates::new(complete::ports))]
    pub(crate) port: String,
    /// The message: JSON, or a plain text; - reads it from standard input
    pub(crate) value: String,
    /// Wait for the answer and print it
    #[arg(long)]
    pub(crate) reply: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TypesArgs {
    /// Only this type, with everything about it
    pub(crate) name: Option<String>,
    /// What this binary brings, without asking a node
    #[arg(long)]
    pub(crate) local: bool,
    /// Output form: table, wide, json, jsonl
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// E0203, bind, `type Ticker`, exit; without it, all there is to explain
    pub(crate) what: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// NODE.COMPONENT, NODE, CHANNEL or GROUP
    #[arg(add = ArgValueCandidates::new(complete::instances))]
    pub(crate) path: String,
    /// Output form: table, json
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The addresses that a node would listen on
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Vec<String>,
    /// The data directory that a node would use
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) data: Option<PathBuf>,
    /// Output form: table, json
    #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// The node; without it, the one that answers
    #[arg(value_name = "NODE", add = ArgValueCandidates::new(complete::nodes))]
    pub(crate) node_name: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// The node
    #[arg(value_name = "NODE", add = ArgValueCandidates::new(complete::nodes))]
    pub(crate) node_name: String,
    /// Without being asked
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Print every key with its value
    Show {
        /// Also where each value comes from
        #[arg(long)]
        origin: bool,
        /// Output form: table, json
        #[arg(short, long, value_enum, default_value_t, hide_possible_values = true, value_name = "FORM")]
        output: Output,
    },
    /// Print a file with every key, its default and what it is for
    Sample,
}
