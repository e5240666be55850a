//! `plan`, `apply`, `rollback`: what is wanted, shown before it is done.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    args::{Applying, PlanArgs, WantedArgs},
    client::{Apply, Client, Planned, by},
    failure::{Exit, Failure, of_api},
    files, follow,
    output::{self, Output},
    paint,
    render::{self, changes::Changes, count, problems},
    term::Term,
};
use crate::{
    model::{Change, Model},
    runtime::node::api::{ApiError, ErrorCode, PlanReply, Problem, Revision, VERSION, Wanted},
    words::{GroupName, Value},
};

/// How often a script is planned again when somebody else was faster. Only with --yes: nobody was shown the stale plan.
const ATTEMPTS_MAX: usize = 3;

/// `enact plan`
pub(super) async fn plan(args: &PlanArgs, client: &Client, term: &mut Term) -> Result<(), Failure> {
    let input = Input::read(&args.wanted)?;
    let planned = input.plan(client, term).await?;
    let changes = Changes::between(&planned.before, &planned.after);
    match form_or_file(&args.output)? {
        Target::File(path) => {
            show_plan(&planned, &changes, Output::Table, term)?;
            Saved::of(&planned.plan).write(&path)?;
            term.say(&format!("  saved in {}; `enact apply {}` does exactly this\n", path.display(), path.display()));
        }
        Target::Form(form) => show_plan(&planned, &changes, form, term)?,
    }
    match args.exit_code && !changes.is_empty() {
        true => Err(Failure::silent(Exit::Changes)),
        false => Ok(()),
    }
}

/// `enact apply`
pub(super) async fn apply(
    wanted: &WantedArgs,
    how: &Applying,
    wait: Duration,
    client: &Client,
    term: &mut Term,
) -> Result<(), Failure> {
    apply_input(&Input::read(wanted)?, how, wait, client, term).await
}

/// `enact rollback`
pub(super) async fn rollback(
    revision: Revision,
    how: &Applying,
    wait: Duration,
    client: &Client,
    term: &mut Term,
) -> Result<(), Failure> {
    let name = format!("roll back to {revision}");
    let input = Input { wanted: Wanted::Revision(revision), name, text: String::new(), base: None, from: "console" };
    apply_input(&input, how, wait, client, term).await
}

async fn apply_input(
    input: &Input,
    how: &Applying,
    wait: Duration,
    client: &Client,
    term: &mut Term,
) -> Result<(), Failure> {
    let mut attempt = 1;
    loop {
        let planned = input.plan(client, term).await?;
        let changes = Changes::between(&planned.before, &planned.after);
        if how.output == Output::Table {
            show_plan(&planned, &changes, Output::Table, term)?;
        }
        if planned.plan.changes.is_empty() {
            let revision = planned.plan.base.clone();
            return match how.output {
                Output::Table => Ok(()),
                form => {
                    output::json(term, form, "Applied", &serde_json::json!({ "revision": revision, "unchanged": true }))
                }
            };
        }
        if !how.yes {
            let revision = &planned.plan.base;
            term.confirm(&format!("Apply this to {} as it is at {revision}?", planned.plan.group))?;
        }
        let apply = Apply {
            wanted: Wanted::Changes(planned.plan.changes.clone()),
            base: Some(planned.plan.base.clone()),
            compare_and_swap: true,
            message: if how.message.is_empty() { input.name.clone() } else { how.message.clone() },
            by: by(input.from),
        };
        let applied = match client.apply(apply).await {
            Ok(applied) => applied,
            Err(error)
                if error.code == ErrorCode::Stale && how.yes && input.base.is_none() && attempt < ATTEMPTS_MAX =>
            {
                term.say(&format!("  {} {}; planning again\n", paint::yellow("!"), error.what));
                attempt += 1;
                continue;
            }
            Err(error) => return Err(tell(&error, "", &input.name, term)),
        };
        if how.no_wait {
            term.say(&format!("  {} recorded; `enact watch {}` follows it\n", applied.revision, applied.revision));
            return match how.output {
                Output::Table => Ok(()),
                form => output::json(term, form, "Applied", &applied),
            };
        }
        let limit = how.timeout.unwrap_or(wait);
        return follow::until_decided(client, &applied.revision, limit, how.output, term).await;
    }
}

/// Prints a plan.
fn show_plan(planned: &Planned, changes: &Changes, form: Output, term: &mut Term) -> Result<(), Failure> {
    match form {
        Output::Table | Output::Wide => term.print(&plan_text(&planned.plan, changes, form == Output::Wide)),
        Output::Json | Output::Jsonl => output::json(term, form, "Plan", &plan_json(planned, changes)),
        Output::Dot => {
            let drawings: Vec<String> = planned.plan.nodes.iter().map(|node| node.plan.to_dot()).collect();
            term.print(&drawings.join("\n"))
        }
        other => Err(other.unknown("plan", "table, wide, json, jsonl and dot")),
    }
}

/// The plan as people see it. Pure, so that the console shows the same.
pub(crate) fn plan_text(plan: &PlanReply, changes: &Changes, wide: bool) -> String {
    if plan.changes.is_empty() {
        return format!("  {} {}: nothing to change; the group already is what is wanted\n", plan.group, plan.base);
    }
    let n_busy = plan.nodes.len();
    let next = Revision::new(plan.newest.number + 1);
    let title = format!("  {} {} → {next}", plan.group, plan.base);
    let mut text = format!(
        "{}  {}\n",
        paint::pad(&title, 46),
        paint::dim(&format!("changes on {n_busy} of {}", count(plan.n_nodes, "node")))
    );
    text.push_str(&changes.render());
    if wide {
        for node in &plan.nodes {
            text.push_str(&format!("  {} in this order\n", paint::bold(node.node.as_str())));
            for step in &node.plan.steps {
                text.push_str(&format!("    {:>3} {:<17} {}\n", step.mark().to_string(), step.name(), step.path()));
            }
        }
    }
    let absent: Vec<&str> = plan.nodes.iter().filter(|node| !node.present).map(|node| node.node.as_str()).collect();
    if !absent.is_empty() {
        text.push_str(&format!(
            "  {} not there now, will do its part when it comes: {}\n",
            paint::yellow("!"),
            absent.join(", ")
        ));
    }
    text.push_str(&problems::problems(&plan.warnings, "", ""));
    text.push_str(&format!("  Plan: {}. Undo: `rollback {}`.\n", changes.summary(), plan.base));
    text
}

fn plan_json(planned: &Planned, changes: &Changes) -> Value {
    let plan = &planned.plan;
    let nodes: Vec<Value> = plan
        .nodes
        .iter()
        .map(|node| serde_json::json!({ "node": node.node, "present": node.present, "steps": node.plan.to_json(&planned.after) }))
        .collect();
    serde_json::json!({
        "group": plan.group, "base": plan.base, "newest": plan.newest, "changes": changes.sections, "counts": changes.counts,
        "nodes": nodes, "warnings": plan.warnings,
    })
}

/// Draws what is wrong and gives the failure that ends the command.
fn tell(error: &ApiError, text: &str, name: &str, term: &mut Term) -> Failure {
    if error.problems.is_empty() {
        return of_api(error);
    }
    term.say(&problems::problems(&error.problems, text, name));
    term.say(&format!("  {}; nothing was sent.\n", problems::tally(&error.problems)));
    Failure { what: String::new(), ..of_api(error) }
}

/// What is wanted, as it was given.
struct Input {
    wanted: Wanted,
    /// What it is called in messages and the history.
    name: String,
    /// The script's text, for messages; empty for other input.
    text: String,
    /// The revision that a saved plan was made on.
    base: Option<Revision>,
    /// Where it comes from, for the history.
    from: &'static str,
}

impl Input {
    fn read(args: &WantedArgs) -> Result<Input, Failure> {
        if let Some(revision) = &args.to {
            let name = format!("roll back to {revision}");
            return Ok(Input {
                wanted: Wanted::Revision(revision.clone()),
                name,
                text: String::new(),
                base: None,
                from: "console",
            });
        }
        let variables = args.variables.iter().map(|pair| variable(pair)).collect::<Result<_, _>>()?;
        let script = |text: String, file: String| Input {
            wanted: Wanted::Script { text: text.clone(), file: file.clone(), variables },
            name: file,
            text,
            base: None,
            from: "script",
        };
        let Some(path) = &args.file else {
            return Ok(Input { from: "console", ..script(args.execute.join("\n"), "command line".to_owned()) });
        };
        let (text, name) = (files::read_text(path).map_err(unread)?, files::name(path));
        // A script never starts with a brace.
        if !text.trim_start().starts_with('{') {
            return Ok(script(text, name));
        }
        let fault = |what: String| Failure::new(Exit::Error, format!("{name}: {what}"), "");
        if let Some(saved) = Saved::parse(&text).map_err(fault)? {
            let wanted = Wanted::Changes(saved.changes);
            return Ok(Input { wanted, name, text: String::new(), base: Some(saved.base), from: "plan" });
        }
        let model = files::parse_model(&text, &name)?;
        Ok(Input {
            wanted: Wanted::Model(Box::new(model.into())),
            name,
            text: String::new(),
            base: None,
            from: "model",
        })
    }

    /// Asks for the plan; a saved one must still be on the newest revision.
    async fn plan(&self, client: &Client, term: &mut Term) -> Result<Planned, Failure> {
        let planned = client.plan(self.wanted.clone(), self.base.clone()).await;
        let planned = planned.map_err(|error| tell(&error, &self.text, &self.name, term))?;
        match &self.base {
            Some(base) if *base != planned.plan.newest => {
                let what = format!("{} was made on {base}, the group is at {}", self.name, planned.plan.newest);
                Err(Failure::new(Exit::Refused, what, "plan again"))
            }
            _ => Ok(planned),
        }
    }
}

/// A file that cannot be read is an error like a wrong script, not a wrong use of the command.
fn unread(failure: Failure) -> Failure {
    Failure { exit: Exit::Error, ..failure }
}

fn variable(pair: &str) -> Result<(String, String), Failure> {
    let wrong = || {
        Failure::new(Exit::Usage, format!("\"{pair}\" is no variable"), "expected NAME=VALUE, as in --var ip=10.0.0.7")
    };
    pair.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(wrong)
}

/// A plan in a file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Saved {
    api_version: String,
    kind: String,
    group: GroupName,
    base: Revision,
    changes: Vec<Change>,
    #[serde(default)]
    warnings: Vec<Problem>,
}

/// The kind of a saved plan's document.
const SAVED: &str = "SavedPlan";

impl Saved {
    fn of(plan: &PlanReply) -> Saved {
        Saved {
            api_version: VERSION.to_owned(),
            kind: SAVED.to_owned(),
            group: plan.group.clone(),
            base: plan.base.clone(),
            changes: plan.changes.clone(),
            warnings: plan.warnings.clone(),
        }
    }

    fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string(self)?;
        std::fs::write(path, text)
            .map_err(|error| Failure::new(Exit::Error, format!("cannot write {}: {error}", path.display()), ""))
    }

    /// The saved plan in a text; `None` when it is something else.
    fn parse(text: &str) -> Result<Option<Saved>, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Kind {
            #[serde(default)]
            kind: String,
            #[serde(default)]
            api_version: String,
        }
        match serde_json::from_str::<Kind>(text) {
            Ok(found) if found.kind == SAVED && found.api_version == VERSION => {
                serde_json::from_str(text).map(Some).map_err(|error| format!("not a plan that can be read: {error}"))
            }
            Ok(found) if found.kind == SAVED => {
                Err(format!("a plan of version \"{}\"; \"{VERSION}\" is read", found.api_version))
            }
            Ok(_) => Ok(None),
            Err(error) => Err(format!("not JSON: {error}")),
        }
    }
}

enum Target {
    Form(Output),
    File(PathBuf),
}

/// `-o json` is a form; what has a dot or a slash in it is a file.
fn form_or_file(text: &str) -> Result<Target, Failure> {
    match <Output as clap::ValueEnum>::from_str(text, true) {
        Ok(form) => Ok(Target::Form(form)),
        Err(_) if text.contains(['.', '/']) => Ok(Target::File(PathBuf::from(text))),
        Err(_) => {
            let help =
                "forms are table, wide, json, jsonl and dot; a file has a dot or a slash in its name, as in app.plan";
            Err(Failure::new(Exit::Usage, format!("\"{text}\" is neither an output form nor a file"), help))
        }
    }
}

/// What differs between two models, for `diff` and the console.
pub(crate) fn difference(before: &Model, after: &Model) -> String {
    let changes = Changes::between(before, after);
    if changes.is_empty() {
        return "  no difference\n".to_owned();
    }
    let mut text = changes.render();
    text.push_str(&format!("  {}\n", changes.summary()));
    text
}

/// How a time limit is said.
pub(crate) fn limit_text(limit: Duration) -> String {
    render::span_text(limit)
}
