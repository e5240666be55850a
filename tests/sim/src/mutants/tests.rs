//! The list of mutants fits the tree, and what is taken for a catch is one.

use std::{collections::BTreeMap, fs, time::Duration};

use super::{Outcome, Violation, hunt, list, read};
use crate::{
    run::{Failure, Tally},
    show, trace,
    worlds::World,
};

/// A mutant goes only when another one takes its place.
const N_MUTANTS_MIN: usize = 50;

#[test]
fn every_mutant_finds_its_place_in_the_tree() {
    let mutants = list::all().unwrap();
    assert!(mutants.len() >= N_MUTANTS_MIN, "only {}", mutants.len());
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for (number, mutant) in mutants.iter().enumerate() {
        let read = || fs::read_to_string(list::root().join(&mutant.file)).expect("the file is there");
        let text = texts.entry(&mutant.file).or_insert_with(read);
        *text = mutant.plant(text, number).unwrap_or_else(|error| panic!("{error}"));
    }
}

fn violation(seed: u64, is_steady: bool) -> Violation {
    Violation { seed, invariant: "all is well".to_owned(), is_steady }
}

/// What becomes of a mutant, when these seeds show a violation with it; seed 3 does so without it, too.
fn hunted(seeds: &[(u64, bool)], n_seeds: u64) -> Outcome {
    let run = |is_on: bool, range: std::ops::Range<u64>| {
        let shown = seeds.iter().filter(|(seed, _)| range.contains(seed) && (is_on || *seed == 3));
        // Two are enough to begin with.
        Ok(shown.take(2).map(|(seed, is_steady)| violation(*seed, *is_steady)).collect())
    };
    hunt(n_seeds, run).unwrap()
}

#[test]
fn a_mutant_is_caught_by_a_violation_of_its_own_and_by_no_other() {
    assert_eq!(hunted(&[], 100), Outcome { caught: None, n_strange: 0 });
    assert_eq!(hunted(&[(8, true)], 100), Outcome { caught: Some(violation(8, true)), n_strange: 0 });
    assert_eq!(hunted(&[(3, true)], 100), Outcome { caught: None, n_strange: 1 }, "it comes without the fault, too");
    assert_eq!(hunted(&[(5, false)], 100), Outcome { caught: None, n_strange: 1 }, "it does not come again");
    let strange_first = [(3, true), (5, false), (6, false), (8, true)];
    assert_eq!(hunted(&strange_first, 100), Outcome { caught: Some(violation(8, true)), n_strange: 3 });
    assert_eq!(hunted(&strange_first, 8), Outcome { caught: None, n_strange: 3 });
}

#[test]
fn what_a_world_says_is_understood() {
    let failure = |seed, is_unsteady| {
        let violation = trace::Violation { invariant: "all is well".to_owned(), detail: "it is not".to_owned() };
        Failure { world: World::Plan, seed, violation, lines: Vec::new(), is_unsteady }
    };
    let tally = Tally { failures: vec![failure(3, false), failure(8, true)], ..Tally::default() };
    let report = show::json(&[(World::Plan, tally, Duration::from_secs(1))]);
    assert_eq!(read(&report), Some(vec![violation(3, true), violation(8, false)]));
    assert_eq!(read(&show::json(&[])), None);
}
