//! What is where, and whether it runs: `remove`, `move`, `host`, `unhost`, `start`, `stop`, and scopes.

use super::{
    Done, Evaluator,
    names::{Said, child_named},
};
use crate::{
    logic::script::{
        diagnostic::{Code, Diagnostic, Span},
        statement::Path,
    },
    model::Edit,
    words::{ComponentName, InstancePath, NodeName, ScopeName},
};

impl Evaluator<'_> {
    /// Calls `step` with what each name of a list stands for; an error in one name does not hide those of the others.
    pub(super) fn each(
        &mut self,
        names: &[Path],
        mut step: impl FnMut(&mut Self, &Path, InstancePath) -> Done,
    ) -> Done {
        for path in names {
            let Ok(parts) = self.said(path) else { continue };
            let Ok(found) = self.instances(path, &parts) else { continue };
            if found.is_empty() {
                self.nothing_matches(path);
            }
            for instance in found {
                if step(self, path, instance).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The same for names of nodes.
    pub(super) fn each_node(
        &mut self,
        names: &[Path],
        mut step: impl FnMut(&mut Self, &Path, NodeName) -> Done,
    ) -> Done {
        for path in names {
            let Ok(parts) = self.said(path) else { continue };
            let nodes = match parts.as_slice() {
                [only] => self.nodes(only),
                // A hosted node may be written with its host.
                [host, child] if !child.is_any() => self.hosted(host, child),
                _ => Err(self.bad_path(path, "a node")),
            };
            let Ok(nodes) = nodes else { continue };
            if nodes.is_empty() {
                self.nothing_matches(path);
            }
            for node in nodes {
                if step(self, path, node).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn hosted(&mut self, host: &Said, child: &Said) -> Done<Vec<NodeName>> {
        let found = self.children(host, child)?;
        let nodes: Vec<NodeName> = found
            .iter()
            .filter_map(|path| match path {
                InstancePath::Node(node) => Some(node.clone()),
                _ => None,
            })
            .collect();
        if nodes.is_empty() {
            let message = format!("`{}.{}` is a component, a node is needed here", host.text(), child.text());
            return Err(self.report(Diagnostic::new(Code::WrongKind, child.span, message)));
        }
        Ok(nodes)
    }

    pub(super) fn remove(&mut self, names: &[Path]) -> Done {
        let mut all = Vec::new();
        self.each(names, |_, _, instance| {
            all.push(instance);
            Ok(())
        })?;
        for path in all {
            // Part of it may have gone with something else of the list.
            if self.model.instance(&path).is_some() {
                self.push(Edit::Remove { path })?;
            }
        }
        Ok(())
    }

    pub(super) fn set_started(&mut self, names: &[Path], started: bool) -> Done {
        self.each(names, |this, _, instance| this.start_one(&instance, started))
    }

    pub(super) fn start_one(&mut self, path: &InstancePath, started: bool) -> Done {
        match self.model.instance(path) {
            Some(instance) if instance.started != started => {
                self.push(Edit::SetStarted { path: path.clone(), started })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn move_to(&mut self, names: &[Path], target: &Path) -> Done {
        let to = self.one_node(target)?;
        for path in names {
            let Ok(parts) = self.said(path) else { continue };
            let found = match parts.as_slice() {
                [only] if only.is_any() => {
                    let message = "`*` cannot be moved: not every node fits under one of them".to_owned();
                    Err(self.report(Diagnostic::new(Code::BadPath, path.span(), message)))
                }
                [only] => self.node(only.text(), only.span).map(|node| vec![InstancePath::Node(node)]),
                [node, child] => self.children(node, child),
                _ => Err(self.bad_path(path, "a component such as `node0.ticker`, or a node")),
            };
            let Ok(found) = found else { continue };
            if found.is_empty() {
                self.nothing_matches(path);
            }
            let (span, wild) = (parts[parts.len() - 1].span, parts.iter().any(Said::is_any));
            for instance in found {
                let done = match instance {
                    InstancePath::Component(node, name) => self.move_component(&node, &name, &to, span),
                    // What hosts the target stays: it was not meant.
                    InstancePath::Node(node) if wild && self.is_above(&node, &to) => Ok(()),
                    InstancePath::Node(node) => self.host_one(&node, Some(&to), span),
                    _ => Ok(()),
                };
                if done.is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn one_node(&mut self, path: &Path) -> Done<NodeName> {
        let parts = self.said(path)?;
        match parts.as_slice() {
            [only] if !only.is_any() => self.node(only.text(), only.span),
            _ => Err(self.bad_path(path, "one node")),
        }
    }

    fn move_component(&mut self, node: &NodeName, name: &ComponentName, to: &NodeName, span: Span) -> Done {
        if node == to {
            return Ok(());
        }
        if child_named(&self.model, to, name.as_str()).is_some() {
            let message = format!("`{to}` has a `{name}` already");
            return Err(self.report(Diagnostic::new(Code::NameTaken, span, message)));
        }
        let chosen = self.model.component(node, name).and_then(|component| self.chosen_of(&component.instance));
        if let (Some(chosen), Some(host)) = (chosen, self.model.nodes.get(to).cloned()) {
            self.fits_platform(&chosen, &host, to.as_str(), span)?;
        }
        self.push(Edit::MoveComponent { node: node.clone(), name: name.clone(), to: to.clone() })?;
        let before = InstancePath::Component(node.clone(), name.clone());
        let after = InstancePath::Component(to.clone(), name.clone());
        if let Some(span) = self.added.remove(&before) {
            self.added.insert(after.clone(), span);
        }
        if let Some(span) = self.to_complete.remove(&before) {
            self.to_complete.insert(after, span);
        }
        let bindings: Vec<_> = self.model.bindings.of_component(to, name).cloned().collect();
        for binding in bindings {
            self.give_fragment(&InstancePath::Channel(binding.channel), to, span)?;
        }
        Ok(())
    }

    /// Whether `node` is `other` or hosts it, over any number of floors.
    fn is_above(&self, node: &NodeName, other: &NodeName) -> bool {
        let mut at = Some(other);
        // Bounded: a broken model may have a cycle.
        for _ in 0..=self.model.nodes.len() {
            match at {
                Some(name) if name == node => return true,
                Some(name) => at = self.model.nodes.get(name).and_then(|node| node.host.as_ref()),
                None => return false,
            }
        }
        true
    }

    pub(super) fn host_one(&mut self, node: &NodeName, host: Option<&NodeName>, span: Span) -> Done {
        if let Some(host) = host {
            if self.is_above(node, host) {
                let message = match node == host {
                    true => format!("node `{node}` cannot host itself"),
                    false => format!("node `{node}` cannot be hosted by `{host}`, which it hosts itself"),
                };
                return Err(self.report(Diagnostic::new(Code::WrongHost, span, message)));
            }
            let name = ComponentName::parse(node.as_str());
            if name.is_ok_and(|name| self.model.component(host, &name).is_some()) {
                let message = format!("`{host}` has a component `{node}` already");
                return Err(self.report(Diagnostic::new(Code::NameTaken, span, message)));
            }
        }
        match self.model.nodes.get(node) {
            Some(found) if found.host.as_ref() != host => {
                self.push(Edit::Host { node: node.clone(), host: host.cloned() })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn host(&mut self, names: &[Path], target: &Path) -> Done {
        let host = self.one_node(target)?;
        self.each_node(names, |this, path, node| this.host_one(&node, Some(&host), path.span()))
    }

    pub(super) fn unhost(&mut self, names: &[Path]) -> Done {
        self.each_node(names, |this, path, node| this.host_one(&node, None, path.span()))
    }

    pub(super) fn scope(&mut self, names: &[Path]) -> Done {
        for path in names {
            let Ok(parts) = self.said(path) else { continue };
            let [Said { name: Some(name), span }] = parts.as_slice() else {
                self.bad_path(path, "a name for a scope");
                continue;
            };
            let Ok(scope) = self.name::<ScopeName>(name, *span) else { continue };
            if !self.model.scopes.contains_key(&scope) {
                self.push(Edit::AddScope(scope))?;
            }
        }
        Ok(())
    }

    pub(super) fn unscope(&mut self, names: &[Path]) -> Done {
        for path in names {
            let Ok(scopes) = self.scopes_at(path) else { continue };
            for scope in scopes {
                self.push(Edit::RemoveScope(scope))?;
            }
        }
        Ok(())
    }

    fn scopes_at(&mut self, path: &Path) -> Done<Vec<ScopeName>> {
        let parts = self.said(path)?;
        match parts.as_slice() {
            [only] => self.scopes(only),
            _ => Err(self.bad_path(path, "a scope")),
        }
    }

    /// `enter` and `leave`.
    pub(super) fn enter(&mut self, names: &[Path], scope: &Path, inside: bool) -> Done {
        let scopes = self.scopes_at(scope)?;
        self.each_node(names, |this, _, node| {
            for scope in &scopes {
                let is_inside = this.model.scopes.get(scope).is_some_and(|scope| scope.members.contains(&node));
                let (node, scope) = (node.clone(), scope.clone());
                match inside {
                    true if !is_inside => this.push(Edit::Enter { node, scope })?,
                    false if is_inside => this.push(Edit::Leave { node, scope })?,
                    _ => {}
                }
            }
            Ok(())
        })
    }
}
