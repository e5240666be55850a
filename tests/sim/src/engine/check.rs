//! The invariants of the world of engines.

use std::time::Duration;

use enact::logic::{
    link::{FRAME_MAX_BYTES, Lane},
    peers::{DownReason, Peer},
};

use super::{MESSAGE_MAX, TICK_MS, World, process::Process};
use crate::{
    agenda::MS,
    trace::{Checked, hold},
};

impl World<'_> {
    /// Nothing is kept beyond the bounds, at neither end.
    pub(super) fn check_bounds(&self, at: usize, link: u64) -> Checked {
        let Some(wire) = self.processes[at].wires.get(&link) else { return Ok(()) };
        // Replies may use as much again; one message more may wait, and one frame go beyond the window.
        let bound: usize = Lane::ALL
            .map(|lane| {
                2 * self.limits.queue_bytes[lane as usize]
                    + self.limits.window_bytes[lane as usize]
                    + MESSAGE_MAX
                    + 3 * FRAME_MAX_BYTES
            })
            .iter()
            .sum();
        let held = wire.link.queued_bytes();
        hold!(held <= bound, "a link keeps within its bounds", "#{at} holds {held} bytes for {:?}", wire.peer);
        for lane in Lane::ALL {
            let (waits, window) = (wire.backlog_bytes[lane as usize], self.limits.window_bytes[lane as usize]);
            hold!(
                waits <= window + FRAME_MAX_BYTES,
                "a sender sends no more than was granted",
                "{waits} bytes wait at #{at} on {lane:?}, {window} were granted"
            );
        }
        Ok(())
    }

    /// Who is up for a process, and who should not be.
    pub(super) fn check_process(&self, at: usize) -> Checked {
        let (process, now) = (&self.processes[at], self.agenda.now());
        // After this silence who is gone is known to be, whether the network tells or not, give or take some ticks and the drift of clocks.
        let bound = self.times.silent.as_micros() as u64 * 11 / 10 + 6 * TICK_MS * MS;
        for (address, view) in process.views.iter().filter(|(_, view)| view.is_up) {
            hold!(!view.is_out_of_sight, "who is cut off is down after the lease", "#{at} on {address}: {view:?}");
            let silence = self.time(at).since(view.heard_at_most).as_micros() as u64;
            let awake = now - process.awake_since;
            hold!(
                silence <= bound || awake <= bound,
                "who is silent for too long is down",
                "#{at} has not heard of {address} for {} ms",
                silence / MS
            );
            if !view.is_suspected {
                // A tick that is late, but not so late that it counts as sleep, adds to it.
                let link = process.wire_to(address).and_then(|link| process.wires.get(&link));
                let is_slow = link.is_some_and(|wire| wire.link.hears_slowly());
                let suspect = if is_slow { self.times.suspect_slow } else { self.times.suspect };
                let bound = suspect.as_micros() as u64 * 3 / 2 + 4 * TICK_MS * MS;
                hold!(
                    silence <= bound || awake <= bound,
                    "who is silent for some time is suspected",
                    "#{at} has not heard of {address} for {} ms",
                    silence / MS
                );
            }
        }
        Ok(())
    }

    pub(super) fn check_up(&self, at: usize, peer: &Peer) -> Checked {
        let process = &self.processes[at];
        for other in self.processes.iter().filter(|other| other.sighting.peer.name == peer.name) {
            let is_up = process.views.get(&other.sighting.address).is_some_and(|view| view.is_up);
            let is_same = other.sighting.peer.incarnation == peer.incarnation;
            hold!(!is_up || is_same, "of one name one life is up", "#{at}: {peer:?} beside {:?}", other.sighting.peer);
        }
        Ok(())
    }

    pub(super) fn check_suspected(&mut self, at: usize, peer: &Peer) -> Checked {
        let (now, suspect) = (self.time(at), self.times.suspect);
        let silence = now.since(self.view(at, &peer.name, peer.incarnation).heard);
        // Who is told of it by a watcher may have heard a little later than that one.
        let sooner = Duration::from_millis(if self.is_told_of_silence { 300 } else { 0 });
        hold!(
            silence + sooner > suspect,
            "nobody is suspected while signs of life arrive",
            "#{at} suspects {peer:?} after {silence:?}"
        );
        Ok(())
    }

    pub(super) fn check_down(&mut self, at: usize, peer: &Peer, reason: DownReason) -> Checked {
        let (now, silent) = (self.time(at), self.times.silent);
        let view = *self.view(at, &peer.name, peer.incarnation);
        let silence = now.since(view.heard);
        let is_right = match reason {
            DownReason::Left => view.is_gone,
            DownReason::Unreachable => view.is_gone || silence > silent,
            DownReason::Replaced => self.processes.iter().any(|other| {
                other.sighting.peer.name == peer.name && other.sighting.peer.incarnation > peer.incarnation
            }),
        };
        hold!(is_right, "nobody is down while signs of life arrive", "#{at}: {peer:?} {reason} after {silence:?}");
        Ok(())
    }

    /// A process takes its name: nobody else of it is there who could have said so.
    pub(super) fn check_name(&self, at: usize) -> Checked {
        let process = &self.processes[at];
        let is_here = |other: &&Process| {
            let open = other.machine == process.machine
                || self.network.is_open(other.machine, process.machine)
                    && self.network.is_open(process.machine, other.machine);
            other.is_alive
                && other.is_announced
                && other.sighting.peer.name == process.sighting.peer.name
                && other.sighting.address != process.sighting.address
                && other.machine == process.machine
                && open
                // It announced itself before this one came, and has not hung since.
                && other.awake_since + 1_500 * MS < self.agenda.now()
                && other.hangs_until + 1_500 * MS < self.agenda.now()
        };
        let rival = self.processes.iter().find(is_here).map(|other| &other.sighting.address);
        hold!(rival.is_none(), "a name is used once", "#{at} takes the name of {rival:?}");
        Ok(())
    }

    /// When all has been calm for long enough.
    pub(super) fn check_end(&self) -> Checked {
        let alive: Vec<usize> = (0..self.processes.len()).filter(|at| self.processes[*at].is_alive).collect();
        for &at in &alive {
            let process = &self.processes[at];
            for &other in alive.iter().filter(|other| **other != at) {
                let address = &self.processes[other].sighting.address;
                hold!(
                    process.sighting.peer.name != self.processes[other].sighting.peer.name,
                    "in the end a name is used once",
                    "#{at} and #{other} are both {}",
                    process.sighting.peer.name
                );
                let view = process.views.get(address).copied().unwrap_or_default();
                hold!(view.is_up && !view.is_suspected, "in the end all are up for all", "#{at} on #{other}: {view:?}");
                self.ledger.check_arrived(at, other)?;
            }
            let ups = process.views.values().filter(|view| view.is_up).count();
            hold!(ups == alive.len() - 1, "in the end only who lives is up", "#{at} has {ups} of {}", alive.len() - 1);
            for wire in process.wires.values().filter(|wire| self.processes[self.number_of(&wire.address)].is_alive) {
                hold!(wire.link.is_flushed(), "in the end nothing waits", "#{at} to {:?}", wire.peer);
            }
        }
        hold!(alive.len() >= self.n_machines, "in the end all run", "{alive:?}");
        Ok(())
    }
}
