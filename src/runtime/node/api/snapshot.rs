//! A model on its way through JSON, where keys must be texts.

use serde::{Deserialize, Serialize};

use crate::model::Model;

/// A model that serialises with its types and units as lists. Complete: identities and broken parts included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Snapshot(pub Model);

impl From<Model> for Snapshot {
    fn from(model: Model) -> Snapshot {
        Snapshot(model)
    }
}

#[cfg(test)]
mod tests {
    use imbl::OrdMap;

    use super::*;
    use crate::{
        model::{Component, Instance, Kind, Node, TypeDefinition},
        words::{ComponentName, NodeName, TypeRef},
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
