//! The packages that the author of a JavaScript skill asks for, fetched by npm.

use std::path::{Path, PathBuf};

use ringfence_core::Error;
use serde_json::{Map, Value, json};

use super::process::{self, Ended};
use super::{Job, project, stale};
use crate::trouble::Trouble;
use crate::ui::printable;

/// What packages are fetched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// The SDK is none of them: the bundler finds it by itself, so that a skill without others needs no npm at all.
    Build,
    Tests,
}

impl For {
    fn lists(self) -> &'static [&'static str] {
        match self {
            Self::Build => &["dependencies"],
            Self::Tests => &["dependencies", "devDependencies"],
        }
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Build => "build",
            Self::Tests => "test",
        }
    }
}

/// The author's own packages, by npm, where they are not those that `package.json` asks for now.
pub(super) async fn packages(job: Job<'_>, wanted: For) -> Result<(), Error> {
    let Some(project) = Project::of(job, wanted)? else { return Ok(()) };
    let state = project.state();
    if state == State::Ready {
        return Ok(());
    }
    settings(job.folder)?;
    if state == State::Unknown {
        // Whoever put them there knows why: a workspace of another client, perhaps. From here on a change is seen.
        return project.fetched();
    }
    if job.errand.shelf.offline {
        return project.offline(&state, job);
    }
    let note = format!("fetching the packages of {}, with npm", job.folder.display());
    job.errand.line.suspend(|| crate::ui::note(&note));
    let mut ended = match project.lock.is_null() {
        true => project.run("install", job).await?,
        false => project.run("ci", job).await?,
    };
    // The lock tells of another package.json: one that was changed by hand.
    if !ended.good && code(&ended.stderr) == Some("EUSAGE") && !project.lock.is_null() {
        ended = project.run("install", job).await?;
    }
    if !ended.good {
        job.errand.line.suspend(|| crate::ui::note(&ended.said()));
        return Err(refused(&ended.stderr, job.folder));
    }
    project.fetched()
}

/// What is asked for, and where it is kept.
struct Project<'a> {
    folder: &'a Path,
    wanted: For,
    package: Value,
    /// Null where there is none.
    lock: Value,
    /// Where it is written down what was fetched last: beside what is built, for what lies in the folder is a stranger's.
    stamp: PathBuf,
}

/// Whether the packages are there.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Ready,
    Missing(Vec<String>),
    /// All are there, and some in another version than is asked for.
    Stale,
    /// All are there, put there by somebody else, and nothing tells in which versions.
    Unknown,
}

impl<'a> Project<'a> {
    fn of(job: Job<'a>, wanted: For) -> Result<Option<Self>, Error> {
        let package = read(&job.folder.join("package.json"))?;
        if package.is_null() {
            return Ok(None);
        }
        let stamp = job.work.join("npm");
        Ok(Some(Self { folder: job.folder, wanted, package, lock: lock(job.folder), stamp }))
    }

    fn state(&self) -> State {
        let names = self.names(self.wanted);
        let missing: Vec<_> = names.iter().filter(|name| !self.is_here(name)).map(|name| (*name).to_owned()).collect();
        if !missing.is_empty() {
            return State::Missing(missing);
        }
        if names.is_empty() || self.is_of_others() || self.was_fetched() || self.is_as_locked() {
            return State::Ready;
        }
        if self.lock.is_null() && !self.stamp.exists() { State::Unknown } else { State::Stale }
    }

    /// The packages that are asked for by name. That of the SDK is none where a skill is built.
    fn names(&self, wanted: For) -> Vec<&str> {
        let listed = wanted.lists().iter().filter_map(|list| self.package[list].as_object()).flat_map(Map::keys);
        listed.map(String::as_str).filter(|name| wanted == For::Tests || *name != "ringfence").collect()
    }

    fn place(&self, name: &str) -> PathBuf {
        self.folder.join("node_modules").join(name)
    }

    /// An empty folder is no package.
    fn is_here(&self, name: &str) -> bool {
        self.place(name).join("package.json").is_file()
    }

    /// Whether another client looks after the packages.
    fn is_of_others(&self) -> bool {
        let theirs = ["yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb"];
        self.lock.is_null() && theirs.iter().any(|name| self.folder.join(name).is_file())
    }

    /// Whether `package-lock.json` tells of this `package.json`, and of what is there.
    fn is_as_locked(&self) -> bool {
        let packages = &self.lock["packages"];
        let asked = self.wanted.lists().iter().all(|list| {
            self.package[list]
                .as_object()
                .is_none_or(|names| names.iter().all(|(name, version)| packages[""][list].get(name) == Some(version)))
        });
        asked
            && self.names(self.wanted).into_iter().all(|name| {
                let locked = &packages[format!("node_modules/{name}")];
                let here =
                    || read(&self.place(name).join("package.json")).map_or(Value::Null, |here| here["version"].clone());
                locked["link"] == true || (locked["version"].is_string() && locked["version"] == here())
            })
    }

    /// What decides about the packages.
    fn digest(&self) -> String {
        let lists: Vec<_> =
            ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "overrides"]
                .iter()
                .map(|list| &self.package[list])
                .collect();
        stale::short(json!([lists, self.lock]).to_string().as_bytes())
    }

    fn was_fetched(&self) -> bool {
        let Ok(stamp) = std::fs::read_to_string(&self.stamp) else { return false };
        let (digest, verb) = stamp.split_once(' ').unwrap_or_default();
        // What tests need has in it what a build needs.
        digest == self.digest() && (verb == For::Tests.verb() || verb == self.wanted.verb())
    }

    /// Writes down what was fetched. npm may have written the lock meanwhile.
    fn fetched(mut self) -> Result<(), Error> {
        self.lock = lock(self.folder);
        let wanted = if self.has_tests() { For::Tests } else { self.wanted };
        let stamp = format!("{} {}", self.digest(), wanted.verb());
        std::fs::write(&self.stamp, stamp).map_err(|error| Trouble::unwritable(&self.stamp, &error))
    }

    /// Whether packages for tests alone are there: then npm must not take them away.
    fn has_tests(&self) -> bool {
        let (all, built) = (self.names(For::Tests), self.names(For::Build));
        all.iter().any(|name| !built.contains(name) && self.is_here(name))
    }

    async fn run(&self, verb: &str, job: Job<'_>) -> Result<Ended, Error> {
        let mut command = process::program("npm", self.folder);
        // A stranger's package must not run its scripts here: neither a bundle nor a test runner needs them.
        // Nor may anything name a program to be run in place of git.
        command.args([verb, "--ignore-scripts", "--git=git", "--no-audit", "--no-fund", "--no-update-notifier"]);
        command.args(["--fetch-retries", "2"]);
        command.args((self.wanted == For::Build && !self.has_tests()).then_some("--omit=dev"));
        process::run(command, job.errand).await
    }

    /// Without the network what is there has to do, as long as nothing says that it is the wrong thing.
    fn offline(&self, state: &State, job: Job<'_>) -> Result<(), Error> {
        let what = match state {
            State::Ready | State::Unknown => return Ok(()),
            State::Missing(names) => format!("npm's `{}`", printable(&names.join("`, `"))),
            State::Stale => format!("what {} asks for now", self.folder.join("package.json").display()),
        };
        Err(job.errand.shelf.own_not_offline(&what, self.wanted.verb()))
    }
}

/// What `package-lock.json` says. One that is no JSON says nothing, and npm tells.
fn lock(folder: &Path) -> Value {
    read(&folder.join("package-lock.json")).unwrap_or_default()
}

/// A file of JSON; null where there is none.
fn read(file: &Path) -> Result<Value, Error> {
    let text = match project::text(file, project::LIST_BYTES) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Value::Null),
        read => read.map_err(|error| Trouble::unreadable(file, &error))?,
    };
    serde_json::from_str(&text)
        .map_err(|error| Trouble::new("build-failed", format!("{} is not JSON: {error}", file.display()), "correct it"))
}

/// npm's own word for what went wrong.
fn code(said: &str) -> Option<&str> {
    let words = ["npm error code ", "npm ERR! code "];
    said.lines().find_map(|line| words.iter().find_map(|word| line.trim().strip_prefix(word))).map(str::trim)
}

/// Why npm could not fetch what it was asked for.
fn refused(said: &str, folder: &Path) -> Error {
    const NETWORK: [&str; 8] = [
        "ENOTFOUND",
        "EAI_AGAIN",
        "ECONNREFUSED",
        "ECONNRESET",
        "ETIMEDOUT",
        "ENETUNREACH",
        "EHOSTUNREACH",
        "ERR_SOCKET_TIMEOUT",
    ];
    let after = |words: &str| said.lines().find_map(|line| line.split_once(words)).map(|(_, rest)| rest.trim());
    let named = match code(said) {
        Some(code) if NETWORK.contains(&code) => {
            return Trouble::new(
                "build-failed",
                format!("npm reaches no registry, and {} needs packages that are not here yet", folder.display()),
                "connect to the network, or correct npm's settings for its registry and proxy; what was fetched once is kept",
            );
        }
        Some("ETARGET") => after("No matching version found for ").map(|name| name.trim_end_matches('.')),
        Some("E404") => {
            after("The requested resource '").or_else(|| after(" 404  '")).and_then(|name| name.split('\'').next())
        }
        _ => None,
    };
    match named {
        Some(name) => Trouble::new(
            "build-failed",
            format!("npm finds no package `{}`", printable(name)),
            "correct its name and version in package.json; npm asks the registry that it is set up for",
        ),
        None => Trouble::new(
            "build-failed",
            format!("npm could not fetch the packages of {}", folder.display()),
            "correct what npm says above",
        ),
    }
}

/// Refuses settings for npm in a stranger's folder but those that say where packages come from. Others name programs to be run (`git`,
/// `script-shell`) or places to be written to (`cache`, `prefix`), and `${NAME}` would put a variable of the person who builds into an
/// address of the stranger's.
fn settings(folder: &Path) -> Result<(), Error> {
    let file = folder.join(".npmrc");
    if file.symlink_metadata().is_err() {
        return Ok(());
    }
    let text = project::text(&file, project::LIST_BYTES).map_err(|error| Trouble::unreadable(&file, &error))?;
    // For npm a line ends at a carriage return as well: behind one in a remark would stand a setting that nobody has looked at.
    let text = text.replace('\r', "\n");
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let key = key.trim();
        let registry = key == "registry" || (key.starts_with('@') && key.ends_with(":registry"));
        if !registry || line.contains('$') || value.is_empty() {
            let key: String = crate::ui::printable(key).chars().take(80).collect();
            return Err(Trouble::new(
                "build-failed",
                format!("{} sets `{key}`, which may be more than an address of packages", file.display()),
                "a skill's .npmrc may say `registry=ADDRESS` and `@SCOPE:registry=ADDRESS`; all else belongs into your own ~/.npmrc",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_settings_for_npm_name_registries_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert!(settings(folder.path()).is_ok());
        let said = |text: &str| {
            std::fs::write(folder.path().join(".npmrc"), text).unwrap();
            settings(folder.path())
        };
        for good in ["", "# a remark\r\n; another\n\n", "registry=https://a.test\n @mine:registry = https://b.test/\n"]
        {
            assert!(said(good).is_ok(), "{good:?}");
        }
        for (bad, word) in [
            ("git=./evil.sh", "`git`"),
            ("registry=https://a.test\n  git = ./evil.sh", "`git`"),
            ("ignore-scripts=false", "`ignore-scripts`"),
            ("script-shell=./evil.sh", "`script-shell`"),
            ("cache=../../x", "`cache`"),
            ("global", "`global`"),
            ("registry=https://evil.test/${SECRET}/", "`registry`"),
            ("//evil.test/:_authToken=x", "`//evil.test/:_authToken`"),
            ("[section]", "`[section]`"),
            ("@${X}:registry=https://evil.test", "`@${X}:registry`"),
            // npm's lines end here too.
            ("# a remark\rregistry=https://evil.test/${SECRET}/", "`registry`"),
            ("registry=https://a.test\rcache=../../x", "`cache`"),
        ] {
            let error = said(bad).unwrap_err();
            assert!(error.to_string().contains(word), "{bad}: {error}");
        }
    }

    /// A project with `package.json`, and a lock or none.
    fn project<'a>(folder: &'a Path, dependencies: &Value, lock: Option<&Value>) -> Project<'a> {
        let lock = lock.map_or(Value::Null, |versions| {
            let listed =
                |name: &String, version: &Value| (format!("node_modules/{name}"), json!({ "version": version }));
            let mut packages: Map<_, _> =
                versions.as_object().unwrap().iter().map(|(name, version)| listed(name, version)).collect();
            packages.insert(String::new(), json!({ "dependencies": versions }));
            json!({ "packages": packages })
        });
        let package = json!({ "dependencies": dependencies, "devDependencies": { "ringfence": "file:x" } });
        Project { folder, wanted: For::Build, package, lock, stamp: folder.join("stamp") }
    }

    fn installed(folder: &Path, name: &str, version: &str) {
        let place = folder.join("node_modules").join(name);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("package.json"), json!({ "version": version }).to_string()).unwrap();
    }

    #[test]
    fn packages_are_those_that_are_asked_for_now() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (json!({ "zod": "3.25.0" }), json!({ "zod": "4.1.0" }));
        let of = |asked: &Value, lock: Option<&Value>| project(folder.path(), asked, lock).state();
        assert_eq!(of(&json!({}), None), State::Ready);
        assert_eq!(of(&old, None), State::Missing(vec!["zod".into()]));
        installed(folder.path(), "zod", "3.25.0");
        // Somebody has called npm here.
        assert_eq!(of(&old, Some(&old)), State::Ready);
        assert_eq!(of(&old, None), State::Unknown);
        project(folder.path(), &old, None).fetched().unwrap();
        assert_eq!(of(&old, None), State::Ready);
        assert_eq!(of(&new, None), State::Stale);
        assert_eq!(of(&new, Some(&old)), State::Stale, "the lock tells of another package.json");
        assert_eq!(of(&new, Some(&new)), State::Stale, "the lock tells of other packages than are here");
        std::fs::write(folder.path().join("pnpm-lock.yaml"), "").unwrap();
        assert_eq!(of(&new, None), State::Ready, "another client looks after them");
        std::fs::remove_file(folder.path().join("node_modules/zod/package.json")).unwrap();
        assert_eq!(of(&old, None), State::Missing(vec!["zod".into()]), "an empty folder is no package");
    }

    #[test]
    fn what_was_fetched_for_tests_is_enough_for_a_build() {
        let folder = tempfile::tempdir().unwrap();
        let asked = json!({ "zod": "3.25.0" });
        installed(folder.path(), "zod", "3.25.0");
        project(folder.path(), &asked, None).fetched().unwrap();
        let tests = || Project { wanted: For::Tests, ..project(folder.path(), &asked, None) };
        assert!(!tests().was_fetched() && !tests().has_tests());
        installed(folder.path(), "ringfence", "0.1.0");
        tests().fetched().unwrap();
        assert!(tests().has_tests(), "npm must not take them away");
        assert_eq!((tests().state(), project(folder.path(), &asked, None).state()), (State::Ready, State::Ready));
    }

    #[test]
    fn npms_own_code_says_what_is_wrong() {
        let of = |said: &str| refused(said, Path::new("x"));
        for gone in
            ["npm error code ENOTFOUND\nnpm error network x", "npm ERR! code ECONNREFUSED", "npm error code ETIMEDOUT"]
        {
            assert!(of(gone).to_string().contains("reaches no registry"), "{gone}");
        }
        let none = "npm error code E404\nnpm error 404 Not Found - GET https://r.test/zodd\n\
                    npm error 404  The requested resource 'zodd@1' could not be found or you do not have permission to access it.";
        assert_eq!(of(none).to_string(), "npm finds no package `zodd@1`");
        let older = "npm ERR! code E404\nnpm ERR! 404  'zodd@1' is not in this registry.";
        assert_eq!(of(older).to_string(), "npm finds no package `zodd@1`");
        let version = "npm error code ETARGET\nnpm error notarget No matching version found for zod@99.";
        assert_eq!(of(version).to_string(), "npm finds no package `zod@99`");
        let other = of("npm error code ERESOLVE\nnpm error network is no word of this");
        assert!(other.to_string().contains("could not fetch") && !other.hint().contains("network"), "{other}");
        assert_eq!(code("npm warn x\nnpm error code EUSAGE\nnpm error"), Some("EUSAGE"));
    }
}
