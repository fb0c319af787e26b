//! The face of the command line: one file per verb.

mod add;
mod agent;
mod audit;
mod build;
mod chat;
mod clean;
mod completions;
mod config;
mod connect;
mod consent;
mod dev;
mod doctor;
mod export;
mod folders;
mod follow;
mod grant;
mod interrupt;
mod key;
mod list;
mod lock;
mod log;
pub(crate) use log::is_json as logs_as_json;
mod mcp;
mod models;
mod new;
mod outdated;
mod permissions;
mod publisher;
mod pull;
mod push;
mod remove;
mod revoke;
mod run;
mod runs;
mod search;
mod secret;
mod serve;
mod server;
mod show;
mod sign;
mod source;
mod sync;
mod target;
mod test;
mod top;
mod trust;
mod update;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};
use ringfence_core::engine::Listening;
use ringfence_core::{Error, Host, HostConfig};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Configuration, Environment, Flags};
use crate::telemetry::Telemetry;
use crate::toolchain::Shelf;
use crate::trouble::Trouble;
use crate::ui::Format;

pub(crate) use completions::answer as answer_completions;
pub(crate) use run::of_text as input_of_text;

/// The hidden verb of the process that compiles skills, apart from the host.
pub(crate) const COMPILE_WORKER: &str = "compile-worker";

/// Run AI skills that strangers wrote, in a sandbox that holds nothing
///
/// A skill is a WebAssembly component. It can reach nothing that you have not granted to it, and every call to a model
/// goes through this program, which holds the keys and the budget.
#[derive(Debug, Parser)]
#[command(name = "ringfence", version, propagate_version = false, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) flags: Flags,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Run(run::Args),
    Serve(serve::Args),
    Chat(chat::Args),
    Agent(agent::Args),
    New(new::Args),
    Build(build::Args),
    Dev(dev::Args),
    Test(test::Args),
    Add(add::Args),
    Update(update::Args),
    Outdated(outdated::Args),
    Search(search::Args),
    Sync(sync::Args),
    Remove(remove::Args),
    Clean(clean::Args),
    Push(push::Args),
    Pull(pull::Args),
    List(list::Args),
    Show(show::Args),
    Export(export::Args),
    Mcp(mcp::Args),
    Connect(connect::Args),
    Grant(grant::Args),
    Revoke(revoke::Args),
    Permissions(permissions::Args),
    Key(key::Args),
    Sign(sign::Args),
    Verify(verify::Args),
    Trust(trust::Args),
    Audit(audit::Args),
    Runs(runs::Args),
    Top(top::Args),
    Secret(secret::Args),
    Server(server::Args),
    Models(models::Args),
    Doctor(doctor::Args),
    Config(config::Args),
    Completions(completions::Args),
    /// Compile one skill, for the host that started this process
    #[command(name = COMPILE_WORKER, hide = true)]
    CompileWorker {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

/// Slots of a host that makes one call.
const ONE_CALL: u32 = 8;

/// What every verb works with.
pub(crate) struct Context {
    pub(crate) config: Config,
    /// Where that came from, to be read again.
    pub(crate) configuration: Configuration,
    pub(crate) quiet: bool,
    pub(crate) verbose: u8,
    /// Whether no toolchain and no dependency may be fetched.
    pub(crate) offline: bool,
    /// Cancelled by Ctrl-C.
    pub(crate) cancel: CancellationToken,
    /// What Ctrl-C interrupts before that.
    pub(crate) turns: interrupt::Turns,
}

impl Context {
    /// A host for one call: reserving slots for thousands takes longer than the call.
    pub(crate) async fn host(&self) -> Result<Host, Error> {
        let mut config = self.config.host()?;
        config.settings.engine.concurrent = config.settings.engine.concurrent.min(ONE_CALL);
        self.open(config).await
    }

    /// A host as it is configured.
    pub(crate) async fn full_host(&self) -> Result<Host, Error> {
        self.open(self.config.host()?).await
    }

    async fn open(&self, config: HostConfig) -> Result<Host, Error> {
        // It may wait for another host to leave the state directory.
        self.unless_cancelled(Host::open(config)).await
    }

    /// Runs what may take long and leaves nothing half-done when it is dropped, until Ctrl-C.
    pub(crate) async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Trouble::new("cancelled", "stopped by you", "run it again when you like")),
            done = work => done,
        }
    }

    /// The private toolchains.
    pub(crate) fn shelf(&self) -> Shelf {
        Shelf::new(&self.config.dirs.cache, self.offline)
    }

    pub(crate) fn json(&self) -> bool {
        self.config.output.format == Format::Json
    }
}

impl Cli {
    /// Whether this verb is a server's.
    pub(crate) fn listening(&self) -> Listening {
        match self.verb {
            Verb::Serve(_) => Listening::Allowed,
            // A browser comes back to it.
            Verb::Server(ref args) if args.listens() => Listening::Allowed,
            _ => Listening::Never,
        }
    }

    /// The format for errors that happen before the configuration is known.
    pub(crate) fn early_format(&self, env: &Environment) -> Format {
        if matches!(self.verb, Verb::Mcp(_)) {
            // Its stdout is a client's.
            return Format::Text;
        }
        let named = || env.get("RINGFENCE_FORMAT").filter(|word| *word == "json").map(|_| Format::Json);
        self.flags.format.or_else(named).unwrap_or_default()
    }
}

/// Reads the command line. What clap itself answers (help, version, a wrong flag) is printed here and gives an exit code.
pub(crate) fn parse(args: impl Iterator<Item = OsString>, env: &Environment) -> Result<Cli, ExitCode> {
    let args: Vec<OsString> = args.collect();
    let parsed = Cli::try_parse_from(&args).and_then(|cli| match &cli.verb {
        // Behind the target stand flags of the skill, mixed with ours: take ours out and read again.
        Verb::Run(run) if !run.rest.is_empty() => {
            let (ours, skills) = run::split(&run.rest);
            let head = &args[..args.len() - run.rest.len()];
            let mut cli = Cli::try_parse_from(head.iter().chain(&ours))?;
            if let Verb::Run(run) = &mut cli.verb {
                run.rest = skills;
            }
            Ok(cli)
        }
        _ => Ok(cli),
    });
    parsed.map_err(|error| {
        if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
        let wants_json = args.windows(2).any(|two| two[0] == "--format" && two[1] == "json")
            || args.iter().any(|arg| arg == "--format=json")
            || env.get("RINGFENCE_FORMAT") == Some("json");
        crate::render::fail(&usage(&error, verb_of(&args)), if wants_json { Format::Json } else { Format::Text })
    })
}

/// The verb of a command line that could not be read in whole.
fn verb_of(args: &[OsString]) -> Option<String> {
    let known = command();
    let words = args.iter().skip(1).filter_map(|arg| arg.to_str());
    words.map(str::to_owned).find(|word| known.find_subcommand(word).is_some_and(|verb| !verb.is_hide_set()))
}

/// clap's complaint as an error of ours: its first paragraph in one line, and the best of its advice.
fn usage(error: &clap::Error, given: Option<String>) -> Error {
    let text = error.render().to_string();
    let first: Vec<_> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let first: Vec<_> = first.into_iter().filter(|line| !line.starts_with('[')).collect();
    let words = |kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(word)) => word.clone(),
        Some(ContextValue::Strings(words)) => words.join("`, `"),
        _ => String::new(),
    };
    let near = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg].map(words).concat();
    let choices = words(ContextKind::ValidValue);
    let verb = text.lines().find_map(|line| line.strip_prefix("Usage: ")?.split(' ').nth(1).map(str::to_owned));
    let verb = verb.filter(|verb| verb.starts_with(char::is_alphabetic)).or(given).map(|verb| format!("{verb} "));
    let help = match (near.is_empty(), choices.is_empty()) {
        (false, _) => format!("did you mean `{near}`?"),
        (true, false) => format!("choose one of: `{choices}`"),
        (true, true) => format!("see `ringfence {}--help`", verb.unwrap_or_default()),
    };
    Trouble::new("usage", first.join(" ").trim_start_matches("error: "), help)
}

/// Does what was asked. An error comes with the format that the configuration chose, where it could be read.
pub(crate) fn execute(cli: Cli, env: &Environment) -> Result<ExitCode, (Error, Option<Format>)> {
    if let Verb::CompileWorker { args } = &cli.verb {
        return Ok(ringfence_core::engine::worker_main(args));
    }
    cli.flags.color.unwrap_or_default().apply();
    let telemetry = Telemetry::of(env);
    log::start(&cli.flags, env, &telemetry);
    let done = configured(cli, env);
    telemetry.end();
    done
}

fn configured(cli: Cli, env: &Environment) -> Result<ExitCode, (Error, Option<Format>)> {
    let here =
        std::env::current_dir().map_err(|error| (Trouble::unreadable(std::path::Path::new("."), &error), None))?;
    let configuration = Configuration::new(&cli.flags, env, &here);
    let config = configuration.load().map_err(|error| (error, None))?;
    config.output.color.apply();
    let format = config.output.format;
    in_runtime(cli, config, configuration).map_err(|error| (error, Some(format)))
}

fn in_runtime(cli: Cli, config: Config, configuration: Configuration) -> Result<ExitCode, Error> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if matches!(cli.verb, Verb::Mcp(_)) {
        // One client, whose message passes through many hands: between threads each of them would wake the next one. Guests have threads
        // of their own.
        runtime.worker_threads(1);
    }
    let runtime = runtime
        .enable_all()
        .build()
        .map_err(|error| Trouble::new("host-fault", format!("cannot start threads: {error}"), "free some memory"))?;
    let done = runtime.block_on(async {
        let Flags { quiet, verbose, offline, .. } = cli.flags;
        let (cancel, turns) = interrupt::watch();
        let context = Arc::new(Context { config, configuration, quiet, verbose, offline, cancel, turns });
        dispatch(cli.verb, &context).await
    });
    // A thread that still reads a terminal must not keep the process.
    runtime.shutdown_background();
    done
}

async fn dispatch(verb: Verb, context: &Arc<Context>) -> Result<ExitCode, Error> {
    let done = |()| ExitCode::SUCCESS;
    match verb {
        // What has something to settle, or changes more than one thing, looks at Ctrl-C by itself.
        Verb::Run(args) => run::run(args, context).await.map(done),
        Verb::Serve(args) => serve::run(&args, context).await.map(done),
        Verb::Chat(args) => chat::run(&args, context).await,
        Verb::Agent(args) => agent::run(&args, context).await,
        Verb::New(args) => new::run(&args, context).map(done),
        Verb::Build(args) => build::run(&args, context).await.map(done),
        Verb::Dev(args) => dev::run(args, Arc::clone(context)).await.map(done),
        Verb::Test(args) => test::run(&args, context).await,
        Verb::Add(args) => add::run(&args, context).await.map(done),
        Verb::Update(args) => update::run(&args, context).await.map(done),
        Verb::Outdated(args) => outdated::run(&args, context).await.map(done),
        Verb::Search(args) => search::run(&args, context).await.map(done),
        Verb::Sync(args) => sync::run(&args, context).await.map(done),
        Verb::Clean(args) => clean::run(&args, context).await.map(done),
        Verb::Push(args) => push::run(&args, context).await.map(done),
        Verb::Pull(args) => pull::run(&args, context).await.map(done),
        Verb::Remove(args) => remove::run(&args, context).await.map(done),
        Verb::Show(args) => show::run(&args, context).await.map(done),
        Verb::Export(args) => export::run(&args, context).await.map(done),
        // One look or one change, done or not done: may be dropped anywhere.
        Verb::List(args) => context.unless_cancelled(list::run(&args, context)).await.map(done),
        Verb::Grant(args) => context.unless_cancelled(grant::run(&args, context)).await.map(done),
        Verb::Revoke(args) => context.unless_cancelled(revoke::run(&args, context)).await.map(done),
        Verb::Permissions(args) => permissions::run(&args, context).await.map(done),
        Verb::Key(args) => key::run(&args, context).await.map(done),
        Verb::Sign(args) => sign::run(&args, context).await.map(done),
        Verb::Verify(args) => context.unless_cancelled(verify::run(&args, context)).await.map(done),
        Verb::Trust(args) => context.unless_cancelled(trust::run(&args, context)).await.map(done),
        Verb::Audit(args) => audit::run(&args, context).await.map(done),
        Verb::Runs(args) => context.unless_cancelled(runs::run(&args, context)).await.map(done),
        Verb::Top(args) => top::run(&args, context).await.map(done),
        Verb::Secret(args) => secret::run(&args, context).await.map(done),
        Verb::Server(args) => server::run(&args, context).await.map(done),
        Verb::Models(args) => context.unless_cancelled(models::run(&args, context)).await.map(done),
        Verb::Doctor(args) => context.unless_cancelled(doctor::run(&args, context)).await,
        Verb::Config(args) => config::run(&args, context).map(done),
        Verb::Mcp(args) => Ok(mcp::run(args, context).await),
        Verb::Connect(args) => connect::run(&args, context).map(done),
        Verb::Completions(args) => completions::run(&args).map(done),
        Verb::CompileWorker { args } => Ok(ringfence_core::engine::worker_main(&args)),
    }
}

/// The command line as clap knows it.
fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn complaints_say_what_to_do() {
        let of = |line: &str| {
            use clap::Parser;
            let words: Vec<_> = line.split(' ').map(std::ffi::OsString::from).collect();
            let error = super::usage(&super::Cli::try_parse_from(&words).unwrap_err(), super::verb_of(&words));
            (error.to_string(), error.hint())
        };
        let see = |verb: &str| format!("see `ringfence {verb}--help`");
        assert_eq!(of("ringfence lisst"), ("unrecognized subcommand 'lisst'".into(), "did you mean `list`?".into()));
        assert_eq!(of("ringfence list --nonsense").1, see("list "));
        assert_eq!(of("ringfence run --timeout 0 x").1, see("run "));
        assert_eq!(of("ringfence --nonsense").1, see(""));
        let (message, help) = of("ringfence completions foo");
        assert_eq!(message, "invalid value 'foo' for '<SHELL>'");
        assert!(help.starts_with("choose one of: `bash`, "), "{help}");
        let (message, help) = of("ringfence grant x");
        assert_eq!(
            (message.as_str(), help),
            ("the following required arguments were not provided: <GRANT>...", see("grant "))
        );
    }

    #[test]
    fn the_command_line_is_well_formed() {
        super::command().debug_assert();
    }
}
