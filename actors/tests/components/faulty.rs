//! Faulty.

use enact::{runtime::instance::Condition, testing::Harness};
use enact_actors::Faulty;
use tokio::time::pause;

async fn start(params: &[(&str, &str)]) -> enact::Result<Harness<Faulty>> {
    Harness::<Faulty>::new(params).unwrap().start().await
}

#[actix_rt::test]
async fn it_does_nothing_wrong_unless_told() {
    let mut faulty = start(&[]).await.unwrap();
    faulty.set("note", "changed").await.unwrap();
    faulty.send("input", 1).await.unwrap();
    faulty.stop().await.unwrap();
    assert_eq!(faulty.snapshot().await.unwrap()["n_inputs"], 1);
}

#[actix_rt::test]
async fn it_fails_and_panics_and_hangs_as_ordered() {
    pause();
    for (how, told) in [("fail", "as ordered"), ("panic", "as ordered"), ("hang", "30s")] {
        let error = start(&[("on_start", how)]).await.unwrap_err().to_string();
        assert!(error.contains(told), "start {how}: {error}");

        let mut faulty = start(&[("on_update", how)]).await.unwrap();
        let error = faulty.set("note", "changed").await.unwrap_err().to_string();
        assert!(error.contains(told), "update {how}: {error}");

        let faulty = start(&[("on_input", how)]).await.unwrap();
        let error = faulty.send("input", 1).await.unwrap_err().to_string();
        assert!(error.contains(told), "input {how}: {error}");

        let faulty = start(&[("on_stop", how)]).await.unwrap();
        let error = faulty.stop().await.unwrap_err().to_string();
        assert!(error.contains(told), "stop {how}: {error}");
    }
}

#[actix_rt::test]
async fn after_a_panic_it_can_be_made_anew() {
    let faulty = start(&[("on_input", "panic")]).await.unwrap();
    assert!(faulty.send("input", 1).await.is_err());
    assert_eq!(faulty.condition(), Condition::Failed);
    faulty.revive().await.unwrap();
    assert_eq!(faulty.condition(), Condition::Running);
    assert!(faulty.ask::<u64>("count", ()).await.is_ok());
}

#[actix_rt::test]
async fn what_it_cannot_do_is_refused() {
    let error = Harness::<Faulty>::new(&[("on_stop", "explode")]).unwrap_err().to_string();
    assert!(error.contains("none of: ok, fail, panic, hang, block"), "{error}");
}
