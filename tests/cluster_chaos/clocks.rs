//! Clocks that are wrong, or that are set while a node runs. Needs libfaketime; says so and passes where it is not there.

use std::path::{Path, PathBuf};

use enact_lab::{
    Group, Node, eventually, now,
    tally::{note, scale},
    unharmed,
};

/// Where distributions put it.
const LIBRARIES: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// A clock of a node's own, which the test sets: an offset in a file, as `+30s`.
struct OwnClock {
    library: &'static str,
    file: PathBuf,
}

impl OwnClock {
    /// `None`, and a word why, where there is no libfaketime.
    fn new(group: &Group, offset: &str) -> Option<OwnClock> {
        let library = LIBRARIES.into_iter().find(|path| Path::new(path).exists());
        if library.is_none() {
            eprintln!("skipped: clocks that are wrong need libfaketime");
        }
        let clock = OwnClock { library: library?, file: group.path("clock") };
        clock.set(offset);
        Some(clock)
    }

    fn set(&self, offset: &str) {
        // Renamed into place: the node reads it at any moment.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{offset}\n")).expect("the folder is ours");
        std::fs::rename(&new, &self.file).expect("the folder is ours");
    }

    /// Starts a node that lives by it. Only the time of day is false: intervals are what they are.
    fn start(&self, group: &mut Group, name: &str) -> Node {
        let (mut command, address) = group.node(name);
        command.env("LD_PRELOAD", self.library).env("FAKETIME_TIMESTAMP_FILE", &self.file);
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        let log = std::fs::File::options().create(true).append(true).open(group.path(&format!("{name}.log")));
        let log = log.expect("the folder is ours");
        command.stderr(log.try_clone().expect("a file")).stdout(log);
        let child = command.spawn().expect("the binary is there");
        group.adopt(name, address, child)
    }
}

/// What node2 pushes, and what node1 pushes, runs on both.
#[track_caller]
fn both_push(group: &Group, node1: &Node, node2: &Node, round: usize) -> [u128; 2] {
    [(node1, "a"), (node2, "b")].map(|(node, tag)| {
        let begin = now();
        let script = format!("add node1.{tag}{round} : Counter\nadd node2.{tag}{round} : Counter\n");
        group.apply(node, &script).ok();
        group.await_reply(node1, &format!("node2.{tag}{round}.count"), |count| *count == 0);
        group.await_reply(node2, &format!("node1.{tag}{round}.count"), |count| *count == 0);
        begin.elapsed().as_millis()
    })
}

#[test]
fn a_node_whose_clock_is_wrong_pushes_and_is_pushed_to() {
    for offset in ["+30s", "+1h", "-30s", "-1h"] {
        let mut group = Group::new("offset");
        let mut node1 = group.start("node1");
        let Some(clock) = OwnClock::new(&group, offset) else { return };
        group.apply(&node1, "add node1.before : Counter\n").ok();
        let mut node2 = clock.start(&mut group, "node2");
        group.await_in_step(&node1, 2);
        group.await_in_step(&node2, 2);
        let n_rounds = scale(2, 20);
        let took: Vec<[u128; 2]> = (0..n_rounds).map(|round| both_push(&group, &node1, &node2, round)).collect();
        // Told clearly, by the one or by the other, and not again and again.
        let told = |node: &Node| node.log().lines().filter(|line| line.contains("check the clocks")).count();
        eventually("the clock is told", || told(&node1) + told(&node2) > 0, || node1.log() + &node2.log());
        assert!(told(&node1) + told(&node2) < 10, "{}{}", node1.log(), node2.log());
        group.await_in_step(&node1, 2);
        let grown = unharmed(&mut [&mut node1, &mut node2]);
        let most = took.into_iter().flatten().max().unwrap_or_default();
        note(
            &format!("a node whose clock is wrong by {offset}"),
            2 * n_rounds,
            grown,
            format!("pushes from both sides run on both after at most {most} ms; told in the log; nothing lost"),
        );
    }
}

#[test]
fn a_node_whose_clock_is_set_back_or_forth_does_not_lose_what_it_pushes_later() {
    let mut group = Group::new("jump");
    let mut node1 = group.start("node1");
    let Some(clock) = OwnClock::new(&group, "+0") else { return };
    let mut node2 = clock.start(&mut group, "node2");
    group.await_in_step(&node1, 2);
    group.apply(&node2, "add node2.counter : Counter\n").ok();
    let jumps = ["-1h", "+30s", "-30s", "+1h", "+0"];
    let n_jumps = scale(5, 50);
    for n in 0..n_jumps {
        clock.set(jumps[n % jumps.len()]);
        let every = (n + 2).to_string();
        group.apply(&node2, &format!("set node2.counter.every = '{every}'\n")).ok();
        for node in [&node1, &node2] {
            let shown = || {
                let model = group.at(node, &["get", "-o", "json"]).ok().json();
                model["model"]["nodes"]["node2"]["components"]["counter"]["dictionary"]["every"] == every.as_str()
            };
            eventually("the later push shows", shown, || node.log());
        }
        if n == n_jumps / 2 {
            node2.kill();
            node2 = clock.start(&mut group, "node2");
            group.await_in_step(&node1, 2);
        }
    }
    group.await_in_step(&node1, 2);
    group.await_in_step(&node2, 2);
    let grown = unharmed(&mut [&mut node1, &mut node2]);
    note(
        "a clock that is set by up to an hour while its node pushes",
        n_jumps,
        grown,
        "each push shows on both; nothing lost",
    );
}

#[test]
fn what_moves_from_a_node_whose_clock_is_ahead_keeps_what_it_did_since() {
    let mut group = Group::new("ahead");
    let mut node1 = group.start("node1");
    let Some(clock) = OwnClock::new(&group, "+1h") else { return };
    let mut node2 = clock.start(&mut group, "node2");
    group.await_in_step(&node1, 2);
    group.apply(&node1, "add node2.counter : Counter\n").ok();
    let count = |group: &Group, node: &Node, path: &str, n: i64| {
        group.send(node, &format!("{path}.input"), "1");
        group.await_reply(node, &format!("{path}.count"), |count| *count == n);
    };
    count(&group, &node1, "node2.counter", 1);
    group.apply(&node1, "move node2.counter node1\n").ok();
    count(&group, &node1, "node1.counter", 2);
    // It keeps its state, and asks node2 for what that has when it starts.
    assert_eq!(node1.terminate(), Some(0), "{}", node1.log());
    node1 = group.start("node1");
    count(&group, &node1, "node1.counter", 3);
    group.apply(&node1, "move node1.counter node2\n").ok();
    count(&group, &node1, "node2.counter", 4);
    let grown = unharmed(&mut [&mut node1, &mut node2]);
    note("moves between clocks that are an hour apart", 2, grown, "no state goes back");
}
