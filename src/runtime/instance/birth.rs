//! What an instance gets to know when it is born.

use std::{
    any::{Any, TypeId},
    collections::HashMap,
    fmt,
    sync::Arc,
};

use actix::Recipient;

use super::{Cradle, Ended, ModelService};
use crate::{
    model::{Dictionary, TypeDefinition},
    words::{InstancePath, NodeName},
};

/// What an instance gets to know when it is born. Made by the node.
#[derive(Clone, Debug)]
pub struct Birth {
    /// Its address in the model.
    pub path: InstancePath,
    /// Counts the instances that the node has made: no two lives share one.
    pub life: u64,
    /// Its type.
    pub definition: Arc<TypeDefinition>,
    /// Its values, as this node sees them (`Instance::dictionary_on`).
    pub dictionary: Dictionary,
    /// The way to the thread that it lives on; `arbiter.into()` makes one.
    pub arbiter: Cradle,
    /// What the node offers to all its instances.
    pub environment: Arc<Environment>,
}

/// What a node offers to all its instances.
pub struct Environment {
    node: NodeName,
    model: Option<Arc<dyn ModelService>>,
    watcher: Option<Recipient<Ended>>,
    services: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl Environment {
    /// An environment on `node` that offers nothing yet.
    pub fn new(node: NodeName) -> Environment {
        Environment { node, model: None, watcher: None, services: HashMap::new() }
    }

    /// Offers the model.
    #[must_use]
    pub fn with_model(mut self, model: Arc<dyn ModelService>) -> Environment {
        self.model = Some(model);
        self
    }

    /// Says who is told that an instance ended by itself.
    #[must_use]
    pub fn with_watcher(mut self, watcher: Recipient<Ended>) -> Environment {
        self.watcher = Some(watcher);
        self
    }

    /// Offers a service, known by its type: the engine's `Router`, or anything the owner of the node brings.
    #[must_use]
    pub fn with_service<T: Send + Sync + 'static>(mut self, service: Arc<T>) -> Environment {
        self.services.insert(TypeId::of::<T>(), service);
        self
    }

    /// The node.
    pub fn node(&self) -> &NodeName {
        &self.node
    }

    /// The model service.
    pub fn model(&self) -> Option<&Arc<dyn ModelService>> {
        self.model.as_ref()
    }

    /// Who is told that an instance ended.
    pub fn watcher(&self) -> Option<&Recipient<Ended>> {
        self.watcher.as_ref()
    }

    /// A service by its type.
    pub fn service<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.services.get(&TypeId::of::<T>())?.clone().downcast().ok()
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("node", &self.node).field("n_services", &self.services.len()).finish()
    }
}
