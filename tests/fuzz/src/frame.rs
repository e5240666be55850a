//! Frames: whatever comes, a link that is not lied to by its own peer delivers each message once and in order, keeps within its
//! bounds, and no frame makes it panic.
//!
//! The bytes are a story: what is sent, what gets lost or doubled, and which frames are damaged on the way. As long as nothing that was
//! damaged is taken for the peer's word, all that was accepted is accounted for, to the end of the story.

use std::collections::VecDeque;

use bytes::Bytes;
use enact::{
    logic::link::{Assembler, FRAME_MAX_BYTES, Header, Lane, Limits, Link},
    words::Time,
};

/// What a story may do.
const N_DEEDS: u8 = 8;
/// What numbers a message.
const HEAD: usize = 8;
/// The longest body: several windows of a lane.
const BODY_MAX: usize = u8::MAX as usize * 1024;
/// When a story ends, all arrives within so many round trips of this many microseconds.
const N_TRIPS_MAX: usize = 64;
const TRIP_US: u64 = 200_000;

/// Small ones, so that stories get there.
fn limits() -> Limits {
    Limits { window_bytes: [16 * 1024, 64 * 1024], queue_bytes: [32 * 1024, 128 * 1024], ..Limits::default() }
}

struct End {
    link: Link,
    assemblers: [Assembler; 2],
    n_sent: u64,
    /// What was accepted at the other end and has not come, per lane, in order.
    due: [VecDeque<(u64, Bytes)>; 2],
}

impl End {
    fn new(mine: u64, theirs: u64) -> End {
        let mut link = Link::new(mine, limits(), Time(1));
        link.bind(theirs, Time(1));
        End { link, assemblers: Lane::ALL.map(Assembler::new), n_sent: 0, due: Default::default() }
    }

    /// The next message of a lane.
    fn came(&mut self, lane: Lane, message: &Bytes) {
        let due = self.due[lane as usize].pop_front();
        let is_due = due.as_ref().is_some_and(|(number, body)| {
            message.len() >= HEAD && message[..HEAD] == number.to_le_bytes() && message[HEAD..] == body[..]
        });
        let head = &message[..message.len().min(HEAD)];
        let due = due.map(|(number, body)| (number, body.len()));
        assert!(is_due, "{lane:?}: {head:?} and {} bytes in all come where {due:?} is due", message.len());
    }

    /// Nothing is kept beyond the bounds: as much again for replies, one message more, and a frame beyond the window.
    fn assert_bounds(&self) {
        let bounds = limits();
        let bound = |lane: Lane| {
            2 * bounds.queue_bytes[lane as usize]
                + bounds.window_bytes[lane as usize]
                + BODY_MAX
                + HEAD
                + 3 * FRAME_MAX_BYTES
        };
        let (held, bound) = (self.link.queued_bytes(), Lane::ALL.map(bound).iter().sum::<usize>());
        assert!(held <= bound, "a link holds {held} bytes, at most {bound} are allowed");
    }
}

struct Story {
    ends: [End; 2],
    /// What goes to one of the ends, in the order in which it was sent.
    under_way: Vec<(usize, Bytes)>,
    now: Time,
    /// Nobody has taken for the word of its peer what that did not say.
    is_true: bool,
}

impl Story {
    fn push(&mut self, by: usize, lane: Lane, body: Bytes, urgent: bool) {
        let number = self.ends[by].n_sent;
        if self.ends[by].link.push(lane, &number.to_le_bytes(), &body, urgent).is_ok() {
            self.ends[by].n_sent += 1;
            self.ends[1 - by].due[lane as usize].push_back((number, body));
        }
    }

    /// All that an end has to send goes on its way.
    fn poll(&mut self, by: usize) {
        let link = &mut self.ends[by].link;
        while let Some((_, frame)) = link.poll(self.now) {
            assert!(frame.len() <= FRAME_MAX_BYTES, "a frame has {} bytes", frame.len());
            self.under_way.push((1 - by, frame));
        }
        let deadline = link.deadline();
        assert!(deadline > self.now, "who has nothing to send at {} wants to at {deadline}", self.now);
    }

    fn hear(&mut self, to: usize, frame: &Bytes, is_genuine: bool) {
        let Ok(header) = Header::read(frame) else {
            assert!(!is_genuine, "what a link sends has a head");
            return;
        };
        let end = &mut self.ends[to];
        let mut ready = Vec::new();
        let is_taken = end.link.receive(self.now, &header, frame.slice(Header::LEN..), &mut ready);
        self.is_true &= is_genuine || !is_taken;
        for (lane, payload) in ready {
            let (n_bytes, mut messages) = (payload.len(), Vec::new());
            // A payload that was damaged on the way is refused, not misread.
            let read = end.assemblers[lane as usize].read(payload, |message| messages.push(message));
            end.link.consumed(lane, n_bytes);
            if self.is_true {
                assert_eq!(read, Ok(()), "what a link sends can be read");
                messages.iter().for_each(|message| end.came(lane, message));
            }
        }
    }

    /// Nothing gets lost any more: what was accepted arrives.
    fn end(mut self) {
        for _ in 0..N_TRIPS_MAX {
            self.now = Time(self.now.0 + TRIP_US);
            (0..2).for_each(|by| self.poll(by));
            for (to, frame) in std::mem::take(&mut self.under_way) {
                self.hear(to, &frame, true);
            }
            if self.ends.iter().all(|end| end.link.is_flushed()) {
                break;
            }
        }
        for end in &self.ends {
            let n_due = end.due.each_ref().map(VecDeque::len);
            assert_eq!(n_due, [0, 0], "so many messages of each lane never arrive");
            assert!(end.link.is_flushed(), "all has arrived, and a link does not hear of it");
        }
    }
}

/// Plays the story.
pub fn run(data: &[u8]) {
    let ends = [End::new(11, 22), End::new(22, 11)];
    let mut told = Story { ends, under_way: Vec::new(), now: Time(1), is_true: true };
    let mut bytes = data.iter().copied();
    while let Some(deed) = bytes.next() {
        let value = bytes.next().unwrap_or(0);
        told.now = Time(told.now.0 + 1 + u64::from(value) * 100);
        let by = usize::from(value & 1);
        let at = usize::from(value >> 1) % told.under_way.len().max(1);
        match deed % N_DEEDS {
            0 | 1 => {
                let lane = Lane::ALL[usize::from(value >> 1 & 1)];
                let len = if deed & 8 == 0 { usize::from(value) } else { usize::from(value) * 1024 };
                told.push(by, lane, vec![value; len].into(), deed & 16 != 0);
            }
            2 => told.poll(by),
            3 if !told.under_way.is_empty() => {
                let (to, frame) = told.under_way.swap_remove(at);
                told.hear(to, &frame, true);
            }
            4 if !told.under_way.is_empty() => drop(told.under_way.swap_remove(at)),
            5 if !told.under_way.is_empty() => {
                let (to, frame) = told.under_way[at].clone();
                told.hear(to, &frame, true);
            }
            // A frame that is damaged on its way, and arrives.
            6 if !told.under_way.is_empty() => {
                let (to, frame) = told.under_way[at].clone();
                let mut damaged = frame.to_vec();
                for _ in 0..=(value & 3) {
                    let place = usize::from(bytes.next().unwrap_or(0)) * damaged.len() / 256;
                    damaged[place] = bytes.next().unwrap_or(0);
                }
                told.hear(to, &damaged.into(), false);
            }
            // Bytes of a stranger.
            7 => {
                let stranger: Vec<u8> = bytes.by_ref().take(usize::from(value)).collect();
                told.hear(0, &stranger.into(), false);
            }
            _ => {}
        }
        if told.is_true {
            told.ends.iter().for_each(End::assert_bounds);
        }
    }
    if told.is_true {
        told.end();
    }
}

/// Stories of both ways, with and without damage.
pub fn seeds() -> Vec<Vec<u8>> {
    let orderly: Vec<u8> = (0..40).flat_map(|n| [0, n * 2, 2, 0, 3, 0, 2, 1, 3, 0]).collect();
    let large: Vec<u8> = (0..10).flat_map(|_| [8, 250, 2, 0, 3, 0, 3, 0, 5, 0, 2, 1, 3, 1]).collect();
    // Both lanes, replies among them, more than the queues take; what is under way gets lost, doubled and out of order.
    let crowded: Vec<u8> =
        (0..16).flat_map(|n| [8, n * 8, 24, n * 8 + 2, 2, 0, 4, n, 5, 2, 3, 6, 9, n * 4 + 3, 2, 1, 3, 9]).collect();
    let damaged: Vec<u8> = (0..20).flat_map(|n| [0, n, 2, 0, 6, n, 3, n, 30, 7, 3, 0, 2, 1, 4, 0]).collect();
    vec![orderly, large, crowded, damaged]
}
