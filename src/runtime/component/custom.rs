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

use super::{Error, Links, Reply, Result, Sent};
use crate::{
    logic::restart::Policy,
    model::{DeployUnit, Dictionary, TypeDefinition},
    runtime::instance::{
        Birth, Bundle, Condition, Ended, Environment, Failure, Handle, Inbox, InputPort, Message, Op, Overflow,
        inbox::{Event, Outcome, QUEUE_DEFAULT},
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

/// A hand-written actor that can be a component.
pub trait CustomActor:
    Actor<Context = Context<Self>> + Handler<Start> + Handler<Stop> + Handler<Update> + Handler<Input>
{
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

/// Everything that the catalog needs to know about a hand-written actor: you bring the definition and the deploy unit.
pub fn bundle<A: CustomActor>(definition: TypeDefinition, unit: DeployUnit) -> Bundle {
    let port = |port: &crate::model::PortDefinition| InputPort {
        name: port.name.clone(),
        queue: QUEUE_DEFAULT,
        overflow: Overflow::Wait,
        schema: port.schema,
    };
    let ports: Arc<[InputPort]> = definition.provided.iter().map(port).collect();
    let factory = move |birth: Birth| create::<A>(birth, ports.clone());
    Bundle {
        definition: Arc::new(definition),
        unit: Arc::new(unit),
        factory: Some(Arc::new(factory)),
        restart: Policy::DEFAULT,
    }
}

fn create<A: CustomActor>(birth: Birth, ports: Arc<[InputPort]>) -> Result<Handle, Failure> {
    let inbox = Inbox::new(birth.path.clone(), birth.definition.kind, birth.life, ports);
    let handle = Handle::new(inbox.clone());
    let arbiter = birth.arbiter.clone();
    if arbiter.spawn(live::<A>(inbox, birth)) { Ok(handle) } else { Err(Failure::Gone) }
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
            Err(crash) => Failure::Other(format!("create failed: {crash:?}")),
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
