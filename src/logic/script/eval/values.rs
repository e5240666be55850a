//! What instances and nodes are told: attributes, addresses, properties, annotations.

use std::sync::Arc;

use super::{Done, Evaluator, arc, names::Said};
use crate::{
    logic::script::{
        diagnostic::{Code, Diagnostic, Span, did_you_mean},
        statement::{Path, Text},
    },
    model::{Attribute, Edit, Unfit},
    words::{AttributeName, InstancePath, NodeName},
};

impl Evaluator<'_> {
    pub(super) fn value_of(&self, path: &InstancePath, node: Option<&NodeName>, attribute: &str) -> Option<&str> {
        let instance = self.model.instance(path)?;
        match node {
            None => instance.get(attribute),
            Some(node) => instance.fragments.get(node)?.get(attribute),
        }
    }

    /// `set`, and `unset` when there is no value.
    pub(super) fn set(&mut self, path: &Path, fragment: Option<&Path>, value: Option<&Text>) -> Done {
        let parts = self.said(path)?;
        let [owner @ .., attribute] = parts.as_slice() else { return Ok(()) };
        if owner.is_empty() || owner.len() > 2 {
            return Err(self.bad_path(path, "an attribute such as `node0.ticker.period`"));
        }
        if attribute.is_any() {
            let message = "`*` cannot stand for attributes".to_owned();
            return Err(self.report(Diagnostic::new(Code::BadPath, attribute.span, message)));
        }
        let fragment = match fragment {
            Some(path) => Some(self.fragment_node(path)?),
            None => None,
        };
        let instances = self.instances(path, owner)?;
        let text = match value {
            Some(text) => Some((self.value(text)?, text.place.0)),
            None => None,
        };
        if instances.is_empty() {
            self.nothing_matches(path);
        }
        for instance in instances {
            let definition = self.attribute(&instance, attribute)?;
            let nodes = self.fragments_of(&instance, &definition, attribute, fragment.as_ref())?;
            for node in nodes {
                match &text {
                    Some((value, span)) => self.set_one(&instance, node, &definition, value, *span)?,
                    None => self.unset_one(&instance, node, &definition, attribute.span)?,
                }
            }
        }
        Ok(())
    }

    /// The node after the slash.
    fn fragment_node(&mut self, path: &Path) -> Done<Said> {
        let parts = self.said(path)?;
        match parts.as_slice() {
            [only] => {
                if let Some(name) = &only.name {
                    self.node(name, only.span)?;
                }
                Ok(only.clone())
            }
            _ => Err(self.bad_path(path, "a node")),
        }
    }

    fn attribute(&mut self, path: &InstancePath, wanted: &Said) -> Done<Attribute> {
        let name = wanted.text();
        let definition = self.model.instance(path).and_then(|instance| self.model.definition(instance));
        let Some(definition) = definition else {
            let message = format!("the type of `{path}` is not known, so its attributes are not either");
            return Err(self.report(Diagnostic::new(Code::UnknownAttribute, wanted.span, message)));
        };
        if let Some(attribute) = definition.attribute(name) {
            return Ok(attribute.clone());
        }
        let there: Vec<&str> =
            definition.attributes.iter().flatten().map(|attribute| attribute.name.as_str()).collect();
        let help = match did_you_mean(name, there.iter().copied()) {
            _ if name == "started" => "use `start` and `stop`".to_owned(),
            meant if !meant.is_empty() => meant,
            _ if there.is_empty() => "it has no attributes".to_owned(),
            _ => format!("it has: {}", there.join(", ")),
        };
        let message = format!("type `{}` has no attribute `{name}`", definition.id);
        Err(self.report(Diagnostic::new(Code::UnknownAttribute, wanted.span, message).help(help)))
    }

    /// Where the value goes: `[None]` for the instance itself, else the fragments.
    fn fragments_of(
        &mut self,
        path: &InstancePath,
        attribute: &Attribute,
        said: &Said,
        fragment: Option<&Said>,
    ) -> Done<Vec<Option<NodeName>>> {
        let name = &attribute.name;
        let wrong = |this: &mut Self, span, message: String, help: String| {
            Err(this.report(Diagnostic::new(Code::WrongFragment, span, message).help(help)))
        };
        let Some(fragment) = fragment else {
            return match attribute.fragment {
                false => Ok(vec![None]),
                true => {
                    let message = format!("`{name}` has a value for each node");
                    wrong(self, said.span, message, format!("say which: `{path}.{name}/NODE`, or `/*` for all"))
                }
            };
        };
        if !attribute.fragment {
            let message = format!("`{name}` has one value for all nodes");
            return wrong(self, said.span, message, format!("write `{path}.{name}`"));
        }
        let there = self.nodes_of_fragments(path);
        match &fragment.name {
            None => Ok(there.into_iter().map(Some).collect()),
            Some(node) => match there.into_iter().find(|there| there.as_str() == &**node) {
                Some(found) => Ok(vec![Some(found)]),
                None => {
                    let (message, help) = match path {
                        InstancePath::Group(_) => (
                            format!("node `{node}` is not attached to `{path}`"),
                            format!("first: attach {node} {path}"),
                        ),
                        _ => (format!("node `{node}` has nothing bound to `{path}`"), String::new()),
                    };
                    wrong(self, fragment.span, message, help)
                }
            },
        }
    }

    /// The nodes that a group or a channel has a fragment on.
    fn nodes_of_fragments(&self, path: &InstancePath) -> Vec<NodeName> {
        match path {
            InstancePath::Group(group) => {
                let attached = self.model.nodes.iter().filter(|(_, node)| node.groups.contains(group));
                attached.map(|(name, _)| name.clone()).collect()
            }
            InstancePath::Channel(channel) => {
                let nodes = self.model.bindings.of_channel(channel).map(|port| port.node.clone());
                nodes.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn set_one(
        &mut self,
        path: &InstancePath,
        fragment: Option<NodeName>,
        attribute: &Attribute,
        value: &Arc<str>,
        span: Span,
    ) -> Done {
        if let Err(unfit) = attribute.accepts(value) {
            let code = if unfit.is_range() { Code::OutOfRange } else { Code::WrongValue };
            let message = match &unfit {
                Unfit::Empty(_) => unfit.to_string(),
                _ if attribute.secret => format!("the value does not fit `{}`", attribute.name),
                _ => unfit.to_string(),
            };
            return Err(self.report(Diagnostic::new(code, span, message).help(attribute.describe())));
        }
        if self.value_of(path, fragment.as_ref(), attribute.name.as_str()) == Some(value) {
            return Ok(());
        }
        let (path, attribute, value) = (path.clone(), attribute.name.clone(), value.clone());
        self.push(Edit::Set { path, fragment, attribute, value })
    }

    /// Gives an attribute its default again, or no value.
    fn unset_one(
        &mut self,
        path: &InstancePath,
        fragment: Option<NodeName>,
        attribute: &Attribute,
        span: Span,
    ) -> Done {
        let there = self.value_of(path, fragment.as_ref(), attribute.name.as_str());
        if there == attribute.default.as_deref() {
            return Ok(());
        }
        let name = attribute.name.clone();
        match &fragment {
            None => drop(self.to_complete.insert(path.clone(), span)),
            Some(node) => drop(self.fragments_to_complete.insert((path.clone(), node.clone()), span)),
        }
        let path = path.clone();
        match &attribute.default {
            Some(value) => self.push(Edit::Set { path, fragment, attribute: name, value: value.clone() }),
            None => self.push(Edit::Unset { path, fragment, attribute: name }),
        }
    }

    pub(super) fn network(&mut self, path: &Path, value: Option<&Text>) -> Done {
        let parts = self.said(path)?;
        let [node, interface, key] = parts.as_slice() else {
            return Err(self.bad_path(path, "an address such as `node0.lan.ip`"));
        };
        let nodes = self.nodes(node)?;
        let value = match value {
            Some(text) => Some(self.value(text)?),
            None => None,
        };
        let mut found = false;
        for node in nodes {
            for (interface, key) in self.addresses(&node, interface, key, value.is_some()) {
                found = true;
                let networks = self.model.nodes.get(&node).map(|node| &node.networks);
                let there = networks.and_then(|networks| networks.get(&interface)?.get(&key));
                if there != value.as_ref() {
                    self.push(Edit::SetNetwork { node: node.clone(), interface, key, value: value.clone() })?;
                }
            }
        }
        if !found {
            self.nothing_matches(path);
        }
        Ok(())
    }

    /// The interfaces and keys that are meant: `*` stands for those that are there, a name also for a new one.
    fn addresses(&self, node: &NodeName, interface: &Said, key: &Said, new: bool) -> Vec<(Arc<str>, Arc<str>)> {
        let networks = self.model.nodes.get(node).map(|node| node.networks.clone()).unwrap_or_default();
        let interfaces: Vec<Arc<str>> = match &interface.name {
            Some(name) => vec![name.clone()],
            None => networks.keys().cloned().collect(),
        };
        let mut found = Vec::new();
        for interface in interfaces {
            let there = networks.get(&interface).cloned().unwrap_or_default();
            match &key.name {
                Some(key) if new || there.contains_key(key) => found.push((interface, key.clone())),
                Some(_) => {}
                None => found.extend(there.keys().map(|key| (interface.clone(), key.clone()))),
            }
        }
        found
    }

    pub(super) fn property(&mut self, path: &Path, value: Option<&Text>) -> Done {
        let parts = self.said(path)?;
        let [node, key] = parts.as_slice() else {
            return Err(self.bad_path(path, "a property such as `node0.gpu`"));
        };
        let nodes = self.nodes(node)?;
        let key = match &key.name {
            Some(name) => Some(self.name::<AttributeName>(name, key.span)?),
            None => None,
        };
        let value = match value {
            Some(text) => Some(self.value(text)?),
            None => None,
        };
        for node in nodes {
            let there = self.model.nodes.get(&node).map(|node| node.properties.clone()).unwrap_or_default();
            let keys = match &key {
                Some(key) => vec![key.clone()],
                None => there.keys().cloned().collect(),
            };
            for property in keys {
                if there.get(&property) != value.as_ref() {
                    self.push(Edit::SetProperty { node: node.clone(), property, value: value.clone() })?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn meta(&mut self, path: &Path, value: Option<&Text>) -> Done {
        let parts = self.said(path)?;
        let [owner @ .., key] = parts.as_slice() else { return Ok(()) };
        if owner.is_empty() || owner.len() > 2 {
            return Err(self.bad_path(path, "an annotation such as `node0.description`"));
        }
        let instances = self.instances(path, owner)?;
        let value = match value {
            Some(text) => Some(self.value(text)?),
            None => None,
        };
        for path in instances {
            let there = self.model.instance(&path).map(|instance| instance.metadata.clone()).unwrap_or_default();
            let keys = match &key.name {
                Some(key) => vec![arc(key)],
                None => there.keys().cloned().collect(),
            };
            for key in keys {
                if there.get(&key) != value.as_ref() {
                    self.push(Edit::SetMetadata { path: path.clone(), key, value: value.clone() })?;
                }
            }
        }
        Ok(())
    }
}
