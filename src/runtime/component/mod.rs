//! Components: the API that users write against, and the actor around each.
//!
//! A component is a struct with `#[derive(Component)]` (what it is: parameters, outputs, state) and an impl block with
//! `#[component]` (what it does: start, stop, update, inputs). The macros only write the two traits [`ComponentType`] and
//! [`Behaviour`], which anyone may implement by hand. Below that, a hand-written `actix::Actor` is accepted too ([`custom`]).

pub mod ctx;
pub mod custom;
pub mod definition;
pub mod draft;
pub mod me;
pub mod out;
pub mod param;
pub mod prelude;
mod shell;
pub mod testing;
mod timer;

pub use ctx::Ctx;
pub use definition::bundle;
pub use draft::LocalModel;
pub use me::{AskError, Me};
pub use out::{Links, Out, OutPort, OutputDef, Sent};
pub use param::{Changed, ParamDef, ParamType, Values};

pub use crate::runtime::instance::Message;
use crate::{
    logic::restart::Policy,
    model::Dictionary,
    runtime::instance::{Overflow, ParamError, Payload, Schema, inbox::QUEUE_DEFAULT},
    words::Value,
};

/// Any error: `?` turns every error type into it.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What methods of components return.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// What a component is. `#[derive(Component)]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a component",
    note = "write `#[derive(Component)]` on the struct and `#[component]` on its impl block"
)]
pub trait ComponentType: Sized + 'static {
    /// The name of the type, unique with the version in its namespace.
    const NAME: &'static str;
    /// The version: `1.0.0`.
    const VERSION: &'static str;
    /// The namespace; `enact` unless said otherwise.
    const NAMESPACE: &'static str = "enact";
    /// What it is, for people.
    const DOC: &'static str = "";
    /// Name and version of the crate that brings it: its deploy unit.
    const CRATE: (&'static str, &'static str) = (Self::NAME, Self::VERSION);
    /// The parameters.
    const PARAMS: &'static [ParamDef] = &[];
    /// The output ports.
    const OUTPUTS: &'static [OutputDef] = &[];
    /// How often it is started again after a crash.
    const RESTART: Policy = Policy::DEFAULT;

    /// Makes an instance.
    ///
    /// # Errors
    /// Everything that is wrong with the dictionary at once.
    fn build(dictionary: &Dictionary) -> Result<Self, Vec<ParamError>>;

    /// Takes over a dictionary and tells what changed. Nothing is changed when there is an error.
    ///
    /// # Errors
    /// Everything that is wrong with the dictionary at once.
    fn set(&mut self, dictionary: &Dictionary) -> Result<Changed, Vec<ParamError>> {
        Values::new(Self::PARAMS, dictionary).finish().map(|()| Changed::default())
    }

    /// The output ports by name.
    fn out_ports(&mut self) -> Vec<(&'static str, &mut dyn OutPort)> {
        Vec::new()
    }

    /// The state that outlives a restart, a move or an upgrade.
    ///
    /// # Errors
    /// What serde says.
    fn snapshot(&self) -> Result<Value> {
        Ok(Value::Object(serde_json::Map::new()))
    }

    /// Takes over a state of this version.
    ///
    /// # Errors
    /// When it does not fit.
    fn restore(&mut self, _state: Value) -> Result {
        Ok(())
    }
}

/// An input port of a component type.
#[derive(Clone, Copy, Debug)]
pub struct InputDef {
    /// The name.
    pub name: &'static str,
    /// The schema of its messages.
    pub schema: fn() -> Schema,
    /// The schema of what it replies; `None` when it replies nothing.
    pub reply: Option<fn() -> Schema>,
    /// How many messages it keeps.
    pub queue: u32,
    /// What happens to more.
    pub overflow: Overflow,
    /// Whether it has to be bound.
    pub required: bool,
    /// What it is for.
    pub doc: &'static str,
}

impl InputDef {
    /// An input port that takes `T`; to be refined with struct update syntax.
    pub const fn of<T: Payload>(name: &'static str) -> InputDef {
        InputDef {
            name,
            schema: Schema::of::<T>,
            reply: None,
            queue: QUEUE_DEFAULT,
            overflow: Overflow::Wait,
            required: false,
            doc: "",
        }
    }
}

/// What an input replies.
#[derive(Debug, Default)]
pub struct Reply(pub(crate) Option<Message>);

impl Reply {
    /// Nothing.
    pub const NONE: Reply = Reply(None);

    /// A value.
    pub fn of<T: Payload>(value: T) -> Reply {
        Reply(Some(Message::new(value)))
    }
}

/// What a component does. `#[component]` writes it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does nothing yet",
    note = "write `#[component]` on an impl block of it; an empty block will do"
)]
#[allow(async_fn_in_trait, reason = "a component stays on its thread, so its futures need not be Send")]
pub trait Behaviour: ComponentType {
    /// The input ports.
    const INPUTS: &'static [InputDef] = &[];

    /// Starts. An error makes the whole adaptation roll back.
    async fn on_start(&mut self, _ctx: &mut Ctx<Self>) -> Result {
        Ok(())
    }

    /// Stops. Timers and tasks end afterwards by themselves.
    async fn on_stop(&mut self, _ctx: &mut Ctx<Self>) -> Result {
        Ok(())
    }

    /// Follows changed parameters while running; the new values are in the fields already. By default it stops and starts.
    async fn on_update(&mut self, _changed: &Changed, ctx: &mut Ctx<Self>) -> Result {
        self.on_stop(ctx).await?;
        ctx.cancel_all().await;
        self.on_start(ctx).await
    }

    /// Handles a message. What it replies travels back when the message is a call.
    async fn on_input(&mut self, port: &str, _message: Message, _ctx: &mut Ctx<Self>) -> Result<Reply> {
        Err(format!("no input port \"{port}\"").into())
    }

    /// Brings the state that another version wrote into the form of this one.
    ///
    /// # Errors
    /// When it cannot.
    fn upgrade(_from: &str, state: Value) -> Result<Value> {
        Ok(state)
    }
}

/// A value in the self-describing form.
///
/// # Errors
/// What serde says.
pub fn to_value<T: serde::Serialize>(value: &T) -> Result<Value> {
    Ok(serde_json::to_value(value)?)
}

/// A value back from the self-describing form.
///
/// # Errors
/// What serde says.
pub fn from_value<T: serde::de::DeserializeOwned>(value: Value) -> Result<T> {
    Ok(serde_json::from_value(value)?)
}

/// What the macros write calls to; not for people.
#[doc(hidden)]
pub mod generated {
    pub use serde_json::Map;

    use super::{Error, Reply, Result};
    use crate::runtime::instance::Payload;

    /// What a lifecycle method may return: nothing, or a result of nothing.
    #[diagnostic::on_unimplemented(
        message = "start, stop and update methods return nothing or `Result<()>`, not `{Self}`"
    )]
    pub trait Lifecycle {
        /// The result.
        fn into_result(self) -> Result;
    }
    impl Lifecycle for () {
        fn into_result(self) -> Result {
            Ok(())
        }
    }
    impl<E: Into<Error>> Lifecycle for Result<(), E> {
        fn into_result(self) -> Result {
            self.map_err(Into::into)
        }
    }

    /// What an input that may fail returns.
    pub fn reply_of_result<T: Payload, E: Into<Error>>(result: Result<T, E>) -> Result<Reply> {
        result.map(Reply::of).map_err(Into::into)
    }

    /// A state as a map of fields.
    ///
    /// # Errors
    /// When it is none.
    pub fn fields(state: super::Value) -> Result<Map<String, super::Value>> {
        match state {
            super::Value::Object(fields) => Ok(fields),
            super::Value::Null => Ok(Map::new()),
            other => Err(format!("a state is a map of fields, not {other}").into()),
        }
    }

    /// A field of a state, if it is there.
    ///
    /// # Errors
    /// When it does not fit, naming the field.
    pub fn field<T: serde::de::DeserializeOwned>(
        fields: &mut Map<String, super::Value>,
        name: &str,
        into: &mut T,
    ) -> Result {
        if let Some(value) = fields.remove(name) {
            *into = super::from_value(value).map_err(|error| format!("state \"{name}\": {error}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
