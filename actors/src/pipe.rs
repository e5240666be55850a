//! A process as a component: lines in, lines out.

use std::process::Stdio;

use enact::prelude::*;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, Command},
};

/// The most bytes of a line that the process may write; more is cut.
const LINE_MAX_BYTES: usize = 64 * 1024;

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
    stdin: Option<ChildStdin>,
}

#[component]
impl Pipe {
    #[start]
    async fn start(&mut self, ctx: &mut Ctx<Self>) -> Result<()> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(&self.command).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut child = command.spawn().map_err(|error| format!("\"{}\" cannot be run: {error}", self.command))?;
        self.stdin = child.stdin.take();
        let me = ctx.me();
        ctx.spawn("process", follow(child, me));
        Ok(())
    }

    /// The process gets the end of its input, and is killed if it does not mind.
    #[stop]
    fn stop(&mut self) {
        self.stdin = None;
    }

    /// A line for the process.
    #[input]
    async fn line(&mut self, text: String) -> Result<()> {
        let Some(stdin) = &mut self.stdin else { return Err("the process has ended".into()) };
        stdin.write_all(text.as_bytes()).await?;
        stdin.write_all(b"\n").await?;
        stdin.flush().await?;
        Ok(())
    }

    fn wrote(&mut self, line: String) {
        self.out.send(line);
    }

    fn ended(&mut self, code: i32) {
        self.stdin = None;
        self.exit.send(code);
    }
}

/// Sends on what the process writes, until it ends.
async fn follow(mut child: Child, me: Me<Pipe>) {
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Ok(Some(mut line)) = lines.next_line().await {
            line.truncate(line.floor_char_boundary(LINE_MAX_BYTES));
            if me.ask(move |pipe, _| pipe.wrote(line)).await.is_err() {
                return;
            }
        }
    }
    let code = child.wait().await.ok().and_then(|status| status.code()).unwrap_or(-1);
    // Fails only when the component has ended too.
    let _ = me.ask(move |pipe, _| pipe.ended(code)).await;
}
