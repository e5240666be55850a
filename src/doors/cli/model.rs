//! `enact model convert|check|diff|plan|schema`: work on model files, offline.

use std::{fs, path::PathBuf};

use clap::{
    Args, Subcommand, ValueEnum,
    builder::styling::{AnsiColor, Style},
};
use serde_json::json;

use super::{
    failure::{Exit, Failure},
    files::{complete, name, read_library, read_model},
    model_diff::{self, DiffArgs},
    model_plan::{self, PlanArgs},
    output::out,
    summary::summary,
};
use crate::{
    logic::script,
    model::{
        Model,
        check::{Fault, Severity, check},
        json, kmf,
    },
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
            out!("{:#}\n", json::schema());
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
    /// A script that makes the model
    Kevs,
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
            Form::Kevs => script::print(model),
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
    let text = match args.output {
        FaultForm::Table => checked.iter().map(|(file, faults)| table(file, faults)).collect(),
        FaultForm::Json => {
            let files: Vec<_> = checked.iter().map(|(file, faults)| json!({"file": file, "faults": faults})).collect();
            format!("{:#}\n", json!({"apiVersion": json::API_VERSION, "kind": "Faults", "files": files}))
        }
    };
    out!("{text}");
    let wrong = |faults: &[Fault]| faults.iter().any(|fault| args.strict || fault.is_error());
    match checked.iter().filter(|(_, faults)| wrong(faults)).count() {
        0 => Ok(()),
        _ if args.output == FaultForm::Json => Err(Failure::new(Exit::Error, "", "")),
        1 if checked.len() == 1 => Err(Failure::new(Exit::Error, "the model is not valid", "")),
        n_wrong => Err(Failure::new(Exit::Error, format!("{n_wrong} of {} models are not valid", checked.len()), "")),
    }
}

fn table(file: &str, faults: &[Fault]) -> String {
    let mut text = String::new();
    for fault in faults {
        let (word, color) = match fault.severity() {
            Severity::Error => ("error", AnsiColor::Red),
            Severity::Warning => ("warning", AnsiColor::Yellow),
        };
        let style = Style::new().bold().fg_color(Some(color.into()));
        text += &format!("{style}{word}[{}]{style:#} {fault}\n", fault.code());
    }
    let n_errors = faults.iter().filter(|fault| fault.is_error()).count();
    let counts = match (n_errors, faults.len() - n_errors) {
        (0, 0) => "valid".to_owned(),
        (0, n_warnings) => format!("valid, {}", count(n_warnings, "warning")),
        (n_errors, 0) => count(n_errors, "error"),
        (n_errors, n_warnings) => format!("{}, {}", count(n_errors, "error"), count(n_warnings, "warning")),
    };
    text + &format!("{file}: {counts}\n")
}

fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Enact {
        #[command(flatten)]
        args: ModelArgs,
    }

    /// Runs a verb over files in a directory of their own; `@name` stands for such a file.
    fn run_on(files: &[(&str, &str)], words: &[&str]) -> (Result<(), Failure>, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let path = |word: &str| match word.strip_prefix('@') {
            Some(name) => dir.path().join(name).into_os_string(),
            None => word.into(),
        };
        let words = ["enact"].iter().chain(words).map(|word| path(word));
        (run(&Enact::try_parse_from(words).unwrap().args), dir)
    }

    const WELL: &str = r#"{"apiVersion": "enact/v1", "kind": "Model",
        "nodes": {"n": {"type": "enact.EnactNode/1"}},
        "types": [{"id": "enact.EnactNode/1", "kind": "node", "metadata": {"virtual": "true"}}]}"#;
    const ILL: &str = r#"{"apiVersion": "enact/v1", "kind": "Model", "nodes": {"n": {}}}"#;

    #[test]
    fn a_check_ends_with_1_when_a_model_is_not_valid() {
        let files = [("well", WELL), ("ill", ILL), ("garbage", "{")];
        assert!(run_on(&files, &["check", "@well"]).0.is_ok());
        let ill = run_on(&files, &["check", "@well", "@ill"]).0.unwrap_err();
        assert_eq!((ill.exit, &*ill.what), (Exit::Error, "1 of 2 models are not valid"));
        let told = run_on(&files, &["check", "-o", "json", "@ill"]).0.unwrap_err();
        assert_eq!((told.exit, &*told.what), (Exit::Error, ""));
        assert_eq!(run_on(&files, &["check", "@garbage"]).0.unwrap_err().exit, Exit::Error);
        assert_eq!(run_on(&files, &["check", "@nowhere"]).0.unwrap_err().exit, Exit::Usage);
    }

    #[test]
    fn a_model_goes_through_kevorees_form_and_back() {
        let (done, dir) = run_on(&[("well", WELL)], &["convert", "@well", "-o", "kevoree", "--to", "@kevoree"]);
        assert!(done.is_ok());
        let text = fs::read_to_string(dir.path().join("kevoree")).unwrap();
        assert_eq!(kmf::read(&text).unwrap(), json::read(WELL).unwrap());
    }

    #[test]
    fn a_difference_ends_with_3_when_asked_to() {
        let files = [("a", WELL), ("b", ILL)];
        assert!(run_on(&files, &["diff", "@a", "@b"]).0.is_ok());
        assert_eq!(run_on(&files, &["diff", "@a", "@b", "--exit-code"]).0.unwrap_err().exit, Exit::Changes);
        assert!(run_on(&files, &["diff", "@a", "@a", "--exit-code", "-o", "json"]).0.is_ok());
    }

    #[test]
    fn every_form_of_a_model_ends_with_a_line_break() {
        let model = json::read(WELL).unwrap();
        for form in Form::value_variants() {
            assert!(form.text(&model).ends_with('\n'), "{form:?}");
        }
    }
}
