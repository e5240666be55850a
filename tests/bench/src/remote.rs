//! Messages between two processes on this machine: from an actor to an actor, through the router.

use std::time::Duration;

use ::actix::System;
use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use enact::{
    io::{
        clock::{self, Stopwatch},
        engine::{self, Config, Inbox, Lane, Peer, Role, Router, SendError, ServiceId, codec},
    },
    words::NodeName,
};
use futures_util::{StreamExt, stream::FuturesUnordered};
use serde::{Deserialize, Serialize, Serializer};

use crate::{
    child::Process,
    draft::Draft,
    host::{self, Host},
    peers::{erlang, tcp},
    rows::{Contestant, Measurement, OURS, Reach, Row, Sample},
    stage,
};

const SINK: ServiceId = ServiceId::of("sink");
const ECHO: ServiceId = ServiceId::of("echo");
const DONE: ServiceId = ServiceId::of("done");

/// How long the two may take to find each other, and a question to be answered.
const PATIENCE: Duration = Duration::from_secs(20);

/// Messages that a receiver takes at once.
const BATCH: usize = 256;

/// What a message takes beside its body: its number and its length.
const HEAD: usize = 8;

macro_rules! telling {
    ($bytes:literal) => {
        &[
            Contestant { name: OURS, sample: |n| tell(n, $bytes) },
            Contestant { name: "tcp", sample: |n| tcp::tell(n, $bytes) },
            Contestant { name: "erlang", sample: |n| erlang::tell(n, $bytes) },
        ]
    };
}

macro_rules! asking {
    ($in_flight:literal) => {
        &[
            Contestant { name: OURS, sample: |n| ask(n, $in_flight) },
            Contestant { name: "tcp", sample: |n| tcp::ask(n, $in_flight) },
            Contestant { name: "erlang", sample: |n| erlang::ask(n, $in_flight) },
        ]
    };
}

static SMALL: Measurement =
    Measurement { name: "remote-tell-32", size: 2_000_000, quick: 500_000, contestants: telling!(32) };
static LARGE: Measurement =
    Measurement { name: "remote-tell-1k", size: 400_000, quick: 100_000, contestants: telling!(1024) };
static CHANNEL: Measurement = Measurement {
    name: "remote-channel-32",
    size: 500_000,
    quick: 200_000,
    contestants: &[Contestant { name: OURS, sample: channel }],
};
static ONE: Measurement = Measurement { name: "remote-ask-1", size: 5_000, quick: 1_000, contestants: asking!(1) };
static SOME: Measurement =
    Measurement { name: "remote-ask-64", size: 128_000, quick: 32_000, contestants: asking!(64) };
static MANY: Measurement =
    Measurement { name: "remote-ask-512", size: 256_000, quick: 64_000, contestants: asking!(512) };

pub(crate) static ROWS: &[Row] = &[
    Row {
        name: "remote-tell-32",
        what: "actor to actor in another process, 32 bytes, encoded and decoded, in order, none lost",
        measurement: &SMALL,
        figure: "rate",
        unit: "M msg/s",
        reach: Reach::AtLeast(5.0),
        ratios: &[("erlang", 5.0)],
    },
    Row {
        name: "remote-tell-1k",
        what: "the same with 1 KiB",
        measurement: &LARGE,
        figure: "rate",
        unit: "M msg/s",
        reach: Reach::AtLeast(1.2),
        ratios: &[],
    },
    Row {
        name: "remote-channel-32",
        what: "component → channel → component on another node, 32 bytes",
        measurement: &CHANNEL,
        figure: "rate",
        unit: "M msg/s",
        reach: Reach::More,
        ratios: &[],
    },
    Row {
        name: "remote-ask-1",
        what: "a question and its answer, one at a time: the median",
        measurement: &ONE,
        figure: "p50",
        unit: "us",
        reach: Reach::AtMost(350.0),
        ratios: &[],
    },
    Row {
        name: "remote-ask-64",
        what: "questions answered with 64 in flight",
        measurement: &SOME,
        figure: "rate",
        unit: "k/s",
        reach: Reach::AtLeast(170.0),
        ratios: &[],
    },
    Row {
        name: "remote-ask-512",
        what: "questions answered with 512 in flight",
        measurement: &MANY,
        figure: "rate",
        unit: "k/s",
        reach: Reach::AtLeast(450.0),
        ratios: &[],
    },
];

/// What is sent: with its number and its body about as long as the row says.
#[derive(Serialize, Deserialize)]
struct Letter<'a> {
    number: u64,
    #[serde(borrow, serialize_with = "whole")]
    body: &'a [u8],
}

/// Writes bytes as one piece: serde would take a slice for a list of numbers.
fn whole<S: Serializer>(bytes: &&[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// What a sample of tells comes to.
pub(crate) fn told(n: u64, counted: u64, watch: Stopwatch) -> Result<Sample> {
    let elapsed = watch.elapsed();
    ensure!(counted == n, "{counted} of {n} messages arrived");
    Ok(Sample::from([("rate", n as f64 / elapsed.as_secs_f64() / 1e6), ("lost", 0.0)]))
}

/// How long answers took.
pub(crate) struct Latencies {
    watch: Stopwatch,
    micros: Vec<f64>,
}

impl Latencies {
    /// None yet of so many.
    pub(crate) fn of(n: u64) -> Latencies {
        Latencies { watch: Stopwatch::start(), micros: Vec::with_capacity(n as usize) }
    }

    /// An answer has come.
    pub(crate) fn note(&mut self, after: Duration) {
        self.micros.push(after.as_secs_f64() * 1e6);
    }

    /// Thousands a second, and the middle and the slow end in microseconds.
    pub(crate) fn sample(mut self) -> Sample {
        let elapsed = self.watch.elapsed();
        self.micros.sort_by(f64::total_cmp);
        let at = |share: f64| share_of(&self.micros, share);
        let rate = self.micros.len() as f64 / elapsed.as_secs_f64() / 1e3;
        Sample::from([("rate", rate), ("p50", at(0.5)), ("p99", at(0.99))])
    }

    /// The middle and the worst in milliseconds.
    pub(crate) fn in_ms(mut self) -> Sample {
        self.micros.sort_by(f64::total_cmp);
        Sample::from([("ms", share_of(&self.micros, 0.5) / 1e3), ("worst", share_of(&self.micros, 1.0) / 1e3)])
    }
}

/// The value below which that share of sorted values lies.
fn share_of(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// Joins the network under a name.
pub(crate) fn join(name: &str, group: &str, config: Config) -> Result<Router> {
    let me = Peer { name: NodeName::parse(name)?, incarnation: clock::now().micros(), role: Role::Node };
    let config = Config { group: group.to_owned(), multicast: false, ..config };
    engine::start(&config, me).map_err(|error| anyhow!("{error}: {}", error.help()))
}

/// A port that is free now.
pub(crate) fn free_address() -> Result<String> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

/// Two processes that have found each other: this one's router, the other's name, and the other.
pub(crate) struct Pair {
    pub(crate) router: Router,
    pub(crate) to: NodeName,
    pub(crate) other: Process,
}

impl Pair {
    /// Starts the other process and finds it.
    pub(crate) fn meet() -> Result<Pair> {
        let address = free_address()?;
        let group = format!("bench-{}", std::process::id());
        let other = Process::role(&["enact-remote", &group, &address])?;
        other.word()?;
        let router = join("here", &group, Config { join: vec![address], ..Config::default() })?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        ensure!(runtime.block_on(router.found(PATIENCE)), "the other process was not found");
        Ok(Pair { router, to: NodeName::parse("there")?, other })
    }
}

/// The other process: an actor that counts what it is told, and one that sends back what it is asked.
pub(crate) fn other(words: &[&str]) -> Result<()> {
    let [group, address] = words else { bail!("a group and an address") };
    let router = join("there", group, Config { listen: vec![(*address).to_owned()], ..Config::default() })?;
    System::new().block_on(async {
        let (mut letters, mut questions) = (router.serve(SINK), router.serve(ECHO));
        println!("ready");
        actix_rt::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while questions.recv_many(&mut batch, BATCH).await > 0 {
                for question in batch.drain(..) {
                    if let Some(reply) = question.reply {
                        reply.send(Ok(question.body));
                    }
                }
            }
        });
        count(&router, &mut letters).await
    })
}

/// Counts letters and minds their order; one without a body is the last, and is answered with the count.
async fn count(router: &Router, letters: &mut Inbox) -> Result<()> {
    let mut batch = Vec::with_capacity(BATCH);
    let mut due = 0;
    while letters.recv_many(&mut batch, BATCH).await > 0 {
        for incoming in batch.drain(..) {
            let letter: Letter<'_> = codec::decode(&incoming.body, codec::LIMIT_DEFAULT)?;
            ensure!(letter.number == due, "message {} came where {due} was due", letter.number);
            due += 1;
            if letter.body.is_empty() {
                let count = codec::encode(&(due - 1))?.into();
                router.tell(&incoming.from.name, DONE, Lane::Bulk, count)?;
                due = 0;
            }
        }
    }
    Ok(())
}

/// Tells of so many bytes each, from an actor to an actor.
fn tell(n: u64, bytes: usize) -> Result<Sample> {
    let Pair { router, to, other: _other } = Pair::meet()?;
    System::new().block_on(async {
        let mut done = router.serve(DONE);
        let body = vec![b'x'; bytes - HEAD];
        let watch = Stopwatch::start();
        let mut number = 0;
        while number <= n {
            let body = if number == n { &[] } else { &body[..] };
            let letter = codec::encode(&Letter { number, body })?.into();
            match router.tell(&to, SINK, Lane::Bulk, letter) {
                Ok(()) => number += 1,
                // The queue to the other is bounded: who is faster than the network waits.
                Err(SendError::Full { .. }) => drop(router.has_room(&to, Lane::Bulk, PATIENCE).await),
                Err(error) => return Err(error.into()),
            }
        }
        let answer = tokio::time::timeout(PATIENCE, done.recv()).await.context("not everything arrived")?;
        let counted = codec::decode(&answer.context("the network is gone")?.body, codec::LIMIT_DEFAULT)?;
        told(n, counted, watch)
    })
}

/// Asks, so many in flight.
fn ask(n: u64, in_flight: usize) -> Result<Sample> {
    let Pair { router, to, other: _other } = Pair::meet()?;
    System::new().block_on(async {
        let body = Bytes::from(vec![b'x'; 24]);
        let question = || async {
            let watch = Stopwatch::start();
            let answer = router.ask(&to, ECHO, Lane::Bulk, body.clone(), PATIENCE).await?;
            ensure!(answer == body, "another answer");
            Ok(watch.elapsed())
        };
        let mut latencies = Latencies::of(n);
        let mut waiting: FuturesUnordered<_> = (0..in_flight).map(|_| question()).collect();
        let mut n_asked = in_flight as u64;
        while let Some(answered) = waiting.next().await {
            latencies.note(answered?);
            if n_asked < n {
                n_asked += 1;
                waiting.push(question());
            }
        }
        Ok(latencies.sample())
    })
}

/// Deploys a source here, a sink on the other node, and a channel between them.
fn channel(n: u64) -> Result<Sample> {
    let address = free_address()?;
    let group = format!("channel-{}", std::process::id());
    let mut options = host::options("here", &group, Vec::new())?;
    options.engine.listen = vec![address.clone()];
    let host = Host::start(options)?;
    let other = Process::role(&["node", "there", &group, &address])?;
    other.word()?;
    host.gather(2)?;
    let there = NodeName::parse("there")?;
    let mut draft = Draft::of(host.model(), 1);
    draft.component(&host.name, "source", "Source", &[])?;
    draft.channel("channel", "Broadcast")?;
    draft.component(&there, "sink", "Sink", &[])?;
    draft.bind(&host.name, "source", "out", "channel")?;
    draft.bind(&there, "sink", "input", "channel")?;
    host.push(draft.done()?, 2)?;
    let watch = Stopwatch::start();
    stage::open(n);
    let counted = other.word()?.parse()?;
    told(n, counted, watch)
}
