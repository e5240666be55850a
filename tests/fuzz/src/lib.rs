//! What bytes from outside can reach, with what must hold whatever they are.
//!
//! Each module is one way in: `run` takes any bytes and panics when a promise is broken, `seeds` gives bytes that are well formed,
//! for a start. `tests/decoders.rs` runs them with random bytes and damaged seeds on stable Rust; `libfuzzer/` runs them under
//! cargo-fuzz, which looks for new ways through the code (`docs/fuzzing.md`).

pub mod channel;
pub mod codec;
pub mod frame;
pub mod group;
pub mod kevoree;
pub mod sample;
pub mod script;
pub mod store;

/// A way in.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name: that of the module, and of the target of cargo-fuzz.
    pub name: &'static str,
    /// Takes any bytes; panics when a promise is broken.
    pub run: fn(&[u8]),
    /// Bytes that are well formed.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const ENTRIES: [Entry; 7] = [
    Entry { name: "frame", run: frame::run, seeds: frame::seeds },
    Entry { name: "codec", run: codec::run, seeds: codec::seeds },
    Entry { name: "group", run: group::run, seeds: group::seeds },
    Entry { name: "channel", run: channel::run, seeds: channel::seeds },
    Entry { name: "script", run: script::run, seeds: script::seeds },
    Entry { name: "kevoree", run: kevoree::run, seeds: kevoree::seeds },
    Entry { name: "store", run: store::run, seeds: store::seeds },
];
