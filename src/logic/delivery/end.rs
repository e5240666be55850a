//! The receiving ends of a channel, as its strategy sees them.

use crate::words::PortPath;

/// What a receiving end is known by inside one fragment. Never used again for another end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// Whether an end takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndState {
    /// The receiver is started.
    Open,
    /// The receiver is stopped, not there yet, or being moved. What is delivered is kept for it.
    Closed,
    /// The receiver's node does not answer. What is delivered is kept for a while.
    Away,
    /// The receiver's node has been away for too long. What is delivered is lost, and counted.
    Gone,
}

/// A receiving end.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// What `deliver` takes.
    pub id: EndId,
    /// The port.
    pub port: PortPath,
    /// Whether it is on this node.
    pub local: bool,
    /// Whether it takes messages.
    pub state: EndState,
    /// A hash of the port's path, the same on every node: for those who rank ends.
    pub rank: u64,
}

/// All receiving ends, in the order of their paths: the same order on every node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ends {
    pub(super) list: Vec<End>,
}

impl Ends {
    /// Ends made up by hand, to try a strategy alone.
    pub fn new(mut list: Vec<End>) -> Ends {
        list.sort_by(|a, b| a.port.cmp(&b.port));
        Ends { list }
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, End> {
        self.list.iter()
    }

    /// Those whose receivers are started.
    pub fn open(&self) -> impl Iterator<Item = &End> {
        self.list.iter().filter(|end| end.state == EndState::Open)
    }

    /// Those for which messages are worth keeping: all but the gone.
    pub fn hopeful(&self) -> impl Iterator<Item = &End> {
        self.list.iter().filter(|end| end.state != EndState::Gone)
    }

    /// The end at a place in the order.
    pub fn at(&self, idx: usize) -> Option<&End> {
        self.list.get(idx)
    }

    /// The end of an id.
    pub fn get(&self, id: EndId) -> Option<&End> {
        self.list.iter().find(|end| end.id == id)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl<'a> IntoIterator for &'a Ends {
    type Item = &'a End;
    type IntoIter = std::slice::Iter<'a, End>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A hash that is the same in every process and version: FNV-1a with a finisher that spreads its high bits.
pub fn stable_hash(bytes: &[u8]) -> u64 {
    let fnv = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    mix(fnv)
}

/// Spreads the bits of a number over all of it (the finisher of MurmurHash3).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

/// Rendezvous hashing (Thaler, Ravishankar 1998): the end that wins for a key. When an end comes it takes only the keys that
/// it wins; when one goes only its own keys find another.
pub fn rendezvous<'a>(key: u64, ends: impl Iterator<Item = &'a End>) -> Option<&'a End> {
    ends.max_by_key(|end| (mix(end.rank ^ key.rotate_left(17)), &end.port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn end(number: u32) -> End {
        let port = PortPath {
            node: format!("node{}", number % 3).parse().unwrap(),
            component: format!("worker{number}").parse().unwrap(),
            port: "input".parse().unwrap(),
        };
        let rank = stable_hash(port.to_string().as_bytes());
        End { id: EndId { index: number, generation: 0 }, port, local: true, state: EndState::Open, rank }
    }

    proptest! {
        #[test]
        fn a_key_changes_its_end_only_when_that_end_goes(
            numbers in prop::collection::btree_set(0u32..50, 2..12), keys in prop::collection::vec(any::<u64>(), 1..50),
        ) {
            let all: Vec<End> = numbers.iter().map(|number| end(*number)).collect();
            let fewer = &all[1..];
            for key in keys {
                let with_all = rendezvous(key, all.iter()).unwrap();
                let with_fewer = rendezvous(key, fewer.iter()).unwrap();
                prop_assert!(with_all == with_fewer || with_all == &all[0]);
            }
        }
    }

    #[test]
    fn keys_spread_over_the_ends() {
        let ends: Vec<End> = (0..4).map(end).collect();
        let mut counts = [0; 4];
        for key in 0..4000u64 {
            counts[rendezvous(stable_hash(&key.to_le_bytes()), ends.iter()).unwrap().id.index as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
