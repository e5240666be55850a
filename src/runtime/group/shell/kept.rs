//! What the store keeps of a group.

use std::mem;

use actix::Context;

use super::GroupActor;
use crate::{io::engine::codec, logic::gossip::Record};

/// Kept records are put together to one when there are more bytes of them than this (a few hundred small changes), and more than
/// the last base had: so each byte is written twice at most, and the file is a few times as large as what is in it.
const KEEP_APPENDED_MAX_BYTES: usize = 512 * 1024;

impl GroupActor {
    pub(super) fn keep(&mut self, record: Record) {
        if !self.seat.keep.keeps() {
            return;
        }
        let kept = codec::encode(&record).map_err(|error| error.to_string()).and_then(|bytes| match record {
            Record::Full(_) => self.replace(&bytes),
            Record::Deltas(_) => {
                self.seat.keep.append(&bytes)?;
                self.n_appended_bytes += bytes.len();
                if self.n_appended_bytes > KEEP_APPENDED_MAX_BYTES.max(self.n_base_bytes) {
                    self.put_together();
                }
                Ok(())
            }
        });
        if let Err(error) = kept {
            tracing::error!(group = %self.seat.name, %error, "the state of the group could not be kept");
            self.keep_error = Some(error);
        }
    }

    /// Puts what was kept so far together to one record. Nothing is lost when that fails: all of it is kept already, and it is tried
    /// again with the next record.
    fn put_together(&mut self) {
        let full = Record::Full(Box::new(self.protocol.replica().full()));
        let replaced = codec::encode(&full).map_err(|error| error.to_string()).and_then(|bytes| self.replace(&bytes));
        if let Err(error) = replaced
            && !mem::replace(&mut self.keep_is_large, true)
        {
            tracing::warn!(group = %self.seat.name, %error, "what is kept of the group could not be put together; it grows until it can");
        }
    }

    /// Keeps everything anew, and gives the node its target again.
    pub(in crate::runtime::group) fn renew(&mut self, ctx: &mut Context<GroupActor>) {
        self.keep(Record::Full(Box::new(self.protocol.replica().full())));
        // Whoever pushed was told then; and what the node could not take up of its part, it may now.
        self.keep_error = None;
        self.ahead = None;
        if self.protocol.is_synced() {
            self.want(self.protocol.replica().snapshot(), ctx);
        }
    }

    pub(super) fn replace(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.seat.keep.replace(bytes)?;
        (self.n_appended_bytes, self.n_base_bytes, self.keep_is_large) = (0, bytes.len(), false);
        Ok(())
    }
}
