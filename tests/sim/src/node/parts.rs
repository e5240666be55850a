//! What runs in the world of nodes: a component that misbehaves on order, a channel, and the ledger of what really runs.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

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
    running: Option<Running>,
}

#[component]
impl Part {
    #[start]
    async fn start(&mut self, ctx: &mut Ctx<Self>) -> Result<()> {
        misbehave("start", &self.on_start, self.takes).await?;
        self.running = Some(Running::begin(ctx.path(), self.value));
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

    /// What another one says.
    #[input]
    fn input(&mut self, said: String, ctx: &mut Ctx<Self>) {
        hear(ctx.path(), &said);
    }

    fn beat(&mut self, ctx: &mut Ctx<Self>) {
        if self.on_beat == "panic" {
            self.running = None;
            panic!("a beat panics, {ORDERED}");
        }
        self.n_beats += 1;
        self.out.send(format!("{} {}", ctx.path(), since_the_beginning().as_millis()));
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
    /// Who has heard whom, and when that was said last.
    heard: BTreeMap<(String, String), u64>,
}

impl Ledger {
    fn new() -> Ledger {
        Ledger { began: Instant::now(), n_begun: 0, running: BTreeMap::new(), heard: BTreeMap::new() }
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

    /// Who (second) was heard by whom (first) with words not older than this, in milliseconds since the beginning.
    pub(super) fn heard_since(since_ms: u64) -> Vec<(String, String)> {
        LEDGER.with_borrow(|ledger| {
            ledger.heard.iter().filter(|(_, said)| **said >= since_ms).map(|(pair, _)| pair.clone()).collect()
        })
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

impl Drop for Running {
    fn drop(&mut self) {
        LEDGER.with_borrow_mut(|ledger| ledger.running.remove(&self.0));
    }
}

fn hear(me: &InstancePath, said: &str) {
    let Some((from, at)) = said.split_once(' ') else { return };
    let at = at.parse().unwrap_or_default();
    LEDGER.with_borrow_mut(|ledger| {
        let last = ledger.heard.entry((me.to_string(), from.to_owned())).or_insert(at);
        *last = at.max(*last);
    });
}
