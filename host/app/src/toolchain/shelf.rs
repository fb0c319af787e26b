//! Private toolchains: fetched once, by the language's own package client, pinned by version and digest.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ringfence_core::Error;
use tokio::process::Command;

use super::{Errand, process, stale};
use crate::trouble::Trouble;

/// Where they lie: a folder each, whole or not there.
pub(crate) struct Shelf {
    root: PathBuf,
    /// Whether nothing may be fetched.
    pub(super) offline: bool,
    /// Why what somebody asked to be fetched is not here, by toolchains.
    failed: Mutex<Vec<(&'static str, Error)>>,
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
    /// Files that builds start or load. Something that tidies disks may have taken them since.
    pub(super) keys: &'static [&'static str],
}

/// What is there of a toolchain.
enum State {
    Whole,
    /// This file of it is missing.
    Broken(PathBuf),
    Absent,
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
        Self { root: cache.join("toolchains"), offline, failed: Mutex::default() }
    }

    fn place(&self, kit: &Kit) -> PathBuf {
        let pins = match kit.client {
            Client::Pip { requirements } => requirements.to_owned(),
            Client::Npm { package, lock } => format!("{package}\n{lock}"),
        };
        self.root.join(format!("{}-{}", kit.name, stale::short(pins.as_bytes())))
    }

    fn state(&self, kit: &Kit) -> State {
        let place = self.place(kit);
        if place.symlink_metadata().is_err() {
            return State::Absent;
        }
        let here = |file: &PathBuf| {
            let mut program = file.clone().into_os_string();
            program.push(std::env::consts::EXE_SUFFIX);
            file.is_file() || Path::new(&program).is_file()
        };
        let mut files = std::iter::once(COMPLETE).chain(kit.keys.iter().copied()).map(|name| place.join(name));
        files.find(|file| !here(file)).map_or(State::Whole, State::Broken)
    }

    /// What `doctor` says about it.
    pub(super) fn tell(&self, kit: &Kit) -> Result<String, Error> {
        match self.state(kit) {
            State::Whole => Ok(format!("{} is here", kit.title)),
            State::Absent => Ok(format!("{} will be fetched by the first build", kit.title)),
            State::Broken(file) => Err(Trouble::new(
                "toolchain-missing",
                broken(kit, &file),
                "run `ringfence doctor --fix`: it fetches it again, as the next build does by itself",
            )),
        }
    }

    /// The folder of a toolchain, which is fetched where it is not there, or not all of it.
    pub(super) async fn get(&self, kit: &Kit, errand: Errand<'_>) -> Result<PathBuf, Error> {
        let place = self.place(kit);
        match self.state(kit) {
            State::Whole => return Ok(place),
            State::Absent if self.offline => return Err(self.not_offline(kit.title)),
            State::Broken(file) if self.offline => {
                return Err(Trouble::new(
                    "toolchain-missing",
                    format!("{}, and `--offline` forbids fetching it again", broken(kit, &file)),
                    NOT_OFFLINE,
                ));
            }
            State::Broken(_) | State::Absent => {}
        }
        std::fs::create_dir_all(&self.root).map_err(|error| Trouble::unwritable(&self.root, &error))?;
        let lock = self.root.join(format!(".{}-lock", kit.name));
        let _lock = tokio::select! {
            biased;
            () = errand.cancel.cancelled() => return Err(process::cancelled()),
            lock = stale::lock(&lock, errand.line) => lock?,
        };
        // Another process may have fetched it meanwhile.
        match self.state(kit) {
            State::Whole => return Ok(place),
            State::Broken(file) => errand.line.suspend(|| crate::ui::note(&broken(kit, &file))),
            State::Absent => {}
        }
        // Whoever holds the lock is alone: these are of one that was killed.
        let prefix = format!(".new-{}-", kit.name);
        stale::sweep(&self.root, &prefix);
        let draft = self.draft(&prefix)?;
        let what = format!("fetching {} ({} MiB), once, into {}", kit.title, kit.mib, self.root.display());
        errand.line.suspend(|| crate::ui::note(&what));
        fetch(kit, draft.path(), errand).await?;
        let done = draft.path().join(COMPLETE);
        std::fs::write(&done, "").map_err(|error| Trouble::unwritable(&done, &error))?;
        self.put(draft.path(), &place, &prefix)?;
        Ok(place)
    }

    fn draft(&self, prefix: &str) -> Result<tempfile::TempDir, Error> {
        let draft = tempfile::Builder::new().prefix(prefix).tempdir_in(&self.root);
        draft.map_err(|error| Trouble::unwritable(&self.root, &error))
    }

    /// Puts a toolchain into its place. What is there is not whole, and gives way: a folder moves onto an empty one alone.
    fn put(&self, draft: &Path, place: &Path, prefix: &str) -> Result<(), Error> {
        let unwritable = |error| Trouble::unwritable(place, &error);
        let old = self.draft(prefix)?;
        match std::fs::rename(place, old.path().join("old")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(unwritable(error)),
            _ => {}
        }
        std::fs::rename(draft, place).map_err(unwritable)
    }

    /// For what is not here while nothing may be fetched.
    pub(super) fn not_offline(&self, what: &str) -> Error {
        let what = format!("{what} is not here, and `--offline` forbids fetching it");
        Trouble::new("toolchain-missing", what, NOT_OFFLINE)
    }

    /// The same for what is the skill's own, of which no toolchain knows: what `verb` does fetches it.
    pub(super) fn own_not_offline(&self, what: &str, verb: &str) -> Error {
        Trouble::new(
            "toolchain-missing",
            format!("{what} is not here, and `--offline` forbids fetching it"),
            format!("run `ringfence {verb}` once without `--offline`, with the network; what it fetches stays"),
        )
    }

    /// Keeps why a toolchain could not be fetched, for whoever tells what is here.
    pub(super) fn remember(&self, subject: &'static str, error: Error) {
        self.failed().push((subject, error));
    }

    /// Why this one could not be fetched.
    pub(super) fn recall(&self, subject: &str) -> Option<Error> {
        let mut failed = self.failed();
        let at = failed.iter().position(|(known, _)| *known == subject)?;
        Some(failed.swap_remove(at).1)
    }

    fn failed(&self) -> MutexGuard<'_, Vec<(&'static str, Error)>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const NOT_OFFLINE: &str = "run `ringfence doctor --fix` with the network, or build without `--offline`";

fn broken(kit: &Kit, file: &Path) -> String {
    format!("{} is broken: {} is missing", kit.title, file.display())
}

async fn fetch(kit: &Kit, into: &Path, errand: Errand<'_>) -> Result<(), Error> {
    let (client, command) = match &kit.client {
        Client::Pip { requirements } => ("pip", pip(requirements, into).await?),
        Client::Npm { package, lock } => ("npm", npm(package, lock, into).await?),
    };
    let ended = process::run(command, errand).await?;
    if ended.good {
        return Ok(());
    }
    errand.line.suspend(|| crate::ui::note(&ended.said()));
    Err(Trouble::new(
        "toolchain-missing",
        format!("{client} could not fetch {}", kit.title),
        format!(
            "see what {client} says above; it uses its own settings for index, proxy and certificates, and needs the network once"
        ),
    ))
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
        // Nothing beside the sources is a module of ours: a stranger's `pip.py` would run in the place of pip. Before Python 3.11 this
        // has no effect, and the folder must not be a stranger's.
        command.env(SAFE_PATH, "1");
        command
    }

    /// `folder`, or where Python cannot be kept from taking modules from there, `other`.
    pub(super) fn safe<'a>(&self, folder: &'a Path, other: &'a Path) -> &'a Path {
        let minor = self.version.split_once('.').and_then(|(_, minor)| minor.parse::<u32>().ok());
        if minor.is_some_and(|minor| minor >= 11) { folder } else { other }
    }
}

/// See <https://docs.python.org/3/using/cmdline.html#envvar-PYTHONSAFEPATH>.
pub(super) const SAFE_PATH: &str = "PYTHONSAFEPATH";

/// Where short questions are asked: the folder that somebody stands in may hold a stranger's modules.
pub(super) fn nowhere() -> &'static Path {
    Path::new("/")
}

impl Python {
    /// Whether it finds a module.
    pub(super) async fn has(&self, module: &str, folder: &Path) -> bool {
        process::output(self.program, &["-c", &format!("import {module}")], folder).await.is_ok()
    }
}

pub(super) async fn python() -> Result<Python, Error> {
    let here = nowhere();
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

#[cfg(test)]
mod tests {
    use super::*;

    const KIT: Kit =
        Kit { name: "odd", title: "odd 1", mib: 1, client: Client::Pip { requirements: "odd==1" }, keys: &["bin/odd"] };

    fn put(folder: &Path, names: &[&str]) {
        for name in names {
            let file = folder.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "").unwrap();
        }
    }

    #[test]
    fn what_is_not_whole_is_told_and_gives_way() {
        let cache = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(cache.path(), false);
        let place = shelf.place(&KIT);
        std::fs::create_dir_all(&shelf.root).unwrap();
        assert!(shelf.tell(&KIT).unwrap().contains("will be fetched"));
        for (there, missing) in [(&["bin/odd", "lib/rest"][..], COMPLETE), (&[COMPLETE, "lib/rest"], "bin/odd")] {
            put(&place, there);
            let error = shelf.tell(&KIT).unwrap_err();
            assert!(error.to_string().contains(&format!("{missing} is missing")), "{error}");
            let draft = shelf.draft(".new-odd-").unwrap();
            put(draft.path(), &[COMPLETE, "bin/odd"]);
            shelf.put(draft.path(), &place, ".new-odd-").unwrap();
            assert_eq!(shelf.tell(&KIT).unwrap(), "odd 1 is here");
            assert!(!place.join("lib").exists(), "nothing of the old one is left");
            std::fs::remove_dir_all(&place).unwrap();
        }
        let left: Vec<_> = std::fs::read_dir(&shelf.root).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        // Those of another toolchain may be under way.
        put(&shelf.root, &[".new-odd-1/half", ".new-other-1/half"]);
        stale::sweep(&shelf.root, ".new-odd-");
        assert!(!shelf.root.join(".new-odd-1").exists() && shelf.root.join(".new-other-1").exists());
    }

    #[test]
    fn offline_says_what_would_fetch_it() {
        let shelf = Shelf::new(Path::new("/nowhere"), true);
        assert!(shelf.not_offline("zig").hint().contains("doctor --fix"));
        assert!(
            shelf.own_not_offline("npm's `zod`", "test").hint().contains("`ringfence test` once without `--offline`")
        );
    }
}
