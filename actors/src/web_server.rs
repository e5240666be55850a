//! A web server with one page: version 2, which takes over the state of version 1.

use axum::{Router, extract::State, routing::get};
use enact::prelude::*;

/// Serves one page over HTTP and counts its visitors.
#[derive(Component)]
#[component(version = "2.0.0")]
pub struct WebServer {
    /// TCP port to listen on; 0 takes any free one.
    #[param(default = 8080)]
    port: u16,
    /// Address to listen on.
    #[param(default = "127.0.0.1")]
    host: String,
    /// One message for every visit: how many there were.
    #[output]
    visit: Out<u64>,
    /// The page.
    #[state]
    page: String,
    /// Visits so far; kept over restarts, moves and upgrades.
    #[state]
    visits: u64,
    bound: Option<u16>,
}

#[component]
impl WebServer {
    /// A port that is taken makes the adaptation roll back.
    #[start]
    async fn start(&mut self, ctx: &mut Ctx<Self>) -> Result<()> {
        let listener = listen(&self.host, self.port).await?;
        self.bound = Some(listener.local_addr()?.port());
        let app = Router::new().route("/", get(serve)).with_state(ctx.me());
        ctx.spawn("http", async move {
            // Serves until the component stops, and copes with every error by itself.
            let _ = axum::serve(listener, app).await;
        });
        Ok(())
    }

    #[update]
    async fn update(&mut self, changed: &Changed, ctx: &mut Ctx<Self>) -> Result<()> {
        if changed.has("port") || changed.has("host") {
            self.start(ctx).await?;
        }
        Ok(())
    }

    /// Replaces the page.
    #[input]
    fn content(&mut self, text: String) {
        self.page = text;
    }

    /// The port that it listens on.
    #[input]
    fn bound(&mut self, _ask: ()) -> Result<Option<u16>> {
        Ok(self.bound)
    }

    /// How many visits there were.
    #[input]
    fn visits(&mut self, _ask: ()) -> Result<u64> {
        Ok(self.visits)
    }

    /// Version 1 called the counter `hits`.
    #[upgrade]
    fn upgrade(from: &str, mut state: Value) -> Result<Value> {
        if from.starts_with("1.") {
            state["visits"] = state["hits"].take();
        }
        Ok(state)
    }

    fn visit_page(&mut self) -> String {
        self.visits += 1;
        self.visit.send(self.visits);
        format!("{} (visit {})\n", self.page, self.visits)
    }
}

async fn serve(State(server): State<Me<WebServer>>) -> Result<String, String> {
    server.ask(|server, _| server.visit_page()).await.map_err(|error| error.to_string())
}

/// Listens, or says on which address that does not work.
pub(crate) async fn listen(host: &str, port: u16) -> Result<tokio::net::TcpListener> {
    let bound = tokio::net::TcpListener::bind((host, port)).await;
    bound.map_err(|error| format!("cannot listen on {host}:{port}: {error}").into())
}
