//! Raw TCP under tokio: frames with a length before them, written in batches. What the substrate can do, without anything around it.

use std::{collections::HashMap, net::SocketAddr};

use anyhow::{Context, Result, ensure};
use enact::io::clock::Stopwatch;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, BufReader, BufWriter},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
};

use super::runtime;
use crate::{
    child::Process,
    remote::{Latencies, told},
    rows::Sample,
};

/// Bytes that are gathered before they are written, or after they were read.
const BUFFER: usize = 64 * 1024;

struct Line {
    from: BufReader<OwnedReadHalf>,
    to: BufWriter<OwnedWriteHalf>,
}

impl Line {
    fn over(stream: TcpStream) -> Result<Line> {
        stream.set_nodelay(true)?;
        let (from, to) = stream.into_split();
        Ok(Line { from: BufReader::with_capacity(BUFFER, from), to: BufWriter::with_capacity(BUFFER, to) })
    }
}

/// Reads a frame: its number and its body.
async fn read(from: &mut BufReader<OwnedReadHalf>, body: &mut Vec<u8>) -> Result<u64> {
    let length = from.read_u32_le().await? as usize;
    let number = from.read_u64_le().await?;
    body.resize(length, 0);
    from.read_exact(body).await?;
    Ok(number)
}

/// Writes a frame into the buffer.
async fn write(to: &mut BufWriter<OwnedWriteHalf>, number: u64, body: &[u8]) -> Result<()> {
    to.write_u32_le(body.len() as u32).await?;
    to.write_u64_le(number).await?;
    Ok(to.write_all(body).await?)
}

/// The other process: `sink N` counts so many frames and answers once, `echo` sends each back.
pub(crate) fn other(words: &[&str]) -> Result<()> {
    runtime()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let (stream, _) = listener.accept().await?;
        let Line { mut from, mut to } = Line::over(stream)?;
        let mut body = Vec::new();
        match words {
            ["sink", last] => {
                let n: u64 = last.parse()?;
                for due in 0..n {
                    let number = read(&mut from, &mut body).await?;
                    ensure!(number == due, "frame {number} came where {due} was due");
                }
                write(&mut to, n, &[]).await?;
                to.flush().await?;
                // Until the other end goes.
                while read(&mut from, &mut body).await.is_ok() {}
                Ok(())
            }
            _ => loop {
                let Ok(number) = read(&mut from, &mut body).await else { return Ok(()) };
                write(&mut to, number, &body).await?;
                if from.buffer().is_empty() {
                    to.flush().await?;
                }
            },
        }
    })
}

async fn connect(process: &Process) -> Result<Line> {
    let address: SocketAddr = process.word()?.parse()?;
    Line::over(TcpStream::connect(address).await?)
}

/// Tells of so many bytes each.
pub(crate) fn tell(n: u64, bytes: usize) -> Result<Sample> {
    let process = Process::role(&["tcp", "sink", &n.to_string()])?;
    runtime()?.block_on(async {
        let Line { mut from, mut to } = connect(&process).await?;
        let body = vec![b'x'; bytes - 8];
        let watch = Stopwatch::start();
        for number in 0..n {
            write(&mut to, number, &body).await?;
        }
        to.flush().await?;
        let counted = read(&mut from, &mut Vec::new()).await?;
        told(n, counted, watch)
    })
}

/// Asks, so many in flight: one writer and one reader, replies matched by number.
pub(crate) fn ask(n: u64, in_flight: usize) -> Result<Sample> {
    let process = Process::role(&["tcp", "echo"])?;
    runtime()?.block_on(async {
        let Line { mut from, mut to } = connect(&process).await?;
        let body = vec![b'x'; 24];
        let (free, mut room) = mpsc::channel::<()>(in_flight);
        for _ in 0..in_flight {
            free.send(()).await?;
        }
        let (tell, mut sent) = mpsc::unbounded_channel();
        let mut latencies = Latencies::of(n);
        let writer = tokio::spawn(async move {
            for number in 0..n {
                if let Err(mpsc::error::TryRecvError::Empty) = room.try_recv() {
                    to.flush().await?;
                    room.recv().await.context("the reader is gone")?;
                }
                tell.send((number, Stopwatch::start()))?;
                write(&mut to, number, &body).await?;
            }
            Ok::<_, anyhow::Error>(to.flush().await?)
        });
        let mut waiting = HashMap::new();
        for _ in 0..n {
            let number = read(&mut from, &mut Vec::new()).await?;
            while let Ok((number, watch)) = sent.try_recv() {
                waiting.insert(number, watch);
            }
            let since: Stopwatch = waiting.remove(&number).context("a reply to a question")?;
            latencies.note(since.elapsed());
            // The writer may have asked its last.
            let _ = free.send(()).await;
        }
        writer.await??;
        Ok(latencies.sample())
    })
}

/// Kills the other process, until its connection is seen to be closed.
pub(crate) fn killed(n: u64) -> Result<Sample> {
    let runtime = runtime()?;
    let mut latencies = Latencies::of(n);
    for _ in 0..n {
        let process = Process::role(&["tcp", "echo"])?;
        let pid = process.pid()?;
        latencies.note(runtime.block_on(async {
            let Line { mut from, to: _to } = connect(&process).await?;
            let watch = Stopwatch::start();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
            ensure!(read(&mut from, &mut Vec::new()).await.is_err(), "a frame of a dead process");
            anyhow::Ok(watch.elapsed())
        })?);
    }
    Ok(latencies.in_ms())
}
