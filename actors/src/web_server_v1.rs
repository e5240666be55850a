//! Version 1 of the web server, still in the binary so that groups that run it can be upgraded without haste.

use axum::{Router, extract::State, routing::get};
use enact::prelude::*;

use crate::web_server::listen;

/// Serves one page over HTTP and counts its hits.
#[derive(Component)]
#[component(name = "WebServer", version = "1.0.0")]
pub struct WebServerV1 {
    /// TCP port to listen on; 0 takes any free one.
    #[param(default = 8080)]
    port: u16,
    /// Address to listen on.
    #[param(default = "127.0.0.1")]
    host: String,
    /// The page.
    #[state]
    page: String,
    /// Hits so far.
    #[state]
    hits: u64,
    bound: Option<u16>,
}

#[component]
impl WebServerV1 {
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

    fn hit(&mut self) -> String {
        self.hits += 1;
        format!("{} (hit {})\n", self.page, self.hits)
    }
}

async fn serve(State(server): State<Me<WebServerV1>>) -> Result<String, String> {
    server.ask(|server, _| server.hit()).await.map_err(|error| error.to_string())
}
