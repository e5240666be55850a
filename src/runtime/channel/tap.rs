//! Watching what a channel carries, without ever slowing it down.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::{
    logic::delivery::{Loss, Sample},
    runtime::instance::Message,
    words::{PortPath, Time, Value},
};

use super::door::Door;

/// Messages that wait for a slow watcher; more are not shown, and counted.
const TAP_MAX: usize = 256;

/// A message that went over a channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tapped {
    /// When it was sent.
    pub at: Time,
    /// The port that sent it; `None` when that is not known any more.
    pub from: Option<PortPath>,
    /// The port that it was given to; `None` when there was none to give it to.
    pub to: Option<PortPath>,
    /// What it says.
    pub value: Value,
    /// How long it took; `None` when it was lost.
    pub latency_us: Option<u64>,
    /// Why it was lost.
    pub lost: Option<Loss>,
}

/// What a watcher holds. Ends when it is dropped.
#[derive(Debug)]
pub struct Tap {
    samples: mpsc::Receiver<Tapped>,
    missed: Arc<AtomicU64>,
    door: Arc<Door>,
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.samples.close();
        self.door.forget_taps();
    }
}

impl Tap {
    /// The next message; `None` when the channel has ended.
    pub async fn next(&mut self) -> Option<Tapped> {
        self.samples.recv().await
    }

    /// A message that is there already.
    pub fn try_next(&mut self) -> Option<Tapped> {
        self.samples.try_recv().ok()
    }

    /// How many messages went by that this tap did not show, since it was slow.
    pub fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }
}

/// The channel's end of a tap.
#[derive(Debug)]
pub(super) struct TapSender {
    samples: mpsc::Sender<Tapped>,
    missed: Arc<AtomicU64>,
}

pub(super) fn tap(door: Arc<Door>) -> (TapSender, Tap) {
    let (sender, samples) = mpsc::channel(TAP_MAX);
    let missed = Arc::new(AtomicU64::new(0));
    (TapSender { samples: sender, missed: missed.clone() }, Tap { samples, missed, door })
}

impl TapSender {
    pub(super) fn is_wanted(&self) -> bool {
        !self.samples.is_closed()
    }

    /// How many more it takes at this moment.
    pub(super) fn room(&self) -> usize {
        self.samples.capacity()
    }

    pub(super) fn miss(&self, n_messages: u64) {
        self.missed.fetch_add(n_messages, Relaxed);
    }

    pub(super) fn show(&self, tapped: &Tapped) {
        if self.samples.try_send(tapped.clone()).is_err() {
            self.miss(1);
        }
    }
}

/// A sample in the form for people.
pub(super) fn tapped(sample: Sample<Message>, from: Option<PortPath>) -> Tapped {
    let value = sample.message.to_value().unwrap_or_else(|error| Value::String(format!("({error})")));
    Tapped {
        at: sample.sent,
        from,
        to: sample.to,
        value,
        latency_us: sample.result.ok().map(|latency| latency.as_micros() as u64),
        lost: sample.result.err(),
    }
}
