//! `enact model convert|check|diff|plan|schema`: work on model files, offline.

use std::{fs, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::{
    failure::{Exit, Failure},
    files::{complete, name, read_library, read_model},
    model_diff::{self, DiffArgs},
    model_plan::{self, PlanArgs},
    output::{out, outln},
    summary::summary,
};
use crate::model::{
    Model,
    check::{Fault, Severity, check},
    json, kmf,
};

/// Works on model files, offline: Kevoree's JSON and Enact's.
#[derive(Clone, Debug, Args)]
pub struct ModelArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Debug, Subcommand)]
enum Verb {
    /// Reads a model and writes it in another form
    Convert(ConvertArgs),
    /// Says what is wrong with models
    Check(CheckArgs),
    /// Shows what differs between two models
    Diff(DiffArgs),
    /// Shows what a node would have to do to go from one model to another
    Plan(PlanArgs),
    /// Prints the JSON Schema of Enact's form of a model
    Schema,
}

/// Runs a verb of `enact model`.
///
/// # Errors
/// What the verb could not do, or found to be wrong.
pub fn run(args: &ModelArgs) -> Result<(), Failure> {
    match &args.verb {
        Verb::Convert(args) => convert(args),
        Verb::Check(args) => check_files(args),
        Verb::Diff(args) => model_diff::run(args),
        Verb::Plan(args) => model_plan::run(args),
        Verb::Schema => {
            outln!("{:#}", json::schema());
            Ok(())
        }
    }
}

/// The forms that a model is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Enact's own JSON
    #[default]
    Json,
    /// Kevoree's JSON, as Kevoree itself writes it
    Kevoree,
    /// What is in the model, easy to compare
    Summary,
}

impl Form {
    /// The model in this form, with a line break at the end.
    pub fn text(self, model: &Model) -> String {
        match self {
            Form::Json => json::write(model),
            // Kevoree's begins with a line break and has none at the end.
            Form::Kevoree => format!("{}\n", kmf::write(model)),
            Form::Summary => format!("{:#}\n", summary(model)),
        }
    }
}

const CONVERT_EXAMPLES: &str = "Examples:
  enact model convert model.json                       Enact's JSON of a model of Kevoree's
  enact model convert model.json -o kevoree --to k.json  a file that Kevoree loads
  curl -s http://…/model | enact model convert -       from standard input";

/// `enact model convert`
#[derive(Clone, Debug, Args)]
#[command(after_help = CONVERT_EXAMPLES)]
pub struct ConvertArgs {
    /// The model: Kevoree's JSON or Enact's; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The form to write
    #[arg(short, long, value_enum, default_value_t)]
    pub output: Form,
    /// Where to write; without it, standard output
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// Type definitions that the model uses without listing them; may be given several times
    #[arg(long, value_name = "FILE")]
    pub types: Vec<PathBuf>,
}

fn convert(args: &ConvertArgs) -> Result<(), Failure> {
    let model = complete(read_model(&args.file)?, &read_library(&args.types)?);
    let text = args.output.text(&model);
    match &args.to {
        None => out!("{text}"),
        Some(path) => fs::write(path, text)
            .map_err(|error| Failure::new(Exit::Error, format!("cannot write {}: {error}", name(path)), ""))?,
    }
    Ok(())
}

/// How faults are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum FaultForm {
    /// A line for each fault, and counts
    #[default]
    Table,
    /// One JSON document
    Json,
}

const CHECK_EXAMPLES: &str = "Examples:
  enact model check model.json                  what is wrong with it, if anything
  enact model check --types types.json m.json   with types that the model does not list
  enact model check -o json *.json              for tools

Ends with 1 when there is an error; warnings alone do not count, unless --strict.";

/// `enact model check`
#[derive(Clone, Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// The models: Kevoree's JSON or Enact's; - is standard input
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Type definitions that the models use without listing them; may be given several times
    #[arg(long, value_name = "FILE")]
    pub types: Vec<PathBuf>,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: FaultForm,
    /// Warnings count as errors
    #[arg(long)]
    pub strict: bool,
}

fn check_files(args: &CheckArgs) -> Result<(), Failure> {
    let library = read_library(&args.types)?;
    let mut checked: Vec<(String, Vec<Fault>)> = Vec::new();
    for file in &args.files {
        checked.push((name(file), check(&complete(read_model(file)?, &library))));
    }
    match args.output {
        FaultForm::Table => checked.iter().for_each(|(file, faults)| print_faults(file, faults)),
        FaultForm::Json => {
            let files: Vec<_> = checked.iter().map(|(file, faults)| json!({"file": file, "faults": faults})).collect();
            outln!("{:#}", json!({"apiVersion": json::API_VERSION, "kind": "Faults", "files": files}));
        }
    }
    let wrong = |faults: &[Fault]| faults.iter().any(|fault| args.strict || fault.is_error());
    match checked.iter().filter(|(_, faults)| wrong(faults)).count() {
        0 => Ok(()),
        _ if args.output == FaultForm::Json => Err(Failure::new(Exit::Error, "", "")),
        1 if checked.len() == 1 => Err(Failure::new(Exit::Error, "the model is not valid", "")),
        n_wrong => Err(Failure::new(Exit::Error, format!("{n_wrong} of {} models are not valid", checked.len()), "")),
    }
}

fn print_faults(file: &str, faults: &[Fault]) {
    use clap::builder::styling::{AnsiColor, Style};
    for fault in faults {
        let (word, color) = match fault.severity() {
            Severity::Error => ("error", AnsiColor::Red),
            Severity::Warning => ("warning", AnsiColor::Yellow),
        };
        let style = Style::new().bold().fg_color(Some(color.into()));
        outln!("{style}{word}[{}]{style:#} {fault}", fault.code());
    }
    let n_errors = faults.iter().filter(|fault| fault.is_error()).count();
    match (n_errors, faults.len() - n_errors) {
        (0, 0) => outln!("{file}: valid"),
        (0, n_warnings) => outln!("{file}: valid, {}", count(n_warnings, "warning")),
        (n_errors, 0) => outln!("{file}: {}", count(n_errors, "error")),
        (n_errors, n_warnings) => {
            outln!("{file}: {}, {}", count(n_errors, "error"), count(n_warnings, "warning"));
        }
    }
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
