//! The visible model: what registers show once everything that dangles is hidden.
//!
//! Merged registers may hold a component on a node that is gone, one of which only its place is left, a binding without one of its ends, two components at one
//! place, nodes that host each other. (A value in the fragment of a node that is gone hurts nobody and stays.) Nothing of that is deleted: it is hidden, by rules that need nothing but the registers,
//! so that replicas with equal registers show equal models. What hides can come back when what it needs comes back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Stamp,
    registers::{Entry, Registers},
    row::Row,
};
use crate::{
    model::{
        ComponentId, Model,
        change::{self, Cell, Change, Element, Register, Written},
    },
    words::{ComponentName, NodeName},
};

/// The longest chain of hosts that is followed. Deeper nesting of nodes is not a thing.
const HOSTS_MAX: usize = 64;

impl Registers {
    /// The model that they show, built from nothing. A replica keeps its model up to date at the cost of what changes; it must be
    /// this one.
    pub fn view(&self) -> Model {
        build(self)
    }

    /// What a register shows in it, or `None` when it is removed or hidden.
    pub fn visible(&self, element: &Element, register: &Register) -> Option<&Cell> {
        visible(self, element, register)
    }
}

/// What a register shows, or `None` when it is removed or hidden.
pub(super) fn visible<'a>(registers: &'a Registers, element: &Element, register: &Register) -> Option<&'a Cell> {
    let cell = held(registers.row(element)?, register)?;
    (is_shown(registers, element) && shows(registers, element, register, cell)).then_some(cell)
}

/// What a register holds. A dictionary is there when a value of it is, whatever was said of the dictionary itself: who took it
/// away, with all values that it had, did not know of this one.
fn held<'a>(row: &'a Row, register: &Register) -> Option<&'a Cell> {
    const PRESENT: &Cell = &Cell::Flag(true);
    let own = row.get(register).and_then(|entry| entry.cell.as_ref());
    own.or_else(|| values(row, register).next().map(|_| PRESENT))
}

/// The values in a dictionary, by the register that says whether the dictionary is there.
pub(super) fn values<'a>(row: &'a Row, register: &'a Register) -> impl Iterator<Item = &'a Entry> {
    let is_dictionary = matches!(register, Register::HasDictionary | Register::HasFragment(_));
    let rows = row.iter().filter(move |_| is_dictionary);
    let values = rows.filter(|(other, entry)| entry.cell.is_some() && dictionary_of(other).as_ref() == Some(register));
    values.map(|(_, entry)| entry)
}

/// The register that says whether the dictionary of a value is there.
pub(super) fn dictionary_of(register: &Register) -> Option<Register> {
    match register {
        Register::Value(_) => Some(Register::HasDictionary),
        Register::Fragment(node, _) => Some(Register::HasFragment(node.clone())),
        _ => None,
    }
}

/// Whether a register of an element that shows does so itself.
fn shows(registers: &Registers, element: &Element, register: &Register, cell: &Cell) -> bool {
    match (element, register, cell) {
        (Element::Node(node), Register::Host, Cell::Node(host)) => {
            is_node(registers, host) && !breaks_cycle(registers, node)
        }
        (_, Register::Member(node), _) => is_node(registers, node),
        (_, Register::Attached(group), _) => is_live(registers, &Element::Group(group.clone())),
        _ => true,
    }
}

/// Whether an element shows.
pub(super) fn is_shown(registers: &Registers, element: &Element) -> bool {
    match element {
        Element::Component(id) => match place(registers, *id) {
            Some((node, name)) => {
                let rivals = registers.rivals(node, name);
                is_node(registers, node) && (*rivals == [*id] || winner(registers, node, name) == Some(*id))
            }
            None => false,
        },
        Element::Binding(id, _, channel) => {
            is_live(registers, element)
                && is_live(registers, &Element::Channel(channel.clone()))
                && is_shown(registers, &Element::Component(*id))
        }
        _ => is_live(registers, element),
    }
}

/// The whole view, from nothing.
pub(super) fn build(registers: &Registers) -> Model {
    let mut changes = Vec::new();
    let nothing = Registers::default();
    let (mut old, mut new) = (Sight::of(&nothing), Sight::of(registers));
    for (element, _) in registers.rows() {
        compare(&mut old, &mut new, element, &Touched::All, &mut changes);
    }
    let mut model = Model::default();
    change::patch(&mut model, &changes);
    model
}

/// What a revision makes visible, or hides.
pub(super) struct Seen<'a> {
    /// What comes and shows as it was written, in order: components and bindings that nobody knew, which is what large revisions
    /// consist of. They are made of their rows at once.
    arrivals: Vec<(&'a Element, &'a Row)>,
    /// What else was written.
    rest: Vec<&'a Written>,
    /// What else changes.
    pub(super) changes: Vec<Change>,
}

impl<'a> Seen<'a> {
    /// What changes when writes make `new` of `old`. Costs what they touch.
    pub(super) fn of(old: &Registers, new: &'a Registers, writes: &'a [Written]) -> Seen<'a> {
        let (mut arrivals, mut rest) = (Vec::new(), Vec::new());
        for written in writes {
            match arrival(old, new, &arrivals, &written.element) {
                Some(row) => arrivals.push((&written.element, row)),
                None => rest.push(written),
            }
        }
        let touched = rest.iter().map(|row| (&row.element, row.cells.iter().map(|(register, _)| register)));
        let changes = changes_but(old, new, touched, &arrivals);
        Seen { arrivals, rest, changes }
    }

    /// Whether all that was written shows, and nothing else changes.
    pub(super) fn is_all(&self) -> bool {
        let cells = |row: &&'a Written| row.cells.iter().map(|(register, cell)| (&row.element, register, cell));
        let shown = self.changes.iter().map(|change| (&change.element, &change.register, &change.after));
        shown.eq(self.rest.iter().flat_map(cells))
    }

    /// How many registers change.
    pub(super) fn len(&self) -> usize {
        self.changes.len() + self.arrivals.iter().map(|(_, row)| row.len()).sum::<usize>()
    }

    /// Takes it to the model that showed before.
    pub(super) fn patch(&self, model: &mut Model) {
        let arrivals = self.arrivals.iter().map(|(element, row)| {
            let cells = row.iter().map(|(register, entry)| (register, entry.cell.as_ref())).collect();
            change::Row { element, cells }
        });
        let mut rows: Vec<change::Row<'_>> = arrivals.collect();
        rows.extend(self.changes.chunk_by(|a, b| a.element == b.element).map(|changes| {
            let cells = changes.iter().map(|change| (&change.register, change.after.as_ref())).collect();
            change::Row { element: &changes[0].element, cells }
        }));
        rows.sort_by_key(|row| row.element);
        change::patch_rows(model, &rows);
    }
}

/// The row of an element that was not known, if it shows as it is written and nothing else depends on it but what came with it.
fn arrival<'a>(old: &Registers, new: &'a Registers, before: &[(&Element, &Row)], element: &Element) -> Option<&'a Row> {
    if old.row(element).is_some() {
        return None;
    }
    let row = new.row(element)?;
    let shows = match element {
        Element::Component(id) => match &row.get(&Register::Here)?.cell {
            Some(Cell::Place(node, name)) => {
                row.contains_key(&Register::Type)
                    && row.iter().all(|(_, entry)| entry.cell.is_some())
                    && *new.rivals(node, name) == [*id]
                    && is_node(new, node)
                    && old.bindings_of(*id).next().is_none()
            }
            _ => false,
        },
        Element::Binding(id, _, channel) => {
            row.len() == 1
                && is_present(row.get(&Register::Here)?)
                && is_live(new, &Element::Channel(channel.clone()))
                && (is_among(before, &Element::Component(*id)) || is_shown(new, &Element::Component(*id)))
        }
        _ => false,
    };
    shows.then_some(row)
}

/// Whether an element arrived. They come in order, as everything that is written; what does not is looked at once more.
fn is_among(arrivals: &[(&Element, &Row)], element: &Element) -> bool {
    arrivals.binary_search_by(|(other, _)| (*other).cmp(element)).is_ok()
}

/// What changes in the view when `old` becomes `new`, given the registers that were written. Costs what they touch.
pub(super) fn changes<'a, R: Iterator<Item = &'a Register> + Clone>(
    old: &Registers,
    new: &Registers,
    written: impl Iterator<Item = (&'a Element, R)>,
) -> Vec<Change> {
    changes_but(old, new, written, &[])
}

/// The same, without what has arrived.
fn changes_but<'a, R: Iterator<Item = &'a Register> + Clone>(
    old: &Registers,
    new: &Registers,
    written: impl Iterator<Item = (&'a Element, R)>,
    arrivals: &[(&Element, &Row)],
) -> Vec<Change> {
    let mut affected = Affected { old: Sight::of(old), new: Sight::of(new), touched: BTreeMap::new(), arrivals };
    for (element, registers) in written {
        affected.row(element, registers);
    }
    let Affected { mut old, mut new, touched, .. } = affected;
    let mut changes = Vec::new();
    for (element, touched) in &touched {
        compare(&mut old, &mut new, element, touched, &mut changes);
    }
    changes
}

/// Adds what differs in the view of an element, of those of its registers that were touched.
fn compare(old: &mut Sight<'_>, new: &mut Sight<'_>, element: &Element, touched: &Touched, changes: &mut Vec<Change>) {
    let (row_of_old, row_of_new) = (old.row(element), new.row(element));
    let (old, new) = (old.registers, new.registers);
    let mut compare = |register: &Register| {
        let seen = |registers: &Registers, row: Option<&Row>| {
            let cell = held(row?, register)?;
            shows(registers, element, register, cell).then(|| cell.clone())
        };
        let (before, after) = (seen(old, row_of_old), seen(new, row_of_new));
        if before != after {
            changes.push(Change { element: element.clone(), register: register.clone(), before, after });
        }
    };
    match touched {
        Touched::Some(registers) => registers.iter().for_each(compare),
        Touched::All if row_of_old.is_none() => {
            let cells = row_of_new.into_iter().flat_map(|row| {
                row.iter().map(move |(register, entry)| (register, entry.cell.as_ref().or_else(|| held(row, register))))
            });
            let shown = cells.filter_map(|(register, cell)| {
                let cell = cell.filter(|cell| shows(new, element, register, cell))?;
                Some((register, cell))
            });
            changes.extend(shown.map(|(register, cell)| Change {
                element: element.clone(),
                register: register.clone(),
                before: None,
                after: Some(cell.clone()),
            }));
        }
        Touched::All => {
            row_of_old.into_iter().flat_map(Row::keys).for_each(&mut compare);
            let is_new = |register: &&Register| row_of_old.is_none_or(|row| !row.contains_key(register));
            row_of_new.into_iter().flat_map(Row::keys).filter(is_new).for_each(compare);
        }
    }
}

/// Which registers of an element to look at.
enum Touched {
    Some(BTreeSet<Register>),
    All,
}

/// Registers as they are looked at: whether a component shows is asked for each of its bindings again, so it is remembered.
struct Sight<'a> {
    registers: &'a Registers,
    components: HashMap<ComponentId, bool>,
}

impl<'a> Sight<'a> {
    fn of(registers: &'a Registers) -> Sight<'a> {
        Sight { registers, components: HashMap::new() }
    }

    fn is_shown(&mut self, element: &Element) -> bool {
        match element {
            Element::Component(id) => *self.components.entry(*id).or_insert_with(|| is_shown(self.registers, element)),
            Element::Binding(id, _, channel) => {
                is_live(self.registers, element)
                    && is_live(self.registers, &Element::Channel(channel.clone()))
                    && self.is_shown(&Element::Component(*id))
            }
            _ => is_shown(self.registers, element),
        }
    }

    /// The registers of an element that shows.
    fn row(&mut self, element: &Element) -> Option<&'a Row> {
        let row = self.registers.row(element)?;
        self.is_shown(element).then_some(row)
    }
}

/// The registers whose visibility may depend on those that were written.
struct Affected<'a> {
    old: Sight<'a>,
    new: Sight<'a>,
    touched: BTreeMap<Element, Touched>,
    arrivals: &'a [(&'a Element, &'a Row)],
}

impl Affected<'_> {
    fn row<'r>(&mut self, element: &Element, registers: impl Iterator<Item = &'r Register> + Clone) {
        if registers.clone().any(|register| matches!(register, Register::Here | Register::Type)) {
            self.element(element);
            if let Element::Component(id) = element {
                self.rivals_of(*id);
            }
        }
        if let Element::Node(node) = element
            && registers.clone().any(|register| *register == Register::Host)
        {
            self.hosts_of(node);
        }
        if matches!(self.touched.get(element), Some(Touched::All)) {
            return;
        }
        let dictionaries: BTreeSet<Register> = registers.clone().filter_map(dictionary_of).collect();
        for dictionary in &dictionaries {
            self.dictionary(element, dictionary);
        }
        match self.touched.get_mut(element) {
            Some(Touched::All) => {}
            Some(Touched::Some(touched)) => touched.extend(registers.cloned()),
            None => drop(self.touched.insert(element.clone(), Touched::Some(registers.cloned().collect()))),
        }
    }

    /// A dictionary that may come or go with its values.
    fn dictionary(&mut self, element: &Element, dictionary: &Register) {
        let is_held = |registers: &Registers| registers.get(element, dictionary).is_some_and(is_present);
        if !is_held(self.old.registers) || !is_held(self.new.registers) {
            self.touch(element, dictionary);
        }
    }

    fn touch(&mut self, element: &Element, register: &Register) {
        match self.touched.get_mut(element) {
            Some(Touched::All) => {}
            Some(Touched::Some(touched)) => drop(touched.insert(register.clone())),
            None => drop(self.touched.insert(element.clone(), Touched::Some(BTreeSet::from([register.clone()])))),
        }
    }

    /// An element that may have come or gone: if it did, all its registers did, and what needs it is looked at as well.
    fn element(&mut self, element: &Element) {
        if matches!(self.touched.get(element), Some(Touched::All))
            || is_among(self.arrivals, element)
            || self.old.is_shown(element) == self.new.is_shown(element)
        {
            return;
        }
        self.touched.insert(element.clone(), Touched::All);
        for registers in [self.old.registers, self.new.registers] {
            match element {
                Element::Node(node) => {
                    for id in registers.placed_on(node) {
                        self.element(&Element::Component(id));
                    }
                    for (element, register) in registers.naming_node(node) {
                        self.touch(element, register);
                    }
                    self.hosts_of(node);
                }
                Element::Component(id) => registers.bindings_of(*id).for_each(|binding| self.element(binding)),
                Element::Channel(channel) => {
                    registers.bindings_on(channel).for_each(|binding| self.element(&binding));
                }
                Element::Group(group) => {
                    for node in registers.attached_to(group) {
                        self.touch(&Element::Node(node.clone()), &Register::Attached(group.clone()));
                    }
                }
                Element::Binding(..)
                | Element::Type(_)
                | Element::Unit(_)
                | Element::Scope(_)
                | Element::Repository(_) => {}
            }
        }
    }

    /// Who lost or regains a place that a component took or left.
    fn rivals_of(&mut self, id: ComponentId) {
        for (node, name) in
            [self.old.registers, self.new.registers].into_iter().filter_map(|registers| place(registers, id))
        {
            for registers in [self.old.registers, self.new.registers] {
                for rival in registers.rivals(node, name).iter().filter(|rival| **rival != id) {
                    self.element(&Element::Component(*rival));
                }
            }
        }
    }

    /// The hosts above a node: a cycle through it may have closed or opened.
    fn hosts_of(&mut self, node: &NodeName) {
        for registers in [self.old.registers, self.new.registers] {
            for host in chain(registers, node) {
                self.touch(&Element::Node(host.clone()), &Register::Host);
            }
        }
    }
}

pub(super) fn is_present(entry: &Entry) -> bool {
    !matches!(entry.cell, None | Some(Cell::Flag(false)))
}

fn is_live(registers: &Registers, element: &Element) -> bool {
    registers.get(element, &Register::Here).is_some_and(is_present)
}

fn is_node(registers: &Registers, node: &NodeName) -> bool {
    is_live(registers, &Element::Node(node.clone()))
}

/// Whether a component has no type: who moved it did not know that it was removed, and brings back nothing but its place. It stays
/// hidden then, as if it had not been moved, also when its removal is forgotten.
fn is_hollow(registers: &Registers, id: ComponentId) -> bool {
    registers.get(&Element::Component(id), &Register::Type).is_none_or(|entry| entry.cell.is_none())
}

pub(super) fn place(registers: &Registers, id: ComponentId) -> Option<(&NodeName, &ComponentName)> {
    let row = registers.row(&Element::Component(id))?;
    row.get(&Register::Type)?.cell.as_ref()?;
    match &row.get(&Register::Here)?.cell {
        Some(Cell::Place(node, name)) => Some((node, name)),
        _ => None,
    }
}

/// Who gets a place that several components claim: the one that claimed it last.
pub(super) fn winner(registers: &Registers, node: &NodeName, name: &ComponentName) -> Option<ComponentId> {
    let rivals = registers.rivals(node, name);
    let claims = |id: &ComponentId| !is_hollow(registers, *id);
    if let [only] = rivals {
        return Some(*only).filter(claims);
    }
    rivals
        .iter()
        .copied()
        .filter(claims)
        .max_by_key(|id| (registers.get(&Element::Component(*id), &Register::Here).map(|entry| entry.stamp), *id))
}

/// The nodes above a node, the nearest first, itself included when they lead back to it.
fn chain<'a>(registers: &'a Registers, node: &NodeName) -> Vec<&'a NodeName> {
    let mut above: Vec<&NodeName> = Vec::new();
    let mut next = host(registers, node);
    while let Some(host_name) = next {
        if above.contains(&host_name) || above.len() == HOSTS_MAX {
            break;
        }
        above.push(host_name);
        next = host(registers, host_name);
    }
    above
}

fn host<'a>(registers: &'a Registers, node: &NodeName) -> Option<&'a NodeName> {
    let element = Element::Node(node.clone());
    match registers.get(&element, &Register::Host)?.cell.as_ref()? {
        Cell::Node(host) if is_live(registers, &element) && is_node(registers, host) => Some(host),
        _ => None,
    }
}

/// The nodes that host each other in a circle through this one.
pub(super) fn cycle<'a>(registers: &'a Registers, node: &NodeName) -> Option<Vec<&'a NodeName>> {
    let above = chain(registers, node);
    let end = above.iter().position(|host| *host == node)?;
    Some(above[..=end].to_vec())
}

/// Of nodes that host each other in a circle, the host written last does not show.
fn breaks_cycle(registers: &Registers, node: &NodeName) -> bool {
    cycle(registers, node).is_some_and(|nodes| newest_of(registers, &nodes).is_some_and(|(name, _)| name == *node))
}

fn newest_of(registers: &Registers, nodes: &[&NodeName]) -> Option<(NodeName, Stamp)> {
    let stamped = nodes.iter().filter_map(|node| {
        let entry = registers.get(&Element::Node((*node).clone()), &Register::Host)?;
        Some((entry.stamp, *node))
    });
    stamped.max().map(|(stamp, node)| (node.clone(), stamp))
}
