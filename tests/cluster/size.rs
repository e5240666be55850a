//! Large input.

use std::fmt::Write;

use enact_lab::{Group, now};

#[test]
fn a_script_of_twenty_thousand_lines_evaluates() {
    let mut group = Group::new("long");
    let node = group.start("node0");
    let document = group.at(&node, &["get", "-o", "json"]).ok().json();
    group.write("model.json", &document["model"].to_string());
    drop(node);
    let mut script = String::new();
    for n in 0..10_000 {
        writeln!(script, "add node0.c{n} : Counter\nset node0.c{n}.every = '{}'", n % 9 + 1).expect("memory");
    }
    group.write("long.kevs", &script);
    let begin = now();
    let model = group.run(&["script", "run", "long.kevs", "--model", "model.json", "-o", "kevs"]).ok();
    println!("{} lines evaluated within {:?}", script.lines().count(), begin.elapsed());
    assert!(model.stdout.contains("c9999"), "{}", model.stderr);
}

#[test]
fn a_thousand_components_on_one_channel_are_adopted() {
    let mut group = Group::new("many");
    let node = group.start("node1");
    let mut script = String::from("add ticks : Broadcast\nadd node1.ticker : Ticker\nbind node1.ticker.tick ticks\n");
    for n in 0..999 {
        writeln!(script, "add node1.c{n} : Counter\nbind node1.c{n}.input ticks").expect("memory");
    }
    let begin = now();
    let outcome = group.apply(&node, &script).ok();
    println!(
        "1,000 components adopted within {:?}: {}",
        begin.elapsed(),
        outcome.stderr.lines().last().unwrap_or_default()
    );
    group.await_in_step(&node, 1);
    group.apply(&node, "set node1.ticker.period = '20ms'\n").ok();
    group.await_reply(&node, "node1.c998.count", |count| count.as_u64() >= Some(2));
}
