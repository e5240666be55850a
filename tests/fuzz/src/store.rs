//! The store: a file that something else has written to is opened or refused, and what is read from it is what was kept, or an error.
//!
//! The bytes say where a good file is damaged: cut to a length, or changed at places, often in its head.

use std::{fs, path::PathBuf, sync::LazyLock};

use enact::{
    io::store::{FILE_NAME, Store},
    words::{GroupName, Time},
};
use tempfile::TempDir;

/// A good file.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = scratch();
    let store = Store::open(dir.path()).expect("a scratch folder can be written");
    store.take_up(&"n1".parse().expect("a good name"), Time(1)).expect("a new store takes a name");
    for record in RECORDS {
        store.append_group(&group(), record).expect("a new store takes a record");
    }
    let path: PathBuf = store.path().expect("the store is a file").to_owned();
    drop(store);
    fs::read(path).expect("the file is there")
});

/// Magic number, flags, sizes and numbers of the file's parts: what redb keeps no sum of.
const HEAD_BYTES: usize = 64;

/// Of 256 changes this many are aimed at the head.
const AIMED: u8 = 64;

const RECORDS: [&[u8]; 3] = [b"the first record of a group", &[7; 5000], b""];

fn group() -> GroupName {
    "sync".parse().expect("a good name")
}

/// Where files cost little.
fn scratch() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.expect("a scratch folder can be made")
}

/// Damages a good file as the bytes say, opens it and reads everything.
pub fn run(data: &[u8]) {
    let mut file = GOOD.clone();
    for change in data.chunks_exact(5) {
        let place = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize;
        match change[3] {
            0 => file.truncate(place),
            how => {
                let at = place % if how < AIMED { HEAD_BYTES } else { file.len().max(1) };
                if let Some(byte) = file.get_mut(at) {
                    *byte ^= change[4];
                }
            }
        }
    }
    let dir = scratch();
    fs::write(dir.path().join(FILE_NAME), &file).expect("the scratch folder can be written");
    let Ok(store) = Store::open(dir.path()) else { return };
    if let Ok(records) = store.load_group(&group()) {
        // A file may have lost its newest transactions, or everything; it never makes something up.
        let kept: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        assert!(RECORDS.starts_with(&kept), "{kept:?} was never kept");
    }
    let _ = (store.identity(), store.good(), store.states(), store.under_way());
    let _ = store.append_group(&group(), b"one more");
}

/// The number of pages in a region, a million, made two, in a file that seems not to have been closed. The places are bytes of the head.
const REGIONS_OF_TWO_PAGES: [u8; 15] = [9, 0, 0, 1, 2, 22, 0, 0, 1, 0x10, 20, 0, 0, 1, 2];

/// No damage, a cut, a flip, sizes of parts that make no sense.
pub fn seeds() -> Vec<Vec<u8>> {
    vec![
        vec![],
        vec![0, 16, 0, 0, 0],
        vec![80, 0, 0, 255, 1],
        vec![0, 32, 0, 255, 255, 0, 64, 0, 255, 255],
        REGIONS_OF_TWO_PAGES.to_vec(),
    ]
}
