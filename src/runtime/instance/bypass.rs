//! A bypass: the way around a channel, straight into the queue of its only receiver.

use std::{fmt, sync::Arc};

use super::{Inlet, Message, inbox::Gate};

/// The way around a channel, as long as the channel leaves it open. Cheap to clone.
#[derive(Clone)]
pub struct Bypass(Arc<Way>);

struct Way {
    inlet: Inlet,
    gate: Gate,
}

impl Bypass {
    /// An open way to a receiver.
    pub(in crate::runtime) fn to(inlet: Inlet) -> Bypass {
        Bypass(Arc::new(Way { inlet, gate: Gate::open() }))
    }

    /// Gives a message to the receiver, or gives it back: the way is closed, or the receiver's queue is full. Then the message goes
    /// through the channel.
    pub(in crate::runtime) fn pass(&self, message: Message) -> Result<(), Message> {
        self.0.inlet.pass(&self.0.gate, message)
    }

    /// Closes the way: from here on nothing goes it, whoever still holds it. Gives how many messages went it since it was last asked.
    pub(in crate::runtime) fn close(&self) -> u64 {
        self.0.inlet.shut(&self.0.gate)
    }
}

impl fmt::Debug for Bypass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bypass({:?})", self.0.inlet)
    }
}
