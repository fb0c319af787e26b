//! `ringfence mcp`: a server of the Model Context Protocol for the program that started it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ringfence_core::{Error, Host};
use tokio::net::UnixStream;

use super::Context;
use super::target::Target;
use crate::mcp::socket::{self, Hello, Open, Sessions, Socket};
use crate::mcp::{self, Options};
use crate::trouble::Trouble;
use crate::ui::Format;
use crate::ui::progress::Line;

/// Serve the tools of all skills to an MCP client, over stdin and stdout
///
/// Every tool of what is installed is offered, as SKILL_TOOL, and so is what is named here. A client can call tools and grant
/// nothing: what a skill may do is what you granted to it. Several clients share one host: the first that starts holds the state, and
/// those that come later are served by it. `ringfence connect CLIENT` registers this with a client.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folders with skill.toml (built where needed), Agent Skills with a component, or .wasm files to serve as well
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<String>,
    /// Offer only two tools, one that finds tools and one that calls them, for clients that read the list once
    #[arg(long)]
    meta_tools: bool,
}

/// How often a process that waits for the state looks whether its holder listens.
const LOOK: Duration = Duration::from_millis(50);

/// Errors go to stderr, whatever format was asked for: stdout is the client's.
pub(super) async fn run(args: Args, context: &Arc<Context>) -> ExitCode {
    match serve(args, context).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => crate::render::fail(&error, Format::Text),
    }
}

async fn serve(args: Args, context: &Arc<Context>) -> Result<(), Error> {
    let Args { paths, meta_tools } = args;
    // From the root: the host that serves them may be in another folder.
    let paths = paths.iter().map(|path| Ok(target(path)?.identity())).collect::<Result<Vec<_>, Error>>()?;
    match reach(context).await? {
        Reached::Holder(stream) => {
            let hello = Hello::new(meta_tools, paths);
            let served = socket::proxy(stream, hello, tokio::io::stdin(), tokio::io::stdout());
            tokio::select! {
                served = served => served,
                () = context.cancel.cancelled() => Ok(()),
            }
        }
        Reached::State(host) => {
            let done = hold(&host, paths, Options { meta_tools, ..Options::default() }, context).await;
            // Calls that were under way hold the host until they have settled.
            done.and(host.close().await)
        }
    }
}

/// Serves this process's client, and those that come to the socket until the last has gone.
async fn hold(host: &Host, paths: Vec<String>, options: Options, context: &Arc<Context>) -> Result<(), Error> {
    let open = open(host, context);
    let stop = context.cancel.child_token();
    let sessions = Sessions::new(host.clone(), Options::default(), Arc::clone(&open), stop.clone());
    let listening = listen(context, &sessions);
    context.unless_cancelled(open(paths)).await?;
    let stdio = tokio::io::join(tokio::io::stdin(), tokio::io::stdout());
    let served = mcp::session(host.clone(), options, stdio, &stop).await;
    tokio::select! {
        () = sessions.ended() => {}
        () = stop.cancelled() => sessions.ended().await,
    }
    stop.cancel();
    drop(listening.await);
    served
}

/// Lets other clients in. Where that cannot be, this process's own client is served all the same.
pub(super) fn listen(context: &Context, sessions: &Sessions) -> tokio::task::JoinHandle<()> {
    let socket = Socket::bind(&context.config.dirs.state);
    let sessions = sessions.clone();
    tokio::spawn(async move {
        match socket {
            Ok(socket) => socket.serve(sessions).await,
            Err(error) => tracing::warn!("other clients cannot be served: {error}"),
        }
    })
}

/// Builds, loads and offers what clients name.
pub(super) fn open(host: &Host, context: &Arc<Context>) -> Open {
    let (host, context) = (host.clone(), Arc::clone(context));
    Arc::new(move |paths| {
        let (host, context) = (host.clone(), Arc::clone(&context));
        Box::pin(async move {
            for path in paths {
                let line = Line::new(context.quiet);
                let skill = target(&path)?.load(&host, &context, &line).await;
                line.clear();
                host.offer(skill?);
            }
            Ok(())
        })
    })
}

fn target(path: &str) -> Result<Target, Error> {
    match Target::find(path)? {
        Target::Installed(name) => Err(Trouble::new(
            "not-found",
            format!("`{}` is no folder and no .wasm file", crate::ui::printable(&name)),
            "what is installed is served anyway; a path must contain a `/`",
        )),
        target => Ok(target),
    }
}

enum Reached {
    /// Another process holds the state and serves us.
    Holder(UnixStream),
    State(Host),
}

/// Takes the state, or reaches whoever has it. Two that start at once wait for each other no longer than it takes to listen.
async fn reach(context: &Context) -> Result<Reached, Error> {
    let state = &context.config.dirs.state;
    if let Some(stream) = socket::connect(state).await {
        return Ok(Reached::Holder(stream));
    }
    let opening = context.full_host();
    tokio::pin!(opening);
    loop {
        tokio::select! {
            opened = &mut opening => match opened {
                Ok(host) => return Ok(Reached::State(host)),
                Err(error) => return match socket::connect(state).await {
                    Some(stream) if error.kind() == "state-in-use" => Ok(Reached::Holder(stream)),
                    _ => Err(error),
                },
            },
            () = tokio::time::sleep(LOOK) => {
                if let Some(stream) = socket::connect(state).await {
                    return Ok(Reached::Holder(stream));
                }
            }
        }
    }
}
