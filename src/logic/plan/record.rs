//! What a run is told, what it wants, what it writes ahead, and how it ends.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use super::adaptation::{Adaptation, Rank, StateFrom};
use crate::words::TypeRef;

/// How long steps may take, and how many may be under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The time of a step.
    pub step: Duration,
    /// The time of steps that are about an instance of these types.
    pub by_type: BTreeMap<TypeRef, Duration>,
    /// How many steps may be under way together.
    pub at_once: usize,
}

impl Default for Limits {
    /// 30 s a step, as Kevoree's watchdog has it. 1,024 at once: enough to keep all arbiters busy, and a bound on their queues.
    fn default() -> Limits {
        Limits { step: Duration::from_secs(30), by_type: BTreeMap::new(), at_once: 1024 }
    }
}

impl Limits {
    /// The time that a step may take.
    pub fn of(&self, step: &Adaptation) -> Duration {
        let own = step.subject().and_then(|subject| self.by_type.get(&subject.type_ref));
        let limit = own.copied().unwrap_or(self.step);
        match step {
            // Its source has a step's time to stop it before there is a state to be given, and may be at it for that long.
            Adaptation::AddInstance { state: StateFrom::Move { .. }, .. } => limit * 2,
            _ => limit,
        }
    }
}

/// Which way a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Way {
    /// It is done.
    Do,
    /// It is taken back: its inverse is done.
    Undo,
}

/// What is written ahead, so that a crash in the middle can be told from a plan that is through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// The plan begins. To be on disk, with the plan, before any step.
    Began,
    /// All steps up to this rank are done.
    Passed(Rank),
    /// A step failed: from here on everything is undone. To be on disk before anything is undone.
    Turned(StepFailure),
    /// All steps from this rank on are undone.
    Returned(Rank),
    /// The plan is over; nothing remains to be resumed. To be on disk before the outcome is told.
    Ended(Outcome),
}

impl Record {
    /// Whether the record has to be on disk before the next effect is obeyed. Those between may come later, or get lost.
    pub fn is_durable(&self) -> bool {
        match self {
            Record::Began | Record::Turned(_) | Record::Ended(_) => true,
            Record::Passed(_) | Record::Returned(_) => false,
        }
    }
}

/// A step that failed, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepFailure {
    /// Its place in the plan; none when the run was given up from outside.
    pub step: Option<u32>,
    /// What it was: `StartInstance /nodes[n]/components[c]`.
    pub what: String,
    /// What went wrong, in the words of who did it.
    pub cause: String,
}

impl fmt::Display for StepFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.cause)
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// All steps are done.
    Adopted,
    /// A step failed; everything is as it was before.
    RolledBack(StepFailure),
    /// A step failed, and some steps could not be taken back: what runs is neither the old nor the new.
    Degraded {
        /// The failure that began it.
        failure: StepFailure,
        /// What could not be taken back.
        remains: Vec<StepFailure>,
    },
}

/// What the run wants from its shell, to be obeyed in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write the record; see [`Record::is_durable`].
    Log(Record),
    /// Do this step of the plan and tell [`Run::done`](super::Run::done).
    Do {
        /// Its place in the plan.
        step: u32,
        /// The time it has; the run gives it up by itself at [`Run::tick`](super::Run::tick).
        limit: Duration,
    },
    /// Do the inverse of this step and tell [`Run::done`](super::Run::done).
    Undo {
        /// Its place in the plan.
        step: u32,
        /// The time it has.
        limit: Duration,
    },
    /// The run is over.
    Finished(Outcome),
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Forth or back.
    pub way: Way,
    /// How many steps are done, or undone.
    pub n_done: usize,
    /// How many there are to do, or to undo.
    pub n_steps: usize,
}

/// Which way a run that a crash ended will go when it is resumed. A node whose actors died with it needs no more: it starts
/// from nothing, towards the new model (`Do`) or the old one (`Undo`).
pub fn resumes(records: &[Record]) -> Way {
    match records.iter().any(|record| matches!(record, Record::Turned(_))) {
        true => Way::Undo,
        false => Way::Do,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logic::plan::{Blueprint, StateFrom, Subject};
    use crate::{
        model::ComponentId,
        words::{ComponentName, InstancePath, NodeName},
    };

    #[test]
    fn who_waits_for_a_state_waits_longer_than_its_source_may_take_to_stop() {
        let node = |name| NodeName::parse(name).unwrap();
        let adds = |state| Adaptation::AddInstance {
            blueprint: Blueprint {
                subject: Subject {
                    path: InstancePath::Component(node("node1"), ComponentName::parse("counter").unwrap()),
                    type_ref: TypeRef::new("enact", "Counter", "1.0.0").unwrap(),
                    id: ComponentId(1),
                }
                .into(),
                values: Default::default(),
                provided: Default::default(),
                required: Default::default(),
            },
            state,
        };
        let limits = Limits::default();
        assert_eq!(limits.of(&adds(StateFrom::Kept)), limits.step);
        assert_eq!(limits.of(&adds(StateFrom::Move { from: node("node2") })), 2 * limits.step);
    }
}
