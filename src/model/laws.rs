//! The laws of the model: what holds for edits, differences, patches, digests and files, whatever the model.

use proptest::prelude::*;

use super::{
    Binding, ComponentId, DeployUnit, Edit, Instance, Kind, Model, TypeDefinition,
    change::{Cell, Element, Register, diff, patch},
    check::{check, check_changes},
    digest, kmf,
    testing::{edited, edits, models, name},
};
use crate::words::{InstancePath, NodeName, PortPath, ScopeName, TypeRef, UnitRef};

/// The model with a type for each instance and a unit for each type.
fn without_dangling(mut model: Model) -> Model {
    let types: Vec<TypeRef> = model.instances().filter_map(|(_, instance)| instance.type_ref.clone()).collect();
    for id in types {
        model.types.entry(id.clone()).or_insert_with(|| {
            TypeDefinition {
                id,
                kind: Kind::Node,
                is_abstract: false,
                units: Vec::new(),
                super_types: Vec::new(),
                attributes: None,
                provided: Vec::new(),
                required: Vec::new(),
                metadata: imbl::OrdMap::new(),
            }
            .into()
        });
    }
    let units: Vec<UnitRef> = model.types.values().flat_map(|definition| definition.units.clone()).collect();
    for id in units {
        let unit = DeployUnit { id: id.clone(), url: "".into(), filters: imbl::OrdMap::new(), requires: Vec::new() };
        model.units.entry(id).or_insert_with(|| unit.into());
    }
    model
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_patch_with_the_difference_makes_the_other_model(a in models(), b in models()) {
        let changes = diff(&a, &b);
        let mut patched = a.clone();
        patch(&mut patched, &changes);
        prop_assert_eq!(&patched, &b);
        for (node, name, component) in b.components() {
            prop_assert_eq!(patched.path_of(component.id), Some((node, name)));
        }
        prop_assert_eq!(digest::of(&a).after(&changes), digest::of(&b));
        let back: Vec<_> = changes.into_iter().map(|change| change.inverse()).collect();
        patch(&mut patched, &back);
        prop_assert_eq!(&patched, &a);
    }

    #[test]
    fn the_same_holds_for_a_model_and_what_edits_made_of_it(a in models(), edits in edits()) {
        let b = edited(a.clone(), &edits);
        let changes = diff(&a, &b);
        let mut patched = a.clone();
        patch(&mut patched, &changes);
        prop_assert_eq!(&patched, &b);
        prop_assert!(diff(&patched, &b).is_empty());
        prop_assert!(diff(&b, &b).is_empty());
        prop_assert_eq!(changes.is_empty(), a == b);
        prop_assert_eq!(digest::of(&a) == digest::of(&b), a == b);
        for (node, name, component) in b.components() {
            prop_assert_eq!(b.path_of(component.id), Some((node, name)));
        }
    }

    #[test]
    fn a_check_of_changes_finds_what_they_brought_and_nothing_that_is_not_there(a in models(), edits in edits()) {
        let b = edited(a.clone(), &edits);
        let (before, after) = (check(&a), check(&b));
        let found = check_changes(&b, &diff(&a, &b));
        for fault in &found {
            prop_assert!(after.contains(fault), "{} is not there", fault);
        }
        for fault in after.iter().filter(|fault| !before.contains(fault)) {
            prop_assert!(found.contains(fault), "{} was not found", fault);
        }
    }

    #[test]
    fn a_patch_made_for_another_model_does_no_harm(a in models(), b in models(), c in models()) {
        let mut patched = c.clone();
        patch(&mut patched, &diff(&a, &b));
        for (node, name, component) in patched.components() {
            prop_assert_eq!(patched.path_of(component.id), Some((node, name)));
        }
        for binding in patched.bindings.iter() {
            prop_assert!(patched.component(&binding.port.node, &binding.port.component).is_some());
        }
    }

    #[test]
    fn what_is_written_for_kevoree_comes_back(a in models()) {
        // Kevoree's loader refuses what dangles.
        let a = without_dangling(a);
        let text = kmf::write(&a);
        prop_assert_eq!(text.lines().nth(1).and_then(|line| line.split('@').next()), Some("{\"class\":\"root:org.kevoree.ContainerRoot"));
        prop_assert_eq!(kmf::read(&text).unwrap(), a);
    }

    #[test]
    fn what_is_serialised_comes_back(a in models()) {
        let text = serde_json::to_string(&a).unwrap();
        let back: Model = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&back, &a);
        for (node, name, component) in a.components() {
            prop_assert_eq!(back.path_of(component.id), Some((node, name)));
        }
    }
}

fn ticker(node: &str, component: &str, id: u64) -> Edit {
    Edit::AddComponent {
        node: name(node),
        name: name(component),
        id: ComponentId(id),
        instance: Instance::of("enact.Ticker/1".parse().unwrap()),
        provided: vec![name("in")],
        required: vec![name("out")],
    }
}

fn two_nodes_and_a_channel() -> Model {
    let mut model = Model::default();
    let node = |text| Edit::AddNode { name: name(text), instance: Instance::default(), host: None };
    let port = PortPath { node: name("n0"), component: name("a"), port: name("out") };
    model
        .apply(&[
            node("n0"),
            node("n1"),
            Edit::AddInstance { path: InstancePath::Channel(name("x")), instance: Instance::default() },
            ticker("n0", "a", 1),
            Edit::Bind(Binding { port, channel: name("x") }),
        ])
        .unwrap();
    model
}

#[test]
fn one_changed_value_is_one_change_and_leaves_the_rest_shared() {
    let a = two_nodes_and_a_channel();
    let mut b = a.clone();
    let path = InstancePath::Component(name("n0"), name("a"));
    b.apply(&[Edit::Set { path, fragment: None, attribute: name("p"), value: "1".into() }]).unwrap();
    let changes = diff(&a, &b);
    let [change] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(change.element, Element::Component(ComponentId(1)));
    assert_eq!(change.register, Register::Value(name("p")));
    assert_eq!((&change.before, &change.after), (&None, &Some(Cell::Text("1".into()))));
    let mut patched = a.clone();
    patch(&mut patched, &changes);
    for other in [&b, &patched] {
        let n1: NodeName = name("n1");
        assert!(other.nodes[&n1].same(&a.nodes[&n1]), "what the change does not touch is shared");
    }
}

#[test]
fn a_move_is_one_change_and_keeps_identity_values_and_bindings() {
    let a = two_nodes_and_a_channel();
    let mut b = a.clone();
    b.apply(&[Edit::MoveComponent { node: name("n0"), name: name("a"), to: name("n1") }]).unwrap();
    let changes = diff(&a, &b);
    let [change] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(change.after, Some(Cell::Place(name("n1"), name("a"))));
    let (node, component) = (name("n1"), name("a"));
    assert!(b.component(&node, &component).unwrap().same(a.component(&name("n0"), &component).unwrap()));
    assert_eq!(b.bindings.iter().next().unwrap().port.to_string(), "n1.a.out");
    assert_eq!(b.bindings.of_channel(&name("x")).count(), 1);
}

#[test]
fn a_failed_list_of_edits_changes_nothing_and_says_what_is_missing() {
    let mut model = two_nodes_and_a_channel();
    let before = model.clone();
    let remove = |path| Edit::Remove { path };
    let cases: Vec<(Edit, &str)> = vec![
        (remove(InstancePath::Node(name("n9"))), "there is no node \"n9\""),
        (remove(InstancePath::Component(name("n0"), name("z"))), "there is no component \"z\" on node \"n0\""),
        (ticker("n0", "a", 7), "there is already a component \"a\" on node \"n0\""),
        (ticker("n0", "b", 1), "the identity 0000000000000001 already belongs to component \"n0.a\""),
        (
            Edit::AddInstance { path: InstancePath::Group(name("x")), instance: Instance::default() },
            "\"x\" is already the name of a channel",
        ),
        (Edit::Host { node: name("n0"), host: Some(name("n0")) }, "node \"n0\" cannot be hosted by \"n0\""),
        (
            Edit::Bind(Binding {
                port: PortPath { node: name("n0"), component: name("a"), port: name("tick") },
                channel: name("x"),
            }),
            "component \"n0.a\" has no port \"tick\" (it has: in, out)",
        ),
        (
            Edit::Retype {
                path: InstancePath::Component(name("n0"), name("a")),
                type_ref: "enact.Ticker/2".parse().unwrap(),
                provided: vec![],
                required: vec![name("tick")],
            },
            "port \"n0.a.out\" is bound to channel \"x\"",
        ),
        (Edit::AddScope(name("s")), ""),
    ];
    for (edit, expected) in cases.into_iter().filter(|(_, expected)| !expected.is_empty()) {
        let error = model.apply(&[Edit::AddScope(name("s")), edit]).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(model, before);
    }
}

#[test]
fn a_node_that_goes_takes_what_hangs_on_it() {
    let mut model = two_nodes_and_a_channel();
    let channel = InstancePath::Channel(name("x"));
    model
        .apply(&[
            Edit::AddNode { name: name("child"), instance: Instance::default(), host: Some(name("n0")) },
            Edit::AddScope(name("s")),
            Edit::Enter { node: name("child"), scope: name("s") },
            Edit::Set { path: channel.clone(), fragment: Some(name("n0")), attribute: name("p"), value: "1".into() },
            Edit::Remove { path: InstancePath::Node(name("n0")) },
        ])
        .unwrap();
    assert_eq!(model.nodes.keys().map(NodeName::as_str).collect::<Vec<_>>(), ["n1"]);
    assert!(model.bindings.is_empty() && model.scopes[&name::<ScopeName>("s")].members.is_empty());
    assert!(model.instance(&channel).unwrap().fragments.is_empty());
    assert_eq!(model.path_of(ComponentId(1)), None);
}
