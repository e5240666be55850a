//! The way to a node: join the engine as a console, find a node, ask it. Nobody found is said, with what was tried.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{
    client::Client,
    failure::{Exit, Failure},
};
use crate::{
    doors::config::Config,
    io::{
        clock,
        engine::{self, AskError, EngineError, Lane, Peer, Role, Router},
    },
    runtime::node::api::{self, Answer, Api, ApiError, ErrorCode, Request},
    words::NodeName,
};

/// How a console reaches a node. The product joins the engine ([`RouterApi::found`]); tests hand in a double.
pub type Connector = Arc<dyn Fn(&Config) -> Connecting + Send + Sync>;

/// The way to a node, being found. `None` when nobody answered within the time of [`Config`].
pub type Connecting = Pin<Box<dyn Future<Output = Result<Option<Arc<dyn Api>>, Failure>> + Send>>;

/// A margin over the search itself: opening the engine takes a few hundred milliseconds on a loaded machine.
const MARGIN: Duration = Duration::from_secs(2);

/// Finds a node and introduces itself.
///
/// # Errors
/// [`Exit::Unreachable`] when nobody answers, with what was tried.
pub async fn open(connect: &Connector, config: &Config) -> Result<Client, Failure> {
    match tokio::time::timeout(config.console.search + MARGIN, connect(config)).await {
        Ok(Ok(Some(api))) => Client::greet(api).await,
        Ok(Ok(None)) | Err(_) => Err(nobody(config)),
        Ok(Err(failure)) => Err(failure),
    }
}

/// Nobody answered: what was tried, and what to do.
fn nobody(config: &Config) -> Failure {
    let limit = humantime::format_duration(config.console.search);
    let tried = config.of_console().tried();
    let given = match (&config.node, config.join.is_empty()) {
        (Some(_), _) => "",
        (None, true) => "; neither --node nor --join was given",
        (None, false) => "; --node was not given",
    };
    let what = format!("no node of group \"{}\" answered in {limit}. Looked by: {tried}{given}", config.group);
    let help = "start one with `enact node`, give its address with --node HOST:PORT, or run `enact doctor`";
    Failure::new(Exit::Unreachable, what, help)
}

/// The product's way: joins the engine as a console.
pub fn engine() -> Connector {
    Arc::new(|config: &Config| {
        let (network, limit) = (config.of_console(), config.console.search);
        Box::pin(async move {
            let started =
                tokio::task::spawn_blocking(move || engine::start(&network, myself()?).map_err(unstarted)).await??;
            let found = RouterApi::found(started, limit).await;
            Ok(found.map(|api| Arc::new(api) as Arc<dyn Api>))
        })
    })
}

/// A name that no other console has: consoles come and go, and several may run on one machine.
fn myself() -> Result<Peer, Failure> {
    let moment = clock::now().micros();
    let name = NodeName::parse(&format!("console-{}-{:x}", std::process::id(), moment & 0xff_ffff))?;
    Ok(Peer { name, incarnation: moment, role: Role::Console })
}

fn unstarted(error: EngineError) -> Failure {
    let help = error.help();
    Failure::new(Exit::Error, error.to_string(), help)
}

/// A node reached through the router. When it goes, any other node of the group answers in its place.
pub struct RouterApi {
    router: Router,
    node: NodeName,
}

impl RouterApi {
    /// This very node through the router.
    pub fn to(router: Router, node: NodeName) -> RouterApi {
        RouterApi { router, node }
    }

    /// The first node that the router finds within a time limit.
    pub async fn found(router: Router, limit: Duration) -> Option<RouterApi> {
        let mut events = router.watch();
        let search = async {
            loop {
                if let Some(node) = nodes(&router).into_iter().next() {
                    return node;
                }
                // Lagging or closed: the list of peers says what counts, and the limit ends a search without news.
                if events.recv().await.is_err() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        };
        let node = tokio::time::timeout(limit, search).await.ok()?;
        Some(RouterApi { router, node })
    }

    fn answerer(&self) -> NodeName {
        let up = nodes(&self.router);
        if up.contains(&self.node) || up.is_empty() { self.node.clone() } else { up[0].clone() }
    }
}

/// The nodes that are up.
fn nodes(router: &Router) -> Vec<NodeName> {
    router.peers().into_iter().filter(|peer| peer.role == Role::Node).map(|peer| peer.name).collect()
}

impl Api for RouterApi {
    fn call(&self, request: Request) -> Answer<'_> {
        let deadline = request.deadline();
        let body = api::encode_request(request);
        Box::pin(async move {
            let answer = self.router.ask(&self.answerer(), api::SERVICE, Lane::Bulk, body.into(), deadline).await;
            api::decode_reply(&answer.map_err(|error| unanswered(&error))?)
        })
    }
}

fn unanswered(error: &AskError) -> ApiError {
    let code = match error {
        AskError::Timeout { .. } | AskError::Busy { .. } => ErrorCode::Timeout,
        AskError::Refused(_) => ErrorCode::Refused,
        AskError::Send(_) | AskError::PeerDown { .. } | AskError::NoService { .. } | AskError::Dropped { .. } => {
            ErrorCode::Unreachable
        }
    };
    ApiError::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        doors::{
            cli::testing::{Double, ticking_group},
            config::{Settings, Sources},
        },
        runtime::node::api::Reply,
    };

    #[tokio::test]
    async fn requests_reach_a_node_through_the_router() {
        let me = Peer { name: NodeName::parse("node1").unwrap(), incarnation: 1, role: Role::Node };
        let router = Router::alone(me);
        let mut requests = router.serve(api::SERVICE);
        let node = Double::new(ticking_group());
        tokio::spawn(async move {
            while let Some(incoming) = requests.recv().await {
                let answer = match api::decode_request(&incoming.body) {
                    Ok(request) => node.call(request).await,
                    Err(error) => Err(error),
                };
                if let Some(reply) = incoming.reply {
                    reply.send(Ok(api::encode_reply(answer).into()));
                }
            }
        });
        let api = RouterApi::to(router, NodeName::parse("node1").unwrap());
        assert!(matches!(api.call(Request::GetModel { revision: None }).await, Ok(Reply::Model(_))));
        let missing = Request::GetModel { revision: Some(crate::runtime::node::api::Revision::new(9)) };
        assert_eq!(api.call(missing).await.unwrap_err().code, ErrorCode::NotFound);
        assert!(Client::greet(Arc::new(api)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_found_is_said_with_what_was_tried() {
        let config = Config::of(&Settings::merge(&Sources::default()).unwrap()).unwrap();
        let silent: Connector = Arc::new(|_| Box::pin(std::future::pending()));
        let failure = open(&silent, &config).await.err().unwrap();
        assert_eq!(failure.exit, Exit::Unreachable);
        for word in ["\"sync\"", "3s", "multicast 224.0.0.224", "127.0.0.1:7700", "neither --node nor --join"] {
            assert!(failure.what.contains(word), "{word}: {}", failure.what);
        }
        assert!(failure.help.contains("enact doctor"));
    }
}
