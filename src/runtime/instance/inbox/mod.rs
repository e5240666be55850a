//! The inbox of an instance: bounded queues for its input ports, and a lane for what the node wants, which goes first.
//!
//! Everyone who holds a `Handle` or an `Inlet` puts in; the instance's shell alone takes out, one at a time, in order. Putting
//! in takes one short lock and wakes the shell only when it sleeps, so a busy receiver costs its senders no wake-ups.

mod condition;
mod event;
mod gate;
mod port;
mod put;
mod queue;
mod run;
mod take;
#[cfg(test)]
mod tests;

use std::{
    fmt, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, Waker},
};

use super::{Cradle, Failure};
use crate::{model::Kind, words::InstancePath};

pub use condition::Condition;
pub use event::{Done, Event, Op, Outcome, Turn};
pub(in crate::runtime) use gate::Gate;
pub use port::{Counts, InputPort, Overflow, QUEUE_DEFAULT};
pub(in crate::runtime) use put::Batch;
pub use run::{Crash, panic_text};

use queue::{Back, Front, enlist};

/// Closures that wait for their turn on one instance (`Me::ask`, `Me::tell`); more are refused.
pub const TURNS_MAX: usize = 1024;

/// The inbox of an instance.
///
/// In this order: what the shell touches for each message, what nobody touches, what senders touch. So the processor's caches
/// of two threads do not fight over one line.
#[repr(C)]
pub struct Inbox {
    front: Mutex<Front>,
    condition: AtomicU8,
    has_ops: AtomicBool,
    abort: AtomicBool,
    kind: Kind,
    path: InstancePath,
    life: u64,
    ports: Arc<[InputPort]>,
    /// The way to the thread that the instance lives on.
    cradle: Option<Cradle>,
    back: Mutex<Back>,
}

impl Inbox {
    /// The inbox of a new instance. Channels and groups have no `ports`; one that was not born in a cradle has none.
    pub fn new(
        path: InstancePath,
        kind: Kind,
        life: u64,
        ports: Arc<[InputPort]>,
        cradle: Option<Cradle>,
    ) -> Arc<Inbox> {
        Arc::new(Inbox {
            front: Mutex::default(),
            condition: AtomicU8::new(Condition::Created as u8),
            has_ops: AtomicBool::new(false),
            abort: AtomicBool::new(false),
            kind,
            path,
            life,
            ports,
            cradle,
            back: Mutex::default(),
        })
    }

    /// The half that the shell takes from. Who locks both locks this one first.
    fn front(&self) -> MutexGuard<'_, Front> {
        // Nothing under the locks runs code of users, so a poisoned lock still guards a whole state.
        self.front.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The half that others put into.
    fn back(&self) -> MutexGuard<'_, Back> {
        self.back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose inbox it is.
    pub fn path(&self) -> &InstancePath {
        &self.path
    }

    /// What the instance is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Which life of the instance.
    pub fn life(&self) -> u64 {
        self.life
    }

    /// The input ports.
    pub fn ports(&self) -> &[InputPort] {
        &self.ports
    }

    /// What the instance is doing.
    pub fn condition(&self) -> Condition {
        Condition::from_u8(self.condition.load(Ordering::Acquire))
    }

    /// Says what the instance is doing; the shell's business (and the handle's, for zombies).
    pub fn set_condition(&self, condition: Condition) {
        self.condition.store(condition as u8, Ordering::Release);
        let mut back = self.back();
        let watchers = if back.rare().is_some() { mem::take(&mut back.rare_mut().watchers) } else { Vec::new() };
        drop(back);
        watchers.into_iter().for_each(Waker::wake);
    }

    /// Ready with the condition as soon as it is another than `seen`.
    pub fn poll_condition(&self, seen: Condition, cx: &mut Context<'_>) -> Poll<Condition> {
        let mut back = self.back();
        // Under the lock: who changes it afterwards finds the waker.
        let now = self.condition();
        if now != seen {
            return Poll::Ready(now);
        }
        enlist(&mut back.rare_mut().watchers, cx.waker());
        Poll::Pending
    }

    /// Notes why the instance failed.
    pub fn fail(&self, cause: Failure) {
        self.back().rare_mut().cause = Some(cause);
        self.set_condition(Condition::Failed);
    }

    /// Why the instance failed last.
    pub fn cause(&self) -> Option<Failure> {
        self.back().rare().and_then(|rare| rare.cause.clone())
    }
}

/// Whose it is.
impl fmt::Display for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inbox({} {}, {})", self.kind, self.path, self.condition())
    }
}
