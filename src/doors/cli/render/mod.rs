//! From replies to text: pure functions, so that what people see is tested without a node.
//!
//! Colours are always in the text; [`super::term::Term`] takes them out where nobody wants them.

pub(crate) mod changes;
pub(crate) mod events;
pub(crate) mod graph;
pub(crate) mod history;
pub(crate) mod problems;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod tree;
pub(crate) mod types;

use std::time::Duration;

use crate::words::{Time, TypeRef};

/// `Ticker 1.0.0`; the namespace only where it is not one of the usual ones.
pub(crate) fn type_text(type_ref: Option<&TypeRef>) -> String {
    match type_ref {
        Some(type_ref) if matches!(type_ref.namespace.as_str(), "enact" | "kevoree") => {
            format!("{} {}", type_ref.name, type_ref.version)
        }
        Some(type_ref) => format!("{}.{} {}", type_ref.namespace, type_ref.name, type_ref.version),
        None => "?".to_owned(),
    }
}

/// A time as people say it: `12 ms`, `3.2 s`, `2h 14m`.
pub(crate) fn span_text(span: Duration) -> String {
    let ms = span.as_millis();
    let secs = span.as_secs();
    match secs {
        0 if span.as_micros() < 100 => format!("{} µs", span.as_micros()),
        0 if ms == 0 => format!("{:.1} ms", span.as_secs_f64() * 1000.0),
        0 => format!("{ms} ms"),
        1..60 => format!("{:.1} s", span.as_secs_f64()),
        60..3600 => format!("{}m {:02}s", secs / 60, secs % 60),
        3600..86_400 => format!("{}h {:02}m", secs / 3600, secs % 3600 / 60),
        _ => format!("{}d {:02}h", secs / 86_400, secs % 86_400 / 3600),
    }
}

/// The time of day in UTC: `12:01:07`, with `.113` when `with_ms`.
pub(crate) fn clock_text(time: Time, with_ms: bool) -> String {
    let ms = time.micros() / 1000;
    let (secs, ms) = (ms / 1000 % 86_400, ms % 1000);
    let text = format!("{:02}:{:02}:{:02}", secs / 3600, secs % 3600 / 60, secs % 60);
    if with_ms { format!("{text}.{ms:03}") } else { text }
}

/// When something was: the time of day for what is younger than a day, else the date. In UTC.
pub(crate) fn when_text(time: Time, now: Time) -> String {
    if now.since(time) < Duration::from_secs(86_400) {
        return clock_text(time, false);
    }
    let moment = std::time::UNIX_EPOCH + Duration::from_micros(time.micros());
    humantime::format_rfc3339_seconds(moment).to_string().chars().take(10).collect()
}

/// `1 node`, `2 nodes`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        let said = |ms| span_text(Duration::from_millis(ms));
        let all = [0, 12, 3210, 61_000, 8_040_000, 90_000_000].map(said);
        assert_eq!(all, ["0 µs", "12 ms", "3.2 s", "1m 01s", "2h 14m", "1d 01h"]);
    }

    #[test]
    fn today_has_an_hour_and_the_past_a_date() {
        let noon = Time::from_ms(1_795_435_267_113);
        assert_eq!(clock_text(noon, true), "12:01:07.113");
        assert_eq!(when_text(noon, noon + Duration::from_secs(60)), "12:01:07");
        assert_eq!(when_text(noon, noon + Duration::from_secs(200_000)), "2026-11-23");
    }
}
