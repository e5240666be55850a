//! The visible model: what registers show once everything that dangles is hidden.
//!
//! Merged registers may hold a component on a node that is gone, a binding without one of its ends, two components at one
//! place, nodes that host each other. (A value in the fragment of a node that is gone hurts nobody and stays.) Nothing of that is deleted: it is hidden, by rules that need nothing but the registers,
//! so that replicas with equal registers show equal models. What hides can come back when what it needs comes back.

use std::collections::BTreeSet;

use super::{
    Stamp,
    registers::{Entry, Registers},
};
use crate::{
    model::{
        ComponentId, Model,
        change::{self, Cell, Change, Element, Register},
    },
    words::{ComponentName, NodeName},
};

/// A register's address.
pub(super) type Key = (Element, Register);

/// The longest chain of hosts that is followed. Deeper nesting of nodes is not a thing.
const HOSTS_MAX: usize = 64;

/// What a register shows, or `None` when it is removed or hidden.
pub(super) fn visible<'a>(registers: &'a Registers, element: &Element, register: &Register) -> Option<&'a Cell> {
    let cell = registers.get(element, register)?.cell.as_ref()?;
    if !is_shown(registers, element) {
        return None;
    }
    let shows = match (element, register, cell) {
        (Element::Node(node), Register::Host, Cell::Node(host)) => {
            is_node(registers, host) && !breaks_cycle(registers, node)
        }
        (_, Register::Member(node), _) => is_node(registers, node),
        (_, Register::Attached(group), _) => is_live(registers, &Element::Group(group.clone())),
        _ => true,
    };
    shows.then_some(cell)
}

/// Whether an element shows.
pub(super) fn is_shown(registers: &Registers, element: &Element) -> bool {
    match element {
        Element::Component(id) => match place(registers, *id) {
            Some((node, name)) => is_node(registers, node) && winner(registers, node, name) == Some(*id),
            None => false,
        },
        Element::Binding(id, _, channel) => {
            is_live(registers, element)
                && is_live(registers, &Element::Channel(channel.clone()))
                && is_shown(registers, &Element::Component(*id))
        }
        _ => is_live(registers, element),
    }
}

/// Why a register does not show what it holds: the write that stands in the way.
pub(super) fn culprit(registers: &Registers, element: &Element, register: &Register) -> Option<Stamp> {
    let here = |element: &Element| registers.get(element, &Register::Here);
    let gone = |element: Element| here(&element).filter(|entry| !is_present(entry)).map(|entry| entry.stamp);
    if let Some(entry) = registers.get(element, register)
        && entry.cell.is_none()
    {
        return Some(entry.stamp);
    }
    if let Some(stamp) = gone(element.clone()) {
        return Some(stamp);
    }
    let of_component = |id: ComponentId| {
        let (node, name) = place(registers, id)?;
        gone(Element::Node(node.clone())).or_else(|| {
            let winner = winner(registers, node, name).filter(|winner| *winner != id)?;
            here(&Element::Component(winner)).map(|entry| entry.stamp)
        })
    };
    let hidden = match element {
        Element::Component(id) => of_component(*id),
        Element::Binding(id, _, channel) => gone(Element::Channel(channel.clone()))
            .or_else(|| gone(Element::Component(*id)))
            .or_else(|| of_component(*id)),
        _ => None,
    };
    hidden.or_else(|| match register {
        Register::Member(node) => gone(Element::Node(node.clone())),
        Register::Attached(group) => gone(Element::Group(group.clone())),
        Register::Host => match (element, registers.get(element, register)?.cell.as_ref()?) {
            (Element::Node(node), Cell::Node(host)) => gone(Element::Node(host.clone())).or_else(|| {
                let others: Vec<&NodeName> = cycle(registers, node)?.into_iter().filter(|n| *n != node).collect();
                newest_of(registers, &others).map(|(_, stamp)| stamp)
            }),
            _ => None,
        },
        _ => None,
    })
}

/// The whole view, from nothing.
pub(super) fn build(registers: &Registers) -> Model {
    let shown = registers.rows().filter(|(element, _)| is_shown(registers, element));
    let changes: Vec<Change> = shown
        .flat_map(|(element, row)| row.keys().map(move |register| (element, register)))
        .filter_map(|(element, register)| {
            let after = Some(visible(registers, element, register)?.clone());
            Some(Change { element: element.clone(), register: register.clone(), before: None, after })
        })
        .collect();
    let mut model = Model::default();
    change::patch(&mut model, &changes);
    model
}

/// What changes in the view when `old` becomes `new`, given the registers that were written. Costs what they touch.
pub(super) fn changes(old: &Registers, new: &Registers, written: &[Key]) -> Vec<Change> {
    let mut affected = Affected { old, new, keys: BTreeSet::new(), elements: BTreeSet::new() };
    for (element, register) in written {
        affected.register(element, register);
    }
    let changed = affected.keys.into_iter().filter_map(|(element, register)| {
        let before = visible(old, &element, &register);
        let after = visible(new, &element, &register);
        if before == after {
            return None;
        }
        let (before, after) = (before.cloned(), after.cloned());
        Some(Change { element, register, before, after })
    });
    changed.collect()
}

/// The registers whose visibility may depend on those that were written.
struct Affected<'a> {
    old: &'a Registers,
    new: &'a Registers,
    keys: BTreeSet<Key>,
    elements: BTreeSet<Element>,
}

impl Affected<'_> {
    fn register(&mut self, element: &Element, register: &Register) {
        self.keys.insert((element.clone(), register.clone()));
        match (element, register) {
            (element, Register::Here) => {
                self.element(element);
                if let Element::Component(id) = element {
                    self.rivals_of(*id);
                }
            }
            (Element::Node(node), Register::Host) => self.hosts_of(node),
            _ => {}
        }
    }

    /// An element that may have come or gone: if it did, all its registers did, and what needs it is looked at as well.
    fn element(&mut self, element: &Element) {
        if self.elements.contains(element) {
            return;
        }
        if is_shown(self.old, element) == is_shown(self.new, element) {
            return;
        }
        self.elements.insert(element.clone());
        for registers in [self.old, self.new] {
            self.keys.extend(registers.row(element).map(|(register, _)| (element.clone(), register.clone())));
        }
        match element {
            Element::Node(node) => {
                for registers in [self.old, self.new] {
                    for id in registers.placed_on(node) {
                        self.element(&Element::Component(id));
                    }
                    for (element, register) in registers.naming_node(node) {
                        self.keys.insert((element.clone(), register.clone()));
                    }
                }
                self.hosts_of(node);
            }
            Element::Component(id) => {
                for registers in [self.old, self.new] {
                    for binding in registers.bindings_of(*id) {
                        self.element(binding);
                    }
                }
            }
            Element::Channel(channel) => {
                for registers in [self.old, self.new] {
                    for binding in registers.bindings_on(channel) {
                        self.element(&binding);
                    }
                }
            }
            Element::Group(group) => {
                for registers in [self.old, self.new] {
                    for node in registers.attached_to(group) {
                        self.keys.insert((Element::Node(node.clone()), Register::Attached(group.clone())));
                    }
                }
            }
            Element::Binding(..) | Element::Type(_) | Element::Unit(_) | Element::Scope(_) | Element::Repository(_) => {
            }
        }
    }

    /// Who lost or regains a place that a component took or left.
    fn rivals_of(&mut self, id: ComponentId) {
        for (node, name) in [self.old, self.new].into_iter().filter_map(|registers| place(registers, id)) {
            for registers in [self.old, self.new] {
                for rival in registers.rivals(node, name) {
                    self.element(&Element::Component(rival));
                }
            }
        }
    }

    /// The hosts above a node: a cycle through it may have closed or opened.
    fn hosts_of(&mut self, node: &NodeName) {
        for registers in [self.old, self.new] {
            for host in chain(registers, node) {
                self.keys.insert((Element::Node(host.clone()), Register::Host));
            }
        }
    }
}

fn is_present(entry: &Entry) -> bool {
    !matches!(entry.cell, None | Some(Cell::Flag(false)))
}

fn is_live(registers: &Registers, element: &Element) -> bool {
    registers.get(element, &Register::Here).is_some_and(is_present)
}

fn is_node(registers: &Registers, node: &NodeName) -> bool {
    is_live(registers, &Element::Node(node.clone()))
}

fn place(registers: &Registers, id: ComponentId) -> Option<(&NodeName, &ComponentName)> {
    match &registers.get(&Element::Component(id), &Register::Here)?.cell {
        Some(Cell::Place(node, name)) => Some((node, name)),
        _ => None,
    }
}

/// Who gets a place that several components claim: the one that claimed it last.
fn winner(registers: &Registers, node: &NodeName, name: &ComponentName) -> Option<ComponentId> {
    registers
        .rivals(node, name)
        .max_by_key(|id| (registers.get(&Element::Component(*id), &Register::Here).map(|entry| entry.stamp), *id))
}

/// The nodes above a node, the nearest first, itself included when they lead back to it.
fn chain<'a>(registers: &'a Registers, node: &NodeName) -> Vec<&'a NodeName> {
    let mut above: Vec<&NodeName> = Vec::new();
    let mut next = host(registers, node);
    while let Some(host_name) = next {
        if above.contains(&host_name) || above.len() == HOSTS_MAX {
            break;
        }
        above.push(host_name);
        next = host(registers, host_name);
    }
    above
}

fn host<'a>(registers: &'a Registers, node: &NodeName) -> Option<&'a NodeName> {
    let element = Element::Node(node.clone());
    match registers.get(&element, &Register::Host)?.cell.as_ref()? {
        Cell::Node(host) if is_live(registers, &element) && is_node(registers, host) => Some(host),
        _ => None,
    }
}

/// The nodes that host each other in a circle through this one.
fn cycle<'a>(registers: &'a Registers, node: &NodeName) -> Option<Vec<&'a NodeName>> {
    let above = chain(registers, node);
    let end = above.iter().position(|host| *host == node)?;
    Some(above[..=end].to_vec())
}

/// Of nodes that host each other in a circle, the host written last does not show.
fn breaks_cycle(registers: &Registers, node: &NodeName) -> bool {
    cycle(registers, node).is_some_and(|nodes| newest_of(registers, &nodes).is_some_and(|(name, _)| name == *node))
}

fn newest_of(registers: &Registers, nodes: &[&NodeName]) -> Option<(NodeName, Stamp)> {
    let stamped = nodes.iter().filter_map(|node| {
        let entry = registers.get(&Element::Node((*node).clone()), &Register::Host)?;
        Some((entry.stamp, *node))
    });
    stamped.max().map(|(stamp, node)| (node.clone(), stamp))
}
