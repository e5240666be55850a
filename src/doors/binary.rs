//! The binary: a catalog of types and a `main`. The shipped `enact` is made of it, and so is every user's own node.

use std::{process::ExitCode, sync::Arc};

use super::{
    cli::{self, App, DemoArgs, connect},
    config::Config,
    demo, start,
};
use crate::{
    model::{Attribute, DataType, Kind, TypeDefinition},
    runtime::{
        channel::{self, ChannelType},
        component::{
            self, Behaviour,
            custom::{self, CustomActor},
        },
        group::{self, Gossip, GroupType},
        instance::{Bundle, Catalog, catalog::unit_of_crate},
        node::options::NODE_TYPE,
    },
    words::{AttributeName, Namespace, TypeName, TypeRef},
};

/// The version of Enact that a binary is built with.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A node binary in the making: add your types, then call [`Binary::main`].
///
/// ```no_run
/// use enact::prelude::*;
///
/// /// Says hello when it starts.
/// #[derive(Component)]
/// #[component(version = "1.0.0")]
/// struct Greeter {
///     /// Whom to greet.
///     #[param(default = "world")]
///     whom: String,
/// }
///
/// #[component]
/// impl Greeter {
///     #[start]
///     fn start(&mut self) {
///         println!("hello, {}", self.whom);
///     }
/// }
///
/// fn main() -> std::process::ExitCode {
///     enact::node().component::<Greeter>().main()
/// }
/// ```
#[must_use = "call `main`"]
pub struct Binary {
    catalog: Catalog,
    version: &'static str,
}

/// A node binary that brings what every node needs: the type of nodes and the `Gossip` group.
pub fn node() -> Binary {
    let mut catalog = Catalog::default();
    catalog.add(node_type());
    catalog.add(group::bundle::<Gossip>(env!("CARGO_PKG_NAME"), VERSION));
    Binary { catalog, version: VERSION }
}

impl Binary {
    /// Brings a component type.
    pub fn component<C: Behaviour>(self) -> Binary {
        self.bundle(component::bundle::<C>())
    }

    /// Brings a hand-written actix actor as a component type.
    pub fn actor<A: CustomActor>(self) -> Binary {
        self.bundle(custom::bundle::<A>())
    }

    /// Brings a channel type.
    pub fn channel<C: ChannelType>(self) -> Binary {
        self.bundle(channel::bundle::<C>(env!("CARGO_PKG_NAME"), VERSION))
    }

    /// Brings a group type.
    pub fn group<G: GroupType>(self) -> Binary {
        self.bundle(group::bundle::<G>(env!("CARGO_PKG_NAME"), VERSION))
    }

    /// Brings a type described by hand.
    pub fn bundle(mut self, bundle: Bundle) -> Binary {
        self.catalog.add(bundle);
        self
    }

    /// Says the version that `--version` and `status` show; Enact's own otherwise.
    pub fn version(mut self, version: &'static str) -> Binary {
        self.version = version;
        self
    }

    /// The types that it brings.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The whole program: reads the arguments, does what they say, gives the exit code.
    pub fn main(self) -> ExitCode {
        let catalog = Arc::new(self.catalog);
        let (for_node, version) = (catalog.clone(), self.version);
        // The demo is a play of the types that ship: a binary that lacks one of them has no such verb.
        let can_play =
            demo::TYPES.iter().all(|name| catalog.iter().any(|bundle| bundle.definition.id.name.as_str() == *name));
        let demo = |args: DemoArgs, config: Config| demo::run(&args, &config);
        cli::main(App {
            version,
            catalog,
            connect: connect::engine(),
            node: Box::new(move |config| start::run(config, for_node, version)),
            demo: can_play.then(|| Box::new(demo) as cli::DemoMain),
        })
    }
}

/// The type of nodes.
fn node_type() -> Bundle {
    let namespace = Namespace::parse("enact").expect("a valid namespace");
    let id = TypeRef { namespace, name: TypeName::parse(NODE_TYPE).expect("a valid name"), version: "1.0.0".into() };
    let unit = unit_of_crate(&id, env!("CARGO_PKG_NAME"), VERSION);
    let isolation = Attribute {
        name: AttributeName::parse("isolation").expect("a valid name"),
        datatype: DataType::String,
        optional: false,
        state: false,
        fragment: false,
        default: Some("thread".into()),
        min: None,
        max: None,
        one_of: vec!["thread".into(), "process".into()],
        secret: false,
        doc: "How a hosted node runs: a thread of its host, or a process of its own for code that is not trusted."
            .into(),
    };
    let definition = TypeDefinition {
        id,
        kind: Kind::Node,
        is_abstract: false,
        units: vec![unit.id.clone()],
        super_types: Vec::new(),
        attributes: Some(vec![isolation]),
        provided: Vec::new(),
        required: Vec::new(),
        metadata: [(Arc::from("description"), Arc::from("A place where instances run: one process of this binary"))]
            .into_iter()
            .collect(),
    };
    Bundle {
        definition: Arc::new(definition),
        unit: Arc::new(unit),
        factory: None,
        restart: crate::logic::restart::Policy::DEFAULT,
    }
}
