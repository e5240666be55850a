//! A node in this process, as the product starts it, and the hand on its group: what it pushes, and how that fares.

use std::{
    pin::pin,
    sync::{Arc, OnceLock, mpsc},
    task::{Context as TaskContext, Wake, Waker},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use enact::{
    Binary,
    io::{clock::Stopwatch, engine},
    logic::{
        gossip::{Adoption, Member, Outcome, Presence, Push},
        plan::Limits,
        restart::{PROBATION, Policy},
    },
    model::Model,
    runtime::{
        group::{self, Gossip, GroupHandle},
        instance::{Birth, Bundle, Catalog, Failure, Handle},
        node::{Boot, Options, launch},
    },
    words::{GroupName, NodeName},
};
use tokio::{runtime::Runtime, sync::oneshot};

use crate::{components, stage};

/// How long a node may take to start or to take up a push.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary of the bench's nodes: its own components, and the channels that ship.
pub(crate) fn binary() -> Binary {
    let binary = enact::node()
        .component::<components::Source>()
        .component::<components::Sink>()
        .component::<components::Idle>()
        .component::<components::Device>();
    enact_actors::channels::all().into_iter().fold(binary, Binary::bundle)
}

/// The options of a node that keeps all in memory and finds others through `join` alone.
pub(crate) fn options(name: &str, group: &str, join: Vec<String>) -> Result<Options> {
    let n_cores = thread::available_parallelism().map_or(1, usize::from);
    Ok(Options {
        name: NodeName::parse(name)?,
        group: GroupName::parse(group)?,
        engine: engine::Config { group: group.to_owned(), join, multicast: false, ..engine::Config::default() },
        any_port: true,
        data: None,
        boot: Boot::Default,
        n_workers: n_cores,
        limits: Limits::default(),
        checkpoint: Duration::from_secs(5),
        drain: Duration::from_secs(5),
        restart: Policy::DEFAULT,
        scrape: None,
        probation: PROBATION,
        version: enact::doors::binary::VERSION.to_owned(),
        logs: None,
        metrics: enact::io::telemetry::Metrics::default(),
        child_command: None,
        obeys_signals: false,
    })
}

/// A clock that starts when it is woken first, on the thread that wakes it and before that thread goes on. A group tells whoever
/// watches its model before it hands that to its node; a task that waited would hear of it a wake-up later.
#[derive(Default)]
struct Starter(OnceLock<Stopwatch>);

impl Wake for Starter {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.get_or_init(Stopwatch::start);
    }
}

/// A node that runs in this process, on threads of its own.
pub(crate) struct Host {
    pub(crate) name: NodeName,
    group: GroupHandle,
    runtime: Runtime,
    // Dropped last: the node ends with it.
    _stop: oneshot::Sender<()>,
}

impl Host {
    /// Starts a node and waits until it has joined its group.
    pub(crate) fn start(options: Options) -> Result<Host> {
        let (group_sender, group) = mpsc::channel();
        let (ready_sender, ready) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let catalog = Arc::new(watched(binary().catalog(), group_sender));
        let name = options.name.clone();
        thread::Builder::new().name("node".to_owned()).spawn(move || {
            let tell = ready_sender.clone();
            let ended = launch::run_then(options, catalog, stopped, move |_| drop(tell.send(Ok(()))));
            if let Err(error) = ended {
                // Whoever started it may have given up.
                let _ = ready_sender.send(Err(error.to_string()));
            }
        })?;
        ready.recv_timeout(PATIENCE).context("the node does not start")?.map_err(|error| anyhow!(error))?;
        let group = group.recv_timeout(PATIENCE).context("the node has no group")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(Host { name, group, runtime, _stop: stop })
    }

    /// The model as the node knows it.
    pub(crate) fn model(&self) -> Model {
        self.group.current().model
    }

    /// Pushes a model. Gives the time from the call to the last answer of `n_nodes` nodes, each of which must be `adopted`.
    pub(crate) fn push(&self, wanted: Model, n_nodes: usize) -> Result<Duration> {
        Ok(self.push_and_adopt(wanted, n_nodes)?.0)
    }

    /// The same; gives also the part of it from the moment when the group has taken the model and is about to hand it to its node,
    /// which works from then on while the group answers the push.
    pub(crate) fn push_and_adopt(&self, wanted: Model, n_nodes: usize) -> Result<(Duration, Duration)> {
        let from = "bench";
        let push = Push {
            wanted,
            base: None,
            compare_and_swap: false,
            by: from.into(),
            from: from.into(),
            message: from.into(),
        };
        self.runtime.block_on(async {
            let mut model = self.group.watch();
            model.mark_unchanged();
            let taken = Arc::new(Starter::default());
            let mut changed = pin!(model.changed());
            if changed.as_mut().poll(&mut TaskContext::from_waker(&Waker::from(Arc::clone(&taken)))).is_ready() {
                // It changed just now without the push: the time counts from here, too much of it rather than too little.
                taken.wake_by_ref();
            }
            let watch = Stopwatch::start();
            let pushed = self.group.push(push).await?;
            let revision = pushed.revision.context("a push has a revision")?;
            let outcomes = self.group.outcome(revision, PATIENCE, |_| ()).await?;
            let elapsed = watch.elapsed();
            let adoption = taken.0.get().context("the push changed nothing")?.elapsed();
            let n_adopted = outcomes.iter().filter(|(_, outcome)| is_adopted(outcome)).count();
            if n_adopted != n_nodes || outcomes.len() != n_nodes {
                let other = outcomes.iter().find(|(_, outcome)| !is_adopted(outcome));
                bail!("{n_adopted} of {n_nodes} nodes adopted the push; {} answered; {other:?}", outcomes.len());
            }
            Ok((elapsed, adoption))
        })
    }

    /// Waits until everybody knows what this node knows, and runs it.
    pub(crate) fn settle(&self) -> Result<()> {
        self.runtime.block_on(async {
            let watch = Stopwatch::start();
            loop {
                let (digest, members) = (self.group.current().digest, self.group.members().await?);
                let runs_it =
                    |member: &Member| member.status.as_ref().is_some_and(|status| status.digest == Some(digest));
                if members.iter().all(|member| member.in_step && runs_it(member)) {
                    return Ok(());
                }
                if watch.elapsed() > PATIENCE {
                    bail!("the nodes do not agree");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }

    /// Waits until so many nodes are members and have the same model.
    pub(crate) fn gather(&self, n_nodes: usize) -> Result<()> {
        self.runtime.block_on(async {
            let watch = Stopwatch::start();
            let mut model = self.group.watch();
            loop {
                let members = self.group.members().await?;
                let n_there = members.iter().filter(|member| member.presence == Presence::Up).count();
                if n_there == n_nodes && model.borrow_and_update().model.nodes.len() == n_nodes {
                    return Ok(());
                }
                if watch.elapsed() > PATIENCE {
                    bail!("{n_there} of {n_nodes} nodes came together");
                }
                // Whatever changes, and now and then: a member that comes up need not change the model.
                let _ = tokio::time::timeout(Duration::from_millis(20), model.changed()).await;
            }
        })
    }
}

/// A node as a process of its own: tells when it is ready, and whatever its sinks count.
pub(crate) fn other(words: &[&str]) -> Result<()> {
    let [name, group, join] = words else { bail!("a name, a group and an address") };
    let _host = Host::start(options(name, group, vec![(*join).to_owned()])?)?;
    println!("ready");
    loop {
        println!("{}", stage::next()?);
    }
}

fn is_adopted(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done(Adoption::Adopted { .. }))
}

/// The catalog with a group type that tells of the groups that it makes: how a program gets hold of the group of its own node.
fn watched(catalog: &Catalog, tell: mpsc::Sender<GroupHandle>) -> Catalog {
    let mut catalog = catalog.clone();
    let bundle = group::bundle::<Gossip>("enact", enact::doors::binary::VERSION);
    let Some(inner) = bundle.factory.clone() else { return catalog };
    let factory = move |birth: Birth| -> Result<Handle, Failure> {
        let handle = inner.create(birth)?;
        if let Some(group) = handle.facet::<GroupHandle>() {
            // Only the first one is waited for.
            let _ = tell.send((*group).clone());
        }
        Ok(handle)
    };
    catalog.add(Bundle { factory: Some(Arc::new(factory)), ..bundle });
    catalog
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;

    #[test]
    fn a_clock_runs_before_whoever_started_it_goes_on() {
        let (sender, mut receiver) = watch::channel(0);
        let started = Arc::new(Starter::default());
        let mut changed = pin!(receiver.changed());
        let waker = Waker::from(Arc::clone(&started));
        assert!(changed.as_mut().poll(&mut TaskContext::from_waker(&waker)).is_pending());
        assert!(started.0.get().is_none(), "nothing has changed yet");
        sender.send_replace(1);
        assert!(started.0.get().is_some(), "the sender goes on, and the clock does not run");
    }
}
