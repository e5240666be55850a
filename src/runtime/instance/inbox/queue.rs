//! What waits in an inbox, in two halves under a lock each: others put into the back, the shell takes from the front, and when
//! the front is empty the two change places. So senders and a busy receiver meet once a batch and not once a message.

use std::{collections::VecDeque, mem, task::Waker};

use super::{Counts, Done, InputPort, Op, Turn};
use crate::runtime::instance::{Failure, Message, ReplyTo};

/// The shell tells the back after so many messages how many it has taken, or after an eighth of the port's queue: often enough
/// that senders go on before the shell runs dry, seldom enough to cost nothing.
const TOLD_EVERY: u32 = 64;

pub(super) enum Work {
    Input(u32, Message, Option<ReplyTo>),
    Turn(Turn),
}

/// The half that the shell takes from.
#[derive(Default)]
pub(super) struct Front {
    pub(super) work: VecDeque<Work>,
    /// Messages of one port that were taken and that the back was not told of, and how many they may become.
    port: u32,
    n_taken: u32,
    most: u32,
}

/// The half that others put into. It also counts: what was taken from the front counts as waiting until the back is told.
#[derive(Default)]
pub(super) struct Back {
    pub(super) work: VecDeque<Work>,
    pub(super) ops: VecDeque<(Op, Done)>,
    /// Empty until the first message comes: most instances of a large system wait for something.
    counts: Box<[Counts]>,
    /// Closures that wait, in both halves.
    pub(super) n_turns: usize,
    pub(super) is_closed: bool,
    /// The shell, when it sleeps.
    pub(super) shell: Option<Waker>,
    rare: Option<Box<Rare>>,
}

/// What few instances have at any moment.
#[derive(Default)]
pub(super) struct Rare {
    /// The shell, while its code is waiting for something.
    pub(super) at_work: Option<Waker>,
    /// Senders that wait for room.
    pub(super) senders: Vec<Waker>,
    /// Channels that wait for the condition to change.
    pub(super) watchers: Vec<Waker>,
    pub(super) cause: Option<Failure>,
}

impl Front {
    /// Notes that a message was taken; true when it is time to tell the back.
    #[inline]
    pub(super) fn note(&mut self, port: u32, ports: &[InputPort]) -> bool {
        if self.n_taken == 0 {
            self.port = port;
            self.most = (ports[port as usize].queue / 8).clamp(1, TOLD_EVERY);
        }
        self.n_taken += 1;
        self.n_taken >= self.most
    }

    /// Whether the back is to be told before a message of this port is noted.
    #[inline]
    pub(super) fn is_of_another(&self, port: u32) -> bool {
        self.n_taken > 0 && self.port != port
    }

    /// Tells the back what was taken. Gives back the senders who now have room, to be woken after the locks are released.
    pub(super) fn tell(&mut self, back: &mut Back, ports: &[InputPort]) -> Vec<Waker> {
        let n_taken = mem::take(&mut self.n_taken);
        if n_taken == 0 {
            return Vec::new();
        }
        let counts = &mut back.counts(ports)[self.port as usize];
        counts.depth -= n_taken;
        counts.handled += u64::from(n_taken);
        if has_ample_room(counts.depth, &ports[self.port as usize]) { back.take_senders() } else { Vec::new() }
    }

    /// Removes the oldest message of a port.
    pub(super) fn remove_oldest(&mut self, port: u32) -> Option<Work> {
        remove_oldest(&mut self.work, port)
    }
}

impl Back {
    /// The counts of all ports.
    pub(super) fn counts(&mut self, ports: &[InputPort]) -> &mut [Counts] {
        if self.counts.len() != ports.len() {
            self.counts = ports.iter().map(|_| Counts::default()).collect();
        }
        &mut self.counts
    }

    #[inline]
    pub(super) fn is_full(&self, port: u32, ports: &[InputPort]) -> bool {
        // Nothing was ever counted: every queue has room for one.
        self.counts.get(port as usize).is_some_and(|counts| counts.depth >= ports[port as usize].queue)
    }

    #[inline]
    pub(super) fn push(&mut self, port: u32, message: Message, reply: Option<ReplyTo>, ports: &[InputPort]) {
        let counts = &mut self.counts(ports)[port as usize];
        counts.received += 1;
        counts.depth += 1;
        self.work.push_back(Work::Input(port, message, reply));
    }

    pub(super) fn remove_oldest(&mut self, port: u32) -> Option<Work> {
        remove_oldest(&mut self.work, port)
    }

    /// All that waits is taken out or lost.
    pub(super) fn forget_depths(&mut self) {
        self.counts.iter_mut().for_each(|counts| counts.depth = 0);
    }

    pub(super) fn take_senders(&mut self) -> Vec<Waker> {
        self.rare.as_mut().map(|rare| mem::take(&mut rare.senders)).unwrap_or_default()
    }

    pub(super) fn rare(&self) -> Option<&Rare> {
        self.rare.as_deref()
    }

    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The next operation. Operations come in bursts: the memory for them is given back in between.
    pub(super) fn next_op(&mut self) -> Option<(Op, Done)> {
        let next = self.ops.pop_front();
        if self.ops.is_empty() {
            self.ops = VecDeque::new();
        }
        next
    }
}

/// Whether senders that wait may go on: half of the queue is free, so that they need not be woken for each message.
pub(super) fn has_ample_room(depth: u32, port: &InputPort) -> bool {
    depth <= port.queue / 2
}

fn remove_oldest(work: &mut VecDeque<Work>, port: u32) -> Option<Work> {
    let at = work.iter().position(|work| matches!(work, Work::Input(p, ..) if *p == port))?;
    work.remove(at)
}

/// Adds who waits, once.
pub(super) fn enlist(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|known| known.will_wake(waker)) {
        // Mostly there is one.
        if wakers.is_empty() {
            wakers.reserve_exact(1);
        }
        wakers.push(waker.clone());
    }
}
