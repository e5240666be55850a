//! A node binary of somebody else: a weather station.

mod alarm;
mod average;
mod reasoned;
mod sample;
mod thermometer;

use std::process::ExitCode;

fn main() -> ExitCode {
    enact::node()
        .version(env!("CARGO_PKG_VERSION"))
        .component::<thermometer::Thermometer>()
        .component::<average::Average>()
        .actor::<alarm::Alarm>()
        .channel::<sample::Sample>()
        .group::<reasoned::Reasoned>()
        .main()
}
