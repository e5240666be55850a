//! Disks that are full, read-only or broken: said clearly, and nothing that was acknowledged is lost.

use std::{fs, io::Write, path::PathBuf, process::Command};

use enact_lab::{
    Dice, Group, Node, eventually, node_status,
    tally::{Grown, note},
    unharmed,
};

/// A small disk of its own, at the place of a node's data. Unmounted when dropped.
struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts one; `None`, and a word why, where that is not possible.
    fn mount(path: PathBuf, size: &str) -> Option<SmallDisk> {
        fs::create_dir_all(&path).expect("the folder is ours");
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        if !is_mounted {
            eprintln!("skipped: a small disk needs root and mount");
        }
        is_mounted.then_some(SmallDisk { path })
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = fs::File::options().create(true).append(true).open(self.filler()).expect("the disk is ours");
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
    }

    /// Makes room again.
    fn empty(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }

    fn make_read_only(&self) {
        let mut mount = Command::new("mount");
        let remounted = mount.args(["-o", "remount,ro"]).arg(&self.path).status();
        assert!(remounted.is_ok_and(|status| status.success()), "it was mounted by us");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// Pushes ever more at a node until one push is refused; gives what was acknowledged, and the refusal.
fn push_until_refused(group: &Group, node: &Node) -> (Vec<String>, enact_lab::Done) {
    let mut acknowledged = Vec::new();
    for n in 0..200 {
        let name = format!("f{n}");
        let note = "x".repeat(20_000);
        let script = format!("add node2.{name} : Faulty\nset node2.{name}.note = '{note}'\n");
        let done = group.apply(node, &script);
        if done.code != 0 {
            return (acknowledged, done);
        }
        acknowledged.push(name);
    }
    panic!("the disk is never full")
}

fn has(group: &Group, node: &Node, component: &str) -> bool {
    let status = group.status(node);
    let instances = node_status(&status, "node2")["instances"].as_array().cloned().unwrap_or_default();
    instances.iter().any(|instance| instance["name"] == component && instance["state"] == "started")
}

#[test]
fn a_full_disk_refuses_what_it_cannot_keep_and_the_node_goes_on() {
    let mut group = Group::new("full");
    let Some(disk) = SmallDisk::mount(group.path("node2"), "4m") else { return };
    let mut node1 = group.start("node1");
    let mut node2 = group.start("node2");
    group.apply(&node1, "add node2.counter : Counter\n").ok();
    disk.fill();

    let (acknowledged, refusal) = push_until_refused(&group, &node2);
    refusal.said(&["could not be stored", "the disk of", "is full", "make room"]);
    let refused = format!("f{}", acknowledged.len());
    assert!(
        !group.at(&node1, &["get", "-o", "kevs"]).ok().stdout.contains(&format!("node2.{refused} ")),
        "not anywhere"
    );
    assert_eq!(group.ask(&node1, "node2.counter.count"), 0, "it goes on");

    // What others keep, it runs all the same.
    group.apply(&node1, "add node2.late : Counter\n").ok();
    assert_eq!(group.ask(&node2, "node2.late.count"), 0);

    disk.empty();
    eventually("there is room", || node2.log().contains("room on the disk again"), || node2.log());
    group.apply(&node2, "add node2.more : Counter\n").ok();
    group.await_in_step(&node1, 2);
    let grown = unharmed(&mut [&mut node1, &mut node2]);

    // Alone after a crash of both, it knows all that was acknowledged, by itself or by others.
    node2.kill();
    drop(node1);
    let node2 = group.start("node2");
    for name in acknowledged.iter().map(String::as_str).chain(["counter", "late", "more"]) {
        assert!(has(&group, &node2, name), "{name} is lost: {}", node2.log());
    }
    assert!(!has(&group, &node2, &refused));
    note("a disk that is full", 1, grown, "pushes are refused; it goes on, and keeps all when there is room");
}

#[test]
fn a_component_whose_state_cannot_be_kept_moves_when_there_is_room() {
    let mut group = Group::new("full-move");
    let Some(disk) = SmallDisk::mount(group.path("node2"), "4m") else { return };
    let mut node1 = group.start("node1");
    let mut node2 = group.start("node2");
    group.apply(&node1, "add node2.counter : Counter\n").ok();
    group.at(&node2, &["send", "node2.counter.input", "7"]).ok();
    disk.fill();
    push_until_refused(&group, &node2);
    group.at(&node1, &["apply", "-e", "move node2.counter node1", "--yes", "--no-wait"]).ok();
    disk.empty();
    group.await_reply(&node1, "node1.counter.count", |count| *count == 1);
    group.await_in_step(&node1, 2);
    let grown = unharmed(&mut [&mut node1, &mut node2]);
    note("a component whose state cannot be kept", 1, grown, "it moves when there is room");
}

#[test]
fn a_disk_that_is_full_or_read_only_at_the_start_is_named() {
    let mut group = Group::new("full-start");
    let Some(disk) = SmallDisk::mount(group.path("node1"), "1m") else { return };
    disk.fill();
    let mut node = group.spawn("node1", &[]);
    assert_eq!(node.wait(), Some(1), "{}", node.log());
    assert!(node.log().contains("is full") && node.log().contains("help: make room"), "{}", node.log());
    disk.empty();
    let grown = unharmed(&mut [&mut group.start("node1")]);
    disk.make_read_only();
    let mut node = group.spawn("node1", &[]);
    assert_eq!(node.wait(), Some(1), "{}", node.log());
    assert!(node.log().contains("Read-only file system"), "{}", node.log());
    assert!(!node.log().contains("panicked"), "{}", node.log());
    note("a disk that is full or read-only at the start", 2, grown, "it is named");
}

/// What is set aside in a node's data.
fn set_aside(group: &Group, node: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(group.path(node)).expect("its data").map(|entry| entry.expect("a file").path());
    entries.filter(|path| path.to_string_lossy().contains(".damaged-")).collect()
}

#[test]
fn a_node_with_damaged_data_says_so_and_takes_the_model_from_its_group() {
    // It is killed again and again, which is no fault of the revision.
    let mut group = Group::new("damaged").with("ENACT_LIMITS_PROBATION", "0s");
    let mut node1 = group.start("node1");
    let mut node2 = group.start("node2");
    group.apply(&node1, "add node2.counter : Counter\nadd node1.counter : Counter\n").ok();
    let revision = group.revision(&node1);
    let file = group.path("node2").join("enact.redb");
    let n_rounds = 6;
    let mut grown = Grown::default();
    for seed in 0..n_rounds {
        let mut dice = Dice::of(seed);
        node2.kill();
        let n_aside = set_aside(&group, "node2").len();
        let n_told = node2.log().matches("the data is damaged").count();
        let mut bytes = fs::read(&file).expect("its data");
        let place = dice.below(bytes.len() as u64) as usize;
        match dice.below(3) {
            0 => bytes.truncate(place),
            1 => bytes[place] ^= 1 << dice.below(8),
            _ => bytes[place / 4096 * 4096..].iter_mut().take(4096).for_each(|byte| *byte = dice.roll() as u8),
        }
        fs::write(&file, &bytes).expect("its data");
        node2 = group.start("node2");
        group.await_in_step(&node1, 2);
        assert_eq!(group.ask(&node1, "node2.counter.count"), 0);
        assert_eq!(group.revision(&node2), revision, "seed {seed}: nothing is lost or made up");
        if set_aside(&group, "node2").len() > n_aside {
            assert!(node2.log().matches("the data is damaged").count() > n_told, "{}", node2.log());
        }
        grown = grown.max(unharmed(&mut [&mut node1, &mut node2]));
    }
    assert!(!set_aside(&group, "node2").is_empty(), "none of the damages was found");
    note(
        "data that is damaged",
        n_rounds as usize,
        grown,
        "told, and set aside where need be; the model comes from the group",
    );
}

#[test]
fn a_node_alone_with_damaged_data_starts_empty_and_says_so() {
    let mut group = Group::new("damaged-alone");
    let mut node = group.start("node1");
    group.apply(&node, "add node1.counter : Counter\n").ok();
    node.kill();
    let file = group.path("node1").join("enact.redb");
    let mut bytes = fs::read(&file).expect("its data");
    bytes.iter_mut().skip(64).for_each(|byte| *byte ^= 0x55);
    fs::write(&file, &bytes).expect("its data");
    let mut node = group.start("node1");
    assert!(node.log().contains("the data is damaged and was set aside"), "{}", node.log());
    let aside = set_aside(&group, "node1");
    assert_eq!(fs::read(&aside[0]).expect("it is kept"), bytes);
    assert_eq!(node_status(&group.status(&node), "node1")["instances"].as_array().map(Vec::len), Some(0));
    let grown = unharmed(&mut [&mut node]);
    note("data that is damaged, of a node alone", 1, grown, "told, and set aside");
}
