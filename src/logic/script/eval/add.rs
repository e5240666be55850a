//! `add` and `upgrade`: instances and their types.

use imbl::OrdSet;

use super::{
    Done, Evaluator, GivenUp,
    names::{Said, child_named, dotted, kind_of, last_name, top_named},
    types::{Chosen, defaults},
};
use crate::{
    logic::script::{
        diagnostic::{Code, Diagnostic, Span},
        statement::{Path, TypeSpec},
    },
    model::{Edit, Kind},
    words::{ComponentName, InstancePath, NodeName, PortName},
};

impl Evaluator<'_> {
    pub(super) fn add(&mut self, names: &[Path], spec: &TypeSpec) -> Done {
        let said: Vec<_> = names.iter().map(|path| (path, self.said(path))).collect();
        let Ok(chosen) = self.chosen(spec) else {
            // What would have been added is missed by later statements; the reason is told.
            self.excused.extend(said.iter().filter_map(|(_, parts)| parts.as_ref().ok()).map(|parts| dotted(parts)));
            return Err(GivenUp);
        };
        for (path, parts) in said {
            let Ok(parts) = parts else { continue };
            if self.add_one(path, &parts, &chosen).is_err() && !self.is_there(&parts) {
                self.excused.insert(dotted(&parts));
            }
        }
        Ok(())
    }

    fn is_there(&self, parts: &[Said]) -> bool {
        match parts {
            [only] => self.model.kind_of(only.text()).is_some(),
            [node, child] => {
                NodeName::parse(node.text()).is_ok_and(|node| child_named(&self.model, &node, child.text()).is_some())
            }
            _ => false,
        }
    }

    fn add_one(&mut self, path: &Path, parts: &[Said], chosen: &Chosen) -> Done {
        let span = path.span();
        if parts.last().is_some_and(Said::is_any) {
            let message = format!("`{path}` is no name for something new: `*` stands for what is there");
            return Err(self.report(Diagnostic::new(Code::BadPath, span, message)));
        }
        match (chosen.kind(), parts) {
            (Kind::Component, [node, child]) => self.add_components(path, node, child, chosen),
            (Kind::Component, [only]) => {
                let message = format!("`{}` is a component type: a component is added to a node", chosen.id());
                let help = format!("add NODE.{} : {}", only.text(), chosen.id().name);
                Err(self.report(Diagnostic::new(Code::WrongKind, span, message).help(help)))
            }
            (Kind::Node, [name]) => self.add_top(name, span, None, chosen),
            (Kind::Node, [host, _]) if host.is_any() => {
                let message = format!("`{path}` would be one name for many nodes: `*` only works for components");
                Err(self.report(Diagnostic::new(Code::BadPath, span, message)))
            }
            (Kind::Node, [host, name]) => {
                let host = self.node(host.text(), host.span)?;
                if child_named(&self.model, &host, name.text()).is_some_and(|path| kind_of(&path) == Kind::Component) {
                    return Err(self.name_taken(name.text(), span, "a component of the host"));
                }
                self.add_top(name, span, Some(host), chosen)
            }
            (Kind::Channel | Kind::Group, [name]) => self.add_top(name, span, None, chosen),
            (kind @ (Kind::Channel | Kind::Group), [_, name]) => {
                let message = format!("`{}` is a {kind} type: a {kind} does not live on a node", chosen.id());
                let help = format!("add {} : {}", name.text(), chosen.id().name);
                Err(self.report(Diagnostic::new(Code::WrongKind, span, message).help(help)))
            }
            (Kind::Port, _) => {
                let message = format!("`{}` is a type of ports: it has no instances", chosen.id());
                Err(self.report(Diagnostic::new(Code::WrongKind, span, message)))
            }
            _ => Err(self.bad_path(path, "a name such as `node0` or `node0.ticker`")),
        }
    }

    fn add_components(&mut self, path: &Path, node: &Said, child: &Said, chosen: &Chosen) -> Done {
        let name: ComponentName = self.name(child.text(), child.span)?;
        let nodes = match node.is_any() {
            false => self.nodes(node)?,
            // As in Kevoree: `*` are the nodes at the top.
            true => {
                self.model.nodes.iter().filter(|(_, node)| node.host.is_none()).map(|(name, _)| name.clone()).collect()
            }
        };
        if nodes.is_empty() {
            return match self.excused.is_empty() {
                false => Err(GivenUp),
                true => {
                    let message = format!("there is no node that could have `{name}`");
                    Err(self.report(Diagnostic::new(Code::UnknownName, node.span, message)))
                }
            };
        }
        for node in nodes {
            self.add_component(&node, &name, path.span(), chosen)?;
        }
        Ok(())
    }

    fn add_component(&mut self, node: &NodeName, name: &ComponentName, span: Span, chosen: &Chosen) -> Done {
        let path = InstancePath::Component(node.clone(), name.clone());
        if self.model.component(node, name).is_some() {
            return self.add_again(path, span, chosen);
        }
        if child_named(&self.model, node, name.as_str()).is_some() {
            return Err(self.name_taken(name.as_str(), span, "a node hosted there"));
        }
        if let Some(host) = self.model.nodes.get(node).cloned() {
            self.fits_platform(chosen, &host, node.as_str(), span)?;
        }
        self.adopt(chosen)?;
        self.push(Edit::AddComponent {
            node: node.clone(),
            name: name.clone(),
            id: self.model.fresh_id(self.salt, node, name),
            instance: chosen.instance(),
            provided: chosen.provided(),
            required: chosen.required(),
        })?;
        self.remember(path, span);
        Ok(())
    }

    /// Adds a node, a channel or a group.
    fn add_top(&mut self, name: &Said, span: Span, host: Option<NodeName>, chosen: &Chosen) -> Done {
        let text = name.text();
        if let Some(there) = top_named(&self.model, text) {
            if kind_of(&there) != chosen.kind() {
                return Err(self.name_taken(text, span, &format!("a {}", kind_of(&there))));
            }
            self.add_again(there, span, chosen)?;
            return match host {
                Some(host) => {
                    let node = self.name::<NodeName>(text, name.span)?;
                    self.host_one(&node, Some(&host), span)
                }
                None => Ok(()),
            };
        }
        let path = match chosen.kind() {
            Kind::Channel => InstancePath::Channel(self.name(text, name.span)?),
            Kind::Group => InstancePath::Group(self.name(text, name.span)?),
            _ => InstancePath::Node(self.name(text, name.span)?),
        };
        self.adopt(chosen)?;
        let instance = chosen.instance();
        self.push(match &path {
            InstancePath::Node(name) => Edit::AddNode { name: name.clone(), instance, host },
            _ => Edit::AddInstance { path: path.clone(), instance },
        })?;
        self.remember(path, span);
        Ok(())
    }

    fn remember(&mut self, path: InstancePath, span: Span) {
        self.to_complete.insert(path.clone(), span);
        self.added.insert(path, span);
    }

    fn name_taken(&mut self, name: &str, span: Span, by: &str) -> GivenUp {
        self.report(Diagnostic::new(Code::NameTaken, span, format!("`{name}` is already the name of {by}")))
    }

    /// The name is in the model: an error when this script added it, else the instance gets the type and is started.
    fn add_again(&mut self, path: InstancePath, span: Span, chosen: &Chosen) -> Done {
        if self.added.contains_key(&path) {
            let message = format!("`{path}` is added already");
            return Err(self.report(
                Diagnostic::new(Code::NameTaken, span, message).help("another name, or `upgrade` for another type"),
            ));
        }
        let had = self.model.instance(&path).and_then(|instance| instance.type_ref.clone());
        if let Some(had) = had.filter(|had| had != chosen.id()) {
            let message = format!("`{path}` is there already: its type changes from `{had}` to `{}`", chosen.id());
            self.warn(Diagnostic::new(Code::AddedAgain, span, message));
        }
        self.retype(&path, span, chosen)?;
        self.start_one(&path, true)?;
        self.remember(path, span);
        Ok(())
    }

    pub(super) fn upgrade(&mut self, names: &[Path], spec: &TypeSpec) -> Done {
        let said: Vec<_> = names.iter().map(|path| (path, self.said(path))).collect();
        let chosen = self.chosen(spec)?;
        for (path, parts) in said {
            let Ok(parts) = parts else { continue };
            let Ok(found) = self.instances(path, &parts) else { continue };
            if found.is_empty() {
                self.nothing_matches(path);
            }
            for instance in found {
                if self.retype(&instance, path.span(), &chosen).is_ok() {
                    self.to_complete.insert(instance, path.span());
                }
            }
        }
        Ok(())
    }

    /// Gives an instance another type: values that the type takes stay, the others go, missing ones get their default.
    fn retype(&mut self, path: &InstancePath, span: Span, chosen: &Chosen) -> Done {
        let (id, kind) = (chosen.id(), chosen.kind());
        if kind_of(path) != kind {
            let message = format!("`{path}` is a {}, `{id}` is a {kind} type", kind_of(path));
            return Err(self.report(Diagnostic::new(Code::CannotUpgrade, span, message)));
        }
        if let InstancePath::Component(node, name) = path {
            if let Some(host) = self.model.nodes.get(node).cloned() {
                self.fits_platform(chosen, &host, node.as_str(), span)?;
            }
            let kept = |port: &str| {
                chosen.definition.provided.iter().chain(&chosen.definition.required).any(|p| p.name.as_str() == port)
            };
            let lost = self.model.bindings.of_component(node, name).find(|binding| !kept(binding.port.port.as_str()));
            if let Some(binding) = lost.cloned() {
                let message =
                    format!("`{id}` has no port `{}`, which is bound to `{}`", binding.port.port, binding.channel);
                let help = format!("first: unbind {} {}", binding.port, binding.channel);
                return Err(self.report(Diagnostic::new(Code::CannotUpgrade, span, message).help(help)));
            }
        }
        self.adopt(chosen)?;
        let ports: OrdSet<PortName> = chosen.provided().into_iter().collect();
        let sending: OrdSet<PortName> = chosen.required().into_iter().collect();
        let same_type = self.model.instance(path).is_some_and(|instance| instance.type_ref.as_ref() == Some(id));
        let same_ports = match path {
            InstancePath::Component(node, name) => {
                let component = self.model.component(node, name);
                component.is_some_and(|component| component.provided == ports && component.required == sending)
            }
            _ => true,
        };
        if !(same_type && same_ports) {
            let (provided, required) = (chosen.provided(), chosen.required());
            self.push(Edit::Retype { path: path.clone(), type_ref: id.clone(), provided, required })?;
            if let InstancePath::Component(node, name) = path {
                let bindings: Vec<_> = self.model.bindings.of_component(node, name).cloned().collect();
                self.bound.extend(bindings.into_iter().map(|binding| (binding, span)));
            }
        }
        self.carry_values(path, span, chosen)
    }

    /// Brings the values of an instance in line with its type.
    fn carry_values(&mut self, path: &InstancePath, span: Span, chosen: &Chosen) -> Done {
        let Some(instance) = self.model.instance(path).cloned() else { return Ok(()) };
        let own = instance.dictionary.clone().unwrap_or_default();
        let fragments = instance.fragments.iter().map(|(node, values)| (Some(node.clone()), values.clone()));
        for (node, values) in [(None, own)].into_iter().chain(fragments.collect::<Vec<_>>()) {
            for (name, value) in values.iter() {
                let attribute =
                    chosen.definition.attribute(name.as_str()).filter(|attribute| attribute.fragment == node.is_some());
                let takes = attribute.is_some_and(|attribute| {
                    attribute.default.as_ref() == Some(value) || attribute.accepts(value).is_ok()
                });
                if takes {
                    continue;
                }
                let message = match attribute {
                    Some(_) => {
                        format!("`{}` does not take the value of `{name}` that `{}` has", chosen.id(), last_name(path))
                    }
                    None => format!("`{}` has no attribute `{name}`: its value goes", chosen.id()),
                };
                self.warn(Diagnostic::new(Code::ValueDropped, span, message));
                self.push(Edit::Unset { path: path.clone(), fragment: node.clone(), attribute: name.clone() })?;
            }
            let missing = defaults(&chosen.definition, node.is_some());
            for (name, value) in missing.iter() {
                let there = self.value_of(path, node.as_ref(), name.as_str()).is_some();
                if !there {
                    let (fragment, attribute, value) = (node.clone(), name.clone(), value.clone());
                    self.push(Edit::Set { path: path.clone(), fragment, attribute, value })?;
                }
            }
        }
        Ok(())
    }
}
