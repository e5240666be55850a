//! What goes wrong, and the end of it.

use super::{Event, World, check};
use crate::{agenda::MS, trace::Checked};

impl World<'_> {
    pub(super) fn fault(&mut self) {
        let n = self.members.len();
        let (a, b) = (self.chance.idx(n), self.chance.idx(n));
        match self.chance.below(9) {
            0 | 1 => self.crash(a),
            2 => self.heal(),
            // One way only: nobody is told.
            3 => {
                self.trace.say(|| format!("the way from m{a} to m{b} is cut"));
                self.network.cut(a, b);
            }
            4 => {
                let kind = self.chance.below(check::N_KINDS) as u8;
                self.trace.say(|| format!("m{a} gets no messages of kind {kind}"));
                self.network.mute(a, kind);
            }
            5 => {
                let ahead = self.chance.below(400) * MS;
                self.trace.say(|| format!("the clock of m{a} is set"));
                self.members[a].clock.set_ahead(ahead);
            }
            _ => {
                self.heal();
                let side = self.chance.below(1 << n);
                self.trace.say(|| format!("cut into two sides: {side:0n$b}"));
                self.network.split(side);
                for (at, other) in self.network.pairs().filter(|(a, b)| (side >> a & 1) != (side >> b & 1)) {
                    self.agenda.plan(50 * MS, Event::Link { at, other });
                }
            }
        }
    }

    fn heal(&mut self) {
        self.trace.say(|| "all ways are open".to_owned());
        for (at, other) in self.network.pairs() {
            if self.network.is_apart(at, other) {
                self.agenda.plan(60 * MS, Event::Link { at, other });
            }
        }
        self.network.heal();
    }

    pub(super) fn crash(&mut self, at: usize) {
        if self.members[at].protocol.take().is_none() {
            return;
        }
        self.trace.say(|| format!("m{at} crashes"));
        for other in (0..self.members.len()).filter(|other| *other != at) {
            self.agenda.plan(5 * MS, Event::Link { at: other, other: at });
        }
        let pause = self.chance.between(20, 1_800) * MS;
        self.agenda.plan(pause, Event::Restart(at));
    }

    /// From here on nothing bad happens: everyone is there and all get along.
    pub(super) fn calm(&mut self) -> Checked {
        self.trace.say(|| "calm".to_owned());
        self.is_calm = true;
        self.heal();
        self.network.calm();
        for at in 0..self.members.len() {
            self.members[at].clock.set_ahead(0);
            self.members[at].disk_fails = 0;
            if self.members[at].protocol.is_none() {
                self.boot(at)?;
            }
        }
        Ok(())
    }
}
