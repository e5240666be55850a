//! Components that misbehave: what that costs them, and nobody else.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actix::{Actor, Context, Handler};

use super::{super::AskError, Ticker, bundle};
use crate::{
    model::{Dictionary, TypeDefinition},
    prelude::*,
    runtime::instance::{Accept, Birth, Catalog, Condition, Ended, Environment, Failure},
    testing::Harness,
    words::{InstancePath, NodeName, TypeRef},
};

/// Misbehaves in every way.
#[derive(Component)]
struct Rogue {
    #[param(default = "")]
    start: String,
    #[output]
    out: Out<String>,
    #[state]
    handled: u32,
}

#[component]
impl Rogue {
    #[start]
    async fn start(&mut self, ctx: &mut Ctx<Self>) -> Result<()> {
        if self.start == "task" {
            ctx.spawn("bad", async { panic!("the task broke") });
        }
        if self.start == "timer" {
            ctx.after("bad", Duration::from_secs(1), |_, _| panic!("the timer broke"));
        }
        Self::misbehave(&self.start).await
    }

    async fn misbehave(how: &str) -> Result<()> {
        match how {
            "panic" => panic!("I panic"),
            "hang" => std::future::pending().await,
            "fail" => Err("I fail".into()),
            _ => Ok(()),
        }
    }

    #[input]
    async fn input(&mut self, how: String, ctx: &mut Ctx<Self>) -> Result<()> {
        if how == "ask myself" {
            ctx.me().ask(|rogue, _| rogue.handled).await?;
        }
        Self::misbehave(&how).await?;
        self.handled += 1;
        self.out.send(how);
        Ok(())
    }
}

/// Collects what a node would be told.
#[derive(Default)]
struct Watcher(Arc<Mutex<Vec<String>>>);

impl Actor for Watcher {
    type Context = Context<Self>;
}

impl Handler<Ended> for Watcher {
    type Result = ();
    fn handle(&mut self, ended: Ended, _: &mut Context<Self>) {
        self.0.lock().unwrap().push(ended.failure.of(&ended.path));
    }
}

fn watched(start: &str) -> (Harness<Rogue>, Arc<Mutex<Vec<String>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let environment =
        Environment::new(NodeName::parse("here").unwrap()).with_watcher(Watcher(told.clone()).start().recipient());
    (Harness::within(environment, &[("start", start)]).unwrap(), told)
}

async fn eventually(what: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it did not come to pass");
}

#[actix_rt::test]
async fn a_panic_fails_the_instance_and_nobody_else() -> Result<()> {
    let (rogue, told) = watched("");
    let rogue = rogue.start().await?;
    let mut out = rogue.output::<String>("out").await?;
    let error = rogue.send("input", "panic").await.unwrap_err().to_string();
    assert_eq!(error, "input \"input\" panicked: I panic");
    assert_eq!(rogue.condition(), Condition::Failed);
    eventually(|| !told.lock().unwrap().is_empty()).await;
    assert_eq!(*told.lock().unwrap(), ["here.under-test: input \"input\" panicked: I panic"]);
    assert!(
        rogue.restart().await.unwrap_err().to_string().contains("cannot start while failed (input \"input\" panicked")
    );
    assert!(matches!(rogue.me().ask(|_, _| ()).await, Err(AskError::Ended { condition: Condition::Failed, .. })));
    // Revived, it has its bindings, and what came in the meantime.
    rogue.post("input", "meanwhile".to_owned())?;
    rogue.revive().await?;
    assert_eq!(out.next().await?, "meanwhile");
    assert_eq!(rogue.condition(), Condition::Running);
    Ok(())
}

#[actix_rt::test]
async fn a_task_and_a_timer_that_panic_fail_the_instance() -> Result<()> {
    tokio::time::pause();
    for (start, wanted) in
        [("task", "task \"bad\" panicked: the task broke"), ("timer", "timer \"bad\" panicked: the timer broke")]
    {
        let (rogue, told) = watched(start);
        let rogue = rogue.start().await?;
        eventually(|| rogue.condition() == Condition::Failed).await;
        eventually(|| !told.lock().unwrap().is_empty()).await;
        assert_eq!(*told.lock().unwrap(), [format!("here.under-test: {wanted}")]);
    }
    Ok(())
}

#[actix_rt::test]
async fn a_start_that_hangs_is_given_up_at_its_limit() {
    tokio::time::pause();
    let (rogue, told) = watched("hang");
    let limit = Duration::from_secs(3);
    let failure = rogue.handle().start(limit).await.unwrap_err();
    assert_eq!(failure, Failure::TimedOut { what: "start".into(), limit });
    assert_eq!(rogue.handle().cause(), Some(Failure::GivenUp { what: "start".into() }));
    rogue.end().await.unwrap();
    assert_eq!(rogue.condition(), Condition::Gone);
    assert!(told.lock().unwrap().is_empty(), "the node was told by the answer");
}

#[actix_rt::test]
async fn a_hung_input_does_not_keep_the_instance_from_being_stopped() -> Result<()> {
    tokio::time::pause();
    let (rogue, told) = watched("");
    let rogue = rogue.start().await?;
    rogue.post("input", "hang".to_owned())?;
    eventually(|| rogue.counts("input").handled == 1).await;
    let limit = Duration::from_secs(3);
    assert_eq!(rogue.handle().stop(limit).await, Err(Failure::TimedOut { what: "stop".into(), limit }));
    assert_eq!(rogue.condition(), Condition::Failed);
    eventually(|| !told.lock().unwrap().is_empty()).await;
    assert!(told.lock().unwrap()[0].contains("input \"input\" was given up"));
    rogue.handle().stop(limit).await?;
    rogue.handle().end(limit).await?;
    Ok(())
}

#[actix_rt::test]
async fn a_method_that_waits_for_itself_is_refused_at_once() -> Result<()> {
    let (rogue, _) = watched("");
    let rogue = rogue.start().await?;
    let error = rogue.send("input", "ask myself").await.unwrap_err().to_string();
    assert!(error.contains("cannot wait for an answer from itself"), "{error}");
    assert_eq!(
        rogue.me().ask(|rogue, ctx| (rogue.handled, ctx.path().to_string())).await?,
        (0, "here.under-test".into())
    );
    assert_eq!(
        rogue
            .me()
            .ask_async(Duration::from_secs(1), async |rogue: &mut Rogue, _: &mut Ctx<Rogue>| rogue.handled)
            .await?,
        0
    );
    rogue.me().tell(|rogue, _| rogue.handled = 9)?;
    assert_eq!(rogue.me().ask(|rogue, _| rogue.handled).await?, 9);
    Ok(())
}

/// Blocks its thread, as nobody should.
#[derive(Component)]
struct Blocker {}

#[component]
impl Blocker {
    #[input]
    fn block(&mut self, millis: u64) {
        std::thread::sleep(Duration::from_millis(millis));
    }
}

#[test]
fn code_that_blocks_its_thread_is_a_zombie_and_the_others_live() {
    actix_rt::System::new().block_on(async {
        let mut catalog = Catalog::default();
        catalog.add(bundle::<Blocker>());
        catalog.add(bundle::<Ticker>());
        let environment = Arc::new(Environment::new(NodeName::parse("here").unwrap()));
        let arbiters = [actix_rt::Arbiter::new(), actix_rt::Arbiter::new()];
        let born = |type_name: &str, version: &str, life: usize| {
            let definition =
                catalog.get(&TypeRef::new("enact", type_name, version).unwrap()).unwrap().definition.clone();
            let path = InstancePath::Component(environment.node().clone(), type_name.parse().unwrap());
            let birth = Birth {
                path,
                life: life as u64,
                definition,
                dictionary: Dictionary::default(),
                arbiter: arbiters[life].handle().into(),
                environment: environment.clone(),
            };
            catalog.create(birth).unwrap()
        };
        let (blocker, ticker) = (born("Blocker", "0.1.0", 0), born("Ticker", "1.0.0", 1));
        let limit = Duration::from_secs(10);
        blocker.ready(limit).await.unwrap();
        blocker.start(limit).await.unwrap();
        blocker.inlet("block").unwrap().offer(Message::new(3_000_u64)).unwrap();
        eventually(|| blocker.counts()[0].1.handled == 1).await;
        let failure = blocker.end(Duration::from_millis(50)).await.unwrap_err();
        assert_eq!(failure, Failure::Zombie { what: "end".into() });
        assert_eq!(blocker.condition(), Condition::Zombie);
        ticker.start(limit).await.unwrap();
        ticker.end(limit).await.unwrap();
        let unknown = catalog.create(Birth {
            path: blocker.path().clone(),
            life: 3,
            definition: Arc::new(TypeDefinition {
                id: TypeRef::new("enact", "Ticker", "9").unwrap(),
                ..(*catalog.iter().next().unwrap().definition).clone()
            }),
            dictionary: Dictionary::default(),
            arbiter: arbiters[1].handle().into(),
            environment: environment.clone(),
        });
        assert_eq!(
            unknown.unwrap_err().to_string(),
            "this binary brings no type enact.Ticker/9 (it brings: enact.Ticker/1.0.0)"
        );
    });
}
