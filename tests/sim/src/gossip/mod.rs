//! The world of gossip: members of one group push, merge, crash and meet again. Whatever happens, each view follows its
//! registers and no clock goes back; once all is calm there is one model, and of what was acknowledged only what a conflict
//! names is gone.

mod book;
mod check;
mod edits;

use std::time::Duration;

use enact::{
    logic::gossip::{
        Adoption, Delta, Effect, GroupMessage, News, Protocol, Push, PushRefused, Pushed, Record, Replica, Snapshot,
        Timing,
    },
    model::{Model, change},
    words::{NodeName, Time},
};

use self::{
    book::Book,
    edits::{idx_of, node},
};
use crate::{
    agenda::{Agenda, MS, Micros},
    chance::Chance,
    clock::LocalClock,
    network::Network,
    trace::{Checked, Trace, hold},
};

/// More would be slower and show no more: one member is enough for each part in an accident.
const N_MEMBERS_MAX: usize = 5;
/// When the accidents end, and how long everything may take to be well again.
const FAULTS_MS: u64 = 4_000;
const CALM_MS: u64 = 3_200;
/// So far ahead are clocks that are wrong: more than is believed.
const WRONG_MS: u64 = 3_000;
/// A horizon that passes while the world goes on, and how far behind a clock may be then.
const HORIZON_MS: u64 = 1_200;
const BEHIND_MS: u64 = 2_500;
/// At the end of the calm nothing but heartbeats is said.
const SILENCE_MS: u64 = 600;
/// True time when the world begins: a day into the epoch, so that the horizon lies in the past.
const BASE: Micros = 200_000_000 * MS;

enum Event {
    Tick {
        at: usize,
        life: u32,
    },
    Deliver {
        from: usize,
        to: usize,
        life: u32,
        message: Box<GroupMessage>,
    },
    /// A member notices whether it can hear another.
    Link {
        at: usize,
        other: usize,
    },
    Adopted {
        at: usize,
        life: u32,
    },
    Push,
    Fault,
    Calm,
    Restart(usize),
}

struct Member {
    protocol: Option<Protocol>,
    /// What is on disk.
    kept: Vec<Record>,
    life: u32,
    started: Time,
    clock: LocalClock,
    /// The target that the node works on, and the newest that waits: as the shell of a group has it.
    adopting: Option<Snapshot>,
    next: Option<Snapshot>,
    /// A model that somebody looked at a while ago and now changes.
    draft: Option<Snapshot>,
    /// In so many of a hundred cases a push cannot be written.
    disk_fails: u64,
}

impl Member {
    /// What it knows when it starts again.
    fn kept_on_disk(&self, at: usize, timing: &Timing) -> Replica {
        let mut replica = Replica::new(node(at), timing.ahead_max);
        self.kept.iter().cloned().for_each(|record| replica.restore(record));
        replica
    }
}

struct World<'t> {
    trace: &'t mut Trace,
    chance: Chance,
    agenda: Agenda<Event>,
    network: Network,
    members: Vec<Member>,
    timing: Timing,
    /// Some node cannot run what it is given, now and then.
    adoption_fails: bool,
    book: Book,
    /// When a member came to know something else than before.
    learned_at: Micros,
    is_calm: bool,
    end: Micros,
}

/// Lets a world live.
pub(crate) fn run(seed: u64, trace: &mut Trace) -> Checked {
    World::new(Chance::new(seed), trace).run()
}

impl World<'_> {
    fn new(mut chance: Chance, trace: &mut Trace) -> World<'_> {
        let n_members = chance.between(2, N_MEMBERS_MAX as u64 + 1) as usize;
        let network = Network::some(&mut chance, n_members);
        // Some clocks are further ahead than is believed, until somebody sets them.
        let is_wrong = chance.percent(15);
        let ahead_max = if is_wrong { WRONG_MS } else { 400 } * MS;
        // In some worlds removals are forgotten so soon that somebody stays away for longer, or has a clock that is further behind.
        let short = chance.percent(25);
        let behind = if short && chance.percent(30) { BEHIND_MS * MS } else { 0 };
        let horizon = if short { Duration::from_millis(HORIZON_MS) } else { Timing::default().horizon };
        let end = (FAULTS_MS + CALM_MS + if is_wrong { WRONG_MS } else { 0 }) * MS + behind;
        let disk_fails = if chance.percent(20) { 20 } else { 0 };
        let members = (0..n_members)
            .map(|at| Member {
                protocol: None,
                kept: Vec::new(),
                life: 0,
                started: Time(0),
                clock: LocalClock::some(&mut chance, if at == 0 { BASE - behind } else { BASE }, ahead_max),
                adopting: None,
                next: None,
                draft: None,
                disk_fails,
            })
            .collect();
        // Where their number is even, whatever is pushed goes in two: what concerns a node first, then the whole.
        let whole_max = if n_members.is_multiple_of(2) { 1 } else { Timing::default().whole_max };
        World {
            trace,
            agenda: Agenda::new(),
            network,
            members,
            timing: Timing { horizon, whole_max, ..Timing::default() },
            adoption_fails: chance.percent(20),
            book: Book::new(n_members, short),
            learned_at: 0,
            is_calm: false,
            end,
            chance,
        }
    }

    fn run(mut self) -> Checked {
        for at in 0..self.members.len() {
            self.boot(at)?;
        }
        self.agenda.plan(300 * MS, Event::Push);
        self.agenda.plan(600 * MS, Event::Fault);
        self.agenda.plan(FAULTS_MS * MS, Event::Calm);
        while let Some(event) = self.agenda.next(self.end) {
            self.happen(event)?;
        }
        // Removals are forgotten at any time; it ends when the last that was has been heard of.
        while self.book.forgets && self.agenda.now() < self.learned_at + SILENCE_MS * MS {
            let Some(event) = self.agenda.next(self.end + HORIZON_MS * MS) else { break };
            self.happen(event)?;
        }
        self.check_end()
    }

    /// The time by a member's clock.
    fn time(&self, at: usize) -> Time {
        self.members[at].clock.show(self.agenda.now())
    }

    fn boot(&mut self, at: usize) -> Checked {
        let now = self.time(at);
        let member = &mut self.members[at];
        member.life += 1;
        member.started = now;
        let replica = member.kept_on_disk(at, &self.timing);
        (member.adopting, member.next, member.draft) = (None, None, None);
        self.book.booted(at, &replica)?;
        let life = member.life;
        let group = edits::name(edits::GROUP);
        member.protocol = Some(Protocol::new(group, replica, (node(at), u64::from(life)), self.timing.clone(), now));
        self.trace.say(|| format!("m{at} starts, life {life}"));
        self.agenda.plan(MS, Event::Tick { at, life });
        for other in (0..self.members.len()).filter(|other| *other != at) {
            if self.members[other].protocol.is_some() && !self.network.is_apart(at, other) {
                let after = self.chance.between(2, 30) * MS;
                self.agenda.plan(after, Event::Link { at, other });
                self.agenda.plan(after, Event::Link { at: other, other: at });
            }
        }
        Ok(())
    }

    fn is_life(&self, at: usize, life: u32) -> bool {
        self.members[at].life == life && self.members[at].protocol.is_some()
    }

    fn happen(&mut self, event: Event) -> Checked {
        match event {
            Event::Tick { at, life } if self.is_life(at, life) => self.tick(at, life),
            Event::Deliver { from, to, life, message } if self.is_life(to, life) && self.network.is_open(from, to) => {
                self.trace.step(self.agenda.now(), 100 + (from * 8 + to) as u64);
                self.trace.say(|| format!("m{to} hears from m{from}: {}", check::brief(&message)));
                self.tell(to, |protocol, now, effects| protocol.receive(now, &node(from), *message, effects))
            }
            Event::Link { at, other } => {
                let is_up = self.members[other].protocol.is_some() && !self.network.is_apart(at, other);
                self.trace.step(self.agenda.now(), 200 + (at * 8 + other) as u64);
                self.trace.say(|| format!("m{at} sees m{other} {}", if is_up { "up" } else { "down" }));
                self.tell(at, |protocol, now, effects| match is_up {
                    true => protocol.peer_up(now, &node(other), effects),
                    false => protocol.peer_down(&node(other), effects),
                })
            }
            Event::Adopted { at, life } if self.is_life(at, life) => self.adopted(at),
            Event::Push if !self.is_calm => {
                // Now and then nobody wants anything for longer than it takes until removals are forgotten.
                let is_quiet = self.book.forgets && self.chance.percent(10);
                let pause =
                    if is_quiet { HORIZON_MS + self.chance.below(HORIZON_MS) } else { self.chance.between(10, 350) };
                self.agenda.plan(pause * MS, Event::Push);
                self.push()
            }
            Event::Fault if !self.is_calm => {
                let pause = self.chance.between(100, 1_200) * MS;
                self.agenda.plan(pause, Event::Fault);
                self.fault();
                Ok(())
            }
            Event::Calm => self.calm(),
            Event::Restart(at) if self.members[at].protocol.is_none() => self.boot(at),
            // For a life that has ended, or for a time that is over.
            _ => Ok(()),
        }
    }

    fn tick(&mut self, at: usize, life: u32) -> Checked {
        self.trace.step(self.agenda.now(), at as u64);
        // Machines are busy: a tick may come late, and some very late.
        let late = if self.chance.percent(2) && !self.is_calm { 900 } else { 20 };
        let pause = 240 * MS + self.chance.below(late * MS);
        self.agenda.plan(pause, Event::Tick { at, life });
        self.tell(at, |protocol, now, effects| protocol.tick(now, effects))
    }

    // ------------------------------------------------------------------------------------------------------- accidents

    fn fault(&mut self) {
        let n = self.members.len();
        let (a, b) = (self.chance.idx(n), self.chance.idx(n));
        match self.chance.below(9) {
            0 | 1 => self.crash(a),
            2 => self.heal(),
            // One way only: nobody is told.
            3 => {
                self.trace.say(|| format!("the way from m{a} to m{b} is cut"));
                self.network.cut(a, b);
            }
            4 => {
                let kind = self.chance.below(check::N_KINDS) as u8;
                self.trace.say(|| format!("m{a} gets no messages of kind {kind}"));
                self.network.mute(a, kind);
            }
            5 => {
                let ahead = self.chance.below(400) * MS;
                self.trace.say(|| format!("the clock of m{a} is set"));
                self.members[a].clock.set_ahead(ahead);
            }
            _ => {
                self.heal();
                let side = self.chance.below(1 << n);
                self.trace.say(|| format!("cut into two sides: {side:0n$b}"));
                self.network.split(side);
                for (at, other) in self.network.pairs().filter(|(a, b)| (side >> a & 1) != (side >> b & 1)) {
                    self.agenda.plan(50 * MS, Event::Link { at, other });
                }
            }
        }
    }

    fn heal(&mut self) {
        self.trace.say(|| "all ways are open".to_owned());
        for (at, other) in self.network.pairs() {
            if self.network.is_apart(at, other) {
                self.agenda.plan(60 * MS, Event::Link { at, other });
            }
        }
        self.network.heal();
    }

    fn crash(&mut self, at: usize) {
        if self.members[at].protocol.take().is_none() {
            return;
        }
        self.trace.say(|| format!("m{at} crashes"));
        for other in (0..self.members.len()).filter(|other| *other != at) {
            self.agenda.plan(5 * MS, Event::Link { at: other, other: at });
        }
        let pause = self.chance.between(20, 1_800) * MS;
        self.agenda.plan(pause, Event::Restart(at));
    }

    /// From here on nothing bad happens: everyone is there and all get along.
    fn calm(&mut self) -> Checked {
        self.trace.say(|| "calm".to_owned());
        self.is_calm = true;
        self.heal();
        self.network.calm();
        for at in 0..self.members.len() {
            self.members[at].clock.set_ahead(0);
            self.members[at].disk_fails = 0;
            if self.members[at].protocol.is_none() {
                self.boot(at)?;
            }
        }
        Ok(())
    }

    // ---------------------------------------------------------------------------------------------------------- pushes

    fn push(&mut self) -> Checked {
        let at = self.chance.idx(self.members.len());
        let Some(protocol) = &self.members[at].protocol else { return Ok(()) };
        let current = protocol.replica().snapshot();
        self.trace.step(self.agenda.now(), 300 + at as u64);
        if self.chance.percent(12) {
            return self.rollback(at);
        }
        // Somebody looks now and pushes later.
        if self.chance.percent(15) {
            self.members[at].draft = Some(current);
            return Ok(());
        }
        let old = self.members[at].draft.take();
        let is_old = old.as_ref().is_some_and(|old| old.digest != current.digest);
        let base = old.unwrap_or(current);
        let mut wanted = base.model.clone();
        edits::attach(&mut wanted, &node(at));
        for _ in 0..=self.chance.below(3) {
            let edit = edits::some(&mut self.chance, &wanted);
            // What does not fit this model is simply not wanted.
            let _ = wanted.apply(&[edit]);
        }
        let compare_and_swap = self.chance.percent(50);
        let asked = change::diff(&base.model, &wanted);
        let push = Push {
            wanted: wanted.clone(),
            base: Some(base),
            compare_and_swap,
            by: node(at).as_str().into(),
            from: "sim".into(),
            message: "".into(),
        };
        let before = self.digest(at);
        let made = self.make(at, |protocol, now, effects| protocol.push(now, push, effects))?;
        match made {
            Some(Ok(pushed)) => {
                hold!(
                    !(is_old && compare_and_swap),
                    "a compare-and-swap on an old base is refused",
                    "m{at} took it as {:?}",
                    pushed.revision
                );
                match &self.members[at].protocol {
                    Some(protocol) if is_old => check::shows_or_is_named(at, &pushed, &asked, protocol.replica())?,
                    _ => check::shows_what_was_wanted(at, &pushed.snapshot.model, &wanted)?,
                }
            }
            Some(Err(refused)) => {
                self.trace.say(|| format!("m{at} refuses a push: {refused}"));
                hold!(self.digest(at) == before, "a refused push changes nothing", "m{at} changed, and said {refused}");
                let was_moved = matches!(refused, PushRefused::Moved { .. });
                hold!(
                    was_moved <= (is_old && compare_and_swap),
                    "a push on the current base is taken",
                    "m{at}: {refused}"
                );
            }
            None => {}
        }
        Ok(())
    }

    fn rollback(&mut self, at: usize) -> Checked {
        let Some(protocol) = &self.members[at].protocol else { return Ok(()) };
        let known: Vec<_> = protocol.replica().history().revisions().map(|revision| revision.id.clone()).collect();
        if known.is_empty() {
            return Ok(());
        }
        let to = known[self.chance.idx(known.len())].clone();
        let wanted: Option<Model> = protocol.replica().history().model_at(&to);
        let texts = (node(at).as_str().into(), "sim".into(), "".into());
        let made = self.make(at, |protocol, now, effects| protocol.rollback(now, &to, texts, effects))?;
        match (made, wanted) {
            (Some(Ok(pushed)), Some(wanted)) => check::shows_what_was_wanted(at, &pushed.snapshot.model, &wanted),
            (Some(Ok(_)), None) => {
                hold!(false, "a rollback leads to a model that is kept", "m{at} went back to {to}, which is not kept");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A push as the shell does it: what cannot be kept did not happen; what is kept is acknowledged, then spread. A crash
    /// may come in between.
    fn make(
        &mut self,
        at: usize,
        make: impl FnOnce(&mut Protocol, Time, &mut Vec<Effect>) -> Result<Pushed, PushRefused>,
    ) -> Result<Option<Result<Pushed, PushRefused>>, crate::trace::Violation> {
        let now = self.time(at);
        let fails = self.chance.percent(self.members[at].disk_fails);
        let dies = self.chance.percent(3) && !self.is_calm;
        let Some(protocol) = &mut self.members[at].protocol else { return Ok(None) };
        let before = protocol.clone();
        let mut effects = Vec::new();
        let made = make(protocol, now, &mut effects);
        let Ok(pushed) = made else { return Ok(Some(made)) };
        if fails {
            *protocol = before;
            self.trace.say(|| format!("m{at} cannot write {:?}", pushed.revision));
            return Ok(Some(Err(PushRefused::Storage("full".to_owned()))));
        }
        self.trace.say(|| format!("m{at} pushes {:?}: {}", pushed.revision, check::written(&effects)));
        self.book.stamped(at, &pushed.snapshot, before.replica())?;
        let (keeps, others): (Vec<Effect>, Vec<Effect>) =
            effects.into_iter().partition(|effect| matches!(effect, Effect::Keep(_) | Effect::KeepAll));
        self.obey(at, keeps)?;
        if dies {
            self.book.unsettled(at);
            self.crash(at);
            return Ok(None);
        }
        self.obey(at, others)?;
        self.check_member(at)?;
        Ok(Some(Ok(pushed)))
    }

    fn digest(&self, at: usize) -> Option<enact::logic::gossip::StateDigest> {
        self.members[at].protocol.as_ref().map(|protocol| protocol.replica().digest())
    }

    // -------------------------------------------------------------------------------------------------------- the shell

    fn tell(&mut self, at: usize, core: impl FnOnce(&mut Protocol, Time, &mut Vec<Effect>)) -> Checked {
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

    fn obey(&mut self, at: usize, effects: Vec<Effect>) -> Checked {
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
        let takes = self.chance.between(1, if self.is_calm { 20 } else { 200 }) * MS;
        let member = &mut self.members[at];
        if member.adopting.is_some() {
            member.next = Some(snapshot);
            return;
        }
        member.adopting = Some(snapshot);
        let life = member.life;
        self.agenda.plan(takes, Event::Adopted { at, life });
    }

    fn adopted(&mut self, at: usize) -> Checked {
        let Some(target) = self.members[at].adopting.take() else { return Ok(()) };
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
            self.want(at, next);
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
