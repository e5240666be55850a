//! Strangers that send what is no frame: to the port of the engine, and through the engine to the keys of a node.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use zenoh::{Session, Wait, qos::CongestionControl};

use crate::{TICKS, counters, nothing_is_lost};
use enact_lab::{
    Group, Node, eventually,
    tally::{Held, note, scale},
    unharmed,
};

/// Garbage is told, but not again and again.
const TOLD_MAX: usize = 20;

/// Frames on one connection, before a stranger opens the next one.
const FRAMES_PER_CONNECTION: usize = 100;

#[test]
fn garbage_is_refused_counted_and_told_and_costs_nothing() {
    let mut group = Group::new("garbage");
    let mut node1 = group.start("node1");
    let mut node2 = group.start("node2");
    group.await_in_step(&node1, 2);
    group.apply(&node1, &format!("{TICKS}{}", counters(&["node2"]))).ok();
    let before = Held::by(node1.child.id());

    let n_frames = scale(4_000, 100_000);
    let mut noise = Noise(7);
    let mut n_written = 0;
    for _ in 0..n_frames / 2 {
        if n_written < n_frames / 2 {
            n_written += shout(&node1, &mut noise);
        }
    }
    assert!(n_written >= n_frames / 2, "only {n_written} frames could be written");
    let session = stranger(&node1);
    let inbox = inbox(&session, &node1.name);
    let publisher =
        session.declare_publisher(inbox).congestion_control(CongestionControl::Block).wait().expect("a key");
    for n in 0..n_frames / 2 {
        publisher.put(noise.frame(n)).wait().expect("the session is open");
    }
    let key =
        |noise: &mut Noise| format!("enact/1/{}/alive/{:x}/{:x}/king/0", group.name(), noise.next(), noise.next());
    let tokens: Vec<_> = (0..n_frames / 100)
        .map(|_| session.liveliness().declare_token(key(&mut noise)).wait().expect("a key"))
        .collect();
    group.apply(&node1, "add node1.amid : Counter\n").ok();
    assert_eq!(group.ask(&node2, "node1.amid.count"), 0);
    drop(tokens);
    publisher.undeclare().wait().expect("the session is open");
    session.close().wait().expect("it closes");

    let findings = group.at(&node1, &["doctor", "-o", "json"]).json();
    let items = findings["items"].as_array().into_iter().flatten();
    let found = items.filter_map(|finding| finding["found"].as_str()?.strip_suffix(" refused")?.parse::<usize>().ok());
    let n_refused = found.sum::<usize>();
    assert!(n_refused >= n_frames / 2, "garbage that came through the engine is counted: {findings:#}");
    let log = node1.log();
    let n_told = log.lines().filter(|line| line.contains("\"refused\"")).count();
    assert!((1..=TOLD_MAX).contains(&n_told), "told {n_told} times");
    assert!(log.lines().count() < 1000, "the log is not flooded: {} lines", log.lines().count());
    let after = settled(&node1, before);
    let n_messages = nothing_is_lost(&group, &node1, &["node2"]);
    group.await_in_step(&node2, 2);
    let grown = unharmed(&mut [&mut node1, &mut node2]);
    note(
        "garbage frames to the engine's port and to a node's key",
        n_frames,
        grown,
        format!(
            "{n_refused} counted, told {n_told} times; threads {} → {}, files {} → {}; {n_messages} messages and a change \
             meanwhile, none lost",
            before.n_threads, after.n_threads, before.n_files, after.n_files
        ),
    );
}

/// Waits until threads and files are back, and gives what is held then.
#[track_caller]
pub(crate) fn settled(node: &Node, before: Held) -> Held {
    let mut after = before;
    let back = || {
        after = Held::by(node.child.id());
        after.n_threads <= before.n_threads + 2 && after.n_files <= before.n_files + 4
    };
    eventually("threads and files are back", back, || format!("{before:?}, {:?}", Held::by(node.child.id())));
    after
}

/// The port of a node's engine.
pub(crate) fn connect(address: &str) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address.trim_start_matches("tcp/"))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

/// Frames of garbage over a connection of their own, as the transport frames them: a length of two bytes, and so many bytes. Gives how
/// many were written.
fn shout(node: &Node, noise: &mut Noise) -> usize {
    let mut stream = connect(&node.address).expect("the node listens");
    for n in 0..FRAMES_PER_CONNECTION {
        let mut frame = noise.frame(n);
        frame.truncate(4096);
        let length = u16::try_from(frame.len()).expect("a short one") | if n % 7 == 6 { 0xff00 } else { 0 };
        if stream.write_all(&length.to_le_bytes()).and_then(|()| stream.write_all(&frame)).is_err() {
            return n; // shown the door: that is its right
        }
    }
    let _ = stream.read(&mut [0; 16]);
    FRAMES_PER_CONNECTION
}

/// A process that is no node, connected to a node's engine.
fn stranger(node: &Node) -> Session {
    let mut config = zenoh::Config::default();
    let to = format!("[\"{}\"]", node.address);
    for (key, value) in
        [("connect/endpoints", to.as_str()), ("listen/endpoints", "[]"), ("scouting/multicast/enabled", "false")]
    {
        config.insert_json5(key, value).expect("a known key");
    }
    zenoh::open(config).wait().expect("the node listens")
}

/// Where a node takes its frames, as its sign of life tells.
fn inbox(session: &Session, name: &str) -> String {
    let mut found = None;
    let look = || {
        let tokens = session.liveliness().get(format!("enact/*/*/alive/{name}/**")).wait().expect("a key");
        found = tokens.recv().ok().and_then(|reply| Some(reply.result().ok()?.key_expr().to_string()));
        found.is_some()
    };
    eventually("the node is seen", look, String::new);
    let token = found.expect("it was found");
    let parts: Vec<&str> = token.split('/').collect();
    let [enact, protocol, group, _, name, incarnation, _, session] = parts[..] else { panic!("no token: {token}") };
    [enact, protocol, group, "in", name, incarnation, session].join("/")
}

/// Bytes that look random, the same each time (splitmix64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(n).collect()
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// Nothing but noise, a head with a wrong beginning, a head cut short, a greeting whose lengths are huge, data for a link
    /// that is not the sender's, a goodbye of nobody, or far too much.
    fn frame(&mut self, n: usize) -> Vec<u8> {
        let noise_len = self.below(200);
        match n % 7 {
            0 => self.bytes(noise_len),
            1 => [self.head(0, 0xEA, 9), self.bytes(noise_len)].concat(),
            2 => {
                let len = self.below(64);
                self.head(0, 0xEA, 1)[..len].to_vec()
            }
            3 => {
                let lengths = [0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
                [self.head((n / 7 % 3) as u8, 0xEA, 1), lengths.repeat(3), self.bytes(noise_len)].concat()
            }
            4 => [self.head((n / 7 % 14) as u8, 0xEA, 1), self.bytes(noise_len)].concat(),
            5 => [self.head(2, 0xEA, 1), vec![200], self.bytes(200)].concat(),
            _ => [self.head(4, 0xEA, 1), vec![0xff; 61_000]].concat(),
        }
    }

    /// A head of a kind, to one of the first links of a node, from a link that nobody has.
    fn head(&mut self, kind: u8, magic: u8, layout: u8) -> Vec<u8> {
        let mut head = vec![magic, layout, kind, 0, 0, 0, 0, 0];
        head.extend_from_slice(&self.next().to_le_bytes());
        head.extend_from_slice(&(self.below(8) as u64).to_le_bytes());
        head.extend(self.bytes(40));
        head
    }
}
