//! What a node offers to the instances on it: the model, and to the node: word that an instance ended.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::Failure;
use crate::{
    model::{DeployUnit, Edit, Kind, Model, TypeDefinition},
    words::InstancePath,
};

/// Why there is no model to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no model here: the component runs alone (in a Harness, say)")]
pub struct NoModel;

/// Why a change of the model was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The edits do not fit the model as it is now.
    #[error("the model does not accept the change: {0}")]
    Rejected(String),
    /// The model changed since it was looked at.
    #[error("the model has changed since (it is at {now}): look again and retry")]
    Conflict {
        /// The revision now.
        now: String,
    },
    /// The group gave no answer in time, or the node is ending.
    #[error("the change was not answered: {0}")]
    Unanswered(String),
}

/// The model, as an instance may see and change it. The node implements it.
pub trait ModelService: Send + Sync + 'static {
    /// The model that the node wants to run now. Costs nothing: snapshots share their structure.
    fn model(&self) -> Model;

    /// The newest type of a name (and version, when one is given) that the model has or the node could bring, with the units
    /// that bring it. Units and definition are to be added to the model together with its first instance.
    fn find_type(
        &self,
        kind: Kind,
        name: &str,
        version: Option<&str>,
    ) -> Option<(Arc<TypeDefinition>, Vec<Arc<DeployUnit>>)>;

    /// Submits edits, all or nothing, in the name of `from`. With a `base`, only if the model still equals it. Answered when
    /// the group has accepted the revision; *not* when it is deployed, since the asker may be part of what has to change.
    fn submit(
        &self,
        from: InstancePath,
        edits: Vec<Edit>,
        base: Option<Model>,
    ) -> BoxFuture<'static, Result<(), SubmitError>>;

    /// Submits a script, in the name of `from`; answered as `submit` is.
    fn submit_script(&self, from: InstancePath, script: String) -> BoxFuture<'static, Result<(), SubmitError>>;
}

/// An instance ended or failed without being asked: what supervision acts upon. Sent by the instance's shell to the node.
#[derive(Clone, Debug, actix::Message)]
#[rtype(result = "()")]
pub struct Ended {
    /// Who.
    pub path: InstancePath,
    /// Which life of the instance (see `Birth::life`), so that word of a former one is not taken for the present one's.
    pub life: u64,
    /// Why.
    pub failure: Failure,
}
