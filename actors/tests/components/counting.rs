//! Ticker, Counter and Printer.

use enact::{prelude::*, testing::Harness};
use enact_actors::{Counter, Printer, Ticker};
use serde_json::json;
use tokio::time::{Instant, pause};

#[actix_rt::test]
async fn a_ticker_counts_at_its_pace() {
    pause();
    let ticker = Harness::<Ticker>::new(&[("period", "1h")]).unwrap().start().await.unwrap();
    let mut ticks = ticker.output::<i64>("tick").await.unwrap();
    let before = Instant::now();
    let day = Duration::from_secs(24 * 3600);
    for n in 1..=24 {
        assert_eq!(ticks.next_within(day).await.unwrap(), n);
    }
    assert_eq!(before.elapsed().as_secs() / 3600, 24);
}

#[actix_rt::test]
async fn a_ticker_follows_its_parameters_and_keeps_its_count() {
    pause();
    let mut ticker = Harness::<Ticker>::new(&[]).unwrap().start().await.unwrap();
    let mut ticks = ticker.output::<i64>("tick").await.unwrap();
    assert_eq!((ticks.next().await.unwrap(), ticks.next().await.unwrap()), (1, 2));
    ticker.set_all(&[("period", "10ms"), ("down", "true")]).await.unwrap();
    let before = Instant::now();
    assert_eq!((ticks.next().await.unwrap(), ticks.next().await.unwrap()), (1, 0));
    assert!(before.elapsed() < Duration::from_millis(100));
    ticker.stop().await.unwrap();
    assert!(ticks.next().await.is_err(), "a stopped ticker is silent");
    ticker.restart().await.unwrap();
    assert_eq!(ticks.next().await.unwrap(), -1);
    assert_eq!(ticker.snapshot().await.unwrap(), json!({"count": -1}));
}

#[actix_rt::test]
async fn a_ticker_tells_everything_that_is_wrong_with_its_parameters() {
    let wrong = Harness::<Ticker>::new(&[("period", "1us"), ("down", "maybe"), ("perod", "1s")]).unwrap_err();
    assert_eq!(wrong.len(), 3, "{wrong}");
    assert!(wrong.to_string().contains("1us is below the minimum 1ms"), "{wrong}");
}

#[actix_rt::test]
async fn a_counter_counts_sums_and_starts_again() {
    let counter = Harness::<Counter>::new(&[("every", "2")]).unwrap().start().await.unwrap();
    let mut total = counter.output::<u64>("total").await.unwrap();
    for message in [json!(1), json!(2.5), json!("three"), json!({"four": 4})] {
        counter.send("input", message).await.unwrap();
    }
    assert_eq!((total.next().await.unwrap(), total.next().await.unwrap()), (2, 4));
    assert!(total.is_empty());
    assert_eq!(counter.ask::<u64>("count", ()).await.unwrap(), 4);
    assert_eq!(counter.ask::<f64>("sum", ()).await.unwrap(), 3.5);
    let state = counter.snapshot().await.unwrap();
    counter.send("reset", ()).await.unwrap();
    assert_eq!(counter.ask::<u64>("count", ()).await.unwrap(), 0);
    counter.restore("1.0.0", state).await.unwrap();
    assert_eq!(counter.ask::<u64>("count", ()).await.unwrap(), 4);
}

#[actix_rt::test]
async fn a_printer_knows_how_many_lines_it_has_printed() {
    let printer = Harness::<Printer>::new(&[("prefix", "got ")]).unwrap().start().await.unwrap();
    printer.send("input", "a text").await.unwrap();
    printer.send("input", json!({"a": [1, 2]})).await.unwrap();
    assert_eq!(printer.ask::<u64>("count", ()).await.unwrap(), 2);
}
