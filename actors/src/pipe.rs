//! A process as a component: lines in, lines out.

use std::{io, process::Stdio};

use enact::prelude::*;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::{mpsc, oneshot},
    time::timeout,
};

/// The most bytes of a line that are kept of what the process writes; the rest of a longer line is left out.
const LINE_MAX_BYTES: usize = 64 * 1024;

/// Lines that wait for a process that is slow to read; more are refused.
const WAITING_MAX: usize = 1024;

/// How long a process may take to end after its input has ended, before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// Runs a command: what comes on `line` goes to its standard input, what it writes goes to `out`, line by line.
#[derive(Component)]
#[component(version = "1.0.0")]
pub struct Pipe {
    /// The command, run by `sh -c`.
    #[param]
    command: String,
    /// The folder that it runs in.
    #[param]
    folder: Option<String>,
    /// Each line that it writes to its standard output.
    #[output]
    out: Out<String>,
    /// Its exit code when it ends by itself; -1 when a signal ended it.
    #[output]
    exit: Out<i32>,
    stdin: Option<mpsc::Sender<String>>,
    gone: Option<oneshot::Receiver<()>>,
}

#[component]
impl Pipe {
    #[start]
    fn start(&mut self, ctx: &mut Ctx<Self>) -> Result<()> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(&self.command).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut child = command.spawn().map_err(|error| format!("\"{}\" cannot be run: {error}", self.command))?;
        if let Some(stdin) = child.stdin.take() {
            let (line, lines) = mpsc::channel(WAITING_MAX);
            self.stdin = Some(line);
            ctx.spawn("stdin", write(stdin, lines));
        }
        let (gone, told) = oneshot::channel();
        self.gone = Some(told);
        ctx.spawn("process", follow(child, gone, ctx.me()));
        Ok(())
    }

    /// The process gets the end of its input, and is killed if it does not mind.
    #[stop]
    async fn stop(&mut self) {
        self.stdin = None;
        if let Some(gone) = self.gone.take() {
            // Whether it went or not: its task ends next, and with it the process.
            let _ = timeout(GRACE, gone).await;
        }
    }

    /// A line for the process. Refused when the process has ended, or does not keep up.
    #[input]
    fn line(&mut self, text: String) -> Result<()> {
        let stdin = self.stdin.as_ref().ok_or("the process has ended")?;
        stdin.try_send(text).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => format!("the process does not read: {WAITING_MAX} lines wait").into(),
            mpsc::error::TrySendError::Closed(_) => "the process has closed its input".into(),
        })
    }

    fn ended(&mut self, code: i32) {
        self.stdin = None;
        self.exit.send(code);
    }
}

/// Gives the process its lines, until there are no more or it does not want them.
async fn write(mut stdin: ChildStdin, mut lines: mpsc::Receiver<String>) {
    while let Some(mut line) = lines.recv().await {
        line.push('\n');
        if stdin.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
}

/// Sends on what the process writes, and tells when it has ended.
async fn follow(mut child: Child, gone: oneshot::Sender<()>, me: Me<Pipe>) {
    let stdout = child.stdout.take();
    let told = async {
        let status = child.wait().await;
        // Nobody listens unless the component is stopping.
        let _ = gone.send(());
        status.ok().and_then(|status| status.code()).unwrap_or(-1)
    };
    let (code, ()) = tokio::join!(told, read(stdout, &me));
    // Fails only when the component has ended too.
    let _ = me.ask(move |pipe, _| pipe.ended(code)).await;
}

async fn read(stdout: Option<ChildStdout>, me: &Me<Pipe>) {
    let Some(mut stdout) = stdout.map(BufReader::new) else { return };
    while let Ok(Some(line)) = next_line(&mut stdout).await {
        if me.ask(move |pipe, _| pipe.out.send(line)).await.is_err() {
            return;
        }
    }
}

/// The next line without its end, cut to [`LINE_MAX_BYTES`] while it is read.
async fn next_line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut is_there = false;
    loop {
        let chunk = from.fill_buf().await?;
        let end = chunk.iter().position(|byte| *byte == b'\n');
        is_there |= !chunk.is_empty();
        if end.is_some() || chunk.is_empty() {
            let last = &chunk[..end.unwrap_or(0)];
            line.extend_from_slice(&last[..last.len().min(LINE_MAX_BYTES - line.len())]);
            from.consume(end.map_or(0, |end| end + 1));
            return Ok(is_there.then(|| String::from_utf8_lossy(&line).into_owned()));
        }
        line.extend_from_slice(&chunk[..chunk.len().min(LINE_MAX_BYTES - line.len())]);
        let n_read = chunk.len();
        from.consume(n_read);
    }
}
