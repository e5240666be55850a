//! Verbs that go on: `watch`, `logs`, `tail`; and `send`, the other end of a tail.

use std::{future::Future, io::Read, time::Duration};

use super::{
    args::{LogsArgs, SendArgs, TailArgs, WatchArgs},
    client::{Client, find_path},
    failure::{Exit, Failure},
    follow,
    output::{self, Output},
    paint,
    render::events,
    term::Term,
};
use crate::{
    io::{clock, telemetry::Record},
    runtime::node::api::{LogsFrom, Page},
    words::{ChannelName, ComponentName, InstancePath, NodeName, PortName, PortPath, Value},
};

/// How long one request waits for news.
const WAIT_MS: u64 = 10_000;

/// Log records and messages that one request brings at most.
const PAGE_MAX: usize = 1000;

/// The largest message that `send -` reads.
const MESSAGE_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// `enact watch`
pub(super) async fn watch(args: &WatchArgs, wait: Duration, client: &Client, term: &mut Term) -> Result<(), Failure> {
    if let Some(revision) = &args.revision {
        return follow::until_decided(client, revision, args.timeout.unwrap_or(wait), args.output, term).await;
    }
    known(args.output, "watch")?;
    let mut cursor = args.all.then_some(0);
    let mut left = args.n.unwrap_or(usize::MAX);
    while left > 0 {
        let Some(page) = unless_interrupted(client.watch(cursor, WAIT_MS)).await? else { return Ok(()) };
        cursor = Some(page.next);
        tell_missed(page.n_missed, "events", term);
        for event in page.items.iter().take(left) {
            match args.output {
                Output::Table => term.print(&format!("{}\n", events::event(event)))?,
                _ => output::json(term, Output::Jsonl, "Event", event)?,
            }
        }
        left = left.saturating_sub(page.items.len());
    }
    Ok(())
}

/// `enact logs`
pub(super) async fn logs(args: &LogsArgs, client: &Client, term: &mut Term) -> Result<(), Failure> {
    known(args.output, "logs")?;
    let from = match &args.path {
        None => LogsFrom::Node(client.info().node.clone()),
        Some(text) => match find_path(&client.model(None).await?.model.0, text)? {
            InstancePath::Node(node) => LogsFrom::Node(node),
            path => LogsFrom::Instance(path),
        },
    };
    let since = args.since.map(|since| clock::now().micros().saturating_sub(since.as_micros() as u64));
    let wanted = |record: &&Record| {
        since.is_none_or(|since| record.at.micros() >= since)
            && args.level.as_ref().is_none_or(|level| weight(&record.level) >= weight(level))
    };
    let (mut cursor, mut n, mut wait_ms) = (None, args.n, 0);
    loop {
        let asked = client.logs(from.clone(), cursor, n, wait_ms);
        let Some(Page { items, next, n_missed }) = unless_interrupted(asked).await? else { return Ok(()) };
        tell_missed(n_missed, "records", term);
        for record in items.iter().filter(wanted) {
            match args.output {
                Output::Table => term.print(&format!("{}\n", events::log(record)))?,
                _ => output::json(term, Output::Jsonl, "Record", record)?,
            }
        }
        if !args.follow {
            return Ok(());
        }
        (cursor, n, wait_ms) = (Some(next), PAGE_MAX, WAIT_MS);
    }
}

fn weight(level: &str) -> usize {
    ["trace", "debug", "info", "warn", "error"].iter().position(|known| *known == level).unwrap_or(0)
}

/// `enact tail`
pub(super) async fn tail(args: &TailArgs, client: &Client, term: &mut Term) -> Result<(), Failure> {
    known(args.output, "tail")?;
    let channel: ChannelName = args.channel.parse()?;
    let mut left = args.n.unwrap_or(usize::MAX);
    let (mut cursor, mut n_seen, mut n_lost) = (None, 0, 0);
    while left > 0 {
        let asked = client.tail(channel.clone(), cursor, args.filter.clone(), left.min(PAGE_MAX), WAIT_MS);
        let Some(page) = unless_interrupted(asked).await? else { break };
        cursor = Some(page.next);
        for record in page.items.iter().take(left) {
            match args.output {
                Output::Table => term.print(&format!("{}\n", events::tap(record)))?,
                _ => output::json(term, Output::Jsonl, "Message", record)?,
            }
        }
        n_seen += page.items.len() as u64;
        n_lost += page.n_missed;
        left = left.saturating_sub(page.items.len());
    }
    if args.output == Output::Table {
        let all = n_seen + n_lost;
        term.say(&paint::dim(&format!(
            "(sampled {n_seen} of {all}; the channel is never slowed: the tail drops first)\n"
        )));
    }
    Ok(())
}

/// `enact send`
pub(super) async fn send(args: &SendArgs, client: &Client, term: &mut Term) -> Result<(), Failure> {
    let port = port(&args.port)?;
    let text = match args.value.as_str() {
        "-" => {
            let mut text = String::new();
            std::io::stdin().take(MESSAGE_MAX_BYTES).read_to_string(&mut text)?;
            text
        }
        text => text.to_owned(),
    };
    match client.send(port, value(&text), args.reply).await? {
        Some(answer) => term.print(&format!("{answer}\n")),
        None => Ok(()),
    }
}

/// JSON where it is JSON, else the text itself: `enact send n.c.in hello` needs no quotes within quotes.
pub(crate) fn value(text: &str) -> Value {
    serde_json::from_str(text.trim()).unwrap_or_else(|_| Value::from(text))
}

/// `node.component.port`
pub(crate) fn port(text: &str) -> Result<PortPath, Failure> {
    let wrong = || {
        Failure::new(
            Exit::Error,
            format!("\"{text}\" is no port"),
            "expected NODE.COMPONENT.PORT, as in node2.printer.input",
        )
    };
    let parts: Vec<&str> = text.split(['.', '/']).collect();
    let [node, component, port] = parts.as_slice() else { return Err(wrong()) };
    let read = || {
        Some(PortPath {
            node: NodeName::parse(node).ok()?,
            component: ComponentName::parse(component).ok()?,
            port: PortName::parse(port).ok()?,
        })
    };
    read().ok_or_else(wrong)
}

fn known(form: Output, verb: &str) -> Result<(), Failure> {
    match form {
        Output::Table | Output::Json | Output::Jsonl => Ok(()),
        other => Err(other.unknown(verb, "table, json and jsonl (a stream is always a document a line)")),
    }
}

fn tell_missed(n_missed: u64, what: &str, term: &mut Term) {
    if n_missed > 0 {
        term.say(&format!("{} {n_missed} {what} came faster than they were read and are gone\n", paint::yellow("!")));
    }
}

/// The answer, or `None` on Ctrl-C.
async fn unless_interrupted<T>(asked: impl Future<Output = Result<T, Failure>>) -> Result<Option<T>, Failure> {
    tokio::select! {
        answer = asked => answer.map(Some),
        _ = tokio::signal::ctrl_c() => Ok(None),
    }
}
