//! Bursts: threads that get many errands in one go are woken once for all of them.
//!
//! To wake a thread that sleeps takes microseconds; to tell an instance to start takes less than one. Who tells ten thousand, one
//! at a time, would find their threads asleep again each time. So while a burst is gathered, arbiters are sent to their errands
//! at its end.

use std::{
    cell::RefCell,
    future::Future,
    pin::pin,
    task::{Context, Poll},
};

use super::cradle::Waiting;

thread_local! {
    /// The arbiters that the burst which is gathered on this thread has errands for.
    static GATHERED: RefCell<Option<Vec<Waiting>>> = const { RefCell::new(None) };
}

/// Runs a future; arbiters are sent together to the errands that it gives them in one go, before it waits.
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

/// Sends an arbiter to its errands, at the end of the burst if there is one. False when the arbiter has ended.
pub(super) fn send(waiting: Waiting) -> bool {
    let now = GATHERED.with_borrow_mut(|gathered| match gathered {
        Some(all) => {
            all.push(waiting);
            None
        }
        None => Some(waiting),
    });
    now.is_none_or(Waiting::serve)
}

/// Sends all arbiters to the errands that they have by now.
pub(super) fn send_all() {
    serve(GATHERED.with_borrow_mut(|gathered| gathered.as_mut().map(std::mem::take)));
}

fn serve(gathered: Option<Vec<Waiting>>) {
    for waiting in gathered.into_iter().flatten() {
        // One that has ended takes its errands along, unheard.
        waiting.serve();
    }
}

/// A burst, from its beginning to its end; a panic ends it, too.
struct Burst {
    outer: Option<Vec<Waiting>>,
}

impl Burst {
    fn begin() -> Burst {
        Burst { outer: GATHERED.replace(Some(Vec::new())) }
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        serve(GATHERED.replace(self.outer.take()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use actix_rt::{Arbiter, System};
    use futures_util::FutureExt;

    use super::{super::Cradle, *};

    #[test]
    fn errands_wait_for_the_end_of_their_burst_and_none_is_lost() {
        System::new().block_on(async {
            let arbiter = Arbiter::new();
            let (tx, rx) = mpsc::channel();
            let tell_in = |cradle: &Cradle, n: u64| {
                let tx = tx.clone();
                assert!(cradle.spawn_fn(move || tx.send(n).unwrap()));
            };
            tell_in(&Cradle::from(arbiter.handle()), 0);
            assert_eq!(rx.recv(), Ok(0), "without a burst at once");
            let cradle = Cradle::from(arbiter.handle());
            let tell = |n| tell_in(&cradle, n);
            let mut burst = Box::pin(gather(async {
                (1..=3).for_each(tell);
                assert!(rx.try_recv().is_err(), "not yet");
                tokio::task::yield_now().await;
                assert!((1..=3).all(|n| rx.recv() == Ok(n)), "whoever waits lets them go");
                (4..400).for_each(tell);
                assert_eq!(rx.recv(), Ok(4), "a burst has an end");
                panic!("halfway");
            }));
            assert!((&mut burst).now_or_never().is_none());
            assert!(std::panic::AssertUnwindSafe(burst).catch_unwind().await.is_err());
            assert!((5..400).all(|n| rx.recv() == Ok(n)));
            arbiter.stop();
        });
    }
}
