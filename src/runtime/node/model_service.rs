//! The model as components see and change it.

use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;

use crate::{
    io::clock,
    logic::{
        gossip::{Push, PushRefused},
        script,
    },
    model::{DeployUnit, Edit, Kind, Model, TypeDefinition, library::Library},
    runtime::{
        group::GroupHandle,
        instance::{Catalog, ModelService, SubmitError},
    },
    words::{InstancePath, version},
};

/// The model service of a node: the group's current model, and pushes in the name of components.
#[derive(Default)]
pub(super) struct NodeModel {
    joined: OnceLock<(GroupHandle, Arc<Catalog>)>,
}

impl NodeModel {
    /// The node has a group from now on. Once.
    pub(super) fn join(&self, group: GroupHandle, catalog: Arc<Catalog>) {
        let first = self.joined.set((group, catalog));
        debug_assert!(first.is_ok(), "a node joins its group once");
    }

    fn group(&self) -> Result<GroupHandle, SubmitError> {
        let joined = self.joined.get().ok_or_else(|| SubmitError::Unanswered("the node has no group yet".to_owned()));
        joined.map(|(group, _)| group.clone())
    }
}

impl ModelService for NodeModel {
    fn model(&self) -> Model {
        self.joined.get().map(|(group, _)| group.current().model).unwrap_or_default()
    }

    fn find_type(
        &self,
        kind: Kind,
        name: &str,
        wanted: Option<&str>,
    ) -> Option<(Arc<TypeDefinition>, Vec<Arc<DeployUnit>>)> {
        let (group, catalog) = self.joined.get()?;
        let model = group.current().model;
        let fits = |definition: &TypeDefinition| {
            definition.kind == kind
                && definition.id.name.as_str() == name
                && wanted.is_none_or(|wanted| *definition.id.version == *wanted)
        };
        let known = model.types.values().filter(|definition| fits(definition)).map(|definition| {
            let units =
                definition.units.iter().filter_map(|id| model.units.get(id)).map(|unit| Arc::new((**unit).clone()));
            (Arc::new((**definition).clone()), units.collect::<Vec<_>>())
        });
        let brought = catalog
            .of_kind(kind)
            .filter(|bundle| fits(&bundle.definition))
            .map(|bundle| (bundle.definition.clone(), vec![bundle.unit.clone()]));
        known.chain(brought).max_by(|(a, _), (b, _)| version::compare(&a.id.version, &b.id.version))
    }

    fn submit(
        &self,
        from: InstancePath,
        edits: Vec<Edit>,
        base: Option<Model>,
    ) -> BoxFuture<'static, Result<(), SubmitError>> {
        let group = self.group();
        Box::pin(async move {
            let group = group?;
            group.whole().await.map_err(|refused| SubmitError::Unanswered(refused.to_string()))?;
            let current = group.current();
            if base.is_some_and(|base| base != current.model) {
                return Err(SubmitError::Conflict { now: called(&current) });
            }
            let mut wanted = current.model.clone();
            wanted.apply(&edits).map_err(|error| SubmitError::Rejected(error.to_string()))?;
            push(group, wanted, current, &from).await
        })
    }

    fn submit_script(&self, from: InstancePath, text: String) -> BoxFuture<'static, Result<(), SubmitError>> {
        let group = self.group();
        Box::pin(async move {
            let group = group?;
            group.whole().await.map_err(|refused| SubmitError::Unanswered(refused.to_string()))?;
            let current = group.current();
            let rejected = |diagnostics: &[script::Diagnostic]| {
                let all: Vec<&str> = diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
                SubmitError::Rejected(all.join("; "))
            };
            let (parsed, diagnostics) = script::parse(&text);
            if diagnostics.iter().any(script::Diagnostic::is_error) {
                return Err(rejected(&diagnostics));
            }
            let library = Library::of(&current.model);
            let mut variables = script::Variables::new();
            let salt = clock::now().micros();
            let evaluation = script::evaluate(&parsed, &current.model, &library, &mut variables, salt)
                .map_err(|diagnostics| rejected(&diagnostics))?;
            push(group, evaluation.model, current, &from).await
        })
    }
}

fn called(snapshot: &crate::logic::gossip::Snapshot) -> String {
    snapshot.id().map_or_else(|| "r0".to_owned(), |id| format!("r{}", id.number))
}

async fn push(
    group: GroupHandle,
    wanted: Model,
    base: crate::logic::gossip::Snapshot,
    from: &InstancePath,
) -> Result<(), SubmitError> {
    let now = called(&base);
    let push = Push {
        wanted,
        base: Some(base),
        compare_and_swap: true,
        by: from.to_string().into(),
        from: format!("component {from}").into(),
        message: "".into(),
    };
    match group.push(push).await {
        Ok(_) => Ok(()),
        Err(PushRefused::Moved { .. }) => Err(SubmitError::Conflict { now }),
        Err(refused) => Err(SubmitError::Unanswered(refused.to_string())),
    }
}
