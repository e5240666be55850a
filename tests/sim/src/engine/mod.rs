//! The world of engines: processes that find each other, keep links, hang, die and come back, over a network that does its
//! worst. Between two that live on, what was accepted arrives once and in order on its lane, or is told as lost; nobody is
//! taken for dead while signs of life arrive, and who is dead is found so in time.

mod check;
mod faults;
mod ledger;
mod process;
mod requests;
mod traffic;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use enact::{
    logic::{
        link::Limits,
        peers::{Address, Doubt, Effect, Hello, PeerEvent, Refusal, Times},
    },
    words::{Name, NodeName, Time},
};

use self::{
    ledger::Ledger,
    process::{Process, View},
};
use crate::{
    agenda::{Agenda, MS, Micros},
    chance::Chance,
    clock::LocalClock,
    network::Network,
    trace::{Checked, Trace, hold},
};

const N_MACHINES_MAX: u64 = 4;
/// When the accidents end, and how long everything may take to be well again.
const FAULTS_MS: u64 = 4_000;
const CALM_MS: u64 = 6_500;
/// How often membership is looked at, as the shell does.
const TICK_MS: u64 = 50;
/// A broken connection is noticed at once; a way that is cut, after the lease: before anybody is suspected, or long after, as in the
/// product.
const BROKEN_MS: u64 = 5;
const LEASE_MS: std::ops::RangeInclusive<u64> = 500..=3_000;

/// The largest message: many windows of the smaller limits.
const MESSAGE_MAX: usize = 400_000;

/// What goes over the network.
#[derive(Clone)]
enum Packet {
    Frame(Bytes),
    Hello(Hello),
    Refusal(Refusal),
    Bye(Address),
    Doubt(Doubt),
}

enum Event {
    Tick(usize),
    /// An outbox wakes up.
    Wake(usize, u64),
    Arrive(usize, Packet),
    /// The services (of the first) take what came (from the second) and waits.
    Serve(usize, usize),
    /// The network looks who sees whom.
    Review,
    Push,
    Fault,
    Calm,
    Start(usize),
}

struct World<'t> {
    trace: &'t mut Trace,
    chance: Chance,
    agenda: Agenda<Event>,
    network: Network,
    /// After so long the network does not show any more who is cut off.
    lease: Micros,
    processes: Vec<Process>,
    n_machines: usize,
    times: Times,
    limits: Limits,
    /// Who (first) is shown whom (second), by number.
    shown: BTreeSet<(usize, usize)>,
    /// Since when a way has been cut.
    cut_since: BTreeMap<(usize, usize), Micros>,
    ledger: Ledger,
    is_calm: bool,
    /// What is told now is what another says of somebody.
    is_told_of_silence: bool,
    /// How slow services are, in microseconds for each frame.
    slow_max: Micros,
}

/// In one seed of so many requests are made, too: whole routers take ten times as long as their cores.
const REQUESTS_SHARE: u64 = 8;

/// Lets a world live.
pub(crate) fn run(seed: u64, trace: &mut Trace) -> Checked {
    World::new(Chance::new(seed), trace).run()?;
    if seed.is_multiple_of(REQUESTS_SHARE) { requests::run(seed, trace) } else { Ok(()) }
}

fn name(machine: usize) -> NodeName {
    NodeName::from(Name::parse(["n0", "n1", "n2", "n3"][machine]).expect("a valid name"))
}

impl World<'_> {
    fn new(mut chance: Chance, trace: &mut Trace) -> World<'_> {
        let n_machines = chance.between(2, N_MACHINES_MAX + 1) as usize;
        let network = Network::some(&mut chance, n_machines);
        // In some worlds links are given up so soon that it happens; in the product it takes a minute.
        let keep =
            if chance.percent(40) { Duration::from_millis(chance.between(400, 1500)) } else { Times::default().keep };
        let times = Times {
            settle: Duration::from_millis(60),
            rival: Duration::from_millis(900),
            silent: Duration::from_millis(3_500),
            greet_max: Duration::from_millis(800),
            keep,
            // In some worlds a few watch each; in small groups of the product all do.
            watchers: if chance.percent(50) { 1 } else { Times::default().watchers },
            ..Times::default()
        };
        let small =
            Limits { window_bytes: [16 * 1024, 64 * 1024], queue_bytes: [32 * 1024, 128 * 1024], ..Limits::default() };
        let limits = if chance.percent(70) { small } else { Limits::default() };
        World {
            trace,
            agenda: Agenda::new(),
            network,
            lease: chance.between(*LEASE_MS.start(), LEASE_MS.end() + 1) * MS,
            processes: Vec::new(),
            n_machines,
            times,
            limits,
            shown: BTreeSet::new(),
            cut_since: BTreeMap::new(),
            ledger: Ledger::default(),
            is_calm: false,
            is_told_of_silence: false,
            slow_max: if chance.percent(30) { chance.below(40 * MS) } else { MS },
            chance,
        }
    }

    fn run(mut self) -> Checked {
        for machine in 0..self.n_machines {
            let after = self.chance.below(100 * MS);
            self.agenda.plan(after, Event::Start(machine));
        }
        self.agenda.plan(200 * MS, Event::Push);
        self.agenda.plan(500 * MS, Event::Fault);
        self.agenda.plan(FAULTS_MS * MS, Event::Calm);
        while let Some(event) = self.agenda.next((FAULTS_MS + CALM_MS) * MS) {
            self.happen(event)?;
        }
        self.check_end()
    }

    fn time(&self, at: usize) -> Time {
        self.processes[at].clock.show(self.agenda.now())
    }

    /// Whether a process lives and does not hang.
    fn works(&self, at: usize) -> bool {
        self.processes[at].is_alive && self.processes[at].hangs_until <= self.agenda.now()
    }

    fn happen(&mut self, event: Event) -> Checked {
        match event {
            Event::Tick(at) if self.processes[at].is_alive => self.tick(at),
            Event::Wake(at, link) if self.works(at) => {
                if let Some(wire) = self.processes[at].wires.get_mut(&link) {
                    wire.wakes_at = Micros::MAX;
                }
                self.flush(at, link)
            }
            Event::Wake(at, link) if self.processes[at].is_alive => {
                let after = self.processes[at].hangs_until - self.agenda.now();
                self.agenda.plan(after, Event::Wake(at, link));
                Ok(())
            }
            Event::Arrive(to, packet) if self.works(to) => self.arrive(to, packet),
            Event::Serve(at, from) if self.processes[at].is_alive => self.serve(at, from),
            Event::Review => self.review(),
            Event::Push if !self.is_calm => {
                let pause = self.chance.between(1, 60) * MS;
                self.agenda.plan(pause, Event::Push);
                self.push()
            }
            Event::Fault if !self.is_calm => {
                let pause = self.chance.between(100, 1_200) * MS;
                self.agenda.plan(pause, Event::Fault);
                self.fault();
                Ok(())
            }
            Event::Calm => {
                self.trace.say(|| "calm".to_owned());
                self.is_calm = true;
                self.slow_max = MS;
                self.heal();
                self.network.calm();
                let now = self.agenda.now();
                self.processes.iter_mut().for_each(|process| process.hangs_until = process.hangs_until.min(now));
                for machine in 0..self.n_machines {
                    self.agenda.plan(0, Event::Start(machine));
                }
                Ok(())
            }
            Event::Start(machine) => {
                let runs = |process: &Process| process.is_alive && process.named == machine;
                if !self.processes.iter().any(runs) {
                    self.start(machine, machine);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, machine: usize, named: usize) {
        let clock = LocalClock::some(&mut self.chance, MS, 1_000 * MS);
        let number = self.processes.len();
        let now = self.agenda.now();
        let process = Process::new((number, machine, named), name(named), clock, (self.times, self.limits), now);
        self.trace.say(|| format!("{} starts on machine {machine}", process.sighting.address));
        self.processes.push(process);
        self.agenda.plan(0, Event::Review);
        self.agenda.plan(MS, Event::Tick(number));
    }

    fn tick(&mut self, at: usize) -> Checked {
        let is_late = self.chance.percent(1) && !self.is_calm;
        let late = self.chance.below(if is_late { 900 } else { 10 }) * MS;
        self.agenda.plan(TICK_MS * MS + late, Event::Tick(at));
        if !self.works(at) {
            return Ok(());
        }
        self.trace.step(self.agenda.now(), at as u64);
        let now = self.time(at);
        let process = &mut self.processes[at];
        if now.since(process.last_tick) > self.times.suspect / 2 {
            process.awake_since = self.agenda.now();
            // It was asleep itself: what it did not hear meanwhile says nothing.
            let gap = now.since(process.last_tick);
            for view in process.views.values_mut() {
                view.heard = (view.heard + gap).min(now);
                view.heard_at_most = (view.heard_at_most + gap).min(now);
            }
        }
        process.last_tick = now;
        let effects = process.tick(now);
        self.obey(at, effects)?;
        self.check_process(at)
    }

    fn obey(&mut self, at: usize, effects: Vec<Effect>) -> Checked {
        for effect in effects {
            let now = self.time(at);
            match effect {
                Effect::Open { link, peer, address } => self.processes[at].open(link, peer, address, now),
                Effect::Greet { address, hello } => self.send(at, &address, &Packet::Hello(hello)),
                Effect::Refuse { address, refusal } => self.send(at, &address, &Packet::Refusal(refusal)),
                Effect::Bind { link, theirs } => self.bind(at, link, theirs, now)?,
                Effect::Close { link } => {
                    if let Some(mut wire) = self.processes[at].wires.remove(&link) {
                        let n_lost = wire.link.reset();
                        let to = self.number_of(&wire.address);
                        self.trace.say(|| format!("#{at} closes its link to #{to}: {n_lost} lost"));
                        self.ledger.lost(at, to, n_lost);
                    }
                }
                Effect::Pace { link, slow } => {
                    if let Some(wire) = self.processes[at].wires.get_mut(&link) {
                        wire.link.set_pace(slow);
                    }
                    self.flush(at, link)?;
                }
                Effect::Doubt { address, doubt, .. } => self.send(at, &address, &Packet::Doubt(doubt)),
                Effect::Announce => {
                    self.check_name(at)?;
                    self.processes[at].is_announced = true;
                    self.trace.say(|| format!("#{at} announces itself"));
                    self.agenda.plan(MS, Event::Review);
                }
                Effect::NameInUse(refusal) => {
                    self.trace.say(|| format!("#{at} is refused: {:?} has its name", refusal.by));
                    self.end(at);
                    let machine = self.processes[at].named;
                    self.agenda.plan(800 * MS, Event::Start(machine));
                }
                Effect::Tell(event) => self.told(at, event)?,
            }
        }
        Ok(())
    }

    fn bind(&mut self, at: usize, link: u64, theirs: u64, now: Time) -> Checked {
        let Some(wire) = self.processes[at].wires.get_mut(&link) else { return Ok(()) };
        let n_lost = wire.link.bind(theirs, now);
        let address = wire.address.clone();
        let to = self.number_of(&address);
        self.trace.say(|| format!("#{at} binds its link to #{to}: {link} to {theirs}, {n_lost} lost"));
        self.ledger.lost(at, to, n_lost);
        self.flush(at, link)
    }

    fn number_of(&self, address: &Address) -> usize {
        let found = self.processes.iter().position(|process| process.sighting.address == *address);
        found.expect("every address is a process")
    }

    // ------------------------------------------------------------------------------------------------------------- news

    fn told(&mut self, at: usize, event: PeerEvent) -> Checked {
        self.trace.say(|| format!("#{at} tells {event:?}"));
        self.trace.mix(at as u64);
        let now = self.agenda.now();
        match event {
            PeerEvent::Up(peer) => {
                self.check_up(at, &peer)?;
                let view = self.view(at, &peer.name, peer.incarnation);
                (view.is_up, view.is_suspected, view.up_since) = (true, false, now);
            }
            PeerEvent::Suspected(peer) => {
                self.check_suspected(at, &peer)?;
                self.view(at, &peer.name, peer.incarnation).is_suspected = true;
            }
            PeerEvent::Trusted(peer) => self.view(at, &peer.name, peer.incarnation).is_suspected = false,
            PeerEvent::Down { peer, reason } => {
                self.check_down(at, &peer, reason)?;
                let view = self.view(at, &peer.name, peer.incarnation);
                (view.is_up, view.is_suspected) = (false, false);
            }
            PeerEvent::NameTaken { by } => {
                let mine = self.processes[at].sighting.peer.incarnation;
                hold!(by.incarnation > mine, "of two of one name the later goes on", "#{at} gives way to {by:?}");
                self.end(at);
                let machine = self.processes[at].named;
                self.agenda.plan(200 * MS, Event::Start(machine));
            }
            PeerEvent::Lost { .. } | PeerEvent::Refused { .. } => {}
        }
        Ok(())
    }

    fn view(&mut self, at: usize, name: &NodeName, incarnation: u64) -> &mut View {
        let address = Address(format!("{name}#{}", incarnation - 1).into());
        self.processes[at].views.entry(address).or_default()
    }
}
