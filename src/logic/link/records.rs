//! Messages within the payload of frames: small ones whole, one after the other; large ones in pieces over several frames.

use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

use super::Lane;

/// The largest message: a body of 64 MiB and what stands before it.
pub const MESSAGE_MAX_BYTES: usize = 64 * 1024 * 1024 + 64;

/// Each record begins with its length; the top bit says that it is a piece of a larger message.
pub(super) const HEAD: usize = 4;
const PIECE: u32 = 1 << 31;
/// The first piece of a message begins with the message's length.
const TOTAL: usize = 4;
/// A large message is given this much room at first, whatever length it declares; more as it really comes.
const ROOM_FIRST: usize = 256 * 1024;

/// Writes a message that fits. The caller has seen to it that it does.
pub(super) fn write_whole(frame: &mut BytesMut, head: &[u8], body: &[u8]) {
    let len = (head.len() + body.len()) as u32;
    frame.extend_from_slice(&len.to_le_bytes());
    frame.extend_from_slice(head);
    frame.extend_from_slice(body);
}

/// Writes the piece of a large message that begins at `at`, as much as fits. Gives how much that was.
pub(super) fn write_chunk(frame: &mut BytesMut, head: &[u8], body: &[u8], at: usize, frame_max: usize) -> usize {
    let total = head.len() + body.len();
    let extra = if at == 0 { TOTAL } else { 0 };
    let n = (frame_max - frame.len() - HEAD - extra).min(total - at);
    frame.extend_from_slice(&(PIECE | (n + extra) as u32).to_le_bytes());
    if at == 0 {
        frame.extend_from_slice(&(total as u32).to_le_bytes());
    }
    let (from_head, until) = (at.min(head.len()), at + n);
    frame.extend_from_slice(&head[from_head..until.min(head.len())]);
    frame.extend_from_slice(&body[at.saturating_sub(head.len())..until.saturating_sub(head.len())]);
    n
}

/// Why a payload holds no messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRecord {
    /// A record goes beyond the end of the payload.
    #[error("a record of {declared} bytes in the last {left} bytes of a frame")]
    Short {
        /// What it says.
        declared: usize,
        /// What there is.
        left: usize,
    },
    /// A message beyond [`MESSAGE_MAX_BYTES`].
    #[error("a message of {0} bytes, at most {MESSAGE_MAX_BYTES} are accepted")]
    TooLarge(usize),
    /// Pieces that do not make up the length their message declared, or a whole message in between.
    #[error("pieces that do not fit together on lane {0:?}")]
    Pieces(Lane),
}

/// A message as it comes out of payloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// It stands in the payload, at this place; its record begins [`RECORD_HEAD`] bytes before.
    Whole(Range<usize>),
    /// It came in pieces.
    Joined(Bytes),
}

/// What stands before a message in its record.
pub const RECORD_HEAD: usize = HEAD;

/// Where the next of some whole records has its message; `at` moves behind it. `None` at the end.
pub fn next_record(records: &[u8], at: &mut usize) -> Option<Range<usize>> {
    let start = *at + HEAD;
    let head: [u8; HEAD] = records.get(*at..start)?.try_into().ok()?;
    let end = start + (u32::from_le_bytes(head) & !PIECE) as usize;
    *at = end;
    (end <= records.len()).then_some(start..end)
}

/// Reads messages from the payloads of one lane, in order.
#[derive(Debug)]
pub struct Assembler {
    lane: Lane,
    partial: Option<(usize, BytesMut)>,
}

impl Assembler {
    /// For a lane of a new link.
    pub fn new(lane: Lane) -> Assembler {
        Assembler { lane, partial: None }
    }

    /// Gives each message that the payload completes. Small ones are slices of the payload, not copies.
    ///
    /// # Errors
    /// When the payload was not written by a link; what was read before that was given already.
    pub fn read(&mut self, payload: Bytes, mut each: impl FnMut(Bytes)) -> Result<(), InvalidRecord> {
        self.records(&payload, |record| match record {
            Record::Whole(place) => each(payload.slice(place)),
            Record::Joined(message) => each(message),
        })
    }

    /// Gives each message that the payload completes, as the place where it stands when it is whole.
    ///
    /// # Errors
    /// As [`Assembler::read`].
    pub fn records(&mut self, payload: &Bytes, mut each: impl FnMut(Record)) -> Result<(), InvalidRecord> {
        let mut at = 0;
        while at < payload.len() {
            let left = payload.len() - at;
            let short = |declared| InvalidRecord::Short { declared, left };
            let head: [u8; HEAD] =
                payload.get(at..at + HEAD).and_then(|head| head.try_into().ok()).ok_or(short(HEAD))?;
            let is_piece = u32::from_le_bytes(head) & PIECE != 0;
            let declared = (u32::from_le_bytes(head) & !PIECE) as usize;
            let place = next_record(payload, &mut at).ok_or(short(declared))?;
            if is_piece {
                if let Some(message) = self.piece(payload.slice(place))? {
                    each(Record::Joined(message));
                }
            } else if self.partial.is_some() {
                return Err(InvalidRecord::Pieces(self.lane));
            } else {
                each(Record::Whole(place));
            }
        }
        Ok(())
    }

    fn piece(&mut self, mut piece: Bytes) -> Result<Option<Bytes>, InvalidRecord> {
        let wrong = InvalidRecord::Pieces(self.lane);
        if self.partial.is_none() {
            let head: [u8; TOTAL] = piece.get(..TOTAL).and_then(|head| head.try_into().ok()).ok_or(wrong.clone())?;
            let total = u32::from_le_bytes(head) as usize;
            if total > MESSAGE_MAX_BYTES {
                return Err(InvalidRecord::TooLarge(total));
            }
            self.partial = Some((total, BytesMut::with_capacity(total.min(ROOM_FIRST))));
            piece.advance(TOTAL);
        }
        let Some((total, mut gathered)) = self.partial.take() else { return Err(wrong) };
        if piece.is_empty() || gathered.len() + piece.len() > total {
            return Err(wrong);
        }
        gathered.extend_from_slice(&piece);
        if gathered.len() == total {
            return Ok(Some(gathered.freeze()));
        }
        self.partial = Some((total, gathered));
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn garbage_never_panics(payload in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut assembler = Assembler::new(Lane::Bulk);
            let _ = assembler.read(payload.into(), |_| {});
        }

        #[test]
        fn a_message_in_pieces_comes_back_whole(head in 0usize..60, body in 0usize..400, frame_max in 20usize..90) {
            let (head, body) = (vec![1u8; head], (0..body).map(|byte| byte as u8).collect::<Vec<_>>());
            let (mut assembler, mut at, mut got) = (Assembler::new(Lane::Bulk), 0, Vec::new());
            prop_assume!(!head.is_empty() || !body.is_empty());
            while at < head.len() + body.len() {
                let mut frame = BytesMut::new();
                at += write_chunk(&mut frame, &head, &body, at, frame_max);
                assembler.read(frame.into(), |message| got.push(message)).unwrap();
            }
            prop_assert_eq!(got, vec![Bytes::from([head, body].concat())]);
        }
    }

    #[test]
    fn a_declared_length_allocates_little() {
        let mut frame = (PIECE | 5).to_le_bytes().to_vec();
        frame.extend((MESSAGE_MAX_BYTES as u32 + 1).to_le_bytes());
        frame.push(0);
        let refused = Assembler::new(Lane::Bulk).read(frame.into(), |_| {});
        assert_eq!(refused, Err(InvalidRecord::TooLarge(MESSAGE_MAX_BYTES + 1)));
    }
}
