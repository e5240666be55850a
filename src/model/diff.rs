//! What differs between two models, at the cost of what differs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use imbl::{OrdMap, OrdSet, ordmap, ordset};

use super::{
    Binding, Component, ComponentId, DeployUnit, Dictionary, Instance, Model, Node, Scope, Shared, TypeDefinition,
    change::{Cell, Change, Element, Register, Written},
};
use crate::words::{AttributeName, ComponentName, NodeName, PortName, ScopeName};

/// What differs between two models, in order of element and register. Costs what differs where the models share the rest.
///
/// An element that comes or goes gives a change for each of its registers, existence first: whoever keeps registers one by
/// one (a group that merges) keeps none of what is gone. [`patch`](super::change::patch) takes the changes to a model.
pub fn diff(a: &Model, b: &Model) -> Vec<Change> {
    let mut changes = Vec::new();
    differences(a, b, &mut |element, register, before, after| {
        changes.push(Change { element: element.clone(), register, before, after });
    });
    // They are found almost in order, which makes this cheap.
    changes.sort_by(|x, y| (&x.element, &x.register).cmp(&(&y.element, &y.register)));
    changes
}

/// What differs, as what registers hold in `b`: element by element, in order. For a large model that is new this is far less to
/// handle than [`diff`].
pub fn rows(a: &Model, b: &Model) -> Vec<Written> {
    let mut rows: Vec<Written> = Vec::new();
    differences(a, b, &mut |element, register, _, after| match rows.last_mut() {
        Some(row) if row.element == *element => row.cells.push((register, after)),
        _ => {
            let mut cells = Vec::with_capacity(CELLS_FEW);
            cells.push((register, after));
            rows.push(Written { element: element.clone(), cells });
        }
    });
    rows.sort_by(|x, y| x.element.cmp(&y.element));
    rows.dedup_by(|next, row| {
        let same = next.element == row.element;
        if same {
            row.cells.append(&mut next.cells);
        }
        same
    });
    rows.iter_mut().for_each(|row| row.cells.sort_by(|x, y| x.0.cmp(&y.0)));
    rows
}

/// Room for the registers of an element at first: a component with few ports and values has no more.
const CELLS_FEW: usize = 10;

/// What is told of each register that differs.
pub(super) type Found<'f> = dyn FnMut(&Element, Register, Option<Cell>, Option<Cell>) + 'f;

/// Tells each register that differs, element by element.
pub(super) fn differences(a: &Model, b: &Model, found: &mut Found<'_>) {
    let mut diff = Diff { found, components: Vec::new(), replaced: Vec::new() };
    each(&a.nodes, &b.nodes, |name, a, b| diff.node(name, a.map(|a| &**a), b.map(|b| &**b)));
    diff.components();
    each(&a.channels, &b.channels, |name, a, b| {
        let element = Element::Channel(name.clone());
        diff.flag(&element, || Register::Here, a.is_some(), b.is_some());
        diff.instance(&element, a.map(|a| &a.instance), b.map(|b| &b.instance));
    });
    each(&a.groups, &b.groups, |name, a, b| {
        let element = Element::Group(name.clone());
        diff.flag(&element, || Register::Here, a.is_some(), b.is_some());
        diff.instance(&element, a.map(|a| &a.instance), b.map(|b| &b.instance));
    });
    diff.bindings(a, b);
    each(&a.types, &b.types, |id, a, b| {
        let cell = |shared: &Shared<TypeDefinition>| Cell::Definition(shared.arc());
        diff.differ(&Element::Type(id.clone()), || Register::Here, (a, b), cell);
    });
    each(&a.units, &b.units, |id, a, b| {
        let cell = |shared: &Shared<DeployUnit>| Cell::Unit(shared.arc());
        diff.differ(&Element::Unit(id.clone()), || Register::Here, (a, b), cell);
    });
    each(&a.scopes, &b.scopes, |name, a, b| diff.scope(name, a.map(|a| &**a), b.map(|b| &**b)));
    each_flag(&a.repositories, &b.repositories, |url, a, b| {
        diff.flag(&Element::Repository(url.clone()), || Register::Here, a, b);
    });
}

/// Where a component is, and what it is.
type Seen<'a> = (&'a NodeName, &'a ComponentName, &'a Component);

struct Diff<'a, 'f> {
    found: &'f mut Found<'f>,
    /// The components that are not the same at the same place, before (false) or after (true), by identity: so a move is
    /// seen as one.
    components: Vec<(ComponentId, bool, Seen<'a>)>,
    /// The places where one component stood and another stands now.
    replaced: Vec<(&'a NodeName, &'a ComponentName)>,
}

impl<'a> Diff<'a, '_> {
    /// Tells a register that differs. Nothing is cloned for one that does not: most are far from the processor, and a clone writes to them.
    fn differ<T: PartialEq + Copy>(
        &mut self,
        element: &Element,
        register: impl FnOnce() -> Register,
        (before, after): (Option<T>, Option<T>),
        cell: impl Fn(T) -> Cell,
    ) {
        if before != after {
            (self.found)(element, register(), before.map(&cell), after.map(&cell));
        }
    }

    fn flag(&mut self, element: &Element, register: impl FnOnce() -> Register, before: bool, after: bool) {
        self.differ(element, register, (before.then_some(true), after.then_some(true)), Cell::Flag);
    }

    fn text(
        &mut self,
        element: &Element,
        register: impl FnOnce() -> Register,
        before: Option<&Arc<str>>,
        after: Option<&Arc<str>>,
    ) {
        self.differ(element, register, (before, after), |text| Cell::Text(text.clone()));
    }

    fn node(&mut self, name: &'a NodeName, a: Option<&'a Node>, b: Option<&'a Node>) {
        let mut component = |component, a, b| self.component(name, component, a, b);
        match (a, b) {
            (Some(a), Some(b)) => each(&a.components, &b.components, component),
            (Some(a), None) => a.components.iter().for_each(|(name, found)| component(name, Some(found), None)),
            (None, Some(b)) => b.components.iter().for_each(|(name, found)| component(name, None, Some(found))),
            (None, None) => {}
        }
        let element = Element::Node(name.clone());
        self.flag(&element, || Register::Here, a.is_some(), b.is_some());
        self.instance(&element, a.map(|a| &a.instance), b.map(|b| &b.instance));
        let host = |node: Option<&'a Node>| node.and_then(|node| node.host.as_ref());
        self.differ(&element, || Register::Host, (host(a), host(b)), |host| Cell::Node(host.clone()));
        let none = Node::default();
        let (a, b) = (a.unwrap_or(&none), b.unwrap_or(&none));
        each_flag(&a.groups, &b.groups, |group, a, b| {
            self.flag(&element, || Register::Attached(group.clone()), a, b);
        });
        let nothing = OrdMap::new();
        each(&a.networks, &b.networks, |interface, a, b| {
            each(a.unwrap_or(&nothing), b.unwrap_or(&nothing), |key, a, b| {
                self.text(&element, || Register::Network(interface.clone(), key.clone()), a, b);
            });
        });
        each(&a.properties, &b.properties, |property, a, b| {
            self.text(&element, || Register::Property(property.clone()), a, b);
        });
    }

    fn component(
        &mut self,
        node: &'a NodeName,
        name: &'a ComponentName,
        a: Option<&'a Shared<Component>>,
        b: Option<&'a Shared<Component>>,
    ) {
        self.components.extend(a.map(|a| (a.id, false, (node, name, &**a))));
        self.components.extend(b.map(|b| (b.id, true, (node, name, &**b))));
        if let (Some(a), Some(b)) = (a, b)
            && a.id != b.id
        {
            self.replaced.push((node, name));
        }
    }

    fn components(&mut self) {
        let mut seen = std::mem::take(&mut self.components);
        seen.sort_unstable_by_key(|(id, after, _)| (*id, *after));
        for seen in seen.chunk_by(|(a, ..), (b, ..)| a == b) {
            let [(id, ..), ..] = *seen else { continue };
            let find = |which: bool| seen.iter().find(|(_, after, _)| *after == which).map(|(_, _, seen)| *seen);
            let (a, b) = (find(false), find(true));
            let element = Element::Component(id);
            let place = |seen: Option<Seen<'a>>| seen.map(|(node, name, _)| (node, name));
            let cell = |(node, name): (&NodeName, &ComponentName)| Cell::Place(node.clone(), name.clone());
            self.differ(&element, || Register::Here, (place(a), place(b)), cell);
            let (a, b) = (a.map(|(_, _, a)| a), b.map(|(_, _, b)| b));
            self.instance(&element, a.map(|a| &a.instance), b.map(|b| &b.instance));
            if a.map(|a| (&a.provided, &a.required)) != b.map(|b| (&b.provided, &b.required)) {
                let (a, b) = (ports(a), ports(b));
                let names: BTreeSet<&PortName> = a.keys().chain(b.keys()).copied().collect();
                for name in names {
                    let receives = |ports: &BTreeMap<&PortName, bool>| ports.get(name).copied();
                    self.differ(&element, || Register::Port(name.clone()), (receives(&a), receives(&b)), Cell::Flag);
                }
            }
        }
    }

    fn instance(&mut self, element: &Element, a: Option<&Instance>, b: Option<&Instance>) {
        let types = (a.and_then(|a| a.type_ref.as_ref()), b.and_then(|b| b.type_ref.as_ref()));
        self.differ(element, || Register::Type, types, |type_ref| Cell::Type(type_ref.clone()));
        let started = (a.map(|a| a.started), b.map(|b| b.started));
        self.differ(element, || Register::Started, started, Cell::Flag);
        let (x, y) = (a.and_then(|a| a.dictionary.as_ref()), b.and_then(|b| b.dictionary.as_ref()));
        self.flag(element, || Register::HasDictionary, x.is_some(), y.is_some());
        each_value(x, y, |name, x, y| self.text(element, || Register::Value(name.clone()), x, y));
        let none = Instance::default();
        let (a, b) = (a.unwrap_or(&none), b.unwrap_or(&none));
        each(&a.fragments, &b.fragments, |node, a, b| {
            self.flag(element, || Register::HasFragment(node.clone()), a.is_some(), b.is_some());
            each_value(a, b, |name, a, b| {
                self.text(element, || Register::Fragment(node.clone(), name.clone()), a, b);
            });
        });
        each(&a.metadata, &b.metadata, |key, a, b| self.text(element, || Register::Metadata(key.clone()), a, b));
    }

    fn scope(&mut self, name: &ScopeName, a: Option<&Scope>, b: Option<&Scope>) {
        let element = Element::Scope(name.clone());
        self.flag(&element, || Register::Here, a.is_some(), b.is_some());
        let none = Scope::default();
        each_flag(&a.unwrap_or(&none).members, &b.unwrap_or(&none).members, |node, a, b| {
            self.flag(&element, || Register::Member(node.clone()), a, b);
        });
    }

    /// A binding belongs to the component, not to its place: what only moved along cancels out, and what stayed at a place
    /// where another component stands now does not.
    fn bindings(&mut self, a: &Model, b: &Model) {
        let element = |model: &Model, Binding { port, channel }: &Binding| {
            let component = model.component(&port.node, &port.component)?;
            Some(Element::Binding(component.id, port.port.clone(), channel.clone()))
        };
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for item in a.bindings.as_set().diff(b.bindings.as_set()) {
            match item {
                ordset::DiffItem::Remove(binding) => gone.extend(element(a, binding)),
                ordset::DiffItem::Add(binding) => come.extend(element(b, binding)),
            }
        }
        for (node, name) in std::mem::take(&mut self.replaced) {
            for binding in a.bindings.of_component(node, name).filter(|binding| b.bindings.contains(binding)) {
                gone.extend(element(a, binding));
                come.extend(element(b, binding));
            }
        }
        gone.sort_unstable();
        come.sort_unstable();
        for element in gone.iter().filter(|element| come.binary_search(element).is_err()) {
            self.flag(element, || Register::Here, true, false);
        }
        for element in come.iter().filter(|element| gone.binary_search(element).is_err()) {
            self.flag(element, || Register::Here, false, true);
        }
    }
}

/// The ports of a component, true for those that receive.
fn ports(component: Option<&Component>) -> BTreeMap<&PortName, bool> {
    let Some(component) = component else { return BTreeMap::new() };
    let sending = component.required.iter().map(|port| (port, false));
    sending.chain(component.provided.iter().map(|port| (port, true))).collect()
}

/// Each key under which two maps differ, with both values.
fn each<'m, K: Ord, V: PartialEq>(
    a: &'m OrdMap<K, V>,
    b: &'m OrdMap<K, V>,
    mut found: impl FnMut(&'m K, Option<&'m V>, Option<&'m V>),
) {
    for item in a.diff(b) {
        match item {
            ordmap::DiffItem::Add(key, b) => found(key, None, Some(b)),
            ordmap::DiffItem::Update { old: (_, a), new: (key, b) } => found(key, Some(a), Some(b)),
            ordmap::DiffItem::Remove(key, a) => found(key, Some(a), None),
        }
    }
}

/// Each member that only one of two sets has.
fn each_flag<K: Ord>(a: &OrdSet<K>, b: &OrdSet<K>, mut found: impl FnMut(&K, bool, bool)) {
    for item in a.diff(b) {
        match item {
            ordset::DiffItem::Add(key) => found(key, false, true),
            ordset::DiffItem::Remove(key) => found(key, true, false),
        }
    }
}

/// Each attribute whose values may differ in two dictionaries.
fn each_value(
    a: Option<&Dictionary>,
    b: Option<&Dictionary>,
    mut found: impl FnMut(&AttributeName, Option<&Arc<str>>, Option<&Arc<str>>),
) {
    if let (Some(a), Some(b)) = (a, b)
        && a.same(b)
    {
        return;
    }
    for (name, value) in a.into_iter().flat_map(Dictionary::iter) {
        found(name, Some(value), b.and_then(|b| b.value(name)));
    }
    for (name, value) in b.into_iter().flat_map(Dictionary::iter) {
        if a.and_then(|a| a.value(name)).is_none() {
            found(name, None, Some(value));
        }
    }
}
