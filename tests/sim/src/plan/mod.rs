//! The world of plans: a node is given targets, one after the other and newer ones meanwhile; steps fail, hang, answer late or
//! twice; the node crashes in the middle and goes on. A run ends in the one model or in the other, or says that it did not.

mod machine;
mod models;
mod order;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use enact::{
    logic::plan::{Adaptation, Effect, Limits, Outcome, Plan, Record, Run, VERDICT, Way, plan},
    model::Model,
    words::Time,
};

use self::{
    machine::Machine,
    models::{Rough, own_node},
};
use crate::{
    agenda::{Agenda, MS, Micros},
    chance::Chance,
    trace::{Checked, Trace, hold},
};

/// So many targets come, over so much time.
const N_TARGETS_MAX: u64 = 12;
/// The time that a step has.
const STEP_MS: u64 = 200;
/// Longer than any run takes: some ranks forth and back, each step with its time.
const END_MS: u64 = 120_000;

enum Event {
    Target,
    /// A step does what it does.
    Act {
        run: u64,
        step: u32,
        way: Way,
    },
    /// A step says what has become of it.
    Answer {
        run: u64,
        step: u32,
        way: Way,
        fails: bool,
    },
    Tick(u64),
    Crash,
}

/// A step under way: since when, and what it is about.
struct Going {
    by: Micros,
    alone_at: Option<String>,
}

/// A run, as the shell and an onlooker see it.
struct Course {
    number: u64,
    run: Run,
    plan: Arc<Plan>,
    before: Model,
    wanted: Model,
    records: Vec<Record>,
    going: BTreeMap<(u32, Way), Going>,
    /// Steps whose deed has been done or begun, and those taken back.
    begun: BTreeMap<u32, Way>,
    pairs: Vec<(u32, u32)>,
    over: Vec<(u32, Way)>,
    is_turned: bool,
    is_resumed: bool,
    ticks_at: Micros,
}

struct World<'t> {
    trace: &'t mut Trace,
    chance: Chance,
    agenda: Agenda<Event>,
    machine: Machine,
    running: Model,
    is_degraded: bool,
    rough: Rough,
    next: Option<Model>,
    course: Option<Course>,
    n_runs: u64,
    n_targets: u64,
    limits: Limits,
    /// In so many of a hundred cases a step fails, and an undo does.
    fails: u64,
    undo_fails: u64,
}

/// Lets a world live.
pub(crate) fn run(seed: u64, trace: &mut Trace) -> Checked {
    World::new(Chance::new(seed), trace).run()
}

impl World<'_> {
    fn new(mut chance: Chance, trace: &mut Trace) -> World<'_> {
        let limits = Limits { step: Duration::from_millis(STEP_MS), at_once: 1 + chance.idx(8), ..Limits::default() };
        let rough = Rough::some(&mut chance);
        World {
            trace,
            agenda: Agenda::new(),
            machine: Machine::default(),
            running: Rough::empty().model(&Model::default()),
            is_degraded: false,
            rough,
            next: None,
            course: None,
            n_runs: 0,
            n_targets: 0,
            limits,
            fails: chance.below(12),
            undo_fails: if chance.percent(30) { chance.below(20) } else { 0 },
            chance,
        }
    }

    fn run(mut self) -> Checked {
        self.agenda.plan(0, Event::Target);
        while let Some(event) = self.agenda.next(END_MS * MS) {
            self.happen(event)?;
        }
        hold!(self.course.is_none(), "every run ends", "run {} of {} is not over", self.n_runs, self.n_targets);
        hold!(self.next.is_none(), "the newest target is taken up", "one still waits");
        Ok(())
    }

    fn now(&self) -> Time {
        // Never 0, and later than a life before.
        Time(self.agenda.now() + 1)
    }

    fn happen(&mut self, event: Event) -> Checked {
        match event {
            Event::Target => {
                self.n_targets += 1;
                if self.n_targets < N_TARGETS_MAX {
                    let pause = self.chance.below(if self.chance.clone().percent(50) { 20 } else { 600 }) * MS;
                    self.agenda.plan(pause, Event::Target);
                }
                self.rough = self.rough.changed(&mut self.chance);
                let wanted = self.rough.model(&self.running);
                // Only the newest counts.
                self.next = Some(wanted);
                self.trace.say(|| "a target comes".to_owned());
                if self.chance.percent(12) {
                    let after = self.chance.below(60 * MS);
                    self.agenda.plan(after, Event::Crash);
                }
                self.take_up()
            }
            Event::Act { run, step, way } if self.is(run) => {
                self.act(step, way);
                Ok(())
            }
            Event::Answer { run, step, way, fails } if self.is(run) => {
                self.trace.step(self.agenda.now(), u64::from(step) * 2 + u64::from(way == Way::Undo));
                self.trace.say(|| format!("step {step} {way:?} answers {}", if fails { "no" } else { "yes" }));
                let now = self.now();
                let result = if fails { Err("no".to_owned()) } else { Ok(()) };
                self.tell(|run, effects| run.done(step, way, result, now, effects), Some((step, way)))
            }
            Event::Tick(run) if self.is(run) => {
                let now = self.now();
                if let Some(course) = &mut self.course {
                    course.ticks_at = Micros::MAX;
                }
                self.tell(|run, effects| run.tick(now, effects), None)
            }
            Event::Crash => self.crash(),
            _ => Ok(()),
        }
    }

    fn is(&self, run: u64) -> bool {
        self.course.as_ref().is_some_and(|course| course.number == run)
    }

    // ------------------------------------------------------------------------------------------------------------ runs

    /// Begins with the newest target, when nothing is under way.
    fn take_up(&mut self) -> Checked {
        while let (None, Some(wanted)) = (&self.course, self.next.take()) {
            if std::mem::take(&mut self.is_degraded) {
                self.machine.clear();
                self.running = Model::default();
                self.trace.say(|| "from scratch".to_owned());
            }
            let plan = Arc::new(plan(&self.running, &wanted, &own_node()));
            hold!(plan.is_sound(), "a plan is sound", "{:?}", plan.steps);
            let text = |plan: &Plan| plan.steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            self.trace.say(|| format!("the plan: {}", text(&plan)));
            let pairs = order::pairs(&plan, &self.running, &wanted);
            self.begin(Course {
                number: 0,
                run: Run::new(plan.clone(), self.limits.clone()),
                plan,
                before: self.running.clone(),
                wanted,
                records: Vec::new(),
                going: BTreeMap::new(),
                begun: BTreeMap::new(),
                pairs,
                over: Vec::new(),
                is_turned: false,
                is_resumed: false,
                ticks_at: Micros::MAX,
            })?;
        }
        Ok(())
    }

    fn begin(&mut self, course: Course) -> Checked {
        self.n_runs += 1;
        self.course = Some(Course { number: self.n_runs, ..course });
        let now = self.now();
        self.tell(|run, effects| run.begin(now, effects), None)?;
        if self.chance.percent(2) {
            self.trace.say(|| "given up from outside".to_owned());
            self.tell(|run, effects| run.abort("sim", now, effects), None)?;
        }
        Ok(())
    }

    fn tell(&mut self, core: impl FnOnce(&mut Run, &mut Vec<Effect>), over: Option<(u32, Way)>) -> Checked {
        let Some(course) = &mut self.course else { return Ok(()) };
        let mut effects = Vec::new();
        core(&mut course.run, &mut effects);
        if let Some(over) = over
            && course.going.remove(&over).is_some()
        {
            course.over.push(over);
        }
        // What took too long has been given up.
        let now = self.agenda.now() + 1;
        let late: Vec<(u32, Way)> =
            course.going.iter().filter(|(_, going)| going.by <= now).map(|(key, _)| *key).collect();
        if over.is_none() {
            for key in late {
                course.going.remove(&key);
                course.over.push(key);
            }
        }
        for effect in effects {
            self.obey(effect)?;
        }
        self.wake();
        Ok(())
    }

    fn wake(&mut self) {
        let Some(course) = &mut self.course else { return };
        let Some(deadline) = course.run.next_deadline() else { return };
        let at = deadline.0.max(self.agenda.now());
        if at < course.ticks_at {
            course.ticks_at = at;
            let number = course.number;
            self.agenda.plan(at - self.agenda.now() + self.chance.below(5 * MS), Event::Tick(number));
        }
    }

    fn obey(&mut self, effect: Effect) -> Checked {
        match effect {
            Effect::Log(record) => {
                self.trace.say(|| format!("log {record:?}"));
                let Some(course) = &mut self.course else { return Ok(()) };
                hold!(
                    !matches!(course.records.last(), Some(Record::Ended(_))),
                    "nothing is logged after the end",
                    "{record:?}"
                );
                course.is_turned |= matches!(record, Record::Turned(_));
                course.records.push(record);
                Ok(())
            }
            Effect::Do { step, limit } => self.go(step, Way::Do, limit),
            Effect::Undo { step, limit } => self.go(step, Way::Undo, limit),
            Effect::Finished(outcome) => self.finished(&outcome),
        }
    }

    fn adaptation(course: &Course, step: u32, way: Way) -> Adaptation {
        match way {
            Way::Do => course.plan.steps[step as usize].clone(),
            Way::Undo => course.plan.steps[step as usize].inverse(),
        }
    }

    /// A step begins.
    fn go(&mut self, step: u32, way: Way, limit: Duration) -> Checked {
        self.check_begin(step, way)?;
        let Some(course) = &mut self.course else { return Ok(()) };
        // Whoever does it may take its limit, and the run gives it some time more to say how it went.
        let waits = (limit + VERDICT).as_micros() as u64;
        let by = self.agenda.now() + 1 + waits;
        let adaptation = World::adaptation(course, step, way);
        course.going.insert((step, way), Going { by, alone_at: order::alone_at(&adaptation) });
        course.begun.insert(step, way);
        let (run, number) = (course.number, course.number);
        self.trace.step(self.agenda.now(), 1000 + u64::from(step));
        let fails = self.chance.percent(if way == Way::Do { self.fails } else { self.undo_fails });
        let takes = 1 + self.chance.below(40 * MS);
        let acts = self.chance.below(takes + 1);
        self.trace.say(|| format!("step {step} {adaptation} begins"));
        let answer = |fails| Event::Answer { run, step, way, fails };
        let act = Event::Act { run: number, step, way };
        match (fails, self.chance.below(6)) {
            (false, 0) => {
                // Twice.
                self.agenda.plan(acts, act);
                self.agenda.plan(takes, answer(false));
                self.agenda.plan(takes + self.chance.below(30 * MS), answer(self.chance.clone().percent(50)));
            }
            (false, _) => {
                self.agenda.plan(acts, act);
                self.agenda.plan(takes, answer(false));
            }
            // It fails before it did anything, or after.
            (true, 0 | 1) => self.agenda.plan(takes, answer(true)),
            (true, 2 | 3) => {
                self.agenda.plan(acts, act);
                self.agenda.plan(takes, answer(true));
            }
            // It hangs; and it answers when nobody waits any more.
            (true, other) => {
                if self.chance.percent(50) {
                    self.agenda.plan(acts, act);
                }
                if other == 4 {
                    let late = waits + 10 * MS + self.chance.below(300 * MS);
                    self.agenda.plan(late, answer(self.chance.clone().percent(50)));
                }
            }
        }
        Ok(())
    }

    fn act(&mut self, step: u32, way: Way) {
        let Some(course) = &self.course else { return };
        // A step that was given up does nothing any more: it keeps to the time that it has.
        if course.going.contains_key(&(step, way)) {
            self.machine.step(&World::adaptation(course, step, way));
        }
    }

    fn check_begin(&self, step: u32, way: Way) -> Checked {
        let Some(course) = &self.course else { return Ok(()) };
        let adaptation = World::adaptation(course, step, way);
        let rank = |step: u32| course.plan.steps[step as usize].rank();
        hold!(!course.records.is_empty(), "a plan is on disk before its first step", "{adaptation}");
        hold!(course.going.len() < self.limits.at_once, "no more steps are under way than may be", "{adaptation}");
        hold!(
            (way == Way::Undo) == course.is_turned,
            "nothing is undone before a failure, and nothing done after one",
            "{adaptation}"
        );
        hold!(course.begun.get(&step) != Some(&way), "no step begins twice", "{adaptation}");
        if way == Way::Undo && !course.is_resumed {
            hold!(course.begun.contains_key(&step), "only what was begun is undone", "{adaptation}");
        }
        let about = order::alone_at(&adaptation);
        for ((other, other_way), going) in &course.going {
            hold!(
                about.is_none() || going.alone_at != about,
                "never two steps of one instance at once",
                "{adaptation} beside {}",
                World::adaptation(course, *other, *other_way)
            );
            hold!(
                *other_way == way && rank(*other) == rank(step),
                "a rank is over before the next begins",
                "{adaptation} beside {}",
                World::adaptation(course, *other, *other_way)
            );
        }
        for (first, then) in &course.pairs {
            let (first, then) = if way == Way::Do { (first, then) } else { (then, first) };
            if step == *then {
                let waits = course.going.contains_key(&(*first, way));
                let is_to_come = way == Way::Do && !course.begun.contains_key(first) && !course.is_resumed;
                hold!(
                    !waits && !is_to_come,
                    "receivers start before senders and stop after them",
                    "{adaptation} before {}",
                    World::adaptation(course, *first, way)
                );
            }
        }
        // After an undo that failed, and in a plan that was begun before a crash, anything may be there.
        let is_clean = self.undo_fails == 0 && !course.is_resumed;
        if is_clean { self.machine.may(&adaptation) } else { Ok(()) }
    }

    fn finished(&mut self, outcome: &Outcome) -> Checked {
        self.trace.say(|| format!("it ends: {outcome:?}"));
        let Some(course) = self.course.take() else { return Ok(()) };
        hold!(course.going.is_empty(), "a run is over when no step is under way", "{} are", course.going.len());
        let is_logged = course.plan.is_empty() || matches!(course.records.last(), Some(Record::Ended(_)));
        hold!(is_logged, "the end is on disk before it is told", "{:?}", course.records.last());
        match outcome {
            Outcome::Adopted => {
                hold!(!course.is_turned, "what failed is not adopted", "{:?}", course.records);
                self.running = course.wanted;
            }
            Outcome::RolledBack(_) => {
                for step in course.begun.keys() {
                    let is_back = course.over.contains(&(*step, Way::Undo));
                    hold!(is_back || course.is_resumed, "whatever was begun is undone", "step {step} is not");
                }
                self.running = course.before;
            }
            Outcome::Degraded { remains, .. } => {
                hold!(!remains.is_empty(), "degraded is who could not undo something", "{outcome:?}");
                self.is_degraded = true;
                self.running = course.before;
                return self.take_up();
            }
        }
        let is_to_run = Machine::of(&self.running, &own_node());
        hold!(
            self.machine == is_to_run,
            "a run ends in the one model or in the other",
            "{outcome:?}: {:?} runs for {is_to_run:?}",
            self.machine
        );
        let nothing = plan(&self.running, &self.running.clone(), &own_node());
        hold!(nothing.is_empty(), "the plan of the result is empty", "{:?}", nothing.steps);
        self.trace.mix(self.machine.n_live() as u64);
        self.take_up()
    }

    /// The process of the one who carries the run out ends; what runs goes on. What was not made durable may be lost.
    fn crash(&mut self) -> Checked {
        let Some(mut course) = self.course.take() else { return Ok(()) };
        self.trace.say(|| "a crash".to_owned());
        while self.chance.percent(50) && course.records.last().is_some_and(|record| !record.is_durable()) {
            course.records.pop();
        }
        for (step, way) in std::mem::take(&mut course.going).into_keys() {
            if self.chance.percent(50) {
                self.machine.step(&World::adaptation(&course, step, way));
            }
        }
        let run = Run::resume(course.plan.clone(), &course.records, self.limits.clone());
        course.begun.clear();
        self.begin(Course { run, is_resumed: true, ticks_at: Micros::MAX, ..course })?;
        self.take_up()
    }
}
