//! The link between two incarnations, as a value: makes of a network that loses, doubles and reorders frames two lanes on
//! which every accepted message arrives exactly once and in order, with bounded memory at both ends.
//!
//! Messages are gathered into frames. A frame has a number, is kept until acknowledged, and is sent only as far as the receiver
//! has granted room; so what waits in the network's own queues is bounded too. Acknowledgements ride on frames that go anyway,
//! or go alone after 25 ms. What stays unacknowledged is not resent blindly: a small probe follows on the same
//! lane, and its answer tells what is missing. An idle link is silent but for a heartbeat.

mod frame;
mod incoming;
mod outgoing;
mod records;

#[cfg(test)]
mod laws;

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use frame::{FRAME_MAX_BYTES, Header, InvalidFrame, Kind};
pub use outgoing::Full;
pub use records::{Assembler, InvalidRecord, MESSAGE_MAX_BYTES, RECORD_HEAD, Record, next_record};

use crate::words::Time;
use incoming::Incoming;
use outgoing::{Fresh, Outgoing};

/// The two lanes of a link. Order is kept within a lane; a message on `Control` never waits behind one on `Bulk`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// Small and urgent: heartbeats, leases, requests, adaptation.
    Control,
    /// Everything that may be large or many: snapshots, files, messages of channels.
    Bulk,
}

impl Lane {
    /// Both, the urgent one first.
    pub const ALL: [Lane; 2] = [Lane::Control, Lane::Bulk];

    fn idx(self) -> usize {
        self as usize
    }
}

/// The bounds of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes that may be under way to a receiver that has not dealt with them, per lane. Not more than the network's own queue
    /// for the lane holds, so that handing over a frame never blocks.
    pub window_bytes: [usize; 2],
    /// Bytes that may wait here for the window to open, per lane; beyond it, messages are refused. One message more may wait.
    pub queue_bytes: [usize; 2],
    /// An acknowledgement waits this long for a frame to ride on: what is asked is mostly answered within it.
    pub ack_delay: Duration,
    /// The first probe goes after this long without progress; the pauses then double up to `probe_max`.
    pub probe_min: Duration,
    /// The longest pause between probes.
    pub probe_max: Duration,
    /// A link that has nothing to say says so this often: several times in `Times::suspect` of the view of who is alive.
    pub heartbeat: Duration,
    /// The same for peers that need not watch closely. The network gives a sign of life of its own meanwhile, which costs less.
    pub heartbeat_slow: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            window_bytes: [256 * 1024, 1024 * 1024],
            queue_bytes: [1024 * 1024, 4 * 1024 * 1024],
            ack_delay: Duration::from_millis(25),
            probe_min: Duration::from_millis(100),
            probe_max: Duration::from_secs(1),
            heartbeat: Duration::from_millis(200),
            heartbeat_slow: Duration::from_secs(2),
        }
    }
}

/// What a link has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages accepted.
    pub sent: u64,
    /// Messages refused because the queue was full.
    pub refused: u64,
    /// Frames sent again.
    pub resent_frames: u64,
    /// Frames that came a second time.
    pub duplicate_frames: u64,
    /// Messages accepted and not known to have arrived when the link was reset.
    pub lost: u64,
}

/// One end of a link.
#[derive(Debug)]
pub struct Link {
    limits: Limits,
    mine: u64,
    theirs: Option<u64>,
    out: [Outgoing; 2],
    into: [Incoming; 2],
    answers: Vec<(Lane, u64)>,
    last_sent: Time,
    /// Signs of life go at the slower pace; the peer has not been told yet.
    slow: bool,
    pace_is_news: bool,
    /// The peer's come at the slower pace.
    theirs_slow: bool,
    counts: Counts,
    n_resets: u64,
}

impl Link {
    /// A link that is known here as `mine`. Messages may be pushed at once; they go when the peer's end is known.
    pub fn new(mine: u64, limits: Limits, now: Time) -> Link {
        Link {
            limits,
            mine,
            theirs: None,
            out: Lane::ALL.map(|lane| Outgoing::new(lane, &limits)),
            into: Lane::ALL.map(|lane| Incoming::new(limits.window_bytes[lane.idx()])),
            answers: Vec::new(),
            last_sent: now,
            slow: false,
            pace_is_news: false,
            theirs_slow: false,
            counts: Counts::default(),
            n_resets: 0,
        }
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes that wait to be sent or to be acknowledged.
    pub fn queued_bytes(&self) -> usize {
        self.out.iter().map(Outgoing::held_bytes).sum()
    }

    /// Whether everything that was accepted is known to have arrived.
    pub fn is_flushed(&self) -> bool {
        self.out.iter().all(Outgoing::is_flushed)
    }

    /// The peer's end is known as `theirs`. When it was known under another name before, the peer has forgotten what it had
    /// of us: the link starts anew. Gives the number of messages that are lost by this.
    pub fn bind(&mut self, theirs: u64, now: Time) -> u64 {
        match self.theirs {
            Some(known) if known == theirs => {
                // The way is open again after a while: ask at once what is missing instead of at the next probe.
                self.out.iter_mut().for_each(|out| out.probe_soon(now));
                0
            }
            Some(_) => {
                let lost = self.reset();
                self.theirs = Some(theirs);
                lost
            }
            None => {
                self.theirs = Some(theirs);
                0
            }
        }
    }

    /// Forgets everything. Gives the number of messages that were accepted and are not known to have arrived.
    pub fn reset(&mut self) -> u64 {
        let lost = self.out.iter().map(Outgoing::n_messages).sum();
        for lane in Lane::ALL {
            self.out[lane.idx()] = Outgoing::new(lane, &self.limits);
            self.into[lane.idx()] = Incoming::new(self.limits.window_bytes[lane.idx()]);
        }
        self.answers.clear();
        self.counts.lost += lost;
        self.n_resets += 1;
        self.theirs = None;
        // The peer begins with full pace on both ways as well.
        (self.theirs_slow, self.pace_is_news) = (false, self.slow);
        lost
    }

    /// How often everything was forgotten. What comes after has nothing to do with what came before: half a message that waits in
    /// an [`Assembler`] never gets its other half.
    pub fn n_resets(&self) -> u64 {
        self.n_resets
    }

    /// Accepts a message, given in two parts so that neither needs to be copied together first. `urgent` messages (replies)
    /// may use a reserve beyond the bound of the queue.
    ///
    /// # Errors
    /// [`Full`], when the bound of the lane's queue is reached.
    pub fn push(&mut self, lane: Lane, head: &[u8], body: &Bytes, urgent: bool) -> Result<(), Full> {
        match self.out[lane.idx()].push(head, body, urgent) {
            Ok(()) => {
                self.counts.sent += 1;
                Ok(())
            }
            Err(full) => {
                self.counts.refused += 1;
                Err(full)
            }
        }
    }

    /// Whether who was refused may go on: half of the lane's queue is free, so that senders need not be told for each message.
    pub fn has_ample_room(&self, lane: Lane) -> bool {
        self.out[lane.idx()].has_ample_room()
    }

    /// The next frame to send now, and the lane to send it on. `None`: nothing until [`Link::deadline`], a push, or a frame.
    pub fn poll(&mut self, now: Time) -> Option<(Lane, Bytes)> {
        let theirs = self.theirs?;
        if let Some((lane, probe)) = self.answers.pop() {
            return Some(self.bare(Kind::Answer(lane), theirs, probe, now));
        }
        for lane in Lane::ALL {
            if let Some((from, until)) = self.into[lane.idx()].poll_gap(now) {
                let header = self.header(Kind::Want(lane), theirs, from, now);
                let mut frame = vec![0; Header::LEN];
                frame.extend_from_slice(&until.to_le_bytes());
                header.write(&mut frame);
                return Some((Lane::Control, frame.into()));
            }
        }
        for lane in Lane::ALL {
            if let Some(probe) = self.out[lane.idx()].poll_probe(now) {
                let (_, frame) = self.bare(Kind::Probe(lane), theirs, probe, now);
                return Some((lane, frame));
            }
            if let Some(frame) = self.out[lane.idx()].poll_resend(now) {
                self.counts.resent_frames += 1;
                self.last_sent = now;
                return Some((lane, frame));
            }
            if let Some(frame) = self.fresh(lane, theirs, now) {
                return Some((lane, frame));
            }
        }
        let ack_due = self.into.iter().any(|into| into.ack_due(now));
        if ack_due || self.pace_is_news || now >= self.last_sent + self.heartbeat() {
            self.pace_is_news = false;
            return Some(self.bare(Kind::Ack, theirs, u64::from(self.slow), now));
        }
        None
    }

    /// Gives signs of life at the slower pace from now on, or at full pace; the peer is told at once, before it misses any.
    pub fn set_pace(&mut self, slow: bool) {
        self.pace_is_news |= slow != self.slow;
        self.slow = slow;
    }

    /// Whether the peer gives them at the slower pace.
    pub fn hears_slowly(&self) -> bool {
        self.theirs_slow
    }

    fn heartbeat(&self) -> Duration {
        if self.slow { self.limits.heartbeat_slow } else { self.limits.heartbeat }
    }

    /// Whether nothing is under way or waiting on a lane, but what was pushed just now.
    pub fn is_idle(&self, lane: Lane) -> bool {
        self.theirs.is_some() && self.out[lane.idx()].is_idle()
    }

    /// The frame to send now on a lane on which nothing was under way or waiting; it may overtake what [`Link::poll`] gives.
    /// Nobody has to be woken for it: the network has room for it, whoever sends it.
    pub fn poll_idle(&mut self, lane: Lane, now: Time) -> Option<Bytes> {
        let theirs = self.theirs?;
        if self.out[lane.idx()].is_idle() { self.fresh(lane, theirs, now) } else { None }
    }

    fn fresh(&mut self, lane: Lane, theirs: u64, now: Time) -> Option<Bytes> {
        let Fresh { seq, mut frame, hurry } = self.out[lane.idx()].poll_fresh()?;
        let mut header = self.header(Kind::Data(lane), theirs, seq, now);
        header.hurry = hurry;
        header.write(&mut frame);
        let frame = Bytes::from(frame);
        self.out[lane.idx()].sent(now, frame.clone());
        Some(frame)
    }

    /// When [`Link::poll`] should be called again if nothing happens before.
    pub fn deadline(&self) -> Time {
        if self.theirs.is_none() {
            return Time::NEVER;
        }
        if !self.answers.is_empty() || self.pace_is_news {
            return Time(0);
        }
        let out = self.out.iter().map(Outgoing::deadline);
        let into = self.into.iter().map(Incoming::deadline);
        out.chain(into).min().unwrap_or(Time::NEVER).min(self.last_sent + self.heartbeat())
    }

    /// Takes a frame that came. Payloads that are now in order are appended to `ready`, each to be read by the lane's
    /// [`Assembler`] and then reported as [`Link::consumed`]. False: it is not for this link as it is now, and was ignored.
    pub fn receive(&mut self, now: Time, header: &Header, payload: Bytes, ready: &mut Vec<(Lane, Bytes)>) -> bool {
        if header.to != self.mine || Some(header.from) != self.theirs {
            return false;
        }
        for lane in Lane::ALL {
            self.out[lane.idx()].acknowledged(now, header.acks[lane.idx()], header.grants[lane.idx()]);
        }
        match header.kind {
            Kind::Data(lane) => {
                let ack_delay = if header.hurry { Duration::ZERO } else { self.limits.ack_delay };
                let fresh = self.into[lane.idx()].receive(now, ack_delay, header.seq, payload, |payload| {
                    ready.push((lane, payload));
                });
                self.counts.duplicate_frames += u64::from(!fresh);
            }
            Kind::Probe(lane) => {
                // The newest answer says it all: a peer that only probes must not make this grow.
                self.answers.retain(|(other, _)| *other != lane);
                self.answers.push((lane, header.seq));
            }
            Kind::Answer(lane) => self.out[lane.idx()].answered(header.seq, header.acks[lane.idx()]),
            Kind::Want(lane) => {
                if let Ok(until) = payload.as_ref().try_into() {
                    self.out[lane.idx()].wanted(now, header.seq, u64::from_le_bytes(until));
                }
            }
            Kind::Ack => self.theirs_slow = header.seq == 1,
            Kind::Hello | Kind::Refuse | Kind::Bye | Kind::Doubt => {}
        }
        true
    }

    /// The receiver has dealt with so many bytes of payload: the sender may send as many more.
    pub fn consumed(&mut self, lane: Lane, n_bytes: usize) {
        self.into[lane.idx()].consumed(n_bytes);
    }

    fn bare(&mut self, kind: Kind, theirs: u64, seq: u64, now: Time) -> (Lane, Bytes) {
        let mut frame = vec![0; Header::LEN];
        self.header(kind, theirs, seq, now).write(&mut frame);
        (Lane::Control, frame.into())
    }

    /// The header of a frame that goes now; with it go the acknowledgements of both lanes.
    fn header(&mut self, kind: Kind, theirs: u64, seq: u64, now: Time) -> Header {
        self.last_sent = now;
        let [control, bulk] = &mut self.into;
        let ((ack_control, grant_control), (ack_bulk, grant_bulk)) = (control.acknowledge(), bulk.acknowledge());
        let (acks, grants) = ([ack_control, ack_bulk], [grant_control, grant_bulk]);
        Header { kind, hurry: false, from: self.mine, to: theirs, seq, acks, grants }
    }
}
