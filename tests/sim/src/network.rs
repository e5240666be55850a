//! The ways between members: they lose, double, delay and thereby reorder; they are cut in one direction or both.

use std::collections::BTreeSet;

use crate::{
    agenda::{MS, Micros},
    chance::Chance,
};

/// What messages meet on their way, between members that are known by their number.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    n_members: usize,
    /// The share of messages that get lost, and that arrive twice, in percent.
    loss: u64,
    duplication: u64,
    /// The usual delay at most, and that of the few that dawdle.
    delay_max: Micros,
    dawdle_max: Micros,
    cuts: BTreeSet<(usize, usize)>,
    /// Kinds of messages that do not get through to somebody, though all others do.
    muted: BTreeSet<(usize, u8)>,
}

/// The most copies of a message that arrive.
const COPIES_MAX: usize = 2;

/// Of a hundred messages so many dawdle.
const DAWDLE_PERCENT: u64 = 5;

impl Network {
    /// Some network for so many members: from calm to awful.
    pub(crate) fn some(chance: &mut Chance, n_members: usize) -> Network {
        Network {
            n_members,
            loss: if chance.percent(30) { 0 } else { chance.below(25) },
            duplication: chance.below(15),
            delay_max: chance.between(MS / 2, 40 * MS),
            dawdle_max: chance.between(50 * MS, 600 * MS),
            cuts: BTreeSet::new(),
            muted: BTreeSet::new(),
        }
    }

    /// Nothing is lost or cut any more, and nothing dawdles.
    pub(crate) fn calm(&mut self) {
        (self.loss, self.duplication, self.dawdle_max) = (0, 0, self.delay_max);
        self.heal();
    }

    /// After so long each message on its way has arrived.
    pub(crate) fn slowest(&self) -> Micros {
        self.delay_max.max(self.dawdle_max)
    }

    /// The delays after which the copies of a message arrive; none when it gets lost.
    pub(crate) fn send(&self, chance: &mut Chance, from: usize, to: usize, kind: u8) -> impl Iterator<Item = Micros> {
        let blocked = self.cuts.contains(&(from, to)) || self.muted.contains(&(to, kind));
        let n_copies = match blocked || chance.percent(self.loss) {
            true => 0,
            false => 1 + usize::from(chance.percent(self.duplication)),
        };
        let mut delays = [0; COPIES_MAX];
        for delay in &mut delays[..n_copies] {
            let slowest = if chance.percent(DAWDLE_PERCENT) { self.slowest() } else { self.delay_max };
            *delay = 1 + chance.below(slowest);
        }
        delays.into_iter().take(n_copies)
    }

    /// Whether messages get from one to the other.
    pub(crate) fn is_open(&self, from: usize, to: usize) -> bool {
        !self.cuts.contains(&(from, to))
    }

    /// Whether neither hears the other.
    pub(crate) fn is_apart(&self, a: usize, b: usize) -> bool {
        !self.is_open(a, b) && !self.is_open(b, a)
    }

    /// Cuts one way only.
    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        if from != to {
            self.cuts.insert((from, to));
        }
    }

    /// Cuts the members into two sides; `side` has a bit for each.
    pub(crate) fn split(&mut self, side: u64) {
        for a in 0..self.n_members {
            for b in (0..self.n_members).filter(|b| (side >> a & 1) != (side >> b & 1)) {
                self.cuts.insert((a, b));
            }
        }
    }

    /// Messages of one kind do not reach a member.
    pub(crate) fn mute(&mut self, to: usize, kind: u8) {
        self.muted.insert((to, kind));
    }

    /// All ways are open again.
    pub(crate) fn heal(&mut self) {
        self.cuts.clear();
        self.muted.clear();
    }

    /// Pairs of members, each in both orders.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let n = self.n_members;
        (0..n).flat_map(move |a| (0..n).filter(move |b| *b != a).map(move |b| (a, b)))
    }
}
