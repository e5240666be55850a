//! Calls: one asker, many instances. What each is asked costs its asker no future, no timer and no channel of its own.
//!
//! The asker numbers its calls; instances put their answers on its board, from any thread, and it takes them off many at a time.
//! What is late is given up as [`Handle`] says: its code is ended at the next await, and who does not even let go then blocks its
//! thread.

use std::{
    collections::BTreeSet,
    future::poll_fn,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Condition, Failure, Handle, Op,
    handle::GRACE,
    inbox::{Done, Outcome},
};
use crate::words::Deadlines;

/// Where answers are put.
#[derive(Debug, Default)]
struct Board {
    told: Mutex<Told>,
    /// Whether somebody is in `Told::left`.
    has_left: AtomicBool,
}

#[derive(Debug, Default)]
struct Told {
    /// Bounded by the asker: an answer for each call.
    answers: Vec<(u32, Outcome)>,
    /// The asker, when it sleeps.
    asker: Option<Waker>,
    /// The calls that nobody waits for any more.
    left: BTreeSet<u32>,
}

impl Board {
    fn told(&self) -> MutexGuard<'_, Told> {
        // Nothing under the lock can panic halfway through a change.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody waits for the answer to a call.
    fn is_wanted(&self, number: u32) -> bool {
        !self.has_left.load(Ordering::Acquire) || !self.told().left.contains(&number)
    }

    /// Puts an answer up.
    fn put(&self, number: u32, outcome: Outcome) {
        let mut told = self.told();
        told.answers.push((number, outcome));
        let asker = told.asker.take();
        drop(told);
        if let Some(asker) = asker {
            asker.wake();
        }
    }

    /// Nobody waits for the answer any more: what was not begun is not done late.
    fn leave(&self, number: u32) {
        self.told().left.insert(number);
        self.has_left.store(true, Ordering::Release);
    }
}

/// The board, and the number of a call on it. A call shares it with those that had its number before, so that threads that answer
/// many calls do not all count the holders of one board in one place.
#[derive(Debug)]
pub(super) struct Slip {
    board: Arc<Board>,
    number: u32,
}

impl Slip {
    /// Whether somebody waits for the answer to the call.
    pub(super) fn is_wanted(&self) -> bool {
        self.board.is_wanted(self.number)
    }

    /// Puts the answer up.
    pub(super) fn put(&self, outcome: Outcome) {
        self.board.put(self.number, outcome);
    }
}

/// Calls of one asker, each with a key that says what it is about.
#[derive(Debug)]
pub struct Calls<K> {
    board: Arc<Board>,
    calls: Vec<Option<Call<K>>>,
    /// One for each number.
    slips: Vec<Arc<Slip>>,
    /// Numbers that may be given again: their calls were answered.
    free: Vec<u32>,
    deadlines: Deadlines<Instant>,
    /// Those that were answered without being put on the board.
    over: Vec<(K, Outcome)>,
}

#[derive(Debug)]
struct Call<K> {
    /// None when nobody waits for the answer any more.
    key: Option<K>,
    handle: Handle,
    what: &'static str,
    insists: bool,
    limit: Duration,
    until: Instant,
    is_given_up: bool,
}

impl<K> Default for Calls<K> {
    fn default() -> Self {
        Calls {
            board: Arc::default(),
            calls: Vec::new(),
            slips: Vec::new(),
            free: Vec::new(),
            deadlines: Deadlines::default(),
            over: Vec::new(),
        }
    }
}

impl<K> Calls<K> {
    /// Asks an instance something that it has `limit` for. See [`Handle`] for what becomes of it when that is over.
    pub fn ask(&mut self, key: K, handle: Handle, op: Op, limit: Duration) {
        let (what, insists) = (op.name(), op.insists());
        if handle.condition() == Condition::Zombie {
            return self.over.push((key, Err(Failure::Zombie { what: what.to_owned() })));
        }
        let number = self.free.pop().unwrap_or_else(|| {
            // More calls than that do not fit into the memory of a machine.
            let number = self.calls.len() as u32;
            self.calls.push(None);
            self.slips.push(Arc::new(Slip { board: self.board.clone(), number }));
            number
        });
        handle.inbox().put_op(op, Done::on(self.slips[number as usize].clone()));
        let until = Instant::now() + limit;
        self.deadlines.push(limit, until, number);
        let key = Some(key);
        self.calls[number as usize] = Some(Call { key, handle, what, insists, limit, until, is_given_up: false });
    }

    /// How many answers are still to come.
    pub fn n_under_way(&self) -> usize {
        self.over.len() + self.calls.len() - self.free.len()
    }

    /// Waits until there are answers, and takes them.
    pub async fn answers(&mut self) -> Vec<(K, Outcome)> {
        poll_fn(|cx| {
            let mut over = mem::take(&mut self.over);
            let mut told = self.board.told();
            if over.is_empty() && told.answers.is_empty() {
                told.asker.get_or_insert_with(|| cx.waker().clone()).clone_from(cx.waker());
                return Poll::Pending;
            }
            let answers = mem::take(&mut told.answers);
            drop(told);
            over.extend(answers.into_iter().filter_map(|(number, outcome)| self.answered(number, outcome)));
            if over.is_empty() {
                // All of them came too late.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(over)
        })
        .await
    }

    fn answered(&mut self, number: u32, outcome: Outcome) -> Option<(K, Outcome)> {
        let Call { key, what, limit, is_given_up, .. } = self.calls[number as usize].take()?;
        self.free.push(number);
        if key.is_none() {
            self.board.told().left.remove(&number);
        }
        let outcome = if is_given_up { Err(Failure::TimedOut { what: what.to_owned(), limit }) } else { outcome };
        Some((key?, outcome))
    }

    /// When the next call is late.
    pub fn next_deadline(&mut self) -> Option<Instant> {
        self.deadlines.next(is_waited_for(&self.calls)).map(|(until, _)| until)
    }

    /// Gives up what is late.
    pub fn tick(&mut self, now: Instant) {
        while let Some(number) = self.deadlines.pop(now, is_waited_for(&self.calls)) {
            self.late(number, now);
        }
    }

    fn late(&mut self, number: u32, now: Instant) {
        let Some(call) = &mut self.calls[number as usize] else { return };
        let (what, limit) = (call.what.to_owned(), call.limit);
        let failure = if !call.insists {
            Failure::TimedOut { what, limit }
        } else if call.is_given_up {
            call.handle.inbox().set_condition(Condition::Zombie);
            Failure::Zombie { what }
        } else {
            call.is_given_up = true;
            call.until = now + GRACE;
            self.deadlines.push(GRACE, call.until, number);
            return call.handle.inbox().abort();
        };
        if let Some(key) = call.key.take() {
            self.board.leave(number);
            self.over.push((key, Err(failure)));
        }
    }
}

/// Whether a deadline is that of a call that is still waited for.
fn is_waited_for<K>(calls: &[Option<Call<K>>]) -> impl Fn(Instant, u32) -> bool {
    move |until, number| calls[number as usize].as_ref().is_some_and(|call| call.key.is_some() && call.until == until)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::time::advance;

    use super::*;
    use crate::{
        model::Kind,
        runtime::instance::{Inbox, inbox::Event},
        words::{ComponentName, InstancePath, NodeName, Value},
    };

    const LIMIT: Duration = Duration::from_secs(1);

    fn instance() -> Handle {
        let path = InstancePath::Component(NodeName::parse("n").unwrap(), ComponentName::parse("c").unwrap());
        Handle::new(Inbox::new(path, Kind::Component, 1, Arc::from([]), None))
    }

    /// What an instance was asked last.
    fn asked(handle: &Handle) -> Option<Done> {
        match handle.inbox().next(false).now_or_never()? {
            Event::Op(_, done) => Some(done),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn each_answer_comes_under_its_key_whoever_is_faster() {
        let (mut calls, all) = (Calls::default(), [(); 4].map(|()| instance()));
        for (key, handle) in all.iter().enumerate() {
            calls.ask(key, handle.clone(), Op::Start, LIMIT);
        }
        assert!(calls.answers().now_or_never().is_none());
        asked(&all[2]).unwrap().send(Ok(Value::Bool(true)));
        asked(&all[1]).unwrap().send(Err(Failure::NoArbiter));
        // One is asked nothing more, and one ends: neither will ever answer.
        drop(asked(&all[3]).unwrap());
        drop(all[0].inbox().close());
        let answers = calls.answers().await;
        let expected = [
            (2, Ok(Value::Bool(true))),
            (1, Err(Failure::NoArbiter)),
            (3, Err(Failure::Gone)),
            (0, Err(Failure::Gone)),
        ];
        assert_eq!((answers.as_slice(), calls.n_under_way()), (expected.as_slice(), 0));
        calls.ask(9, all[1].clone(), Op::Start, LIMIT);
        asked(&all[1]).unwrap().send(Ok(Value::Null));
        assert_eq!(calls.answers().await, [(9, Ok(Value::Null))]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_late_is_given_up_and_who_does_not_let_go_is_a_zombie() {
        let (mut calls, [slow, stuck]) = (Calls::default(), [(); 2].map(|()| instance()));
        calls.ask("slow", slow.clone(), Op::Start, LIMIT);
        calls.ask("stuck", stuck.clone(), Op::Start, LIMIT);
        let (slow_done, stuck_done) = (asked(&slow).unwrap(), asked(&stuck).unwrap());
        let begun = Instant::now();
        assert_eq!(calls.next_deadline(), Some(begun + LIMIT));
        calls.tick(begun);
        advance(LIMIT).await;
        calls.tick(Instant::now());
        assert!(calls.answers().now_or_never().is_none(), "both have a little longer");
        slow_done.send(Ok(Value::Null));
        let late = |what: &str| Failure::TimedOut { what: what.to_owned(), limit: LIMIT };
        assert_eq!(calls.answers().await, [("slow", Err(late("start")))]);
        assert_eq!(calls.next_deadline(), Some(begun + LIMIT + GRACE));
        advance(GRACE).await;
        calls.tick(Instant::now());
        let zombie = || Failure::Zombie { what: "start".to_owned() };
        assert_eq!(calls.answers().await, [("stuck", Err(zombie()))]);
        assert_eq!((stuck.condition(), calls.next_deadline()), (Condition::Zombie, None));
        stuck_done.send(Ok(Value::Null));
        calls.ask("again", stuck.clone(), Op::Start, LIMIT);
        assert_eq!(calls.answers().await, [("again", Err(zombie()))], "at once");
        assert!(calls.answers().now_or_never().is_none(), "what comes too late is heard by nobody");
        assert_eq!(calls.n_under_way(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_waits_for_any_more_is_not_done_late() {
        let (mut calls, busy) = (Calls::default(), instance());
        calls.ask((), busy.clone(), Op::Snapshot, LIMIT);
        advance(LIMIT).await;
        calls.tick(Instant::now());
        let late = Failure::TimedOut { what: "snapshot".to_owned(), limit: LIMIT };
        assert_eq!(calls.answers().await, [((), Err(late))], "who only asks insists on nothing");
        assert!(asked(&busy).is_none());
        assert!(calls.answers().now_or_never().is_none());
        assert_eq!(calls.n_under_way(), 0);
        calls.ask((), busy.clone(), Op::Snapshot, LIMIT);
        assert!(asked(&busy).is_some(), "the number is good for another question");
    }
}
