//! Random models for the laws of the cores: what random edits make of an empty model.

use std::sync::Arc;

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{
    Attribute, Binding, ComponentId, DataType, DeployUnit, Edit, Instance, Kind, Model, PortDefinition, TypeDefinition,
};
use crate::words::{
    AttributeName, ChannelName, ComponentName, GroupName, InstancePath, Name, Namespace, NodeName, PortName, PortPath,
    ScopeName, TypeRef, UnitRef,
};

/// A name of whatever kind is wanted.
pub(crate) fn name<N: From<Name>>(text: &str) -> N {
    Name::parse(text).expect("a good name").into()
}

/// Models that random edits made.
pub(crate) fn models() -> impl Strategy<Value = Model> {
    vec(edit(), 0..80).prop_map(|edits| edited(Model::default(), &edits))
}

/// Lists of random edits; many of them cannot be applied.
pub(crate) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    vec(edit(), 0..20)
}

/// The model after those of the edits that can be applied.
pub(crate) fn edited(mut model: Model, edits: &[Edit]) -> Model {
    for edit in edits {
        let before = model.clone();
        if model.apply(std::slice::from_ref(edit)).is_err() {
            assert_eq!(model, before, "a refused edit leaves the model as it was");
        }
        assert_eq!(model.places.len(), model.components().count(), "every component has its place");
    }
    model
}

fn one<N: From<Name> + std::fmt::Debug + Clone + 'static>(
    names: &'static [&'static str],
) -> impl Strategy<Value = N> + Clone {
    select(names).prop_map(|text| name(text))
}

fn node() -> impl Strategy<Value = NodeName> + Clone {
    one(&["n0", "n1", "n2", "n3"])
}

fn component() -> impl Strategy<Value = ComponentName> + Clone {
    one(&["a", "b", "c"])
}

fn channel() -> impl Strategy<Value = ChannelName> + Clone {
    one(&["x", "y"])
}

fn group() -> impl Strategy<Value = GroupName> + Clone {
    one(&["g", "h"])
}

fn scope() -> impl Strategy<Value = ScopeName> + Clone {
    one(&["s", "t"])
}

fn attribute() -> impl Strategy<Value = AttributeName> + Clone {
    one(&["p", "q"])
}

fn text() -> impl Strategy<Value = Arc<str>> + Clone {
    select(&["", "1", "two", "\u{fc}nder \"quotes\"\n"][..]).prop_map(Arc::from)
}

fn ports(names: &'static [&'static str]) -> impl Strategy<Value = Vec<PortName>> {
    proptest::sample::subsequence(names, 0..=names.len()).prop_map(|names| names.into_iter().map(name).collect())
}

fn type_ref() -> impl Strategy<Value = TypeRef> + Clone {
    select(&["kevoree.Ticker/1", "org.kevoree.library.Node/2.0.0-SNAPSHOT", "enact.Gossip/1"][..])
        .prop_map(|text| text.parse().expect("a good type"))
}

fn unit_ref() -> impl Strategy<Value = UnitRef> + Clone {
    select(&["1.0", "2.0"][..]).prop_map(|version| UnitRef {
        namespace: Namespace::parse("kevoree").expect("a good name"),
        name: "@scope/unit".into(),
        version: version.into(),
        hashcode: "".into(),
    })
}

fn path() -> impl Strategy<Value = InstancePath> + Clone {
    prop_oneof![
        node().prop_map(InstancePath::Node),
        (node(), component()).prop_map(|(node, component)| InstancePath::Component(node, component)),
        channel().prop_map(InstancePath::Channel),
        group().prop_map(InstancePath::Group),
    ]
}

fn binding() -> impl Strategy<Value = Binding> {
    (node(), component(), one(&["in", "out"]), channel())
        .prop_map(|(node, component, port, channel)| Binding { port: PortPath { node, component, port }, channel })
}

fn definition() -> impl Strategy<Value = TypeDefinition> {
    let kinds = select(&[Kind::Node, Kind::Component, Kind::Channel, Kind::Group][..]);
    (type_ref(), kinds, vec(unit_ref(), 0..2), any::<bool>(), text()).prop_map(|(id, kind, units, flag, text)| {
        let attribute = Attribute {
            name: name("p"),
            datatype: if flag { DataType::Duration } else { DataType::Int },
            optional: flag,
            state: false,
            fragment: !flag,
            default: flag.then(|| text.clone()),
            min: flag.then(|| "1".into()),
            max: None,
            one_of: if flag { vec!["1".into(), "2".into()] } else { Vec::new() },
            secret: flag,
            doc: text.clone(),
        };
        let port = PortDefinition {
            name: name("in"),
            optional: flag,
            no_dependency: !flag,
            message: if flag { "Tick".into() } else { "Value".into() },
            schema: if flag { u64::MAX } else { 0 },
            doc: "".into(),
            port_type: None,
        };
        TypeDefinition {
            id,
            kind,
            is_abstract: !flag,
            units,
            super_types: Vec::new(),
            attributes: (!text.is_empty()).then(|| vec![attribute]),
            provided: if kind == Kind::Component { vec![port] } else { Vec::new() },
            required: Vec::new(),
            metadata: imbl::OrdMap::unit("description".into(), text),
        }
    })
}

fn unit() -> impl Strategy<Value = DeployUnit> {
    (unit_ref(), text()).prop_map(|(id, url)| DeployUnit {
        id,
        url,
        filters: imbl::OrdMap::unit("platform".into(), "js".into()),
        requires: Vec::new(),
    })
}

fn instance() -> impl Strategy<Value = Instance> {
    type_ref().prop_map(Instance::of)
}

/// One random edit, over few names, so that edits meet.
fn edit() -> impl Strategy<Value = Edit> {
    let host = option::of(node());
    let id = (0..8u64).prop_map(ComponentId);
    let add = prop_oneof![
        2 => (node(), instance(), option::weighted(0.2, node()))
            .prop_map(|(name, instance, host)| Edit::AddNode { name, instance, host }),
        4 => (node(), component(), id, instance(), ports(&["in", "in2"]), ports(&["out", "out2"])).prop_map(
            |(node, name, id, instance, provided, required)| {
                Edit::AddComponent { node, name, id, instance, provided, required }
            }
        ),
        1 => (channel(), instance())
            .prop_map(|(name, instance)| Edit::AddInstance { path: InstancePath::Channel(name), instance }),
        1 => (group(), instance())
            .prop_map(|(name, instance)| Edit::AddInstance { path: InstancePath::Group(name), instance }),
        1 => definition().prop_map(|definition| Edit::AddType(definition.into())),
        1 => unit().prop_map(|unit| Edit::AddUnit(unit.into())),
        1 => scope().prop_map(Edit::AddScope),
    ];
    let change = prop_oneof![
        4 => (node(), component(), node()).prop_map(|(node, name, to)| Edit::MoveComponent { node, name, to }),
        1 => (node(), host).prop_map(|(node, host)| Edit::Host { node, host }),
        1 => (path(), type_ref(), ports(&["in", "in2"]), ports(&["out"])).prop_map(
            |(path, type_ref, provided, required)| Edit::Retype { path, type_ref, provided, required }
        ),
        2 => (node(), group()).prop_map(|(node, group)| Edit::Attach { node, group }),
        1 => (node(), group()).prop_map(|(node, group)| Edit::Detach { node, group }),
        4 => (path(), option::weighted(0.3, node()), attribute(), text())
            .prop_map(|(path, fragment, attribute, value)| Edit::Set { path, fragment, attribute, value }),
        2 => (path(), option::weighted(0.3, node()), attribute())
            .prop_map(|(path, fragment, attribute)| Edit::Unset { path, fragment, attribute }),
        1 => (path(), any::<bool>()).prop_map(|(path, started)| Edit::SetStarted { path, started }),
        4 => binding().prop_map(Edit::Bind),
        1 => binding().prop_map(Edit::Unbind),
        1 => (node(), text(), text(), option::of(text()))
            .prop_map(|(node, interface, key, value)| Edit::SetNetwork { node, interface, key, value }),
        1 => (node(), attribute(), option::of(text()))
            .prop_map(|(node, property, value)| Edit::SetProperty { node, property, value }),
        1 => (path(), text(), option::of(text()))
            .prop_map(|(path, key, value)| Edit::SetMetadata { path, key, value }),
        1 => (node(), scope()).prop_map(|(node, scope)| Edit::Enter { node, scope }),
        1 => (node(), scope()).prop_map(|(node, scope)| Edit::Leave { node, scope }),
        1 => (text(), any::<bool>()).prop_map(|(url, listed)| Edit::SetRepository { url, listed }),
    ];
    let remove = prop_oneof![
        4 => path().prop_map(|path| Edit::Remove { path }),
        1 => type_ref().prop_map(Edit::RemoveType),
        1 => unit_ref().prop_map(Edit::RemoveUnit),
        1 => scope().prop_map(Edit::RemoveScope),
    ];
    prop_oneof![4 => add, 6 => change, 1 => remove]
}
