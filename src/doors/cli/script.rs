//! `enact script run|check`: evaluate a script, offline.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{Args, Subcommand, ValueEnum};

use super::{
    draw::draw,
    failure::{Exit, Failure},
    files::{name, read_library, read_model, read_text},
    summary::summary,
};
use crate::{
    logic::script::{self, Diagnostic, Evaluation, Variables},
    model::{Model, json, kmf},
};

/// Evaluates scripts without any node.
#[derive(Debug, Args)]
pub struct ScriptArgs {
    #[command(subcommand)]
    verb: ScriptVerb,
}

#[derive(Debug, Subcommand)]
enum ScriptVerb {
    /// Runs a script over a model and prints what becomes of it.
    #[command(after_help = "Examples:
  enact script run app.kevs --types types.json
  enact script run app.kevs --types types.json --model base.json --var ip=10.0.0.7 -o kevs
  echo 'remove node0.web' | enact script run - --model base.json -o json

Exit codes: 0 done, 1 the script has errors (nothing is printed but those), 2 wrong use or an unreadable file.")]
    Run(RunArgs),
    /// Tells every error of a script, and prints nothing else.
    #[command(after_help = "Without --types and --model only the text is checked; with one of them the execution too.

Examples:
  enact script check app.kevs
  enact script check app.kevs --types types.json --diagnostics json")]
    Check(Input),
}

#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    input: Input,
    /// What to print of the resulting model.
    #[arg(short, long, value_enum, default_value_t = Output::Summary)]
    output: Output,
}

#[derive(Debug, Args)]
struct Input {
    /// The script; `-` reads it from standard input.
    #[arg(value_name = "FILE|-")]
    file: PathBuf,
    /// A file of types that the script may use; may be given several times.
    #[arg(long, value_name = "FILE")]
    types: Vec<PathBuf>,
    /// The model that the script starts from (default: an empty one).
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// A value for `%NAME%`; may be given several times.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    variables: Vec<(String, String)>,
    /// Seed of the names generated for `%%NAME%%`.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How errors are told: drawn for people, or as one JSON list on stderr.
    #[arg(long, value_enum, default_value_t = Telling::Human)]
    diagnostics: Telling,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    /// A short form for comparing (JSON).
    Summary,
    /// Enact's own form (JSON).
    Json,
    /// Kevoree's form (JSON).
    Kevoree,
    /// A script that makes this model.
    Kevs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Telling {
    /// With the place drawn.
    Human,
    /// One JSON list.
    Json,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("\"{text}\" has no \"=\": write NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Runs the verb.
///
/// # Errors
/// [`Exit::Error`] when the script has errors (they are printed already), [`Exit::Usage`] when a file cannot be read.
pub fn run(args: ScriptArgs) -> Result<(), Failure> {
    match args.verb {
        ScriptVerb::Run(run) => {
            let text = run.input.text()?;
            let evaluation = run.input.evaluate(&text)?;
            run.input.tell(&text, &evaluation.warnings);
            print(&evaluation.model, run.output)
        }
        ScriptVerb::Check(input) => {
            let text = input.text()?;
            if input.types.is_empty() && input.model.is_none() {
                let (_, diagnostics) = script::parse(&text);
                return input.judge(&text, &diagnostics);
            }
            let evaluation = input.evaluate(&text)?;
            input.judge(&text, &evaluation.warnings)
        }
    }
}

fn print(model: &Model, output: Output) -> Result<(), Failure> {
    let mut text = match output {
        Output::Summary => format!("{:#}", summary(model)),
        Output::Json => json::write(model),
        Output::Kevoree => kmf::write(model),
        Output::Kevs => script::print(model),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads had enough: that is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

impl Input {
    fn text(&self) -> Result<String, Failure> {
        read_text(&self.file).map_err(not_the_scripts)
    }

    fn evaluate(&self, text: &str) -> Result<Evaluation, Failure> {
        let (script, diagnostics) = script::parse(text);
        self.judge(text, &diagnostics)?;
        let library = read_library(&self.types).map_err(not_the_scripts)?;
        let model = match &self.model {
            Some(path) => read_model(path).map_err(not_the_scripts)?,
            None => Model::default(),
        };
        let mut variables: Variables = self.variables.iter().cloned().collect();
        script::evaluate(&script, &model, &library, &mut variables, self.seed)
            .map_err(|diagnostics| self.refuse(text, &diagnostics))
    }

    /// Tells the diagnostics; errors end the command.
    fn judge(&self, text: &str, diagnostics: &[Diagnostic]) -> Result<(), Failure> {
        if diagnostics.iter().any(Diagnostic::is_error) {
            return Err(self.refuse(text, diagnostics));
        }
        self.tell(text, diagnostics);
        Ok(())
    }

    fn refuse(&self, text: &str, diagnostics: &[Diagnostic]) -> Failure {
        self.tell(text, diagnostics);
        let n_errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
        let what = match (self.diagnostics, n_errors) {
            (Telling::Json, _) => String::new(),
            (Telling::Human, 1) => "1 error; nothing was changed".to_owned(),
            (Telling::Human, n) => format!("{n} errors; nothing was changed"),
        };
        Failure::new(Exit::Error, what, "")
    }

    fn tell(&self, text: &str, diagnostics: &[Diagnostic]) {
        match self.diagnostics {
            Telling::Json if diagnostics.is_empty() => {}
            Telling::Json => {
                let list = serde_json::to_string(diagnostics).unwrap_or_default();
                let _ = writeln!(io::stderr(), "{list}");
            }
            Telling::Human => {
                let _ = anstream::stderr().write_all(draw(&name(&self.file), text, diagnostics).as_bytes());
            }
        }
    }
}

/// Exit code 1 says that the script is wrong, so what else goes wrong has another.
fn not_the_scripts(failure: Failure) -> Failure {
    Failure { exit: Exit::Usage, ..failure }
}
