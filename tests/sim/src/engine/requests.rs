//! Requests in the world of engines: real routers over the double of the network. Whoever asks is answered once, with a reply, an
//! error or the end of its deadline, whatever becomes of the one that is asked; and what was asked is done once at most.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use bytes::Bytes;
use enact::io::engine::{
    AskError, Inbox, Incoming, Lane, ReplyTo, Router, SendError,
    sim::{SimNet, Weather},
};
use tokio::{
    task::{JoinHandle, LocalSet},
    time::{Instant, sleep, sleep_until},
};

use super::{LEASE_MS, name};
use crate::{
    agenda::{Agenda, MS},
    chance::Chance,
    trace::{Checked, Trace, Violation, hold},
};

/// When the accidents end, when everybody has found everybody again, and when the last deadline has passed.
const FAULTS_MS: u64 = 3_000;
const QUIET_MS: u64 = 8_000;
const END_MS: u64 = 12_000;
/// The longest deadline.
const DEADLINE_MAX_MS: u64 = 2_500;
/// tokio's timers go by milliseconds.
const TIMER_STEP: Duration = Duration::from_millis(2);
/// The name of the service that is there, and of one that is not.
const SERVICES: [&str; 2] = ["work", "nothing"];

enum Event {
    Ask,
    Fault,
    Start(usize),
    GoOn(usize),
    Heal,
    Calm,
    Look,
}

/// What the service does with a request; follows from its number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Deed {
    Reply,
    Refuse,
    Drop,
    Keep,
}

/// A request and what became of it.
struct Asked {
    to: usize,
    is_served: bool,
    at: Instant,
    deadline: Duration,
    is_quiet: bool,
    n_handled: u32,
    answers: Vec<(Duration, Result<Bytes, AskError>)>,
}

type Book = Rc<RefCell<BTreeMap<u64, Asked>>>;
type Routers = Rc<RefCell<Vec<Option<Router>>>>;

struct World<'t> {
    trace: &'t mut Trace,
    chance: Chance,
    agenda: Agenda<Event>,
    begun: Instant,
    net: SimNet,
    /// After so long the network does not show any more who is cut off; the weather does not change it.
    lease: Duration,
    routers: Routers,
    /// Who is about to come up: a machine starts one process of a name at a time.
    starting: Vec<Option<JoinHandle<()>>>,
    book: Book,
    n_asked: u64,
    is_calm: bool,
}

/// Lets a world live.
pub(super) fn run(seed: u64, trace: &mut Trace) -> Checked {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime =
        runtime.map_err(|error| Violation { invariant: "there is a runtime".to_owned(), detail: error.to_string() })?;
    LocalSet::new().block_on(&runtime, async { World::new(Chance::new(!seed), trace).live().await })
}

fn weather(chance: &mut Chance, lease: Duration) -> Weather {
    Weather {
        loss: chance.below(20) as f64 / 100.0,
        duplication: chance.below(10) as f64 / 100.0,
        delay_max: Duration::from_micros(chance.between(500, 30_000)),
        lease,
        ..Weather::default()
    }
}

fn deed(number: u64) -> (Deed, Duration) {
    let mut chance = Chance::new(number);
    let deed = chance.pick(&[Deed::Reply, Deed::Reply, Deed::Reply, Deed::Refuse, Deed::Drop, Deed::Keep]);
    let takes = if chance.percent(40) { chance.below(400) } else { 0 };
    (deed, Duration::from_millis(takes))
}

impl World<'_> {
    fn new(mut chance: Chance, trace: &mut Trace) -> World<'_> {
        let lease = Duration::from_millis(chance.between(*LEASE_MS.start(), LEASE_MS.end() + 1));
        let net = SimNet::new(chance.next(), weather(&mut chance, lease));
        let n_machines = chance.between(2, 5) as usize;
        World {
            trace,
            agenda: Agenda::new(),
            begun: Instant::now(),
            net,
            lease,
            routers: Rc::new(RefCell::new(vec![None; n_machines])),
            starting: std::iter::repeat_with(|| None).take(n_machines).collect(),
            book: Book::default(),
            n_asked: 0,
            is_calm: false,
            chance,
        }
    }

    async fn live(mut self) -> Checked {
        let n_machines = self.routers.borrow().len();
        (0..n_machines).for_each(|at| self.agenda.plan(0, Event::Start(at)));
        self.agenda.plan(600 * MS, Event::Ask);
        self.agenda.plan(700 * MS, Event::Fault);
        self.agenda.plan(100 * MS, Event::Look);
        self.agenda.plan(FAULTS_MS * MS, Event::Calm);
        while let Some(event) = self.agenda.next(END_MS * MS) {
            sleep_until(self.begun + Duration::from_micros(self.agenda.now())).await;
            self.happen(event)?;
        }
        self.check_end()
    }

    fn happen(&mut self, event: Event) -> Checked {
        match event {
            Event::Ask => self.ask(),
            Event::Fault if !self.is_calm => self.fault(),
            Event::Fault => {}
            Event::Start(at) => self.start(at),
            Event::GoOn(at) => self.net.go_on(name(at).as_str()),
            Event::Heal => self.net.heal(),
            Event::Calm => {
                self.is_calm = true;
                self.net.heal();
                self.net.set_weather(Weather::default());
                (0..self.routers.borrow().len()).for_each(|at| self.agenda.plan(0, Event::Start(at)));
            }
            Event::Look => {
                self.agenda.plan(100 * MS, Event::Look);
                self.look()?;
            }
        }
        Ok(())
    }

    fn mark(&mut self, mark: u64, text: impl FnOnce() -> String) {
        self.trace.step(self.agenda.now(), mark);
        self.trace.say(text);
    }

    fn start(&mut self, at: usize) {
        let is_starting = self.starting[at].as_ref().is_some_and(|task| !task.is_finished());
        if is_starting || self.routers.borrow()[at].is_some() {
            return;
        }
        self.mark(1100 + at as u64, || format!("n{at} starts"));
        let (net, routers, book) = (self.net.clone(), self.routers.clone(), self.book.clone());
        self.starting[at] = Some(tokio::task::spawn_local(async move {
            // Its former life may still be believed in: then it comes a little later.
            let router = loop {
                match net.join(name(at).as_str()).await {
                    Ok(router) => break router,
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            };
            tokio::task::spawn_local(work(router.serve(SERVICES[0]), at, book));
            routers.borrow_mut()[at] = Some(router);
        }));
    }

    fn ask(&mut self) {
        let is_quiet = self.agenda.now() >= QUIET_MS * MS;
        // Who asks later than this may rightly wait still when the world ends.
        if self.agenda.now() + (DEADLINE_MAX_MS + 100) * MS > END_MS * MS {
            return;
        }
        let after = self.chance.below(if is_quiet { 200 } else { 40 }) * MS;
        self.agenda.plan(after, Event::Ask);
        let n_machines = self.routers.borrow().len();
        let (by, to) = (self.chance.idx(n_machines), self.chance.idx(n_machines));
        let is_served = self.chance.percent(95);
        let deadline = Duration::from_millis(self.chance.between(1, DEADLINE_MAX_MS));
        let large = self.chance.percent(5);
        let n_bytes = if large { self.chance.below(200_000) } else { self.chance.below(200) };
        let lane = self.chance.pick(&Lane::ALL);
        let is_given_up = self.chance.percent(5);
        let Some(router) = self.routers.borrow()[by].clone() else { return };
        let number = self.n_asked;
        self.n_asked += 1;
        self.mark(1200 + to as u64, || format!("n{by} asks n{to} {number}: {:?}, within {deadline:?}", deed(number)));
        let asked = Asked { to, is_served, at: Instant::now(), deadline, is_quiet, n_handled: 0, answers: Vec::new() };
        self.book.borrow_mut().insert(number, asked);
        let mut body = number.to_le_bytes().to_vec();
        body.resize(8 + n_bytes as usize, number as u8);
        let (book, service) = (self.book.clone(), SERVICES[usize::from(!is_served)]);
        let asking = tokio::task::spawn_local(async move {
            let answer = router.ask(&name(to), service, lane, body.into(), deadline).await;
            if let Some(asked) = book.borrow_mut().get_mut(&number) {
                asked.answers.push((asked.at.elapsed(), answer));
            }
        });
        if is_given_up {
            self.book.borrow_mut().remove(&number);
            asking.abort();
        }
    }

    fn fault(&mut self) {
        let after = self.chance.between(50, 600) * MS;
        self.agenda.plan(after, Event::Fault);
        let n_machines = self.routers.borrow().len();
        let (at, other) = (self.chance.idx(n_machines), self.chance.idx(n_machines));
        let what = self.chance.below(6);
        self.mark(1300 + what, || format!("fault {what} at n{at} (n{other})"));
        match what {
            0 => {
                self.net.kill(name(at).as_str());
                if let Some(task) = self.starting[at].take() {
                    task.abort();
                }
                self.routers.borrow_mut()[at] = None;
                let after = self.chance.below(800) * MS;
                self.agenda.plan(after, Event::Start(at));
            }
            1 => {
                if let Some(router) = self.routers.borrow_mut()[at].take() {
                    tokio::task::spawn_local(async move { router.close(Duration::from_secs(1)).await });
                }
                let after = self.chance.between(1000, 2000) * MS;
                self.agenda.plan(after, Event::Start(at));
            }
            2 | 3 => {
                self.net.cut(name(at).as_str(), name(other).as_str());
                if what == 3 {
                    self.net.cut(name(other).as_str(), name(at).as_str());
                }
                let after = self.chance.below(2000) * MS;
                self.agenda.plan(after, Event::Heal);
            }
            4 => {
                self.net.hang(name(at).as_str());
                let after = self.chance.below(1500) * MS;
                self.agenda.plan(after, Event::GoOn(at));
            }
            _ => {
                let weather = weather(&mut self.chance, self.lease);
                self.net.set_weather(weather);
            }
        }
    }

    /// What holds whatever happens.
    fn look(&mut self) -> Checked {
        let book = self.book.clone();
        for (number, asked) in book.borrow().iter() {
            hold!(
                asked.n_handled <= 1,
                "what was asked is done once at most",
                "{number} was done {} times",
                asked.n_handled
            );
            hold!(asked.answers.len() <= 1, "a request is answered once", "{number}: {:?}", asked.answers);
            let most = asked.deadline + TIMER_STEP;
            hold!(
                !asked.answers.is_empty() || asked.at.elapsed() <= most,
                "a request is answered within its deadline",
                "{number}, asked of n{} with {:?}, waits since {:?}",
                asked.to,
                asked.deadline,
                asked.at.elapsed()
            );
            if let Some((elapsed, answer)) = asked.answers.first() {
                hold!(
                    *elapsed <= most,
                    "a request is answered within its deadline",
                    "{number} after {elapsed:?}: {answer:?}"
                );
                check_answer(*number, asked, *elapsed, answer)?;
                self.trace.mix(number ^ elapsed.as_micros() as u64);
            }
        }
        // What was looked at with its answer is not looked at again.
        self.book.borrow_mut().retain(|_, asked| asked.answers.is_empty() || asked.at.elapsed() < asked.deadline);
        Ok(())
    }

    fn check_end(&mut self) -> Checked {
        self.look()?;
        for router in self.routers.borrow().iter().flatten() {
            let n_waiting = router.stats().requests;
            hold!(n_waiting == 0, "nothing waits when all is answered", "{:?}: {n_waiting} requests", router.me());
        }
        Ok(())
    }
}

/// An answer fits what was asked, and what was done about it.
fn check_answer(number: u64, asked: &Asked, elapsed: Duration, answer: &Result<Bytes, AskError>) -> Checked {
    let (deed, takes) = deed(number);
    let is_handled = asked.n_handled == 1;
    let fits = match answer {
        Ok(body) => is_handled && deed == Deed::Reply && *body == reply(number, asked.to),
        Err(AskError::Refused(text)) => is_handled && deed == Deed::Refuse && *text == number.to_string(),
        Err(AskError::NoService { .. }) => !is_handled,
        Err(AskError::Busy { .. }) => !is_handled,
        Err(AskError::Timeout { .. }) => elapsed >= asked.deadline,
        Err(AskError::Send(SendError::NotUp { .. } | SendError::Full { .. })) => !is_handled && elapsed.is_zero(),
        // Whatever it did: its process, or the asker's, is gone.
        Err(AskError::Dropped { .. } | AskError::PeerDown { .. } | AskError::Send(_)) => true,
    };
    hold!(
        fits,
        "an answer is that of its request",
        "{number} of n{}, {deed:?}, handled {is_handled}: {answer:?}",
        asked.to
    );
    if !asked.is_quiet {
        return Ok(());
    }
    let takes = if asked.is_served { takes } else { Duration::ZERO };
    let in_time = takes + Duration::from_millis(100) < asked.deadline;
    let is_as_wanted = match (answer, deed) {
        (Err(AskError::NoService { .. }), _) => !asked.is_served,
        (Ok(_), Deed::Reply)
        | (Err(AskError::Refused(_)), Deed::Refuse)
        | (Err(AskError::Dropped { .. }), Deed::Drop) => asked.is_served,
        (Err(AskError::Timeout { .. }), deed) => (asked.is_served && deed == Deed::Keep) || !in_time,
        _ => false,
    };
    hold!(is_as_wanted, "when all is well a request is answered as its service does", "{number}, {deed:?}: {answer:?}");
    Ok(())
}

fn reply(number: u64, at: usize) -> Bytes {
    let mut body = number.to_le_bytes().to_vec();
    body.push(at as u8);
    body.into()
}

/// A service that does with each request what its number says.
async fn work(mut inbox: Inbox, at: usize, book: Book) {
    let mut kept: Vec<ReplyTo> = Vec::new();
    while let Some(Incoming { body, reply: Some(back), .. }) = inbox.recv().await {
        let Some(number) = body.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)) else { continue };
        if let Some(asked) = book.borrow_mut().get_mut(&number) {
            asked.n_handled += 1;
        }
        let (deed, takes) = deed(number);
        match deed {
            Deed::Keep => kept.push(back),
            Deed::Drop => drop(back),
            Deed::Reply | Deed::Refuse => drop(tokio::task::spawn_local(async move {
                sleep(takes).await;
                back.send(if deed == Deed::Reply { Ok(reply(number, at)) } else { Err(number.to_string()) });
            })),
        }
    }
}
