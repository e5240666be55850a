//! What runs in the world of nodes: a component that misbehaves on order, a channel, and the ledger of what really runs.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use enact::{
    prelude::*,
    runtime::{
        channel::{ChannelCtx, ChannelType, Ends},
        instance::Catalog,
    },
    words::{ComponentName, InstancePath, NodeName},
};
use tokio::time::{Instant, sleep};

use crate::run::ORDERED;

/// Does not hold for who moves again before its last move is settled.
pub(super) const IN_ORDER: &str = "what is said is heard in order";

/// How often a part that runs sends.
const BEAT: Duration = Duration::from_millis(150);

/// The types that each node brings.
pub(super) fn catalog() -> Arc<Catalog> {
    Arc::new(enact::node().component::<Part>().channel::<Cable>().catalog().clone())
}

/// Every receiver gets everything.
#[derive(Debug, Default)]
struct Cable;

impl ChannelType for Cable {
    const NAME: &'static str = "Cable";
    const VERSION: &'static str = "1.0.0";
    const DOC: &'static str = "Every receiver gets everything";

    fn route(&mut self, _message: &Message, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        for end in ends {
            ctx.deliver(end.id);
        }
    }
}

/// Says now and then where it is, hears what others say, and does wrong what it is told to.
#[derive(Component)]
#[component(version = "1.0.0")]
struct Part {
    /// What happens when it starts.
    #[param(default = "ok", one_of = ["ok", "fail", "panic", "hang"])]
    on_start: String,
    /// What happens when it stops.
    #[param(default = "ok", one_of = ["ok", "fail", "panic", "hang"])]
    on_stop: String,
    /// What happens when a value changes.
    #[param(default = "ok", one_of = ["ok", "fail", "panic", "hang"])]
    on_update: String,
    /// What happens at the next beat.
    #[param(default = "ok", one_of = ["ok", "panic"])]
    on_beat: String,
    /// How long each of these takes.
    #[param(default = "0ms", max = "1s")]
    takes: Duration,
    /// Any number: here to be changed.
    #[param(default = 0)]
    value: i64,
    /// Where it is, and when.
    #[output]
    out: Out<String>,
    /// Beats so far.
    #[state]
    n_beats: u64,
    /// What it has said in this life.
    n_said: u64,
    running: Option<Running>,
}

#[component]
impl Part {
    #[start]
    async fn start(&mut self, ctx: &mut Ctx<Self>) -> Result<()> {
        misbehave("start", &self.on_start, self.takes).await?;
        self.running = Some(Running::begin(ctx.path(), self.value));
        self.n_said = 0;
        ctx.every("beat", BEAT, Self::beat);
        Ok(())
    }

    #[stop]
    async fn stop(&mut self) -> Result<()> {
        // Whatever it says, and even if it is given up: from here on nothing of it runs.
        self.running = None;
        misbehave("stop", &self.on_stop, self.takes).await
    }

    #[update]
    async fn update(&mut self) -> Result<()> {
        // A panic in here, or not to come to an end, is the end of it; an error is not.
        let running = self.running.take();
        let updated = misbehave("update", &self.on_update, self.takes).await;
        if let Some(running) = &running {
            running.has(self.value);
        }
        self.running = running;
        updated
    }

    /// What others say on the cable of this name.
    #[input]
    fn x(&mut self, said: String, ctx: &mut Ctx<Self>) {
        self.hear("x", &said, ctx);
    }

    /// What others say on the cable of this name.
    #[input]
    fn y(&mut self, said: String, ctx: &mut Ctx<Self>) {
        self.hear("y", &said, ctx);
    }

    fn hear(&self, port: &str, said: &str, ctx: &Ctx<Self>) {
        if let Some(running) = &self.running {
            running.hears(&format!("{}.{port}", ctx.path()), said);
        }
    }

    fn beat(&mut self, ctx: &mut Ctx<Self>) {
        if self.on_beat == "panic" {
            self.running = None;
            panic!("a beat panics, {ORDERED}");
        }
        self.n_beats += 1;
        if let Some(Running(life)) = &self.running {
            self.n_said += 1;
            let at_ms = since_the_beginning().as_millis();
            self.out.send(format!("{} {at_ms} {life} {}", ctx.path(), self.n_said));
        }
    }
}

async fn misbehave(method: &str, how: &str, takes: Duration) -> Result<()> {
    if !takes.is_zero() {
        sleep(takes).await;
    }
    match how {
        "fail" => Err(format!("{method} fails, {ORDERED}").into()),
        "panic" => panic!("{method} panics, {ORDERED}"),
        "hang" => std::future::pending().await,
        _ => Ok(()),
    }
}

// ------------------------------------------------------------------------------------------------------------- ledger

thread_local! {
    static LEDGER: RefCell<Ledger> = RefCell::new(Ledger::new());
}

/// What really runs, kept by the components themselves: all nodes of a world live on one thread.
pub(super) struct Ledger {
    began: Instant,
    n_begun: u64,
    running: BTreeMap<u64, (NodeName, ComponentName, i64)>,
    /// Which life has heard which other one, and what it said last.
    heard: BTreeMap<(u64, String, u64), Heard>,
    /// From then on, in milliseconds, nothing that is said may be missed.
    gapless_from: u64,
    faults: Vec<Fault>,
}

/// Something was heard otherwise than it was said.
pub(super) struct Fault {
    /// Who heard it: `node.component`.
    pub(super) hearer: String,
    /// What should be so.
    pub(super) invariant: &'static str,
    /// What was so instead.
    pub(super) detail: String,
}

/// What a part has said to another one, by its last words.
struct Heard {
    from: String,
    at_ms: u64,
    number: u64,
    numbers: BTreeSet<u64>,
}

impl Ledger {
    fn new() -> Ledger {
        Ledger {
            began: Instant::now(),
            n_begun: 0,
            running: BTreeMap::new(),
            heard: BTreeMap::new(),
            gapless_from: u64::MAX,
            faults: Vec::new(),
        }
    }

    /// Nothing runs.
    pub(super) fn open() {
        LEDGER.replace(Ledger::new());
    }

    /// What runs on a node, each with its value, in order; what runs twice is there twice.
    pub(super) fn running_on(node: &NodeName) -> Vec<(ComponentName, i64)> {
        LEDGER.with_borrow(|ledger| {
            let here = ledger.running.values().filter(|(place, ..)| place == node);
            let mut running: Vec<_> = here.map(|(_, component, value)| (component.clone(), *value)).collect();
            running.sort();
            running
        })
    }

    /// How many times something began to run.
    pub(super) fn n_begun() -> u64 {
        LEDGER.with_borrow(|ledger| ledger.n_begun)
    }

    /// From now on nothing that is said may be missed.
    pub(super) fn settle() {
        LEDGER.with_borrow_mut(|ledger| ledger.gapless_from = ledger.began.elapsed().as_millis() as u64);
    }

    /// Who (second) was heard on which port (first) with words that are not older than [`Ledger::settle`].
    pub(super) fn heard() -> Vec<(String, String)> {
        LEDGER.with_borrow(|ledger| {
            let late = ledger.heard.iter().filter(|(_, heard)| heard.at_ms >= ledger.gapless_from);
            late.map(|((_, port, _), heard)| (port.clone(), heard.from.clone())).collect()
        })
    }

    /// What was heard otherwise than it was said since this was last asked.
    pub(super) fn faults() -> Vec<Fault> {
        LEDGER.with_borrow_mut(|ledger| std::mem::take(&mut ledger.faults))
    }
}

/// Virtual time since the world began.
pub(super) fn since_the_beginning() -> Duration {
    LEDGER.with_borrow(|ledger| ledger.began.elapsed())
}

/// Stands in the ledger for as long as its component has it.
struct Running(u64);

impl Running {
    fn begin(path: &InstancePath, value: i64) -> Running {
        let InstancePath::Component(node, component) = path else { unreachable!("a component's path") };
        LEDGER.with_borrow_mut(|ledger| {
            ledger.n_begun += 1;
            ledger.running.insert(ledger.n_begun, (node.clone(), component.clone(), value));
            Running(ledger.n_begun)
        })
    }

    fn has(&self, value: i64) {
        LEDGER.with_borrow_mut(|ledger| {
            if let Some((.., old)) = ledger.running.get_mut(&self.0) {
                *old = value;
            }
        });
    }
}

impl Running {
    /// Each hears what another one says once, in order, and in calm times without a gap.
    fn hears(&self, port: &str, said: &str) {
        let words: Vec<&str> = said.split(' ').collect();
        let [from, at_ms, life, number] = words[..] else { unreachable!("what parts say has four words") };
        let number_of = |text: &str| text.parse::<u64>().expect("a number that a part wrote");
        let (at_ms, number) = (number_of(at_ms), number_of(number));
        LEDGER.with_borrow_mut(|ledger| {
            let key = (self.0, port.to_owned(), number_of(life));
            let from = from.to_owned();
            let last = ledger.heard.entry(key).or_insert(Heard { from, at_ms, number, numbers: BTreeSet::new() });
            let invariant = if !last.numbers.insert(number) {
                Some("what is said is heard once")
            } else if number < last.number {
                Some(IN_ORDER)
            } else if last.at_ms >= ledger.gapless_from && number > last.number + 1 {
                Some("in calm times nothing that is said is missed")
            } else {
                None
            };
            if let Some(invariant) = invariant {
                let hearer = port.rsplit_once('.').map_or(port, |(hearer, _)| hearer).to_owned();
                let detail = format!("{port} hears {}: {number} after {}", last.from, last.number);
                ledger.faults.push(Fault { hearer, invariant, detail });
            }
            (last.at_ms, last.number) = (at_ms, number);
        });
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        LEDGER.with_borrow_mut(|ledger| ledger.running.remove(&self.0));
    }
}
