//! Fetching: a manifest, the component that it names, and what refers to it.

use reqwest::StatusCode;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LINK};
use semver::Version;

use super::Registry;
use super::manifest::{self, Descriptor, INDEX, Index, MANIFEST};
use crate::catalog::signature::{SIGNATURE_BYTES, SIGNATURES, Signature};
use crate::catalog::source::digest::Digest;
use crate::catalog::source::error::SourceError;
use crate::catalog::source::fetch::{self, Partial, Sink as _, TRIES, Told};
use crate::catalog::source::reference::At;
use crate::catalog::source::wire::{Answer, Order};
use crate::net::Target;

/// Most tags, and most manifests that refer to another one, that are looked at.
const MOST_LISTED: usize = 10_000;

/// How many tags are asked for at once: some registries refuse a question for more.
const PAGE: usize = 1_000;

/// Most answers that one list may be spread over.
const MOST_PAGES: usize = 100;

/// What a repository has at a tag or digest.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Of the manifest.
    pub(crate) manifest: Digest,
    pub(super) layer: Descriptor,
    /// As its publisher annotated it.
    pub(crate) version: Option<Version>,
}

impl Found {
    /// Of the component.
    pub(crate) fn component(&self) -> &Digest {
        &self.layer.digest
    }
}

impl Registry<'_> {
    /// Looks at the manifest. Fetches nothing else.
    pub(crate) async fn find(&self) -> Result<Found, SourceError> {
        let what = self.artifact.to_string();
        let at = match &self.artifact.at {
            At::Tag(tag) => tag.clone(),
            At::Digest(digest) => digest.to_string(),
        };
        let Some((content_type, bytes)) = self.document(&at, MANIFEST).await? else {
            return Err(SourceError::Missing { what });
        };
        let found = Digest::of(&bytes);
        if let At::Digest(expected) = &self.artifact.at
            && *expected != found
        {
            return Err(SourceError::Digest {
                what: format!("the manifest of {what}"),
                expected: expected.clone(),
                found,
            });
        }
        let layout = |reason: String| SourceError::Layout { what: what.clone(), reason };
        let manifest = manifest::read(content_type.as_deref(), &bytes).map_err(layout)?;
        let layer = manifest::component(&manifest).map_err(layout)?.clone();
        let limit = self.sources.limit;
        if layer.size > limit {
            return Err(SourceError::TooLarge { what, limit, actual: Some(layer.size) });
        }
        let version = manifest.annotations.get(manifest::VERSION).and_then(|text| Version::parse(text).ok());
        Ok(Found { manifest: found, layer, version })
    }

    /// A document with its media type; None where there is none.
    async fn document(&self, at: &str, accept: &'static str) -> Result<Option<(Option<String>, Vec<u8>)>, SourceError> {
        let mut order = Order::get(self.at(&format!("manifests/{at}"))?);
        order.headers.insert(ACCEPT, HeaderValue::from_static(accept));
        let answer = self.send(order).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(self.odd("a question for a manifest", status)),
        }
        let content_type = answer.header(CONTENT_TYPE).map(str::to_owned);
        let bytes = fetch::read(answer, &self.sources.bounds(manifest::MOST_BYTES), &Told::default()).await?;
        Ok(Some((content_type, bytes)))
    }

    /// The bytes of the component. A transfer that breaks off is taken up where it ended, now or at the next try; bytes that are
    /// not the right ones are thrown away.
    pub(crate) async fn component(&self, found: &Found, told: &Told) -> Result<Vec<u8>, SourceError> {
        let (dir, digest, size) = (self.sources.partial_dir(), found.layer.digest.clone(), found.layer.size);
        let open = tokio::task::spawn_blocking(move || Partial::open(&dir, &digest, size));
        let mut partial = open.await.map_err(|error| SourceError::Unavailable {
            what: self.artifact.to_string(),
            reason: error.to_string(),
        })??;
        let mut tries = 1;
        loop {
            let had = partial.length();
            let done = self.blob(&found.layer, &mut partial, told).await;
            match done {
                // It has come further than before, so it is worth another try.
                Err(SourceError::Unavailable { reason, .. }) if tries < TRIES && partial.length() > had => {
                    tracing::debug!(reason, "taken up again");
                    tries += 1;
                    continue;
                }
                // More than there may be: none of it is the right thing.
                Err(error @ SourceError::TooLarge { .. }) => {
                    drop(partial.remove());
                    return Err(error);
                }
                Err(error) => return Err(error),
                Ok(()) => {}
            }
            let digest = partial.digest();
            if digest == found.layer.digest && partial.length() == found.layer.size {
                return Ok(partial.remove());
            }
            // What an earlier try has left may be what is wrong with it.
            if had > 0 && tries < TRIES {
                partial.restart()?;
                tries = TRIES;
                continue;
            }
            drop(partial.remove());
            let (what, expected) = (self.artifact.to_string(), found.layer.digest.clone());
            return Err(SourceError::Digest { what, expected, found: digest });
        }
    }

    async fn blob(&self, blob: &Descriptor, partial: &mut Partial, told: &Told) -> Result<(), SourceError> {
        if partial.length() == blob.size && blob.size > 0 {
            return Ok(());
        }
        let mut order = Order::get(self.at(&format!("blobs/{}", blob.digest))?);
        let had = partial.length();
        order.from(had);
        let answer = self.send(order).await?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT if had > 0 && answer.begins_at(had) => {}
            StatusCode::OK => partial.restart()?,
            StatusCode::NOT_FOUND => {
                return Err(SourceError::Missing { what: format!("the component of {}", self.artifact) });
            }
            // The registry does not do ranges, or not this one.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if had > 0 => {
                partial.restart()?;
                return Box::pin(self.blob(blob, partial, told)).await;
            }
            status => return Err(self.odd("a question for a component", status)),
        }
        fetch::drain(answer, partial, &self.sources.bounds(blob.size), told).await
    }

    /// The signatures that refer to a manifest, by the API of referrers or by the tag that stands in for it. A registry could keep any of them
    /// back; whether one is needed is decided elsewhere.
    pub(crate) async fn signatures(&self, found: &Found) -> Result<Vec<Signature>, SourceError> {
        let mut signatures = Vec::new();
        let list = self.referrers(&found.manifest).await?;
        let named =
            list.manifests.iter().filter(|one| one.artifact_type.as_deref().and_then(manifest::format_of).is_some());
        for one in named.take(SIGNATURES) {
            match self.signature(one, &found.manifest).await {
                Ok(signature) => signatures.push(signature),
                Err(SourceError::Layout { reason, .. }) => tracing::warn!(digest = %one.digest, reason, "no signature"),
                Err(error) => return Err(error),
            }
        }
        Ok(signatures)
    }

    pub(super) async fn referrers(&self, of: &Digest) -> Result<Index, SourceError> {
        let mut list: Option<Index> = None;
        let mut page = Some(self.at(&format!("referrers/{of}"))?);
        for _ in 0..MOST_PAGES {
            let Some(target) = page.take() else { break };
            let mut order = Order::get(target);
            order.headers.insert(ACCEPT, HeaderValue::from_static(INDEX));
            let answer = self.send(order).await?;
            let (status, kind) = (answer.status(), answer.header(CONTENT_TYPE));
            if status != StatusCode::OK || !kind.is_some_and(|kind| kind.starts_with(INDEX)) {
                if list.is_some() || status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                    return Err(self.odd("a question for signatures", status));
                }
                break;
            }
            page = self.next(&answer);
            let bytes = fetch::read(answer, &self.sources.bounds(manifest::MOST_BYTES), &Told::default()).await?;
            let more = self.index(&bytes)?;
            let list = match &mut list {
                None => list.insert(more),
                Some(list) => {
                    list.manifests.extend(more.manifests);
                    list
                }
            };
            if list.manifests.len() >= MOST_LISTED {
                break;
            }
        }
        if let Some(list) = list {
            return Ok(list);
        }
        match self.document(&fallback(of), INDEX).await? {
            Some((_, bytes)) => self.index(&bytes),
            None => Ok(Index::empty()),
        }
    }

    /// Where a list goes on, as the registry itself says. Nobody else is asked.
    fn next(&self, answer: &Answer) -> Option<Target> {
        let links = answer.response.headers().get_all(LINK).iter();
        let next = links.filter_map(|link| link.to_str().ok()).find_map(next_of)?;
        let target = answer.from.join(next).ok().filter(|target| target.origin() == self.origin());
        if target.is_none() {
            tracing::warn!(registry = %self.origin(), "the rest of a list is elsewhere, and is not looked at");
        }
        target
    }

    fn index(&self, bytes: &[u8]) -> Result<Index, SourceError> {
        serde_json::from_slice(bytes).map_err(|error| SourceError::Layout {
            what: self.artifact.to_string(),
            reason: format!("the list of its signatures cannot be read: {error}"),
        })
    }

    async fn signature(&self, listed: &Descriptor, subject: &Digest) -> Result<Signature, SourceError> {
        let what = format!("a signature of {}", self.artifact);
        let layout = |reason: String| SourceError::Layout { what: what.clone(), reason };
        let missing = || layout("it is listed and not there".into());
        let (content_type, bytes) = self.document(listed.digest.as_str(), MANIFEST).await?.ok_or_else(missing)?;
        if Digest::of(&bytes) != listed.digest {
            return Err(layout("its manifest is another one than is listed".into()));
        }
        let read = manifest::read(content_type.as_deref(), &bytes).map_err(layout)?;
        if read.subject.as_ref().is_none_or(|of| of.digest != *subject) {
            return Err(layout("it refers to something else".into()));
        }
        let layer = match read.layers.as_slice() {
            [layer] if layer.size <= SIGNATURE_BYTES as u64 => layer,
            _ => return Err(layout(format!("it is not one layer of at most {SIGNATURE_BYTES} bytes"))),
        };
        let kind = read.artifact_type.as_deref().unwrap_or(&layer.media_type);
        let format = manifest::format_of(kind).ok_or_else(|| layout("it is of another kind than is listed".into()))?;
        let answer = self.send(Order::get(self.at(&format!("blobs/{}", layer.digest))?)).await?;
        if answer.status() != StatusCode::OK {
            return Err(missing());
        }
        let bytes = fetch::read(answer, &self.sources.bounds(layer.size), &Told::default()).await?;
        match Digest::of(&bytes) == layer.digest {
            true => Ok(Signature { format, bytes }),
            false => Err(layout("its bytes are others than its manifest names".into())),
        }
    }

    /// The tags of the repository that are versions.
    pub(crate) async fn versions(&self) -> Result<Vec<(Version, String)>, SourceError> {
        #[derive(serde::Deserialize)]
        struct List {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let mut tags = Vec::new();
        let mut page = Some(self.at(&format!("tags/list?n={PAGE}"))?);
        for _ in 0..MOST_PAGES {
            let Some(target) = page.take().filter(|_| tags.len() < MOST_LISTED) else { break };
            let answer = self.send(Order::get(target)).await?;
            match answer.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Err(SourceError::Missing { what: self.artifact.to_string() }),
                status => return Err(self.odd("a question for tags", status)),
            }
            page = self.next(&answer);
            let bytes = fetch::read(answer, &self.sources.bounds(manifest::MOST_BYTES), &Told::default()).await?;
            let list: List = serde_json::from_slice(&bytes).map_err(|error| SourceError::Layout {
                what: self.artifact.to_string(),
                reason: format!("the list of its tags cannot be read: {error}"),
            })?;
            tags.extend(list.tags.unwrap_or_default());
        }
        tags.truncate(MOST_LISTED);
        Ok(tags.into_iter().filter_map(|tag| Some((version_of(&tag)?, tag))).collect())
    }
}

/// What a `Link` header names as the next page: `<URL>; rel="next"`, perhaps among others.
fn next_of(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (url, after) = rest.split_once('<')?.1.split_once('>')?;
        let end = after.find('<').unwrap_or(after.len());
        let (params, others) = after.split_at(end);
        let is_next = |param: &str| {
            let Some((name, value)) = param.split_once('=') else { return false };
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel") && value.split(' ').any(|one| one.eq_ignore_ascii_case("next"))
        };
        if params.split([';', ',']).any(is_next) {
            return Some(url);
        }
        rest = others;
    }
}

/// A tag that is a version: `1.2.3` or `v1.2.3`.
pub(crate) fn version_of(tag: &str) -> Option<Version> {
    Version::parse(tag.strip_prefix('v').unwrap_or(tag)).ok()
}

/// The tag that lists what refers to a manifest where a registry has no API for it.
pub(super) fn fallback(of: &Digest) -> String {
    format!("sha256-{}", of.hex())
}

#[cfg(test)]
mod tests {
    use super::next_of;

    #[test]
    fn the_next_page_is_found_among_links() {
        for (header, next) in [
            ("</v2/a/tags/list?n=1&last=x>; rel=\"next\"", Some("/v2/a/tags/list?n=1&last=x")),
            ("</a>;rel=next", Some("/a")),
            ("</a>; rel=\"prev\", </b,c>; title=\"x\"; REL=\"last Next\"", Some("/b,c")),
            ("</a>; rel=\"nextish\"", None),
            ("</a>", None),
            ("/a; rel=next", None),
            ("<", None),
            ("", None),
        ] {
            assert_eq!(next_of(header), next, "{header}");
        }
    }
}
