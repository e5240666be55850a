//! Whose code it is that logs. A span would say the same, for half a kilobyte an instance and a look-up each time it has its turn.

use std::{
    fmt::{self, Display},
    future::Future,
    sync::Arc,
};

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Writer},
    },
    registry::LookupSpan,
};

tokio::task_local! {
    static WHOSE: Arc<dyn Display + Send + Sync>;
}

/// Runs the code of an instance: what it logs is told as its own. `whose` is displayed as its path.
pub fn speaking<F: Future>(whose: Arc<dyn Display + Send + Sync>, work: F) -> impl Future<Output = F::Output> {
    WHOSE.scope(whose, work)
}

/// The instance whose code runs on this thread.
pub(super) fn speaker() -> Option<String> {
    WHOSE.try_with(|whose| whose.to_string()).ok()
}

/// Log lines that say whose they are.
pub(super) struct Signed<F>(pub(super) Format<F>);

impl<S, N, F> FormatEvent<S, N> for Signed<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    Format<F>: FormatEvent<S, N>,
{
    fn format_event(&self, ctx: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let says_itself = event.metadata().fields().field("instance").is_some();
        let Some(instance) = speaker().filter(|_| !says_itself) else { return self.0.format_event(ctx, out, event) };
        let mut line = String::new();
        self.0.format_event(ctx, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            Some(object) => write!(out, "{{\"instance\":\"{instance}\",{object}"),
            None => writeln!(out, "{} instance={instance}", line.trim_end()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Mutex};

    use tracing_subscriber::{fmt::format::JsonFields, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn take(&self) -> Vec<String> {
            let bytes = std::mem::take(&mut *self.0.lock().unwrap());
            String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
        }
    }

    async fn say_something() {
        speaking(Arc::new("n.web"), async {
            tracing::info!("mine");
            tokio::task::yield_now().await;
            tracing::info!(instance = "n.other", "of another");
        })
        .await;
        tracing::info!("nobody's");
    }

    #[tokio::test]
    async fn a_line_says_whose_it_is_for_people_and_for_programs() {
        let (people, programs) = (Lines::default(), Lines::default());
        let (human, json) = (people.clone(), programs.clone());
        let format = tracing_subscriber::fmt::format;
        let human = tracing_subscriber::fmt::layer()
            .with_writer(move || human.clone())
            .event_format(Signed(format().with_ansi(false).compact()));
        let json = tracing_subscriber::fmt::layer()
            .with_writer(move || json.clone())
            .fmt_fields(JsonFields::new())
            .event_format(Signed(format().json().flatten_event(true)));
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(human).with(json));
        say_something().await;
        drop(guard);
        let said = people.take();
        assert!(said[0].contains("mine instance=n.web") && !said[1].contains("n.web"), "{said:?}");
        assert!(!said[2].contains("instance"), "{said:?}");
        let of = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap()["instance"].clone();
        let whose: Vec<_> = programs.take().iter().map(of).collect();
        assert_eq!(whose, ["n.web".into(), "n.other".into(), serde_json::Value::Null]);
    }
}
