//! `ringfence server login` and `logout`: the address for a person's browser, and the page on this machine that it comes back to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::CACHE_CONTROL;
use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::get;
use ringfence_core::server::{ServerLogin, SignedOut, visible};
use ringfence_core::{Error, Host};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cli::Context;
use crate::trouble::Trouble;

/// How long somebody has for signing in.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long the last page may take to leave.
const LEAVE: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The server's name
    name: String,
    /// The port of this machine that your browser comes back to; default: any that is free
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<(), Error> {
    // Before the host is open, so that a port that is taken is told at once.
    // By its address and not by its name, which could lead elsewhere (RFC 8252, section 8.3).
    let listener = TcpListener::bind(("127.0.0.1", args.port)).await.and_then(|one| Ok((one.local_addr()?, one)));
    let (at, listener) = listener.map_err(|error| {
        let what = format!("port {} of this machine cannot be listened on: {error}", args.port);
        Trouble::input(what, "choose another `--port`, or none")
    })?;
    let host = context.host().await?;
    let done = sign_in(args, &host, listener, at).await;
    let closed = host.close().await;
    done?;
    closed?;
    let name = &args.name;
    if context.json() {
        return crate::ui::print_json(&serde_json::json!({ "name": name, "signed-in": true }));
    }
    crate::ui::print_line(&format!("signed in to {name}"))
}

pub(super) async fn out(name: &str, context: &Context) -> Result<(), Error> {
    let host = context.host().await?;
    let done = host.logout(name).await;
    host.close().await?;
    let done = done?;
    if context.json() {
        let forgotten = done != SignedOut::NobodyWas;
        let revoked = done == SignedOut::Revoked;
        return crate::ui::print_json(&serde_json::json!({ "name": name, "forgotten": forgotten, "revoked": revoked }));
    }
    match done {
        SignedOut::NobodyWas => {
            crate::ui::note("nobody was signed in");
            return Ok(());
        }
        SignedOut::Forgotten => crate::ui::note("there, its tokens hold until they expire or you withdraw them"),
        SignedOut::Revoked => {}
    }
    crate::ui::print_line(&format!("signed out of {name}"))
}

async fn sign_in(args: &Args, host: &Host, listener: TcpListener, at: SocketAddr) -> Result<(), Error> {
    let login = host.begin_login(&args.name, &format!("http://{at}/callback")).await?;
    let login = Arc::new(login);
    crate::ui::note(&format!(
        "open this address in a browser on this machine; it is {}'s choice:\n{}",
        args.name,
        visible(login.address())
    ));
    let answer = tokio::time::timeout(PATIENCE, answer(listener, Arc::clone(&login))).await.ok().flatten();
    let Some(answer) = answer else {
        return Err(Trouble::new(
            "timeout",
            format!("nobody has signed in within {} s", PATIENCE.as_secs()),
            format!("run `ringfence server login {}` again", args.name),
        ));
    };
    host.finish_login(&login, &answer).await
}

/// The query with which the browser comes back. What does not belong to this attempt is turned away, and the wait goes on: any page
/// can send a browser here.
async fn answer(listener: TcpListener, login: Arc<ServerLogin>) -> Option<String> {
    let (send, mut came) = mpsc::channel(1);
    let page = move |uri: Uri| {
        let query = uri.query().unwrap_or_default();
        let (status, text) = match login.is_answer(query) {
            // Where there are two, the first holds.
            true => {
                drop(send.try_send(query.to_owned()));
                (StatusCode::OK, "Thank you. The rest is said where you began: you can close this page.\n")
            }
            false => (StatusCode::BAD_REQUEST, "This is no answer to a sign-in that goes on here.\n"),
        };
        std::future::ready((status, [(CACHE_CONTROL, "no-store")], text).into_response())
    };
    let enough = CancellationToken::new();
    let served = axum::serve(listener, Router::new().route("/callback", get(page)))
        .with_graceful_shutdown(enough.clone().cancelled_owned())
        .into_future();
    let mut served = std::pin::pin!(served);
    let answer = tokio::select! {
        _ = &mut served => None,
        answer = came.recv() => answer,
    };
    enough.cancel();
    drop(tokio::time::timeout(LEAVE, served).await);
    answer
}
