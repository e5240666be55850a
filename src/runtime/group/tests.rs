//! Groups on an in-memory network that can be cut, lose and be joined.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Context, Handler, Recipient};
use bytes::Bytes;

use super::{
    Adopt, Gossip, GroupCtx, GroupEvent, GroupHandle, Keep, KeepNothing, Strategy,
    shell::{Heard, Seat, start},
    wire::Wire,
};
use crate::{
    io::engine::Lane,
    logic::gossip::{Adoption, GroupMessage, Outcome, Presence, Push, PushRefused, RevisionId, Timing},
    model::{ComponentId, Dictionary, Edit, Instance, Kind, Model},
    runtime::instance::Inbox,
    words::{ComponentName, GroupName, InstancePath, Name, NodeName, TypeRef},
};

mod large;

const LIMIT: Duration = Duration::from_secs(20);
/// Larger changes go in two.
const WHOLE_MAX: u32 = 100;

fn name<N: From<Name>>(text: &str) -> N {
    Name::parse(text).unwrap().into()
}

/// Who can hear whom.
#[derive(Clone, Default)]
struct Net(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    members: BTreeMap<NodeName, Recipient<Heard>>,
    cut: BTreeSet<(NodeName, NodeName)>,
    /// Messages yet to be lost.
    n_to_lose: usize,
}

struct NetWire {
    net: Net,
    me: NodeName,
}

impl Wire for NetWire {
    fn listen(&mut self, to: Recipient<Heard>) {
        let mut lines = self.net.0.lock().unwrap();
        for (node, other) in lines.members.iter().filter(|(node, _)| !lines.cut.contains(&pair(node, &self.me))) {
            other.do_send(Heard::Up(self.me.clone()));
            to.do_send(Heard::Up(node.clone()));
        }
        lines.members.insert(self.me.clone(), to);
    }

    fn tell(&self, to: &NodeName, _lane: Lane, body: Bytes) {
        let mut lines = self.net.0.lock().unwrap();
        if lines.cut.contains(&pair(to, &self.me)) {
            return;
        }
        if lines.n_to_lose > 0 {
            lines.n_to_lose -= 1;
            return;
        }
        if let Some(member) = lines.members.get(to) {
            member.do_send(Heard::Message(self.me.clone(), body));
        }
    }
}

fn pair(a: &NodeName, b: &NodeName) -> (NodeName, NodeName) {
    (a.min(b).clone(), a.max(b).clone())
}

impl Net {
    fn set_cut(&self, a: &str, b: &str, is_cut: bool) {
        let (a, b): (NodeName, NodeName) = (name(a), name(b));
        let mut lines = self.0.lock().unwrap();
        let tell = |at: &NodeName, heard| {
            if let Some(member) = lines.members.get(at) {
                member.do_send(heard);
            }
        };
        let event = if is_cut { Heard::Down } else { Heard::Up };
        tell(&a, event(b.clone()));
        tell(&b, event(a.clone()));
        let pair = pair(&a, &b);
        if is_cut {
            lines.cut.insert(pair)
        } else {
            lines.cut.remove(&pair)
        };
    }

    fn lose(&self, n: usize) {
        self.0.lock().unwrap().n_to_lose = n;
    }
}

/// A node that adopts whatever it gets, unless told to fail.
struct Dummy {
    fail: Arc<AtomicBool>,
    events: Arc<Mutex<Vec<GroupEvent>>>,
}

impl Actor for Dummy {
    type Context = Context<Dummy>;
}

impl Handler<Adopt> for Dummy {
    type Result = actix::MessageResult<Adopt>;
    fn handle(&mut self, _adopt: Adopt, _ctx: &mut Context<Dummy>) -> Self::Result {
        actix::MessageResult(match self.fail.load(Ordering::Relaxed) {
            false => Adoption::at_once(),
            true => Adoption::RolledBack { step: "start n1.web".to_owned(), cause: "port taken".to_owned() },
        })
    }
}

impl Handler<GroupEvent> for Dummy {
    type Result = ();
    fn handle(&mut self, event: GroupEvent, _ctx: &mut Context<Dummy>) {
        self.events.lock().unwrap().push(event);
    }
}

/// Keeps in memory what would be on disk.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<(Vec<Vec<u8>>, bool)>>);

/// One that appends, and cannot put its records together.
#[derive(Clone, Default)]
struct Cramped(Disk);

impl Keep for Cramped {
    fn load(&mut self) -> Result<Vec<Vec<u8>>, String> {
        self.0.load()
    }
    fn append(&mut self, record: &[u8]) -> Result<(), String> {
        self.0.append(record)
    }
    fn replace(&mut self, _base: &[u8]) -> Result<(), String> {
        Err("no space left on device".to_owned())
    }
}

impl Keep for Disk {
    fn load(&mut self) -> Result<Vec<Vec<u8>>, String> {
        Ok(self.0.lock().unwrap().0.clone())
    }
    fn append(&mut self, record: &[u8]) -> Result<(), String> {
        let mut disk = self.0.lock().unwrap();
        if disk.1 {
            return Err("no space left on device".to_owned());
        }
        disk.0.push(record.to_vec());
        Ok(())
    }
    fn replace(&mut self, base: &[u8]) -> Result<(), String> {
        self.0.lock().unwrap().0 = vec![base.to_vec()];
        Ok(())
    }
}

struct Member {
    group: GroupHandle,
    fail: Arc<AtomicBool>,
    events: Arc<Mutex<Vec<GroupEvent>>>,
}

fn member_with(
    net: &Net,
    node: &str,
    keep: Box<dyn Keep>,
    fail: bool,
    strategy: impl Fn() -> Box<dyn Strategy> + Send + 'static,
) -> Member {
    let events = Arc::new(Mutex::new(Vec::new()));
    let fail = Arc::new(AtomicBool::new(fail));
    let dummy = Dummy { fail: Arc::clone(&fail), events: Arc::clone(&events) }.start();
    let group: GroupName = name("sync");
    let seat = Seat {
        name: group.clone(),
        me: name(node),
        incarnation: crate::io::clock::now().micros(),
        adopt: dummy.clone().recipient(),
        events: dummy.recipient(),
        keep,
        timing: Timing {
            heartbeat: Duration::from_millis(20),
            alone_after: Duration::from_millis(60),
            whole_max: WHOLE_MAX,
            ..Timing::default()
        },
        wire: Box::new(NetWire { net: net.clone(), me: name(node) }),
        inbox: Inbox::new(InstancePath::Group(group), Kind::Group, 1, Arc::from([]), None),
        dictionary: Dictionary::default(),
        watcher: None,
        make: Box::new(strategy),
    };
    let cradle = actix_rt::Arbiter::current().into();
    Member { group: start(&cradle, seat), fail, events }
}

fn member(net: &Net, node: &str) -> Member {
    member_with(net, node, Box::new(KeepNothing), false, || Box::new(Gossip))
}

impl Member {
    async fn edit(&self, edits: &[Edit]) -> RevisionId {
        let mut wanted = self.group.current().model;
        wanted.apply(edits).unwrap();
        self.group.push(wanted_push(wanted)).await.unwrap().revision.unwrap()
    }

    fn note(&self, channel: &str) -> Option<String> {
        let model = self.group.current().model;
        model
            .channels
            .get(&name::<crate::words::ChannelName>(channel))?
            .instance
            .metadata
            .get("note")
            .map(|t| t.to_string())
    }
}

fn wanted_push(wanted: Model) -> Push {
    Push {
        wanted,
        base: None,
        compare_and_swap: false,
        by: "tester".into(),
        from: "test".into(),
        message: "because".into(),
    }
}

fn attach(nodes: &[&str]) -> Vec<Edit> {
    let group: GroupName = name("sync");
    let add = Edit::AddInstance { path: InstancePath::Group(group.clone()), instance: Instance::default() };
    let nodes = nodes.iter().flat_map(|node| {
        let node: NodeName = name(node);
        [
            Edit::AddNode { name: node.clone(), instance: Instance::default(), host: None },
            Edit::Attach { node, group: group.clone() },
        ]
    });
    std::iter::once(add).chain(nodes).collect()
}

fn channel(text: &str) -> Edit {
    Edit::AddInstance { path: InstancePath::Channel(name(text)), instance: Instance::default() }
}

fn note(text: &str, value: &str) -> Edit {
    Edit::SetMetadata { path: InstancePath::Channel(name(text)), key: "note".into(), value: Some(value.into()) }
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while !holds() {
        assert!(tokio::time::Instant::now() < deadline, "{what}: not within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[actix::test]
async fn a_push_is_adopted_everywhere_and_each_node_answers() {
    let net = Net::default();
    let (a, b) = (member(&net, "a"), member(&net, "b"));
    let c = member_with(&net, "c", Box::new(KeepNothing), true, || Box::new(Gossip));
    for member in [&a, &b, &c] {
        member.group.synced(LIMIT).await.unwrap();
    }
    let mut edits = attach(&["a", "b", "c", "d"]);
    edits.push(channel("x"));
    let revision = a.edit(&edits).await;
    let mut n_told = 0;
    let outcomes = a.group.outcome(revision.clone(), LIMIT, |_| n_told += 1).await.unwrap();
    let cause = Adoption::RolledBack { step: "start n1.web".to_owned(), cause: "port taken".to_owned() };
    let expected = [
        ("a", Outcome::Done(Adoption::at_once())),
        ("b", Outcome::Done(Adoption::at_once())),
        ("c", Outcome::Done(cause)),
        ("d", Outcome::Unreachable),
    ];
    assert_eq!(outcomes, expected.map(|(node, outcome)| (name(node), outcome)));
    assert!(n_told > 0, "progress is told");
    assert_eq!(b.group.current().model, a.group.current().model);
    assert_eq!(b.group.current().digest, a.group.current().digest);
    let members = b.group.members().await.unwrap();
    let absent: Vec<_> = members.iter().filter(|member| member.presence == Presence::Absent).collect();
    assert_eq!(absent.len(), 1, "named by the model, and not running: {members:?}");
    assert_eq!(absent[0].node, name("d"));
}

#[actix::test]
async fn after_a_partition_there_is_one_model_and_the_report_names_what_is_gone() {
    let net = Net::default();
    let (a, b) = (member(&net, "a"), member(&net, "b"));
    a.group.synced(LIMIT).await.unwrap();
    b.group.synced(LIMIT).await.unwrap();
    let mut edits = attach(&["a", "b"]);
    edits.extend([channel("x"), note("x", "0")]);
    a.edit(&edits).await;
    eventually("b has it", || b.note("x").as_deref() == Some("0")).await;
    net.set_cut("a", "b", true);
    let lost = a.edit(&[note("x", "left"), channel("from-a")]).await;
    b.edit(&[note("x", "right"), channel("from-b")]).await;
    net.set_cut("a", "b", false);
    eventually("one model", || a.group.current().digest == b.group.current().digest).await;
    assert_eq!(a.group.current().model, b.group.current().model);
    assert_eq!(a.note("x").as_deref(), Some("right"));
    assert_eq!(a.group.current().model.channels.len(), 3, "what did not collide is all there");
    let conflicts = a.group.conflicts(None).await.unwrap();
    let [conflict] = &conflicts[..] else { panic!("one conflict, not {conflicts:?}") };
    assert_eq!(conflict.loser.revision.as_ref(), Some(&lost));
    let told = |member: &Member, of_mine: bool| {
        let events = member.events.lock().unwrap();
        events.iter().any(|event| matches!(event, GroupEvent::Collided { mine, .. } if *mine == of_mine))
    };
    eventually("its author is told", || told(&a, true)).await;
    assert!(told(&b, false));
}

#[actix::test]
async fn a_compare_and_swap_on_an_old_base_is_refused_and_changes_nothing() {
    let net = Net::default();
    let a = member(&net, "a");
    a.group.synced(LIMIT).await.unwrap();
    let base = a.group.current();
    a.edit(&[channel("x")]).await;
    let mut wanted = base.model.clone();
    wanted.apply(&[channel("y")]).unwrap();
    let push = Push { base: Some(base), compare_and_swap: true, ..wanted_push(wanted) };
    let refused = a.group.push(push.clone()).await.unwrap_err();
    assert!(matches!(refused, PushRefused::Moved { .. }), "{refused}");
    assert_eq!(a.group.current().model.channels.len(), 1);
    // Without the condition, it is merged.
    a.group.push(Push { compare_and_swap: false, ..push }).await.unwrap();
    assert_eq!(a.group.current().model.channels.len(), 2);
}

#[actix::test]
async fn a_late_joiner_knows_the_model_before_it_starts_anything() {
    let net = Net::default();
    let a = member(&net, "a");
    a.group.synced(LIMIT).await.unwrap();
    let mut edits = attach(&["a", "b"]);
    edits.push(channel("x"));
    let first = a.edit(&edits).await;
    a.edit(&[note("x", "now")]).await;
    let b = member(&net, "b");
    b.group.synced(LIMIT).await.unwrap();
    assert_eq!(b.group.current().model, a.group.current().model);
    assert_eq!(b.group.history(10).await.unwrap(), a.group.history(10).await.unwrap());
    assert_eq!(b.group.model_at(first.clone()).await.unwrap(), a.group.model_at(first.clone()).await.unwrap());
    let events = b.events.lock().unwrap().clone();
    let by_a = GroupEvent::Synced { by: Some(name("a")) };
    assert!(events.contains(&by_a), "{events:?}");
    // And it can bring back what was before its time.
    let back = b.group.rollback(first.clone(), "tester", "test", "").await.unwrap();
    eventually("a follows", || a.group.current().id() == back.revision.as_ref()).await;
    assert_eq!(a.note("x"), None);
    let newest = a.group.history(1).await.unwrap().remove(0);
    assert_eq!(newest.rolls_back_to, Some(first));
}

#[actix::test]
async fn what_the_network_lost_is_asked_for() {
    let net = Net::default();
    let (a, b) = (member(&net, "a"), member(&net, "b"));
    a.group.synced(LIMIT).await.unwrap();
    b.group.synced(LIMIT).await.unwrap();
    net.lose(3);
    a.edit(&[channel("x")]).await;
    a.edit(&[note("x", "1")]).await;
    eventually("b has both", || b.note("x").as_deref() == Some("1")).await;
}

#[actix::test]
async fn what_was_acknowledged_outlives_a_crash_and_what_cannot_be_kept_did_not_happen() {
    let disk = Disk::default();
    {
        let a = member_with(&Net::default(), "a", Box::new(disk.clone()), false, || Box::new(Gossip));
        a.group.synced(LIMIT).await.unwrap();
        a.edit(&[channel("x")]).await;
        a.edit(&[note("x", "1")]).await;
        disk.0.lock().unwrap().1 = true;
        let mut wanted = a.group.current().model;
        wanted.apply(&[note("x", "2")]).unwrap();
        let refused = a.group.push(wanted_push(wanted)).await.unwrap_err();
        assert_eq!(refused, PushRefused::Storage("no space left on device".to_owned()));
        assert_eq!(a.note("x").as_deref(), Some("1"));
        disk.0.lock().unwrap().1 = false;
    }
    let again = member_with(&Net::default(), "a", Box::new(disk.clone()), false, || Box::new(Gossip));
    again.group.synced(LIMIT).await.unwrap();
    assert_eq!(again.note("x").as_deref(), Some("1"));
    assert_eq!(again.group.history(10).await.unwrap().len(), 2);
    let third = again.edit(&[note("x", "2")]).await;
    assert_eq!(third.number, 3, "numbers go on");
}

#[actix::test]
async fn what_was_appended_is_acknowledged_though_the_records_could_not_be_put_together() {
    let disk = Cramped::default();
    let large = "v".repeat(600 * 1024);
    {
        let a = member_with(&Net::default(), "a", Box::new(disk.clone()), false, || Box::new(Gossip));
        a.group.synced(LIMIT).await.unwrap();
        a.edit(&[channel("x")]).await;
        a.edit(&[note("x", &large)]).await;
        a.edit(&[channel("y")]).await;
    }
    let again = member_with(&Net::default(), "a", Box::new(disk), false, || Box::new(Gossip));
    again.group.synced(LIMIT).await.unwrap();
    assert_eq!(again.note("x"), Some(large));
    assert_eq!(again.group.current().model.channels.len(), 2);
}

#[actix::test]
async fn what_a_node_could_not_take_up_of_its_part_it_takes_up_when_it_is_asked_again() {
    let net = Net::default();
    let a = member(&net, "a");
    let b = member_with(&net, "b", Box::new(KeepNothing), true, || Box::new(Gossip));
    a.group.synced(LIMIT).await.unwrap();
    b.group.synced(LIMIT).await.unwrap();
    a.edit(&attach(&["a", "b"])).await;
    let large = a.edit(&(0..WHOLE_MAX).map(|nth| component("b", nth)).collect::<Vec<_>>()).await;
    let answer = async || {
        let outcomes = a.group.outcome(large.clone(), LIMIT, |_| {}).await.unwrap();
        outcomes.into_iter().find(|(node, _)| *node == name("b")).unwrap().1
    };
    assert!(matches!(answer().await, Outcome::Done(Adoption::RolledBack { .. })));
    eventually("b knows the whole", || b.group.current().id() == Some(&large)).await;
    b.fail.store(false, Ordering::Relaxed);
    b.group.renew();
    let mut told = answer().await;
    let deadline = tokio::time::Instant::now() + LIMIT;
    while told != Outcome::Done(Adoption::at_once()) {
        assert!(tokio::time::Instant::now() < deadline, "b has not tried again: {told:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
        told = answer().await;
    }
}

fn component(node: &str, nth: u32) -> Edit {
    let (node, component): (NodeName, ComponentName) = (name(node), name(&format!("c{nth}")));
    let id = ComponentId::born(7, &InstancePath::Component(node.clone(), component.clone()), 0);
    let device = TypeRef::new("t", "Device", "1").unwrap();
    let (provided, required) = (Vec::new(), Vec::new());
    Edit::AddComponent { node, name: component, id, instance: Instance::of(device), provided, required }
}

/// A group in which only one node may push: what a user might write.
struct Master(NodeName);

impl Strategy for Master {
    fn allow(&mut self, _push: &Push, ctx: &mut GroupCtx<'_>) -> Result<(), String> {
        if *ctx.me() == self.0 { Ok(()) } else { Err(format!("push on \"{}\", the master", self.0)) }
    }
}

#[actix::test]
async fn a_group_may_have_rules_of_its_own() {
    let net = Net::default();
    let master = || -> Box<dyn Strategy> { Box::new(Master(name("a"))) };
    let a = member_with(&net, "a", Box::new(KeepNothing), false, master);
    let b = member_with(&net, "b", Box::new(KeepNothing), false, master);
    a.group.synced(LIMIT).await.unwrap();
    b.group.synced(LIMIT).await.unwrap();
    let mut wanted = Model::default();
    wanted.apply(&[channel("x")]).unwrap();
    let refused = b.group.push(wanted_push(wanted.clone())).await.unwrap_err();
    assert_eq!(refused, PushRefused::Strategy("push on \"a\", the master".to_owned()));
    a.group.push(wanted_push(wanted.clone())).await.unwrap();
    eventually("b has it", || b.group.current().model == wanted).await;
}

/// A group that breaks when it hears anything.
struct Broken;

impl Strategy for Broken {
    fn spread(&mut self, _message: GroupMessage, _ctx: &mut GroupCtx<'_>) {
        panic!("index out of bounds");
    }
}

#[actix::test]
async fn a_group_whose_own_code_panics_goes_on_as_gossip() {
    let net = Net::default();
    let a = member_with(&net, "a", Box::new(KeepNothing), false, || Box::new(Broken));
    let b = member(&net, "b");
    a.group.synced(LIMIT).await.unwrap();
    b.group.synced(LIMIT).await.unwrap();
    a.edit(&[channel("x")]).await;
    eventually("b has it nevertheless", || b.group.current().model.channels.len() == 1).await;
}
