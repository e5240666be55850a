//! Models and edits as scripts.
//!
//! [`print()`]'s script, evaluated over an empty model with `Library::of(&model)`, gives the same model again, but for what no
//! script says: types, units and repositories that no instance needs; the identities of components; dictionaries that lack
//! a value which has a default, or have one that the type does not take; ports that a component has beside those of its
//! type; fragments for nodes that are not connected; versions that are no numbers (`5.3.2-SNAPSHOT`), instances without a
//! type. What would be lost of an instance is written down as a comment.

mod edits;
mod statement;

use std::{
    collections::HashMap,
    fmt::{self, Write},
};

pub use edits::print_edits;

use super::{parse::version_of, token::quote};
use crate::{
    model::{Attribute, Instance, Model, Node, TypeDefinition},
    words::{InstancePath, NodeName, TypeName, TypeRef},
};

/// A script that makes this model.
pub fn print(model: &Model) -> String {
    let mut out = Printer { model, text: String::new() };
    out.instances();
    out.connections();
    out.values();
    out.facts();
    out.text
}

struct Printer<'a> {
    model: &'a Model,
    text: String,
}

impl Printer<'_> {
    fn line(&mut self, line: fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        let _ = self.text.write_fmt(line);
        self.text.push('\n');
    }

    /// A blank line between parts.
    fn part(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    fn instances(&mut self) {
        let model = self.model;
        for (path, node) in hosts_first(model) {
            self.add(&path, &node.instance);
        }
        for (name, node) in &model.nodes {
            self.part();
            for (component, found) in &node.components {
                self.add(&format!("{name}.{component}"), &found.instance);
            }
        }
        self.part();
        for (name, channel) in &model.channels {
            self.add(name.as_str(), &channel.instance);
        }
        for (name, group) in &model.groups {
            self.add(name.as_str(), &group.instance);
        }
    }

    fn add(&mut self, path: &str, instance: &Instance) {
        match &instance.type_ref {
            None => self.line(format_args!("// {path} has no type")),
            Some(id) if version_of(&id.version).is_none() => {
                self.line(format_args!("// {path} : {id} (a script cannot say this version)"));
            }
            Some(id) => {
                let spec = type_text(self.model, id);
                self.line(format_args!("add {path} : {spec}"));
            }
        }
    }

    fn connections(&mut self) {
        let model = self.model;
        self.part();
        for group in model.groups.keys() {
            let attached = model.nodes.iter().filter(|(_, node)| node.groups.contains(group));
            let attached: Vec<&str> = attached.map(|(name, _)| name.as_str()).collect();
            if !attached.is_empty() {
                self.line(format_args!("attach {} {group}", attached.join(", ")));
            }
        }
        self.part();
        for binding in model.bindings.iter() {
            self.line(format_args!("bind {} {}", binding.port, binding.channel));
        }
    }

    fn values(&mut self) {
        self.part();
        for (path, instance) in self.model.instances() {
            let definition = self.model.definition(instance);
            let definition = definition.map(|definition| &**definition);
            for (name, value) in instance.dictionary.iter().flat_map(|dictionary| dictionary.iter()) {
                self.set(definition, &format!("{path}.{name}"), name.as_str(), "", value);
            }
            for (node, fragment) in &instance.fragments {
                for (name, value) in fragment.iter() {
                    self.set(definition, &format!("{path}.{name}"), name.as_str(), &format!("/{node}"), value);
                }
            }
            if !instance.started {
                self.line(format_args!("stop {path}"));
            }
            for (key, value) in &instance.metadata {
                self.line(format_args!("meta {path}.{} {}", key_text(key), quote(value)));
            }
        }
    }

    fn set(&mut self, definition: Option<&TypeDefinition>, path: &str, name: &str, on: &str, value: &str) {
        let takes = |attribute: &&Attribute| attribute.fragment != on.is_empty();
        match definition.and_then(|definition| definition.attribute(name)).filter(takes) {
            Some(attribute) if attribute.default.as_deref() == Some(value) => {}
            Some(attribute) if attribute.accepts(value).is_ok() => {
                self.line(format_args!("set {path}{on} = {}", quote(value)));
            }
            _ => {
                let shown = quote(value).replace(['\n', '\r'], " ");
                self.line(format_args!("// {path}{on} = {shown} (its type does not take this)"));
            }
        }
    }

    fn facts(&mut self) {
        let model = self.model;
        self.part();
        for (name, node) in &model.nodes {
            for (interface, values) in &node.networks {
                for (key, value) in values {
                    let (interface, key) = (key_text(interface), key_text(key));
                    self.line(format_args!("network {name}.{interface}.{key} {}", address_text(value)));
                }
            }
            for (key, value) in &node.properties {
                self.line(format_args!("property {name}.{key} {}", quote(value)));
            }
        }
        self.part();
        for (name, scope) in &model.scopes {
            self.line(format_args!("scope {name}"));
            let members: Vec<&str> = scope.members.iter().map(NodeName::as_str).collect();
            if !members.is_empty() {
                self.line(format_args!("enter {} {name}", members.join(", ")));
            }
        }
        let length = self.text.trim_end().len();
        self.text.truncate(length);
        if length > 0 {
            self.text.push('\n');
        }
    }
}

/// Nodes as they are added, hosts before what they host. Nodes whose host is not there, or that host one another, stand at
/// the top.
fn hosts_first(model: &Model) -> Vec<(String, &Node)> {
    let mut hosted: HashMap<Option<&NodeName>, Vec<&NodeName>> = HashMap::new();
    for (name, node) in &model.nodes {
        let host = node.host.as_ref().filter(|host| model.nodes.contains_key(*host));
        hosted.entry(host).or_default().push(name);
    }
    let mut order = Vec::with_capacity(model.nodes.len());
    let mut stack: Vec<(Option<NodeName>, &NodeName)> = Vec::new();
    stack.extend(hosted.remove(&None).into_iter().flatten().rev().map(|name| (None, name)));
    let mut done = std::collections::HashSet::new();
    loop {
        let Some((host, name)) = stack.pop() else {
            // Only a broken model has nodes left: they host one another.
            match model.nodes.keys().find(|name| !done.contains(*name)) {
                Some(name) => stack.push((None, name)),
                None => return order,
            }
            continue;
        };
        let Some(node) = model.nodes.get(name).filter(|_| done.insert(name)) else { continue };
        let path = host.map_or_else(|| name.to_string(), |host| format!("{host}.{name}"));
        order.push((path, &**node));
        let below = hosted.remove(&Some(name)).into_iter().flatten().rev();
        stack.extend(below.map(|below| (Some(name.clone()), below)));
    }
}

/// The type as short as it is unmistakable: the namespace is left out where the script would find the type without it.
fn type_text(model: &Model, id: &TypeRef) -> String {
    let kevoree_has = |name: &TypeName| model.types_named(name).any(|found| found.id.namespace.as_str() == "kevoree");
    let short = match id.namespace.as_str() {
        "kevoree" => true,
        "enact" => !kevoree_has(&id.name),
        _ => false,
    };
    if short { format!("{}/{}", id.name, id.version) } else { id.to_string() }
}

/// A key of `network` or `meta`: bare where it is a name.
fn key_text(key: &str) -> String {
    if !key.is_empty() && key.chars().all(super::token::is_word) { key.to_owned() } else { quote(key) }
}

fn address_text(value: &str) -> String {
    let bare = !value.is_empty() && !value.contains('%') && value.chars().all(super::token::is_bare);
    // A keyword would be read as the next statement, were it first on its line; it is not, but quotes never hurt.
    if bare && super::Keyword::of(value).is_none() { value.to_owned() } else { quote(value) }
}

/// The path as it is added: hosted nodes under their host.
fn added_path(path: &InstancePath, host: Option<&NodeName>) -> String {
    host.map_or_else(|| path.to_string(), |host| format!("{host}.{path}"))
}
