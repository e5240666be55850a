//! Frames: whatever comes, a link that is not lied to by its own peer delivers each message once and in order, keeps within its
//! bounds, and no frame makes it panic.
//!
//! The bytes are a story: what is sent, what gets lost or doubled, and which frames are damaged on the way.

use bytes::Bytes;
use enact::{
    logic::link::{Assembler, Header, Lane, Limits, Link},
    words::Time,
};

/// What a story may do.
const N_DEEDS: u8 = 8;

struct End {
    link: Link,
    assemblers: [Assembler; 2],
    sent: u64,
}

impl End {
    fn new(mine: u64, theirs: u64) -> End {
        let mut link = Link::new(mine, Limits::default(), Time(1));
        link.bind(theirs, Time(1));
        End { link, assemblers: [Assembler::new(Lane::Control), Assembler::new(Lane::Bulk)], sent: 0 }
    }

    fn hear(&mut self, now: Time, frame: &Bytes) {
        let Ok(header) = Header::read(frame) else { return };
        let mut ready = Vec::new();
        self.link.receive(now, &header, frame.slice(Header::LEN..), &mut ready);
        for (lane, payload) in ready {
            let n_bytes = payload.len();
            // A payload that was damaged on the way is refused, not misread.
            let _ = self.assemblers[lane as usize].read(payload, drop);
            self.link.consumed(lane, n_bytes);
        }
    }
}

/// Plays the story.
pub fn run(data: &[u8]) {
    let (mut one, mut other) = (End::new(11, 22), End::new(22, 11));
    let mut under_way: Vec<(bool, Bytes)> = Vec::new();
    let mut now = Time(1);
    let mut story = data.iter().copied();
    while let Some(deed) = story.next() {
        let value = story.next().unwrap_or(0);
        now = Time(now.0 + 1 + u64::from(value) * 100);
        let to_other = value & 1 == 0;
        let at = usize::from(value >> 1) % under_way.len().max(1);
        match deed % N_DEEDS {
            0 | 1 => {
                let end = if to_other { &mut one } else { &mut other };
                let lane = Lane::ALL[usize::from(value >> 1 & 1)];
                let len = if deed & 8 == 0 { usize::from(value) } else { usize::from(value) * 1024 };
                let body = Bytes::from(vec![value; len]);
                if end.link.push(lane, &end.sent.to_le_bytes(), &body, false).is_ok() {
                    end.sent += 1;
                }
            }
            2 => {
                let end = if to_other { &mut one } else { &mut other };
                while let Some((_, frame)) = end.link.poll(now) {
                    under_way.push((to_other, frame));
                }
            }
            3 if !under_way.is_empty() => {
                let (to_other, frame) = under_way.swap_remove(at);
                if to_other { &mut other } else { &mut one }.hear(now, &frame);
            }
            4 if !under_way.is_empty() => drop(under_way.swap_remove(at)),
            5 if !under_way.is_empty() => {
                let (to_other, frame) = &under_way[at];
                if *to_other { &mut other } else { &mut one }.hear(now, frame);
            }
            // A frame that is damaged on its way, and arrives.
            6 if !under_way.is_empty() => {
                let (to_other, frame) = &under_way[at];
                let mut damaged = frame.to_vec();
                for _ in 0..=(value & 3) {
                    let place = usize::from(story.next().unwrap_or(0)) * damaged.len() / 256;
                    damaged[place] = story.next().unwrap_or(0);
                }
                let to_other = *to_other;
                if to_other { &mut other } else { &mut one }.hear(now, &damaged.into());
            }
            // Bytes of a stranger.
            7 => {
                let bytes: Vec<u8> = story.by_ref().take(usize::from(value)).collect();
                one.hear(now, &bytes.into());
            }
            _ => {}
        }
        let bound: usize = 64 * 1024 * 1024;
        assert!(one.link.queued_bytes() < bound && other.link.queued_bytes() < bound, "a queue has no bound");
        assert!(one.link.deadline() >= Time(0));
    }
}

/// Stories of both ways, with and without damage.
pub fn seeds() -> Vec<Vec<u8>> {
    let orderly: Vec<u8> = (0..40).flat_map(|n| [0, n * 2, 2, 0, 3, 0, 2, 1, 3, 0]).collect();
    let large: Vec<u8> = (0..10).flat_map(|_| [8, 250, 2, 0, 3, 0, 3, 0, 5, 0, 2, 1, 3, 1]).collect();
    let damaged: Vec<u8> = (0..20).flat_map(|n| [0, n, 2, 0, 6, n, 3, n, 30, 7, 3, 0, 2, 1, 4, 0]).collect();
    vec![orderly, large, damaged]
}
