//! Pipe.

use enact::testing::{Harness, Rx};
use enact_actors::Pipe;

async fn pipe(command: &str) -> (Harness<Pipe>, Rx<String>, Rx<i32>) {
    let pipe = Harness::<Pipe>::new(&[("command", command)]).unwrap();
    let (out, exit) = (pipe.output("out").await.unwrap(), pipe.output("exit").await.unwrap());
    (pipe.start().await.unwrap(), out, exit)
}

#[actix_rt::test]
async fn lines_go_in_and_come_out() {
    let (pipe, mut out, _exit) = pipe("while read line; do echo \"<$line>\"; done").await;
    pipe.send("line", "one").await.unwrap();
    assert_eq!(out.next().await.unwrap(), "<one>");
    pipe.send("line", "two").await.unwrap();
    assert_eq!(out.next().await.unwrap(), "<two>");
}

#[actix_rt::test]
async fn long_lines_that_come_back_block_nobody() {
    let (pipe, mut out, _exit) = pipe("cat").await;
    let long = "x".repeat(50_000);
    for _ in 0..20 {
        pipe.send("line", &long).await.unwrap();
    }
    for _ in 0..20 {
        assert_eq!(out.next().await.unwrap().len(), long.len());
    }
}

#[actix_rt::test]
async fn its_exit_code_is_told_and_more_lines_are_refused() {
    let (pipe, mut out, mut exit) = pipe("echo bye; exit 3").await;
    assert_eq!(out.next().await.unwrap(), "bye");
    assert_eq!(exit.next().await.unwrap(), 3);
    let error = pipe.send("line", "hello?").await.unwrap_err().to_string();
    assert!(error.contains("the process has ended"), "{error}");
}

#[actix_rt::test]
async fn a_line_without_an_end_is_cut_while_it_is_read() {
    let (_pipe, mut out, _exit) = pipe("head -c 10000000 /dev/zero | tr '\\0' x; echo; printf last").await;
    assert_eq!(out.next().await.unwrap().len(), 64 * 1024);
    assert_eq!(out.next().await.unwrap(), "last");
}

#[actix_rt::test]
async fn what_is_no_text_comes_through_too() {
    let (_pipe, mut out, _exit) = pipe("printf '\\377\\n\\nend\\n'").await;
    assert_eq!(out.next().await.unwrap(), "\u{fffd}");
    assert_eq!((out.next().await.unwrap().as_str(), out.next().await.unwrap().as_str()), ("", "end"));
}

#[actix_rt::test]
async fn a_process_that_is_stopped_may_finish_what_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let params = [("command", "cat > seen; echo done > done"), ("folder", folder.path().to_str().unwrap())];
    let pipe = Harness::<Pipe>::new(&params).unwrap().start().await.unwrap();
    pipe.send("line", "kept").await.unwrap();
    pipe.stop().await.unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("seen")).unwrap(), "kept\n");
    assert_eq!(std::fs::read_to_string(folder.path().join("done")).unwrap(), "done\n");
}

#[actix_rt::test]
async fn a_folder_that_is_not_there_is_an_error() {
    let params = [("command", "true"), ("folder", "/no/such/folder")];
    let error = Harness::<Pipe>::new(&params).unwrap().start().await.unwrap_err().to_string();
    assert!(error.contains("cannot be run"), "{error}");
}
