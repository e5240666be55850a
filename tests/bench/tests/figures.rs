//! The figures have the form that tools read, and every message is counted. Nothing here looks at how fast anything was.

use std::process::{Command, Output};

use serde_json::Value;

fn figures(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enact-bench"));
    command.arg("figures").args(words).output().expect("the bench runs")
}

fn json(words: &[&str]) -> Vec<Value> {
    let output = figures(words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a list")
}

#[test]
fn a_row_says_what_was_measured_beside_its_peers() {
    let rows = json(&["--json", "--runs", "1", "--size", "2000", "--only", "local-1to1"]);
    let [row] = rows.as_slice() else { panic!("one row: {rows:?}") };
    assert_eq!(
        (row["row"].as_str(), row["unit"].as_str(), row["reach"].as_f64()),
        (Some("local-1to1"), Some("M msg/s"), Some(6.0))
    );
    assert!(row["ours"].as_f64().is_some_and(|ours| ours > 0.0), "{row}");
    let ratio = &row["ratios"][0];
    assert_eq!((ratio["peer"].as_str(), ratio["reach"].as_f64()), (Some("ractor"), Some(2.0)), "{row}");
    let both = row["ours"].as_f64() >= Some(6.0) && ratio["ratio"].as_f64() >= Some(2.0);
    assert_eq!(row["met"].as_bool(), Some(both), "{row}");
    for peer in ["tokio", "actix", "actix, one arbiter", "ractor", "kameo"] {
        assert!(row["beside"][peer].as_f64().is_some_and(|theirs| theirs > 0.0), "{peer}: {row}");
    }
    assert_eq!(row["lost"].as_f64(), Some(0.0));
}

#[test]
fn one_measurement_gives_several_rows() {
    let rows = json(&["--json", "--runs", "2", "--size", "300", "--alone", "--only", "spawn-100k"]);
    let names: Vec<&str> = rows.iter().filter_map(|row| row["row"].as_str()).collect();
    assert_eq!(names, ["spawn-100k", "spawn-100k-bytes"]);
    assert!(rows.iter().all(|row| row["runs"].as_u64() == Some(2)), "{rows:?}");
}

#[test]
fn messages_between_two_processes_arrive_in_order() {
    let rows = json(&["--json", "--runs", "1", "--size", "2000", "--alone", "--only", "remote-tell-32"]);
    assert_eq!(rows[0]["lost"].as_f64(), Some(0.0), "{rows:?}");
}

#[test]
fn a_row_that_wants_to_be_seen_beside_a_peer_does_not_pass_without_it() {
    let output = figures(&["--json", "--strict", "--runs", "1", "--size", "2000", "--alone", "--only", "local-1to1"]);
    assert_eq!(output.status.code(), Some(3));
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).expect("a list");
    assert_ne!(rows[0]["met"].as_bool(), Some(true), "{rows:?}");
}

#[test]
fn an_unknown_row_is_told_with_those_that_there_are() {
    let output = figures(&["--only", "warp"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("\"warp\"") && told.contains("local-1to1"), "{told}");
}
