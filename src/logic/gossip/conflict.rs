//! Which pushes collided: finds, after a merge, what someone wrote without knowing of what stands in its way now.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use super::{
    Conflict, History, Party, Stamp, Writes,
    registers::{Entry, Registers},
    stamp::ntp_of,
    view::{cycle, is_present, place, values, visible, winner},
};
use crate::{
    model::{
        ComponentId,
        change::{Cell, Element, Register},
    },
    words::NodeName,
};

/// A merge, seen from both sides.
pub(super) struct Merge<'a> {
    pub(super) old: &'a Registers,
    pub(super) new: &'a Registers,
    pub(super) history: &'a History,
    /// Whether two writes are concurrent when the history no longer says.
    pub(super) otherwise: &'a dyn Fn(Stamp, Stamp) -> bool,
}

impl Merge<'_> {
    /// What of a revision that was just merged does not show.
    pub(super) fn lost_by(&self, stamp: Stamp, writes: &Writes) -> Vec<Conflict> {
        let mut lost = Vec::new();
        for written in writes.iter() {
            for (register, cell) in &written.cells {
                if visible(self.new, &written.element, register) == cell.as_ref() {
                    continue;
                }
                let whole = *register == Register::Here;
                let conflict = self.conflict(&written.element, register, stamp, cell.as_ref());
                let found = conflict.is_some();
                lost.extend(conflict);
                // An element that does not show at all: its registers go without saying.
                if whole && found {
                    break;
                }
            }
        }
        lost
    }

    /// What of revisions that were known before showed, and does not any more.
    pub(super) fn lost_of(&self, known: &[(Stamp, Writes)]) -> Vec<Conflict> {
        let mut lost = Vec::new();
        for (stamp, writes) in known {
            for written in writes.iter() {
                for (register, cell) in &written.cells {
                    let shows = |registers| visible(registers, &written.element, register) == cell.as_ref();
                    if !shows(self.old) || shows(self.new) {
                        continue;
                    }
                    let conflict = self.conflict(&written.element, register, *stamp, cell.as_ref());
                    let covers_all = *register == Register::Here && conflict.is_some();
                    lost.extend(conflict);
                    if covers_all {
                        break;
                    }
                }
            }
        }
        lost
    }

    fn conflict(&self, element: &Element, register: &Register, loser: Stamp, lost: Option<&Cell>) -> Option<Conflict> {
        let type_of = |id: ComponentId| self.new.get(&Element::Component(id), &Register::Type);
        let is_dropped = match element {
            Element::Component(id) | Element::Binding(id, ..) => type_of(*id).is_none(),
            _ => false,
        };
        let winners = match self.new.get(element, register) {
            Some(entry) if entry.stamp != loser => vec![entry.stamp],
            Some(_) if !is_dropped => culprits(self.new, element, register),
            // Without a trace: whoever removed it did so beyond the horizon. Never earlier than what was dropped.
            _ => {
                let floor = ntp_of(self.new.floor() + Duration::from_micros(1));
                vec![Stamp::new(floor.max(loser.ntp().saturating_add(1)), loser.origin())]
            }
        };
        let winner = winners.into_iter().find(|winner| self.is_concurrent(loser, *winner))?;
        Some(Conflict {
            element: element.clone(),
            register: register.clone(),
            loser: self.party(loser),
            winner: self.party(winner),
            lost: lost.cloned(),
            kept: visible(self.new, element, register).cloned(),
        })
    }

    fn is_concurrent(&self, loser: Stamp, winner: Stamp) -> bool {
        self.history.concurrent(loser, winner).unwrap_or_else(|| (self.otherwise)(loser, winner))
    }

    fn party(&self, stamp: Stamp) -> Party {
        let revision = self.history.revision(stamp);
        Party {
            stamp,
            revision: revision.map(|revision| revision.id.clone()),
            by: revision.map_or_else(|| Arc::from(""), |revision| Arc::clone(&revision.by)),
        }
    }
}

/// Why a register does not show what it holds: the writes that stand in its way together, the nearest first. Its author may have
/// known of some of them, but not that they would meet.
fn culprits(registers: &Registers, element: &Element, register: &Register) -> Vec<Stamp> {
    if let Some(row) = registers.row(element)
        && row.get(register).is_some_and(|entry| entry.cell.is_none())
    {
        return values(row, register).map(|value| value.stamp).collect();
    }
    let mut found = Vec::new();
    let mut gone = |element: Element| found.extend(here(registers, &element).filter(|it| !is_present(it)));
    gone(element.clone());
    match (element, register) {
        (Element::Binding(_, _, channel), _) => gone(Element::Channel(channel.clone())),
        (_, Register::Member(node)) => gone(Element::Node(node.clone())),
        (_, Register::Attached(group)) => gone(Element::Group(group.clone())),
        _ => {}
    }
    if let Element::Component(id) | Element::Binding(id, ..) = element {
        found.extend(hiding_component(registers, *id));
    }
    if let (Element::Node(node), Register::Host) = (element, register) {
        found.extend(hiding_host(registers, node));
    }
    found.into_iter().map(|entry| entry.stamp).collect()
}

/// What may hide a component: that its type is gone, or its node; another one at its place; and who took it away or brought it there.
fn hiding_component(registers: &Registers, id: ComponentId) -> Vec<&Entry> {
    let component = Element::Component(id);
    let hollowed = registers.get(&component, &Register::Type).filter(|it| it.cell.is_none());
    let mut found: Vec<&Entry> = hollowed.into_iter().collect();
    if let Some((node, name)) = place(registers, id) {
        found.extend(here(registers, &Element::Node(node.clone())).filter(|it| !is_present(it)));
        if let Some(winner) = winner(registers, node, name).filter(|winner| *winner != id).map(Element::Component) {
            found.extend([Register::Here, Register::Type].iter().filter_map(|part| registers.get(&winner, part)));
        }
    }
    found.extend(here(registers, &component));
    found
}

/// What may hide that a node has a host: that the host is gone, or the others of a circle, the latest first.
fn hiding_host<'a>(registers: &'a Registers, node: &NodeName) -> Vec<&'a Entry> {
    let host = registers.get(&Element::Node(node.clone()), &Register::Host).and_then(|entry| entry.cell.as_ref());
    let host = host.and_then(|cell| if let Cell::Node(host) = cell { Some(host) } else { None });
    let gone = host.and_then(|host| here(registers, &Element::Node(host.clone()))).filter(|it| !is_present(it));
    let circle = cycle(registers, node).unwrap_or_default();
    let others = circle.into_iter().filter(|other| *other != node).map(|other| Element::Node(other.clone()));
    let parts = others.flat_map(|other| [Register::Host, Register::Here].map(|part| registers.get(&other, &part)));
    let mut found: Vec<&Entry> = parts.chain([gone]).flatten().collect();
    found.sort_by_key(|entry| Reverse(entry.stamp));
    found
}

/// The last write about whether an element is there.
fn here<'a>(registers: &'a Registers, element: &Element) -> Option<&'a Entry> {
    registers.get(element, &Register::Here)
}
