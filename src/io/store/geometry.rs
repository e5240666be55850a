//! How large the parts of the file are. redb writes it once, when it makes the file, and believes it ever after: a file that says
//! something else makes it panic. Such a file is refused before redb sees it.
//!
//! How many of the parts there are changes as the file grows, and may be torn by a crash: that is left to redb, which then goes by
//! the length of the file.

use std::{
    fs::{File, TryLockError},
    io::ErrorKind,
    os::unix::fs::FileExt,
    path::Path,
};

use super::error::Fault;

/// What a file of redb begins with. It is written after everything else of a new file is safe: without it the numbers say nothing.
const MAGIC: [u8; 9] = *b"redb\x1a\n\xa9\r\n";

/// Magic number, flags, and all the numbers that are [`FIXED`].
const HEAD_BYTES: usize = 24;

/// Where a number is, what redb's builder writes there (nobody can tell it otherwise), and what it counts.
const FIXED: [(usize, u32, &str); 3] = [
    (12, 4096, "bytes in a page"),
    // Where older formats kept what is free.
    (16, 0, "pages before each region"),
    // 4 GiB: what a page's number has room for.
    (20, 1 << 20, "pages in a region"),
];

/// Refuses a file whose parts are not as large as they were made. One that is not there yet, or too short, or not redb's, is left to
/// redb, which makes it, or refuses it by the first thing it reads.
pub(super) fn check(path: &Path) -> Result<(), Fault> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let mut head = [0; HEAD_BYTES];
    match file.read_exact_at(&mut head, 0) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
        read => read?,
    }
    match damage_of(&head) {
        // Of a file in use redb says that it is in use, and nobody sets it aside.
        Some(_) if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) => Ok(()),
        Some(why) => Err(Fault::Damaged(why)),
        None => Ok(()),
    }
}

/// What is wrong with the head of a file.
fn damage_of(head: &[u8; HEAD_BYTES]) -> Option<String> {
    if !head.starts_with(&MAGIC) {
        return None;
    }
    FIXED.iter().find_map(|&(at, written, what)| {
        let found = u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes within the head"));
        (found != written).then(|| format!("its head says {found} {what}, {written} were written"))
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::FileExt};

    use tempfile::TempDir;

    use super::*;
    use crate::{
        io::store::{Damage, FILE_NAME, Store, StoreError},
        model::testing::name,
        words::{GroupName, Time},
    };

    fn set(path: &Path, at: usize, number: u32) {
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(&number.to_le_bytes(), at as u64).unwrap();
    }

    #[test]
    fn a_file_whose_parts_have_another_size_is_named_and_set_aside() {
        for (at, written, what) in FIXED {
            let others = [0, 1, 2, 67, 4095, 8192, 1 << 16, (1 << 20) - 1, 1 << 21, u32::MAX];
            for number in others.into_iter().filter(|number| *number != written) {
                let dir = TempDir::new().unwrap();
                let file = dir.path().join(FILE_NAME);
                drop(Store::open(dir.path()).unwrap());
                set(&file, at, number);
                let error = Store::open(dir.path()).unwrap_err();
                assert!(matches!(error, StoreError::Corrupted { .. }), "{error:?}");
                assert!(error.to_string().contains(&format!("{number} {what}")), "{error}");
                let store = Store::open_or_set_aside(dir.path(), Time(7)).unwrap();
                assert!(matches!(store.damage(), Some(Damage::SetAside { .. })), "{:?}", store.damage());
            }
        }
    }

    #[test]
    fn a_damaged_file_that_is_in_use_is_not_set_aside() {
        let dir = TempDir::new().unwrap();
        let store = Store::open(dir.path()).unwrap();
        set(store.path().unwrap(), 20, 1);
        let error = Store::open_or_set_aside(dir.path(), Time(7)).unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{error:?}");
    }

    #[test]
    fn a_store_that_grows_and_shrinks_keeps_the_size_of_its_parts_whenever_it_ends() {
        let group: GroupName = name("sync");
        let dir = TempDir::new().unwrap();
        let mut lengths = Vec::new();
        for round in 0..16 {
            let store = Store::open(dir.path()).unwrap();
            let record = vec![round; 1 << (8 + round)];
            match round % 6 {
                5 => store.forget_group(&group).unwrap(),
                _ => store.append_group(&group, &record).unwrap(),
            }
            let held = store.load_group(&group).unwrap();
            lengths.push(fs::metadata(store.path().unwrap()).unwrap().len());
            // What a crash now would leave.
            let copy = TempDir::new().unwrap();
            fs::copy(store.path().unwrap(), copy.path().join(FILE_NAME)).unwrap();
            assert_eq!(Store::open(copy.path()).unwrap().load_group(&group).unwrap(), held);
        }
        let (least, most) = (lengths.iter().min().unwrap(), lengths.iter().max().unwrap());
        assert!(most / least > 10 && !lengths.is_sorted(), "it grew and shrank: {lengths:?}");
    }
}
