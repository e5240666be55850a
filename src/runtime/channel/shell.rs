//! The actor around a fragment: takes what comes from everywhere, asks the core, obeys.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap, VecDeque},
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use actix::{Actor, ActorFutureExt, AsyncContext, WrapFuture};
use futures_util::{StreamExt, stream::FuturesUnordered};

use crate::{
    io::engine::Router,
    logic::delivery::{AskId, Effect, EndId, Fragment, Frame, Given, Outcome, Policy, Track},
    runtime::instance::{
        Accept, Birth, Condition, Failure, Handle, Inbox, Inlet, Message, Op, ReplyTo, Why,
        inbox::{Event, panic_text},
    },
    words::{InstancePath, PortPath, Time, Value},
};

use super::{
    door::{Bell, Clock, Door, Letter},
    kind::{ChannelType, Rules, attributes},
    network::{Arrival, Network},
    settings::Settings,
    tap::{TapSender, tapped},
    wiring::Wiring,
};

/// Messages taken from senders in one turn: enough to pay for the turn, few enough for the others on the arbiter.
const LETTERS_PER_TURN: usize = 512;

/// Frames taken from other nodes in one turn; each carries many messages.
const FRAMES_PER_TURN: usize = 32;

/// A receiver with a full queue wakes the channel when half of it is free. When it is so slow that this takes long, the channel
/// looks after this time whether there is some room: it must not give messages up that a receiver would have taken.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Samples for taps in one turn: making one costs as much as delivering ten messages.
const SAMPLES_PER_TURN: usize = 16;

/// Makes a channel's fragment: its actor on the arbiter, and the handle to it.
pub(super) fn create<C: ChannelType>(birth: Birth) -> Result<Handle, Failure> {
    let attributes = attributes::<C>();
    let settings = Settings::read(&attributes, &birth.dictionary);
    let policy = settings.as_ref().ok().and_then(|settings| settings.policy().ok()).unwrap_or(Policy::NOTHING);
    let door = Door::new(policy, C::CALLS);
    let inbox = Inbox::new(
        birth.path.clone(),
        crate::model::Kind::Channel,
        birth.life,
        Arc::from([]),
        Some(birth.arbiter.clone()),
    );
    let handle = Handle::new(inbox.clone()).with_facet(door.clone());
    let arbiter = birth.arbiter.clone();
    let started = arbiter.spawn_fn(move || {
        let shell = Shell::<C>::new(birth, settings, policy, inbox, door);
        Channel { shell: Some(shell) }.start();
    });
    if started { Ok(handle) } else { Err(Failure::Other("the arbiter of the channel has ended".to_owned())) }
}

/// The channel's actor on this node. All that it hears comes through its inbox and its door.
struct Channel<C: ChannelType> {
    shell: Option<Shell<C>>,
}

impl<C: ChannelType> Actor for Channel<C> {
    type Context = actix::Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(shell) = self.shell.take() {
            use actix::ActorContext;
            ctx.wait(shell.into_actor(self).map(|(), _, ctx| ctx.stop()));
        }
    }
}

/// A receiver of this node.
pub(super) struct Receiver {
    pub(super) port: PortPath,
    pub(super) inlet: Inlet,
    pub(super) bell: Arc<Bell>,
    pub(super) waker: Waker,
    pub(super) seen: Cell<Condition>,
    pub(super) is_open: Cell<bool>,
    /// It is among those that are looked at again since they had no room.
    pub(super) is_crowded: Cell<bool>,
}

pub(super) type Answering = Pin<Box<dyn Future<Output = (Track, Outcome<Message>)>>>;

pub(super) struct Shell<C: ChannelType> {
    pub(super) birth: Birth,
    pub(super) inbox: Arc<Inbox>,
    pub(super) door: Arc<Door>,
    pub(super) clock: Clock,
    pub(super) rules: Rules<C>,
    pub(super) settings: Settings,
    /// Why it could not be made.
    pub(super) birth_failure: Option<Failure>,
    pub(super) fragment: Fragment<Message>,
    pub(super) effects: Vec<Effect<Message>>,
    pub(super) wiring: Wiring,
    pub(super) network: Option<Network>,
    pub(super) letters: VecDeque<Letter>,
    pub(super) letters_since: Time,
    pub(super) receivers: BTreeMap<PortPath, Rc<Receiver>>,
    pub(super) by_end: HashMap<EndId, Rc<Receiver>>,
    /// Ends whose receivers had no room when they were last given something.
    pub(super) crowded: Vec<EndId>,
    pub(super) asks: HashMap<AskId, ReplyTo>,
    pub(super) last_ask: u64,
    pub(super) answering: FuturesUnordered<Answering>,
    pub(super) taps: Vec<TapSender>,
    pub(super) alarm: Time,
    pub(super) sleep: Pin<Box<tokio::time::Sleep>>,
    /// Since when senders wait for a channel that does not run.
    pub(super) waiting_since: Option<Time>,
    /// It has ended, and gives others what it has for them until then.
    pub(super) lingers_until: Option<Time>,
}

impl<C: ChannelType> Future for Shell<C> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shell = self.get_mut();
        match catch_unwind(AssertUnwindSafe(|| shell.turn(cx))) {
            Ok(polled) => polled,
            Err(panic) => {
                shell.crash(panic_text(&*panic));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

impl<C: ChannelType> Unpin for Shell<C> {}

impl<C: ChannelType> Shell<C> {
    fn new(
        birth: Birth,
        settings: Result<Settings, Vec<crate::runtime::instance::ParamError>>,
        policy: Policy,
        inbox: Arc<Inbox>,
        door: Arc<Door>,
    ) -> Shell<C> {
        let node = birth.environment.node().clone();
        let clock = door.clock();
        let network = match (&birth.path, birth.environment.service::<Router>()) {
            (InstancePath::Channel(channel), Some(router)) => Some(Network::new((*router).clone(), channel)),
            _ => None,
        };
        // The node's incarnation grows with each of its starts, the birth's life with each instance of one start.
        let incarnation = network.as_ref().map_or(0, Network::incarnation);
        let epoch = clock.now().0.max(incarnation).wrapping_add(birth.life);
        let mut shell = Shell {
            inbox,
            clock,
            rules: Rules::default(),
            settings: Settings::default(),
            birth_failure: None,
            fragment: Fragment::new(node, epoch, policy),
            effects: Vec::new(),
            wiring: Wiring::default(),
            network,
            letters: VecDeque::new(),
            letters_since: Time::default(),
            receivers: BTreeMap::new(),
            by_end: HashMap::new(),
            crowded: Vec::new(),
            asks: HashMap::new(),
            last_ask: 0,
            answering: FuturesUnordered::new(),
            taps: Vec::new(),
            alarm: Time::NEVER,
            sleep: Box::pin(tokio::time::sleep_until(clock.instant(Time::default()))),
            waiting_since: None,
            lingers_until: None,
            birth,
            door,
        };
        let configured = settings.map_err(Failure::Params).and_then(|settings| {
            catch_unwind(AssertUnwindSafe(|| shell.configure(settings))).unwrap_or_else(|panic| {
                Err(Failure::Panicked { what: "create".to_owned(), reason: panic_text(&*panic) })
            })
        });
        if let Err(failure) = configured {
            shell.inbox.fail(failure.clone());
            shell.rules.is_mute = true;
            shell.birth_failure = Some(failure);
        }
        shell.meet();
        shell
    }

    /// Does all there is to do, up to a bound; then sleeps until there is more.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(until) = self.lingers_until {
            return self.linger(until, cx);
        }
        self.fragment.count_straight(self.door.awake());
        while let Poll::Ready(event) = self.inbox.poll_next(false, cx) {
            match event {
                Event::Op(Op::End, done) => {
                    let now = self.clock.now();
                    self.end(now);
                    done.send(Ok(Value::Null));
                    return self.turn(cx);
                }
                Event::Op(op, done) => self.operate(op, done),
                // It has no ports, and nobody can ask it for a turn: there is no type to name.
                Event::Input(..) | Event::Turn(_) => {}
            }
        }
        let now = self.clock.now();
        while let Some(order) = self.door.next_order() {
            self.take_order(order, now);
        }
        self.allow_samples();
        let is_network_idle = self.hear_network(cx, now);
        self.hear_answers(cx, now);
        self.tick(cx, now);
        self.read_letters(now);
        self.obey(now);
        // What was handed over just now is heard of from here on.
        if self.hear_answers(cx, now) {
            cx.waker().wake_by_ref();
        }
        self.bound_waiting(now);
        if self.alarm != Time::NEVER && self.sleep.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        let wants_letters = self.wants_letters();
        let has_letters = wants_letters && !self.letters.is_empty();
        if has_letters || !is_network_idle || !self.door.sleep(cx, wants_letters, self.straight()) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    pub(super) fn tick(&mut self, cx: &mut Context<'_>, now: Time) {
        if self.alarm != Time::NEVER && self.sleep.as_mut().poll(cx).is_ready() {
            self.alarm = Time::NEVER;
            self.fragment.tick(&mut self.rules, now, &mut self.effects);
            self.effects.extend(self.crowded.drain(..).map(Effect::Drain));
        }
    }

    // ---- what comes in ----

    fn meet(&mut self) {
        let nodes = self.network.as_ref().map(Network::nodes).unwrap_or_default();
        let now = self.clock.now();
        for node in nodes {
            self.fragment.up(now, &node, &mut self.effects);
        }
    }

    /// Hears what other nodes say; false when there may be more.
    pub(super) fn hear_network(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        for _ in 0..FRAMES_PER_TURN {
            let Some(Poll::Ready(arrival)) = self.network.as_mut().map(|network| network.poll(cx)) else { return true };
            match arrival {
                Arrival::Frame(from, frame) => {
                    self.fragment.arrived(&mut self.rules, now, &from, frame, &mut self.effects);
                }
                Arrival::Up(node) => self.fragment.up(now, &node, &mut self.effects),
                Arrival::Down(node) => self.fragment.down(&mut self.rules, now, &node, &mut self.effects),
                Arrival::Unsure => self.meet(),
            }
        }
        false
    }

    /// Hears what became of messages that are followed; whether there was anything.
    fn hear_answers(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        let mut has_heard = false;
        while let Poll::Ready(Some((track, outcome))) = self.answering.poll_next_unpin(cx) {
            has_heard = true;
            self.fragment.outcome(&mut self.rules, now, track, outcome, &mut self.effects);
        }
        has_heard
    }

    fn wants_letters(&self) -> bool {
        self.inbox.condition() == Condition::Running && self.fragment.takes()
    }

    /// The receiver to which senders may give their messages themselves while this sleeps.
    fn straight(&self) -> Option<&Inlet> {
        if !self.wants_letters() || !self.letters.is_empty() {
            return None;
        }
        let end = self.fragment.straight(&self.rules)?;
        self.by_end.get(&end).map(|receiver| &receiver.inlet)
    }

    fn read_letters(&mut self, now: Time) {
        if !self.wants_letters() {
            return;
        }
        if self.letters.is_empty() {
            let (since, n_refused) = self.door.take_letters(LETTERS_PER_TURN, &mut self.letters);
            self.letters_since = since;
            self.fragment.count_refused(n_refused);
        }
        while self.fragment.takes() {
            let Some(Letter { from, message, reply }) = self.letters.pop_front() else { break };
            let ask = reply.map(|reply| {
                self.last_ask += 1;
                self.asks.insert(AskId(self.last_ask), reply);
                AskId(self.last_ask)
            });
            let sent = (from, message, ask);
            self.fragment.sent(&mut self.rules, now, self.letters_since, sent, &mut self.effects);
        }
    }

    /// A channel that does not run makes senders wait too, and no longer than its patience.
    fn bound_waiting(&mut self, now: Time) {
        if self.inbox.condition() == Condition::Running || !self.door.is_full() {
            self.waiting_since = None;
            return;
        }
        let until = *self.waiting_since.get_or_insert(now) + self.fragment.policy().patience;
        if until <= now {
            self.door.overrun();
        } else {
            self.wake_at(until);
        }
    }

    // ---- what the fragment wishes ----

    pub(super) fn obey(&mut self, now: Time) {
        loop {
            self.fragment.flush(&mut self.rules, now, &mut self.effects);
            if self.effects.is_empty() {
                return;
            }
            for effect in std::mem::take(&mut self.effects) {
                match effect {
                    Effect::Drain(end) => self.hand_over(end, now),
                    Effect::Post { to, frame } => self.post(&to, frame, now),
                    Effect::Answer { ask, reply } => {
                        if let Some(asker) = self.asks.remove(&ask) {
                            asker.send(answer(reply));
                        }
                    }
                    Effect::Tapped(sample) => {
                        let from = self.door.source(sample.from);
                        let tapped = tapped(sample, from);
                        self.taps.iter().for_each(|tap| tap.show(&tapped));
                    }
                    Effect::Wake(at) => self.wake_at(at),
                }
            }
        }
    }

    fn hand_over(&mut self, end: EndId, now: Time) {
        let Some(receiver) = self.by_end.get(&end).cloned() else { return };
        receiver.is_crowded.set(false);
        let answering = &self.answering;
        // A tap clones messages, which is code of users: not while their receiver's inbox is locked.
        let one_by_one = !self.taps.is_empty();
        loop {
            let mut refusal = None;
            let mut batch = receiver.inlet.batch();
            self.fragment.drain(end, now, &mut self.effects, |Given { message, track }| {
                let offered = match track {
                    None if one_by_one => receiver.inlet.offer(message),
                    None => batch.put(message),
                    Some(track) => {
                        batch.release();
                        let (reply, answer) = ReplyTo::pair();
                        let called = receiver.inlet.call(message, reply);
                        if called.is_ok() {
                            answering.push(Box::pin(async move { (track, outcome(answer.await)) }));
                        }
                        called
                    }
                };
                match offered {
                    Ok(()) => Ok(()),
                    // The receiver's own policy: it counts what it refuses.
                    Err(refused) if refused.why == Why::Overflow && track.is_none() => Ok(()),
                    Err(refused) => {
                        refusal = Some(refused.why);
                        Err(refused.message)
                    }
                }
            });
            drop(batch);
            match refusal {
                Some(Why::Full | Why::Overflow) => {
                    let mut cx = Context::from_waker(&receiver.waker);
                    if receiver.inlet.poll_room(&mut cx).is_pending() {
                        if !receiver.is_crowded.replace(true) {
                            self.crowded.push(end);
                        }
                        self.wake_at(now + LOOK_AGAIN);
                        return;
                    }
                }
                // Ended: the node will unbind it or put another in its place.
                Some(_) => {
                    receiver.is_open.set(false);
                    self.fragment.set_open(&mut self.rules, now, &receiver.port, false, &mut self.effects);
                    return;
                }
                None => return,
            }
        }
    }

    pub(super) fn post(&mut self, to: &crate::words::NodeName, frame: Frame<Message>, now: Time) {
        let Some(network) = &self.network else { return };
        let receivers = &self.wiring.receivers;
        let has_messages = matches!(frame, Frame::Deliver { .. });
        let posted =
            network.post(to, frame, |port| receivers.get(&port.on(to)).map_or(0, |receiving| receiving.schema));
        self.fragment.count_unsendable(posted.n_unsendable);
        if posted.is_congested {
            self.fragment.congested(now, to, has_messages, &mut self.effects);
        }
    }

    pub(super) fn wake_at(&mut self, at: Time) {
        if at < self.alarm {
            self.alarm = at;
            self.sleep.as_mut().reset(self.clock.instant(at));
        }
    }

    fn allow_samples(&mut self) {
        if self.taps.is_empty() {
            return;
        }
        self.taps.retain(TapSender::is_wanted);
        let room = self.taps.iter().map(TapSender::room).max();
        let n_missed = self.fragment.sample(room.map(|room| room.min(SAMPLES_PER_TURN) as u32));
        self.taps.iter().for_each(|tap| tap.miss(n_missed));
    }
}

fn answer(reply: Result<Option<Message>, Arc<str>>) -> Result<Message, Failure> {
    match reply {
        Ok(reply) => Ok(reply.unwrap_or_else(|| Message::new(Value::Null))),
        Err(reason) => Err(Failure::Refused { what: "call".to_owned(), reason: reason.to_string() }),
    }
}

fn outcome(answer: Result<Result<Message, Failure>, tokio::sync::oneshot::error::RecvError>) -> Outcome<Message> {
    match answer {
        Ok(Ok(reply)) => Outcome::Done(Some(reply)),
        Ok(Err(failure)) => Outcome::Failed(failure.to_string().into()),
        Err(_) => Outcome::Lost,
    }
}
