//! The components and channels that ship with Enact, written against its public API alone: each is about a page, and an example
//! of how to write your own. The binary `enact` is a node that brings all of them.

pub mod channels;
pub mod counter;
pub mod faulty;
pub mod file_writer;
pub mod http_probe;
pub mod pipe;
pub mod printer;
pub mod ticker;
pub mod web_server;
pub mod web_server_v1;

pub use channels::{Broadcast, Hash, Queue, Request, RoundRobin};
pub use counter::Counter;
pub use faulty::Faulty;
pub use file_writer::FileWriter;
pub use http_probe::HttpProbe;
pub use pipe::Pipe;
pub use printer::Printer;
pub use ticker::Ticker;
pub use web_server::WebServer;
pub use web_server_v1::WebServerV1;
