//! Which pushes collided: finds, after a merge, what someone wrote without knowing of what stands in its way now.

use std::{sync::Arc, time::Duration};

use super::{
    Conflict, History, Party, Stamp, Writes,
    registers::Registers,
    stamp::ntp_of,
    view::{culprit, visible},
};
use crate::model::change::{Cell, Element, Register};

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
        let held = self.new.get(element, register);
        let mut winners = Vec::new();
        match held {
            Some(entry) if entry.stamp != loser => winners.push(entry.stamp),
            Some(_) => {
                // It may stand in its own way only because somebody else brought the element to that place; and who took the
                // place away may have been known, but not who brought the component there.
                winners.push(culprit(self.new, element, register)?);
                let brought = self.new.get(component_of(element).as_ref().unwrap_or(element), &Register::Here);
                winners.extend(brought.map(|entry| entry.stamp));
            }
            // Dropped without a trace: whoever removed it did so beyond the horizon. Never earlier than what was dropped.
            None => winners.push(Stamp::new(ntp_of(self.new.floor() + Duration::from_micros(1)), loser.origin())),
        }
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

/// The component that something hangs on.
fn component_of(element: &Element) -> Option<Element> {
    match element {
        Element::Binding(id, ..) => Some(Element::Component(*id)),
        _ => None,
    }
}
