//! What the shell of a group does: it obeys its core, keeps what is to be kept, and gives its node one target after the other.

use enact::{
    logic::gossip::{Adoption, Delta, Effect, GroupMessage, News, Protocol, Record, Snapshot},
    words::{NodeName, Time},
};

use super::{Event, SILENCE_MS, Target, World, check, edits::idx_of};
use crate::{
    agenda::MS,
    trace::{Checked, hold},
};

impl World<'_> {
    pub(super) fn tell(&mut self, at: usize, core: impl FnOnce(&mut Protocol, Time, &mut Vec<Effect>)) -> Checked {
        let now = self.time(at);
        let mut effects = Vec::new();
        let Some(protocol) = &mut self.members[at].protocol else { return Ok(()) };
        core(protocol, now, &mut effects);
        let n_obeyed = match self.chance.below(400) == 0 && !self.is_calm {
            // A crash between two deeds.
            true => self.chance.idx(effects.len() + 1),
            false => effects.len(),
        };
        let is_cut_short = n_obeyed < effects.len();
        effects.truncate(n_obeyed);
        self.obey(at, effects)?;
        if is_cut_short {
            self.book.unsettled(at);
            self.crash(at);
            return Ok(());
        }
        self.check_member(at)
    }

    pub(super) fn obey(&mut self, at: usize, effects: Vec<Effect>) -> Checked {
        for effect in effects {
            match effect {
                Effect::Send(to, message) => self.send(at, &to, &message)?,
                Effect::SendAll(message) => {
                    let peers: Vec<NodeName> = match &self.members[at].protocol {
                        Some(protocol) => protocol.board().peers().cloned().collect(),
                        None => Vec::new(),
                    };
                    let messages = peers.into_iter().map(|to| (to, message.clone())).collect();
                    let mut sends = Vec::new();
                    if let Some(protocol) = &mut self.members[at].protocol {
                        protocol.spread(messages, &mut sends);
                    }
                    self.obey(at, sends)?;
                }
                Effect::Keep(deltas) => self.keep(at, deltas),
                Effect::KeepAll => self.keep_all(at),
                Effect::Changed(snapshot) => self.changed(at, snapshot)?,
                Effect::Ahead(snapshot) => self.ahead(at, snapshot),
                Effect::Tell(news) => self.news(at, news)?,
            }
        }
        Ok(())
    }

    fn keep(&mut self, at: usize, deltas: Vec<Delta>) {
        self.book.kept(at, &deltas);
        self.members[at].kept.push(Record::Deltas(deltas));
        // The shell puts the records together when there are many bytes of them.
        if self.chance.percent(4) {
            self.keep_all(at);
        }
    }

    fn keep_all(&mut self, at: usize) {
        let full = self.members[at].protocol.as_ref().map(|protocol| protocol.replica().full());
        self.members[at].kept = full.into_iter().map(|full| Record::Full(Box::new(full))).collect();
        if let Some(protocol) = &self.members[at].protocol {
            self.book.kept_all(at, protocol.replica());
        }
    }

    fn changed(&mut self, at: usize, snapshot: Snapshot) -> Checked {
        let Some(protocol) = &self.members[at].protocol else { return Ok(()) };
        check::view(at, protocol.replica(), &snapshot)?;
        self.trace.mix(snapshot.digest.0 as u64);
        self.trace.say(|| format!("m{at} now knows {} ({:?})", snapshot.digest, snapshot.id()));
        if protocol.is_synced() {
            self.want(at, snapshot);
        }
        Ok(())
    }

    fn ahead(&mut self, at: usize, snapshot: Snapshot) {
        self.trace.say(|| format!("m{at} takes up its part of {:?}", snapshot.id()));
        self.want(at, snapshot);
    }

    fn want(&mut self, at: usize, snapshot: Snapshot) {
        let Some(protocol) = &self.members[at].protocol else { return };
        let known = protocol.replica().history().revisions().chain(&snapshot.revision);
        let revisions = known.map(|revision| revision.id.clone()).collect();
        self.give(at, Target { snapshot, revisions });
    }

    fn give(&mut self, at: usize, target: Target) {
        let takes = self.chance.between(1, if self.is_calm { 20 } else { 200 }) * MS;
        let member = &mut self.members[at];
        if member.adopting.is_some() {
            member.next = Some(target);
            return;
        }
        member.adopting = Some(target);
        let life = member.life;
        self.agenda.plan(takes, Event::Adopted { at, life });
    }

    pub(super) fn adopted(&mut self, at: usize) -> Checked {
        let Some(Target { snapshot: target, revisions }) = self.members[at].adopting.take() else { return Ok(()) };
        self.members[at].answerable = revisions;
        self.trace.step(self.agenda.now(), 400 + at as u64);
        let fails = self.adoption_fails && !self.is_calm && self.chance.percent(30);
        let adoption = match fails {
            true => Adoption::RolledBack { step: "StartInstance".to_owned(), cause: "sim".to_owned() },
            false => Adoption::at_once(),
        };
        self.trace.say(|| format!("m{at} dealt with {:?}: {adoption:?}", target.id()));
        self.book.adopted(at, &target, &adoption);
        self.tell(at, |protocol, _, effects| protocol.adopted(&target, &adoption, effects))?;
        if let Some(next) = self.members[at].next.take() {
            self.give(at, next);
        }
        Ok(())
    }

    fn news(&mut self, at: usize, news: News) -> Checked {
        self.trace.say(|| format!("m{at} tells {news:?}"));
        match news {
            News::Collided(conflict) => self.book.collided(*conflict),
            news => self.check_news(at, &news)?,
        }
        Ok(())
    }

    fn send(&mut self, from: usize, to: &NodeName, message: &GroupMessage) -> Checked {
        let kind = check::kind(message);
        let now = self.agenda.now();
        let quiet_from = self.end - SILENCE_MS * MS;
        hold!(
            // Removals that are forgotten change the digest, at any time.
            now < quiet_from || kind == check::HEARTBEAT || self.book.forgets,
            "in calm only heartbeats are said",
            "m{from} says {} to {to}",
            check::brief(message)
        );
        let to = idx_of(to);
        let life = self.members[to].life;
        for delay in self.network.send(&mut self.chance, from, to, kind) {
            self.agenda.plan(delay, Event::Deliver { from, to, life, message: Box::new(message.clone()) });
        }
        Ok(())
    }
}
