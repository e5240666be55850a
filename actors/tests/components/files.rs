//! FileWriter.

use std::fs::read_to_string;

use enact::testing::Harness;
use enact_actors::FileWriter;
use serde_json::json;

#[actix_rt::test]
async fn texts_are_written_as_they_are_and_everything_else_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.txt");
    std::fs::write(&path, "before\n").unwrap();
    let params = [("path", path.to_str().unwrap())];
    let writer = Harness::<FileWriter>::new(&params).unwrap().start().await.unwrap();
    writer.send("line", "a text").await.unwrap();
    writer.send("line", json!({"n": 1})).await.unwrap();
    assert_eq!(writer.ask::<u64>("count", ()).await.unwrap(), 2);
    writer.stop().await.unwrap();
    writer.restart().await.unwrap();
    writer.send("line", 3).await.unwrap();
    assert_eq!(read_to_string(&path).unwrap(), "before\na text\n{\"n\":1}\n3\n");
}

#[actix_rt::test]
async fn a_file_is_emptied_at_the_start_when_asked_and_never_by_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    std::fs::write(&first, "old\n").unwrap();
    std::fs::write(&second, "old\n").unwrap();
    let params = [("path", first.to_str().unwrap()), ("truncate", "true")];
    let mut writer = Harness::<FileWriter>::new(&params).unwrap().start().await.unwrap();
    writer.send("line", 1).await.unwrap();
    writer.set("path", second.to_str().unwrap()).await.unwrap();
    writer.send("line", 2).await.unwrap();
    assert!(writer.set("path", "/no/such/folder/file").await.is_err());
    writer.set("path", first.to_str().unwrap()).await.unwrap();
    writer.send("line", 3).await.unwrap();
    assert_eq!(read_to_string(&first).unwrap(), "1\n3\n");
    assert_eq!(read_to_string(&second).unwrap(), "old\n2\n");
}

#[actix_rt::test]
async fn a_file_that_cannot_be_opened_is_named() {
    let params = [("path", "/no/such/folder/file")];
    let error = Harness::<FileWriter>::new(&params).unwrap().start().await.unwrap_err().to_string();
    assert!(error.contains("\"/no/such/folder/file\""), "{error}");
}
