//! The index: a document that says which skills there are, where their releases lie, and what their bytes have to be.
//!
//! It is fetched in whole, and is one file: a mix of old and new parts cannot be served. It has an end (`expires`), so that an old one
//! is noticed, and a serial that only grows, so that a host takes no older one than it has seen.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use semver::{Version, VersionReq};
use serde::{Deserialize, Serialize};

use super::Inner;
use super::digest::Digest;
use super::error::SourceError;
use super::fetch::Told;
use super::https::Got;
use super::reference::{Named, Reference};
use crate::catalog::signature::{Format, SIGNATURE_BYTES, Signer, check_bytes};
use crate::catalog::{CatalogError, read_component};
use crate::error::{Error, Explain};
use crate::policy::manifest::is_name;
use crate::step::Progress;

const MOST_BYTES: u64 = 16 << 20;
const MOST_SKILLS: usize = 100_000;
const MOST_RELEASES: usize = 1_000;
/// Longest version behind its three numbers: it is shown.
const MOST_VERSION: usize = 128;

/// Largest serial: what fits into the state and into every language's whole numbers. An index that jumps to the end could never
/// be followed by another, which whoever publishes it does to themselves alone.
const MOST_SERIAL: u64 = 1 << 53;

/// Days behind `expires` from which a person is warned, and from which nothing is installed.
const WARNED_DAYS: i64 = 7;
const REFUSED_DAYS: i64 = 30;

/// The file in a folder that is named as an index.
const FILES: [&str; 2] = ["index.toml", "index.json"];

/// An index that was read.
#[derive(Clone, Debug)]
pub struct Index {
    place: String,
    local: bool,
    serial: u64,
    expires: Timestamp,
    digest: Digest,
    skills: Vec<Listed>,
}

/// A skill of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Listed {
    pub name: String,
    pub description: String,
    /// The key of its publisher, as the index has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// How often it was installed, as far as whoever publishes the index counts.
    pub installs: u64,
    /// The newest first.
    pub releases: Vec<Release>,
}

/// One version of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Release {
    pub version: Version,
    #[serde(serialize_with = "as_text")]
    pub reference: Reference,
    /// Of the component.
    pub digest: Digest,
    /// Taken back by its publisher: found by nobody, and left alone where it is installed.
    pub yanked: bool,
}

fn as_text<S: serde::Serializer>(reference: &Reference, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(reference)
}

/// What a host remembers of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub serial: u64,
    /// Of the document.
    pub digest: String,
}

/// How old an index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    Fresh,
    /// Its end lies so many days back.
    Stale(i64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    format: u32,
    serial: u64,
    /// As RFC 3339 has it.
    expires: String,
    #[serde(default, rename = "skill")]
    skills: Vec<Skill>,
}

// What a later version adds is passed over here, so that an index can serve both; the frame above is strict.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Skill {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    publisher: Option<String>,
    #[serde(default)]
    installs: u64,
    #[serde(default, rename = "release")]
    releases: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Entry {
    version: Version,
    reference: String,
    digest: Digest,
    #[serde(default)]
    yanked: bool,
}

impl Index {
    /// Largest one in bytes.
    pub(crate) const MOST_BYTES: u64 = MOST_BYTES;

    /// Reads a document. `place` is where it came from; `folder` is what paths in it are relative to, for one on this machine.
    pub fn parse(place: &str, folder: Option<&Path>, bytes: &[u8]) -> Result<Self, IndexError> {
        // Parts of it are a stranger's words, and may be as long as the document.
        let wrong = |reason: String| IndexError::Invalid {
            place: place.to_owned(),
            reason: crate::plain::line(&reason, 500).0,
        };
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is no text".into()))?;
        let document: Document = match text.trim_start().starts_with('{') {
            true => serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?,
            false => toml::from_str(text).map_err(|error| wrong(place_in(text, &error)))?,
        };
        if document.format != 1 {
            return Err(wrong(format!("it is of format {}, and 1 is the one that is known", document.format)));
        }
        if document.serial > MOST_SERIAL {
            return Err(wrong(format!("its serial is {}, of at most {MOST_SERIAL}", document.serial)));
        }
        if document.skills.len() > MOST_SKILLS {
            return Err(wrong(format!("it lists {} skills, of at most {MOST_SKILLS}", document.skills.len())));
        }
        let read = |skill: Skill| listed(skill, folder).map_err(wrong);
        let mut skills = document.skills.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        skills.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(two) = skills.windows(2).find(|two| two[0].name == two[1].name) {
            return Err(wrong(format!("it lists `{}` twice", two[0].name)));
        }
        let expires = document.expires.parse();
        let expires = expires.map_err(|error| wrong(format!("its `expires` is no time: {error}")))?;
        let serial = document.serial;
        Ok(Self {
            place: place.to_owned(),
            local: folder.is_some(),
            serial,
            expires,
            digest: Digest::of(bytes),
            skills,
        })
    }

    /// Where it came from.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Whether it lies on this machine, where nobody but its person writes.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.local
    }

    #[must_use]
    pub fn seen(&self) -> Seen {
        Seen { serial: self.serial, digest: self.digest.to_string() }
    }

    /// Whether it may follow what was seen before.
    pub fn follows(&self, seen: &Seen) -> Result<(), IndexError> {
        let rollback = |reason: String| Err(IndexError::Rollback { place: self.place.clone(), reason });
        if self.serial < seen.serial {
            return rollback(format!("its serial is {}, and {} was seen before", self.serial, seen.serial));
        }
        if self.serial == seen.serial && self.digest.as_str() != seen.digest {
            return rollback(format!(
                "it is another document than was seen before, with the same serial {}",
                self.serial
            ));
        }
        Ok(())
    }

    /// How old it is. An error where nothing may be installed from it any more.
    pub fn age(&self, now: Timestamp) -> Result<Age, IndexError> {
        let over = now.duration_since(self.expires);
        let days = over.as_hours() / 24;
        if over > SignedDuration::from_hours(24 * REFUSED_DAYS) {
            return Err(IndexError::Expired { place: self.place.clone(), expires: self.expires, days });
        }
        Ok(if over > SignedDuration::from_hours(24 * WARNED_DAYS) { Age::Stale(days) } else { Age::Fresh })
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Listed> {
        self.skills.binary_search_by(|skill| skill.name.as_str().cmp(name)).ok().and_then(|at| self.skills.get(at))
    }

    /// The newest release that a name asks for.
    pub fn find(&self, named: &Named) -> Result<(&Listed, &Release), IndexError> {
        let Some(skill) = self.get(&named.name) else {
            let near = super::alike(&named.name, self.skills.iter().map(|skill| skill.name.as_str()));
            return Err(IndexError::Unknown { place: self.place.clone(), name: named.name.clone(), near });
        };
        let release = skill.newest(&named.version).ok_or_else(|| IndexError::NoVersion {
            name: named.name.clone(),
            wanted: named.version.to_string(),
            there: skill.releases.iter().filter(|one| !one.yanked).map(|one| one.version.to_string()).collect(),
        })?;
        Ok((skill, release))
    }

    /// The skills whose name or description has all of the words, the most installed first.
    #[must_use]
    pub fn search(&self, words: &[String]) -> Vec<&Listed> {
        let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
        let fits = |skill: &&Listed| {
            let text = format!("{} {}", skill.name, skill.description).to_lowercase();
            words.iter().all(|word| text.contains(word.as_str()))
        };
        let mut found: Vec<_> = self.skills.iter().filter(fits).collect();
        found.sort_by_key(|skill| std::cmp::Reverse(skill.installs));
        found
    }

    /// Better known skills that a name of this index could be meant for: installed at least ten times as often.
    #[must_use]
    pub fn better_known(&self, name: &str) -> Vec<String> {
        let own = self.get(name).map_or(0, |skill| skill.installs);
        let known = self.skills.iter().filter(|skill| skill.installs >= own.saturating_mul(10).max(1));
        super::alike(name, known.map(|skill| skill.name.as_str()))
    }
}

impl Listed {
    /// The newest release that fits and was not taken back.
    #[must_use]
    pub fn newest(&self, wanted: &VersionReq) -> Option<&Release> {
        self.releases.iter().find(|release| !release.yanked && wanted.matches(&release.version))
    }
}

/// What is wrong with TOML, and in which line.
fn place_in(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    format!("line {}: {}", before.matches('\n').count() + 1, error.message().replace('\n', ", "))
}

fn listed(skill: Skill, folder: Option<&Path>) -> Result<Listed, String> {
    let name = crate::plain::line(&skill.name, 80).0;
    if !is_name(&skill.name) {
        return Err(format!("`{name}` is no name of a skill"));
    }
    if skill.releases.len() > MOST_RELEASES {
        return Err(format!("`{name}` has {} releases, of at most {MOST_RELEASES}", skill.releases.len()));
    }
    let mut releases = Vec::with_capacity(skill.releases.len());
    for entry in skill.releases {
        if entry.version.pre.len() + entry.version.build.len() > MOST_VERSION {
            return Err(format!("`{name}` has a version of more than {MOST_VERSION} characters"));
        }
        let reference = Reference::parse(&entry.reference, |_| false).map_err(|error| format!("`{name}`: {error}"))?;
        let reference = match (reference, folder) {
            (Reference::Path(path), Some(folder)) => Reference::Path(folder.join(path)),
            // A server has no say in what is read on this machine.
            (Reference::Path(_) | Reference::Named(_), _) => {
                return Err(format!("`{name}` {} lies nowhere that can be fetched from", entry.version));
            }
            (reference, _) => reference,
        };
        releases.push(Release { version: entry.version, reference, digest: entry.digest, yanked: entry.yanked });
    }
    releases.sort_by(|a, b| b.version.cmp(&a.version));
    if let Some(two) = releases.windows(2).find(|two| two[0].version == two[1].version) {
        return Err(format!("`{name}` has {} twice", two[0].version));
    }
    let description = crate::plain::line(&skill.description, 1_000).0;
    let publisher = skill.publisher.map(|key| crate::plain::line(&key, 400).0);
    Ok(Listed { name: skill.name, description, publisher, installs: skill.installs, releases })
}

impl Inner {
    pub(super) async fn index(&self, place: &str, progress: Option<Progress>) -> Result<Index, Error> {
        let reference = Reference::parse(place, |_| true)?;
        match &reference {
            Reference::Path(path) => {
                let inside = || FILES.iter().map(|name| path.join(name)).find(|file| file.is_file());
                let file = if path.is_dir() { inside().unwrap_or_else(|| path.join(FILES[0])) } else { path.clone() };
                let bytes = match read_component(&file, MOST_BYTES) {
                    Err(CatalogError::NotFound(file)) => {
                        return Err(IndexError::Missing { place: place.to_owned(), file }.into());
                    }
                    read => read?,
                };
                if bytes.len() as u64 > MOST_BYTES {
                    let actual = Some(bytes.len() as u64);
                    return Err(SourceError::TooLarge { what: place.to_owned(), limit: MOST_BYTES, actual }.into());
                }
                if let Some(key) = self.index_key(place)? {
                    let beside = Format::Minisign.beside(&file);
                    let signature =
                        beside.is_file().then(|| read_component(&beside, SIGNATURE_BYTES as u64)).transpose()?;
                    signed(place, &bytes, signature.as_deref(), &key)?;
                }
                Ok(Index::parse(place, Some(file.parent().unwrap_or(Path::new("."))), &bytes)?)
            }
            Reference::Https(file) => {
                let told = Told { what: place.to_owned(), progress };
                let named = super::origin_of(&reference);
                let kept = self.known.get(&file.target).and_then(|known| {
                    let bytes = self.known.bytes(&file.target, &known, MOST_BYTES)?;
                    Some((known, bytes))
                });
                let known = kept.as_ref().map(|(known, _)| known);
                let bytes = match (self.ask(&file.target, named, MOST_BYTES, &told, known).await?, kept) {
                    (Got::Bytes { bytes, tag }, _) => {
                        self.known.put(&file.target, tag.as_deref(), &Digest::of(&bytes), Some(&bytes));
                        bytes
                    }
                    (Got::Same, Some((_, bytes))) => bytes,
                    (Got::Same | Got::Nothing, _) => return Err(SourceError::Missing { what: place.to_owned() }.into()),
                };
                if let Some(key) = self.index_key(place)? {
                    let beside = super::https::beside(&file.target, Format::Minisign);
                    let signature = match beside {
                        Some(beside) => self.download(&beside, named, SIGNATURE_BYTES as u64, &Told::default()).await?,
                        None => None,
                    };
                    signed(place, &bytes, signature.as_deref(), &key)?;
                }
                Ok(Index::parse(place, None, &bytes)?)
            }
            Reference::Oci(_) | Reference::Named(_) => {
                let reason = "an index is an https URL, a file or a folder".into();
                Err(SourceError::Reference { text: place.to_owned(), reason }.into())
            }
        }
    }
}

impl Inner {
    /// Whose signature an index has to have.
    fn index_key(&self, place: &str) -> Result<Option<Signer>, IndexError> {
        let Some(text) = &self.settings.index_key else { return Ok(None) };
        let key = Signer::parse(text).ok().filter(|key| matches!(key, Signer::Minisign { .. }));
        key.map(Some).ok_or_else(|| IndexError::Key { place: place.to_owned() })
    }
}

fn signed(place: &str, bytes: &[u8], signature: Option<&[u8]>, key: &Signer) -> Result<(), IndexError> {
    let place = place.to_owned();
    let Some(signature) = signature else { return Err(IndexError::Unsigned { place }) };
    check_bytes(signature, bytes, key).map_err(|flaw| IndexError::Signature { place, reason: flaw.to_string() })
}

/// Why an index is not used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    #[error("the index {place} cannot be read: {reason}")]
    Invalid { place: String, reason: String },
    #[error("the index {place} is not there: there is no `{file}`")]
    Missing { place: String, file: String },
    #[error("the index {place} is refused: {reason}")]
    Rollback { place: String, reason: String },
    #[error("the index {place} has expired at {expires}, {days} days ago: somebody may be keeping newer ones back")]
    Expired { place: String, expires: Timestamp, days: i64 },
    #[error("`catalog.index-key` is no public key, so the index {place} cannot be checked")]
    Key { place: String },
    #[error("the index {place} is not signed")]
    Unsigned { place: String },
    #[error("the signature of the index {place} does not hold: {reason}")]
    Signature { place: String, reason: String },
    #[error("the index {place} has no `{name}`")]
    Unknown { place: String, name: String, near: Vec<String> },
    #[error("`{name}` has no version {wanted}")]
    NoVersion { name: String, wanted: String, there: Vec<String> },
}

impl Explain for IndexError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "index-invalid",
            Self::Rollback { .. } => "index-rollback",
            Self::Expired { .. } => "index-expired",
            Self::Key { .. } => "config-invalid",
            Self::Unsigned { .. } => "unsigned",
            Self::Signature { .. } => "signature-invalid",
            Self::Missing { .. } | Self::Unknown { .. } | Self::NoVersion { .. } => "not-found",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Invalid { .. } => "tell whoever publishes it, or name another one by `catalog.index`".into(),
            Self::Missing { .. } => {
                "`catalog.index` in your own configuration names a file, a folder with index.toml in it, or an https URL; correct it"
                    .into()
            }
            Self::Rollback { .. } => {
                "an older index than you have seen hides updates; ask whoever publishes it, and install by `oci://` or \
                 `https://` meanwhile"
                    .into()
            }
            Self::Key { .. } => {
                "write it as minisign does, `RW...`: it is the second line of the publisher's .pub file".into()
            }
            Self::Unsigned { .. } => {
                "whoever publishes it puts its signature beside it, by `ringfence sign index.toml`; without \
                 `catalog.index-key` none is asked for"
                    .into()
            }
            Self::Signature { .. } => {
                "it was changed on its way, or has another publisher by now: ask them, and install nothing meanwhile"
                    .into()
            }
            Self::Expired { .. } => "ask whoever publishes it; `oci://` and `https://` need no index".into(),
            Self::Unknown { near, .. } if !near.is_empty() => format!("did you mean `{}`?", near.join("`, `")),
            Self::Unknown { .. } => {
                "`ringfence search WORD` says what there is; for a folder or a file write `./NAME`".into()
            }
            Self::NoVersion { there, .. } if there.is_empty() => "none of its releases is offered any more".into(),
            Self::NoVersion { there, .. } => {
                format!("there are: {}", there.iter().take(10).cloned().collect::<Vec<_>>().join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(serial: u64, expires: &str, more: &str) -> String {
        format!("format = 1\nserial = {serial}\nexpires = \"{expires}\"\n{more}")
    }

    fn skill(name: &str, releases: &[(&str, bool)]) -> String {
        let digest = Digest::of(name.as_bytes());
        let mut text = format!("[[skill]]\nname = \"{name}\"\ndescription = \"Does {name}.\"\n");
        for (version, yanked) in releases {
            text += &format!(
                "[[skill.release]]\nversion = \"{version}\"\nreference = \"oci://a.test/{name}:{version}\"\n\
                 digest = \"{digest}\"\nyanked = {yanked}\n"
            );
        }
        text
    }

    fn read(text: &str) -> Result<Index, String> {
        Index::parse("https://a.test/index.toml", None, text.as_bytes()).map_err(|error| error.to_string())
    }

    const LATER: &str = "2026-12-05T00:00:00Z";

    fn named(text: &str) -> Named {
        match Reference::parse(text, |_| false).unwrap() {
            Reference::Named(named) => named,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_are_found_by_version() {
        let releases = [("1.2.0", false), ("1.10.0", false), ("1.11.0", true), ("2.0.0-rc.1", false), ("0.9.0", false)];
        let index = read(&document(1, LATER, &(skill("hello", &releases) + &skill("other", &[])))).unwrap();
        let find = |text: &str| {
            index
                .find(&named(text))
                .map(|(_, one)| one.version.to_string())
                .map_err(|error| (error.to_string(), error.hint()))
        };
        assert_eq!(find("hello").unwrap(), "1.10.0", "neither what was taken back nor what is no release");
        assert_eq!(find("hello@1.2").unwrap(), "1.10.0");
        assert_eq!(find("hello@=1.2.0").unwrap(), "1.2.0");
        assert_eq!(find("hello@2.0.0-rc.1").unwrap(), "2.0.0-rc.1");
        assert!(find("hello@3").unwrap_err().1.contains("1.10.0"));
        assert!(find("helo").unwrap_err().1.contains("did you mean `hello`?"));
        assert!(find("other").unwrap_err().1.contains("none of its releases"));
        let words = |words: &[&str]| -> Vec<String> {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            index.search(&words).into_iter().map(|skill| skill.name.clone()).collect()
        };
        assert_eq!(words(&[]).len(), 2);
        assert_eq!(words(&["DOES", "hell"]), ["hello"]);
        assert!(words(&["nothing"]).is_empty());
    }

    #[test]
    fn json_is_as_good_and_unknown_frames_are_not() {
        let digest = Digest::of(b"x");
        let json = serde_json::json!({
            "format": 1, "serial": 3, "expires": LATER, "skill": [{ "name": "a", "later": 1, "release": [
                { "version": "1.0.0", "reference": "https://a.test/a.wasm", "digest": digest }] }],
        });
        assert_eq!(read(&json.to_string()).unwrap().get("a").unwrap().releases.len(), 1);
        let one = skill("a", &[("1.0.0", false)]);
        for (text, word) in [
            (String::new(), "format"),
            ("format = 2\nserial = 1\nexpires = \"2026-12-05T00:00:00Z\"".into(), "format 2"),
            (document(1, LATER, "signed = true\n"), "signed"),
            (document(1, "tomorrow", ""), "expires"),
            (document(u64::MAX >> 1, LATER, ""), "serial"),
            (document(1, LATER, &(one.clone() + &one)), "twice"),
            (document(1, LATER, &skill("a", &[("1.0.0", false), ("1.0.0", true)])), "1.0.0 twice"),
            (document(1, LATER, &skill("A", &[])), "no name"),
            (document(1, LATER, &one.replace("oci://a.test/a:1.0.0", "/etc/passwd")), "lies nowhere"),
            (document(1, LATER, &one.replace("oci://a.test/a:1.0.0", "http://10.0.0.1/x.wasm")), "plain http"),
            (document(1, LATER, &one.replace("oci://a.test/a:1.0.0", "b@1")), "lies nowhere"),
            (document(1, LATER, &one.replace("sha256:", "md5:")), "sha256"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
        let local = one.replace("oci://a.test/a:1.0.0", "./a.wasm");
        let local = Index::parse("x", Some(Path::new("/srv")), document(1, LATER, &local).as_bytes()).unwrap();
        assert_eq!(local.get("a").unwrap().releases[0].reference.to_string(), "/srv/./a.wasm");
    }

    #[test]
    fn what_is_said_of_an_index_is_not_as_long_as_the_index() {
        let long = "x".repeat(100_000);
        let versioned = skill("a", &[("1.0.0", false)]).replace("\"1.0.0\"", &format!("\"1.0.0-{long}\""));
        for (text, word) in [
            (format!("a = {}", "[".repeat(100_000)), "line 1: "),
            (format!("format = 1\n\u{7}{long}"), "line 2: "),
            (document(1, &long, ""), "`expires`"),
            (format!("{{\"{long}\": 1}}"), "unknown field"),
            (document(1, LATER, &versioned), "128 characters"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.contains(word) && error.len() < 600 && !error.contains(char::is_control), "{error}");
        }
    }

    #[test]
    fn t105_an_older_index_and_two_of_one_serial_are_refused() {
        let index = |serial, more: &str| read(&document(serial, LATER, more)).unwrap();
        let seen = index(5, "").seen();
        assert!(index(5, "").follows(&seen).is_ok());
        assert!(index(6, &skill("a", &[])).follows(&seen).is_ok());
        for (other, word) in [(index(4, ""), "5 was seen"), (index(5, &skill("a", &[])), "same serial")] {
            let error = other.follows(&seen).unwrap_err();
            assert_eq!(error.kind(), "index-rollback");
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn t105_an_index_that_stays_the_same_for_too_long_is_noticed() {
        let index = read(&document(1, "2026-11-01T00:00:00Z", "")).unwrap();
        let age = |text: &str| index.age(text.parse().unwrap()).map_err(|error| error.kind());
        assert_eq!(age("2026-10-01T00:00:00Z"), Ok(Age::Fresh));
        assert_eq!(age("2026-11-07T23:00:00Z"), Ok(Age::Fresh));
        assert_eq!(age("2026-11-08T00:00:01Z"), Ok(Age::Stale(7)));
        assert_eq!(age("2026-11-30T23:00:00Z"), Ok(Age::Stale(29)));
        assert_eq!(age("2026-12-01T00:00:01Z"), Err("index-expired"));
    }

    #[test]
    fn t108_a_name_is_compared_with_better_known_ones() {
        let text = skill("githb", &[]) + &skill("github", &[]) + &skill("sheet", &[]);
        let text = text.replace("description = \"Does github.\"", "installs = 5000");
        let index = read(&document(1, LATER, &text)).unwrap();
        assert_eq!(index.better_known("githb"), ["github"]);
        assert!(index.better_known("github").is_empty() && index.better_known("sheet").is_empty());
    }
}
