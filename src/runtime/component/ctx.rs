//! What a component sees of the world around it: who it is, timers, tasks, the model, services.

use std::{borrow::Cow, fmt, future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::task::JoinHandle;

use super::{
    Behaviour, LocalModel, Me,
    me::Turn,
    shell::Seen,
    timer::{Job, Timer, Timers},
};
use crate::{
    io::telemetry,
    runtime::instance::{Environment, NoModel, inbox::panic_text},
    words::{ComponentName, InstancePath, NodeName},
};

/// What a component sees of the world around it.
pub struct Ctx<C: Behaviour> {
    /// The component's name on its node.
    pub name: ComponentName,
    pub(super) timers: Timers<C>,
    tasks: Vec<(Cow<'static, str>, JoinHandle<()>)>,
    /// The last to be dropped.
    seen: Seen,
}

impl<C: Behaviour> Ctx<C> {
    pub(super) fn new(name: ComponentName, seen: Seen) -> Ctx<C> {
        Ctx { name, timers: Timers::default(), tasks: Vec::new(), seen }
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.seen.environment
    }

    /// The component's address in the model: `node.component`.
    pub fn path(&self) -> &InstancePath {
        self.seen.inbox.path()
    }

    /// The node that it lives on.
    pub fn node(&self) -> &NodeName {
        self.seen.environment.node()
    }

    /// A reference to the component, for its tasks and servers.
    pub fn me(&self) -> Me<C> {
        Me::new(self.seen.inbox.clone())
    }

    /// Calls a method again and again, the first time after one `period`, until the component stops. A timer of the same
    /// name is replaced. A beat that comes while the component is busy waits; beats that were missed are left out.
    pub fn every(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        period: Duration,
        work: impl FnMut(&mut C, &mut Ctx<C>) + 'static,
    ) {
        self.timers.add(Timer::new(name.into(), period, true, Job::Now(Box::new(work))));
    }

    /// [`Ctx::every`] for an async method; the next beat waits for its end.
    pub fn every_async(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        period: Duration,
        work: impl AsyncFnMut(&mut C, &mut Ctx<C>) + 'static,
    ) {
        self.timers.add(Timer::new(name.into(), period, true, Job::Later(Box::new(work))));
    }

    /// Calls a method once, after `delay`, unless the component stops before. A timer of the same name is replaced.
    pub fn after(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        delay: Duration,
        work: impl FnOnce(&mut C, &mut Ctx<C>) + 'static,
    ) {
        let mut work = Some(work);
        let job = Box::new(move |component: &mut C, ctx: &mut Ctx<C>| {
            if let Some(work) = work.take() {
                work(component, ctx);
            }
        });
        self.timers.add(Timer::new(name.into(), delay, false, Job::Now(job)));
    }

    /// Ends a timer or a task by name.
    pub fn cancel(&mut self, name: &str) {
        self.timers.cancel(name);
        self.tasks.retain(|(known, task)| {
            if known == name {
                task.abort();
            }
            known != name
        });
    }

    /// Runs a task beside the component, on the same thread, until the component stops. A task of the same name is replaced.
    /// If it panics, the component fails. It reaches the component through [`Ctx::me`].
    pub fn spawn(&mut self, name: impl Into<Cow<'static, str>>, work: impl Future<Output = ()> + 'static) {
        let name = name.into();
        self.tasks.retain(|(_, task)| !task.is_finished());
        if let Some(at) = self.tasks.iter().position(|(known, _)| *known == name) {
            self.tasks.swap_remove(at).1.abort();
        }
        let (me, task_name) = (self.me(), name.clone());
        let task = actix_rt::spawn(telemetry::speaking(self.seen.inbox.clone(), async move {
            if let Err(panic) = AssertUnwindSafe(work).catch_unwind().await {
                let turn = Turn::TaskPanicked { name: task_name.into_owned(), reason: panic_text(&*panic) };
                // A component that has ended meanwhile needs no word of it.
                let _ = me.put(turn);
            }
        }));
        self.tasks.push((name, task));
    }

    /// Ends all timers and tasks, and waits until the tasks have let go of what they hold (ports, files).
    pub async fn cancel_all(&mut self) {
        self.timers.cancel_all();
        let tasks = std::mem::take(&mut self.tasks);
        tasks.iter().for_each(|(_, task)| task.abort());
        for (_, task) in tasks {
            // An aborted task ends with an error: that is what was wanted.
            let _ = task.await;
        }
    }

    /// The model as the node wants to run it now, to look at and to change:
    /// `ctx.local_model()?.node("neighbour")?.add("WebServer")?.set("port", 8080)?.sync().await?`
    ///
    /// # Errors
    /// [`NoModel`] when the component runs alone.
    pub fn local_model(&self) -> Result<LocalModel, NoModel> {
        let service = self.seen.environment.model().ok_or(NoModel)?;
        Ok(LocalModel::new(service.clone(), self.path().clone()))
    }

    /// A service that the node offers, by its type (the engine's `Router`, or what the owner of the node brought).
    pub fn service<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.seen.environment.service()
    }

    /// Ends timers and tasks without waiting.
    pub(super) fn abort_all(&mut self) {
        self.timers.cancel_all();
        self.tasks.drain(..).for_each(|(_, task)| task.abort());
    }
}

impl<C: Behaviour> Drop for Ctx<C> {
    fn drop(&mut self) {
        self.abort_all();
    }
}

impl<C: Behaviour> fmt::Debug for Ctx<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ctx({}, {} tasks)", self.path(), self.tasks.len())
    }
}
