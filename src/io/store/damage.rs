//! A file that a crash, a disk or a hand has damaged is opened whole, or refused by name: never a panic, never a wait without
//! end, never something that was not written.

use std::{
    collections::BTreeMap,
    fs, panic,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    tests::{a_plan, id, node, state},
    *,
};
use crate::{
    model::{ComponentId, Model, testing::name},
    words::{GroupName, Time},
};

/// How many files are damaged. Each takes some milliseconds.
const SEEDS: u64 = 400;

/// The longest that a file may keep a node waiting.
const PATIENCE: Duration = Duration::from_secs(30);

/// What redb keeps no sum of: magic number, flags, how large its parts are and how many.
const HEAD_BYTES: usize = 64;

/// The most that a file may grow when it is opened and written to once, in its own length: redb doubles it when it is full.
const GROWTH_MAX: u64 = 2;

/// Everything that a store is asked for.
#[derive(Clone, Debug, PartialEq)]
struct Content(Vec<String>);

fn content(store: &Store) -> Result<Content, StoreError> {
    let group: GroupName = name("sync");
    Ok(Content(vec![
        format!("{:?}", store.identity()?),
        format!("{:?}", store.load_group(&group)?.iter().map(|record| blake3::hash(record)).collect::<Vec<_>>()),
        format!("{:?}", store.state_ids()?.into_iter().map(|id| store.state(id)).collect::<Result<Vec<_>, _>>()?),
        format!("{:?}", store.trials()?),
        format!("{:?}", store.good()?),
        format!("{:?}", store.under_way()?),
    ]))
}

/// Writes like a node, and gives the content after each write.
fn write(store: &Store) -> Vec<Content> {
    let group: GroupName = name("sync");
    let mut all = vec![content(store).unwrap()];
    let mut note = || all.push(content(store).unwrap());
    store.take_up(&node("n0"), Time(0)).unwrap();
    note();
    for round in 0..12_u64 {
        let record: Vec<u8> = (0..500 + round * 700).map(|n| (n * (round + 3)) as u8).collect();
        store.append_group(&group, &record).unwrap();
        note();
        store.begin(&a_plan(), Some(&id(round)), Some(&id(round + 1)), Time(round)).unwrap();
        note();
        store.put_state(ComponentId(round % 5), &state(&record[..100])).unwrap();
        note();
        if round % 5 == 4 {
            store.replace_group(&group, &record).unwrap();
            note();
            store.passed(Some(&(id(round), Model::default())), Time(round), None).unwrap();
            note();
        }
    }
    all
}

/// Numbers that look random, the same for a seed.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    let n = bytes.len();
    match dice.below(7) {
        0 => {
            let to = dice.below(n);
            bytes.truncate(to);
            format!("cut to {to} of {n}")
        }
        1 => {
            let off = 1 + dice.below(9000.min(n));
            bytes.truncate(n - off);
            format!("its last {off} of {n} bytes cut off")
        }
        2 => {
            let at = dice.below(n);
            bytes[at] ^= 1 << dice.below(8);
            format!("a bit flipped at {at} of {n}")
        }
        3 => {
            let at = dice.below(512);
            bytes[at] ^= 1 << dice.below(8);
            format!("a bit flipped at {at}, in the head")
        }
        4 => {
            let at = dice.below(n) / 512 * 512;
            let end = (at + 512).min(n);
            bytes[at..end].fill(0);
            format!("the sector at {at} zeroed")
        }
        5 => {
            let (at, size) = (12 + dice.below(5) * 4, dice.below(22));
            let number = dice.below(1 << size) as u32;
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
            format!("the number at {at}, in the head, is {number}")
        }
        _ => {
            let at = dice.below(n) / 4096 * 4096;
            let end = (at + 4096).min(n);
            bytes[at..end].iter_mut().for_each(|byte| *byte = dice.next() as u8);
            format!("the page at {at} overwritten")
        }
    }
}

fn n_lost(store: &Store) -> u64 {
    match store.damage() {
        Some(Damage::Lost { n_writes }) => *n_writes,
        _ => 0,
    }
}

/// Opens a damaged file, reads all, and writes something.
fn try_out(directory: PathBuf) -> Result<(Content, u64), StoreError> {
    let store = Store::open(&directory)?;
    let (found, n_behind) = (content(&store)?, n_lost(&store));
    store.append_group(&name("other"), b"goes on")?;
    drop(store);
    let again = Store::open(&directory)?;
    assert_eq!((content(&again)?, n_lost(&again)), (found.clone(), 0));
    Ok((found, n_behind))
}

/// What became of a file, without waiting for ever.
fn outcome_of(directory: &Path) -> Result<Result<(Content, u64), StoreError>, String> {
    let (told, heard) = mpsc::channel();
    let directory = directory.to_owned();
    thread::spawn(move || {
        let tried = panic::catch_unwind(|| try_out(directory));
        // Nobody waits any more when it took too long.
        let _ = told.send(tried.map_err(|_| "it panicked".to_owned()));
    });
    heard.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(format!("it took longer than {PATIENCE:?}")))
}

/// A folder where files cost little.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}

/// Copies what a store has on disk.
fn copy(from: &Path, to: &Path) {
    for file in [FILE_NAME, sequence::FILE_NAME] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

/// Stores that were written to, and every content that they had.
struct Written {
    /// What a process leaves that ended in order, and what a killed one leaves.
    sources: [TempDir; 2],
    contents: Vec<Content>,
}

impl Written {
    fn new() -> Written {
        let (orderly, cut) = (scratch(), scratch());
        let store = Store::open(orderly.path()).unwrap();
        let contents = write(&store);
        copy(orderly.path(), cut.path());
        drop(store);
        Written { sources: [orderly, cut], contents }
    }

    /// What becomes of a damaged copy of a source; an error when it is not what must become of it.
    fn tried(&self, source: &TempDir, damage: impl FnOnce(&mut Vec<u8>)) -> Result<&'static str, String> {
        let dir = scratch();
        copy(source.path(), dir.path());
        let file = dir.path().join(FILE_NAME);
        let mut bytes = fs::read(&file).unwrap();
        let n_before = bytes.len() as u64;
        damage(&mut bytes);
        fs::write(&file, &bytes).unwrap();
        let outcome = outcome_of(dir.path())?;
        let n_after = fs::metadata(&file).unwrap().len();
        if n_after > GROWTH_MAX * n_before {
            return Err(format!("it grew from {n_before} to {n_after} bytes"));
        }
        match outcome {
            Ok((content, n_lost)) => match self.contents.iter().rev().position(|known| *known == content) {
                Some(0) if n_lost == 0 => Ok("whole"),
                Some(n_behind) if n_behind as u64 == n_lost => Ok("older, and it says so"),
                n_behind => Err(format!("{n_behind:?} writes are lost, it says {n_lost}")),
            },
            Err(StoreError::Corrupted { .. }) => Ok("refused"),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// How often what was tried came out how, and what must not have come out.
#[derive(Default)]
struct Tally {
    outcomes: BTreeMap<&'static str, usize>,
    wrong: Vec<String>,
}

impl Tally {
    fn note(&mut self, what: &str, tried: Result<&'static str, String>) {
        let outcome = tried.unwrap_or_else(|how| {
            self.wrong.push(format!("{what}: {how}"));
            "wrong"
        });
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    fn check(self) {
        println!("{:?}", self.outcomes);
        assert!(self.wrong.is_empty(), "{:?}\n{}", self.outcomes, self.wrong.join("\n"));
    }
}

#[test]
fn a_damaged_file_is_opened_whole_or_refused_by_name() {
    let (written, mut tally) = (Written::new(), Tally::default());
    for seed in 0..SEEDS {
        let mut what = String::new();
        let source = &written.sources[(seed % 2) as usize];
        let tried = written.tried(source, |bytes| what = damage(bytes, &mut Dice(seed)));
        tally.note(&format!("seed {seed}: {what}"), tried);
    }
    tally.check();
}

#[test]
fn whichever_bit_of_the_head_is_flipped_nothing_is_lost_unsaid() {
    let (written, mut tally) = (Written::new(), Tally::default());
    for (source, how_it_ended) in written.sources.iter().zip(["in order", "killed"]) {
        for bit in 0..HEAD_BYTES * 8 {
            let tried = written.tried(source, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            tally.note(&format!("{how_it_ended}: bit {} of byte {} flipped", bit % 8, bit / 8), tried);
        }
    }
    tally.check();
}
