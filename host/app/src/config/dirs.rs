//! Where files live: the XDG base directories (also on macOS), unless somebody says otherwise.

use std::path::{Path, PathBuf};

use ringfence_core::Error;

use super::layer::Source;
use super::{Directories, Environment};
use crate::trouble::Trouble;

const NAME: &str = "ringfence";

/// The host's directories.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Dirs {
    pub(crate) state: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) cache: PathBuf,
}

/// Where the XDG specification puts this program's files.
#[derive(Clone, Debug)]
pub(super) struct Bases {
    pub(super) config: PathBuf,
    state: Base,
    data: Base,
    cache: Base,
}

/// A folder, and the variable that says so.
#[derive(Clone, Debug)]
struct Base {
    path: PathBuf,
    variable: Option<&'static str>,
}

impl Bases {
    /// Relative values of `XDG_*` are ignored, as the specification says.
    pub(super) fn find(env: &Environment) -> Result<Self, Error> {
        let at_home = || {
            home(env).ok_or_else(|| {
                Trouble::config(
                    "there is no home directory to keep files in",
                    "set HOME, or give --config, --state-dir, --data-dir and --cache-dir",
                )
            })
        };
        let base = |variable: &'static str, below: &str| -> Result<Base, Error> {
            let given = env.get(variable).map(PathBuf::from).filter(|path| path.is_absolute());
            let variable = given.is_some().then_some(variable);
            let path = match given {
                Some(path) => path,
                None => at_home()?.join(below),
            };
            Ok(Base { path: path.join(NAME), variable })
        };
        Ok(Self {
            config: base("XDG_CONFIG_HOME", ".config")?.path,
            state: base("XDG_STATE_HOME", ".local/state")?,
            data: base("XDG_DATA_HOME", ".local/share")?,
            cache: base("XDG_CACHE_HOME", ".cache")?,
        })
    }

    /// Each folder under its key in the configuration, with what says so where the configuration says nothing.
    pub(super) fn unsaid(&self) -> [(&'static str, &Path, Source); 3] {
        [("cache", &self.cache), ("data", &self.data), ("state", &self.state)].map(|(key, base)| {
            let by = base.variable.map_or(Source::Defaults, |name| Source::Named(name.to_owned()));
            (key, base.path.as_path(), by)
        })
    }
}

impl Dirs {
    pub(super) fn new(given: &Directories, bases: &Bases) -> Self {
        let pick = |given: &Option<PathBuf>, base: &Base| given.as_deref().map_or_else(|| base.path.clone(), absolute);
        Self {
            state: pick(&given.state, &bases.state),
            data: pick(&given.data, &bases.data),
            cache: pick(&given.cache, &bases.cache),
        }
    }
}

/// The user's home folder.
pub(super) fn home(env: &Environment) -> Option<PathBuf> {
    env.get("HOME").map(PathBuf::from).or_else(|| etcetera::home_dir().ok())
}

/// `path` from the root, so that it means the same whatever becomes of the working directory.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
