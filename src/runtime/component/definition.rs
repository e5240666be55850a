//! From what a component's source says to what the catalog holds: type definition, deploy unit, factory.

use std::sync::Arc;

use super::{
    Behaviour, InputDef, OutputDef, ParamDef,
    shell::{Seen, Shell},
};
use crate::{
    logic::restart::Policy,
    model::{Kind, PortDefinition, TypeDefinition},
    runtime::instance::{Birth, Bundle, Factory, Failure, Handle, Inbox, InputPort, Schema, catalog::unit_of_crate},
    words::{PortName, TypeRef},
};

/// What the source of a component type says, whichever way it is written.
pub(super) struct Description {
    pub(super) namespace: &'static str,
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) doc: &'static str,
    /// Name and version of the crate.
    pub(super) from: (&'static str, &'static str),
    pub(super) params: &'static [ParamDef],
    pub(super) inputs: &'static [InputDef],
    pub(super) outputs: &'static [OutputDef],
    pub(super) restart: Policy,
}

impl Description {
    fn of<C: Behaviour>() -> Description {
        Description {
            namespace: C::NAMESPACE,
            name: C::NAME,
            version: C::VERSION,
            doc: C::DOC,
            from: C::CRATE,
            params: C::PARAMS,
            inputs: C::INPUTS,
            outputs: C::OUTPUTS,
            restart: C::RESTART,
        }
    }

    /// The entry of the catalog, with what makes instances.
    pub(super) fn bundle(&self, factory: impl Factory) -> Bundle {
        let definition = self.definition();
        let unit = Arc::new(unit_of_crate(&definition.id, self.from.0, self.from.1));
        Bundle { definition: Arc::new(definition), unit, factory: Some(Arc::new(factory)), restart: self.restart }
    }

    fn definition(&self) -> TypeDefinition {
        let id = TypeRef::new(self.namespace, self.name, self.version);
        let id = id.expect("the macros see to it that names are names, and so does who writes the traits by hand");
        let unit = unit_of_crate(&id, self.from.0, self.from.1).id;
        let mut metadata = imbl::OrdMap::new();
        if !self.doc.is_empty() {
            metadata.insert("description".into(), self.doc.into());
        }
        for (name, reply) in self.inputs.iter().filter_map(|input| Some((input.name, input.reply?))) {
            metadata.insert(format!("reply.{name}").into(), reply().name);
        }
        TypeDefinition {
            id,
            kind: Kind::Component,
            is_abstract: false,
            units: vec![unit],
            super_types: Vec::new(),
            attributes: Some(self.params.iter().map(ParamDef::attribute).collect()),
            provided: self
                .inputs
                .iter()
                .map(|input| port(input.name, input.required, input.schema, input.doc))
                .collect(),
            required: self.outputs.iter().map(|out| port(out.name, out.required, out.schema, out.doc)).collect(),
            metadata,
        }
    }
}

fn port(name: &str, required: bool, schema: fn() -> Schema, doc: &str) -> PortDefinition {
    let schema = schema();
    PortDefinition {
        name: port_name(name),
        optional: !required,
        no_dependency: false,
        message: schema.name,
        schema: schema.hash,
        doc: doc.into(),
        port_type: None,
    }
}

fn port_name(name: &str) -> PortName {
    PortName::parse(name).expect("a port is named like a field or a method")
}

/// Input ports as their queues need them.
pub(super) fn input_ports(inputs: &[InputDef]) -> Arc<[InputPort]> {
    let port = |input: &InputDef| InputPort {
        name: port_name(input.name),
        queue: input.queue.max(1),
        overflow: input.overflow,
        schema: (input.schema)().hash,
    };
    inputs.iter().map(port).collect()
}

/// Everything that the catalog needs to know about a component type.
///
/// # Panics
/// When the type's name or namespace is no name; the macros refuse that at compile time.
pub fn bundle<C: Behaviour>() -> Bundle {
    let ports = input_ports(C::INPUTS);
    Description::of::<C>().bundle(move |birth: Birth| create::<C>(birth, ports.clone()))
}

fn create<C: Behaviour>(birth: Birth, ports: Arc<[InputPort]>) -> Result<Handle, Failure> {
    let inbox = Inbox::new(birth.path, Kind::Component, birth.life, ports, Some(birth.arbiter.clone()));
    let handle = Handle::new(inbox.clone());
    let Birth { arbiter, environment, dictionary, .. } = birth;
    let seen = Seen { inbox, environment };
    let born = arbiter.spawn_fn(move || Shell::<C>::new(seen, dictionary, None).spawn());
    if born { Ok(handle) } else { Err(Failure::NoArbiter) }
}
