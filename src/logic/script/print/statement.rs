//! A script as text.

use std::fmt::{self, Display};

use crate::logic::script::{
    statement::{Part, Path, Script, Statement, Text, TypeSpec, Units, Verb, Version, Wish, Word},
    token::quote,
};

impl Display for Script {
    /// One statement a line. [`parse`](fn@crate::logic::script::parse) gives an equal script back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.statements.iter().try_for_each(|statement| writeln!(f, "{statement}"))
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.verb.fmt(f)
    }
}

impl Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verb::Add(names, spec) => write!(f, "add {} : {spec}", List(names)),
            Verb::Upgrade(names, spec) => write!(f, "upgrade {} : {spec}", List(names)),
            Verb::Remove(names) => write!(f, "remove {}", List(names)),
            Verb::Move(names, node) => write!(f, "move {} {node}", List(names)),
            Verb::Host(names, node) => write!(f, "host {} {node}", List(names)),
            Verb::Unhost(names) => write!(f, "unhost {}", List(names)),
            Verb::Attach(names, group) => write!(f, "attach {} {group}", List(names)),
            Verb::Detach(names, group) => write!(f, "detach {} {group}", List(names)),
            Verb::Set(path, fragment, value) => write!(f, "set {path}{} = {value}", OnNode(fragment)),
            Verb::Unset(path, fragment) => write!(f, "unset {path}{}", OnNode(fragment)),
            Verb::Bind(port, channel) => write!(f, "bind {port} {channel}"),
            Verb::Unbind(port, channel) => write!(f, "unbind {port} {channel}"),
            Verb::Start(names) => write!(f, "start {}", List(names)),
            Verb::Stop(names) => write!(f, "stop {}", List(names)),
            Verb::Network(path, value) => write!(f, "network {path} {value}"),
            Verb::Unnetwork(path) => write!(f, "unnetwork {path}"),
            Verb::Property(path, value) => write!(f, "property {path} {value}"),
            Verb::Unproperty(path) => write!(f, "unproperty {path}"),
            Verb::Meta(path, value) => write!(f, "meta {path} {value}"),
            Verb::Unmeta(path) => write!(f, "unmeta {path}"),
            Verb::Scope(names) => write!(f, "scope {}", List(names)),
            Verb::Unscope(names) => write!(f, "unscope {}", List(names)),
            Verb::Enter(names, scope) => write!(f, "enter {} {scope}", List(names)),
            Verb::Leave(names, scope) => write!(f, "leave {} {scope}", List(names)),
            Verb::Deprecated(keyword, rest) => write!(f, "{} {rest}", keyword.as_str()),
        }
    }
}

struct List<'a>(&'a [Path]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, path) in self.0.iter().enumerate() {
            let comma = if nth == 0 { "" } else { ", " };
            write!(f, "{comma}{path}")?;
        }
        Ok(())
    }
}

struct OnNode<'a>(&'a Option<Path>);

impl Display for OnNode<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|node| write!(f, "/{node}"))
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, part) in self.parts.iter().enumerate() {
            let dot = if nth == 0 { "" } else { "." };
            write!(f, "{dot}{part}")?;
        }
        Ok(())
    }
}

impl Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.word.fmt(f)
    }
}

impl Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Any => f.write_str("*"),
            Word::Name(name) => f.write_str(name),
            Word::Quoted(text) => f.write_str(&quote(text)),
            Word::Variable(name) => write!(f, "%{name}%"),
            Word::Generated(name) => write!(f, "%%{name}%%"),
        }
    }
}

impl Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.word.fmt(f)
    }
}

impl Display for TypeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}.")?;
        }
        f.write_str(&self.name)?;
        match (&self.version, &self.units) {
            (Version::Unsaid, Units::Unsaid) => Ok(()),
            (version, Units::Unsaid) => write!(f, "/{version}"),
            (version, units) => write!(f, "/{version}/{units}"),
        }
    }
}

impl Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Units only follow a version: the highest is what an unsaid one means.
            Version::Unsaid | Version::Latest => f.write_str("LATEST"),
            Version::Exact(version) => f.write_str(version),
            Version::Variable(name, _) => write!(f, "%{name}%"),
        }
    }
}

impl Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Units::Unsaid => Ok(()),
            Units::Tag(wish) => wish.fmt(f),
            Units::Each(wishes) => {
                f.write_str("{")?;
                for (nth, (platform, wish)) in wishes.iter().enumerate() {
                    let comma = if nth == 0 { "" } else { ", " };
                    write!(f, "{comma}{platform}: {wish}")?;
                }
                f.write_str("}")
            }
        }
    }
}

impl Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wish::Release => f.write_str("RELEASE"),
            Wish::Latest => f.write_str("LATEST"),
            Wish::Exact(version) => f.write_str(&quote(version)),
            Wish::Variable(name, _) => write!(f, "%{name}%"),
        }
    }
}
