//! Messages within a node: component → channel → component.

use anyhow::{Result, ensure};
use enact::io::clock::Stopwatch;

use crate::{
    draft::Draft,
    host::{self, Host},
    peers::{actix, erlang, kameo, ractor, tokio},
    rows::{Contestant, Measurement, OURS, Reach, Row, Sample},
    stage,
};

/// How many pairs there are where there is more than one.
pub(crate) const PAIRS: u64 = 4;

static ONE: Measurement = Measurement {
    name: "local-1to1",
    size: 2_000_000,
    quick: 400_000,
    contestants: &[
        Contestant { name: OURS, sample: |size| pairs(size, 1) },
        Contestant { name: "tokio", sample: |size| tokio::pairs(size, 1) },
        Contestant { name: "erlang", sample: |size| erlang::pairs(size, 1) },
        Contestant { name: "ractor", sample: |size| ractor::pairs(size, 1) },
        Contestant { name: "kameo", sample: |size| kameo::pairs(size, 1) },
        Contestant { name: "actix", sample: |size| actix::pairs(size, 1) },
        Contestant { name: "actix, one arbiter", sample: |size| actix::pairs_on_one(size, 1) },
    ],
};

static FOUR: Measurement = Measurement {
    name: "local-4pairs",
    size: 1_000_000,
    quick: 200_000,
    contestants: &[
        Contestant { name: OURS, sample: |size| pairs(size, PAIRS) },
        Contestant { name: "tokio", sample: |size| tokio::pairs(size, PAIRS) },
        Contestant { name: "erlang", sample: |size| erlang::pairs(size, PAIRS) },
        Contestant { name: "ractor", sample: |size| ractor::pairs(size, PAIRS) },
        Contestant { name: "kameo", sample: |size| kameo::pairs(size, PAIRS) },
        Contestant { name: "actix", sample: |size| actix::pairs(size, PAIRS) },
        Contestant { name: "actix, one arbiter each", sample: |size| actix::pairs_on_one(size, PAIRS) },
    ],
};

pub(crate) static ROWS: &[Row] = &[
    Row {
        name: "local-1to1",
        what: "component → channel → component on one node, 32 bytes, one sender and one receiver",
        measurement: &ONE,
        figure: "rate",
        unit: "M msg/s",
        reach: Reach::AtLeast(6.0),
        ratios: &[("ractor", 2.0)],
    },
    Row {
        name: "local-4pairs",
        what: "the same, four pairs at once, each with a channel of its own",
        measurement: &FOUR,
        figure: "rate",
        unit: "M msg/s",
        reach: Reach::AtLeast(26.0),
        ratios: &[],
    },
];

/// Millions of messages a second, for so many messages from the opening of the gate to the last one's arrival.
pub(crate) fn rate(n: u64, watch: Stopwatch) -> Sample {
    Sample::from([("rate", n as f64 / watch.elapsed().as_secs_f64() / 1e6), ("lost", 0.0)])
}

/// Deploys pairs of components with a broadcast channel between them, opens the gate, and waits until every packet has come.
fn pairs(size: u64, n_pairs: u64) -> Result<Sample> {
    let host = Host::start(host::options("bench", "local", Vec::new())?)?;
    let mut draft = Draft::of(host.model(), 1);
    for pair in 0..n_pairs {
        let [source, channel, sink] = ["source", "channel", "sink"].map(|name| format!("{name}{pair}"));
        draft.component(&host.name, &source, "Source", &[])?;
        draft.channel(&channel, "Broadcast")?;
        draft.component(&host.name, &sink, "Sink", &[])?;
        draft.bind(&host.name, &source, "out", &channel)?;
        draft.bind(&host.name, &sink, "input", &channel)?;
    }
    host.push(draft.done()?, 1)?;
    let watch = Stopwatch::start();
    stage::open(size);
    let n = stage::wait(n_pairs)?;
    let sample = rate(n, watch);
    ensure!(n == size * n_pairs, "{n} of {} messages arrived", size * n_pairs);
    Ok(sample)
}
