//! Taking changes to a model: what they do not touch stays shared with the model as it was.

use super::{
    Binding, Channel, Component, ComponentId, Group, Instance, Model, Node, Scope, Shared,
    change::{Cell, Change, Element, Register},
};
use crate::words::{ChannelName, ComponentName, NodeName, PortName, PortPath};

/// What registers of one element hold from now on, in order of register; `None` for nothing.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Whose.
    pub element: &'a Element,
    /// Which.
    pub cells: Vec<(&'a Register, Option<&'a Cell>)>,
}

impl<'a> Row<'a> {
    /// What becomes of the element's existence, if that changes.
    fn here(&self) -> Option<Option<&'a Cell>> {
        self.cells.first().filter(|(register, _)| **register == Register::Here).map(|(_, cell)| *cell)
    }

    /// The other registers.
    fn others(&self) -> impl Iterator<Item = (&'a Register, Option<&'a Cell>)> {
        self.cells.iter().copied().filter(|(register, _)| **register != Register::Here)
    }
}

/// Takes changes to a model, in any order. Changes of what is not there are left out, so that a change made for another
/// model does what it can; a component whose place is taken by another is not placed.
pub fn patch(model: &mut Model, changes: &[Change]) {
    let mut sorted: Vec<&Change> = changes.iter().collect();
    sorted.sort_by(|a, b| (&a.element, &a.register).cmp(&(&b.element, &b.register)));
    let rows = sorted.chunk_by(|a, b| a.element == b.element).map(|changes| {
        let cells = changes.iter().map(|change| (&change.register, change.after.as_ref())).collect();
        Row { element: &changes[0].element, cells }
    });
    patch_rows(model, &rows.collect::<Vec<_>>());
}

/// The same with rows, in order of element.
pub fn patch_rows(model: &mut Model, rows: &[Row<'_>]) {
    for row in rows {
        if let Some(Some(after)) = row.here() {
            add(model, row.element, after);
        }
    }
    let made = place_components(model, rows);
    for row in rows {
        if !matches!(row.element, Element::Component(id) if made.binary_search(id).is_ok()) {
            set_registers(model, row);
        }
    }
    for row in rows {
        if let (Element::Binding(id, port, channel), Some(after)) = (row.element, row.here()) {
            bind(model, *id, port, channel, after.is_some());
        }
    }
    for row in rows {
        if row.here() == Some(None) {
            remove(model, row.element);
        }
    }
}

/// Brings an element into being. Components and bindings come later, when all that they stand on is there.
fn add(model: &mut Model, element: &Element, after: &Cell) {
    match (element, after) {
        (Element::Node(name), _) if !model.nodes.contains_key(name) => {
            model.nodes.insert(name.clone(), Node::default().into());
        }
        (Element::Channel(name), _) if !model.channels.contains_key(name) => {
            model.channels.insert(name.clone(), Channel::default().into());
        }
        (Element::Group(name), _) if !model.groups.contains_key(name) => {
            model.groups.insert(name.clone(), Group::default().into());
        }
        (Element::Scope(name), _) if !model.scopes.contains_key(name) => {
            model.scopes.insert(name.clone(), Scope::default().into());
        }
        (Element::Type(id), Cell::Definition(definition)) => {
            model.types.insert(id.clone(), definition.clone().into());
        }
        (Element::Unit(id), Cell::Unit(unit)) => {
            model.units.insert(id.clone(), unit.clone().into());
        }
        (Element::Repository(url), _) => {
            model.repositories.insert(url.clone());
        }
        _ => {}
    }
}

/// A component on its way to a place, with the bindings that it takes along.
struct Placed<'a> {
    id: ComponentId,
    node: &'a NodeName,
    name: &'a ComponentName,
    component: Shared<Component>,
    bindings: Vec<Binding>,
}

/// Takes out all components that go or move, and then puts in those that come or have moved: two may swap their places. Those that
/// come are made whole before they are put in; their identities come back, in order.
fn place_components(model: &mut Model, rows: &[Row<'_>]) -> Vec<ComponentId> {
    let mut placed: Vec<Placed<'_>> = Vec::new();
    let mut made = Vec::new();
    for row in rows {
        let (Element::Component(id), Some(after)) = (row.element, row.here()) else { continue };
        let taken = take(model, *id);
        if let Some(Cell::Place(node, name)) = after {
            let (component, bindings) = taken.unwrap_or_else(|| {
                made.push(*id);
                (new_component(*id, row), Vec::new())
            });
            placed.push(Placed { id: *id, node, name, component, bindings });
        }
    }
    for Placed { id, node, name, component, bindings } in placed {
        let Some(found) = model.nodes.get_mut(node) else { continue };
        if found.components.contains_key(name) {
            continue;
        }
        found.to_mut().components.insert(name.clone(), component);
        model.places.put(id, node, name);
        for Binding { port, channel } in bindings {
            let port = PortPath { node: node.clone(), component: name.clone(), port: port.port };
            model.bindings.insert(Binding { port, channel });
        }
    }
    made
}

fn new_component(id: ComponentId, row: &Row<'_>) -> Shared<Component> {
    let mut component = Component { id, ..Component::default() };
    for (register, after) in row.others() {
        set_component(&mut component, register, after);
    }
    component.into()
}

fn take(model: &mut Model, id: ComponentId) -> Option<(Shared<Component>, Vec<Binding>)> {
    let (node, name) = model.path_of(id)?;
    let (node, name) = (node.clone(), name.clone());
    let bindings = model.unbind_component(&node, &name);
    model.places.remove(id);
    let component = model.nodes.get_mut(&node)?.to_mut().components.remove(&name)?;
    Some((component, bindings))
}

fn set_registers(model: &mut Model, row: &Row<'_>) {
    let registers = row.others();
    match row.element {
        Element::Node(name) => {
            let Some(node) = model.nodes.get_mut(name).map(Shared::to_mut) else { return };
            registers.for_each(|(register, after)| set_node(node, register, after));
        }
        Element::Component(id) => {
            let Some((node, name)) = model.path_of(*id).map(|(node, name)| (node.clone(), name.clone())) else {
                return;
            };
            let Some(node) = model.nodes.get_mut(&node) else { return };
            // Looked at first: a move alone changes nothing here, and the component stays shared.
            let mut registers = registers.peekable();
            if registers.peek().is_none() {
                return;
            }
            let Some(component) = node.to_mut().components.get_mut(&name).map(Shared::to_mut) else { return };
            registers.for_each(|(register, after)| set_component(component, register, after));
        }
        Element::Channel(name) => {
            let Some(channel) = model.channels.get_mut(name).map(Shared::to_mut) else { return };
            registers.for_each(|(register, after)| set_instance(&mut channel.instance, register, after));
        }
        Element::Group(name) => {
            let Some(group) = model.groups.get_mut(name).map(Shared::to_mut) else { return };
            registers.for_each(|(register, after)| set_instance(&mut group.instance, register, after));
        }
        Element::Scope(name) => {
            let Some(scope) = model.scopes.get_mut(name).map(Shared::to_mut) else { return };
            for cell in registers {
                match cell {
                    (Register::Member(node), Some(_)) => scope.members.insert(node.clone()),
                    (Register::Member(node), None) => scope.members.remove(node),
                    _ => None,
                };
            }
        }
        Element::Binding(..) | Element::Type(_) | Element::Unit(_) | Element::Repository(_) => {}
    }
}

fn set_node(node: &mut Node, register: &Register, after: Option<&Cell>) {
    match (register, after) {
        (Register::Host, Some(Cell::Node(host))) => node.host = Some(host.clone()),
        (Register::Host, _) => node.host = None,
        (Register::Attached(group), Some(_)) => drop(node.groups.insert(group.clone())),
        (Register::Attached(group), None) => drop(node.groups.remove(group)),
        (Register::Network(interface, key), Some(Cell::Text(value))) => {
            node.networks.entry(interface.clone()).or_default().insert(key.clone(), value.clone());
        }
        (Register::Network(interface, key), _) => {
            node.networks.get_mut(interface).map(|values| values.remove(key));
            if node.networks.get(interface).is_some_and(imbl::OrdMap::is_empty) {
                node.networks.remove(interface);
            }
        }
        (Register::Property(name), Some(Cell::Text(value))) => {
            node.properties.insert(name.clone(), value.clone());
        }
        (Register::Property(name), _) => drop(node.properties.remove(name)),
        _ => set_instance(&mut node.instance, register, after),
    }
}

fn set_component(component: &mut Component, register: &Register, after: Option<&Cell>) {
    let Register::Port(port) = register else { return set_instance(&mut component.instance, register, after) };
    component.provided.remove(port);
    component.required.remove(port);
    match after {
        Some(Cell::Flag(true)) => drop(component.provided.insert(port.clone())),
        Some(_) => drop(component.required.insert(port.clone())),
        None => {}
    }
}

fn set_instance(instance: &mut Instance, register: &Register, after: Option<&Cell>) {
    match (register, after) {
        (Register::Type, Some(Cell::Type(id))) => instance.type_ref = Some(id.clone()),
        (Register::Type, _) => instance.type_ref = None,
        (Register::Started, after) => instance.started = after == Some(&Cell::Flag(true)),
        (Register::HasDictionary, Some(_)) => drop(instance.dictionary.get_or_insert_default()),
        (Register::HasDictionary, None) => instance.dictionary = None,
        (Register::Value(name), Some(Cell::Text(value))) => {
            instance.dictionary.get_or_insert_default().set(name.clone(), value.clone());
        }
        (Register::Value(name), _) => drop(instance.dictionary.as_mut().map(|values| values.unset(name))),
        (Register::HasFragment(node), Some(_)) => drop(instance.fragments.entry(node.clone()).or_default()),
        (Register::HasFragment(node), None) => drop(instance.fragments.remove(node)),
        (Register::Fragment(node, name), Some(Cell::Text(value))) => {
            instance.fragments.entry(node.clone()).or_default().set(name.clone(), value.clone());
        }
        (Register::Fragment(node, name), _) => {
            drop(instance.fragments.get_mut(node).map(|values| values.unset(name)));
        }
        (Register::Metadata(key), Some(Cell::Text(value))) => {
            instance.metadata.insert(key.clone(), value.clone());
        }
        (Register::Metadata(key), _) => drop(instance.metadata.remove(key)),
        _ => {}
    }
}

fn bind(model: &mut Model, id: ComponentId, port: &PortName, channel: &ChannelName, here: bool) {
    let Some((node, component)) = model.path_of(id) else { return };
    let port = PortPath { node: node.clone(), component: component.clone(), port: port.clone() };
    let binding = Binding { port, channel: channel.clone() };
    if here {
        model.bindings.insert(binding);
    } else {
        model.bindings.remove(&binding);
    }
}

/// Takes an element away; with a node go the components that are still on it.
fn remove(model: &mut Model, element: &Element) {
    match element {
        Element::Node(name) => {
            let Some(node) = model.nodes.remove(name) else { return };
            for (component, found) in &node.components {
                model.unbind_component(name, component);
                model.places.remove(found.id);
            }
        }
        Element::Channel(name) => drop(model.channels.remove(name)),
        Element::Group(name) => drop(model.groups.remove(name)),
        Element::Type(id) => drop(model.types.remove(id)),
        Element::Unit(id) => drop(model.units.remove(id)),
        Element::Scope(name) => drop(model.scopes.remove(name)),
        Element::Repository(url) => drop(model.repositories.remove(url)),
        Element::Component(_) | Element::Binding(..) => {}
    }
}
