//! The entries of the fuzzer as properties: any bytes, and well-formed bytes that are damaged a little.

use enact_fuzz::{ENTRIES, Entry};
use proptest::{collection::vec, prelude::*, sample::Index};

/// Cases of each property. Long searches are cargo-fuzz's.
const CASES: u32 = 1500;

#[derive(Clone, Debug)]
enum Damage {
    Change(Index, u8),
    Cut(Index),
    Repeat(Index, Index),
    Insert(Index, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Change(at, byte)),
        1 => any::<Index>().prop_map(Damage::Cut),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
        1 => (any::<Index>(), vec(any::<u8>(), 0..20)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let len = bytes.len() + 1;
        match damage {
            Damage::Change(at, byte) => {
                let at = at.index(len);
                if let Some(place) = bytes.get_mut(at) {
                    *place = *byte;
                }
            }
            Damage::Cut(at) => bytes.truncate(at.index(len)),
            Damage::Repeat(from, to) => {
                let (from, to) = (from.index(len), to.index(len));
                let part = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.extend(part);
            }
            Damage::Insert(at, more) => {
                let at = at.index(len);
                bytes.splice(at..at, more.iter().copied());
            }
        }
    }
    bytes
}

fn check(entry: Entry) {
    let seeds = (entry.seeds)();
    assert!(!seeds.is_empty(), "{} has no seeds", entry.name);
    seeds.iter().for_each(|seed| (entry.run)(seed));
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let any_bytes = vec(any::<u8>(), 0..400);
    let damaged_seeds =
        (proptest::sample::select(seeds), vec(damage(), 1..6)).prop_map(|(seed, damages)| damaged(seed, &damages));
    let outcome = runner.run(&prop_oneof![1 => any_bytes, 3 => damaged_seeds], |bytes| {
        (entry.run)(&bytes);
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{}: {error}", entry.name);
    }
}

macro_rules! entries {
    ($($test:ident: $name:literal,)*) => {
        $(#[test]
        fn $test() {
            let entry = ENTRIES.into_iter().find(|entry| entry.name == $name).expect("the entry is there");
            check(entry);
        })*

        #[test]
        fn every_entry_is_tried() {
            let names: Vec<&str> = ENTRIES.iter().map(|entry| entry.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

entries! {
    no_frame_breaks_a_link: "frame",
    no_bytes_break_the_codec: "codec",
    nothing_that_is_said_breaks_a_group: "group",
    nothing_that_is_said_breaks_a_channel: "channel",
    no_text_breaks_the_script_language: "script",
    no_text_breaks_the_readers_of_models: "kevoree",
    no_damage_to_the_file_breaks_the_store: "store",
}
