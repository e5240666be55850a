//! Finds what differs between two models, and says each difference as a line.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use super::{Changes, Counts, Line, Section};
use crate::{
    doors::cli::render::{count, type_text},
    logic::plan::Mark,
    model::{Binding, Component, Instance, Model, Node, Shared},
    words::{ComponentName, NodeName},
};

/// Values of a new instance that are shown before the rest is only counted.
const VALUES_MAX: usize = 4;

/// Compares two models. Costs what differs, but for moves and bindings of many components.
pub(super) fn between(before: &Model, after: &Model) -> Changes {
    let mut gather = Gather { before, after, places: BTreeMap::new(), counts: Counts::default() };
    let moved = gather.moves();
    gather.nodes(&moved);
    gather.channels_and_groups();
    gather.bindings(&moved);
    gather.rest();
    gather.finish()
}

struct Gather<'a> {
    before: &'a Model,
    after: &'a Model,
    places: BTreeMap<(u8, String), Vec<Line>>,
    counts: Counts,
}

/// Components that live on another node afterwards: from where, to where.
type Moves<'a> = BTreeMap<(&'a NodeName, &'a ComponentName), (&'a NodeName, &'a ComponentName)>;

impl<'a> Gather<'a> {
    fn line(
        &mut self,
        place: &str,
        mark: Mark,
        what: impl Into<String>,
        change: impl Into<String>,
        note: impl Into<String>,
    ) {
        let rank = if place.is_empty() { 2 } else { u8::from(place.contains('>')) };
        let line = Line { mark, what: what.into(), change: change.into(), note: note.into() };
        self.places.entry((rank, place.to_owned())).or_default().push(line);
    }

    /// Who disappears here and appears there under the same identity.
    fn moves(&self) -> Moves<'a> {
        let mut gone = BTreeMap::new();
        let mut come = BTreeMap::new();
        let empty = Shared::new(Node::default());
        for name in changed_nodes(self.before, self.after) {
            let old = &self.before.nodes.get(name).unwrap_or(&empty).components;
            let new = &self.after.nodes.get(name).unwrap_or(&empty).components;
            let there = |components: &imbl::OrdMap<ComponentName, Shared<Component>>, name: &ComponentName, id| {
                components.get(name).is_some_and(|component| component.id == id)
            };
            let (before, after) = (self.before.nodes.get_key_value(name), self.after.nodes.get_key_value(name));
            if let Some((node, components)) = before.map(|(node, value)| (node, &value.components)) {
                let leaving = components.iter().filter(|(component, value)| !there(new, component, value.id));
                gone.extend(leaving.map(|(component, value)| (value.id, (node, component))));
            }
            if let Some((node, components)) = after.map(|(node, value)| (node, &value.components)) {
                let coming = components.iter().filter(|(component, value)| !there(old, component, value.id));
                come.extend(coming.map(|(component, value)| (value.id, (node, component))));
            }
        }
        gone.into_iter().filter_map(|(id, from)| come.get(&id).map(|to| (from, *to))).collect()
    }

    fn nodes(&mut self, moved: &Moves<'a>) {
        let arrived: BTreeSet<_> = moved.values().copied().collect();
        for ((from, name), (to, new_name)) in moved {
            let (Some(old), Some(new)) = (self.before.component(from, name), self.after.component(to, new_name)) else {
                continue;
            };
            self.counts.moved += 1;
            let what = if name == new_name { name.to_string() } else { format!("{name} → {new_name}") };
            let place = if from == to { from.to_string() } else { format!("{from} > {to}") };
            let note = if from == to { "renamed" } else { "moved with its state" };
            self.line(&place, Mark::Move, what, type_text(new.instance.type_ref.as_ref()), note);
            self.instance(to.as_str(), new_name.as_str(), &old.instance, &new.instance, false);
        }
        for name in changed_nodes(self.before, self.after) {
            match (self.before.nodes.get(name), self.after.nodes.get(name)) {
                (None, Some(node)) => self.new_node(name, node),
                (Some(node), None) => {
                    self.counts.remove += 1;
                    let note = match node.components.len() {
                        0 => String::new(),
                        n => format!("with {}", count(n, "component")),
                    };
                    self.line(
                        "",
                        Mark::Remove,
                        format!("node {name}"),
                        type_text(node.instance.type_ref.as_ref()),
                        note,
                    );
                }
                (Some(old), Some(new)) => self.changed_node(name, old, new),
                (None, None) => {}
            }
            let empty = Shared::new(Node::default());
            let (old, new) = (self.before.nodes.get(name), self.after.nodes.get(name));
            let old = &old.unwrap_or(&empty).components;
            let new = &new.unwrap_or(&empty).components;
            self.components(name, old, new, moved, &arrived);
        }
    }

    fn new_node(&mut self, name: &NodeName, node: &Node) {
        self.counts.add += 1;
        let mut notes: Vec<String> = node.groups.iter().map(|group| format!("in {group}")).collect();
        notes.extend(node.host.iter().map(|host| format!("hosted by {host}")));
        self.line("", Mark::Add, format!("node {name}"), type_text(node.instance.type_ref.as_ref()), notes.join(", "));
    }

    fn changed_node(&mut self, name: &NodeName, old: &Node, new: &Node) {
        self.instance("", &format!("node {name}"), &old.instance, &new.instance, true);
        if old.host != new.host {
            self.counts.other += 1;
            let text = |host: &Option<NodeName>| host.as_ref().map_or("the top".to_owned(), ToString::to_string);
            self.line(
                "",
                Mark::Change,
                format!("node {name}"),
                format!("host: {} → {}", text(&old.host), text(&new.host)),
                "",
            );
        }
        for group in old.groups.clone().relative_complement(new.groups.clone()) {
            self.counts.other += 1;
            self.line(name.as_str(), Mark::Remove, "attach", format!("→ {group}"), "");
        }
        for group in new.groups.clone().relative_complement(old.groups.clone()) {
            self.counts.other += 1;
            self.line(name.as_str(), Mark::Add, "attach", format!("→ {group}"), "");
        }
        self.texts(name, "property", texts(&old.properties), texts(&new.properties));
        let flat = |node: &Node| {
            let all = node
                .networks
                .iter()
                .flat_map(|(of, keys)| keys.iter().map(move |(key, ip)| (format!("{of}.{key}"), ip.to_string())));
            all.collect::<BTreeMap<_, _>>()
        };
        self.texts(name, "network", flat(old), flat(new));
    }

    fn texts(&mut self, node: &NodeName, noun: &str, old: BTreeMap<String, String>, new: BTreeMap<String, String>) {
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let (mark, change) = match (old.get(key), new.get(key)) {
                (Some(before), Some(after)) if before == after => continue,
                (Some(before), Some(after)) => (Mark::Change, format!("{key}: {before} → {after}")),
                (None, Some(after)) => (Mark::Add, format!("{key} = {after}")),
                (Some(before), None) => (Mark::Remove, format!("{key} = {before}")),
                (None, None) => continue,
            };
            self.counts.other += 1;
            self.line(node.as_str(), mark, noun, change, "");
        }
    }

    fn components(
        &mut self,
        node: &'a NodeName,
        old: &imbl::OrdMap<ComponentName, Shared<Component>>,
        new: &imbl::OrdMap<ComponentName, Shared<Component>>,
        moved: &Moves<'a>,
        arrived: &BTreeSet<(&'a NodeName, &'a ComponentName)>,
    ) {
        if !self.after.nodes.contains_key(node) {
            return;
        }
        for item in old.diff(new) {
            match item {
                imbl::ordmap::DiffItem::Add(name, component) => {
                    if !arrived.contains(&(node, name)) {
                        self.added(node.as_str(), name.as_str(), &component.instance);
                    }
                }
                imbl::ordmap::DiffItem::Remove(name, component) => {
                    if !moved.contains_key(&(node, name)) {
                        self.removed(node.as_str(), name.as_str(), &component.instance);
                    }
                }
                imbl::ordmap::DiffItem::Update { old: (name, before), new: (_, after) } => {
                    if before.id == after.id {
                        self.instance(node.as_str(), name.as_str(), &before.instance, &after.instance, true);
                    } else if !arrived.contains(&(node, name)) && !moved.contains_key(&(node, name)) {
                        self.counts.change += 1;
                        let change = retyped(&before.instance, &after.instance);
                        let note = "another component under the same name, without the old one's state";
                        self.line(node.as_str(), Mark::Replace, name.to_string(), change, note);
                    } else if arrived.contains(&(node, name)) {
                        if !moved.contains_key(&(node, name)) {
                            self.removed(node.as_str(), name.as_str(), &before.instance);
                        }
                    } else {
                        self.added(node.as_str(), name.as_str(), &after.instance);
                    }
                }
            }
        }
    }

    fn added(&mut self, place: &str, what: &str, instance: &Instance) {
        self.counts.add += 1;
        let mut note = self.values(instance);
        if !instance.started {
            note = if note.is_empty() { "stopped".to_owned() } else { format!("{note}; stopped") };
        }
        self.line(place, Mark::Add, what, type_text(instance.type_ref.as_ref()), note);
    }

    fn removed(&mut self, place: &str, what: &str, instance: &Instance) {
        self.counts.remove += 1;
        self.line(place, Mark::Remove, what, type_text(instance.type_ref.as_ref()), "");
    }

    /// The values of a new instance, with what is the type's default marked and secrets hidden.
    fn values(&self, instance: &Instance) -> String {
        let definition = self.after.definition(instance);
        let all = instance.dictionary.iter().flat_map(|dictionary| dictionary.iter());
        let mut shown: Vec<String> = all
            .map(|(name, value)| {
                let attribute = definition.and_then(|definition| definition.attribute(name.as_str()));
                match attribute {
                    Some(attribute) if attribute.secret => format!("{name} = •••"),
                    Some(attribute) if attribute.default.as_ref() == Some(value) => {
                        format!("{name} = {} (default)", short(value))
                    }
                    _ => format!("{name} = {}", short(value)),
                }
            })
            .collect();
        let n_more = shown.len().saturating_sub(VALUES_MAX);
        shown.truncate(VALUES_MAX);
        let mut text = shown.join(", ");
        if n_more > 0 {
            let _ = write!(text, ", and {n_more} more");
        }
        text
    }

    /// An instance that stays: type, values, started or stopped.
    fn instance(&mut self, place: &str, what: &str, old: &Instance, new: &Instance, counted: bool) {
        let mut lines = Vec::new();
        if old.type_ref != new.type_ref {
            lines.push((Mark::Replace, retyped(old, new), "upgraded, state kept".to_owned()));
        }
        let changed = self.changed_values(old, new);
        if !changed.is_empty() {
            lines.push((Mark::Change, changed.join(", "), "updated in place".to_owned()));
        }
        if old.started != new.started {
            let text = |started| if started { "started" } else { "stopped" };
            lines.push((Mark::Change, format!("{} → {}", text(old.started), text(new.started)), String::new()));
        }
        if !lines.is_empty() && counted {
            self.counts.change += 1;
        }
        for (mark, change, note) in lines {
            self.line(place, mark, what, change, note);
        }
        if old.metadata != new.metadata {
            self.counts.other += 1;
            self.line(place, Mark::Change, what, "annotations", "");
        }
    }

    /// `period: 1s → 250ms` for every value that differs, fragments included.
    fn changed_values(&self, old: &Instance, new: &Instance) -> Vec<String> {
        let definition = self.after.definition(new).or_else(|| self.before.definition(old));
        let secret = |name: &str| definition.and_then(|d| d.attribute(name)).is_some_and(|attribute| attribute.secret);
        let mut all: BTreeMap<(Option<&NodeName>, String), [Option<String>; 2]> = BTreeMap::new();
        for (side, instance) in [old, new].into_iter().enumerate() {
            let own = instance.dictionary.iter().map(|dictionary| (None, dictionary));
            let fragments = instance.fragments.iter().map(|(node, dictionary)| (Some(node), dictionary));
            for (node, dictionary) in own.chain(fragments) {
                for (name, value) in dictionary.iter() {
                    all.entry((node, name.to_string())).or_default()[side] = Some(value.to_string());
                }
            }
        }
        all.retain(|_, [before, after]| before != after);
        let text = |value: Option<String>, hidden: bool| match value {
            Some(_) if hidden => "•••".to_owned(),
            Some(value) => short(&value),
            None => "(none)".to_owned(),
        };
        let lines = all.into_iter().map(|((node, name), [before, after])| {
            let hidden = secret(&name);
            let of = node.map(|node| format!("/{node}")).unwrap_or_default();
            format!("{name}{of}: {} → {}", text(before, hidden), text(after, hidden))
        });
        lines.collect()
    }

    fn channels_and_groups(&mut self) {
        let (before, after) = (self.before, self.after);
        let channels =
            |model: &'a Model| model.channels.iter().map(|(name, c)| (format!("channel {name}"), &c.instance));
        let groups = |model: &'a Model| model.groups.iter().map(|(name, g)| (format!("group {name}"), &g.instance));
        let old: BTreeMap<_, _> = channels(before).chain(groups(before)).collect();
        let new: BTreeMap<_, _> = channels(after).chain(groups(after)).collect();
        for (what, instance) in &old {
            match new.get(what) {
                Some(other) if *instance != *other => self.instance("", what, instance, other, true),
                Some(_) => {}
                None => self.removed("", what, instance),
            }
        }
        for (what, instance) in new.iter().filter(|(what, _)| !old.contains_key(*what)) {
            self.added("", what, instance);
        }
    }

    /// Bindings that come and go by themselves. Those of a component that moves go with it and are not told.
    fn bindings(&mut self, moved: &Moves<'a>) {
        let (before, after) = (self.before, self.after);
        for item in before.bindings.as_set().diff(after.bindings.as_set()) {
            use imbl::ordset::DiffItem;
            let (mark, model, binding) = match item {
                DiffItem::Add(binding) => (Mark::Add, after, binding),
                DiffItem::Remove(binding) => (Mark::Remove, before, binding),
            };
            if self.goes_with_a_move(mark, binding, moved) {
                continue;
            }
            self.counts.bindings += 1;
            let port = format!("{}.{}", binding.port.component, binding.port.port);
            let component = model.component(&binding.port.node, &binding.port.component);
            let receives = component.is_some_and(|component| component.provided.contains(&binding.port.port));
            let change = if receives {
                format!("{} → {port}", binding.channel)
            } else {
                format!("{port} → {}", binding.channel)
            };
            // A node that goes takes its bindings along: then they are the group's business.
            let place = if after.nodes.contains_key(&binding.port.node) { binding.port.node.as_str() } else { "" };
            let change = if place.is_empty() { change.replace(&port, &binding.port.to_string()) } else { change };
            self.line(place, mark, "bind", change, "");
        }
    }

    fn goes_with_a_move(&self, mark: Mark, binding: &Binding, moved: &Moves<'a>) -> bool {
        let mut other = binding.clone();
        let port = &binding.port;
        if mark == Mark::Remove {
            let Some((node, name)) = moved.get(&(&port.node, &port.component)) else { return false };
            (other.port.node, other.port.component) = ((*node).clone(), (*name).clone());
            self.after.bindings.contains(&other)
        } else {
            let here = |(_, to): &(_, &(&NodeName, &ComponentName))| *to.0 == port.node && *to.1 == port.component;
            let Some(((node, name), _)) = moved.iter().find(here) else { return false };
            (other.port.node, other.port.component) = ((*node).clone(), (*name).clone());
            self.before.bindings.contains(&other)
        }
    }

    /// Scopes; and types, where nothing else differs (they come and go with the instances that have them).
    fn rest(&mut self) {
        let members = |model: &Model| -> BTreeMap<String, Vec<String>> {
            let all = model.scopes.iter();
            all.map(|(name, scope)| (name.to_string(), scope.members.iter().map(ToString::to_string).collect()))
                .collect()
        };
        let (old, new) = (members(self.before), members(self.after));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let (mark, change) = match (old.get(name), new.get(name)) {
                (Some(before), Some(after)) if before == after => continue,
                (Some(before), Some(after)) => (Mark::Change, format!("{} → {}", before.join(", "), after.join(", "))),
                (None, Some(after)) => (Mark::Add, after.join(", ")),
                _ => (Mark::Remove, String::new()),
            };
            self.counts.other += 1;
            self.line("", mark, format!("scope {name}"), change, "");
        }
        if self.places.is_empty() {
            self.types();
        }
    }

    fn types(&mut self) {
        let (before, after) = (self.before, self.after);
        for (type_ref, definition) in before.types.iter() {
            match after.types.get(type_ref) {
                Some(other) if other == definition => {}
                Some(_) => self.line("", Mark::Change, "type", type_ref.to_string(), ""),
                None => self.line("", Mark::Remove, "type", type_ref.to_string(), ""),
            }
        }
        for type_ref in after.types.keys().filter(|type_ref| !before.types.contains_key(*type_ref)) {
            self.line("", Mark::Add, "type", type_ref.to_string(), "");
        }
        self.counts.other += self.places.values().map(Vec::len).sum::<usize>();
    }

    fn finish(self) -> Changes {
        let sections = self.places.into_iter().map(|((_, place), lines)| Section { place, lines }).collect();
        Changes { sections, counts: self.counts }
    }
}

/// The names of nodes that differ or are on one side only.
fn changed_nodes<'a>(before: &'a Model, after: &'a Model) -> Vec<&'a NodeName> {
    let items = before.nodes.diff(&after.nodes).map(|item| match item {
        imbl::ordmap::DiffItem::Add(name, _) | imbl::ordmap::DiffItem::Remove(name, _) => name,
        imbl::ordmap::DiffItem::Update { old: (name, _), .. } => name,
    });
    items.collect()
}

fn retyped(old: &Instance, new: &Instance) -> String {
    match (&old.type_ref, &new.type_ref) {
        (Some(before), Some(after)) if before.name == after.name && before.namespace == after.namespace => {
            format!("{} {} → {}", before.name, before.version, after.version)
        }
        (before, after) => format!("{} → {}", type_text(before.as_ref()), type_text(after.as_ref())),
    }
}

fn texts<K: ToString + Ord + Clone, V: ToString + Clone>(map: &imbl::OrdMap<K, V>) -> BTreeMap<String, String> {
    map.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// A value within a line.
fn short(value: &str) -> String {
    const MAX: usize = 40;
    if value.is_empty() {
        return "''".to_owned();
    }
    let one_line = value.replace('\n', "⏎");
    if one_line.chars().count() <= MAX { one_line } else { one_line.chars().take(MAX - 1).chain(['…']).collect() }
}
