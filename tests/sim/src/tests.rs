//! Some seeds of each world with each change; thousands of them are run by `.ci/run`.

use std::sync::Once;

use crate::{run, trace::Telling, worlds::World};

/// What is told to panic does so unheard.
fn note_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(run::note_panics);
}

fn hold(world: World, n_seeds: u64) {
    note_panics();
    let tally = run::many(world, 0..n_seeds, 2, &|| ());
    let told: Vec<String> = tally.failures.iter().map(crate::show::failure).collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
    assert_eq!(tally.n_seeds, n_seeds);
}

#[test]
fn whatever_happens_to_five_members_they_end_with_one_model_and_nothing_is_lost_in_silence() {
    hold(World::Gossip, 150);
}

#[test]
fn between_two_that_live_on_everything_arrives_once_and_in_order_and_nobody_dies_falsely() {
    hold(World::Engine, 150);
}

#[test]
fn a_run_ends_in_the_one_model_or_in_the_other_whatever_becomes_of_its_steps() {
    hold(World::Plan, 300);
}

#[test]
fn what_runs_on_nodes_that_crash_and_are_cut_off_follows_the_model_and_nothing_acknowledged_is_lost() {
    hold(World::Node, 12);
}

#[test]
fn the_accident_is_in_the_seed() {
    note_panics();
    for world in World::ALL {
        let hash = |seed| {
            let run = run::one(world, seed, Telling::Last);
            (run.hash, run.n_steps, run.lines)
        };
        assert_eq!(hash(7), hash(7), "{world}");
        assert_ne!(hash(7).0, hash(8).0, "{world}");
    }
}
