//! What differs between two models, register by register: the common currency of plans, groups and people's diffs.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{ComponentId, DeployUnit, TypeDefinition};
pub use super::{
    diff::{diff, rows},
    patch::{Row, patch, patch_rows},
};
use crate::words::{
    AttributeName, ChannelName, ComponentName, GroupName, NodeName, PortName, ScopeName, TypeRef, UnitRef,
};

/// A part of a model that comes and goes as a whole. Components go by identity, so that a move changes one register.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Element {
    /// A node.
    Node(NodeName),
    /// A component.
    Component(ComponentId),
    /// A channel.
    Channel(ChannelName),
    /// A group.
    Group(GroupName),
    /// A port of a component on a channel.
    Binding(ComponentId, PortName, ChannelName),
    /// A type definition.
    Type(TypeRef),
    /// A deploy unit.
    Unit(UnitRef),
    /// A scope.
    Scope(ScopeName),
    /// The address of a repository.
    Repository(Arc<str>),
}

/// A register of an element. [`Register::Here`] says whether the element exists; without it the others do not show.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Register {
    /// Existence: [`Cell::Place`] for components, [`Cell::Definition`] for types, [`Cell::Unit`] for units, else [`Cell::Flag`].
    Here,
    /// The type of an instance: [`Cell::Type`].
    Type,
    /// Whether wanted running: [`Cell::Flag`].
    Started,
    /// The host of a node: [`Cell::Node`].
    Host,
    /// Whether a dictionary is there at all: [`Cell::Flag`] (only Kevoree's broken models lack it).
    HasDictionary,
    /// Whether there is a dictionary in the fragment of a node at all, if only an empty one: [`Cell::Flag`].
    HasFragment(NodeName),
    /// A value: [`Cell::Text`].
    Value(AttributeName),
    /// A value in the fragment of a node: [`Cell::Text`].
    Fragment(NodeName, AttributeName),
    /// An annotation: [`Cell::Text`].
    Metadata(Arc<str>),
    /// A node's attachment to a group: [`Cell::Flag`].
    Attached(GroupName),
    /// An address of a node by interface and key: [`Cell::Text`].
    Network(Arc<str>, Arc<str>),
    /// A property of a node: [`Cell::Text`].
    Property(AttributeName),
    /// A node in a scope: [`Cell::Flag`].
    Member(NodeName),
    /// A port of a component; true receives, false sends: [`Cell::Flag`].
    Port(PortName),
}

/// What a register holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cell {
    /// Yes or no.
    Flag(bool),
    /// A text.
    Text(Arc<str>),
    /// A node.
    Node(NodeName),
    /// A type.
    Type(TypeRef),
    /// Where a component lives, and under which name.
    Place(NodeName, ComponentName),
    /// A whole type definition.
    Definition(Arc<TypeDefinition>),
    /// A whole deploy unit.
    Unit(Arc<DeployUnit>),
}

/// One register that differs: `None` is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Whose register.
    pub element: Element,
    /// Which.
    pub register: Register,
    /// What it held.
    pub before: Option<Cell>,
    /// What it holds.
    pub after: Option<Cell>,
}

/// What registers of one element hold now; `None` is removed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Whose registers.
    pub element: Element,
    /// Which, and what they hold now.
    pub cells: Vec<(Register, Option<Cell>)>,
}

impl Change {
    /// The change back.
    #[must_use]
    pub fn inverse(self) -> Change {
        Change { before: self.after, after: self.before, ..self }
    }

    /// Whether its element comes into being.
    pub fn adds(&self) -> bool {
        self.register == Register::Here && self.before.is_none() && self.after.is_some()
    }

    /// Whether its element goes.
    pub fn removes(&self) -> bool {
        self.register == Register::Here && self.before.is_some() && self.after.is_none()
    }
}
