//! The forms of output that every verb shares.

use std::io::{self, Write};

use serde::Serialize;

use super::{
    failure::{Exit, Failure},
    term::Term,
};
use crate::{runtime::node::api::VERSION, words::Value};

/// Prints a line of data from a verb that has no [`Term`] (those that work on files). A reader that is gone ends the program:
/// nobody wants the rest.
macro_rules! outln {
    ($($arg:tt)*) => { $crate::doors::cli::output::write(&format!("{}\n", format_args!($($arg)*))) };
}

/// The same without the end of the line.
macro_rules! out {
    ($($arg:tt)*) => { $crate::doors::cli::output::write(&format!($($arg)*)) };
}

/// Says a line that is not data; nobody listening is no failure.
macro_rules! errln {
    ($($arg:tt)*) => {{
        let line = format!("{}\n", format_args!($($arg)*));
        let _ = ::std::io::Write::write_all(&mut ::anstream::stderr(), line.as_bytes());
    }};
}

pub(crate) use {errln, out, outln};

/// See [`outln`].
pub(crate) fn write(text: &str) {
    let mut stdout = anstream::stdout();
    if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        if error.kind() == io::ErrorKind::BrokenPipe {
            std::process::exit(i32::from(Exit::Unread as u8));
        }
        errln!("error: cannot write the output: {error}");
        std::process::exit(i32::from(Exit::Error as u8));
    }
}

/// How a verb prints its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people: a table or marked lines.
    #[default]
    Table,
    /// The same with everything there is.
    Wide,
    /// What hangs on what.
    Tree,
    /// One JSON document with `apiVersion` and `kind`.
    Json,
    /// One JSON document a line.
    Jsonl,
    /// A drawing for Graphviz.
    Dot,
    /// A drawing for Markdown.
    Mermaid,
    /// A script.
    Kevs,
}

impl Output {
    fn name(self) -> &'static str {
        match self {
            Output::Table => "table",
            Output::Wide => "wide",
            Output::Tree => "tree",
            Output::Json => "json",
            Output::Jsonl => "jsonl",
            Output::Dot => "dot",
            Output::Mermaid => "mermaid",
            Output::Kevs => "kevs",
        }
    }

    /// The failure when a verb has no such form.
    pub(crate) fn unknown(self, verb: &str, known: &str) -> Failure {
        let what = format!("`{verb}` has no output form \"{}\"", self.name());
        Failure::new(Exit::Usage, what, format!("it has {known}"))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a, T> {
    api_version: &'a str,
    kind: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

/// Prints an object as a document of a kind, on many lines or on one.
pub(crate) fn json<T: Serialize>(term: &mut Term, form: Output, kind: &str, body: &T) -> Result<(), Failure> {
    let document = Document { api_version: VERSION, kind, body };
    let text = match form {
        Output::Jsonl => serde_json::to_string(&document)?,
        _ => serde_json::to_string_pretty(&document)?,
    };
    term.print(&format!("{text}\n"))
}

/// Prints a list: one document with `items`, or a document a line.
pub(crate) fn json_list<T: Serialize>(term: &mut Term, form: Output, kind: &str, items: &[T]) -> Result<(), Failure> {
    if form == Output::Jsonl {
        return items.iter().try_for_each(|item| json(term, form, kind, item));
    }
    let items: Vec<Value> = items.iter().map(serde_json::to_value).collect::<Result<_, _>>()?;
    json(term, form, &format!("{kind}List"), &serde_json::json!({ "items": items }))
}
