//! A script as a value: what was written, before anything is looked up in a model.

use std::sync::Arc;

use super::diagnostic::Span;

/// Where something was written. It does not count when scripts are compared: two scripts are equal when they say the same.
#[derive(Clone, Copy, Debug, Default, Eq)]
pub struct Place(pub Span);

impl PartialEq for Place {
    fn eq(&self, _: &Place) -> bool {
        true
    }
}

/// A whole script: statements in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// What to do, one after the other.
    pub statements: Vec<Statement>,
}

/// One statement with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// What it asks for.
    pub verb: Verb,
    /// From its first to its last word.
    pub place: Place,
}

/// What a statement asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `add NAMES : TYPE`
    Add(Vec<Path>, TypeSpec),
    /// `upgrade NAMES : TYPE`
    Upgrade(Vec<Path>, TypeSpec),
    /// `remove NAMES`
    Remove(Vec<Path>),
    /// `move NAMES NODE`
    Move(Vec<Path>, Path),
    /// `host NODES NODE`
    Host(Vec<Path>, Path),
    /// `unhost NODES`
    Unhost(Vec<Path>),
    /// `attach NODES GROUP`
    Attach(Vec<Path>, Path),
    /// `detach NODES GROUP`
    Detach(Vec<Path>, Path),
    /// `set PATH.ATTRIBUTE[/NODE] = VALUE`
    Set(Path, Option<Path>, Text),
    /// `unset PATH.ATTRIBUTE[/NODE]`
    Unset(Path, Option<Path>),
    /// `bind NODE.COMPONENT.PORT CHANNEL`
    Bind(Path, Path),
    /// `unbind NODE.COMPONENT.PORT CHANNEL`
    Unbind(Path, Path),
    /// `start NAMES`
    Start(Vec<Path>),
    /// `stop NAMES`
    Stop(Vec<Path>),
    /// `network NODE.INTERFACE.KEY ADDRESS`
    Network(Path, Text),
    /// `unnetwork NODE.INTERFACE.KEY`
    Unnetwork(Path),
    /// `property NODE.KEY VALUE`
    Property(Path, Text),
    /// `unproperty NODE.KEY`
    Unproperty(Path),
    /// `meta PATH.KEY VALUE`
    Meta(Path, Text),
    /// `unmeta PATH.KEY`
    Unmeta(Path),
    /// `scope NAMES`
    Scope(Vec<Path>),
    /// `unscope NAMES`
    Unscope(Vec<Path>),
    /// `enter NODES SCOPE`
    Enter(Vec<Path>, Path),
    /// `leave NODES SCOPE`
    Leave(Vec<Path>, Path),
    /// `repo 'url'`, `include type:name`, `namespace x`, `pause NAMES`: read, warned about, without effect.
    Deprecated(Keyword, Arc<str>),
}

/// A name with dots: `node0.ticker.tick`, `*.web`, `%node%.log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// What stands between the dots; never empty.
    pub parts: Vec<Part>,
    /// From the first to the last part.
    pub place: Place,
}

/// One part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it says.
    pub word: Word,
    /// Where.
    pub place: Place,
}

/// A name, or what stands for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// `*`: whatever is there.
    Any,
    /// The name itself.
    Name(Arc<str>),
    /// A name in quotes: keys of `network` and `meta` may be any text.
    Quoted(Arc<str>),
    /// `%name%`: a variable's value.
    Variable(Arc<str>),
    /// `%%name%%`: a variable's value, generated when there is none.
    Generated(Arc<str>),
}

/// A value: in quotes, bare (`network` only), or a variable's. Variables are not looked for within quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The value; [`Word::Name`] for a bare one.
    pub word: Word,
    /// Where.
    pub place: Place,
}

/// `Name`, `namespace.Name`, with `/version` and the wish for units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeSpec {
    /// What stands before the last dot, if there is one.
    pub namespace: Option<Arc<str>>,
    /// The name of the type.
    pub name: Arc<str>,
    /// Which version.
    pub version: Version,
    /// Which deploy units.
    pub units: Units,
    /// All of it.
    pub place: Place,
    /// The namespace and the name.
    pub name_place: Place,
}

/// Which version of a type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// None was written: the highest.
    #[default]
    Unsaid,
    /// `LATEST`: the highest.
    Latest,
    /// `1`, `2.0.0`
    Exact(Arc<str>),
    /// `%name%`: a version or `LATEST`.
    Variable(Arc<str>, Place),
}

/// Which deploy units of a type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Units {
    /// None was written: those that the model has, else `RELEASE`.
    #[default]
    Unsaid,
    /// `RELEASE`, `LATEST`, or a variable that says so.
    Tag(Wish),
    /// `{platform: wish, …}`; may be empty, which means RELEASE.
    Each(Vec<(Arc<str>, Wish)>),
}

/// Which unit of a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `RELEASE`: the newest that is released.
    Release,
    /// `LATEST`: the newest.
    Latest,
    /// `'1.2.3'`
    Exact(Arc<str>),
    /// `%name%`: any of the above.
    Variable(Arc<str>, Place),
}

macro_rules! keywords {
    ($($name:ident $text:literal $form:literal $help:literal)*) => {
        /// The word a statement starts with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Keyword {
            $(#[doc = concat!("`", $text, "`: ", $help)] $name,)*
        }

        impl Keyword {
            /// All of them, in the order in which people learn them.
            pub const ALL: &[Keyword] = &[$(Keyword::$name),*];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self { $(Keyword::$name => $text,)* }
            }

            /// The form of the statement.
            pub fn form(self) -> &'static str {
                match self { $(Keyword::$name => concat!($text, " ", $form),)* }
            }

            /// What the statement does, in one line.
            pub fn help(self) -> &'static str {
                match self { $(Keyword::$name => $help,)* }
            }
        }
    };
}

keywords! {
    Add "add" "NAMES : TYPE" "adds nodes, components (under a node), channels and groups"
    Remove "remove" "NAMES" "removes instances and all that hangs on them"
    Set "set" "PATH.ATTRIBUTE[/NODE] = 'VALUE'" "sets an attribute"
    Unset "unset" "PATH.ATTRIBUTE[/NODE]" "gives an attribute its default again"
    Bind "bind" "NODE.COMPONENT.PORT CHANNEL" "hangs a port on a channel"
    Unbind "unbind" "NODE.COMPONENT.PORT CHANNEL" "takes a port off a channel"
    Attach "attach" "NODES GROUP" "attaches nodes to a group"
    Detach "detach" "NODES GROUP" "detaches nodes from a group"
    Start "start" "NAMES" "wants instances running"
    Stop "stop" "NAMES" "wants instances stopped"
    Move "move" "NAMES NODE" "moves components to another node, with their state; or nodes under a node"
    Upgrade "upgrade" "NAMES : TYPE" "gives instances another type, with their state"
    Host "host" "NODES NODE" "puts nodes under a node that hosts them"
    Unhost "unhost" "NODES" "puts hosted nodes back to the top"
    Network "network" "NODE.INTERFACE.KEY ADDRESS" "writes down an address of a node"
    Unnetwork "unnetwork" "NODE.INTERFACE.KEY" "forgets an address of a node"
    Property "property" "NODE.KEY 'VALUE'" "writes down a fact about a node's machine"
    Unproperty "unproperty" "NODE.KEY" "forgets a fact about a node's machine"
    Meta "meta" "PATH.KEY 'VALUE'" "annotates an instance"
    Unmeta "unmeta" "PATH.KEY" "removes an annotation"
    Scope "scope" "NAMES" "adds scopes: named sets of nodes"
    Unscope "unscope" "NAMES" "removes scopes"
    Enter "enter" "NODES SCOPE" "puts nodes into a scope"
    Leave "leave" "NODES SCOPE" "takes nodes out of a scope"
    Repo "repo" "'URL'" "does nothing (deprecated)"
    Include "include" "TYPE:NAME" "does nothing (deprecated)"
    Namespace "namespace" "NAME" "does nothing (deprecated)"
    Pause "pause" "NAMES" "does nothing (deprecated)"
}

impl Keyword {
    /// The keyword that a word is.
    pub fn of(word: &str) -> Option<Keyword> {
        Keyword::ALL.iter().copied().find(|keyword| keyword.as_str() == word)
    }
}

impl Path {
    /// Where it was written.
    pub fn span(&self) -> Span {
        self.place.0
    }
}

impl Part {
    /// Where it was written.
    pub fn span(&self) -> Span {
        self.place.0
    }
}
