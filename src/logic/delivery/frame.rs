//! What the fragments of one channel say to each other.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::strategy::{Outcome, Ticket};
use crate::{
    model::ComponentId,
    words::{ComponentName, NodeName, PortName, PortPath},
};

/// A receiving port, on the node of the fragment that it is sent to or comes from. Whose it is belongs to it: a component may come to
/// a node that has not yet heard that another one of its name has to go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LocalPort {
    /// Whose it is.
    pub of: ComponentId,
    /// What its component is called.
    pub component: ComponentName,
    /// What it is called.
    pub port: PortName,
}

impl LocalPort {
    /// Where it is, on its node.
    pub fn on(&self, node: &NodeName) -> PortPath {
        PortPath { node: node.clone(), component: self.component.clone(), port: self.port.clone() }
    }
}

/// A receiving port, wherever it is, and whose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) port: PortPath,
    pub(super) of: ComponentId,
}

impl Place {
    pub(super) fn local(&self) -> LocalPort {
        LocalPort { of: self.of, component: self.port.component.clone(), port: self.port.port.clone() }
    }
}

/// A message on its way to another fragment.
#[derive(Clone, Debug, PartialEq)]
pub struct Parcel<M> {
    /// What is sent; `None` when it was taken back after it had got its number.
    pub message: Option<M>,
    /// The ticket and attempt under which its outcome is waited for.
    pub follow: Option<(Ticket, u32)>,
}

/// What a fragment sends to another. An epoch names one life of a fragment, so that nobody mistakes it for the next.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame<M> {
    /// Messages for a port, numbered from `first`.
    Deliver {
        /// The sender's epoch.
        epoch: u64,
        /// The receiver's epoch as far as the sender knows; 0 if it does not.
        to: u64,
        /// The lowest number that the receiver may be missing.
        base: u64,
        /// The number of the first parcel.
        first: u64,
        /// The port.
        port: LocalPort,
        /// The messages.
        parcels: Vec<Parcel<M>>,
    },
    /// How far a receiver got: it has all below `received`, its port was given all below `handed`.
    Confirm {
        /// The epoch of the fragment that sent the messages.
        of: u64,
        /// The epoch of the fragment that confirms.
        by: u64,
        /// The port.
        port: LocalPort,
        /// It has all below.
        received: u64,
        /// Its port was given all below.
        handed: u64,
    },
    /// The outcome of a followed message.
    Settled {
        /// The epoch of the fragment that follows it.
        of: u64,
        /// Its ticket and attempt there.
        follow: (Ticket, u32),
        /// What became of it.
        outcome: Outcome<M>,
    },
    /// Which ports are bound here, and whether their receivers are started.
    State {
        /// The epoch of who tells.
        by: u64,
        /// The number of the last [`Frame::Hello`] that it has heard: it was told after that, and after all messages sent before.
        heard: u64,
        /// The ports.
        ports: Arc<[(LocalPort, bool)]>,
    },
    /// Asks for the state. It overtakes no messages.
    Hello {
        /// The epoch of who asks.
        by: u64,
        /// Greater than that of any earlier time that it, or an earlier life of it, asked.
        number: u64,
    },
}
