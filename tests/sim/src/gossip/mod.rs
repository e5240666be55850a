//! The world of gossip: members of one group push, merge, crash and meet again. Whatever happens, each view follows its
//! registers and no clock goes back; once all is calm there is one model, and of what was acknowledged only what a conflict
//! names is gone.

mod accidents;
mod book;
mod check;
mod edits;
mod pushes;
mod shell;

use std::{collections::BTreeSet, time::Duration};

use enact::{
    logic::gossip::{GroupMessage, Protocol, Record, Replica, RevisionId, Snapshot, Timing},
    words::Time,
};

use self::{book::Book, edits::node};
use crate::{
    agenda::{Agenda, MS, Micros},
    chance::Chance,
    clock::LocalClock,
    network::Network,
    trace::{Checked, Trace},
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

/// What a node is given to run, and all the revisions in it.
struct Target {
    snapshot: Snapshot,
    revisions: BTreeSet<RevisionId>,
}

struct Member {
    protocol: Option<Protocol>,
    /// What is on disk.
    kept: Vec<Record>,
    life: u32,
    started: Time,
    clock: LocalClock,
    /// The target that the node works on, and the newest that waits: as the shell of a group has it.
    adopting: Option<Target>,
    next: Option<Target>,
    /// What the node may answer to now.
    answerable: BTreeSet<RevisionId>,
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
                answerable: BTreeSet::new(),
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
}
