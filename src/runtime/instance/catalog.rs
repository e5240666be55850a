//! The catalog: the types that this binary brings, each with its definition, its deploy unit, and how to make an instance.

use std::{collections::BTreeMap, fmt, sync::Arc};

use super::{Birth, Failure, Handle};
use crate::{
    logic::restart::Policy,
    model::{DeployUnit, Kind, TypeDefinition},
    words::{TypeRef, UnitRef},
};

/// Makes instances of a type. Called on the node's own arbiter, so it only sends the work to `birth.arbiter`: the user's code
/// runs there, and [`Handle::ready`] tells how that went.
pub trait Factory: Send + Sync + 'static {
    /// Makes an instance.
    ///
    /// # Errors
    /// When the arbiter has ended.
    fn create(&self, birth: Birth) -> Result<Handle, Failure>;
}

impl<F: Fn(Birth) -> Result<Handle, Failure> + Send + Sync + 'static> Factory for F {
    fn create(&self, birth: Birth) -> Result<Handle, Failure> {
        self(birth)
    }
}

/// A type with all that belongs to it.
#[derive(Clone)]
pub struct Bundle {
    /// What instances are.
    pub definition: Arc<TypeDefinition>,
    /// The crate that brings it.
    pub unit: Arc<DeployUnit>,
    /// Makes instances. Node types have none: a node is made by a process.
    pub factory: Option<Arc<dyn Factory>>,
    /// How often an instance is started again after a crash.
    pub restart: Policy,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundle({} {})", self.definition.kind, self.definition.id)
    }
}

/// The types that this binary brings. Several versions of a type may be in it.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    types: BTreeMap<TypeRef, Bundle>,
}

impl Catalog {
    /// Adds a type; one of the same namespace, name and version is replaced.
    pub fn add(&mut self, bundle: Bundle) {
        self.types.insert(bundle.definition.id.clone(), bundle);
    }

    /// A type by namespace, name and version.
    pub fn get(&self, id: &TypeRef) -> Option<&Bundle> {
        self.types.get(id)
    }

    /// All types in order.
    pub fn iter(&self) -> impl Iterator<Item = &Bundle> {
        self.types.values()
    }

    /// The types of a kind in order.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Bundle> {
        self.iter().filter(move |bundle| bundle.definition.kind == kind)
    }

    /// Makes an instance of `birth.definition`.
    ///
    /// # Errors
    /// [`Failure::UnknownType`] with what there is under that name, or what the factory says.
    pub fn create(&self, birth: Birth) -> Result<Handle, Failure> {
        let wanted = &birth.definition.id;
        match self.types.get(wanted).and_then(|bundle| bundle.factory.clone()) {
            Some(factory) => factory.create(birth),
            None => Err(Failure::UnknownType { wanted: wanted.to_string(), known: self.similar(wanted) }),
        }
    }

    /// Other versions of the type, or all types when there is none.
    fn similar(&self, wanted: &TypeRef) -> Vec<String> {
        let named: Vec<_> = self.types.keys().filter(|id| id.name == wanted.name).map(TypeRef::to_string).collect();
        if named.is_empty() { self.types.keys().map(TypeRef::to_string).collect() } else { named }
    }
}

/// The deploy unit of a crate: what a type's `units` name. `platform = rust`.
pub fn unit_of_crate(id: &TypeRef, crate_name: &str, crate_version: &str) -> DeployUnit {
    let unit = UnitRef {
        namespace: id.namespace.clone(),
        name: crate_name.into(),
        version: crate_version.into(),
        hashcode: "".into(),
    };
    let filters = std::iter::once((Arc::from("platform"), Arc::from("rust"))).collect();
    DeployUnit { id: unit, url: "".into(), filters, requires: Vec::new() }
}
