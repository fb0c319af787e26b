//! From what was written to what it means, once: flags, environment, files and defaults become one [`Config`]. After this
//! nobody parses.
//!
//! Layers, the strongest first: flags, `RINGFENCE_*` variables, the project's `ringfence.toml` (nearest ancestor of the
//! working directory), the user's file, defaults. The project's file comes with a repository that may be a stranger's:
//! `trust` says what little it may set.

mod credentials;
mod dirs;
mod env;
mod flags;
mod keyring;
mod layer;
mod merge;
mod schema;
pub(crate) mod servers;
mod shown;
mod trust;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ringfence_core::capability::model::discover::{self, Discovered};
use ringfence_core::catalog::source::{Sources, SourcesConfig};
use ringfence_core::engine::WorkerCommand;
use ringfence_core::{Error, Explain as _, HostConfig, Settings};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

pub(crate) use dirs::Dirs;
pub(crate) use env::Environment;
pub(crate) use flags::Flags;
pub(crate) use merge::{Entry, Merged};
pub(crate) use schema::{document as schema_document, nearest};

use crate::trouble::Trouble;
use crate::ui::{Color, Format};
use layer::{Layer, Source};

/// The name of the project's file.
pub(crate) const PROJECT_FILE: &str = "ringfence.toml";

/// What configuration says beside the core's settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct FaceSettings {
    pub(crate) output: Output,
    pub(crate) directories: Directories,
}

/// How results are shown.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Output {
    /// `text` for people, or `json` for programs.
    pub(crate) format: Format,
    /// When output is coloured: `auto`, `always` or `never`.
    pub(crate) color: Color,
}

/// Where the host keeps its files. None means the XDG base directories.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Directories {
    /// Skills' state, budgets, grants and run records.
    pub(crate) state: Option<PathBuf>,
    /// Installed skills.
    pub(crate) data: Option<PathBuf>,
    /// What can be made again: compiled skills, builds.
    pub(crate) cache: Option<PathBuf>,
}

/// Everything that was configured, resolved.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) settings: Settings,
    pub(crate) output: Output,
    pub(crate) dirs: Dirs,
    /// Every value with where it came from.
    pub(crate) merged: Merged,
    /// The user's file, whether it exists or not.
    pub(crate) user_file: PathBuf,
    /// The files that were there and were read.
    pub(crate) read_from: Vec<PathBuf>,
    bases: dirs::Bases,
    /// The folder of the project that is worked in: of the nearest `ringfence.toml`.
    pub(crate) project: Option<PathBuf>,
    /// Where configuration lies or would.
    ours: Vec<PathBuf>,
    home: Option<PathBuf>,
    secrets: BTreeMap<String, SecretString>,
    keyring: keyring::Session,
    docker: credentials::Docker,
}

/// Where configuration comes from, so that it can be read again.
#[derive(Clone)]
pub(crate) struct Configuration {
    flags: Flags,
    env: Environment,
    here: PathBuf,
}

impl Configuration {
    pub(crate) fn new(flags: &Flags, env: &Environment, here: &Path) -> Self {
        Self { flags: flags.clone(), env: env.clone(), here: here.to_owned() }
    }

    /// As it is now.
    pub(crate) fn load(&self) -> Result<Config, Error> {
        Config::load(&self.flags, &self.env, &self.here)
    }

    /// A variable that belongs to another program, where it is set and not empty.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.env.get(name)
    }

    /// The files that it is read from, whether they exist or not.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let chosen = self.flags.config.clone();
        let user = chosen.or_else(|| Some(dirs::Bases::find(&self.env).ok()?.config.join("config.toml")));
        let servers = user.as_deref().map(servers::file);
        user.into_iter().chain(servers).chain(self.here.ancestors().map(|folder| folder.join(PROJECT_FILE))).collect()
    }
}

impl Config {
    /// The variables that providers are found by.
    pub(crate) fn secrets(&self) -> &BTreeMap<String, SecretString> {
        &self.secrets
    }

    /// The user's home folder, where there is one.
    pub(crate) fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// Reads all layers. `from` is where the search for the project's file begins.
    pub(crate) fn load(flags: &Flags, env: &Environment, from: &Path) -> Result<Self, Error> {
        let bases = dirs::Bases::find(env)?;
        let (user_file, chosen) = match &flags.config {
            Some(path) => (path.clone(), true),
            None => (bases.config.join("config.toml"), false),
        };
        let mut layers = vec![Layer::defaults()?];
        match Layer::read(Source::User(user_file.clone()))? {
            Some(layer) => layers.push(layer),
            None if chosen => return Err(Trouble::unreadable(&user_file, &std::io::ErrorKind::NotFound.into())),
            None => {}
        }
        let servers_file = servers::file(&user_file);
        layers.extend(servers::layer(&servers_file, &Merged::of(&layers))?);
        let mut project_folder = None;
        if let Some(project) = Layer::project(from, &user_file)? {
            trust::check(&project, &Merged::of(&layers), &user_file)?;
            project_folder = project.source.file().and_then(Path::parent).map(Path::to_owned);
            layers.push(project);
        }
        let read_from = layers.iter().filter_map(|layer| layer.source.file()).map(Path::to_owned).collect();
        layers.push(env::layer(env)?);
        layers.push(flags.layer()?);

        let merged = Merged::of(&layers);
        let (settings, face) = merged.read()?;
        let ours = vec![dirs::absolute(&bases.config), dirs::absolute(&user_file), dirs::absolute(&servers_file)];
        let home = dirs::home(env);
        let dirs = Dirs::new(&face.directories, &bases);
        let secrets = secrets(env, &merged, &settings);
        let keyring = keyring::Session::of(env);
        let docker = credentials::Docker::of(env);
        Ok(Self {
            settings,
            output: face.output,
            dirs,
            merged,
            user_file,
            read_from,
            bases,
            project: project_folder,
            ours,
            home,
            secrets,
            keyring,
            docker,
        })
    }

    /// Where skills come from.
    pub(crate) fn sources(&self) -> Sources {
        Sources::new(SourcesConfig {
            cache_dir: self.dirs.cache.clone(),
            component_bytes: u64::from(self.settings.engine.component_mib) << 20,
            settings: self.settings.catalog.clone(),
            credentials: std::sync::Arc::new(self.docker.clone()),
        })
    }

    /// The folders and files that are this user's own affair, as they may stand in a sentence; the innermost first.
    pub(crate) fn own_paths(&self) -> Vec<String> {
        let dirs = [&self.dirs.state, &self.dirs.data, &self.dirs.cache].into_iter();
        let all = dirs.chain(&self.ours).chain(&self.home).map(|path| path.display().to_string());
        let mut all: Vec<String> = all.filter(|path| path.len() > 1).collect();
        all.sort_by_key(|path| std::cmp::Reverse(path.len()));
        all
    }

    /// Every value that holds, with where it comes from, in order of keys.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let mut entries = self.merged.entries();
        let added = shown::unsaid(self);
        entries.extend(added.into_iter().filter(|entry| self.merged.get(&entry.path).is_none()));
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries
    }

    /// Models with what the environment adds, as a host finds them. Reaches nothing.
    pub(crate) fn models(&self) -> Discovered {
        let env = |name: &str| self.secrets.get(name).map(|value| value.expose_secret().to_owned());
        discover::discover(&env, None, &self.settings.models)
    }

    /// Says which providers are left out, because a variable of theirs means nothing. An error only where a model of such a one was asked
    /// for: what needs no model must not stop for a variable that was set for another program.
    fn check_variables(&self) -> Result<(), Error> {
        for wrong in self.models().unusable {
            let named = |model: &&String| model.split_once('/').is_some_and(|(provider, _)| provider == wrong.provider);
            if let Some(model) = self.settings.models.aliases.values().flatten().find(named) {
                let model = crate::ui::printable(model);
                return Err(Trouble::config(format!("`{model}` cannot be used: {wrong}"), wrong.hint()));
            }
            tracing::warn!("{wrong}; the provider `{}` is left out: {}", wrong.provider, wrong.hint());
        }
        Ok(())
    }

    /// What the core needs to open. Skills compile in a worker: this program again, with a hidden verb.
    pub(crate) fn host(&self) -> Result<HostConfig, Error> {
        self.check_variables()?;
        self.unchecked_host()
    }

    /// The same, whatever stands in the variables of providers: to examine what there is.
    pub(crate) fn unchecked_host(&self) -> Result<HostConfig, Error> {
        let program = std::env::current_exe()
            .map_err(|error| Trouble::new("host-fault", format!("cannot find this program's own file: {error}"), ""))?;
        Ok(HostConfig {
            state_dir: self.dirs.state.clone(),
            data_dir: self.dirs.data.clone(),
            cache_dir: self.dirs.cache.clone(),
            ours: self.ours.clone(),
            home: self.home.clone(),
            settings: self.settings.clone(),
            worker: WorkerCommand { program, args: vec![crate::cli::COMPILE_WORKER.into()] },
            secrets: self.secrets.clone(),
            keyring: self.keyring.keyring(),
        })
    }
}

/// What providers' own tools read, and this host finds by itself.
const USUAL: [&str; 9] = [
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "OPENAI_ORG_ID",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_BASE_URL",
    "GEMINI_API_KEY",
    "GOOGLE_API_KEY",
    "OPENROUTER_API_KEY",
    "OLLAMA_HOST",
];

/// The variables that the core gets to see, for it never reads the environment itself: the usual ones of providers, and
/// those that a configured provider or MCP server names. Nothing else leaves this file.
fn secrets(env: &Environment, merged: &Merged, settings: &Settings) -> BTreeMap<String, SecretString> {
    let mut names: Vec<&str> = USUAL.to_vec();
    let providers = merged.get(&["models".into(), "providers".into()]).and_then(toml::Value::as_table);
    let named = providers.into_iter().flatten().filter_map(|(_, provider)| provider.get("key-env")?.as_str());
    names.extend(named);
    let servers = settings.mcp_servers.values();
    let mentioned: Vec<String> = servers.flat_map(ringfence_core::server::ServerSettings::variables).collect();
    names.extend(mentioned.iter().map(String::as_str));
    if !settings.mcp_servers.is_empty() {
        names.extend(ringfence_core::server::VARIABLES);
    }
    let held = |name: &str| Some((name.to_owned(), SecretString::from(env.get(name)?.to_owned())));
    names.into_iter().filter_map(held).collect()
}

#[cfg(test)]
mod tests;
