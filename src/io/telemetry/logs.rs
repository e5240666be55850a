//! The last log records in memory, so that a console anywhere can read them with a cursor.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::voice::speaker;
use crate::{
    io::clock,
    words::{Time, Value},
};

/// The longest text kept of one field: a component that logs a file must not fill the memory.
const TEXT_MAX_BYTES: usize = 4096;

/// What all records may take in memory, however many are to be kept: a usual one takes some 300 bytes.
const RING_MAX_BYTES: usize = 4 * 1024 * 1024;

/// A log record as it is kept in memory and read with `logs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When.
    pub at: Time,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The module that said it.
    pub target: String,
    /// The node in whose span it was said; several nodes may live in one process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The instance whose code, or in whose span, it was said: `node1.ticker`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The message.
    pub message: String,
    /// Its fields.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, Value>,
}

/// Records read with a cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// What fits, oldest first.
    pub records: Vec<Record>,
    /// The cursor to read on with.
    pub next: u64,
    /// How many records were dropped before they could be read.
    pub n_missed: u64,
}

/// A bounded ring of log records; the oldest are dropped. Cheap to clone, all clones are one ring.
#[derive(Clone)]
pub struct Logs(Arc<Shared>);

struct Shared {
    ring: Mutex<Ring>,
    news: Notify,
    n_kept: usize,
}

#[derive(Default)]
struct Ring {
    lines: VecDeque<Line>,
    /// The number of the next record; the oldest one kept is `next - lines.len()`.
    next: u64,
    /// What the lines take.
    n_bytes: usize,
}

/// A record as it lies in the ring: what many have in common is shared.
#[derive(Clone)]
struct Line {
    at: Time,
    level: Level,
    target: &'static str,
    whose: Whose,
    message: Box<str>,
    fields: Box<[(&'static str, Value)]>,
}

/// Whose a record is: that of the innermost span that says so.
#[derive(Clone, Debug, Default)]
pub struct Whose {
    /// The node in whose span it was said.
    pub node: Option<Arc<str>>,
    /// The instance in whose span it was said.
    pub instance: Option<Arc<str>>,
}

impl Line {
    /// What it takes in memory, about.
    fn n_bytes(&self) -> usize {
        let texts = self.fields.iter().filter_map(|(_, value)| value.as_str()).map(str::len).sum::<usize>();
        size_of::<Line>() + self.message.len() + size_of_val(&*self.fields) + texts
    }

    fn to_record(&self) -> Record {
        let owned = |name: &Option<Arc<str>>| name.as_deref().map(str::to_owned);
        Record {
            at: self.at,
            level: self.level.as_str().to_ascii_lowercase(),
            target: self.target.to_owned(),
            node: owned(&self.whose.node),
            instance: owned(&self.whose.instance),
            message: self.message.clone().into(),
            fields: self.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        }
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs").field("n_kept", &self.0.n_kept).finish_non_exhaustive()
    }
}

impl Logs {
    /// An empty ring that keeps `n_kept` records.
    pub fn new(n_kept: usize) -> Logs {
        Logs(Arc::new(Shared { ring: Mutex::default(), news: Notify::new(), n_kept: n_kept.max(1) }))
    }

    /// The layer that fills the ring. The fields `node` and `instance` of the innermost span that has them say whose a record is.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        Keep(self.clone())
    }

    /// Keeps a record.
    fn push(&self, line: Line) {
        let mut ring = self.ring();
        ring.n_bytes += line.n_bytes();
        ring.lines.push_back(line);
        ring.next += 1;
        while ring.lines.len() > self.0.n_kept || ring.n_bytes > RING_MAX_BYTES {
            let Some(oldest) = ring.lines.pop_front() else { break };
            ring.n_bytes -= oldest.n_bytes();
        }
        drop(ring);
        self.0.news.notify_waiters();
    }

    /// Reads up to `n` records of those that are `wanted`: from the cursor on, or without one the last `n`.
    pub fn read(&self, cursor: Option<u64>, n: usize, wanted: impl Fn(&Whose) -> bool) -> Slice {
        let ring = self.ring();
        let oldest = ring.next - ring.lines.len() as u64;
        let Some(cursor) = cursor else {
            let last = ring.lines.iter().rev().filter(|line| wanted(&line.whose)).take(n);
            let mut records: Vec<Record> = last.map(Line::to_record).collect();
            records.reverse();
            return Slice { records, next: ring.next, n_missed: 0 };
        };
        let start = cursor.clamp(oldest, ring.next);
        let mut slice = Slice { records: Vec::new(), next: start, n_missed: oldest.saturating_sub(cursor) };
        for line in ring.lines.iter().skip((start - oldest) as usize) {
            if slice.records.len() == n {
                break;
            }
            slice.next += 1;
            if wanted(&line.whose) {
                slice.records.push(line.to_record());
            }
        }
        slice
    }

    /// Waits until something is logged. May wake without news; the caller has the time limit.
    pub async fn changed(&self, cursor: u64) {
        let news = self.0.news.notified();
        if self.ring().next <= cursor {
            news.await;
        }
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, Ring> {
        // A panic while holding the lock leaves the ring whole: each step of push and read is.
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Keep(Logs);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Keep {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            let text = |field: &str| {
                let value = fields.0.iter().find(|(name, _)| *name == field).map(|(_, value)| value);
                value.map(|value| value.as_str().map_or_else(|| value.to_string().into(), Into::into))
            };
            let whose = Whose { node: text("node"), instance: text("instance") };
            if whose.node.is_some() || whose.instance.is_some() {
                span.extensions_mut().insert(whose);
            }
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut whose = Whose::default();
        for span in ctx.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Whose>() {
                whose.node = whose.node.or_else(|| outer.node.clone());
                whose.instance = whose.instance.or_else(|| outer.instance.clone());
            }
        }
        whose.instance = whose.instance.or_else(|| speaker().map(Into::into));
        let Fields(mut fields) = fields;
        let message = fields.iter().position(|(name, _)| *name == "message").map(|idx| fields.remove(idx).1);
        let message = match message {
            Some(Value::String(text)) => text,
            Some(other) => other.to_string(),
            None => String::new(),
        };
        self.0.push(Line {
            at: clock::now(),
            level: *event.metadata().level(),
            target: event.metadata().target(),
            whose,
            message: message.into(),
            fields: fields.into(),
        });
    }
}

/// Gathers the fields of a span or event as values.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.push((field.name(), value.into()));
    }

    fn text(&mut self, field: &Field, mut text: String) {
        if text.len() > TEXT_MAX_BYTES {
            text.truncate(text.floor_char_boundary(TEXT_MAX_BYTES));
            text.push('…');
        }
        self.put(field, text);
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    fn say(logs: &Logs, text: &str) {
        let (level, whose) = (Level::INFO, Whose { node: Some(text.into()), instance: None });
        logs.push(Line { at: Time(0), level, target: "test", whose, message: text.into(), fields: Box::default() });
    }

    fn texts(slice: &Slice) -> Vec<&str> {
        slice.records.iter().map(|record| record.message.as_str()).collect()
    }

    #[test]
    fn a_reader_goes_on_where_it_stopped_and_hears_what_it_missed() {
        let logs = Logs::new(3);
        for text in ["a", "b", "c", "d", "e"] {
            say(&logs, text);
        }
        let last = logs.read(None, 2, |_| true);
        assert_eq!((texts(&last), last.next), (vec!["d", "e"], 5));
        let slow = logs.read(Some(0), 2, |_| true);
        assert_eq!((texts(&slow), slow.next, slow.n_missed), (vec!["c", "d"], 4, 2));
        let only_e = logs.read(Some(3), 9, |whose| whose.node.as_deref() == Some("e"));
        assert_eq!((texts(&only_e), only_e.next), (vec!["e"], 5));
        assert_eq!(logs.read(Some(99), 9, |_| true).next, 5);
    }

    #[test]
    fn long_records_make_room_sooner() {
        let logs = Logs::new(10_000);
        let n_said = 2 * RING_MAX_BYTES / TEXT_MAX_BYTES;
        (0..n_said).for_each(|_| say(&logs, &"x".repeat(TEXT_MAX_BYTES)));
        let ring = logs.ring();
        assert_eq!(ring.n_bytes, ring.lines.iter().map(Line::n_bytes).sum::<usize>());
        assert!(ring.n_bytes <= RING_MAX_BYTES && ring.lines.len() > n_said / 3, "{} bytes", ring.n_bytes);
    }

    #[test]
    fn a_record_belongs_to_the_innermost_span_that_names_an_instance() {
        let logs = Logs::new(9);
        let subscriber = tracing_subscriber::registry().with(logs.layer());
        tracing::subscriber::with_default(subscriber, || {
            let _node = tracing::info_span!("node", node = "node1").entered();
            let _instance = tracing::info_span!("instance", instance = %"node1.web").entered();
            let _inner = tracing::info_span!("request", path = "/").entered();
            tracing::warn!(port = 8080, "slow");
        });
        let slice = logs.read(None, 9, |_| true);
        let record = &slice.records[0];
        assert_eq!((record.node.as_deref(), record.instance.as_deref()), (Some("node1"), Some("node1.web")));
        assert_eq!(
            (record.message.as_str(), record.level.as_str(), &record.fields["port"]),
            ("slow", "warn", &8080.into())
        );
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_the_next_record() {
        let logs = Logs::new(9);
        let waiting = logs.changed(0);
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        say(&logs, "news");
        waiting.await;
    }
}
