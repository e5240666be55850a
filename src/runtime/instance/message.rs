//! Messages: what travels through ports. A typed value stays as it is within a process and is encoded for other nodes only.

use std::{any::Any, fmt, sync::Arc};

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::schema::Schema;
use crate::{io::engine::codec, words::Value};

/// The most bytes that one encoded message may have: what the engine carries in one piece of chunked traffic.
pub const MESSAGE_MAX_BYTES: usize = 64 * 1024 * 1024;

/// What can be a message: every serde type that can be cloned and sent to another thread.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot travel through a port",
    note = "a message derives `Clone`, `serde::Serialize` and `serde::Deserialize`, and owns its data"
)]
pub trait Payload: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {}

impl<T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static> Payload for T {}

/// Why a message is not what the receiver wants.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The value does not have the shape of the receiver's type.
    #[error("a message of type \"{found}\" is no \"{wanted}\": {reason}")]
    Shape {
        /// The type of the message.
        found: String,
        /// The type of the receiver.
        wanted: String,
        /// What serde says.
        reason: String,
    },
    /// The sender encoded for another version of the type than the receiver has.
    #[error("a message of type \"{found}\" was encoded for schema {sent:016x}, \"{wanted}\" here has {here:016x}")]
    Schema {
        /// The type of the message.
        found: String,
        /// The type of the receiver.
        wanted: String,
        /// The schema that it was encoded with.
        sent: u64,
        /// The schema of the receiver's type.
        here: u64,
    },
    /// The value cannot be encoded.
    #[error("a message of type \"{name}\" cannot be encoded: {reason}")]
    Encode {
        /// The type of the message.
        name: String,
        /// What serde says.
        reason: String,
    },
    /// Only the sender's node knows the type of this compact message.
    #[error("a compact message of type \"{name}\" can be shown where its type is known only")]
    Opaque {
        /// The type of the message.
        name: String,
    },
}

/// How a [`Wire`] is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// Compact, without names: for a receiver whose type has the same schema.
    Compact,
    /// JSON text: for everyone.
    Value,
}

/// A message as it travels between nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wire {
    /// The name of the sender's type.
    pub type_name: Arc<str>,
    /// The schema of the sender's type; 0 for `Value`.
    pub schema: u64,
    /// How `body` is encoded.
    pub form: Form,
    /// The encoded value.
    pub body: Bytes,
}

/// A value on its way through ports and channels. Cheap to clone: the value itself is shared.
#[derive(Clone)]
pub struct Message(Holder);

/// Who holds the value. One allocation a message; the table behind `dyn` does the rest.
enum Holder {
    Shared(Arc<dyn Carried>),
    /// Made for one receiver: nobody counts who holds it, which would cost as much as the allocation.
    Sole(Box<dyn Carried>),
}

impl Holder {
    fn carried(&self) -> &dyn Carried {
        match self {
            Holder::Shared(carried) => &**carried,
            Holder::Sole(carried) => &**carried,
        }
    }
}

impl Clone for Holder {
    fn clone(&self) -> Holder {
        Holder::Shared(match self {
            Holder::Shared(carried) => carried.clone(),
            Holder::Sole(carried) => (**carried).share(),
        })
    }
}

/// What a message can do without knowing its type.
trait Carried: Any + Send + Sync {
    /// A copy that can be shared.
    fn share(&self) -> Arc<dyn Carried>;
    fn schema(&self) -> Schema;
    fn to_value(&self) -> Result<Value, String>;
    fn to_compact(&self) -> Result<Vec<u8>, String>;
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
    fn into_any_sole(self: Box<Self>) -> Box<dyn Any>;
    /// What came from another node, as it came.
    fn wire(&self) -> Option<&Wire> {
        None
    }
}

impl<T: Payload> Carried for T {
    fn share(&self) -> Arc<dyn Carried> {
        Arc::new(self.clone())
    }
    fn schema(&self) -> Schema {
        Schema::of::<T>()
    }
    fn to_value(&self) -> Result<Value, String> {
        serde_json::to_value(self).map_err(|error| error.to_string())
    }
    fn to_compact(&self) -> Result<Vec<u8>, String> {
        codec::encode(self).map_err(|error| error.to_string())
    }
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
    fn into_any_sole(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// What came from another node: it stays encoded until somebody knows its type.
struct Foreign(Wire);

impl Carried for Foreign {
    fn share(&self) -> Arc<dyn Carried> {
        Arc::new(Foreign(self.0.clone()))
    }
    fn schema(&self) -> Schema {
        Schema { name: self.0.type_name.clone(), hash: self.0.schema, compact: self.0.form == Form::Compact }
    }
    fn to_value(&self) -> Result<Value, String> {
        self.0.decode().map_err(|error| error.to_string())
    }
    fn to_compact(&self) -> Result<Vec<u8>, String> {
        Ok(self.0.body.to_vec())
    }
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
    fn into_any_sole(self: Box<Self>) -> Box<dyn Any> {
        self
    }
    fn wire(&self) -> Option<&Wire> {
        Some(&self.0)
    }
}

impl Message {
    /// A message that carries `value`.
    pub fn new<T: Payload>(value: T) -> Message {
        Message(Holder::Shared(Arc::new(value)))
    }

    /// The same for a value that nobody is going to share: cheaper, but to clone it is to clone the value.
    pub(in crate::runtime) fn sole<T: Payload>(value: T) -> Message {
        Message(Holder::Sole(Box::new(value)))
    }

    /// A message that came from another node.
    pub fn from_wire(wire: Wire) -> Message {
        Message(Holder::Shared(Arc::new(Foreign(wire))))
    }

    /// The name of the sender's type, without module paths: `Vec<Reading>`.
    pub fn type_name(&self) -> Arc<str> {
        self.0.carried().schema().name
    }

    /// The schema hash of the sender's type; 0 for `Value`.
    pub fn schema(&self) -> u64 {
        self.0.carried().schema().hash
    }

    /// Encodes the message for a receiver whose port has the schema `receiver`: compact where both ends have the same
    /// schema and the type allows it, self-describing otherwise. A message that came from another node is passed on as it is.
    ///
    /// # Errors
    /// [`MessageError::Encode`] when serde refuses the value.
    pub fn encode(&self, receiver: u64) -> Result<Wire, MessageError> {
        let carried = self.0.carried();
        if let Some(wire) = carried.wire() {
            return Ok(wire.clone());
        }
        let schema = carried.schema();
        let compact = schema.compact && schema.hash == receiver;
        let body = if compact {
            carried.to_compact()
        } else {
            carried.to_value().and_then(|value| serde_json::to_vec(&value).map_err(|error| error.to_string()))
        };
        let body = body.map_err(|reason| MessageError::Encode { name: schema.name.to_string(), reason })?;
        let form = if compact { Form::Compact } else { Form::Value };
        Ok(Wire { type_name: schema.name, schema: schema.hash, form, body: body.into() })
    }

    /// The value as the receiver's type: moved when this is the last holder, cloned otherwise, converted through [`Value`]
    /// when the types differ.
    ///
    /// # Errors
    /// When the value does not have the shape of `T`, or was encoded for another schema.
    pub fn decode<T: Payload>(self) -> Result<T, MessageError> {
        let any: &dyn Any = self.0.carried();
        if any.is::<T>() {
            return Ok(match self.0 {
                Holder::Sole(carried) => *carried.into_any_sole().downcast().expect("the type was compared before"),
                Holder::Shared(carried) => {
                    let value: Arc<T> = carried.into_any().downcast().expect("the type was compared before");
                    Arc::try_unwrap(value).unwrap_or_else(|shared| (*shared).clone())
                }
            });
        }
        if let Some(wire) = self.0.carried().wire() {
            return wire.decode();
        }
        let found = self.type_name();
        let value =
            self.0.carried().to_value().map_err(|reason| MessageError::Encode { name: found.to_string(), reason })?;
        from_value(value, &found)
    }

    /// The value in the form that describes itself, for people (`tail`) and for ports that take anything.
    ///
    /// # Errors
    /// [`MessageError::Opaque`] for a compact message from another node: only the sender can show it.
    pub fn to_value(&self) -> Result<Value, MessageError> {
        match self.0.carried().wire() {
            Some(wire) if wire.form == Form::Compact => Err(MessageError::Opaque { name: wire.type_name.to_string() }),
            Some(wire) => wire.decode(),
            None => self
                .0
                .carried()
                .to_value()
                .map_err(|reason| MessageError::Encode { name: self.type_name().to_string(), reason }),
        }
    }
}

impl Wire {
    fn decode<T: Payload>(&self) -> Result<T, MessageError> {
        match self.form {
            Form::Value => from_json(self),
            Form::Compact => from_compact(self),
        }
    }
}

fn from_value<T: Payload>(value: Value, found: &str) -> Result<T, MessageError> {
    serde_json::from_value(value).map_err(|error| MessageError::Shape {
        found: found.to_owned(),
        wanted: Schema::of::<T>().name.to_string(),
        reason: error.to_string(),
    })
}

fn from_json<T: Payload>(wire: &Wire) -> Result<T, MessageError> {
    serde_json::from_slice(&wire.body).map_err(|error| shape::<T>(wire, error.to_string()))
}

fn from_compact<T: Payload>(wire: &Wire) -> Result<T, MessageError> {
    let schema = Schema::of::<T>();
    if schema.hash != wire.schema || !schema.compact {
        return Err(MessageError::Schema {
            found: wire.type_name.to_string(),
            wanted: schema.name.to_string(),
            sent: wire.schema,
            here: schema.hash,
        });
    }
    codec::decode(&wire.body, MESSAGE_MAX_BYTES).map_err(|error| shape::<T>(wire, error.to_string()))
}

fn shape<T: Payload>(wire: &Wire, reason: String) -> MessageError {
    MessageError::Shape { found: wire.type_name.to_string(), wanted: Schema::of::<T>().name.to_string(), reason }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_value() {
            Ok(value) => write!(f, "Message({}: {value})", self.type_name()),
            Err(_) => write!(f, "Message({}: …)", self.type_name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Reading {
        sensor: String,
        celsius: f64,
    }

    /// The same thing one version later.
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Newer {
        sensor: String,
        celsius: f64,
        #[serde(default)]
        humidity: Option<f64>,
    }

    fn reading() -> Reading {
        Reading { sensor: "roof".into(), celsius: 21.5 }
    }

    #[test]
    fn a_local_message_is_the_very_value() {
        let at = Arc::new(7_u64);
        #[derive(Clone, Serialize, Deserialize)]
        struct Holds(Arc<u64>);
        let message = Message::new(Holds(at.clone()));
        assert!(Arc::ptr_eq(&message.decode::<Holds>().unwrap().0, &at));
    }

    #[test]
    fn a_message_for_one_is_moved_and_can_be_shared_all_the_same() {
        let text = String::from("a text");
        let place = text.as_ptr();
        let message = Message::sole(text);
        let copy = message.clone();
        let text: String = message.decode().unwrap();
        assert_eq!(text.as_ptr(), place);
        assert_eq!(copy.clone().decode::<String>().as_deref(), Ok("a text"));
        assert_eq!(copy.encode(0).unwrap(), Message::new("a text".to_owned()).encode(0).unwrap());
    }

    #[test]
    fn both_ends_with_one_schema_speak_compactly() {
        let wire = Message::new(reading()).encode(Schema::of::<Reading>().hash).unwrap();
        assert_eq!(wire.form, Form::Compact);
        assert_eq!(Message::from_wire(wire.clone()).decode::<Reading>().unwrap(), reading());
        assert!(matches!(Message::from_wire(wire.clone()).to_value(), Err(MessageError::Opaque { .. })));
        assert!(matches!(Message::from_wire(wire).decode::<Newer>(), Err(MessageError::Schema { .. })));
    }

    #[test]
    fn versions_that_differ_meet_in_the_form_that_describes_itself() {
        let wire = Message::new(reading()).encode(Schema::of::<Newer>().hash).unwrap();
        assert_eq!(wire.form, Form::Value);
        let newer: Newer = Message::from_wire(wire).decode().unwrap();
        assert_eq!(newer, Newer { sensor: "roof".into(), celsius: 21.5, humidity: None });
        assert_eq!(Message::new(reading()).decode::<Value>().unwrap(), json!({"sensor": "roof", "celsius": 21.5}));
        assert_eq!(Message::new(json!({"sensor": "roof", "celsius": 21.5})).decode::<Reading>().unwrap(), reading());
    }

    #[test]
    fn a_message_of_another_shape_is_refused_with_both_names() {
        let error = Message::new(reading()).decode::<u64>().unwrap_err().to_string();
        assert!(error.starts_with("a message of type \"Reading\" is no \"u64\": invalid type: map"), "{error}");
    }
}
