//! The inbox keeps bounds and order, and lets what the node wants go first.

use proptest::prelude::*;

use super::*;
use crate::{
    runtime::instance::{Message, Why},
    words::{ComponentName, NodeName, PortName},
};

fn inbox(ports: &[(u32, Overflow)]) -> Arc<Inbox> {
    let path = InstancePath::Component(NodeName::parse("n").unwrap(), ComponentName::parse("c").unwrap());
    let port = |(at, &(queue, overflow)): (usize, &(u32, Overflow))| InputPort {
        name: PortName::parse(&format!("p{at}")).unwrap(),
        queue,
        overflow,
        schema: 0,
    };
    Inbox::new(path, Kind::Component, 1, ports.iter().enumerate().map(port).collect(), None)
}

fn overflow() -> impl Strategy<Value = Overflow> {
    prop_oneof![Just(Overflow::Wait), Just(Overflow::DropOldest), Just(Overflow::Refuse)]
}

/// What may happen to an inbox.
#[derive(Clone, Debug)]
enum Move {
    Put(prop::sample::Index),
    /// So many in a row, under one lock.
    PutMany(prop::sample::Index, u8),
    Take,
    TakeWaiting,
    Count,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let port = any::<prop::sample::Index>;
    let one = prop_oneof![
        3 => port().prop_map(Move::Put),
        2 => (port(), 1_u8..40).prop_map(|(port, n)| Move::PutMany(port, n)),
        6 => Just(Move::Take),
        1 => Just(Move::TakeWaiting),
        1 => Just(Move::Count),
    ];
    prop::collection::vec(one, 1..120)
}

/// What a port should hold.
#[derive(Default)]
struct Expected {
    waiting: Vec<u32>,
    counts: Counts,
}

impl Expected {
    /// A message was put in, or refused, as the policy wants it.
    fn put(&mut self, n: u32, (queue, overflow): (u32, Overflow), refused: Option<Why>) -> Result<(), TestCaseError> {
        let is_full = self.waiting.len() as u32 >= queue;
        match refused {
            // Senders who can wait may be told so a little early, as long as the shell is in the middle of its work.
            Some(Why::Full) => {
                prop_assert!(overflow == Overflow::Wait && self.waiting.len() as u32 + (queue / 8).max(1) > queue);
                return Ok(());
            }
            Some(why) => {
                prop_assert!(is_full && overflow == Overflow::Refuse && why == Why::Overflow);
                self.counts.refused += 1;
                return Ok(());
            }
            None if is_full => {
                prop_assert_eq!(overflow, Overflow::DropOldest);
                self.waiting.remove(0);
                self.counts.dropped += 1;
            }
            None => {}
        }
        self.waiting.push(n);
        self.counts.received += 1;
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// The law: a queue never holds more than its bound, what comes out is in order, and every message is accounted for.
    #[test]
    fn queues_keep_their_bounds_and_their_order(
        ports in prop::collection::vec((1_u32..100, overflow()), 1..4),
        moves in moves(),
    ) {
        let inbox = inbox(&ports);
        let mut cx = Context::from_waker(Waker::noop());
        let mut expected: Vec<Expected> = ports.iter().map(|_| Expected::default()).collect();
        let mut n = 0;
        for step in moves {
            match step {
                Move::Put(port) => {
                    let port = port.index(ports.len());
                    n += 1;
                    let refused = inbox.put(port, Message::new(n), None).err().map(|refused| refused.why);
                    expected[port].put(n, ports[port], refused)?;
                }
                Move::PutMany(port, n_messages) => {
                    let port = port.index(ports.len());
                    let mut batch = inbox.batch(port);
                    for _ in 0..n_messages {
                        n += 1;
                        let refused = batch.put(Message::new(n)).err().map(|refused| refused.why);
                        expected[port].put(n, ports[port], refused)?;
                    }
                }
                Move::Take => {
                    let taken = inbox.poll_next(true, &mut cx);
                    if let Poll::Ready(Event::Input(port, message, _)) = taken {
                        prop_assert_eq!(message.decode::<u32>().unwrap(), expected[port].waiting.remove(0));
                        expected[port].counts.handled += 1;
                    } else {
                        prop_assert!(expected.iter().all(|port| port.waiting.is_empty()));
                    }
                }
                Move::TakeWaiting => {
                    let mut waiting: Vec<Vec<u32>> = vec![Vec::new(); ports.len()];
                    for (name, message) in inbox.take_waiting() {
                        let port = inbox.ports().iter().position(|port| port.name == name).unwrap();
                        waiting[port].push(message.decode().unwrap());
                    }
                    for (expected, waiting) in expected.iter_mut().zip(waiting) {
                        prop_assert_eq!(std::mem::take(&mut expected.waiting), waiting);
                    }
                }
                Move::Count => {
                    for (expected, (_, counts)) in expected.iter().zip(inbox.counts()) {
                        let depth = expected.waiting.len() as u32;
                        prop_assert_eq!(Counts { depth, ..expected.counts.clone() }, counts);
                    }
                }
            }
            for (expected, (queue, _)) in expected.iter().zip(&ports) {
                prop_assert!(expected.waiting.len() as u32 <= *queue);
            }
        }
    }
}

#[test]
fn a_sender_that_waits_goes_on_when_half_of_the_queue_is_free() {
    struct Bell(AtomicBool);
    impl std::task::Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let inbox = inbox(&[(100, Overflow::Wait)]);
    let mut cx = Context::from_waker(Waker::noop());
    (0..100_u32).for_each(|n| inbox.put(0, Message::new(n), None).unwrap());
    assert_eq!(inbox.put(0, Message::new(100_u32), None).unwrap_err().why, Why::Full);
    let bell = Arc::new(Bell(AtomicBool::new(false)));
    let waker = Waker::from(bell.clone());
    assert!(inbox.poll_room(0, &mut Context::from_waker(&waker)).is_pending());
    assert!((0..10).all(|_| inbox.poll_next(true, &mut cx).is_ready()));
    assert!(!bell.0.load(Ordering::Relaxed), "it is not woken for each message");
    // Who does not want to wait that long looks, and then finds what room there is.
    assert!(inbox.poll_room(0, &mut Context::from_waker(&waker)).is_pending());
    assert!((0..10_u32).all(|n| inbox.put(0, Message::new(n), None).is_ok()));
    assert!((0..70).all(|_| inbox.poll_next(true, &mut cx).is_ready()));
    assert!(bell.0.load(Ordering::Relaxed));
    assert!(inbox.poll_room(0, &mut Context::from_waker(&waker)).is_ready());
}

#[test]
fn what_the_node_wants_goes_first_unless_nobody_waits_for_it() {
    let inbox = inbox(&[(5, Overflow::Wait)]);
    let mut cx = Context::from_waker(Waker::noop());
    inbox.put(0, Message::new(1_u8), None).unwrap();
    drop(inbox.request(Op::Start));
    let _wanted = inbox.request(Op::Stop);
    assert!(matches!(inbox.poll_next(true, &mut cx), Poll::Ready(Event::Op(Op::Stop, _))));
    assert!(inbox.poll_next(false, &mut cx).is_pending(), "inputs wait while the instance is stopped");
    assert!(matches!(inbox.poll_next(true, &mut cx), Poll::Ready(Event::Input(0, ..))));
}

#[test]
fn a_closed_inbox_takes_nothing_and_gives_back_what_was_in_it() {
    let inbox = inbox(&[(5, Overflow::Refuse)]);
    inbox.put(0, Message::new(1_u8), None).unwrap();
    assert_eq!(inbox.close().len(), 1);
    assert_eq!(inbox.put(0, Message::new(1_u8), None).unwrap_err().why, Why::Closed);
    assert!(inbox.request(Op::Start).try_recv().is_err());
    assert!(inbox.put_turn(Box::new(())).is_err());
}
