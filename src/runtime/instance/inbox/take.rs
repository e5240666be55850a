//! Taking out of an inbox: the shell alone, and who takes over what an instance leaves behind.

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    sync::{MutexGuard, atomic::Ordering},
    task::{Context, Poll, Waker},
};

use super::{
    Counts, Event, Inbox,
    queue::{Back, Front, Work},
};
use crate::{runtime::instance::Message, words::PortName};

impl Inbox {
    /// The next event: operations first; then, in order, closures and (when `inputs`) messages.
    pub fn poll_next(&self, inputs: bool, cx: &mut Context<'_>) -> Poll<Event> {
        loop {
            if self.has_ops.load(Ordering::Acquire)
                && let Some(event) = self.next_op()
            {
                return Poll::Ready(event);
            }
            let mut front = self.front();
            if !inputs {
                return self.poll_turn(front, cx);
            }
            match front.work.pop_front() {
                Some(Work::Input(port, message, reply)) => {
                    self.note_taken(front, port);
                    return Poll::Ready(Event::Input(port as usize, message, reply));
                }
                Some(Work::Turn(turn)) => {
                    self.back().n_turns -= 1;
                    return Poll::Ready(Event::Turn(turn));
                }
                None if self.refill(front, cx) => {}
                None => return Poll::Pending,
            }
        }
    }

    /// The next event, when the shell has nothing else to wait for.
    pub async fn next(&self, inputs: bool) -> Event {
        poll_fn(|cx| self.poll_next(inputs, cx)).await
    }

    fn next_op(&self) -> Option<Event> {
        let mut back = self.back();
        while let Some((op, done)) = back.next_op() {
            // What nobody waits for any more is not done late.
            if done.is_wanted() {
                return Some(Event::Op(op, done));
            }
        }
        // Under the lock: who adds one afterwards says so again.
        self.has_ops.store(false, Ordering::Release);
        None
    }

    #[inline]
    fn note_taken(&self, mut front: MutexGuard<'_, Front>, port: u32) {
        if front.is_of_another(port) {
            self.tell(&mut front);
        }
        if front.note(port, &self.ports) {
            self.tell(&mut front);
        }
    }

    fn tell(&self, front: &mut Front) {
        let senders = front.tell(&mut self.back(), &self.ports);
        senders.into_iter().for_each(Waker::wake);
    }

    /// The front is empty: changes it for the back. False when that is empty too: then the shell is woken when something comes.
    fn refill(&self, mut front: MutexGuard<'_, Front>, cx: &Context<'_>) -> bool {
        let mut back = self.back();
        let senders = front.tell(&mut back, &self.ports);
        let is_more = !back.work.is_empty() || !back.ops.is_empty();
        if is_more {
            let Back { work, .. } = &mut *back;
            // It begins at its beginning again: what is used stays in the processor's cache.
            front.work.clear();
            mem::swap(&mut front.work, work);
        } else {
            fall_asleep(&mut back, cx);
        }
        drop((front, back));
        senders.into_iter().for_each(Waker::wake);
        is_more
    }

    /// The next closure, while messages have to wait.
    fn poll_turn(&self, mut front: MutexGuard<'_, Front>, cx: &Context<'_>) -> Poll<Event> {
        let mut back = self.back();
        let senders = front.tell(&mut back, &self.ports);
        let mut polled = Poll::Pending;
        if back.n_turns > 0
            && let Some(turn) = remove_turn(&mut front.work).or_else(|| remove_turn(&mut back.work))
        {
            back.n_turns -= 1;
            polled = Poll::Ready(Event::Turn(turn));
        } else if back.ops.is_empty() {
            fall_asleep(&mut back, cx);
        } else {
            // An operation came after the look at the lane.
            cx.waker().wake_by_ref();
        }
        drop((front, back));
        senders.into_iter().for_each(Waker::wake);
        polled
    }

    /// What each input port has seen.
    pub fn counts(&self) -> Vec<(PortName, Counts)> {
        let mut front = self.front();
        let mut back = self.back();
        let senders = front.tell(&mut back, &self.ports);
        let counts = back.counts(&self.ports).to_vec();
        drop((front, back));
        senders.into_iter().for_each(Waker::wake);
        self.ports.iter().map(|port| port.name.clone()).zip(counts).collect()
    }

    /// Closes for good: who waits is told, the messages still queued come back.
    pub fn close(&self) -> Vec<(PortName, Message)> {
        let mut front = self.front();
        let mut back = self.back();
        back.is_closed = true;
        let ops = mem::take(&mut back.ops);
        back.n_turns = 0;
        let work = self.empty(&mut front, &mut back);
        let senders = back.take_senders();
        drop((front, back));
        senders.into_iter().for_each(Waker::wake);
        drop(ops);
        work.into_iter().filter_map(|work| self.input(work)).collect()
    }

    /// Takes out the messages that wait, for an instance that takes over.
    pub fn take_waiting(&self) -> Vec<(PortName, Message)> {
        let mut front = self.front();
        let mut back = self.back();
        let work = self.empty(&mut front, &mut back);
        let (inputs, turns) = work.into_iter().partition(|work| matches!(work, Work::Input(..)));
        let inputs: VecDeque<Work> = inputs;
        front.work = turns;
        let senders = back.take_senders();
        drop((front, back));
        senders.into_iter().for_each(Waker::wake);
        inputs.into_iter().filter_map(|work| self.input(work)).collect()
    }

    fn empty(&self, front: &mut Front, back: &mut Back) -> VecDeque<Work> {
        let senders = front.tell(back, &self.ports);
        if !senders.is_empty() {
            back.rare_mut().senders = senders;
        }
        back.forget_depths();
        let mut work = mem::take(&mut front.work);
        work.append(&mut mem::take(&mut back.work));
        work
    }

    fn input(&self, work: Work) -> Option<(PortName, Message)> {
        match work {
            Work::Input(port, message, _) => Some((self.ports[port as usize].name.clone(), message)),
            Work::Turn(_) => None,
        }
    }
}

fn remove_turn(work: &mut VecDeque<Work>) -> Option<super::Turn> {
    let at = work.iter().position(|work| matches!(work, Work::Turn(_)))?;
    match work.remove(at) {
        Some(Work::Turn(turn)) => Some(turn),
        _ => None,
    }
}

fn fall_asleep(back: &mut Back, cx: &Context<'_>) {
    match &mut back.shell {
        Some(waker) => waker.clone_from(cx.waker()),
        none => *none = Some(cx.waker().clone()),
    }
}
