//! The world of engines: processes that find each other, keep links, hang, die and come back, over a network that does its
//! worst. Between two that live on, what was accepted arrives once and in order on its lane, or is told as lost; nobody is
//! taken for dead while signs of life arrive, and who is dead is found so in time.

mod check;
mod ledger;
mod process;
mod requests;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use enact::{
    logic::{
        link::{FRAME_MAX_BYTES, Lane, Limits},
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
/// A broken connection is noticed at once; a way that is cut, after the lease.
const BROKEN_MS: u64 = 5;
const LEASE_MS: u64 = 500;

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

    // ------------------------------------------------------------------------------------------------------ the network

    fn send(&mut self, from: usize, to: &Address, packet: &Packet) {
        let to = self.number_of(to);
        let (a, b) = (self.processes[from].machine, self.processes[to].machine);
        if a == b {
            self.agenda.plan(MS / 10, Event::Arrive(to, packet.clone()));
            return;
        }
        for delay in self.network.send(&mut self.chance, a, b, 0) {
            self.agenda.plan(delay, Event::Arrive(to, packet.clone()));
        }
    }

    fn arrive(&mut self, to: usize, packet: Packet) -> Checked {
        let now = self.time(to);
        self.trace.step(self.agenda.now(), 100 + to as u64);
        let mut effects = Vec::new();
        match packet {
            Packet::Frame(frame) => {
                hold!(frame.len() <= FRAME_MAX_BYTES, "frames keep within their size", "{} bytes", frame.len());
                let taken = self.processes[to].receive(now, &frame);
                hold!(taken.is_ok(), "what a link sends can be read", "#{to}: {taken:?}");
                if let Ok(Some(link)) = taken {
                    let address = self.processes[to].wires[&link].address.clone();
                    let from = self.number_of(&address);
                    let waits = self.processes[to].backlogs.get(&address).is_some_and(|waits| !waits.is_empty());
                    let view = self.processes[to].views.entry(address).or_default();
                    (view.heard, view.heard_at_most) = (now, now);
                    if waits {
                        let takes = self.chance.below(self.slow_max + 1);
                        self.agenda.plan(takes, Event::Serve(to, from));
                    }
                    self.flush(to, link)?;
                }
            }
            Packet::Hello(hello) => {
                self.trace.say(|| {
                    format!("#{to} is greeted by {} (link {} yours {})", hello.address, hello.link, hello.yours)
                });
                let address = Address(hello.address.as_str().into());
                self.processes[to].views.entry(address).or_default().heard_at_most = now;
                self.processes[to].peers.greeted(now, hello, &mut effects);
            }
            Packet::Refusal(refusal) => self.processes[to].peers.refused(refusal, &mut effects),
            Packet::Bye(address) => {
                self.processes[to].views.entry(address.clone()).or_default().is_gone = true;
                self.processes[to].peers.left(now, &address, &mut effects);
            }
            Packet::Doubt(doubt) => {
                effects = self.processes[to].listen();
                self.processes[to].peers.doubted(now, &doubt, &mut effects);
                self.is_told_of_silence = true;
            }
        }
        let done = self.obey(to, effects);
        self.is_told_of_silence = false;
        done
    }

    /// Sends what a link has to send, and sees when it will have more.
    fn flush(&mut self, at: usize, link: u64) -> Checked {
        let now = self.time(at);
        let mut frames = Vec::new();
        let Some(wire) = self.processes[at].wires.get_mut(&link) else { return Ok(()) };
        while let Some((_, frame)) = wire.link.poll(now) {
            frames.push(frame);
            hold!(frames.len() < 10_000, "a link comes to rest", "#{at} sends and sends on link {link}");
        }
        let address = wire.address.clone();
        let deadline = wire.link.deadline();
        hold!(
            deadline > now,
            "a link that has nothing to send says when it will have",
            "#{at} link {link}: {deadline} at {now}"
        );
        // Clocks drift, timers are late: the outbox wakes a little too soon or too late.
        let after = deadline.since(now).as_micros() as u64 + self.chance.below(MS);
        let wakes_at = self.agenda.now() + after;
        if deadline != Time::NEVER && wakes_at < wire.wakes_at {
            wire.wakes_at = wakes_at;
            self.agenda.plan(after, Event::Wake(at, link));
        }
        for frame in frames {
            self.send(at, &address, &Packet::Frame(frame));
        }
        self.check_bounds(at, link)
    }

    fn serve(&mut self, at: usize, from: usize) -> Checked {
        let address = self.processes[from].sighting.address.clone();
        let Some(backlog) = self.processes[at].backlogs.get_mut(&address) else { return Ok(()) };
        let Some(arrived) = backlog.pop_front() else { return Ok(()) };
        if !backlog.is_empty() {
            let takes = self.chance.below(self.slow_max + 1);
            self.agenda.plan(takes, Event::Serve(at, from));
        }
        for message in &arrived.messages {
            self.ledger.arrived(from, at, arrived.lane, message)?;
        }
        if let Some(wire) = self.processes[at].wires.get_mut(&arrived.link) {
            wire.consumed(&arrived);
        }
        self.flush(at, arrived.link)
    }

    /// Who sees whom now.
    fn review(&mut self) -> Checked {
        let now = self.agenda.now();
        let mut shown = BTreeSet::new();
        for (observer, a) in self.processes.iter().enumerate().filter(|(_, process)| process.is_alive) {
            for (observed, b) in self.processes.iter().enumerate().filter(|(_, process)| process.is_alive) {
                let since = self.cut_since.get(&(b.machine, a.machine));
                let is_cut = since.is_some_and(|since| now >= since + LEASE_MS * MS);
                if observer != observed && b.is_announced && !is_cut {
                    shown.insert((observer, observed));
                }
            }
        }
        let before = std::mem::replace(&mut self.shown, shown.clone());
        for &(observer, observed) in shown.difference(&before) {
            let (sighting, now) = (self.processes[observed].sighting.clone(), self.time(observer));
            let mut effects = Vec::new();
            self.trace.say(|| format!("#{observer} sees #{observed}"));
            self.processes[observer].views.entry(sighting.address.clone()).or_default().is_gone = false;
            self.processes[observer].peers.saw(now, sighting, &mut effects);
            self.obey(observer, effects)?;
        }
        for &(observer, observed) in before.difference(&shown) {
            if self.processes[observer].is_alive {
                let (address, now) = (self.processes[observed].sighting.address.clone(), self.time(observer));
                let mut effects = Vec::new();
                self.trace.say(|| format!("#{observer} does not see #{observed} any more"));
                self.processes[observer].views.entry(address.clone()).or_default().is_gone = true;
                self.processes[observer].peers.vanished(now, &address, &mut effects);
                self.obey(observer, effects)?;
            }
        }
        Ok(())
    }

    // ------------------------------------------------------------------------------------------------ pushes and faults

    fn push(&mut self) -> Checked {
        let at = self.chance.idx(self.processes.len());
        if !self.works(at) {
            return Ok(());
        }
        let up: Vec<Address> =
            self.processes[at].views.iter().filter(|(_, view)| view.is_up).map(|(a, _)| a.clone()).collect();
        if up.is_empty() {
            return Ok(());
        }
        let address = up[self.chance.idx(up.len())].clone();
        let Some(link) = self.processes[at].wire_to(&address) else { return Ok(()) };
        let to = self.number_of(&address);
        let n_messages = if self.chance.percent(10) { 1 + self.chance.below(200) } else { 1 + self.chance.below(4) };
        for _ in 0..n_messages {
            let lane = Lane::ALL[self.chance.idx(2)];
            let n_bytes = match self.chance.below(60) {
                // Some of these are on their way whenever a way is cut.
                0 | 1 => self.chance.below(MESSAGE_MAX as u64),
                2..8 => self.chance.below(8_000),
                _ => 32,
            };
            let message = self.ledger.draft(at, to, lane, n_bytes as usize);
            let head = self.chance.idx(20);
            let urgent = self.chance.percent(10);
            let Some(wire) = self.processes[at].wires.get_mut(&link) else { return Ok(()) };
            if wire.link.push(lane, &message[..head], &message.slice(head..), urgent).is_ok() {
                self.ledger.accepted(at, to, lane);
            }
        }
        self.flush(at, link)
    }

    fn fault(&mut self) {
        let n = self.n_machines;
        let (a, b) = (self.chance.idx(n), self.chance.idx(n));
        let at = self.chance.idx(self.processes.len());
        match self.chance.below(10) {
            0 | 1 => {
                if self.processes[at].is_alive {
                    self.trace.say(|| format!("#{at} is killed"));
                    self.end(at);
                    let pause = self.chance.between(1, 1_500) * MS;
                    let machine = self.processes[at].named;
                    self.agenda.plan(pause, Event::Start(machine));
                }
            }
            2 => self.heal(),
            3 => {
                self.trace.say(|| format!("the way from machine {a} to machine {b} is cut"));
                self.network.cut(a, b);
                self.note_cuts();
            }
            4 | 5 => {
                let span = self.chance.between(50, 2_500) * MS;
                self.trace.say(|| format!("#{at} hangs for {} ms", span / MS));
                self.processes[at].hangs_until = self.agenda.now() + span;
            }
            6 => {
                let address = self.processes[at].sighting.address.clone();
                if self.works(at) && self.processes[at].is_announced {
                    self.trace.say(|| format!("#{at} says goodbye"));
                    let others: Vec<Address> =
                        self.processes[at].wires.values().map(|wire| wire.address.clone()).collect();
                    others.iter().for_each(|to| self.send(at, to, &Packet::Bye(address.clone())));
                    self.end(at);
                    let machine = self.processes[at].named;
                    self.agenda.plan(300 * MS, Event::Start(machine));
                }
            }
            7 => {
                self.trace.say(|| format!("somebody starts n{a} on machine {b} as well"));
                self.start(b, a);
            }
            _ => {
                self.heal();
                let side = self.chance.below(1 << n);
                self.trace.say(|| format!("cut into two sides: {side:0n$b}"));
                self.network.split(side);
                self.note_cuts();
            }
        }
    }

    fn note_cuts(&mut self) {
        let now = self.agenda.now();
        for (a, b) in self.network.pairs() {
            if !self.network.is_open(a, b) {
                self.cut_since.entry((a, b)).or_insert(now);
            }
        }
        self.agenda.plan(LEASE_MS * MS, Event::Review);
    }

    fn heal(&mut self) {
        self.trace.say(|| "all ways are open".to_owned());
        self.network.heal();
        self.cut_since.clear();
        self.agenda.plan(20 * MS, Event::Review);
    }

    /// A process ends, however.
    fn end(&mut self, at: usize) {
        self.processes[at].is_alive = false;
        self.agenda.plan(BROKEN_MS * MS, Event::Review);
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
