//! What a kind of group is, for those who write one.

use std::sync::Arc;

use crate::{
    logic::gossip::{Effect, GroupMessage, Protocol, Push},
    model::{Attribute, Dictionary, Kind, TypeDefinition},
    runtime::instance::{Birth, Bundle, Failure, Handle, ParamError, catalog::unit_of_crate},
    words::{Namespace, NodeName, Time, TypeName, TypeRef},
};

use super::shell;

/// How a group spreads models: what is said to whom. Every method has a default, and the defaults together are [`Gossip`]:
/// override what your group does otherwise.
///
/// Merging, history, who is there and what each node answers are kept for you ([`GroupCtx::group`]); methods only decide,
/// and wish through `ctx`.
pub trait Strategy: 'static {
    /// Takes over the values of its parameters: once before anything else, and again whenever they change.
    ///
    /// # Errors
    /// When a value does not fit; everything must then be as before.
    fn configure(&mut self, dictionary: &Dictionary) -> Result<(), ParamError> {
        let _ = dictionary;
        Ok(())
    }

    /// Whether this node may push now.
    ///
    /// # Errors
    /// Why not; the one who pushes is told.
    fn allow(&mut self, push: &Push, ctx: &mut GroupCtx<'_>) -> Result<(), String> {
        let _ = (push, ctx);
        Ok(())
    }

    /// This node has something to say to the others: a revision made here, its status.
    fn spread(&mut self, message: GroupMessage, ctx: &mut GroupCtx<'_>) {
        for node in ctx.peers() {
            ctx.send(&node, message.clone());
        }
    }

    /// Whether this node talks to another by itself: heartbeats, questions. Answers go to whoever asks.
    fn talks_to(&self, node: &NodeName, ctx: &GroupCtx<'_>) -> bool {
        let _ = (node, ctx);
        true
    }

    /// A message came.
    fn received(&mut self, from: &NodeName, message: GroupMessage, ctx: &mut GroupCtx<'_>) {
        ctx.take(from, message);
    }

    /// What another member of your group said with [`GroupCtx::say`].
    fn told(&mut self, from: &NodeName, body: &[u8], ctx: &mut GroupCtx<'_>) {
        let _ = (from, body, ctx);
    }

    /// A heartbeat's time has passed.
    fn woken(&mut self, ctx: &mut GroupCtx<'_>) {
        let _ = ctx;
    }
}

/// What a strategy sees, and what it may wish.
#[derive(Debug)]
pub struct GroupCtx<'a> {
    pub(super) me: &'a NodeName,
    pub(super) now: Time,
    pub(super) protocol: &'a mut Protocol,
    pub(super) effects: &'a mut Vec<Effect>,
}

impl GroupCtx<'_> {
    /// This node.
    pub fn me(&self) -> &NodeName {
        self.me
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The model, the history, the members.
    pub fn group(&self) -> &Protocol {
        self.protocol
    }

    /// Who is connected.
    pub fn peers(&self) -> Vec<NodeName> {
        self.protocol.board().peers().cloned().collect()
    }

    /// Sends to one.
    pub fn send(&mut self, to: &NodeName, message: GroupMessage) {
        self.effects.push(Effect::Send(to.clone(), message));
    }

    /// Says something of your group's own to one; arrives in its [`Strategy::told`].
    pub fn say(&mut self, to: &NodeName, body: Vec<u8>) {
        self.send(to, GroupMessage::Own(body));
    }

    /// Takes a message in as `Gossip` does: merges, answers, notes.
    pub fn take(&mut self, from: &NodeName, message: GroupMessage) {
        self.protocol.receive(self.now, from, message, self.effects);
    }
}

/// A type of group that a binary brings.
pub trait GroupType: Strategy + Default {
    /// The name of the type.
    const NAME: &'static str;
    /// Its version.
    const VERSION: &'static str;
    /// What it is for, in a line.
    const DOC: &'static str;
    /// The namespace of the type.
    const NAMESPACE: &'static str = "enact";

    /// Its parameters.
    fn params() -> Vec<Attribute> {
        Vec::new()
    }
}

/// Available whatever happens: everyone may push at any time, and whoever can talk agrees. Two sides of a partition go on, each
/// for itself; afterwards the later write of each register wins, and who lost something is told.
#[derive(Clone, Debug, Default)]
pub struct Gossip;

impl Strategy for Gossip {}

impl GroupType for Gossip {
    const NAME: &'static str = "Gossip";
    const VERSION: &'static str = "1.0.0";
    const DOC: &'static str =
        "Spreads the model to all nodes at once; partitions merge, the later write wins, losers are told";
}

/// The definition of a group type.
///
/// # Panics
/// When its name or namespace is no name.
pub fn definition<G: GroupType>() -> TypeDefinition {
    let id = TypeRef {
        namespace: Namespace::parse(G::NAMESPACE).expect("a namespace is a name"),
        name: TypeName::parse(G::NAME).expect("a type is called by a name"),
        version: G::VERSION.into(),
    };
    TypeDefinition {
        id,
        kind: Kind::Group,
        is_abstract: false,
        units: Vec::new(),
        super_types: Vec::new(),
        attributes: Some(G::params()),
        provided: Vec::new(),
        required: Vec::new(),
        metadata: std::iter::once((Arc::from("description"), Arc::from(G::DOC))).collect(),
    }
}

/// A group type for the catalog, brought by a crate: `bundle::<Mine>(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))`.
pub fn bundle<G: GroupType>(crate_name: &str, crate_version: &str) -> Bundle {
    let mut definition = definition::<G>();
    let unit = unit_of_crate(&definition.id, crate_name, crate_version);
    definition.units = vec![unit.id.clone()];
    let create = |birth: Birth| -> Result<Handle, Failure> { shell::create::<G>(birth) };
    Bundle {
        definition: Arc::new(definition),
        unit: Arc::new(unit),
        factory: Some(Arc::new(create)),
        restart: crate::logic::restart::Policy::DEFAULT,
    }
}
