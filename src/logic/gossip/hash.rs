//! Hashes of registers and revisions, the same on every machine and in every build: fields are fed one by one.

use siphasher::sip128::SipHasher13;

use super::{Revision, registers::Entry};
use crate::{
    model::change::{Cell, Element, Register},
    words::{TypeRef, UnitRef},
};

/// The hash of a register with its last write.
pub(super) fn register(feed: &mut Feed, element: &Element, register: &Register, entry: &Entry) -> u128 {
    feed.begin(1);
    feed.element(element);
    feed.register(register);
    feed.number(entry.stamp.ntp()).number(entry.stamp.origin().number());
    feed.cell(&entry.cell);
    feed.finish()
}

/// The hash of what a register holds.
pub(super) fn cell(cell: &Option<Cell>) -> u128 {
    let mut feed = Feed::default();
    feed.begin(2);
    feed.cell(cell);
    feed.finish()
}

/// The hash of a revision; not of its digest, which contains it.
pub(super) fn revision(revision: &Revision) -> u128 {
    let mut feed = Feed::default();
    feed.begin(3);
    feed.number(revision.id.number).text(revision.id.origin.as_str());
    feed.number(revision.stamp.ntp()).number(revision.stamp.origin().number());
    feed.text(&revision.by).text(&revision.from).text(&revision.message);
    feed.number(u64::from(revision.n_changes));
    feed.finish()
}

/// Bytes gathered first and hashed at once: a register has some hundred of them. SipHash with a fixed key: it tells apart what
/// differs by accident; who can write to a group needs no collision to do harm.
#[derive(Default)]
pub(super) struct Feed(Vec<u8>);

impl Feed {
    fn begin(&mut self, kind: u8) {
        self.0.clear();
        self.0.push(kind);
    }

    fn finish(&self) -> u128 {
        SipHasher13::new().hash(&self.0).as_u128()
    }

    fn number(&mut self, number: u64) -> &mut Feed {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn text(&mut self, text: &str) -> &mut Feed {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    fn type_ref(&mut self, id: &TypeRef) {
        self.text(id.namespace.as_str()).text(id.name.as_str()).text(&id.version);
    }

    fn unit_ref(&mut self, id: &UnitRef) {
        self.text(id.namespace.as_str()).text(&id.name).text(&id.version).text(&id.hashcode);
    }

    fn element(&mut self, element: &Element) {
        match element {
            Element::Node(name) => self.number(0).text(name.as_str()),
            Element::Component(id) => self.number(1).number(id.0),
            Element::Channel(name) => self.number(2).text(name.as_str()),
            Element::Group(name) => self.number(3).text(name.as_str()),
            Element::Binding(id, port, channel) => {
                self.number(4).number(id.0).text(port.as_str()).text(channel.as_str())
            }
            Element::Type(id) => {
                self.number(5).type_ref(id);
                self
            }
            Element::Unit(id) => {
                self.number(6).unit_ref(id);
                self
            }
            Element::Scope(name) => self.number(7).text(name.as_str()),
            Element::Repository(url) => self.number(8).text(url),
        };
    }

    fn register(&mut self, register: &Register) {
        match register {
            Register::Here => self.number(0),
            Register::Type => self.number(1),
            Register::Started => self.number(2),
            Register::Host => self.number(3),
            Register::HasDictionary => self.number(4),
            Register::Value(name) => self.number(5).text(name.as_str()),
            Register::Fragment(node, name) => self.number(6).text(node.as_str()).text(name.as_str()),
            Register::Metadata(key) => self.number(7).text(key),
            Register::Attached(group) => self.number(8).text(group.as_str()),
            Register::Network(interface, key) => self.number(9).text(interface).text(key),
            Register::Property(name) => self.number(10).text(name.as_str()),
            Register::Member(node) => self.number(11).text(node.as_str()),
            Register::Port(name) => self.number(12).text(name.as_str()),
            Register::HasFragment(node) => self.number(13).text(node.as_str()),
        };
    }

    fn cell(&mut self, cell: &Option<Cell>) {
        match cell {
            None => self.number(0),
            Some(Cell::Flag(flag)) => self.number(1 + u64::from(*flag)),
            Some(Cell::Text(text)) => self.number(3).text(text),
            Some(Cell::Node(name)) => self.number(4).text(name.as_str()),
            Some(Cell::Type(id)) => {
                self.number(5).type_ref(id);
                self
            }
            Some(Cell::Place(node, name)) => self.number(6).text(node.as_str()).text(name.as_str()),
            // Definitions are few: their JSON, whose fields stand in the order of their declaration, will do.
            Some(Cell::Definition(definition)) => {
                self.number(7).text(&serde_json::to_string(&**definition).expect("a definition is plain data"))
            }
            Some(Cell::Unit(unit)) => {
                self.number(8).text(&serde_json::to_string(&**unit).expect("a unit is plain data"))
            }
        };
    }
}
