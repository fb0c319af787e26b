//! How a person names a skill that is to come from somewhere.

use std::fmt;
use std::path::{Path, PathBuf};

use semver::VersionReq;

use super::digest::Digest;
use super::error::SourceError;
use crate::net::{Host, Target};
use crate::policy::manifest::is_name;

/// Longest name of a repository with its registry, as the distribution specification recommends.
const LONGEST_REPOSITORY: usize = 255;
const LONGEST_TAG: usize = 128;

/// Where a skill comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A folder or a file on this machine.
    Path(PathBuf),
    /// One file on a server.
    Https(WebFile),
    /// An artefact in an OCI registry.
    Oci(Artifact),
    /// A name in the index that is configured.
    Named(Named),
}

/// `https://HOST/PATH`, with `#sha256=HEX` for what its bytes have to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebFile {
    pub target: Target,
    pub digest: Option<Digest>,
}

/// `oci://REGISTRY/NAME`, with `:TAG` or `@sha256:HEX`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The root of the registry: HTTPS, or HTTP on this machine.
    pub registry: Target,
    pub repository: String,
    pub at: At,
}

/// Which manifest of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// What its publisher may move.
    Tag(String),
    /// What nobody can change.
    Digest(Digest),
}

/// `NAME` or `NAME@VERSION`, where the version is a requirement as Cargo has it: `1.2` is `^1.2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub version: VersionReq,
}

impl Reference {
    /// Reads what somebody wrote. `is_dir` says whether it names a folder that is there: one without any `/` is as good a path as a
    /// name, and it is the path that counts.
    pub fn parse(text: &str, is_dir: impl FnOnce(&Path) -> bool) -> Result<Self, SourceError> {
        let wrong = |reason: String| SourceError::Reference { text: shown(text), reason };
        if text.is_empty() {
            return Err(wrong("it is empty".into()));
        }
        if let Some(rest) = text.strip_prefix("oci://") {
            return Artifact::read(rest).map(Self::Oci).map_err(wrong);
        }
        if text.starts_with("https://") || text.starts_with("http://") {
            return WebFile::read(text).map(Self::Https).map_err(wrong);
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(wrong(format!("`{}://` is not fetched from: write https:// or oci://", shown(scheme))));
        }
        let path = Path::new(text);
        if text.contains('/') || text.starts_with('.') || text.ends_with(".wasm") || is_dir(path) {
            return Ok(Self::Path(path.to_owned()));
        }
        Named::read(text).map(Self::Named).map_err(wrong)
    }

    /// Whether only other bytes than a person chose could be behind it later.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        match self {
            Self::Https(file) => file.digest.is_some(),
            Self::Oci(artifact) => matches!(artifact.at, At::Digest(_)),
            Self::Path(_) | Self::Named(_) => false,
        }
    }
}

impl WebFile {
    fn read(text: &str) -> Result<Self, String> {
        let (url, fragment) = match text.split_once('#') {
            Some((url, fragment)) => (url, Some(fragment)),
            None => (text, None),
        };
        let target = Target::parse(url).map_err(|refusal| refusal.to_string())?;
        encrypted(&target)?;
        let digest = fragment.map(|fragment| match fragment.strip_prefix("sha256=") {
            Some(hex) => Digest::parse(&format!("sha256:{hex}")),
            None => Err("behind `#` stands `sha256=` and 64 hexadecimal digits, or nothing".into()),
        });
        Ok(Self { target, digest: digest.transpose()? })
    }

    /// The name of the file without its end.
    #[must_use]
    pub fn stem(&self) -> String {
        let last = self.target.url().path().rsplit('/').next().unwrap_or_default();
        last.strip_suffix(".wasm").unwrap_or(last).to_owned()
    }
}

impl Artifact {
    /// Reads what stands behind `oci://`.
    fn read(text: &str) -> Result<Self, String> {
        let (registry, rest) = text.split_once('/').ok_or("behind the registry stands `/` and a name")?;
        let registry = registry_of(registry)?;
        let (repository, at) = match rest.split_once('@') {
            Some((repository, digest)) => (repository, At::Digest(Digest::parse(digest)?)),
            None => match rest.split_once(':') {
                Some((repository, tag)) => (repository, At::Tag(tag.to_owned())),
                None => (rest, At::Tag("latest".into())),
            },
        };
        if repository.contains(':') {
            return Err("it has a tag and a digest: write one of the two".into());
        }
        is_repository(repository)?;
        let length = registry.origin().to_string().len() + repository.len();
        if length > LONGEST_REPOSITORY {
            return Err(format!("registry and name have {length} characters, of at most {LONGEST_REPOSITORY}"));
        }
        if let At::Tag(tag) = &at {
            is_tag(tag)?;
        }
        Ok(Self { registry, repository: repository.to_owned(), at })
    }

    /// The last part of its name.
    #[must_use]
    pub fn stem(&self) -> String {
        self.repository.rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// The same repository, somewhere else in it.
    #[must_use]
    pub fn with(&self, at: At) -> Self {
        Self { at, ..self.clone() }
    }

    /// The registry as Docker's configuration names it.
    #[must_use]
    pub fn authority(&self) -> String {
        let origin = self.registry.origin().to_string();
        origin.split_once("://").map_or(origin.clone(), |(_, rest)| rest.to_owned())
    }
}

/// A registry on this machine is spoken to in the clear, as everybody's tools do; every other one by TLS.
fn registry_of(authority: &str) -> Result<Target, String> {
    if authority.is_empty() || authority.contains(['@', '?', '#', '\\', '%']) {
        return Err("the registry is a host's name or address, and a port where it has one of its own".into());
    }
    let parse =
        |scheme: &str| Target::parse(&format!("{scheme}://{authority}/")).map_err(|refusal| refusal.to_string());
    let target = parse("https")?;
    if target.host().is_this_machine() { parse("http") } else { Ok(target) }
}

fn encrypted(target: &Target) -> Result<(), String> {
    match target.origin().tls || target.host().is_this_machine() {
        true => Ok(()),
        false => {
            Err(format!("plain http is only for this machine, and `{}` is another: write https://", target.host()))
        }
    }
}

/// Parts of lower case letters and digits between `/`, each with single separators inside.
fn is_repository(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("behind the registry stands the name of a repository".into());
    }
    for part in name.split('/') {
        if part.is_empty() {
            return Err(format!("`{}` has an empty part", shown(name)));
        }
        if let Some(c) = part.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-')) {
            return Err(format!(
                "`{}` has a {}: names of repositories are lower case letters, digits and `.`, `_`, `-` between them",
                shown(name),
                c.escape_debug()
            ));
        }
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let separators: Vec<&str> = part.split(inner).filter(|between| !between.is_empty()).collect();
        let single = |between: &str| matches!(between, "." | "_" | "__") || between.bytes().all(|b| b == b'-');
        let framed = part.starts_with(inner) && part.ends_with(inner);
        if !framed || !separators.iter().copied().all(single) {
            return Err(format!(
                "`{}` is no name of a repository: separators stand single, between letters or digits",
                shown(part)
            ));
        }
    }
    Ok(())
}

fn is_tag(tag: &str) -> Result<(), String> {
    let first = tag.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    let rest = tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    match first && rest && tag.len() <= LONGEST_TAG {
        true => Ok(()),
        false => Err(format!(
            "`{}` is no tag: up to {LONGEST_TAG} letters, digits, `_`, `.` and `-`, of which the last two do not begin it",
            shown(tag)
        )),
    }
}

impl Named {
    fn read(text: &str) -> Result<Self, String> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, version),
            None => (text, "*"),
        };
        if !is_name(name) {
            return Err(format!(
                "`{}` is no name: 1 to 64 lower case letters, digits and hyphens; a path contains a `/`",
                shown(name)
            ));
        }
        let version = VersionReq::parse(version)
            .map_err(|error| format!("`{}` is no version requirement: {error}", shown(version)))?;
        Ok(Self { name: name.to_owned(), version })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Https(file) => file.fmt(f),
            Self::Oci(artifact) => artifact.fmt(f),
            Self::Named(named) => named.fmt(f),
        }
    }
}

impl fmt::Display for WebFile {
    /// A name in another script is shown as what is connected to: in punycode.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.url().fmt(f)?;
        match &self.digest {
            Some(digest) => write!(f, "#sha256={}", digest.hex()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "oci://{}/{}", self.authority(), self.repository)?;
        match &self.at {
            At::Tag(tag) => write!(f, ":{tag}"),
            At::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.version == VersionReq::STAR { Ok(()) } else { write!(f, "@{}", self.version) }
    }
}

/// Whether a person named this server by its address, or as this machine: nothing was looked up that somebody else decides.
pub(super) fn is_literal(host: &Host) -> bool {
    matches!(host, Host::Address(_)) || host.is_this_machine()
}

/// The beginning of a text, without a password that stands before a host.
fn shown(text: &str) -> String {
    let hidden = text.split_once("://").and_then(|(scheme, rest)| {
        let (user, behind) = rest.split_once('@')?;
        (!user.contains(['/', '?', '#'])).then(|| format!("{scheme}://...@{behind}"))
    });
    crate::plain::line(hidden.as_deref().unwrap_or(text), 200).0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Reference, String> {
        Reference::parse(text, |path| path == Path::new("folder")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_reference_is_what_it_looks_like() {
        let hex = "0".repeat(64);
        for (text, shown) in [
            ("./x", "./x"),
            ("x.wasm", "x.wasm"),
            ("folder", "folder"),
            ("a/b", "a/b"),
            ("hello", "hello"),
            ("hello@*", "hello"),
            ("hello@1.2", "hello@^1.2"),
            ("hello@=1.2.3", "hello@=1.2.3"),
            ("https://a.test/x.wasm", "https://a.test/x.wasm"),
            ("https://A.test:443/x.wasm?y", "https://a.test/x.wasm?y"),
            ("http://127.0.0.1:5000/x.wasm", "http://127.0.0.1:5000/x.wasm"),
            ("https://аpple.com/x.wasm", "https://xn--pple-43d.com/x.wasm"),
            ("oci://ghcr.io/org/hello", "oci://ghcr.io/org/hello:latest"),
            ("oci://ghcr.io/org/hello:1.0", "oci://ghcr.io/org/hello:1.0"),
            ("oci://GHCR.io/a/b__c--d.e:x", "oci://ghcr.io/a/b__c--d.e:x"),
            ("oci://localhost:5000/x:y", "oci://localhost:5000/x:y"),
            ("oci://[::1]:5000/x:y", "oci://[::1]:5000/x:y"),
            ("oci://ghсr.io/x:y", "oci://xn--ghr-5ed.io/x:y"),
        ] {
            assert_eq!(read(text).map(|found| found.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for text in [format!("oci://a.test/x@sha256:{hex}"), format!("https://a.test/x#sha256={hex}")] {
            let found = read(&text).unwrap();
            assert_eq!((found.to_string(), found.is_pinned()), (text, true));
        }
        assert!(!read("oci://a.test/x:1").unwrap().is_pinned());
    }

    #[test]
    fn what_is_wrong_with_a_reference_is_said() {
        let both = format!("oci://a.test/x:1@sha256:{}", "0".repeat(64));
        for (text, word) in [
            ("", "empty"),
            ("Hello", "no name"),
            ("hello world", "no name"),
            ("hello@", "no version requirement"),
            ("hello@latest", "no version requirement"),
            ("ftp://a.test/x", "ftp://"),
            ("git+ssh://x", "write https:// or oci://"),
            ("http://a.test/x.wasm", "plain http"),
            ("http://192.168.0.1/x.wasm", "plain http"),
            ("https://me:pw@a.test/x", "URL"),
            ("https://a.test/x#md5=1", "sha256="),
            ("https://a.test/x#sha256=12", "64 hexadecimal"),
            ("oci://a.test", "stands `/`"),
            ("oci:///x", "host's name"),
            ("oci://me@a.test/x", "host's name"),
            ("oci://a_b.test/x", "no host name"),
            ("oci://a.test/", "name of a repository"),
            ("oci://a.test/X", "lower case"),
            ("oci://a.test/x//y", "empty part"),
            ("oci://a.test/../x", "separators"),
            ("oci://a.test/-x", "separators"),
            ("oci://a.test/a._b", "separators"),
            ("oci://a.test/x:", "no tag"),
            ("oci://a.test/x:.y", "no tag"),
            ("oci://a.test/x:a/b", "no tag"),
            ("oci://a.test/x?y", "lower case"),
            ("oci://a.test/x@sha512:00", "`sha256:`"),
            (both.as_str(), "one of the two"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
            assert!(!error.contains("pw@"), "{error}");
        }
        assert!(read(&format!("oci://a.test/{}", "x".repeat(300))).unwrap_err().contains("at most 255"));
        assert!(read(&format!("oci://a.test/x:{}", "y".repeat(129))).unwrap_err().contains("no tag"));
    }

    proptest! {
        #[test]
        fn what_was_read_is_read_again_as_the_same(text in "(oci://|https://|http://)?[a-zA-Z0-9./:@#=_%-]{0,40}") {
            if let Ok(found) = read(&text) {
                let shown = found.to_string();
                prop_assert_eq!(read(&shown).map(|again| again.to_string()), Ok(shown));
            }
        }

        #[test]
        fn artefacts_are_read_as_they_are_shown(
            host in "[a-z0-9]{1,8}(\\.[a-z]{2,4}){1,2}(:[1-9][0-9]{1,3})?",
            name in "[a-z0-9]{1,6}([._-][a-z0-9]{1,4}){0,2}(/[a-z0-9]{1,6}){0,2}",
            tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,12}",
        ) {
            let text = format!("oci://{host}/{name}:{tag}");
            if let Ok(Reference::Oci(found)) = read(&text) {
                prop_assert_eq!(&found.repository, &name);
                prop_assert_eq!(&found.at, &At::Tag(tag));
                prop_assert_eq!(read(&found.to_string()), Ok(Reference::Oci(found)));
            }
        }

        #[test]
        fn no_text_is_too_odd(text in "\\PC{0,60}") {
            drop(read(&text));
            drop(read(&format!("oci://{text}")));
            drop(read(&format!("https://{text}")));
        }
    }
}
