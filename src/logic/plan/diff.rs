//! Compares what runs with what is wanted and lists what one node has to do. Costs what changed, not what exists.
//!
//! A node plans its own part only: its components, the nodes that it hosts, the groups that it is attached to, and the channels
//! that one of its components is bound to, with all their ends. Instances of virtual types exist in the model alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use imbl::{ordmap::DiffItem as MapItem, ordset::DiffItem as SetItem};

use super::{
    adaptation::{Adaptation, Blueprint, HandOver, Rank, StateFrom, Subject},
    part::{self, Here},
};
use crate::{
    model::{Binding, Component, Dictionary, Instance, Model, Node, Shared},
    words::{AttributeName, ChannelName, ComponentName, GroupName, InstancePath, NodeName, TypeRef, UnitRef},
};

/// What `node` has to do to go from `running` to `wanted`, in the order of ranks (see [`order`](super::order()) for the order
/// within a rank). Empty when nothing changes for it.
pub fn diff(running: &Model, wanted: &Model, node: &NodeName) -> Vec<Adaptation> {
    let mut diff = Diff {
        running,
        wanted,
        node,
        thorough: part::is_redefined(running, wanted, node),
        steps: Steps::default(),
        needed: BTreeSet::new(),
        replaced: BTreeSet::new(),
        touched: BTreeMap::new(),
        own: BTreeMap::new(),
        loaded: BTreeSet::new(),
    };
    diff.nodes();
    diff.groups();
    diff.channels();
    diff.types();
    diff.steps.in_order()
}

struct Diff<'a> {
    running: &'a Model,
    wanted: &'a Model,
    node: &'a NodeName,
    /// A type has been redefined: everything is looked at, for the change may show anywhere.
    thorough: bool,
    steps: Steps,
    /// The types of the instances that are added.
    needed: BTreeSet<TypeRef>,
    /// Own components that are another instance under the same name: their bindings are made anew.
    replaced: BTreeSet<ComponentName>,
    /// Bindings that may have changed, by channel.
    touched: BTreeMap<&'a ChannelName, BTreeSet<&'a Binding>>,
    /// Whether one of the node's components was or is bound to a channel, for those that were asked about.
    own: BTreeMap<&'a ChannelName, bool>,
    /// The units that are loaded.
    loaded: BTreeSet<UnitRef>,
}

/// The steps found so far, by rank: nothing is left to be sorted at the end.
#[derive(Default)]
struct Steps([Vec<Adaptation>; Rank::N]);

impl Steps {
    fn push(&mut self, step: Adaptation) {
        self.0[step.rank() as usize].push(step);
    }

    fn extend(&mut self, steps: impl IntoIterator<Item = Adaptation>) {
        steps.into_iter().for_each(|step| self.push(step));
    }

    fn n(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    fn in_order(self) -> Vec<Adaptation> {
        let mut all = Vec::with_capacity(self.n());
        self.0.into_iter().for_each(|mut steps| all.append(&mut steps));
        all
    }
}

impl<'a> Diff<'a> {
    fn nodes(&mut self) {
        let changed: Vec<_> = self.running.nodes.diff(&self.wanted.nodes).map(pair).collect();
        let mut components: Vec<ChangedComponent<'a>> = Vec::new();
        let mut hosted: BTreeSet<&'a NodeName> = BTreeSet::new();
        for (name, before, after) in changed {
            for (component, before, after) in changed_components(before, after) {
                self.note_component(name, component, before, after);
                if name == self.node {
                    components.push((component, before, after));
                }
            }
            if name == self.node {
                self.own_node(before, after);
            } else if [before, after].into_iter().flatten().any(|n| n.host.as_ref() == Some(self.node)) {
                hosted.insert(name);
            }
        }
        if self.thorough {
            components = self.all_components();
            for model in [self.running, self.wanted] {
                hosted.extend(model.hosted_by(self.node));
            }
        }
        for (name, before, after) in components {
            let here = |model: &'a Model, component: Option<&'a Shared<Component>>| {
                part::component(model, self.node, name, component?)
            };
            self.instance(here(self.running, before), here(self.wanted, after));
        }
        for name in hosted {
            let here = |model: &'a Model| part::hosted_node(model, self.node, name);
            self.instance(here(self.running), here(self.wanted));
        }
    }

    /// All components of the node, before and after.
    fn all_components(&self) -> Vec<ChangedComponent<'a>> {
        let own = [self.running, self.wanted].map(|model| model.nodes.get(self.node).map(|node| &node.components));
        let names: BTreeSet<&'a ComponentName> = own.into_iter().flatten().flat_map(|all| all.keys()).collect();
        let [before, after] = own;
        let of = |all: Option<&'a imbl::OrdMap<_, _>>, name| all.and_then(|all| all.get(name));
        names.into_iter().map(|name| (name, of(before, name), of(after, name))).collect()
    }

    /// A component somewhere came, went or changed: its bindings and its whereabouts may matter here.
    fn note_component(
        &mut self,
        node: &'a NodeName,
        name: &'a ComponentName,
        before: Option<&'a Shared<Component>>,
        after: Option<&'a Shared<Component>>,
    ) {
        if let (Some(before), Some(after)) = (before, after)
            && before.id == after.id
            && before.instance.type_ref == after.instance.type_ref
            && before.provided == after.provided
            && before.required == after.required
        {
            return;
        }
        // Where it is not, only what dangles there is not found by comparing the bindings.
        let models = [(self.running, before.is_some()), (self.wanted, after.is_some())];
        let stays = before.is_some() && after.is_some();
        for (model, is_there) in models {
            if (stays || !is_there) && !model.bindings.is_empty() {
                self.touch(model.bindings.of_component(node, name));
            }
        }
    }

    fn touch(&mut self, bindings: impl Iterator<Item = &'a Binding>) {
        for binding in bindings {
            if self.is_own(&binding.channel) {
                self.touched.entry(&binding.channel).or_default().insert(binding);
            }
        }
    }

    /// Whether the node had or has an end on a channel: of others it knows nothing.
    fn is_own(&mut self, channel: &'a ChannelName) -> bool {
        let models = [self.running, self.wanted];
        let is_on = |model: &Model| model.bindings.of_channel_on(channel, self.node).next().is_some();
        *self.own.entry(channel).or_insert_with(|| models.into_iter().any(is_on))
    }

    fn own_node(&mut self, before: Option<&'a Shared<Node>>, after: Option<&'a Shared<Node>>) {
        let old = before.map(|node| &node.instance);
        let Some(new) = after.map(|node| &node.instance) else { return };
        let Some(type_ref) = new.type_ref.clone() else { return };
        let path = InstancePath::Node(self.node.clone());
        let subject = Arc::new(Subject { path, type_ref, id: part::NOBODY });
        let has_other_values = self.values(&subject, old, new);
        let was_stopped = old.is_some_and(|instance| !instance.started);
        if new.started && was_stopped {
            self.steps.push(Adaptation::StartInstance(subject));
        } else if !new.started && !was_stopped {
            self.steps.push(Adaptation::StopSelf(subject));
        } else if new.started && has_other_values {
            let before = old.map(|instance| instance.dictionary_on(self.node)).unwrap_or_default();
            let after = new.dictionary_on(self.node);
            self.steps.push(Adaptation::UpdateInstance { subject, before, after });
        }
    }

    fn groups(&mut self) {
        let attached = |model: &'a Model| model.nodes.get(self.node).map(|node| &node.groups);
        let sets = [attached(self.running), attached(self.wanted)];
        let mut names: BTreeSet<&'a GroupName> = BTreeSet::new();
        // A node is attached to a handful of groups: all of them are looked at as soon as one of them or the node changed.
        if self.thorough || sets[0] != sets[1] || self.running.groups.diff(&self.wanted.groups).next().is_some() {
            names.extend(sets.into_iter().flatten().flatten());
        }
        for name in names {
            let here = |model: &'a Model| part::group(model, self.node, name);
            self.instance(here(self.running), here(self.wanted));
        }
    }

    fn channels(&mut self) {
        let (before, after) = (self.running.bindings.as_set(), self.wanted.bindings.as_set());
        self.touch(before.diff(after).map(|item| match item {
            SetItem::Add(binding) | SetItem::Remove(binding) => binding,
        }));
        for (name, ..) in self.running.channels.diff(&self.wanted.channels).map(pair) {
            if self.is_own(name) {
                self.touched.entry(name).or_default();
            }
        }
        if self.thorough {
            self.touch(before.iter().chain(after.iter()));
        }
        for (channel, bindings) in std::mem::take(&mut self.touched) {
            self.channel(channel, bindings);
        }
    }

    fn channel(&mut self, name: &'a ChannelName, touched: BTreeSet<&'a Binding>) {
        let before = part::channel(self.running, self.node, name);
        let after = part::channel(self.wanted, self.node, name);
        let stays = matches!((&before, &after), (Some(b), Some(a)) if b.subject == a.subject);
        if !stays {
            if before.is_some() {
                self.steps.extend(part::ends(self.running, name).map(Adaptation::RemoveBinding));
            }
            if after.is_some() {
                self.steps.extend(part::ends(self.wanted, name).map(Adaptation::AddBinding));
            }
            return self.instance(before, after);
        }
        let mut has_other_ends = false;
        for binding in touched {
            let end = |model: &Model| model.bindings.contains(binding).then(|| part::end(model, binding)).flatten();
            let (was, is) = (end(self.running), end(self.wanted));
            has_other_ends |= was.is_some() != is.is_some();
            let made_anew = binding.port.node == *self.node && self.replaced.contains(&binding.port.component);
            if was != is || made_anew {
                self.steps.extend(was.map(Adaptation::RemoveBinding));
                self.steps.extend(is.map(Adaptation::AddBinding));
            }
        }
        let (Some(before), Some(after)) = (before, after) else { return };
        self.update(before, after, has_other_ends);
    }

    /// One instance of the own part, before and after.
    fn instance(&mut self, before: Option<Here<'a>>, after: Option<Here<'a>>) {
        match (before, after) {
            (None, None) => {}
            (None, Some(after)) => {
                let state = self.arrives(&after);
                self.add(after, state);
            }
            (Some(before), None) => {
                let hand_over = self.leaves(&before);
                self.remove(before, hand_over);
            }
            (Some(before), Some(after)) if before.is(&after) => self.update(before, after, false),
            (Some(before), Some(after)) => {
                let (hand_over, state) = if before.hands_over_to(&after) {
                    let (from, to) = (before.subject.type_ref.clone(), after.subject.type_ref.clone());
                    (HandOver::Upgrade { to }, StateFrom::Upgrade { from })
                } else {
                    (self.leaves(&before), self.arrives(&after))
                };
                if let InstancePath::Component(_, name) = &before.subject.path {
                    self.replaced.insert(name.clone());
                }
                self.remove(before, hand_over);
                self.add(after, state);
            }
        }
    }

    fn arrives(&self, here: &Here<'_>) -> StateFrom {
        if !matches!(here.subject.path, InstancePath::Component(..)) {
            return StateFrom::Nothing;
        }
        match self.other_place(here, self.running) {
            Some((node, _)) if node != self.node => StateFrom::Move { from: node.clone() },
            Some((_, Some(from))) => StateFrom::Upgrade { from },
            _ => StateFrom::Kept,
        }
    }

    fn leaves(&self, here: &Here<'_>) -> HandOver {
        match self.other_place(here, self.wanted) {
            Some((node, _)) if node != self.node => HandOver::Move { to: node.clone() },
            Some((_, Some(to))) => HandOver::Upgrade { to },
            _ => HandOver::Forget,
        }
    }

    /// Where a component of this identity is in a model, and of which type, when it is not at the same place: it moves, or gets
    /// another name.
    fn other_place(&self, here: &Here<'_>, model: &'a Model) -> Option<(&'a NodeName, Option<TypeRef>)> {
        let InstancePath::Component(node, name) = &here.subject.path else { return None };
        let (other_node, other_name) = model.path_of(here.subject.id)?;
        let component = model.component(other_node, other_name)?;
        let is_virtual = model.definition(&component.instance).is_some_and(|definition| definition.is_virtual());
        ((other_node, other_name) != (node, name) && !is_virtual)
            .then(|| (other_node, component.instance.type_ref.clone()))
    }

    fn add(&mut self, here: Here<'a>, state: StateFrom) {
        if !self.needed.contains(&here.subject.type_ref) {
            self.needed.insert(here.subject.type_ref.clone());
        }
        if here.instance.started {
            if !here.is_node() {
                self.values(&here.subject, None, here.instance);
            }
            self.steps.push(Adaptation::StartInstance(here.subject.clone()));
        }
        self.steps.push(Adaptation::AddInstance { blueprint: self.blueprint(here), state });
    }

    fn remove(&mut self, here: Here<'a>, hand_over: HandOver) {
        if here.instance.started {
            self.steps.push(Adaptation::StopInstance(here.subject.clone()));
        }
        self.steps.push(Adaptation::RemoveInstance { blueprint: self.blueprint(here), hand_over });
    }

    fn blueprint(&self, here: Here<'a>) -> Blueprint {
        let values = here.instance.dictionary_on(self.node);
        Blueprint { subject: here.subject, values, provided: here.provided, required: here.required }
    }

    fn update(&mut self, before: Here<'a>, after: Here<'a>, tell: bool) {
        // A hosted node tells itself its values.
        let changed = !after.is_node() && self.values(&after.subject, Some(before.instance), after.instance);
        match (before.instance.started, after.instance.started) {
            (true, false) => self.steps.push(Adaptation::StopInstance(after.subject)),
            (false, true) => self.steps.push(Adaptation::StartInstance(after.subject)),
            (true, true) if changed || tell => self.steps.push(Adaptation::UpdateInstance {
                before: before.instance.dictionary_on(self.node),
                after: after.instance.dictionary_on(self.node),
                subject: after.subject,
            }),
            _ => {}
        }
    }

    /// One step for each value that this node sees differently; whether there is one.
    fn values(&mut self, subject: &Arc<Subject>, before: Option<&Instance>, after: &Instance) -> bool {
        let was = before.map(|instance| instance.dictionary_on(self.node)).unwrap_or_default();
        let is = after.dictionary_on(self.node);
        if was.same(&is) {
            return false;
        }
        let n_steps = self.steps.n();
        let set = is.iter().filter(|(name, value)| was.value(name) != Some(value));
        let unset = was.iter().filter(|(name, _)| is.value(name).is_none());
        for (attribute, _) in set.chain(unset) {
            self.steps.push(Adaptation::UpdateDictionary {
                subject: subject.clone(),
                fragment: self.is_fragment(before, after, attribute).then(|| self.node.clone()),
                attribute: attribute.clone(),
                before: was.value(attribute).cloned(),
                after: is.value(attribute).cloned(),
            });
        }
        self.steps.n() > n_steps
    }

    /// Whether it is the fragment of this node that holds the value, or held it.
    fn is_fragment(&self, before: Option<&Instance>, after: &Instance, attribute: &AttributeName) -> bool {
        let has = |dictionary: Option<&Dictionary>| dictionary.is_some_and(|it| it.value(attribute).is_some());
        let holds = |instance: &Instance| has(instance.fragments.get(self.node));
        holds(after) || !has(after.dictionary.as_ref()) && before.is_some_and(holds)
    }

    fn types(&mut self) {
        let (running, wanted, node) = (self.running, self.wanted, self.node);
        if self.thorough {
            self.needed.extend(part::used(wanted, node).cloned());
        }
        for type_ref in std::mem::take(&mut self.needed) {
            let before = part::uses(running, node, &type_ref).then(|| running.types.get(&type_ref)).flatten();
            let after = wanted.types.get(&type_ref);
            if before == after {
                self.load(&type_ref, before.is_some());
            } else if let Some(definition) = after.cloned() {
                self.steps.push(Adaptation::AddTypeDef { definition, before: before.cloned() });
                self.load(&type_ref, false);
            }
        }
        for (type_ref, before, after) in running.types.diff(&wanted.types).map(pair) {
            if let (Some(definition), None) = (before, after)
                && part::uses(running, node, type_ref)
            {
                self.steps.push(Adaptation::RemoveTypeDef(definition.clone()));
            }
        }
        for (id, before, after) in running.units.diff(&wanted.units).map(pair) {
            if let (Some(unit), None) = (before, after)
                && part::loads(running, node, id)
            {
                self.steps.push(Adaptation::RemoveDeployUnit(unit.clone()));
            }
        }
    }

    /// Loads the units of a type that are not there yet.
    fn load(&mut self, type_ref: &TypeRef, is_there: bool) {
        if is_there && !self.thorough {
            return;
        }
        for unit in part::units(self.wanted, self.node, type_ref) {
            if !self.loaded.contains(&unit.id) && !part::loads(self.running, self.node, &unit.id) {
                self.loaded.insert(unit.id.clone());
                self.steps.push(Adaptation::AddDeployUnit(unit.clone()));
            }
        }
    }
}

/// The sides of a difference between two maps.
fn pair<'a, K, V>(item: MapItem<'a, 'a, K, V>) -> (&'a K, Option<&'a V>, Option<&'a V>) {
    match item {
        MapItem::Add(key, value) => (key, None, Some(value)),
        MapItem::Remove(key, value) => (key, Some(value), None),
        MapItem::Update { old, new } => (old.0, Some(old.1), Some(new.1)),
    }
}

type ChangedComponent<'a> = (&'a ComponentName, Option<&'a Shared<Component>>, Option<&'a Shared<Component>>);

fn changed_components<'a>(
    before: Option<&'a Shared<Node>>,
    after: Option<&'a Shared<Node>>,
) -> Vec<ChangedComponent<'a>> {
    match (before, after) {
        (Some(before), Some(after)) => before.components.diff(&after.components).map(pair).collect(),
        (Some(before), None) => before.components.iter().map(|(name, c)| (name, Some(c), None)).collect(),
        (None, Some(after)) => after.components.iter().map(|(name, c)| (name, None, Some(c))).collect(),
        (None, None) => Vec::new(),
    }
}
