//! What people send, and what goes wrong.

use enact::logic::{link::Lane, peers::Address};

use super::{BROKEN_MS, Event, MESSAGE_MAX, Packet, World};
use crate::{agenda::MS, trace::Checked};

impl World<'_> {
    pub(super) fn push(&mut self) -> Checked {
        let at = self.chance.idx(self.processes.len());
        if !self.works(at) {
            return Ok(());
        }
        let up: Vec<Address> =
            self.processes[at].views.iter().filter(|(_, view)| view.is_up).map(|(a, _)| a.clone()).collect();
        if up.is_empty() {
            return Ok(());
        }
        let address = up[self.chance.idx(up.len())].clone();
        let Some(link) = self.processes[at].wire_to(&address) else { return Ok(()) };
        let to = self.number_of(&address);
        let n_messages = if self.chance.percent(10) { 1 + self.chance.below(200) } else { 1 + self.chance.below(4) };
        for _ in 0..n_messages {
            let lane = Lane::ALL[self.chance.idx(2)];
            let n_bytes = match self.chance.below(60) {
                // Some of these are on their way whenever a way is cut.
                0 | 1 => self.chance.below(MESSAGE_MAX as u64),
                2..8 => self.chance.below(8_000),
                _ => 32,
            };
            let message = self.ledger.draft(at, to, lane, n_bytes as usize);
            let head = self.chance.idx(20);
            let urgent = self.chance.percent(10);
            let Some(wire) = self.processes[at].wires.get_mut(&link) else { return Ok(()) };
            if wire.link.push(lane, &message[..head], &message.slice(head..), urgent).is_ok() {
                self.ledger.accepted(at, to, lane);
            }
        }
        self.flush(at, link)
    }

    pub(super) fn fault(&mut self) {
        let n = self.n_machines;
        let (a, b) = (self.chance.idx(n), self.chance.idx(n));
        let at = self.chance.idx(self.processes.len());
        match self.chance.below(10) {
            0 | 1 => {
                if self.processes[at].is_alive {
                    self.trace.say(|| format!("#{at} is killed"));
                    self.end(at);
                    let pause = self.chance.between(1, 1_500) * MS;
                    let machine = self.processes[at].named;
                    self.agenda.plan(pause, Event::Start(machine));
                }
            }
            2 => self.heal(),
            3 => {
                self.trace.say(|| format!("the way from machine {a} to machine {b} is cut"));
                self.network.cut(a, b);
                self.note_cuts();
            }
            4 | 5 => {
                let span = self.chance.between(50, 2_500) * MS;
                self.trace.say(|| format!("#{at} hangs for {} ms", span / MS));
                self.processes[at].hangs_until = self.agenda.now() + span;
            }
            6 => {
                let address = self.processes[at].sighting.address.clone();
                if self.works(at) && self.processes[at].is_announced {
                    self.trace.say(|| format!("#{at} says goodbye"));
                    let others: Vec<Address> =
                        self.processes[at].wires.values().map(|wire| wire.address.clone()).collect();
                    others.iter().for_each(|to| self.send(at, to, &Packet::Bye(address.clone())));
                    self.end(at);
                    let machine = self.processes[at].named;
                    self.agenda.plan(300 * MS, Event::Start(machine));
                }
            }
            7 => {
                self.trace.say(|| format!("somebody starts n{a} on machine {b} as well"));
                self.start(b, a);
            }
            _ => {
                self.heal();
                let side = self.chance.below(1 << n);
                self.trace.say(|| format!("cut into two sides: {side:0n$b}"));
                self.network.split(side);
                self.note_cuts();
            }
        }
    }

    fn note_cuts(&mut self) {
        let now = self.agenda.now();
        for (a, b) in self.network.pairs() {
            if !self.network.is_open(a, b) {
                self.cut_since.entry((a, b)).or_insert(now);
            }
        }
        self.agenda.plan(self.lease, Event::Review);
    }

    pub(super) fn heal(&mut self) {
        self.trace.say(|| "all ways are open".to_owned());
        self.network.heal();
        self.cut_since.clear();
        self.agenda.plan(20 * MS, Event::Review);
    }

    /// A process ends, however.
    pub(super) fn end(&mut self, at: usize) {
        self.processes[at].is_alive = false;
        self.agenda.plan(BROKEN_MS * MS, Event::Review);
    }
}
