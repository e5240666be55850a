//! The network of the product: zenoh, on threads of its own, so that nothing of it ever runs on an actix arbiter.
//!
//! Every incarnation has an inbox key, to which peers publish frames, and a liveliness token that says who it is; zenoh finds the
//! others and notices who is gone. Each peer has an outbox thread, for a put may block. Callbacks only hand over what they got.

mod settings;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::{runtime, sync::oneshot};
use zenoh::{
    Session, Wait,
    bytes::ZBytes,
    liveliness::LivelinessToken,
    pubsub::Publisher,
    qos::{CongestionControl, Priority},
    sample::SampleKind,
};

use super::{
    Address, Closer, Config, Engine, EngineError, Lane, NetworkEvent, PROTOCOL, Peer, Role, Router, Sighting, Way,
    mesh::Mesh, shared::Shared,
};
use crate::logic::{link::Limits, peers::Times};

/// Threads for the inboxes of all peers and the view of who is alive: the work per frame is small, and waits for nothing.
const WORKERS: usize = 2;
/// An outbox needs little stack: it calls zenoh's put and no user code.
const OUTBOX_STACK_BYTES: usize = 512 * 1024;
/// How long a start may take before it is given up: opening sockets, and a rival of the same name that does not answer.
const START_MAX: Duration = Duration::from_secs(10);
/// Frames below this size are copied out of the buffer of 64 KiB that they came in: whoever keeps a message of it keeps all of it.
const IN_PLACE_MIN: usize = 16 * 1024;
/// How long outboxes may take to end when the engine closes; one that hangs in a put is left behind.
const OUTBOXES_MAX: Duration = Duration::from_millis(300);

/// Joins the network. Blocks for about a quarter of a second (or until another node of the same name has answered), so call
/// it before the actix system starts. The engine's threads end when the router is closed or its last clone dropped.
///
/// # Errors
/// See [`EngineError`]; each says in one line what is wrong, and [`EngineError::help`] what to do.
pub fn start(config: &Config, me: Peer) -> Result<Router, EngineError> {
    let zenoh_config = config.to_zenoh(me.role)?;
    let (started, result) = mpsc::channel();
    let (group, tried) = (config.group.clone(), config.tried());
    let name = format!("enact-engine-{}", me.name);
    let run = move || Core::run(zenoh_config, &group, me, &started);
    thread::Builder::new().name(name).spawn(run).map_err(|error| EngineError::Network(error.to_string()))?;
    let late = |_| EngineError::Network("the start took too long".to_owned());
    let router = result.recv_timeout(START_MAX).map_err(late)??;
    tracing::info!(me = %router.me().name, %tried, "joined the network");
    Ok(router)
}

/// What the engine's thread owns.
struct Core {
    runtime: runtime::Runtime,
    engine: ZenohEngine,
    stop: mpsc::Receiver<oneshot::Sender<()>>,
}

#[derive(Clone)]
struct ZenohEngine(Arc<Inner>);

struct Inner {
    session: Session,
    handle: runtime::Handle,
    token_key: String,
    token: Mutex<Option<LivelinessToken>>,
    n_outboxes: AtomicUsize,
    stop: mpsc::Sender<oneshot::Sender<()>>,
}

impl Core {
    fn run(config: zenoh::Config, group: &str, me: Peer, started: &mpsc::Sender<Result<Router, EngineError>>) {
        let role = me.role;
        match Core::open(config, group, me) {
            Ok((core, router)) => {
                let refused = core.runtime.block_on(router.joined()).err();
                let refused = refused.filter(|_| role == Role::Node).map(EngineError::from);
                let is_refused = refused.is_some();
                // The caller may have given up: then the router is dropped, and with it this engine.
                let _ = started.send(refused.map_or(Ok(router), Err));
                let asked = core.stop.recv().ok();
                tracing::debug!(is_refused, "the engine closes");
                core.close();
                if let Some(done) = asked {
                    let _ = done.send(());
                }
            }
            Err(error) => {
                let _ = started.send(Err(error));
            }
        }
    }

    fn open(config: zenoh::Config, group: &str, me: Peer) -> Result<(Core, Router), EngineError> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| EngineError::Network(error.to_string());
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("enact-inbox")
            .enable_time()
            .build()
            .map_err(|error| EngineError::Network(error.to_string()))?;
        let session = zenoh::open(config).wait().map_err(failed)?;
        let place = session.info().locators().wait().first().map_or("none".to_owned(), ToString::to_string);
        let key = Key { protocol: PROTOCOL, group, peer: &me, session: &session.zid().to_string() };
        let (inbox_key, token_key) = (key.inbox(), key.token());
        let address = Address(inbox_key.as_str().into());
        let me = Sighting { address, protocol: PROTOCOL, group: group.to_owned(), peer: me };
        let mesh = {
            // The mesh reads tokio's clock and starts tasks.
            let _entered = runtime.enter();
            Mesh::new(me, place, Limits::default(), Times::default())
        };
        let shared = mesh.shared().clone();
        listen(&session, &shared, &inbox_key).map_err(failed)?;
        let (stop, stopped) = mpsc::channel();
        let engine = ZenohEngine(Arc::new(Inner {
            session,
            handle: runtime.handle().clone(),
            token_key,
            token: Mutex::default(),
            n_outboxes: AtomicUsize::new(0),
            stop,
        }));
        mesh.start(Arc::new(engine.clone()));
        Ok((Core { runtime, engine, stop: stopped }, Router::over(shared)))
    }

    fn close(self) {
        const PAUSE: Duration = Duration::from_millis(2);
        let engine = &self.engine.0;
        let mut waited = Duration::ZERO;
        while engine.n_outboxes.load(Ordering::Acquire) > 0 && waited < OUTBOXES_MAX {
            thread::sleep(PAUSE);
            waited += PAUSE;
        }
        engine.token.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Err(error) = engine.session.close().wait() {
            tracing::debug!(%error, "the session did not close well");
        }
        if engine.n_outboxes.load(Ordering::Acquire) > 0 {
            // A thread still runs a task on the runtime: leaving the runtime to it is better than a panic there.
            std::mem::forget(self.runtime);
        } else {
            self.runtime.shutdown_background();
        }
    }
}

/// Declares what brings frames and sightings in. The callbacks run on zenoh's threads: they hand over and return.
fn listen(session: &Session, shared: &Arc<Shared>, inbox_key: &str) -> zenoh::Result<()> {
    let sink = shared.clone();
    let inbox = session.declare_subscriber(inbox_key.to_owned()).callback(move |sample| {
        sink.network(NetworkEvent::Frame(frame(sample.payload())));
    });
    inbox.background().wait()?;
    let sink = shared.clone();
    let tokens = session.liveliness().declare_subscriber(Key::ALL_TOKENS).history(true).callback(move |sample| {
        let Some(sighting) = Key::read_token(sample.key_expr().as_str()) else { return };
        sink.network(match sample.kind() {
            SampleKind::Put => NetworkEvent::Appeared(sighting),
            SampleKind::Delete => NetworkEvent::Vanished(sighting.address),
        });
    });
    tokens.background().wait()
}

/// A frame as zenoh gives it: where it is, if it is large and in one piece. A small one is copied, lest it keeps the whole buffer
/// that it came in.
fn frame(payload: &ZBytes) -> Bytes {
    let mut slices = payload.slices();
    match (slices.next(), slices.next()) {
        (Some(slice), None) if slice.len() >= IN_PLACE_MIN => Bytes::from_owner(InPlace(payload.clone())),
        _ => Bytes::copy_from_slice(&payload.to_bytes()),
    }
}

/// Bytes in one piece that stay where zenoh has put them.
struct InPlace(ZBytes);

impl AsRef<[u8]> for InPlace {
    fn as_ref(&self) -> &[u8] {
        self.0.slices().next().unwrap_or_default()
    }
}

/// The keys of one incarnation. `session` tells apart what has the same name and incarnation.
struct Key<'a> {
    protocol: u16,
    group: &'a str,
    peer: &'a Peer,
    session: &'a str,
}

impl Key<'_> {
    /// The tokens of all nodes, those of other groups and protocols included: they shall be told why nobody talks to them.
    const ALL_TOKENS: &'static str = "enact/*/*/alive/*/*/*/*";

    fn inbox(&self) -> String {
        let Key { protocol, group, peer, session } = self;
        format!("enact/{protocol}/{group}/in/{}/{:x}/{session}", peer.name, peer.incarnation)
    }

    fn token(&self) -> String {
        let Key { protocol, group, peer, session } = self;
        let role = match peer.role {
            Role::Node => "node",
            Role::Console => "console",
        };
        format!("enact/{protocol}/{group}/alive/{}/{:x}/{role}/{session}", peer.name, peer.incarnation)
    }

    /// Who a token says is there; `None` for what is no token of ours.
    fn read_token(key: &str) -> Option<Sighting> {
        let parts: Vec<&str> = key.split('/').collect();
        let ["enact", protocol, group, "alive", name, incarnation, role, session] = parts[..] else { return None };
        let role = match role {
            "node" => Role::Node,
            "console" => Role::Console,
            _ => return None,
        };
        let peer = Peer { name: name.parse().ok()?, incarnation: u64::from_str_radix(incarnation, 16).ok()?, role };
        let protocol = protocol.parse().ok()?;
        let address = Address(Key { protocol, group, peer: &peer, session }.inbox().into());
        Some(Sighting { address, protocol, group: group.to_owned(), peer })
    }
}

impl Inner {
    /// A publisher for each lane, so that control frames overtake bulk in zenoh's queues too.
    fn publishers(&self, to: &Address) -> zenoh::Result<[Publisher<'static>; 2]> {
        let publisher = |lane| {
            let key = self.session.declare_publisher(to.0.to_string());
            key.congestion_control(CongestionControl::Block).express(true).priority(priority(lane)).wait()
        };
        Ok([publisher(Lane::Control)?, publisher(Lane::Bulk)?])
    }
}

fn priority(lane: Lane) -> Priority {
    match lane {
        Lane::Control => Priority::InteractiveHigh,
        Lane::Bulk => Priority::Data,
    }
}

impl Engine for ZenohEngine {
    fn send(&self, to: &Address, lane: Lane, frame: Bytes) {
        let put = self.0.session.put(to.0.to_string(), frame).congestion_control(CongestionControl::Block);
        if let Err(error) = put.express(true).priority(priority(lane)).wait() {
            tracing::debug!(%to, %error, "a frame was not sent");
        }
    }

    fn open_way(&self, to: &Address) -> Way {
        let to = to.clone();
        match self.0.publishers(&to) {
            Ok(publishers) => Arc::new(move |lane, frame| {
                if let Err(error) = publishers[lane as usize].put(frame).wait() {
                    tracing::debug!(%to, %error, "a frame was not sent");
                }
            }),
            Err(error) => {
                tracing::warn!(%to, %error, "no publisher for a peer: nothing can be sent to it");
                Arc::new(|_, _| {})
            }
        }
    }

    fn spawn_outbox(&self, task: BoxFuture<'static, ()>) {
        let inner = self.0.clone();
        inner.n_outboxes.fetch_add(1, Ordering::AcqRel);
        let run = {
            let inner = inner.clone();
            move || {
                inner.handle.block_on(task);
                inner.n_outboxes.fetch_sub(1, Ordering::AcqRel);
            }
        };
        let builder = thread::Builder::new().name("enact-outbox".to_owned()).stack_size(OUTBOX_STACK_BYTES);
        if let Err(error) = builder.spawn(run) {
            inner.n_outboxes.fetch_sub(1, Ordering::AcqRel);
            tracing::error!(%error, "no thread for a peer: nothing can be sent to it");
        }
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.handle.spawn(task);
    }

    fn announce(&self) {
        match self.0.session.liveliness().declare_token(self.0.token_key.clone()).wait() {
            Ok(token) => *self.0.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token),
            Err(error) => tracing::error!(%error, "this node cannot announce itself"),
        }
    }

    fn closer(&self) -> Closer {
        let stop = self.0.stop.clone();
        Box::new(move || {
            let (done, closed) = oneshot::channel();
            // The thread may have ended already; then the receiver says so at once.
            drop(stop.send(done));
            closed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_who_is_there_and_where() {
        let peer = Peer { name: "n1".parse().unwrap(), incarnation: 0xabc, role: Role::Console };
        let key = Key { protocol: 1, group: "g", peer: &peer, session: "5f" };
        assert_eq!(key.token(), "enact/1/g/alive/n1/abc/console/5f");
        let address = Address(key.inbox().into());
        let sighting = Sighting { address, protocol: 1, group: "g".into(), peer: peer.clone() };
        assert_eq!(Key::read_token(&key.token()), Some(sighting));
        for wrong in
            ["enact/1/g/alive/n1/xyz/node/5f", "enact/1/g/alive/n1/1/king/5f", "a/b", "enact/1/g/in/n1/1/node/5f"]
        {
            assert_eq!(Key::read_token(wrong), None);
        }
    }
}
