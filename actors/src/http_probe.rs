//! Looks at a web page now and then.

use enact::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

/// The most bytes of an answer that are read: it begins with the status line, and no more is wanted.
const STATUS_LINE_MAX_BYTES: u64 = 4 * 1024;

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Where it looked.
    pub url: String,
    /// The HTTP status; none when there was no answer.
    pub status: Option<u16>,
    /// Why there was none; empty when there was.
    pub error: String,
    /// How long it took.
    pub elapsed_ms: u64,
}

/// Asks for a page over HTTP at a regular pace, and says how that went.
#[derive(Component)]
#[component(version = "1.0.0")]
pub struct HttpProbe {
    /// The page: `http://HOST:PORT/PATH`.
    #[param]
    url: String,
    /// Time between two looks.
    #[param(default = "10s", min = "10ms", max = "1h")]
    period: Duration,
    /// How long an answer may take.
    #[param(default = "2s", min = "1ms", max = "1m")]
    timeout: Duration,
    /// What each look found.
    #[output]
    result: Out<Probe>,
    /// Looks so far.
    #[state]
    n_looks: u64,
    /// Looks without an answer, or with a status from 400 on.
    #[state]
    n_failed: u64,
}

#[component]
impl HttpProbe {
    #[start]
    fn start(&mut self, ctx: &mut Ctx<Self>) -> Result<()> {
        let target = Target::parse(&self.url)?;
        let (url, limit, me, period) = (self.url.clone(), self.timeout, ctx.me(), self.period);
        ctx.spawn("look", async move {
            let mut ticks = tokio::time::interval(period);
            loop {
                ticks.tick().await;
                let probe = look(&url, &target, limit).await;
                if me.ask(move |component, _| component.found(probe)).await.is_err() {
                    break;
                }
            }
        });
        Ok(())
    }

    /// How many looks failed so far.
    #[input]
    fn failed(&mut self, _ask: ()) -> Result<u64> {
        Ok(self.n_failed)
    }

    fn found(&mut self, probe: Probe) {
        self.n_looks += 1;
        if probe.status.is_none_or(|status| status >= 400) {
            self.n_failed += 1;
        }
        self.result.send(probe);
    }
}

/// Where to look.
struct Target {
    host: String,
    port: u16,
    path: String,
}

impl Target {
    fn parse(url: &str) -> Result<Target> {
        let bad = || format!("\"{url}\" is no address like http://127.0.0.1:8080/");
        let rest = url.strip_prefix("http://").ok_or_else(bad)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| bad())?),
            _ => (authority, 80),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(bad().into());
        }
        Ok(Target { host: host.to_owned(), port, path: format!("/{path}") })
    }
}

async fn look(url: &str, target: &Target, limit: Duration) -> Probe {
    let before = tokio::time::Instant::now();
    let status = match timeout(limit, ask(target)).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {limit:?}")),
    };
    let elapsed_ms = before.elapsed().as_millis() as u64;
    let (status, error) = match status {
        Ok(status) => (Some(status), String::new()),
        Err(error) => (None, error),
    };
    Probe { url: url.to_owned(), status, error, elapsed_ms }
}

/// One HTTP/1.1 request; of the answer only the status line is read.
async fn ask(target: &Target) -> Result<u16> {
    let mut stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
    let Target { host, port, path } = target;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = Vec::new();
    BufReader::new(stream.take(STATUS_LINE_MAX_BYTES)).read_until(b'\n', &mut line).await?;
    let line = String::from_utf8_lossy(&line);
    let status = line.strip_prefix("HTTP/").and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
    status.ok_or_else(|| "the answer is no HTTP".into())
}
