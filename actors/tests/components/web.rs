//! WebServer, both versions, and HttpProbe.

use enact::testing::Harness;
use enact_actors::{HttpProbe, WebServer, WebServerV1, http_probe::Probe};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

const FREE: &[(&str, &str)] = &[("port", "0")];

/// The body of the page that a server serves.
async fn page(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}

async fn port_of<C: enact::runtime::component::Behaviour>(server: &Harness<C>) -> u16 {
    server.ask::<Option<u16>>("bound", ()).await.unwrap().expect("it listens")
}

#[actix_rt::test]
async fn a_web_server_serves_its_page_and_counts_its_visitors() {
    let server = Harness::<WebServer>::new(FREE).unwrap().start().await.unwrap();
    let mut visit = server.output::<u64>("visit").await.unwrap();
    let port = port_of(&server).await;
    server.send("content", "hello").await.unwrap();
    assert_eq!(page(port).await, "hello (visit 1)\n");
    assert_eq!(page(port).await, "hello (visit 2)\n");
    assert_eq!((visit.next().await.unwrap(), visit.next().await.unwrap()), (1, 2));
    assert_eq!(server.ask::<u64>("visits", ()).await.unwrap(), 2);
}

#[actix_rt::test]
async fn version_2_takes_over_what_version_1_knew_and_the_port_it_had() {
    let old = Harness::<WebServerV1>::new(FREE).unwrap().start().await.unwrap();
    let port = port_of(&old).await;
    old.send("content", "kept").await.unwrap();
    assert_eq!(page(port).await, "kept (hit 1)\n");
    old.stop().await.unwrap();
    let state = old.snapshot().await.unwrap();
    old.end().await.unwrap();

    let new = Harness::<WebServer>::new(&[("port", &port.to_string())]).unwrap();
    new.restore("1.0.0", state).await.unwrap();
    let _new = new.start().await.unwrap();
    assert_eq!(page(port).await, "kept (visit 2)\n");
}

#[actix_rt::test]
async fn a_port_that_is_taken_is_an_error_and_the_old_one_is_still_served() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let keeps = TcpListener::bind(format!("127.0.0.1:{taken}")).await;
    // Either this test or whoever was faster holds it now.
    let error = Harness::<WebServer>::new(&[("port", &taken)]).unwrap().start().await.unwrap_err().to_string();
    assert!(error.contains(&format!("cannot listen on 127.0.0.1:{taken}")), "{error}");

    let mut server = Harness::<WebServer>::new(FREE).unwrap().start().await.unwrap();
    let port = port_of(&server).await;
    assert!(server.set("port", &taken).await.is_err());
    assert_eq!(page(port).await, " (visit 1)\n");
    drop(keeps);
}

#[actix_rt::test]
async fn a_probe_says_what_it_found_and_counts_what_failed() {
    let server = Harness::<WebServer>::new(FREE).unwrap().start().await.unwrap();
    let port = port_of(&server).await;
    let url = format!("http://127.0.0.1:{port}/");
    let mut probe = Harness::<HttpProbe>::new(&[("url", &url), ("period", "20ms")]).unwrap().start().await.unwrap();
    let mut result = probe.output::<Probe>("result").await.unwrap();
    let found = result.next().await.unwrap();
    assert_eq!((found.url, found.status, found.error), (url.clone(), Some(200), String::new()));
    assert_eq!(probe.ask::<u64>("failed", ()).await.unwrap(), 0);

    probe.set("url", &format!("{url}nowhere")).await.unwrap();
    while result.next().await.unwrap().status != Some(404) {}
    assert!(probe.ask::<u64>("failed", ()).await.unwrap() > 0);

    server.stop().await.unwrap();
    let refused = loop {
        let found = result.next().await.unwrap();
        if found.status.is_none() {
            break found;
        }
    };
    assert!(!refused.error.is_empty());
}

#[actix_rt::test]
async fn a_probe_needs_no_more_than_the_status_line_and_does_not_wait_for_ever() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let params = [("url", url.as_str()), ("period", "10ms"), ("timeout", "200ms")];
    let probe = Harness::<HttpProbe>::new(&params).unwrap().start().await.unwrap();
    let mut result = probe.output::<Probe>("result").await.unwrap();
    // It says that it is there, and never ends its answer.
    let (mut first, _) = listener.accept().await.unwrap();
    first.write_all(b"HTTP/1.1 204 Nothing to say\r\nX-Endless: ").await.unwrap();
    assert_eq!(result.next().await.unwrap().status, Some(204));
    // It says nothing.
    let (_silent, _) = listener.accept().await.unwrap();
    assert_eq!(result.next().await.unwrap().error, "no answer within 200ms");
    // It speaks something else.
    let (mut other, _) = listener.accept().await.unwrap();
    other.write_all(b"220 mail.example.org ESMTP\r\n").await.unwrap();
    assert_eq!(result.next().await.unwrap().error, "the answer is no HTTP");
    assert_eq!(probe.snapshot().await.unwrap(), json!({"n_looks": 3, "n_failed": 2}));
}

#[actix_rt::test]
async fn an_address_that_is_none_is_refused_at_the_start() {
    for url in ["", "https://example.org/", "http:///path", "http://host:port/"] {
        let error = Harness::<HttpProbe>::new(&[("url", url)]).unwrap().start().await.unwrap_err();
        assert!(error.to_string().contains("is no address like http://127.0.0.1:8080/"), "{url}: {error}");
    }
}
