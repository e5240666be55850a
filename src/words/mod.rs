//! The ground floor: the words everyone shares. Names, values and time; no behaviour of the system.

pub mod deadlines;
pub mod name;
pub mod time;
pub mod value;
pub mod version;

pub use deadlines::Deadlines;
pub use name::{
    AttributeName, ChannelName, ComponentName, GroupName, InstancePath, InvalidName, Name, Namespace, NodeName,
    PortName, PortPath, ScopeName, TypeName, TypeRef, UnitRef,
};
pub use time::Time;
pub use value::Value;
