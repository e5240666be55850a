//! The ledger of the world of engines: which messages were accepted, which have arrived, and which were given up.

use std::collections::BTreeMap;

use bytes::Bytes;
use enact::logic::link::Lane;

use crate::trace::{Checked, hold};

/// A way of messages: from one life to another, on a lane.
type Way = (usize, usize, Lane);

#[derive(Debug, Default)]
struct Account {
    n_accepted: u64,
    /// The number that the next message must exceed.
    next: u64,
    n_arrived: u64,
}

/// What has become of all messages.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    accounts: BTreeMap<Way, Account>,
    /// Messages that a sender was told are lost, by sender and receiver.
    lost: BTreeMap<(usize, usize), u64>,
}

/// Who sent it, to whom, on which lane, and its number there.
const HEAD: usize = 25;

/// A message of so many bytes at least.
fn message((from, to, lane): Way, number: u64, n_bytes: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(n_bytes.max(HEAD));
    bytes.push(lane as u8);
    bytes.extend((from as u64).to_le_bytes());
    bytes.extend((to as u64).to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.resize(n_bytes.max(HEAD), number as u8);
    bytes.into()
}

fn number(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

impl Ledger {
    /// The next message on a way; it counts once it is accepted.
    pub(super) fn draft(&self, from: usize, to: usize, lane: Lane, n_bytes: usize) -> Bytes {
        let way = (from, to, lane);
        message(way, self.accounts.get(&way).map_or(0, |account| account.n_accepted), n_bytes)
    }

    /// The last draft was accepted.
    pub(super) fn accepted(&mut self, from: usize, to: usize, lane: Lane) {
        self.accounts.entry((from, to, lane)).or_default().n_accepted += 1;
    }

    /// A sender hears that messages will never arrive.
    pub(super) fn lost(&mut self, from: usize, to: usize, n_messages: u64) {
        *self.lost.entry((from, to)).or_default() += n_messages;
    }

    /// A message came out of the link at the receiver.
    pub(super) fn arrived(&mut self, from: usize, to: usize, lane: Lane, bytes: &Bytes) -> Checked {
        hold!(bytes.len() >= HEAD, "messages arrive whole", "{} bytes from {from} to {to}", bytes.len());
        let (sent_by, sent_to, number) = (number(bytes, 1) as usize, number(bytes, 9) as usize, number(bytes, 17));
        let is_meant = (sent_by, sent_to, bytes[0]) == (from, to, lane as u8);
        hold!(is_meant, "messages arrive where they were sent", "{sent_by} to {sent_to} came from {from} to {to}");
        let is_whole = bytes[HEAD..].iter().all(|byte| *byte == number as u8);
        hold!(is_whole, "messages arrive whole", "number {number} from {from} to {to}");
        let account = self.accounts.entry((from, to, lane)).or_default();
        hold!(
            number >= account.next,
            "messages arrive once and in order",
            "number {number} after {} from {from} to {to} on {lane:?}",
            account.next
        );
        hold!(number < account.n_accepted, "only what was accepted arrives", "number {number} from {from} to {to}");
        account.next = number + 1;
        account.n_arrived += 1;
        Ok(())
    }

    /// Between two that live on everything has arrived but what was told as lost.
    pub(super) fn check_arrived(&self, from: usize, to: usize) -> Checked {
        let accounts = Lane::ALL.map(|lane| self.accounts.get(&(from, to, lane)));
        let (mut n_accepted, mut n_arrived) = (0, 0);
        for account in accounts.into_iter().flatten() {
            n_accepted += account.n_accepted;
            n_arrived += account.n_arrived;
        }
        let n_lost = self.lost.get(&(from, to)).copied().unwrap_or(0);
        hold!(
            n_accepted <= n_arrived + n_lost,
            "what was accepted arrives, or is told as lost",
            "{n_accepted} from {from} to {to}: {n_arrived} arrived, {n_lost} told as lost"
        );
        Ok(())
    }
}
