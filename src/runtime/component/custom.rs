//! Hand-written `actix::Actor`s as components: the node speaks to them in actix messages.
//!
//! The actor handles [`Start`], [`Stop`], [`Update`] and [`Input`], and sends through the [`Outputs`] that it is made with. Use it
//! for what exists already as an actor; for new things `#[derive(Component)]` is shorter and keeps state, async methods, and
//! panics in hand.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, PoisonError},
};

use actix::{Actor, Addr, Context, Handler, MailboxError, Message as ActixMessage};
use tracing::{error, warn};

use super::{
    Error, InputDef, Links, OutputDef, ParamDef, Reply, Result, Sent,
    definition::{Description, input_ports},
};
use crate::{
    logic::restart::Policy,
    model::Dictionary,
    runtime::instance::{
        Birth, Bundle, Condition, Ended, Environment, Failure, Handle, Inbox, InputPort, Message, Op,
        inbox::{Crash, Event, Outcome},
    },
    words::{InstancePath, PortName, Value},
};

/// Asks the actor to start. Sent by its shell.
#[derive(Clone, Copy, Debug, ActixMessage)]
#[rtype(result = "Result")]
pub struct Start;

/// Asks the actor to stop what it does; it stays alive, and may be started again.
#[derive(Clone, Copy, Debug, ActixMessage)]
#[rtype(result = "Result")]
pub struct Stop;

/// Gives the actor all its values.
#[derive(Clone, Debug, ActixMessage)]
#[rtype(result = "Result")]
pub struct Update(pub Dictionary);

/// Gives the actor a message.
#[derive(Clone, Debug, ActixMessage)]
#[rtype(result = "Result<Reply>")]
pub struct Input {
    /// The input port.
    pub port: PortName,
    /// The message.
    pub message: Message,
}

/// A hand-written actor that can be a component: what it is, and how to make it. `node().actor::<MyActor>()` registers it.
pub trait CustomActor:
    Actor<Context = Context<Self>> + Handler<Start> + Handler<Stop> + Handler<Update> + Handler<Input>
{
    /// The name of the type, unique with the version in its namespace.
    const NAME: &'static str;
    /// The version: `1.0.0`.
    const VERSION: &'static str;
    /// The namespace; `enact` unless said otherwise.
    const NAMESPACE: &'static str = "enact";
    /// What it is, for people.
    const DOC: &'static str = "";
    /// Name and version of the crate that brings it: its deploy unit.
    const CRATE: (&'static str, &'static str) = (Self::NAME, Self::VERSION);
    /// The parameters; `Values` reads them from a dictionary.
    const PARAMS: &'static [ParamDef] = &[];
    /// The input ports.
    const INPUTS: &'static [InputDef] = &[];
    /// The output ports.
    const OUTPUTS: &'static [OutputDef] = &[];
    /// How often it is made anew after a crash.
    const RESTART: Policy = Policy::DEFAULT;

    /// Makes the actor.
    ///
    /// # Errors
    /// When the values do not fit.
    fn make(made: Made) -> Result<Self>;
}

/// What a custom actor is made with.
#[derive(Clone, Debug)]
pub struct Made {
    /// Its address in the model.
    pub path: InstancePath,
    /// Its values.
    pub dictionary: Dictionary,
    /// Where it sends.
    pub outputs: Outputs,
    /// What its node offers.
    pub environment: Arc<Environment>,
}

/// The output ports of a custom actor. Cheap to clone.
#[derive(Clone)]
pub struct Outputs(Arc<Mutex<Vec<(PortName, Links)>>>);

impl Outputs {
    /// Sends a message through a port; see `Out::send`.
    ///
    /// # Errors
    /// When the type has no such port.
    pub fn send(&self, port: &str, message: Message) -> Result<Sent> {
        let mut ports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match ports.iter_mut().find(|(name, _)| name.as_str() == port) {
            Some((_, links)) => Ok(links.send(message)),
            None => Err(format!("there is no output port \"{port}\"").into()),
        }
    }

    fn with_port<R>(&self, port: &PortName, act: impl FnOnce(&mut Links) -> R) -> Result<R, Failure> {
        let mut ports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match ports.iter_mut().find(|(name, _)| name == port) {
            Some((_, links)) => Ok(act(links)),
            None => {
                let known = ports.iter().map(|(name, _)| name.to_string()).collect();
                Err(Failure::NoPort { direction: "output", port: port.to_string(), known })
            }
        }
    }

    fn counts(&self) -> Value {
        let ports = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = ports.iter().map(|(name, links)| {
            let (sent, dropped) = links.counts();
            (name.to_string(), serde_json::json!({ "sent": sent, "dropped": dropped }))
        });
        Value::Object(counts.collect())
    }
}

impl fmt::Debug for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outputs")
    }
}

/// Everything that the catalog needs to know about a hand-written actor.
///
/// # Panics
/// When the type's name or namespace is no name.
pub fn bundle<A: CustomActor>() -> Bundle {
    let description = Description {
        namespace: A::NAMESPACE,
        name: A::NAME,
        version: A::VERSION,
        doc: A::DOC,
        from: A::CRATE,
        params: A::PARAMS,
        inputs: A::INPUTS,
        outputs: A::OUTPUTS,
        restart: A::RESTART,
    };
    let ports = input_ports(A::INPUTS);
    description.bundle(move |birth: Birth| create::<A>(birth, ports.clone()))
}

fn create<A: CustomActor>(birth: Birth, ports: Arc<[InputPort]>) -> Result<Handle, Failure> {
    let inbox = Inbox::new(birth.path.clone(), birth.definition.kind, birth.life, ports, Some(birth.arbiter.clone()));
    let handle = Handle::new(inbox.clone());
    let arbiter = birth.arbiter.clone();
    let born = arbiter.spawn_fn(move || {
        actix_rt::spawn(live::<A>(inbox, birth));
    });
    if born { Ok(handle) } else { Err(Failure::NoArbiter) }
}

/// The shell of a custom actor: it gives the actor what comes, one thing at a time.
async fn live<A: CustomActor>(inbox: Arc<Inbox>, birth: Birth) {
    let outputs = birth.definition.required.iter().map(|port| (port.name.clone(), Links::default())).collect();
    let made = Made {
        path: birth.path,
        dictionary: birth.dictionary,
        outputs: Outputs(Arc::new(Mutex::new(outputs))),
        environment: birth.environment,
    };
    let mut life = Life::<A> { actor: None, made, inbox };
    life.make().await;
    loop {
        let running = life.inbox.condition() == Condition::Running;
        match life.inbox.next(running).await {
            Event::Op(Op::End, done) => {
                // An actor without addresses ends by itself.
                life.stop().await.unwrap_or_else(|failure| {
                    warn!(instance = %life.inbox.path(), %failure, "an instance did not stop well before it ended");
                    Value::Null
                });
                life.actor = None;
                life.inbox.set_condition(Condition::Gone);
                drop(life.inbox.close());
                done.send(Ok(Value::Null));
                return;
            }
            Event::Op(op, done) => {
                let outcome = life.obey(op).await;
                done.send(outcome);
            }
            Event::Input(port, message, reply) => {
                let port = life.inbox.ports()[port].name.clone();
                let what = format!("input \"{port}\"");
                let handled = life.ask(Input { port, message }, &what, true).await;
                let handled = handled.map(|Reply(answer)| answer.unwrap_or_else(|| Message::new(())));
                match (handled, reply) {
                    (handled, Some(reply)) => reply.send(handled),
                    (Err(failure), None) => {
                        warn!(instance = %life.inbox.path(), %failure, "an input refused a message");
                    }
                    (Ok(_), None) => {}
                }
            }
            // Closures are for components that Enact owns; nobody has a `Me` of this one.
            Event::Turn(_) => {}
        }
    }
}

struct Life<A: CustomActor> {
    actor: Option<Addr<A>>,
    made: Made,
    inbox: Arc<Inbox>,
}

impl<A: CustomActor> Life<A> {
    async fn make(&mut self) {
        let made = self.made.clone();
        let failure = match self.inbox.run(async { A::make(made).map(Actor::start) }).await {
            Ok(Ok(actor)) => {
                self.actor = Some(actor);
                self.inbox.set_condition(Condition::Created);
                return;
            }
            Ok(Err(reason)) => Failure::Refused { what: "create".to_owned(), reason: reason.to_string() },
            Err(Crash::Panicked(reason)) => Failure::Panicked { what: "create".to_owned(), reason },
            Err(Crash::Aborted) => Failure::GivenUp { what: "create".to_owned() },
        };
        self.inbox.fail(failure);
    }

    async fn obey(&mut self, op: Op) -> Outcome {
        let running = self.inbox.condition() == Condition::Running;
        match op {
            Op::Revive => {
                self.actor = None;
                self.make().await;
                self.alive().map(|_| Value::Null)
            }
            Op::Ready => self.alive().map(|_| Value::Null),
            Op::Start if running => Ok(Value::Null),
            Op::Start => {
                self.ask(Start, "start", false).await?;
                self.inbox.set_condition(Condition::Running);
                Ok(Value::Null)
            }
            Op::Stop => self.stop().await,
            Op::Update(dictionary) => {
                self.ask(Update(dictionary.clone()), "update", false).await?;
                self.made.dictionary = dictionary;
                Ok(Value::Null)
            }
            Op::Bind { port, channel, sink } => {
                self.made.outputs.with_port(&port, |links| links.bind(channel, sink)).map(|()| Value::Null)
            }
            Op::Unbind { port, channel } => {
                self.made.outputs.with_port(&port, |links| links.unbind(&channel)).map(|()| Value::Null)
            }
            // A hand-written actor keeps its state to itself.
            Op::Snapshot => Ok(Value::Object(serde_json::Map::new())),
            Op::Restore { .. } => Ok(Value::Null),
            Op::Outputs => Ok(self.made.outputs.counts()),
            Op::End => Ok(Value::Null),
        }
    }

    async fn stop(&mut self) -> Outcome {
        if self.inbox.condition() == Condition::Running {
            self.inbox.set_condition(Condition::Stopped);
            self.ask(Stop, "stop", false).await?;
        }
        Ok(Value::Null)
    }

    fn alive(&self) -> Result<&Addr<A>, Failure> {
        match &self.actor {
            Some(actor) => Ok(actor),
            None => Err(self.inbox.cause().unwrap_or(Failure::Gone)),
        }
    }

    /// Sends the actor a message and waits for the answer. A panic closes its mailbox: that is how it shows.
    async fn ask<M, R>(&mut self, message: M, what: &str, by_itself: bool) -> Result<R, Failure>
    where
        M: ActixMessage<Result = Result<R>> + Send + 'static,
        R: Send + 'static,
        A: Handler<M>,
        A::Context: actix::dev::ToEnvelope<A, M>,
    {
        let actor = self.alive()?.clone();
        let failure = match self.inbox.run(actor.send(message)).await {
            Ok(Ok(Ok(answer))) => return Ok(answer),
            Ok(Ok(Err(reason))) => return Err(refused(what, &reason)),
            Ok(Err(MailboxError::Closed)) => {
                Failure::Panicked { what: what.to_owned(), reason: "the actor has ended".to_owned() }
            }
            Ok(Err(MailboxError::Timeout)) | Err(_) => Failure::GivenUp { what: what.to_owned() },
        };
        drop(mem::take(&mut self.actor));
        self.inbox.fail(failure.clone());
        let path = self.inbox.path().clone();
        error!(instance = %path, %failure, "an instance failed");
        if by_itself && let Some(watcher) = self.made.environment.watcher() {
            watcher.do_send(Ended { path, life: self.inbox.life(), failure: failure.clone() });
        }
        Err(failure)
    }
}

fn refused(what: &str, reason: &Error) -> Failure {
    Failure::Refused { what: what.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        runtime::{
            component::{ParamType, Values},
            instance::{Accept, Refused, ReplyTo, Sink},
        },
        words::{AttributeName, NodeName},
    };

    /// Adds what it gets, as an actor that was there before Enact.
    struct Adder {
        outputs: Outputs,
        step: i64,
        sum: i64,
    }

    impl Actor for Adder {
        type Context = Context<Self>;
    }

    impl CustomActor for Adder {
        const NAME: &'static str = "Adder";
        const VERSION: &'static str = "1";
        const PARAMS: &'static [ParamDef] = &[ParamDef { default: Some("1"), ..ParamDef::of::<i64>("step") }];
        const INPUTS: &'static [InputDef] = &[InputDef::of::<i64>("add")];
        const OUTPUTS: &'static [OutputDef] = &[OutputDef::of::<i64>("sum")];

        fn make(made: Made) -> Result<Self> {
            Ok(Adder { step: step(&made.dictionary)?, outputs: made.outputs, sum: 0 })
        }
    }

    fn step(dictionary: &Dictionary) -> Result<i64> {
        let mut values = Values::new(Adder::PARAMS, dictionary);
        let step = values.get("step");
        values.finish().map_err(Failure::Params)?;
        Ok(step.unwrap_or(1))
    }

    impl Handler<Start> for Adder {
        type Result = Result;
        fn handle(&mut self, _: Start, _: &mut Context<Self>) -> Result {
            if self.step == 0 { Err("a step of 0 adds nothing".into()) } else { Ok(()) }
        }
    }

    impl Handler<Stop> for Adder {
        type Result = Result;
        fn handle(&mut self, _: Stop, _: &mut Context<Self>) -> Result {
            Ok(())
        }
    }

    impl Handler<Update> for Adder {
        type Result = Result;
        fn handle(&mut self, Update(dictionary): Update, _: &mut Context<Self>) -> Result {
            self.step = step(&dictionary)?;
            Ok(())
        }
    }

    impl Handler<Input> for Adder {
        type Result = Result<Reply>;
        fn handle(&mut self, input: Input, _: &mut Context<Self>) -> Result<Reply> {
            let n: i64 = input.message.decode()?;
            assert!(n < 100, "{n} is too much");
            self.sum += n * self.step;
            self.outputs.send("sum", Message::new(self.sum))?;
            Ok(Reply::of(self.sum))
        }
    }

    struct Heard(tokio::sync::mpsc::UnboundedSender<Message>);

    impl Accept for Heard {
        fn offer(&self, message: Message) -> Result<(), Refused> {
            self.0.send(message).unwrap();
            Ok(())
        }
        fn call(&self, message: Message, _: ReplyTo) -> Result<(), Refused> {
            self.offer(message)
        }
        fn poll_room(&self, _: &mut std::task::Context<'_>) -> std::task::Poll<()> {
            std::task::Poll::Ready(())
        }
    }

    fn dictionary(step: &str) -> Dictionary {
        [(AttributeName::parse("step").unwrap(), step.into())].into_iter().collect()
    }

    fn born(step: &str) -> Handle {
        let bundle = bundle::<Adder>();
        assert_eq!(bundle.definition.attribute("step").unwrap().datatype, i64::DATATYPE);
        let node = NodeName::parse("here").unwrap();
        let birth = Birth {
            path: InstancePath::Component(node.clone(), "adder".parse().unwrap()),
            life: 1,
            definition: bundle.definition.clone(),
            dictionary: dictionary(step),
            arbiter: actix_rt::Arbiter::current().into(),
            environment: Arc::new(Environment::new(node)),
        };
        bundle.factory.unwrap().create(birth).unwrap()
    }

    const LIMIT: Duration = Duration::from_secs(10);

    #[actix_rt::test]
    async fn a_hand_written_actor_is_a_component() {
        let handle = born("2");
        let (tx, mut heard) = tokio::sync::mpsc::unbounded_channel();
        let (port, channel) = (PortName::parse("sum").unwrap(), "c".parse().unwrap());
        handle.bind(port, channel, Sink::new(Heard(tx)), LIMIT).await.unwrap();
        handle.start(LIMIT).await.unwrap();
        let sum: i64 = handle.call("add", Message::new(20_i64), LIMIT).await.unwrap().decode().unwrap();
        assert_eq!(sum, 40);
        handle.update(dictionary("-1"), LIMIT).await.unwrap();
        assert!(handle.update(dictionary("x"), LIMIT).await.unwrap_err().to_string().contains("is not a i64"));
        let sum: i64 = handle.call("add", Message::new(1_i64), LIMIT).await.unwrap().decode().unwrap();
        assert_eq!(sum, 39);
        assert_eq!(heard.recv().await.unwrap().decode::<i64>().unwrap(), 40);
        assert_eq!(handle.outputs(LIMIT).await.unwrap(), serde_json::json!({"sum": {"sent": 2, "dropped": 0}}));
        handle.stop(LIMIT).await.unwrap();
        handle.end(LIMIT).await.unwrap();
        assert_eq!(handle.condition(), Condition::Gone);
    }

    #[actix_rt::test]
    async fn its_refusals_are_told() {
        assert!(born("x").ready(LIMIT).await.unwrap_err().to_string().contains("is not a i64"));
        let idle = born("0");
        assert_eq!(idle.start(LIMIT).await.unwrap_err().to_string(), "start failed: a step of 0 adds nothing");
    }

    /// actix lets a panic of an actor unwind its arbiter's task; the arbiter is the test's own, so it runs on another thread.
    #[test]
    fn its_panic_fails_it_and_it_can_be_revived() {
        actix_rt::System::new().block_on(async {
            let arbiter = actix_rt::Arbiter::new();
            let (tx, rx) = tokio::sync::oneshot::channel();
            arbiter.spawn_fn(move || drop(tx.send(born("1"))));
            let handle = rx.await.unwrap();
            handle.start(LIMIT).await.unwrap();
            let failure = handle.call("add", Message::new(100_i64), LIMIT).await.unwrap_err();
            assert!(failure.is_crash(), "{failure}");
            assert_eq!(handle.condition(), Condition::Failed);
            handle.revive(LIMIT).await.unwrap();
            handle.start(LIMIT).await.unwrap();
            assert_eq!(handle.call("add", Message::new(3_i64), LIMIT).await.unwrap().decode::<i64>(), Ok(3));
        });
    }
}
