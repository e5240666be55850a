//! The registers of a replica: for each part of the model the last write, its stamp, and indexes to find what depends on it.
//!
//! A merge keeps the later write. A removal is a write too (a tombstone), remembered until the horizon has passed: `floor` is
//! the time up to which tombstones are forgotten. What a replica with a floor does not have, and is not newer than the floor,
//! has been removed.

use std::{
    collections::BTreeSet,
    ops::Bound,
    sync::{Arc, LazyLock},
};

use imbl::{OrdMap, OrdSet, ordmap};

use super::{Stamp, hash, hash::Feed, row::Row};
use crate::{
    model::{
        ComponentId, Shared,
        change::{Cell, Element, Register},
    },
    words::{ChannelName, ComponentName, GroupName, NodeName, PortName, Time},
};

/// A register's last write.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// When, and by whom.
    pub stamp: Stamp,
    /// What; `None` for removed.
    pub cell: Option<Cell>,
}

/// Who claims a place: hardly ever more than one.
#[derive(Clone, Debug)]
enum Claims {
    One(ComponentId),
    Several(Arc<[ComponentId]>),
}

impl Claims {
    fn ids(&self) -> &[ComponentId] {
        match self {
            Claims::One(id) => std::slice::from_ref(id),
            Claims::Several(ids) => ids,
        }
    }

    /// In order; `None` for nobody.
    fn of(ids: &[ComponentId]) -> Option<Claims> {
        match ids {
            [] => None,
            [id] => Some(Claims::One(*id)),
            ids => Some(Claims::Several(ids.into())),
        }
    }
}

/// All registers. A clone costs nothing.
#[derive(Clone, Debug, Default)]
pub struct Registers {
    rows: OrdMap<Element, Shared<Row>>,
    /// Live places, in order of node and name: who claims to live where.
    placed: OrdMap<(NodeName, ComponentName), Claims>,
    /// Live bindings by channel; by component they are found among the rows.
    on_channel: OrdSet<(ChannelName, ComponentId, PortName)>,
    /// Live registers that mention a node: hosts, memberships.
    naming_node: OrdSet<(NodeName, Element, Register)>,
    /// Live attachments by group.
    attached: OrdSet<(GroupName, NodeName)>,
    sum: u128,
    floor: Time,
}

impl Registers {
    /// The last write of a register.
    pub fn get(&self, element: &Element, register: &Register) -> Option<&Entry> {
        self.rows.get(element)?.get(register)
    }

    /// The registers of an element.
    pub fn row(&self, element: &Element) -> Option<&Row> {
        self.rows.get(element).map(|row| &**row)
    }

    /// All registers in order of element and register.
    pub fn iter(&self) -> impl Iterator<Item = (&Element, &Register, &Entry)> {
        self.rows.iter().flat_map(|(element, row)| row.iter().map(move |(register, entry)| (element, register, entry)))
    }

    /// The elements, each with its registers.
    pub fn rows(&self) -> impl Iterator<Item = (&Element, &Shared<Row>)> {
        self.rows.iter()
    }

    /// How many registers there are, tombstones included.
    pub fn len(&self) -> usize {
        self.rows.values().map(|row| row.len()).sum()
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The sum of the hashes of all registers: equal for equal contents, whatever the order of the writes was.
    pub fn sum(&self) -> u128 {
        self.sum
    }

    /// The time up to which removals are forgotten.
    pub fn floor(&self) -> Time {
        self.floor
    }

    /// Merges what a revision wrote to one element; says which registers it won.
    pub fn write(&mut self, element: &Element, cells: &[(Register, Option<Cell>)], stamp: Stamp) -> Vec<Register> {
        let held = self.rows.get(element);
        if held.is_none() && stamp.time() > self.floor {
            self.add(element, cells, stamp);
            return cells.iter().map(|(register, _)| register.clone()).collect();
        }
        let wins = |register: &Register, entry: &Entry| match held.and_then(|row| row.get(register)) {
            Some(held) => beats(entry, held),
            // Not known, and perhaps so old that its removal has been forgotten.
            None => entry.stamp.time() > self.floor,
        };
        let won: Vec<(Register, Option<Entry>)> = cells
            .iter()
            .map(|(register, cell)| (register, Entry { stamp, cell: cell.clone() }))
            .filter(|(register, entry)| wins(register, entry))
            .map(|(register, entry)| (register.clone(), Some(entry)))
            .collect();
        let registers = won.iter().map(|(register, _)| register.clone()).collect();
        self.replace(element, won);
        registers
    }

    /// Writes an element of which nothing is known yet.
    fn add(&mut self, element: &Element, cells: &[(Register, Option<Cell>)], stamp: Stamp) {
        let mut row = Row::default();
        row.reserve(cells.len());
        let mut feed = Feed::default();
        for (register, cell) in cells {
            let entry = Entry { stamp, cell: cell.clone() };
            self.sum = self.sum.wrapping_add(hash::register(&mut feed, element, register, &entry));
            if let Some(held) = row.insert(register.clone(), entry) {
                self.sum = self.sum.wrapping_sub(hash::register(&mut feed, element, register, &held));
                self.index(element, register, held.cell.as_ref(), false);
            }
            self.index(element, register, cell.as_ref(), true);
        }
        if !row.is_empty() {
            self.rows.insert(element.clone(), Shared::new(row));
        }
    }

    /// Merges everything that another replica has. It is complete: what it lacks below its floor was removed there.
    pub fn merge(&mut self, other: &Registers) {
        if self.rows.is_empty() && self.floor <= other.floor {
            *self = other.clone();
            return;
        }
        let mine = self.clone();
        for (element, theirs) in &other.rows {
            let row = mine.rows.get(element);
            if row.is_none_or(|row| row != theirs) {
                self.replace(element, mine.merged(row, Some(theirs), other.floor));
            }
        }
        if other.floor > Time::default() {
            for (element, row) in mine.rows.iter().filter(|(element, _)| !other.rows.contains_key(*element)) {
                self.replace(element, mine.merged(Some(row), None, other.floor));
            }
        }
        self.raise_floor(other.floor);
    }

    /// What of an element changes when another replica's registers of it are merged.
    fn merged(
        &self,
        mine: Option<&Shared<Row>>,
        theirs: Option<&Shared<Row>>,
        floor_of_theirs: Time,
    ) -> Vec<(Register, Option<Entry>)> {
        let mut changes = Vec::new();
        for (register, entry) in theirs.into_iter().flat_map(|row| row.iter()) {
            let wins = match mine.and_then(|row| row.get(register)) {
                Some(held) => beats(entry, held),
                None => entry.stamp.time() > self.floor,
            };
            if wins {
                changes.push((register.clone(), Some(entry.clone())));
            }
        }
        for (register, entry) in mine.into_iter().flat_map(|row| row.iter()) {
            let unknown = theirs.is_none_or(|row| !row.contains_key(register));
            if unknown && entry.stamp.time() <= floor_of_theirs {
                changes.push((register.clone(), None));
            }
        }
        changes
    }

    /// The registers that differ from an earlier state, by element. Costs what differs where the two share the rest.
    pub(super) fn differing(&self, earlier: &Registers) -> Vec<(Element, Vec<Register>)> {
        let differing = |old: Option<&Shared<Row>>, new: Option<&Shared<Row>>| {
            let (old, new) = (old.map(|row| &**row), new.map(|row| &**row));
            let registers = old.into_iter().chain(new).flat_map(Row::keys).collect::<BTreeSet<_>>();
            let differs =
                |register: &&Register| old.and_then(|row| row.get(register)) != new.and_then(|row| row.get(register));
            registers.into_iter().filter(differs).cloned().collect::<Vec<_>>()
        };
        let items = earlier.rows.diff(&self.rows).map(|item| match item {
            ordmap::DiffItem::Add(element, new) => (element.clone(), differing(None, Some(new))),
            ordmap::DiffItem::Update { old: (element, old), new: (_, new) } => {
                (element.clone(), differing(Some(old), Some(new)))
            }
            ordmap::DiffItem::Remove(element, old) => (element.clone(), differing(Some(old), None)),
        });
        items.collect()
    }

    /// Forgets removals up to a time. Only for a replica that has everything the group has written up to then.
    pub fn raise_floor(&mut self, floor: Time) {
        if floor <= self.floor {
            return;
        }
        for (element, register) in self.tombstones_until(floor) {
            self.replace(&element, vec![(register, None)]);
        }
        self.floor = floor;
    }

    /// What [`Registers::sum`] would be with a higher floor.
    pub fn sum_at(&self, floor: Time) -> u128 {
        let mut feed = Feed::default();
        let forgotten = self.tombstones_until(floor).into_iter().map(|(element, register)| {
            self.get(&element, &register).map_or(0, |entry| hash::register(&mut feed, &element, &register, entry))
        });
        forgotten.fold(self.sum, u128::wrapping_sub)
    }

    fn tombstones_until(&self, floor: Time) -> Vec<(Element, Register)> {
        let old = self.iter().filter(|(.., entry)| is_forgotten(entry, floor));
        old.map(|(element, register, _)| (element.clone(), register.clone())).collect()
    }

    /// Replaces registers of an element, the indexes and the sum with them; `None` forgets one.
    pub(super) fn replace(&mut self, element: &Element, entries: Vec<(Register, Option<Entry>)>) {
        if entries.is_empty() {
            return;
        }
        let mut row = self.rows.get(element).map(|row| Row::clone(row)).unwrap_or_default();
        row.reserve(entries.len());
        let mut feed = Feed::default();
        for (register, entry) in entries {
            // A removal may come when removals of its time are forgotten already: what it removed goes without a trace.
            let entry = entry.filter(|entry| !is_forgotten(entry, self.floor));
            if let Some(entry) = &entry {
                self.sum = self.sum.wrapping_add(hash::register(&mut feed, element, &register, entry));
            }
            let cell = entry.as_ref().and_then(|entry| entry.cell.clone());
            let held = match entry {
                Some(entry) => row.insert(register.clone(), entry),
                None => row.remove(&register),
            };
            if let Some(held) = held {
                self.sum = self.sum.wrapping_sub(hash::register(&mut feed, element, &register, &held));
                self.index(element, &register, held.cell.as_ref(), false);
            }
            self.index(element, &register, cell.as_ref(), true);
        }
        if row.is_empty() {
            self.rows.remove(element);
        } else {
            self.rows.insert(element.clone(), Shared::new(row));
        }
    }

    fn index(&mut self, element: &Element, register: &Register, cell: Option<&Cell>, live: bool) {
        let Some(cell) = cell else { return };
        match (element, register, cell) {
            (Element::Component(id), Register::Here, Cell::Place(node, name)) => {
                self.claim((node.clone(), name.clone()), *id, live);
            }
            (Element::Binding(id, port, channel), Register::Here, _) => {
                set(&mut self.on_channel, (channel.clone(), *id, port.clone()), live);
            }
            (_, Register::Attached(group), _) => {
                if let Element::Node(node) = element {
                    set(&mut self.attached, (group.clone(), node.clone()), live);
                }
            }
            (_, Register::Host, Cell::Node(node)) => {
                set(&mut self.naming_node, (node.clone(), element.clone(), register.clone()), live);
            }
            (_, Register::Member(node), _) => {
                set(&mut self.naming_node, (node.clone(), element.clone(), register.clone()), live);
            }
            _ => {}
        }
    }

    fn claim(&mut self, place: (NodeName, ComponentName), id: ComponentId, live: bool) {
        if live && !self.placed.contains_key(&place) {
            self.placed.insert(place, Claims::One(id));
            return;
        }
        let held = self.placed.get(&place).map_or(&[][..], Claims::ids);
        let mut ids: Vec<ComponentId> = held.iter().copied().filter(|known| *known != id).collect();
        if live {
            ids.push(id);
            ids.sort_unstable();
        }
        match Claims::of(&ids) {
            Some(claims) => drop(self.placed.insert(place, claims)),
            None => drop(self.placed.remove(&place)),
        }
    }

    /// The components that claim to live on a node.
    pub(super) fn placed_on<'a>(&'a self, node: &'a NodeName) -> impl Iterator<Item = ComponentId> + 'a {
        let from = (node.clone(), smallest().component.clone());
        let places = self.placed.range(from..).take_while(move |((n, _), _)| n == node);
        places.flat_map(|(_, claims)| claims.ids().iter().copied())
    }

    /// The components that claim one place.
    pub(super) fn rivals(&self, node: &NodeName, name: &ComponentName) -> &[ComponentId] {
        self.placed.get(&(node.clone(), name.clone())).map_or(&[], Claims::ids)
    }

    /// The bindings of a component, removed ones included.
    pub(super) fn bindings_of(&self, id: ComponentId) -> impl Iterator<Item = &Element> {
        let from = Element::Binding(id, smallest().port.clone(), smallest().channel.clone());
        self.rows
            .range((Bound::Included(from), Bound::Unbounded))
            .map(|(element, _)| element)
            .take_while(move |element| matches!(element, Element::Binding(of, ..) if *of == id))
    }

    /// The live bindings of a channel.
    pub(super) fn bindings_on<'a>(&'a self, channel: &'a ChannelName) -> impl Iterator<Item = Element> + 'a {
        let from = (channel.clone(), ComponentId(0), smallest().port.clone());
        self.on_channel
            .range(from..)
            .take_while(move |(name, ..)| name == channel)
            .map(|(channel, id, port)| Element::Binding(*id, port.clone(), channel.clone()))
    }

    /// The live registers that mention a node.
    pub(super) fn naming_node<'a>(
        &'a self,
        node: &'a NodeName,
    ) -> impl Iterator<Item = (&'a Element, &'a Register)> + 'a {
        let from = (node.clone(), Element::Node(smallest().node.clone()), Register::Here);
        self.naming_node
            .range(from..)
            .take_while(move |(name, ..)| name == node)
            .map(|(_, element, register)| (element, register))
    }

    /// The nodes with a live attachment to a group.
    pub(super) fn attached_to<'a>(&'a self, group: &'a GroupName) -> impl Iterator<Item = &'a NodeName> + 'a {
        let from = (group.clone(), smallest().node.clone());
        self.attached.range(from..).take_while(move |(name, _)| name == group).map(|(_, node)| node)
    }
}

impl PartialEq for Registers {
    fn eq(&self, other: &Registers) -> bool {
        self.sum == other.sum && self.floor == other.floor && self.rows == other.rows
    }
}

/// Whether a write stands against another: the later wins; of two with one stamp (an author who lost its clock) the one with
/// the greater hash, so that all replicas choose alike.
fn beats(entry: &Entry, held: &Entry) -> bool {
    match entry.stamp.cmp(&held.stamp) {
        std::cmp::Ordering::Equal => entry.cell != held.cell && hash::cell(&entry.cell) > hash::cell(&held.cell),
        order => order.is_gt(),
    }
}

/// Whether a write is a removal that is not remembered any more.
fn is_forgotten(entry: &Entry, floor: Time) -> bool {
    entry.cell.is_none() && entry.stamp.time() <= floor
}

fn set<T: Ord + Clone>(index: &mut OrdSet<T>, key: T, live: bool) {
    if live {
        index.insert(key);
    } else {
        index.remove(&key);
    }
}

/// "-" is the smallest name there is: a range that starts with it misses nothing. Parsed once: it is asked for with every search.
struct Smallest {
    node: NodeName,
    component: ComponentName,
    port: PortName,
    channel: ChannelName,
}

fn smallest() -> &'static Smallest {
    const TEXT: &str = "-";
    static SMALLEST: LazyLock<Smallest> = LazyLock::new(|| Smallest {
        node: NodeName::parse(TEXT).expect("a valid name"),
        component: ComponentName::parse(TEXT).expect("a valid name"),
        port: PortName::parse(TEXT).expect("a valid name"),
        channel: ChannelName::parse(TEXT).expect("a valid name"),
    });
    &SMALLEST
}
