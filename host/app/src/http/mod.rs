//! The face of HTTP: what a program can ask of the host, on this machine or with a token from elsewhere.
//!
//! The walk of a request: a connection is let in (`connection.rs`) through a door (`listen.rs`); what it asks is looked at before anything
//! of it is read (`access.rs`), its body is read whole, with a cap and in time (`body.rs`); a handler decodes, calls one function of the
//! host and encodes. What went wrong leaves as a problem (`problem.rs`).

mod access;
mod body;
mod connection;
mod counts;
mod feed;
mod health;
mod invocations;
mod lasting;
mod listen;
mod openapi;
mod permissions;
mod problem;
mod runs;
mod shelf;
mod skills;
mod token;
mod tools;
mod trace;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use ringfence_core::{Error, Host};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::{mcp, openai};

pub(crate) use access::{Access, Admin, Names, Peer, Rights};
pub(crate) use body::Held;
pub(crate) use connection::Connections;
pub(crate) use counts::Counts;
pub(crate) use listen::{Listener, TlsFiles};
pub(crate) use problem::{Problem, Segment, Written};
pub(crate) use token::Tokens;

/// How long what was cancelled at the end of a drain has to be written down.
const SETTLE: Duration = Duration::from_secs(5);

/// What all routes share.
pub(crate) struct App {
    pub(crate) host: Host,
    pub(crate) tokens: Tokens,
    pub(crate) names: Names,
    pub(crate) tries: access::Tries,
    pub(crate) connections: Connections,
    pub(crate) bodies: body::Room,
    pub(crate) counts: Arc<Counts>,
    /// What was started by `/v1/invocations`.
    pub(crate) invocations: shelf::Shelf,
    /// Whether figures are for everybody.
    pub(crate) open_metrics: bool,
    /// What clients of MCP are shown.
    pub(crate) mcp: mcp::Options,
    /// Paths that no answer names: those of the host's own folders.
    pub(crate) hidden: Vec<String>,
    /// Cancelled when nothing new is taken: what only waits for news ends then.
    pub(crate) closing: CancellationToken,
    /// Cancelled when the time of the drain is over: what still works is cancelled with it.
    pub(crate) ending: CancellationToken,
}

/// What [`App::new`] is made of.
pub(crate) struct Setup {
    pub(crate) host: Host,
    pub(crate) tokens: Tokens,
    pub(crate) names: Names,
    /// Most connections at once.
    pub(crate) connections: usize,
    /// Most invocations that were started and run or wait.
    pub(crate) invocations: usize,
    pub(crate) open_metrics: bool,
    /// Whether clients of MCP are offered two tools that stand for all.
    pub(crate) meta_tools: bool,
    pub(crate) hidden: Vec<String>,
}

impl App {
    pub(crate) fn new(setup: Setup) -> Arc<Self> {
        Arc::new(Self {
            counts: Arc::new(Counts::new(&setup.host)),
            host: setup.host,
            tokens: setup.tokens,
            names: setup.names,
            tries: access::Tries::default(),
            connections: Connections::new(setup.connections),
            bodies: body::Room::default(),
            invocations: shelf::Shelf::new(setup.invocations),
            open_metrics: setup.open_metrics,
            mcp: mcp::Options { meta_tools: setup.meta_tools, ..mcp::Options::default() },
            hidden: setup.hidden,
            closing: CancellationToken::new(),
            ending: CancellationToken::new(),
        })
    }
}

/// Everything that is served, behind the checks that hold for all of it.
pub(crate) fn router(app: &Arc<App>) -> Router {
    guarded(routes(app), app)
}

/// Everything that is served. `openapi.rs` has each, which is checked.
fn routes(app: &Arc<App>) -> Router {
    let routes = Router::new()
        .route("/v1/skills", get(skills::list))
        .route("/v1/skills/{name}", get(skills::show))
        .route("/v1/skills/{name}/tools.json", get(skills::tools))
        .route("/v1/skills/{name}/permissions", get(permissions::show))
        .route("/v1/skills/{name}/grants", post(permissions::grant).delete(permissions::revoke))
        .route("/v1/skills/{name}/denials", post(permissions::deny))
        .route("/v1/tools", get(tools::list))
        .route("/v1/tools/{name}", post(tools::call))
        .route("/v1/invocations", post(invocations::start))
        .route("/v1/invocations/{id}", get(invocations::show))
        .route("/v1/invocations/{id}/events", get(invocations::events))
        .route("/v1/invocations/{id}/cancel", post(invocations::cancel))
        .route("/v1/runs", get(runs::list))
        .route("/v1/runs/{id}", get(runs::show))
        .route("/v1/audit", get(runs::audit))
        .route("/healthz", get(health::lives))
        .route("/readyz", get(health::is_ready))
        .route("/metrics", get(health::metrics))
        .route("/openapi.json", get(openapi::document))
        .with_state(Arc::clone(app));
    let (hidden, closing, ending) = (app.hidden.clone(), app.closing.clone(), app.ending.clone());
    let counts = Arc::clone(&app.counts);
    let routes = routes.merge(openai::router(app.host.clone(), hidden.clone(), Arc::clone(&counts), ending.clone()));
    let outside = mcp::Outside { hidden, counts, closing, ending };
    // Other faces that are reached by HTTP are merged here: their routers see only what was let in, with its body already read.
    // A handler that is not for every client takes `Admin` as an argument; `Access` says who asks.
    routes.merge(mcp::router(app.host.clone(), app.mcp, outside))
}

fn guarded(routes: Router, app: &Arc<App>) -> Router {
    routes
        .fallback(problem::no_route)
        .method_not_allowed_fallback(problem::no_method)
        // `body::read` has caps of its own, and is before it.
        .layer(DefaultBodyLimit::disable())
        // What is added last is outermost.
        .layer(from_fn(trace::traced))
        .layer(from_fn_with_state(Arc::clone(app), body::read))
        .layer(from_fn_with_state(Arc::clone(app), access::guard))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn_with_state(Arc::clone(app), problem::tell))
}

/// Serves until `stop`, and then for as long as `drain` allows to what has begun.
pub(crate) async fn serve(
    app: Arc<App>,
    listeners: Vec<Listener>,
    stop: CancellationToken,
    drain: Duration,
) -> Result<(), Error> {
    let router = router(&app);
    let doors = listeners.into_iter().map(|listener| {
        let (app, router, stop) = (Arc::clone(&app), router.clone(), stop.clone());
        tokio::spawn(async move { connection::accept(&app, listener, router, stop).await })
    });
    let doors: Vec<_> = doors.collect();
    let counting = {
        let (app, over) = (Arc::clone(&app), CancellationToken::new());
        tokio::spawn(over.clone().run_until_cancelled_owned(async move { app.counts.keep_up(&app.host).await }));
        over.drop_guard()
    };
    stop.cancelled().await;
    for door in doors {
        drop(door.await);
    }
    app.closing.cancel();
    let quiet = || async {
        app.invocations.none().await;
        app.connections.none().await;
    };
    if tokio::time::timeout(drain, quiet()).await.is_err() {
        app.ending.cancel();
        if tokio::time::timeout(SETTLE, quiet()).await.is_err() {
            app.connections.end_all();
        }
    }
    drop(counting);
    Ok(())
}
