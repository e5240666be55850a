//! The console: an interactive session with a running group.
//!
//! Statements gather in a [`draft::Draft`], checked at once against the model and the types that the nodes offer; nothing
//! happens before `:apply`. Lines come from a terminal (with history, completion and colours) or from a pipe, one after the other.

mod assist;
mod command;
mod draft;
mod lines;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use command::{Command, HELP};
use draft::Draft;
use lines::{Line, Lines};

use crate::{
    doors::cli::{
        self,
        change::{difference, plan_text},
        client::{Apply, Client, Planned, by},
        explain,
        failure::{Exit, Failure, of_api},
        follow,
        output::Output,
        paint,
        render::{changes::Changes, count, problems},
        term::Term,
    },
    runtime::node::api::{ErrorCode, Problem, Wanted},
};

/// How a session runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Lines to run instead of asking for them.
    pub execute: Vec<String>,
    /// Whether verbs that ask are confirmed already.
    pub yes: bool,
    /// How long `:apply` waits.
    pub wait: Duration,
}

impl Options {
    /// A session.
    pub fn new(execute: Vec<String>, yes: bool, wait: Duration) -> Options {
        Options { execute, yes, wait }
    }
}

/// Runs a session until it is ended. On a terminal a failure is told and the session goes on; from a pipe the first failure
/// ends it, so that nothing is applied that was built on it.
///
/// # Errors
/// The failure that ended a session without a terminal.
pub async fn run(client: Client, options: Options, term: &mut Term) -> Result<(), Failure> {
    let mut lines = Lines::open(&options.execute, term)?;
    let mut session = Session::start(client, options).await?;
    if lines.is_live() {
        term.say(&session.greeting());
    }
    loop {
        session.look_around(term).await?;
        lines.assist(session.draft.names());
        let line = match lines.next(&session.prompt())? {
            Line::Text(text) => text,
            Line::Interrupted => continue,
            Line::End => break,
        };
        match session.line(&line, term).await {
            Ok(Flow::On) => {}
            Ok(Flow::End) => return Ok(()),
            Err(failure) if failure.exit == Exit::Unread => return Err(failure),
            Err(failure) if lines.is_live() => term.say(&failure.text()),
            Err(failure) => return Err(failure),
        }
    }
    match session.draft.is_empty() || lines.is_live() {
        true => Ok(()),
        false => Err(Failure::new(Exit::Refused, "the statements were never applied", "end them with :apply")),
    }
}

enum Flow {
    On,
    End,
}

struct Session {
    client: Client,
    draft: Draft,
    options: Options,
    /// Lines of a statement that is not finished yet, when lines come one by one.
    unfinished: String,
}

impl Session {
    async fn start(client: Client, options: Options) -> Result<Session, Failure> {
        let draft = Draft::new(client.model(None).await?, &client.types().await?);
        Ok(Session { client, draft, options, unfinished: String::new() })
    }

    fn greeting(&self) -> String {
        let info = self.client.info();
        let who = format!(
            "connected to {} — group {}, {}, {}",
            info.node,
            info.group,
            count(info.n_nodes, "node"),
            self.draft.base()
        );
        format!("{who}          :help for help, Tab completes\n")
    }

    fn prompt(&self) -> String {
        let star = if self.draft.is_empty() { "" } else { "*" };
        format!("enact {}{star}", self.draft.base())
    }

    /// Follows the group: an empty draft always stands on the newest revision.
    async fn look_around(&mut self, term: &mut Term) -> Result<(), Failure> {
        let newest = self.client.newest().await?;
        if newest == *self.draft.base() {
            return Ok(());
        }
        if self.draft.is_empty() {
            return self.refresh().await;
        }
        if self.draft.heard_of(&newest) {
            let base = self.draft.base();
            term.say(&format!(
                "  {} the group went on to {newest}; this draft was made on {base}. :plan brings it along\n",
                paint::yellow("!")
            ));
        }
        Ok(())
    }

    /// A fresh, empty draft on the newest revision.
    async fn refresh(&mut self) -> Result<(), Failure> {
        self.draft = Draft::new(self.client.model(None).await?, &self.client.types().await?);
        Ok(())
    }

    async fn line(&mut self, line: &str, term: &mut Term) -> Result<Flow, Failure> {
        let trimmed = line.trim();
        if self.unfinished.is_empty() && trimmed.starts_with(':') {
            return self.command(command::parse(trimmed)?, term).await;
        }
        if self.unfinished.is_empty() && (trimmed.is_empty() || trimmed.starts_with("//")) {
            return Ok(Flow::On);
        }
        self.unfinished.push_str(line);
        if draft::is_unfinished(&self.unfinished) {
            self.unfinished.push('\n');
            return Ok(Flow::On);
        }
        let statement = std::mem::take(&mut self.unfinished);
        match self.draft.add(&statement) {
            Ok(warnings) => term.say(&problems::problems(&warnings, &statement, "console")),
            Err(wrong) => return Err(self.wrong(&wrong, &statement, term)),
        }
        Ok(Flow::On)
    }

    fn wrong(&self, wrong: &[Problem], text: &str, term: &mut Term) -> Failure {
        term.say(&problems::problems(wrong, text, "console"));
        Failure::silent(Exit::Error)
    }

    async fn command(&mut self, command: Command, term: &mut Term) -> Result<Flow, Failure> {
        match command {
            Command::Quit => return Ok(Flow::End),
            Command::Help(None) => term.print(HELP)?,
            Command::Help(Some(topic)) => self.help(&topic, term)?,
            Command::Show => self.show(term)?,
            Command::Undo => match self.draft.undo() {
                Some(statement) => term.say(&format!("  taken back: {statement}\n")),
                None => term.say("  the draft is empty\n"),
            },
            Command::Drop => {
                term.say(&format!("  {} dropped\n", count(self.draft.len(), "statement")));
                self.refresh().await?;
            }
            Command::Load(path) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| Failure::new(Exit::Error, format!("cannot read {path}: {error}"), ""))?;
                match self.draft.add(&text) {
                    Ok(warnings) => term.say(&problems::problems(&warnings, &text, &path)),
                    Err(wrong) => {
                        term.say(&problems::problems(&wrong, &text, &path));
                        return Err(Failure::silent(Exit::Error));
                    }
                }
            }
            Command::Plan { wide } => {
                let planned = self.plan(term).await?;
                term.print(&plan_text(&planned.plan, &Changes::between(&planned.before, &planned.after), wide))?;
            }
            Command::Apply(how) => self.apply(how, term).await?,
            Command::Verb(words) => cli::verb(words, &self.client, self.options.wait, term).await?,
        }
        Ok(Flow::On)
    }

    fn help(&self, topic: &str, term: &mut Term) -> Result<(), Failure> {
        match explain::text(topic).or_else(|| self.draft.type_text(topic)) {
            Some(text) => term.print(&text),
            None => Err(Failure::new(
                Exit::Error,
                format!("there is no help about \"{topic}\""),
                ":help lists the commands, :help bind explains a statement, :help Ticker a type",
            )),
        }
    }

    fn show(&self, term: &mut Term) -> Result<(), Failure> {
        if self.draft.is_empty() {
            return term.print("  the draft is empty\n");
        }
        let mut text: String = self.draft.statements().map(|statement| format!("  {statement}\n")).collect();
        text.push_str(&difference(self.draft.before(), self.draft.after()));
        term.print(&text)
    }

    /// Asks what the draft would do. A draft that the group has overtaken is brought along first.
    async fn plan(&mut self, term: &mut Term) -> Result<Planned, Failure> {
        if self.client.newest().await? != *self.draft.base() {
            let newest = self.client.model(None).await?;
            let revision = newest.revision.clone();
            self.draft.rebase(newest).map_err(|(statement, wrong)| {
                term.say(&problems::problems(&wrong, &statement, "console"));
                Failure::new(
                    Exit::Refused,
                    format!("the draft does not fit {revision} any more"),
                    ":undo or :drop what does not",
                )
            })?;
        }
        let text = self.draft.script();
        let wanted = Wanted::Script { text: text.clone(), file: "console".to_owned(), variables: Default::default() };
        let planned = self.client.plan(wanted, Some(self.draft.base().clone())).await;
        planned.map_err(|error| match error.problems.as_slice() {
            [] => of_api(&error),
            wrong => self.wrong(wrong, &text, term),
        })
    }

    async fn apply(&mut self, how: command::ApplyLine, term: &mut Term) -> Result<(), Failure> {
        if self.draft.is_empty() {
            term.say("  the draft is empty; nothing to apply\n");
            return Ok(());
        }
        let planned = self.plan(term).await?;
        if planned.plan.changes.is_empty() {
            term.say("  nothing to change; the group already is what is wanted\n");
            return self.refresh().await;
        }
        let apply = Apply {
            wanted: Wanted::Changes(planned.plan.changes),
            base: Some(planned.plan.base),
            compare_and_swap: true,
            message: how.message.unwrap_or_else(|| self.draft.script().replace('\n', "; ")),
            by: by("console"),
        };
        let applied = match self.client.apply(apply).await {
            Ok(applied) => applied,
            Err(error) if error.code == ErrorCode::Stale => {
                return Err(Failure { help: ":plan again; the draft is kept".to_owned(), ..of_api(&error) });
            }
            Err(error) => return Err(of_api(&error)),
        };
        // The revision is there, whatever becomes of it: the draft has done its duty.
        self.refresh().await?;
        if how.no_wait {
            term.say(&format!("  {} recorded; `:watch {}` follows it\n", applied.revision, applied.revision));
            return Ok(());
        }
        follow::until_decided(
            &self.client,
            &applied.revision,
            how.timeout.unwrap_or(self.options.wait),
            Output::Table,
            term,
        )
        .await
    }
}

/// Names for completion, shared with the line editor.
type Names = Arc<std::sync::Mutex<assist::Names>>;
