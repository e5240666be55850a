//! The life of a node: a process of its own in all but name. What it does, it does on a set of tasks of its own, by a clock of its
//! own; when that is dropped, it has crashed.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use enact::{
    io::{
        clock::{self, Simulated},
        engine::{Peer, Role, Router, sim::SimNet},
        store::Store,
    },
    runtime::{
        group::GroupHandle,
        instance::Catalog,
        node::{Options, launch},
    },
};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, LocalSet},
};

/// How long the last words of a node that ends in order may take.
const CLOSE_MAX: Duration = Duration::from_secs(2);

/// What is known of a life from outside.
#[derive(Default)]
pub(super) struct Seat {
    pub(super) router: Option<Router>,
    /// There when the node has joined its group.
    pub(super) group: Option<GroupHandle>,
    pub(super) stop: Option<oneshot::Sender<()>>,
    pub(super) ended: Option<Result<(), String>>,
}

/// One life of a node.
pub(super) struct Life {
    pub(super) seat: Rc<RefCell<Seat>>,
    pause: Rc<Pause>,
    task: JoinHandle<()>,
}

/// What a node needs to live.
pub(super) struct Birth {
    pub(super) net: SimNet,
    pub(super) store: Arc<Store>,
    pub(super) clock: Rc<Cell<Simulated>>,
    pub(super) options: Options,
    pub(super) catalog: Arc<Catalog>,
}

impl Life {
    /// A node starts.
    pub(super) fn begin(birth: Birth) -> Life {
        let (seat, pause) = (Rc::new(RefCell::new(Seat::default())), Rc::new(Pause::default()));
        let tasks = LocalSet::new();
        let clock = birth.clock.clone();
        tasks.spawn_local(live(birth, seat.clone()));
        let process = Process { tasks: Some(tasks), clock, seat: seat.clone(), pause: pause.clone() };
        Life { seat, pause, task: tokio::task::spawn_local(process) }
    }

    /// It ends, wherever it is.
    pub(super) async fn crash(self) {
        self.task.abort();
        // Told that it was cancelled, which is what we asked for.
        let _ = self.task.await;
    }

    /// It gets no time, until it is let go on.
    pub(super) fn hang(&self) {
        self.pause.is_on.set(true);
    }

    /// It goes on.
    pub(super) fn go_on(&self) {
        self.pause.is_on.set(false);
        if let Some(waker) = self.pause.waker.take() {
            waker.wake();
        }
    }
}

/// What a process does from its first to its last moment.
async fn live(birth: Birth, seat: Rc<RefCell<Seat>>) {
    let ended = run(birth, &seat).await;
    seat.borrow_mut().ended = Some(ended);
}

async fn run(birth: Birth, seat: &Rc<RefCell<Seat>>) -> Result<(), String> {
    let Birth { net, store, options, catalog, .. } = birth;
    let identity = store.take_up(&options.name, clock::now()).map_err(|error| error.to_string())?;
    let me = Peer { name: options.name.clone(), incarnation: identity.incarnation, role: Role::Node };
    let router = net.join_peer(me, options.group.as_str()).await.map_err(|error| error.to_string())?;
    let (stop, stopped) = oneshot::channel();
    {
        let mut seat = seat.borrow_mut();
        (seat.router, seat.stop) = (Some(router.clone()), Some(stop));
    }
    let ready = |ready: &launch::Ready| seat.borrow_mut().group = Some(ready.group.clone());
    let lived = launch::live_here(options, catalog, store, router.clone(), stopped, ready).await;
    router.close(CLOSE_MAX).await;
    lived.map_err(|error| error.to_string())
}

#[derive(Default)]
struct Pause {
    is_on: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

/// The tasks of a node, which look at its clock.
struct Process {
    tasks: Option<LocalSet>,
    clock: Rc<Cell<Simulated>>,
    seat: Rc<RefCell<Seat>>,
    pause: Rc<Pause>,
}

impl Future for Process {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let process = self.get_mut();
        if process.pause.is_on.get() {
            process.pause.waker.set(Some(cx.waker().clone()));
            return Poll::Pending;
        }
        let Some(tasks) = &mut process.tasks else { return Poll::Ready(()) };
        let polled = by(&process.clock, || Pin::new(tasks).poll(cx));
        // With its main task a process ends, whatever others are at.
        if process.seat.borrow().ended.is_some() { Poll::Ready(()) } else { polled }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let tasks = self.tasks.take();
        by(&self.clock, || drop(tasks));
    }
}

fn by<T>(clock: &Cell<Simulated>, work: impl FnOnce() -> T) -> T {
    let before = clock::simulate(Some(clock.get()));
    let done = work();
    clock::simulate(before);
    done
}
