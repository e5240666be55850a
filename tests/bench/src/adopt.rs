//! Adoption on one node: from the moment when the group has a pushed model, before it hands that to the node, to the node's answer
//! that everything is started.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{
    draft::Draft,
    host::{self, Host},
    peers::erlang,
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

const fn row(
    name: &'static str,
    what: &'static str,
    measurement: &'static Measurement,
    figure: &'static str,
    reach: Reach,
) -> Row {
    Row { name, what, measurement, figure, unit: "ms", reach, ratios: &[] }
}

pub(crate) static ROWS: &[Row] = &[
    row(
        "adopt-1k",
        "from the group's having the model to the answer of the node: 1,000 instances planned, made, started, on one node",
        &THOUSAND,
        "ms",
        Reach::AtMost(10.0),
    ),
    row("adopt-10k", "the same, 10,000 instances", &TEN_THOUSAND, "ms", Reach::AtMost(50.0)),
    row(
        "adopt-1k-push",
        "the same 1,000 with the push before it: compared, stamped, kept",
        &THOUSAND,
        "push",
        Reach::Less,
    ),
    row("adopt-10k-push", "the same, 10,000 instances", &TEN_THOUSAND, "push", Reach::Less),
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
    let (whole, adoption) = host.push_and_adopt(with(n, N_FIRST)?, 1)?;
    ensure!(stage::n_started() == N_FIRST + n, "{} of {} instances started", stage::n_started(), N_FIRST + n);
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    Ok(Sample::from([("ms", ms(adoption)), ("push", ms(whole))]))
}
