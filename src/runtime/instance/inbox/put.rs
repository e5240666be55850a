//! Putting into an inbox, from any thread.

use std::{
    mem,
    sync::{MutexGuard, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use tokio::sync::oneshot;

use super::{
    Done, Inbox, Op, Outcome, Overflow, TURNS_MAX, Turn,
    queue::{Back, Work, enlist, has_ample_room},
};
use crate::runtime::instance::{Message, Refused, ReplyTo, Why};

/// Messages that are put in under one lock: their receiver waits no longer than that for its turn with the lock.
const BATCH_MAX: u32 = 64;

impl Inbox {
    /// Puts in what the node wants. The receiver ends at once when the instance is gone.
    pub fn request(&self, op: Op) -> oneshot::Receiver<Outcome> {
        let (done, outcome) = oneshot::channel();
        self.put_op(op, Done::new(done));
        outcome
    }

    /// Puts in what the node wants, and who is told what came of it.
    pub(in crate::runtime::instance) fn put_op(&self, op: Op, done: Done) {
        let mut back = self.back();
        if back.is_closed {
            // Told after the lock is released.
            drop(back);
            return drop(done);
        }
        if back.ops.capacity() == 0 {
            // Mostly it is one, and there may be a million instances.
            back.ops.reserve_exact(1);
        }
        back.ops.push_back((op, done));
        self.has_ops.store(true, Ordering::Release);
        let shell = back.shell.take();
        drop(back);
        match (shell, &self.cradle) {
            (Some(shell), Some(cradle)) => cradle.wake(shell),
            (Some(shell), None) => shell.wake(),
            (None, _) => {}
        }
    }

    /// Puts in a message for the port of an index.
    ///
    /// # Errors
    /// [`Refused`] when the port's queue is full (see [`Overflow`]) or the instance is gone.
    pub fn put(&self, port: usize, message: Message, reply: Option<ReplyTo>) -> Result<(), Refused> {
        let mut back = self.back();
        if back.is_closed {
            return Err(Refused { message, why: Why::Closed });
        }
        if back.is_full(port as u32, &self.ports) {
            drop(back);
            return self.put_into_full(port, message, reply);
        }
        back.push(port as u32, message, reply, &self.ports);
        wake(back);
        Ok(())
    }

    /// Puts many messages in with few locks.
    pub(in crate::runtime) fn batch(&self, port: usize) -> Batch<'_> {
        Batch { inbox: self, port, back: None, n_put: 0 }
    }

    /// The queue of the port is full, or seems so: does what its policy says.
    #[cold]
    fn put_into_full(&self, port: usize, message: Message, reply: Option<ReplyTo>) -> Result<(), Refused> {
        let spec = &self.ports[port];
        if spec.overflow == Overflow::Wait {
            return Err(Refused { message, why: Why::Full });
        }
        // Both halves are looked at: nothing is lost that there is room for.
        let mut front = self.front();
        let mut back = self.back();
        let senders = front.tell(&mut back, &self.ports);
        let mut displaced = None;
        let mut refused = None;
        if back.is_closed {
            refused = Some(Why::Closed);
        } else if back.is_full(port as u32, &self.ports) {
            let counts = &mut back.counts(&self.ports)[port];
            if spec.overflow == Overflow::DropOldest {
                counts.depth -= 1;
                counts.dropped += 1;
                displaced = front.remove_oldest(port as u32).or_else(|| back.remove_oldest(port as u32));
            } else {
                counts.refused += 1;
                refused = Some(Why::Overflow);
            }
        }
        let taken = match refused {
            Some(why) => Err(Refused { message, why }),
            None => {
                back.push(port as u32, message, reply, &self.ports);
                Ok(())
            }
        };
        drop(front);
        wake(back);
        senders.into_iter().for_each(Waker::wake);
        // Dropped after the locks: the message's own `drop` is code of users.
        drop(displaced);
        taken
    }

    /// Puts in a closure.
    ///
    /// # Errors
    /// The closure, when too many wait already or the instance is gone.
    pub fn put_turn(&self, turn: Turn) -> Result<(), Turn> {
        let mut back = self.back();
        if back.is_closed || back.n_turns >= TURNS_MAX {
            return Err(turn);
        }
        back.n_turns += 1;
        back.work.push_back(Work::Turn(turn));
        wake(back);
        Ok(())
    }

    /// Ready when the port has ample room, or the instance is gone.
    pub fn poll_room(&self, port: usize, cx: &mut Context<'_>) -> Poll<()> {
        let mut front = self.front();
        let mut back = self.back();
        let senders = front.tell(&mut back, &self.ports);
        drop(front);
        let depth = back.counts(&self.ports)[port].depth;
        let is_ready = back.is_closed || has_ample_room(depth, &self.ports[port]);
        if !is_ready {
            enlist(&mut back.rare_mut().senders, cx.waker());
        }
        drop(back);
        senders.into_iter().for_each(Waker::wake);
        if is_ready { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Messages put into one port in a row.
pub(in crate::runtime) struct Batch<'a> {
    inbox: &'a Inbox,
    port: usize,
    back: Option<MutexGuard<'a, Back>>,
    n_put: u32,
}

impl Batch<'_> {
    /// Like [`Inbox::put`]. The inbox stays locked: call nothing of it, and no code of users, before [`Batch::release`].
    pub(in crate::runtime) fn put(&mut self, message: Message) -> Result<(), Refused> {
        let (port, ports) = (self.port as u32, &self.inbox.ports);
        let back = self.back.get_or_insert_with(|| self.inbox.back());
        if back.is_closed || back.is_full(port, ports) {
            self.release();
            return self.inbox.put(self.port, message, None);
        }
        back.push(port, message, None, ports);
        self.n_put += 1;
        if self.n_put >= BATCH_MAX {
            self.release();
        }
        Ok(())
    }

    /// Unlocks the inbox, and wakes its shell if it sleeps.
    pub(in crate::runtime) fn release(&mut self) {
        self.n_put = 0;
        if let Some(back) = self.back.take() {
            wake(back);
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

/// Unlocks, then wakes the shell if it sleeps.
pub(super) fn wake(mut back: MutexGuard<'_, Back>) {
    let shell = mem::take(&mut back.shell);
    drop(back);
    if let Some(waker) = shell {
        waker.wake();
    }
}
