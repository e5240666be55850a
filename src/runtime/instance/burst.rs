//! Bursts: instances that are woken together cost a wake-up of their thread instead of one each.
//!
//! To wake a thread that sleeps takes microseconds; to tell an instance to start takes less than one. Who tells ten thousand, one
//! at a time, would find their threads asleep again each time. So while a burst is gathered, wake-ups wait for its end.

use std::{
    cell::RefCell,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use super::cradle::Waiting;

/// So many wake-ups end a burst: by then they cost little each, and the threads should not wait for longer.
const GATHERED_MAX: usize = 128;

/// A wake-up that waits for the end of its burst.
enum Gathered {
    Shell(Waker),
    Cradle(Waiting),
}

thread_local! {
    /// The wake-ups of the burst that is gathered on this thread.
    static GATHERED: RefCell<Option<Vec<Gathered>>> = const { RefCell::new(None) };
}

/// Runs a future; the wake-ups of instances that it brings about in one go are done together, before it waits.
pub async fn gather<T>(deeds: impl Future<Output = T>) -> T {
    let mut deeds = pin!(deeds);
    std::future::poll_fn(|cx: &mut Context<'_>| -> Poll<T> {
        let burst = Burst::begin();
        let polled = deeds.as_mut().poll(cx);
        drop(burst);
        polled
    })
    .await
}

/// Wakes the shell of an instance, at the end of the burst if there is one.
pub(super) fn wake_shell(shell: Waker) {
    if let Some(Gathered::Shell(shell)) = wait(Gathered::Shell(shell)) {
        shell.wake();
    }
}

/// Sends an arbiter to its births, at the end of the burst if there is one. False when the arbiter has ended.
pub(super) fn wake_cradle(waiting: Waiting) -> bool {
    match wait(Gathered::Cradle(waiting)) {
        Some(Gathered::Cradle(waiting)) => waiting.serve(),
        _ => true,
    }
}

/// Puts a wake-up to the others of the burst; gives it back when there is none.
fn wait(wake_up: Gathered) -> Option<Gathered> {
    let full = GATHERED.with_borrow_mut(|gathered| match gathered {
        Some(all) => {
            all.push(wake_up);
            Ok((all.len() >= GATHERED_MAX).then(|| std::mem::take(all)))
        }
        None => Err(wake_up),
    });
    match full {
        Ok(full) => {
            wake_all(full.unwrap_or_default());
            None
        }
        Err(wake_up) => Some(wake_up),
    }
}

fn wake_all(gathered: Vec<Gathered>) {
    for wake_up in gathered {
        match wake_up {
            Gathered::Shell(shell) => shell.wake(),
            Gathered::Cradle(waiting) => drop(waiting.serve()),
        }
    }
}

/// A burst, from its beginning to its end; a panic ends it, too.
struct Burst {
    outer: Option<Vec<Gathered>>,
}

impl Burst {
    fn begin() -> Burst {
        Burst { outer: GATHERED.replace(Some(Vec::new())) }
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        wake_all(GATHERED.replace(self.outer.take()).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::Wake,
    };

    use futures_util::FutureExt;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn wake_ups_wait_for_the_end_of_their_burst_and_none_is_lost() {
        let count = Arc::new(Count::default());
        let woken = || count.0.load(Ordering::Relaxed);
        let wake = || wake_shell(Waker::from(count.clone()));
        wake();
        assert_eq!(woken(), 1, "without a burst at once");
        let mut burst = Box::pin(gather(async {
            (0..3).for_each(|_| wake());
            assert_eq!(woken(), 1);
            tokio::task::yield_now().await;
            assert_eq!(woken(), 4, "whoever waits lets them go");
            (0..GATHERED_MAX + 1).for_each(|_| wake());
            assert_eq!(woken(), 4 + GATHERED_MAX, "a burst has an end");
            panic!("halfway");
        }));
        assert!((&mut burst).now_or_never().is_none());
        assert!(std::panic::AssertUnwindSafe(burst).catch_unwind().await.is_err());
        assert_eq!(woken(), 5 + GATHERED_MAX);
    }
}
