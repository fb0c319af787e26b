use std::ffi::OsStr;
use std::path::Path;

use clap_complete::engine::{CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::{CompleteEnv, Shells};
use ringfence_core::engine::{Listening, give_up_privileges};
use ringfence_core::{Error, Host};

use crate::config::{Config, Environment, Flags};
use crate::trouble::Trouble;

/// Print a completion script for a shell
///
/// The script asks this program at each TAB, so that it completes the names of installed skills and stays true after an update.
/// For bash: `ringfence completions bash > ~/.local/share/bash-completion/completions/ringfence`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

/// The variable by which a script asks for candidates.
pub(crate) const VARIABLE: &str = "RINGFENCE_COMPLETE";

pub(super) fn run(args: &Args) -> Result<(), Error> {
    let name = args.shell.to_string();
    let shells = Shells::builtins();
    let Some(shell) = shells.completer(&name) else {
        return Err(Trouble::input(format!("there are no completions for {name}"), "choose another shell"));
    };
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "ringfence", "ringfence", "ringfence", &mut script)
        .map_err(|error| Trouble::new("host-fault", format!("the script cannot be made: {error}"), "try again"))?;
    crate::ui::print(&String::from_utf8_lossy(&script))
}

/// Answers a script and ends the process, where one asks.
pub(crate) fn answer(env: &Environment) {
    if env.get(VARIABLE).is_some() {
        give_up_privileges(Listening::Never);
        CompleteEnv::with_factory(super::command).var(VARIABLE).complete();
    }
}

/// Names of installed skills.
#[derive(Clone, Copy, Debug)]
pub(super) struct Installed;

impl ValueCompleter for Installed {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let begin = current.to_str().unwrap_or_default();
        names().into_iter().filter(|name| name.starts_with(begin)).map(CompletionCandidate::new).collect()
    }
}

/// Names of installed skills, and paths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skills;

impl ValueCompleter for Skills {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let mut all = Installed.complete(current);
        let skill = |path: &Path| path.is_dir() || path.extension().is_some_and(|extension| extension == "wasm");
        all.extend(PathCompleter::any().filter(skill).complete(current));
        all
    }
}

/// As the configuration of the environment says. A flag of the unfinished line is not known here.
fn names() -> Vec<String> {
    let env = Environment::of_process();
    let flags = Flags { config: env.get("RINGFENCE_CONFIG").map(Into::into), ..Flags::default() };
    let config = std::env::current_dir().ok().and_then(|here| Config::load(&flags, &env, &here).ok());
    config.map(|config| Host::installed_names(&config.dirs.state)).unwrap_or_default()
}
