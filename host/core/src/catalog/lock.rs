//! `ringfence.lock`: which skills a project is worked on with, down to their bytes. Committed with the project, so it is as
//! trustworthy as whoever wrote that: it names what is to be installed and grants nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use semver::Version;
use serde::{Deserialize, Serialize};

use super::CatalogError;
use super::source::{Digest, Reference};
use crate::error::{Error, Explain};
use crate::files;
use crate::policy::Grants;
use crate::policy::manifest::is_name;

/// Its name, beside the project's `ringfence.toml`.
pub const LOCK_FILE: &str = "ringfence.lock";

/// The version of the form.
const FORM: u32 = 1;

/// No project has more to lock.
const MOST_BYTES: u64 = 4 << 20;

const HEAD: &str =
    "# Written by `ringfence add` and `ringfence update`. Commit it; `ringfence sync` installs what it names.\n";

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    skills: BTreeMap<String, Locked>,
}

/// One skill of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Locked {
    pub name: String,
    pub version: Version,
    /// What was asked for.
    pub reference: String,
    /// What names the same for ever, where there is such a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// Of the component.
    pub digest: Digest,
    /// Who signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// The version of the interface that it is written for; a plain component is written for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wit: Option<Version>,
    /// Of what was granted to it when it was locked.
    pub grants: Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    #[serde(default, rename = "skill", skip_serializing_if = "Vec::is_empty")]
    skills: Vec<Locked>,
}

/// The digest of grants, whoever holds them.
#[must_use]
pub fn digest_of(grants: &Grants) -> Digest {
    let mut words = grants.words();
    words.sort();
    Digest::of(words.join("\n").as_bytes())
}

impl Lock {
    /// Reads the file in `folder`; None where there is none.
    pub fn read(folder: &Path) -> Result<Option<Self>, Error> {
        Self::read_at(folder, When::Before)
    }

    fn read_at(folder: &Path, when: When) -> Result<Option<Self>, Error> {
        let path = folder.join(LOCK_FILE);
        let bytes = match super::read_component(&path, MOST_BYTES) {
            Ok(bytes) => bytes,
            Err(CatalogError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let wrong = |reason: &str| LockError { path: path.clone(), line: 1, reason: reason.to_owned(), when };
        if bytes.len() as u64 > MOST_BYTES {
            return Err(wrong("it is longer than any lock").into());
        }
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is no text"))?;
        Ok(Some(Self::parse(&path, &text).map_err(|error| LockError { when, ..error })?))
    }

    /// Reads a text. `path` is named by errors.
    pub fn parse(path: &Path, text: &str) -> Result<Self, LockError> {
        let wrong = |line: usize, reason: String| LockError { path: path.to_owned(), line, reason, when: When::Before };
        let is_marker =
            |line: &str| ["<<<<<<<", "=======", ">>>>>>>", "|||||||"].iter().any(|mark| line.starts_with(mark));
        if let Some(at) = text.lines().position(is_marker) {
            return Err(wrong(at + 1, "two versions of it were merged, and the conflict still stands here".into()));
        }
        let line_of = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
        // Before the rest: a later form may have anything in it.
        let table: toml::Table = toml::from_str(text)
            .map_err(|error| wrong(line_of(error.span().map_or(0, |span| span.start)), error.message().to_owned()))?;
        match table.get("version").and_then(toml::Value::as_integer) {
            Some(found) if found == i64::from(FORM) => {}
            Some(found) => {
                let place = text.lines().position(|line| line.trim_start().starts_with("version")).unwrap_or_default();
                return Err(wrong(place + 1, format!("it is of version {found}, and {FORM} is the one that is known")));
            }
            None => return Err(wrong(1, "it does not say its `version`".into())),
        }
        let document: Document = toml::from_str(text)
            .map_err(|error| wrong(line_of(error.span().map_or(0, |span| span.start)), error.message().to_owned()))?;
        let mut skills = BTreeMap::new();
        let mut heads = text.lines().enumerate().filter(|(_, line)| line.trim() == "[[skill]]");
        for skill in document.skills {
            let line = heads.next().map_or(1, |(line, _)| line + 1);
            if !is_name(&skill.name) {
                return Err(wrong(line, format!("`{}` is no name of a skill", crate::plain::line(&skill.name, 80).0)));
            }
            for text in [Some(&skill.reference), skill.exact.as_ref()].into_iter().flatten() {
                Reference::parse(text, |_| false).map_err(|error| wrong(line, error.to_string()))?;
            }
            let name = skill.name.clone();
            if skills.insert(name.clone(), skill).is_some() {
                return Err(wrong(line, format!("`{name}` stands in it twice")));
            }
        }
        Ok(Self { skills })
    }

    /// As it is written: the same lock is the same text.
    #[must_use]
    pub fn text(&self) -> String {
        let document = Document { version: FORM, skills: self.skills.values().cloned().collect() };
        // Serialising our own plain structures cannot fail.
        format!("{HEAD}{}", toml::to_string(&document).unwrap_or_default())
    }

    /// Writes the file in `folder`: a reader sees the old one or the new one, whole, whatever happens meanwhile.
    pub fn write(&self, folder: &Path) -> Result<(), CatalogError> {
        let path = folder.join(LOCK_FILE);
        let failed = |error: std::io::Error| CatalogError::writing(path.clone(), &error);
        // It is for everybody who works on the project, unlike the rest of what is written here.
        files::write_shared(&path, self.text().as_bytes()).map_err(failed)
    }

    /// Changes the file in `folder` as it is by now, in the turn of those who do: what another process has written since somebody read it
    /// stays. Where `change` says that nothing is different, nothing is written. Gives the lock that is there then.
    pub fn change(folder: &Path, change: impl FnOnce(&mut Self) -> bool) -> Result<Self, Error> {
        let path = folder.join(LOCK_FILE);
        let turn = files::SharedTurn::take(&path);
        let mut lock = Self::read_at(folder, When::After)?.unwrap_or_default();
        if change(&mut lock) {
            turn.write(lock.text().as_bytes()).map_err(|error| CatalogError::writing(path.clone(), &error))?;
        }
        Ok(lock)
    }

    /// Removes what writers that were killed have left beside the file in `folder`. Says how many bytes that was.
    #[must_use]
    pub fn clean(folder: &Path) -> u64 {
        files::clean_shared(&folder.join(LOCK_FILE))
    }

    pub fn skills(&self) -> impl Iterator<Item = &Locked> {
        self.skills.values()
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Locked> {
        self.skills.get(name)
    }

    /// Puts an entry in the place of one of its name. Says whether anything is different then.
    pub fn put(&mut self, skill: Locked) -> bool {
        let before = self.skills.insert(skill.name.clone(), skill.clone());
        before.as_ref() != Some(&skill)
    }

    /// Says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        self.skills.remove(name).is_some()
    }
}

/// A lock that cannot be read. It is never written anew by itself: what stood in it would be forgotten.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}: this lock cannot be read: {reason}", path.display())]
pub struct LockError {
    path: PathBuf,
    line: usize,
    reason: String,
    when: When,
}

/// When a lock is read.
#[derive(Clone, Copy, Debug)]
enum When {
    /// Before anything else happens.
    Before,
    /// After everything has, to write it down.
    After,
}

impl Explain for LockError {
    fn kind(&self) -> &'static str {
        "lock-invalid"
    }

    fn hint(&self) -> String {
        let then = match self.when {
            When::Before => "nothing was installed or written",
            When::After => "it was read once more to write down what was done: run the same again after that",
        };
        format!("correct that line or restore the file from the project's history; {then}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn locked(name: &str) -> Locked {
        Locked {
            name: name.into(),
            version: Version::new(1, 2, 3),
            reference: format!("oci://a.test/{name}:1.2.3"),
            exact: Some(format!("oci://a.test/{name}@{}", Digest::of(b"manifest"))),
            digest: Digest::of(name.as_bytes()),
            signer: None,
            wit: Some(Version::new(0, 1, 0)),
            grants: digest_of(&Grants::default()),
        }
    }

    fn lock(names: &[&str]) -> Lock {
        let mut lock = Lock::default();
        for name in names {
            lock.put(locked(name));
        }
        lock
    }

    fn parse(text: &str) -> Result<Lock, String> {
        Lock::parse(Path::new("ringfence.lock"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_was_written_is_read_again() {
        for names in [&[][..], &["b", "a"]] {
            let lock = lock(names);
            assert_eq!(parse(&lock.text()).unwrap(), lock);
            assert_eq!(parse(&lock.text()).unwrap().text(), lock.text());
        }
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Lock::read(dir.path()).unwrap(), None);
        lock(&["a"]).write(dir.path()).unwrap();
        assert_eq!(Lock::read(dir.path()).unwrap(), Some(lock(&["a"])));
        let mut lock = lock(&["a"]);
        assert!(!lock.put(locked("a")));
        assert!(lock.put(Locked { version: Version::new(2, 0, 0), ..locked("a") }));
        assert!(lock.remove("a") && !lock.remove("a"));
    }

    #[test]
    fn those_who_change_a_lock_at_once_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<String> = (0..16).map(|n| format!("skill-{n:02}")).collect();
        std::thread::scope(|scope| {
            for name in &names {
                let folder = dir.path();
                scope.spawn(move || Lock::change(folder, |lock| lock.put(locked(name))).unwrap());
            }
        });
        let there = Lock::read(dir.path()).unwrap().unwrap();
        assert_eq!(there.skills().map(|one| one.name.clone()).collect::<Vec<_>>(), names);
        // What says that nothing is different writes nothing.
        std::fs::remove_file(dir.path().join(LOCK_FILE)).unwrap();
        assert_eq!(Lock::change(dir.path(), |lock| lock.remove("a")).unwrap(), Lock::default());
        assert_eq!(Lock::read(dir.path()).unwrap(), None);
        // One that was damaged meanwhile stays as it is, and who has done something already is not told that nothing was done.
        std::fs::write(dir.path().join(LOCK_FILE), "version = 1\n<<<<<<< HEAD\n").unwrap();
        let error = Lock::change(dir.path(), |lock| lock.put(locked("a"))).unwrap_err();
        assert!(error.kind() == "lock-invalid" && error.hint().contains("run the same again"), "{error}");
        assert!(!error.hint().contains("nothing was installed"));
        assert!(std::fs::read_to_string(dir.path().join(LOCK_FILE)).unwrap().contains("HEAD"));
    }

    #[test]
    fn t107_a_lock_that_was_touched_is_refused_with_its_line() {
        let text = lock(&["a", "b"]).text();
        let second = text.lines().position(|line| line == "name = \"b\"").unwrap();
        let name = second + 1;
        for (from, to, line, word) in [
            ("version = 1", "version = 2", 2, "version 2"),
            ("version = 1\n", "", 1, "`version`"),
            ("version = 1", "version = 1\n<<<<<<< HEAD", 3, "conflict"),
            ("version = 1", "=======", 2, "conflict"),
            ("name = \"b\"", "name = \"a\"", name - 1, "twice"),
            ("name = \"b\"", "name = \"../b\"", name - 1, "no name"),
            ("name = \"b\"", "name = \"b", name, "string"),
            ("name = \"b\"", "name = \"b\"\nrights = \"all\"", name + 1, "rights"),
            ("oci://a.test/b:1.2.3", "ftp://a.test/b", name - 1, "ftp://"),
            (&format!("digest = \"{}\"\n", Digest::of(b"b")), "", name - 1, "digest"),
            (&format!("digest = \"{}", Digest::of(b"b")), "digest = \"sha256:12", name + 4, "64 hexadecimal"),
        ] {
            assert!(text.contains(from), "{from}");
            let error = parse(&text.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(word), "{to:?}: {error}");
            assert!(error.starts_with(&format!("ringfence.lock:{line}: ")), "{to:?} is in line {line}: {error}");
        }
    }

    /// Whatever a killed writer without our care would leave: a beginning of the file.
    /// One that looked for each entry from the top would take minutes of it.
    #[test]
    fn t107_a_lock_as_long_as_may_be_is_read_once() {
        let names: Vec<String> = (0..9_000).map(|n| format!("a{n}")).collect();
        let text = lock(&names.iter().map(String::as_str).collect::<Vec<_>>()).text();
        assert!(text.len() as u64 <= MOST_BYTES && text.len() > 2 << 20, "{}", text.len());
        assert_eq!(parse(&text).unwrap().skills().count(), 9_000);
        let last = text.lines().enumerate().filter(|(_, line)| *line == "[[skill]]").last().unwrap().0 + 1;
        let at = text.rfind("name = \"").unwrap();
        let error = parse(&format!("{}name = \"A{}", &text[..at], &text[at + 9..])).unwrap_err();
        assert!(error.starts_with(&format!("ringfence.lock:{last}: ")), "{error}");
    }

    #[test]
    fn t107_no_beginning_of_a_lock_has_half_an_entry() {
        let whole = lock(&["a", "b"]);
        let text = whole.text();
        for end in 0..text.len() {
            if let Ok(found) = parse(&text[..end]) {
                assert!(found.skills().all(|one| whole.get(&one.name) == Some(one)), "{end}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in "\\PC{0,200}") {
            drop(parse(&text));
            drop(parse(&format!("version = 1\n[[skill]]\n{text}")));
        }
    }
}
