//! The actor around a group: reads the clock, tells the core what happens, obeys.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, Recipient, WrapFuture,
    dev::channel::channel,
};
use bytes::Bytes;
use tokio::sync::watch;

use super::{
    Adopt, GroupEvent, GroupHandle, GroupHost, GroupType, Keep,
    kind::{Gossip, Strategy},
    wire::{RouterWire, Wire},
};
use crate::{
    io::{
        clock::Steady,
        engine::{MESSAGE_MAX_BYTES, Router, codec},
        store::VALUE_MAX_BYTES,
    },
    logic::gossip::{
        Adoption, Effect, GroupMessage, News, Protocol, Push, PushRefused, Pushed, Record, Replica, Snapshot,
        StateDigest, Timing,
    },
    model::{Dictionary, Kind},
    runtime::instance::{
        Birth, Condition, Cradle, Ended, Failure, Handle, Inbox, Op,
        inbox::{Done, Event, panic_text},
    },
    words::{GroupName, InstancePath, NodeName, Value},
};

mod kept;
mod spread;

/// Messages that wait for the actor. Requests beyond wait with their sender; the router's queue holds what comes from others.
const MAILBOX_MAX: usize = 1024;

/// Makes a group: its actor on the arbiter, and the handle to it, whose facet is the [`GroupHandle`].
pub(super) fn create<G: GroupType>(birth: Birth) -> Result<Handle, Failure> {
    let InstancePath::Group(name) = birth.path.clone() else {
        return Err(Failure::Other(format!("\"{}\" is no group", birth.path)));
    };
    let missing = |what: &str| Failure::Other(format!("the node offers no {what} to its groups"));
    let router = birth.environment.service::<Router>().ok_or_else(|| missing("network"))?;
    let host = birth.environment.service::<GroupHost>().ok_or_else(|| missing("seat (GroupHost)"))?;
    let inbox = Inbox::new(birth.path.clone(), Kind::Group, birth.life, Arc::from([]), None);
    let wire = RouterWire::new((*router).clone(), &name);
    let seat = Seat {
        name: name.clone(),
        me: birth.environment.node().clone(),
        incarnation: router.me().incarnation,
        adopt: host.adopt.clone(),
        events: host.events.clone(),
        keep: (host.keep)(&name),
        timing: host.timing.clone(),
        wire: Box::new(wire),
        inbox: Arc::clone(&inbox),
        dictionary: birth.dictionary.clone(),
        watcher: birth.environment.watcher().cloned(),
        make: Box::new(|| Box::new(G::default())),
    };
    let handle = start(&birth.arbiter, seat);
    Ok(Handle::new(inbox).with_facet(Arc::new(handle)))
}

/// Starts the actor.
pub(super) fn start(cradle: &Cradle, seat: Seat) -> GroupHandle {
    let (current, watched) = watch::channel(Snapshot::default());
    let (news, heard) = watch::channel(0);
    let name = seat.name.clone();
    let (sender, receiver) = channel(MAILBOX_MAX);
    // On a thread that has ended it is dropped unheard: whoever asks then is told that the group has stopped.
    cradle.spawn_fn(move || {
        let actor = GroupActor::new(seat, current, news);
        actix_rt::spawn(Context::with_receiver(receiver).into_future(actor));
    });
    GroupHandle { name, addr: Addr::new(sender), current: watched, news: heard }
}

/// What the actor of a group is given.
pub(super) struct Seat {
    pub(super) name: GroupName,
    pub(super) me: NodeName,
    pub(super) incarnation: u64,
    pub(super) adopt: Recipient<Adopt>,
    pub(super) events: Recipient<GroupEvent>,
    pub(super) keep: Box<dyn Keep>,
    pub(super) timing: Timing,
    pub(super) wire: Box<dyn Wire>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) dictionary: Dictionary,
    /// Who is told that the strategy crashed.
    pub(super) watcher: Option<Recipient<Ended>>,
    /// Makes the strategy, at first and when it is revived.
    pub(super) make: Box<dyn Fn() -> Box<dyn Strategy> + Send>,
}

/// Makes the strategy with its values; one that cannot be made is replaced by `Gossip`.
fn make(seat: &Seat) -> (Box<dyn Strategy>, Option<Failure>) {
    let made = catch_unwind(AssertUnwindSafe(|| {
        let mut strategy = (seat.make)();
        strategy.configure(&seat.dictionary).map(|()| strategy)
    }));
    match made {
        Ok(Ok(strategy)) => (strategy, None),
        Ok(Err(error)) => (Box::new(Gossip), Some(Failure::Params(vec![error]))),
        Err(panic) => {
            let failure = Failure::Panicked { what: "create".to_owned(), reason: panic_text(&*panic) };
            (Box::new(Gossip), Some(failure))
        }
    }
}

/// What the network tells.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) enum Heard {
    /// These are up, and no others.
    Here(Vec<NodeName>),
    Up(NodeName),
    Down(NodeName),
    Message(NodeName, Bytes),
}

/// A request of the handle: runs on the actor.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Call(pub(super) Work);

/// What a request does.
pub(super) type Work = Box<dyn FnOnce(&mut GroupActor, &mut Context<GroupActor>) + Send>;

#[derive(Message)]
#[rtype(result = "()")]
struct Operate(Op, Done);

/// The actor of a group on this node.
pub(super) struct GroupActor {
    seat: Seat,
    strategy: Box<dyn Strategy>,
    pub(super) protocol: Protocol,
    /// Everything in the protocol is by this clock, so that setting the system's moves no heartbeat.
    clock: Steady,
    current: watch::Sender<Snapshot>,
    news: watch::Sender<u64>,
    /// The target that the node works on, and the newest that waits.
    adopting: Option<Snapshot>,
    next: Option<Snapshot>,
    /// What is known with the revision whose part the node was given last, and whether it runs it, once it has answered.
    ahead: Option<(StateDigest, Option<bool>)>,
    n_appended_bytes: usize,
    n_base_bytes: usize,
    keep_error: Option<String>,
    /// That the kept records could not be put together was told, and they have not been since.
    keep_is_large: bool,
    /// Who sent what does not decode: told once, until it connects anew.
    not_understood: BTreeSet<NodeName>,
}

impl GroupActor {
    fn new(mut seat: Seat, current: watch::Sender<Snapshot>, news: watch::Sender<u64>) -> GroupActor {
        let mut replica = Replica::new(seat.me.clone(), seat.timing.ahead_max);
        let mut failure = None;
        let mut n_base_bytes = 0;
        match seat.keep.load() {
            Ok(records) => {
                n_base_bytes = records.first().map_or(0, Vec::len);
                for record in &records {
                    match codec::decode::<Record>(record, VALUE_MAX_BYTES) {
                        Ok(record) => replica.restore(record),
                        Err(error) => failure = Some(format!("the kept state of the group cannot be read: {error}")),
                    }
                }
            }
            Err(error) => failure = Some(format!("the kept state of the group cannot be read: {error}")),
        }
        let (strategy, crash) = make(&seat);
        if let Some(failure) = crash.or(failure.map(Failure::Other)) {
            seat.inbox.fail(failure);
        }
        let board_of = (seat.me.clone(), seat.incarnation);
        let clock = Steady::start();
        let protocol = Protocol::new(seat.name.clone(), replica, board_of, seat.timing.clone(), clock.now());
        GroupActor {
            seat,
            strategy,
            protocol,
            clock,
            current,
            news,
            adopting: None,
            next: None,
            ahead: None,
            n_appended_bytes: 0,
            n_base_bytes,
            keep_error: None,
            keep_is_large: false,
            not_understood: BTreeSet::new(),
        }
    }

    /// Lets the core do something, and obeys.
    pub(super) fn tell<T>(
        &mut self,
        ctx: &mut Context<GroupActor>,
        core: impl FnOnce(&mut Protocol, crate::words::Time, &mut Vec<Effect>) -> T,
    ) -> T {
        let mut effects = Vec::new();
        let told = core(&mut self.protocol, self.clock.now(), &mut effects);
        self.obey(effects, ctx);
        told
    }

    /// A push: kept before it is answered, and before anybody else hears of it. What cannot be kept, or told, did not happen.
    pub(super) fn push(
        &mut self,
        ctx: &mut Context<GroupActor>,
        push: Option<&Push>,
        make: impl FnOnce(&mut Protocol, crate::words::Time, &mut Vec<Effect>) -> Result<Pushed, PushRefused>,
    ) -> Result<Pushed, PushRefused> {
        let now = self.clock.now();
        let mut effects = Vec::new();
        if let Some(push) = push {
            let allowed = self.with_strategy(&mut effects, |strategy, ctx| strategy.allow(push, ctx));
            allowed.unwrap_or(Ok(())).map_err(PushRefused::Strategy)?;
        }
        let before = self.protocol.clone();
        let pushed = make(&mut self.protocol, now, &mut effects)?;
        if let Err(refused) = spread::check_size(&effects) {
            self.protocol = before;
            return Err(refused);
        }
        let (keeps, others): (Vec<Effect>, Vec<Effect>) =
            effects.into_iter().partition(|effect| matches!(effect, Effect::Keep(_) | Effect::KeepAll));
        // What could not be kept before is another's matter; only this push is answered here.
        self.keep_error = None;
        self.obey(keeps, ctx);
        if let Some(error) = self.keep_error.take() {
            self.protocol = before;
            return Err(PushRefused::Storage(error));
        }
        self.obey(others, ctx);
        Ok(pushed)
    }

    fn obey(&mut self, effects: Vec<Effect>, ctx: &mut Context<GroupActor>) {
        let mut effects = std::collections::VecDeque::from(effects);
        let mut encoded = None;
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::Send(to, message) => self.send(&to, message, &mut encoded),
                Effect::SendAll(message) => {
                    let more = self.spread(message);
                    more.into_iter().rev().for_each(|effect| effects.push_front(effect));
                }
                Effect::Keep(deltas) => self.keep(Record::Deltas(deltas)),
                Effect::KeepAll => self.keep(Record::Full(Box::new(self.protocol.replica().full()))),
                Effect::Changed(snapshot) => {
                    self.current.send_replace(snapshot.clone());
                    self.bump();
                    if self.protocol.is_synced() {
                        self.want(snapshot, ctx);
                    }
                }
                Effect::Ahead(snapshot) => {
                    self.ahead = Some((snapshot.digest, None));
                    self.want(snapshot, ctx);
                }
                Effect::Tell(news) => self.tell_news(news),
            }
        }
    }

    /// Gives the node the newest target; one at a time.
    fn want(&mut self, snapshot: Snapshot, ctx: &mut Context<GroupActor>) {
        if self.adopting.is_some() {
            self.next = Some(snapshot);
            return;
        }
        // What a node could not take up of its part, it cannot of the whole: that is answered.
        if self.ahead == Some((snapshot.digest, Some(false))) {
            return;
        }
        self.adopting = Some(snapshot.clone());
        let asked = self.seat.adopt.send(Adopt { group: self.seat.name.clone(), snapshot });
        let answered = asked.into_actor(self).map(|answer, group, ctx| {
            let Some(target) = group.adopting.take() else { return };
            let adoption = answer
                .unwrap_or_else(|error| Adoption::Degraded { cause: format!("the node did not answer: {error}") });
            let runs = matches!(adoption, Adoption::Adopted { .. });
            if let Some((digest, dealt)) = &mut group.ahead
                && *digest == target.digest
            {
                *dealt = Some(runs);
            }
            group.tell(ctx, |protocol, _, effects| protocol.adopted(&target, &adoption, effects));
            group.bump();
            if let Some(next) = group.next.take() {
                group.want(next, ctx);
            }
        });
        ctx.spawn(answered);
    }

    fn bump(&self) {
        self.news.send_modify(|n| *n = n.wrapping_add(1));
    }

    fn tell_news(&mut self, news: News) {
        let event = match news {
            News::Up(node) => GroupEvent::MemberUp { node },
            News::Down(node) => GroupEvent::MemberDown { node },
            News::Synced(by) => GroupEvent::Synced { by },
            News::Revised(revision) => GroupEvent::Revised {
                revision: revision.id.clone(),
                by: revision.by.to_string(),
                message: revision.message.to_string(),
                n_changes: revision.n_changes,
            },
            News::Answered(node, revision, adoption) => GroupEvent::Answered { node, revision, adoption },
            News::Converged(revision) => GroupEvent::Converged { revision },
            News::Collided(conflict) => {
                let mine = conflict.loser.revision.as_ref().is_some_and(|id| id.origin == self.seat.me);
                GroupEvent::Collided { conflict, mine }
            }
            News::Refused(node, error) => GroupEvent::Refused { node, cause: error.to_string() },
        };
        self.bump();
        // A node that is ending hears nothing any more.
        self.seat.events.do_send(event);
    }

    fn listen(&mut self, ctx: &mut Context<GroupActor>) {
        self.seat.wire.listen(ctx.address().recipient());
        let (inbox, addr) = (Arc::clone(&self.seat.inbox), ctx.address());
        let operate = async move {
            loop {
                if let Event::Op(op, done) = inbox.next(false).await
                    && addr.send(Operate(op, done)).await.is_err()
                {
                    return;
                }
            }
        };
        ctx.spawn(operate.into_actor(self));
        ctx.run_interval(self.seat.timing.heartbeat.max(Duration::from_millis(1)), |group, ctx| {
            group.tell(ctx, |protocol, now, effects| protocol.tick(now, effects));
            let mut effects = Vec::new();
            group.with_strategy(&mut effects, |strategy, ctx| strategy.woken(ctx));
            group.obey(effects, ctx);
        });
    }

    fn hear(&mut self, heard: Heard, ctx: &mut Context<GroupActor>) {
        match heard {
            Heard::Up(node) => self.tell(ctx, |protocol, now, effects| protocol.peer_up(now, &node, effects)),
            Heard::Down(node) => {
                self.not_understood.remove(&node);
                self.tell(ctx, |protocol, _, effects| protocol.peer_down(&node, effects));
            }
            Heard::Here(nodes) => {
                let here: BTreeSet<NodeName> = nodes.into_iter().collect();
                let known: BTreeSet<NodeName> = self.protocol.board().peers().cloned().collect();
                for node in known.difference(&here) {
                    self.tell(ctx, |protocol, _, effects| protocol.peer_down(node, effects));
                }
                for node in here.difference(&known) {
                    self.tell(ctx, |protocol, now, effects| protocol.peer_up(now, node, effects));
                }
            }
            Heard::Message(from, body) => match codec::decode::<GroupMessage>(&body, MESSAGE_MAX_BYTES) {
                Ok(message) => {
                    let mut effects = Vec::new();
                    self.with_strategy(&mut effects, |strategy, ctx| match message {
                        GroupMessage::Own(body) => strategy.told(&from, &body, ctx),
                        message => strategy.received(&from, message, ctx),
                    });
                    self.obey(effects, ctx);
                    // What could not be kept of others' revisions comes again after a crash.
                    self.keep_error = None;
                }
                Err(error) => {
                    if self.not_understood.insert(from.clone()) {
                        let cause = format!("not understood: {error}");
                        self.seat.events.do_send(GroupEvent::Refused { node: from, cause });
                    }
                }
            },
        }
    }

    fn operate(&mut self, op: Op, done: Done, ctx: &mut Context<GroupActor>) {
        let outcome = match op {
            Op::Ready => self.seat.inbox.cause().map_or(Ok(()), Err),
            Op::Start => {
                self.seat.inbox.set_condition(Condition::Running);
                Ok(())
            }
            Op::Revive => {
                let (strategy, crash) = make(&self.seat);
                self.strategy = strategy;
                if crash.is_none() {
                    self.seat.inbox.set_condition(Condition::Created);
                }
                crash.map_or(Ok(()), Err)
            }
            // A group that did not listen could never be told to start again: only its state changes.
            Op::Stop => {
                self.seat.inbox.set_condition(Condition::Stopped);
                Ok(())
            }
            Op::Update(dictionary) => {
                self.seat.dictionary = dictionary;
                match catch_unwind(AssertUnwindSafe(|| self.strategy.configure(&self.seat.dictionary))) {
                    Ok(configured) => configured.map_err(|error| Failure::Params(vec![error])),
                    Err(panic) => {
                        self.crash(&*panic);
                        Err(Failure::Panicked { what: "update".to_owned(), reason: panic_text(&*panic) })
                    }
                }
            }
            Op::Bind { port, .. } | Op::Unbind { port, .. } => {
                Err(Failure::NoPort { direction: "output", port: port.to_string(), known: Vec::new() })
            }
            Op::Snapshot | Op::Restore { .. } | Op::Outputs => Ok(()),
            Op::End => {
                self.tell(ctx, |protocol, _, effects| protocol.release(effects));
                ctx.stop();
                Ok(())
            }
        };
        done.send(outcome.map(|()| Value::Null));
    }
}

impl Actor for GroupActor {
    type Context = Context<GroupActor>;

    fn started(&mut self, ctx: &mut Context<GroupActor>) {
        self.current.send_replace(self.protocol.replica().snapshot());
        self.listen(ctx);
    }

    fn stopped(&mut self, _ctx: &mut Context<GroupActor>) {
        self.seat.inbox.set_condition(Condition::Gone);
        self.seat.inbox.close();
    }
}

impl Handler<Heard> for GroupActor {
    type Result = ();
    fn handle(&mut self, heard: Heard, ctx: &mut Context<GroupActor>) {
        self.hear(heard, ctx);
    }
}

impl Handler<Call> for GroupActor {
    type Result = ();
    fn handle(&mut self, call: Call, ctx: &mut Context<GroupActor>) {
        (call.0)(self, ctx);
    }
}

impl Handler<Operate> for GroupActor {
    type Result = ();
    fn handle(&mut self, Operate(op, done): Operate, ctx: &mut Context<GroupActor>) {
        self.operate(op, done, ctx);
    }
}
