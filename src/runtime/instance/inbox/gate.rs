//! A gate in front of an inbox: through it senders put messages in themselves, around the channel that they belong to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::{Inbox, put::wake};
use crate::runtime::instance::Message;

/// Whether messages may pass, and how many have. Both are touched only while the inbox is locked: so whoever has shut a gate knows
/// all that ever passed it, and passing costs no lock beside the inbox's own.
#[derive(Debug)]
pub(in crate::runtime) struct Gate {
    is_open: AtomicBool,
    n_passed: AtomicU64,
}

impl Gate {
    /// An open gate.
    pub(in crate::runtime) fn open() -> Gate {
        Gate { is_open: AtomicBool::new(true), n_passed: AtomicU64::new(0) }
    }
}

impl Inbox {
    /// Puts a message in if the gate is open and the port has room; gives it back otherwise. Drops no other message for it.
    pub(in crate::runtime) fn pass(&self, gate: &Gate, port: usize, message: Message) -> Result<(), Message> {
        let mut back = self.back();
        if !gate.is_open.load(Relaxed) || back.is_closed || back.is_full(port as u32, &self.ports) {
            return Err(message);
        }
        gate.n_passed.store(gate.n_passed.load(Relaxed) + 1, Relaxed);
        back.push(port as u32, message, None, &self.ports);
        wake(back);
        Ok(())
    }

    /// Shuts a gate for good. Gives how many messages have passed it.
    pub(in crate::runtime) fn shut(&self, gate: &Gate) -> u64 {
        let _locked = self.back();
        gate.is_open.store(false, Relaxed);
        gate.n_passed.swap(0, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        model::Kind,
        runtime::instance::inbox::{InputPort, Overflow},
        words::InstancePath,
    };

    #[test]
    fn nothing_passes_a_gate_that_is_shut_or_pushes_another_message_out() {
        let port = InputPort { name: "input".parse().unwrap(), queue: 2, overflow: Overflow::DropOldest, schema: 0 };
        let path = InstancePath::Group("g".parse().unwrap());
        let inbox = Inbox::new(path, Kind::Component, 1, Arc::from([port]), None);
        let gate = Gate::open();
        inbox.pass(&gate, 0, Message::new(1_u64)).unwrap();
        inbox.put(0, Message::new(2_u64), None).unwrap();
        let back = inbox.pass(&gate, 0, Message::sole(3_u64)).unwrap_err();
        assert_eq!(back.decode::<u64>(), Ok(3));
        assert_eq!(inbox.take_waiting().len(), 2);
        assert_eq!(inbox.shut(&gate), 1);
        assert!(inbox.pass(&gate, 0, Message::new(4_u64)).is_err());
        assert_eq!((inbox.take_waiting().len(), inbox.shut(&gate)), (0, 0));
    }
}
