//! The registers of one element: a short list in order, which is smaller and faster than any map.

use super::registers::Entry;
use crate::model::change::Register;

/// The registers of one element, each with its last write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row(Vec<(Register, Entry)>);

impl Row {
    /// The last write of a register.
    pub fn get(&self, register: &Register) -> Option<&Entry> {
        self.find(register).ok().map(|idx| &self.0[idx].1)
    }

    /// Whether a register was ever written.
    pub fn contains_key(&self, register: &Register) -> bool {
        self.find(register).is_ok()
    }

    /// The registers, in order.
    pub fn keys(&self) -> impl Iterator<Item = &Register> {
        self.0.iter().map(|(register, _)| register)
    }

    /// The registers with their last writes, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Register, &Entry)> {
        self.0.iter().map(|(register, entry)| (register, entry))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes room for so many more.
    pub(super) fn reserve(&mut self, n: usize) {
        self.0.reserve_exact(n);
    }

    /// Writes a register; what it held comes back.
    pub(super) fn insert(&mut self, register: Register, entry: Entry) -> Option<Entry> {
        // They mostly come in order.
        if self.0.last().is_none_or(|(last, _)| *last < register) {
            self.0.push((register, entry));
            return None;
        }
        match self.find(&register) {
            Ok(idx) => Some(std::mem::replace(&mut self.0[idx].1, entry)),
            Err(idx) => {
                self.0.insert(idx, (register, entry));
                None
            }
        }
    }

    /// Forgets a register; what it held comes back.
    pub(super) fn remove(&mut self, register: &Register) -> Option<Entry> {
        self.find(register).ok().map(|idx| self.0.remove(idx).1)
    }

    fn find(&self, register: &Register) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(register))
    }
}
