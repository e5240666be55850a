//! Adoption on one node: from a push to everything started.

use anyhow::{Result, ensure};

use crate::{
    draft::Draft,
    host::{self, Host},
    peers::erlang,
    remote::Latencies,
    rows::{Contestant, Measurement, OURS, Reach, Row, Sample},
    stage,
};

/// Instances of the node's first adoption, before those that are measured: its threads run then.
const N_FIRST: u64 = 100;

static CONTESTANTS: &[Contestant] =
    &[Contestant { name: OURS, sample: adopt }, Contestant { name: "erlang gen_server", sample: erlang::servers }];

static THOUSAND: Measurement = Measurement { name: "adopt-1k", size: 1_000, quick: 1_000, contestants: CONTESTANTS };
static TEN_THOUSAND: Measurement =
    Measurement { name: "adopt-10k", size: 10_000, quick: 10_000, contestants: CONTESTANTS };

pub(crate) static ROWS: &[Row] = &[
    Row {
        name: "adopt-1k",
        what: "from the push of a model to its adoption: 1,000 instances planned, made, started, on one node",
        measurement: &THOUSAND,
        figure: "ms",
        unit: "ms",
        reach: Reach::AtMost(10.0),
        ratios: &[],
    },
    Row {
        name: "adopt-10k",
        what: "the same, 10,000 instances",
        measurement: &TEN_THOUSAND,
        figure: "ms",
        unit: "ms",
        reach: Reach::AtMost(50.0),
        ratios: &[],
    },
];

fn adopt(n: u64) -> Result<Sample> {
    let host = Host::start(host::options("bench", "adopt", Vec::new())?)?;
    let with = |n: u64, first: u64| {
        let mut draft = Draft::of(host.model(), first);
        for nth in first..first + n {
            draft.component(&host.name, &format!("idle{nth}"), "Idle", &[])?;
        }
        draft.done()
    };
    host.push(with(N_FIRST, 0)?, 1)?;
    let mut latencies = Latencies::of(1);
    latencies.note(host.push(with(n, N_FIRST)?, 1)?);
    ensure!(stage::n_started() == N_FIRST + n, "{} of {} instances started", stage::n_started(), N_FIRST + n);
    Ok(latencies.in_ms())
}
