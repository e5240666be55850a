//! The handle of a running instance: how the node and the channels speak to it, from any thread.

use std::{
    any::Any,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::join;
use tokio::time::timeout;

use super::{
    Accept, Condition, Counts, Failure, Inbox, InputPort, Message, Op, Refused, ReplyTo, Sink,
    inbox::{Batch, Gate, Outcome},
};
use crate::{
    model::{Dictionary, Kind},
    words::{ChannelName, InstancePath, PortName, Value},
};

/// How long an instance that was given up has to let go: an await point comes within microseconds unless the code blocks.
pub const GRACE: Duration = Duration::from_millis(500);

/// A running instance. Cheap to clone. Every request has the caller's time limit. When it passes for a request that changes what
/// runs (start, stop, update, restore, revive, end), the instance's code is given up at its next await and the instance is
/// `failed`; if even that does not help, it is a `zombie`. Other requests are merely not done then.
#[derive(Clone)]
pub struct Handle {
    inbox: Arc<Inbox>,
    facet: Option<Arc<dyn Any + Send + Sync>>,
}

impl Handle {
    /// A handle to the shell behind an inbox.
    pub fn new(inbox: Arc<Inbox>) -> Handle {
        Handle { inbox, facet: None }
    }

    /// A handle that also offers what only its kind has: a channel's fragment, a group's door. See [`Handle::facet`].
    #[must_use]
    pub fn with_facet<T: Send + Sync + 'static>(mut self, facet: Arc<T>) -> Handle {
        self.facet = Some(facet);
        self
    }

    /// What only its kind has, by type.
    pub fn facet<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.facet.clone()?.downcast().ok()
    }

    /// The address of the instance.
    pub fn path(&self) -> &InstancePath {
        self.inbox.path()
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.inbox.kind()
    }

    /// Which life of the instance it is.
    pub fn life(&self) -> u64 {
        self.inbox.life()
    }

    /// What it is doing.
    pub fn condition(&self) -> Condition {
        self.inbox.condition()
    }

    /// Why it failed last.
    pub fn cause(&self) -> Option<Failure> {
        self.inbox.cause()
    }

    /// What each input port has seen.
    pub fn counts(&self) -> Vec<(PortName, Counts)> {
        self.inbox.counts()
    }

    /// Waits until the instance is made.
    ///
    /// # Errors
    /// What its making came to, e.g. all parameters that do not fit.
    pub async fn ready(&self, limit: Duration) -> Result<(), Failure> {
        self.request(Op::Ready, limit).await.map(drop)
    }

    /// Starts it; nothing when running.
    ///
    /// # Errors
    /// What its start method says, or that it took too long.
    pub async fn start(&self, limit: Duration) -> Result<(), Failure> {
        self.request(Op::Start, limit).await.map(drop)
    }

    /// Stops it; nothing when not running. Timers and tasks end, queued inputs stay.
    ///
    /// # Errors
    /// What its stop method says, or that it took too long (it is then `failed`, and no longer runs).
    pub async fn stop(&self, limit: Duration) -> Result<(), Failure> {
        self.request(Op::Stop, limit).await.map(drop)
    }

    /// Gives it all its values; its update method runs when something changed and it is running.
    ///
    /// # Errors
    /// All values that do not fit (nothing is changed then), or what its update method says.
    pub async fn update(&self, dictionary: Dictionary, limit: Duration) -> Result<(), Failure> {
        self.request(Op::Update(dictionary), limit).await.map(drop)
    }

    /// Lets an output port send into a channel; replaces an earlier sink into the same channel.
    ///
    /// # Errors
    /// When there is no such port.
    pub async fn bind(&self, port: PortName, channel: ChannelName, sink: Sink, limit: Duration) -> Result<(), Failure> {
        self.request(Op::Bind { port, channel, sink }, limit).await.map(drop)
    }

    /// Lets an output port no longer send into a channel; nothing when it does not.
    ///
    /// # Errors
    /// When there is no such port.
    pub async fn unbind(&self, port: PortName, channel: ChannelName, limit: Duration) -> Result<(), Failure> {
        self.request(Op::Unbind { port, channel }, limit).await.map(drop)
    }

    /// Its state, for a move, an upgrade or a restart.
    ///
    /// # Errors
    /// What serde says.
    pub async fn snapshot(&self, limit: Duration) -> Result<Value, Failure> {
        self.request(Op::Snapshot, limit).await
    }

    /// Gives it the state that `version` of its type wrote.
    ///
    /// # Errors
    /// When the state does not fit, also after its upgrade method.
    pub async fn restore(&self, version: &str, state: Value, limit: Duration) -> Result<(), Failure> {
        self.request(Op::Restore { version: version.into(), state: Box::new(state) }, limit).await.map(drop)
    }

    /// Makes it anew after a failure: same values, same bindings, same queue, initial state; not started.
    ///
    /// # Errors
    /// What its making came to.
    pub async fn revive(&self, limit: Duration) -> Result<(), Failure> {
        self.request(Op::Revive, limit).await.map(drop)
    }

    /// Makes it anew after a failure, with a state and the version of its type that wrote it. Both are asked in one breath: whoever asks
    /// it to start meanwhile finds it with its state.
    ///
    /// # Errors
    /// What its making came to, or that the state does not fit.
    pub async fn renew(&self, kept: Option<(Arc<str>, Value)>, limit: Duration) -> Result<(), Failure> {
        let Some((version, state)) = kept else { return self.revive(limit).await };
        // Asked in this order, before anything is waited for; the second has the time that the first takes as well.
        let revived = self.request(Op::Revive, limit);
        let restored = self.request(Op::Restore { version, state: Box::new(state) }, limit * 2);
        let (revived, restored) = join(revived, restored).await;
        revived?;
        restored.map(drop).map_err(|failure| Failure::Other(format!("its state does not fit: {failure}")))
    }

    /// What its output ports have sent and dropped: `{"tick": {"sent": 3, "dropped": 0}}`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn outputs(&self, limit: Duration) -> Result<Value, Failure> {
        self.request(Op::Outputs, limit).await
    }

    /// Stops it if running, and ends it. What its stop method says is in the log only: the instance ends in any case.
    ///
    /// # Errors
    /// [`Failure::Zombie`] when its code blocks the thread.
    pub async fn end(&self, limit: Duration) -> Result<(), Failure> {
        match self.request(Op::End, limit).await {
            Ok(_) | Err(Failure::Gone) => Ok(()),
            // Given up: the operation is still first in the queue, and nothing stands before it now.
            Err(Failure::TimedOut { .. }) => match self.request(Op::End, GRACE).await {
                Ok(_) | Err(Failure::Gone) => Ok(()),
                Err(failure) => Err(failure),
            },
            Err(failure) => Err(failure),
        }
    }

    /// An input port, for who sends to it.
    ///
    /// # Errors
    /// [`Failure::NoPort`] with the ports that there are.
    pub fn inlet(&self, port: &str) -> Result<Inlet, Failure> {
        let ports = self.inbox.ports();
        match ports.iter().position(|known| known.name.as_str() == port) {
            Some(index) => Ok(Inlet { inbox: self.inbox.clone(), index }),
            None => Err(Failure::NoPort {
                direction: "input",
                port: port.to_owned(),
                known: ports.iter().map(|port| port.name.to_string()).collect(),
            }),
        }
    }

    /// Calls an input port and waits for what it replies.
    ///
    /// # Errors
    /// When there is no such port, its queue stays full, it fails, or takes longer than `limit`.
    pub async fn call(&self, port: &str, message: Message, limit: Duration) -> Result<Message, Failure> {
        let inlet = self.inlet(port)?;
        let (reply, answer) = ReplyTo::pair();
        inlet.call(message, reply).map_err(|refused| Failure::Other(refused.to_string()))?;
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(self.cause().unwrap_or(Failure::Gone)),
            Err(_) => Err(Failure::TimedOut { what: format!("input \"{port}\""), limit }),
        }
    }

    /// Takes out the messages that wait in its queues, for an instance that takes over.
    pub fn take_waiting(&self) -> Vec<(PortName, Message)> {
        self.inbox.take_waiting()
    }

    /// The inbox, for shells.
    pub fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    async fn request(&self, op: Op, limit: Duration) -> Outcome {
        let (what, insists) = (op.name(), op.insists());
        if self.condition() == Condition::Zombie {
            return Err(Failure::Zombie { what: what.to_owned() });
        }
        let mut outcome = self.inbox.request(op);
        match timeout(limit, &mut outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failure::Gone),
            Err(_) if !insists => Err(Failure::TimedOut { what: what.to_owned(), limit }),
            Err(_) => {
                self.inbox.abort();
                if timeout(GRACE, &mut outcome).await.is_err() {
                    self.inbox.set_condition(Condition::Zombie);
                    return Err(Failure::Zombie { what: what.to_owned() });
                }
                Err(Failure::TimedOut { what: what.to_owned(), limit })
            }
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({} {}, {})", self.kind(), self.path(), self.condition())
    }
}

/// An input port of a running instance. Cheap to clone; it stays good while the instance is revived.
#[derive(Clone)]
pub struct Inlet {
    inbox: Arc<Inbox>,
    index: usize,
}

impl Inlet {
    /// The port: name, queue, policy, schema.
    pub fn port(&self) -> &InputPort {
        &self.inbox.ports()[self.index]
    }

    /// The instance.
    pub fn path(&self) -> &InstancePath {
        self.inbox.path()
    }

    /// What the instance is doing.
    pub fn condition(&self) -> Condition {
        self.inbox.condition()
    }

    /// Puts many messages in with few locks.
    pub(in crate::runtime) fn batch(&self) -> Batch<'_> {
        self.inbox.batch(self.index)
    }

    /// Puts a message in while a gate is open and there is room.
    pub(in crate::runtime) fn pass(&self, gate: &Gate, message: Message) -> Result<(), Message> {
        self.inbox.pass(gate, self.index, message)
    }

    /// Shuts a gate; gives how many messages have passed it.
    pub(in crate::runtime) fn shut(&self, gate: &Gate) -> u64 {
        self.inbox.shut(gate)
    }

    /// Ready with the instance's condition as soon as it is another than `seen`.
    pub fn poll_condition(&self, seen: Condition, cx: &mut Context<'_>) -> Poll<Condition> {
        self.inbox.poll_condition(seen, cx)
    }
}

impl Accept for Inlet {
    fn offer(&self, message: Message) -> Result<(), Refused> {
        self.inbox.put(self.index, message, None)
    }

    fn call(&self, message: Message, reply: ReplyTo) -> Result<(), Refused> {
        self.inbox.put(self.index, message, Some(reply))
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inbox.poll_room(self.index, cx)
    }
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inlet({}.{})", self.path(), self.port().name)
    }
}
