//! What differs between two models, as people see it: with marks, under the node where it happens. The same text for a plan, a
//! draft, a diff of two revisions and a roll-back.

mod gather;

use std::fmt::Write;

use serde::Serialize;

use crate::{doors::cli::paint, logic::plan::Mark, model::Model};

/// One line of a difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    /// `+ - ~ -/+ >`
    #[serde(serialize_with = "mark_text")]
    pub(crate) mark: Mark,
    /// `ticker`, `bind`, `channel ticks`.
    pub(crate) what: String,
    /// Its type, or what changed.
    pub(crate) change: String,
    /// Values, or what it means.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
}

fn mark_text<S: serde::Serializer>(mark: &Mark, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(mark)
}

/// The lines of one place: a node (`node1`), a move (`node2 > node3`), or the group as a whole (empty).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Section {
    /// The place.
    pub(crate) place: String,
    /// Its lines.
    pub(crate) lines: Vec<Line>,
}

/// How much differs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Counts {
    /// Instances that are new.
    pub(crate) add: usize,
    /// Instances with other values, another type, or another state.
    pub(crate) change: usize,
    /// Instances that go.
    pub(crate) remove: usize,
    /// Components that move.
    #[serde(rename = "move")]
    pub(crate) moved: usize,
    /// Bindings that come or go.
    pub(crate) bindings: usize,
    /// All else: attachments, addresses, properties, scopes, types.
    pub(crate) other: usize,
}

/// What differs between two models.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changes {
    /// By place: nodes in order of name, moves, then what belongs to no node.
    pub(crate) sections: Vec<Section>,
    /// How much.
    pub(crate) counts: Counts,
}

impl Changes {
    /// Compares two models.
    pub(crate) fn between(before: &Model, after: &Model) -> Changes {
        gather::between(before, after)
    }

    /// Whether nothing differs.
    pub(crate) fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// The lines, painted, indented by two.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        for Section { place, lines } in &self.sections {
            let indent = if place.is_empty() { "  " } else { "    " };
            if !place.is_empty() {
                let _ = writeln!(text, "  {}", paint::bold(place));
            }
            let widest = |part: fn(&Line) -> &str, limit: usize| {
                lines.iter().map(|line| paint::width(part(line))).filter(|width| *width <= limit).max().unwrap_or(0)
            };
            let (what_width, change_width) = (widest(|line| &line.what, 24), widest(|line| &line.change, 48));
            for line in lines {
                let mark = line.mark.to_string();
                // A mark of three characters hangs out to the left, so that names line up.
                let indent = &indent[..indent.len().saturating_sub(mark.len() - 1)];
                let what = paint::pad(&line.what, what_width);
                let change =
                    if line.note.is_empty() { line.change.clone() } else { paint::pad(&line.change, change_width) };
                let row = format!(
                    "{indent}{} {what}  {change}  {}",
                    paint::by_mark(line.mark, &mark),
                    paint::dim(&line.note)
                );
                text.push_str(row.trim_end());
                text.push('\n');
            }
        }
        text
    }

    /// `Plan: 3 to add, 0 to change, 0 to remove; 2 bindings.`
    pub(crate) fn summary(&self) -> String {
        let Counts { add, change, remove, moved, bindings, other } = self.counts;
        let mut text = format!("{add} to add, {change} to change, {remove} to remove");
        if moved > 0 {
            let _ = write!(text, ", {moved} to move");
        }
        let mut more = Vec::new();
        if bindings > 0 {
            more.push(super::count(bindings, "binding"));
        }
        if other > 0 {
            more.push(format!("{other} other"));
        }
        if !more.is_empty() {
            let _ = write!(text, "; {}", more.join(", "));
        }
        text
    }
}
