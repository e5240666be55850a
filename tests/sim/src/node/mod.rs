//! The world of nodes: the real actors (nodes, groups, components, channels, supervision) over the double of the network, all on one
//! thread, in time that is paused: what is waited for is skipped. Nodes crash and come back with what they had on disk; whatever
//! happens, what runs follows the model, and nothing acknowledged is lost.

mod check;
mod life;
mod moves;
mod parts;
mod person;
mod wishes;

use std::{cell::Cell, collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

use enact::{
    io::{
        clock::Simulated,
        engine::{
            self, Router,
            sim::{SimNet, Weather},
        },
        store::Store,
        telemetry::Metrics,
    },
    logic::{gossip::StateDigest, plan::Limits, restart::Policy},
    model::Model,
    runtime::{group::GroupHandle, instance::Catalog, node::Options},
    words::{GroupName, Time},
};
use tokio::{
    task::LocalSet,
    time::{Instant, sleep_until},
};

use self::{
    life::{Birth, Life},
    moves::Moves,
    parts::Ledger,
    person::{Book, Told},
    wishes::{GROUP, node},
};
use crate::{
    agenda::{Agenda, MS, Micros},
    chance::Chance,
    trace::{Checked, Trace, Violation},
};

/// More would be slower and show no more.
const N_NODES: std::ops::RangeInclusive<u64> = 3..=5;
/// Everybody has joined by then, as far as the weather lets them.
const BEGIN_MS: u64 = 2_500;
/// When the accidents end.
const CALM_MS: u64 = 9_000;
/// So soon after the last heal all agree: what is promised.
const AGREE_MS: u64 = 10_000;
/// What everybody was told is done so soon: a few steps, each within its limit.
const REPAIR_MS: u64 = 6_000;
/// Words from the last moments are still on their way so long after what they are about.
const SETTLE_MS: u64 = 1_500;
/// Then for so long everybody who is bound is heard.
const HEAR_MS: u64 = 1_500;
/// How often everything is looked at.
const LOOK_MS: u64 = 50;
/// Who is cut off is not shown any more after this long: before anybody is suspected, or long after, as in the product.
const LEASE_MS: std::ops::RangeInclusive<u64> = 500..=3_000;
/// The limit of a step: longer than a part takes that does nothing wrong.
const STEP_MAX: Duration = Duration::from_secs(2);
/// True time when the world begins: a day into the epoch, so that the horizon lies in the past.
const BASE: Micros = 200_000_000 * MS;
/// The fastest and slowest clocks: far beyond what machines have, so that little virtual time shows much of it.
const DRIFT_MAX_PPM: u64 = 10_000;
/// So far are clocks apart: what is believed.
const AHEAD_MAX: Micros = 400 * MS;

enum Event {
    Look,
    Push,
    Fault,
    /// A machine is started again.
    Start(usize),
    /// A node that hangs goes on.
    GoOn(usize),
    Heal,
    Calm,
    Agreed,
    Repaired,
    Settled,
    Heard,
}

/// A machine: what stays when its node crashes.
struct Machine {
    store: Arc<Store>,
    clock: Rc<Cell<Simulated>>,
    life: Option<Life>,
    n_lives: u32,
    /// It was asked to end.
    is_stopping: bool,
}

struct World<'t> {
    trace: &'t mut Trace,
    chance: Chance,
    agenda: Agenda<Event>,
    begun: Instant,
    net: SimNet,
    /// After so long the network does not show any more who is cut off; the weather does not change it.
    lease: Duration,
    catalog: Arc<Catalog>,
    machines: Vec<Machine>,
    book: Book,
    n_pushes: usize,
    /// Parts misbehave, in some worlds.
    with_trouble: bool,
    is_calm: bool,
    /// The models that were seen, by their digests.
    seen: BTreeMap<StateDigest, Model>,
    moves: Moves,
}

/// Lets a world live.
pub(crate) fn run(seed: u64, trace: &mut Trace) -> Checked {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| failed("a runtime", &error))?;
    LocalSet::new().block_on(&runtime, async {
        let mut world = World::new(Chance::new(seed), trace)?;
        let lived = world.live().await;
        world.end().await;
        lived
    })
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> Violation {
    Violation { invariant: format!("there is {what}"), detail: error.to_string() }
}

fn weather(chance: &mut Chance, lease: Duration) -> Weather {
    let bad = chance.percent(60);
    let up_to = |chance: &mut Chance, percent: u64| if bad { chance.below(percent) as f64 / 100.0 } else { 0.0 };
    Weather {
        loss: up_to(chance, 20),
        duplication: up_to(chance, 10),
        delay_max: Duration::from_micros(chance.between(500, 30_000)),
        lease,
        ..Weather::default()
    }
}

impl World<'_> {
    fn new(mut chance: Chance, trace: &mut Trace) -> Result<World<'_>, Violation> {
        Ledger::open();
        let n_nodes = chance.between(*N_NODES.start(), N_NODES.end() + 1);
        let lease = Duration::from_millis(chance.between(*LEASE_MS.start(), LEASE_MS.end() + 1));
        let net = SimNet::new(chance.next(), weather(&mut chance, lease));
        let begun = Instant::now();
        let mut machines = Vec::new();
        for _ in 0..n_nodes {
            let store = Store::in_memory().map_err(|error| failed("a store", &error))?;
            let drift_ppm = chance.below(2 * DRIFT_MAX_PPM + 1) as i32 - DRIFT_MAX_PPM as i32;
            let clock = Simulated { base: Time(BASE + chance.below(AHEAD_MAX)), since: begun, drift_ppm };
            let clock = Rc::new(Cell::new(clock));
            machines.push(Machine { store: Arc::new(store), clock, life: None, n_lives: 0, is_stopping: false });
        }
        Ok(World {
            trace,
            agenda: Agenda::new(),
            begun,
            net,
            lease,
            catalog: parts::catalog(),
            machines,
            book: Book::default(),
            n_pushes: 0,
            with_trouble: chance.percent(60),
            is_calm: false,
            seen: BTreeMap::new(),
            moves: Moves::default(),
            chance,
        })
    }

    async fn live(&mut self) -> Checked {
        for at in 0..self.machines.len() {
            let after = self.chance.below(400) * MS;
            self.agenda.plan(after, Event::Start(at));
        }
        self.agenda.plan(LOOK_MS * MS, Event::Look);
        self.agenda.plan(BEGIN_MS * MS, Event::Push);
        self.agenda.plan(BEGIN_MS * MS, Event::Fault);
        self.agenda.plan(CALM_MS * MS, Event::Calm);
        let end = (CALM_MS + AGREE_MS + REPAIR_MS + SETTLE_MS + HEAR_MS) * MS;
        while let Some(event) = self.agenda.next(end) {
            sleep_until(self.begun + Duration::from_micros(self.agenda.now())).await;
            self.happen(event).await?;
        }
        Ok(())
    }

    /// Everybody goes, so that nothing outlives its world.
    async fn end(&mut self) {
        for at in 0..self.machines.len() {
            self.crash(at).await;
        }
    }

    async fn happen(&mut self, event: Event) -> Checked {
        match event {
            Event::Look => {
                self.agenda.plan(LOOK_MS * MS, Event::Look);
                self.look()
            }
            Event::Push => self.push(),
            Event::Fault => self.fault().await,
            Event::Start(at) => {
                self.start(at);
                Ok(())
            }
            Event::GoOn(at) => {
                self.go_on(at);
                Ok(())
            }
            Event::Heal => {
                self.mark(501);
                self.say(|| "the network is whole".to_owned());
                self.net.heal();
                Ok(())
            }
            Event::Calm => {
                self.calm();
                Ok(())
            }
            Event::Agreed => self.repair().await,
            Event::Repaired => {
                self.agenda.plan(SETTLE_MS * MS, Event::Settled);
                self.check_repaired().await
            }
            Event::Settled => {
                Ledger::settle();
                self.moves = Moves::default();
                self.agenda.plan((HEAR_MS - 1) * MS, Event::Heard);
                Ok(())
            }
            Event::Heard => self.check_heard(),
        }
    }

    fn say(&mut self, text: impl FnOnce() -> String) {
        self.trace.say(text);
    }

    fn mark(&mut self, mark: u64) {
        self.trace.step(self.agenda.now(), mark);
    }

    fn options(&self, at: usize) -> Options {
        Options {
            name: node(at),
            group: GroupName::parse(GROUP).expect("a valid name"),
            engine: engine::Config::default(),
            any_port: true,
            data: None,
            boot: enact::runtime::node::Boot::Default,
            n_workers: 0,
            limits: Limits { step: STEP_MAX, ..Limits::default() },
            checkpoint: Duration::from_secs(1),
            drain: Duration::from_secs(5),
            restart: Policy::DEFAULT,
            scrape: None,
            probation: Duration::ZERO,
            version: "0.1.0".to_owned(),
            logs: None,
            metrics: Metrics::default(),
            child_command: None,
            obeys_signals: false,
        }
    }

    fn start(&mut self, at: usize) {
        if self.machines[at].life.is_some() {
            return;
        }
        let options = self.options(at);
        let (net, catalog) = (self.net.clone(), self.catalog.clone());
        let machine = &mut self.machines[at];
        machine.n_lives += 1;
        machine.is_stopping = false;
        let birth = Birth { net, store: machine.store.clone(), clock: machine.clock.clone(), options, catalog };
        machine.life = Some(Life::begin(birth));
        let n_lives = machine.n_lives;
        self.mark(100 + at as u64);
        self.say(|| format!("m{at} starts, life {n_lives}"));
    }

    async fn crash(&mut self, at: usize) {
        self.net.kill(node(at).as_str());
        if let Some(life) = self.machines[at].life.take() {
            life.crash().await;
        }
    }

    fn go_on(&mut self, at: usize) {
        self.net.go_on(node(at).as_str());
        if let Some(life) = &self.machines[at].life {
            life.go_on();
        }
        self.mark(200 + at as u64);
        self.say(|| format!("m{at} goes on"));
    }

    /// The groups of those who have joined.
    fn groups(&self) -> BTreeMap<usize, GroupHandle> {
        let group = |machine: &Machine| machine.life.as_ref().and_then(|life| life.seat.borrow().group.clone());
        self.machines.iter().enumerate().filter_map(|(at, machine)| Some((at, group(machine)?))).collect()
    }

    fn router(&self, at: usize) -> Option<Router> {
        self.machines[at].life.as_ref().and_then(|life| life.seat.borrow().router.clone())
    }

    fn push(&mut self) -> Checked {
        if self.is_calm {
            return Ok(());
        }
        let after = self.chance.between(60, 700) * MS;
        self.agenda.plan(after, Event::Push);
        let groups = self.groups();
        if groups.is_empty() {
            return Ok(());
        }
        let (&at, group) = groups.iter().nth(self.chance.idx(groups.len())).expect("an index below its length");
        let model = group.current().model;
        let n_nodes = self.machines.len();
        let script = wishes::some(&mut self.chance, &model, n_nodes, self.n_pushes, self.with_trouble);
        self.ask(at, script);
        Ok(())
    }

    /// Somebody pushes a script on a machine.
    fn ask(&mut self, at: usize, script: String) -> usize {
        let number = self.n_pushes;
        let Some(router) = self.router(at) else { return number };
        self.n_pushes += 1;
        self.mark(300 + at as u64);
        self.say(|| format!("push {number} on m{at}: {}", script.trim().replace('\n', "; ")));
        let (life, asked) = (self.machines[at].n_lives, parts::since_the_beginning());
        self.book.borrow_mut().insert(number, Told { script, at, life, asked, ..Told::default() });
        tokio::task::spawn_local(person::push(router, number, self.book.clone()));
        number
    }

    async fn fault(&mut self) -> Checked {
        if self.is_calm {
            return Ok(());
        }
        let after = self.chance.between(150, 1200) * MS;
        self.agenda.plan(after, Event::Fault);
        let (at, other) = (self.chance.idx(self.machines.len()), self.chance.idx(self.machines.len()));
        let what = self.chance.below(10);
        self.mark(400 + what);
        match what {
            0..=2 => {
                self.say(|| format!("m{at} crashes"));
                self.crash(at).await;
                let after = self.chance.between(50, 2500) * MS;
                self.agenda.plan(after, Event::Start(at));
            }
            3 => {
                self.say(|| format!("nothing gets from m{at} to m{other}"));
                self.net.cut(node(at).as_str(), node(other).as_str());
                self.heal_later();
            }
            4 | 5 => {
                let n_left = self.chance.between(1, self.machines.len() as u64) as usize;
                self.say(|| format!("m0 to m{} are cut off from the others", n_left - 1));
                let names: Vec<_> = (0..self.machines.len()).map(node).collect();
                let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
                self.net.split(&names[..n_left], &names[n_left..]);
                self.heal_later();
            }
            6 => {
                let weather = weather(&mut self.chance, self.lease);
                self.say(|| format!("{weather:?}"));
                self.net.set_weather(weather);
            }
            7 => {
                let hangs = self.chance.between(50, 1500);
                self.say(|| format!("m{at} gets no time for {hangs} ms"));
                self.net.hang(node(at).as_str());
                if let Some(life) = &self.machines[at].life {
                    life.hang();
                }
                self.agenda.plan(hangs * MS, Event::GoOn(at));
            }
            8 => {
                let mut clock = self.machines[at].clock.get();
                clock.base = Time(BASE + self.chance.below(AHEAD_MAX));
                self.say(|| format!("somebody sets the clock of m{at}"));
                self.machines[at].clock.set(clock);
            }
            _ => self.ask_to_end(at),
        }
        Ok(())
    }

    fn heal_later(&mut self) {
        let after = self.chance.between(100, 3000) * MS;
        self.agenda.plan(after, Event::Heal);
    }

    fn ask_to_end(&mut self, at: usize) {
        let stop = self.machines[at].life.as_ref().and_then(|life| life.seat.borrow_mut().stop.take());
        if let Some(stop) = stop {
            self.say(|| format!("m{at} is asked to end"));
            self.machines[at].is_stopping = true;
            // Fails only when it is ending already.
            let _ = stop.send(());
        }
    }

    /// No more accidents, and everybody is there again.
    fn calm(&mut self) {
        self.is_calm = true;
        self.mark(500);
        self.say(|| "all is calm".to_owned());
        self.net.heal();
        self.net.set_weather(Weather::default());
        for at in 0..self.machines.len() {
            self.go_on(at);
            self.start(at);
        }
        self.agenda.plan(AGREE_MS * MS, Event::Agreed);
    }

    /// All agree by now; and somebody makes everything well again.
    async fn repair(&mut self) -> Checked {
        self.check_agreed()?;
        self.check_between_models().await?;
        let Some(group) = self.groups().remove(&0) else { return Ok(()) };
        let script = wishes::repair(&group.current().model, self.n_pushes);
        self.ask(0, script);
        self.agenda.plan(REPAIR_MS * MS, Event::Repaired);
        Ok(())
    }
}
