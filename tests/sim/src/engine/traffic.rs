//! What goes over the network: greetings, frames, goodbyes; and who sees whom.

use std::collections::BTreeSet;

use enact::{
    logic::{link::FRAME_MAX_BYTES, peers::Address},
    words::Time,
};

use super::{Event, Packet, World};
use crate::{
    agenda::MS,
    trace::{Checked, hold},
};

impl World<'_> {
    pub(super) fn send(&mut self, from: usize, to: &Address, packet: &Packet) {
        let to = self.number_of(to);
        let (a, b) = (self.processes[from].machine, self.processes[to].machine);
        if a == b {
            self.agenda.plan(MS / 10, Event::Arrive(to, packet.clone()));
            return;
        }
        for delay in self.network.send(&mut self.chance, a, b, 0) {
            self.agenda.plan(delay, Event::Arrive(to, packet.clone()));
        }
    }

    pub(super) fn arrive(&mut self, to: usize, packet: Packet) -> Checked {
        let now = self.time(to);
        self.trace.step(self.agenda.now(), 100 + to as u64);
        let mut effects = Vec::new();
        match packet {
            Packet::Frame(frame) => {
                hold!(frame.len() <= FRAME_MAX_BYTES, "frames keep within their size", "{} bytes", frame.len());
                let taken = self.processes[to].receive(now, &frame);
                hold!(taken.is_ok(), "what a link sends can be read", "#{to}: {taken:?}");
                if let Ok(Some(link)) = taken {
                    let address = self.processes[to].wires[&link].address.clone();
                    let from = self.number_of(&address);
                    let waits = self.processes[to].backlogs.get(&address).is_some_and(|waits| !waits.is_empty());
                    let view = self.processes[to].views.entry(address).or_default();
                    (view.heard, view.heard_at_most, view.is_out_of_sight) = (now, now, false);
                    if waits {
                        let takes = self.chance.below(self.slow_max + 1);
                        self.agenda.plan(takes, Event::Serve(to, from));
                    }
                    self.flush(to, link)?;
                }
            }
            Packet::Hello(hello) => {
                self.trace.say(|| {
                    format!("#{to} is greeted by {} (link {} yours {})", hello.address, hello.link, hello.yours)
                });
                let address = Address(hello.address.as_str().into());
                let view = self.processes[to].views.entry(address).or_default();
                (view.heard_at_most, view.is_out_of_sight) = (now, false);
                self.processes[to].peers.greeted(now, hello, &mut effects);
            }
            Packet::Refusal(refusal) => self.processes[to].peers.refused(refusal, &mut effects),
            Packet::Bye(address) => {
                self.processes[to].views.entry(address.clone()).or_default().is_gone = true;
                self.processes[to].peers.left(now, &address, &mut effects);
            }
            Packet::Doubt(doubt) => {
                effects = self.processes[to].listen();
                self.processes[to].peers.doubted(now, &doubt, &mut effects);
                self.is_told_of_silence = true;
            }
        }
        let done = self.obey(to, effects);
        self.is_told_of_silence = false;
        done
    }

    /// Sends what a link has to send, and sees when it will have more.
    pub(super) fn flush(&mut self, at: usize, link: u64) -> Checked {
        let now = self.time(at);
        let mut frames = Vec::new();
        let Some(wire) = self.processes[at].wires.get_mut(&link) else { return Ok(()) };
        while let Some((_, frame)) = wire.link.poll(now) {
            frames.push(frame);
            hold!(frames.len() < 10_000, "a link comes to rest", "#{at} sends and sends on link {link}");
        }
        let address = wire.address.clone();
        let deadline = wire.link.deadline();
        hold!(
            deadline > now,
            "a link that has nothing to send says when it will have",
            "#{at} link {link}: {deadline} at {now}"
        );
        // Clocks drift, timers are late: the outbox wakes a little too soon or too late.
        let after = deadline.since(now).as_micros() as u64 + self.chance.below(MS);
        let wakes_at = self.agenda.now() + after;
        if deadline != Time::NEVER && wakes_at < wire.wakes_at {
            wire.wakes_at = wakes_at;
            self.agenda.plan(after, Event::Wake(at, link));
        }
        for frame in frames {
            self.send(at, &address, &Packet::Frame(frame));
        }
        self.check_bounds(at, link)
    }

    pub(super) fn serve(&mut self, at: usize, from: usize) -> Checked {
        let address = self.processes[from].sighting.address.clone();
        let Some(backlog) = self.processes[at].backlogs.get_mut(&address) else { return Ok(()) };
        let Some(arrived) = backlog.pop_front() else { return Ok(()) };
        if !backlog.is_empty() {
            let takes = self.chance.below(self.slow_max + 1);
            self.agenda.plan(takes, Event::Serve(at, from));
        }
        for message in &arrived.messages {
            self.ledger.arrived(from, at, arrived.lane, message)?;
        }
        if let Some(wire) = self.processes[at].wires.get_mut(&arrived.link) {
            wire.consumed(&arrived);
        }
        self.flush(at, arrived.link)
    }

    /// Who sees whom now.
    pub(super) fn review(&mut self) -> Checked {
        let now = self.agenda.now();
        let mut shown = BTreeSet::new();
        for (observer, a) in self.processes.iter().enumerate().filter(|(_, process)| process.is_alive) {
            for (observed, b) in self.processes.iter().enumerate().filter(|(_, process)| process.is_alive) {
                let since = self.cut_since.get(&(b.machine, a.machine));
                let is_cut = since.is_some_and(|since| now >= since + self.lease);
                if observer != observed && b.is_announced && !is_cut {
                    shown.insert((observer, observed));
                }
            }
        }
        let before = std::mem::replace(&mut self.shown, shown.clone());
        for &(observer, observed) in shown.difference(&before) {
            let (sighting, now) = (self.processes[observed].sighting.clone(), self.time(observer));
            let mut effects = Vec::new();
            self.trace.say(|| format!("#{observer} sees #{observed}"));
            let view = self.processes[observer].views.entry(sighting.address.clone()).or_default();
            (view.is_gone, view.is_out_of_sight) = (false, false);
            self.processes[observer].peers.saw(now, sighting, &mut effects);
            self.obey(observer, effects)?;
        }
        for &(observer, observed) in before.difference(&shown) {
            if self.processes[observer].is_alive {
                let (address, now) = (self.processes[observed].sighting.address.clone(), self.time(observer));
                let mut effects = Vec::new();
                self.trace.say(|| format!("#{observer} does not see #{observed} any more"));
                let view = self.processes[observer].views.entry(address.clone()).or_default();
                (view.is_gone, view.is_out_of_sight) = (true, true);
                self.processes[observer].peers.vanished(now, &address, &mut effects);
                self.obey(observer, effects)?;
            }
        }
        Ok(())
    }
}
