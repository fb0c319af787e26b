//! Whether there is something newer than what is installed.

use semver::Version;

use super::digest::Digest;
use super::oci::Registry;
use super::reference::{At, Reference};
use super::{Fetched, Inner, Told};
use crate::error::Error;
use crate::step::Progress;

/// What is installed.
pub struct Held<'a> {
    pub version: &'a Version,
    /// Of the component.
    pub digest: &'a str,
}

/// What a source has now.
pub enum Newer {
    /// The same bytes as before.
    Same,
    /// It was named by its digest, so it is never another.
    Pinned,
    /// Something else.
    There(Box<Other>),
}

/// Something else than what is installed.
pub struct Other {
    pub reference: Reference,
    /// As far as its source tells.
    pub version: Option<Version>,
    /// Of the component.
    pub digest: Digest,
    /// Where nothing could be told without fetching it.
    pub fetched: Option<Fetched>,
}

impl Inner {
    pub(super) async fn newer(
        &self,
        source: &Reference,
        held: &Held<'_>,
        progress: Option<Progress>,
    ) -> Result<Newer, Error> {
        if source.is_pinned() {
            return Ok(Newer::Pinned);
        }
        let told = Told { what: source.to_string(), progress };
        let fetched = match source {
            Reference::Oci(artifact) => {
                let registry = Registry::of(self, artifact, true, false)?;
                let artifact = match &artifact.at {
                    At::Tag(tag) if super::oci::version_of(tag).is_some() => {
                        let newest = newest(registry.versions().await?, held.version);
                        newest.map_or_else(|| artifact.clone(), |tag| artifact.with(At::Tag(tag)))
                    }
                    _ => artifact.clone(),
                };
                let found = Registry::of(self, &artifact, true, false)?.find().await?;
                let digest = found.component().clone();
                if digest.as_str() == held.digest {
                    return Ok(Newer::Same);
                }
                let reference = Reference::Oci(artifact);
                return Ok(Newer::There(Box::new(Other { reference, version: found.version, digest, fetched: None })));
            }
            Reference::Path(path) => self.file(path)?,
            Reference::Https(file) => {
                let named = Some(file.target.origin());
                let Some(fetched) = self.newer_web_file(file, named, held.digest, &told).await? else {
                    return Ok(Newer::Same);
                };
                fetched
            }
            Reference::Named(named) => return Err(super::SourceError::NoIndex { name: named.name.clone() }.into()),
        };
        if fetched.digest.as_str() == held.digest {
            return Ok(Newer::Same);
        }
        let (reference, digest) = (source.clone(), fetched.digest.clone());
        Ok(Newer::There(Box::new(Other { reference, version: None, digest, fetched: Some(fetched) })))
    }
}

/// The tag of the highest version above `held`; one that is no release counts only for who has such a one.
fn newest(tags: Vec<(Version, String)>, held: &Version) -> Option<String> {
    let fits = |version: &Version| version > held && (version.pre.is_empty() || !held.pre.is_empty());
    tags.into_iter().filter(|(version, _)| fits(version)).max_by(|a, b| a.0.cmp(&b.0)).map(|(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_is_found_and_no_older_one() {
        let tags = |names: &[&str]| -> Vec<(Version, String)> {
            names.iter().filter_map(|tag| Some((super::super::oci::version_of(tag)?, (*tag).to_owned()))).collect()
        };
        let all = tags(&["latest", "1.0.0", "v1.10.0", "1.9.0", "2.0.0-rc.1", "x1.2.3"]);
        let newest = |held: &str| super::newest(all.clone(), &Version::parse(held).unwrap());
        assert_eq!(newest("1.0.0").as_deref(), Some("v1.10.0"));
        assert_eq!(newest("1.10.0"), None);
        assert_eq!(newest("2.0.0-beta").as_deref(), Some("2.0.0-rc.1"));
        assert_eq!(newest("3.0.0"), None);
    }
}
