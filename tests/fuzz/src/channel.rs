//! What the fragments of a channel say to each other: a fragment that is told anything goes on, and keeps within its bounds.

use enact::runtime::channel::testing::{Bench, sample_frames};
use enact_actors::{Broadcast, Queue};

/// Tells a broadcasting and an acknowledging channel.
pub fn run(data: &[u8]) {
    let mut broadcast = Bench::<Broadcast>::new(&[("capacity", "10")]).expect("a good parameter");
    broadcast.receiver("a");
    broadcast.receiver("b");
    broadcast.stop("b");
    let mut queue = Bench::<Queue>::new(&[("capacity", "10")]).expect("a good parameter");
    queue.receiver("a");
    for part in data.split(|byte| *byte == 0xFF).take(16) {
        let is_frame = broadcast.hear(part);
        assert_eq!(queue.hear(part), is_frame, "what a frame is depends on nothing but its bytes");
        broadcast.send(1_u64);
        queue.send(1_u64);
        broadcast.advance(std::time::Duration::from_secs(1));
        queue.advance(std::time::Duration::from_secs(1));
    }
}

/// A frame of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    sample_frames()
}
