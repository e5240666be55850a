//! `enact demo`: three nodes on this machine, a script spread over them, and a console. With `--check`, unattended: change, move,
//! upgrade, roll back, kill, come back; each step verified.

mod nodes;
mod play;

use std::time::Duration;

use super::{
    cli::{
        DemoArgs, connect,
        failure::{Exit, Failure},
        term::Term,
    },
    config::Config,
    console,
};
use crate::doors::cli::term::Colour;
use nodes::Nodes;
use play::Play;

/// The types that the demo plays with; a binary that lacks one of them has no demo.
pub(super) const TYPES: [&str; 5] = ["Ticker", "Printer", "Counter", "WebServer", "Broadcast"];

/// The script that is spread over the nodes.
const SCRIPT: &str = "\
add node1.ticker : Ticker
set node1.ticker.period = '200ms'
add node2.printer : Printer
add node3.counter : Counter
add node3.web : WebServer/1.0.0
set node3.web.port = '0'
add ticks : Broadcast
bind node1.ticker.tick ticks
bind node2.printer.input ticks
bind node3.counter.input ticks
";

/// How long each step may take to become true: generous, since two slow cores may be shared by many.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the demo.
///
/// # Errors
/// The first step that could not be verified, and where the logs of the nodes are.
pub(super) fn run(args: &DemoArgs, config: &Config) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Error, format!("no runtime: {error}"), ""))?;
    let mut nodes = Nodes::new(args.keep)?;
    let mut term = Term::real(Colour::Auto);
    let result = runtime.block_on(play(args, config, &mut nodes, &mut term));
    if result.is_err() {
        nodes.keep();
        term.say(&format!("the logs of the nodes are in {}\n", nodes.folder().display()));
    }
    nodes.stop();
    result
}

async fn play(args: &DemoArgs, config: &Config, nodes: &mut Nodes, term: &mut Term) -> Result<(), Failure> {
    term.say("starting three nodes on this machine\n");
    for name in ["node1", "node2", "node3"] {
        nodes.start(name)?;
    }
    let config = nodes.config(config);
    let connector = connect::engine();
    let client = nodes.reach(&connector, &config, PATIENCE).await?;
    let mut play = Play::new(client, config.console.wait.max(PATIENCE), term);
    play.meet().await?;
    play.spread(SCRIPT).await?;
    if args.check {
        return play.check(nodes).await;
    }
    play.show().await?;
    let (client, wait) = play.end();
    term.say(&format!(
        "\nthe three nodes run until you leave; what the printer prints is in {}/node2.log\n\
         try:  move node3.counter node1     set node1.ticker.period = '50ms'     upgrade node3.web : WebServer/2.0.0\n\
         then: :plan  :apply  :status  :history  :help\n\n",
        nodes.folder().display()
    ));
    console::run(client, console::Options::new(Vec::new(), false, wait), term).await
}
