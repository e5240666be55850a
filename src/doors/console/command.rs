//! The console's own commands: lines that start with a colon.

use std::time::Duration;

use clap::Parser;

use crate::{
    doors::cli::failure::{Exit, Failure},
    logic::script::diagnostic,
};

/// `:help`
pub(super) const HELP: &str = "\
Statements gather in a draft and are checked at once; nothing happens before :apply.

  add node1.ticker : Ticker             set node1.ticker.period = '1s'
  add ticks : Broadcast                 bind ticks node1.ticker.tick … : see :help bind
  remove · move · upgrade · attach · detach · start · stop · …     :help add explains a statement

  :plan [-w]          what the draft would do; -w shows every step
  :apply [-m WHY]     do it, and wait for the nodes (--no-wait, --timeout 30s)
  :show               the draft and what it changes
  :undo  :drop        take back the last statement, all of them
  :load FILE          take the statements of a file

  :status  :get [-o tree]  :watch [REVISION]  :history  :diff [FROM [TO]]  :rollback REVISION
  :logs PATH [-f]  :tail CHANNEL  :send PORT MESSAGE  :types [NAME]  :why PATH  :metrics  :stop NODE
                      as on the command line; `:status --help` has the flags
  :help [TOPIC]       a statement, a code (E0203), a type, exit, marks
  :quit               or Ctrl-D

Tab completes statements and live names. Ctrl-C ends what is running, or the line. A line that is not finished goes on.
";

/// A command, read.
#[derive(Debug)]
pub(super) enum Command {
    Plan {
        wide: bool,
    },
    Apply(ApplyLine),
    Undo,
    Drop,
    Show,
    Load(String),
    Help(Option<String>),
    Quit,
    /// A verb of the command line, with its arguments.
    Verb(Vec<String>),
}

/// What `:apply` takes.
#[derive(Debug, Parser)]
#[command(name = ":apply", disable_version_flag = true)]
pub(super) struct ApplyLine {
    /// Why, for the history
    #[arg(short, long)]
    pub(super) message: Option<String>,
    /// Do not wait for the nodes
    #[arg(long)]
    pub(super) no_wait: bool,
    /// How long to wait for the nodes
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(super) timeout: Option<Duration>,
}

/// The commands that are the console's own.
const OWN: &[&str] = &["plan", "apply", "undo", "drop", "show", "load", "help", "quit", "exit"];

/// The verbs of the command line that make sense here.
pub(super) const VERBS: &[&str] = &[
    "status", "get", "watch", "history", "diff", "rollback", "logs", "tail", "send", "types", "why", "metrics", "stop",
    "explain",
];

/// All commands, with their colon.
pub(super) fn names() -> impl Iterator<Item = String> {
    OWN.iter().chain(VERBS).map(|name| format!(":{name}"))
}

/// Reads a line that starts with a colon.
pub(super) fn parse(line: &str) -> Result<Command, Failure> {
    let mut words = split(line.trim_start_matches(':'))?;
    if words.is_empty() {
        return Ok(Command::Help(None));
    }
    let rest = words.split_off(1);
    let name = words.remove(0);
    let one = |what: &str| match rest.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(Failure::new(Exit::Usage, format!(":{name} takes {what}"), "")),
    };
    match name.as_str() {
        "plan" | "p" => {
            Ok(Command::Plan { wide: rest.iter().any(|word| matches!(word.as_str(), "-w" | "--wide" | "wide")) })
        }
        "apply" | "a" => match ApplyLine::try_parse_from([":apply".to_owned()].iter().chain(&rest)) {
            Ok(how) => Ok(Command::Apply(how)),
            Err(error) => {
                Err(Failure::new(Exit::Usage, error.to_string().trim_start_matches("error: ").trim_end(), ""))
            }
        },
        "undo" | "u" => Ok(Command::Undo),
        "drop" => Ok(Command::Drop),
        "show" | "s" => Ok(Command::Show),
        "load" => one("a file").map(Command::Load),
        "help" | "h" | "?" => Ok(Command::Help(rest.last().cloned())),
        "quit" | "q" | "exit" => Ok(Command::Quit),
        verb if VERBS.contains(&verb) => Ok(Command::Verb([name].into_iter().chain(rest).collect())),
        other => {
            let help = diagnostic::did_you_mean(other, OWN.iter().chain(VERBS).copied());
            let help = if help.is_empty() { ":help lists the commands".to_owned() } else { help };
            Err(Failure::new(Exit::Usage, format!("there is no command \":{other}\""), help))
        }
    }
}

/// Words between blanks; quotes hold blanks together, a backslash takes the next character as it is.
fn split(line: &str) -> Result<Vec<String>, Failure> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None | Some('"'), '\\') => word.get_or_insert_default().extend(chars.next()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err(Failure::new(Exit::Usage, "a quote is never closed", ""));
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(
            split(r#"send n.c.in '{"a": "b c"}' "x\"y" \ z"#).unwrap(),
            ["send", "n.c.in", r#"{"a": "b c"}"#, "x\"y", " z"]
        );
        assert!(split("a 'b").is_err());
        assert_eq!(split("a '' b").unwrap(), ["a", "", "b"]);
    }

    #[test]
    fn commands_are_read_and_wrong_ones_get_a_suggestion() {
        assert!(matches!(parse(":plan").unwrap(), Command::Plan { wide: false }));
        assert!(matches!(
            parse(":apply -m 'why not' --timeout 3s").unwrap(),
            Command::Apply(ApplyLine { timeout: Some(_), .. })
        ));
        assert!(matches!(parse(":status -o tree").unwrap(), Command::Verb(words) if words == ["status", "-o", "tree"]));
        assert!(parse(":aply").unwrap_err().help.contains("apply"));
        assert!(parse(":node").unwrap_err().what.contains("no command"));
    }
}
