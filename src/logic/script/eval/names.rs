//! From what is written to what is there: variables, wildcards, paths.

use std::{str::FromStr, sync::Arc};

use super::{Done, Evaluator, GivenUp};
use crate::{
    logic::script::{
        diagnostic::{Code, Diagnostic, Span, did_you_mean},
        statement::{Path, Text, Word},
    },
    model::{Kind, Model},
    words::{ChannelName, ComponentName, GroupName, InstancePath, InvalidName, NodeName, ScopeName},
};

/// A part of a path with its variables replaced.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// The name; `None` for `*`.
    pub(super) name: Option<Arc<str>>,
    pub(super) span: Span,
}

impl Said {
    pub(super) fn is_any(&self) -> bool {
        self.name.is_none()
    }

    /// The name, or `*`.
    pub(super) fn text(&self) -> &str {
        self.name.as_deref().unwrap_or("*")
    }
}

/// The text that stands for a path in [`Evaluator::excused`].
pub(super) fn dotted(parts: &[Said]) -> String {
    parts.iter().map(Said::text).collect::<Vec<_>>().join(".")
}

impl Evaluator<'_> {
    /// The value of a word; `None` for `*`.
    pub(super) fn word(&mut self, word: &Word, span: Span) -> Done<Option<Arc<str>>> {
        Ok(Some(match word {
            Word::Any => return Ok(None),
            Word::Name(text) | Word::Quoted(text) => text.clone(),
            Word::Variable(name) => self.variable(name, span)?,
            Word::Generated(name) => match self.variables.get(name).filter(|value| !value.is_empty()) {
                Some(value) => value.into(),
                None => {
                    let model = &self.model;
                    let taken = |value: &str| model.kind_of(value).is_some();
                    self.variables.generate(name, self.salt, taken).into()
                }
            },
        }))
    }

    /// The value that a variable was given.
    pub(super) fn variable(&mut self, name: &str, span: Span) -> Done<Arc<str>> {
        match self.variables.get(name) {
            Some(value) if !value.is_empty() => Ok(value.into()),
            found => {
                let empty = found.is_some();
                Err(self.report_once(format!("%{name}%"), |this| {
                    let message = match empty {
                        true => format!("variable `%{name}%` is given, but empty"),
                        false => format!("variable `%{name}%` has no value"),
                    };
                    let meant = did_you_mean(name, this.variables.iter().map(|(name, _)| name));
                    let help = if meant.is_empty() { format!("give one: --var {name}=VALUE") } else { meant };
                    Diagnostic::new(Code::MissingVariable, span, message).help(help)
                }))
            }
        }
    }

    pub(super) fn value(&mut self, text: &Text) -> Done<Arc<str>> {
        Ok(self.word(&text.word, text.place.0)?.unwrap_or_default())
    }

    pub(super) fn said(&mut self, path: &Path) -> Done<Vec<Said>> {
        let parts =
            path.parts.iter().map(|part| Ok(Said { name: self.word(&part.word, part.span())?, span: part.span() }));
        parts.collect()
    }

    /// A name of the right form.
    pub(super) fn name<T: FromStr<Err = InvalidName>>(&mut self, text: &str, span: Span) -> Done<T> {
        text.parse().map_err(|error: InvalidName| self.report(Diagnostic::new(Code::BadName, span, error.to_string())))
    }

    pub(super) fn bad_path(&mut self, path: &Path, wanted: &str) -> GivenUp {
        let message = format!("`{path}` is not {wanted}");
        self.report(Diagnostic::new(Code::BadPath, path.span(), message))
    }

    /// Whether a missing name follows from an error that is told already.
    pub(super) fn is_excused(&self, parts: &[Said]) -> bool {
        match parts {
            [] => false,
            [only] => self.excused.contains(only.text()),
            [node, child, ..] => {
                self.excused.contains(node.text())
                    || self.excused.contains(&dotted(&parts[..2]))
                    || self.excused.contains(&format!("*.{}", child.text()))
            }
        }
    }

    /// Nodes by name or `*`; at least one, but for `*`.
    pub(super) fn nodes(&mut self, part: &Said) -> Done<Vec<NodeName>> {
        match &part.name {
            None => Ok(self.model.nodes.keys().cloned().collect()),
            Some(name) => Ok(vec![self.node(name, part.span)?]),
        }
    }

    pub(super) fn node(&mut self, name: &str, span: Span) -> Done<NodeName> {
        match NodeName::parse(name) {
            Ok(node) if self.model.nodes.contains_key(&node) => Ok(node),
            _ => Err(self.absent(name, span, "node")),
        }
    }

    pub(super) fn groups(&mut self, part: &Said) -> Done<Vec<GroupName>> {
        let Some(name) = &part.name else { return Ok(self.model.groups.keys().cloned().collect()) };
        match GroupName::parse(name) {
            Ok(group) if self.model.groups.contains_key(&group) => Ok(vec![group]),
            _ => Err(self.absent(name, part.span, "group")),
        }
    }

    pub(super) fn channels(&mut self, part: &Said) -> Done<Vec<ChannelName>> {
        let Some(name) = &part.name else { return Ok(self.model.channels.keys().cloned().collect()) };
        match ChannelName::parse(name) {
            Ok(channel) if self.model.channels.contains_key(&channel) => Ok(vec![channel]),
            _ => Err(self.absent(name, part.span, "channel")),
        }
    }

    pub(super) fn scopes(&mut self, part: &Said) -> Done<Vec<ScopeName>> {
        let Some(name) = &part.name else { return Ok(self.model.scopes.keys().cloned().collect()) };
        match ScopeName::parse(name) {
            Ok(scope) if self.model.scopes.contains_key(&scope) => Ok(vec![scope]),
            _ => Err(self.absent(name, part.span, "scope")),
        }
    }

    /// Instances of any kind: `node`, `channel`, `group`, `node.component`, `host.node`, with wildcards.
    pub(super) fn instances(&mut self, path: &Path, parts: &[Said]) -> Done<Vec<InstancePath>> {
        match parts {
            [only] if only.is_any() => Ok(top(&self.model)),
            [only] => match top_named(&self.model, only.text()) {
                Some(found) => Ok(vec![found]),
                None => Err(self.absent(only.text(), only.span, "instance")),
            },
            [node, child] => self.children(node, child),
            _ => Err(self.bad_path(path, "an instance such as `node0` or `node0.ticker`")),
        }
    }

    /// Components and hosted nodes; nothing only when `child` is `*`.
    pub(super) fn children(&mut self, node: &Said, child: &Said) -> Done<Vec<InstancePath>> {
        let mut found = Vec::new();
        for name in self.nodes(node)? {
            match &child.name {
                None => found.extend(all_children(&self.model, &name)),
                Some(child) => found.extend(child_named(&self.model, &name, child)),
            }
        }
        if found.is_empty() && !child.is_any() {
            return Err(self.no_child(node, child));
        }
        Ok(found)
    }

    /// Reports that nothing has this name, or that something else has it; once, and not when it is excused.
    pub(super) fn absent(&mut self, name: &str, span: Span, wanted: &str) -> GivenUp {
        self.report_once(name.to_owned(), |this| {
            let model = &this.model;
            if let Some(kind) = model.kind_of(name) {
                let message = format!("`{name}` is a {kind}, a {wanted} is needed here");
                return Diagnostic::new(Code::WrongKind, span, message);
            }
            let is_scope = model.scopes.keys().any(|scope| scope.as_str() == name);
            let diagnostic = Diagnostic::new(Code::UnknownName, span, format!("there is no {wanted} `{name}`"));
            if is_scope {
                return diagnostic.help(format!("`{name}` is a scope: see `unscope`, `enter` and `leave`"));
            }
            let nodes = model.nodes.keys().map(NodeName::as_str);
            let channels = model.channels.keys().map(ChannelName::as_str);
            let groups = model.groups.keys().map(GroupName::as_str);
            let scopes = model.scopes.keys().map(ScopeName::as_str);
            let meant = match wanted {
                "node" => did_you_mean(name, nodes),
                "channel" => did_you_mean(name, channels),
                "group" => did_you_mean(name, groups),
                "scope" => did_you_mean(name, scopes),
                _ => did_you_mean(name, nodes.chain(channels).chain(groups)),
            };
            diagnostic.help(meant)
        })
    }

    pub(super) fn no_child(&mut self, node: &Said, child: &Said) -> GivenUp {
        let parts = [node.clone(), child.clone()];
        if self.is_excused(&parts) || (node.is_any() && !self.excused.is_empty()) {
            return GivenUp;
        }
        self.report_once(dotted(&parts), |this| {
            let name = child.text();
            let (message, there) = match &node.name {
                None => (format!("no node has a component `{name}`"), Vec::new()),
                Some(node) => {
                    let there = NodeName::parse(node).map(|node| all_children(&this.model, &node)).unwrap_or_default();
                    (format!("node `{node}` has no component `{name}`"), there)
                }
            };
            let there: Vec<String> = there.iter().map(|path| last_name(path).to_owned()).collect();
            let help = match did_you_mean(name, there.iter().map(String::as_str)) {
                meant if meant.is_empty() && !there.is_empty() && there.len() <= 8 => {
                    format!("it has: {}", there.join(", "))
                }
                meant => meant,
            };
            Diagnostic::new(Code::UnknownName, child.span, message).help(help)
        })
    }

    /// Tells that a wildcard stands for nothing.
    pub(super) fn nothing_matches(&mut self, path: &Path) {
        if self.excused.is_empty() {
            self.warn(Diagnostic::new(Code::MatchesNothing, path.span(), format!("`{path}` matches nothing")));
        }
    }
}

/// The last name of a path.
pub(super) fn last_name(path: &InstancePath) -> &str {
    match path {
        InstancePath::Node(name) => name.as_str(),
        InstancePath::Component(_, name) => name.as_str(),
        InstancePath::Channel(name) => name.as_str(),
        InstancePath::Group(name) => name.as_str(),
    }
}

/// The kind of what is at a path.
pub(super) fn kind_of(path: &InstancePath) -> Kind {
    match path {
        InstancePath::Node(_) => Kind::Node,
        InstancePath::Component(..) => Kind::Component,
        InstancePath::Channel(_) => Kind::Channel,
        InstancePath::Group(_) => Kind::Group,
    }
}

/// All nodes, groups and channels.
fn top(model: &Model) -> Vec<InstancePath> {
    let nodes = model.nodes.keys().cloned().map(InstancePath::Node);
    let groups = model.groups.keys().cloned().map(InstancePath::Group);
    nodes.chain(groups).chain(model.channels.keys().cloned().map(InstancePath::Channel)).collect()
}

/// The node, group or channel of a name.
pub(super) fn top_named(model: &Model, name: &str) -> Option<InstancePath> {
    let node = NodeName::parse(name).ok()?;
    if model.nodes.contains_key(&node) {
        return Some(InstancePath::Node(node));
    }
    let group = GroupName::parse(name).ok()?;
    if model.groups.contains_key(&group) {
        return Some(InstancePath::Group(group));
    }
    let channel = ChannelName::parse(name).ok()?;
    model.channels.contains_key(&channel).then_some(InstancePath::Channel(channel))
}

fn all_children(model: &Model, node: &NodeName) -> Vec<InstancePath> {
    let components = model.nodes.get(node).into_iter().flat_map(|node| node.components.keys().cloned());
    let components = components.map(|component| InstancePath::Component(node.clone(), component));
    components.chain(model.hosted_by(node).cloned().map(InstancePath::Node)).collect()
}

pub(super) fn child_named(model: &Model, node: &NodeName, child: &str) -> Option<InstancePath> {
    let component = ComponentName::parse(child).ok()?;
    if model.component(node, &component).is_some() {
        return Some(InstancePath::Component(node.clone(), component));
    }
    let hosted = NodeName::parse(child).ok()?;
    let is_hosted = model.nodes.get(&hosted)?.host.as_ref() == Some(node);
    is_hosted.then_some(InstancePath::Node(hosted))
}
