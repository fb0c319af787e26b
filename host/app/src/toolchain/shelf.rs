//! Private toolchains: fetched once, by the language's own package client, pinned by version and digest.

use std::path::{Path, PathBuf};

use ringfence_core::Error;
use tokio::process::Command;

use super::{Errand, process, stale};
use crate::trouble::Trouble;

/// Where they lie: a folder each, whole or not there.
pub(crate) struct Shelf {
    root: PathBuf,
    /// Whether nothing may be fetched.
    pub(super) offline: bool,
}

/// One private toolchain.
pub(super) struct Kit {
    /// A word for it in the name of its folder.
    pub(super) name: &'static str,
    /// What it is, with the version, for people.
    pub(super) title: &'static str,
    /// About how much is fetched.
    pub(super) mib: u32,
    pub(super) client: Client,
}

/// Who fetches it. The files pin every package by its version and its digest.
pub(super) enum Client {
    Pip { requirements: &'static str },
    Npm { package: &'static str, lock: &'static str },
}

/// What stands in a folder that is whole.
const COMPLETE: &str = "complete";

/// The oldest Python that these packages run on.
const PYTHON: (u32, u32) = (3, 9);

impl Shelf {
    pub(crate) fn new(cache: &Path, offline: bool) -> Self {
        Self { root: cache.join("toolchains"), offline }
    }

    fn place(&self, kit: &Kit) -> PathBuf {
        let pins = match kit.client {
            Client::Pip { requirements } => requirements.to_owned(),
            Client::Npm { package, lock } => format!("{package}\n{lock}"),
        };
        self.root.join(format!("{}-{}", kit.name, stale::short(pins.as_bytes())))
    }

    /// Whether it has been fetched.
    pub(super) fn has(&self, kit: &Kit) -> bool {
        self.place(kit).join(COMPLETE).is_file()
    }

    /// In words, for `doctor`.
    pub(super) fn state(&self, kit: &Kit) -> String {
        let when = if self.has(kit) { "is here" } else { "will be fetched by the first build" };
        format!("{} {when}", kit.title)
    }

    /// The folder of a toolchain, which is fetched where it is not there yet.
    pub(super) async fn get(&self, kit: &Kit, errand: Errand<'_>) -> Result<PathBuf, Error> {
        let place = self.place(kit);
        if self.has(kit) {
            return Ok(place);
        }
        if self.offline {
            return Err(self.not_offline(kit.title));
        }
        std::fs::create_dir_all(&self.root).map_err(|error| Trouble::unwritable(&self.root, &error))?;
        let lock = self.root.join(format!(".{}-lock", kit.name));
        let _lock = tokio::select! {
            biased;
            () = errand.cancel.cancelled() => return Err(process::cancelled()),
            lock = stale::lock(&lock, errand.line) => lock?,
        };
        // Another process may have fetched it meanwhile.
        if self.has(kit) {
            return Ok(place);
        }
        let draft = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(&self.root)
            .map_err(|error| Trouble::unwritable(&self.root, &error))?;
        let what = format!("fetching {} ({} MiB), once, into {}", kit.title, kit.mib, self.root.display());
        errand.line.suspend(|| crate::ui::note(&what));
        let command = match &kit.client {
            Client::Pip { requirements } => pip(requirements, draft.path()).await?,
            Client::Npm { package, lock } => npm(package, lock, draft.path()).await?,
        };
        let ended = process::run(command, errand).await?;
        if !ended.good {
            errand.line.suspend(|| crate::ui::note(&ended.said()));
            let client = match kit.client {
                Client::Pip { .. } => "pip",
                Client::Npm { .. } => "npm",
            };
            return Err(Trouble::new(
                "toolchain-missing",
                format!("{client} could not fetch {}", kit.title),
                format!(
                    "see what {client} says above; it uses its own settings for index, proxy and certificates, and needs the network once"
                ),
            ));
        }
        let done = draft.path().join(COMPLETE);
        std::fs::write(&done, "").map_err(|error| Trouble::unwritable(&done, &error))?;
        std::fs::rename(draft.path(), &place).map_err(|error| Trouble::unwritable(&place, &error))?;
        Ok(place)
    }

    /// For what is not here while nothing may be fetched.
    pub(super) fn not_offline(&self, what: &str) -> Error {
        Trouble::new(
            "toolchain-missing",
            format!("{what} is not here, and `--offline` forbids fetching it"),
            "run `ringfence doctor --fix` with the network, or build without `--offline`",
        )
    }
}

async fn pip(requirements: &str, into: &Path) -> Result<Command, Error> {
    let list = into.join("requirements.txt");
    std::fs::write(&list, requirements).map_err(|error| Trouble::unwritable(&list, &error))?;
    let mut command = python().await?.command(into);
    command
        .args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-deps", "--no-compile"])
        .args(["--only-binary", ":all:", "--require-hashes", "--retries", "2", "--target"])
        .arg(into)
        .arg("-r")
        .arg(list);
    Ok(command)
}

async fn npm(package: &str, lock: &str, into: &Path) -> Result<Command, Error> {
    node().await?;
    for (name, text) in [("package.json", package), ("package-lock.json", lock)] {
        let file = into.join(name);
        std::fs::write(&file, text).map_err(|error| Trouble::unwritable(&file, &error))?;
    }
    let mut command = process::program("npm", into);
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries", "2"]);
    Ok(command)
}

/// The machine's Python with pip, which fetches packages.
pub(super) struct Python {
    program: &'static str,
    version: String,
}

impl Python {
    pub(super) fn version(&self) -> String {
        format!("Python {} with pip", self.version)
    }

    pub(super) fn command(&self, folder: &Path) -> Command {
        let mut command = process::program(self.program, folder);
        // What it says must come at once, in UTF-8, and it must leave nothing beside the sources.
        command.env("PYTHONUNBUFFERED", "1").env("PYTHONUTF8", "1").env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }
}

pub(super) async fn python() -> Result<Python, Error> {
    let here = Path::new(".");
    let mut old = None;
    for program in ["python3", "python"] {
        let ask = ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"];
        let Ok(version) = process::output(program, &ask, here).await else { continue };
        let version = version.trim().to_owned();
        let number =
            version.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        if number.is_none_or(|number: (u32, u32)| number < PYTHON) {
            old = Some(version);
            continue;
        }
        if process::output(program, &["-m", "pip", "--version"], here).await.is_err() {
            return Err(Trouble::new(
                "toolchain-missing",
                format!("Python {version} has no pip, and pip fetches the toolchain"),
                format!("install it: `{program} -m ensurepip`, or your system's package python3-pip"),
            ));
        }
        return Ok(Python { program, version });
    }
    let (major, minor) = PYTHON;
    let what = match old {
        Some(version) => format!("Python {version} is too old: {major}.{minor} is needed"),
        None => "there is no Python on the search path".into(),
    };
    Err(Trouble::new(
        "toolchain-missing",
        what,
        format!("install Python {major}.{minor} or newer with pip, from https://python.org or your system's packages"),
    ))
}

/// The machine's Node.js with npm; gives its version.
pub(super) async fn node() -> Result<String, Error> {
    let here = Path::new(".");
    let help = "install Node.js 20 or newer with npm, from https://nodejs.org or your system's packages";
    let Ok(version) = process::output("node", &["--version"], here).await else {
        return Err(Trouble::new("toolchain-missing", "there is no Node.js on the search path", help));
    };
    let version = version.trim().trim_start_matches('v').to_owned();
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    if major < 20 {
        return Err(Trouble::new("toolchain-missing", format!("Node.js {version} is too old: 20 is needed"), help));
    }
    if process::output("npm", &["--version"], here).await.is_err() {
        return Err(Trouble::new("toolchain-missing", format!("Node.js {version} has no npm beside it"), help));
    }
    Ok(version)
}
