//! Runs of worlds: one seed, or many over all cores.

use std::{
    backtrace::Backtrace,
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
};

use crate::{
    trace::{Checked, Telling, Trace, Violation},
    worlds::World,
};

/// How one seed went.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) violation: Option<Violation>,
    pub(crate) n_steps: u64,
    pub(crate) hash: u64,
    pub(crate) lines: Vec<String>,
}

/// A seed that showed a violation.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) world: World,
    pub(crate) seed: u64,
    pub(crate) violation: Violation,
    /// The last lines of its trace.
    pub(crate) lines: Vec<String>,
    /// The violation did not come again when the seed was run again: something in it is not by the seed.
    pub(crate) is_unsteady: bool,
}

/// How many seeds went.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) n_seeds: u64,
    pub(crate) n_steps: u64,
    /// In order of the seeds.
    pub(crate) failures: Vec<Failure>,
}

/// So many failing seeds are enough to begin with.
const FAILURES_MAX: usize = 5;

/// Runs one seed of a world.
pub(crate) fn one(world: World, seed: u64, telling: Telling) -> Run {
    let mut trace = Trace::new(telling);
    let outcome = catching(|| world.run(seed, &mut trace));
    let violation = outcome.err();
    if let Some(violation) = &violation {
        trace.say(|| format!("VIOLATED: {}", violation.invariant));
    }
    Run { violation, n_steps: trace.n_steps(), hash: trace.hash(), lines: trace.into_lines() }
}

/// Runs the seeds of a range, on so many threads; `progress` hears of each.
pub(crate) fn many(world: World, seeds: std::ops::Range<u64>, n_jobs: usize, progress: &(impl Fn() + Sync)) -> Tally {
    let next = AtomicU64::new(seeds.start);
    let enough = AtomicBool::new(false);
    let tally = Mutex::new(Tally::default());
    let work = || {
        let mut own = Tally::default();
        while !enough.load(Relaxed) {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= seeds.end {
                break;
            }
            let run = one(world, seed, Telling::Nothing);
            own.n_seeds += 1;
            own.n_steps += run.n_steps;
            if let Some(violation) = run.violation {
                own.failures.push(again(world, seed, violation));
            }
            if own.failures.len() >= FAILURES_MAX {
                enough.store(true, Relaxed);
            }
            progress();
        }
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.n_seeds += own.n_seeds;
        tally.n_steps += own.n_steps;
        tally.failures.append(&mut own.failures);
    };
    thread::scope(|scope| {
        for _ in 0..n_jobs.max(1) {
            scope.spawn(work);
        }
    });
    let mut tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    tally.failures.sort_by_key(|failure| failure.seed);
    tally.failures.truncate(FAILURES_MAX);
    tally
}

/// Runs a failing seed again, with its story.
fn again(world: World, seed: u64, violation: Violation) -> Failure {
    let run = one(world, seed, Telling::Last);
    let is_unsteady = run.violation.as_ref() != Some(&violation);
    Failure { world, seed, violation, lines: run.lines, is_unsteady }
}

// ------------------------------------------------------------------------------------------------------------- panics

/// What code that is told to panic says: that is no violation.
pub(crate) const ORDERED: &str = "as ordered";

thread_local! {
    /// Whether a world lives on this thread.
    static IS_WORLD: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<Violation>> = const { RefCell::new(None) };
}

/// A panic in the code under test is a violation, with its place.
fn catching(run: impl FnOnce() -> Checked) -> Checked {
    IS_WORLD.set(true);
    drop(noted_panic());
    let ended = panic::catch_unwind(AssertUnwindSafe(run));
    IS_WORLD.set(false);
    match ended {
        Ok(checked) => checked,
        Err(_) => {
            let noted = PANIC.with_borrow_mut(Option::take);
            Err(noted.unwrap_or_else(|| panicked("a panic of which nothing is known".to_owned())))
        }
    }
}

fn panicked(detail: String) -> Violation {
    Violation { invariant: "nothing panics".to_owned(), detail }
}

/// A panic that something on this thread has caught.
pub(crate) fn noted_panic() -> Option<Violation> {
    PANIC.with_borrow_mut(Option::take)
}

/// Notes the panics of worlds instead of printing them. To be called once, before any world runs.
pub(crate) fn note_panics() {
    let elsewhere = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !IS_WORLD.get() {
            return elsewhere(info);
        }
        let trace = Backtrace::capture();
        let detail = match trace.status() {
            std::backtrace::BacktraceStatus::Captured => format!("{info}\n{trace}"),
            _ => info.to_string(),
        };
        if !detail.contains(ORDERED) {
            PANIC.with_borrow_mut(|noted| *noted = Some(panicked(detail)));
        }
    }));
}
