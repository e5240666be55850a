//! Adapting: from a snapshot to a plan, through its steps, to an answer for the group.
//!
//! One target at a time. The plan is on disk before its first step; a failure undoes what was done; a node that could not
//! undo everything takes its next target from scratch.

use std::{borrow::Cow, pin::pin, rc::Rc, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::LocalBoxFuture, stream::FuturesUnordered};
use tokio::time::{Instant, sleep};

use super::{
    api::{Revision, What},
    handover, poison, refusals,
    step::{self, Begun, Then},
    steps_back, wiring,
    world::World,
};
use crate::{
    io::clock::{self, Stopwatch},
    logic::{
        gossip::{Adoption, RevisionId, Snapshot},
        plan::{self, Adaptation, Effect, Limits, Outcome, Plan, Record, Run, Way},
    },
    model::Model,
    runtime::instance::{Calls, burst},
    words::Time,
};

/// How long the shell sleeps when no step has a deadline: it wakes for the steps that end, so this is only a backstop.
const IDLE: Duration = Duration::from_secs(60);

/// After so many steps whoever else waits for the node's thread has its turn: about a tenth of a millisecond.
const STEPS_IN_A_ROW: usize = 256;

/// The progress of the adaptation under way, or the last one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// The number of the revision that is being adopted.
    pub(super) revision: u64,
    /// Steps done, or undone.
    pub(super) n_done: usize,
    /// Steps of the plan.
    pub(super) n_steps: usize,
    /// The last step that ended: `started ticker`.
    pub(super) doing: String,
    /// Whether it is over.
    pub(super) is_over: bool,
    /// How long it took, or has taken.
    pub(super) elapsed: Duration,
}

/// Brings this node to a snapshot, or back. One that has crashed this node too often is left alone.
pub(super) async fn adopt(world: Rc<World>, snapshot: Snapshot, limits: Limits) -> Adoption {
    if let Some(n_crashes) = poison::crashes(&world, &snapshot).await {
        return poison::leave_alone(world, snapshot, n_crashes, limits).await;
    }
    let adoption = bring(world.clone(), snapshot.id().cloned(), snapshot.model, limits.clone()).await;
    poison::run_instead(&world, adoption, limits).await
}

/// Brings this node to the model of a revision, or back.
pub(super) async fn bring(world: Rc<World>, id: Option<RevisionId>, wanted: Model, limits: Limits) -> Adoption {
    let watch = Stopwatch::start();
    let revision = id.as_ref().map_or(0, |id| id.number);
    if world.is_degraded.get() {
        steps_back::clear(&world, limits.step).await;
    }
    if !wanted.nodes.contains_key(&world.me) && world.running.borrow().nodes.is_empty() {
        // Not in the model yet, and nothing runs: there is nothing to do before this node has joined.
        return Adoption::at_once();
    }
    let running = world.running.borrow().clone();
    world.wanted.replace(wanted.clone());
    let mut plan = plan::plan(&running, &wanted, &world.me);
    if running.nodes.is_empty() && !plan.is_empty() {
        plan = handover::with_what_moved(&world, plan).await;
    }
    let plan = Arc::new(plan);
    let planned = watch.elapsed();
    let refusals = refusals::of(&world, &plan, &running, &wanted);
    tracing::debug!(n_steps = plan.steps.len(), ?planned, checked = ?watch.elapsed() - planned, "planned");
    if !refusals.is_empty() {
        return Adoption::Refused { cause: refusals.join("; ") };
    }
    if plan.is_empty() && id.is_some() && *world.adopted.borrow() == id {
        // The whole of what this node knew its own part of, and runs.
        *world.running.borrow_mut() = wanted;
        return Adoption::at_once();
    }
    let n_steps = plan.steps.len();
    world.progress.send_replace(Progress { revision, n_steps, ..Progress::default() });
    let outcome = if plan.is_empty() {
        Outcome::Adopted
    } else {
        burst::gather(carry_out(&world, plan, limits, id.as_ref(), watch)).await
    };
    wiring::tell_channels(&world);
    world.progress.send_modify(|progress| {
        progress.is_over = true;
        progress.elapsed = watch.elapsed();
    });
    if matches!(outcome, Outcome::Adopted) {
        *world.adopted.borrow_mut() = id;
    }
    conclude(&world, outcome, running, wanted, revision, n_steps, watch.elapsed())
}

/// Whom an answer is about: the step, its way and its time, and what was asked.
struct Asked {
    step: u32,
    way: Way,
    limit: Duration,
    then: Then,
}

/// A plan being carried out: the steps that are under way.
struct Work<'a> {
    world: &'a Rc<World>,
    plan: Arc<Plan>,
    /// Those that wait for the answer of an instance.
    calls: Calls<Asked>,
    /// Those that take more.
    waits: FuturesUnordered<LocalBoxFuture<'static, Through>>,
    /// Those that are through.
    over: Vec<Through>,
}

type Through = (u32, Way, Result<(), String>);

impl Work<'_> {
    fn begin(&mut self, step: u32, way: Way, limit: Duration) {
        let begun = step::begin(self.world, &self.adaptation(step, way), way, limit);
        self.note(step, way, limit, begun);
    }

    fn adaptation(&self, step: u32, way: Way) -> Cow<'_, Adaptation> {
        let step = &self.plan.steps[step as usize];
        match way {
            Way::Do => Cow::Borrowed(step),
            Way::Undo => Cow::Owned(step.inverse()),
        }
    }

    fn note(&mut self, step: u32, way: Way, limit: Duration, begun: Begun) {
        match begun {
            Begun::Over(result) => self.over.push((step, way, result)),
            Begun::Asks(handle, op, then) => {
                self.calls.ask(Asked { step, way, limit, then }, handle, op, limit);
            }
            Begun::Waits(deed) => self.waits.push(deed.map(move |result| (step, way, result)).boxed_local()),
        }
    }

    /// Waits until steps are through, or have an answer to go on with.
    async fn go_on(&mut self) {
        tokio::select! {
            // What was answered is not late.
            biased;
            answers = self.calls.answers() => {
                for (Asked { step, way, limit, then }, outcome) in answers {
                    let begun = step::go_on(self.world, &self.adaptation(step, way), then, outcome, limit);
                    self.note(step, way, limit, begun);
                }
            }
            Some(more) = next_of(&mut self.waits) => self.over.extend(more),
        }
    }
}

/// Carries a plan out: obeys the run's wishes until it is over. Everybody else on the node's thread has a turn now and then, however
/// many steps there are.
async fn carry_out(
    world: &Rc<World>,
    plan: Arc<Plan>,
    limits: Limits,
    to: Option<&RevisionId>,
    watch: Stopwatch,
) -> Outcome {
    let now = || Time(watch.elapsed().as_micros() as u64);
    let adds = |step: &&Adaptation| matches!(step, Adaptation::AddInstance { .. });
    world.instances.borrow_mut().expect(plan.steps.iter().filter(adds).count());
    let mut run = Run::new(plan.clone(), limits);
    let mut effects = Vec::new();
    let mut work =
        Work { world, plan: plan.clone(), calls: Calls::default(), waits: FuturesUnordered::new(), over: Vec::new() };
    let mut alarm = pin!(sleep(IDLE));
    let mut n_in_a_row = 0;
    run.begin(now(), &mut effects);
    loop {
        for effect in std::mem::take(&mut effects) {
            match effect {
                Effect::Log(record) => {
                    // What runs is taken up from scratch after a crash, with a record or without: a full disk stops no change that
                    // was acknowledged elsewhere.
                    if let Err(cause) = log(world, &plan, to, &record).await {
                        tracing::error!(%cause, "the plan's record could not be written: a crash now would go unnoticed");
                    }
                }
                Effect::Do { step, limit } => work.begin(step, Way::Do, limit),
                Effect::Undo { step, limit } => work.begin(step, Way::Undo, limit),
                Effect::Finished(outcome) => return outcome,
            }
        }
        if effects.is_empty() && work.over.is_empty() {
            let until = Instant::now() + run.next_deadline().map_or(IDLE, |until| until.since(now()));
            let until = work.calls.next_deadline().map_or(until, |late| late.min(until));
            if until < alarm.deadline() {
                alarm.as_mut().reset(until);
            }
            tokio::select! {
                biased;
                () = work.go_on() => {}
                () = &mut alarm => {
                    work.calls.tick(Instant::now());
                    run.tick(now(), &mut effects);
                    alarm.as_mut().reset(Instant::now() + IDLE);
                }
            }
        }
        n_in_a_row += work.over.len();
        if let Some((step, ..)) = work.over.last() {
            let last = *step;
            let at = now();
            work.over.drain(..).for_each(|(step, way, result)| run.done(step, way, result, at, &mut effects));
            tell_progress(world, &run, &plan, last, watch);
        }
        if n_in_a_row >= STEPS_IN_A_ROW {
            n_in_a_row = 0;
            tokio::task::yield_now().await;
        }
    }
}

/// The results that are there by now, at least one; `None` when nothing is under way.
async fn next_of<F: Future>(under_way: &mut FuturesUnordered<F>) -> Option<Vec<F::Output>> {
    under_way.ready_chunks(STEPS_IN_A_ROW).next().await
}

fn tell_progress(world: &World, run: &Run, plan: &Plan, step: u32, watch: Stopwatch) {
    let progress = run.progress();
    world.progress.send_modify(|told| {
        (told.n_done, told.n_steps) = (progress.n_done, progress.n_steps);
        told.doing = plan.steps[step as usize].done_text();
        told.elapsed = watch.elapsed();
    });
}

/// Writes what must survive a crash: the plan with its first record, then the turning points. The records between them may be
/// missing after a crash (steps are idempotent), so they are not written at all.
async fn log(world: &Rc<World>, plan: &Arc<Plan>, to: Option<&RevisionId>, record: &Record) -> Result<(), String> {
    if !record.is_durable() {
        return Ok(());
    }
    let (plan, record) = (plan.clone(), record.clone());
    let (from, to) = (world.adopted.borrow().clone(), to.cloned());
    world
        .disk
        .run(move |store| match record {
            Record::Began => store.begin(&plan, from.as_ref(), to.as_ref(), clock::now()),
            record => store.log(&record),
        })
        .await
}

/// Notes how it ended, for the next target, for those who watch, and for the group.
fn conclude(
    world: &Rc<World>,
    outcome: Outcome,
    before: Model,
    after: Model,
    revision: u64,
    n_steps: usize,
    elapsed: Duration,
) -> Adoption {
    let me = Some(world.me.clone());
    let revision = Revision::new(revision);
    let (runs, event, adoption) = match outcome {
        Outcome::Adopted => {
            let elapsed_ms = elapsed.as_millis() as u32;
            tracing::debug!(?elapsed, "carried out");
            tracing::info!(%revision, n_steps, elapsed_ms, "adopted");
            let adoption = Adoption::Adopted { n_steps: n_steps as u32, elapsed_ms };
            (after, What::Adopted { revision, n_steps, elapsed_ms: elapsed_ms.into() }, adoption)
        }
        Outcome::RolledBack(failure) => {
            let (step, cause) = (failure.what, failure.cause);
            tracing::warn!(%revision, step, cause, "rolled back");
            let event = What::RolledBack { revision, step: step.clone(), cause: cause.clone() };
            (before, event, Adoption::RolledBack { step, cause })
        }
        Outcome::Degraded { failure, remains } => {
            let remains: Vec<String> = remains.iter().map(ToString::to_string).collect();
            let cause = format!("{failure}; and could not be undone: {}", remains.join("; "));
            tracing::error!(%revision, cause, "degraded");
            world.is_degraded.set(true);
            (before, What::Degraded { revision, cause: cause.clone() }, Adoption::Degraded { cause })
        }
    };
    *world.running.borrow_mut() = runs;
    world.journal.borrow_mut().note(me, event);
    tracing::debug!(instances = ?world.instances.borrow().counts(), "what runs");
    adoption.bounded()
}
