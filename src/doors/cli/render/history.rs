//! The history as a table.

use super::{table::Columns, when_text};
use crate::{
    doors::cli::paint,
    runtime::node::api::{HistoryEntry, Verdict},
    words::Time,
};

/// Revisions, as they were given (newest first).
pub(crate) fn history(entries: &[HistoryEntry], now: Time) -> String {
    let mut columns = Columns::new(&["REV", "WHEN", "BY", "FROM", "WHAT", "RESULT"]);
    for entry in entries {
        let what = if entry.kept { entry.what.clone() } else { format!("{} (model no longer kept)", entry.what) };
        columns.row(vec![
            entry.revision.to_string(),
            when_text(entry.at, now),
            entry.by.clone(),
            entry.from.to_string(),
            what,
            result(entry),
        ]);
    }
    if columns.is_empty() { "no revision yet: the group's model is empty\n".to_owned() } else { columns.render() }
}

fn result(entry: &HistoryEntry) -> String {
    match entry.verdict {
        Some(Verdict::Converged) if !entry.overwritten.is_empty() => paint::yellow(&entry.result),
        Some(Verdict::Converged) => paint::green(&entry.result),
        Some(Verdict::RolledBack | Verdict::Degraded | Verdict::Poisoned | Verdict::Refused) => {
            paint::red(&entry.result)
        }
        Some(Verdict::Unresolved) => paint::yellow(&entry.result),
        Some(Verdict::Superseded) | None => paint::dim(&entry.result),
    }
}
