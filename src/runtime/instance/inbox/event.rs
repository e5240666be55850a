//! What a shell takes out of its inbox: what the node wants, messages, closures.

use std::{any::Any, mem, sync::Arc};

use tokio::sync::oneshot;

use crate::{
    model::Dictionary,
    runtime::instance::{Failure, Message, ReplyTo, Sink, calls::Slip},
    words::{ChannelName, PortName, Value},
};

/// What the node wants of an instance. Each is answered once, through its [`Done`]; it is left out when nobody waits any more.
#[derive(Debug)]
pub enum Op {
    /// Be made: answered when the instance exists. The first of all.
    Ready,
    /// Start; nothing when running.
    Start,
    /// Stop; nothing when not running. Queued inputs stay.
    Stop,
    /// Take these values (all of them); runs the update method when running and something changed.
    Update(Dictionary),
    /// Let an output port send into a channel.
    Bind {
        /// The output port.
        port: PortName,
        /// The channel.
        channel: ChannelName,
        /// The channel's end for this port.
        sink: Sink,
    },
    /// No longer send into a channel.
    Unbind {
        /// The output port.
        port: PortName,
        /// The channel.
        channel: ChannelName,
    },
    /// Answer with the state, for a move, an upgrade or a restart.
    Snapshot,
    /// Take over a state.
    Restore {
        /// The version of the type that wrote it.
        version: Arc<str>,
        /// The state. Boxed: it is rare, and much larger than all else that is wanted.
        state: Box<Value>,
    },
    /// Be made anew after a failure: same values, same bindings, same queue; not started.
    Revive,
    /// Answer with what the output ports have sent and dropped.
    Outputs,
    /// Stop if running, then end.
    End,
}

impl Op {
    /// The operation in one word, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Ready => "create",
            Op::Start => "start",
            Op::Stop => "stop",
            Op::Update(_) => "update",
            Op::Bind { .. } => "bind",
            Op::Unbind { .. } => "unbind",
            Op::Snapshot => "snapshot",
            Op::Restore { .. } => "restore",
            Op::Revive => "revive",
            Op::Outputs => "outputs",
            Op::End => "end",
        }
    }

    /// Whether the instance's code is given up when this is not done in time. Who only asks, or (un)binds, waits in vain.
    pub fn insists(&self) -> bool {
        match self {
            Op::Start | Op::Stop | Op::Update(_) | Op::Restore { .. } | Op::Revive | Op::End => true,
            Op::Ready | Op::Bind { .. } | Op::Unbind { .. } | Op::Snapshot | Op::Outputs => false,
        }
    }
}

/// What an operation comes to; `Null` when there is nothing to tell.
pub type Outcome = Result<Value, Failure>;

/// Where the outcome of an operation goes. Dropped without one, whoever asked is told that the instance is gone.
#[derive(Debug)]
pub struct Done(Asker);

#[derive(Debug)]
enum Asker {
    /// Waits for this one outcome.
    One(oneshot::Sender<Outcome>),
    /// Asks many instances, and knows by the slip which it is.
    Board(Arc<Slip>),
    /// Was told.
    Nobody,
}

impl Done {
    pub(super) fn new(to: oneshot::Sender<Outcome>) -> Done {
        Done(Asker::One(to))
    }

    pub(in crate::runtime::instance) fn on(slip: Arc<Slip>) -> Done {
        Done(Asker::Board(slip))
    }

    pub(super) fn is_wanted(&self) -> bool {
        match &self.0 {
            Asker::One(to) => !to.is_closed(),
            Asker::Board(slip) => slip.is_wanted(),
            Asker::Nobody => false,
        }
    }

    /// Tells the outcome.
    pub fn send(mut self, outcome: Outcome) {
        match mem::replace(&mut self.0, Asker::Nobody) {
            // Whoever asked may have given up waiting.
            Asker::One(to) => drop(to.send(outcome)),
            Asker::Board(slip) => slip.put(outcome),
            Asker::Nobody => {}
        }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Asker::Board(slip) = &self.0 {
            slip.put(Err(Failure::Gone));
        }
    }
}

/// A closure that wants its turn on an instance; only its shell knows the type.
pub type Turn = Box<dyn Any + Send>;

/// What the shell takes out.
#[derive(Debug)]
pub enum Event {
    /// Something the node wants.
    Op(Op, Done),
    /// A message on the port of this index; with somewhere to reply to when it is a call.
    Input(usize, Message, Option<ReplyTo>),
    /// A closure's turn.
    Turn(Turn),
}
