//! Output ports: a component sends a value, and it goes into every channel that the port is bound to.

use std::{fmt, marker::PhantomData, time::Duration};

use tokio::{task::coop::consume_budget, time::timeout};

use super::{Error, Result};
use crate::{
    runtime::instance::{Message, Payload, ReplyTo, Schema, Sink, Why},
    words::ChannelName,
};

/// An output port of a component type.
#[derive(Clone, Copy, Debug)]
pub struct OutputDef {
    /// The name.
    pub name: &'static str,
    /// The schema of its messages.
    pub schema: fn() -> Schema,
    /// Whether it has to be bound.
    pub required: bool,
    /// What it is for.
    pub doc: &'static str,
}

impl OutputDef {
    /// An output port that carries `T`; to be refined with struct update syntax.
    pub const fn of<T: Payload>(name: &'static str) -> OutputDef {
        OutputDef { name, schema: Schema::of::<T>, required: false, doc: "" }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Every channel took it.
    Taken,
    /// The port is bound to nothing: the message is dropped and counted.
    Unbound,
    /// A channel had no room (or has ended): it is dropped there, and counted. [`Out::deliver`] waits instead.
    Refused,
}

/// Where an output port sends to, and what it has sent.
#[derive(Default)]
pub struct Links {
    sinks: Vec<(ChannelName, Sink)>,
    sent: u64,
    dropped: u64,
}

/// An output port without its type: what the shell needs of it.
pub trait OutPort {
    /// The links of the port.
    fn links(&mut self) -> &mut Links;
}

impl Links {
    /// Adds a channel, or replaces the sink into it.
    pub fn bind(&mut self, channel: ChannelName, sink: Sink) {
        self.unbind(&channel);
        self.sinks.push((channel, sink));
    }

    /// Removes a channel.
    pub fn unbind(&mut self, channel: &ChannelName) {
        self.sinks.retain(|(known, _)| known != channel);
    }

    /// Messages that were taken by at least one channel, and messages that were not taken.
    pub fn counts(&self) -> (u64, u64) {
        (self.sent, self.dropped)
    }

    /// Sends around the only channel of the port where that lets us, and gives the message for the channel otherwise.
    fn pass<T: Payload>(&mut self, value: T) -> Result<(), Message> {
        match &mut self.sinks[..] {
            [(_, only)] if only.has_bypass() => only.pass(Message::sole(value))?,
            _ => return Err(Message::new(value)),
        }
        self.sent += 1;
        Ok(())
    }

    pub(super) fn send(&mut self, message: Message) -> Sent {
        let Some(((_, last), others)) = self.sinks.split_last_mut() else {
            self.dropped += 1;
            return Sent::Unbound;
        };
        let mut n_refused = 0;
        for (_, sink) in others {
            n_refused += u64::from(sink.offer(message.clone()).is_err());
        }
        n_refused += u64::from(last.offer_first(message).is_err());
        self.sent += 1;
        self.dropped += n_refused;
        if n_refused == 0 { Sent::Taken } else { Sent::Refused }
    }

    async fn deliver(&mut self, message: Message) -> Sent {
        let Some(((_, last), others)) = self.sinks.split_last_mut() else { return Sent::Unbound };
        let mut n_refused = 0;
        for (_, sink) in others {
            n_refused += u64::from(sink.deliver(message.clone()).await.is_err());
        }
        let offered = match last.offer_first(message) {
            Err(refused) if refused.why == Why::Full => last.deliver(refused.message).await,
            done => done,
        };
        n_refused += u64::from(offered.is_err());
        self.sent += 1;
        self.dropped += n_refused;
        if n_refused == 0 { Sent::Taken } else { Sent::Refused }
    }
}

/// An output port that carries `T`. Give it `#[output]` in a component.
pub struct Out<T> {
    links: Links,
    carries: PhantomData<fn(T)>,
}

impl<T> Default for Out<T> {
    fn default() -> Self {
        Out { links: Links::default(), carries: PhantomData }
    }
}

impl<T: Payload> Out<T> {
    /// Sends a value into every channel that the port is bound to, without ever waiting. What a full channel does not take is
    /// dropped and counted, whatever the channel's `overflow`: a sender that would rather wait for room uses [`Out::deliver`].
    pub fn send(&mut self, value: T) -> Sent {
        if self.links.sinks.is_empty() {
            self.links.dropped += 1;
            return Sent::Unbound;
        }
        match self.links.pass(value) {
            Ok(()) => Sent::Taken,
            Err(message) => self.links.send(message),
        }
    }

    /// Sends a value and waits until every channel has room for it: how a fast sender keeps pace with a slow receiver.
    pub async fn deliver(&mut self, value: T) -> Sent {
        if self.links.sinks.is_empty() {
            self.links.dropped += 1;
            return Sent::Unbound;
        }
        // A sender that always finds room lets the others on its thread have their turn all the same: its receivers, perhaps.
        consume_budget().await;
        match self.links.pass(value) {
            Ok(()) => Sent::Taken,
            Err(message) => self.links.deliver(message).await,
        }
    }

    /// Asks through the port and waits for the reply of one receiver, `limit` at most. The channel must carry calls (`Request`).
    ///
    /// # Errors
    /// When the port is bound to nothing or to several channels, nobody answers in time, or the answer is an error.
    pub async fn ask<R: Payload>(&mut self, value: T, limit: Duration) -> Result<R> {
        let [(channel, sink)] = &self.links.sinks[..] else {
            self.links.dropped += 1;
            let n = self.links.sinks.len();
            return Err(
                format!("a call goes through a port that is bound to one channel; this one is bound to {n}").into()
            );
        };
        let (reply, answer) = ReplyTo::pair();
        if let Err(refused) = sink.call(Message::new(value), reply) {
            self.links.dropped += 1;
            return Err(format!("the call into channel \"{channel}\" was refused: {}", refused.why).into());
        }
        self.links.sent += 1;
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => Ok(answer.map_err(Error::from)?.decode()?),
            Ok(Err(_)) => Err(format!("the call into channel \"{channel}\" was dropped unanswered").into()),
            Err(_) => Err(format!("the call into channel \"{channel}\" was not answered within {limit:?}").into()),
        }
    }

    /// Whether anything is bound to the port.
    pub fn is_bound(&self) -> bool {
        !self.links.sinks.is_empty()
    }

    /// How many messages were not taken, since the port was not bound or a channel had no room.
    pub fn dropped(&self) -> u64 {
        self.links.dropped
    }

    /// The schema of the messages.
    pub fn schema() -> Schema {
        Schema::of::<T>()
    }
}

impl<T> OutPort for Out<T> {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }
}

impl<T> fmt::Debug for Out<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channels: Vec<_> = self.links.sinks.iter().map(|(channel, _)| channel).collect();
        write!(f, "Out({channels:?}, {} sent, {} dropped)", self.links.sent, self.links.dropped)
    }
}
