//! Components written as users write them, each alone in a `Harness`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::bundle;
use crate::{
    logic::restart::Policy,
    model::{DataType, Kind},
    prelude::*,
    runtime::instance::{Condition, Overflow, Schema},
    testing::Harness,
};

mod failures;
mod renewed;

/// Sends a growing number on `tick`, at a regular pace.
#[derive(Component)]
#[component(version = "1.0.0")]
struct Ticker {
    /// Time between two ticks.
    #[param(default = "3s", min = "10ms", max = "1h")]
    period: Duration,
    /// Count down instead of up.
    #[param(default = false)]
    down: bool,
    /// One message at each tick.
    #[output]
    tick: Out<i64>,
    /// Carried over a restart, a migration or an upgrade.
    #[state]
    count: i64,
}

#[component]
impl Ticker {
    #[start]
    fn start(&mut self, ctx: &mut Ctx<Self>) {
        ctx.every("beat", self.period, Self::beat);
    }

    fn beat(&mut self, _ctx: &mut Ctx<Self>) {
        self.count += if self.down { -1 } else { 1 };
        self.tick.send(self.count);
    }
}

#[actix_rt::test]
async fn ticks_at_the_period_and_follows_a_new_one() -> Result<()> {
    tokio::time::pause();
    let mut t = Harness::<Ticker>::new(&[("period", "1s")]).unwrap().start().await?;
    let mut tick = t.output::<i64>("tick").await?;
    let begun = tokio::time::Instant::now();
    assert_eq!((tick.next().await?, tick.next().await?), (1, 2));
    assert_eq!(begun.elapsed().as_secs(), 2);
    t.set("down", "true").await?;
    assert_eq!(tick.next().await?, 1);
    t.set_all(&[("down", "false"), ("period", "10s")]).await?;
    assert_eq!(tick.next().await?, 2);
    assert_eq!(begun.elapsed().as_secs(), 13);
    t.stop().await?;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(tick.is_empty());
    Ok(())
}

#[actix_rt::test]
async fn bad_parameters_are_told_all_at_once() {
    let Err(e) = Harness::<Ticker>::new(&[("period", "1ms"), ("dwon", "true")]) else { panic!("it was made") };
    assert_eq!(e[0].message, "1ms is below the minimum 10ms");
    assert_eq!(e[1].message, "unknown; known: period, down");
    let mut t = Harness::<Ticker>::new(&[("period", "1s")]).unwrap();
    assert!(t.set("period", "soon").await.unwrap_err().to_string().contains("\"soon\" is not a duration"));
    assert!(t.output::<i64>("tock").await.unwrap_err().to_string().ends_with("port \"tock\" (there are: tick)"));
}

/// Does a bit of everything.
///
/// For tests.
#[derive(Component)]
#[component(version = "2.0.0", name = "All-sorts", namespace = "shop.test")]
#[supervise(restart = 3, within = "10s", delay = "50ms")]
struct Sorts {
    /// How loud.
    #[param(default = 5, min = -1, max = 10)]
    loud: i32,
    #[param(one_of = ["red", "green"], default = "red", fragment)]
    colour: String,
    #[param(secret)]
    token: Option<String>,
    #[param(default = 'x')]
    mark: char,
    #[param(default = 80)]
    r#type: u16,
    #[output(required)]
    out: Out<Reading>,
    #[state]
    seen: Vec<Reading>,
    #[state]
    total: f64,
    log: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Reading {
    sensor: String,
    celsius: f64,
}

#[component]
impl Sorts {
    #[start]
    async fn begin(&mut self) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(5)).await;
        self.log.push("start".to_owned());
        if self.loud == 0 { Err("silence is refused".into()) } else { Ok(()) }
    }

    #[stop]
    fn end(&mut self) {
        self.log.push("stop".to_owned());
    }

    #[update]
    async fn follow(&mut self, changed: &Changed) {
        self.log.push(changed.iter().collect::<Vec<_>>().join("+"));
    }

    /// Takes a reading.
    #[input(queue = 3, overflow = "drop-oldest", required)]
    fn reading(&mut self, reading: Reading) {
        self.total += reading.celsius;
        self.out.send(reading.clone());
        self.seen.push(reading);
    }

    /// Replies with the mean.
    #[input(queue = 2, overflow = "refuse")]
    fn mean(&mut self, _ask: ()) -> Result<f64> {
        if self.seen.is_empty() { Err("nothing was read yet".into()) } else { Ok(self.total / self.seen.len() as f64) }
    }

    #[input(queue = 2)]
    async fn log(&mut self, wait: Duration, ctx: &mut Ctx<Self>) -> Vec<String> {
        tokio::time::sleep(wait).await;
        self.log.push(ctx.name.to_string());
        std::mem::take(&mut self.log)
    }

    #[upgrade]
    fn upgrade(from: &str, mut state: Value) -> Result<Value> {
        if from.starts_with("1.") {
            state["total"] = state["sum"].take();
        }
        Ok(state)
    }
}

fn reading(celsius: f64) -> Reading {
    Reading { sensor: "roof".into(), celsius }
}

#[test]
fn the_definition_is_what_the_source_says() {
    let bundle = bundle::<Sorts>();
    let definition = &bundle.definition;
    assert_eq!(definition.id.to_string(), "shop.test.All-sorts/2.0.0");
    assert_eq!(definition.kind, Kind::Component);
    assert_eq!(&*definition.metadata["description"], "Does a bit of everything.\n\nFor tests.");
    assert_eq!(&*definition.metadata["reply.mean"], "f64");
    assert_eq!(bundle.unit.platform(), Some("rust"));
    assert_eq!((&*bundle.unit.id.name, &definition.units[..]), ("enact", &[bundle.unit.id.clone()][..]));
    let wanted = Policy {
        restarts: 3,
        within: Duration::from_secs(10),
        delay_min: Duration::from_millis(50),
        ..Policy::DEFAULT
    };
    assert_eq!(bundle.restart, wanted);

    let loud = definition.attribute("loud").unwrap();
    assert_eq!((loud.datatype, loud.default.as_deref(), loud.min.as_deref()), (DataType::Int, Some("5"), Some("-1")));
    assert_eq!(&*loud.doc, "How loud.");
    let colour = definition.attribute("colour").unwrap();
    assert!(colour.fragment && colour.one_of.len() == 2);
    let token = definition.attribute("token").unwrap();
    assert!(token.secret && token.optional && token.default.as_deref() == Some(""));
    assert_eq!(definition.attribute("type").unwrap().max.as_deref(), Some("65535"));
    assert_eq!(definition.attribute("mark").unwrap().datatype, DataType::Char);

    let names = |ports: &[crate::model::PortDefinition]| {
        ports.iter().map(|port| format!("{}: {}", port.name, port.message)).collect::<Vec<_>>()
    };
    assert_eq!(names(&definition.provided), ["reading: Reading", "mean: ()", "log: Duration"]);
    assert_eq!(names(&definition.required), ["out: Reading"]);
    assert_eq!(definition.provided[0].schema, Schema::of::<Reading>().hash);
    assert!(!definition.provided[0].optional && definition.provided[1].optional && !definition.required[0].optional);
    assert_eq!(&*definition.provided[0].doc, "Takes a reading.");
    assert_eq!(<Sorts as super::Behaviour>::INPUTS[0].overflow, Overflow::DropOldest);
}

#[actix_rt::test]
async fn inputs_reply_refuse_and_tell_ports_that_do_not_exist() -> Result<()> {
    let h = Harness::<Sorts>::new(&[])?.start().await?;
    assert_eq!(h.ask::<f64>("mean", ()).await.unwrap_err().to_string(), "input \"mean\" failed: nothing was read yet");
    let mut out = h.output::<Reading>("out").await?;
    h.send("reading", reading(20.0)).await?;
    h.send("reading", json!({"sensor": "cellar", "celsius": 10})).await?;
    assert_eq!(h.ask::<f64>("mean", ()).await?, 15.0);
    assert_eq!(h.send("mean", ()).await?, 15.0);
    assert_eq!(out.next().await?, reading(20.0));
    let wrong = h.send("reading", "hot").await.unwrap_err().to_string();
    assert!(wrong.contains("is no \"Reading\": invalid type: string \"hot\""), "{wrong}");
    let nowhere = h.send("nowhere", ()).await.unwrap_err().to_string();
    assert_eq!(nowhere, "there is no input port \"nowhere\" (there are: reading, mean, log)");
    assert_eq!(h.handle().outputs(Duration::from_secs(1)).await?, json!({"out": {"sent": 2, "dropped": 0}}));
    Ok(())
}

#[actix_rt::test]
async fn methods_are_called_in_order_and_only_when_due() -> Result<()> {
    let mut h = Harness::<Sorts>::new(&[])?;
    h.set("loud", "7").await?;
    let mut h = h.start().await?;
    h.restart().await?;
    h.set("loud", "7").await?;
    h.set_all(&[("loud", "8"), ("colour", "green")]).await?;
    h.stop().await?;
    h.stop().await?;
    h.restart().await?;
    let log: Vec<String> = h.ask("log", Duration::ZERO).await?;
    assert_eq!(log, ["start", "loud+colour", "stop", "start", "under-test"]);
    Ok(())
}

#[actix_rt::test]
async fn a_start_that_fails_says_why_and_can_be_tried_again() -> Result<()> {
    let h = Harness::<Sorts>::new(&[("loud", "0")])?;
    assert_eq!(h.restart().await.unwrap_err().to_string(), "start failed: silence is refused");
    assert_eq!(h.condition(), Condition::Created);
    let mut h = h;
    h.set("loud", "1").await?;
    h.restart().await?;
    assert_eq!(h.condition(), Condition::Running);
    Ok(())
}

#[actix_rt::test]
async fn state_crosses_a_move_and_an_upgrade() -> Result<()> {
    let a = Harness::<Sorts>::new(&[])?.start().await?;
    a.send("reading", reading(4.0)).await?;
    let state = a.snapshot().await?;
    a.end().await?;
    assert_eq!((a.condition(), a.snapshot().await.is_err()), (Condition::Gone, true));
    let b = Harness::<Sorts>::new(&[])?;
    b.restore("2.0.0", state.clone()).await?;
    assert_eq!(b.snapshot().await?, state);
    let old = json!({"seen": [reading(1.0), reading(2.0)], "sum": 3.0, "gone": true});
    b.restore("1.4.0", old).await?;
    let b = b.start().await?;
    assert_eq!(b.ask::<f64>("mean", ()).await?, 1.5);
    let error = b.restore("2.0.0", json!({"total": "much"})).await.unwrap_err().to_string();
    assert!(error.starts_with("restore failed: state \"total\": invalid type"), "{error}");
    Ok(())
}

#[actix_rt::test]
async fn queues_keep_what_comes_while_stopped_within_their_bounds() -> Result<()> {
    let h = Harness::<Sorts>::new(&[])?;
    for celsius in 1..=5 {
        h.post("reading", reading(f64::from(celsius)))?;
    }
    h.post("mean", ())?;
    h.post("mean", ())?;
    assert!(h.post("mean", ()).unwrap_err().to_string().contains("refuses more"));
    h.post("log", Duration::ZERO)?;
    h.post("log", Duration::ZERO)?;
    assert!(h.post("log", Duration::ZERO).unwrap_err().to_string().contains("the queue is full"));
    let counts = h.counts("reading");
    assert_eq!((counts.received, counts.dropped, counts.depth, counts.handled), (5, 2, 3, 0));
    assert_eq!(h.counts("mean").refused, 1);
    let h = h.start().await?;
    assert_eq!(h.ask::<f64>("mean", ()).await?, 4.0);
    assert_eq!((h.counts("reading").depth, h.counts("reading").handled), (0, 3));
    Ok(())
}

#[actix_rt::test]
async fn messages_left_in_the_queues_can_be_handed_over() -> Result<()> {
    let a = Harness::<Sorts>::new(&[])?;
    a.post("reading", reading(1.0))?;
    a.post("mean", ())?;
    let waiting = a.handle().take_waiting();
    assert_eq!(waiting.iter().map(|(port, _)| port.as_str()).collect::<Vec<_>>(), ["reading", "mean"]);
    assert_eq!(a.counts("reading").depth, 0);
    Ok(())
}

#[actix_rt::test]
async fn a_sender_that_waits_goes_on_when_there_is_room() -> Result<()> {
    tokio::time::pause();
    let h = Harness::<Sorts>::new(&[])?.start().await?;
    let sink = crate::runtime::instance::Sink::new(h.handle().inlet("log")?);
    let begun = tokio::time::Instant::now();
    for _ in 0..6 {
        sink.deliver(Message::new(Duration::from_secs(1))).await?;
    }
    // Two wait in the queue and one is in hand: the sixth found room after three were done.
    assert_eq!(begun.elapsed().as_secs(), 3);
    Ok(())
}

/// Works beside its messages.
#[derive(Component, Debug)]
struct Worker {
    #[output]
    ask: Out<u64>,
    beats: u32,
    #[state]
    answers: Vec<String>,
}

#[component]
impl Worker {
    #[start]
    fn start(&mut self, ctx: &mut Ctx<Self>) {
        ctx.every_async("beat", Duration::from_secs(1), Self::beat);
        ctx.after("once", Duration::from_millis(2500), |worker, ctx| {
            worker.answers.push(format!("{} beats", worker.beats));
            ctx.cancel("beat");
        });
        let me = ctx.me();
        ctx.spawn("task", async move {
            tokio::time::sleep(Duration::from_secs(4)).await;
            let beats = me.ask(|worker, _| worker.beats).await.expect("it lives as long as its tasks");
            me.tell(move |worker, _| worker.answers.push(format!("still {beats}"))).expect("it lives");
        });
    }

    async fn beat(&mut self, _: &mut Ctx<Self>) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.beats += 1;
    }

    #[input]
    async fn question(&mut self, n: u64) -> Result<String> {
        self.ask.ask(n, Duration::from_secs(2)).await
    }
}

#[actix_rt::test]
async fn timers_and_tasks_work_beside_the_messages() -> Result<()> {
    tokio::time::pause();
    let h = Harness::<Worker>::new(&[])?.start().await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(h.snapshot().await?["answers"], json!(["2 beats", "still 2"]));
    h.stop().await?;
    h.restart().await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(h.snapshot().await?["answers"], json!(["2 beats", "still 2", "4 beats"]));
    Ok(())
}

#[actix_rt::test]
async fn a_component_asks_through_its_output() -> Result<()> {
    tokio::time::pause();
    let h = Harness::<Worker>::new(&[])?.start().await?;
    let unbound = h.send("question", 1).await.unwrap_err().to_string();
    assert!(unbound.contains("bound to one channel; this one is bound to 0"), "{unbound}");
    let mut asked = h.output::<u64>("ask").await?;
    let answer = async {
        let (n, reply) = asked.next_call().await?;
        reply.send(Ok(Message::new(format!("it is {n}"))));
        Result::<()>::Ok(())
    };
    let (got, answered) = futures_util::future::join(h.ask::<String>("question", 42_u64), answer).await;
    answered?;
    assert_eq!(got?, "it is 42");
    let late = h.send("question", 2).await.unwrap_err().to_string();
    assert!(late.contains("was not answered within 2s"), "{late}");
    Ok(())
}
