//! Colours. Never the only sign: everything painted also says in words or marks what its colour says.

use clap::builder::styling::{AnsiColor, Effects, Style};

use crate::logic::plan::Mark;

fn paint(style: Style, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{style}{text}{style:#}") }
}

fn coloured(colour: AnsiColor, text: &str) -> String {
    paint(Style::new().fg_color(Some(colour.into())), text)
}

/// Good, added.
pub(crate) fn green(text: &str) -> String {
    coloured(AnsiColor::Green, text)
}

/// Bad, removed.
pub(crate) fn red(text: &str) -> String {
    coloured(AnsiColor::Red, text)
}

/// Doubtful, changed.
pub(crate) fn yellow(text: &str) -> String {
    coloured(AnsiColor::Yellow, text)
}

/// Moved, a name.
pub(crate) fn cyan(text: &str) -> String {
    coloured(AnsiColor::Cyan, text)
}

/// Beside the point.
pub(crate) fn dim(text: &str) -> String {
    paint(Style::new().effects(Effects::DIMMED), text)
}

/// A heading.
pub(crate) fn bold(text: &str) -> String {
    paint(Style::new().effects(Effects::BOLD), text)
}

/// A text in the colour of its mark.
pub(crate) fn by_mark(mark: Mark, text: &str) -> String {
    match mark {
        Mark::Add => green(text),
        Mark::Remove => red(text),
        Mark::Change | Mark::Replace => yellow(text),
        Mark::Move => cyan(text),
    }
}

/// The text without what terminals alone understand.
pub(crate) fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// How many columns the text takes: its characters without colours.
pub(crate) fn width(text: &str) -> usize {
    if text.contains('\u{1b}') { plain(text).chars().count() } else { text.chars().count() }
}

/// The text with blanks up to a width; colours take no room.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}
