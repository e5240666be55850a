//! The model as a value: what differs between two, and what a node has to do about it.

use std::{collections::BTreeMap, hint::black_box, sync::Arc};

use anyhow::{Context, Result, ensure};
use enact::{
    io::clock::Stopwatch,
    logic::plan,
    model::{Edit, Instance, Kind, Model, change},
    words::{AttributeName, ComponentName, InstancePath, NodeName},
};
use imbl::OrdMap;

use crate::{
    draft::Draft,
    host,
    remote::Latencies,
    rows::{Contestant, Measurement, OURS, Reach, Row, Sample},
};

/// How many nodes a large model has.
const N_NODES: u64 = 50;

/// How often each is done within a sample, by whomever.
const ROUNDS: u64 = 200;
const ROUNDS_LARGE: u64 = 20;

static CHANGE_10K: Measurement = change_of("change-10k", 10_000);
static CHANGE_100K: Measurement = change_of("change-100k", 100_000);
static DIFF: Measurement = Measurement {
    name: "diff-100k",
    size: 100_000,
    quick: 100_000,
    contestants: &[
        Contestant { name: OURS, sample: diff },
        Contestant { name: "bare imbl", sample: |n| diff_of::<Shared>(n) },
        Contestant { name: "plain maps", sample: |n| diff_of::<Plain>(n) },
    ],
};

const fn change_of(name: &'static str, size: u64) -> Measurement {
    let contestants = &[
        Contestant { name: OURS, sample: change },
        Contestant { name: "bare imbl", sample: |n| change_in::<Shared>(n) },
        Contestant { name: "plain maps", sample: |n| change_in::<Plain>(n) },
    ];
    Measurement { name, size, quick: size, contestants }
}

pub(crate) static ROWS: &[Row] = &[
    Row {
        name: "change-10k",
        what: "one attribute differs between two models of 10,000 instances: its diff, and the plan of its node",
        measurement: &CHANGE_10K,
        figure: "ms",
        unit: "ms",
        reach: Reach::AtMost(0.02),
        ratios: &[],
    },
    Row {
        name: "change-100k",
        what: "the same, 100,000 instances",
        measurement: &CHANGE_100K,
        figure: "ms",
        unit: "ms",
        reach: Reach::AtMost(0.02),
        ratios: &[],
    },
    Row {
        name: "diff-100k",
        what: "the diff of two models of 100,000 instances, of which 1 % came, went or changed",
        measurement: &DIFF,
        figure: "ms",
        unit: "ms",
        reach: Reach::AtMost(1.0),
        ratios: &[],
    },
];

/// A node of a large model.
fn node(nth: u64) -> Result<NodeName> {
    Ok(NodeName::parse(&format!("node{nth}"))?)
}

/// A model of the bench's types with so many nodes and nothing on them.
pub(crate) fn bare(n_nodes: u64) -> Result<Model> {
    let mut edits = Vec::new();
    for bundle in host::binary().catalog().iter() {
        edits.push(Edit::AddUnit(bundle.unit.clone()));
        edits.push(Edit::AddType(bundle.definition.clone()));
    }
    let mut model = Model::default();
    model.apply(&edits)?;
    let node_type = model.types.values().find(|found| found.kind == Kind::Node).context("a type of nodes")?.id.clone();
    let nodes = (0..n_nodes)
        .map(|nth| Ok(Edit::AddNode { name: node(nth)?, instance: Instance::of(node_type.clone()), host: None }));
    model.apply(&nodes.collect::<Result<Vec<_>>>()?)?;
    Ok(model)
}

/// A model with so many components, spread over its nodes.
fn large(n: u64) -> Result<Model> {
    let mut draft = Draft::of(bare(N_NODES)?, 1);
    for nth in 0..n {
        draft.device(&node(nth % N_NODES)?, nth, "x")?;
    }
    draft.done()
}

fn path(nth: u64) -> Result<InstancePath> {
    Ok(InstancePath::Component(node(nth % N_NODES)?, ComponentName::parse(&Draft::device_name(nth))?))
}

fn set(nth: u64, value: &str) -> Result<Edit> {
    let attribute = AttributeName::parse("label")?;
    Ok(Edit::Set { path: path(nth)?, fragment: None, attribute, value: value.into() })
}

/// Which component changes in a round: another one each time, spread over the whole model.
fn changed_in(round: u64, n: u64) -> u64 {
    round * (n / ROUNDS).max(1) % n
}

/// One attribute of one component after the other.
fn change(n: u64) -> Result<Sample> {
    let model = large(n)?;
    let mut latencies = Latencies::of(ROUNDS);
    for round in 0..ROUNDS {
        let nth = changed_in(round, n);
        let mut wanted = model.clone();
        wanted.apply(&[set(nth, "y")?])?;
        let here = node(nth % N_NODES)?;
        let watch = Stopwatch::start();
        let changes = change::diff(&model, &wanted);
        let plan = plan::plan(&model, &wanted, &here);
        latencies.note(watch.elapsed());
        ensure!(changes.len() == 1, "{} changes", changes.len());
        ensure!(!plan.is_empty(), "an empty plan");
    }
    Ok(latencies.in_ms())
}

/// Elements that come, go, and change: a quarter, a quarter, and half of one percent.
fn parts(n: u64) -> (u64, u64) {
    (n / 400, n / 200)
}

fn diff(n: u64) -> Result<Sample> {
    let model = large(n)?;
    let (n_moving, n_changing) = parts(n);
    // Spread over the whole model.
    let every = n / (n_moving + n_changing);
    let mut edits = Vec::new();
    for nth in 0..n_moving {
        edits.push(Edit::Remove { path: path(nth * every)? });
    }
    for nth in n_moving..n_moving + n_changing {
        edits.push(set(nth * every, "y")?);
    }
    let mut wanted = model.clone();
    wanted.apply(&edits)?;
    let mut draft = Draft::of(wanted, 2);
    for nth in n..n + n_moving {
        draft.device(&node(nth % N_NODES)?, nth, "x")?;
    }
    let wanted = draft.done()?;
    let mut latencies = Latencies::of(ROUNDS_LARGE);
    for _ in 0..ROUNDS_LARGE {
        let watch = Stopwatch::start();
        let changes = change::diff(&model, &wanted);
        latencies.note(watch.elapsed());
        ensure!(changes.len() as u64 >= 2 * n_moving + n_changing, "{} changes", changes.len());
        black_box(changes);
    }
    Ok(latencies.in_ms())
}

// ---- the same in bare maps ----

/// An element as the bare maps have it: by path, with its values.
type Element = Arc<BTreeMap<String, String>>;

/// What becomes of elements: nothing where they go.
type Differing = [(String, Option<Element>)];

/// Elements, and the same after changes.
trait Maps {
    /// The elements, and the same unchanged.
    fn of(elements: BTreeMap<String, Element>) -> Self;

    /// From now on these are the changes, and what was changed before is not.
    fn change(&mut self, changes: &Differing);

    /// Compares: gives how many elements differ.
    fn n_differing(&self) -> u64;
}

/// Maps that share what is the same.
struct Shared {
    before: OrdMap<String, Element>,
    after: OrdMap<String, Element>,
}

impl Maps for Shared {
    fn of(elements: BTreeMap<String, Element>) -> Shared {
        let before: OrdMap<String, Element> = elements.into_iter().collect();
        Shared { after: before.clone(), before }
    }

    fn change(&mut self, changes: &Differing) {
        self.after = self.before.clone();
        for (path, element) in changes {
            match element {
                Some(element) => drop(self.after.insert(path.clone(), element.clone())),
                None => drop(self.after.remove(path)),
            }
        }
    }

    fn n_differing(&self) -> u64 {
        self.before.diff(&self.after).count() as u64
    }
}

/// Maps as they come out of bytes: nothing is shared, everything is compared.
struct Plain {
    before: BTreeMap<String, Element>,
    after: BTreeMap<String, Element>,
    changed: Vec<String>,
}

impl Maps for Plain {
    fn of(elements: BTreeMap<String, Element>) -> Plain {
        let after = elements.iter().map(|(path, element)| (path.clone(), Arc::new((**element).clone()))).collect();
        Plain { before: elements, after, changed: Vec::new() }
    }

    fn change(&mut self, changes: &Differing) {
        for path in self.changed.drain(..) {
            match self.before.get(&path) {
                Some(element) => drop(self.after.insert(path, Arc::new((**element).clone()))),
                None => drop(self.after.remove(&path)),
            }
        }
        for (path, element) in changes {
            self.changed.push(path.clone());
            match element {
                Some(element) => drop(self.after.insert(path.clone(), element.clone())),
                None => drop(self.after.remove(path)),
            }
        }
    }

    fn n_differing(&self) -> u64 {
        let (before, after) = (&self.before, &self.after);
        let gone = before.iter().filter(|(path, element)| after.get(*path).is_none_or(|other| other != *element));
        let come = after.keys().filter(|path| !before.contains_key(*path));
        (gone.count() + come.count()) as u64
    }
}

fn element(value: &str) -> Element {
    let values = [("label", value), ("period", "1s"), ("level", "10")];
    Arc::new(values.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn bare_path(nth: u64) -> String {
    format!("node{}.device{nth}", nth % N_NODES)
}

fn bare_elements(n: u64) -> BTreeMap<String, Element> {
    (0..n).map(|nth| (bare_path(nth), element("x"))).collect()
}

/// What `change` does.
fn change_in<M: Maps>(n: u64) -> Result<Sample> {
    let mut maps = M::of(bare_elements(n));
    let mut latencies = Latencies::of(ROUNDS);
    for round in 0..ROUNDS {
        maps.change(&[(bare_path(changed_in(round, n)), Some(element("y")))]);
        let watch = Stopwatch::start();
        let n_found = maps.n_differing();
        latencies.note(watch.elapsed());
        ensure!(n_found == 1, "{n_found} changes");
    }
    Ok(latencies.in_ms())
}

/// What `diff` does.
fn diff_of<M: Maps>(n: u64) -> Result<Sample> {
    let (n_moving, n_changing) = parts(n);
    let every = n / (n_moving + n_changing);
    let gone = (0..n_moving).map(|nth| (bare_path(nth * every), None));
    let changed = (n_moving..n_moving + n_changing).map(|nth| (bare_path(nth * every), Some(element("y"))));
    let come = (n..n + n_moving).map(|nth| (bare_path(nth), Some(element("x"))));
    let changes: Vec<_> = gone.chain(changed).chain(come).collect();
    let mut maps = M::of(bare_elements(n));
    maps.change(&changes);
    let mut latencies = Latencies::of(ROUNDS_LARGE);
    for _ in 0..ROUNDS_LARGE {
        let watch = Stopwatch::start();
        let n_found = maps.n_differing();
        latencies.note(watch.elapsed());
        ensure!(n_found == 2 * n_moving + n_changing, "{n_found} changes");
    }
    Ok(latencies.in_ms())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ<M: Maps>() {
        let mut maps = M::of(bare_elements(100));
        assert_eq!(maps.n_differing(), 0);
        maps.change(&[(bare_path(3), None), (bare_path(7), Some(element("y"))), (bare_path(100), Some(element("x")))]);
        assert_eq!(maps.n_differing(), 3);
        maps.change(&[(bare_path(8), Some(element("y")))]);
        assert_eq!(maps.n_differing(), 1, "what was changed before is not");
    }

    #[test]
    fn bare_maps_differ_in_what_was_changed_last() {
        differ::<Shared>();
        differ::<Plain>();
    }
}
