//! The actor around a component: takes events out of its inbox one at a time, runs the component's methods, catches its panics.
//!
//! One actor an instance. The component lives inside of ONE future, so an async method borrows it without being moved or boxed,
//! and the next message waits its turn. User code runs nowhere but in here.
//!
//! An instance that does nothing must cost next to nothing, for there may be a million of them: what is rare is boxed while it
//! lasts, and what nobody needs is not there.

use std::{future::poll_fn, mem, pin::pin, sync::Arc, task::Poll, thread};

use actix::{Actor, ActorContext, ActorState};
use tracing::{debug, error, warn};

use super::{
    Behaviour, Ctx, Error, Links, Me, Reply,
    me::Turn,
    timer::{Job, Timer},
};
use crate::{
    io::telemetry,
    model::Dictionary,
    runtime::instance::{
        Condition, Ended, Environment, Failure, Inbox, Message, Op, ReplyTo,
        inbox::{Crash, Done, Event, Outcome},
    },
    words::{ChannelName, ComponentName, InstancePath, PortName, Value},
};

/// After so many events without a pause, timers are looked at and others on the same thread get their turn. As many as tokio lets a
/// sender on the same thread go on for: so the two keep pace.
const EVENTS_IN_A_ROW: u32 = 128;

/// The context of a component's actor. Its mailbox is the [`Inbox`], its one future is the component's life. actix's own `Context`
/// would bring a second mailbox, that nobody writes to, and room for futures that nobody spawns, to each of a million instances.
pub(super) struct Seat(ActorState);

impl ActorContext for Seat {
    fn stop(&mut self) {
        self.0 = ActorState::Stopping;
    }

    fn terminate(&mut self) {
        self.0 = ActorState::Stopped;
    }

    fn state(&self) -> ActorState {
        self.0
    }
}

/// The actor: everything there is of a component while it lives.
pub(super) struct Shell<C: Behaviour> {
    /// Absent before it is made, and when it cannot be made.
    component: Option<C>,
    inbox: Arc<Inbox>,
    dictionary: Dictionary,
    /// Why there is no component.
    broken: Option<Box<Failure>>,
    /// The last to be dropped, for it has [`Seen`]: who waits for the end is told when all else is gone.
    ctx: Ctx<C>,
}

// The component is only ever used through the future that it lives in, and never pinned by itself.
impl<C: Behaviour> Unpin for Shell<C> {}

impl<C: Behaviour> Actor for Shell<C> {
    type Context = Seat;
}

impl<C: Behaviour> Shell<C> {
    /// A shell for a component that will be made from its dictionary (or is made already, in tests).
    pub(super) fn new(seen: Seen, dictionary: Dictionary, component: Option<C>) -> Shell<C> {
        let inbox = seen.inbox.clone();
        let name = match inbox.path() {
            InstancePath::Component(_, name) => name.clone(),
            other => ComponentName::parse(&other.to_string()).expect("the name of an instance is a name"),
        };
        Shell { component, inbox, dictionary, broken: None, ctx: Ctx::new(name, seen) }
    }

    /// Starts the actor on this thread.
    pub(super) fn spawn(self) {
        actix_rt::spawn(telemetry::speaking(self.inbox.clone(), live(self)));
    }
}

/// What others see of an instance, from before it is born. Closes the inbox however the life ends, also one that never begins, so
/// that nobody waits for an answer that never comes.
pub(super) struct Seen {
    pub(super) inbox: Arc<Inbox>,
    pub(super) environment: Arc<Environment>,
}

impl Drop for Seen {
    fn drop(&mut self) {
        let Seen { inbox, environment } = self;
        let left_over = inbox.close();
        inbox.set_condition(Condition::Gone);
        if !left_over.is_empty() {
            debug!(instance = %inbox.path(), n_messages = left_over.len(), "an instance ended with messages in its queues");
        }
        if thread::panicking() {
            // Only a `drop` of the component's own futures gets past the places where its panics are caught.
            let reason = "while something of it was dropped".to_owned();
            tell(environment, inbox, Failure::Panicked { what: "the instance".to_owned(), reason });
        }
    }
}

/// Tells the node that an instance failed by itself.
fn tell(environment: &Environment, inbox: &Inbox, failure: Failure) {
    error!(instance = %inbox.path(), %failure, "an instance failed");
    if let Some(watcher) = environment.watcher() {
        watcher.do_send(Ended { path: inbox.path().clone(), life: inbox.life(), failure });
    }
}

/// The whole life of a component. Not an `async fn`: that would hold its argument twice.
#[allow(clippy::manual_async_fn, reason = "an async block keeps what it captures in place")]
fn live<C: Behaviour>(mut shell: Shell<C>) -> impl Future<Output = ()> {
    async move {
        let mut seat = Seat(ActorState::Started);
        shell.started(&mut seat);
        if shell.component.is_none() {
            Box::pin(shell.make()).await;
        }
        seat.0 = ActorState::Running;
        let mut n_in_a_row = 0;
        let (outcome, done) = loop {
            let (port, message, reply) = match shell.next(&mut n_in_a_row).await {
                Next::Event(Event::Input(port, message, reply)) => (port, message, reply),
                // Boxed since all else is rare and large: while an instance only handles messages, it does not carry the room for it.
                other => match Box::pin(shell.rarely(other)).await {
                    Some(end) => break end,
                    None => continue,
                },
            };
            let Some(component) = &mut shell.component else { continue };
            let handled = {
                // Where it is made it stays: each function that takes a future to await it has room for it twice.
                let mut work = pin!(component.on_input(C::INPUTS[port].name, message, &mut shell.ctx));
                poll_fn(|cx| shell.inbox.poll_run(work.as_mut(), cx)).await
            };
            shell.answer(port, handled, reply);
        };
        seat.terminate();
        shell.stopped(&mut seat);
        drop(shell);
        done.send(outcome);
    }
}

/// Goes to the end of the line of those who are ready on this thread. (tokio's `yield_now` would ask the kernel for news, too.)
async fn pause() {
    let mut has_paused = false;
    poll_fn(|cx| {
        if mem::replace(&mut has_paused, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

enum Next<C: Behaviour> {
    Event(Event),
    Timer(Box<Timer<C>>),
    Pause,
}

impl<C: Behaviour> Shell<C> {
    fn is_running(&self) -> bool {
        self.inbox.condition() == Condition::Running
    }

    /// What comes next. A component that is never idle looks at its timers, and lets others have their turn, now and then.
    async fn next(&mut self, n_in_a_row: &mut u32) -> Next<C> {
        let running = self.is_running();
        *n_in_a_row += 1;
        let pause = *n_in_a_row > EVENTS_IN_A_ROW;
        let (inbox, timers) = (&self.inbox, &mut self.ctx.timers);
        let next = poll_fn(|cx| {
            if pause
                && running
                && let Some(timer) = timers.take_due(cx)
            {
                return Poll::Ready(Next::Timer(Box::new(timer)));
            }
            if pause {
                return Poll::Ready(Next::Pause);
            }
            if let Poll::Ready(event) = inbox.poll_next(running, cx) {
                return Poll::Ready(Next::Event(event));
            }
            match timers.take_due(cx) {
                Some(timer) if running => Poll::Ready(Next::Timer(Box::new(timer))),
                // Set by a closure while the component was stopped: it has no timers then.
                Some(_) | None => Poll::Pending,
            }
        })
        .await;
        if pause || matches!(next, Next::Timer(_)) {
            *n_in_a_row = 0;
        }
        next
    }

    // ---- made, revived, ended ----

    async fn make(&mut self) {
        let dictionary = self.dictionary.clone();
        match self.inbox.run(async { C::build(&dictionary) }).await {
            Ok(Ok(component)) => {
                self.component = Some(component);
                self.inbox.set_condition(Condition::Created);
            }
            Ok(Err(errors)) => self.break_down(Failure::Params(errors)),
            Err(crash) => self.break_down(failure_of(crash, "create")),
        }
    }

    fn break_down(&mut self, failure: Failure) {
        self.inbox.fail(failure.clone());
        self.broken = Some(Box::new(failure));
    }

    async fn revive(&mut self) -> Outcome {
        self.ctx.cancel_all().await;
        let mut links: Vec<(&'static str, Links)> = Vec::new();
        if let Some(component) = &mut self.component {
            links = component.out_ports().into_iter().map(|(name, out)| (name, mem::take(out.links()))).collect();
        }
        self.discard().await;
        self.broken = None;
        self.make().await;
        let Some(component) = &mut self.component else { return self.missing() };
        for (name, out) in component.out_ports() {
            if let Some(at) = links.iter().position(|(known, _)| *known == name) {
                *out.links() = links.swap_remove(at).1;
            }
        }
        Ok(Value::Null)
    }

    async fn end(&mut self) -> Outcome {
        if self.is_running()
            && let Err(failure) = self.stop().await
        {
            warn!(instance = %self.inbox.path(), %failure, "an instance did not stop well before it ended");
        }
        self.ctx.cancel_all().await;
        self.discard().await;
        Ok(Value::Null)
    }

    /// Drops the component; its `drop` is its own code too.
    async fn discard(&mut self) {
        let component = self.component.take();
        if let Err(crash) = self.inbox.run(async move { drop(component) }).await {
            let failure = failure_of(crash, "drop");
            warn!(instance = %self.inbox.path(), %failure, "an instance failed while it was dropped");
        }
    }

    fn missing(&self) -> Outcome {
        Err(self.broken.as_deref().cloned().unwrap_or(Failure::Gone))
    }

    // ---- what the node wants ----

    /// All that may come next but messages. With the end comes its outcome, and who is told of it.
    async fn rarely(&mut self, next: Next<C>) -> Option<(Outcome, Done)> {
        match next {
            Next::Event(Event::Op(Op::End, done)) => return Some((self.end().await, done)),
            Next::Event(Event::Op(op, done)) => {
                let outcome = self.outcome_of(op).await;
                done.send(outcome);
            }
            Next::Event(Event::Turn(turn)) => self.turn(turn).await,
            Next::Timer(timer) => self.fire(timer).await,
            Next::Pause => pause().await,
            Next::Event(Event::Input(..)) => unreachable!("handled by the caller"),
        }
        None
    }

    async fn outcome_of(&mut self, op: Op) -> Outcome {
        if matches!(op, Op::Revive) {
            return self.revive().await;
        }
        if self.component.is_none() {
            return match op {
                // Nothing runs, and nothing is bound: it is so already.
                Op::Stop | Op::Unbind { .. } => Ok(Value::Null),
                _ => self.missing(),
            };
        }
        match op {
            Op::Ready => Ok(Value::Null),
            Op::Start => self.start().await,
            Op::Stop => self.stop().await,
            Op::Update(dictionary) => self.update(dictionary).await,
            Op::Bind { port, channel, sink } => self.bind(&port, channel, Some(sink)),
            Op::Unbind { port, channel } => self.bind(&port, channel, None),
            Op::Snapshot => self.snapshot().await,
            Op::Restore { version, state } => self.restore(&version, *state).await,
            Op::Outputs => Ok(self.outputs()),
            Op::Revive | Op::End => unreachable!("answered by the callers"),
        }
    }

    async fn start(&mut self) -> Outcome {
        match self.inbox.condition() {
            Condition::Running => return Ok(Value::Null),
            Condition::Failed => return Err(self.refuse("start")),
            _ => {}
        }
        let (component, ctx) = (self.component.as_mut().expect("looked at before"), &mut self.ctx);
        let started = self.inbox.run(component.on_start(ctx)).await;
        let outcome = self.judge(started, "start");
        match &outcome {
            Ok(_) => self.inbox.set_condition(Condition::Running),
            // What a start that failed has begun is not left behind.
            Err(_) => self.ctx.cancel_all().await,
        }
        outcome
    }

    async fn stop(&mut self) -> Outcome {
        if !self.is_running() {
            return Ok(Value::Null);
        }
        let (component, ctx) = (self.component.as_mut().expect("it is running"), &mut self.ctx);
        let stopped = self.inbox.run(component.on_stop(ctx)).await;
        let outcome = self.judge(stopped, "stop");
        self.ctx.cancel_all().await;
        if self.inbox.condition() != Condition::Failed {
            // A stop method that returns an error has stopped all the same: nothing of it runs any more.
            self.inbox.set_condition(Condition::Stopped);
        }
        outcome
    }

    async fn update(&mut self, dictionary: Dictionary) -> Outcome {
        let running = self.is_running();
        let component = self.component.as_mut().expect("looked at before");
        let set = self.inbox.run(async { component.set(&dictionary) }).await;
        let changed = match set {
            Ok(Ok(changed)) => changed,
            Ok(Err(errors)) => return Err(Failure::Params(errors)),
            Err(crash) => return Err(self.crash(crash, "update")),
        };
        self.dictionary = dictionary;
        if !running || changed.is_empty() {
            return Ok(Value::Null);
        }
        let (component, ctx) = (self.component.as_mut().expect("looked at before"), &mut self.ctx);
        let updated = self.inbox.run(component.on_update(&changed, ctx)).await;
        self.judge(updated, "update")
    }

    fn bind(&mut self, port: &PortName, channel: ChannelName, sink: Option<crate::runtime::instance::Sink>) -> Outcome {
        let mut ports = self.component.as_mut().expect("looked at before").out_ports();
        let Some((_, out)) = ports.iter_mut().find(|(name, _)| *name == port.as_str()) else {
            let known = ports.iter().map(|(name, _)| (*name).to_owned()).collect();
            return Err(Failure::NoPort { direction: "output", port: port.to_string(), known });
        };
        match sink {
            Some(sink) => out.links().bind(channel, sink),
            None => out.links().unbind(&channel),
        }
        Ok(Value::Null)
    }

    async fn snapshot(&mut self) -> Outcome {
        if self.inbox.condition() == Condition::Failed {
            return Err(self.refuse("take a snapshot"));
        }
        let component = self.component.as_ref().expect("looked at before");
        match self.inbox.run(async { component.snapshot() }).await {
            Ok(Ok(state)) => Ok(state),
            Ok(Err(reason)) => Err(refused("snapshot", &reason)),
            Err(crash) => Err(self.crash(crash, "snapshot")),
        }
    }

    async fn restore(&mut self, from: &str, state: Value) -> Outcome {
        let component = self.component.as_mut().expect("looked at before");
        let restore = async {
            let state = if from == C::VERSION { state } else { C::upgrade(from, state)? };
            component.restore(state)
        };
        let restored = self.inbox.run(restore).await;
        self.judge(restored, "restore")
    }

    fn outputs(&mut self) -> Value {
        let ports = self.component.as_mut().expect("looked at before").out_ports();
        let counts = ports.into_iter().map(|(name, out)| {
            let (sent, dropped) = out.links().counts();
            (name.to_owned(), serde_json::json!({ "sent": sent, "dropped": dropped }))
        });
        Value::Object(counts.collect())
    }

    // ---- messages, closures, timers ----

    /// Says what handling a message came to.
    fn answer(&mut self, port: usize, handled: Result<super::Result<Reply>, Crash>, reply: Option<ReplyTo>) {
        let name = C::INPUTS[port].name;
        match handled {
            Ok(Ok(Reply(answer))) => {
                if let Some(reply) = reply {
                    reply.send(Ok(answer.unwrap_or_else(|| Message::new(()))));
                }
            }
            Ok(Err(reason)) => self.input_refused(name, &reason, reply),
            Err(crash) => {
                let failure = self.crash_by_itself(crash, format!("input \"{name}\""));
                if let Some(reply) = reply {
                    reply.send(Err(failure));
                }
            }
        }
    }

    /// An input that returns an error is no crash: who called is told; when nobody called, the log is.
    fn input_refused(&self, port: &str, reason: &Error, reply: Option<ReplyTo>) {
        match reply {
            Some(reply) => reply.send(Err(refused(&format!("input \"{port}\""), reason))),
            None => warn!(instance = %self.inbox.path(), port, error = %reason, "an input refused a message"),
        }
    }

    async fn turn(&mut self, turn: crate::runtime::instance::inbox::Turn) {
        let Ok(turn) = turn.downcast::<Turn<C>>() else {
            error!(instance = %self.inbox.path(), "a closure for another type of component was dropped");
            return;
        };
        if self.inbox.condition() == Condition::Failed {
            // Dropped: who asked is told that the component does not answer.
            return;
        }
        let Some(component) = &mut self.component else { return };
        let ctx = &mut self.ctx;
        let ran = match *turn {
            Turn::Now(work) => self.inbox.run(async { work(component, ctx) }).await,
            Turn::Later(work) => self.inbox.run(work.start(component, ctx)).await,
            Turn::TaskPanicked { name, reason } => {
                self.crash_by_itself(Crash::Panicked(reason), format!("task \"{name}\""));
                return;
            }
        };
        if let Err(crash) = ran {
            self.crash_by_itself(crash, "a closure from Me".to_owned());
        }
    }

    async fn fire(&mut self, mut timer: Box<Timer<C>>) {
        let Some(component) = &mut self.component else { return };
        let ctx = &mut self.ctx;
        let fired = match &mut timer.job {
            Job::Now(work) => self.inbox.run(async { work(component, ctx) }).await,
            Job::Later(work) => self.inbox.run(work.start(component, ctx)).await,
        };
        let name = timer.name.clone();
        self.ctx.timers.fired(*timer);
        if let Err(crash) = fired {
            self.crash_by_itself(crash, format!("timer \"{name}\""));
        }
    }

    // ---- failures ----

    fn judge(&mut self, ran: Result<super::Result, Crash>, what: &str) -> Outcome {
        match ran {
            Ok(Ok(())) => Ok(Value::Null),
            Ok(Err(reason)) => Err(refused(what, &reason)),
            Err(crash) => Err(self.crash(crash, what)),
        }
    }

    /// The component's code came to no good end: it is failed until it is revived. Timers and tasks end; its queues stay.
    fn crash(&mut self, crash: Crash, what: &str) -> Failure {
        let failure = failure_of(crash, what);
        self.ctx.abort_all();
        self.inbox.fail(failure.clone());
        failure
    }

    /// The same, while nobody waited for an outcome: the node is told, to start it again.
    fn crash_by_itself(&mut self, crash: Crash, what: String) -> Failure {
        let failure = self.crash(crash, &what);
        tell(self.ctx.environment(), &self.inbox, failure.clone());
        failure
    }

    fn refuse(&self, what: &str) -> Failure {
        let condition = match self.inbox.cause() {
            Some(cause) => format!("failed ({cause})"),
            None => self.inbox.condition().to_string(),
        };
        Failure::Condition { what: what.to_owned(), condition }
    }
}

fn refused(what: &str, reason: &Error) -> Failure {
    Failure::Refused { what: what.to_owned(), reason: reason.to_string() }
}

fn failure_of(crash: Crash, what: &str) -> Failure {
    match crash {
        Crash::Panicked(reason) => Failure::Panicked { what: what.to_owned(), reason },
        Crash::Aborted => Failure::GivenUp { what: what.to_owned() },
    }
}

/// A reference to a component, from its inbox.
pub(super) fn me<C: Behaviour>(inbox: &Arc<Inbox>) -> Me<C> {
    Me::new(inbox.clone())
}

#[cfg(test)]
mod tests {
    use std::mem::size_of_val;

    use super::*;
    use crate::{
        runtime::component::{ComponentType, InputDef},
        words::NodeName,
    };

    /// A component as small ones are.
    #[derive(Default)]
    struct Small {
        sum: u64,
    }

    impl ComponentType for Small {
        const NAME: &'static str = "Small";
        const VERSION: &'static str = "1.0.0";
        fn build(_: &Dictionary) -> Result<Self, Vec<crate::runtime::instance::ParamError>> {
            Ok(Small::default())
        }
    }

    impl Behaviour for Small {
        const INPUTS: &'static [InputDef] = &[InputDef::of::<u64>("add")];
        async fn on_input(
            &mut self,
            _: &str,
            message: Message,
            _: &mut Ctx<Self>,
        ) -> crate::runtime::component::Result<Reply> {
            self.sum += message.decode::<u64>()?;
            Ok(Reply::of(self.sum))
        }
    }

    /// What an idle instance takes: its inbox, and the one future that it is. A node may have a million.
    #[test]
    fn an_instance_stays_small() {
        let path = InstancePath::Component(NodeName::parse("n").unwrap(), ComponentName::parse("c").unwrap());
        let inbox = Inbox::new(path, crate::model::Kind::Component, 1, Arc::from([]), None);
        let environment = Arc::new(Environment::new(NodeName::parse("n").unwrap()));
        let n_inbox = size_of_val(&*inbox);
        let shell = Shell::<Small>::new(Seen { inbox, environment }, Dictionary::default(), None);
        let n_shell = size_of_val(&shell);
        let n_life = size_of_val(&live(shell));
        let found = format!("inbox {n_inbox}, shell {n_shell}, future {n_life} bytes");
        assert!(n_inbox <= 320 && n_shell <= 160 && n_life <= 384, "{found}");
    }
}
