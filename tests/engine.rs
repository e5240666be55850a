//! Real engines over zenoh on loopback: they find each other, lose nothing, notice who is gone, and refuse who does not belong.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use bytes::Bytes;
use enact::{
    io::engine::{
        self, AskError, Config, DownReason, EngineError, Incoming, Lane, Peer, PeerEvent, RefuseReason, Role, Router,
        SendError,
    },
    words::NodeName,
};
use tokio::sync::broadcast;

const LIMIT: Duration = Duration::from_secs(30);

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

/// A group of its own for each test: tests run at the same time on the same machine.
fn group(test: &str) -> Config {
    Config { group: format!("test-{test}-{}", std::process::id()), ..Config::default() }
}

fn peer(text: &str, role: Role) -> Peer {
    static INCARNATIONS: AtomicU64 = AtomicU64::new(1);
    Peer { name: name(text), incarnation: INCARNATIONS.fetch_add(1, Ordering::Relaxed), role }
}

async fn join(config: &Config, text: &str) -> Result<Router, EngineError> {
    join_as(config, text, Role::Node).await
}

async fn join_as(config: &Config, text: &str, role: Role) -> Result<Router, EngineError> {
    let (config, me) = (config.clone(), peer(text, role));
    tokio::task::spawn_blocking(move || engine::start(&config, me)).await.unwrap()
}

async fn pair(config: &Config) -> (Router, Router) {
    let (a, b) = tokio::join!(join(config, "a"), join(config, "b"));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert!(a.found(LIMIT).await && b.found(LIMIT).await, "they find each other ({})", config.tried());
    (a, b)
}

async fn event<T>(events: &mut broadcast::Receiver<PeerEvent>, want: impl Fn(&PeerEvent) -> Option<T>) -> T {
    let search = async {
        loop {
            if let Some(found) = want(&events.recv().await.unwrap()) {
                return found;
            }
        }
    };
    tokio::time::timeout(LIMIT, search).await.expect("the event comes")
}

fn echo(router: &Router) {
    let mut requests = router.serve("echo");
    tokio::spawn(async move {
        while let Some(Incoming { body, reply: Some(reply), .. }) = requests.recv().await {
            reply.send(Ok(body));
        }
    });
}

/// Tells all bodies, waiting where the queue is full.
async fn tell_all(from: &Router, to: &str, bodies: impl Iterator<Item = Bytes>) {
    let to = name(to);
    for body in bodies {
        while let Err(error) = from.tell(&to, "numbers", Lane::Bulk, body.clone()) {
            assert_eq!(error, SendError::Full { to: to.clone() });
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_find_each_other_with_no_setting_and_talk() {
    let (a, b) = pair(&group("talk")).await;
    echo(&b);
    let reply = a.ask(&name("b"), "echo", Lane::Control, "hello".into(), LIMIT).await;
    assert_eq!(reply.unwrap(), "hello");
    let large = Bytes::from(vec![7; 5_000_000]);
    assert_eq!(a.ask(&name("b"), "echo", Lane::Bulk, large.clone(), LIMIT).await.unwrap(), large);
    let none = a.ask(&name("b"), "nothing", Lane::Bulk, Bytes::new(), LIMIT).await;
    assert_eq!(none, Err(AskError::NoService { to: name("b") }));
    a.close(LIMIT).await;
    b.close(LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_tells_arrive_in_order() {
    let (a, b) = pair(&group("tells")).await;
    let mut inbox = b.serve("numbers");
    let reader = tokio::spawn(async move {
        for expected in 0..100_000u64 {
            let message = tokio::time::timeout(LIMIT, inbox.recv()).await.expect("the next one comes").unwrap();
            assert_eq!(message.body[..8], expected.to_le_bytes());
        }
    });
    let bodies = (0..100_000u64).map(|number| {
        let mut body = number.to_le_bytes().to_vec();
        body.resize(32, 0);
        body.into()
    });
    tell_all(&a, "b", bodies).await;
    reader.await.unwrap();
    assert_eq!(b.stats().undeliverable, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_without_a_word_is_seen_down_and_who_says_goodbye_has_left() {
    let config = group("down");
    let (a, b) = pair(&config).await;
    let mut events = a.watch();
    let mut requests = b.serve("lazy");
    let waiting = tokio::spawn({
        let a = a.clone();
        async move { a.ask(&name("b"), "lazy", Lane::Control, Bytes::new(), LIMIT).await }
    });
    let _unanswered = requests.recv().await.unwrap();
    let former = b.me().clone();
    drop(b);
    let down = |event: &PeerEvent| match event {
        PeerEvent::Down { peer, reason } => Some((peer.clone(), *reason)),
        _ => None,
    };
    assert_eq!(event(&mut events, down).await, (former, DownReason::Unreachable));
    assert_eq!(waiting.await.unwrap(), Err(AskError::PeerDown { to: name("b") }));
    let again = join(&config, "b").await.unwrap();
    event(&mut events, |event| (*event == PeerEvent::Up(again.me().clone())).then_some(())).await;
    again.close(LIMIT).await;
    assert_eq!(event(&mut events, down).await, (again.me().clone(), DownReason::Left));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_use_is_an_error_at_the_start() {
    let config = group("name");
    let (a, b) = pair(&config).await;
    let error = join(&config, "a").await.unwrap_err();
    let EngineError::NameInUse { by, place } = &error else { panic!("{error}") };
    assert_eq!(by, a.me());
    assert!(place.starts_with("tcp/127.0.0.1:"), "{place}");
    assert_eq!(b.peers(), [a.me().clone()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_find_each_other_by_one_address_without_multicast() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let seed = Config { multicast: false, listen: vec![format!("127.0.0.1:{port}")], ..group("join") };
    let others = Config { join: seed.listen.clone(), listen: vec!["127.0.0.1:0".into()], ..seed.clone() };
    // The others come first: they try until the one they join is there.
    let (b, c) = tokio::join!(join(&others, "b"), join(&others, "c"));
    let (b, c, a) = (b.unwrap(), c.unwrap(), join(&seed, "a").await.unwrap());
    for router in [&a, &b, &c] {
        let mut events = router.watch();
        while router.peers().len() < 2 {
            event(&mut events, |_| Some(())).await;
        }
    }
    echo(&c);
    assert_eq!(b.ask(&name("c"), "echo", Lane::Control, "hi".into(), LIMIT).await.unwrap(), "hi");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_group_is_refused_and_told() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ours = Config { listen: vec![format!("127.0.0.1:{port}")], ..group("ours") };
    let theirs = Config { join: ours.listen.clone(), ..group("theirs") };
    let a = join(&ours, "a").await.unwrap();
    let mut events = a.watch();
    let _b = join(&theirs, "b").await.unwrap();
    let (who, reason) = event(&mut events, |event| match event {
        PeerEvent::Refused { who, reason } => Some((who.clone(), reason.clone())),
        _ => None,
    })
    .await;
    assert_eq!(who, "b");
    assert_eq!(reason, RefuseReason::Group { theirs: theirs.group.clone(), ours: ours.group.clone() });
    assert!(a.peers().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_joins_listens_nowhere_and_sees_all_nodes() {
    let config = group("console");
    let (a, b) = pair(&config).await;
    echo(&a);
    echo(&b);
    let console = join_as(&config, "console-1", Role::Console).await.unwrap();
    let mut events = console.watch();
    while console.peers().len() < 2 {
        event(&mut events, |_| Some(())).await;
    }
    for node in ["a", "b"] {
        assert_eq!(console.ask(&name(node), "echo", Lane::Control, "hi".into(), LIMIT).await.unwrap(), "hi");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_an_inbox_is_refused_counted_and_told_once() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = Config { listen: vec![format!("127.0.0.1:{port}")], multicast: false, ..group("garbage") };
    let a = join(&config, "a").await.unwrap();
    let mut events = a.watch();
    let key = format!("enact/{}/{}/in/a/{:x}/*", engine::PROTOCOL, config.group, a.me().incarnation);
    tokio::task::spawn_blocking(move || {
        use zenoh::Wait;
        let mut stranger = zenoh::Config::default();
        let connect = format!("[\"tcp/127.0.0.1:{port}\"]");
        for (key, value) in
            [("mode", "\"client\""), ("connect/endpoints", connect.as_str()), ("scouting/multicast/enabled", "false")]
        {
            stranger.insert_json5(key, value).unwrap();
        }
        let session = zenoh::open(stranger).wait().unwrap();
        let publisher = session.declare_publisher(key).wait().unwrap();
        let mut dice = 12345u64;
        for n in 0..500usize {
            dice = dice.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let mut frame = dice.to_le_bytes().repeat(n % 30);
            if n % 2 == 0 && frame.len() > 2 {
                frame[..2].copy_from_slice(&[0xEA, 1]);
            }
            publisher.put(frame).wait().unwrap();
        }
        session.close().wait().unwrap();
    })
    .await
    .unwrap();
    event(&mut events, |event| {
        matches!(event, PeerEvent::Refused { reason: RefuseReason::Garbage { .. }, .. }).then_some(())
    })
    .await;
    let all_counted = async {
        while a.stats().refused_frames < 400 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LIMIT, all_counted).await.expect("most of the 500 are counted");
    assert!(events.try_recv().is_err(), "told once");
    echo(&a);
    assert_eq!(a.ask(&name("a"), "echo", Lane::Control, "alive".into(), LIMIT).await.unwrap(), "alive");
}

#[test]
fn an_engine_starts_and_closes_around_an_actix_system() {
    let config = group("actix");
    let a = engine::start(&config, peer("a", Role::Node)).unwrap();
    let b = engine::start(&config, peer("b", Role::Node)).unwrap();
    actix_rt::System::new().block_on(async move {
        assert!(a.found(LIMIT).await);
        let mut requests = b.serve("echo");
        actix_rt::spawn(async move {
            while let Some(Incoming { body, reply: Some(reply), .. }) = requests.recv().await {
                reply.send(Ok(body));
            }
        });
        assert_eq!(a.ask(&name("b"), "echo", Lane::Control, "hi".into(), LIMIT).await.unwrap(), "hi");
        a.close(LIMIT).await;
        b.close(LIMIT).await;
    });
}
