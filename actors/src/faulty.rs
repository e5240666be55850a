//! Trouble on order: for drills, and to see what the runtime does with code that misbehaves.

use enact::prelude::*;

/// Does what it is told to do wrong in one of its methods: fails, panics, hangs, blocks its thread, or aborts the whole process.
#[derive(Component)]
#[component(version = "1.0.0")]
pub struct Faulty {
    /// What happens when it starts.
    #[param(default = "ok", one_of = ["ok", "fail", "panic", "hang", "block", "abort"])]
    on_start: String,
    /// What happens when it stops.
    #[param(default = "ok", one_of = ["ok", "fail", "panic", "hang", "block", "abort"])]
    on_stop: String,
    /// What happens when its parameters change.
    #[param(default = "ok", one_of = ["ok", "fail", "panic", "hang", "block", "abort"])]
    on_update: String,
    /// What happens at each message.
    #[param(default = "ok", one_of = ["ok", "fail", "panic", "hang", "block", "abort"])]
    on_input: String,
    /// Any text; here to be changed.
    #[param(default = "")]
    note: String,
    /// Messages so far.
    #[state]
    n_inputs: u64,
}

#[component]
impl Faulty {
    #[start]
    async fn start(&mut self) -> Result<()> {
        misbehave("start", &self.on_start).await
    }

    #[stop]
    async fn stop(&mut self) -> Result<()> {
        misbehave("stop", &self.on_stop).await
    }

    #[update]
    async fn update(&mut self, changed: &Changed) -> Result<()> {
        if changed.has("note") { misbehave("update", &self.on_update).await } else { Ok(()) }
    }

    /// Any message.
    #[input]
    async fn input(&mut self, _message: Value) -> Result<()> {
        self.n_inputs += 1;
        misbehave("input", &self.on_input).await
    }

    /// Messages so far.
    #[input]
    fn count(&mut self, _ask: ()) -> Result<u64> {
        Ok(self.n_inputs)
    }
}

async fn misbehave(method: &str, how: &str) -> Result<()> {
    match how {
        "fail" => Err(format!("{method} fails, as ordered").into()),
        "panic" => panic!("{method} panics, as ordered"),
        "abort" => std::process::abort(),
        "hang" => std::future::pending().await,
        "block" => loop {
            std::thread::park();
        },
        _ => Ok(()),
    }
}
