//! `enact model diff`: what differs between two model files.

use std::path::PathBuf;

use clap::{
    Args, ValueEnum,
    builder::styling::{AnsiColor, Style},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    failure::{Exit, Failure},
    files::read_model,
    output::out,
};
use crate::{
    model::{
        ComponentId, Model,
        change::{Cell, Change, Element, Register, diff},
        json,
    },
    words::InstancePath,
};

/// How differences are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DiffForm {
    /// A line for each difference: + comes, - goes, ~ changes, > moves
    #[default]
    Table,
    /// One JSON document
    Json,
}

const EXAMPLES: &str = "Examples:
  enact model diff before.json after.json              what differs
  enact model diff before.json after.json -o json      for tools
  enact model diff a.json b.json --exit-code           ends with 3 when something differs";

/// `enact model diff`
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DiffArgs {
    /// The model before: Kevoree's JSON or Enact's; - is standard input
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// The model after
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    /// How to print
    #[arg(short, long, value_enum, default_value_t)]
    pub output: DiffForm,
    /// Ends with 3 when something differs
    #[arg(long)]
    pub exit_code: bool,
}

/// Shows what differs between two models.
///
/// # Errors
/// Files that cannot be read.
pub fn run(args: &DiffArgs) -> Result<(), Failure> {
    let (before, after) = (read_model(&args.before)?, read_model(&args.after)?);
    let lines = lines(&before, &after, &diff(&before, &after));
    let text = match args.output {
        DiffForm::Table => table(&lines),
        DiffForm::Json => {
            format!("{:#}\n", json!({"apiVersion": json::API_VERSION, "kind": "Diff", "changes": lines}))
        }
    };
    out!("{text}");
    match args.exit_code && !lines.is_empty() {
        true => Err(Failure::new(Exit::Changes, "", "")),
        false => Ok(()),
    }
}

/// What happens to a part of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happens {
    /// It comes.
    Add,
    /// It goes.
    Remove,
    /// A register of it changes.
    Change,
    /// It moves to another place.
    Move,
}

impl Happens {
    /// The mark of a line.
    pub fn mark(self) -> &'static str {
        match self {
            Happens::Add => "+",
            Happens::Remove => "-",
            Happens::Change => "~",
            Happens::Move => ">",
        }
    }

    fn style(self) -> Style {
        let color = match self {
            Happens::Add => AnsiColor::Green,
            Happens::Remove => AnsiColor::Red,
            Happens::Change => AnsiColor::Yellow,
            Happens::Move => AnsiColor::Cyan,
        };
        Style::new().fg_color(Some(color.into()))
    }
}

/// One line of a difference, for people and for tools.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// What happens.
    pub change: Happens,
    /// What it happens to: `node`, `component`, `binding`…
    pub what: &'static str,
    /// Where it is.
    pub path: String,
    /// Which register, as in `dictionary.period`; empty for the whole.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub register: String,
    /// What was there.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// What is there.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub after: Value,
}

/// The lines of a difference: one for what comes, goes or moves, one for each register of what stays.
pub fn lines(before: &Model, after: &Model, changes: &[Change]) -> Vec<Line> {
    let whole = |element: &Element| {
        let first = changes.partition_point(|change| change.element < *element);
        changes[first..].iter().take_while(|change| change.element == *element).any(|c| c.adds() || c.removes())
    };
    let shown = changes.iter().filter(|change| change.register == Register::Here || !whole(&change.element));
    shown.map(|change| line(before, after, change)).collect()
}

fn line(before: &Model, after: &Model, change: &Change) -> Line {
    let (what, path) = place(before, after, &change.element);
    let happens = match (&change.register, &change.before, &change.after) {
        (Register::Here, None, _) => Happens::Add,
        (Register::Here, _, None) => Happens::Remove,
        (Register::Here, Some(Cell::Place(..)), Some(_)) => Happens::Move,
        _ => Happens::Change,
    };
    let secret = is_secret(before, after, &change.element, &change.register);
    let type_of = |model: &Model| instance_type(model, &change.element).map_or(Value::Null, Value::from);
    let (before, after) = match happens {
        Happens::Add => (Value::Null, type_of(after)),
        Happens::Remove => (type_of(before), Value::Null),
        Happens::Change | Happens::Move => (show(&change.before, secret), show(&change.after, secret)),
    };
    Line { change: happens, what, path, register: register(&change.register), before, after }
}

/// Values of secret attributes are shown to nobody.
fn is_secret(before: &Model, after: &Model, element: &Element, register: &Register) -> bool {
    let (Register::Value(name) | Register::Fragment(_, name)) = register else { return false };
    [before, after].into_iter().any(|model| {
        let path = instance_path(model, element);
        let definition = path.and_then(|path| model.definition(model.instance(&path)?).cloned());
        definition.is_some_and(|found| found.attribute(name.as_str()).is_some_and(|attribute| attribute.secret))
    })
}

fn instance_path(model: &Model, element: &Element) -> Option<InstancePath> {
    match element {
        Element::Node(name) => Some(InstancePath::Node(name.clone())),
        Element::Component(id) => {
            model.path_of(*id).map(|(node, name)| InstancePath::Component(node.clone(), name.clone()))
        }
        Element::Channel(name) => Some(InstancePath::Channel(name.clone())),
        Element::Group(name) => Some(InstancePath::Group(name.clone())),
        _ => None,
    }
}

fn instance_type(model: &Model, element: &Element) -> Option<String> {
    let path = instance_path(model, element)?;
    model.instance(&path)?.type_ref.as_ref().map(ToString::to_string)
}

fn place(before: &Model, after: &Model, element: &Element) -> (&'static str, String) {
    let component = |id: &ComponentId| {
        let place = after.path_of(*id).or_else(|| before.path_of(*id));
        place.map_or_else(|| id.to_string(), |(node, name)| format!("{node}.{name}"))
    };
    match element {
        Element::Node(name) => ("node", name.to_string()),
        Element::Component(id) => ("component", component(id)),
        Element::Channel(name) => ("channel", name.to_string()),
        Element::Group(name) => ("group", name.to_string()),
        Element::Binding(id, port, channel) => ("binding", format!("{}.{port} {channel}", component(id))),
        Element::Type(id) => ("type", id.to_string()),
        Element::Unit(id) => ("unit", format!("{}.{}/{}", id.namespace, id.name, id.version)),
        Element::Scope(name) => ("scope", name.to_string()),
        Element::Repository(url) => ("repository", url.to_string()),
    }
}

fn register(register: &Register) -> String {
    match register {
        Register::Here => String::new(),
        Register::Type => "type".to_owned(),
        Register::Started => "started".to_owned(),
        Register::Host => "host".to_owned(),
        Register::HasDictionary => "dictionary".to_owned(),
        Register::HasFragment(node) => format!("fragments.{node}"),
        Register::Value(name) => format!("dictionary.{name}"),
        Register::Fragment(node, name) => format!("fragments.{node}.{name}"),
        Register::Metadata(key) => format!("metadata.{key}"),
        Register::Attached(group) => format!("groups.{group}"),
        Register::Network(interface, key) => format!("networks.{interface}.{key}"),
        Register::Property(name) => format!("properties.{name}"),
        Register::Member(node) => format!("members.{node}"),
        Register::Port(port) => format!("ports.{port}"),
    }
}

fn show(cell: &Option<Cell>, secret: bool) -> Value {
    match cell {
        None => Value::Null,
        Some(Cell::Text(_)) if secret => Value::from("•••"),
        Some(Cell::Flag(flag)) => Value::from(*flag),
        Some(Cell::Text(text)) => Value::from(&**text),
        Some(Cell::Node(node)) => Value::from(node.as_str()),
        Some(Cell::Type(id)) => Value::from(id.to_string()),
        Some(Cell::Place(node, name)) => Value::from(format!("{node}.{name}")),
        // A whole definition says little to people; tools read the models themselves.
        Some(Cell::Definition(_) | Cell::Unit(_)) => Value::from("…"),
    }
}

/// The lines with their marks, and how many there are of each.
pub fn table(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "  No difference.\n".to_owned();
    }
    let mut text = String::new();
    let width = lines.iter().map(|line| line.path.chars().count()).max().unwrap_or(0);
    for line in lines {
        let style = line.change.style();
        let what = format!("{:<10} {:<width$}  {}", line.what, line.path, note(line));
        text += &format!("  {style}{}{style:#} {}\n", line.change.mark(), what.trim_end());
    }
    let n = |happens| lines.iter().filter(|line| line.change == happens).count();
    let (add, change) = (n(Happens::Add), n(Happens::Change));
    let (move_, remove) = (n(Happens::Move), n(Happens::Remove));
    text + &format!("  {add} to add, {change} to change, {move_} to move, {remove} to remove.\n")
}

fn note(line: &Line) -> String {
    match line.change {
        Happens::Add => line.after.as_str().unwrap_or_default().to_owned(),
        Happens::Remove => line.before.as_str().unwrap_or_default().to_owned(),
        Happens::Move => format!("from {}", line.before.as_str().unwrap_or_default()),
        Happens::Change => {
            let value = |value: &Value| if value.is_null() { "nothing".to_owned() } else { value.to_string() };
            match line.register.is_empty() {
                true => "definition changed".to_owned(),
                false => format!("{}: {} → {}", line.register, value(&line.before), value(&line.after)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Edit, Instance};

    fn model(text: &str) -> Model {
        json::read(&format!(r#"{{"apiVersion": "enact/v1", "kind": "Model", {text}}}"#)).unwrap()
    }

    #[test]
    fn a_move_is_one_line_and_what_comes_or_goes_is_one_line() {
        let before = model(
            r#""nodes": {"a": {"type": "enact.EnactNode/1", "components": {
                "t": {"type": "enact.Ticker/1", "dictionary": {"period": "1s", "key": "k"}}}}, "b": {}},
               "types": [{"id": "enact.Ticker/1", "kind": "component",
                "attributes": [{"name": "key", "datatype": "STRING", "secret": true}]}]"#,
        );
        let mut after = before.clone();
        let moved = InstancePath::Component("b".parse().unwrap(), "t".parse().unwrap());
        let set = |attribute: &str, value: &str| Edit::Set {
            path: moved.clone(),
            fragment: None,
            attribute: attribute.parse().unwrap(),
            value: value.into(),
        };
        after
            .apply(&[
                Edit::MoveComponent {
                    node: "a".parse().unwrap(),
                    name: "t".parse().unwrap(),
                    to: "b".parse().unwrap(),
                },
                set("period", "2s"),
                set("key", "other"),
                Edit::AddNode {
                    name: "c".parse().unwrap(),
                    instance: Instance::of("enact.EnactNode/1".parse().unwrap()),
                    host: None,
                },
                Edit::Remove { path: InstancePath::Node("a".parse().unwrap()) },
            ])
            .unwrap();
        let lines = lines(&before, &after, &diff(&before, &after));
        let text: Vec<String> = lines
            .iter()
            .map(|line| format!("{} {} {} {}", line.change.mark(), line.what, line.path, note(line)))
            .collect();
        assert_eq!(
            text,
            [
                "- node a enact.EnactNode/1",
                "+ node c enact.EnactNode/1",
                "> component b.t from a.t",
                "~ component b.t dictionary.key: \"•••\" → \"•••\"",
                "~ component b.t dictionary.period: \"1s\" → \"2s\"",
            ]
        );
    }
}
