//! What is made anew after a crash has its state before anybody can start it.

use std::{
    pin::pin,
    sync::Mutex,
    task::{Context, Waker},
    time::Duration,
};

use serde_json::json;

use crate::{prelude::*, runtime::instance::Condition, testing::Harness};

const LIMIT: Duration = Duration::from_secs(5);

/// What the counter had counted when it started, each time.
static STARTED_WITH: Mutex<Vec<i64>> = Mutex::new(Vec::new());

/// Counts, and panics when told to.
#[derive(Component)]
#[component(version = "1.0.0")]
struct Counting {
    #[state]
    count: i64,
}

#[component]
impl Counting {
    #[start]
    fn start(&mut self) {
        STARTED_WITH.lock().unwrap().push(self.count);
    }

    #[input]
    fn input(&mut self, _what: String) {
        panic!("as told");
    }
}

#[actix_rt::test]
async fn who_is_started_while_it_is_made_anew_has_its_state() -> Result<()> {
    let counting = Harness::<Counting>::new(&[]).unwrap().start().await?;
    assert!(counting.send("input", "panic").await.is_err());
    assert_eq!(counting.condition(), Condition::Failed);
    let handle = counting.handle();
    // Supervision begins to make it anew; a plan that wants it to run comes before that is done.
    let mut renewed = pin!(handle.renew(Some(("1.0.0".into(), json!({"count": 41}))), LIMIT));
    assert!(renewed.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let (renewed, started) = futures_util::join!(renewed, handle.start(LIMIT));
    renewed?;
    started?;
    assert_eq!(*STARTED_WITH.lock().unwrap(), [0, 41]);
    Ok(())
}
