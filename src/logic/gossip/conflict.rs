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
        // Without a trace: whoever removed it did so beyond the horizon. Never earlier than what was dropped.
        let floor = ntp_of(self.new.floor() + Duration::from_micros(1));
        let beyond = Stamp::new(floor.max(loser.ntp().saturating_add(1)), loser.origin());
        let winners = match self.new.get(element, register) {
            Some(entry) if entry.stamp != loser => vec![entry.stamp],
            Some(_) => {
                let found = culprits(self.new, element, register);
                found.into_iter().map(|entry| entry.map_or(beyond, |entry| entry.stamp)).collect()
            }
            None => vec![beyond],
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

/// Why a register does not show what it holds: the writes that stand in its way together, the nearest first; `None` for a removal
/// that is forgotten. Its author may have known of some of them, but not that they would meet.
fn culprits<'a>(registers: &'a Registers, element: &Element, register: &'a Register) -> Vec<Option<&'a Entry>> {
    if let Some(row) = registers.row(element)
        && row.get(register).is_some_and(|entry| entry.cell.is_none())
    {
        return values(row, register).map(Some).collect();
    }
    let mut found = gone(here(registers, element));
    found.extend(match (element, register) {
        (Element::Binding(_, _, channel), _) => gone(here(registers, &Element::Channel(channel.clone()))),
        (_, Register::Member(node)) => gone(here(registers, &Element::Node(node.clone()))),
        (_, Register::Attached(group)) => gone(here(registers, &Element::Group(group.clone()))),
        (Element::Node(node), Register::Host) => hiding_host(registers, node),
        _ => Vec::new(),
    });
    if let Element::Component(id) | Element::Binding(id, ..) = element {
        found.extend(hiding_component(registers, *id));
    }
    found
}

/// What may hide a component: that its type is gone, or its node; another one at its place; and who took it away or brought it there.
fn hiding_component(registers: &Registers, id: ComponentId) -> Vec<Option<&Entry>> {
    let component = Element::Component(id);
    let mut found = gone(registers.get(&component, &Register::Type));
    if let Some((node, name)) = place(registers, id) {
        found.extend(gone(here(registers, &Element::Node(node.clone()))));
        if let Some(winner) = winner(registers, node, name).filter(|winner| *winner != id).map(Element::Component) {
            found.extend([Register::Here, Register::Type].map(|part| registers.get(&winner, &part)));
        }
    }
    found.push(here(registers, &component));
    found
}

/// What may hide that a node has a host: that the host is gone, or the others of a circle, the latest first.
fn hiding_host<'a>(registers: &'a Registers, node: &NodeName) -> Vec<Option<&'a Entry>> {
    let host = registers.get(&Element::Node(node.clone()), &Register::Host).and_then(|entry| entry.cell.as_ref());
    let mut found = match host {
        Some(Cell::Node(host)) => gone(here(registers, &Element::Node(host.clone()))),
        _ => Vec::new(),
    };
    let circle = cycle(registers, node).unwrap_or_default();
    let others = circle.into_iter().filter(|other| *other != node).map(|other| Element::Node(other.clone()));
    found.extend(others.flat_map(|other| [Register::Host, Register::Here].map(|part| registers.get(&other, &part))));
    found.sort_by_key(|entry| Reverse(entry.map(|entry| entry.stamp)));
    found
}

/// The last write about what must be there, where it is not.
fn gone(entry: Option<&Entry>) -> Vec<Option<&Entry>> {
    let is_there = entry.is_some_and(is_present);
    if is_there { Vec::new() } else { vec![entry] }
}

/// The last write about whether an element is there.
fn here<'a>(registers: &'a Registers, element: &Element) -> Option<&'a Entry> {
    registers.get(element, &Register::Here)
}
