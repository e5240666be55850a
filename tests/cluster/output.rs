//! What the verbs print for programs.

use serde_json::Value;

use enact_lab::{Done, Group};

/// Every line a JSON document of this kind.
#[track_caller]
fn lines(done: Done, kind: &str) -> Vec<Value> {
    let done = done.ok();
    let all: Vec<Value> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {done}")))
        .collect();
    assert!(!all.is_empty() && all.iter().all(|document| document["kind"] == kind), "{done}");
    all
}

#[test]
fn every_verb_prints_what_programs_can_read() {
    let mut group = Group::new("output");
    let node = group.start("node1");
    let script = "\
        add node1.ticker : Ticker\n\
        set node1.ticker.period = '20ms'\n\
        add node1.counter : Counter\n\
        add ticks : Broadcast\n\
        bind node1.ticker.tick ticks\n\
        bind node1.counter.input ticks\n";
    group.apply(&node, script).ok();
    let at = |args: &[&str]| group.at(&node, args);
    let document = |args: &[&str], kind: &str| {
        let document = at(&[args, &["-o", "json"]].concat()).ok().json();
        assert_eq!((&document["apiVersion"], &document["kind"]), (&"enact/v1".into(), &kind.into()), "{document:#}");
        document
    };
    document(&["status"], "Status");
    assert!(document(&["get"], "Model")["model"]["nodes"]["node1"].is_object());
    document(&["get", "node1.ticker"], "Instance");
    document(&["history"], "RevisionList");
    document(&["types"], "TypeList");
    document(&["types", "Ticker"], "TypeList");
    document(&["types", "--local"], "TypeList");
    document(&["diff"], "Diff");
    document(&["why", "node1.ticker"], "Why");
    document(&["plan", "-e", "remove node1.counter"], "Plan");
    document(&["doctor"], "FindingList");
    document(&["config", "show", "--origin"], "SettingList");

    let records = lines(at(&["logs", "node1", "-n", "5", "-o", "jsonl"]), "Record");
    assert!(records.iter().any(|record| record["message"].is_string()));
    at(&["logs", "node1.ticker", "-o", "json"]).ok();
    lines(at(&["watch", "--all", "-n", "3", "-o", "jsonl"]), "Event");
    let messages = lines(at(&["tail", "ticks", "-n", "3", "-o", "jsonl"]), "Message");
    assert_eq!(messages.len(), 3);
    assert!(messages.iter().all(|message| message["value"].is_i64()), "{messages:#?}");
    let large = lines(at(&["tail", "ticks", "--where", "value > 20", "-n", "2", "-o", "jsonl"]), "Message");
    assert!(large.iter().all(|message| message["value"].as_i64() > Some(20)), "{large:#?}");
    assert_eq!(group.send(&node, "node1.counter.input", "5"), Value::Null);
    assert!(group.ask(&node, "node1.counter.count").as_u64() > Some(0));

    for (form, word) in
        [("dot", "digraph"), ("mermaid", "flowchart"), ("kevs", "add "), ("tree", "ticker"), ("wide", "ticker")]
    {
        let shown = at(&["get", "-o", form]).ok().stdout;
        assert!(shown.contains(word), "{form}: {shown}");
    }
    assert!(at(&["metrics"]).ok().stdout.contains("enact_"));
    at(&["send", "node1.nobody.input", "5"]).ended(1).said(&["node1.nobody"]);
    at(&["send", "node1.counter.nope", "5"]).ended(1).said(&["nope"]);
    at(&["tail", "nothing", "-n", "1"]).ended(1).said(&["nothing"]);
    at(&["types", "Tickr"]).ended(1).said(&["did you mean"]);
}

#[test]
fn what_asks_nobody_works_without_a_node() {
    let group = Group::new("offline");
    for shell in ["bash", "zsh", "fish"] {
        let script = group.run(&["completions", shell]).ok().stdout;
        assert!(script.contains("enact"), "{shell}: {script}");
    }
    let sample = group.run(&["config", "sample"]).ok().stdout;
    group.write("enact.toml", &sample);
    let shown = group.run(&["config", "show", "--origin", "-o", "json"]).ok().json();
    let settings = shown["items"].as_array().expect("a list").clone();
    let origin = |key: &str| {
        let setting = settings.iter().find(|setting| setting["key"] == key).unwrap_or(&Value::Null);
        setting["origin"].as_str().unwrap_or_default().to_owned()
    };
    assert!(origin("group").contains("ENACT_GROUP"), "{shown:#}");
    assert!(origin("log.kept").contains("enact.toml"), "{shown:#}");
    assert!(group.run(&["explain", "exit"]).ok().stdout.contains("rolled back"));
    assert!(group.run(&["explain", "E0203"]).ok().stdout.contains("E0203"));
    assert!(group.run(&["explain", "bind"]).ok().stdout.contains("bind"));
    group.run(&["no-such-verb"]).ended(2);
    group.run(&["apply"]).ended(2);
    for verb in ["node", "apply", "get", "console", "demo", "rollback"] {
        assert!(group.run(&[verb, "--help"]).ok().stdout.contains("Examples"), "{verb}");
    }
}
