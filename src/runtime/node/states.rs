//! The states of components on this node's disk: whose there are, and how new ones get there, many at a time.

use std::{
    collections::{HashMap, HashSet},
    mem,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::sleep};

use super::{disk::Disk, world::World};
use crate::{
    io::{clock, store::State},
    model::{ComponentId, Model},
    words::Time,
};

/// How long the state of a component that is gone is kept: as long as its removal is remembered. Until then a rollback brings it
/// back as it was.
const GONE_KEPT: Duration = Duration::from_secs(24 * 3600);

/// The most states of components that are gone.
const GONE_MAX: usize = 10_000;

/// How often states are looked through for what is gone: each is read then.
const FORGET_EVERY: Duration = Duration::from_secs(600);

/// States that are written in one transaction. What a transaction costs is shared by then, and others wait for it.
const STATES_PER_WRITE: usize = 256;

/// The states of components on a disk. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct States(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    disk: Disk,
    table: Mutex<Table>,
}

/// Who waits until a state is written.
type Asker = oneshot::Sender<Result<(), String>>;

#[derive(Debug)]
struct Table {
    /// Whose there are, so that nobody is sent to the disk for one that is not. `None` while that cannot be read.
    kept: Option<HashSet<ComponentId>>,
    /// When states were taken that live on here and could not be written: the next ones are later.
    unwritten: HashMap<ComponentId, Time>,
    /// Those that wait to be written. Bounded by those who wait: the steps of one adaptation, and the checkpoints at once.
    waiting: Vec<(ComponentId, State, Asker)>,
    is_writing: bool,
}

impl States {
    /// The states on a disk.
    pub(super) fn new(disk: Disk) -> States {
        let kept = disk.store().state_ids().map(HashSet::from_iter).ok();
        let table = Mutex::new(Table { kept, unwritten: HashMap::new(), waiting: Vec::new(), is_writing: false });
        States(Arc::new(Shared { disk, table }))
    }

    /// Whether a state of a component may be there.
    pub(super) fn may_have(&self, id: ComponentId) -> bool {
        self.0.table().kept.as_ref().is_none_or(|kept| kept.contains(&id))
    }

    /// The state that is kept of a component. One that has none costs no look at the disk.
    ///
    /// # Errors
    /// What the store says.
    pub(super) async fn get(&self, id: ComponentId) -> Result<Option<State>, String> {
        if self.may_have(id) { self.0.disk.run(move |store| store.state(id)).await } else { Ok(None) }
    }

    /// Keeps the state of a component. Those that come while others are being written are written together.
    ///
    /// # Errors
    /// What the store says.
    pub(super) async fn put(&self, id: ComponentId, mut state: State) -> Result<(), String> {
        let (done, written) = oneshot::channel();
        let must_write = {
            let mut table = self.0.table();
            let after = table.unwritten.get(&id).map_or(state.taken, |before| Time(before.0.saturating_add(1)));
            state.taken = state.taken.max(after);
            table.waiting.push((id, state, done));
            !mem::replace(&mut table.is_writing, true)
        };
        if must_write {
            let shared = self.0.clone();
            let disk = shared.disk.clone();
            actix_rt::spawn(async move { disk.off_the_thread(move || shared.write()).await });
        }
        written.await.unwrap_or_else(|_| Err("the store has ended".to_owned()))
    }
}

impl States {
    /// A component goes on from a state that was taken then and is not on this disk.
    pub(super) fn goes_on_from(&self, id: ComponentId, taken: Time) {
        self.0.table().unwritten.insert(id, taken);
    }
}

/// Forgets the states of components that have been gone for long, now and then.
pub(super) async fn forget(world: Rc<World>) {
    loop {
        sleep(FORGET_EVERY).await;
        if let Some(group) = world.group() {
            // When it is busy, the next time will do.
            let _ = world.states.forget_gone(group.current().model, clock::now(), GONE_MAX);
        }
    }
}

impl States {
    /// Forgets states of components that the model does not have; what is to be written meanwhile waits. Where others are being
    /// written, nothing happens, and it says so.
    fn forget_gone(&self, model: Model, now: Time, n_max: usize) -> bool {
        if mem::replace(&mut self.0.table().is_writing, true) {
            return false;
        }
        let shared = self.0.clone();
        tokio::task::spawn_blocking(move || {
            let until = Time(now.0.saturating_sub(GONE_KEPT.as_micros() as u64));
            let lives = |id| model.path_of(id).is_some();
            match shared.disk.note(shared.disk.store().forget_gone(lives, until, n_max)) {
                Ok(gone) => {
                    let gone: HashSet<ComponentId> = gone.into_iter().collect();
                    if let Some(kept) = &mut shared.table().kept {
                        kept.retain(|id| !gone.contains(id));
                    }
                }
                Err(cause) => tracing::warn!(cause, "states of what is gone could not be forgotten"),
            }
            shared.write();
        });
        true
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing under the lock can panic halfway through a change.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the states that wait until none is left.
    fn write(&self) {
        loop {
            let batch: Vec<_> = {
                let mut table = self.table();
                let n = table.waiting.len().min(STATES_PER_WRITE);
                table.is_writing = n > 0;
                table.waiting.drain(..n).collect()
            };
            if batch.is_empty() {
                return;
            }
            let (states, askers): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|(id, state, asker)| ((id, state), asker)).unzip();
            let written = self.disk.note(self.disk.store().put_states(&states));
            if written.is_ok() {
                let mut table = self.table();
                table.unwritten.retain(|id, _| states.iter().all(|(written, _)| written != id));
                if let Some(kept) = &mut table.kept {
                    kept.extend(states.iter().map(|(id, _)| *id));
                }
            }
            for asker in askers {
                // Who asked may have given up waiting.
                let _ = asker.send(written.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        io::store::Store,
        words::{Time, TypeRef},
    };

    fn state(text: &str) -> State {
        let type_ref = TypeRef::new("enact", "Counter", "1.0.0").unwrap();
        State { type_ref, bytes: text.into(), taken: Time::from_ms(1), hand_over: None }
    }

    #[actix_rt::test]
    async fn states_that_are_kept_at_the_same_time_are_all_there_afterwards() {
        let disk = Disk::new(Store::in_memory().unwrap());
        let states = States::new(disk.clone());
        let ids: Vec<ComponentId> = (0..1000).map(ComponentId).collect();
        assert_eq!(states.get(ids[7]).await.unwrap(), None);
        let puts = ids.iter().map(|id| states.put(*id, state(&id.to_string())));
        for put in futures_util::future::join_all(puts).await {
            put.unwrap();
        }
        states.put(ids[7], state("newer")).await.unwrap();
        for states in [states, States::new(disk)] {
            assert_eq!(states.get(ids[7]).await.unwrap().map(|state| state.bytes), Some(b"newer".to_vec()));
            assert_eq!(states.get(ids[8]).await.unwrap(), Some(state(&ids[8].to_string())));
            assert!(!states.may_have(ComponentId(1000)));
        }
    }

    #[actix_rt::test]
    async fn what_follows_a_state_that_could_not_be_written_is_later_than_that() {
        let states = States::new(Disk::new(Store::in_memory().unwrap()));
        states.goes_on_from(ComponentId(1), Time(1_000_000));
        states.put(ComponentId(1), state("since")).await.unwrap();
        assert_eq!(states.get(ComponentId(1)).await.unwrap().unwrap().taken, Time(1_000_001));
        assert!(states.0.table().unwritten.is_empty());
    }

    #[actix_rt::test]
    async fn states_of_what_is_gone_are_bounded_and_those_written_meanwhile_are_kept() {
        let states = States::new(Disk::new(Store::in_memory().unwrap()));
        let put = async |ids: std::ops::Range<u64>| {
            let puts = ids.map(|id| states.put(ComponentId(id), state("")));
            futures_util::future::join_all(puts).await.into_iter().for_each(|put| put.unwrap());
        };
        put(0..100).await;
        // Who has written the last of them may not have noticed yet that it was the last.
        while !states.forget_gone(Model::default(), Time::from_ms(2), 10) {
            tokio::task::yield_now().await;
        }
        put(100..105).await;
        let n_kept = |states: &States| states.0.table().kept.as_ref().map(HashSet::len);
        assert_eq!(n_kept(&states), Some(10 + 5));
        assert_eq!(states.0.disk.store().state_ids().unwrap().len(), 10 + 5);
        assert!((100..105).all(|id| states.may_have(ComponentId(id))));
    }
}
