//! What is refused, how it is told, and that it changes nothing.

use serde_json::json;

use enact_lab::{Group, Node, free_port};

#[test]
fn a_wrong_script_is_told_whole_and_changes_nothing() {
    let mut group = Group::new("script");
    let node = group.start("node1");
    let before = group.revision(&node);
    let wrong = |script: &str, words: &[&str]| {
        group.apply(&node, script).ended(1).said(words).said(&["nothing was sent"]);
    };
    wrong(
        "add node1.a : Tickr\nadd node1.b : Ticker\nset node1.b.perod = '1s'\nset node1.b.period = 'soon'\nadd node7.c : Ticker\n",
        &["script.kevs:1", "Ticker", "script.kevs:3", "period", "script.kevs:4", "script.kevs:5", "node7"],
    );
    wrong("add node1.a : Ticker\nbind\n", &["script.kevs:"]);
    wrong("add node1.a : Counter\nadd ch : Broadcast\nbind node1.a.nope ch\n", &["script.kevs:3", "nope"]);
    wrong(
        "add node1.a : Ticker\nadd node1.w : WebServer/2.0.0\nadd ch : Broadcast\nbind node1.a.tick ch\nbind node1.w.content ch\n",
        &["node1.w.content"],
    );
    assert_eq!(group.revision(&node), before);
    assert_eq!(group.status(&node)["channels"], json!([]));
    let absent = group.at(&node, &["apply", "absent.kevs", "--yes"]).ended(1);
    absent.said(&["absent.kevs"]);
}

#[test]
fn a_plan_that_is_stale_or_not_confirmed_is_refused() {
    let mut group = Group::new("plan");
    let node = group.start("node1");
    let plan = |args: &[&str]| group.at(&node, &[&["plan", "-e", "add node1.a : Counter"], args].concat());
    plan(&[]).ok();
    plan(&["--exit-code"]).ended(3);
    let document = plan(&["--exit-code", "-o", "json"]).ended(3).json();
    assert_eq!(document["nodes"][0]["node"], "node1", "{document:#}");
    plan(&["-o", "a.plan"]).ok();
    plan(&["-o", "b.plan"]).ok();

    let unconfirmed = group.at(&node, &["apply", "a.plan"]).ended(4);
    unconfirmed.said(&["there is no terminal", "--yes"]);
    group.at(&node, &["apply", "a.plan", "--yes"]).ok();
    assert_eq!(group.ask(&node, "node1.a.count"), 0);
    let revision = group.revision(&node);
    let stale = group.at(&node, &["apply", "b.plan", "--yes"]).ended(4);
    stale.said(&["b.plan was made on", "plan again"]);
    assert_eq!(group.revision(&node), revision);
    plan(&["--exit-code"]).ok();
    group.at(&node, &["apply", "-e", "add node1.a : Counter", "--yes"]).ok();
    assert_eq!(group.revision(&node), revision, "what is there already makes no revision");
}

#[test]
fn of_many_who_change_the_same_at_once_nobody_is_lost() {
    let mut group = Group::new("compare");
    let node1 = group.start("node1");
    let node2 = group.start("node2");
    group.await_in_step(&node2, 2);
    let group = &group;
    std::thread::scope(|scope| {
        for n in 0..6 {
            let node: &Node = if n % 2 == 0 { &node1 } else { &node2 };
            scope.spawn(move || {
                let script = format!("add node1.c{n} : Counter");
                // Whoever was too late again and again is refused, and tries anew.
                let mut codes = Vec::new();
                loop {
                    let done = group.at(node, &["apply", "-e", &script, "--yes"]);
                    codes.push(done.code);
                    assert!(done.code == 0 || done.code == 4, "{done}");
                    assert!(codes.len() < 50, "never accepted: {codes:?}");
                    if done.code == 0 {
                        break;
                    }
                }
            });
        }
    });
    group.await_in_step(&node1, 2);
    for n in 0..6 {
        assert_eq!(group.ask(&node2, &format!("node1.c{n}.count")), 0);
    }
}

#[test]
fn nobody_there_is_told_with_what_was_tried() {
    let group = Group::new("nobody").with("ENACT_CONSOLE_SEARCH", "500ms");
    let address = format!("tcp/127.0.0.1:{}", free_port());
    let done = group.run(&["status", "--node", &address]).ended(8);
    done.said(&["no node of group", &address, "help:", "enact doctor"]);
}

#[test]
fn nodes_of_another_group_are_not_talked_to() {
    let mut group = Group::new("mine");
    let mut other = Group::new("other").with("ENACT_CONSOLE_SEARCH", "1s");
    let mine = group.start("node1");
    let theirs = other.start_with("node2", &["--join", &mine.address]);
    assert_eq!(other.status(&theirs)["nodes"].as_array().map(Vec::len), Some(1));
    assert_eq!(group.status(&mine)["nodes"].as_array().map(Vec::len), Some(1));
    other.at(&mine, &["status"]).ended(8);
}
