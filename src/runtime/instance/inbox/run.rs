//! Running an instance's own code: its panics are caught, and it can be given up at its next await.

use std::{
    any::Any,
    cell::Cell,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::atomic::Ordering,
    task::{Context, Poll},
};

use super::Inbox;

/// Why work did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Crash {
    /// It panicked, saying this.
    Panicked(String),
    /// It was given up, since it did not end and something else waited for it.
    Aborted,
}

thread_local! {
    /// The inbox whose instance's code runs on this thread now.
    static AT_WORK: Cell<usize> = const { Cell::new(0) };
}

impl Inbox {
    /// Asks the shell to give up the work that it is in the middle of.
    pub fn abort(&self) {
        self.abort.store(true, Ordering::Release);
        let waker = self.back().rare_mut().at_work.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Runs the instance's own code: a panic is caught, and [`Inbox::abort`] ends it at its next await.
    ///
    /// # Errors
    /// [`Crash`] says which of the two.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, Crash> {
        let mut work = pin!(work);
        poll_fn(|cx| self.poll_run(work.as_mut(), cx)).await
    }

    /// A step of [`Inbox::run`], for who has a place for the future. It is not polled again after it is ready.
    pub(in crate::runtime) fn poll_run<T>(
        &self,
        work: Pin<&mut impl Future<Output = T>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<T, Crash>> {
        let outer = AT_WORK.replace(self.token());
        let polled = catch_unwind(AssertUnwindSafe(|| work.poll(cx)));
        AT_WORK.set(outer);
        match polled {
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(panic) => Poll::Ready(Err(Crash::Panicked(panic_text(&*panic)))),
            Ok(Poll::Pending) if self.take_abort(cx) => Poll::Ready(Err(Crash::Aborted)),
            Ok(Poll::Pending) => Poll::Pending,
        }
    }

    /// Whether the code that runs on this thread at this moment is the instance's own.
    pub fn is_at_work(&self) -> bool {
        AT_WORK.get() == self.token()
    }

    fn token(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn take_abort(&self, cx: &mut Context<'_>) -> bool {
        if self.abort.swap(false, Ordering::AcqRel) {
            return true;
        }
        self.back().rare_mut().at_work = Some(cx.waker().clone());
        // Asked between the look and the lock: nobody saw the waker then.
        self.abort.swap(false, Ordering::AcqRel)
    }
}

/// What a panic said.
pub fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no reason given".to_owned())
}
