//! From options to a running node, and to its end.

use std::{collections::BTreeSet, rc::Rc, sync::Arc, time::Duration};

use actix::Actor;
use actix_rt::System;
use tokio::{
    runtime::{Builder, Runtime},
    sync::oneshot,
};

use super::{
    NodeActor, api,
    boot::{self, BootError},
    disk::{self, Disk, GroupDisk},
    handover,
    hosted::{self, HostedNodes},
    local,
    model_service::NodeModel,
    options::Options,
    poison, scrape,
    serve::{self, Server},
    states, steps_back, supervise,
    world::World,
};
use crate::{
    io::{
        clock::{self, Stopwatch},
        engine::{self, EngineError, Incoming, Peer, PeerEvent, Role, Router},
        store::{Damage, Store, StoreError},
        telemetry,
    },
    logic::gossip::{Push, PushRefused, Timing},
    model::Model,
    runtime::{
        group::{GroupHandle, GroupHost},
        instance::{Birth, Catalog, Environment},
    },
    words::{GroupName, InstancePath, NodeName, TypeRef},
};

/// How long a node may take to hear from its group, or to find that nobody is there.
const SYNC_MAX: Duration = Duration::from_secs(30);

/// How long the last words to the peers may take.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// Threads for requests to the store, which answers one at a time: the second has the next one at hand. More, when a node starts
/// or many components are stopped, would only wait for each other.
const DISK_THREADS: usize = 2;

/// How many ports are tried where any will do.
const PORT_TRIES: usize = 3;

/// How often a boot is tried again when the group moved on meanwhile.
const BOOT_TRIES: usize = 5;

/// Why a node does not start: one line what, and one line of help.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The network.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The data directory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it was to add to the model.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// The group.
    #[error("the group \"{group}\" does not work: {cause}")]
    Group {
        /// Which.
        group: GroupName,
        /// Why.
        cause: String,
    },
    /// Another node of its name appeared: the two met after a cut, or started in the same moment.
    #[error("another node has taken the name \"{}\" (incarnation {})", .0.name, .0.incarnation)]
    NameTaken(Peer),
    /// The machine.
    #[error("{0}")]
    System(String),
}

impl StartError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            StartError::Engine(error) => error.help().to_owned(),
            StartError::Store(error) => error.help(),
            StartError::Boot(_) => "mend the boot file; nothing was changed".to_owned(),
            StartError::NameTaken(_) => "give one of the two another name".to_owned(),
            StartError::Group { .. } => "see the cause; `enact doctor` looks for the usual ones".to_owned(),
            StartError::System(_) => "choose another address or port, or stop what uses it".to_owned(),
        }
    }
}

/// What is told when the node has joined its group.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Where it listens.
    pub listen: Vec<String>,
    /// The other nodes that are there.
    pub peers: Vec<Peer>,
    /// The number of the newest revision.
    pub revision: u64,
    /// How long the start took.
    pub elapsed: Duration,
    /// How others were looked for.
    pub tried: String,
    /// The group: the model, who is there, what becomes of a push.
    pub group: GroupHandle,
}

/// Runs a node until `stop` is told (or dropped), a signal asks for its end, or its model stops it. Blocks; call it from a
/// thread without a runtime.
///
/// # Errors
/// See [`StartError`]. A node that has started ends without error, unless it lost its name.
pub fn run(options: Options, catalog: Arc<Catalog>, stop: oneshot::Receiver<()>) -> Result<(), StartError> {
    run_then(options, catalog, stop, |_| ())
}

/// The same; `ready` is called when the node has joined its group.
///
/// # Errors
/// See [`StartError`].
pub fn run_then(
    options: Options,
    catalog: Arc<Catalog>,
    stop: oneshot::Receiver<()>,
    ready: impl FnOnce(&Ready) + 'static,
) -> Result<(), StartError> {
    let watch = Stopwatch::start();
    let mut options = options;
    let store = match &options.data {
        Some(directory) => Store::open_or_set_aside(directory, clock::now())?,
        None => Store::in_memory()?,
    };
    let identity = store.take_up(&options.name, clock::now())?;
    let me = Peer { name: options.name.clone(), incarnation: identity.incarnation, role: Role::Node };
    let router = start_engine(&mut options, me)?;
    // The engine opens before the actor system and closes after it: it must not run on an arbiter.
    let closer = router.clone();
    let system = System::with_tokio_rt(runtime);
    let disk = Disk::new(store);
    let result = system.block_on(live(options, catalog, disk, router, stop, watch, ready));
    match Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime.block_on(closer.close(CLOSE_MAX)),
        Err(error) => tracing::warn!(%error, "the network was left without a word"),
    }
    result
}

/// What the node's own actors run on. Its threads for what blocks serve the store alone: user code runs on other arbiters.
fn runtime() -> Runtime {
    let builder = &mut Builder::new_current_thread();
    let built = builder.enable_all().max_blocking_threads(DISK_THREADS).thread_name("enact-disk").build();
    built.expect("the system has what an event loop needs, as for each arbiter")
}

/// A node on a network and a store that are there, on the thread that asks, which must be a tokio `LocalSet`'s: for simulations,
/// where many nodes live on one thread, each on a set of its own. Dropping that is the crash of a node. With
/// [`Options::n_workers`] 0 nothing of it lives on another thread.
///
/// # Errors
/// See [`StartError`].
pub async fn live_here(
    options: Options,
    catalog: Arc<Catalog>,
    store: Arc<Store>,
    router: Router,
    stop: oneshot::Receiver<()>,
    ready: impl FnOnce(&Ready),
) -> Result<(), StartError> {
    let disk = if options.n_workers == 0 { Disk::blocking_here(store) } else { Disk::new(store) };
    live(options, catalog, disk, router.clone(), stop, Stopwatch::start(), ready).await
}

/// Joins the network. Another process may take the port between our look at it and zenoh's: where any will do, the next is tried.
fn start_engine(options: &mut Options, me: Peer) -> Result<Router, StartError> {
    let mut tries = 0;
    loop {
        fix_ports(&mut options.engine.listen)?;
        match engine::start(&options.engine, me.clone()) {
            Err(EngineError::Listen { .. } | EngineError::Network(_)) if options.any_port && tries < PORT_TRIES => {
                tries += 1;
                options.engine.listen = vec![engine::config::LISTEN_DEFAULT.to_owned()];
            }
            started => return Ok(started?),
        }
    }
}

/// Takes a free port where the options say that any will do, so that the node can say where it listens.
fn fix_ports(addresses: &mut [String]) -> Result<(), StartError> {
    for address in addresses {
        let Some(host) = address.strip_suffix(":0") else { continue };
        let plain = host.strip_prefix("tcp/").unwrap_or(host);
        let bound = std::net::TcpListener::bind(format!("{plain}:0")).and_then(|listener| listener.local_addr());
        let bound = bound.map_err(|error| StartError::System(format!("no free port on {plain}: {error}")))?;
        *address = format!("{host}:{}", bound.port());
    }
    Ok(())
}

/// Starts everyone, waits for the end, stops everyone.
async fn live(
    options: Options,
    catalog: Arc<Catalog>,
    disk: Disk,
    router: Router,
    stop: oneshot::Receiver<()>,
    watch: Stopwatch,
    ready: impl FnOnce(&Ready),
) -> Result<(), StartError> {
    let hangups = options.obeys_signals.then(|| actix_rt::spawn(telemetry::outlive_the_terminal()));
    let options = Rc::new(options);
    let hosted = HostedNodes::new((*options).clone(), catalog.clone());
    let world = World::new(options.name.clone(), catalog, router.clone(), disk, hosted, &options);
    tell_of_damage(&world);
    tell_of_a_plan_cut_short(&world).await;
    poison::load(&world, options.probation).await;
    let lived = lead(&world, &options, &router, stop, watch, ready).await;
    // However it went: what a node that could not join or serve has started until then is stopped in order, too.
    drain(&world, &options).await;
    if let Some(hangups) = hangups {
        hangups.abort();
    }
    poison::end_in_order(&world).await;
    lived
}

/// Stops everyone.
async fn drain(world: &Rc<World>, options: &Options) {
    tracing::info!(node = %world.me, "stopping");
    if tokio::time::timeout(options.drain, steps_back::clear(world, options.limits.step)).await.is_err() {
        tracing::warn!(limit = ?options.drain, "not everything stopped in time");
    }
    world.placement.borrow().stop();
    if let Some(group) = world.group()
        && !matches!(tokio::time::timeout(options.drain, group.release()).await, Ok(Ok(())))
    {
        tracing::warn!("the group could not say its last");
    }
    world.group_thread.stop();
}

/// Joins the group and serves until the end.
async fn lead(
    world: &Rc<World>,
    options: &Rc<Options>,
    router: &Router,
    stop: oneshot::Receiver<()>,
    watch: Stopwatch,
    ready: impl FnOnce(&Ready),
) -> Result<(), StartError> {
    // Before anything runs: another node that starts, too, may ask for what this one holds for it.
    serve_states(world, router);
    let group = start_group(world, options).await?;
    let (listen, revision) = join(world, options, &group).await?;
    let server = Server::new(world.clone(), group.clone(), options.clone(), listen.clone());
    if let Some(address) = &options.scrape {
        actix_rt::spawn(scrape::serve(server.clone(), scrape::listen(address).await?));
    }
    actix_rt::spawn(server.run(router.serve(api::SERVICE)));
    serve_status(world, router, options, &listen);
    actix_rt::spawn(note_peers(world.clone(), router.clone()));
    actix_rt::spawn(disk::heal(world.clone()));
    actix_rt::spawn(hosted::look_after(world.clone(), options.limits.step));
    actix_rt::spawn(states::forget(world.clone()));
    actix_rt::spawn(supervise::checkpoints(world.clone(), options.checkpoint, options.limits.step));
    if !options.probation.is_zero() {
        actix_rt::spawn(poison::probation(world.clone(), options.probation));
    }
    ready(&Ready {
        listen,
        peers: router.peers().into_iter().filter(|peer| peer.role == Role::Node).collect(),
        revision,
        elapsed: watch.elapsed(),
        tried: options.engine.tried(),
        group: group.clone(),
    });
    until_the_end(world, stop, options.obeys_signals).await;
    match world.name_taken.take() {
        Some(by) => Err(StartError::NameTaken(by)),
        None => Ok(()),
    }
}

/// What the disk has done to the data of this node is said loudly.
fn tell_of_damage(world: &World) {
    let text = match world.disk.store().damage() {
        None => return,
        Some(Damage::SetAside { path, why }) => {
            let path = path.display();
            tracing::error!(%path, why, "the data is damaged and was set aside; the model comes from the group, the states are lost");
            format!("its data is damaged ({why}) and was set aside as {path}")
        }
        Some(Damage::Lost { n_writes }) => {
            tracing::error!(
                n_writes,
                "the data is damaged: the last writes are lost; what the group knows comes back from it"
            );
            format!("its data is damaged: the last {n_writes} writes are lost")
        }
    };
    world.journal.borrow_mut().note(Some(world.me.clone()), api::What::Note { text });
}

/// What a crash cut short is told: nothing of it runs any more, so the target is taken up from scratch.
async fn tell_of_a_plan_cut_short(world: &Rc<World>) {
    match world.disk.run(Store::under_way).await {
        Ok(Some(plan)) => {
            let target = plan.to.map_or_else(|| "r0".to_owned(), |id| format!("r{}", id.number));
            let text = format!("a crash cut the adaptation to {target} short; what runs is taken up from scratch");
            tracing::warn!(target_revision = target, n_steps = plan.n_steps, "a crash cut an adaptation short");
            world.journal.borrow_mut().note(Some(world.me.clone()), api::What::Note { text });
        }
        Ok(None) => {}
        Err(cause) => tracing::warn!(cause, "the plan under way cannot be read"),
    }
}

/// Starts the actor of the group that this node is attached to.
async fn start_group(world: &Rc<World>, options: &Options) -> Result<GroupHandle, StartError> {
    let addr = NodeActor { world: world.clone(), limits: options.limits.clone() }.start();
    let disk = world.disk.clone();
    let host = GroupHost {
        adopt: addr.clone().recipient(),
        events: addr.clone().recipient(),
        keep: Box::new(move |group| Box::new(GroupDisk::new(disk.clone(), group.clone()))),
        timing: Timing::default(),
    };
    let model = Arc::new(NodeModel::default());
    let environment = Environment::new(world.me.clone())
        .with_model(model.clone())
        .with_watcher(addr.recipient())
        .with_service(Arc::new(world.router.clone()))
        .with_service(Arc::new(host));
    world.offer(environment);
    let (name, type_ref) = group_of(world, options)?;
    let failed = |cause: String| StartError::Group { group: name.clone(), cause };
    let definition = world.catalog.get(&type_ref).map(|bundle| bundle.definition.clone());
    let definition = definition.ok_or_else(|| failed(format!("this binary brings no type {type_ref}")))?;
    let birth = Birth {
        path: InstancePath::Group(name.clone()),
        life: world.instances.borrow_mut().next_life(),
        definition,
        dictionary: crate::model::Dictionary::default(),
        arbiter: world.group_thread.cradle(),
        environment: world.environment(),
    };
    let handle = world.catalog.create(birth).map_err(|failure| failed(failure.to_string()))?;
    handle.ready(options.limits.step).await.map_err(|failure| failed(failure.to_string()))?;
    handle.start(options.limits.step).await.map_err(|failure| failed(failure.to_string()))?;
    let group = handle.facet::<GroupHandle>().ok_or_else(|| failed("its type is no group's".to_owned()))?;
    world.keep_group(handle, (*group).clone());
    model.join((*group).clone(), world.catalog.clone());
    group.synced(SYNC_MAX).await.map_err(|refused| failed(refused.to_string()))?;
    Ok((*group).clone())
}

/// The group that the boot attaches this node to, and its type.
fn group_of(world: &Rc<World>, options: &Options) -> Result<(GroupName, TypeRef), StartError> {
    let names = names(&world.catalog);
    let model = boot::boot(&Model::default(), &options.boot, &names.of(options), &world.catalog, 0)?;
    let attached = model.nodes.get(&options.name).map(|node| node.groups.clone()).unwrap_or_default();
    let name = attached.iter().find(|name| **name == options.group).or_else(|| attached.iter().next());
    let name = name.cloned().unwrap_or_else(|| options.group.clone());
    let type_ref = model.groups.get(&name).and_then(|group| group.instance.type_ref.clone());
    Ok((name, type_ref.unwrap_or(names.group_type)))
}

/// Types that a boot needs.
struct Types {
    node_type: TypeRef,
    group_type: TypeRef,
}

impl Types {
    fn of<'a>(&'a self, options: &'a Options) -> boot::Names<'a> {
        boot::Names {
            node: &options.name,
            group: &options.group,
            node_type: &self.node_type,
            group_type: &self.group_type,
        }
    }
}

fn names(catalog: &Catalog) -> Types {
    use crate::model::Kind;
    let newest = |kind, name: &str| {
        let of_name = catalog.of_kind(kind).filter(|bundle| bundle.definition.id.name.as_str() == name);
        of_name.last().map(|bundle| bundle.definition.id.clone())
    };
    let node_type = newest(Kind::Node, super::options::NODE_TYPE).expect("every catalog has the node type");
    let group_type = newest(Kind::Group, super::options::GROUP_TYPE).expect("every catalog has the default group");
    Types { node_type, group_type }
}

/// Adds this node to the model, unless it is there. Gives where it listens and the newest revision.
async fn join(world: &Rc<World>, options: &Options, group: &GroupHandle) -> Result<(Vec<String>, u64), StartError> {
    let types = names(&world.catalog);
    let listen = options.engine.listen.clone();
    let failed = |cause: String| StartError::Group { group: group.name().clone(), cause };
    let mut tries = 0;
    loop {
        let base = group.current();
        let mut wanted =
            boot::boot(&base.model, &options.boot, &types.of(options), &world.catalog, clock::now().micros())?;
        if let Some(edit) =
            listen.first().and_then(|address| boot::network(&wanted, &options.name, "enact", "listen", address))
        {
            wanted.apply(&[edit]).map_err(|error| failed(error.to_string()))?;
        }
        let push = Push {
            wanted,
            base: Some(base),
            compare_and_swap: false,
            by: options.name.as_str().into(),
            from: "boot".into(),
            message: format!("{} joins", options.name).into(),
        };
        match group.push(push).await {
            Ok(pushed) => return Ok((listen, pushed.snapshot.id().map_or(0, |id| id.number))),
            Err(PushRefused::Moved { .. }) if tries < BOOT_TRIES => tries += 1,
            Err(refused) => return Err(failed(refused.to_string())),
        }
    }
}

/// Answers for the states of components that moved away.
fn serve_states(world: &Rc<World>, router: &Router) {
    let mut incoming = router.serve(handover::SERVICE);
    let world = world.clone();
    actix_rt::spawn(async move {
        while let Some(Incoming { body, reply, .. }) = incoming.recv().await {
            // Who wants no answer gets none; others still ask.
            let Some(reply) = reply else { continue };
            let world = world.clone();
            actix_rt::spawn(async move { reply.send(handover::answer(world, body).await) });
        }
    });
}

/// Answers for how this node is.
fn serve_status(world: &Rc<World>, router: &Router, options: &Rc<Options>, listen: &[String]) {
    let mut incoming = router.serve(local::SERVICE);
    let (world, options, listen) = (world.clone(), options.clone(), listen.to_vec());
    actix_rt::spawn(async move {
        while let Some(Incoming { reply, .. }) = incoming.recv().await {
            let Some(reply) = reply else { continue };
            let (world, options, listen) = (world.clone(), options.clone(), listen.clone());
            actix_rt::spawn(async move {
                let status = local::status(&world, &options.version, &listen).await;
                reply.send(serde_json::to_vec(&status).map(Into::into).map_err(|error| error.to_string()));
            });
        }
    });
}

/// Notes who comes and goes.
async fn note_peers(world: Rc<World>, router: Router) {
    use api::What;
    let mut events = router.watch();
    let mut gone = BTreeSet::new();
    loop {
        let event = match events.recv().await {
            Ok(event) => event,
            Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => continue,
            Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
        };
        let (peer, what) = match event {
            PeerEvent::Up(peer) if gone.remove(&peer.name) => {
                let was = last_of(&world, &peer.name).await;
                (peer, What::NodeBack { was })
            }
            PeerEvent::Up(peer) => (peer, What::NodeUp { version: String::new() }),
            PeerEvent::Trusted(peer) => (peer, What::NodeUp { version: String::new() }),
            PeerEvent::Suspected(peer) => (peer, What::NodeSuspected { silent_ms: 0 }),
            PeerEvent::Down { peer, reason } => {
                if peer.role == Role::Node {
                    gone.insert(peer.name.clone());
                }
                (peer, What::NodeDown { orderly: reason == engine::DownReason::Left })
            }
            PeerEvent::Lost { peer, n_messages } => {
                (peer, What::Note { text: format!("{n_messages} messages to it are lost") })
            }
            PeerEvent::Refused { who, reason } => {
                let text = format!("refused {who}: {reason}");
                world.journal.borrow_mut().note(None, What::Note { text });
                continue;
            }
            PeerEvent::NameTaken { by } => {
                tracing::error!(%by, "another node took this node's name: stopping");
                world.name_taken.replace(Some(by));
                world.stop.notify_one();
                continue;
            }
        };
        if peer.role == Role::Node {
            world.journal.borrow_mut().note(Some(peer.name), what);
        }
    }
}

/// The last revision that a node is known to have dealt with.
async fn last_of(world: &World, node: &NodeName) -> api::Revision {
    let members = match world.group() {
        Some(group) => group.members().await.unwrap_or_default(),
        None => Vec::new(),
    };
    let member = members.into_iter().find(|member| member.node == *node);
    serve::name(member.and_then(|member| member.status?.revision).as_ref())
}

/// Waits until the node is told to end.
async fn until_the_end(world: &Rc<World>, stop: oneshot::Receiver<()>, obeys_signals: bool) {
    tokio::select! {
        // Dropped counts as told: whoever held the other end is gone.
        _ = stop => {}
        () = world.stop.notified() => {}
        () = signals(), if obeys_signals => {}
    }
}

/// Waits for SIGTERM or Ctrl-C. A second one ends the process at once.
async fn signals() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::warn!("signals cannot be waited for: only SIGKILL ends this node");
        return std::future::pending().await;
    };
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    actix_rt::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::warn!("told twice: ending at once");
        std::process::exit(130);
    });
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::io::engine::{AskError, Lane};

    const LIMIT: Duration = Duration::from_secs(10);

    #[actix_rt::test]
    async fn who_wants_no_answer_ends_no_service() {
        let (world, options) = World::alone(|_| ());
        let router = world.router.clone();
        serve_states(&world, &router);
        serve_status(&world, &router, &options, &[]);
        // A question that cannot be read is answered, too.
        for (service, is_fine) in [(handover::SERVICE, false), (local::SERVICE, true)] {
            router.tell(&world.me, service, Lane::Control, Bytes::new()).unwrap();
            let answer = router.ask(&world.me, service, Lane::Control, Bytes::new(), LIMIT).await;
            let is_answered = if is_fine { answer.is_ok() } else { matches!(answer, Err(AskError::Refused(_))) };
            assert!(is_answered, "{service}: {answer:?}");
        }
    }
}
