//! The router over the simulated network: the real links, a network that misbehaves, and no time spent on waiting.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::broadcast;

use super::{
    AskError, DownReason, EngineError, INBOX_MAX, Incoming, Lane, PeerEvent, RefuseReason, Role, Router, SendError,
    sim::{SimNet, Weather},
};
use crate::words::NodeName;

const SECOND: Duration = Duration::from_secs(1);

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

async fn pair(net: &SimNet) -> (Router, Router) {
    let (a, b) = (net.join("a").await.unwrap(), net.join("b").await.unwrap());
    assert!(a.found(30 * SECOND).await && b.found(30 * SECOND).await);
    (a, b)
}

/// The next event that `want` takes.
async fn event<T>(events: &mut broadcast::Receiver<PeerEvent>, want: impl Fn(&PeerEvent) -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = want(&events.recv().await.unwrap()) {
                return found;
            }
        }
    };
    tokio::time::timeout(200 * SECOND, search).await.expect("the event comes")
}

/// Answers each request with its own body.
fn echo(router: &Router) {
    let mut requests = router.serve("echo");
    tokio::spawn(async move {
        while let Some(Incoming { body, reply, .. }) = requests.recv().await {
            if let Some(reply) = reply {
                reply.send(if body.is_empty() { Err("empty".into()) } else { Ok(body) });
            }
        }
    });
}

fn number(bytes: &Bytes) -> u64 {
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_request_gets_its_reply_or_says_why_not() {
    let net = SimNet::new(1, Weather::default());
    let (a, b) = pair(&net).await;
    echo(&b);
    let ask = |to: &str, service: &'static str, body: &'static str| {
        let (a, to) = (a.clone(), name(to));
        async move { a.ask(&to, service, Lane::Control, body.into(), SECOND).await }
    };
    assert_eq!(ask("b", "echo", "hello").await.unwrap(), "hello");
    assert_eq!(ask("b", "echo", "").await, Err(AskError::Refused("empty".into())));
    assert_eq!(ask("b", "nothing", "x").await, Err(AskError::NoService { to: name("b") }));
    assert_eq!(ask("c", "echo", "x").await, Err(SendError::NotUp { to: name("c"), up: "b".into() }.into()));
    let mut lazy = b.serve("lazy");
    let (reply, request) = tokio::join!(ask("b", "lazy", "x"), lazy.recv());
    assert_eq!(reply, Err(AskError::Timeout { to: name("b"), after: SECOND }));
    request.unwrap().reply.unwrap().send(Ok("too late".into()));
    let forgetful = async { drop(lazy.recv().await) };
    assert_eq!(tokio::join!(ask("b", "lazy", "x"), forgetful).0, Err(AskError::Dropped { to: name("b") }));
    // To oneself it is the same.
    assert_eq!(b.ask(&name("b"), "echo", Lane::Bulk, "me".into(), SECOND).await.unwrap(), "me");
}

#[tokio::test(start_paused = true)]
async fn what_comes_in_a_nodes_first_moment_waits_for_the_service() {
    let net = SimNet::new(12, Weather::default());
    let (a, b) = pair(&net).await;
    let to = name("b");
    a.tell(&to, "never", Lane::Control, "x".into()).unwrap();
    let asked = a.ask(&to, "echo", Lane::Control, "early".into(), SECOND);
    let served = async {
        tokio::time::sleep(SECOND / 5).await;
        echo(&b);
    };
    let (reply, ()) = tokio::join!(asked, served);
    assert_eq!(reply.unwrap(), "early");
    // After it, nothing waits for a service that does not come.
    let refused = a.ask(&to, "never", Lane::Control, "x".into(), 5 * SECOND).await;
    assert_eq!(refused, Err(AskError::NoService { to }));
    assert_eq!(b.stats().undeliverable, 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_or_doubled_or_disordered_in_bad_weather() {
    for seed in 1..=6 {
        let weather =
            Weather { loss: 0.2, duplication: 0.2, delay_max: Duration::from_millis(30), ..Weather::default() };
        let net = SimNet::new(seed, weather);
        let (a, b) = pair(&net).await;
        let mut inbox = b.serve("numbers");
        let sender = tokio::spawn(async move {
            for number in 0..5000u64 {
                let mut body = number.to_le_bytes().to_vec();
                if number % 500 == 0 {
                    body.resize(300_000, 1);
                }
                while a.tell(&name("b"), "numbers", Lane::Bulk, body.clone().into()).is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            a
        });
        for expected in 0..5000 {
            let message = tokio::time::timeout(100 * SECOND, inbox.recv()).await.unwrap().unwrap();
            assert_eq!(number(&message.body), expected, "seed {seed}");
        }
        let a = sender.await.unwrap();
        assert!(a.stats().peers[0].resent_frames > 0);
        assert_eq!(b.stats().peers[0].received, 5000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_loses_nothing_that_was_accepted_between_two_living_nodes() {
    let net = SimNet::new(3, Weather::default());
    let (a, b) = pair(&net).await;
    let (mut inbox, mut events) = (b.serve("numbers"), a.watch());
    let mut accepted = 0u64;
    for round in 0..3 {
        for _ in 0..100 {
            a.tell(&name("b"), "numbers", Lane::Control, Bytes::copy_from_slice(&u64::to_le_bytes(accepted))).unwrap();
            accepted += 1;
        }
        if round == 0 {
            net.split(&["a"], &["b"]);
        } else if round == 1 {
            event(&mut events, |event| {
                matches!(event, PeerEvent::Down { reason: DownReason::Unreachable, .. }).then_some(())
            })
            .await;
            let refused = a.tell(&name("b"), "numbers", Lane::Control, Bytes::new());
            assert!(matches!(refused, Err(SendError::NotUp { .. })));
            net.heal();
            event(&mut events, |event| matches!(event, PeerEvent::Up(_)).then_some(())).await;
        }
        if round == 0 {
            // The cut is not noticed yet: what is accepted now must not get lost either.
            continue;
        }
    }
    for expected in 0..accepted {
        let message = tokio::time::timeout(100 * SECOND, inbox.recv()).await.unwrap().unwrap();
        assert_eq!(number(&message.body), expected);
    }
    assert_eq!(accepted, 300);
}

#[tokio::test(start_paused = true)]
async fn a_one_way_cut_is_no_false_death_for_the_one_who_hears() {
    let net = SimNet::new(4, Weather::default());
    let (a, b) = pair(&net).await;
    let mut inbox = b.serve("numbers");
    net.cut("a", "b");
    a.tell(&name("b"), "numbers", Lane::Control, "late".into()).unwrap();
    tokio::time::sleep(3 * SECOND).await;
    assert_eq!((a.peers().len(), b.peers().len()), (1, 0));
    net.heal();
    assert_eq!(tokio::time::timeout(30 * SECOND, inbox.recv()).await.unwrap().unwrap().body, "late");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_forgot_us_amid_a_large_message_is_understood_again() {
    let net = SimNet::new(12, Weather::default());
    let (a, b) = pair(&net).await;
    let (mut inbox, mut events) = (b.serve("numbers"), a.watch());
    // Nothing comes back: the first pieces arrive, the others are never granted room.
    net.cut("b", "a");
    a.tell(&name("b"), "numbers", Lane::Bulk, vec![7; 3_000_000].into()).unwrap();
    // For so long that `a` gives its link up, and `b` does not.
    tokio::time::sleep(80 * SECOND).await;
    net.heal();
    event(&mut events, |event| matches!(event, PeerEvent::Up(_)).then_some(())).await;
    for _ in 0..3 {
        a.tell(&name("b"), "numbers", Lane::Bulk, "small".into()).unwrap();
        let message = tokio::time::timeout(30 * SECOND, inbox.recv()).await.unwrap().unwrap();
        assert_eq!(message.body, "small");
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_peer_ends_its_requests_and_what_is_lost_is_told() {
    let net = SimNet::new(5, Weather::default());
    let (a, b) = pair(&net).await;
    let (_keep, mut events) = (b.serve("lazy"), a.watch());
    let waiting = tokio::spawn({
        let a = a.clone();
        async move { a.ask(&name("b"), "lazy", Lane::Control, "x".into(), 100 * SECOND).await }
    });
    tokio::time::sleep(SECOND / 2).await;
    net.kill("b");
    a.tell(&name("b"), "lazy", Lane::Bulk, "into the void".into()).unwrap();
    assert_eq!(waiting.await.unwrap(), Err(AskError::PeerDown { to: name("b") }));
    let again = net.join("b").await.unwrap();
    let lost = event(&mut events, |event| match event {
        PeerEvent::Lost { peer, n_messages } => Some((peer.clone(), *n_messages)),
        _ => None,
    });
    assert_eq!(lost.await, (b.me().clone(), 1));
    event(&mut events, |event| (*event == PeerEvent::Up(again.me().clone())).then_some(())).await;
    echo(&again);
    assert_eq!(a.ask(&name("b"), "echo", Lane::Control, "hi".into(), SECOND).await.unwrap(), "hi");
}

#[tokio::test(start_paused = true)]
async fn who_leaves_says_goodbye_after_everything_arrived() {
    let net = SimNet::new(6, Weather { loss: 0.3, ..Weather::default() });
    let (a, b) = pair(&net).await;
    let (mut inbox, mut events) = (b.serve("last"), b.watch());
    for _ in 0..1000 {
        a.tell(&name("b"), "last", Lane::Bulk, Bytes::from(vec![7; 500])).unwrap();
    }
    a.close(20 * SECOND).await;
    assert_eq!(a.tell(&name("b"), "last", Lane::Bulk, Bytes::new()), Err(SendError::Closed));
    for _ in 0..1000 {
        inbox.try_recv().expect("all of it arrived before the goodbye");
    }
    let down = event(&mut events, |event| match event {
        PeerEvent::Down { reason, .. } => Some(*reason),
        _ => None,
    });
    // The goodbye itself may get lost like any frame; then the network shows it.
    assert!(matches!(down.await, DownReason::Left | DownReason::Unreachable));
}

#[tokio::test(start_paused = true)]
async fn a_hung_peer_is_suspected_within_a_second_and_delays_nobody() {
    let net = SimNet::new(7, Weather::default());
    let (a, _b) = pair(&net).await;
    let c = net.join("c").await.unwrap();
    echo(&c);
    assert!(c.found(SECOND).await);
    let (mut events, start) = (a.watch(), tokio::time::Instant::now());
    net.hang("b");
    while a.tell(&name("b"), "x", Lane::Bulk, Bytes::from(vec![0; 10_000])).is_ok() {}
    assert_eq!(a.tell(&name("b"), "x", Lane::Bulk, Bytes::new()), Err(SendError::Full { to: name("b") }));
    assert_eq!(a.ask(&name("c"), "echo", Lane::Bulk, "hi".into(), SECOND / 10).await.unwrap(), "hi");
    let suspected = event(&mut events, |event| match event {
        PeerEvent::Suspected(peer) => Some(peer.name.clone()),
        _ => None,
    });
    assert_eq!(suspected.await, name("b"));
    assert!(start.elapsed() <= SECOND);
    net.heal();
    event(&mut events, |event| matches!(event, PeerEvent::Trusted(_)).then_some(())).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_service_holds_tells_back_and_then_drops_and_counts_them() {
    let net = SimNet::new(8, Weather::default());
    let (a, b) = pair(&net).await;
    let (mut slow, _stuck) = (b.serve("slow"), b.serve("stuck"));
    let n_sent = INBOX_MAX as u64 + 3000;
    for _ in 0..n_sent {
        a.tell(&name("b"), "slow", Lane::Bulk, "x".into()).unwrap();
    }
    let to = name("b");
    let busy = a.ask(&to, "slow", Lane::Bulk, "x".into(), 30 * SECOND);
    let reader = async {
        for _ in 0..n_sent {
            tokio::time::sleep(Duration::from_millis(1)).await;
            slow.recv().await.unwrap();
        }
    };
    let (_, ()) = tokio::join!(busy, reader);
    assert_eq!(b.stats().undeliverable, 0, "slow is not stuck: nothing is dropped");
    for _ in 0..n_sent {
        a.tell(&name("b"), "stuck", Lane::Bulk, "x".into()).unwrap();
    }
    echo(&b);
    let after = a.ask(&name("b"), "echo", Lane::Bulk, "behind it".into(), 5 * SECOND).await;
    assert_eq!(after.unwrap(), "behind it");
    assert_eq!(b.stats().undeliverable, 3000);
    let refused = a.ask(&name("b"), "stuck", Lane::Bulk, "x".into(), SECOND).await;
    assert_eq!(refused, Err(AskError::Busy { to: name("b") }));
}

#[tokio::test(start_paused = true)]
async fn what_arrived_from_one_who_left_is_given_to_a_service_that_is_slow() {
    let net = SimNet::new(15, Weather::default());
    let (a, b) = pair(&net).await;
    let (mut slow, mut events) = (b.serve("slow"), b.watch());
    let n_sent = INBOX_MAX as u64 + 3000;
    for number in 0..n_sent {
        a.tell(&name("b"), "slow", Lane::Bulk, Bytes::from(number.to_le_bytes().to_vec())).unwrap();
    }
    a.close(20 * SECOND).await;
    event(&mut events, |event| matches!(event, PeerEvent::Down { .. }).then_some(())).await;
    for expected in 0..n_sent {
        let message = tokio::time::timeout(SECOND, slow.recv()).await.expect("it was acknowledged").unwrap();
        assert_eq!(number(&message.body), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_its_messages_is_waited_for_however_long_it_takes_until_there_is_room() {
    let net = SimNet::new(17, Weather::default());
    let (a, b) = pair(&net).await;
    let mut slow = b.serve("slow");
    // Small ones, then as many bytes as a queue takes, then what has no room before all of that is taken.
    let sizes: Vec<usize> = [vec![8; 10], vec![63 << 20, 2 << 20], vec![8; 5]].concat();
    let receiver = async {
        for size in &sizes {
            tokio::time::sleep(2 * SECOND / 5).await;
            let message = tokio::time::timeout(10 * SECOND, slow.recv()).await.expect("nothing is dropped").unwrap();
            assert_eq!(message.body.len(), *size);
        }
    };
    let sender = async {
        for size in &sizes {
            let body = Bytes::from(vec![0; *size]);
            while let Err(SendError::Full { .. }) = a.tell(&name("b"), "slow", Lane::Bulk, body.clone()) {
                tokio::time::sleep(SECOND / 100).await;
            }
        }
    };
    tokio::join!(sender, receiver);
    assert_eq!(b.stats().undeliverable, 0);
}

#[tokio::test(start_paused = true)]
async fn what_waits_of_a_link_that_was_given_up_goes_before_what_comes_over_the_next() {
    let net = SimNet::new(16, Weather::default());
    let (a, b) = pair(&net).await;
    let (mut slow, mut events) = (b.serve("slow"), a.watch());
    let n_sent = INBOX_MAX as u64 + 3000;
    let tell = |number: u64| a.tell(&name("b"), "slow", Lane::Bulk, Bytes::from(number.to_le_bytes().to_vec()));
    for number in 0..n_sent {
        tell(number).unwrap();
    }
    tokio::time::sleep(SECOND / 2).await;
    net.split(&["a"], &["b"]);
    // Longer than a link is kept; the service takes its time, but lives.
    for expected in 0..200 {
        tokio::time::sleep(SECOND / 2).await;
        assert_eq!(number(&slow.recv().await.unwrap().body), expected);
    }
    net.heal();
    event(&mut events, |event| matches!(event, PeerEvent::Up(_)).then_some(())).await;
    tell(n_sent).unwrap();
    for expected in 200..=n_sent {
        let message = tokio::time::timeout(SECOND, slow.recv()).await.expect("it was acknowledged").unwrap();
        assert_eq!(number(&message.body), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_used_twice_is_refused_to_the_second() {
    let net = SimNet::new(9, Weather::default());
    let (a, b) = pair(&net).await;
    let refused = net.join("a").await.map(|_| ()).unwrap_err();
    assert_eq!(refused, EngineError::NameInUse { by: a.me().clone(), place: "a#1".into() });
    assert_eq!(refused.to_string(), "a node named \"a\" is already in the group (incarnation 1, address a#1)");
    assert_eq!(b.peers(), [a.me().clone()], "nobody noticed");
}

#[tokio::test(start_paused = true)]
async fn strangers_and_garbage_are_refused_counted_and_told_once() {
    let net = SimNet::new(10, Weather::default());
    let (a, _b) = pair(&net).await;
    let mut events = a.watch();
    let _stranger = net.join_as("s", Role::Node, "elsewhere").await.unwrap();
    let reason = event(&mut events, |event| match event {
        PeerEvent::Refused { who, reason } if who == "s" => Some(reason.clone()),
        _ => None,
    });
    assert!(matches!(reason.await, RefuseReason::Group { .. }));
    for n in 0..100u8 {
        net.throw("a", &vec![n; usize::from(n)]);
        net.throw("a", &[0xEA, 1, n, 0, 0, 0, 0, 0, 1, 2, 3].repeat(9));
    }
    tokio::time::sleep(SECOND).await;
    let mut n_told = 0;
    while let Ok(event) = events.try_recv() {
        n_told += usize::from(matches!(event, PeerEvent::Refused { .. }));
    }
    assert_eq!(n_told, 1);
    assert!(a.stats().refused_frames >= 100);
    assert_eq!(a.peers().len(), 1, "the node goes on");
}

#[tokio::test(start_paused = true)]
async fn a_console_asks_and_is_no_node() {
    let net = SimNet::new(11, Weather::default());
    let (a, b) = pair(&net).await;
    echo(&a);
    let console = net.join_as("console-1", Role::Console, "sim").await.unwrap();
    assert!(console.found(SECOND).await);
    assert_eq!(console.ask(&name("a"), "echo", Lane::Control, "hi".into(), SECOND).await.unwrap(), "hi");
    let mut inbox = b.serve("all");
    let mut never = console.serve("all");
    assert!(a.tell_all("all", Lane::Control, "to nodes".into()).is_empty());
    assert_eq!(inbox.recv().await.unwrap().from, *a.me());
    tokio::time::sleep(SECOND).await;
    assert!(never.try_recv().is_none());
    // Whoever is addressed by name gets it, console or not.
    a.tell(&name("console-1"), "all", Lane::Control, "to you".into()).unwrap();
    assert_eq!(never.recv().await.unwrap().body, "to you");
}
