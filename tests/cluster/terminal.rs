//! Losing its terminal or a pipe never ends a node.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use enact_lab::{Group, node_status};

#[test]
fn a_node_outlives_its_pipes_and_its_terminal() {
    let mut group = Group::new("pipes");
    let (mut command, address) = group.node("node1");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary is there");
    let mut lines = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("it says something");
    drop(lines);
    drop(child.stdout.take());
    let mut node = group.adopt("node1", address, child);
    group.await_status(&node, "it is ready", |status| node_status(status, "node1")["state"] == "ready");

    // What it prints and logs goes nowhere now.
    group.apply(&node, "add node1.printer : Printer\n").ok();
    for n in 0..20 {
        group.at(&node, &["send", "node1.printer.input", &n.to_string()]).ok();
    }
    node.signal("HUP");
    node.signal("PIPE");
    group.apply(&node, "add node1.counter : Counter\n").ok();
    assert_eq!(group.ask(&node, "node1.counter.count"), 0);
    assert_eq!(group.status(&node)["nodes"][0]["state"], "ready");
    assert!(node.runs());
    assert_eq!(node.terminate(), Some(0));
}
