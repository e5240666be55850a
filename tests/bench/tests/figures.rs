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
    assert_eq!(row["met"].as_bool(), row["ours"].as_f64().map(|ours| ours >= 6.0));
    for peer in ["tokio", "actix", "ractor", "kameo"] {
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
fn an_unknown_row_is_told_with_those_that_there_are() {
    let output = figures(&["--only", "warp"]);
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("\"warp\"") && told.contains("local-1to1"), "{told}");
}
