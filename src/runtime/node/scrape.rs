//! Metrics over HTTP, for Prometheus: `GET /metrics` on an address of its own.

use std::{rc::Rc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{launch::StartError, serve::Server};

/// How long one scrape may take: Prometheus itself gives up after ten seconds.
const SCRAPE_MAX: Duration = Duration::from_secs(5);

/// How long a request may take to come: a scraper sends it at once. Whoever drips it byte by byte makes room for others.
const REQUEST_MAX: Duration = Duration::from_secs(1);

/// The most bytes of a request that are looked at: its first line is all that counts.
const REQUEST_MAX_BYTES: usize = 8 * 1024;

/// Scrapes that are answered at the same time; more wait in the system's queue. Each costs a socket and a little memory, so that
/// hundreds who ask for nothing keep nobody out.
const AT_ONCE: usize = 256;

/// Takes the address for metrics.
///
/// # Errors
/// When it cannot be listened on.
pub(super) async fn listen(address: &str) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| StartError::System(format!("cannot serve metrics on {address}: {error}")))
}

/// Answers scrapes until the node ends.
pub(super) async fn serve(server: Rc<Server>, listener: TcpListener) {
    let free = std::sync::Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    loop {
        let Ok(permit) = free.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let server = server.clone();
                actix_rt::spawn(async move {
                    // Who hangs up or asks too slowly gets nothing; there is nobody to tell.
                    let _ = timeout(SCRAPE_MAX, answer(&server, stream)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a scrape could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(server: &Server, mut stream: TcpStream) -> std::io::Result<()> {
    let request = timeout(REQUEST_MAX, read(&mut stream)).await??;
    let (status, body) = match request.strip_prefix(b"GET ") {
        Some(rest) if rest.starts_with(b"/metrics ") || rest.starts_with(b"/metrics?") => {
            ("200 OK", server.metrics().await)
        }
        _ => ("404 Not Found", "there is /metrics, and nothing else\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

async fn read(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_MAX_BYTES {
        let n = stream.read(&mut part).await?;
        if n == 0 {
            break;
        }
        request.extend_from_slice(&part[..n]);
    }
    Ok(request)
}
