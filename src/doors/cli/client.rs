//! A console's side of the API: a method for each request, failures as exit codes.

use std::sync::Arc;

use super::failure::{Exit, Failure, of_api};
use crate::{
    io::telemetry::Record,
    model::{Model, change},
    runtime::node::api::{
        Api, ApiError, Applied, Event, Finding, HistoryEntry, Info, LogsFrom, OfferedType, OutcomeReply, Page,
        PlanReply, Reply, Request, Revised, Revision, Status, TapRecord, Wanted, Why,
    },
    words::{ChannelName, InstancePath, NodeName, PortPath, Value},
};

/// Asks a node. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    api: Arc<dyn Api>,
    info: Info,
}

/// An answer of the wrong kind: only a faulty node gives one.
fn unexpected(reply: &Reply) -> Failure {
    let name = format!("{reply:?}").chars().take_while(|c| c.is_alphanumeric()).collect::<String>();
    Failure::new(
        Exit::Error,
        format!("the node gave an answer of another kind ({name})"),
        "this is a fault of Enact; please report it",
    )
}

macro_rules! answer {
    ($self:ident, $request:expr, $variant:ident) => {
        match $self.ask($request).await? {
            Reply::$variant(value) => Ok(value),
            other => Err(unexpected(&other)),
        }
    };
}

impl Client {
    /// Introduces itself.
    ///
    /// # Errors
    /// When the node does not answer, or speaks another version.
    pub async fn greet(api: Arc<dyn Api>) -> Result<Client, Failure> {
        match api.call(Request::Hello).await {
            Ok(Reply::Info(info)) => Ok(Client { api, info }),
            Ok(other) => Err(unexpected(&other)),
            Err(error) => Err(of_api(&error)),
        }
    }

    /// Who is asked.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The group's newest revision, as the node knows it now.
    pub(crate) async fn newest(&self) -> Result<Revision, Failure> {
        let info: Result<Info, Failure> = answer!(self, Request::Hello, Info);
        info.map(|info| info.revision)
    }

    async fn ask(&self, request: Request) -> Result<Reply, Failure> {
        self.raw(request).await.map_err(|error| of_api(&error))
    }

    /// Asks, and leaves the error as it came: with its problems.
    ///
    /// # Errors
    /// What the node answered.
    pub async fn raw(&self, request: Request) -> Result<Reply, ApiError> {
        self.api.call(request).await
    }

    pub(crate) async fn status(&self) -> Result<Status, Failure> {
        answer!(self, Request::Status, Status)
    }

    pub(crate) async fn model(&self, revision: Option<Revision>) -> Result<Revised, Failure> {
        answer!(self, Request::GetModel { revision }, Model)
    }

    pub(crate) async fn types(&self) -> Result<Vec<OfferedType>, Failure> {
        answer!(self, Request::Types, Types)
    }

    pub(crate) async fn outcome(&self, revision: Revision, seen: u64, wait_ms: u64) -> Result<OutcomeReply, Failure> {
        answer!(self, Request::Outcome { revision, seen, wait_ms }, Outcome)
    }

    pub(crate) async fn history(&self, limit: usize) -> Result<Vec<HistoryEntry>, Failure> {
        answer!(self, Request::History { limit }, History)
    }

    pub(crate) async fn watch(&self, cursor: Option<u64>, wait_ms: u64) -> Result<Page<Event>, Failure> {
        answer!(self, Request::Watch { cursor, wait_ms }, Events)
    }

    pub(crate) async fn logs(
        &self,
        from: LogsFrom,
        cursor: Option<u64>,
        n: usize,
        wait_ms: u64,
    ) -> Result<Page<Record>, Failure> {
        answer!(self, Request::Logs { from, cursor, n, wait_ms }, Logs)
    }

    pub(crate) async fn tail(
        &self,
        channel: ChannelName,
        cursor: Option<u64>,
        filter: Option<String>,
        n: usize,
        wait_ms: u64,
    ) -> Result<Page<TapRecord>, Failure> {
        answer!(self, Request::Tail { channel, cursor, filter, n, wait_ms, only_here: false }, Tail)
    }

    pub(crate) async fn send(&self, to: PortPath, value: Value, reply: bool) -> Result<Option<Value>, Failure> {
        answer!(self, Request::Send { to, value, reply }, Sent)
    }

    pub(crate) async fn why(&self, path: InstancePath) -> Result<Why, Failure> {
        answer!(self, Request::Why { path }, Why)
    }

    pub(crate) async fn doctor(&self) -> Result<Vec<Finding>, Failure> {
        answer!(self, Request::Doctor, Doctor)
    }

    pub(crate) async fn metrics(&self, node: Option<NodeName>) -> Result<String, Failure> {
        answer!(self, Request::Metrics { node }, Metrics)
    }

    pub(crate) async fn stop(&self, node: NodeName) -> Result<(), Failure> {
        match self.ask(Request::Stop { node }).await? {
            Reply::Done => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// A plan, with the models it leads from and to.
    pub(crate) async fn plan(&self, wanted: Wanted, base: Option<Revision>) -> Result<Planned, ApiError> {
        let other =
            |reply: &Reply| ApiError::new(crate::runtime::node::api::ErrorCode::Internal, unexpected(reply).what);
        let plan = match self.raw(Request::Plan { wanted, base }).await? {
            Reply::Plan(plan) => plan,
            reply => return Err(other(&reply)),
        };
        let before = match self.raw(Request::GetModel { revision: Some(plan.base.clone()) }).await? {
            Reply::Model(revised) => revised.model.0,
            reply => return Err(other(&reply)),
        };
        let mut after = before.clone();
        change::patch(&mut after, &plan.changes);
        Ok(Planned { plan, before, after })
    }

    /// Records what is wanted.
    pub(crate) async fn apply(&self, apply: Apply) -> Result<Applied, ApiError> {
        let Apply { wanted, base, compare_and_swap, message, by } = apply;
        match self.raw(Request::Apply { wanted, base, compare_and_swap, message, by }).await? {
            Reply::Applied(applied) => Ok(applied),
            reply => Err(ApiError::new(crate::runtime::node::api::ErrorCode::Internal, unexpected(&reply).what)),
        }
    }
}

/// A plan with the models it leads from and to.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) plan: PlanReply,
    pub(crate) before: Model,
    pub(crate) after: Model,
}

/// What [`Request::Apply`] says.
#[derive(Clone, Debug)]
pub(crate) struct Apply {
    pub(crate) wanted: Wanted,
    pub(crate) base: Option<Revision>,
    pub(crate) compare_and_swap: bool,
    pub(crate) message: String,
    pub(crate) by: String,
}

/// Who applies, for the history: `ana@console`.
pub(crate) fn by(from: &str) -> String {
    let user = ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    format!("{}@{from}", user.unwrap_or_else(|| "somebody".to_owned()))
}

/// An instance as somebody typed it: `node1.web`, `node1/web`, or the name of a node, channel or group.
///
/// # Errors
/// When the model has nothing of this name.
pub(crate) fn find_path(model: &Model, text: &str) -> Result<InstancePath, Failure> {
    let candidates = || {
        let components =
            model.nodes.iter().flat_map(|(node, value)| value.components.keys().map(move |c| format!("{node}.{c}")));
        let nodes = model.nodes.keys().map(ToString::to_string);
        let others = model.channels.keys().map(ToString::to_string).chain(model.groups.keys().map(ToString::to_string));
        nodes.chain(components).chain(others).collect::<Vec<_>>()
    };
    let path = match text.split_once(['.', '/']) {
        Some((node, component)) => match (node.parse(), component.parse()) {
            (Ok(node), Ok(component)) => Some(InstancePath::Component(node, component)),
            _ => None,
        },
        None => {
            let ways = [
                text.parse().ok().map(InstancePath::Node),
                text.parse().ok().map(InstancePath::Channel),
                text.parse().ok().map(InstancePath::Group),
            ];
            ways.into_iter().flatten().find(|path| model.instance(path).is_some())
        }
    };
    match path {
        Some(path) if model.instance(&path).is_some() => Ok(path),
        _ => {
            let dotted = text.replace('/', ".");
            let all = candidates();
            let near = all.iter().min_by_key(|known| strsim::damerau_levenshtein(&dotted, known));
            let help = near.filter(|known| strsim::damerau_levenshtein(&dotted, known) <= 2.max(dotted.len() / 3));
            let help =
                help.map_or("`enact get` lists what is there".to_owned(), |known| format!("did you mean \"{known}\"?"));
            Err(Failure::new(Exit::Error, format!("the model has no instance \"{text}\""), help))
        }
    }
}
