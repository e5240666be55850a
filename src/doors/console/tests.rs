//! Sessions against the double, line by line as from a pipe.

use std::{sync::Arc, time::Duration};

use super::{Options, assist::Names, draft::Draft, run};
use crate::{
    doors::cli::{
        failure::{Exit, Failure},
        term::Term,
        testing::{Double, empty_group, ticking_group},
    },
    runtime::node::api::NodeVerdict,
};

async fn session(double: &Arc<Double>, lines: &[&str]) -> (Result<(), Failure>, String, String) {
    let (mut term, captured) = Term::captured(None);
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    let options = Options::new(lines, true, Duration::from_secs(5));
    let result = run(double.client().await, options, &mut term).await;
    (result, captured.out(), captured.err())
}

#[tokio::test]
async fn statements_gather_and_apply_together() {
    let double = Double::new(empty_group());
    let lines = [
        "// the transcript",
        "add node1.ticker : Ticker",
        "set node1.ticker.period = '1s'",
        "add node2.printer : Printer",
        "add ticks : Broadcast",
        "bind node1.ticker.tick ticks",
        "bind node2.printer.input ticks",
        ":plan",
        ":apply -m 'the ticker'",
    ];
    let (result, out, err) = session(&double, &lines).await;
    assert_eq!(result, Ok(()), "{err}");
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
    assert!(err.contains("✓ r2 converged on 2 nodes"), "{err}");
    assert_eq!(double.newest().1.bindings.len(), 2);
    let (_, out, _) = session(&double, &[":history -n 1"]).await;
    assert!(out.contains("the ticker"), "{out}");
}

#[tokio::test]
async fn a_wrong_statement_is_told_at_once_and_stops_a_script() {
    let double = Double::new(ticking_group());
    let (result, _, err) = session(&double, &["set node1.ticker.perod = '1s'", ":apply"]).await;
    assert_eq!(result, Err(Failure::silent(Exit::Error)));
    assert!(err.contains("did you mean") && err.contains("period"), "{err}");
    assert_eq!(double.newest().0, 1);
}

#[tokio::test]
async fn a_statement_may_go_over_lines() {
    let double = Double::new(empty_group());
    let (result, _, err) = session(&double, &["add node1.ticker :", "  Ticker", ":apply"]).await;
    assert_eq!((result, double.newest().0), (Ok(()), 2), "{err}");
}

#[tokio::test]
async fn undo_drop_and_show_work_on_the_draft() {
    let double = Double::new(ticking_group());
    let lines = ["set node1.ticker.period = '2s'", "remove node2.printer", ":undo", ":show", ":drop", ":show", ":quit"];
    let (result, out, err) = session(&double, &lines).await;
    assert_eq!(result, Ok(()));
    insta::assert_snapshot!(format!("{out}{err}"), @r#"
    set node1.ticker.period = '2s'
    node1
      ~ ticker  period: 1s → 2s  updated in place
    0 to add, 1 to change, 0 to remove
    the draft is empty
    taken back: remove node2.printer
    1 statement dropped
    "#);
}

#[tokio::test]
async fn a_draft_that_was_never_applied_is_not_lost_in_silence() {
    let double = Double::new(ticking_group());
    let (result, ..) = session(&double, &["remove node2.printer"]).await;
    assert_eq!(result.unwrap_err().exit, Exit::Refused);
}

#[tokio::test]
async fn a_draft_is_kept_when_somebody_else_was_faster() {
    let double = Double::new(ticking_group());
    double.overtake();
    let (result, ..) = session(&double, &["remove node2.printer", ":apply"]).await;
    let failure = result.unwrap_err();
    assert_eq!((failure.exit, failure.help.as_str()), (Exit::Refused, ":plan again; the draft is kept"));
}

#[tokio::test]
async fn a_roll_back_by_a_node_is_the_exit_code() {
    let double = Double::new(ticking_group());
    double.answer_next(NodeVerdict::RolledBack { step: "stop printer".into(), cause: "hung".into() });
    let (result, _, err) = session(&double, &["remove node2.printer", ":apply"]).await;
    assert_eq!(result.unwrap_err().exit, Exit::RolledBack);
    assert!(err.contains("rolled back at stop printer: hung"), "{err}");
}

#[tokio::test]
async fn verbs_and_help_work_as_on_the_command_line() {
    let double = Double::new(ticking_group());
    let (result, out, err) =
        session(&double, &[":status -o tree", ":get node1.ticker", ":help bind", ":help Ticker", ":help"]).await;
    assert_eq!(result, Ok(()), "{err}");
    for word in
        ["└── node3 absent", "period  1s", "bind NODE.COMPONENT.PORT CHANNEL", "10ms to 1h", ":rollback REVISION"]
    {
        assert!(out.contains(word), "{word}: {out}");
    }
    let (result, ..) = session(&double, &[":statsu"]).await;
    assert!(result.unwrap_err().help.contains("status"));
}

async fn names(double: &Arc<Double>) -> Names {
    let client = double.client().await;
    Draft::new(client.model(None).await.unwrap(), &client.types().await.unwrap()).names()
}

#[tokio::test]
async fn completion_knows_statements_and_live_names() {
    let names = names(&Double::new(ticking_group())).await;
    let complete = |text: &str| names.complete(text).1.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert!(complete("att").contains(&"attach".to_owned()));
    assert_eq!(complete("bind node1.ticker."), ["tick"]);
    assert_eq!(complete("bind node1.ticker.tick t"), ["ticks"]);
    assert!(complete("set node1.ticker.p").contains(&"period".to_owned()));
    assert!(complete("add node1.x : Ti").contains(&"Ticker".to_owned()));
    assert_eq!(complete(":sta"), [":status"]);
    assert_eq!(complete(":logs node2."), ["node2.printer"]);
    assert_eq!(names.complete("bind node1.ti").0, 2, "what is typed of the word is replaced");
}
