//! Placement: which thread an instance lives on. User code never runs on the node's own arbiter.

use actix_rt::{Arbiter, ArbiterHandle};

/// Where an instance was placed; given back when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(usize);

struct Worker {
    arbiter: Arbiter,
    n_instances: usize,
    /// An instance blocks this thread for good: nothing new comes here.
    condemned: bool,
}

/// The threads that user code runs on. The least loaded one gets the next instance.
pub(super) struct Placement {
    workers: Vec<Worker>,
    n_wanted: usize,
}

impl Placement {
    /// Placement over `n_wanted` threads (at least one), started when they are needed.
    pub(super) fn new(n_wanted: usize) -> Placement {
        Placement { workers: Vec::new(), n_wanted: n_wanted.max(1) }
    }

    /// A place for one more instance.
    pub(super) fn place(&mut self) -> (Place, ArbiterHandle) {
        let n_usable = self.workers.iter().filter(|worker| !worker.condemned).count();
        let idle = self.workers.iter().any(|worker| !worker.condemned && worker.n_instances == 0);
        if n_usable == 0 || (n_usable < self.n_wanted && !idle) {
            self.workers.push(Worker { arbiter: Arbiter::new(), n_instances: 0, condemned: false });
        }
        let (idx, worker) = self
            .workers
            .iter_mut()
            .enumerate()
            .filter(|(_, worker)| !worker.condemned)
            .min_by_key(|(_, worker)| worker.n_instances)
            .expect("one was started above if there was none");
        worker.n_instances += 1;
        (Place(idx), worker.arbiter.handle())
    }

    /// An instance has ended.
    pub(super) fn release(&mut self, Place(idx): Place) {
        let worker = &mut self.workers[idx];
        worker.n_instances = worker.n_instances.saturating_sub(1);
    }

    /// An instance blocks its thread and cannot be ended: nothing new is placed there, another thread takes over.
    pub(super) fn condemn(&mut self, Place(idx): Place) {
        self.workers[idx].condemned = true;
    }

    /// How many threads serve no more, since an instance blocks them.
    pub(super) fn n_condemned(&self) -> usize {
        self.workers.iter().filter(|worker| worker.condemned).count()
    }

    /// Ends the threads.
    pub(super) fn stop(&self) {
        for worker in &self.workers {
            worker.arbiter.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn instances_are_spread_and_a_blocked_thread_is_replaced() {
        let mut placement = Placement::new(2);
        let (first, _) = placement.place();
        let (second, _) = placement.place();
        assert_ne!(first, second);
        placement.release(first);
        assert_eq!(placement.place().0, first, "the least loaded thread comes first");
        placement.condemn(first);
        let (third, _) = placement.place();
        assert!(third != first && third != second, "another thread takes over");
        assert_eq!(placement.n_condemned(), 1);
        placement.stop();
    }
}
