//! Another node of a channel, and what came from it.

use std::collections::BTreeMap;

use super::{
    end::EndState,
    frame::{LocalPort, Place},
};
use crate::words::{NodeName, Time};

/// Of receivers that are not here any more it is known how far each got, so that whoever has not heard it yet (since its node was cut
/// off, or learns of a move late) still does: for so many, the last that left. As many leave at once when a node is cleared of a
/// thousand; one takes some hundred bytes, here and on the way.
pub(super) const LEFT_MAX: usize = 1024;

/// Another node of the channel.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: NodeName,
    pub(super) is_up: bool,
    /// Since when it is away, for those who wait for it.
    pub(super) away_since: Option<Time>,
    pub(super) is_gone: bool,
    /// When to ask for its state again.
    pub(super) hello_at: Time,
    /// It is to be asked for its state.
    pub(super) wants_hello: bool,
    /// The number of the last time that it was asked.
    pub(super) n_hellos: u64,
    /// The last life of its fragment that asked, and the number of the last time.
    pub(super) heard: (u64, u64),
    /// It is to be told which ports of this node take messages.
    pub(super) wants_state: bool,
    /// The queue to it was full: it is told nothing before.
    pub(super) told_again_at: Option<Time>,
    pub(super) inbound: BTreeMap<LocalPort, Inbound>,
}

/// What came from a peer for a port of this node.
#[derive(Debug)]
pub(super) struct Inbound {
    /// The epoch of the peer's fragment.
    pub(super) epoch: u64,
    /// All below were received.
    pub(super) next: u64,
    /// All below were given to the port.
    pub(super) handed: u64,
    pub(super) is_dirty: bool,
    /// The how manieth port to leave this node it was when it did so last.
    pub(super) left: Option<u64>,
}

impl Peer {
    /// A peer of the fragment of that epoch. From there its questions are numbered: so no answer to an earlier life of the fragment
    /// is taken for one to this life.
    pub(super) fn new(name: NodeName, epoch: u64) -> Peer {
        Peer {
            name,
            is_up: false,
            away_since: None,
            is_gone: false,
            hello_at: Time::NEVER,
            wants_hello: false,
            n_hellos: epoch,
            heard: (0, 0),
            wants_state: false,
            told_again_at: None,
            inbound: BTreeMap::new(),
        }
    }

    pub(super) fn state_for_new_ends(&self) -> EndState {
        match (self.is_up, self.is_gone) {
            (true, _) => EndState::Closed,
            (false, false) => EndState::Away,
            (false, true) => EndState::Gone,
        }
    }

    /// A port of this node was given all of the peer's messages up to `seq`.
    pub(super) fn handed(&mut self, epoch: u64, place: &Place, seq: u64) {
        if let Some(inbound) = self.inbound.get_mut(&place.local()).filter(|inbound| inbound.epoch == epoch) {
            inbound.handed = inbound.handed.max(seq + 1);
            inbound.is_dirty = true;
        }
    }

    /// Whether it has ever asked for the state of this fragment.
    pub(super) fn has_asked(&self) -> bool {
        self.heard != (0, 0)
    }

    /// It is to be told anew how far its messages got.
    pub(super) fn confirm_again(&mut self) {
        self.inbound.values_mut().for_each(|inbound| inbound.is_dirty = true);
    }

    /// What a port of this node had and was not given is gone with it.
    pub(super) fn forget_unhanded(&mut self, place: &Place) {
        if let Some(inbound) = self.inbound.get_mut(&place.local()) {
            inbound.next = inbound.handed;
            inbound.is_dirty = true;
        }
    }

    /// The receiver of a port of this node has left, as the `n_left`th.
    pub(super) fn left(&mut self, place: &Place, n_left: u64) {
        self.forget_unhanded(place);
        if let Some(inbound) = self.inbound.get_mut(&place.local()) {
            inbound.left = Some(n_left);
        }
    }

    /// Of ports that nobody needs only the last that left are known.
    pub(super) fn forget_long_left(&mut self, is_needed: impl Fn(&LocalPort) -> bool) {
        let left = self.inbound.iter().filter_map(|(port, inbound)| Some((inbound.left?, port)));
        let mut left: Vec<(u64, &LocalPort)> = left.collect();
        if left.len() <= LEFT_MAX {
            return;
        }
        left.retain(|(_, port)| !is_needed(port));
        left.sort_unstable();
        let n_forgotten = left.len().saturating_sub(LEFT_MAX);
        let forgotten: Vec<LocalPort> = left[..n_forgotten].iter().map(|(_, port)| (*port).clone()).collect();
        for port in forgotten {
            self.inbound.remove(&port);
        }
    }
}
