//! A plan told to a person: one line for each instance and binding, and the counts. Told from the very plan that is carried out.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    adaptation::{Adaptation, HandOver, Mark, StateFrom, Subject},
    order::Plan,
};
use crate::{
    model::{Binding, Model},
    words::{AttributeName, InstancePath, TypeRef, Value},
};

/// What stands for the value of a secret attribute.
pub const HIDDEN: &str = "•••";

/// How many instances and bindings a plan concerns. The ends that other nodes have on this node's channels are theirs to count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Instances that come.
    pub n_add: usize,
    /// Instances that change while they are there: values, started or stopped.
    pub n_change: usize,
    /// Instances that go.
    pub n_remove: usize,
    /// Instances that another one, or another type, replaces.
    pub n_replace: usize,
    /// Instances that come from or go to another node with their state.
    pub n_move: usize,
    /// Bindings made.
    pub n_bind: usize,
    /// Bindings taken away.
    pub n_unbind: usize,
}

impl Summary {
    /// The counts of several plans together. A move is planned on both of its nodes and counted on each.
    pub fn add(&mut self, other: &Summary) {
        self.n_add += other.n_add;
        self.n_change += other.n_change;
        self.n_remove += other.n_remove;
        self.n_replace += other.n_replace;
        self.n_move += other.n_move;
        self.n_bind += other.n_bind;
        self.n_unbind += other.n_unbind;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to add, {} to change, {} to remove", self.n_add, self.n_change, self.n_remove)?;
        for (n, what) in [(self.n_replace, "to replace"), (self.n_move, "to move")] {
            if n > 0 {
                write!(f, ", {n} {what}")?;
            }
        }
        for (n, what) in [(self.n_bind, "binding"), (self.n_unbind, "unbinding")] {
            if n > 0 {
                write!(f, "; {n} {what}{}", if n == 1 { "" } else { "s" })?;
            }
        }
        Ok(())
    }
}

/// One line about an instance or a binding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// `+ - ~ -/+ >`
    pub mark: Mark,
    /// Who: `ticker`, `channel ticks`, `bind`.
    pub who: String,
    /// What: the type, the ends of the binding, the value that changes.
    pub what: String,
    /// What else a person wants to know.
    pub note: String,
}

impl Plan {
    /// The counts.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for stay in self.stays().values() {
            match stay.mark() {
                Some(Mark::Add) => summary.n_add += 1,
                Some(Mark::Remove) => summary.n_remove += 1,
                Some(Mark::Change) => summary.n_change += 1,
                Some(Mark::Replace) => summary.n_replace += 1,
                Some(Mark::Move) => summary.n_move += 1,
                None => {}
            }
        }
        for is_bound in self.own_ends().into_values() {
            if is_bound {
                summary.n_bind += 1;
            } else {
                summary.n_unbind += 1;
            }
        }
        summary
    }

    /// The lines, instances first. `wanted` says which values are secret.
    pub fn lines(&self, wanted: &Model) -> Vec<Line> {
        let mut lines: Vec<Line> =
            self.stays().into_iter().filter_map(|(path, stay)| stay.line(path, wanted)).collect();
        for ((binding, receives), is_bound) in self.own_ends() {
            let Binding { port, channel } = binding;
            let arrow = if receives { "←" } else { "→" };
            lines.push(Line {
                mark: if is_bound { Mark::Add } else { Mark::Remove },
                who: if is_bound { "bind" } else { "unbind" }.to_owned(),
                what: format!("{}.{} {arrow} {channel}", port.component, port.port),
                note: String::new(),
            });
        }
        lines
    }

    /// The steps as JSON: a list of objects with `step`, `path`, `mark` and what the step needs. Secret values are hidden.
    pub fn to_json(&self, wanted: &Model) -> Value {
        self.steps.iter().map(|step| step_json(step, wanted)).collect()
    }

    /// What happens to each instance.
    fn stays(&self) -> BTreeMap<&InstancePath, Stay<'_>> {
        let mut stays: BTreeMap<&InstancePath, Stay<'_>> = BTreeMap::new();
        for step in &self.steps {
            if let Some(subject) = step.subject() {
                stays.entry(&subject.path).or_default().note(step, subject);
            }
        }
        stays
    }

    /// The bindings of own components, and whether they receive, that are made (true) or taken away (false). Those that are both
    /// stay as they are.
    fn own_ends(&self) -> BTreeMap<(&Binding, bool), bool> {
        let mut ends = BTreeMap::new();
        for step in &self.steps {
            let (end, is_bound) = match step {
                Adaptation::RemoveBinding(end) => (end, false),
                Adaptation::AddBinding(end) => (end, true),
                _ => continue,
            };
            if end.binding.port.node == self.node {
                let key = (&end.binding, end.receives);
                let is_anew = is_bound && ends.remove(&key).is_some();
                if !is_anew {
                    ends.insert(key, is_bound);
                }
            }
        }
        ends
    }
}

/// What happens to one instance.
#[derive(Default)]
struct Stay<'p> {
    old: Option<(&'p Subject, &'p HandOver)>,
    new: Option<(&'p Subject, &'p StateFrom)>,
    values: Vec<&'p Adaptation>,
    starts: bool,
    stops: bool,
}

impl<'p> Stay<'p> {
    fn note(&mut self, step: &'p Adaptation, subject: &'p Subject) {
        match step {
            Adaptation::RemoveInstance { hand_over, .. } => self.old = Some((subject, hand_over)),
            Adaptation::AddInstance { state, .. } => self.new = Some((subject, state)),
            Adaptation::UpdateDictionary { .. } => self.values.push(step),
            Adaptation::StartInstance(_) => self.starts = true,
            Adaptation::StopInstance(_) | Adaptation::StopSelf(_) => self.stops = true,
            // A channel that is only told of another end does not change.
            _ => {}
        }
    }

    fn mark(&self) -> Option<Mark> {
        match (&self.old, &self.new) {
            (None, Some((_, StateFrom::Move { .. }))) | (Some((_, HandOver::Move { .. })), None) => Some(Mark::Move),
            (None, Some(_)) => Some(Mark::Add),
            (Some(_), None) => Some(Mark::Remove),
            (Some(_), Some(_)) => Some(Mark::Replace),
            (None, None) => (self.starts || self.stops || !self.values.is_empty()).then_some(Mark::Change),
        }
    }

    fn line(&self, path: &InstancePath, wanted: &Model) -> Option<Line> {
        let mark = self.mark()?;
        let what = match (&self.old, &self.new) {
            (Some((old, _)), Some((new, _))) => type_change(&old.type_ref, &new.type_ref),
            (Some((subject, _)), None) | (None, Some((subject, _))) => type_text(&subject.type_ref),
            (None, None) => self.values_text(path, wanted),
        };
        Some(Line { mark, who: who(path), what, note: self.note_text(path, wanted) })
    }

    fn note_text(&self, path: &InstancePath, wanted: &Model) -> String {
        match (&self.old, &self.new) {
            (Some((_, HandOver::Upgrade { .. })), Some(_)) => "upgraded, state kept".to_owned(),
            (Some(_), Some(_)) => "replaced, without its state".to_owned(),
            (None, Some((_, StateFrom::Move { from }))) => format!("moves here from {from} with its state"),
            (None, Some((_, StateFrom::Upgrade { .. }))) => "renamed, state kept".to_owned(),
            (None, Some(_)) if self.starts => self.values_text(path, wanted),
            (None, Some(_)) => join(self.values_text(path, wanted), "not started"),
            (Some((_, HandOver::Move { to })), None) => format!("moves to {to} with its state"),
            (Some(_), None) => String::new(),
            (None, None) if self.starts => "started".to_owned(),
            (None, None) if self.stops => "stopped".to_owned(),
            (None, None) => "updated in place".to_owned(),
        }
    }

    fn values_text(&self, path: &InstancePath, wanted: &Model) -> String {
        let texts = self.values.iter().filter_map(|step| {
            let Adaptation::UpdateDictionary { attribute, before, after, .. } = step else { return None };
            let shown =
                |value: &str| if is_secret(wanted, path, attribute) { HIDDEN.to_owned() } else { value.to_owned() };
            Some(match (before, after) {
                (Some(before), Some(after)) => format!("{attribute}: {} → {}", shown(before), shown(after)),
                (None, Some(after)) => format!("{attribute} = {}", shown(after)),
                (Some(before), None) => format!("{attribute}: {} → (none)", shown(before)),
                (None, None) => return None,
            })
        });
        texts.collect::<Vec<_>>().join(", ")
    }
}

fn join(first: String, then: &str) -> String {
    if first.is_empty() { then.to_owned() } else { format!("{first}; {then}") }
}

fn who(path: &InstancePath) -> String {
    match path {
        InstancePath::Node(node) => format!("node {node}"),
        InstancePath::Component(_, component) => component.to_string(),
        InstancePath::Channel(channel) => format!("channel {channel}"),
        InstancePath::Group(group) => format!("group {group}"),
    }
}

fn type_text(type_ref: &TypeRef) -> String {
    format!("{} {}", type_ref.name, type_ref.version)
}

fn type_change(old: &TypeRef, new: &TypeRef) -> String {
    if old.name == new.name {
        return format!("{} {} → {}", old.name, old.version, new.version);
    }
    format!("{} → {}", type_text(old), type_text(new))
}

fn is_secret(wanted: &Model, path: &InstancePath, attribute: &AttributeName) -> bool {
    let definition = wanted.instance(path).and_then(|instance| wanted.definition(instance));
    definition.and_then(|definition| definition.attribute(attribute.as_str())).is_some_and(|found| found.secret)
}

fn step_json(step: &Adaptation, wanted: &Model) -> Value {
    let mut object = json!({ "step": step.name(), "path": step.path(), "mark": step.mark().to_string() });
    if let Some(subject) = step.subject() {
        object["instance"] = json!(subject.path.to_string());
        object["type"] = json!(subject.type_ref.to_string());
    }
    match step {
        Adaptation::AddBinding(end) | Adaptation::RemoveBinding(end) => {
            object["port"] = json!(end.binding.port.to_string());
            object["channel"] = json!(end.binding.channel.as_str());
            object["receives"] = json!(end.receives);
        }
        Adaptation::AddInstance { state, .. } => object["state"] = json!(state),
        Adaptation::RemoveInstance { hand_over, .. } => object["handOver"] = json!(hand_over),
        Adaptation::UpdateDictionary { subject, fragment, attribute, before, after } => {
            let hidden = is_secret(wanted, &subject.path, attribute);
            let shown = |value: &Option<std::sync::Arc<str>>| match value {
                Some(_) if hidden => json!(HIDDEN),
                value => json!(value),
            };
            object["attribute"] = json!(attribute.as_str());
            object["before"] = shown(before);
            object["after"] = shown(after);
            if let Some(node) = fragment {
                object["fragment"] = json!(node.as_str());
            }
        }
        _ => {}
    }
    object
}
