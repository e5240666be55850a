//! What a kind of channel is, for those who write one.

use std::sync::Arc;

use crate::{
    logic::delivery::{Ctx, EndId, Ends, Outcome, Strategy, Ticket},
    model::{Attribute, Kind, TypeDefinition},
    runtime::instance::{Birth, Bundle, Failure, Handle, Message, ParamError, catalog::unit_of_crate},
    words::{Namespace, TypeName, TypeRef},
};

use super::{
    settings::{Settings, common},
    shell,
};

/// What a channel may ask for while it decides; see [`Ctx`]'s methods.
pub type ChannelCtx<'a> = Ctx<'a, Message>;

/// A kind of channel. Implement it to write your own; one instance lives in each fragment.
///
/// Methods only decide: they say what they wish through `ctx` and return at once. Order, bounds, other nodes, stopped receivers
/// and counting are not their business.
///
/// ```
/// use enact::runtime::{channel::{ChannelCtx, ChannelType, Ends}, instance::Message};
///
/// /// Every receiver whose component is called like the first one gets everything.
/// #[derive(Default)]
/// struct FirstOnly;
///
/// impl ChannelType for FirstOnly {
///     const NAME: &'static str = "FirstOnly";
///     const VERSION: &'static str = "1.0.0";
///     const DOC: &'static str = "Delivers to the first receiver alone";
///
///     fn route(&mut self, _message: &Message, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
///         if let Some(end) = ends.at(0) {
///             ctx.deliver(end.id);
///         }
///     }
/// }
/// ```
pub trait ChannelType: Default + 'static {
    /// The name of the type.
    const NAME: &'static str;
    /// Its version.
    const VERSION: &'static str;
    /// What it is for, in a line.
    const DOC: &'static str;
    /// The namespace of the type.
    const NAMESPACE: &'static str = "enact";
    /// Whether it carries calls: senders that wait for a reply, which [`ChannelCtx::answer`] gives them.
    const CALLS: bool = false;

    /// Its parameters, beside those that every channel has (`capacity`, `overflow`, `patience`, `keep`).
    fn params() -> Vec<Attribute> {
        Vec::new()
    }

    /// Takes over the values of its parameters: once before anything else, and again whenever they change.
    ///
    /// # Errors
    /// When a value does not fit; everything must then be as before.
    fn configure(&mut self, settings: &Settings) -> Result<(), ParamError> {
        let _ = settings;
        Ok(())
    }

    /// A component of this node sends a message. What is neither delivered nor held nor discarded counts as lost.
    fn route(&mut self, message: &Message, ends: &Ends, ctx: &mut ChannelCtx<'_>);

    /// The end that gets every message, whatever it says, for as long as the ends are as they are. A channel that knows one lets
    /// the senders of this node hand their messages over themselves, in half the time: `route` is not asked about those.
    fn sole(&self, ends: &Ends) -> Option<EndId> {
        let _ = ends;
        None
    }

    /// The outcome of a message that was handed over with [`ChannelCtx::follow`].
    fn settled(&mut self, ticket: Ticket, outcome: Outcome<Message>, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        let _ = (outcome, ends);
        ctx.release(ticket);
    }

    /// Ends came, went, opened or closed.
    fn changed(&mut self, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        let _ = (ends, ctx);
    }

    /// The time that was asked for with [`ChannelCtx::wake_in`] has come. May come early: compare times.
    fn woken(&mut self, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        let _ = (ends, ctx);
    }
}

/// A channel type as the core wants it.
#[derive(Default)]
pub(super) struct Rules<C> {
    pub(super) kind: C,
    /// After a failure it is asked nothing, until it is revived.
    pub(super) is_mute: bool,
}

impl<C: ChannelType> Strategy<Message> for Rules<C> {
    fn route(&mut self, message: &Message, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        if !self.is_mute {
            self.kind.route(message, ends, ctx);
        }
    }
    fn sole(&self, ends: &Ends) -> Option<EndId> {
        if self.is_mute { None } else { self.kind.sole(ends) }
    }
    fn settled(&mut self, ticket: Ticket, outcome: Outcome<Message>, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        if !self.is_mute {
            self.kind.settled(ticket, outcome, ends, ctx);
        }
    }
    fn changed(&mut self, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        if !self.is_mute {
            self.kind.changed(ends, ctx);
        }
    }
    fn woken(&mut self, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        if !self.is_mute {
            self.kind.woken(ends, ctx);
        }
    }
}

/// The attributes of a channel type: its own and those that every channel has.
pub(super) fn attributes<C: ChannelType>() -> Vec<Attribute> {
    C::params().into_iter().chain(common()).collect()
}

/// The definition of a channel type.
///
/// # Panics
/// When its name or namespace is no name.
pub fn definition<C: ChannelType>() -> TypeDefinition {
    let id = TypeRef {
        namespace: Namespace::parse(C::NAMESPACE).expect("a namespace is a name"),
        name: TypeName::parse(C::NAME).expect("a type is called by a name"),
        version: C::VERSION.into(),
    };
    TypeDefinition {
        id,
        kind: Kind::Channel,
        is_abstract: false,
        units: Vec::new(),
        super_types: Vec::new(),
        attributes: Some(attributes::<C>()),
        provided: Vec::new(),
        required: Vec::new(),
        metadata: std::iter::once((Arc::from("description"), Arc::from(C::DOC))).collect(),
    }
}

/// A channel type for the catalog, brought by a crate: `bundle::<Mine>(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))`.
pub fn bundle<C: ChannelType>(crate_name: &str, crate_version: &str) -> Bundle {
    let mut definition = definition::<C>();
    let unit = unit_of_crate(&definition.id, crate_name, crate_version);
    definition.units = vec![unit.id.clone()];
    let create = |birth: Birth| -> Result<Handle, Failure> { shell::create::<C>(birth) };
    Bundle {
        definition: Arc::new(definition),
        unit: Arc::new(unit),
        factory: Some(Arc::new(create)),
        restart: crate::logic::restart::Policy::DEFAULT,
    }
}
