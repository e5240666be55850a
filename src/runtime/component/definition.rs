//! From the two traits to what the catalog holds: type definition, deploy unit, factory.

use std::sync::Arc;

use actix::Actor;

use super::{Behaviour, InputDef, OutputDef, shell::Shell};
use crate::{
    model::{Kind, PortDefinition, TypeDefinition},
    runtime::instance::{Birth, Bundle, Failure, Handle, Inbox, InputPort, Schema, catalog::unit_of_crate},
    words::{PortName, TypeRef},
};

/// Everything that the catalog needs to know about a component type.
///
/// # Panics
/// When the type's name or namespace is no name; the macros refuse that at compile time.
pub fn bundle<C: Behaviour>() -> Bundle {
    let definition = definition::<C>();
    let unit = Arc::new(unit_of_crate(&definition.id, C::CRATE.0, C::CRATE.1));
    let ports = input_ports::<C>();
    let factory = move |birth: Birth| create::<C>(birth, ports.clone());
    Bundle { definition: Arc::new(definition), unit, factory: Some(Arc::new(factory)), restart: C::RESTART }
}

/// The type definition of a component type.
pub fn definition<C: Behaviour>() -> TypeDefinition {
    let id = TypeRef::new(C::NAMESPACE, C::NAME, C::VERSION).expect("the macros see to it that names are names");
    let unit = unit_of_crate(&id, C::CRATE.0, C::CRATE.1).id;
    let mut metadata = imbl::OrdMap::new();
    if !C::DOC.is_empty() {
        metadata.insert("description".into(), C::DOC.into());
    }
    for (name, reply) in C::INPUTS.iter().filter_map(|input| Some((input.name, input.reply?))) {
        metadata.insert(format!("reply.{name}").into(), reply().name);
    }
    TypeDefinition {
        id,
        kind: Kind::Component,
        is_abstract: false,
        units: vec![unit],
        super_types: Vec::new(),
        attributes: Some(C::PARAMS.iter().map(|param| param.attribute()).collect()),
        provided: C::INPUTS.iter().map(provided).collect(),
        required: C::OUTPUTS.iter().map(required).collect(),
        metadata,
    }
}

fn provided(input: &InputDef) -> PortDefinition {
    port(input.name, input.required, (input.schema)(), input.doc)
}

fn required(output: &OutputDef) -> PortDefinition {
    port(output.name, output.required, (output.schema)(), output.doc)
}

fn port(name: &str, required: bool, schema: Schema, doc: &str) -> PortDefinition {
    PortDefinition {
        name: PortName::parse(name).expect("a port's name is a name"),
        optional: !required,
        no_dependency: false,
        message: schema.name,
        schema: schema.hash,
        doc: doc.into(),
        port_type: None,
    }
}

/// The input ports of a component type as its queues need them.
pub(super) fn input_ports<C: Behaviour>() -> Arc<[InputPort]> {
    let port = |input: &InputDef| InputPort {
        name: PortName::parse(input.name).expect("a port's name is a name"),
        queue: input.queue.max(1),
        overflow: input.overflow,
        schema: (input.schema)().hash,
    };
    C::INPUTS.iter().map(port).collect()
}

fn create<C: Behaviour>(birth: Birth, ports: Arc<[InputPort]>) -> Result<Handle, Failure> {
    let inbox = Inbox::new(birth.path.clone(), Kind::Component, birth.life, ports);
    let handle = Handle::new(inbox.clone());
    let arbiter = birth.arbiter.clone();
    let born = arbiter.spawn_fn(move || {
        Shell::<C>::born(inbox, birth).start();
    });
    if born { Ok(handle) } else { Err(Failure::Other("the arbiter for it has ended".to_owned())) }
}
