//! The sending half of a lane: gathers messages into frames, keeps frames until acknowledged, sends again what is missing.

use std::{collections::VecDeque, time::Duration};

use bytes::{Bytes, BytesMut};

use super::{FRAME_MAX_BYTES, Header, Lane, Limits, records};
use crate::words::Time;

/// The bound of the queue is reached: the receiver does not keep up, or cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue of the link is full")]
pub struct Full;

/// Frames kept unacknowledged, however small they are: each costs memory beyond its bytes.
pub(super) const UNACKED_MAX: usize = 2048;
/// Frames that were sent before they were full and are not acknowledged. With so many under way, messages gather in the next
/// frame until an acknowledgement comes: the busier the link, the fuller its frames, and nothing waits for a timer.
const PARTIAL_MAX: usize = 2;
/// A frame of this size counts as full.
const FULL_BYTES: usize = FRAME_MAX_BYTES / 2;
/// Buffers of full frames that are kept for the next ones: about as many as are under way. Memory of this size, given back and asked
/// for again each time, costs more than what is written into it.
const SPARE_MAX: usize = 16;
/// Probes under way whose answers are still of use.
const PROBES_MAX: usize = 8;
/// A frame is not sent again for this long after it was sent, so that one gap asked for twice is filled once.
const RESEND_PAUSE: Duration = Duration::from_millis(40);
/// Replies may use so much of the queue's bound on top of it: a request that was served should not lack its reply.
const URGENT_SHARE: usize = 2;
/// A frame's buffer begins with as much room as the last one needed, within these bounds.
const BUFFER_MIN: usize = 512;

/// What waits: a frame's worth of messages, or a message that needs several frames.
#[derive(Debug)]
enum Waiting {
    Gathered { frame: BytesMut, n_messages: u64 },
    Large { head: Vec<u8>, body: Bytes, at: usize },
}

#[derive(Debug)]
struct Sent {
    frame: Bytes,
    n_messages: u64,
    at: Time,
    again: bool,
    is_partial: bool,
}

/// A frame that was never sent before, its head still to be written.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) seq: u64,
    pub(super) frame: BytesMut,
    /// What comes after it waits for its acknowledgement.
    pub(super) hurry: bool,
}

#[derive(Debug)]
pub(super) struct Outgoing {
    queue_max: usize,
    probe_min: Duration,
    probe_max: Duration,
    /// The frame that messages are gathered into; empty or a head's room and messages.
    open: BytesMut,
    open_messages: u64,
    buffer_size: usize,
    /// Buffers of full frames that have arrived, for the next ones; none while nothing is under way.
    spare: Vec<BytesMut>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Unacknowledged frames; the first has number `acked`.
    unacked: VecDeque<Sent>,
    unacked_bytes: usize,
    acked: u64,
    n_again: usize,
    n_partial: usize,
    polled_messages: u64,
    polled_partial: bool,
    sent_bytes: u64,
    window: u64,
    granted: u64,
    probe_at: Time,
    probe_pause: Duration,
    probe_next: u64,
    /// Probes under way: their number and the number of the first frame sent after them.
    probes: VecDeque<(u64, u64)>,
}

impl Outgoing {
    pub(super) fn new(lane: Lane, limits: &Limits) -> Outgoing {
        Outgoing {
            queue_max: limits.queue_bytes[lane.idx()],
            probe_min: limits.probe_min,
            probe_max: limits.probe_max,
            open: BytesMut::new(),
            spare: Vec::new(),
            open_messages: 0,
            buffer_size: BUFFER_MIN,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            unacked: VecDeque::new(),
            unacked_bytes: 0,
            acked: 0,
            n_again: 0,
            n_partial: 0,
            polled_messages: 0,
            polled_partial: false,
            sent_bytes: 0,
            window: limits.window_bytes[lane.idx()] as u64,
            granted: limits.window_bytes[lane.idx()] as u64,
            probe_at: Time::NEVER,
            probe_pause: limits.probe_min,
            probe_next: 0,
            probes: VecDeque::new(),
        }
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.waiting_bytes + self.open.len() + self.unacked_bytes
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.unacked.is_empty() && !self.has_waiting()
    }

    /// Nothing is under way, and nothing waits but one frame that is not full.
    pub(super) fn is_idle(&self) -> bool {
        self.unacked.is_empty() && self.waiting.is_empty()
    }

    /// Messages accepted and not acknowledged.
    pub(super) fn n_messages(&self) -> u64 {
        let waiting = self.waiting.iter().map(|waiting| match waiting {
            Waiting::Gathered { n_messages, .. } => *n_messages,
            Waiting::Large { .. } => 1,
        });
        waiting.sum::<u64>() + self.open_messages + self.unacked.iter().map(|sent| sent.n_messages).sum::<u64>()
    }

    pub(super) fn push(&mut self, head: &[u8], body: &Bytes, urgent: bool) -> Result<(), Full> {
        let bound = if urgent { self.queue_max.saturating_mul(URGENT_SHARE) } else { self.queue_max };
        if self.waiting_bytes + self.open.len() >= bound {
            return Err(Full);
        }
        let record = records::HEAD + head.len() + body.len();
        if record > FRAME_MAX_BYTES - Header::LEN {
            self.seal();
            self.waiting_bytes += head.len() + body.len();
            self.waiting.push_back(Waiting::Large { head: head.to_vec(), body: body.clone(), at: 0 });
            return Ok(());
        }
        if self.open.len() + record > FRAME_MAX_BYTES {
            self.seal();
        }
        if self.open.is_empty() {
            self.open = self.buffer(Header::LEN + record);
            self.open.resize(Header::LEN, 0);
        }
        records::write_whole(&mut self.open, head, body);
        self.open_messages += 1;
        Ok(())
    }

    fn buffer(&mut self, len: usize) -> BytesMut {
        let size = self.buffer_size.max(len);
        let spare = if size < FULL_BYTES { None } else { self.spare.pop() };
        spare.unwrap_or_else(|| BytesMut::with_capacity(size))
    }

    fn keep_buffer(&mut self, frame: Bytes) {
        if frame.len() >= FULL_BYTES
            && self.spare.len() < SPARE_MAX
            && let Ok(mut buffer) = frame.try_into_mut()
        {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    pub(super) fn has_ample_room(&self) -> bool {
        self.waiting_bytes + self.open.len() <= self.queue_max / 2
    }

    fn seal(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let frame = std::mem::take(&mut self.open);
        self.buffer_size = frame.len().next_power_of_two().clamp(BUFFER_MIN, FRAME_MAX_BYTES);
        self.waiting_bytes += frame.len();
        self.waiting.push_back(Waiting::Gathered { frame, n_messages: std::mem::take(&mut self.open_messages) });
    }

    fn has_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.open.is_empty()
    }

    fn may_send(&self) -> bool {
        // One frame may go beyond the grant: so the grant needs no knowledge of frame sizes.
        self.sent_bytes < self.granted && self.unacked.len() < UNACKED_MAX
    }

    /// Whether there is a frame to be sent for the first time now.
    fn has_fresh(&self) -> bool {
        let is_open = self.n_partial < PARTIAL_MAX || self.open.len() >= FULL_BYTES;
        (!self.waiting.is_empty() || (is_open && !self.open.is_empty())) && self.may_send()
    }

    /// The next frame of messages never sent before; [`Outgoing::sent`] must follow.
    pub(super) fn poll_fresh(&mut self) -> Option<Fresh> {
        if !self.has_fresh() {
            return None;
        }
        if self.waiting.is_empty() {
            self.seal();
        }
        let frame = match self.waiting.front_mut()? {
            Waiting::Gathered { frame, n_messages } => {
                self.polled_messages = *n_messages;
                let frame = std::mem::take(frame);
                self.waiting_bytes -= frame.len();
                self.waiting.pop_front();
                frame
            }
            Waiting::Large { head, body, at } => {
                let mut frame = BytesMut::with_capacity(FRAME_MAX_BYTES);
                frame.resize(Header::LEN, 0);
                let n_written = records::write_chunk(&mut frame, head, body, *at, FRAME_MAX_BYTES);
                *at += n_written;
                let done = *at == head.len() + body.len();
                self.waiting_bytes -= n_written;
                self.polled_messages = u64::from(done);
                if done {
                    self.waiting.pop_front();
                }
                frame
            }
        };
        self.polled_partial = frame.len() < FULL_BYTES;
        let hurry = self.n_partial + usize::from(self.polled_partial) >= PARTIAL_MAX;
        Some(Fresh { seq: self.acked + self.unacked.len() as u64, frame, hurry })
    }

    /// The frame that [`Outgoing::poll_fresh`] gave is on its way.
    pub(super) fn sent(&mut self, now: Time, frame: Bytes) {
        if self.unacked.is_empty() {
            self.probe_at = now + self.probe_pause;
        }
        self.sent_bytes += (frame.len() - Header::LEN) as u64;
        self.unacked_bytes += frame.len();
        let is_partial = self.polled_partial;
        self.n_partial += usize::from(is_partial);
        self.unacked.push_back(Sent { frame, n_messages: self.polled_messages, at: now, again: false, is_partial });
    }

    /// The next frame to be sent again.
    pub(super) fn poll_resend(&mut self, now: Time) -> Option<Bytes> {
        if self.n_again == 0 {
            return None;
        }
        let sent = self.unacked.iter_mut().find(|sent| sent.again)?;
        sent.again = false;
        sent.at = now;
        self.n_again -= 1;
        Some(sent.frame.clone())
    }

    /// The number of a probe to send now, if one is due.
    pub(super) fn poll_probe(&mut self, now: Time) -> Option<u64> {
        if self.probe_at > now || !self.is_stalled() {
            return None;
        }
        self.probe_next += 1;
        self.probe_at = now + self.probe_pause;
        self.probe_pause = (self.probe_pause * 2).min(self.probe_max);
        self.probes.push_back((self.probe_next, self.acked + self.unacked.len() as u64));
        if self.probes.len() > PROBES_MAX {
            self.probes.pop_front();
        }
        Some(self.probe_next)
    }

    /// Waits for something from the receiver: an acknowledgement, or room.
    fn is_stalled(&self) -> bool {
        !self.unacked.is_empty() || (self.has_waiting() && !self.may_send())
    }

    pub(super) fn probe_soon(&mut self, now: Time) {
        if self.is_stalled() {
            self.probe_at = now;
            self.probe_pause = self.probe_min;
        }
    }

    /// All frames before `ack` have arrived, and `grant` bytes are accepted in all. Old news is ignored.
    pub(super) fn acknowledged(&mut self, now: Time, ack: u64, grant: u64) {
        let known = self.acked + self.unacked.len() as u64;
        // Nobody can have dealt with more than was sent: more would let any amount be under way.
        let grant = grant.min(self.sent_bytes.saturating_add(self.window));
        let progress = (ack > self.acked && ack <= known) || grant > self.granted;
        while self.acked < ack.min(known) {
            let Some(sent) = self.unacked.pop_front() else { break };
            self.acked += 1;
            self.unacked_bytes -= sent.frame.len();
            self.keep_buffer(sent.frame);
            self.n_again -= usize::from(sent.again);
            self.n_partial -= usize::from(sent.is_partial);
        }
        if self.is_flushed() {
            self.spare = Vec::new();
        }
        self.granted = self.granted.max(grant);
        if progress {
            self.probe_pause = self.probe_min;
            self.probe_at = now + self.probe_pause;
        } else if self.probe_at == Time::NEVER && self.is_stalled() {
            self.probe_at = now + self.probe_pause;
        }
    }

    /// The answer to a probe: what was sent before it and is not acknowledged by now is missing.
    pub(super) fn answered(&mut self, probe: u64, ack: u64) {
        let Some(place) = self.probes.iter().position(|(number, _)| *number == probe) else { return };
        let (_, sent_before) = self.probes[place];
        self.probes.drain(..=place);
        self.again(ack, sent_before, |_| true);
    }

    /// The receiver sees a gap.
    pub(super) fn wanted(&mut self, now: Time, from: u64, until: u64) {
        self.again(from, until, |sent| now >= sent.at + RESEND_PAUSE);
    }

    fn again(&mut self, from: u64, until: u64, when: impl Fn(&Sent) -> bool) {
        let first = usize::try_from(from.saturating_sub(self.acked)).unwrap_or(usize::MAX);
        let end = usize::try_from(until.saturating_sub(self.acked)).unwrap_or(usize::MAX).min(self.unacked.len());
        for idx in first..end.max(first) {
            let Some(sent) = self.unacked.get_mut(idx) else { break };
            if !sent.again && when(sent) {
                sent.again = true;
                self.n_again += 1;
            }
        }
    }

    pub(super) fn deadline(&self) -> Time {
        match self.is_stalled() {
            _ if self.has_fresh() || self.n_again > 0 => Time(0),
            true => self.probe_at,
            false => Time::NEVER,
        }
    }
}
