//! Events, log records and messages of channels, a line each.

use std::time::Duration;

use super::{clock_text, count, span_text};
use crate::{
    doors::cli::paint,
    io::telemetry::Record,
    runtime::node::api::{Event, TapRecord, What, poisoned_text},
    words::Value,
};

/// The widest value that a line of `tail` shows.
const VALUE_MAX_CHARS: usize = 120;

/// `12:10:04  node2  lost  …`
pub(crate) fn event(event: &Event) -> String {
    let who = match &event.what {
        What::Proposed { revision, .. } | What::Converged { revision, .. } => revision.to_string(),
        What::Overwritten { loser, .. } => loser.to_string(),
        What::Started { path } | What::Stopped { path } => path.to_string(),
        What::Restarting { path, .. } | What::Failed { path, .. } => path.to_string(),
        _ => event.node.as_ref().map(ToString::to_string).unwrap_or_default(),
    };
    let word = paint::pad(&by_weight(&event.what), 12);
    format!("{}  {}  {word} {}", clock_text(event.at, false), paint::pad(&who, 12), story(&event.what))
        .trim_end()
        .to_owned()
}

fn by_weight(what: &What) -> String {
    let word = what.word();
    match what {
        What::NodeUp { .. } | What::NodeBack { .. } | What::Converged { .. } | What::Started { .. } => {
            paint::green(word)
        }
        What::NodeDown { .. }
        | What::RolledBack { .. }
        | What::Degraded { .. }
        | What::Poisoned { .. }
        | What::Failed { .. } => paint::red(word),
        What::NodeSuspected { .. } | What::NodeRefused { .. } | What::Overwritten { .. } | What::Restarting { .. } => {
            paint::yellow(word)
        }
        What::Proposed { .. } | What::Adopted { .. } => paint::cyan(word),
        What::Stopped { .. } | What::Note { .. } => word.to_owned(),
    }
}

fn ms(ms: u64) -> String {
    span_text(Duration::from_millis(ms))
}

fn story(what: &What) -> String {
    match what {
        What::NodeUp { version } if version.is_empty() => String::new(),
        What::NodeUp { version } => format!("version {version}"),
        What::NodeBack { was } => format!("was {was}"),
        What::NodeSuspected { silent_ms: 0 } => "does not answer".to_owned(),
        What::NodeSuspected { silent_ms } => format!("no answer for {}", ms(*silent_ms)),
        What::NodeDown { orderly: true } => "said goodbye".to_owned(),
        What::NodeDown { orderly: false } => "unreachable".to_owned(),
        What::NodeRefused { reason } => reason.clone(),
        What::Proposed { from, by, message, .. } if message.is_empty() => format!("by {by}, from {from}"),
        What::Proposed { from, by, message, .. } => format!("by {by}, from {from}: {message}"),
        // Only the node itself knows how many steps it took.
        What::Adopted { revision, n_steps: 0, .. } => revision.to_string(),
        What::Adopted { revision, n_steps, elapsed_ms } => {
            format!("{revision}, {} in {}", count(*n_steps, "step"), ms(*elapsed_ms))
        }
        What::RolledBack { revision, step, cause } => format!("{revision} at {step}: {cause}"),
        What::Degraded { revision, cause } => format!("{revision}: {cause}"),
        What::Poisoned { revision, n_crashes, runs } => {
            format!("{revision}: {}", poisoned_text(*n_crashes, runs.as_ref()))
        }
        What::Converged { n_nodes: 0, .. } => String::new(),
        What::Converged { n_nodes, elapsed_ms, .. } => format!("on {} in {}", count(*n_nodes, "node"), ms(*elapsed_ms)),
        What::Overwritten { winner, lost, .. } => format!("by {winner}; lost: {}", lost.join(", ")),
        What::Started { .. } | What::Stopped { .. } => String::new(),
        What::Restarting { cause, in_ms, .. } => format!("in {}: {cause}", ms(*in_ms)),
        What::Failed { cause, .. } => cause.clone(),
        What::Note { text } => text.clone(),
    }
}

/// `12:01:07.113  info   node1.web  listening  port=8080`
pub(crate) fn log(record: &Record) -> String {
    let level = paint::pad(&record.level, 5);
    let level = match record.level.as_str() {
        "error" => paint::red(&level),
        "warn" => paint::yellow(&level),
        "debug" | "trace" => paint::dim(&level),
        _ => level,
    };
    let who = record.instance.as_ref().or(record.node.as_ref()).map(|who| format!("{who}  ")).unwrap_or_default();
    let fields: String = record.fields.iter().map(|(name, value)| format!("  {name}={}", text(value))).collect();
    let fields = paint::dim(&fields);
    format!("{}  {level}  {}{}{fields}", clock_text(record.at, true), paint::cyan(&who), record.message)
}

/// `12:01:07.113  node1.ticker.tick  →  node2.printer.input   41        0.4 ms`
pub(crate) fn tap(record: &TapRecord) -> String {
    let from = record.from.as_ref().map_or_else(|| "(outside)".to_owned(), ToString::to_string);
    let to: Vec<String> = record.to.iter().map(ToString::to_string).collect();
    let to = if to.is_empty() { "(nobody)".to_owned() } else { to.join(", ") };
    let mut line = format!("{}  {from}  →  {to}   {}", clock_text(record.at, true), short(&record.value));
    if let Some(us) = record.elapsed_us {
        line.push_str(&format!("   {}", paint::dim(&format!("{:.1} ms", us as f64 / 1000.0))));
    }
    if let Some(why) = &record.lost {
        line.push_str(&format!("   {}", paint::red(&format!("lost: {why}"))));
    }
    line
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn short(value: &Value) -> String {
    let whole = value.to_string();
    if whole.chars().count() <= VALUE_MAX_CHARS {
        return whole;
    }
    whole.chars().take(VALUE_MAX_CHARS - 1).chain(['…']).collect()
}
