//! Stamps: hybrid logical timestamps (uhlc's) that order all writes of a group, and the clock that gives them.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uhlc::NTP64;

use crate::words::{NodeName, Time};

/// Who stamped: derived from the node's name, so that it needs no agreement.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(u64);

impl Origin {
    /// As a number, never 0.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The origin that a node stamps with.
    pub fn of(node: &NodeName) -> Origin {
        let hash = blake3::hash(node.as_str().as_bytes());
        let bytes: [u8; 8] = hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes");
        // Zero is no uhlc identity.
        Origin(u64::from_le_bytes(bytes).max(1))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// When a write was made, and by whom: totally ordered, and later than everything its author had seen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    ntp: u64,
    origin: Origin,
}

impl Stamp {
    /// A stamp of given parts.
    pub fn new(ntp: u64, origin: Origin) -> Stamp {
        Stamp { ntp, origin: Origin(origin.0.max(1)) }
    }

    /// Who stamped.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The time in 2^-32 seconds since the epoch.
    pub fn ntp(&self) -> u64 {
        self.ntp
    }

    /// The time of day, rounded to microseconds.
    pub fn time(&self) -> Time {
        let (secs, fraction) = (self.ntp() >> 32, self.ntp() & 0xffff_ffff);
        Time(secs * 1_000_000 + ((fraction * 1_000_000) >> 32))
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:?}", self.time(), self.origin())
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.ntp(), self.origin()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Stamp, D::Error> {
        let (ntp, origin) = <(u64, Origin)>::deserialize(deserializer)?;
        Ok(Stamp::new(ntp, origin))
    }
}

/// A time of day in a stamp's unit; the last that has one (in 2106) for all that come after it.
pub(super) fn ntp_of(time: Time) -> u64 {
    const LAST: u64 = (u32::MAX as u64 + 1) * 1_000_000 - 1;
    NTP64::from(Duration::from_micros(time.micros().min(LAST))).as_u64()
}

/// A clock, or a stamp of it, that is further ahead of ours than we accept: one of the two is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its clock is {} ms ahead of this node's (accepted: {} ms); check the clocks of both machines", ahead.as_millis(), max.as_millis())]
pub struct TooFarAhead {
    /// How far.
    pub ahead: Duration,
    /// How far is accepted.
    pub max: Duration,
}

/// Gives stamps that always grow, whatever the time of day does.
#[derive(Clone, Debug)]
pub struct Clock {
    origin: Origin,
    last_ntp: u64,
    ahead_max: Duration,
}

impl Clock {
    /// A clock that stamps as `origin` and accepts stamps at most `ahead_max` in the future.
    pub fn new(origin: Origin, ahead_max: Duration) -> Clock {
        Clock { origin, last_ntp: 0, ahead_max }
    }

    /// Who it stamps as.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The next stamp: now, or just after the latest one seen when that is later.
    pub fn tick(&mut self, now: Time) -> Stamp {
        self.last_ntp = ntp_of(now).max(self.last_ntp.saturating_add(1));
        Stamp::new(self.last_ntp, self.origin)
    }

    /// Whether a stamp from elsewhere may be believed at this time.
    ///
    /// # Errors
    /// [`TooFarAhead`] says by how much it is not.
    pub fn check(&self, now: Time, stamp: Stamp) -> Result<(), TooFarAhead> {
        self.check_time(now, stamp.time())
    }

    /// Whether it may be believed at this time that another one is past.
    ///
    /// # Errors
    /// [`TooFarAhead`] says by how much it is not.
    pub fn check_time(&self, now: Time, past: Time) -> Result<(), TooFarAhead> {
        let ahead = past.since(now);
        if ahead > self.ahead_max { Err(TooFarAhead { ahead, max: self.ahead_max }) } else { Ok(()) }
    }

    /// Makes all later stamps greater than this one.
    pub fn observe(&mut self, stamp: Stamp) {
        self.last_ntp = self.last_ntp.max(stamp.ntp());
    }

    /// Makes all later stamps later than this time. What was written up to the floor counts as removed: a clock that is wrong by
    /// more than the horizon must not stamp there.
    pub fn pass(&mut self, time: Time) {
        self.last_ntp = self.last_ntp.max(ntp_of(time + Duration::from_micros(1)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_grow_even_when_the_time_of_day_is_set_back() {
        let mut clock = Clock::new(Origin::of(&NodeName::parse("n").unwrap()), Duration::from_secs(1));
        let first = clock.tick(Time::from_ms(5_000));
        let second = clock.tick(Time::from_ms(1_000));
        assert!(second > first);
        let elsewhere = Stamp::new(ntp_of(Time::from_ms(5_500)), Origin::of(&NodeName::parse("m").unwrap()));
        assert!(clock.check(Time::from_ms(5_000), elsewhere).is_ok());
        assert!(clock.check(Time::from_ms(4_000), elsewhere).is_err());
        clock.observe(elsewhere);
        assert!(clock.tick(Time::from_ms(1_000)) > elsewhere);
        assert!(elsewhere.time().since(Time(5_499_998)) <= Duration::from_micros(2), "within rounding");
        clock.pass(Time::from_ms(9_000));
        assert!(clock.tick(Time::from_ms(1_000)).time() > Time::from_ms(9_000));
        clock.pass(Time::NEVER);
        assert!(clock.tick(Time::NEVER).time() > Time::from_ms(9_000), "there are stamps at the end of time");
    }
}
