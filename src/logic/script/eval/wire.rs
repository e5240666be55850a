//! What is connected: nodes to groups, ports to channels.

use super::{
    Done, Evaluator, GivenUp,
    names::{Said, dotted},
    types::defaults,
};
use crate::{
    logic::script::{
        diagnostic::{Code, Diagnostic, Span, did_you_mean},
        statement::Path,
    },
    model::{Binding, Edit},
    words::{ChannelName, ComponentName, GroupName, InstancePath, NodeName, PortName, PortPath},
};

impl Evaluator<'_> {
    fn groups_at(&mut self, path: &Path) -> Done<Vec<GroupName>> {
        let parts = self.said(path)?;
        match parts.as_slice() {
            [only] => self.groups(only),
            _ => Err(self.bad_path(path, "a group")),
        }
    }

    fn channels_at(&mut self, path: &Path) -> Done<Vec<ChannelName>> {
        let parts = self.said(path)?;
        match parts.as_slice() {
            [only] => self.channels(only),
            _ => Err(self.bad_path(path, "a channel")),
        }
    }

    pub(super) fn attach(&mut self, names: &[Path], group: &Path) -> Done {
        let groups = self.groups_at(group)?;
        self.each_node(names, |this, path, node| {
            for group in &groups {
                let attached = this.model.nodes.get(&node).is_some_and(|node| node.groups.contains(group));
                if !attached {
                    this.push(Edit::Attach { node: node.clone(), group: group.clone() })?;
                }
                this.give_fragment(&InstancePath::Group(group.clone()), &node, path.span())?;
            }
            Ok(())
        })
    }

    pub(super) fn detach(&mut self, names: &[Path], group: &Path) -> Done {
        let groups = self.groups_at(group)?;
        self.each_node(names, |this, _, node| {
            for group in &groups {
                let attached = this.model.nodes.get(&node).is_some_and(|node| node.groups.contains(group));
                if attached {
                    this.push(Edit::Detach { node: node.clone(), group: group.clone() })?;
                }
            }
            Ok(())
        })
    }

    /// Gives a group's or a channel's fragment on a node the defaults that it lacks.
    pub(super) fn give_fragment(&mut self, path: &InstancePath, node: &NodeName, span: Span) -> Done {
        let Some(instance) = self.model.instance(path) else { return Ok(()) };
        let Some(definition) = self.model.definition(instance) else { return Ok(()) };
        if !definition.attributes.iter().flatten().any(|attribute| attribute.fragment) {
            return Ok(());
        }
        for (attribute, value) in defaults(definition, true).iter() {
            if self.value_of(path, Some(node), attribute.as_str()).is_none() {
                let (fragment, attribute, value) = (Some(node.clone()), attribute.clone(), value.clone());
                self.push(Edit::Set { path: path.clone(), fragment, attribute, value })?;
            }
        }
        self.fragments_to_complete.insert((path.clone(), node.clone()), span);
        Ok(())
    }

    pub(super) fn bind(&mut self, port: &Path, channel: &Path) -> Done {
        let ports = self.ports(port);
        let channels = self.channels_at(channel)?;
        let ports = ports?;
        let span = self.here;
        for binding in pairs(&ports, &channels) {
            if self.model.bindings.contains(&binding) {
                continue;
            }
            self.push(Edit::Bind(binding.clone()))?;
            let channel = InstancePath::Channel(binding.channel.clone());
            self.give_fragment(&channel, &binding.port.node, span)?;
            self.bound.push((binding, span));
        }
        Ok(())
    }

    pub(super) fn unbind(&mut self, port: &Path, channel: &Path) -> Done {
        let ports = self.ports(port);
        let channels = self.channels_at(channel)?;
        let ports = ports?;
        for binding in pairs(&ports, &channels) {
            if self.model.bindings.contains(&binding) {
                self.push(Edit::Unbind(binding))?;
            }
        }
        Ok(())
    }

    /// `node.component.port` with wildcards: at least one port, and every component that is meant has it.
    fn ports(&mut self, path: &Path) -> Done<Vec<PortPath>> {
        let parts = self.said(path)?;
        let [node, component, port] = parts.as_slice() else {
            return Err(self.bad_path(path, "a port such as `node0.ticker.tick`"));
        };
        let mut ports = Vec::new();
        let components = self.components(node, component)?;
        for (node, component) in &components {
            self.ports_of(node, component, port, &mut ports)?;
        }
        if ports.is_empty() {
            return match self.excused.is_empty() {
                false => Err(GivenUp),
                true => Err(self.report(Diagnostic::new(
                    Code::UnknownPort,
                    path.span(),
                    format!("`{path}` matches no port"),
                ))),
            };
        }
        Ok(ports)
    }

    fn components(&mut self, node: &Said, component: &Said) -> Done<Vec<(NodeName, ComponentName)>> {
        let found = self.children(node, component)?;
        let is_any = component.is_any();
        let components: Vec<_> = found
            .into_iter()
            .filter_map(|path| match path {
                InstancePath::Component(node, name) => Some((node, name)),
                _ => None,
            })
            .collect();
        if components.is_empty() && !is_any {
            let message =
                format!("`{}` is a node: ports belong to components", dotted(&[node.clone(), component.clone()]));
            return Err(self.report(Diagnostic::new(Code::WrongKind, component.span, message)));
        }
        Ok(components)
    }

    fn ports_of(
        &mut self,
        node: &NodeName,
        component: &ComponentName,
        wanted: &Said,
        ports: &mut Vec<PortPath>,
    ) -> Done {
        let Some(found) = self.model.component(node, component) else { return Ok(()) };
        let there: Vec<PortName> = found.provided.iter().chain(found.required.iter()).cloned().collect();
        let path = |port: PortName| PortPath { node: node.clone(), component: component.clone(), port };
        let Some(name) = &wanted.name else {
            ports.extend(there.into_iter().map(path));
            return Ok(());
        };
        if let Some(port) = there.iter().find(|port| port.as_str() == &**name) {
            ports.push(path(port.clone()));
            return Ok(());
        }
        let there: Vec<&str> = there.iter().map(PortName::as_str).collect();
        let help = match did_you_mean(name, there.iter().copied()) {
            meant if !meant.is_empty() => meant,
            _ if there.is_empty() => "it has no ports".to_owned(),
            _ => format!("it has: {}", there.join(", ")),
        };
        let message = format!("component `{node}.{component}` has no port `{name}`");
        Err(self.report(Diagnostic::new(Code::UnknownPort, wanted.span, message).help(help)))
    }
}

fn pairs(ports: &[PortPath], channels: &[ChannelName]) -> impl Iterator<Item = Binding> {
    ports.iter().flat_map(move |port| {
        channels.iter().map(move |channel| Binding { port: port.clone(), channel: channel.clone() })
    })
}
