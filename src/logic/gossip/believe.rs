//! How far a member believes what others say: what no honest one can have written is refused, and told. What is merged stays for good
//! and is passed on, so that one wrong word would be everybody's.

use std::collections::BTreeMap;

use super::{Full, Origin, Replica, Revision, Stamp, TooFarAhead};
use crate::words::Time;

/// The highest number of a revision that who knows none yet believes, at the beginning of time, and one more each microsecond: far
/// from the last, so that there is one after it, and who knows none when that one was pushed believes that one too.
pub(super) const NUMBER_MAX: u64 = u64::MAX / 2;

/// So far beyond the highest number that is known may the next one be: a push a second for a hundred years. Were it any number, one
/// revision could take the group to where there is no next one.
pub(super) const NUMBERS_AHEAD_MAX: u64 = u32::MAX as u64;

/// Of so many nodes, present and past, a group knows revisions: a vector of 1.5 MB, which goes with each question.
pub(super) const ORIGINS_MAX: usize = 65_536;

/// Why the word of a member is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbelievable {
    /// Something in it has not happened yet.
    #[error(transparent)]
    TooFarAhead(#[from] TooFarAhead),
    /// A revision has a number to which nobody can have counted.
    #[error("a revision has the number {number}, and the highest that can follow here is {max}")]
    Number {
        /// The number.
        number: u64,
        /// The highest that is believed.
        max: u64,
    },
    /// It would make more nodes known than a group can have had.
    #[error("it knows of revisions of {n} nodes, and a group can have had {ORIGINS_MAX}")]
    Origins {
        /// How many would be known.
        n: usize,
    },
}

impl Replica {
    /// Whether a revision may be believed at this time.
    pub(super) fn believe(&self, now: Time, revision: &Revision) -> Result<(), Unbelievable> {
        self.clock.check(now, revision.stamp)?;
        follows(now, self.history.number_max(), revision)?;
        self.has_room_for([&revision.stamp.origin()])
    }

    /// Whether it may be believed at this time that all up to these stamps is known to someone.
    pub(super) fn believe_vector(&self, now: Time, vector: &BTreeMap<Origin, Stamp>) -> Result<(), Unbelievable> {
        vector.values().try_for_each(|stamp| self.clock.check(now, *stamp))?;
        self.has_room_for(vector.keys())
    }

    /// Whether all that someone says to know may be believed at this time.
    pub(super) fn believe_all(&self, now: Time, full: &Full) -> Result<(), Unbelievable> {
        self.clock.check_time(now, full.registers.floor())?;
        full.latest().map_or(Ok(()), |latest| self.clock.check(now, latest))?;
        full.conflicts.iter().try_for_each(|conflict| self.clock.check(now, conflict.loser.stamp))?;
        let mut number_max = self.history.number_max();
        for (revision, _) in &full.log {
            follows(now, number_max, revision)?;
            number_max = number_max.max(revision.id.number);
        }
        self.believe_vector(now, &full.vector)
    }

    /// Whether so many nodes may be known.
    fn has_room_for<'a>(&self, origins: impl IntoIterator<Item = &'a Origin>) -> Result<(), Unbelievable> {
        let n_new = origins.into_iter().filter(|origin| !self.vector.contains_key(origin)).count();
        let n = self.vector.len() + n_new;
        if n_new > 0 && n > ORIGINS_MAX { Err(Unbelievable::Origins { n }) } else { Ok(()) }
    }
}

/// Whether a revision can have its number at this time, when this is the highest that is known.
fn follows(now: Time, known: u64, revision: &Revision) -> Result<(), Unbelievable> {
    let max =
        if known == 0 { NUMBER_MAX.saturating_add(now.micros()) } else { known.saturating_add(NUMBERS_AHEAD_MAX) };
    let number = revision.id.number;
    if number > max { Err(Unbelievable::Number { number, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
