//! What operators see of a process: its log and its metrics. Losing the terminal or the pipe behind the log ends nothing.

mod logs;
mod metrics;
mod voice;

use std::io::{self, IsTerminal, Write};

use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::format::{JsonFields, format},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

pub use logs::{Logs, Record, Slice, Whose};
pub use metrics::{Counter, Gauge, Metrics};
pub use voice::speaking;

use voice::Signed;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogForm {
    /// Human on a terminal, JSON lines elsewhere.
    #[default]
    Auto,
    /// For people.
    Human,
    /// For programs: one JSON object a line.
    Json,
}

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The level is none.
    #[error("\"{given}\" is no log level: {reason} (error, warn, info, debug, trace, or as in info,enact::io=debug)")]
    Level {
        /// What was given.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// Starts logging to stderr and into a ring of the last `n_kept` records, which is returned. Only the first call of a process
/// decides the form; later ones (in tests, mostly) get a ring that stays empty.
///
/// # Errors
/// When the level is none.
pub fn start(level: &str, form: LogForm, n_kept: usize) -> Result<Logs, Error> {
    let filter = filter(level)?;
    let logs = Logs::new(n_kept);
    let human = match form {
        LogForm::Auto => io::stderr().is_terminal(),
        LogForm::Human => true,
        LogForm::Json => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Deaf(io::stderr()));
    let lines = if human {
        let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        lines.event_format(Signed(format().with_ansi(colour).with_target(false).compact())).boxed()
    } else {
        lines.fmt_fields(JsonFields::new()).event_format(Signed(format().json().flatten_event(true))).boxed()
    };
    // Only fails when a subscriber is there already: then that one is the caller's wish.
    let _ = tracing_subscriber::registry().with(filter).with(lines).with(logs.layer()).try_init();
    Ok(logs)
}

/// A level, or directives. What a level says about us does not hold for the network library, which is very talkative.
fn filter(level: &str) -> Result<EnvFilter, Error> {
    let directives = if level.contains([',', '=']) { level.to_owned() } else { format!("{level},zenoh=warn") };
    EnvFilter::builder()
        .parse(&directives)
        .map_err(|error| Error::Level { given: level.to_owned(), reason: error.to_string() })
}

/// A writer that does not mind when nobody listens any more.
struct Deaf<W>(W);

impl<W: Write> Write for Deaf<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.0.write(bytes).unwrap_or(bytes.len()))
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

/// Keeps a process alive when its terminal goes away: reads SIGHUP and does nothing. To be spawned on a tokio runtime.
/// (SIGPIPE is ignored by Rust's runtime already.)
pub async fn outlive_the_terminal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::hangup()) {
            Ok(mut hangups) => {
                while hangups.recv().await.is_some() {
                    tracing::info!("the terminal went away; going on without it");
                }
            }
            Err(error) => tracing::warn!(%error, "cannot catch SIGHUP: closing the terminal will end this process"),
        }
    }
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_pipe_is_no_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut deaf = Deaf(Closed);
        deaf.write_all(b"a line nobody reads").unwrap();
        deaf.flush().unwrap();
    }

    #[test]
    fn a_wrong_level_says_which_would_be_right() {
        assert!(filter("info").is_ok());
        assert!(filter("warn,enact::io=debug").is_ok());
        let error = filter("loud=very").unwrap_err();
        assert!(error.to_string().contains("debug"), "{error}");
    }
}
