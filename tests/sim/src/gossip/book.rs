//! The book of the world of gossip: what was pushed, kept and told, so that it can be held against what members know.

use std::collections::{BTreeMap, BTreeSet};

use enact::{
    logic::gossip::{Adoption, Conflict, Delta, Origin, Replica, Snapshot, Stamp, StateDigest, Written},
    model::change::{Element, Register},
};

use super::edits::node;
use crate::trace::{Checked, hold};

/// What is known of a member from outside.
#[derive(Default)]
struct Page {
    last_stamp: Option<Stamp>,
    /// The revisions on its disk.
    durable: BTreeSet<Stamp>,
    /// What it knew when it had last done all that was wanted; a crash in between leaves it open.
    settled: Option<StateDigest>,
    /// What others had on their disks when it started.
    known_at_boot: Vec<BTreeSet<Stamp>>,
    vector: BTreeMap<Origin, Stamp>,
    n_revisions: usize,
    /// All that it has ever run.
    ran: BTreeSet<StateDigest>,
}

/// What has happened so far.
pub(super) struct Book {
    pages: Vec<Page>,
    /// All revisions whose pushers were told that they are kept.
    pub(super) made: BTreeMap<Stamp, Delta>,
    pub(super) collided: Vec<Conflict>,
    /// Removals are forgotten while the world goes on.
    pub(super) forgets: bool,
}

impl Book {
    pub(super) fn new(n_members: usize, forgets: bool) -> Book {
        let pages = (0..n_members).map(|_| Page::default()).collect();
        Book { pages, made: BTreeMap::new(), collided: Vec::new(), forgets }
    }

    /// A member starts with what it had kept.
    pub(super) fn booted(&mut self, at: usize, replica: &Replica) -> Checked {
        let known = |stamp: &&Stamp| !replica.history().contains(**stamp);
        let lost = self.pages[at].durable.iter().find(known);
        hold!(lost.is_none(), "what was kept outlives a crash", "m{at} has forgotten {lost:?}");
        if let Some(settled) = self.pages[at].settled {
            let knows = replica.digest();
            hold!(knows == settled, "after a restart a member knows what it knew", "m{at} knew {settled}, now {knows}");
        }
        let durable: Vec<BTreeSet<Stamp>> = self.pages.iter().map(|page| page.durable.clone()).collect();
        let page = &mut self.pages[at];
        page.known_at_boot = durable;
        page.vector = replica.vector().clone();
        page.n_revisions = replica.history().revisions().count();
        Ok(())
    }

    /// A member has made a revision.
    pub(super) fn stamped(&mut self, at: usize, pushed: &Snapshot, before: &Replica) -> Checked {
        let Some(revision) = pushed.revision.as_ref().filter(|revision| !before.history().contains(revision.stamp))
        else {
            return Ok(());
        };
        let page = &mut self.pages[at];
        let stamp = revision.stamp;
        hold!(
            page.last_stamp < Some(stamp),
            "clocks never go back",
            "m{at} stamps {stamp:?} after {:?}",
            page.last_stamp
        );
        page.last_stamp = Some(stamp);
        let seen = before.registers().iter().map(|(.., entry)| entry.stamp).max();
        let seen = seen.max(before.history().latest().map(|revision| revision.stamp));
        hold!(
            seen < Some(stamp),
            "a stamp is later than all its author had seen",
            "m{at} stamps {stamp:?} after {seen:?}"
        );
        hold!(revision.id.origin == node(at), "a push is named after its author", "m{at} makes {}", revision.id);
        Ok(())
    }

    /// A member has written revisions to its disk.
    pub(super) fn kept(&mut self, at: usize, deltas: &[Delta]) {
        for delta in deltas {
            self.pages[at].durable.insert(delta.0.stamp);
            if delta.0.id.origin == node(at) {
                self.made.insert(delta.0.stamp, delta.clone());
            }
        }
    }

    pub(super) fn kept_all(&mut self, at: usize, replica: &Replica) {
        self.pages[at].durable = replica.history().revisions().map(|revision| revision.stamp).collect();
    }

    pub(super) fn collided(&mut self, conflict: Conflict) {
        self.collided.push(conflict);
    }

    pub(super) fn adopted(&mut self, at: usize, target: &Snapshot, adoption: &Adoption) {
        if matches!(adoption, Adoption::Adopted { .. }) {
            self.pages[at].ran.insert(target.digest);
        }
    }

    pub(super) fn ran(&self, at: usize, digest: StateDigest) -> bool {
        self.pages[at].ran.contains(&digest)
    }

    /// A crash in the middle of deeds: what the disk has is anything between before and after.
    pub(super) fn unsettled(&mut self, at: usize) {
        self.pages[at].settled = None;
    }

    /// A member heard from another and may start what the model wants.
    pub(super) fn synced(&self, at: usize, by: usize, replica: &Replica) -> Checked {
        let page = &self.pages[at];
        let missing = page.known_at_boot[by].iter().find(|stamp| !replica.history().contains(**stamp));
        hold!(
            missing.is_none(),
            "who starts knows first what the one it asked had known",
            "m{at} starts by m{by} without {missing:?}"
        );
        Ok(())
    }

    /// Whether the member knows something else than when this was asked last; then its knowledge is held against the book.
    pub(super) fn looks(&mut self, at: usize, replica: &Replica) -> Result<bool, crate::trace::Violation> {
        let digest = replica.digest();
        let page = &mut self.pages[at];
        if page.settled == Some(digest) && page.vector == *replica.vector() {
            return Ok(false);
        }
        page.settled = Some(digest);
        let back =
            page.vector.iter().find(|(origin, stamp)| replica.vector().get(origin).is_none_or(|now| now < stamp));
        hold!(back.is_none(), "what a member claims to know never shrinks", "m{at} claimed {back:?}");
        page.vector.clone_from(replica.vector());
        let n_revisions = replica.history().revisions().count();
        hold!(
            page.n_revisions <= n_revisions,
            "no member forgets revisions",
            "m{at}: {} then {n_revisions}",
            page.n_revisions
        );
        page.n_revisions = n_revisions;
        for (stamp, (revision, writes)) in &self.made {
            let claimed = replica.vector().get(&stamp.origin()).is_some_and(|known| known >= stamp);
            let known = replica.history().contains(*stamp);
            hold!(known >= claimed, "what a member claims to know it knows", "m{at} lacks {}", revision.id);
            if known {
                holds_no_less(at, *stamp, writes, replica)?;
            }
        }
        for revision in replica.history().revisions() {
            let hidden =
                revision.parents.iter().chain(&revision.previous).find(|stamp| !replica.history().contains(**stamp));
            hold!(
                hidden.is_none(),
                "with a revision a member knows all that its author had seen",
                "m{at} knows {} but not {hidden:?}",
                revision.id
            );
        }
        Ok(true)
    }

    /// Each register of each acknowledged push shows, or was overwritten by who knew of it, or is named by a conflict.
    pub(super) fn nothing_is_lost_in_silence(&self, replica: &Replica) -> Checked {
        let seen = self.ancestors();
        for (stamp, (revision, writes)) in &self.made {
            hold!(
                replica.history().contains(*stamp),
                "what was acknowledged is in the history",
                "{} is not",
                revision.id
            );
            for row in writes.iter() {
                for (register, cell) in &row.cells {
                    let shows = replica.registers().visible(&row.element, register) == cell.as_ref();
                    let is_lost = !shows
                        && !self.is_named(*stamp, &row.element)
                        && !self.is_succeeded(&seen, *stamp, &row.element, register, replica);
                    hold!(
                        !is_lost,
                        "nothing acknowledged is lost but what a conflict names",
                        "{:?} {register:?} of {} ({stamp:?}) = {cell:?}; held is {:?}",
                        row.element,
                        revision.id,
                        replica.registers().get(&row.element, register)
                    );
                }
            }
        }
        Ok(())
    }

    fn is_named(&self, loser: Stamp, element: &Element) -> bool {
        self.collided.iter().any(|conflict| conflict.loser.stamp == loser && conflict.element == *element)
    }

    /// Whether somebody who knew of a write has overwritten it, or taken its element away.
    fn is_succeeded(
        &self,
        seen: &BTreeMap<Stamp, BTreeSet<Stamp>>,
        stamp: Stamp,
        element: &Element,
        register: &Register,
        replica: &Replica,
    ) -> bool {
        let holds_still = replica.registers().get(element, register).is_some_and(|entry| entry.stamp == stamp);
        self.made.iter().filter(|(later, _)| seen[later].contains(&stamp)).any(|(_, (_, writes))| {
            // What it holds still is hidden by something else: by what exactly, the core's own laws say.
            holds_still
                || writes
                    .iter()
                    .filter(|row| row.element == *element)
                    .any(|row| row.cells.iter().any(|(other, _)| other == register || *other == Register::Here))
        })
    }

    /// For each revision all that its author had seen.
    fn ancestors(&self) -> BTreeMap<Stamp, BTreeSet<Stamp>> {
        let mut seen: BTreeMap<Stamp, BTreeSet<Stamp>> = BTreeMap::new();
        // In the order of stamps parents come first.
        for (stamp, (revision, _)) in &self.made {
            let mut all: BTreeSet<Stamp> = revision.parents.iter().chain(&revision.previous).copied().collect();
            for parent in all.clone() {
                all.extend(seen.get(&parent).into_iter().flatten());
            }
            seen.insert(*stamp, all);
        }
        seen
    }
}

/// What a member knows to be written it holds, or something later; only a removal is forgotten, and then nothing earlier comes
/// back.
fn holds_no_less(at: usize, stamp: Stamp, writes: &[Written], replica: &Replica) -> Checked {
    let registers = replica.registers();
    for (row, (register, _)) in writes.iter().flat_map(|row| row.cells.iter().map(move |cell| (row, cell))) {
        let held = registers.get(&row.element, register).map(|entry| entry.stamp);
        hold!(
            held.map_or(stamp.time() <= registers.floor(), |held| held >= stamp),
            "nothing that was overwritten or removed comes back",
            "m{at} holds {:?} {register:?} of {held:?}, and knows that it was written at {stamp:?}",
            row.element
        );
    }
    Ok(())
}
