//! Draws the diagnostics of a script for people: each with its place and what would have worked.

use std::{fmt::Write, io::IsTerminal, sync::Arc};

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report, SourceSpan};

use crate::logic::script::{Diagnostic, Severity};

/// The most diagnostics that are drawn; the others are counted.
const DRAWN_MAX: usize = 50;

/// The diagnostics of `text`, which came from `name`, for standard error: with lines on a terminal, with plain signs
/// elsewhere. Colours are in the text and left to [`anstream`] to take out.
pub fn draw(name: &str, text: &str, diagnostics: &[Diagnostic]) -> String {
    draw_with(std::io::stderr().is_terminal(), name, text, diagnostics)
}

/// The same, with lines or with plain signs.
pub fn draw_with(lines: bool, name: &str, text: &str, diagnostics: &[Diagnostic]) -> String {
    let theme = if lines { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
    let handler = GraphicalReportHandler::new_themed(theme).with_context_lines(1).with_links(false);
    let source = Arc::new(NamedSource::new(name, text.to_owned()));
    let mut drawing = String::new();
    for diagnostic in diagnostics.iter().take(DRAWN_MAX) {
        let report = Report::new(plain(text, diagnostic)).with_source_code(source.clone());
        if handler.render_report(&mut drawing, report.as_ref()).is_err() {
            let _ = writeln!(drawing, "{diagnostic}");
        }
    }
    if let Some(n_more) = diagnostics.len().checked_sub(DRAWN_MAX).filter(|n_more| *n_more > 0) {
        let _ = writeln!(drawing, "  and {n_more} more");
    }
    drawing
}

fn plain(text: &str, diagnostic: &Diagnostic) -> MietteDiagnostic {
    let bytes = diagnostic.span.bytes(text);
    let label = LabeledSpan::new_with_span(diagnostic.help.clone(), SourceSpan::from(bytes));
    let severity = match diagnostic.severity {
        Severity::Error => miette::Severity::Error,
        Severity::Warning => miette::Severity::Warning,
    };
    let message = format!("{} {}", diagnostic.code, diagnostic.message);
    MietteDiagnostic::new(message).with_severity(severity).with_label(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::script::parse;

    #[test]
    fn an_error_is_drawn_at_its_place() {
        let text = "add node0 : T\nad node1 : T\n";
        let drawing = anstream::adapter::strip_str(&draw("app.kevs", text, &parse(text).1)).to_string();
        assert!(drawing.contains("E0103 no statement starts with `ad`"), "{drawing}");
        assert!(drawing.contains("app.kevs:2:1") && drawing.contains("did you mean `add`?"), "{drawing}");
    }

    #[test]
    fn many_errors_are_counted() {
        let text = "?\n".repeat(DRAWN_MAX + 2) + &"x y\n".repeat(10);
        let diagnostics = vec![parse(&text).1[0].clone(); DRAWN_MAX + 3];
        assert!(draw("x", &text, &diagnostics).contains("and 3 more"));
    }
}
