//! What revisions weigh: the bytes of the texts in them that have no bound of their own. All else is small, and bounded by its number.

use super::{Conflict, Registers, Writes};
use crate::model::change::{Cell, Element, Register};

/// What a revision wrote. Costs a glance at each cell; nothing is encoded for it.
pub(super) fn of_writes(writes: &Writes) -> usize {
    let written = |row: &super::Written| {
        let cells = row.cells.iter().map(|(register, cell)| of_register(register) + of_cell(cell.as_ref()));
        of_element(&row.element) * row.cells.len() + cells.sum::<usize>()
    };
    writes.iter().map(written).sum()
}

/// What all registers hold, tombstones included.
pub(super) fn of_registers(registers: &Registers) -> usize {
    let held = registers.rows().map(|(element, row)| {
        let cells = row.iter().map(|(register, entry)| of_register(register) + of_cell(entry.cell.as_ref()));
        of_element(element) + cells.sum::<usize>()
    });
    held.sum()
}

/// What is remembered of a conflict.
pub(super) fn of_conflict(conflict: &Conflict) -> usize {
    let cells = of_cell(conflict.lost.as_ref()) + of_cell(conflict.kept.as_ref());
    of_element(&conflict.element) + of_register(&conflict.register) + cells
}

/// What a register holds.
pub(super) fn of_cell(cell: Option<&Cell>) -> usize {
    match cell {
        Some(Cell::Text(text)) => text.len(),
        Some(Cell::Definition(definition)) => {
            let attributes = definition.attributes.iter().flatten();
            let texts = attributes.flat_map(|attribute| {
                let texts = attribute.default.iter().chain(&attribute.min).chain(&attribute.max);
                texts.chain(&attribute.one_of).chain([&attribute.doc])
            });
            let annotations = definition.metadata.iter().map(|(key, text)| key.len() + text.len());
            let ports = definition.provided.iter().chain(&definition.required);
            texts.map(|text| text.len()).sum::<usize>()
                + annotations.sum::<usize>()
                + ports.map(|port| port.message.len() + port.doc.len()).sum::<usize>()
        }
        Some(Cell::Unit(unit)) => {
            unit.url.len() + unit.filters.iter().map(|(key, text)| key.len() + text.len()).sum::<usize>()
        }
        Some(Cell::Flag(_) | Cell::Node(_) | Cell::Type(_) | Cell::Place(..)) | None => 0,
    }
}

fn of_element(element: &Element) -> usize {
    if let Element::Repository(url) = element { url.len() } else { 0 }
}

fn of_register(register: &Register) -> usize {
    match register {
        Register::Metadata(key) => key.len(),
        Register::Network(interface, key) => interface.len() + key.len(),
        _ => 0,
    }
}
