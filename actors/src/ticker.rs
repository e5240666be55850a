//! A clock: sends a growing number, at a regular pace.

use enact::prelude::*;

/// Sends a growing number on `tick`, at a regular pace.
#[derive(Component)]
#[component(version = "1.0.0")]
pub struct Ticker {
    /// Time between two ticks.
    #[param(default = "1s", min = "1ms", max = "1h")]
    period: Duration,
    /// Count down instead of up.
    #[param(default = false)]
    down: bool,
    /// One message at each tick.
    #[output]
    tick: Out<i64>,
    /// The last number; kept over restarts, moves and upgrades.
    #[state]
    count: i64,
}

#[component]
impl Ticker {
    #[start]
    fn start(&mut self, ctx: &mut Ctx<Self>) {
        ctx.every("beat", self.period, Self::beat);
    }

    #[update]
    fn update(&mut self, changed: &Changed, ctx: &mut Ctx<Self>) {
        if changed.has("period") {
            ctx.every("beat", self.period, Self::beat);
        }
    }

    fn beat(&mut self, _ctx: &mut Ctx<Self>) {
        self.count += if self.down { -1 } else { 1 };
        self.tick.send(self.count);
    }
}
