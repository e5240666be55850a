//! The laws of plans, tried on random pairs of models: a plan leads from the one to the other, undoing leads back, wherever a
//! step fails and wherever a crash ends it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::{collection::vec, option, prelude::*};

use super::{
    adaptation::{Adaptation, End, HandOver, StateFrom, Subject},
    order::{Plan, plan},
    part::{self, Here},
    record::{Effect, Limits, Outcome, Record, Way},
    run::Run,
};
use crate::{
    model::{
        Binding, Channel, Component, ComponentId, DeployUnit, Dictionary, Group, Instance, Kind, Model, Node,
        PortDefinition, Shared, TypeDefinition, testing,
    },
    words::{InstancePath, Name, Namespace, NodeName, PortName, Time, TypeName, TypeRef, UnitRef},
};

// ---------------------------------------------------------------------------------------- a world that plans are run in

/// What runs on a node, as simple as it can be said.
#[derive(Clone, Debug, Default, PartialEq)]
struct World {
    live: BTreeMap<InstancePath, Live>,
    ends: BTreeMap<Binding, End>,
    types: BTreeMap<TypeRef, Shared<TypeDefinition>>,
    units: BTreeSet<UnitRef>,
    /// The values of the node itself, those it was told, and whether it was stopped.
    own: (Dictionary, Dictionary, bool),
}

#[derive(Clone, Debug, PartialEq)]
struct Live {
    subject: Arc<Subject>,
    ports: (Vec<PortName>, Vec<PortName>),
    started: bool,
    values: Dictionary,
    /// The values that it was told, when it was started or updated.
    told: Option<Dictionary>,
    /// Stands for what it has learned since it was born.
    state: u64,
}

/// The snapshots on the node's disk. Not part of what runs.
type Disk = BTreeMap<ComponentId, u64>;

const FRESH: u64 = 0;
const MOVED: u64 = 1_000_000;

fn learned(id: ComponentId) -> u64 {
    id.0 + 1
}

impl World {
    /// What runs when `model` has been adopted for a while.
    fn of(model: &Model, node: &NodeName) -> World {
        let mut world = World::default();
        let own = &model.nodes[node];
        let components = own.components.keys().filter_map(|name| part::component(model, node, name));
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

    fn same(&mut self, subject: &Subject) -> Option<&mut Live> {
        self.live.get_mut(&subject.path).filter(|live| *live.subject == *subject)
    }

    fn step(&mut self, step: &Adaptation, node: &NodeName, disk: &mut Disk) {
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
    fn check_step(&self, step: &Adaptation) {
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
    fn bare(&self) -> World {
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
    fn of(here: &Here<'_>, node: &NodeName) -> Live {
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

// ------------------------------------------------------------------------------------------------------- random models

fn own_node() -> NodeName {
    NodeName::parse("n0").unwrap()
}

fn name<T: From<Name>>(text: String) -> T {
    T::from(Name::parse(&text).unwrap())
}

fn type_ref(kind: &str, version: u8) -> TypeRef {
    TypeRef {
        namespace: Namespace::parse("enact").unwrap(),
        name: name::<TypeName>(kind.to_owned()),
        version: version.to_string().into(),
    }
}

fn definition(kind: Kind, base: &str, version: u8, flavour: u8) -> TypeDefinition {
    let port = |name: &str, schema: u64| PortDefinition {
        name: PortName::parse(name).unwrap(),
        optional: true,
        no_dependency: false,
        message: "Value".into(),
        schema,
        doc: "".into(),
        port_type: None,
    };
    let is_component = kind == Kind::Component;
    let mut definition = TypeDefinition {
        id: type_ref(base, version),
        kind,
        is_abstract: false,
        units: vec![unit(base, version).id],
        super_types: vec![],
        attributes: Some(vec![]),
        provided: if is_component { vec![port("in", u64::from(version))] } else { vec![] },
        required: if is_component { vec![port("out", 7 + u64::from(flavour))] } else { vec![] },
        metadata: Default::default(),
    };
    if base == "Ghost" {
        definition.metadata.insert("virtual".into(), "true".into());
    }
    definition
}

fn unit(base: &str, version: u8) -> DeployUnit {
    DeployUnit {
        id: UnitRef {
            namespace: Namespace::parse("enact").unwrap(),
            name: format!("unit-{base}").into(),
            version: version.to_string().into(),
            hashcode: "".into(),
        },
        url: "".into(),
        filters: Default::default(),
        requires: vec![],
    }
}

/// A component: id, type, started, value.
type RoughComponent = (u64, u8, bool, Option<u8>);

/// A channel: type, started, capacity, fragment value.
type RoughChannel = (u8, bool, u8, Option<u8>);

#[derive(Clone, Debug)]
struct Rough {
    components: Vec<Option<RoughComponent>>,
    channels: Vec<Option<RoughChannel>>,
    bindings: Vec<bool>,
    groups: Vec<Option<(u8, bool, bool)>>,
    hosted: Option<(bool, u8, bool)>,
    own: (bool, u8),
    lists_all: bool,
    flavour: u8,
}

const COMPONENT_TYPES: [(&str, u8); 4] = [("Worker", 1), ("Worker", 2), ("Other", 1), ("Ghost", 1)];
const N_SLOTS: usize = 6;
const N_CHANNELS: usize = 3;

fn rough() -> impl Strategy<Value = Rough> {
    let component = option::weighted(0.7, (1..9u64, 0..4u8, any::<bool>(), option::of(0..2u8)));
    let channel = option::weighted(0.8, (1..3u8, prop::bool::weighted(0.8), 0..2u8, option::weighted(0.2, 0..2u8)));
    let group = option::of((1..3u8, any::<bool>(), any::<bool>()));
    (
        vec(component, N_SLOTS),
        vec(channel, N_CHANNELS),
        vec(prop::bool::weighted(0.25), N_SLOTS * 2 * N_CHANNELS),
        vec(group, 2),
        option::of((any::<bool>(), 1..3u8, any::<bool>())),
        (prop::bool::weighted(0.9), 0..3u8),
        any::<bool>(),
        prop_oneof![4 => Just(0u8), 1 => Just(1u8)],
    )
        .prop_map(|(components, channels, bindings, groups, hosted, own, lists_all, flavour)| Rough {
            components,
            channels,
            bindings,
            groups,
            hosted,
            own,
            lists_all,
            flavour,
        })
}

/// Two models that have much in common, so that what stays is tried as well as what changes.
fn pair() -> impl Strategy<Value = (Rough, Rough)> {
    (rough(), rough(), vec(prop::bool::weighted(0.6), 64)).prop_map(|(a, mut b, stays)| {
        let mut stays = stays.into_iter().cycle();
        let mut stays = || stays.next().unwrap_or_default();
        b.components.iter_mut().zip(&a.components).filter(|_| stays()).for_each(|(b, a)| b.clone_from(a));
        // Upgraded, or turned into something else under the same identity.
        for (b, a) in b.components.iter_mut().zip(&a.components) {
            if let (Some(b), Some(a), true) = (b, a, stays()) {
                b.0 = a.0;
            }
        }
        b.channels.iter_mut().zip(&a.channels).filter(|_| stays()).for_each(|(b, a)| b.clone_from(a));
        b.bindings.iter_mut().zip(&a.bindings).filter(|_| stays()).for_each(|(b, a)| b.clone_from(a));
        b.groups.iter_mut().zip(&a.groups).filter(|_| stays()).for_each(|(b, a)| b.clone_from(a));
        if stays() {
            b.hosted = a.hosted;
        }
        (a, b)
    })
}

fn instance(kind: &str, version: u8, started: bool, value: Option<u8>) -> Instance {
    let values = value.map(|value| (name("p".to_owned()), value.to_string().into()));
    Instance { started, dictionary: Some(values.into_iter().collect()), ..Instance::of(type_ref(kind, version)) }
}

impl Rough {
    fn model(&self) -> Model {
        let mut model = Model::default();
        let mut used: BTreeSet<TypeRef> = BTreeSet::new();
        let (n0, n1) = (own_node(), NodeName::parse("n1").unwrap());
        let mut nodes = [Node::default(), Node::default()];
        nodes[0].instance = instance("EnactNode", 1, self.own.0, Some(self.own.1));
        nodes[1].instance = instance("EnactNode", 1, true, None);
        let mut ids = BTreeSet::new();
        for (slot, rough) in self.components.iter().enumerate() {
            let Some((id, kind, started, value)) = *rough else { continue };
            if !ids.insert(id) {
                continue;
            }
            let (kind, version) = COMPONENT_TYPES[kind as usize];
            let component = Component {
                id: ComponentId(id),
                instance: instance(kind, version, started, value),
                provided: [name::<PortName>("in".to_owned())].into_iter().collect(),
                required: [name::<PortName>("out".to_owned())].into_iter().collect(),
            };
            used.insert(type_ref(kind, version));
            nodes[slot % 2].components.insert(name(format!("c{}", slot / 2)), Shared::new(component));
        }
        for (idx, rough) in self.channels.iter().enumerate() {
            let Some((version, started, value, fragment)) = *rough else { continue };
            let mut instance = instance("Channel", version, started, Some(value));
            if let Some(value) = fragment {
                let fragment = [(name("p".to_owned()), value.to_string().into())].into_iter().collect();
                instance.fragments.insert(n0.clone(), fragment);
            }
            used.insert(type_ref("Channel", version));
            model.channels.insert(name(format!("ch{idx}")), Shared::new(Channel { instance }));
        }
        for (idx, rough) in self.groups.iter().enumerate() {
            let Some((version, started, attached)) = *rough else { continue };
            let group = Group { instance: instance("Group", version, started, None) };
            used.insert(type_ref("Group", version));
            model.groups.insert(name(format!("g{idx}")), Shared::new(group));
            if attached {
                nodes[0].groups.insert(name(format!("g{idx}")));
            }
        }
        for (idx, _) in self.bindings.iter().enumerate().filter(|(_, is_bound)| **is_bound) {
            let (slot, rest) = (idx / (2 * N_CHANNELS), idx % (2 * N_CHANNELS));
            // Some bindings hang in the air: a component or a channel of theirs is not in the model.
            model.bindings.insert(Binding {
                port: crate::words::PortPath {
                    node: if slot % 2 == 0 { n0.clone() } else { n1.clone() },
                    component: name(format!("c{}", slot / 2)),
                    port: name(["in", "out"][rest % 2].to_owned()),
                },
                channel: name(format!("ch{}", rest / 2)),
            });
        }
        if let Some((here, version, started)) = self.hosted {
            let host = if here { n0.clone() } else { n1.clone() };
            let hosted =
                Node { instance: instance("Child", version, started, None), host: Some(host), ..Node::default() };
            used.insert(type_ref("Child", version));
            model.nodes.insert(name("sub".to_owned()), Shared::new(hosted));
        }
        used.insert(type_ref("EnactNode", 1));
        let [own, other] = nodes;
        model.nodes.insert(n0, Shared::new(own));
        model.nodes.insert(n1, Shared::new(other));
        let all = COMPONENT_TYPES.into_iter().map(|(kind, version)| (Kind::Component, kind, version));
        let rest =
            [(Kind::Channel, "Channel"), (Kind::Group, "Group"), (Kind::Node, "Child"), (Kind::Node, "EnactNode")];
        let rest = rest.into_iter().flat_map(|(kind, base)| [(kind, base, 1), (kind, base, 2)]);
        for (kind, base, version) in all.chain(rest) {
            if self.lists_all || used.contains(&type_ref(base, version)) {
                let definition = definition(kind, base, version, self.flavour);
                model.types.insert(definition.id.clone(), Shared::new(definition));
                model.units.insert(unit(base, version).id, Shared::new(unit(base, version)));
            }
        }
        model.indexed()
    }
}

// ------------------------------------------------------------------------------------------------------------ the shell

/// Carries out a run the way a node does, with steps ending in an order that `dice` decides.
struct Shell {
    world: World,
    disk: Disk,
    records: Vec<Record>,
    outcome: Option<Outcome>,
    under_way: Vec<(u32, Way)>,
    trail: Vec<(u32, Way)>,
}

impl Shell {
    fn new(world: World) -> Shell {
        let (disk, records, under_way, trail) = Default::default();
        Shell { world, disk, records, outcome: None, under_way, trail }
    }

    fn obey(&mut self, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Log(record) => self.records.push(record),
                Effect::Do { step, .. } => self.under_way.push((step, Way::Do)),
                Effect::Undo { step, .. } => self.under_way.push((step, Way::Undo)),
                Effect::Finished(outcome) => {
                    assert!(self.under_way.is_empty(), "over while {:?} are under way", self.under_way);
                    self.outcome = Some(outcome);
                }
            }
        }
    }

    /// Runs until it is over, or for `n_steps` steps. `fails` says what becomes of a step; `None` hangs.
    fn run(&mut self, run: &mut Run, dice: &[u8], n_steps: usize, fails: impl Fn(u32, Way) -> Fate) {
        let plan = run.plan().clone();
        let mut effects = Vec::new();
        let mut now = Time::from_ms(0);
        run.begin(now, &mut effects);
        self.obey(&mut effects);
        let mut hung: Vec<(u32, Way)> = Vec::new();
        for turn in 0..n_steps {
            if self.outcome.is_some() {
                return;
            }
            if self.under_way.is_empty() {
                assert!(!hung.is_empty(), "not over, and nothing under way");
                now = run.next_deadline().expect("something is under way");
                hung.clear();
                run.tick(now, &mut effects);
                self.obey(&mut effects);
                continue;
            }
            let pick = usize::from(dice.get(turn % dice.len().max(1)).copied().unwrap_or(0)) % self.under_way.len();
            let (step, way) = self.under_way.swap_remove(pick);
            self.trail.push((step, way));
            let adaptation = match way {
                Way::Do => plan.steps[step as usize].clone(),
                Way::Undo => plan.steps[step as usize].inverse(),
            };
            let fate = fails(step, way);
            if fate != Fate::FailsBefore {
                self.world.step(&adaptation, &plan.node, &mut self.disk);
            }
            match fate {
                Fate::Works => run.done(step, way, Ok(()), now, &mut effects),
                Fate::FailsBefore | Fate::FailsAfter => run.done(step, way, Err("no".into()), now, &mut effects),
                Fate::Hangs => hung.push((step, way)),
            }
            self.obey(&mut effects);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Works,
    FailsBefore,
    FailsAfter,
    Hangs,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![Just(Fate::FailsBefore), Just(Fate::FailsAfter), Just(Fate::Hangs)]
}

fn limits(at_once: u8) -> Limits {
    Limits { at_once: usize::from(at_once), ..Limits::default() }
}

fn planned(a: &Rough, b: &Rough) -> (Model, Model, Arc<Plan>) {
    let (a, b) = (a.model(), b.model());
    let plan = plan(&a, &b, &own_node());
    (a, b, Arc::new(plan))
}

fn sorted(mut steps: Vec<Adaptation>) -> Vec<String> {
    steps.sort_by_key(|step| format!("{step:?}"));
    steps.into_iter().map(|step| format!("{step:?}")).collect()
}

// ------------------------------------------------------------------------------------------------------------- the laws

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_leads_from_the_one_model_to_the_other((a, b) in pair()) {
        let (a, b, plan) = planned(&a, &b);
        let node = own_node();
        prop_assert!(plan.is_sound());
        let mut world = World::of(&a, &node);
        let before = world.clone();
        let mut disk = Disk::new();
        for step in &plan.steps {
            world.check_step(step);
            world.step(step, &node, &mut disk);
        }
        let wanted = World::of(&b, &node);
        prop_assert_eq!(world.bare(), wanted.bare());
        for (type_ref, definition) in &wanted.types {
            prop_assert_eq!(world.types.get(type_ref), Some(definition), "the type that is needed is there");
        }
        prop_assert!(world.types.keys().all(|found| b.types.contains_key(found)), "no type that the model does not list");
        prop_assert!(world.units.is_superset(&wanted.units) && world.units.iter().all(|unit| b.units.contains_key(unit)));
        // A component that was here and is here has what it had learned; one that was elsewhere brings it.
        for live in world.live.values().filter(|live| live.subject.id != ComponentId::default()) {
            let id = live.subject.id;
            let was_here = before.live.values().any(|old| old.subject.id == id);
            let ran_there = |component: &Component| {
                component.id == id && component.instance.type_ref.as_ref().is_some_and(|it| it.name.as_str() != "Ghost")
            };
            let was_there =
                a.nodes.iter().any(|(name, other)| *name != node && other.components.values().any(|c| ran_there(c)));
            let expected = if was_here { learned(id) } else if was_there { MOVED + id.0 } else { FRESH };
            prop_assert_eq!(live.state, expected, "the state of {:?}", live.subject);
        }
    }

    #[test]
    fn a_plan_after_edits_leads_to_what_they_made(first in testing::models(), edits in testing::edits()) {
        let second = testing::edited(first.clone(), &edits);
        for node in first.nodes.keys().filter(|node| second.nodes.contains_key(*node)) {
            let plan = plan(&first, &second, node);
            prop_assert!(plan.is_sound());
            let mut world = World::of(&first, node);
            for step in &plan.steps {
                world.check_step(step);
                world.step(step, node, &mut Disk::new());
            }
            prop_assert_eq!(world.bare(), World::of(&second, node).bare());
        }
    }

    #[test]
    fn the_plan_of_the_result_is_empty(a in rough()) {
        let once = a.model();
        // Once with shared structure, once built anew.
        prop_assert!(plan(&once, &once.clone(), &own_node()).is_empty());
        prop_assert!(plan(&once, &a.model(), &own_node()).is_empty());
    }

    #[test]
    fn shared_structure_changes_nothing_about_a_plan((a, b) in pair()) {
        let (a, b) = (a.model(), b.model());
        let mut shared = a.clone();
        shared.nodes = b.nodes.iter().fold(a.nodes.clone(), |nodes, (name, node)| match nodes.get(name) {
            Some(old) if old == node => nodes,
            _ => nodes.update(name.clone(), node.clone()),
        });
        for gone in a.nodes.keys().filter(|name| !b.nodes.contains_key(*name)) {
            shared.nodes.remove(gone);
        }
        let mut other = b.clone();
        other.nodes = shared.nodes;
        let other = other.indexed();
        let node = own_node();
        prop_assert_eq!(sorted(plan(&a, &b, &node).steps), sorted(plan(&a, &other, &node).steps));
    }

    #[test]
    fn a_run_in_any_order_leads_to_the_wanted_model(
        (a, b) in pair(), dice in vec(any::<u8>(), 1..40), at_once in 1..9u8,
    ) {
        let (a, b, plan) = planned(&a, &b);
        let mut shell = Shell::new(World::of(&a, &own_node()));
        let mut run = Run::new(plan.clone(), limits(at_once));
        shell.run(&mut run, &dice, usize::MAX, |_, _| Fate::Works);
        prop_assert_eq!(shell.outcome, Some(Outcome::Adopted));
        prop_assert_eq!(shell.world.bare(), World::of(&b, &own_node()).bare());
        let ranks: Vec<_> = shell.trail.iter().map(|(step, _)| plan.steps[*step as usize].rank()).collect();
        prop_assert!(ranks.is_sorted(), "ranks fall: {:?}", ranks);
        let at = |place: u32| shell.trail.iter().position(|(step, _)| *step == place);
        for (first, then) in &plan.waits {
            if let (Some(first), Some(then)) = (at(*first), at(*then)) {
                prop_assert!(first < then, "who waits goes second");
            }
        }
    }

    #[test]
    fn a_failed_adaptation_undoes_the_ones_before_it(
        (a, b) in pair(), dice in vec(any::<u8>(), 1..40), at_once in 1..9u8, place in any::<prop::sample::Index>(), fate in fate(),
    ) {
        let (a, _, plan) = planned(&a, &b);
        prop_assume!(!plan.is_empty());
        let failing = place.index(plan.steps.len()) as u32;
        let before = World::of(&a, &own_node());
        let mut shell = Shell::new(before.clone());
        let mut run = Run::new(plan.clone(), limits(at_once));
        shell.run(&mut run, &dice, usize::MAX, |step, way| if step == failing && way == Way::Do { fate } else { Fate::Works });
        let Some(Outcome::RolledBack(failure)) = shell.outcome else { panic!("{:?}", shell.outcome) };
        prop_assert_eq!(failure.step, Some(failing));
        prop_assert_eq!(shell.world, before);
    }

    #[test]
    fn a_step_that_cannot_be_undone_does_not_keep_the_others(
        (a, b) in pair(), dice in vec(any::<u8>(), 1..40), places in vec(any::<prop::sample::Index>(), 2), fates in vec(fate(), 2),
    ) {
        let (_, _, plan) = planned(&a, &b);
        prop_assume!(!plan.is_empty());
        let (failing, stuck) = (places[0].index(plan.steps.len()) as u32, places[1].index(plan.steps.len()) as u32);
        let mut shell = Shell::new(World::default());
        let mut run = Run::new(plan.clone(), limits(4));
        shell.run(&mut run, &dice, usize::MAX, |step, way| match way {
            Way::Do if step == failing => fates[0],
            Way::Undo if step == stuck => fates[1],
            _ => Fate::Works,
        });
        let forth: BTreeSet<u32> = shell.trail.iter().filter(|(_, way)| *way == Way::Do).map(|(step, _)| *step).collect();
        let back: BTreeSet<u32> = shell.trail.iter().filter(|(_, way)| *way == Way::Undo).map(|(step, _)| *step).collect();
        prop_assert_eq!(&forth, &back, "whatever was begun is undone, or at least tried");
        match shell.outcome {
            Some(Outcome::RolledBack(_)) => prop_assert!(!back.contains(&stuck)),
            Some(Outcome::Degraded { remains, .. }) => prop_assert_eq!(remains[0].step, Some(stuck)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_resumed_run_ends_in_the_one_model_or_in_the_other(
        (a, b) in pair(), dice in vec(any::<u8>(), 1..40), at_once in 1..9u8,
        place in option::of(any::<prop::sample::Index>()), fate in fate(), crash in 0..60usize, lost in 0..4usize,
    ) {
        let (a, b, plan) = planned(&a, &b);
        prop_assume!(!plan.is_empty());
        let failing = place.map(|place| place.index(plan.steps.len()) as u32);
        let mut shell = Shell::new(World::of(&a, &own_node()));
        let mut run = Run::new(plan.clone(), limits(at_once));
        shell.run(&mut run, &dice, crash, |step, way| if Some(step) == failing && way == Way::Do { fate } else { Fate::Works });
        // The crash takes the records that were not made durable, from the last one on; and the steps under way are lost.
        for _ in 0..lost {
            if shell.records.last().is_some_and(|record| !record.is_durable()) {
                shell.records.pop();
            }
        }
        shell.under_way.clear();
        shell.outcome = None;
        let records = std::mem::take(&mut shell.records);
        let mut again = Run::resume(plan.clone(), &records, limits(at_once));
        shell.run(&mut again, &dice, usize::MAX, |_, _| Fate::Works);
        match shell.outcome {
            Some(Outcome::Adopted) => prop_assert_eq!(shell.world.bare(), World::of(&b, &own_node()).bare()),
            Some(Outcome::RolledBack(_)) => prop_assert_eq!(shell.world.bare(), World::of(&a, &own_node()).bare()),
            other => panic!("{other:?}"),
        }
    }
}
