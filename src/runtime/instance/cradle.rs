//! The cradle: takes the births of instances to the thread that they will live on, and wakes them there later.

use std::{
    fmt, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

use actix_rt::{Arbiter, ArbiterHandle};

use super::burst;

/// After so many errands whoever else lives on the thread has a turn: some ten microseconds.
const ERRANDS_IN_A_ROW: usize = 64;

/// After so many errands that wait their arbiter is sent to them, even in the middle of a burst: it should not wait for longer.
const GATHERED_MAX: usize = 128;

/// A thread that instances live on: its own, or, in simulations, the one that the node itself lives on.
#[derive(Debug)]
pub struct Thread(Option<Arbiter>);

impl Thread {
    /// Starts a thread.
    pub fn start() -> Thread {
        Thread(Some(Arbiter::new()))
    }

    /// The thread that asks.
    pub fn here() -> Thread {
        Thread(None)
    }

    /// The way to it for instances.
    pub fn cradle(&self) -> Cradle {
        Cradle::at(self.0.as_ref().map(Arbiter::handle))
    }

    /// Ends it, if it was started.
    pub fn stop(&self) {
        if let Some(arbiter) = &self.0 {
            arbiter.stop();
        }
    }
}

/// What is to be done on an arbiter.
enum Errand {
    /// An instance is born.
    Birth(Box<dyn FnOnce() + Send>),
    /// One that sleeps is woken: from its own thread that costs next to nothing, from another it would cost a system call.
    Wake(Waker),
}

/// Takes births to an arbiter, and later wakes those that were born there. What comes while the arbiter is still at the last
/// errands goes with them, so that ten thousand cost a handful of wake-ups. Cheap to clone.
#[derive(Clone)]
pub struct Cradle(Waiting);

/// The errands that wait for an arbiter.
#[derive(Clone)]
pub(super) struct Waiting(Arc<Shared>);

struct Shared {
    /// The thread; none where births are at home on the thread that asks for them.
    arbiter: Option<ArbiterHandle>,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// Bounded by who asks: the node waits for the births of a plan, and no more steps are under way than its limits say. Who
    /// sleeps is woken once.
    errands: Vec<Errand>,
    is_served: bool,
}

impl Cradle {
    fn at(arbiter: Option<ArbiterHandle>) -> Cradle {
        Cradle(Waiting(Arc::new(Shared { arbiter, queue: Mutex::default() })))
    }

    /// Runs `birth` on the arbiter, after those before it. False when the arbiter has ended; one that ends before its turn has
    /// come is dropped unheard.
    pub fn spawn_fn(&self, birth: impl FnOnce() + Send + 'static) -> bool {
        self.put(Errand::Birth(Box::new(birth)))
    }

    /// Wakes an instance that was born here. When its arbiter has ended, nobody is there to be woken.
    pub(super) fn wake(&self, sleeper: Waker) {
        self.put(Errand::Wake(sleeper));
    }

    /// Puts an errand to those that wait, and sends the arbiter to them. False when it has ended.
    fn put(&self, errand: Errand) -> bool {
        let (n_waiting, is_served) = {
            let mut queue = self.0.lock();
            queue.errands.push(errand);
            (queue.errands.len(), mem::replace(&mut queue.is_served, true))
        };
        if !is_served {
            return burst::send(self.0.clone());
        }
        if n_waiting.is_multiple_of(GATHERED_MAX) {
            burst::send_all();
        }
        true
    }
}

impl From<ArbiterHandle> for Cradle {
    fn from(arbiter: ArbiterHandle) -> Cradle {
        Cradle::at(Some(arbiter))
    }
}

impl fmt::Debug for Cradle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cradle({:?})", self.0.0.arbiter)
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing under the lock can panic halfway through a change.
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the arbiter to its errands. False when it has ended.
    pub(super) fn serve(self) -> bool {
        let arbiter = self.0.arbiter.clone();
        let service = Service { waiting: self, is_over: false }.run();
        match arbiter {
            Some(arbiter) => arbiter.spawn(service),
            None => {
                actix_rt::spawn(service);
                true
            }
        }
    }
}

/// Serves a queue until it is empty. Dropped before that (`is_over`), the arbiter has ended, and the queue with it.
struct Service {
    waiting: Waiting,
    is_over: bool,
}

impl Service {
    async fn run(mut self) {
        loop {
            let errands = {
                let mut queue = self.waiting.lock();
                if queue.errands.is_empty() {
                    // From here on the queue is the next one's, whoever puts something in.
                    queue.is_served = false;
                    self.is_over = true;
                    return;
                }
                mem::take(&mut queue.errands)
            };
            let mut n_in_a_row = 0;
            for errand in errands {
                match errand {
                    Errand::Wake(sleeper) => sleeper.wake(),
                    Errand::Birth(birth) => {
                        if catch_unwind(AssertUnwindSafe(birth)).is_err() {
                            tracing::error!("an instance could not be born: its shell panicked");
                        }
                    }
                }
                n_in_a_row += 1;
                if n_in_a_row == ERRANDS_IN_A_ROW {
                    n_in_a_row = 0;
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let undone = {
            let mut queue = self.waiting.lock();
            queue.is_served = false;
            mem::take(&mut queue.errands)
        };
        drop(undone);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use actix_rt::{Arbiter, System};

    use super::*;

    #[test]
    fn births_come_in_order_whatever_becomes_of_one_of_them() {
        System::new().block_on(async {
            let arbiter = Arbiter::new();
            let cradle = Cradle::from(arbiter.handle());
            let (tx, rx) = mpsc::channel();
            for n in 0..1000 {
                let tx = tx.clone();
                assert!(cradle.spawn_fn(move || {
                    assert_ne!(n, 500, "not this one");
                    tx.send(n).unwrap();
                }));
            }
            drop(tx);
            assert!(rx.iter().eq((0..500).chain(501..1000)));
            arbiter.stop();
        });
    }

    #[test]
    fn nothing_is_lost_between_the_end_of_a_service_and_the_beginning_of_the_next() {
        System::new().block_on(async {
            let arbiter = Arbiter::new();
            let cradle = Cradle::from(arbiter.handle());
            let (tx, rx) = mpsc::channel();
            for n in 0..20_000 {
                let tx = tx.clone();
                cradle.spawn_fn(move || tx.send(n).unwrap());
                // The service ends again and again, in the very moment that the next birth comes.
                std::hint::spin_loop();
            }
            drop(tx);
            assert!(rx.iter().eq(0..20_000));
            arbiter.stop();
        });
    }

    #[test]
    fn a_thread_that_has_ended_takes_nothing_and_keeps_nothing() {
        System::new().block_on(async {
            let arbiter = Arbiter::new();
            let cradle = Cradle::from(arbiter.handle());
            let (tx, rx) = mpsc::channel::<()>();
            let (late, block) = (tx.clone(), mpsc::channel::<()>());
            let (go_on, wait) = block;
            cradle.spawn_fn(move || wait.recv().unwrap_or(()));
            arbiter.stop();
            cradle.spawn_fn(move || drop(late));
            drop((tx, go_on));
            arbiter.join().unwrap();
            assert!(rx.recv().is_err(), "what the last ones held is let go");
            assert!(!cradle.spawn_fn(|| ()));
        });
    }
}
