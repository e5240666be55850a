//! The head of every frame, written by hand because it is read before anything about the sender is known.

use super::Lane;

/// The largest frame, head included: with the network's own heads it fits one of its batches of 64 KiB.
pub const FRAME_MAX_BYTES: usize = 60 * 1024;

/// The first byte of every frame.
const MAGIC: u8 = 0xEA;
/// The second: raised when this layout changes.
const LAYOUT: u8 = 1;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An introduction, and the answer to one.
    Hello,
    /// To a newcomer: its name is taken.
    Refuse,
    /// The sender leaves.
    Bye,
    /// Acknowledgements alone, or a sign of life; `seq` is 1 when those come at the slower pace.
    Ack,
    /// Messages of a lane; `seq` is the frame's number on the lane.
    Data(Lane),
    /// "What of this lane did you get?"; `seq` is the probe's number. Goes on the lane itself, behind what it asks about.
    Probe(Lane),
    /// The answer to the probe of number `seq`; what was got is in `acks`.
    Answer(Lane),
    /// Frames of a lane are missing: from `seq` to the number in the payload (exclusive).
    Want(Lane),
    /// Somebody is silent.
    Doubt,
}

impl Kind {
    const TABLE: [Kind; 13] = [
        Kind::Hello,
        Kind::Refuse,
        Kind::Bye,
        Kind::Ack,
        Kind::Data(Lane::Control),
        Kind::Data(Lane::Bulk),
        Kind::Probe(Lane::Control),
        Kind::Probe(Lane::Bulk),
        Kind::Answer(Lane::Control),
        Kind::Answer(Lane::Bulk),
        Kind::Want(Lane::Control),
        Kind::Want(Lane::Bulk),
        Kind::Doubt,
    ];

    fn code(self) -> u8 {
        match self {
            Kind::Hello => 0,
            Kind::Refuse => 1,
            Kind::Bye => 2,
            Kind::Ack => 3,
            Kind::Data(lane) => 4 + lane as u8,
            Kind::Probe(lane) => 6 + lane as u8,
            Kind::Answer(lane) => 8 + lane as u8,
            Kind::Want(lane) => 10 + lane as u8,
            Kind::Doubt => 12,
        }
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// More waits at the sender for the acknowledgement of this frame: it should not be delayed.
    pub hurry: bool,
    /// What the sender calls its end of the link.
    pub from: u64,
    /// What the receiver calls its end; 0 before it is known.
    pub to: u64,
    /// See [`Kind`].
    pub seq: u64,
    /// Per lane: the number of the next frame the sender expects; all before it have arrived.
    pub acks: [u64; 2],
    /// Per lane: how many bytes of payload the sender accepts in all, since the link began.
    pub grants: [u64; 2],
}

/// Why bytes are no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidFrame {
    /// Fewer bytes than a head has.
    #[error("{0} bytes are too short for a frame")]
    Short(usize),
    /// Not ours, or of another layout.
    #[error("a frame does not begin with {0:#04x} {1:#04x}")]
    Foreign(u8, u8),
    /// A kind that is not known.
    #[error("there is no frame of kind {0}")]
    Kind(u8),
    /// More bytes than a frame has.
    #[error("{0} bytes are too long for a frame")]
    Long(usize),
}

impl Header {
    /// The size of a head.
    pub const LEN: usize = 64;

    /// A head without acknowledgements, for frames outside of a link's lanes.
    pub fn plain(kind: Kind) -> Header {
        Header { kind, hurry: false, from: 0, to: 0, seq: 0, acks: [0; 2], grants: [0; 2] }
    }

    /// Writes the head over the first [`Header::LEN`] bytes of a frame.
    pub fn write(&self, frame: &mut [u8]) {
        frame[0] = MAGIC;
        frame[1] = LAYOUT;
        frame[2] = self.kind.code();
        frame[3] = u8::from(self.hurry);
        frame[4..8].fill(0);
        let numbers = [self.from, self.to, self.seq, self.acks[0], self.acks[1], self.grants[0], self.grants[1]];
        for (place, number) in frame[8..Header::LEN].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
    }

    /// Reads the head of a frame.
    ///
    /// # Errors
    /// [`InvalidFrame`], whatever the bytes are.
    pub fn read(frame: &[u8]) -> Result<Header, InvalidFrame> {
        if frame.len() < Header::LEN {
            return Err(InvalidFrame::Short(frame.len()));
        }
        if frame.len() > FRAME_MAX_BYTES {
            return Err(InvalidFrame::Long(frame.len()));
        }
        if frame[0] != MAGIC || frame[1] != LAYOUT {
            return Err(InvalidFrame::Foreign(frame[0], frame[1]));
        }
        let kind = *Kind::TABLE.get(usize::from(frame[2])).ok_or(InvalidFrame::Kind(frame[2]))?;
        let number = |idx: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&frame[8 + idx * 8..16 + idx * 8]);
            u64::from_le_bytes(bytes)
        };
        let (acks, grants) = ([number(3), number(4)], [number(5), number(6)]);
        Ok(Header { kind, hurry: frame[3] != 0, from: number(0), to: number(1), seq: number(2), acks, grants })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_head_that_is_written_is_read(kind in 0usize..13, hurry in any::<bool>(), numbers in any::<[u64; 7]>()) {
            let [from, to, seq, a, b, c, d] = numbers;
            let header = Header { kind: Kind::TABLE[kind], hurry, from, to, seq, acks: [a, b], grants: [c, d] };
            let mut frame = [0; Header::LEN];
            header.write(&mut frame);
            prop_assert_eq!(Header::read(&frame), Ok(header));
        }

        #[test]
        fn garbage_is_no_frame_and_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Header::read(&bytes);
            if bytes.len() >= 2 {
                bytes[0] = MAGIC;
                bytes[1] = LAYOUT;
                let _ = Header::read(&bytes);
            }
        }
    }
}
