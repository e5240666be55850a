//! Strangers that connect and say next to nothing: to the port of the engine, and to that of the metrics.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::{
    TICKS, counters,
    garbage::{connect, settled},
    nothing_is_lost,
};
use enact_lab::{
    Group, free_port,
    tally::{Held, note, scale},
    unharmed,
};

#[test]
fn slow_and_half_open_connections_keep_nobody_out() {
    let mut group = Group::new("slow");
    let metrics = format!("127.0.0.1:{}", free_port());
    let mut node1 = group.start_with("node1", &["--set", &format!("metrics.listen={metrics}")]);
    let mut node2 = group.start("node2");
    group.await_in_step(&node1, 2);
    group.apply(&node1, &format!("{TICKS}{}", counters(&["node2"]))).ok();
    let before = Held::by(node1.child.id());

    let n_each = scale(150, 500);
    let mut held: Vec<TcpStream> = Vec::new();
    for address in [&node1.address, &metrics] {
        held.extend((0..n_each).filter_map(|_| connect(address).ok()));
    }
    let n_held = held.len();
    assert_eq!(n_held, 2 * n_each, "all of them are let in");
    // A byte at a time from half of them; the others say nothing at all.
    let mut drip = |round: usize| {
        held.iter_mut().step_by(2).for_each(|stream| {
            // Shown the door: that is a node's right.
            let _ = stream.write(&b"GET /metrics HTTP/1.1\r\n"[round % 23..][..1]);
        });
    };
    for round in 0..scale(5, 40) {
        drip(round);
        // A console is a newcomer at the same port; so is a third node.
        group.apply(&node1, &format!("set node1.ticker.period = '{}ms'\n", 5 + round % 3)).ok();
        assert!(scrape(&metrics).contains("enact_peers"), "metrics are served");
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut node3 = group.start("node3");
    group.await_in_step(&node3, 3);
    drop(held);
    node3.kill();
    group.await_status(&node1, "node3 is gone", |status| enact_lab::node_status(status, "node3")["state"] == "absent");
    let after = settled(&node1, before);
    let n_messages = nothing_is_lost(&group, &node1, &["node2"]);
    let grown = unharmed(&mut [&mut node1, &mut node2]);
    note(
        "slow and half-open connections to engine and metrics",
        n_held,
        grown,
        format!(
            "changes, scrapes and a newcomer meanwhile; threads {} → {}, files {} → {}; {n_messages} messages, \
             none lost",
            before.n_threads, after.n_threads, before.n_files, after.n_files
        ),
    );
}

/// What is served to a scraper that is in no hurry.
fn scrape(metrics: &str) -> String {
    let mut text = String::new();
    let mut stream = TcpStream::connect(metrics).expect("metrics are served");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").expect("metrics are served");
    let _ = stream.read_to_string(&mut text);
    text
}
