//! What the fragments of a channel say to each other: a fragment that is told anything goes on giving its receivers what is sent, and
//! keeps within its bounds.

use std::time::Duration;

use enact::{
    runtime::channel::{
        ChannelType,
        testing::{Bench, sample_frames},
    },
    words::Value,
};
use enact_actors::{Broadcast, Queue};

/// Less than is sent to a receiver that takes nothing.
const CAPACITY: usize = 10;
/// So many frames are told at most.
const N_FRAMES_MAX: usize = 16;
const SECOND: Duration = Duration::from_secs(1);
/// After so long what failed was tried again, once its receiver handles all that it is given.
const N_SECONDS_MAX: usize = 60;

fn bench<C: ChannelType>() -> Bench<C> {
    Bench::new(&[("capacity", &CAPACITY.to_string())]).expect("a good parameter")
}

fn assert_bounds<C: ChannelType>(bench: &Bench<C>) {
    let (kept, held) = (bench.n_kept_most(), bench.n_held());
    assert!(kept <= CAPACITY, "{kept} messages are kept for an end, at most {CAPACITY} may be");
    assert!(held <= CAPACITY, "{held} messages are held, at most {CAPACITY} may be");
}

/// Something is sent on both, and time passes.
fn send(broadcast: &mut Bench<Broadcast>, queue: &mut Bench<Queue>, n: usize) {
    broadcast.send(n as u64);
    queue.send(n as u64);
    let given = broadcast.given("a");
    assert_eq!(given.last(), Some(&Value::from(n)), "who runs is given what is sent");
    assert_bounds(broadcast);
    assert_bounds(queue);
    broadcast.advance(SECOND);
    queue.advance(SECOND);
    assert_bounds(broadcast);
    assert_bounds(queue);
}

/// Tells a broadcasting and an acknowledging channel.
pub fn run(data: &[u8]) {
    let (mut broadcast, mut queue) = (bench::<Broadcast>(), bench::<Queue>());
    broadcast.receiver("a");
    broadcast.receiver("b");
    broadcast.stop("b");
    queue.receiver("a");
    let mut n_sent = 0;
    for part in data.split(|byte| *byte == 0xFF).take(N_FRAMES_MAX) {
        let is_frame = broadcast.hear(part);
        assert_eq!(queue.hear(part), is_frame, "what a frame is depends on nothing but its bytes");
        send(&mut broadcast, &mut queue, n_sent);
        n_sent += 1;
    }
    for n in n_sent..n_sent + 2 * CAPACITY {
        send(&mut broadcast, &mut queue, n);
    }
    for _ in 0..N_SECONDS_MAX {
        while queue.finish("a", Ok(Value::Null)) {}
        queue.advance(SECOND);
    }
    assert_eq!(queue.n_held(), 0, "what is handled is not kept");
}

/// A frame of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    sample_frames()
}
