//! The receiving half of a lane: puts frames in order, drops what comes twice, asks for what is missing, grants room.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use crate::words::Time;

/// Frames behind a gap wait this long before the gap is asked for: a network may reorder a little.
const GAP_PATIENCE: Duration = Duration::from_millis(10);
/// A gap is asked for again this much later: the request or the frames may be lost too.
const GAP_REPEAT: Duration = Duration::from_millis(60);
/// So many frames are acknowledged at once even when they are small, for the sender keeps each until then.
const ACK_FRAMES: u64 = 64;

#[derive(Debug)]
pub(super) struct Incoming {
    window: u64,
    expected: u64,
    held: BTreeMap<u64, Bytes>,
    held_bytes: u64,
    /// Payload bytes that came in order, and those of them that were dealt with.
    received: u64,
    consumed: u64,
    acked: u64,
    granted: u64,
    ack_at: Time,
    gap_at: Time,
}

impl Incoming {
    pub(super) fn new(window: usize) -> Incoming {
        let window = window as u64;
        Incoming {
            window,
            expected: 0,
            held: BTreeMap::new(),
            held_bytes: 0,
            received: 0,
            consumed: 0,
            acked: 0,
            granted: window,
            ack_at: Time::NEVER,
            gap_at: Time::NEVER,
        }
    }

    /// Takes a frame; gives what is now in order to `ready`. False when it was here before, or cannot be kept.
    pub(super) fn receive(
        &mut self,
        now: Time,
        ack_delay: Duration,
        seq: u64,
        payload: Bytes,
        mut ready: impl FnMut(Bytes),
    ) -> bool {
        if seq < self.expected || self.held.contains_key(&seq) {
            // The sender does not know that it arrived: tell it soon.
            self.ack_at = self.ack_at.min(now + ack_delay);
            return false;
        }
        if seq > self.expected {
            return self.hold(now, seq, payload);
        }
        // A sender that keeps to its grant sends neither: what is taken waits for its receiver without a bound of its own.
        if payload.is_empty() || self.received >= self.consumed + self.window {
            return false;
        }
        self.expected += 1;
        self.received += payload.len() as u64;
        ready(payload);
        let fills_gap = self.held.contains_key(&self.expected);
        while let Some(payload) = self.held.remove(&self.expected) {
            self.expected += 1;
            self.held_bytes -= payload.len() as u64;
            self.received += payload.len() as u64;
            ready(payload);
        }
        self.gap_at = if self.held.is_empty() { Time::NEVER } else { now + GAP_PATIENCE };
        let at_once = fills_gap || self.expected - self.acked >= ACK_FRAMES;
        self.ack_at = self.ack_at.min(if at_once { now } else { now + ack_delay });
        true
    }

    /// Keeps a frame that came too early. What a sender that keeps to its grant cannot have sent is not kept.
    fn hold(&mut self, now: Time, seq: u64, payload: Bytes) -> bool {
        let bytes = payload.len() as u64;
        let room = (self.consumed + self.window + super::FRAME_MAX_BYTES as u64).saturating_sub(self.received);
        if self.held_bytes + bytes > room || seq - self.expected > super::outgoing::UNACKED_MAX as u64 {
            return false;
        }
        self.held.insert(seq, payload);
        self.held_bytes += bytes;
        self.gap_at = self.gap_at.min(now + GAP_PATIENCE);
        true
    }

    pub(super) fn consumed(&mut self, n_bytes: usize) {
        self.consumed = (self.consumed + n_bytes as u64).min(self.received);
        // Half a window more than the sender knows of: worth a frame of its own, lest the sender runs dry.
        if self.consumed + self.window - self.granted >= self.window / 2 {
            self.ack_at = Time(0);
        }
    }

    pub(super) fn ack_due(&self, now: Time) -> bool {
        self.ack_at <= now
    }

    /// What to tell the sender, in whatever frame goes now: the next number expected and the bytes granted.
    pub(super) fn acknowledge(&mut self) -> (u64, u64) {
        self.ack_at = Time::NEVER;
        self.acked = self.expected;
        self.granted = self.consumed + self.window;
        (self.acked, self.granted)
    }

    /// The numbers that are missing, when it is time to ask for them.
    pub(super) fn poll_gap(&mut self, now: Time) -> Option<(u64, u64)> {
        if self.gap_at > now {
            return None;
        }
        self.gap_at = now + GAP_REPEAT;
        self.held.keys().next().map(|first_held| (self.expected, *first_held))
    }

    pub(super) fn deadline(&self) -> Time {
        self.ack_at.min(self.gap_at)
    }
}
