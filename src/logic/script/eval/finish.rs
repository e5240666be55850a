//! What can only be told in the end: values that are still missing, ports on one channel that do not fit.

use std::collections::{BTreeMap, HashMap};

use super::Evaluator;
use crate::{
    logic::script::diagnostic::{Code, Diagnostic, Span},
    model::{Attribute, Model, PortDefinition},
    words::{ChannelName, InstancePath, NodeName, PortPath},
};

impl Evaluator<'_> {
    /// Checks what the script touched, in the order in which it was written.
    pub(super) fn finish(&mut self) {
        let mut faults = self.missing_values();
        faults.extend(self.misfits());
        faults.sort_by_key(|fault| fault.span);
        for fault in faults {
            self.warn(fault);
        }
    }

    fn missing_values(&self) -> Vec<Diagnostic> {
        let own = self.to_complete.iter().map(|(path, span)| (path, None, *span));
        let fragments = self.fragments_to_complete.iter().map(|((path, node), span)| (path, Some(node), *span));
        let mut faults = Vec::new();
        for (path, node, span) in own.chain(fragments) {
            faults.extend(self.missing_at(path, node).map(|attribute| {
                let (name, on) = (&attribute.name, node.map(|node| format!("/{node}")).unwrap_or_default());
                let message = format!(
                    "`{path}` needs a value for `{name}`{}",
                    node.map(|node| format!(" on `{node}`")).unwrap_or_default()
                );
                Diagnostic::new(Code::MissingValue, span, message)
                    .help(format!("set {path}.{name}{on} = '…'   ({})", attribute.describe()))
            }));
        }
        faults.sort_by(|a, b| a.message.cmp(&b.message));
        faults
    }

    /// The attributes of an instance (or of its fragment) that need a value and have none.
    fn missing_at<'a>(
        &'a self,
        path: &'a InstancePath,
        node: Option<&'a NodeName>,
    ) -> impl Iterator<Item = &'a Attribute> {
        let is_there = node.is_none_or(|node| match path {
            InstancePath::Group(group) => self.model.nodes.get(node).is_some_and(|node| node.groups.contains(group)),
            InstancePath::Channel(channel) => self.model.bindings.of_channel(channel).any(|port| port.node == *node),
            _ => false,
        });
        let instance = self.model.instance(path).filter(|_| is_there);
        let definition = instance.and_then(|instance| self.model.definition(instance));
        let attributes = definition.into_iter().flat_map(|definition| definition.attributes.iter().flatten());
        attributes.filter(move |attribute| {
            attribute.fragment == node.is_some()
                && !attribute.optional
                && attribute.default.is_none()
                && self.value_of(path, node, attribute.name.as_str()).is_none()
        })
    }

    /// Senders and receivers on one channel that carry different messages: one fault for each channel.
    fn misfits(&self) -> Vec<Diagnostic> {
        let mut touched: BTreeMap<&ChannelName, HashMap<&PortPath, Span>> = BTreeMap::new();
        for (binding, span) in &self.bound {
            touched.entry(&binding.channel).or_default().insert(&binding.port, *span);
        }
        let fault = |(channel, spans): (&ChannelName, HashMap<&PortPath, Span>)| misfit(&self.model, channel, &spans);
        touched.into_iter().filter_map(fault).collect()
    }
}

/// The first pair of a sender and a receiver on a channel that do not fit; told where the later of them was bound.
fn misfit(model: &Model, channel: &ChannelName, spans: &HashMap<&PortPath, Span>) -> Option<Diagnostic> {
    // One of each schema is enough: a thousand equal ports are compared once.
    let (mut senders, mut receivers) = (BTreeMap::new(), BTreeMap::new());
    for port in model.bindings.of_channel(channel) {
        let Some((definition, sends)) = definition_of(model, port) else { continue };
        if definition.schema == 0 {
            continue;
        }
        let ends: &mut BTreeMap<u64, Vec<_>> = if sends { &mut senders } else { &mut receivers };
        ends.entry(definition.schema).or_default().push((port, definition));
    }
    for (sent, from) in &senders {
        for (taken, to) in &receivers {
            if sent == taken {
                continue;
            }
            let ends = from.iter().chain(to).filter_map(|(port, _)| spans.get(port).map(|span| (*span, *port)));
            let Some((span, port)) = ends.max_by_key(|(span, _)| *span) else { continue };
            let (from, to) = (from.first()?, to.first()?);
            let other = if from.0 == port { to } else { from };
            let message = format!(
                "`{}` sends {} and `{}` takes {}: they do not fit on channel `{channel}`",
                from.0, from.1.message, to.0, to.1.message
            );
            let help = format!("`{}` is there: take another channel", other.0);
            return Some(Diagnostic::new(Code::PortsDoNotFit, span, message).help(help));
        }
    }
    None
}

/// The definition of a port, and whether it sends.
fn definition_of<'a>(model: &'a Model, port: &PortPath) -> Option<(&'a PortDefinition, bool)> {
    let component = model.component(&port.node, &port.component)?;
    let definition = model.definition(&component.instance)?;
    let named = |ports: &'a [PortDefinition]| ports.iter().find(|definition| definition.name == port.port);
    let sends = component.required.contains(&port.port);
    let found = if sends { named(&definition.required) } else { named(&definition.provided) };
    found.map(|definition| (definition, sends))
}
