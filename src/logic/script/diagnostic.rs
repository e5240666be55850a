//! What a script is told: what is wrong, where, and what would have worked. Never a failure of Enact itself.

use std::{fmt, ops::Range, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most diagnostics that one script gets: enough for any person, a bound for garbage.
pub const DIAGNOSTICS_MAX: usize = 1000;

/// A stretch of a script, in characters (Unicode scalar values) from 0; the end is not part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "(u32, u32)", into = "(u32, u32)")]
pub struct Span {
    /// The first character.
    pub start: u32,
    /// The one after the last character.
    pub end: u32,
}

impl Span {
    /// From the start of this one to the end of the other.
    pub fn to(self, other: Span) -> Span {
        Span { start: self.start, end: other.end.max(self.start) }
    }

    /// The empty stretch behind this one.
    pub fn after(self) -> Span {
        Span { start: self.end, end: self.end }
    }

    /// The same stretch in bytes of the text it was taken from.
    pub fn bytes(self, text: &str) -> Range<usize> {
        let mut offsets = text.char_indices().map(|(byte, _)| byte).chain([text.len()]);
        let start = offsets.nth(self.start as usize).unwrap_or(text.len());
        let length = (self.end - self.start) as usize;
        let end = if length == 0 { start } else { offsets.nth(length - 1).unwrap_or(text.len()) };
        start..end
    }
}

impl From<(u32, u32)> for Span {
    fn from((start, end): (u32, u32)) -> Span {
        Span { start, end: end.max(start) }
    }
}

impl From<Span> for (u32, u32) {
    fn from(span: Span) -> (u32, u32) {
        (span.start, span.end)
    }
}

/// Whether a diagnostic stops the script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The script changes nothing.
    Error,
    /// The script does what it says; it may not say what is meant.
    Warning,
}

/// Where a diagnostic comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The text is no script.
    Syntax,
    /// The script cannot be carried out on this model with these types.
    Execution,
}

/// One thing to tell about a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The stable code; `enact explain CODE` prints [`explain`]'s text.
    pub code: Code,
    /// Whether it stops the script.
    pub severity: Severity,
    /// Where it comes from.
    pub stage: Stage,
    /// The text it is about.
    pub span: Span,
    /// What is wrong: lowercase, one line.
    pub message: String,
    /// What would have worked; shown at the place itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Diagnostic {
    /// A diagnostic; severity and stage follow from the code.
    pub fn new(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { code, severity: code.severity(), stage: code.stage(), span, message: message.into(), help: None }
    }

    /// The same with what would have worked.
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into()).filter(|help| !help.is_empty());
        self
    }

    /// Whether it stops the script.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

macro_rules! codes {
    ($($name:ident $text:literal $title:literal $long:literal)*) => {
        /// The stable code of a diagnostic: `E01xx` syntax, `E02xx` execution, `W03xx` warnings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// All codes in order.
            pub const ALL: &[Code] = &[$(Code::$name),*];

            /// The code as people see it.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// What it means, in one line.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title,)* }
            }

            fn long(self) -> &'static str {
                match self { $(Code::$name => concat!($text, ": ", $title, "\n\n", $long),)* }
            }
        }
    };
}

codes! {
    Unexpected "E0101" "something else was expected here"
"The statement cannot be read at this place. The message says what was seen and what would have continued it.

The statements and their forms:

    add NAMES : TYPE              remove NAMES             upgrade NAMES : TYPE
    move NAMES NODE               host NODES NODE          unhost NODES
    attach NODES GROUP            detach NODES GROUP
    set PATH.ATTRIBUTE = 'VALUE'  set PATH.ATTRIBUTE/NODE = 'VALUE'
    unset PATH.ATTRIBUTE          unset PATH.ATTRIBUTE/NODE
    bind NODE.COMPONENT.PORT CHANNEL                       unbind NODE.COMPONENT.PORT CHANNEL
    start NAMES                   stop NAMES
    network NODE.INTERFACE.KEY ADDRESS                     unnetwork NODE.INTERFACE.KEY
    property NODE.KEY 'VALUE'     unproperty NODE.KEY
    meta PATH.KEY 'VALUE'         unmeta PATH.KEY
    scope NAMES                   unscope NAMES
    enter NODES SCOPE             leave NODES SCOPE

NAMES is a list with commas, `*` stands for any name, `%x%` for a variable given with the script, `%%x%%` for a
generated one, and `//` starts a comment."
    UnclosedString "E0102" "a quoted string is never closed"
"A value starts with ' or \" and ends with the same quote; it may span lines. Within '…' a backslash takes the character
that follows as it is, a quote or another backslash:

    set web.page = 'it\\'s up'

Within \"…\" a backslash only keeps a quote from ending the value, and stays in it, as in Kevoree."
    UnknownStatement "E0103" "no statement starts with this word"
"Every statement starts with one of the lower-case words that `enact explain E0101` lists, followed by a blank."
    BadVersion "E0104" "this is no version of a type"
"A type's version is a number, numbers with dots, `LATEST` or a variable: `Ticker/1`, `WebServer/2.0.0`,
`Ticker/LATEST`, `Ticker/%version%`. Versions of deploy units may be any text; they go into the third part, by
platform:

    add n.t : Ticker/1/{js: '5.3.2-SNAPSHOT', java: LATEST}"
    BadCharacter "E0105" "this character has no meaning here"
"Outside of quotes a script has names (letters, digits, `_`, `-`), the signs . , : / = * { } and variables (%x%, %%x%%)."
    UnexpectedEnd "E0106" "the script ends in the middle of a statement"
"The last statement lacks a part. The message says which."
    TooLarge "E0107" "the script is too large"
"One script has at most 16 MiB. Split it: scripts that follow each other see what the earlier ones changed."
    UnknownName "E0201" "nothing has this name"
"The statement names a node, component, channel, group or scope that is neither in the model nor added earlier in the
script. Names are written exactly; components are reached through their node: `node0.ticker`."
    UnknownType "E0202" "no such type is known"
"Types come from the nodes of the group (each node tells what it can run; `enact types` lists them) or, offline, from the
files given with --types. A type without a namespace is looked for in `kevoree`, then in `enact`, then in all others as
long as only one has it. Without a version the highest counts."
    UnknownAttribute "E0203" "the type has no such attribute"
"`set` and `unset` take attributes of the instance's type. `enact types NAME` shows them with their defaults and limits."
    WrongValue "E0204" "the value does not fit the attribute's datatype"
"BOOLEAN takes true or false; BYTE, SHORT, INT and LONG whole numbers of 8, 16, 32 and 64 bits; FLOAT and DOUBLE numbers;
CHAR one character; DURATION a time such as 250ms, 3s or 5m; STRING anything. An attribute that is not optional takes no
empty value."
    OutOfRange "E0205" "the value is outside of what the attribute allows"
"The component's author gave this attribute a minimum, a maximum or a list of values; `enact types NAME` shows them."
    NameTaken "E0206" "the name is used already"
"Nodes, channels and groups share one space of names; the components of a node and the nodes it hosts share another.
A script adds a name once; `remove` frees it, `upgrade` gives an instance another type."
    MissingVariable "E0207" "a variable has no value"
"`%x%` takes its value from whoever runs the script: `--var x=VALUE`. An empty value counts as missing.
`%%x%%` generates a value when none is given."
    BadPath "E0208" "the path has the wrong form"
"Each statement says how many parts its paths have, and where `*` may stand; see `enact explain E0101`."
    WrongPlatform "E0209" "the type cannot run on this node"
"A node runs the types that have a deploy unit for its own platform (`rust` for Enact's nodes, `js` or `java` for
Kevoree's)."
    UnknownPort "E0210" "the component has no such port"
"`bind` and `unbind` take a port of the component's type; `enact types NAME` lists them."
    NoUnit "E0211" "no deploy unit satisfies the request"
"The third part of a type asks for units by platform and version: `Ticker/1/{js: '5.3.3'}`. Every platform that is named must
have a unit of that version among the known ones."
    MissingValue "E0212" "an attribute needs a value"
"The attribute is neither optional nor has it a default: `set` it in the same script that adds the instance."
    WrongFragment "E0213" "the attribute and the node do not go together"
"An attribute that is fragment dependent has a value for each node of the group or channel: `set sync.port/node0 = '9000'`,
or `/*` for all. The node must be attached to the group, or have a component bound to the channel. Other attributes have
one value and take no `/node`."
    PortsDoNotFit "E0214" "the ports on this channel carry different messages"
"What a channel takes from the sending ports it gives to the receiving ports, so their message types must be the same (or one
of them takes any `Value`)."
    WrongHost "E0215" "the node cannot be hosted there"
"A node cannot be hosted by itself, nor by a node that it hosts."
    BadName "E0216" "this is no name"
"Names consist of letters, digits, `_` and `-`, 255 bytes at most. A variable used as a name is ONE name: it cannot bring dots."
    WrongKind "E0217" "this is another kind of thing"
"For instance a channel where a node is needed: components live on nodes, nodes are attached to groups, ports are bound to
channels, scopes have nodes. A component type is added under a node (`add node0.x : T`), channel and group types at the top."
    CannotUpgrade "E0218" "the instance cannot take this type"
"An upgrade keeps the instance's bindings, so the new type needs the ports that are bound; unbind the others first. It also
must be of the same kind: a component stays a component."
    AbstractType "E0219" "the type only serves others"
"An abstract type has no instances; take one of the types made from it."
    TooMuch "E0220" "the script changes too much at once"
"One script makes at most a million edits; wildcards multiply. Split it."
    Ambiguous "E0221" "several namespaces have this type"
"Write the namespace before the type's name: `add n.t : acme.Ticker`."
    Refused "E0222" "the model refuses this change"
"The statement reads well, but the model does not allow the change; the message says why."
    Deprecated "W0301" "the statement does nothing"
"`repo`, `include`, `namespace` and `pause` were deprecated in KevScript 5. They are read and have no effect."
    AddedAgain "W0302" "the name was in the model already, with another type"
"Adding an instance that is there gives it the type that is asked for, keeps the values that this type takes, and starts it.
`upgrade` says the same without the warning. Within one script a name is added once (E0206)."
    MatchesNothing "W0303" "the wildcard matches nothing"
"`*` stands for all that is there, and nothing is. The statement has no effect."
    ValueDropped "W0304" "a value does not fit the new type"
"The instance has a value that its new type does not take; it is dropped, or replaced by the default."
}

impl Code {
    /// Whether it stops the script.
    pub fn severity(self) -> Severity {
        if self.as_str().starts_with('W') { Severity::Warning } else { Severity::Error }
    }

    /// The stage it belongs to.
    pub fn stage(self) -> Stage {
        if self.as_str().starts_with("E01") { Stage::Syntax } else { Stage::Execution }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text is none of [`Code::ALL`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no diagnostic \"{0}\"")]
pub struct UnknownCode(pub String);

impl FromStr for Code {
    type Err = UnknownCode;
    fn from_str(text: &str) -> Result<Code, UnknownCode> {
        let found = Code::ALL.iter().find(|code| code.as_str().eq_ignore_ascii_case(text));
        found.copied().ok_or_else(|| UnknownCode(text.to_owned()))
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The long text of a code, as in `enact explain E0203`.
pub fn explain(code: &str) -> Option<&'static str> {
    code.parse::<Code>().ok().map(Code::long)
}

/// The candidate that was probably meant: the closest one, when it is close enough to be no accident.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let n_chars = word.chars().count();
    let allowed = (n_chars / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= 3 && !candidate.is_empty() && *candidate != word)
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < n_chars.max(candidate.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean" for the closest candidate, or an empty text.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    closest(word, candidates).map(|found| format!("did you mean `{found}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_found_again_in_bytes() {
        let text = "aß€d";
        assert_eq!(&text[Span { start: 1, end: 3 }.bytes(text)], "ß€");
        assert_eq!(&text[Span { start: 0, end: 4 }.bytes(text)], text);
        assert_eq!(Span { start: 4, end: 4 }.bytes(text), 7..7);
        assert_eq!(Span { start: 9, end: 12 }.bytes(text), 7..7);
    }

    #[test]
    fn every_code_explains_itself_once() {
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(*code));
            assert!(explain(code.as_str()).unwrap().starts_with(code.as_str()));
            assert_eq!(Code::ALL.iter().filter(|other| other.as_str() == code.as_str()).count(), 1);
        }
        assert_eq!(explain("e0203"), explain("E0203"));
        assert_eq!(explain("E9999"), None);
    }

    #[test]
    fn only_what_is_close_is_meant() {
        assert_eq!(closest("perod", ["period", "random"]), Some("period"));
        assert_eq!(closest("Add", ["add", "attach"]), Some("add"));
        assert_eq!(closest("xyz", ["period", "random"]), None);
        assert_eq!(closest("a", ["b"]), None);
    }

    #[test]
    fn a_diagnostic_survives_json() {
        let told = Diagnostic::new(Code::UnknownAttribute, Span { start: 3, end: 8 }, "m").help("h");
        let json = serde_json::to_value(&told).unwrap();
        assert_eq!(json["span"], serde_json::json!([3, 8]));
        assert_eq!((json["code"].as_str(), json["stage"].as_str()), (Some("E0203"), Some("execution")));
        assert_eq!(serde_json::from_value::<Diagnostic>(json).unwrap(), told);
    }
}
