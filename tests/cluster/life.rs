//! A life: three nodes run a script, and are adapted while they run.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use enact_lab::{Group, Node, instance_status};

const SCRIPT: &str = "\
add node1.ticker : Ticker
set node1.ticker.period = '20ms'
add node2.counter : Counter
add node3.web : WebServer/1.0.0
set node3.web.port = '0'
add ticks : Broadcast
bind node1.ticker.tick ticks
bind node2.counter.input ticks
";

#[test]
fn three_nodes_run_a_script_and_are_adapted_while_they_run() {
    let mut group = Group::new("life");
    let node1 = group.start("node1");
    let node2 = group.start("node2");
    let node3 = group.start("node3");
    group.await_in_step(&node1, 3);

    let outcome = group.apply(&node2, SCRIPT).ok();
    assert!(outcome.stderr.contains("converged on 3 nodes"), "{outcome}");
    group.await_reply(&node3, "node2.counter.count", |count| count.as_u64() >= Some(5));
    change_a_parameter(&group, &node1);
    move_with_its_state(&group, &node1);
    upgrade_and_roll_back(&group, &node1);

    // Who did not push hears of the others' answers with a heartbeat.
    let history = || group.at(&node2, &["history", "-o", "json"]).ok().json()["items"].as_array().cloned();
    let mut entries = Vec::new();
    enact_lab::eventually(
        "all has converged in the history of another node",
        || {
            entries = history().expect("a list");
            entries.iter().all(|entry| entry["verdict"] == "converged")
        },
        String::new,
    );
    let whats: Vec<&str> = entries.iter().filter_map(|entry| entry["what"].as_str()).collect();
    for what in ["slower", "the move", "the upgrade", "the page was wrong"] {
        assert!(whats.contains(&what), "{what} is not in {whats:?}");
    }
    group.await_in_step(&node3, 3);
}

fn change_a_parameter(group: &Group, node: &Node) {
    let set = ["apply", "-e", "set node1.ticker.period = '1h'", "--yes", "-m", "slower"];
    group.at(node, &set).ok();
    let shown = group.at(node, &["get", "node1.ticker", "-o", "json"]).ok().json();
    assert_eq!(shown["instance"]["values"]["period"], "1h", "{shown:#}");
    assert_eq!(instance_status(&group.status(node), "node1", "ticker")["nRestarts"], 0);
}

fn move_with_its_state(group: &Group, node: &Node) {
    // The ticker sleeps; what it sent before may still be on its way.
    let mut count = group.ask(node, "node2.counter.count");
    enact_lab::eventually(
        "the count stays as it is",
        || {
            let before = std::mem::replace(&mut count, group.ask(node, "node2.counter.count"));
            before == count
        },
        String::new,
    );
    group.at(node, &["apply", "-e", "move node2.counter node1", "--yes", "-m", "the move"]).ok();
    assert_eq!(group.ask(node, "node1.counter.count"), count);
    group.at(node, &["apply", "-e", "set node1.ticker.period = '20ms'", "--yes"]).ok();
    group.await_reply(node, "node1.counter.count", |now| now.as_u64() > count.as_u64());
}

fn upgrade_and_roll_back(group: &Group, node: &Node) {
    group.send(node, "node3.web.content", "hello");
    assert_eq!(page(group, node), "hello (hit 1)\n");
    let before = group.revision(node);
    group.at(node, &["apply", "-e", "upgrade node3.web : WebServer/2.0.0", "--yes", "-m", "the upgrade"]).ok();
    assert_eq!(page(group, node), "hello (visit 2)\n");
    group.at(node, &["rollback", &before, "--yes", "-m", "the page was wrong"]).ok();
    assert_ne!(group.revision(node), before);
    assert!(page(group, node).starts_with("hello (hit "));
    let diff = group.at(node, &["diff", &before, &group.revision(node), "--exit-code"]);
    diff.ended(0);
}

/// The page that node3 serves.
fn page(group: &Group, node: &Node) -> String {
    let port = group.ask(node, "node3.web.bound").as_u64().expect("a port");
    let mut stream = TcpStream::connect(("127.0.0.1", u16::try_from(port).expect("a port"))).expect("it listens");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.split_once("\r\n\r\n").expect("a head and a page").1.to_owned()
}
