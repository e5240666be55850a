//! Models of the world of plans: two nodes, components that are bound, started, moved, upgraded and set, channels, a group.

use enact::{
    model::{
        Attribute, Binding, Channel, Component, ComponentId, Group, Instance, Kind, Model, Node, PortDefinition,
        Shared, TypeDefinition,
        change::{diff, patch},
    },
    words::{Name, Namespace, NodeName, PortName, PortPath, TypeRef},
};

use crate::chance::Chance;

const N_COMPONENTS: usize = 6;
const N_CHANNELS: usize = 3;

/// The node that plans are made for.
pub(super) fn own_node() -> NodeName {
    name("n0")
}

pub(super) fn name<N: From<Name>>(text: &str) -> N {
    N::from(Name::parse(text).expect("a valid name"))
}

fn type_ref(base: &str, version: u64) -> TypeRef {
    let namespace = Namespace::parse("enact").expect("a valid name");
    TypeRef { namespace, name: name(base), version: version.to_string().into() }
}

#[derive(Clone, Copy, Debug)]
struct RoughComponent {
    id: u64,
    version: u64,
    is_started: bool,
    value: u64,
}

/// A model, as roughly as it can be said.
#[derive(Clone, Debug)]
pub(super) struct Rough {
    /// By slot; even slots are on the own node.
    components: [Option<RoughComponent>; N_COMPONENTS],
    /// Version, started, value.
    channels: [Option<(u64, bool, u64)>; N_CHANNELS],
    /// By component, direction and channel.
    bindings: [bool; N_COMPONENTS * 2 * N_CHANNELS],
    /// Version and whether the own node is attached.
    group: Option<(u64, bool)>,
    own_value: u64,
}

impl Rough {
    /// Nothing but nodes.
    pub(super) fn empty() -> Rough {
        Rough {
            components: [None; N_COMPONENTS],
            channels: [None; N_CHANNELS],
            bindings: [false; N_COMPONENTS * 2 * N_CHANNELS],
            group: None,
            own_value: 0,
        }
    }

    /// A model with much in it.
    pub(super) fn some(chance: &mut Chance) -> Rough {
        let mut rough = Rough::empty();
        for (slot, component) in rough.components.iter_mut().enumerate() {
            if chance.percent(30) {
                continue;
            }
            let (version, is_started) = (1 + chance.below(2), chance.percent(85));
            *component = Some(RoughComponent { id: slot as u64 + 1, version, is_started, value: chance.below(3) });
        }
        for channel in &mut rough.channels {
            *channel = chance.percent(85).then(|| (1, chance.percent(90), chance.below(3)));
        }
        rough.bindings.iter_mut().for_each(|bound| *bound = chance.percent(20));
        rough
    }

    /// The same with some changes.
    pub(super) fn changed(&self, chance: &mut Chance) -> Rough {
        let mut next = self.clone();
        for _ in 0..=chance.below(8) {
            next.change(chance);
        }
        next
    }

    fn change(&mut self, chance: &mut Chance) {
        let slot = chance.idx(N_COMPONENTS);
        match chance.below(12) {
            0..=2 => {
                let id = 1 + chance.below(12);
                let is_taken = self.components.iter().flatten().any(|component| component.id == id);
                if !is_taken {
                    let (version, is_started) = (1 + chance.below(2), chance.percent(80));
                    self.components[slot] = Some(RoughComponent { id, version, is_started, value: chance.below(3) });
                }
            }
            3 => self.components[slot] = None,
            4 => {
                let other = chance.idx(N_COMPONENTS);
                self.components.swap(slot, other);
            }
            5 | 6 => {
                if let Some(component) = &mut self.components[slot] {
                    match chance.below(3) {
                        0 => component.version = 3 - component.version,
                        1 => component.is_started = !component.is_started,
                        _ => component.value = chance.below(3),
                    }
                }
            }
            7 => {
                let channel = chance.idx(N_CHANNELS);
                self.channels[channel] =
                    chance.percent(80).then(|| (1 + chance.below(2), chance.percent(90), chance.below(3)));
            }
            8 => self.group = chance.percent(70).then(|| (1 + chance.below(2), chance.percent(60))),
            9 => self.own_value = chance.below(3),
            _ => {
                let binding = chance.idx(self.bindings.len());
                self.bindings[binding] = chance.percent(75);
            }
        }
    }

    /// The model. It shares its structure with the one before, as in a group.
    pub(super) fn model(&self, before: &Model) -> Model {
        let built = self.build();
        let mut shared = before.clone();
        patch(&mut shared, &diff(before, &built));
        shared
    }

    fn build(&self) -> Model {
        let mut model = Model::default();
        let mut nodes = [Node::default(), Node::default()];
        nodes[0].instance = instance("EnactNode", 1, true, self.own_value);
        nodes[1].instance = instance("EnactNode", 1, true, 0);
        for (slot, component) in self.components.iter().enumerate() {
            let Some(rough) = component else { continue };
            let component = Component {
                id: ComponentId(rough.id),
                instance: instance("Worker", rough.version, rough.is_started, rough.value),
                provided: [name::<PortName>("in")].into_iter().collect(),
                required: [name::<PortName>("out")].into_iter().collect(),
            };
            nodes[slot % 2].components.insert(name(&format!("c{}", slot / 2)), Shared::new(component));
        }
        for (idx, channel) in self.channels.iter().enumerate() {
            if let Some((version, is_started, value)) = *channel {
                let instance = instance("Channel", version, is_started, value);
                model.channels.insert(name(&format!("ch{idx}")), Shared::new(Channel { instance }));
            }
        }
        if let Some((version, is_attached)) = self.group {
            model.groups.insert(name("g"), Shared::new(Group { instance: instance("Group", version, true, 0) }));
            if is_attached {
                nodes[0].groups.insert(name("g"));
            }
        }
        for (idx, _) in self.bindings.iter().enumerate().filter(|(_, is_bound)| **is_bound) {
            let (slot, rest) = (idx / (2 * N_CHANNELS), idx % (2 * N_CHANNELS));
            let channel = rest / 2;
            if self.components[slot].is_some() && self.channels[channel].is_some() {
                let port = PortPath {
                    node: name(["n0", "n1"][slot % 2]),
                    component: name(&format!("c{}", slot / 2)),
                    port: name(["in", "out"][rest % 2]),
                };
                model.bindings.insert(Binding { port, channel: name(&format!("ch{channel}")) });
            }
        }
        let [own, other] = nodes;
        model.nodes.insert(own_node(), Shared::new(own));
        model.nodes.insert(name("n1"), Shared::new(other));
        for version in [1, 2] {
            for (kind, base) in [
                (Kind::Component, "Worker"),
                (Kind::Channel, "Channel"),
                (Kind::Group, "Group"),
                (Kind::Node, "EnactNode"),
            ] {
                let definition = definition(kind, base, version);
                model.types.insert(definition.id.clone(), Shared::new(definition));
            }
        }
        model.indexed()
    }
}

fn instance(base: &str, version: u64, started: bool, value: u64) -> Instance {
    let values = [(name("p"), value.to_string().into())];
    Instance { started, dictionary: Some(values.into_iter().collect()), ..Instance::of(type_ref(base, version)) }
}

fn definition(kind: Kind, base: &str, version: u64) -> TypeDefinition {
    let is_component = kind == Kind::Component;
    let port = |port: &str| PortDefinition {
        name: name(port),
        optional: true,
        no_dependency: false,
        message: "Value".into(),
        schema: version,
        doc: "".into(),
        port_type: None,
    };
    TypeDefinition {
        id: type_ref(base, version),
        kind,
        is_abstract: false,
        units: Vec::new(),
        super_types: Vec::new(),
        attributes: Some(Vec::<Attribute>::new()),
        provided: if is_component { vec![port("in")] } else { Vec::new() },
        required: if is_component { vec![port("out")] } else { Vec::new() },
        metadata: Default::default(),
    }
}
