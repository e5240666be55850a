//! What is wrong with a script, drawn under its lines.

use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};

use super::count;
use crate::{
    doors::cli::paint,
    runtime::node::api::{Problem, Severity},
};

/// Problems drawn before the rest is only counted: a broken script of thousands of lines is not told whole.
const DRAWN_MAX: usize = 30;

/// Every problem at its place in the text. `file` is the script's name.
pub(crate) fn problems(problems: &[Problem], text: &str, file: &str) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode()).with_width(110).with_links(false);
    let source = Arc::new(NamedSource::new(file, text.to_owned()));
    let mut drawn = String::new();
    for problem in problems.iter().take(DRAWN_MAX) {
        match problem.span {
            Some(span) if !text.is_empty() => {
                let report = Report::new(diagnostic(problem, bytes(text, span))).with_source_code(Arc::clone(&source));
                // Drawing only fails when the span lies outside of the text; then the line alone tells it.
                if handler.render_report(&mut drawn, report.as_ref()).is_err() {
                    drawn.push_str(&line(problem));
                }
            }
            _ => drawn.push_str(&line(problem)),
        }
    }
    if problems.len() > DRAWN_MAX {
        drawn.push_str(&format!("  … and {} more\n", problems.len() - DRAWN_MAX));
    }
    drawn
}

/// `2 errors, 1 warning`
pub(crate) fn tally(problems: &[Problem]) -> String {
    let n_warnings = problems.iter().filter(|problem| problem.severity != Severity::Error).count();
    let n_errors = problems.len() - n_warnings;
    match (n_errors, n_warnings) {
        (0, n) => count(n, "warning"),
        (n, 0) => count(n, "error"),
        (n, m) => format!("{}, {}", count(n, "error"), count(m, "warning")),
    }
}

fn line(problem: &Problem) -> String {
    let mark = if problem.severity == Severity::Error { paint::red("×") } else { paint::yellow("!") };
    let help = if problem.help.is_empty() { String::new() } else { format!("\n    help: {}", problem.help) };
    format!("  {mark} {} {}{help}\n", problem.code, problem.message)
}

fn diagnostic(problem: &Problem, (start, end): (usize, usize)) -> MietteDiagnostic {
    let label = if problem.help.is_empty() { None } else { Some(problem.help.clone()) };
    let severity =
        if problem.severity == Severity::Error { miette::Severity::Error } else { miette::Severity::Warning };
    let span = LabeledSpan::new(label, start, (end - start).max(1));
    MietteDiagnostic::new(format!("{} {}", problem.code, problem.message)).with_severity(severity).with_label(span)
}

/// A stretch of characters as a stretch of bytes.
fn bytes(text: &str, (start, end): (usize, usize)) -> (usize, usize) {
    let mut offsets = text.char_indices().map(|(offset, _)| offset);
    let start_byte = offsets.nth(start).unwrap_or(text.len());
    let end_byte = if end > start { offsets.nth(end - start - 1).unwrap_or(text.len()) } else { start_byte };
    (start_byte.min(text.len()), end_byte.max(start_byte))
}
