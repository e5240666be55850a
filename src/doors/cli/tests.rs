//! The verbs against the double: what is printed, what is applied, how they end.

use std::time::Duration;

use clap::{CommandFactory, Parser};

use super::{
    args::Cli,
    failure::{Exit, Failure},
    paint,
    render::{self, changes::Changes},
    term::Term,
    testing::{Double, empty_group, node, status, ticking_group, type_ref, with_binding, with_component},
    verb,
};
use crate::{
    model::Model,
    runtime::node::api::{NodeVerdict, Revision},
    words::ComponentName,
};

/// Runs a command line; `answers` are what a person at a terminal types.
async fn run(
    double: &std::sync::Arc<Double>,
    line: &str,
    answers: Option<&str>,
) -> (Result<(), Failure>, String, String) {
    let (mut term, captured) = Term::captured(answers);
    let words = line.split('|').map(|word| word.trim().to_owned()).collect();
    let result = verb(words, &double.client().await, Duration::from_secs(5), &mut term).await;
    (result, captured.out(), captured.err())
}

fn exit(result: &Result<(), Failure>) -> u8 {
    result.as_ref().err().map_or(0, |failure| failure.exit as u8)
}

#[test]
fn the_command_is_sound_and_every_verb_has_examples() {
    Cli::command().debug_assert();
    for verb in Cli::command().get_subcommands() {
        let name = verb.get_name();
        let offline = matches!(name, "script" | "model");
        assert!(
            offline || verb.get_after_help().is_some_and(|text| text.to_string().contains("Examples:")),
            "{name} has no examples"
        );
        assert!(verb.get_about().is_some(), "{name} says not what it does");
    }
    assert!(Cli::try_parse_from(["enact", "run", "--name", "x"]).is_ok(), "`run` is `node`");
}

#[tokio::test]
async fn a_plan_shows_what_would_be_done_and_does_nothing() {
    let double = Double::new(empty_group());
    let (result, out, _) = run(&double, "plan | -e | ticking", None).await;
    assert_eq!(result, Ok(()));
    insta::assert_snapshot!(out, @r#"
    sync r1 → r2                                  changes on 2 of 2 nodes
    node1
      + ticker  Ticker 1.0.0         down = false (default), period = 1s
      + bind    ticker.tick → ticks
    node2
      + printer  Printer 1.0.0
      + bind     ticks → printer.input
    + channel ticks  Broadcast 1.0.0
    Plan: 3 to add, 0 to change, 0 to remove; 2 bindings. Undo: `rollback r1`.
    "#);
    assert_eq!(double.newest().0, 1);
    let (result, ..) = run(&double, "plan | -e | ticking | --exit-code", None).await;
    assert_eq!(exit(&result), 3);
}

#[tokio::test]
async fn a_plan_as_json_has_its_version_and_its_steps() {
    let double = Double::new(empty_group());
    let (_, out, _) = run(&double, "plan | -e | ticking | -o | json", None).await;
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((plan["apiVersion"].as_str(), plan["kind"].as_str()), (Some("enact/v1"), Some("Plan")));
    assert_eq!((plan["counts"]["add"].as_u64(), plan["base"].as_str()), (Some(3), Some("r1")));
    assert!(plan["nodes"][0]["steps"].as_array().is_some_and(|steps| !steps.is_empty()));
}

#[tokio::test]
async fn apply_asks_and_a_no_changes_nothing() {
    let double = Double::new(empty_group());
    let (result, _, err) = run(&double, "apply | -e | ticking", Some("n\n")).await;
    assert_eq!((exit(&result), double.newest().0), (4, 1));
    assert!(err.contains("[y/N]"), "{err}");
    let (result, ..) = run(&double, "apply | -e | ticking", None).await;
    assert_eq!(result.unwrap_err().help, "give --yes to apply without being asked");
    let (result, _, err) = run(&double, "apply | -e | ticking", Some("y\n")).await;
    assert_eq!((exit(&result), double.newest().1), (0, ticking_group()));
    insta::assert_snapshot!(err, @r#"
    Apply this to sync as it is at r1? [y/N]   node1  3/3  started ticker  18 ms
    node2  3/3  started ticker  18 ms
    ✓ r2 converged on 2 nodes in 31 ms
    "#);
}

#[tokio::test]
async fn what_becomes_of_a_revision_is_the_exit_code() {
    let rolled_back = NodeVerdict::RolledBack { step: "StartInstance printer".into(), cause: "no such file".into() };
    let unresolved = NodeVerdict::Adopted {
        n_steps: 1,
        elapsed_ms: 1,
        doing: String::new(),
        unresolved: vec!["db: no candidate".into()],
    };
    let poisoned = NodeVerdict::Poisoned { n_crashes: 2, runs: Some(Revision::new(1)) };
    for (verdict, code) in [
        (rolled_back, Exit::RolledBack),
        (poisoned, Exit::RolledBack),
        (unresolved, Exit::Unresolved),
        (NodeVerdict::Absent, Exit::Unread),
    ] {
        let double = Double::new(empty_group());
        double.answer_next(verdict.clone());
        let (result, ..) = run(&double, "apply | -e | ticking | --yes", None).await;
        assert_eq!(exit(&result), code as u8, "{verdict:?}");
    }
    let double = Double::new(empty_group());
    double.answer_next(NodeVerdict::Working { n_done: 1, n_steps: 3, doing: "starting printer".into() });
    let (result, ..) = run(&double, "apply | -e | ticking | --yes | --timeout | 0s", None).await;
    let failure = result.unwrap_err();
    assert_eq!(failure.exit, Exit::Timeout);
    assert!(failure.what.contains("node2 is at 1/3 (starting printer)"), "{failure:?}");
}

#[tokio::test]
async fn who_was_overtaken_is_told_or_tries_again_when_nobody_was_asked() {
    let double = Double::new(empty_group());
    double.overtake();
    let (result, _, err) = run(&double, "apply | -e | ticking", Some("y\n")).await;
    let failure = result.unwrap_err();
    assert_eq!((failure.exit, failure.what.as_str()), (Exit::Refused, "made on r1, the group is at r2"), "{err}");
    double.overtake();
    let (result, _, err) = run(&double, "apply | -e | ticking | --yes", None).await;
    assert_eq!(result, Ok(()), "{err}");
    assert!(err.contains("planning again"), "{err}");
}

#[tokio::test]
async fn a_saved_plan_does_what_it_says_or_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("app.plan").display().to_string();
    let double = Double::new(empty_group());
    let (result, ..) = run(&double, &format!("plan | -e | ticking | -o | {file}"), None).await;
    assert_eq!(result, Ok(()));
    let (result, ..) = run(&double, &format!("apply | {file} | --yes"), None).await;
    assert_eq!((exit(&result), double.newest().1), (0, ticking_group()));
    let (result, ..) = run(&double, &format!("apply | {file} | --yes"), None).await;
    let failure = result.unwrap_err();
    assert_eq!(failure.exit, Exit::Refused);
    assert!(failure.what.ends_with("was made on r1, the group is at r2"), "{failure:?}");
}

#[tokio::test]
async fn a_wrong_script_is_drawn_and_sends_nothing() {
    let double = Double::new(empty_group());
    let (result, out, err) = run(&double, "apply | -e | fail perod | --yes", None).await;
    assert_eq!((exit(&result), out.as_str(), double.newest().0), (1, "", 1));
    insta::assert_snapshot!(err, @r#"
     × E0203 unknown parameter `perod` of Ticker 1.0.0
      ╭─[command line:1:6]
    1 │ fail perod
      ·      ──┬──
      ·        ╰── did you mean `period`?
      ╰────
     1 error; nothing was sent.
    "#);
}

#[tokio::test]
async fn a_roll_back_shows_its_plan_and_is_a_new_revision() {
    let double = Double::new(ticking_group());
    let (result, out, _) = run(&double, "rollback | r0 | --yes", None).await;
    assert_eq!((exit(&result), double.newest().0), (0, 2));
    assert!(out.contains("- node node1"), "{out}");
    let (result, ..) = run(&double, "rollback | r9 | --yes", None).await;
    assert_eq!(result.unwrap_err().what, "there is no revision r9");
}

#[tokio::test]
async fn nothing_to_change_is_done() {
    let double = Double::new(ticking_group());
    let (result, out, _) = run(&double, "apply | -e | ticking", None).await;
    assert_eq!((exit(&result), double.newest().0), (0, 1));
    assert!(out.contains("nothing to change"), "{out}");
}

#[tokio::test]
async fn diff_compares_with_the_revision_before() {
    let double = Double::new(ticking_group());
    let (result, out, _) = run(&double, "diff | --exit-code", None).await;
    assert_eq!(exit(&result), 3);
    assert!(out.starts_with("  r0 → r1\n") && out.contains("+ node node1"), "{out}");
}

#[tokio::test]
async fn streams_end_when_they_have_enough() {
    let double = Double::new(ticking_group());
    let (_, out, err) = run(&double, "watch | -n | 1", None).await;
    assert_eq!(
        (out.as_str(), err.as_str()),
        (
            "12:01:07  node2         suspected    no answer for 1.5 s\n",
            "! 2 events came faster than they were read and are gone\n",
        )
    );
    let (_, out, err) = run(&double, "tail | ticks | -n | 3", None).await;
    assert_eq!(out.lines().count(), 3);
    assert_eq!(out.lines().next(), Some("12:01:07.113  node1.ticker.tick  →  node2.printer.input   41   0.4 ms"));
    assert!(err.starts_with("(sampled 3 of 3"), "{err}");
    let (_, out, _) = run(&double, "tail | ticks | -n | 1 | -o | jsonl", None).await;
    assert!(out.starts_with(r#"{"apiVersion":"enact/v1","kind":"Message""#), "{out}");
}

#[tokio::test]
async fn a_message_is_json_or_a_text() {
    let double = Double::new(ticking_group());
    let (result, out, _) = run(&double, r#"send | node2.printer.input | {"a": 1} | --reply"#, None).await;
    assert_eq!((exit(&result), out.as_str()), (0, "{\"a\":1}\n"));
    run(&double, "send | node2/printer/input | hello", None).await.0.unwrap();
    let values: Vec<String> = double.sent().iter().map(|(port, value)| format!("{port} {value}")).collect();
    assert_eq!(values, [r#"node2.printer.input {"a":1}"#, r#"node2.printer.input "hello""#]);
    let (result, ..) = run(&double, "send | node2 | hello", None).await;
    assert!(result.unwrap_err().help.contains("NODE.COMPONENT.PORT"));
}

#[tokio::test]
async fn names_that_are_not_there_get_a_suggestion() {
    let double = Double::new(ticking_group());
    let (result, ..) = run(&double, "get | node1.tickr", None).await;
    assert_eq!(result.unwrap_err().help, "did you mean \"node1.ticker\"?");
    let (result, ..) = run(&double, "types | Tickr", None).await;
    assert!(result.unwrap_err().help.contains("Ticker"));
}

#[tokio::test]
async fn one_instance_is_shown_with_its_values() {
    let mut model = ticking_group();
    with_component(&mut model, "node1.secret", "Ticker", 9, &[("token", "hunter2")]);
    let double = Double::new(model);
    let (_, out, _) = run(&double, "get | node1.ticker", None).await;
    insta::assert_snapshot!(out, @r#"
    node1.ticker : Ticker 1.0.0  FAILED  crashed 5 times in 30 s
      started  true
      values
        down    false
        period  1s
      bindings  tick on ticks
    "#);
    let (_, out, _) = run(&double, "get | node1.secret", None).await;
    assert!(!out.contains("hunter2") && out.contains("•••"), "{out}");
}

#[tokio::test]
async fn a_type_is_told_with_all_about_it() {
    let double = Double::new(ticking_group());
    let (_, out, _) = run(&double, "types | Ticker", None).await;
    insta::assert_snapshot!(out, @r#"
    Ticker 1.0.0  component of enact
      Sends a number at a steady pace.

    outputs
      tick  Value (optional)

    parameters
      period  duration, 10ms to 1h, default 3s  How long between two ticks.
      down    boolean, default false
      token   string, optional, secret

    runs on node1
    "#);
    let (_, out, _) = run(&double, "types", None).await;
    insta::assert_snapshot!(out, @r#"
    TYPE             KIND       PORTS   PARAMETERS         NODES  WHAT
    Ticker 1.0.0     component  tick→   period down token  node1  Sends a number at a steady pace.
    Printer 1.0.0    component  →input                     node1
    Broadcast 1.0.0  channel                               node1
    EnactNode 1.0.0  node                                  node1
    Gossip 1.0.0     group                                 node1
    "#);
}

#[test]
fn the_group_is_shown_as_tables_and_as_a_tree() {
    let status = status(Revision::new(7));
    insta::assert_snapshot!(paint::plain(&render::status::status(&status, false)), @r#"
    GROUP  REV  NODES  INSTANCES            CHANNELS  CONVERGED
    sync   r7   2/3    2 started, 1 failed  1         1 of 3 nodes (node2: printer failed; node3 is absent)
    NODE   STATE    REV  INSTANCES  RTT     LOAD  UP      VERSION
    node1  ready    r7   1          local   0.2   2h 14m  0.1.0
    node2  partial  r7   0+1!       0.4 ms  0.2   2h 14m  0.1.0
    node3  absent        0
    ! node2.printer  FAILED: crashed 5 times in 30 s: no such file
    "#);
    insta::assert_snapshot!(paint::plain(&render::status::instances(&status, false)), @r#"
    INSTANCE       TYPE             STATE    RATE       NOTE
    node1.ticker   Ticker 1.0.0     STARTED  1.0 msg/s
    node2.printer  Printer 1.0.0    FAILED              crashed 5 times in 30 s: no such file
    ticks          Broadcast 1.0.0  STARTED  1.0 msg/s  1 in, 1 out
    "#);
    insta::assert_snapshot!(paint::plain(&render::tree::group(&status)), @r#"
    sync : Gossip 1.0.0 (r7)
    ├── node1 ready
    │   └── ticker : Ticker 1.0.0  STARTED  → ticks  1.0 msg/s
    ├── node2 partial
    │   └── printer : Printer 1.0.0  FAILED   crashed 5 times in 30 s: no such file  ← ticks
    └── node3 absent
    ticks : Broadcast 1.0.0  1 in, 1 out  1.0 msg/s  0 lost  p99 0.9 ms
    "#);
}

#[test]
fn the_model_is_drawn() {
    let model = ticking_group();
    insta::assert_snapshot!(render::graph::dot(&model), @r##"
    digraph model {
      rankdir=LR; node [fontname="sans-serif"]; compound=true;
      subgraph "cluster_node1" { label="node1"; style=rounded;
        "node1" [shape=point, style=invis];
        "node1.ticker" [shape=box, label="ticker\nTicker 1.0.0"];
      }
      subgraph "cluster_node2" { label="node2"; style=rounded;
        "node2" [shape=point, style=invis];
        "node2.printer" [shape=box, label="printer\nPrinter 1.0.0"];
      }
      "channel ticks" [shape=ellipse, color="#DB661D", label="ticks\nBroadcast 1.0.0"];
      "group sync" [shape=circle, color="#5aa564", label="sync"];
      "node1.ticker" -> "channel ticks" [taillabel="tick"];
      "channel ticks" -> "node2.printer" [headlabel="input"];
      "group sync" -> "node1" [dir=none, style=dotted, lhead="cluster_node1"];
      "group sync" -> "node2" [dir=none, style=dotted, lhead="cluster_node2"];
    }
    "##);
    insta::assert_snapshot!(render::graph::mermaid(&model), @r#"
    flowchart LR
      subgraph n0["node1"]
        c0["ticker<br/>Ticker 1.0.0"]
      end
      subgraph n1["node2"]
        c1["printer<br/>Printer 1.0.0"]
      end
      ch_ticks(["ticks"])
      c0 -- tick --> ch_ticks
      ch_ticks -- input --> c1
    "#);
}

#[test]
fn moves_upgrades_and_changes_have_their_marks() {
    let before = ticking_group();
    let mut after = without(&ticking_group(), "node2", "printer");
    with_component(&mut after, "node1.printer", "Printer", 2, &[]);
    with_component(
        &mut after,
        "node1.ticker",
        "Ticker",
        1,
        &[("period", "250ms"), ("down", "false"), ("token", "hunter2")],
    );
    after.bindings = Default::default();
    with_binding(&mut after, "node1.ticker.tick", "ticks");
    with_binding(&mut after, "node1.printer.input", "ticks");
    let changes = Changes::between(&before, &after);
    insta::assert_snapshot!(paint::plain(&format!("{}  {}", changes.render(), changes.summary())), @r#"
    node1
      ~ ticker  period: 1s → 250ms, token: (none) → •••  updated in place
    node2 > node1
      > printer  Printer 1.0.0  moved with its state
    0 to add, 1 to change, 0 to remove, 1 to move
    "#);

    let mut upgraded = before.clone();
    let mut node1 = upgraded.nodes.get(&node("node1")).unwrap().clone();
    let ticker = node1.to_mut().components.get_mut(&"ticker".parse::<ComponentName>().unwrap()).unwrap();
    ticker.to_mut().instance.type_ref = Some(type_ref("Ticker", "2.0.0"));
    upgraded.nodes.insert(node("node1"), node1);
    insta::assert_snapshot!(paint::plain(&Changes::between(&before, &upgraded).render()), @r#"
    node1
    -/+ ticker  Ticker 1.0.0 → 2.0.0  upgraded, state kept
    "#);
    insta::assert_snapshot!(paint::plain(&Changes::between(&before, &empty_group()).render()), @r#"
    node1
      - ticker  Ticker 1.0.0
      - bind    ticker.tick → ticks
    node2
      - printer  Printer 1.0.0
      - bind     ticks → printer.input
    - channel ticks  Broadcast 1.0.0
    "#);
    assert!(Changes::between(&before, &before).is_empty());
}

fn without(model: &Model, on: &str, name: &str) -> Model {
    let mut model = model.clone();
    let mut value = model.nodes.get(&node(on)).unwrap().clone();
    value.to_mut().components.remove(&name.parse::<ComponentName>().unwrap());
    model.nodes.insert(node(on), value);
    model.indexed()
}
