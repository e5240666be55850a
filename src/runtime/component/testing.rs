//! One component alone: parameters in, messages in, messages out. No node, no network, and no waiting for time to pass.
//!
//! Use it in `#[actix_rt::test]`. Call `tokio::time::pause()` first and time is virtual: a test of an hour takes none.
//!
//! ```
//! use enact::{prelude::*, testing::Harness};
//!
//! /// Counts what it is told.
//! #[derive(Component)]
//! struct Counter {
//!     /// How much each message counts.
//!     #[param(default = 1, min = 1)]
//!     step: u64,
//!     /// The sum so far.
//!     #[output]
//!     sum: Out<u64>,
//!     #[state]
//!     counted: u64,
//! }
//!
//! #[component]
//! impl Counter {
//!     /// Anything counts.
//!     #[input]
//!     fn count(&mut self, _any: Value) {
//!         self.counted += self.step;
//!         self.sum.send(self.counted);
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! # actix_rt::System::new().block_on(async {
//! let counter = Harness::<Counter>::new(&[("step", "10")])?.start().await?;
//! let mut sum = counter.output::<u64>("sum").await?;
//! counter.send("count", "one").await?;
//! counter.send("count", 2).await?;
//! assert_eq!((sum.next().await?, sum.next().await?), (10, 20));
//! assert_eq!(counter.snapshot().await?["counted"], 20);
//! # Ok(())
//! # })
//! # }
//! ```

use std::{
    collections::BTreeMap,
    error, fmt,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use serde::Serialize;
use tokio::{sync::mpsc, time::timeout};

use super::{
    Behaviour, Me, Result,
    definition::input_ports,
    shell::{Seen, Shell, me},
    to_value,
};
use crate::{
    model::{Dictionary, Kind},
    runtime::instance::{
        Accept, Condition, Counts, Environment, Failure, Handle, Inbox, Message, ParamError, Payload, Refused, ReplyTo,
        Sink, Why,
    },
    words::{AttributeName, ChannelName, ComponentName, InstancePath, NodeName, PortName, Value},
};

/// How long each step may take. In virtual time a step that hangs fails at once.
pub const STEP_LIMIT: Duration = Duration::from_secs(30);

/// Messages that an observed output keeps; more are refused, as by a channel that is full.
const OUTPUT_MAX: usize = 65_536;

/// Everything that is wrong with parameters, as an error that `?` takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadParams(pub Vec<ParamError>);

impl std::ops::Deref for BadParams {
    type Target = [ParamError];
    fn deref(&self) -> &[ParamError] {
        &self.0
    }
}

impl fmt::Display for BadParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(ParamError::to_string).collect::<Vec<_>>().join("; "))
    }
}

impl error::Error for BadParams {}

/// A component under test.
pub struct Harness<C: Behaviour> {
    handle: Handle,
    me: Me<C>,
    values: BTreeMap<String, String>,
}

impl<C: Behaviour> Harness<C> {
    /// Makes a component with these parameters; it is called `under-test`, on node `here`.
    ///
    /// # Errors
    /// All parameters that do not fit.
    pub fn new(params: &[(&str, &str)]) -> Result<Self, BadParams> {
        let here = NodeName::parse("here").expect("a valid name");
        Self::within(Environment::new(here), params)
    }

    /// Makes a component with these parameters in an environment: with a model, with services, with who is told of failures.
    ///
    /// # Errors
    /// All parameters that do not fit.
    pub fn within(environment: Environment, params: &[(&str, &str)]) -> Result<Self, BadParams> {
        static LIVES: AtomicU64 = AtomicU64::new(1);
        let values: BTreeMap<_, _> = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let dictionary = dictionary(&values)?;
        let component = C::build(&dictionary).map_err(BadParams)?;
        let name = ComponentName::parse("under-test").expect("a valid name");
        let path = InstancePath::Component(environment.node().clone(), name);
        let life = LIVES.fetch_add(1, Ordering::Relaxed);
        let inbox = Inbox::new(path, Kind::Component, life, input_ports(C::INPUTS), None);
        let seen = Seen { inbox: inbox.clone(), environment: Arc::new(environment) };
        Shell::new(seen, dictionary, Some(component)).spawn();
        Ok(Harness { me: me(&inbox), handle: Handle::new(inbox), values })
    }

    /// Starts it.
    ///
    /// # Errors
    /// What its start method says.
    pub async fn start(self) -> Result<Self> {
        self.handle.start(STEP_LIMIT).await?;
        Ok(self)
    }

    /// Stops it.
    ///
    /// # Errors
    /// What its stop method says.
    pub async fn stop(&self) -> Result {
        Ok(self.handle.stop(STEP_LIMIT).await?)
    }

    /// Starts it again.
    ///
    /// # Errors
    /// What its start method says.
    pub async fn restart(&self) -> Result {
        Ok(self.handle.start(STEP_LIMIT).await?)
    }

    /// Sets a parameter.
    ///
    /// # Errors
    /// When the value does not fit, or what its update method says.
    pub async fn set(&mut self, param: &str, value: &str) -> Result {
        self.set_all(&[(param, value)]).await
    }

    /// Sets several parameters at once.
    ///
    /// # Errors
    /// When a value does not fit, or what its update method says.
    pub async fn set_all(&mut self, params: &[(&str, &str)]) -> Result {
        let mut values = self.values.clone();
        values.extend(params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        self.handle.update(dictionary(&values)?, STEP_LIMIT).await?;
        self.values = values;
        Ok(())
    }

    /// Sends a message to an input and waits until it is handled. Comes back with what the input replies; `null` for nothing.
    ///
    /// # Errors
    /// What the input says, or that there is no such port.
    pub async fn send<T: Serialize>(&self, port: &str, message: T) -> Result<Value> {
        Ok(self.handle.call(port, Message::new(to_value(&message)?), STEP_LIMIT).await?.to_value()?)
    }

    /// Sends a message as it is, without a conversion, and waits for the reply.
    ///
    /// # Errors
    /// What the input says, that there is no such port, or that the reply is no `R`.
    pub async fn ask<R: Payload>(&self, port: &str, message: impl Payload) -> Result<R> {
        Ok(self.handle.call(port, Message::new(message), STEP_LIMIT).await?.decode()?)
    }

    /// Puts a message into the queue of an input without waiting.
    ///
    /// # Errors
    /// When the queue does not take it, or there is no such port.
    pub fn post(&self, port: &str, message: impl Payload) -> Result {
        Ok(self.handle.inlet(port)?.offer(Message::new(message))?)
    }

    /// Observes an output.
    ///
    /// # Errors
    /// When there is no such port.
    pub async fn output<T: Payload>(&self, port: &str) -> Result<Rx<T>> {
        let (tx, rx) = mpsc::channel(OUTPUT_MAX);
        let (port, channel) = (PortName::parse(port)?, observer());
        self.handle.bind(port, channel, Sink::new(Observer(tx)), STEP_LIMIT).await?;
        Ok(Rx { rx, carries: PhantomData })
    }

    /// The state that it would hand over.
    ///
    /// # Errors
    /// What serde says.
    pub async fn snapshot(&self) -> Result<Value> {
        Ok(self.handle.snapshot(STEP_LIMIT).await?)
    }

    /// Hands a state over to it, written by `version` of its type.
    ///
    /// # Errors
    /// When the state does not fit.
    pub async fn restore(&self, version: &str, state: Value) -> Result {
        Ok(self.handle.restore(version, state, STEP_LIMIT).await?)
    }

    /// Makes it anew after a failure, as supervision does, and starts it.
    ///
    /// # Errors
    /// What its start method says.
    pub async fn revive(&self) -> Result {
        self.handle.revive(STEP_LIMIT).await?;
        Ok(self.handle.start(STEP_LIMIT).await?)
    }

    /// Ends it.
    ///
    /// # Errors
    /// When its code blocks the thread.
    pub async fn end(&self) -> Result<(), Failure> {
        self.handle.end(STEP_LIMIT).await
    }

    /// A reference to it, as its own tasks have one.
    pub fn me(&self) -> Me<C> {
        self.me.clone()
    }

    /// The handle that the node would have.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What it is doing.
    pub fn condition(&self) -> Condition {
        self.handle.condition()
    }

    /// What an input has seen.
    pub fn counts(&self, port: &str) -> Counts {
        self.handle.counts().into_iter().find(|(name, _)| name.as_str() == port).map(|(_, c)| c).unwrap_or_default()
    }
}

impl<C: Behaviour> fmt::Debug for Harness<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Harness({} {})", C::NAME, self.condition())
    }
}

fn dictionary(values: &BTreeMap<String, String>) -> Result<Dictionary, BadParams> {
    let name = |(name, value): (&String, &String)| match AttributeName::parse(name) {
        Ok(name) => Ok((name, value.as_str().into())),
        Err(error) => Err(BadParams(vec![ParamError { param: name.clone(), message: error.to_string() }])),
    };
    values.iter().map(name).collect()
}

fn observer() -> ChannelName {
    ChannelName::parse("observer").expect("a valid name")
}

struct Observer(mpsc::Sender<(Message, Option<ReplyTo>)>);

impl Observer {
    fn put(&self, message: Message, reply: Option<ReplyTo>) -> Result<(), Refused> {
        self.0.try_send((message, reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full((message, _)) => Refused { message, why: Why::Overflow },
            mpsc::error::TrySendError::Closed((message, _)) => Refused { message, why: Why::Closed },
        })
    }
}

impl Accept for Observer {
    fn offer(&self, message: Message) -> Result<(), Refused> {
        self.put(message, None)
    }
    fn call(&self, message: Message, reply: ReplyTo) -> Result<(), Refused> {
        self.put(message, Some(reply))
    }
    fn poll_room(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// What came out of an output.
#[derive(Debug)]
pub struct Rx<T> {
    rx: mpsc::Receiver<(Message, Option<ReplyTo>)>,
    carries: PhantomData<fn() -> T>,
}

impl<T: Payload> Rx<T> {
    /// The next message; waits for it [`STEP_LIMIT`] at most, or in virtual time as long as it takes until nothing else happens.
    ///
    /// # Errors
    /// When nothing comes, or it is no `T`.
    pub async fn next(&mut self) -> Result<T> {
        self.next_within(STEP_LIMIT).await
    }

    /// The next message, with a limit of your own.
    ///
    /// # Errors
    /// When nothing comes, or it is no `T`.
    pub async fn next_within(&mut self, limit: Duration) -> Result<T> {
        Ok(self.take(limit).await?.0.decode()?)
    }

    /// The next call, to be answered; see `Out::ask`.
    ///
    /// # Errors
    /// When nothing comes, it is no `T`, or it is no call.
    pub async fn next_call(&mut self) -> Result<(T, ReplyTo)> {
        let (message, reply) = self.take(STEP_LIMIT).await?;
        Ok((message.decode()?, reply.ok_or("this was a message, not a call")?))
    }

    async fn take(&mut self, limit: Duration) -> Result<(Message, Option<ReplyTo>)> {
        match timeout(limit, self.rx.recv()).await {
            Ok(Some(taken)) => Ok(taken),
            Ok(None) => Err("the component has ended".into()),
            Err(_) => Err(format!("nothing came out within {limit:?}").into()),
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.rx.is_empty()
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.rx.len()
    }
}
