//! Where messages go: what an output port sends into, and what an input port is to a channel.

use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use super::{Bypass, Failure, Message};

/// Takes messages: a channel's end for one sender, or an input port of an instance. Never blocks.
pub trait Accept: Send + Sync + 'static {
    /// Takes a message, or gives it back at once.
    ///
    /// # Errors
    /// [`Refused`] with the message and the reason.
    fn offer(&self, message: Message) -> Result<(), Refused>;

    /// The same. Who puts a way into `bypass` wants what comes next to go that way, around it.
    ///
    /// # Errors
    /// [`Refused`] with the message and the reason.
    fn offer_first(&self, message: Message, bypass: &mut Option<Bypass>) -> Result<(), Refused> {
        let _ = bypass;
        self.offer(message)
    }

    /// Takes a call: whoever answers it sends the answer to `reply`, at most once. Channels that carry no calls refuse.
    ///
    /// # Errors
    /// [`Refused`] with the message and the reason.
    fn call(&self, message: Message, reply: ReplyTo) -> Result<(), Refused>;

    /// Ready when there is room again (or when there will never be: the next offer then says why). After a queue was full, that
    /// may be when it is half empty, so that a sender need not be woken for each message.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()>;
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The queue is full and the receiver wants the sender to wait: try again when there is room.
    Full,
    /// The queue is full and the receiver refuses what is too much: do not try again.
    Overflow,
    /// The receiver has ended.
    Closed,
    /// Nothing there answers calls.
    NoCalls,
    /// Nobody would receive it.
    Nobody,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Full => "the queue is full",
            Why::Overflow => "the queue is full and refuses more",
            Why::Closed => "the receiver has ended",
            Why::NoCalls => "the channel carries no calls (a \"Request\" channel does)",
            Why::Nobody => "nobody receives",
        })
    }
}

/// A message that was not taken, given back.
#[derive(Debug, thiserror::Error)]
#[error("a message was refused: {why}")]
pub struct Refused {
    /// The message.
    pub message: Message,
    /// The reason.
    pub why: Why,
}

/// What an output port sends into. Cheap to clone.
#[derive(Clone)]
pub struct Sink {
    to: Arc<dyn Accept>,
    bypass: Option<Bypass>,
}

impl Sink {
    /// A sink into `to`.
    pub fn new(to: impl Accept) -> Sink {
        Sink { to: Arc::new(to), bypass: None }
    }

    /// Offers a message; see [`Accept::offer`].
    ///
    /// # Errors
    /// [`Refused`] with the message and the reason.
    pub fn offer(&self, message: Message) -> Result<(), Refused> {
        self.to.offer(message)
    }

    /// Whether there is a way around what it sends into.
    pub(in crate::runtime) fn has_bypass(&self) -> bool {
        self.bypass.is_some()
    }

    /// Sends a message that way; gives it back when the way is closed or full.
    pub(in crate::runtime) fn pass(&mut self, message: Message) -> Result<(), Message> {
        match &self.bypass {
            Some(bypass) => bypass.pass(message).inspect_err(|_| self.bypass = None),
            None => Err(message),
        }
    }

    /// Offers a message, and finds out whether there is a way around.
    pub(in crate::runtime) fn offer_first(&mut self, message: Message) -> Result<(), Refused> {
        self.to.offer_first(message, &mut self.bypass)
    }

    /// Offers a call; see [`Accept::call`].
    ///
    /// # Errors
    /// [`Refused`] with the message and the reason.
    pub fn call(&self, message: Message, reply: ReplyTo) -> Result<(), Refused> {
        self.to.call(message, reply)
    }

    /// Waits until there is room, then offers; again, when someone else was faster.
    ///
    /// # Errors
    /// [`Refused`] for any other reason than a full queue.
    pub async fn deliver(&self, mut message: Message) -> Result<(), Refused> {
        loop {
            match self.to.offer(message) {
                Err(refused) if refused.why == Why::Full => message = refused.message,
                done => return done,
            }
            poll_fn(|cx| self.to.poll_room(cx)).await;
        }
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

/// Where the answer to a call goes. Dropped unanswered, the caller is told so.
///
/// Boxed, since every place in a queue has room for one and few messages are calls.
#[derive(Debug)]
pub struct ReplyTo(Box<oneshot::Sender<Result<Message, Failure>>>);

/// The caller's end of a call.
pub type Answer = oneshot::Receiver<Result<Message, Failure>>;

impl ReplyTo {
    /// Both ends of a call.
    pub fn pair() -> (ReplyTo, Answer) {
        let (tx, rx) = oneshot::channel();
        (ReplyTo(Box::new(tx)), rx)
    }

    /// Answers. A caller that no longer waits does not mind.
    pub fn send(self, answer: Result<Message, Failure>) {
        // The caller's deadline may have passed: then nobody is there to be told.
        let _ = self.0.send(answer);
    }

    /// Whether the caller still waits.
    pub fn is_wanted(&self) -> bool {
        !self.0.is_closed()
    }
}
