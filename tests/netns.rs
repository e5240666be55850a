//! Two machines as two network namespaces with a cable between them: nodes find each other by multicast and by `--join`, and a
//! cable that is pulled for a while loses nothing between two that live on. Needs root and iproute2; says so and passes where
//! it cannot run.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use bytes::Bytes;
use enact::{
    io::{
        clock,
        engine::{self, Config, Lane, Peer, PeerEvent, Role, Router},
    },
    words::NodeName,
};
use lab::Lab;

#[path = "support/lab.rs"]
mod lab;

/// Finding each other again after a cut takes zenoh several seconds; a busy machine more.
const LIMIT: Duration = Duration::from_secs(60);
/// Set for the process that plays a node; its value is the node's name and configuration.
const HELPER: &str = "ENACT_NETNS_NODE";

fn start(lab: &Lab, side: usize, config: &Config) -> Node {
    let name = ["left", "right"][side];
    let listen = vec![format!("{}:7450", Lab::address(side))];
    let config = Config { listen, insecure: true, group: "lab".into(), ..config.clone() };
    let mut child = lab
        .command(side, std::env::current_exe().unwrap())
        .args(["--exact", "plays_a_node_when_told_to", "--nocapture"])
        .env(HELPER, serde_json::to_string(&(name, config)).unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (sender, lines) = channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    Node { name, orders: child.stdin.take().unwrap(), child, lines, got: HashMap::new() }
}

/// A node in its own process.
struct Node {
    name: &'static str,
    child: Child,
    orders: ChildStdin,
    lines: Receiver<String>,
    got: HashMap<String, u64>,
}

impl Node {
    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// Reads what the node says until `until` is content with what it said last of everything.
    fn read(&mut self, what: &str, until: impl Fn(&HashMap<String, u64>) -> bool) {
        let start = clock::Stopwatch::start();
        while !until(&self.got) {
            match self.lines.recv_timeout(LIMIT.saturating_sub(start.elapsed())) {
                Ok(line) => {
                    if let Some((word, number)) = line.split_once('=') {
                        self.got.insert(word.to_owned(), number.parse().unwrap());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{}: {what} does not happen; it said {:?}", self.name, self.got)
                }
                Err(RecvTimeoutError::Disconnected) => panic!("{} ended; it said {:?}", self.name, self.got),
            }
        }
    }

    fn number(&self, word: &str) -> u64 {
        self.got.get(word).copied().unwrap_or(0)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn meet(nodes: &mut [Node; 2]) {
    for node in nodes {
        node.read("finding the other", |got| got.get("up") == Some(&1));
    }
}

#[test]
fn two_machines_find_each_other_by_multicast_and_by_join() {
    let Some(lab) = Lab::build("f") else { return };
    let mut nodes = [start(&lab, 0, &Config::default()), start(&lab, 1, &Config::default())];
    meet(&mut nodes);
    drop(nodes);
    let silent = Config { multicast: false, ..Config::default() };
    let join = Config { join: vec![format!("{}:7450", Lab::address(0))], ..silent.clone() };
    let mut nodes = [start(&lab, 0, &silent), start(&lab, 1, &join)];
    meet(&mut nodes);
}

#[test]
fn a_cut_and_a_heal_lose_nothing_between_two_that_live_on() {
    cut_and_heal("c", &Config::default(), &Config::default());
}

#[test]
fn the_same_holds_for_nodes_that_know_each_other_by_join_alone() {
    let silent = Config { multicast: false, ..Config::default() };
    let join = Config { join: vec![format!("{}:7450", Lab::address(0))], ..silent.clone() };
    cut_and_heal("j", &silent, &join);
}

fn cut_and_heal(test: &str, left: &Config, right: &Config) {
    let Some(lab) = Lab::build(test) else { return };
    let mut nodes = [start(&lab, 0, left), start(&lab, 1, right)];
    meet(&mut nodes);
    nodes.iter_mut().for_each(|node| node.order("send"));
    for node in &mut nodes {
        node.read("the first messages", |got| got.get("got").is_some_and(|n| *n >= 100));
    }
    lab.cable("down");
    for node in &mut nodes {
        node.read("noticing the cut", |got| got.get("up") == Some(&0));
    }
    // The cable stays out for a while after both have noticed.
    thread::sleep(Duration::from_secs(2));
    lab.cable("up");
    meet(&mut nodes);
    for node in &mut nodes {
        let before = node.number("got");
        node.read("messages after the heal", |got| got.get("got").is_some_and(|n| *n > before + 100));
    }
    for idx in 0..2 {
        nodes[idx].order("stop");
        nodes[idx].read("the end of sending", |got| got.contains_key("accepted"));
        let accepted = nodes[idx].number("accepted");
        let other = &mut nodes[1 - idx];
        other.read("the last message", |got| got.get("got") == Some(&accepted));
        assert_eq!((other.number("disorder"), other.number("lost")), (0, 0), "{}", other.name);
    }
    assert!(nodes.iter().any(|node| node.number("resent") > 0), "the cut was felt");
}

/// No test of its own: the body of the processes that the tests above start.
#[test]
fn plays_a_node_when_told_to() {
    let Ok(told) = std::env::var(HELPER) else { return };
    let (name, config): (NodeName, Config) = serde_json::from_str(&told).unwrap();
    let other = if name.as_str() == "left" { "right" } else { "left" };
    let me = Peer { name, incarnation: clock::now().micros(), role: Role::Node };
    let router = engine::start(&config, me).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.spawn(say_who_is_up(router.clone()));
    runtime.spawn(count(router.clone()));
    let (orders, mut order) = tokio::sync::watch::channel(String::new());
    thread::spawn(move || std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| orders.send(line)));
    runtime.block_on(async {
        while order.wait_for(|order| order == "send").await.is_ok() {
            let accepted = send_until_stopped(&router, &other.parse().unwrap(), &order).await;
            println!("resent={}", router.stats().peers.iter().map(|peer| peer.resent_frames).sum::<u64>());
            println!("accepted={accepted}");
        }
    });
}

async fn say_who_is_up(router: Router) {
    let mut events = router.watch();
    loop {
        println!("up={}", router.peers().len());
        match events.recv().await {
            Ok(PeerEvent::Lost { n_messages, .. }) => println!("lost={n_messages}"),
            Ok(_) => {}
            Err(_) => return,
        }
    }
}

async fn count(router: Router) {
    let mut inbox = router.serve("numbers");
    let mut expected = 0u64;
    while let Some(message) = inbox.recv().await {
        if message.body[..8] != expected.to_le_bytes() {
            println!("disorder=1");
        }
        expected += 1;
        println!("got={expected}");
    }
}

/// Sends a message of 10 kB every few milliseconds; gives how many were accepted.
async fn send_until_stopped(router: &Router, to: &NodeName, order: &tokio::sync::watch::Receiver<String>) -> u64 {
    let mut accepted = 0u64;
    while *order.borrow() == "send" {
        let mut body = accepted.to_le_bytes().to_vec();
        body.resize(10_000, 0);
        accepted += u64::from(router.tell(to, "numbers", Lane::Bulk, Bytes::from(body)).is_ok());
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    accepted
}
