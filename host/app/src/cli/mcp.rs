//! `ringfence mcp`: a server of the Model Context Protocol for the program that started it.

use std::process::ExitCode;
use std::sync::Arc;

use ringfence_core::{Error, Host};
use tokio::io::{AsyncRead, AsyncWrite};

use super::target::Target;
use super::{Context, follow};
use crate::mcp::socket::{self, Hello, Open, Sessions, Socket};
use crate::mcp::{self, Options, stdio};
use crate::trouble::Trouble;
use crate::ui::Format;
use crate::ui::progress::Line;

/// Serve the tools of all skills to an MCP client, over stdin and stdout
///
/// Every tool of what is installed is offered, as SKILL_TOOL, and so is what is named here. A client can call tools and grant
/// nothing: what a skill may do is what you granted to it. Beside a `ringfence dev` that runs, it serves what is worked on there.
/// `ringfence connect CLIENT` registers this with a client.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folders with skill.toml (built where needed), Agent Skills with a component, or .wasm files to serve as well
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<String>,
    /// Offer only two tools, one that finds tools and one that calls them, for clients that read the list once
    #[arg(long)]
    meta_tools: bool,
}

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
    if let Some(stream) = socket::connect(&context.config.dirs.state).await {
        let hello = Hello::new(meta_tools, paths);
        let (input, output) = stdio::streams().into_inner();
        let served = socket::proxy(stream, hello, input, output);
        return tokio::select! {
            served = served => served,
            () = context.cancel.cancelled() => Ok(()),
        };
    }
    let client = stdio::streams();
    let host = context.full_host().await?;
    let served = hold(&host, paths, Options { meta_tools, ..Options::default() }, client, context).await;
    // Calls that were under way hold the host until they have settled.
    served.and(host.close().await)
}

/// Serves this process's client by a host of its own.
async fn hold<S>(
    host: &Host,
    paths: Vec<String>,
    options: Options,
    client: S,
    context: &Arc<Context>,
) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    context.unless_cancelled(open(host, context)(paths)).await?;
    let _following = follow::in_background(host, context);
    mcp::session(host.clone(), options, client, &context.cancel).await
}

/// Lets the clients of other processes in. Where that cannot be, they are served by hosts of their own.
pub(super) fn listen(context: &Context, sessions: &Sessions) -> tokio::task::JoinHandle<()> {
    let socket = Socket::bind(&context.config.dirs.state);
    let sessions = sessions.clone();
    tokio::spawn(async move {
        match socket {
            Ok(socket) => socket.serve(sessions).await,
            Err(error) => tracing::warn!("clients do not see what is worked on here: {error}"),
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
