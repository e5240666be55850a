//! What a world has done: its last lines for people, and a hash of everything for the question whether it happened again.

use std::collections::VecDeque;

/// Lines of the trace that a failing seed shows.
const RING_LINES: usize = 40;

/// How much of the story is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// Only the hash: the fast way.
    Nothing,
    /// The last lines.
    Last,
    /// Each line is printed as it happens.
    All,
}

/// The story of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    telling: Telling,
    now: u64,
    last: VecDeque<String>,
    hash: u64,
    n_steps: u64,
}

impl Trace {
    /// The beginning.
    pub(crate) fn new(telling: Telling) -> Trace {
        Trace { telling, now: 0, last: VecDeque::new(), hash: 0xcbf2_9ce4_8422_2325, n_steps: 0 }
    }

    /// A step at this moment; `mark` is anything that tells it from other steps.
    pub(crate) fn step(&mut self, now: u64, mark: u64) {
        self.now = now;
        self.n_steps += 1;
        self.mix(now);
        self.mix(mark);
    }

    /// Something that must be the same when the seed runs again.
    pub(crate) fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash ^= self.hash >> 29;
    }

    /// A line for people. The text is only made when somebody will read it.
    pub(crate) fn say(&mut self, text: impl FnOnce() -> String) {
        let line = match self.telling {
            Telling::Nothing => return,
            Telling::Last | Telling::All => {
                let (ms, us) = (self.now / 1000, self.now % 1000);
                format!("{ms:>7}.{us:03} ms  {}", text())
            }
        };
        if self.telling == Telling::All {
            println!("{line}");
        }
        if self.last.len() == RING_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// The hash of all steps.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// How many steps there were.
    pub(crate) fn n_steps(&self) -> u64 {
        self.n_steps
    }

    /// The last lines.
    pub(crate) fn into_lines(self) -> Vec<String> {
        self.last.into()
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// What should always be so.
    pub(crate) invariant: String,
    /// What was so instead.
    pub(crate) detail: String,
}

/// How a run, or a part of it, ends.
pub(crate) type Checked = Result<(), Violation>;

/// Leaves the function with a violation unless the condition holds.
macro_rules! hold {
    ($holds:expr, $invariant:expr, $($detail:tt)+) => {
        if !$holds {
            return Err($crate::trace::Violation { invariant: $invariant.to_owned(), detail: format!($($detail)+) });
        }
    };
}
pub(crate) use hold;
