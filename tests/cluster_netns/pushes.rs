//! Every push that was acknowledged, and what became of each thing it wrote.

use serde_json::Value;

use crate::machines::Machines;

/// A thing that a push wrote.
#[derive(Clone, Debug, PartialEq)]
enum Write {
    Set(String, String, String),
    Add(String),
    Remove(String),
}

impl Write {
    /// Whether two writes are to the same place.
    fn same_place(&self, other: &Write) -> bool {
        match (self, other) {
            (Write::Set(path, name, _), Write::Set(other, as_well, _)) => path == other && name == as_well,
            (Write::Add(path) | Write::Remove(path), Write::Add(other) | Write::Remove(other)) => path == other,
            _ => false,
        }
    }

    fn shows(&self, model: &Value) -> bool {
        let component = |path: &str| {
            let (node, name) = path.split_once('.').expect("a path of a component");
            model["nodes"][node]["components"][name].clone()
        };
        match self {
            Write::Set(path, name, value) => component(path)["dictionary"][name] == Value::String(value.clone()),
            Write::Add(path) => !component(path).is_null(),
            Write::Remove(path) => component(path).is_null(),
        }
    }

    /// How a conflict report names its loss.
    fn lost(&self) -> String {
        match self {
            Write::Set(path, name, value) => format!("{path} {name} = '{value}' "),
            Write::Add(path) => format!("{path} ("),
            Write::Remove(path) => format!("removal of {path}"),
        }
    }
}

/// A push that was acknowledged.
#[derive(Debug)]
struct Pushed {
    side: usize,
    /// `r7`.
    revision: String,
    writes: Vec<Write>,
}

/// The pushes that were acknowledged, in order.
#[derive(Default)]
pub(crate) struct Pushes(Vec<Pushed>);

impl Pushes {
    /// A push to fill and send.
    pub(crate) fn begin<'a>(&'a mut self, machines: &'a Machines, side: usize) -> Push<'a> {
        Push { machines, side, pushes: self, statements: Vec::new(), writes: Vec::new() }
    }

    /// Each thing that was written shows, or was changed by a later push on its own side, or is named by the conflict report;
    /// and nothing is named that shows.
    pub(crate) fn account_for(&self, model: &Value, history: &Value) {
        for (idx, pushed) in self.0.iter().enumerate() {
            let entry = entry(history, pushed);
            let lost = overwritten(entry);
            for write in &pushed.writes {
                let later = self.0[idx + 1..].iter().filter(|later| later.side == pushed.side);
                let changed = later.flat_map(|later| &later.writes).any(|later| write.same_place(later));
                let named = lost.iter().any(|lost| lost.starts_with(&write.lost()));
                let accounted = write.shows(model) != named || changed;
                assert!(accounted, "{write:?} of {pushed:?}: shows {}, {lost:?}", write.shows(model));
            }
        }
    }

    /// How many of the pushes lost something.
    pub(crate) fn n_overwritten(&self, history: &Value) -> usize {
        self.0.iter().filter(|pushed| !overwritten(entry(history, pushed)).is_empty()).count()
    }
}

/// The line of a push in the history. Where both sides gave the number, the node is named.
fn entry<'a>(history: &'a Value, pushed: &Pushed) -> &'a Value {
    let node = ["left", "right"][pushed.side];
    let named = format!("{}@{node}", pushed.revision);
    let items = history["items"].as_array().expect("a list");
    let found = items.iter().find(|item| item["revision"] == named || item["revision"] == pushed.revision);
    found.unwrap_or_else(|| panic!("{pushed:?} is not in the history: {history}"))
}

fn overwritten(entry: &Value) -> Vec<&str> {
    let lost = entry["overwritten"].as_array();
    lost.into_iter().flatten().filter_map(|lost| lost["what"].as_str()).collect()
}

/// A push in the making.
pub(crate) struct Push<'a> {
    machines: &'a Machines,
    side: usize,
    pushes: &'a mut Pushes,
    statements: Vec<String>,
    writes: Vec<Write>,
}

impl Push<'_> {
    pub(crate) fn set(&mut self, path: &str, name: &str, value: &str) {
        self.statements.push(format!("set {path}.{name} = '{value}'"));
        self.writes.push(Write::Set(path.to_owned(), name.to_owned(), value.to_owned()));
    }

    pub(crate) fn add(&mut self, path: &str, type_name: &str) {
        self.statements.push(format!("add {path} : {type_name}"));
        self.writes.push(Write::Add(path.to_owned()));
    }

    pub(crate) fn remove(&mut self, path: &str) {
        self.statements.push(format!("remove {path}"));
        self.writes.push(Write::Remove(path.to_owned()));
    }

    /// Applies it. What is answered with 0 is acknowledged.
    pub(crate) fn send(self) {
        let statements: Vec<&str> = self.statements.iter().map(String::as_str).collect();
        let done = self.machines.apply(self.side, &statements).ok();
        let said = format!("{}{}", done.stdout, done.stderr);
        let revision = said.lines().find_map(|line| line.split_once(" converged")?.0.split_whitespace().last());
        let revision = revision.unwrap_or_else(|| panic!("no revision: {said}")).to_owned();
        self.pushes.0.push(Pushed { side: self.side, revision, writes: self.writes });
    }
}
