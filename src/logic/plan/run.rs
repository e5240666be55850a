//! The run of a plan: which step may begin now, what happens when one fails or hangs, and how everything is undone.
//!
//! A core: told what has become of steps and what time it is, it answers with [`Effect`]s. Steps of a lower rank are over
//! before the next rank begins; within a rank, whatever need not wait runs at the same time. The first failure stops new
//! steps, waits for those under way (each has a time limit) and undoes all that was done, the last ranks first. A step that
//! cannot be undone does not keep the others from being undone; the node is degraded then.
//!
//! A run survives a crash: [`Run::resume`] takes the plan and the records that were written ahead. As steps and their
//! inverses are idempotent, a record says only which rank was passed, and records at the end may be missing.

use std::{collections::VecDeque, ops::Range, sync::Arc, time::Duration};

use super::{
    adaptation::{Adaptation, Rank},
    order::Plan,
    record::{Effect, Limits, Outcome, Progress, Record, StepFailure, Way},
};
use crate::words::{Deadlines, Time};

/// How long after its limit a step may take to say what became of it: whoever does it gives up at the limit, and knows best why.
pub const VERDICT: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not begun by this run. `maybe` an earlier run, that crashed, began it.
    Untouched {
        maybe: bool,
    },
    /// Begun by this run, forth or back; to be through by this time.
    UnderWay(Time),
    Done,
    /// It failed or hung, and may be done by half.
    Failed,
    Undone,
}

#[derive(Clone, Debug, PartialEq)]
enum Phase {
    Fresh,
    Doing,
    /// Failed; waiting for the steps under way.
    Draining(StepFailure),
    Undoing(StepFailure, Vec<StepFailure>),
    Over(Outcome),
}

/// A plan being carried out.
#[derive(Clone, Debug)]
pub struct Run {
    plan: Arc<Plan>,
    limits: Limits,
    phase: Phase,
    states: Vec<State>,
    /// The steps of each rank that the plan has, in order of rank.
    ranks: Vec<Range<u32>>,
    /// The current rank (an index of `ranks`), and how many of its steps are not through.
    at: usize,
    n_left: usize,
    /// Who waits for a place, and whom it waits for; in the direction of doing.
    after: Neighbours,
    before: Neighbours,
    /// For how many places each still waits.
    n_waits: Vec<u32>,
    ready: VecDeque<u32>,
    n_under_way: usize,
    /// The times by which steps that were begun must be through.
    deadlines: Deadlines<Time>,
    n_through: usize,
    n_total: usize,
}

impl Run {
    /// A run of a plan from its beginning. [`Run::begin`] sets it going.
    pub fn new(plan: Arc<Plan>, limits: Limits) -> Run {
        let n_places = plan.steps.len() + plan.n_gates as usize;
        Run {
            phase: Phase::Fresh,
            states: vec![State::Untouched { maybe: false }; plan.steps.len()],
            ranks: ranks(&plan.steps),
            at: 0,
            n_left: 0,
            after: Neighbours::new(n_places, plan.waits.iter().copied()),
            before: Neighbours::new(n_places, plan.waits.iter().map(|&(first, then)| (then, first))),
            n_waits: vec![0; n_places],
            ready: VecDeque::new(),
            n_under_way: 0,
            deadlines: Deadlines::default(),
            n_through: 0,
            n_total: plan.steps.len(),
            plan,
            limits,
        }
    }

    /// A run that goes on where a crash ended it: forth when no step had failed, else back. [`Run::begin`] sets it going.
    pub fn resume(plan: Arc<Plan>, records: &[Record], limits: Limits) -> Run {
        let mut run = Run::new(plan, limits);
        run.states.fill(State::Untouched { maybe: true });
        for record in records {
            match record {
                Record::Began => {}
                Record::Passed(passed) => run.mark(|rank| rank <= *passed, State::Done),
                Record::Turned(failure) => run.phase = Phase::Draining(failure.clone()),
                Record::Returned(returned) => run.mark(|rank| rank >= *returned, State::Undone),
                Record::Ended(outcome) => run.phase = Phase::Over(outcome.clone()),
            }
        }
        run
    }

    fn mark(&mut self, which: impl Fn(Rank) -> bool, state: State) {
        for (step, old) in self.plan.steps.iter().zip(&mut self.states) {
            if which(step.rank()) {
                *old = state;
            }
        }
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// How it ended, once it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.phase {
            Phase::Over(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        let way = match self.phase {
            Phase::Undoing(..) | Phase::Over(Outcome::RolledBack(_) | Outcome::Degraded { .. }) => Way::Undo,
            Phase::Fresh | Phase::Doing | Phase::Draining(_) | Phase::Over(Outcome::Adopted) => Way::Do,
        };
        Progress { way, n_done: self.n_through, n_steps: self.n_total }
    }

    /// When [`Run::tick`] has something to do, if nothing happens before.
    pub fn next_deadline(&mut self) -> Option<Time> {
        self.deadlines.next(is_under_way(&self.states)).map(|(until, _)| until)
    }

    /// Sets the run going. A plan without steps is over at once and leaves no record.
    pub fn begin(&mut self, now: Time, effects: &mut Vec<Effect>) {
        match std::mem::replace(&mut self.phase, Phase::Doing) {
            Phase::Fresh if self.plan.is_empty() => {
                self.phase = Phase::Over(Outcome::Adopted);
                effects.push(Effect::Finished(Outcome::Adopted));
            }
            Phase::Fresh => {
                effects.push(Effect::Log(Record::Began));
                self.at = 0;
                self.enter(now, effects);
            }
            Phase::Draining(failure) => self.turn(failure, now, effects),
            Phase::Over(outcome) => {
                self.phase = Phase::Over(outcome.clone());
                effects.push(Effect::Finished(outcome));
            }
            going @ (Phase::Doing | Phase::Undoing(..)) => self.phase = going,
        }
    }

    /// Tells the run what has become of a step. What comes too late, or was never asked for, changes nothing.
    pub fn done(&mut self, step: u32, way: Way, result: Result<(), String>, now: Time, effects: &mut Vec<Effect>) {
        let is_back = matches!(self.phase, Phase::Undoing(..));
        if is_back == (way == Way::Undo) && matches!(self.states.get(step as usize), Some(State::UnderWay(_))) {
            self.through(step, result, now, effects);
        }
    }

    /// Gives up the steps that have taken too long.
    pub fn tick(&mut self, now: Time, effects: &mut Vec<Effect>) {
        while let Some(step) = self.deadlines.pop(now, is_under_way(&self.states)) {
            let limit = self.limits.of(&self.plan.steps[step as usize]);
            self.through(step, Err(format!("no answer within {limit:?}")), now, effects);
        }
    }

    /// Gives the run up, as if a step had failed: what was done is undone. Nothing once it is going back, or over.
    pub fn abort(&mut self, cause: impl Into<String>, now: Time, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Doing {
            let failure = StepFailure { step: None, what: "the adaptation".to_owned(), cause: cause.into() };
            self.fail(failure, effects);
            self.pump(now, effects);
        }
    }

    fn through(&mut self, step: u32, result: Result<(), String>, now: Time, effects: &mut Vec<Effect>) {
        let failure = result.err().map(|cause| {
            let what = self.plan.steps[step as usize].to_string();
            StepFailure { step: Some(step), what, cause }
        });
        if let Phase::Undoing(_, remains) = &mut self.phase {
            self.states[step as usize] = State::Undone;
            remains.extend(failure);
        } else {
            self.states[step as usize] = if failure.is_some() { State::Failed } else { State::Done };
            if let (Phase::Doing, Some(failure)) = (&self.phase, failure) {
                self.fail(failure, effects);
            }
        }
        self.n_under_way -= 1;
        self.n_left -= 1;
        self.n_through += 1;
        self.release(step);
        self.pump(now, effects);
    }

    fn fail(&mut self, failure: StepFailure, effects: &mut Vec<Effect>) {
        self.ready.clear();
        effects.push(Effect::Log(Record::Turned(failure.clone())));
        self.phase = Phase::Draining(failure);
    }

    /// Begins what may begin, and goes on to the next rank when one is through.
    fn pump(&mut self, now: Time, effects: &mut Vec<Effect>) {
        match &self.phase {
            Phase::Draining(failure) => {
                if self.n_under_way == 0 {
                    let failure = failure.clone();
                    self.turn(failure, now, effects);
                }
            }
            Phase::Doing | Phase::Undoing(..) => {
                if self.n_left == 0 {
                    return self.leave(now, effects);
                }
                while self.n_under_way < self.limits.at_once.max(1) {
                    let Some(step) = self.ready.pop_front() else { break };
                    let limit = self.limits.of(&self.plan.steps[step as usize]);
                    let until = now + limit + VERDICT;
                    self.states[step as usize] = State::UnderWay(until);
                    self.deadlines.push(limit, until, step);
                    self.n_under_way += 1;
                    effects.push(match self.phase {
                        Phase::Undoing(..) => Effect::Undo { step, limit },
                        _ => Effect::Do { step, limit },
                    });
                }
            }
            Phase::Fresh | Phase::Over(_) => {}
        }
    }

    /// Enters the current rank: finds out who of it waits for whom.
    fn enter(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let is_back = matches!(self.phase, Phase::Undoing(..));
        let Some(rank) = self.ranks.get(self.at).cloned() else { return self.leave(now, effects) };
        let todo: Vec<u32> = rank.filter(|step| self.is_todo(*step, is_back)).collect();
        self.n_left = todo.len();
        let n_steps = self.plan.steps.len();
        let mut gates: Vec<u32> = Vec::new();
        for &step in &todo {
            self.count_waits(step, is_back);
            let (before, after) = (self.before.of(step), self.after.of(step));
            gates.extend(before.iter().chain(after).filter(|place| **place as usize >= n_steps));
        }
        gates.sort_unstable();
        gates.dedup();
        for &gate in &gates {
            self.count_waits(gate, is_back);
        }
        self.ready.extend(todo.iter().filter(|step| self.n_waits[**step as usize] == 0));
        if is_back {
            self.ready.make_contiguous().reverse();
        }
        // A gate for which nobody has to wait opens at once. Its steps had it among their waits.
        for gate in gates {
            if self.n_waits[gate as usize] == 0 {
                self.release(gate);
            }
        }
        self.pump(now, effects);
    }

    fn count_waits(&mut self, place: u32, is_back: bool) {
        let firsts = if is_back { &self.after } else { &self.before };
        let n_steps = self.plan.steps.len();
        let counts = |first: &&u32| **first as usize >= n_steps || self.is_todo(**first, is_back);
        self.n_waits[place as usize] = firsts.of(place).iter().filter(counts).count() as u32;
    }

    fn is_todo(&self, step: u32, is_back: bool) -> bool {
        match self.states[step as usize] {
            State::Untouched { maybe } => !is_back || maybe,
            State::UnderWay(_) => !is_back,
            State::Done | State::Failed => is_back,
            State::Undone => false,
        }
    }

    /// A place is through: whoever waited for it waits for one less.
    fn release(&mut self, place: u32) {
        if matches!(self.phase, Phase::Draining(_)) {
            return;
        }
        let is_back = matches!(self.phase, Phase::Undoing(..));
        for nth in 0.. {
            let waiting = if is_back { &self.before } else { &self.after };
            let Some(&then) = waiting.of(place).get(nth) else { break };
            let n_waits = &mut self.n_waits[then as usize];
            if *n_waits == 0 {
                continue;
            }
            *n_waits -= 1;
            if *n_waits == 0 {
                if then as usize >= self.plan.steps.len() {
                    self.release(then);
                } else {
                    self.ready.push_back(then);
                }
            }
        }
    }

    /// The current rank is through.
    fn leave(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let rank = self.ranks.get(self.at).map(|range| self.plan.steps[range.start as usize].rank());
        match &self.phase {
            Phase::Doing if self.at + 1 >= self.ranks.len() => self.end(Outcome::Adopted, effects),
            Phase::Doing => {
                effects.extend(rank.map(|rank| Effect::Log(Record::Passed(rank))));
                self.at += 1;
                self.enter(now, effects);
            }
            Phase::Undoing(failure, remains) if self.at == 0 => {
                let (failure, remains) = (failure.clone(), remains.clone());
                self.end(
                    if remains.is_empty() {
                        Outcome::RolledBack(failure)
                    } else {
                        Outcome::Degraded { failure, remains }
                    },
                    effects,
                );
            }
            Phase::Undoing(_, remains) => {
                // Once something remains no rank counts as undone: after a crash it is tried again.
                let returned = rank.filter(|_| remains.is_empty());
                effects.extend(returned.map(|rank| Effect::Log(Record::Returned(rank))));
                self.at -= 1;
                self.enter(now, effects);
            }
            Phase::Fresh | Phase::Draining(_) | Phase::Over(_) => {}
        }
    }

    /// Everything under way has come to an end: goes back.
    fn turn(&mut self, failure: StepFailure, now: Time, effects: &mut Vec<Effect>) {
        self.phase = Phase::Undoing(failure, Vec::new());
        self.ready.clear();
        self.n_waits.fill(0);
        self.n_through = 0;
        self.n_total = (0..self.states.len()).filter(|step| self.is_todo(*step as u32, true)).count();
        self.at = self.ranks.len().saturating_sub(1);
        self.enter(now, effects);
    }

    fn end(&mut self, outcome: Outcome, effects: &mut Vec<Effect>) {
        self.phase = Phase::Over(outcome.clone());
        effects.push(Effect::Log(Record::Ended(outcome.clone())));
        effects.push(Effect::Finished(outcome));
    }
}

/// Whether a deadline is that of a step that is under way.
fn is_under_way(states: &[State]) -> impl Fn(Time, u32) -> bool {
    move |until, step| states[step as usize] == State::UnderWay(until)
}

/// For each place of a plan, who stands next to it: all lists in one.
#[derive(Clone, Debug)]
struct Neighbours {
    /// Where the list of a place begins; one more for the end.
    starts: Vec<u32>,
    all: Vec<u32>,
}

impl Neighbours {
    fn new(n_places: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Neighbours {
        let mut starts = vec![0; n_places + 1];
        for (place, _) in pairs.clone() {
            starts[place as usize + 1] += 1;
        }
        for place in 0..n_places {
            starts[place + 1] += starts[place];
        }
        let mut all = vec![0; starts[n_places] as usize];
        let mut next = starts.clone();
        for (place, neighbour) in pairs {
            all[next[place as usize] as usize] = neighbour;
            next[place as usize] += 1;
        }
        Neighbours { starts, all }
    }

    fn of(&self, place: u32) -> &[u32] {
        &self.all[self.starts[place as usize] as usize..self.starts[place as usize + 1] as usize]
    }
}

fn ranks(steps: &[Adaptation]) -> Vec<Range<u32>> {
    let mut ranges = Vec::new();
    let mut from = 0;
    for same in steps.chunk_by(|a, b| a.rank() == b.rank()) {
        let to = from + same.len() as u32;
        ranges.push(from..to);
        from = to;
    }
    ranges
}
