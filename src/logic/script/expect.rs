//! What may come at a place of a script that is still being written: the ground of completion.

use std::ops::Range;

use super::{
    parse::Parser,
    statement::{Part, Word},
    token::is_word,
};

/// Something that may come next. Paths are given as they were written, `*` and variables included.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expectation {
    /// A statement.
    Keyword,
    /// A node.
    Node,
    /// A channel.
    Channel,
    /// A group.
    Group,
    /// A scope.
    Scope,
    /// A node, a channel or a group.
    Instance,
    /// A component of this node, or a node that it hosts.
    Child(String),
    /// A component of this node.
    Component(String),
    /// A port of the component at this node and of this name.
    Port(String, String),
    /// An attribute of the instance at this path.
    Attribute(Vec<String>),
    /// A node that the attribute at this path can have a value for.
    FragmentNode(Vec<String>),
    /// A value for the attribute at this path (in quotes).
    Value(Vec<String>),
    /// A name that is not used yet.
    NewName,
    /// A type. The kind of instance follows from the path that is added.
    Type,
    /// A version of the type of this name (namespace included where one was written).
    TypeVersion(String),
    /// `RELEASE`, `LATEST` or units by platform.
    UnitVersion(String),
    /// A platform that the type of this name has units for.
    Platform(String),
    /// A network interface or key, a property, an annotation: any name.
    Key,
    /// An address: bare or in quotes.
    Address,
    /// A text in quotes.
    Quoted,
    /// This very sign or word.
    Sign(&'static str),
}

/// What may come at the cursor, and the word that it would replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The bytes of the word before the cursor; empty when the cursor is not at the end of a word.
    pub replace: Range<usize>,
    /// What may stand there.
    pub expected: Vec<Expectation>,
}

/// Tells what may stand at the cursor (a byte position; the end of the text for what is being typed).
pub fn expect_at(text: &str, cursor: usize) -> Completion {
    let cursor = (0..=cursor.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let before = &text[..cursor];
    let start = before.trim_end_matches(is_word).len();
    let mut expected = Parser::listen(&before[..start]);
    let mut seen = std::collections::HashSet::new();
    expected.retain(|one| seen.insert(one.clone()));
    Completion { replace: start..cursor, expected }
}

/// What a path is for: decides what each of its parts may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    New,
    Node,
    NewScope,
    Scope,
    Group,
    Channel,
    /// An instance of any kind.
    Instance,
    /// What can be moved: components, hosted nodes, nodes.
    Movable,
    Port,
    Attribute,
    Fragment,
    Network,
    Property,
    Annotation,
}

impl Role {
    /// What the part after `parts` may be.
    pub(super) fn expects(self, parts: &[Part]) -> Vec<Expectation> {
        use Expectation as E;
        let said: Vec<String> = parts.iter().map(said).collect();
        match (self, said.as_slice()) {
            (Role::New, []) => vec![E::NewName, E::Node],
            (Role::New, [_]) | (Role::NewScope, []) => vec![E::NewName],
            (Role::Node, []) => vec![E::Node],
            (Role::Scope, []) => vec![E::Scope],
            (Role::Group, []) => vec![E::Group],
            (Role::Channel, []) => vec![E::Channel],
            (Role::Instance | Role::Attribute | Role::Annotation, []) => vec![E::Instance],
            (Role::Instance | Role::Movable, [node]) => vec![E::Child(node.clone())],
            (Role::Movable | Role::Port | Role::Network | Role::Property, []) => vec![E::Node],
            (Role::Port, [node]) => vec![E::Component(node.clone())],
            (Role::Port, [node, component]) => vec![E::Port(node.clone(), component.clone())],
            (Role::Attribute, [node]) => vec![E::Attribute(said.clone()), E::Child(node.clone())],
            (Role::Attribute, [_, _]) => vec![E::Attribute(said.clone())],
            (Role::Annotation, [node]) => vec![E::Key, E::Child(node.clone())],
            (Role::Annotation, [_, _]) | (Role::Network, [_] | [_, _]) | (Role::Property, [_]) => vec![E::Key],
            _ => Vec::new(),
        }
    }

    /// How the path looks, for people.
    pub(super) fn form(self) -> &'static str {
        match self {
            Role::New => "a name such as `node0` or `node0.ticker`",
            Role::Node | Role::Fragment => "a node",
            Role::NewScope => "a name for the scope",
            Role::Scope => "a scope",
            Role::Group => "a group",
            Role::Channel => "a channel",
            Role::Instance => "an instance such as `node0` or `node0.ticker`",
            Role::Movable => "a component such as `node0.ticker`, or a node",
            Role::Port => "a port such as `node0.ticker.tick`",
            Role::Attribute => "an attribute such as `node0.ticker.period`",
            Role::Network => "an address such as `node0.lan.ip`",
            Role::Property => "a property such as `node0.gpu`",
            Role::Annotation => "an annotation such as `node0.description`",
        }
    }
}

/// A part as it was written.
pub(super) fn said(part: &Part) -> String {
    match &part.word {
        Word::Any => "*".to_owned(),
        Word::Name(name) | Word::Quoted(name) => name.to_string(),
        Word::Variable(name) => format!("%{name}%"),
        Word::Generated(name) => format!("%%{name}%%"),
    }
}
