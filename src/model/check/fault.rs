//! What can be wrong with a model, each with a code that stays.

use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeStruct};

use crate::{
    model::{Kind, Unfit},
    words::{
        AttributeName, ChannelName, GroupName, InstancePath, NodeName, PortName, PortPath, ScopeName, TypeRef, UnitRef,
    },
};

/// Where a fault is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// At an instance.
    Instance(InstancePath),
    /// At a binding.
    Binding(PortPath, ChannelName),
    /// At a type definition.
    Type(TypeRef),
    /// At a deploy unit.
    Unit(UnitRef),
    /// At a scope.
    Scope(ScopeName),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Instance(InstancePath::Node(name)) => write!(f, "node {name}"),
            Place::Instance(InstancePath::Channel(name)) => write!(f, "channel {name}"),
            Place::Instance(InstancePath::Group(name)) => write!(f, "group {name}"),
            Place::Instance(path) => write!(f, "component {path}"),
            Place::Binding(port, channel) => write!(f, "binding {port} {channel}"),
            Place::Type(id) => write!(f, "type {id}"),
            Place::Unit(id) => write!(f, "deploy unit {}/{}", id.name, id.version),
            Place::Scope(name) => write!(f, "scope {name}"),
        }
    }
}

/// How bad a fault is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The model must not run.
    Error,
    /// The model can run; it may not say what is meant.
    Warning,
}

/// One thing that is wrong with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What.
    pub what: What,
}

impl Fault {
    /// The code of this kind of fault; it stays the same for ever.
    pub fn code(&self) -> &'static str {
        self.what.code()
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        self.what.severity()
    }

    /// Whether the model must not run.
    pub fn is_error(&self) -> bool {
        self.severity() == Severity::Error
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Fault", 4)?;
        fields.serialize_field("code", self.code())?;
        fields.serialize_field("severity", &self.severity())?;
        fields.serialize_field("path", &self.place.to_string())?;
        fields.serialize_field("message", &self.what.to_string())?;
        fields.end()
    }
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $code:literal $severity:ident $message:literal
        $name:ident { $($field:ident: $type:ty),* $(,)? },)*) => {
        /// What is wrong.
        #[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
        #[allow(missing_docs, reason = "the messages say what the fields are")]
        pub enum What {
            $($(#[doc = $doc])+ #[error($message)] $name { $($field: $type),* },)*
        }

        impl What {
            /// The code of this kind of fault; it stays the same for ever.
            pub fn code(&self) -> &'static str {
                match self { $(What::$name { .. } => $code,)* }
            }

            /// How bad it is.
            pub fn severity(&self) -> Severity {
                match self { $(What::$name { .. } => Severity::$severity,)* }
            }
        }

        /// All codes, each with its explanation.
        pub const CODES: &[(&str, &str)] = &[$(($code, concat!($($doc, "\n"),+))),*];
    };
}

faults! {
    /// Every instance has a type, which says what it is and what brings its code.
    "M0101" Error "it has no type" NoType {},
    /// The type of an instance has to be among the types of the model.
    "M0102" Error "its type \"{type_ref}\" is not in the model" UnknownType { type_ref: TypeRef },
    /// A node has a node type, a component a component type, and so on.
    "M0103" Error "its type \"{type_ref}\" is a {kind} type" WrongKind { type_ref: TypeRef, kind: Kind },
    /// An abstract type is there for other types to extend; nothing runs that has it.
    "M0104" Warning "its type \"{type_ref}\" is abstract" AbstractType { type_ref: TypeRef },
    /// A type with attributes wants a dictionary for their values. Only Kevoree's files can lack it.
    "M0105" Error "it has no dictionary for the attributes of its type" MissingDictionary {},
    /// Kevoree finds differences by id and wants \"0.0\" for each dictionary.
    "M0106" Error "the id of its dictionary is \"{id}\" and must be \"0.0\"" OddDictionaryId { id: String },
    /// An attribute without a default needs a value, if only an empty one.
    "M0107" Error "attribute \"{attribute}\" is missing" MissingAttribute { attribute: AttributeName },
    /// An attribute that each node has a value of needs one on this node too.
    "M0108" Error "attribute \"{attribute}\" is missing in the fragment of node \"{node}\""
        MissingFragmentAttribute { attribute: AttributeName, node: NodeName },
    /// The value is not of the attribute's datatype, or outside of what the attribute allows.
    "M0109" Error "attribute \"{attribute}\": {unfit}" UnfitValue { attribute: AttributeName, unfit: Unfit },
    /// The same for the value of a node.
    "M0110" Error "attribute \"{attribute}\" in the fragment of node \"{node}\": {unfit}"
        UnfitFragmentValue { attribute: AttributeName, node: NodeName, unfit: Unfit },
    /// The type has no attribute of this name: a slip of the pen, or a value left over from another version of the type.
    "M0111" Error "its type has no attribute \"{attribute}\" (it has: {there})"
        UnknownAttribute { attribute: AttributeName, there: String },
    /// The attribute has a value for each node (`set instance.attribute/node = …`), or none of them has.
    "M0112" Warning "attribute \"{attribute}\" {belongs}" WrongFragment { attribute: AttributeName, belongs: &'static str },
    /// Values are kept for a node that the model does not have.
    "M0113" Error "it has values for node \"{node}\", which is not in the model" UnknownFragment { node: NodeName },
    /// A component has the ports of its type and no others.
    "M0114" Error "it has a port \"{port}\" that its type has not" UnknownPort { port: PortName },
    /// A component has the ports of its type, all of them.
    "M0115" Warning "it lacks the port \"{port}\" of its type" MissingPort { port: PortName },
    /// A port that is not optional wants to be bound before the component can do its work.
    "M0116" Warning "its port \"{port}\" must be bound to a channel" UnboundPort { port: PortName },
    /// Scripts name nodes, channels and groups without saying what they are: no two of them may share a name.
    "M0117" Error "the name is also the name of a {kind}" NameShared { kind: Kind },

    /// A hosted node names the node that it runs on.
    "M0201" Error "its host \"{host}\" is not in the model" UnknownHost { host: NodeName },
    /// No node can be hosted by itself, however long the way round.
    "M0202" Error "it hosts itself" HostCycle {},
    /// A node is attached to groups of its model.
    "M0203" Error "it is attached to group \"{group}\", which is not in the model" UnknownGroup { group: GroupName },

    /// A binding joins a port of a component and a channel.
    "M0301" Error "there is no such channel" UnknownChannel {},
    /// A binding joins a port of a component and a channel.
    "M0302" Error "there is no such port" NoSuchPort {},
    /// What the one sends the other cannot receive: the structures of their messages differ.
    "M0303" Error "it receives {receives}, but \"{sender}\" sends {sends} on the channel"
        PortsDoNotFit { receives: String, sender: PortPath, sends: String },

    /// Without a deploy unit no platform can run the type. A type that only exists in models is marked virtual.
    "M0401" Error "it has no deploy unit" NoUnit {},
    /// Of two units for one platform nobody knows which to take.
    "M0402" Error "it has {n_units} deploy units for platform \"{platform}\"" TwoUnits { n_units: usize, platform: String },
    /// A type names deploy units of its model.
    "M0403" Error "its deploy unit \"{unit}\" is not in the model" UnknownUnit { unit: String },
    /// A type names super types of its model.
    "M0404" Error "its super type \"{type_ref}\" is not in the model" UnknownSuperType { type_ref: TypeRef },
    /// Kevoree finds differences by id and wants \"0.0\" for each dictionary type.
    "M0405" Error "the id of its dictionary type is \"{id}\" and must be \"0.0\"" OddTypeDictionaryId { id: String },
    /// The default of an attribute has to be a value that the attribute takes.
    "M0406" Warning "the default of attribute \"{attribute}\" does not fit: {unfit}"
        UnfitDefault { attribute: AttributeName, unfit: Unfit },
    /// A binding does not say whether its port sends or receives; so no port does both.
    "M0407" Warning "port \"{port}\" both sends and receives" PortTwice { port: PortName },

    /// A deploy unit names the units that it needs.
    "M0501" Error "it needs deploy unit \"{unit}\", which is not in the model" UnknownRequired { unit: String },

    /// The members of a scope are nodes of its model.
    "M0601" Error "its member \"{node}\" is not in the model" UnknownMember { node: NodeName },
}

/// What a code means, for people.
pub fn explain(code: &str) -> Option<&'static str> {
    CODES.iter().find(|(known, _)| known.eq_ignore_ascii_case(code)).map(|(_, text)| text.trim())
}
