//! A component by the macros.

use enact::prelude::*;
use serde::{Deserialize, Serialize};

/// What a thermometer says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// Which one it is since the start.
    pub n: u64,
    /// How warm it is.
    pub celsius: f64,
}

/// Measures at a regular pace; every reading is half a degree warmer than the last.
#[derive(Component)]
#[component(version = "1.0.0", namespace = "weather")]
pub struct Thermometer {
    /// Time between two readings.
    #[param(default = "1s", min = "1ms", max = "1h")]
    period: Duration,
    /// The first reading.
    #[param(default = 20.0, min = -90.0, max = 60.0)]
    first: f64,
    /// What it measures.
    #[output]
    reading: Out<Reading>,
    /// Readings so far; kept over restarts, moves and upgrades.
    #[state]
    n: u64,
}

#[component]
impl Thermometer {
    #[start]
    fn start(&mut self, ctx: &mut Ctx<Self>) {
        ctx.every("measure", self.period, Self::measure);
    }

    /// The last reading.
    #[input]
    fn last(&mut self, _ask: ()) -> Result<Reading> {
        if self.n == 0 { Err("nothing was measured yet".into()) } else { Ok(self.now()) }
    }

    fn measure(&mut self, _ctx: &mut Ctx<Self>) {
        self.n += 1;
        self.reading.send(self.now());
    }

    fn now(&self) -> Reading {
        Reading { n: self.n, celsius: self.first + self.n as f64 / 2.0 }
    }
}
