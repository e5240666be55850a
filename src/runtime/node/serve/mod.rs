//! The API's server side: every request of consoles and tools ends here, one function each.

mod change;
mod filter;
mod history;
mod look;
mod relay;
mod stream;
mod wanted;

pub(super) use history::name;

use std::{cell::RefCell, collections::BTreeSet, rc::Rc, sync::Arc};

use bytes::Bytes;

use super::{
    api::{ApiError, ErrorCode, Info, Reply, Request, decode_request, encode_reply},
    options::Options,
    world::World,
};
use crate::{
    io::engine::{Inbox, Incoming},
    runtime::group::GroupHandle,
    words::NodeName,
};

/// Requests that are answered at the same time; more wait in the router's bounded queue. Waiting requests (`watch`, `logs -f`) count.
const AT_ONCE: usize = 256;

/// Answers requests. Lives on the node's arbiter.
pub(crate) struct Server {
    world: Rc<World>,
    group: GroupHandle,
    options: Rc<Options>,
    listen: Vec<String>,
    taps: Rc<RefCell<stream::Taps>>,
    /// The peers that metrics were shown of.
    shown: RefCell<BTreeSet<NodeName>>,
}

impl Server {
    /// A server for a node that has joined its group.
    pub(super) fn new(world: Rc<World>, group: GroupHandle, options: Rc<Options>, listen: Vec<String>) -> Rc<Server> {
        Rc::new(Server { world, group, options, listen, taps: Rc::default(), shown: RefCell::default() })
    }

    /// Answers what comes in until the router closes.
    pub(super) async fn run(self: Rc<Self>, mut incoming: Inbox) {
        let free = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        while let Some(message) = incoming.recv().await {
            let Ok(permit) = free.clone().acquire_owned().await else { return };
            let server = self.clone();
            actix_rt::spawn(async move {
                server.respond(message).await;
                drop(permit);
            });
        }
    }

    async fn respond(self: Rc<Self>, message: Incoming) {
        let Some(reply) = message.reply else { return };
        let answer = match decode_request(&message.body) {
            Ok(request) => self.answer(request).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &answer {
            tracing::debug!(from = %message.from, error = %error, "a request was not fulfilled");
        }
        reply.send(Ok(Bytes::from(encode_reply(answer))));
    }

    /// Answers a request.
    ///
    /// # Errors
    /// Said in one line, with what would help.
    pub(super) async fn answer(self: &Rc<Self>, request: Request) -> Result<Reply, ApiError> {
        if let Some(node) = relay::whose(&request, &self.world.me) {
            return relay::ask(&self.world.router, &node, request).await;
        }
        if request.is_about_the_model() {
            self.group.whole().await.map_err(stopped)?;
        }
        match request {
            Request::Hello => self.hello().await.map(Reply::Info),
            Request::Status => self.status().await.map(Reply::Status),
            Request::GetModel { revision } => self.model(revision).await.map(Reply::Model),
            Request::Types => self.types().await.map(Reply::Types),
            Request::Plan { wanted, base } => self.plan(wanted, base).await.map(Reply::Plan),
            Request::Apply { wanted, base, compare_and_swap, message, by } => {
                self.apply(wanted, base, compare_and_swap, message, by).await.map(Reply::Applied)
            }
            Request::Outcome { revision, seen, wait_ms } => {
                self.outcome(revision, seen, wait_ms).await.map(Reply::Outcome)
            }
            Request::History { limit } => self.history(limit).await.map(Reply::History),
            Request::Watch { cursor, wait_ms } => Ok(Reply::Events(self.watch(cursor, wait_ms).await)),
            Request::Logs { from, cursor, n, wait_ms } => self.logs(&from, cursor, n, wait_ms).await.map(Reply::Logs),
            Request::Tail { channel, cursor, filter, n, wait_ms, only_here } => {
                self.tail(channel, cursor, filter, n, wait_ms, only_here).await.map(Reply::Tail)
            }
            Request::Send { to, value, reply } => self.send(&to, value, reply).await.map(Reply::Sent),
            Request::Why { path } => self.why(&path).await.map(Reply::Why),
            Request::Doctor => Ok(Reply::Doctor(self.doctor().await)),
            Request::Metrics { .. } => Ok(Reply::Metrics(self.metrics().await)),
            Request::Stop { .. } => {
                self.world.stop.notify_one();
                Ok(Reply::Done)
            }
        }
    }

    async fn hello(&self) -> Result<Info, ApiError> {
        let snapshot = self.group.current();
        Ok(Info {
            node: self.world.me.clone(),
            group: self.group.name().clone(),
            revision: self.called(snapshot.id()).await?,
            n_nodes: 1 + self.nodes_up().len(),
            version: self.options.version.clone(),
            listen: self.listen.clone(),
        })
    }
}

/// The group has stopped on this node.
fn stopped(refused: crate::logic::gossip::PushRefused) -> ApiError {
    change::refused(refused)
}

/// A request for something that is not there.
fn not_found(what: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::NotFound, what)
}
