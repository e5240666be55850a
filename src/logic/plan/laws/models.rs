//! Random pairs of models for the laws.

use std::collections::BTreeSet;

use proptest::{collection::vec, option, prelude::*};

use crate::{
    model::{
        Binding, Channel, Component, ComponentId, DeployUnit, Group, Instance, Kind, Model, Node, PortDefinition,
        Shared, TypeDefinition,
    },
    words::{Name, Namespace, NodeName, PortName, TypeName, TypeRef, UnitRef},
};

pub(super) fn own_node() -> NodeName {
    NodeName::parse("n0").unwrap()
}

pub(super) fn name<T: From<Name>>(text: String) -> T {
    T::from(Name::parse(&text).unwrap())
}

pub(super) fn type_ref(kind: &str, version: u8) -> TypeRef {
    TypeRef {
        namespace: Namespace::parse("enact").unwrap(),
        name: name::<TypeName>(kind.to_owned()),
        version: version.to_string().into(),
    }
}

pub(super) fn definition(kind: Kind, base: &str, version: u8, flavour: u8) -> TypeDefinition {
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

pub(super) fn unit(base: &str, version: u8) -> DeployUnit {
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
pub(super) type RoughComponent = (u64, u8, bool, Option<u8>);

/// A channel: type, started, capacity, fragment value.
pub(super) type RoughChannel = (u8, bool, u8, Option<u8>);

#[derive(Clone, Debug)]
pub(super) struct Rough {
    pub(super) components: Vec<Option<RoughComponent>>,
    pub(super) channels: Vec<Option<RoughChannel>>,
    pub(super) bindings: Vec<bool>,
    pub(super) groups: Vec<Option<(u8, bool, bool)>>,
    pub(super) hosted: Option<(bool, u8, bool)>,
    pub(super) own: (bool, u8),
    pub(super) lists_all: bool,
    pub(super) flavour: u8,
}

pub(super) const COMPONENT_TYPES: [(&str, u8); 4] = [("Worker", 1), ("Worker", 2), ("Other", 1), ("Ghost", 1)];
pub(super) const N_SLOTS: usize = 6;
pub(super) const N_CHANNELS: usize = 3;

pub(super) fn rough() -> impl Strategy<Value = Rough> {
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
pub(super) fn pair() -> impl Strategy<Value = (Rough, Rough)> {
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

pub(super) fn instance(kind: &str, version: u8, started: bool, value: Option<u8>) -> Instance {
    let values = value.map(|value| (name("p".to_owned()), value.to_string().into()));
    Instance { started, dictionary: Some(values.into_iter().collect()), ..Instance::of(type_ref(kind, version)) }
}

impl Rough {
    pub(super) fn model(&self) -> Model {
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
