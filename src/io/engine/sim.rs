//! The double of the network for tests: in memory, from a seed, in tokio's time (pause it, and waiting is free).
//!
//! Frames get lost, doubled, delayed and thereby reordered; ways are cut in one or both directions; nodes are killed or hang.
//! Above it run the real links and the real [`Router`].
//!
//! ```
//! # use std::time::Duration;
//! # use enact::io::engine::{Lane, sim::{SimNet, Weather}};
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
//! # runtime.block_on(async {
//! let net = SimNet::new(7, Weather { loss: 0.2, ..Weather::default() });
//! let (n1, n2) = (net.join("n1").await.unwrap(), net.join("n2").await.unwrap());
//! let mut greetings = n2.serve("greetings");
//! assert!(n1.found(Duration::from_secs(10)).await);
//! n1.tell(&"n2".parse().unwrap(), "greetings", Lane::Bulk, "hello".into()).unwrap();
//! assert_eq!(greetings.recv().await.unwrap().body, "hello");
//! # });
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    Address, Closer, Engine, EngineError, Lane, NetworkEvent, PROTOCOL, Peer, Role, Router, Sighting, Way, mesh::Mesh,
    shared::Shared,
};
use crate::{
    logic::{link::Limits, peers::Times},
    words::NodeName,
};

/// What frames meet on their way.
#[derive(Clone, Debug, PartialEq)]
pub struct Weather {
    /// The share of frames that get lost, 0 to 1.
    pub loss: f64,
    /// The share of frames that arrive twice.
    pub duplication: f64,
    /// The shortest way.
    pub delay_min: Duration,
    /// The longest way. What is sent later may arrive earlier: frames are reordered within this.
    pub delay_max: Duration,
    /// After this long, who is cut off is not shown any more.
    pub lease: Duration,
}

impl Default for Weather {
    /// A local network on a good day.
    fn default() -> Weather {
        Weather {
            loss: 0.0,
            duplication: 0.0,
            delay_min: Duration::from_micros(100),
            delay_max: Duration::from_micros(500),
            lease: Duration::from_secs(1),
        }
    }
}

/// A network in memory. Cheap to clone. Made and used within a tokio runtime (an actix system is one).
#[derive(Clone)]
pub struct SimNet(Arc<World>);

struct World {
    state: Mutex<State>,
    wake: Notify,
}

struct State {
    dice: u64,
    weather: Weather,
    nodes: BTreeMap<Address, SimNode>,
    cuts: BTreeMap<(NodeName, NodeName), Instant>,
    hung: BTreeSet<NodeName>,
    /// Who (first) is shown whom (second).
    shown: BTreeSet<(Address, Address)>,
    schedule: BTreeMap<(Instant, u64), Happening>,
    n_scheduled: u64,
}

struct SimNode {
    sighting: Sighting,
    shared: Arc<Shared>,
    announced: bool,
}

enum Happening {
    Arrival(Address, Bytes),
    /// Look again who sees whom.
    Review,
}

/// One node's end.
struct SimEngine {
    net: SimNet,
    address: Address,
}

impl SimNet {
    /// An empty network whose accidents follow from `seed`.
    pub fn new(seed: u64, weather: Weather) -> SimNet {
        let state = State {
            // Small seeds should not resemble each other.
            dice: (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1,
            weather,
            nodes: BTreeMap::new(),
            cuts: BTreeMap::new(),
            hung: BTreeSet::new(),
            shown: BTreeSet::new(),
            schedule: BTreeMap::new(),
            n_scheduled: 0,
        };
        let world = Arc::new(World { state: Mutex::new(state), wake: Notify::new() });
        tokio::spawn(run(Arc::downgrade(&world)));
        SimNet(world)
    }

    /// A node of this name joins, with an incarnation above all former ones. Waits until its name is known to be free.
    ///
    /// # Errors
    /// [`EngineError::NameInUse`].
    pub async fn join(&self, name: &str) -> Result<Router, EngineError> {
        self.join_as(name, Role::Node, "sim").await
    }

    /// Joins as a node or a console, of a group.
    ///
    /// # Errors
    /// [`EngineError::NameInUse`].
    ///
    /// # Panics
    /// When the name is none: it is a test that is wrong.
    pub async fn join_as(&self, name: &str, role: Role, group: &str) -> Result<Router, EngineError> {
        let name = NodeName::parse(name).expect("the test gives a name");
        let incarnation = {
            let mut state = self.lock();
            state.n_scheduled += 1;
            state.n_scheduled
        };
        self.join_peer(Peer { name, incarnation, role }, group).await
    }

    /// Joins as whoever has kept its identity.
    ///
    /// # Errors
    /// [`EngineError::NameInUse`].
    pub async fn join_peer(&self, peer: Peer, group: &str) -> Result<Router, EngineError> {
        let (engine, mesh) = {
            let mut state = self.lock();
            let name = peer.name.clone();
            let address = Address(format!("{name}#{}", peer.incarnation).into());
            let sighting = Sighting { address: address.clone(), protocol: PROTOCOL, group: group.to_owned(), peer };
            let mesh = Mesh::new(sighting.clone(), address.to_string(), Limits::default(), Times::default());
            let node = SimNode { sighting, shared: mesh.shared().clone(), announced: false };
            state.nodes.insert(address.clone(), node);
            (SimEngine { net: self.clone(), address }, mesh)
        };
        let router = Router::over(mesh.shared().clone());
        self.review(Duration::ZERO);
        mesh.start(Arc::new(engine));
        router.joined().await.map_err(EngineError::from)?;
        Ok(router)
    }

    /// Frames from one to the other get lost from now on; after the lease it is not shown to the other any more.
    pub fn cut(&self, from: &str, to: &str) {
        if let (Ok(from), Ok(to)) = (NodeName::parse(from), NodeName::parse(to)) {
            self.lock().cuts.insert((from, to), Instant::now());
        }
        let lease = self.lock().weather.lease;
        self.review(lease);
    }

    /// Cuts each of one side from each of the other, in both directions.
    pub fn split(&self, one_side: &[&str], other_side: &[&str]) {
        for one in one_side {
            for other in other_side {
                self.cut(one, other);
                self.cut(other, one);
            }
        }
    }

    /// Ends all cuts, and hung nodes go on.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.cuts.clear();
        state.hung.clear();
        let delay = state.weather.delay_max;
        drop(state);
        self.review(delay);
    }

    /// A node is shown but nothing comes from it and it takes nothing.
    pub fn hang(&self, name: &str) {
        self.lock().hung.extend(NodeName::parse(name));
    }

    /// One that hung goes on.
    pub fn go_on(&self, name: &str) {
        self.lock().hung.retain(|hung| hung.as_str() != name);
    }

    /// A node's process ends without a word.
    pub fn kill(&self, name: &str) {
        let dead: Vec<_> = {
            let state = self.lock();
            state
                .nodes
                .values()
                .filter(|node| node.sighting.peer.name.as_str() == name)
                .map(|n| n.shared.clone())
                .collect()
        };
        for shared in dead {
            drop(shared.shut());
        }
    }

    /// Changes what frames meet from now on.
    pub fn set_weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// Throws bytes at a node, as a stranger might.
    pub fn throw(&self, at: &str, bytes: &[u8]) {
        let mut state = self.lock();
        let found = state.nodes.values().find(|node| node.sighting.peer.name.as_str() == at);
        if let Some(address) = found.map(|node| node.sighting.address.clone()) {
            state.schedule(Duration::ZERO, Happening::Arrival(address, Bytes::copy_from_slice(bytes)));
        }
        self.0.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn review(&self, after: Duration) {
        self.lock().schedule(after, Happening::Review);
        self.0.wake.notify_one();
    }
}

impl State {
    /// A number from 0 to 1.
    fn roll(&mut self) -> f64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 11) as f64 / (1u64 << 53) as f64
    }

    fn schedule(&mut self, after: Duration, happening: Happening) {
        self.n_scheduled += 1;
        self.schedule.insert((Instant::now() + after, self.n_scheduled), happening);
    }

    fn send(&mut self, from: &Address, to: &Address, frame: Bytes) {
        // The dead say nothing.
        let Some(from) = self.nodes.get(from).map(|node| node.sighting.peer.name.clone()) else { return };
        let Some(receiver) = self.nodes.get(to).map(|node| node.sighting.peer.name.clone()) else { return };
        let hung = self.hung.contains(&from) || self.hung.contains(&receiver);
        if hung || self.cuts.contains_key(&(from, receiver)) || self.roll() < self.weather.loss {
            return;
        }
        let n_copies = 1 + usize::from(self.roll() < self.weather.duplication);
        for _ in 0..n_copies {
            let span = self.weather.delay_max.saturating_sub(self.weather.delay_min);
            let delay = self.weather.delay_min + span.mul_f64(self.roll());
            self.schedule(delay, Happening::Arrival(to.clone(), frame.clone()));
        }
    }

    fn sees(&self, observer: &SimNode, observed: &SimNode) -> bool {
        let way = (observed.sighting.peer.name.clone(), observer.sighting.peer.name.clone());
        let cut = self.cuts.get(&way).is_some_and(|since| since.elapsed() >= self.weather.lease);
        observed.announced && observed.sighting.address != observer.sighting.address && !cut
    }

    /// What is shown to whom, as it is now; tells the changes.
    fn review(&mut self) -> Vec<(Arc<Shared>, NetworkEvent)> {
        let mut shown = BTreeSet::new();
        let mut news = Vec::new();
        for (address, observer) in &self.nodes {
            for (other, observed) in self.nodes.iter().filter(|(_, observed)| self.sees(observer, observed)) {
                let pair = (address.clone(), other.clone());
                if !self.shown.contains(&pair) {
                    news.push((observer.shared.clone(), NetworkEvent::Appeared(observed.sighting.clone())));
                }
                shown.insert(pair);
            }
        }
        for (observer, gone) in self.shown.difference(&shown) {
            if let Some(observer) = self.nodes.get(observer) {
                news.push((observer.shared.clone(), NetworkEvent::Vanished(gone.clone())));
            }
        }
        self.shown = shown;
        news
    }

    /// What happens until now, and when the next thing will.
    fn due(&mut self) -> (Vec<(Arc<Shared>, NetworkEvent)>, Option<Instant>) {
        let (mut due, now) = (Vec::new(), Instant::now());
        while let Some(next) = self.schedule.first_entry() {
            let at = next.key().0;
            if at > now {
                return (due, Some(at));
            }
            match next.remove() {
                Happening::Arrival(to, frame) => {
                    let to = self.nodes.get(&to).map(|node| node.shared.clone());
                    due.extend(to.map(|shared| (shared, NetworkEvent::Frame(frame))));
                }
                Happening::Review => due.extend(self.review()),
            }
        }
        (due, None)
    }
}

/// Lets happen what is due, as long as somebody holds the network.
async fn run(world: Weak<World>) {
    while let Some(world) = world.upgrade() {
        let (due, next) = world.state.lock().unwrap_or_else(PoisonError::into_inner).due();
        for (shared, event) in due {
            shared.network(event);
        }
        match next {
            Some(at) => {
                let _ = tokio::time::timeout_at(at, world.wake.notified()).await;
            }
            None => world.wake.notified().await,
        }
    }
}

impl Engine for SimEngine {
    fn send(&self, to: &Address, _: Lane, frame: Bytes) {
        self.net.lock().send(&self.address, to, frame);
        self.net.0.wake.notify_one();
    }

    fn open_way(&self, to: &Address) -> Way {
        let (net, own, to) = (self.net.clone(), self.address.clone(), to.clone());
        Arc::new(move |_, frame| {
            net.lock().send(&own, &to, frame);
            net.0.wake.notify_one();
        })
    }

    fn spawn_outbox(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }

    fn announce(&self) {
        if let Some(node) = self.net.lock().nodes.get_mut(&self.address) {
            node.announced = true;
        }
        let delay = self.net.lock().weather.delay_max;
        self.net.review(delay);
    }

    fn closer(&self) -> Closer {
        let (net, address) = (self.net.clone(), self.address.clone());
        Box::new(move || {
            let (done, closed) = oneshot::channel();
            let delay = {
                let mut state = net.lock();
                state.nodes.remove(&address);
                state.weather.delay_max
            };
            net.review(delay);
            let _ = done.send(());
            closed
        })
    }
}
