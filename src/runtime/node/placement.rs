//! Placement: which thread an instance lives on. User code never runs on the node's own arbiter.

use std::collections::HashMap;

use crate::{
    runtime::instance::{Cradle, cradle::Thread},
    words::{ChannelName, InstancePath},
};

/// What goes through a channel goes between threads or within one, which costs a fraction. So an instance lives where the first
/// channel that it hangs on has its place, as long as that thread has at most this part more than its share …
const SHARE_MORE: usize = 4;

/// … and so many: a sender, its channel and its receiver stay together on an otherwise empty node.
const SHARE_LEAST: usize = 4;

/// Where an instance was placed; given back when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(usize);

struct Worker {
    thread: Thread,
    cradle: Cradle,
    n_instances: usize,
    /// An instance blocks this thread for good: nothing new comes here.
    condemned: bool,
}

/// The threads that user code runs on. The next instance goes where those are that it talks to, unless that thread has too many;
/// then to the least loaded one.
pub(super) struct Placement {
    workers: Vec<Worker>,
    /// Where the instances on a channel live, as far as there is room: as many entries as channels run here.
    places: HashMap<ChannelName, usize>,
    n_wanted: usize,
    /// Nothing has a thread of its own.
    all_here: bool,
}

impl Placement {
    /// Placement over `n_wanted` threads, started when they are needed; over the node's own with 0.
    pub(super) fn new(n_wanted: usize) -> Placement {
        Placement { workers: Vec::new(), places: HashMap::new(), n_wanted: n_wanted.max(1), all_here: n_wanted == 0 }
    }

    /// A place for one more instance, near to a channel.
    pub(super) fn place(&mut self, near: Option<&ChannelName>) -> (Place, Cradle) {
        let idx = near.and_then(|channel| self.room_at(channel)).unwrap_or_else(|| self.least_loaded());
        let is_lost = |idx: &usize| self.workers[*idx].condemned;
        if let Some(channel) = near.filter(|channel| self.places.get(*channel).is_none_or(is_lost)) {
            self.places.insert(channel.clone(), idx);
        }
        let worker = &mut self.workers[idx];
        worker.n_instances += 1;
        (Place(idx), worker.cradle.clone())
    }

    /// The thread of a channel, if there is room.
    fn room_at(&self, channel: &ChannelName) -> Option<usize> {
        let idx = *self.places.get(channel)?;
        let share = self.workers.iter().map(|worker| worker.n_instances).sum::<usize>() / self.n_wanted;
        let worker = &self.workers[idx];
        (!worker.condemned && worker.n_instances < share + share / SHARE_MORE + SHARE_LEAST).then_some(idx)
    }

    fn least_loaded(&mut self) -> usize {
        let n_usable = self.workers.iter().filter(|worker| !worker.condemned).count();
        let idle = self.workers.iter().any(|worker| !worker.condemned && worker.n_instances == 0);
        if n_usable == 0 || (n_usable < self.n_wanted && !idle) {
            let thread = if self.all_here { Thread::here() } else { Thread::start() };
            self.workers.push(Worker { cradle: thread.cradle(), thread, n_instances: 0, condemned: false });
        }
        let usable = self.workers.iter().enumerate().filter(|(_, worker)| !worker.condemned);
        usable
            .min_by_key(|(_, worker)| worker.n_instances)
            .map(|(idx, _)| idx)
            .expect("one was started above if there was none")
    }

    /// An instance has ended.
    pub(super) fn release(&mut self, Place(idx): Place, path: &InstancePath) {
        let worker = &mut self.workers[idx];
        worker.n_instances = worker.n_instances.saturating_sub(1);
        if let InstancePath::Channel(name) = path {
            self.places.remove(name);
        }
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
            worker.thread.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn instances_are_spread_and_a_blocked_thread_is_replaced() {
        let mut placement = Placement::new(2);
        let path = InstancePath::Group("g".parse().unwrap());
        let (first, _) = placement.place(None);
        let (second, _) = placement.place(None);
        assert_ne!(first, second);
        placement.release(first, &path);
        assert_eq!(placement.place(None).0, first, "the least loaded thread comes first");
        placement.condemn(first);
        let (third, _) = placement.place(None);
        assert!(third != first && third != second, "another thread takes over");
        assert_eq!(placement.n_condemned(), 1);
        placement.stop();
    }
    #[actix_rt::test]
    async fn who_talks_to_each_other_shares_a_thread_until_it_has_too_many() {
        let mut placement = Placement::new(4);
        let channels: Vec<ChannelName> = ["a", "b", "c", "d"].map(|name| name.parse().unwrap()).to_vec();
        let trio = |placement: &mut Placement, name| [(); 3].map(|()| placement.place(Some(name)).0);
        let trios: Vec<[Place; 3]> = channels.iter().map(|name| trio(&mut placement, name)).collect();
        let firsts: Vec<Place> = trios.iter().map(|trio| trio[0]).collect();
        assert!(trios.iter().all(|trio| trio.iter().all(|place| *place == trio[0])), "{trios:?}");
        assert!((1..4).all(|n| !firsts[..n].contains(&firsts[n])), "{firsts:?}");
        for _ in 0..1000 {
            placement.place(Some(&channels[0]));
        }
        let loads: Vec<usize> = placement.workers.iter().map(|worker| worker.n_instances).collect();
        assert!(loads.iter().all(|load| (180..=325).contains(load)), "{loads:?}");
        placement.stop();
    }
}
