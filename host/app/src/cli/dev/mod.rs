//! `ringfence dev`: every save is built, checked and serves the next call; what fails to, leaves the version before it in its place.

mod calls;
mod commands;
mod project;
mod screen;

use std::sync::Arc;

use ringfence_core::{Error, Host};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use super::target::Target;
use super::{Context, follow, mcp};
use crate::grants;
use crate::mcp::Options;
use crate::mcp::socket::Sessions;
use crate::trouble::Trouble;
use calls::Wanted;
use commands::Commands;
use project::Project;
use screen::{Screen, Told};

/// Work on skills: each save is built, checked and serves the next call
///
/// The new version is made ready beside the one that serves, and takes its place in one step: calls under way end on the old
/// one. A version that does not build, does not load, fails its own test or asks for more than before does not get there, and the old one
/// serves until the next save. Type a call, `TOOL {"key": "value"}`, or `help`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folders with skill.toml, or .wasm files that something else builds
    #[arg(default_value = ".", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<String>,
    /// Make this call after each reload and show how its output changed: 'TOOL {"key": "value"}', with `SKILL/` before it where there
    /// are several skills
    #[arg(long, value_name = "CALL")]
    call: Vec<String>,
    /// Grant something until this ends, for example `--allow model=default`
    #[arg(long, value_name = "GRANT")]
    allow: Vec<String>,
    /// Grant whatever the skills ask for until this ends, also what a save adds to it
    #[arg(long, conflicts_with = "allow")]
    yes: bool,
    /// Look for changes every two seconds, where the system does not tell of them
    #[arg(long)]
    poll: bool,
}

pub(super) async fn run(args: Args, context: Arc<Context>) -> Result<(), Error> {
    let allow = grants::parse(&args.allow, None)?;
    let calls = args.call.iter().map(|text| Wanted::parse(text)).collect::<Result<Vec<_>, _>>()?;
    let targets = args.paths.iter().map(|path| target(path)).collect::<Result<Vec<_>, _>>()?;
    let host = context.host().await?;
    grants::check_models(&allow, &host.aliases(), &host.providers())?;
    let screen = Arc::new(Screen::new(&context));
    let commands = Commands::listen(Arc::clone(&screen), &context);
    let projects: Vec<_> = targets
        .into_iter()
        .map(|target| Arc::new(Project::new(target, allow.clone(), args.yes, calls.clone())))
        .collect();
    let stage = Stage { host, context: Arc::clone(&context), screen, person: commands.person(), projects };
    let stage = Arc::new(stage);
    let mut tasks = JoinSet::new();
    for project in &stage.projects {
        let (stage, project) = (Arc::clone(&stage), Arc::clone(project));
        tasks.spawn(async move { project.follow(&stage, args.poll).await });
    }
    tasks.spawn(follow::configuration(stage.host.clone(), Arc::clone(&context), args.poll, {
        let screen = Arc::clone(&stage.screen);
        move |taken| match taken {
            Ok(later) => screen.tell(&Told::Configured { later }),
            Err(error) => screen.tell(&Told::failed("the configuration", &error)),
        }
    }));
    tasks.spawn(clients(Arc::clone(&stage)));
    // A client that starts `ringfence mcp` meanwhile sees what is worked on.
    let (open, stop) = (mcp::open(&stage.host, &context), context.cancel.child_token());
    let sessions = Sessions::new(stage.host.clone(), Options::DEVELOPMENT, open, stop.clone());
    let listening = mcp::listen(&context, &sessions);
    tokio::select! {
        done = commands.obey(&stage) => done?,
        () = context.cancel.cancelled() => {}
    }
    tasks.shutdown().await;
    stop.cancel();
    drop(listening.await);
    sessions.ended().await;
    stage.screen.end();
    // Calls that were under way hold the host until they have settled.
    stage.host.clone().close().await
}

/// Shows what the clients of `ringfence mcp` call.
async fn clients(stage: Arc<Stage>) {
    let mut ended = stage.host.runs_ended();
    loop {
        match ended.recv().await {
            Ok(run) if run.caller == "client" => stage.screen.called_by_client(&run),
            // What is typed here is told where it was typed; what a screen cannot keep up with, nobody could read.
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

/// What all parts of it work with.
struct Stage {
    host: Host,
    context: Arc<Context>,
    screen: Arc<Screen>,
    person: Option<Arc<dyn ringfence_core::Person>>,
    projects: Vec<Arc<Project>>,
}

fn target(path: &str) -> Result<Target, Error> {
    match Target::find(path)? {
        Target::Installed(name) => Err(Trouble::new(
            "not-found",
            format!("`{name}` is no folder and no .wasm file"),
            "name what you work on: a folder with skill.toml, or the file that something else builds",
        )),
        // Nothing in it is built: there is no source.
        Target::AgentSkill(folder) => Err(super::target::no_manifest(&folder)),
        target => Ok(target),
    }
}
