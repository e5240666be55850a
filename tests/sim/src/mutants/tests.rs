//! The list of mutants fits the tree.

use std::{collections::BTreeMap, fs};

use super::list;

#[test]
fn every_mutant_finds_its_place_in_the_tree() {
    let mutants = list::all().unwrap();
    assert!(mutants.len() >= 16);
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    for (number, mutant) in mutants.iter().enumerate() {
        let read = || fs::read_to_string(list::root().join(&mutant.file)).expect("the file is there");
        let text = texts.entry(&mutant.file).or_insert_with(read);
        *text = mutant.plant(text, number).unwrap_or_else(|error| panic!("{error}"));
    }
}
