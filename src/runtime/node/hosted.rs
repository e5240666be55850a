//! Hosted nodes: whole nodes under this one, each a thread of this process, or a process of its own when asked.
//!
//! `isolation = process` is for code that is not trusted: whatever it does, it does not take its host along.

use std::{collections::BTreeMap, rc::Rc, sync::Arc, thread::JoinHandle, time::Duration};

use tokio::{process::Child, sync::oneshot, time::sleep};

use super::{api::What, boot, options::Options, world::World};
use crate::{
    io::clock::{self, Stopwatch},
    logic::{
        plan::Blueprint,
        restart::{Restarts, Verdict},
    },
    model::Dictionary,
    runtime::instance::Catalog,
    words::{InstancePath, NodeName},
};

/// How often a starting node is looked for.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How often hosted nodes are looked after.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// How a hosted node runs.
enum Life {
    Thread { stop: oneshot::Sender<()>, thread: JoinHandle<Result<(), String>> },
    Process(Box<Child>),
}

struct Hosted {
    values: Dictionary,
    life: Option<Life>,
    /// Whether it is wanted running: what ends by itself is started again.
    is_wanted: bool,
    /// Why it could not be started again: one more end.
    not_revived: Option<String>,
    restarts: Restarts,
}

/// The nodes that one node hosts.
pub(super) struct HostedNodes {
    nodes: BTreeMap<NodeName, Hosted>,
    template: Options,
    catalog: Arc<Catalog>,
}

impl HostedNodes {
    /// Nobody yet. Whoever comes runs with the options of its host, but for name, address and data.
    pub(super) fn new(template: Options, catalog: Arc<Catalog>) -> HostedNodes {
        HostedNodes { nodes: BTreeMap::new(), template, catalog }
    }

    /// Whether a hosted node runs here.
    pub(super) fn runs(&self, node: &NodeName) -> bool {
        self.nodes.get(node).is_some_and(|hosted| hosted.life.is_some())
    }
}

/// Makes room for a hosted node.
///
/// # Errors
/// When its isolation is neither `thread` nor `process`.
pub(super) fn add(world: &Rc<World>, node: &NodeName, blueprint: &Blueprint) -> Result<(), String> {
    is_process(&blueprint.values)?;
    let mut hosted = world.hosted.borrow_mut();
    hosted.nodes.entry(node.clone()).or_insert(Hosted {
        values: blueprint.values.clone(),
        life: None,
        is_wanted: false,
        not_revived: None,
        restarts: Restarts::default(),
    });
    Ok(())
}

/// Starts a hosted node, and waits until it is seen.
///
/// # Errors
/// When it ends at once, or is not seen in time.
pub(super) async fn start(world: &Rc<World>, node: &NodeName, limit: Duration) -> Result<(), String> {
    if *node == world.me || world.hosted.borrow().runs(node) {
        return Ok(());
    }
    let watch = Stopwatch::start();
    if let Some(hosted) = world.hosted.borrow_mut().nodes.get_mut(node) {
        hosted.is_wanted = true;
    }
    // A host that crashed leaves a process to end by itself: names are unique, so that life comes to its end first.
    while is_there(world, node) {
        if watch.elapsed() > limit {
            return Err(format!("another node named \"{node}\" is there already"));
        }
        sleep(LOOK_AGAIN).await;
    }
    // A plan and supervision may have waited for that at the same time, or a plan stopped it meanwhile.
    if world.hosted.borrow().runs(node) {
        return Ok(());
    }
    let is_wanted = |hosted: &&mut Hosted| hosted.is_wanted;
    if world.hosted.borrow_mut().nodes.get_mut(node).filter(is_wanted).is_none() {
        return Err(format!("\"{node}\" was stopped or removed while it was started"));
    }
    let life = launch(world, node)?;
    if let Some(hosted) = world.hosted.borrow_mut().nodes.get_mut(node) {
        (hosted.life, hosted.not_revived) = (Some(life), None);
    }
    while watch.elapsed() < limit {
        if is_there(world, node) {
            return Ok(());
        }
        if let Some(how) = ended(world, node) {
            return Err(format!("the hosted node \"{node}\" ended at once: {how}"));
        }
        sleep(LOOK_AGAIN).await;
    }
    Err(format!("the hosted node \"{node}\" was not seen within {limit:?}"))
}

fn is_there(world: &World, node: &NodeName) -> bool {
    world.router.peers().iter().any(|peer| peer.name == *node)
}

/// Stops a hosted node; it drains first.
///
/// # Errors
/// When it does not end in time.
pub(super) async fn stop(world: &Rc<World>, node: &NodeName, limit: Duration) -> Result<(), String> {
    let life = world.hosted.borrow_mut().nodes.get_mut(node).and_then(|hosted| {
        hosted.is_wanted = false;
        hosted.life.take()
    });
    match life {
        None => Ok(()),
        Some(Life::Thread { stop, thread }) => {
            // Fails only when the node has ended already.
            let _ = stop.send(());
            let watch = Stopwatch::start();
            while !thread.is_finished() {
                if watch.elapsed() > limit {
                    return Err(format!("the hosted node \"{node}\" did not stop within {limit:?}"));
                }
                sleep(LOOK_AGAIN).await;
            }
            thread.join().unwrap_or_else(|_| Err("it panicked".to_owned()))
        }
        Some(Life::Process(mut child)) => {
            terminate(&child);
            match tokio::time::timeout(limit, child.wait()).await {
                Ok(_) => Ok(()),
                Err(_) => child.kill().await.map_err(|error| format!("\"{node}\" cannot be ended: {error}")),
            }
        }
    }
}

/// Removes a hosted node.
///
/// # Errors
/// See [`stop`].
pub(super) async fn remove(world: &Rc<World>, node: &NodeName, limit: Duration) -> Result<(), String> {
    stop(world, node, limit).await?;
    world.hosted.borrow_mut().nodes.remove(node);
    Ok(())
}

/// Notes new values of a hosted node. The isolation counts from its next start on.
///
/// # Errors
/// When the isolation is neither `thread` nor `process`.
pub(super) fn update(world: &Rc<World>, node: &NodeName, values: &Dictionary) -> Result<(), String> {
    is_process(values)?;
    if let Some(hosted) = world.hosted.borrow_mut().nodes.get_mut(node) {
        hosted.values = values.clone();
    }
    Ok(())
}

/// Looks after the hosted nodes: who ended by itself is started again, with growing delays, until it has ended too often.
pub(super) async fn look_after(world: Rc<World>, limit: Duration) {
    loop {
        sleep(LOOK_AFTER).await;
        let wanted: Vec<NodeName> = {
            let hosted = world.hosted.borrow();
            hosted.nodes.iter().filter(|(_, slot)| slot.is_wanted).map(|(node, _)| node.clone()).collect()
        };
        for node in wanted {
            if let Some(cause) = ended(&world, &node) {
                revive(&world, &node, cause, limit).await;
            }
        }
    }
}

/// Starts a hosted node again that has ended by itself, unless it did so too often.
async fn revive(world: &Rc<World>, node: &NodeName, cause: String, limit: Duration) {
    let now = clock::now();
    let verdict = {
        let mut hosted = world.hosted.borrow_mut();
        let Some(slot) = hosted.nodes.get_mut(node) else { return };
        slot.restarts.crashed(&world.restart, now)
    };
    let path = InstancePath::Node(node.clone());
    let me = Some(world.me.clone());
    match verdict {
        Verdict::RestartAt(at) => {
            let delay = at.since(now);
            tracing::warn!(%node, cause, "a hosted node ended; to be started again");
            let event = What::Restarting { path, cause, in_ms: delay.as_millis() as u64 };
            world.journal.borrow_mut().note(me, event);
            sleep(delay).await;
            let is_wanted = world.hosted.borrow().nodes.get(node).is_some_and(|slot| slot.is_wanted);
            if is_wanted && let Err(cause) = start(world, node, limit).await {
                tracing::warn!(%node, cause, "a hosted node did not start again");
                // One that lives all the same is looked after, and one that was stopped meanwhile is not wanted.
                let mut hosted = world.hosted.borrow_mut();
                if let Some(slot) = hosted.nodes.get_mut(node).filter(|slot| slot.is_wanted && slot.life.is_none()) {
                    slot.not_revived = Some(cause);
                }
            }
        }
        Verdict::GiveUp => {
            tracing::error!(%node, cause, "a hosted node ended too often; stays down until the model changes");
            if let Some(slot) = world.hosted.borrow_mut().nodes.get_mut(node) {
                slot.is_wanted = false;
            }
            world.journal.borrow_mut().note(me, What::Failed { path, cause });
        }
    }
}

/// Stops every hosted node.
pub(super) async fn stop_all(world: &Rc<World>, limit: Duration) {
    let nodes: Vec<NodeName> = world.hosted.borrow().nodes.keys().cloned().collect();
    for node in nodes {
        if let Err(cause) = remove(world, &node, limit).await {
            tracing::warn!(%node, cause, "a hosted node did not stop well");
        }
    }
}

/// Whether a hosted node ended by itself, or could not be started again, and how.
pub(super) fn ended(world: &Rc<World>, node: &NodeName) -> Option<String> {
    let mut hosted = world.hosted.borrow_mut();
    let slot = hosted.nodes.get_mut(node)?;
    if let Some(cause) = slot.not_revived.take() {
        return Some(cause);
    }
    match slot.life.as_mut()? {
        Life::Process(child) => {
            let status = child.try_wait().ok().flatten()?;
            slot.life = None;
            Some(status.to_string())
        }
        Life::Thread { thread, .. } if !thread.is_finished() => None,
        Life::Thread { .. } => {
            let Some(Life::Thread { thread, .. }) = slot.life.take() else { return None };
            Some(match thread.join() {
                Ok(Ok(())) => "it stopped".to_owned(),
                Ok(Err(cause)) => cause,
                Err(_) => "it panicked".to_owned(),
            })
        }
    }
}

fn is_process(values: &Dictionary) -> Result<bool, String> {
    match values.get(boot::isolation().as_str()) {
        None | Some("thread") => Ok(false),
        Some("process") => Ok(true),
        Some(other) => Err(format!("\"{other}\" is no isolation: expected \"thread\" or \"process\"")),
    }
}

fn launch(world: &Rc<World>, node: &NodeName) -> Result<Life, String> {
    let hosted = world.hosted.borrow();
    let slot = hosted.nodes.get(node).ok_or_else(|| format!("\"{node}\" is not hosted here"))?;
    let options = hosted.template.hosted(node);
    if is_process(&slot.values)? {
        let command = options.child_command.clone();
        let command = command.ok_or("this binary cannot start nodes as processes: use isolation \"thread\"")?;
        let child = command(&options).kill_on_drop(true).spawn();
        return child.map(Box::new).map(Life::Process).map_err(|error| format!("cannot start a process: {error}"));
    }
    let (stop, stopped) = oneshot::channel();
    let catalog = hosted.catalog.clone();
    let thread = std::thread::Builder::new()
        .name(format!("node-{node}"))
        .spawn(move || super::launch::run(options, catalog, stopped).map_err(|error| error.to_string()))
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    Ok(Life::Thread { stop, thread })
}

/// Asks a child process to drain and end.
fn terminate(child: &Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw) {
        // Fails only when it has ended already.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::process::Command;

    use super::*;
    use crate::logic::restart::Policy;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn what_does_not_start_again_is_tried_until_that_is_too_often() {
        let n_tries = Arc::new(AtomicU32::new(0));
        let tries = n_tries.clone();
        let (world, options) = World::alone(|options| {
            options.restart = Policy { restarts: 3, ..Policy::DEFAULT };
            options.child_command = Some(Arc::new(move |_: &Options| {
                tries.fetch_add(1, Ordering::Relaxed);
                Command::new("/nowhere/enact")
            }));
        });
        let node = NodeName::parse("child").unwrap();
        let mut values = Dictionary::default();
        values.set(boot::isolation(), "process");
        let (stop, _) = oneshot::channel();
        let thread = std::thread::spawn(|| Err("it ended".to_owned()));
        let slot = Hosted {
            values,
            life: Some(Life::Thread { stop, thread }),
            is_wanted: true,
            not_revived: None,
            restarts: Restarts::default(),
        };
        world.hosted.borrow_mut().nodes.insert(node.clone(), slot);
        let is_given_up = async || {
            while world.hosted.borrow().nodes[&node].is_wanted {
                sleep(LOOK_AGAIN).await;
            }
        };
        let given_up = tokio::time::timeout(LIMIT, is_given_up());
        tokio::select! {
            () = look_after(world.clone(), LIMIT) => {}
            given_up = given_up => assert!(given_up.is_ok(), "tried {n_tries:?} times"),
        }
        assert_eq!(n_tries.load(Ordering::Relaxed), options.restart.restarts);
        let page = world.journal.borrow().since(Some(0), 10);
        let last = page.items.last().map(|event| &event.what);
        assert!(
            matches!(last, Some(What::Failed { cause, .. }) if cause.contains("cannot start a process")),
            "{last:?}"
        );
    }
}
