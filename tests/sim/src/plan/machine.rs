//! What runs on the node of the world of plans, said independently of how plans are made.

use std::collections::{BTreeMap, BTreeSet};

use enact::{
    logic::plan::{Adaptation, Subject},
    model::{Binding, ComponentId, Dictionary, Instance, Model},
    words::{InstancePath, NodeName, TypeRef},
};

use crate::trace::{Checked, hold};

#[derive(Clone, Debug, PartialEq)]
struct Live {
    type_ref: TypeRef,
    id: ComponentId,
    is_started: bool,
    values: Dictionary,
    /// What it was told when it was started or updated.
    told: Option<Dictionary>,
}

/// What runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Machine {
    live: BTreeMap<InstancePath, Live>,
    ends: BTreeSet<Binding>,
}

fn live(instance: &Instance, id: ComponentId, node: &NodeName) -> Option<Live> {
    let values = instance.dictionary_on(node);
    Some(Live {
        type_ref: instance.type_ref.clone()?,
        id,
        is_started: instance.started,
        told: instance.started.then(|| values.clone()),
        values,
    })
}

impl Machine {
    /// What is to run when a model has been adopted.
    pub(super) fn of(model: &Model, node: &NodeName) -> Machine {
        let mut machine = Machine::default();
        let Some(own) = model.nodes.get(node) else { return machine };
        for (name, component) in &own.components {
            let path = InstancePath::Component(node.clone(), name.clone());
            machine.live.extend(live(&component.instance, component.id, node).map(|live| (path, live)));
        }
        for name in &own.groups {
            let group = model.groups.get(name).and_then(|group| live(&group.instance, ComponentId(0), node));
            machine.live.extend(group.map(|live| (InstancePath::Group(name.clone()), live)));
        }
        for (name, channel) in &model.channels {
            let ends: Vec<&Binding> = model.bindings.iter().filter(|binding| binding.channel == *name).collect();
            if ends.iter().any(|binding| binding.port.node == *node) {
                let live = live(&channel.instance, ComponentId(0), node);
                machine.live.extend(live.map(|live| (InstancePath::Channel(name.clone()), live)));
                machine.ends.extend(ends.into_iter().cloned());
            }
        }
        machine
    }

    fn same(&mut self, subject: &Subject) -> Option<&mut Live> {
        let is = |live: &&mut Live| live.type_ref == subject.type_ref && live.id == subject.id;
        self.live.get_mut(&subject.path).filter(is)
    }

    /// A step is done; it is idempotent, and nothing where its subject is not there.
    pub(super) fn step(&mut self, step: &Adaptation) {
        match step {
            Adaptation::StopInstance(subject) => {
                if let Some(live) = self.same(subject) {
                    (live.is_started, live.told) = (false, None);
                }
            }
            Adaptation::StartInstance(subject) => {
                if let Some(live) = self.same(subject) {
                    (live.is_started, live.told) = (true, Some(live.values.clone()));
                }
            }
            Adaptation::RemoveBinding(end) => drop(self.ends.remove(&end.binding)),
            Adaptation::AddBinding(end) => drop(self.ends.insert(end.binding.clone())),
            Adaptation::RemoveInstance { blueprint, .. } => {
                if self.same(&blueprint.subject).is_some() {
                    self.live.remove(&blueprint.subject.path);
                }
            }
            Adaptation::AddInstance { blueprint, .. } => {
                let subject = &blueprint.subject;
                if self.same(subject).is_none() {
                    let (type_ref, id, values) = (subject.type_ref.clone(), subject.id, blueprint.values.clone());
                    let live = Live { type_ref, id, is_started: false, values, told: None };
                    self.live.insert(subject.path.clone(), live);
                }
            }
            Adaptation::UpdateDictionary { subject, attribute, after, .. } => {
                if let Some(live) = self.same(subject) {
                    match after {
                        Some(value) => live.values.set(attribute.clone(), value.clone()),
                        None => live.values.unset(attribute),
                    };
                }
            }
            Adaptation::UpdateInstance { subject, after, .. } => {
                if let Some(live) = self.same(subject).filter(|live| live.is_started) {
                    (live.values, live.told) = (after.clone(), Some(after.clone()));
                }
            }
            Adaptation::RemoveTypeDef(_)
            | Adaptation::AddTypeDef { .. }
            | Adaptation::RemoveDeployUnit(_)
            | Adaptation::AddDeployUnit(_)
            | Adaptation::StopSelf(_) => {}
        }
    }

    /// What must be so before a step begins: nothing started is taken away, no end hangs in the air.
    pub(super) fn may(&self, step: &Adaptation) -> Checked {
        match step {
            Adaptation::RemoveInstance { blueprint, .. } => {
                let path = &blueprint.subject.path;
                let is_started = self.live.get(path).is_some_and(|live| live.is_started);
                hold!(!is_started, "nothing is removed while it is started", "{step}");
                let hangs = self.ends.iter().find(|end| match path {
                    InstancePath::Component(node, name) => end.port.node == *node && end.port.component == *name,
                    InstancePath::Channel(name) => end.channel == *name,
                    InstancePath::Node(_) | InstancePath::Group(_) => false,
                });
                hold!(hangs.is_none(), "nothing is removed while something hangs on it", "{step}: {hangs:?}");
            }
            Adaptation::AddBinding(end) => {
                let path = InstancePath::Channel(end.binding.channel.clone());
                hold!(self.live.contains_key(&path), "nothing is bound to what is not there", "{step}");
            }
            Adaptation::AddInstance { blueprint, .. } => {
                let subject = &blueprint.subject;
                let other = self
                    .live
                    .get(&subject.path)
                    .filter(|live| live.id != subject.id || live.type_ref != subject.type_ref);
                hold!(other.is_none(), "two instances never have one place", "{step}: {other:?} is there");
            }
            _ => {}
        }
        Ok(())
    }

    /// Nothing runs any more.
    pub(super) fn clear(&mut self) {
        *self = Machine::default();
    }

    /// How many instances there are.
    pub(super) fn n_live(&self) -> usize {
        self.live.len()
    }
}
