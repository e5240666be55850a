//! What the steps of a plan work on: everything that runs on this node, shared by the tasks of its arbiter.

use std::{
    cell::{Cell, OnceCell, RefCell},
    rc::Rc,
    sync::Arc,
};

use tokio::sync::{Notify, watch};

use super::{
    adapt::Progress, disk::Disk, hosted::HostedNodes, instances::Instances, journal::Journal, options::Options,
    placement::Placement, poison::Trials, rates::Rates, states::States, wires::Wires,
};
use crate::{
    io::{
        clock::Stopwatch,
        engine::{Peer, Router},
    },
    logic::{gossip::RevisionId, restart::Policy},
    model::Model,
    runtime::{
        group::GroupHandle,
        instance::{Catalog, Environment, Handle, cradle::Thread},
    },
    words::{InstancePath, NodeName},
};

/// Everything that runs on a node. Lives on the node's arbiter; no borrow is held over an await.
pub(super) struct World {
    /// This node.
    pub(super) me: NodeName,
    /// The types that this binary brings.
    pub(super) catalog: Arc<Catalog>,
    /// The network.
    pub(super) router: Router,
    /// The store.
    pub(super) disk: Disk,
    /// The states of components in it.
    pub(super) states: States,
    /// What runs.
    pub(super) instances: RefCell<Instances>,
    /// The nodes that this one hosts.
    pub(super) hosted: RefCell<HostedNodes>,
    /// Who hangs on which channel.
    pub(super) wires: RefCell<Wires>,
    /// How often crashed instances are started again, where their type says nothing.
    pub(super) restart: Policy,
    /// The thread of the groups.
    pub(super) group_thread: Thread,
    /// Which thread has room.
    pub(super) placement: RefCell<Placement>,
    /// What happened lately.
    pub(super) journal: RefCell<Journal>,
    /// How many messages a second go through what runs here.
    pub(super) rates: RefCell<Rates>,
    /// Set by the plan that stops this node; obeyed when its outcome is told.
    pub(super) stop_wanted: Cell<bool>,
    /// The model that runs here: the last one adopted.
    pub(super) running: RefCell<Model>,
    /// The model that it is on its way to, or was last.
    pub(super) wanted: RefCell<Model>,
    /// The revision that what runs is from.
    pub(super) adopted: RefCell<Option<RevisionId>>,
    /// What crashed this node before, and what ran well.
    pub(super) trials: RefCell<Trials>,
    /// Told when the node is to end.
    pub(super) stop: Notify,
    /// The node that took this one's name, which ends it.
    pub(super) name_taken: RefCell<Option<Peer>>,
    /// Whether a failed adaptation could not be undone: the next one starts from scratch.
    pub(super) is_degraded: Cell<bool>,
    /// How the adaptation under way goes.
    pub(super) progress: watch::Sender<Progress>,
    /// Since when this node runs.
    pub(super) started: Stopwatch,
    environment: OnceCell<Arc<Environment>>,
    group: OnceCell<(Handle, GroupHandle)>,
}

impl World {
    /// A world in which nothing runs yet.
    pub(super) fn new(
        me: NodeName,
        catalog: Arc<Catalog>,
        router: Router,
        disk: Disk,
        hosted: HostedNodes,
        options: &Options,
    ) -> Rc<World> {
        Rc::new(World {
            me,
            catalog,
            router,
            states: States::new(disk.clone()),
            disk,
            instances: RefCell::default(),
            hosted: RefCell::new(hosted),
            wires: RefCell::default(),
            restart: options.restart,
            group_thread: if options.n_workers == 0 { Thread::here() } else { Thread::start() },
            placement: RefCell::new(Placement::new(options.n_workers)),
            journal: RefCell::default(),
            rates: RefCell::default(),
            stop_wanted: Cell::new(false),
            running: RefCell::default(),
            wanted: RefCell::default(),
            adopted: RefCell::default(),
            trials: RefCell::default(),
            stop: Notify::new(),
            name_taken: RefCell::default(),
            is_degraded: Cell::new(false),
            progress: watch::Sender::default(),
            started: Stopwatch::start(),
            environment: OnceCell::new(),
            group: OnceCell::new(),
        })
    }

    /// Says what instances are offered. Once, when the node actor has an address.
    pub(super) fn offer(&self, environment: Environment) {
        let first = self.environment.set(Arc::new(environment));
        debug_assert!(first.is_ok(), "the environment is set once");
    }

    /// What instances are offered.
    pub(super) fn environment(&self) -> Arc<Environment> {
        self.environment.get().expect("set when the node actor starts, before any instance").clone()
    }

    /// Keeps the group that this node was started with. Once.
    pub(super) fn keep_group(&self, handle: Handle, group: GroupHandle) {
        let first = self.group.set((handle, group));
        debug_assert!(first.is_ok(), "a node is started with one group");
    }

    /// The group that this node was started with.
    pub(super) fn group(&self) -> Option<&GroupHandle> {
        self.group.get().map(|(_, group)| group)
    }

    /// Whether a path is that of the group that this node was started with.
    pub(super) fn is_own_group(&self, path: &InstancePath) -> bool {
        matches!(path, InstancePath::Group(name) if self.group().is_some_and(|own| own.name() == name))
    }

    /// Says in the group what runs here now.
    pub(super) fn tell_group(&self) {
        if let Some(group) = self.group() {
            group.set_report(self.instances.borrow().report());
        }
    }
}

#[cfg(test)]
impl World {
    /// A world without others and without anything on disk, and the options it was made of.
    pub(super) fn alone(change: impl FnOnce(&mut Options)) -> (Rc<World>, Rc<Options>) {
        use crate::io::{engine::Role, store::Store};

        let mut options = Options::alone();
        change(&mut options);
        let me = Peer { name: options.name.clone(), incarnation: 1, role: Role::Node };
        let catalog = Arc::new(Catalog::default());
        let hosted = HostedNodes::new(options.clone(), catalog.clone());
        let disk = Disk::blocking_here(Store::in_memory().expect("memory is there").into());
        let world = World::new(options.name.clone(), catalog, Router::alone(me), disk, hosted, &options);
        (world, Rc::new(options))
    }
}
