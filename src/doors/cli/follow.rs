//! Waits until every node has answered to a revision, and shows how far each is.

use std::{collections::BTreeMap, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{
    client::Client,
    failure::{Exit, Failure},
    output::{self, Output},
    paint,
    render::count,
    term::Term,
};
use crate::{
    io::clock::Stopwatch,
    runtime::node::api::{NodeOutcome, NodeVerdict, OutcomeReply, Revision, Verdict, poisoned_text},
    words::NodeName,
};

/// How long one request waits for news; the total limit is the caller's.
const POLL: Duration = Duration::from_secs(5);

/// Follows a revision to its verdict. Interrupting it cancels nothing.
pub(crate) async fn until_decided(
    client: &Client,
    revision: &Revision,
    limit: Duration,
    form: Output,
    term: &mut Term,
) -> Result<(), Failure> {
    let watch = Stopwatch::start();
    let mut shown = Shown::new(term.live_err && form == Output::Table);
    let mut seen = 0;
    loop {
        let left = limit.saturating_sub(watch.elapsed());
        let wait_ms = left.min(POLL).as_millis() as u64;
        let outcome = tokio::select! {
            outcome = client.outcome(revision.clone(), seen, wait_ms) => outcome?,
            _ = tokio::signal::ctrl_c() => {
                shown.clear();
                term.say(&format!("  still converging; `enact watch {revision}`\n"));
                return Err(Failure::silent(Exit::Timeout));
            }
        };
        seen = outcome.n_reports;
        shown.show(&outcome, form, term);
        if let Some(verdict) = outcome.verdict {
            shown.clear();
            return decided(&outcome, verdict, form, term);
        }
        if watch.elapsed() >= limit {
            shown.clear();
            if form != Output::Table {
                output::json(term, form, "Outcome", &outcome)?;
            }
            let what = format!(
                "{revision} did not converge within {}: {}",
                super::change::limit_text(limit),
                pending(&outcome)
            );
            return Err(Failure::new(
                Exit::Timeout,
                what,
                format!("nothing was cancelled; `enact watch {revision}` follows it"),
            ));
        }
    }
}

/// The last word.
fn decided(outcome: &OutcomeReply, verdict: Verdict, form: Output, term: &mut Term) -> Result<(), Failure> {
    if form != Output::Table {
        output::json(term, form, "Outcome", outcome)?;
    }
    let revision = &outcome.revision;
    let (exit, what) = match verdict {
        Verdict::Converged => {
            let n_adopted =
                outcome.nodes.iter().filter(|node| matches!(node.verdict, NodeVerdict::Adopted { .. })).count();
            let absent = names(outcome, |verdict| matches!(verdict, NodeVerdict::Absent | NodeVerdict::Unreachable));
            let rest = if absent.is_empty() { String::new() } else { format!("; when they come: {absent}") };
            let line =
                format!("{revision} converged on {} in {} ms{rest}", count(n_adopted, "node"), outcome.elapsed_ms);
            term.say(&format!("  {} {line}\n", paint::green("✓")));
            for lost in &outcome.overwritten {
                let line = format!("overwritten meanwhile by {}: {}", lost.by, lost.what);
                term.say(&format!("  {} {line}\n", paint::yellow("!")));
            }
            return Ok(());
        }
        Verdict::Superseded => {
            term.say(&format!("  {revision} was taken over by a newer revision\n"));
            return Ok(());
        }
        Verdict::Unresolved => (Exit::Unresolved, format!("{revision} was adopted, but not all of it can run")),
        Verdict::Refused => (Exit::Refused, format!("{revision} was refused by {}", names(outcome, is_refused))),
        Verdict::RolledBack => {
            (Exit::RolledBack, format!("{revision} was rolled back on {}", names(outcome, is_undone)))
        }
        Verdict::Poisoned => (Exit::RolledBack, format!("{revision} crashes {}", names(outcome, is_poisoned))),
        Verdict::Degraded => {
            (Exit::RolledBack, format!("{revision} failed and could not be undone on {}", names(outcome, is_degraded)))
        }
    };
    let help = match verdict {
        Verdict::Unresolved => {
            "`enact status` says which instances, `enact why NODE.INSTANCE` what they miss".to_owned()
        }
        Verdict::Degraded => {
            "such a node runs something in between: `enact logs NODE`, then apply again or restart it".to_owned()
        }
        _ => "the model has the new revision; apply a correction, or `enact rollback`".to_owned(),
    };
    Err(Failure::new(exit, what, help))
}

fn is_refused(verdict: &NodeVerdict) -> bool {
    matches!(verdict, NodeVerdict::Refused { .. })
}

fn is_undone(verdict: &NodeVerdict) -> bool {
    matches!(verdict, NodeVerdict::RolledBack { .. })
}

fn is_degraded(verdict: &NodeVerdict) -> bool {
    matches!(verdict, NodeVerdict::Degraded { .. })
}

fn is_poisoned(verdict: &NodeVerdict) -> bool {
    matches!(verdict, NodeVerdict::Poisoned { .. })
}

fn names(outcome: &OutcomeReply, of: impl Fn(&NodeVerdict) -> bool) -> String {
    let names: Vec<&str> =
        outcome.nodes.iter().filter(|node| of(&node.verdict)).map(|node| node.node.as_str()).collect();
    names.join(", ")
}

/// Who is waited for.
fn pending(outcome: &OutcomeReply) -> String {
    let of = |node: &NodeOutcome| match &node.verdict {
        NodeVerdict::Waiting => Some(format!("{} has not begun", node.node)),
        NodeVerdict::Working { n_done, n_steps, doing } => {
            Some(format!("{} is at {n_done}/{n_steps} ({doing})", node.node))
        }
        _ => None,
    };
    let all: Vec<String> = outcome.nodes.iter().filter_map(of).collect();
    if all.is_empty() { "no node answered".to_owned() } else { all.join(", ") }
}

/// What is on the screen: a bar for each node on a terminal, else a line when a node is done.
struct Shown {
    bars: Option<MultiProgress>,
    by_node: BTreeMap<NodeName, ProgressBar>,
    told: BTreeMap<NodeName, NodeVerdict>,
}

impl Shown {
    fn new(live: bool) -> Shown {
        Shown { bars: live.then(MultiProgress::new), by_node: BTreeMap::new(), told: BTreeMap::new() }
    }

    fn show(&mut self, outcome: &OutcomeReply, form: Output, term: &mut Term) {
        if form != Output::Table {
            return;
        }
        let width = outcome.nodes.iter().map(|node| node.node.as_str().len()).max().unwrap_or(0);
        for node in &outcome.nodes {
            if self.told.get(&node.node) == Some(&node.verdict) {
                continue;
            }
            self.told.insert(node.node.clone(), node.verdict.clone());
            match &self.bars {
                Some(bars) => {
                    let bar = self.by_node.entry(node.node.clone()).or_insert_with(|| bars.add(new_bar(node, width)));
                    advance(bar, &node.verdict);
                }
                None => {
                    if let Some(line) = line(node, width) {
                        term.say(&line);
                    }
                }
            }
        }
    }

    /// Leaves the bars where they are; what follows goes below them.
    fn clear(&mut self) {
        for bar in std::mem::take(&mut self.by_node).into_values() {
            bar.abandon();
        }
    }
}

fn new_bar(node: &NodeOutcome, width: usize) -> ProgressBar {
    let template = format!("  {{prefix:{width}}}  {{bar:16.green}} {{pos}}/{{len}}  {{msg}}");
    let style = ProgressStyle::with_template(&template)
        .map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("█▉ "));
    ProgressBar::new(1).with_style(style).with_prefix(node.node.to_string())
}

fn advance(bar: &ProgressBar, verdict: &NodeVerdict) {
    if let NodeVerdict::Working { n_steps, .. } | NodeVerdict::Adopted { n_steps, .. } = verdict {
        bar.set_length((*n_steps).max(1) as u64);
    }
    match verdict {
        NodeVerdict::Working { n_done, .. } => bar.set_position(*n_done as u64),
        NodeVerdict::Adopted { .. } => bar.set_position(bar.length().unwrap_or(1)),
        _ => {}
    }
    bar.set_message(story(verdict, false));
    bar.tick();
}

/// A line for a node that is done; nothing while it is at work.
fn line(node: &NodeOutcome, width: usize) -> Option<String> {
    match &node.verdict {
        NodeVerdict::Waiting | NodeVerdict::Working { .. } => None,
        verdict => Some(format!("  {:<width$}  {}\n", node.node.as_str(), story(verdict, true))),
    }
}

/// What became of it; `counted` says the number of steps too, where no bar does.
fn story(verdict: &NodeVerdict, counted: bool) -> String {
    match verdict {
        NodeVerdict::Waiting => "waiting".to_owned(),
        NodeVerdict::Working { doing, .. } => doing.clone(),
        // Only the node that was asked knows how many steps it took itself.
        NodeVerdict::Adopted { n_steps: 0, unresolved, .. } if unresolved.is_empty() => "adopted".to_owned(),
        NodeVerdict::Adopted { n_steps, elapsed_ms, doing, unresolved } => {
            let last = match (doing.is_empty(), counted) {
                (true, _) => count(*n_steps, "step"),
                (false, true) => format!("{n_steps}/{n_steps}  {doing}"),
                (false, false) => doing.clone(),
            };
            let trouble: String = unresolved.iter().map(|one| format!("  {} {one}", paint::yellow("!"))).collect();
            format!("{last}  {elapsed_ms} ms{trouble}")
        }
        NodeVerdict::RolledBack { step, cause } => format!("{} at {step}: {cause}", paint::red("rolled back")),
        NodeVerdict::Refused { cause } => format!("{}: {cause}", paint::red("refused")),
        NodeVerdict::Degraded { cause } => format!("{}: {cause}", paint::red("degraded")),
        NodeVerdict::Poisoned { n_crashes, runs } => {
            format!("{}: {}", paint::red("poisoned"), poisoned_text(*n_crashes, runs.as_ref()))
        }
        NodeVerdict::Unreachable => paint::yellow("does not answer"),
        NodeVerdict::Absent => paint::yellow("not there; will do its part when it comes"),
        NodeVerdict::Superseded { by } => format!("went on to {by}"),
    }
}
