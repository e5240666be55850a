//! Channels with real components and real fragments, on nodes of a simulated network. Time is virtual: waiting costs nothing.

use std::{cell::Cell, sync::Arc, time::Duration};

use enact::{
    io::engine::{
        Router,
        sim::{SimNet, Weather},
    },
    model::{ComponentId, Dictionary},
    prelude::*,
    runtime::{
        channel::{self, ChannelCtx, ChannelType, Door, Ends, Loss, Receiving, Wiring},
        component,
        instance::{Accept, Birth, Bundle, Condition, Environment, Failure, Handle, ReplyTo, Schema, Sink, Why},
    },
    words::{InstancePath, PortPath, Value},
};
use enact_actors::channels::{Broadcast, Queue, Request};
use serde::{Deserialize, Serialize};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(5);

/// Keeps what it gets.
#[derive(Component)]
#[component(version = "1.0.0")]
struct Collector {
    #[state]
    seen: Vec<u64>,
}

#[component]
impl Collector {
    #[input]
    fn input(&mut self, n: u64) {
        assert_ne!(n, 13, "that brings bad luck");
        self.seen.push(n);
    }

    #[input(queue = 16)]
    async fn slow(&mut self, n: u64) {
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.seen.push(n);
    }

    #[input]
    fn double(&mut self, n: u64) -> Result<u64> {
        if n == 0 { Err("nothing to double".into()) } else { Ok(2 * n) }
    }
}

/// Sends on what it is told.
#[derive(Component)]
#[component(version = "1.0.0")]
struct Teller {
    #[output]
    out: Out<u64>,
}

#[component]
impl Teller {
    #[input]
    async fn tell(&mut self, numbers: (u64, u64)) {
        for n in numbers.0..numbers.1 {
            self.out.deliver(n).await;
        }
    }
}

/// A message as a newer release has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Newer {
    celsius: f64,
    #[serde(default)]
    humidity: Option<f64>,
}

/// The same message one release earlier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Older {
    celsius: f64,
}

#[derive(Component)]
#[component(version = "1.0.0")]
struct Weatherman {
    #[state]
    seen: Vec<Newer>,
}

#[component]
impl Weatherman {
    #[input]
    fn input(&mut self, reading: Newer) {
        self.seen.push(reading);
    }
}

/// A channel of a user's own: even numbers go to the first receiver, odd ones nowhere; at 99 it breaks.
#[derive(Default)]
struct Evens;

impl ChannelType for Evens {
    const NAME: &'static str = "Evens";
    const VERSION: &'static str = "0.1.0";
    const DOC: &'static str = "Even numbers to the first receiver";

    fn route(&mut self, message: &Message, ends: &Ends, ctx: &mut ChannelCtx<'_>) {
        let number = message.clone().decode::<u64>().unwrap_or(0);
        assert_ne!(number, 99, "more than it can count");
        match ends.at(0) {
            Some(end) if number.is_multiple_of(2) => ctx.deliver(end.id),
            _ => ctx.discard(),
        }
    }
}

struct Node {
    name: &'static str,
    environment: Arc<Environment>,
    lives: Cell<u64>,
}

impl Node {
    fn new(name: &'static str, router: Option<Router>) -> Node {
        let environment = Environment::new(name.parse().unwrap());
        let environment = match router {
            Some(router) => environment.with_service(Arc::new(router)),
            None => environment,
        };
        Node { name, environment: Arc::new(environment), lives: Cell::new(0) }
    }

    async fn create(&self, bundle: Bundle, path: InstancePath, values: &[(&str, &str)]) -> Handle {
        self.lives.set(self.lives.get() + 1);
        let mut dictionary = Dictionary::default();
        for (name, value) in values {
            dictionary.set(name.parse().unwrap(), *value);
        }
        let birth = Birth {
            path,
            life: self.lives.get(),
            definition: bundle.definition.clone(),
            dictionary,
            arbiter: actix_rt::Arbiter::current().into(),
            environment: self.environment.clone(),
        };
        let handle = bundle.factory.unwrap().create(birth).unwrap();
        handle.ready(LIMIT).await.unwrap();
        handle
    }

    async fn channel<C: ChannelType>(&self, values: &[(&str, &str)]) -> (Handle, Arc<Door>) {
        let bundle = channel::bundle::<C>("test", "0.0.0");
        let handle = self.create(bundle, InstancePath::Channel("ticks".parse().unwrap()), values).await;
        handle.start(LIMIT).await.unwrap();
        let door = handle.facet::<Door>().unwrap();
        (handle, door)
    }

    async fn component(&self, bundle: Bundle, name: &str) -> Handle {
        let path = InstancePath::Component(self.name.parse().unwrap(), name.parse().unwrap());
        let handle = self.create(bundle, path, &[]).await;
        handle.start(LIMIT).await.unwrap();
        handle
    }

    async fn collector(&self, name: &str) -> Handle {
        self.component(component::bundle::<Collector>(), name).await
    }
}

fn port(node: &str, component: &str, port: &str) -> PortPath {
    PortPath { node: node.parse().unwrap(), component: component.parse().unwrap(), port: port.parse().unwrap() }
}

fn wiring(receivers: &[PortPath], senders: &[&str]) -> Wiring {
    let schema = |path: &PortPath| {
        if path.component.as_str() == "man" { Schema::of::<Newer>().hash } else { Schema::of::<u64>().hash }
    };
    // Who has the same name here is the same component, wherever it lives.
    let receiving = |path: &PortPath| {
        let anywhere = InstancePath::Component("anywhere".parse().unwrap(), path.component.clone());
        Receiving { id: ComponentId::born(0, &anywhere, 0), schema: schema(path) }
    };
    Wiring {
        receivers: receivers.iter().map(|path| (path.clone(), receiving(path))).collect(),
        senders: senders.iter().map(|name| name.parse().unwrap()).collect(),
    }
}

async fn seen(handle: &Handle) -> Value {
    handle.snapshot(LIMIT).await.unwrap()["seen"].clone()
}

/// Waits for a fact, no longer than a while.
async fn eventually(what: &str, fact: impl AsyncFn() -> bool) {
    for _ in 0..3000 {
        if fact().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not within 30 s: {what}");
}

async fn send(sink: &Sink, numbers: impl IntoIterator<Item = u64>) {
    for n in numbers {
        sink.deliver(Message::new(n)).await.unwrap();
    }
}

fn numbers(numbers: impl IntoIterator<Item = u64>) -> Value {
    numbers.into_iter().collect::<Vec<_>>().into()
}

/// Two nodes that see each other, and their network.
async fn two_nodes() -> (SimNet, Node, Node) {
    let net = SimNet::new(7, Weather::default());
    let (a, b) = (net.join("a").await.unwrap(), net.join("b").await.unwrap());
    assert!(a.found(LIMIT).await && b.found(LIMIT).await);
    (net, Node::new("a", Some(a)), Node::new("b", Some(b)))
}

#[actix_rt::test]
async fn a_message_reaches_every_receiver_of_a_node_and_waits_for_those_that_are_stopped() {
    tokio::time::pause();
    let node = Node::new("a", None);
    let (_, door) = node.channel::<Broadcast>(&[]).await;
    let (x, y) = (node.collector("x").await, node.collector("y").await);
    let ports = [port("a", "x", "input"), port("a", "y", "input")];
    for (path, handle) in ports.iter().zip([&x, &y]) {
        door.open(path.clone(), handle.inlet("input").unwrap());
    }
    door.rewire(wiring(&ports, &["a"]));
    let sink = door.sink(port("a", "s", "out"));
    send(&sink, 0..2).await;
    eventually("y has two", async || seen(&y).await == numbers(0..2)).await;
    y.stop(LIMIT).await.unwrap();
    send(&sink, 2..6).await;
    eventually("x has six", async || seen(&x).await == numbers(0..6)).await;
    assert_eq!(seen(&y).await, numbers(0..2));
    assert_eq!(door.counters(LIMIT).await.unwrap().kept, 4);
    y.start(LIMIT).await.unwrap();
    eventually("y has six", async || seen(&y).await == numbers(0..6)).await;
    let counters = door.counters(LIMIT).await.unwrap();
    assert_eq!((counters.received, counters.delivered, counters.lost, counters.kept), (6, 12, 0, 0));
}

#[actix_rt::test]
async fn ten_thousand_messages_for_a_slow_receiver_arrive_in_order() {
    tokio::time::pause();
    let node = Node::new("a", None);
    let (_, door) = node.channel::<Broadcast>(&[("capacity", "100")]).await;
    let x = node.collector("x").await;
    let path = port("a", "x", "input");
    door.open(path.clone(), x.inlet("input").unwrap());
    door.rewire(wiring(&[path], &["a"]));
    let sink = door.sink(port("a", "s", "out"));
    send(&sink, 100..10_100).await;
    eventually("x has all", async || seen(&x).await == numbers(100..10_100)).await;
    assert_eq!(door.counters(LIMIT).await.unwrap().lost, 0);
}

#[actix_rt::test]
async fn what_goes_around_a_channel_is_counted_and_goes_through_it_when_that_matters() {
    tokio::time::pause();
    let node = Node::new("a", None);
    let (_, door) = node.channel::<Broadcast>(&[]).await;
    let (x, teller) = (node.collector("x").await, node.component(component::bundle::<Teller>(), "s").await);
    let path = port("a", "x", "input");
    door.open(path.clone(), x.inlet("input").unwrap());
    door.rewire(wiring(std::slice::from_ref(&path), &["a"]));
    let sink = door.sink(port("a", "s", "out"));
    teller.bind("out".parse().unwrap(), "ticks".parse().unwrap(), sink, LIMIT).await.unwrap();
    let tell = async |from: u64, to: u64| {
        teller.call("tell", Message::new((from, to)), LIMIT).await.unwrap();
    };
    tell(100, 3_000).await;
    eventually("x has all", async || seen(&x).await == numbers(100..3_000)).await;
    let counters = door.counters(LIMIT).await.unwrap();
    assert_eq!((counters.received, counters.delivered, counters.kept), (2_900, 2_900, 0));
    // Who watches sees everything from now on.
    let mut tap = door.tap();
    tell(3_000, 3_001).await;
    assert_eq!(tap.next().await.unwrap().value, json!(3_000));
    drop(tap);
    tell(3_001, 3_010).await;
    // What is unbound is given nothing from that moment on.
    door.close(path.clone());
    tell(3_010, 3_020).await;
    eventually("x has what came before", async || seen(&x).await == numbers(100..3_010)).await;
    assert_eq!(door.counters(LIMIT).await.unwrap().kept, 10);
    door.open(path.clone(), x.inlet("input").unwrap());
    tell(3_020, 3_030).await;
    eventually("x has all again", async || seen(&x).await == numbers(100..3_030)).await;
    // Whoever is stopped finds everything when it goes on.
    x.stop(LIMIT).await.unwrap();
    tell(3_030, 3_100).await;
    x.start(LIMIT).await.unwrap();
    eventually("x has the rest", async || seen(&x).await == numbers(100..3_100)).await;
    let counters = door.counters(LIMIT).await.unwrap();
    assert_eq!((counters.received, counters.delivered, counters.lost), (3_000, 3_000, 0));
}

#[actix_rt::test]
async fn a_receiver_that_takes_its_time_makes_senders_wait_and_loses_nothing() {
    tokio::time::pause();
    let node = Node::new("a", None);
    let (_, door) = node.channel::<Broadcast>(&[("capacity", "4"), ("patience", "1s")]).await;
    let x = node.collector("x").await;
    let path = port("a", "x", "slow");
    door.open(path.clone(), x.inlet("slow").unwrap());
    door.rewire(wiring(&[path], &["a"]));
    let sink = door.sink(port("a", "s", "out"));
    for n in 0..60_u64 {
        sink.deliver(Message::new(n)).await.unwrap();
    }
    // Half of its queue takes it longer than the patience of the channel.
    eventually("x has all", async || seen(&x).await == numbers(0..60)).await;
    assert_eq!(door.counters(LIMIT).await.unwrap().lost, 0);
}

#[actix_rt::test]
async fn a_message_crosses_to_another_node_and_a_broken_way_loses_none() {
    tokio::time::pause();
    let (net, a, b) = two_nodes().await;
    let path = port("b", "x", "input");
    let (_, from) = a.channel::<Broadcast>(&[]).await;
    from.rewire(wiring(std::slice::from_ref(&path), &["a"]));
    let sink = from.sink(port("a", "s", "out"));
    // The other node is not there yet with its fragment: messages wait.
    send(&sink, 0..3).await;
    let (_, to) = b.channel::<Broadcast>(&[]).await;
    let x = b.collector("x").await;
    to.open(path.clone(), x.inlet("input").unwrap());
    to.rewire(wiring(std::slice::from_ref(&path), &["a"]));
    eventually("x has three", async || seen(&x).await == numbers(0..3)).await;
    net.split(&["a"], &["b"]);
    for n in 3..13 {
        send(&sink, [n]).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    net.heal();
    eventually("x has thirteen", async || seen(&x).await == numbers(0..13)).await;
    let counters = from.counters(LIMIT).await.unwrap();
    assert_eq!((counters.delivered, counters.lost), (13, 0));
    x.stop(LIMIT).await.unwrap();
    send(&sink, 20..25).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    x.start(LIMIT).await.unwrap();
    eventually("x has the rest", async || seen(&x).await == numbers((0..13).chain(20..25))).await;
}

async fn stop_with_one_in_its_queue(receiver: &Handle, message: u64) {
    let inlet = receiver.inlet("input").unwrap();
    receiver.stop(LIMIT).await.unwrap();
    Accept::offer(&inlet, Message::new(message)).unwrap();
}

/// A stopped receiver leaves its node, and what it had not handled goes back to its channel. Gives its state.
async fn leave(receiver: &Handle, door: &Door, from: PortPath) -> Value {
    let state = receiver.snapshot(LIMIT).await.unwrap();
    door.close(from.clone());
    let waiting = receiver.take_waiting().into_iter().map(|(_, message)| message).collect();
    door.take_back(from, waiting);
    receiver.end(LIMIT).await.unwrap();
    state
}

#[actix_rt::test]
async fn what_a_receiver_did_not_handle_moves_with_it_to_another_node() {
    tokio::time::pause();
    let (_net, a, b) = two_nodes().await;
    let (here, there) = (port("a", "x", "input"), port("b", "x", "input"));
    let (_, door_a) = a.channel::<Broadcast>(&[]).await;
    let (_, door_b) = b.channel::<Broadcast>(&[]).await;
    let x = a.collector("x").await;
    door_a.open(here.clone(), x.inlet("input").unwrap());
    door_a.rewire(wiring(std::slice::from_ref(&here), &["a"]));
    let sink = door_a.sink(port("a", "s", "out"));
    send(&sink, 0..2).await;
    eventually("x has two", async || seen(&x).await == numbers(0..2)).await;
    // What is in its queue when it stops, and what comes while it is nowhere.
    stop_with_one_in_its_queue(&x, 2).await;
    send(&sink, 3..5).await;
    let state = leave(&x, &door_a, here).await;
    door_a.rewire(wiring(std::slice::from_ref(&there), &["a"]));
    let moved = b.collector("x").await;
    moved.restore("1.0.0", state, LIMIT).await.unwrap();
    door_b.open(there.clone(), moved.inlet("input").unwrap());
    door_b.rewire(wiring(&[there], &["a"]));
    eventually("it has all", async || seen(&moved).await == numbers(0..5)).await;
}

#[actix_rt::test]
async fn what_a_receiver_did_not_handle_moves_with_it_though_its_channel_leaves_the_node_as_well() {
    tokio::time::pause();
    let (_net, a, b) = two_nodes().await;
    let (old, new) = (port("a", "x", "input"), port("b", "x", "input"));
    let (channel_a, door_a) = a.channel::<Broadcast>(&[]).await;
    let (_, door_b) = b.channel::<Broadcast>(&[]).await;
    let x = a.collector("x").await;
    door_a.open(old.clone(), x.inlet("input").unwrap());
    door_a.rewire(wiring(std::slice::from_ref(&old), &["b"]));
    door_b.rewire(wiring(std::slice::from_ref(&old), &["b"]));
    let sink = door_b.sink(port("b", "s", "out"));
    send(&sink, 0..2).await;
    eventually("x has two", async || seen(&x).await == numbers(0..2)).await;
    // One is in its queue when it stops, and then there is nothing left on its node for the channel to do.
    stop_with_one_in_its_queue(&x, 2).await;
    let state = leave(&x, &door_a, old).await;
    door_a.rewire(wiring(std::slice::from_ref(&new), &["b"]));
    channel_a.end(LIMIT).await.unwrap();
    // What is said from here on comes after.
    let moved = b.collector("x").await;
    moved.restore("1.0.0", state, LIMIT).await.unwrap();
    door_b.open(new.clone(), moved.inlet("input").unwrap());
    door_b.rewire(wiring(&[new], &["b"]));
    send(&sink, 3..5).await;
    eventually("it has all", async || seen(&moved).await.as_array().is_some_and(|seen| seen.len() == 5)).await;
    assert_eq!(seen(&moved).await, numbers(0..5));
}

#[actix_rt::test]
async fn a_call_crosses_to_another_node_and_its_reply_comes_back() {
    tokio::time::pause();
    let (_net, a, b) = two_nodes().await;
    let path = port("b", "x", "double");
    let (_, from) = a.channel::<Request>(&[("timeout", "3s")]).await;
    let (_, to) = b.channel::<Request>(&[]).await;
    let x = b.collector("x").await;
    to.open(path.clone(), x.inlet("double").unwrap());
    for door in [&from, &to] {
        door.rewire(wiring(std::slice::from_ref(&path), &["a"]));
    }
    let sink = from.sink(port("a", "s", "out"));
    let call = async |n: u64| {
        let (reply, answer) = ReplyTo::pair();
        sink.call(Message::new(n), reply).unwrap();
        answer.await.unwrap()
    };
    assert_eq!(call(21).await.unwrap().decode::<u64>().unwrap(), 42);
    assert!(call(0).await.unwrap_err().to_string().contains("nothing to double"));
    x.stop(LIMIT).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(call(1).await.unwrap_err().to_string().contains("no receiver was started within 3s"));
}

#[actix_rt::test]
async fn a_broadcast_carries_no_calls_and_says_so() {
    let node = Node::new("a", None);
    let (_, door) = node.channel::<Broadcast>(&[]).await;
    let sink = door.sink(port("a", "s", "out"));
    let refused = sink.call(Message::new(1_u64), ReplyTo::pair().0).unwrap_err();
    assert_eq!(refused.why, Why::NoCalls);
}

#[actix_rt::test]
async fn ends_with_different_schemas_meet_in_the_form_that_describes_itself() {
    tokio::time::pause();
    let (_net, a, b) = two_nodes().await;
    let path = port("b", "man", "input");
    let (_, from) = a.channel::<Broadcast>(&[]).await;
    let (_, to) = b.channel::<Broadcast>(&[]).await;
    let man = b.component(component::bundle::<Weatherman>(), "man").await;
    to.open(path.clone(), man.inlet("input").unwrap());
    for door in [&from, &to] {
        door.rewire(wiring(std::slice::from_ref(&path), &["a"]));
    }
    let sink = from.sink(port("a", "s", "out"));
    let newer = Newer { celsius: 2.5, humidity: Some(0.5) };
    sink.offer(Message::new(newer)).unwrap();
    sink.offer(Message::new(Older { celsius: 1.5 })).unwrap();
    sink.offer(Message::new(json!({ "celsius": 0.5 }))).unwrap();
    let all = json!([
        { "celsius": 2.5, "humidity": 0.5 }, { "celsius": 1.5, "humidity": null }, { "celsius": 0.5, "humidity": null },
    ]);
    eventually("all three are read", async || seen(&man).await == all).await;
}

#[actix_rt::test]
async fn a_receiver_that_panics_holds_up_nobody_else() {
    tokio::time::pause();
    let node = Node::new("a", None);
    let (_, door) = node.channel::<Queue>(&[("prefetch", "1"), ("attempts", "2"), ("retry", "10ms")]).await;
    let (x, y) = (node.collector("x").await, node.collector("y").await);
    let ports = [port("a", "x", "input"), port("a", "y", "input")];
    for (path, handle) in ports.iter().zip([&x, &y]) {
        door.open(path.clone(), handle.inlet("input").unwrap());
    }
    door.rewire(wiring(&ports, &["a"]));
    let sink = door.sink(port("a", "s", "out"));
    send(&sink, [13]).await;
    eventually("one of them has failed", async || {
        [&x, &y].iter().any(|handle| handle.condition() == Condition::Failed)
    })
    .await;
    // The other one is given it too, and fails; then it is given up.
    eventually("it is given up", async || door.counters(LIMIT).await.unwrap().dead_letters == 1).await;
    for handle in [&x, &y] {
        handle.revive(LIMIT).await.unwrap();
        handle.start(LIMIT).await.unwrap();
    }
    send(&sink, 1..5).await;
    eventually("the rest is handled", async || {
        let n = |seen: Value| seen.as_array().unwrap().len();
        n(seen(&x).await) + n(seen(&y).await) == 4
    })
    .await;
}

#[actix_rt::test]
async fn a_channel_of_a_users_own_fails_alone_and_comes_back() {
    tokio::time::pause();
    let node = Node::new("a", None);
    let (handle, door) = node.channel::<Evens>(&[]).await;
    let x = node.collector("x").await;
    let path = port("a", "x", "input");
    door.open(path.clone(), x.inlet("input").unwrap());
    door.rewire(wiring(&[path], &["a"]));
    let sink = door.sink(port("a", "s", "out"));
    send(&sink, [1, 2, 3, 4, 99]).await;
    eventually("it has failed", async || handle.condition() == Condition::Failed).await;
    assert!(
        matches!(handle.cause(), Some(Failure::Panicked { reason, .. }) if reason.contains("more than it can count"))
    );
    send(&sink, [5, 6]).await;
    handle.revive(LIMIT).await.unwrap();
    handle.start(LIMIT).await.unwrap();
    eventually("it goes on", async || seen(&x).await == numbers([2, 4, 6])).await;
}

#[actix_rt::test]
async fn wrong_parameters_are_told_and_a_right_update_is_taken() {
    let node = Node::new("a", None);
    let (handle, door) = node.channel::<Broadcast>(&[]).await;
    let wrong: Dictionary = [("capacity".parse().unwrap(), Arc::from("many"))].into_iter().collect();
    assert!(matches!(handle.update(wrong, LIMIT).await, Err(Failure::Params(errors)) if errors.len() == 1));
    let right = [("capacity".parse().unwrap(), Arc::from("2")), ("overflow".parse().unwrap(), Arc::from("refuse"))];
    handle.update(right.into_iter().collect(), LIMIT).await.unwrap();
    handle.stop(LIMIT).await.unwrap();
    let sink = door.sink(port("a", "s", "out"));
    (0..2).for_each(|n: u64| sink.offer(Message::new(n)).unwrap());
    assert_eq!(sink.offer(Message::new(2_u64)).unwrap_err().why, Why::Overflow);
    handle.end(LIMIT).await.unwrap();
    assert_eq!(sink.offer(Message::new(3_u64)).unwrap_err().why, Why::Closed);
}

#[actix_rt::test]
async fn a_tap_shows_messages_and_what_became_of_them() {
    tokio::time::pause();
    let node = Node::new("a", None);
    let (_, door) = node.channel::<Broadcast>(&[]).await;
    let mut tap = door.tap();
    let sink = door.sink(port("a", "s", "out"));
    send(&sink, [1]).await;
    let lost = tap.next().await.unwrap();
    assert_eq!((lost.value, lost.lost, lost.to), (json!(1), Some(Loss::NoReceiver), None));
    let x = node.collector("x").await;
    let path = port("a", "x", "input");
    door.open(path.clone(), x.inlet("input").unwrap());
    door.rewire(wiring(std::slice::from_ref(&path), &["a"]));
    send(&sink, [2]).await;
    let given = tap.next().await.unwrap();
    assert_eq!(
        (given.value, given.lost, given.to, given.from),
        (json!(2), None, Some(path), Some(port("a", "s", "out")))
    );
    // Nobody reads: the channel goes on all the same.
    send(&sink, 100..2_000).await;
    eventually("all are there", async || seen(&x).await.as_array().unwrap().len() == 1_901).await;
    eventually("the rest is counted", async || {
        send(&sink, [7]).await;
        tap.missed() > 0
    })
    .await;
}
