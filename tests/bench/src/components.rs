//! The components that the rows are made of, written as any user would.

use enact::prelude::*;
use serde::{Deserialize, Serialize};

use crate::stage;

/// How long a source may send.
const SEND_MAX: Duration = Duration::from_secs(90);

/// A message of 32 bytes that says its place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Packet {
    pub(crate) n: u64,
    pub(crate) last: u64,
    rest: [u64; 2],
}

impl Packet {
    /// The `n`th of those up to `last`.
    pub(crate) fn new(n: u64, last: u64) -> Packet {
        Packet { n, last, rest: [u64::MAX; 2] }
    }
}

/// Counts packets and minds their order.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    next: u64,
}

impl Tally {
    /// Notes a packet; rings after the last one, or when one is not where it should be.
    pub(crate) fn note(&mut self, packet: Packet) {
        if packet.n != self.next {
            stage::ring(Err(format!("packet {} came where {} was due", packet.n, self.next)));
        }
        self.next += 1;
        if packet.n == packet.last {
            stage::ring(Ok(self.next));
        }
    }
}

/// Sends packets as fast as its channel takes them, once the gate is open.
#[derive(Component)]
#[component(version = "1.0.0", namespace = "bench")]
pub(crate) struct Source {
    #[output]
    out: Out<Packet>,
}

#[component]
impl Source {
    #[start]
    fn start(&mut self, ctx: &mut Ctx<Self>) {
        let me = ctx.me();
        ctx.spawn("pump", async move {
            let size = stage::gate().await;
            let pumped = me.ask_async(SEND_MAX, async move |source, _| source.pump(size).await).await;
            let n_refused = pumped.unwrap_or(size);
            if n_refused > 0 {
                stage::ring(Err(format!("{n_refused} of {size} packets were refused")));
            }
        });
    }

    /// Gives how many packets were not taken.
    async fn pump(&mut self, size: u64) -> u64 {
        let mut n_refused = 0;
        for n in 0..size {
            n_refused +=
                u64::from(self.out.deliver(Packet::new(n, size - 1)).await != enact::runtime::component::Sent::Taken);
        }
        n_refused
    }
}

/// Counts what it is sent, and rings when the last packet has come.
#[derive(Component)]
#[component(version = "1.0.0", namespace = "bench")]
pub(crate) struct Sink {
    tally: Tally,
}

#[component]
impl Sink {
    #[input]
    fn input(&mut self, packet: Packet) {
        self.tally.note(packet);
    }
}

/// Does nothing but start: what a million instances are.
#[derive(Component)]
#[component(version = "1.0.0", namespace = "bench")]
pub(crate) struct Idle {}

#[component]
impl Idle {
    #[start]
    fn start(&mut self) {
        stage::started();
    }

    #[input]
    fn input(&mut self, _packet: Packet) {}
}

/// What models of the fleet are made of: three values, a port in and a port out.
#[derive(Component)]
#[component(version = "1.0.0", namespace = "bench")]
pub(crate) struct Device {
    /// Any text.
    #[param(default = "x")]
    label: String,
    /// Any number.
    #[param(default = 10)]
    level: i64,
    /// Any time.
    #[param(default = "1s")]
    period: Duration,
    #[output]
    out: Out<Packet>,
}

#[component]
impl Device {
    #[start]
    fn start(&mut self) {
        // What a device would do with them.
        std::hint::black_box((&self.label, self.level, self.period));
    }

    #[update]
    fn update(&mut self) {}

    #[input]
    fn input(&mut self, packet: Packet) {
        self.out.send(packet);
    }
}
