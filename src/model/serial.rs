//! How a model is serialised: maps whose keys are no texts go as lists, so that any format can carry it.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use super::{Bindings, Channel, DeployUnit, Group, Model, Node, Scope, Shared, TypeDefinition};
use crate::words::{ChannelName, GroupName, NodeName, ScopeName};

#[derive(Serialize, Deserialize)]
pub(super) struct Parts {
    #[serde(deserialize_with = "super::bounded::map")]
    nodes: OrdMap<NodeName, Shared<Node>>,
    #[serde(deserialize_with = "super::bounded::map")]
    channels: OrdMap<ChannelName, Shared<Channel>>,
    #[serde(deserialize_with = "super::bounded::map")]
    groups: OrdMap<GroupName, Shared<Group>>,
    bindings: Bindings,
    types: Vec<Shared<TypeDefinition>>,
    units: Vec<Shared<DeployUnit>>,
    #[serde(deserialize_with = "super::bounded::map")]
    scopes: OrdMap<ScopeName, Shared<Scope>>,
    #[serde(deserialize_with = "super::bounded::set")]
    repositories: OrdSet<Arc<str>>,
}

impl From<Model> for Parts {
    fn from(model: Model) -> Parts {
        Parts {
            nodes: model.nodes,
            channels: model.channels,
            groups: model.groups,
            bindings: model.bindings,
            types: model.types.values().cloned().collect(),
            units: model.units.values().cloned().collect(),
            scopes: model.scopes,
            repositories: model.repositories,
        }
    }
}

impl From<Parts> for Model {
    fn from(parts: Parts) -> Model {
        Model {
            places: parts.nodes.iter().collect(),
            nodes: parts.nodes,
            channels: parts.channels,
            groups: parts.groups,
            bindings: parts.bindings,
            types: parts.types.into_iter().map(|definition| (definition.id.clone(), definition)).collect(),
            units: parts.units.into_iter().map(|unit| (unit.id.clone(), unit)).collect(),
            scopes: parts.scopes,
            repositories: parts.repositories,
        }
    }
}
