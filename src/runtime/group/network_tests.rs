//! Groups made by the catalog, over the real router on the network double.

use std::{sync::Arc, time::Duration};

use actix::{Actor, Context, Handler};

use super::{Adopt, Gossip, GroupEvent, GroupHandle, GroupHost, KeepNothing, bundle};
use crate::{
    io::engine::{
        Router,
        sim::{SimNet, Weather},
    },
    logic::gossip::{Adoption, Outcome, Push, Timing},
    model::{Dictionary, Edit, Instance, Model},
    runtime::instance::{Birth, Catalog, Environment, Handle},
    words::{InstancePath, Name},
};

const LIMIT: Duration = Duration::from_secs(60);

fn name<N: From<Name>>(text: &str) -> N {
    Name::parse(text).unwrap().into()
}

/// A node that adopts whatever it gets.
struct Willing;

impl Actor for Willing {
    type Context = Context<Willing>;
}

impl Handler<Adopt> for Willing {
    type Result = actix::MessageResult<Adopt>;
    fn handle(&mut self, _adopt: Adopt, _ctx: &mut Context<Willing>) -> Self::Result {
        actix::MessageResult(Adoption::at_once())
    }
}

impl Handler<GroupEvent> for Willing {
    type Result = ();
    fn handle(&mut self, _event: GroupEvent, _ctx: &mut Context<Willing>) {}
}

fn group_on(router: Router) -> (Handle, Arc<GroupHandle>) {
    let node = Willing.start();
    let host = GroupHost {
        adopt: node.clone().recipient(),
        events: node.recipient(),
        keep: Box::new(|_| Box::new(KeepNothing)),
        timing: Timing::default(),
    };
    let environment =
        Environment::new(router.me().name.clone()).with_service(Arc::new(router)).with_service(Arc::new(host));
    let mut catalog = Catalog::default();
    let gossip = bundle::<Gossip>("test", "1.0.0");
    catalog.add(gossip.clone());
    let handle = catalog
        .create(Birth {
            path: InstancePath::Group(name("sync")),
            life: 1,
            definition: gossip.definition,
            dictionary: Dictionary::default(),
            arbiter: actix_rt::Arbiter::current().into(),
            environment: Arc::new(environment),
        })
        .unwrap();
    let group = handle.facet::<GroupHandle>().unwrap();
    (handle, group)
}

fn push(wanted: Model) -> Push {
    Push { wanted, base: None, compare_and_swap: false, by: "t".into(), from: "t".into(), message: "".into() }
}

fn with(group: &GroupHandle, edits: &[Edit]) -> Push {
    let mut wanted = group.current().model;
    wanted.apply(edits).unwrap();
    push(wanted)
}

fn channel(text: &str) -> Edit {
    Edit::AddInstance { path: InstancePath::Channel(name(text)), instance: Instance::default() }
}

async fn until_equal(groups: &[&GroupHandle]) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while groups.iter().any(|group| group.current().digest != groups[0].current().digest) {
        assert!(tokio::time::Instant::now() < deadline, "one state within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[actix::test]
async fn three_nodes_meet_part_and_meet_again_over_the_router() {
    let net = SimNet::new(3, Weather { loss: 0.05, duplication: 0.02, ..Weather::default() });
    let mut members = Vec::new();
    for node in ["a", "b", "c"] {
        let (handle, group) = group_on(net.join(node).await.unwrap());
        handle.ready(LIMIT).await.unwrap();
        handle.start(LIMIT).await.unwrap();
        group.synced(LIMIT).await.unwrap();
        members.push((handle, group));
    }
    let [a, b, c] = [0, 1, 2].map(|idx| Arc::clone(&members[idx].1));
    until_equal(&[&a, &b, &c]).await;
    let add = Edit::AddInstance { path: InstancePath::Group(name("sync")), instance: Instance::default() };
    let nodes = ["a", "b", "c"].into_iter().flat_map(|node| {
        [
            Edit::AddNode { name: name(node), instance: Instance::default(), host: None },
            Edit::Attach { node: name(node), group: name("sync") },
        ]
    });
    let edits: Vec<Edit> = std::iter::once(add).chain(nodes).collect();
    let revision = a.push(with(&a, &edits)).await.unwrap().revision.unwrap();
    let outcomes = a.outcome(revision, LIMIT, |_| {}).await.unwrap();
    assert_eq!(outcomes.len(), 3);
    assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Done(Adoption::at_once())), "{outcomes:?}");

    net.split(&["a"], &["b", "c"]);
    a.push(with(&a, &[channel("from-a")])).await.unwrap();
    b.push(with(&b, &[channel("from-b")])).await.unwrap();
    until_equal(&[&b, &c]).await;
    net.heal();
    until_equal(&[&a, &b, &c]).await;
    assert_eq!(a.current().model.channels.len(), 2);
    assert_eq!(a.current().model, c.current().model);
    assert_eq!(a.conflicts(None).await.unwrap(), [], "nothing collided");
    for (handle, _) in members {
        handle.end(LIMIT).await.unwrap();
    }
}
