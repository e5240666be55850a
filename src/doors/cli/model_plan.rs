//! `enact model plan`: what a node would have to do to go from one model file to another. Changes nothing.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{
    failure::{Exit, Failure},
    files::{complete, read_library, read_model},
    output::{errln, out, outln},
};
use crate::{
    logic::plan::{self, Line, Plan, Summary},
    model::Model,
    words::NodeName,
};

/// How the plan is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A line for each instance and binding, with marks and counts.
    #[default]
    Table,
    /// A line for each step, in the order of execution.
    Wide,
    /// All steps as one JSON list, in the order of execution.
    Json,
    /// One JSON object a line, in the order of execution.
    Jsonl,
    /// Who waits for whom, for Graphviz.
    Dot,
}

/// Shows what a node would have to do to go from one model to another.
#[derive(Clone, Debug, Args)]
pub struct PlanArgs {
    /// The model that runs (Kevoree's JSON or Enact's); without it, nothing runs yet
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// The model that is wanted
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// The node that plans; without it, every node of both models
    #[arg(long, value_name = "NODE")]
    pub node: Option<String>,
    /// Type definitions that the models use without listing them; may be given several times
    #[arg(long, value_name = "FILE")]
    pub types: Vec<PathBuf>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Form,
    /// Ends with 3 when there is something to do
    #[arg(long)]
    pub exit_code: bool,
}

/// Plans and prints.
///
/// # Errors
/// Files that cannot be read, and a node that is in neither model.
pub fn run(args: &PlanArgs) -> Result<(), Failure> {
    let library = read_library(&args.types)?;
    let from = match &args.from {
        Some(path) => complete(read_model(path)?, &library),
        None => Model::default(),
    };
    let to = complete(read_model(&args.to)?, &library);
    let plans: Vec<Plan> = nodes(args, &from, &to)?.iter().map(|node| plan::plan(&from, &to, node)).collect();
    for plan in &plans {
        for refusal in plan::refuse(plan, &from, &to, None) {
            errln!("warning: {refusal}");
        }
    }
    print(args.output, &plans, &to);
    if args.exit_code && plans.iter().any(|plan| !plan.is_empty()) {
        return Err(Failure::new(Exit::Changes, "", ""));
    }
    Ok(())
}

fn nodes(args: &PlanArgs, from: &Model, to: &Model) -> Result<Vec<NodeName>, Failure> {
    let Some(name) = &args.node else {
        return Ok(from.nodes.clone().union(to.nodes.clone()).keys().cloned().collect());
    };
    let node = NodeName::parse(name)?;
    if from.nodes.contains_key(&node) || to.nodes.contains_key(&node) {
        return Ok(vec![node]);
    }
    let there: Vec<&str> = to.nodes.keys().map(NodeName::as_str).collect();
    let help = format!("the models have {}", if there.is_empty() { "no node".to_owned() } else { there.join(", ") });
    Err(Failure::new(Exit::Error, format!("neither model has a node \"{node}\""), help))
}

fn print(form: Form, plans: &[Plan], wanted: &Model) {
    match form {
        Form::Table => print_table(plans, wanted),
        Form::Wide => {
            for plan in plans {
                for step in &plan.steps {
                    outln!("{:<10} {:>3} {:<17} {}", plan.node, step.mark(), step.name(), step.path());
                }
            }
        }
        Form::Json => {
            let steps: Vec<_> = plans.iter().map(|plan| plan.to_json(wanted)).collect();
            match steps.as_slice() {
                [one] => outln!("{one:#}"),
                many => {
                    let by_node = plans.iter().zip(many).map(|(plan, steps)| (plan.node.to_string(), steps.clone()));
                    outln!("{:#}", serde_json::Value::Object(by_node.collect()));
                }
            }
        }
        Form::Jsonl => {
            for plan in plans {
                for step in plan.to_json(wanted).as_array().into_iter().flatten() {
                    outln!("{step}");
                }
            }
        }
        Form::Dot => {
            for plan in plans {
                out!("{}", plan.to_dot());
            }
        }
    }
}

fn print_table(plans: &[Plan], wanted: &Model) {
    let mut all = Summary::default();
    for plan in plans {
        let lines = plan.lines(wanted);
        if !lines.is_empty() {
            outln!("  {}", plan.node);
            print_lines(&lines);
        }
        all.add(&plan.summary());
    }
    match plans.iter().all(Plan::is_empty) {
        true => outln!("  Nothing to do: what is wanted is what runs."),
        false => outln!("  Plan: {all}."),
    }
}

fn print_lines(lines: &[Line]) {
    let width = |text: fn(&Line) -> &str| lines.iter().map(|line| text(line).chars().count()).max().unwrap_or(0);
    let (who, what) = (width(|line| &line.who), width(|line| &line.what));
    for line in lines {
        let style = style(line.mark);
        let text = format!("{:<who$}  {:<what$}  {}", line.who, line.what, line.note);
        outln!("  {style}{:>3}{style:#} {}", line.mark.to_string(), text.trim_end());
    }
}

fn style(mark: plan::Mark) -> clap::builder::styling::Style {
    use clap::builder::styling::{AnsiColor, Style};
    let color = match mark {
        plan::Mark::Add => AnsiColor::Green,
        plan::Mark::Remove => AnsiColor::Red,
        plan::Mark::Change | plan::Mark::Replace => AnsiColor::Yellow,
        plan::Mark::Move => AnsiColor::Cyan,
    };
    Style::new().fg_color(Some(color.into()))
}
