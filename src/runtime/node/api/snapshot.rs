//! A model on its way through JSON, where keys must be texts.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    model::{Bindings, Channel, DeployUnit, Group, Model, Node, Scope, Shared, TypeDefinition},
    words::{ChannelName, GroupName, NodeName, ScopeName},
};

/// A model that serialises with its types and units as lists. Complete: identities and broken parts included.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot(pub Model);

impl From<Model> for Snapshot {
    fn from(model: Model) -> Snapshot {
        Snapshot(model)
    }
}

#[derive(Serialize, Deserialize)]
struct Listed {
    nodes: OrdMap<NodeName, Shared<Node>>,
    channels: OrdMap<ChannelName, Shared<Channel>>,
    groups: OrdMap<GroupName, Shared<Group>>,
    bindings: Bindings,
    types: Vec<Shared<TypeDefinition>>,
    units: Vec<Shared<DeployUnit>>,
    scopes: OrdMap<ScopeName, Shared<Scope>>,
    repositories: OrdSet<Arc<str>>,
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let model = self.0.clone();
        Listed {
            nodes: model.nodes,
            channels: model.channels,
            groups: model.groups,
            bindings: model.bindings,
            types: model.types.values().cloned().collect(),
            units: model.units.values().cloned().collect(),
            scopes: model.scopes,
            repositories: model.repositories,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Snapshot, D::Error> {
        let listed = Listed::deserialize(deserializer)?;
        Ok(Snapshot(Model {
            nodes: listed.nodes,
            channels: listed.channels,
            groups: listed.groups,
            bindings: listed.bindings,
            types: listed.types.into_iter().map(|definition| (definition.id.clone(), definition)).collect(),
            units: listed.units.into_iter().map(|unit| (unit.id.clone(), unit)).collect(),
            scopes: listed.scopes,
            repositories: listed.repositories,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Component, Instance, Kind},
        words::{ComponentName, TypeRef},
    };

    #[test]
    fn a_model_comes_back_as_it_went() {
        let ticker = TypeRef::new("enact", "Ticker", "1.0.0").unwrap();
        let definition = TypeDefinition {
            id: ticker.clone(),
            kind: Kind::Component,
            is_abstract: false,
            units: Vec::new(),
            super_types: Vec::new(),
            attributes: None,
            provided: Vec::new(),
            required: Vec::new(),
            metadata: OrdMap::new(),
        };
        let component = Component { instance: Instance::of(ticker.clone()), ..Component::default() };
        let mut node = Node::default();
        node.components.insert(ComponentName::parse("ticker").unwrap(), component.into());
        let mut model = Model::default();
        model.types.insert(ticker, definition.into());
        model.nodes.insert(NodeName::parse("node1").unwrap(), node.into());
        let text = serde_json::to_string(&Snapshot(model.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap().0, model);
    }
}
