//! The full state of a replica in the form that travels and is stored: each element once, each stamp once.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Conflict, Origin, Revision, Stamp, Writes,
    registers::{Entry, Registers},
};
use crate::{
    model::change::{Cell, Element, Register},
    words::Time,
};

/// The most writes that go along with a full state, so that a newcomer can roll back as well (about 2 MB). The models of
/// revisions before that are not known to it.
pub const LOG_WRITES_MAX: usize = 20_000;

/// A register, the place of its stamp among the stamps, and what it holds.
type PackedCell = (Register, u32, Option<Cell>);

/// Registers, packed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Packed {
    floor: Time,
    stamps: Vec<Stamp>,
    rows: Vec<(Element, Vec<PackedCell>)>,
}

impl Packed {
    /// Packs registers.
    pub fn of(registers: &Registers) -> Packed {
        let mut numbers: BTreeMap<Stamp, u32> = BTreeMap::new();
        let mut stamps = Vec::new();
        let mut number = |stamp: Stamp| {
            *numbers.entry(stamp).or_insert_with(|| {
                stamps.push(stamp);
                u32::try_from(stamps.len() - 1).expect("fewer than 2^32 revisions")
            })
        };
        let rows = registers
            .rows()
            .map(|(element, row)| {
                let cells =
                    row.iter().map(|(register, entry)| (register.clone(), number(entry.stamp), entry.cell.clone()));
                (element.clone(), cells.collect())
            })
            .collect();
        Packed { floor: registers.floor(), stamps, rows }
    }

    /// The registers. What does not fit together (a peer can send anything) is left out.
    pub fn unpack(self) -> Registers {
        let mut registers = Registers::default();
        for (element, cells) in self.rows {
            let entry = |(register, stamp_idx, cell): PackedCell| {
                Some((register, Some(Entry { stamp: *self.stamps.get(stamp_idx as usize)?, cell })))
            };
            registers.replace(&element, cells.into_iter().filter_map(entry).collect());
        }
        registers.raise_floor(self.floor);
        registers
    }

    /// The latest stamp in it.
    pub fn latest(&self) -> Option<Stamp> {
        self.stamps.iter().max().copied()
    }

    /// The time up to which removals are forgotten in it.
    pub fn floor(&self) -> Time {
        self.floor
    }
}

/// What a register held at an earlier time; `None` when it had never been written.
pub type Undo = (Element, Register, Option<(Stamp, Option<Cell>)>);

/// Everything that a replica knows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Full {
    /// The registers, tombstones included.
    pub registers: Packed,
    /// For each origin the revision up to which everything of it is in here.
    pub vector: BTreeMap<Origin, Stamp>,
    /// The revisions, oldest first; the latest with what they wrote.
    pub log: Vec<(Arc<Revision>, Option<Writes>)>,
    /// What the registers written by the log held before its first revision with writes.
    pub undo: Vec<Undo>,
    /// Conflicts that are remembered.
    pub conflicts: Vec<Conflict>,
}

impl Full {
    /// The latest stamp in it.
    pub fn latest(&self) -> Option<Stamp> {
        self.registers.latest().into_iter().chain(self.log.iter().map(|(revision, _)| revision.stamp)).max()
    }
}

/// What a member keeps on disk: a full state, and the revisions since.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Record {
    /// Everything.
    Full(Box<Full>),
    /// What came after.
    Deltas(Vec<(Arc<Revision>, Writes)>),
}
