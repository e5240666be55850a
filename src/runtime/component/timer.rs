//! Timers of a component: they fire in its own turn, between messages, and end when it stops.

use std::{borrow::Cow, future::Future, pin::Pin, task::Context, time::Duration};

use futures_util::future::LocalBoxFuture;
use tokio::time::{Instant, Sleep, sleep};

use super::{Behaviour, Ctx};

type NowJob<C> = Box<dyn FnMut(&mut C, &mut Ctx<C>)>;

/// What a timer does: at once, or in a future that borrows the component.
pub(super) enum Job<C: Behaviour> {
    Now(NowJob<C>),
    Later(Box<dyn AsyncJob<C>>),
}

/// An async closure behind a table.
pub(super) trait AsyncJob<C: Behaviour> {
    fn start<'a>(&'a mut self, component: &'a mut C, ctx: &'a mut Ctx<C>) -> LocalBoxFuture<'a, ()>;
}

impl<C: Behaviour, F: AsyncFnMut(&mut C, &mut Ctx<C>)> AsyncJob<C> for F {
    fn start<'a>(&'a mut self, component: &'a mut C, ctx: &'a mut Ctx<C>) -> LocalBoxFuture<'a, ()> {
        Box::pin(self(component, ctx))
    }
}

pub(super) struct Timer<C: Behaviour> {
    pub(super) name: Cow<'static, str>,
    /// `None` fires once.
    period: Option<Duration>,
    sleep: Pin<Box<Sleep>>,
    pub(super) job: Job<C>,
}

impl<C: Behaviour> Timer<C> {
    pub(super) fn new(name: Cow<'static, str>, delay: Duration, repeat: bool, job: Job<C>) -> Timer<C> {
        // A period of zero would leave no time for anything else.
        let delay = delay.max(Duration::from_millis(1));
        Timer { name, period: repeat.then_some(delay), sleep: Box::pin(sleep(delay)), job }
    }

    pub(super) fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        self.sleep.as_mut().poll(cx).is_ready()
    }

    /// Winds the timer up again; false when it fires once only. Beats that were missed are left out.
    pub(super) fn wind(&mut self) -> bool {
        let Some(period) = self.period else { return false };
        let (next, now) = (self.sleep.deadline() + period, Instant::now());
        self.sleep.as_mut().reset(if next > now { next } else { now + period });
        true
    }
}

/// The timers of a component. Empty takes no memory of its own.
pub(super) struct Timers<C: Behaviour> {
    all: Vec<Timer<C>>,
    /// The timer that fires now, and whether it was cancelled or replaced meanwhile.
    firing: Option<(Cow<'static, str>, bool)>,
}

impl<C: Behaviour> Default for Timers<C> {
    fn default() -> Self {
        Timers { all: Vec::new(), firing: None }
    }
}

impl<C: Behaviour> Timers<C> {
    pub(super) fn add(&mut self, timer: Timer<C>) {
        self.cancel(&timer.name);
        self.all.push(timer);
    }

    pub(super) fn cancel(&mut self, name: &str) {
        self.all.retain(|timer| timer.name != name);
        if let Some((_, cancelled)) = self.firing.as_mut().filter(|(firing, _)| firing == name) {
            *cancelled = true;
        }
    }

    pub(super) fn cancel_all(&mut self) {
        self.all.clear();
        if let Some((_, cancelled)) = &mut self.firing {
            *cancelled = true;
        }
    }

    /// Takes out a timer that is due; to be given back with [`Timers::fired`].
    pub(super) fn take_due(&mut self, cx: &mut Context<'_>) -> Option<Timer<C>> {
        let at = self.all.iter_mut().position(|timer| timer.is_due(cx))?;
        // Removed in order, so that timers that are due together fire in the order in which they were made.
        let timer = self.all.remove(at);
        self.firing = Some((timer.name.clone(), false));
        Some(timer)
    }

    pub(super) fn fired(&mut self, mut timer: Timer<C>) {
        let cancelled = self.firing.take().is_some_and(|(_, cancelled)| cancelled);
        if !cancelled && timer.wind() {
            self.all.push(timer);
        }
    }
}
