//! What the demo does with its nodes, and how it verifies each step.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use super::{
    PATIENCE,
    nodes::{Nodes, failed},
};
use crate::{
    doors::cli::{self, client::Client, failure::Failure, term::Term},
    io::clock::Stopwatch,
    runtime::node::api::{NodeState, Revision, Status},
    words::{PortPath, Value},
};

/// How often a fact is looked at that nobody tells of.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The most bytes of a page.
const PAGE_MAX_BYTES: u64 = 64 * 1024;

/// A demo under way.
pub(super) struct Play<'a> {
    client: Client,
    wait: Duration,
    term: &'a mut Term,
}

impl<'a> Play<'a> {
    /// A play over a node that answers.
    pub(super) fn new(client: Client, wait: Duration, term: &'a mut Term) -> Play<'a> {
        Play { client, wait, term }
    }

    /// The end: gives back how to reach the nodes.
    pub(super) fn end(self) -> (Client, Duration) {
        (self.client, self.wait)
    }

    /// The three nodes have found each other.
    pub(super) async fn meet(&mut self) -> Result<(), Failure> {
        self.wait_for("three nodes are ready and of one revision", |status| all_ready(status, 3)).await?;
        self.done("three nodes found each other")
    }

    /// The script runs.
    pub(super) async fn spread(&mut self, script: &str) -> Result<(), Failure> {
        self.term.say(&format!(
            "\na script spreads a ticker, a channel, a printer, a counter and a web server over them:\n\n{script}\n"
        ));
        self.apply(script, "the demo's script").await?;
        self.grows("node3.counter").await?;
        self.done("the ticker's messages reach the counter on another node")
    }

    /// Shows how the group is.
    pub(super) async fn show(&mut self) -> Result<(), Failure> {
        self.verb(&["status"]).await?;
        self.verb(&["get", "-o", "tree"]).await
    }

    /// Everything else, each step verified.
    pub(super) async fn check(mut self, nodes: &mut Nodes) -> Result<(), Failure> {
        self.visit_the_web_server().await?;
        self.change_a_parameter().await?;
        self.move_a_component().await?;
        self.upgrade_and_roll_back().await?;
        self.kill_and_come_back(nodes).await?;
        self.verb(&["history"]).await?;
        nodes.check_alive()?;
        self.term.say("\nall steps were verified\n");
        Ok(())
    }

    async fn visit_the_web_server(&mut self) -> Result<(), Failure> {
        self.send("node3.web.content", Value::from("hello")).await?;
        let page = self.page("node3").await?;
        self.verify(page == "hello (hit 1)\n", || format!("the page is {page:?}, not \"hello (hit 1)\""))?;
        self.done("the web server serves its page")
    }

    async fn change_a_parameter(&mut self) -> Result<(), Failure> {
        self.apply("set node1.ticker.period = '20ms'", "faster").await?;
        let before = self.count("node3.counter").await?;
        self.counts_to("node3.counter", before + 20).await?;
        self.done("a parameter changed while everything ran")
    }

    async fn move_a_component(&mut self) -> Result<(), Failure> {
        let before = self.count("node3.counter").await?;
        self.apply("move node3.counter node2", "move the counter").await?;
        let after = self.count("node2.counter").await?;
        self.verify(after >= before, || format!("the counter was at {before} and is at {after} after its move"))?;
        self.counts_to("node2.counter", after + 10).await?;
        self.done(&format!("the counter moved with its state ({before} before, {after} after) and counts on"))
    }

    async fn upgrade_and_roll_back(&mut self) -> Result<(), Failure> {
        let before = self.revision().await?;
        self.apply("upgrade node3.web : WebServer/2.0.0", "upgrade the web server").await?;
        let page = self.page("node3").await?;
        self.verify(page == "hello (visit 2)\n", || format!("the page is {page:?}, not \"hello (visit 2)\""))?;
        self.done("the web server was upgraded and kept its page and its count")?;
        self.verb(&["rollback", &before.to_string(), "--yes"]).await?;
        let page = self.page("node3").await?;
        self.verify(page.starts_with("hello (hit "), || format!("the page is {page:?}: not version 1's"))?;
        let after = self.revision().await?;
        self.verify(after > before, || format!("the roll-back made no new revision: {after} after {before}"))?;
        self.done(&format!("rolled back to {before} as the new revision {after}"))
    }

    async fn kill_and_come_back(&mut self, nodes: &mut Nodes) -> Result<(), Failure> {
        let cursor = self.client.watch(None, 0).await?.next;
        let watch = Stopwatch::start();
        nodes.kill("node2")?;
        self.told_of_loss(cursor, "node2").await?;
        let noticed_ms = watch.elapsed().as_millis();
        self.wait_for("node2 is shown as absent", |status| state(status, "node2") == Some(NodeState::Absent)).await?;
        self.done(&format!("node2 was killed; that was noticed after {noticed_ms} ms"))?;
        self.apply("set node2.printer.prefix = 'back: '", "a change while node2 is away").await?;
        nodes.start("node2")?;
        self.wait_for("node2 is back in step", |status| all_ready(status, 3)).await?;
        self.grows("node2.counter").await?;
        self.done("node2 came back, took up what it had missed, and counts on")
    }

    // ---- the means ----

    async fn apply(&mut self, script: &str, message: &str) -> Result<(), Failure> {
        self.verb(&["apply", "-e", script, "--yes", "-m", message]).await
    }

    /// A verb of the command line, as a user would type it.
    async fn verb(&mut self, words: &[&str]) -> Result<(), Failure> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        cli::verb(words, &self.client, self.wait, self.term).await
    }

    fn done(&mut self, what: &str) -> Result<(), Failure> {
        self.term.say(&format!("✓ {what}\n"));
        Ok(())
    }

    fn verify(&self, holds: bool, what: impl FnOnce() -> String) -> Result<(), Failure> {
        if holds { Ok(()) } else { Err(failed(what())) }
    }

    async fn revision(&self) -> Result<Revision, Failure> {
        Ok(self.client.status().await?.revision)
    }

    async fn wait_for(&self, what: &str, fact: impl Fn(&Status) -> bool) -> Result<(), Failure> {
        let watch = Stopwatch::start();
        loop {
            let status = self.client.status().await?;
            if fact(&status) {
                return Ok(());
            }
            if watch.elapsed() > PATIENCE {
                return Err(failed(format!("not within {PATIENCE:?}: {what}; {:?}", status.convergence)));
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn told_of_loss(&self, mut cursor: u64, node: &str) -> Result<(), Failure> {
        let watch = Stopwatch::start();
        while watch.elapsed() < PATIENCE {
            let page = self.client.watch(Some(cursor), 1000).await?;
            cursor = page.next;
            let is_loss = |event: &crate::runtime::node::api::Event| {
                event.node.as_ref().is_some_and(|name| name.as_str() == node) && event.what.word() == "lost"
            };
            if page.items.iter().any(is_loss) {
                return Ok(());
            }
        }
        Err(failed(format!("nobody noticed that {node} was killed within {PATIENCE:?}")))
    }

    async fn send(&self, port: &str, value: Value) -> Result<Value, Failure> {
        let mut parts = port.split('.');
        let mut part = || parts.next().unwrap_or_default();
        let path = PortPath { node: part().parse()?, component: part().parse()?, port: part().parse()? };
        Ok(self.client.send(path, value, true).await?.unwrap_or_default())
    }

    async fn count(&self, component: &str) -> Result<u64, Failure> {
        let answer = self.send(&format!("{component}.count"), Value::Null).await?;
        answer.as_u64().ok_or_else(|| failed(format!("{component} counts {answer}, which is no number")))
    }

    async fn counts_to(&self, component: &str, n: u64) -> Result<(), Failure> {
        let watch = Stopwatch::start();
        while watch.elapsed() < PATIENCE {
            if self.count(component).await? >= n {
                return Ok(());
            }
            sleep(LOOK_AGAIN).await;
        }
        Err(failed(format!("{component} did not count to {n} within {PATIENCE:?}")))
    }

    async fn grows(&self, component: &str) -> Result<(), Failure> {
        let n = self.count(component).await?;
        self.counts_to(component, n + 3).await
    }

    /// The page that the web server on a node serves.
    async fn page(&self, node: &str) -> Result<String, Failure> {
        let bound = self.send(&format!("{node}.web.bound"), Value::Null).await?;
        let port = bound.as_u64().and_then(|port| u16::try_from(port).ok());
        let port = port.ok_or_else(|| failed(format!("the web server listens on {bound}")))?;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.take(PAGE_MAX_BYTES).read_to_string(&mut answer).await?;
        let (_, page) = answer.split_once("\r\n\r\n").unwrap_or_default();
        Ok(page.to_owned())
    }
}

fn all_ready(status: &Status, n: usize) -> bool {
    status.nodes.len() == n
        && status
            .nodes
            .iter()
            .all(|node| node.state == NodeState::Ready && node.revision.as_ref() == Some(&status.revision))
}

fn state(status: &Status, node: &str) -> Option<NodeState> {
    status.nodes.iter().find(|status| status.name.as_str() == node).map(|status| status.state)
}
