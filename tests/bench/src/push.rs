//! A push to many nodes: from the call to the last one's answer that it runs.

use std::time::Duration;

use anyhow::{Result, ensure};
use enact::{
    io::engine,
    model::{Edit, Model},
    words::{AttributeName, InstancePath, NodeName},
};

use crate::{
    child::{Process, processor_time},
    draft::Draft,
    host::{self, Host},
    peers::floor,
    remote::{Latencies, free_address},
    rows::{Contestant, Measurement, OURS, Reach, Row, Sample},
};

/// Elements of the two models.
pub(crate) const SMALL: u64 = 1_000;
pub(crate) const LARGE: u64 = 10_000;

/// Attributes that are changed, one push each.
pub(crate) const N_CHANGES: u64 = 20;

static PUSH: Measurement = Measurement {
    name: "push",
    size: 50,
    quick: 50,
    contestants: &[Contestant { name: OURS, sample: push }, Contestant { name: "floor", sample: floor::push }],
};

const fn row(name: &'static str, what: &'static str, figure: &'static str, most: f64) -> Row {
    Row { name, what, measurement: &PUSH, figure, unit: "ms", reach: Reach::AtMost(most), ratios: &[] }
}

pub(crate) static ROWS: &[Row] = &[
    row(
        "push-1k",
        "a whole new model of 1,000 elements, 50 processes: until the last one has told that it runs",
        "small",
        15.0,
    ),
    row("push-10k", "the same, 10,000 elements", "large", 60.0),
    row(
        "push-attribute",
        "the same, one attribute in a model of 10,000 elements: the middle of several",
        "attribute",
        10.0,
    ),
];

/// Nodes that know each other, each a process.
struct Fleet {
    host: Host,
    nodes: Vec<NodeName>,
    others: Vec<Process>,
}

impl Fleet {
    fn start(n_nodes: u64) -> Result<Fleet> {
        let address = free_address()?;
        let group = format!("push-{}", std::process::id());
        let mut options = host::options("node0", &group, Vec::new())?;
        options.engine = engine::Config { listen: vec![address.clone()], ..options.engine };
        let host = Host::start(options)?;
        let name = |nth: u64| format!("node{nth}");
        let others: Result<Vec<Process>> =
            (1..n_nodes).map(|nth| Process::role(&["node", &name(nth), &group, &address])).collect();
        let others = others?;
        for other in &others {
            other.word()?;
        }
        eprintln!("push: {n_nodes} nodes are up");
        host.gather(n_nodes as usize)?;
        eprintln!("push: they know each other and one model");
        let nodes: Result<Vec<NodeName>> = (0..n_nodes).map(|nth| Ok(NodeName::parse(&name(nth))?)).collect();
        Ok(Fleet { host, nodes: nodes?, others })
    }

    /// The model with so many elements more, two thirds instances, one third bindings, the same part on each node: devices with
    /// three values each, and a channel that every other element hangs on.
    fn with_elements(&self, model: Model, n: u64, salt: u64) -> Result<Model> {
        let per_node = n / self.nodes.len() as u64;
        let n_bindings = per_node / 3;
        let n_devices = per_node - n_bindings - 1;
        let mut draft = Draft::of(model, salt);
        for (place, node) in self.nodes.iter().enumerate() {
            let channel = format!("channel{salt}-{place}");
            draft.channel(&channel, "Broadcast")?;
            for nth in 0..n_devices {
                draft.device(node, salt * LARGE + nth, "x")?;
            }
            for nth in 0..n_bindings {
                let port = if nth % 2 == 0 { "out" } else { "input" };
                draft.bind(node, &Draft::device_name(salt * LARGE + nth % n_devices), port, &channel)?;
            }
        }
        draft.done()
    }

    fn push(&self, wanted: Model) -> Result<Duration> {
        self.host.push(wanted, self.nodes.len())
    }

    /// Pushes to nodes that have nothing else to do. Gives the time, and what processors spent on it meanwhile, in milliseconds.
    fn push_alone(&self, what: &str, wanted: Model) -> Result<(f64, f64)> {
        self.host.settle()?;
        let before = processor_time(&self.others);
        let elapsed = self.push(wanted)?.as_secs_f64() * 1e3;
        let spent = (processor_time(&self.others) - before).as_secs_f64() * 1e3;
        self.host.settle()?;
        let whole = (processor_time(&self.others) - before).as_secs_f64() * 1e3;
        eprintln!("push: {what}: {elapsed:.1} ms, {spent:.0} ms of processors, {whole:.0} until all know all");
        Ok((elapsed, spent))
    }
}

fn push(n_nodes: u64) -> Result<Sample> {
    let fleet = Fleet::start(n_nodes)?;
    let bare = fleet.host.model();
    // The first push finds threads asleep and tables empty, as in any process that has just started: not what is measured.
    fleet.push(fleet.with_elements(bare.clone(), SMALL, 0)?)?;
    fleet.push(bare.clone())?;
    let mut sample = Sample::new();
    for (figure, spent, n, salt) in [("small", "small_processors", SMALL, 1), ("large", "large_processors", LARGE, 2)] {
        let wanted = fleet.with_elements(bare.clone(), n, salt)?;
        let (elapsed_ms, spent_ms) = fleet.push_alone(figure, wanted)?;
        sample.insert(figure, elapsed_ms);
        sample.insert(spent, spent_ms);
        if figure == "small" {
            fleet.push(bare.clone())?;
        }
    }
    let before = processor_time(&fleet.others);
    let mut latencies = Latencies::of(N_CHANGES);
    for nth in 0..N_CHANGES {
        let node = &fleet.nodes[(nth as usize * 7) % fleet.nodes.len()];
        let path = InstancePath::Component(node.clone(), Draft::device_name(2 * LARGE + nth % 10).parse()?);
        let attribute = AttributeName::parse("label")?;
        let edit = Edit::Set { path, fragment: None, attribute, value: format!("change{nth}").into() };
        let mut wanted = fleet.host.model();
        wanted.apply(&[edit])?;
        latencies.note(fleet.push(wanted)?);
    }
    let spent = processor_time(&fleet.others) - before;
    sample.insert("attribute_processors", spent.as_secs_f64() * 1e3 / N_CHANGES as f64);
    let attribute = latencies.in_ms();
    ensure!(attribute.contains_key("ms"), "changes were pushed");
    sample.insert("attribute", attribute["ms"]);
    Ok(sample)
}
