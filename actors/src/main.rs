//! The binary `enact`: a node with all that ships. Yours looks the same, with your own types.

use std::process::ExitCode;

use enact_actors::{
    Broadcast, Counter, Faulty, FileWriter, Hash, HttpProbe, Pipe, Printer, Queue, Request, RoundRobin, Ticker,
    WebServer, WebServerV1,
};

/// What one thread makes another drops, and a system of instances comes and goes in one go: work that this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    enact::node()
        .component::<Ticker>()
        .component::<Printer>()
        .component::<Counter>()
        .component::<WebServer>()
        .component::<WebServerV1>()
        .component::<HttpProbe>()
        .component::<FileWriter>()
        .component::<Pipe>()
        .component::<Faulty>()
        .channel::<Broadcast>()
        .channel::<RoundRobin>()
        .channel::<Hash>()
        .channel::<Queue>()
        .channel::<Request>()
        .main()
}
