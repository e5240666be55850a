//! The laws of plans, tried on random pairs of models: a plan leads from the one to the other, undoing leads back, wherever a
//! step fails and wherever a crash ends it.

mod models;
mod parts;
mod world;

use std::{collections::BTreeSet, sync::Arc};

use proptest::{collection::vec, option, prelude::*};

use self::{
    models::{Rough, own_node, pair, rough},
    world::{Disk, FRESH, MOVED, World, learned},
};
use super::{
    adaptation::Adaptation,
    order::{Plan, plan},
    record::{Effect, Limits, Outcome, Record, Way},
    run::Run,
};
use crate::{
    model::{Component, ComponentId, Model, testing},
    words::Time,
};

// ------------------------------------------------------------------------------------------------------------ the shell

/// Carries out a run the way a node does, with steps ending in an order that `dice` decides.
struct Shell {
    world: World,
    disk: Disk,
    records: Vec<Record>,
    outcome: Option<Outcome>,
    under_way: Vec<(u32, Way)>,
    trail: Vec<(u32, Way)>,
}

impl Shell {
    fn new(world: World) -> Shell {
        let (disk, records, under_way, trail) = Default::default();
        Shell { world, disk, records, outcome: None, under_way, trail }
    }

    fn obey(&mut self, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Log(record) => self.records.push(record),
                Effect::Do { step, .. } => self.under_way.push((step, Way::Do)),
                Effect::Undo { step, .. } => self.under_way.push((step, Way::Undo)),
                Effect::Finished(outcome) => {
                    assert!(self.under_way.is_empty(), "over while {:?} are under way", self.under_way);
                    self.outcome = Some(outcome);
                }
            }
        }
    }

    /// Runs until it is over, or for `n_steps` steps. `fails` says what becomes of a step; `None` hangs.
    fn run(&mut self, run: &mut Run, dice: &[u8], n_steps: usize, fails: impl Fn(u32, Way) -> Fate) {
        let plan = run.plan().clone();
        let mut effects = Vec::new();
        let mut now = Time::from_ms(0);
        run.begin(now, &mut effects);
        self.obey(&mut effects);
        let mut hung: Vec<(u32, Way)> = Vec::new();
        for turn in 0..n_steps {
            if self.outcome.is_some() {
                return;
            }
            if self.under_way.is_empty() {
                assert!(!hung.is_empty(), "not over, and nothing under way");
                now = run.next_deadline().expect("something is under way");
                hung.clear();
                run.tick(now, &mut effects);
                self.obey(&mut effects);
                continue;
            }
            let pick = usize::from(dice.get(turn % dice.len().max(1)).copied().unwrap_or(0)) % self.under_way.len();
            let (step, way) = self.under_way.swap_remove(pick);
            self.trail.push((step, way));
            let adaptation = match way {
                Way::Do => plan.steps[step as usize].clone(),
                Way::Undo => plan.steps[step as usize].inverse(),
            };
            let fate = fails(step, way);
            if fate != Fate::FailsBefore {
                self.world.step(&adaptation, &plan.node, &mut self.disk);
            }
            match fate {
                Fate::Works => run.done(step, way, Ok(()), now, &mut effects),
                Fate::FailsBefore | Fate::FailsAfter => run.done(step, way, Err("no".into()), now, &mut effects),
                Fate::Hangs => hung.push((step, way)),
            }
            self.obey(&mut effects);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Works,
    FailsBefore,
    FailsAfter,
    Hangs,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![Just(Fate::FailsBefore), Just(Fate::FailsAfter), Just(Fate::Hangs)]
}

fn limits(at_once: u8) -> Limits {
    Limits { at_once: usize::from(at_once), ..Limits::default() }
}

fn planned(a: &Rough, b: &Rough) -> (Model, Model, Arc<Plan>) {
    let (a, b) = (a.model(), b.model());
    let plan = plan(&a, &b, &own_node());
    (a, b, Arc::new(plan))
}

fn sorted(mut steps: Vec<Adaptation>) -> Vec<String> {
    steps.sort_by_key(|step| format!("{step:?}"));
    steps.into_iter().map(|step| format!("{step:?}")).collect()
}

// ------------------------------------------------------------------------------------------------------------- the laws

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_leads_from_the_one_model_to_the_other((a, b) in pair()) {
        let (a, b, plan) = planned(&a, &b);
        let node = own_node();
        prop_assert!(plan.is_sound());
        let mut world = World::of(&a, &node);
        let before = world.clone();
        let mut disk = Disk::new();
        for step in &plan.steps {
            world.check_step(step);
            world.step(step, &node, &mut disk);
        }
        let wanted = World::of(&b, &node);
        prop_assert_eq!(world.bare(), wanted.bare());
        for (type_ref, definition) in &wanted.types {
            prop_assert_eq!(world.types.get(type_ref), Some(definition), "the type that is needed is there");
        }
        prop_assert!(world.types.keys().all(|found| b.types.contains_key(found)), "no type that the model does not list");
        prop_assert!(world.units.is_superset(&wanted.units) && world.units.iter().all(|unit| b.units.contains_key(unit)));
        // A component that was here and is here has what it had learned; one that was elsewhere brings it.
        for live in world.live.values().filter(|live| live.subject.id != ComponentId::default()) {
            let id = live.subject.id;
            let was_here = before.live.values().any(|old| old.subject.id == id);
            let ran_there = |component: &Component| {
                component.id == id && component.instance.type_ref.as_ref().is_some_and(|it| it.name.as_str() != "Ghost")
            };
            let was_there =
                a.nodes.iter().any(|(name, other)| *name != node && other.components.values().any(|c| ran_there(c)));
            let expected = if was_here { learned(id) } else if was_there { MOVED + id.0 } else { FRESH };
            prop_assert_eq!(live.state, expected, "the state of {:?}", live.subject);
        }
    }

    #[test]
    fn a_plan_after_edits_leads_to_what_they_made(first in testing::models(), edits in testing::edits()) {
        let second = testing::edited(first.clone(), &edits);
        for node in first.nodes.keys().filter(|node| second.nodes.contains_key(*node)) {
            let plan = plan(&first, &second, node);
            prop_assert!(plan.is_sound());
            let mut world = World::of(&first, node);
            for step in &plan.steps {
                world.check_step(step);
                world.step(step, node, &mut Disk::new());
            }
            prop_assert_eq!(world.bare(), World::of(&second, node).bare());
        }
    }

    #[test]
    fn the_plan_of_the_result_is_empty(a in rough()) {
        let once = a.model();
        // Once with shared structure, once built anew.
        prop_assert!(plan(&once, &once.clone(), &own_node()).is_empty());
        prop_assert!(plan(&once, &a.model(), &own_node()).is_empty());
    }

    #[test]
    fn shared_structure_changes_nothing_about_a_plan((a, b) in pair()) {
        let (a, b) = (a.model(), b.model());
        let mut shared = a.clone();
        shared.nodes = b.nodes.iter().fold(a.nodes.clone(), |nodes, (name, node)| match nodes.get(name) {
            Some(old) if old == node => nodes,
            _ => nodes.update(name.clone(), node.clone()),
        });
        for gone in a.nodes.keys().filter(|name| !b.nodes.contains_key(*name)) {
            shared.nodes.remove(gone);
        }
        let mut other = b.clone();
        other.nodes = shared.nodes;
        let other = other.indexed();
        let node = own_node();
        prop_assert_eq!(sorted(plan(&a, &b, &node).steps), sorted(plan(&a, &other, &node).steps));
    }

    #[test]
    fn a_run_in_any_order_leads_to_the_wanted_model(
        (a, b) in pair(), dice in vec(any::<u8>(), 1..40), at_once in 1..9u8,
    ) {
        let (a, b, plan) = planned(&a, &b);
        let mut shell = Shell::new(World::of(&a, &own_node()));
        let mut run = Run::new(plan.clone(), limits(at_once));
        shell.run(&mut run, &dice, usize::MAX, |_, _| Fate::Works);
        prop_assert_eq!(shell.outcome, Some(Outcome::Adopted));
        prop_assert_eq!(shell.world.bare(), World::of(&b, &own_node()).bare());
        let ranks: Vec<_> = shell.trail.iter().map(|(step, _)| plan.steps[*step as usize].rank()).collect();
        prop_assert!(ranks.is_sorted(), "ranks fall: {:?}", ranks);
        let at = |place: u32| shell.trail.iter().position(|(step, _)| *step == place);
        for (first, then) in &plan.waits {
            if let (Some(first), Some(then)) = (at(*first), at(*then)) {
                prop_assert!(first < then, "who waits goes second");
            }
        }
    }

    #[test]
    fn a_failed_adaptation_undoes_the_ones_before_it(
        (a, b) in pair(), dice in vec(any::<u8>(), 1..40), at_once in 1..9u8, place in any::<prop::sample::Index>(), fate in fate(),
    ) {
        let (a, _, plan) = planned(&a, &b);
        prop_assume!(!plan.is_empty());
        let failing = place.index(plan.steps.len()) as u32;
        let before = World::of(&a, &own_node());
        let mut shell = Shell::new(before.clone());
        let mut run = Run::new(plan.clone(), limits(at_once));
        shell.run(&mut run, &dice, usize::MAX, |step, way| if step == failing && way == Way::Do { fate } else { Fate::Works });
        let Some(Outcome::RolledBack(failure)) = shell.outcome else { panic!("{:?}", shell.outcome) };
        prop_assert_eq!(failure.step, Some(failing));
        prop_assert_eq!(shell.world, before);
    }

    #[test]
    fn a_step_that_cannot_be_undone_does_not_keep_the_others(
        (a, b) in pair(), dice in vec(any::<u8>(), 1..40), places in vec(any::<prop::sample::Index>(), 2), fates in vec(fate(), 2),
    ) {
        let (_, _, plan) = planned(&a, &b);
        prop_assume!(!plan.is_empty());
        let (failing, stuck) = (places[0].index(plan.steps.len()) as u32, places[1].index(plan.steps.len()) as u32);
        let mut shell = Shell::new(World::default());
        let mut run = Run::new(plan.clone(), limits(4));
        shell.run(&mut run, &dice, usize::MAX, |step, way| match way {
            Way::Do if step == failing => fates[0],
            Way::Undo if step == stuck => fates[1],
            _ => Fate::Works,
        });
        let forth: BTreeSet<u32> = shell.trail.iter().filter(|(_, way)| *way == Way::Do).map(|(step, _)| *step).collect();
        let back: BTreeSet<u32> = shell.trail.iter().filter(|(_, way)| *way == Way::Undo).map(|(step, _)| *step).collect();
        prop_assert_eq!(&forth, &back, "whatever was begun is undone, or at least tried");
        match shell.outcome {
            Some(Outcome::RolledBack(_)) => prop_assert!(!back.contains(&stuck)),
            Some(Outcome::Degraded { remains, .. }) => prop_assert_eq!(remains[0].step, Some(stuck)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_resumed_run_ends_in_the_one_model_or_in_the_other(
        (a, b) in pair(), dice in vec(any::<u8>(), 1..40), at_once in 1..9u8,
        places in vec(option::of(any::<prop::sample::Index>()), 2), fates in vec(fate(), 2), crash in 0..60usize, lost in 0..4usize,
    ) {
        let (a, b, plan) = planned(&a, &b);
        prop_assume!(!plan.is_empty());
        let place = |nth: usize| places[nth].map(|place| place.index(plan.steps.len()) as u32);
        let (failing, stuck) = (place(0), place(1));
        let mut shell = Shell::new(World::of(&a, &own_node()));
        let mut run = Run::new(plan.clone(), limits(at_once));
        shell.run(&mut run, &dice, crash, |step, way| match way {
            Way::Do if Some(step) == failing => fates[0],
            Way::Undo if Some(step) == stuck => fates[1],
            _ => Fate::Works,
        });
        // The crash takes the records that were not made durable, from the last one on; and the steps under way are lost.
        for _ in 0..lost {
            if shell.records.last().is_some_and(|record| !record.is_durable()) {
                shell.records.pop();
            }
        }
        shell.under_way.clear();
        shell.outcome = None;
        let records = std::mem::take(&mut shell.records);
        let mut again = Run::resume(plan.clone(), &records, limits(at_once));
        shell.run(&mut again, &dice, usize::MAX, |_, _| Fate::Works);
        match shell.outcome {
            Some(Outcome::Adopted) => prop_assert_eq!(shell.world.bare(), World::of(&b, &own_node()).bare()),
            Some(Outcome::RolledBack(_)) => prop_assert_eq!(shell.world.bare(), World::of(&a, &own_node()).bare()),
            // It was over before the crash.
            Some(Outcome::Degraded { remains, .. }) => prop_assert_eq!(remains[0].step, stuck),
            None => panic!("not over"),
        }
    }

    #[test]
    fn what_could_not_be_undone_before_a_crash_is_undone_after_it(
        (a, b) in pair(), dice in vec(any::<u8>(), 1..40), stuck in any::<prop::sample::Index>(), crash in any::<prop::sample::Index>(),
    ) {
        let (a, _, plan) = planned(&a, &b);
        prop_assume!(plan.steps.len() > 1);
        let (failing, stuck) = (plan.steps.len() as u32 - 1, stuck.index(plan.steps.len()) as u32);
        let before = World::of(&a, &own_node());
        let fate = |step, way| match way {
            Way::Do if step == failing => Fate::FailsBefore,
            Way::Undo if step == stuck => Fate::FailsBefore,
            _ => Fate::Works,
        };
        let mut whole = Shell::new(before.clone());
        whole.run(&mut Run::new(plan.clone(), limits(1)), &dice, usize::MAX, fate);
        let n_after = whole.trail.iter().rev().position(|gone| *gone == (stuck, Way::Undo)).unwrap_or(0);
        prop_assume!(n_after > 0);
        let n_before = whole.trail.len() - n_after;
        let mut shell = Shell::new(before.clone());
        shell.run(&mut Run::new(plan.clone(), limits(1)), &dice, n_before + crash.index(n_after), fate);
        prop_assert_eq!(&shell.outcome, &None);
        shell.under_way.clear();
        let records = std::mem::take(&mut shell.records);
        shell.run(&mut Run::resume(plan.clone(), &records, limits(1)), &dice, usize::MAX, |_, _| Fate::Works);
        prop_assert!(matches!(shell.outcome, Some(Outcome::RolledBack(_))), "{:?}", shell.outcome);
        prop_assert_eq!(shell.world.bare(), before.bare());
    }
}
