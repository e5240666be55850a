//! Plan and apply: what would be done, and doing it.

use std::{collections::BTreeSet, rc::Rc, sync::Arc};

use super::{Server, wanted};
use crate::{
    io::clock,
    logic::{
        gossip::{Push, PushRefused, Snapshot},
        plan,
    },
    model::{Model, change, library::Library},
    runtime::node::api::{ApiError, Applied, ErrorCode, NodePlan, PlanReply, Problem, Revision, Severity, Wanted},
    words::NodeName,
};

impl Server {
    /// What would be done on each node.
    pub(super) async fn plan(&self, wanted: Wanted, base: Option<Revision>) -> Result<PlanReply, ApiError> {
        let newest = self.group.current();
        let (from, base) = self.base(base, &newest).await?;
        let evaluated = self.evaluate(&wanted, &base).await?;
        let up = self.nodes_up();
        let names: BTreeSet<&NodeName> = base.nodes.keys().chain(evaluated.model.nodes.keys()).collect();
        let mut nodes = Vec::new();
        let mut warnings = evaluated.warnings;
        for node in names {
            let plan = plan::plan(&base, &evaluated.model, node);
            let present = *node == self.world.me || up.contains(node);
            warnings.extend(plan::refuse(&plan, &base, &evaluated.model, None).iter().map(refusal));
            if !plan.is_empty() {
                nodes.push(NodePlan { node: node.clone(), present, plan });
            }
        }
        Ok(PlanReply {
            group: self.group.name().clone(),
            base: from,
            newest: self.called(newest.id()).await?,
            changes: change::diff(&base, &evaluated.model),
            nodes,
            n_nodes: evaluated.model.nodes.len(),
            warnings,
        })
    }

    /// Makes a new revision.
    pub(super) async fn apply(
        self: &Rc<Self>,
        wanted: Wanted,
        base: Option<Revision>,
        compare_and_swap: bool,
        message: String,
        by: String,
    ) -> Result<Applied, ApiError> {
        let newest = self.group.current();
        let snapshot = match &base {
            None => newest.clone(),
            Some(revision) => self.snapshot_at(revision, &newest).await?,
        };
        let from = self.called(snapshot.id()).await?;
        if compare_and_swap && snapshot.digest != newest.digest {
            return Err(stale(&from, &self.called(newest.id()).await?));
        }
        let evaluated = self.evaluate(&wanted, &snapshot.model).await?;
        self.refuse(&snapshot.model, &evaluated.model)?;
        let push = Push {
            wanted: evaluated.model,
            base: Some(snapshot),
            compare_and_swap,
            by: by.into(),
            from: source(&wanted),
            message: message.into(),
        };
        let pushed = self.group.push(push).await.map_err(refused)?;
        Ok(Applied {
            revision: match &pushed.revision {
                Some(id) => self.called(Some(id)).await?,
                None => from.clone(),
            },
            from,
            unchanged: pushed.n_changes == 0,
            warnings: evaluated.warnings,
        })
    }

    async fn evaluate(&self, wanted: &Wanted, base: &Model) -> Result<wanted::Evaluated, ApiError> {
        let revision = match wanted {
            Wanted::Revision(revision) => Some(self.model_at(revision).await?),
            _ => None,
        };
        wanted::evaluate(wanted, base, &Library::of(base), clock::now().micros(), || {
            revision.clone().expect("fetched above for the one kind that asks")
        })
    }

    /// Refuses what some node could not do: the faults of the plan of every node that the change concerns.
    fn refuse(&self, base: &Model, wanted: &Model) -> Result<(), ApiError> {
        let mut problems = Vec::new();
        for node in wanted.nodes.keys() {
            let plan = plan::plan(base, wanted, node);
            if !plan.is_empty() {
                problems.extend(plan::refuse(&plan, base, wanted, None).iter().map(refusal));
            }
        }
        match problems.first() {
            None => Ok(()),
            Some(first) => {
                let what = first.message.clone();
                Err(ApiError { problems, ..ApiError::new(ErrorCode::Invalid, what) })
            }
        }
    }

    async fn base(&self, base: Option<Revision>, newest: &Snapshot) -> Result<(Revision, Model), ApiError> {
        match base {
            None => Ok((self.called(newest.id()).await?, newest.model.clone())),
            Some(revision) => Ok((revision.clone(), self.model_at(&revision).await?)),
        }
    }
}

fn refusal(refusal: &plan::Refusal) -> Problem {
    Problem {
        code: "E0301".to_owned(),
        severity: Severity::Error,
        message: refusal.to_string(),
        help: String::new(),
        span: None,
    }
}

fn source(wanted: &Wanted) -> Arc<str> {
    match wanted {
        Wanted::Script { file, .. } => format!("script {file}").into(),
        Wanted::Model(_) => "model".into(),
        Wanted::Edits(_) => "edits".into(),
        Wanted::Changes(_) => "plan".into(),
        Wanted::Revision(revision) => format!("rollback to {revision}").into(),
    }
}

fn stale(made_on: &Revision, newest: &Revision) -> ApiError {
    ApiError::new(ErrorCode::Stale, format!("made on {made_on}, the group is at {newest}"))
        .help("look at what changed (`enact diff`), plan again, and apply that")
}

/// Why the group did not take a push, in the words of the API.
pub(super) fn refused(refused: PushRefused) -> ApiError {
    let what = refused.to_string();
    match refused {
        PushRefused::Moved { .. } => ApiError::new(ErrorCode::Stale, what).help("plan again, and apply that"),
        PushRefused::NotKept { .. } => {
            ApiError::new(ErrorCode::NotFound, what).help("`enact history` shows what is kept")
        }
        PushRefused::Storage(_) => {
            ApiError::new(ErrorCode::Internal, what).help("nothing was changed; see the node's disk")
        }
        PushRefused::TooLarge { .. } => {
            ApiError::new(ErrorCode::Refused, what).help("a large file belongs beside the model, not in it")
        }
        PushRefused::NotSynced | PushRefused::Strategy(_) | PushRefused::Stopped => {
            ApiError::new(ErrorCode::Refused, what)
        }
    }
}
