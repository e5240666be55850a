//! What runs on the node of the laws, as simple as it can be said.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::super::{
    adaptation::{Adaptation, End, HandOver, StateFrom, Subject},
    part::{self, Here},
};
use crate::{
    model::{Binding, ComponentId, Dictionary, Model, Shared, TypeDefinition},
    words::{InstancePath, NodeName, PortName, TypeRef, UnitRef},
};

/// What runs on a node, as simple as it can be said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct World {
    pub(super) live: BTreeMap<InstancePath, Live>,
    pub(super) ends: BTreeMap<Binding, End>,
    pub(super) types: BTreeMap<TypeRef, Shared<TypeDefinition>>,
    pub(super) units: BTreeSet<UnitRef>,
    /// The values of the node itself, those it was told, and whether it was stopped.
    pub(super) own: (Dictionary, Dictionary, bool),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Live {
    pub(super) subject: Arc<Subject>,
    pub(super) ports: (Vec<PortName>, Vec<PortName>),
    pub(super) started: bool,
    pub(super) values: Dictionary,
    /// The values that it was told, when it was started or updated.
    pub(super) told: Option<Dictionary>,
    /// Stands for what it has learned since it was born.
    pub(super) state: u64,
}

/// The snapshots on the node's disk. Not part of what runs.
pub(super) type Disk = BTreeMap<ComponentId, u64>;

pub(super) const FRESH: u64 = 0;
pub(super) const MOVED: u64 = 1_000_000;

pub(super) fn learned(id: ComponentId) -> u64 {
    id.0 + 1
}

impl World {
    /// What runs when `model` has been adopted for a while.
    pub(super) fn of(model: &Model, node: &NodeName) -> World {
        let mut world = World::default();
        let own = &model.nodes[node];
        let components = own.components.iter().filter_map(|(name, here)| part::component(model, node, name, here));
        let hosted = model.hosted_by(node).filter_map(|name| part::hosted_node(model, node, name));
        let groups = own.groups.iter().filter_map(|name| part::group(model, node, name));
        let channels = model.channels.keys().filter_map(|name| part::channel(model, node, name));
        for here in components.chain(hosted).chain(groups).chain(channels) {
            world.live.insert(here.subject.path.clone(), Live::of(&here, node));
        }
        for name in model.channels.keys().filter(|name| part::channel(model, node, name).is_some()) {
            world.ends.extend(part::ends(model, name).map(|end| (end.binding.clone(), end)));
        }
        for type_ref in part::used(model, node) {
            world.types.insert(type_ref.clone(), model.types[type_ref].clone());
            world.units.extend(part::units(model, node, type_ref).into_iter().map(|unit| unit.id.clone()));
        }
        let values = own.instance.dictionary_on(node);
        world.own = (values.clone(), values, !own.instance.started);
        world
    }

    pub(super) fn same(&mut self, subject: &Subject) -> Option<&mut Live> {
        self.live.get_mut(&subject.path).filter(|live| *live.subject == *subject)
    }

    pub(super) fn step(&mut self, step: &Adaptation, node: &NodeName, disk: &mut Disk) {
        let own_path = InstancePath::Node(node.clone());
        match step {
            Adaptation::StopSelf(_) => self.own.2 = true,
            Adaptation::StopInstance(subject) if subject.path == own_path => self.own.2 = true,
            Adaptation::StartInstance(subject) if subject.path == own_path => self.own.2 = false,
            Adaptation::StopInstance(subject) => {
                if let Some(live) = self.same(subject) {
                    live.started = false;
                    live.told = None;
                }
            }
            Adaptation::StartInstance(subject) => {
                if let Some(live) = self.same(subject) {
                    live.started = true;
                    live.told = Some(live.values.clone());
                }
            }
            Adaptation::RemoveBinding(end) => {
                self.ends.remove(&end.binding);
            }
            Adaptation::AddBinding(end) => {
                self.ends.insert(end.binding.clone(), end.clone());
            }
            Adaptation::RemoveInstance { blueprint, hand_over } => {
                if let Some(live) = self.same(&blueprint.subject) {
                    let state = live.state;
                    self.live.remove(&blueprint.subject.path);
                    if *hand_over != HandOver::Discard {
                        disk.insert(blueprint.subject.id, state);
                    }
                }
            }
            Adaptation::AddInstance { blueprint, state } => {
                if self.same(&blueprint.subject).is_none() {
                    let id = blueprint.subject.id;
                    let state = match state {
                        StateFrom::Nothing => FRESH,
                        StateFrom::Kept | StateFrom::Upgrade { .. } => disk.get(&id).copied().unwrap_or(FRESH),
                        StateFrom::Move { .. } => MOVED + id.0,
                    };
                    let ports = |ports: &imbl::OrdSet<PortName>| ports.iter().cloned().collect();
                    let live = Live {
                        subject: blueprint.subject.clone(),
                        ports: (ports(&blueprint.provided), ports(&blueprint.required)),
                        started: false,
                        values: blueprint.values.clone(),
                        told: None,
                        state,
                    };
                    self.live.insert(blueprint.subject.path.clone(), live);
                }
            }
            Adaptation::RemoveTypeDef(definition) => {
                self.types.remove(&definition.id);
            }
            Adaptation::AddTypeDef { definition, .. } => {
                self.types.insert(definition.id.clone(), definition.clone());
            }
            Adaptation::RemoveDeployUnit(unit) => {
                self.units.remove(&unit.id);
            }
            Adaptation::AddDeployUnit(unit) => {
                self.units.insert(unit.id.clone());
            }
            Adaptation::UpdateDictionary { subject, attribute, after, .. } => {
                let is_own = subject.path == own_path;
                let own = is_own.then_some(&mut self.own.0);
                let other = self.live.get_mut(&subject.path).filter(|live| live.subject == *subject);
                for values in own.into_iter().chain(other.map(|live| &mut live.values)) {
                    match after {
                        Some(value) => values.set(attribute.clone(), value.clone()),
                        None => values.unset(attribute),
                    };
                }
            }
            Adaptation::UpdateInstance { subject, after, .. } => {
                if subject.path == own_path {
                    self.own.0 = after.clone();
                    self.own.1 = after.clone();
                } else if let Some(live) = self.same(subject)
                    && live.started
                {
                    live.values = after.clone();
                    live.told = Some(after.clone());
                }
            }
        }
    }

    /// What must hold whatever the plan: nothing started is taken away, no end hangs in the air.
    pub(super) fn check_step(&self, step: &Adaptation) {
        if let Adaptation::RemoveInstance { blueprint, .. } = step {
            let path = &blueprint.subject.path;
            assert!(!self.live[path].started, "{step} while it is started");
            let hangs = |end: &Binding| match path {
                InstancePath::Component(node, name) => end.port.node == *node && end.port.component == *name,
                InstancePath::Channel(name) => end.channel == *name,
                InstancePath::Node(_) | InstancePath::Group(_) => false,
            };
            assert!(!self.ends.keys().any(hangs), "{step} while something hangs on it");
        }
        if let Adaptation::AddBinding(end) = step {
            let path = InstancePath::Channel(end.binding.channel.clone());
            assert!(self.live.contains_key(&path), "{step} on a channel that is not there");
        }
    }

    /// Without what may differ between two ways to the same model: states, and code that is kept though nothing needs it.
    pub(super) fn bare(&self) -> World {
        let mut bare = self.clone();
        bare.types.clear();
        bare.units.clear();
        for live in bare.live.values_mut() {
            live.state = FRESH;
            // A node that is hosted looks after its own values.
            if matches!(live.subject.path, InstancePath::Node(_)) {
                live.values = Dictionary::default();
                live.told = None;
            }
        }
        // A node that was stopped, or is started again, is not told anything.
        bare.own.1 = Dictionary::default();
        bare
    }
}

impl Live {
    pub(super) fn of(here: &Here<'_>, node: &NodeName) -> Live {
        let values = here.instance.dictionary_on(node);
        Live {
            subject: here.subject.clone(),
            ports: (here.provided.iter().cloned().collect(), here.required.iter().cloned().collect()),
            started: here.instance.started,
            told: here.instance.started.then(|| values.clone()),
            values,
            state: learned(here.subject.id),
        }
    }
}
