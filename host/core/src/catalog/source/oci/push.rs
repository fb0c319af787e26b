//! Publishing: blobs first, then the manifest that names them, then what refers to it. A registry that is interrupted keeps blobs
//! that nothing names, and nothing else.

use std::collections::BTreeMap;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use serde::Serialize;

use super::Registry;
use super::manifest::{self, CONFIG, Descriptor, EMPTY, INDEX, LAYER, MANIFEST, Manifest};
use super::pull::fallback;
use crate::catalog::package::Package;
use crate::catalog::signature::Signature;
use crate::catalog::source::digest::Digest;
use crate::catalog::source::error::SourceError;
use crate::catalog::source::fetch::Told;
use crate::catalog::source::reference::At;
use crate::catalog::source::wire::{self, Order};
use crate::step::Progress;

/// What is in a registry now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pushed {
    /// By its digest: names the same for ever.
    pub reference: String,
    /// Of the manifest.
    pub digest: Digest,
    /// Of the component: what `ringfence list` shows where it is installed.
    pub component: Digest,
    /// Signatures that refer to it.
    pub signatures: usize,
}

impl Registry<'_> {
    pub(crate) async fn push(
        &self,
        component: Vec<u8>,
        signatures: &[Signature],
        progress: Option<Progress>,
    ) -> Result<Pushed, SourceError> {
        let At::Tag(tag) = &self.artifact.at else {
            let reason = "a digest is of what is there already: name a tag".into();
            return Err(SourceError::Reference { text: self.artifact.to_string(), reason });
        };
        let layer = Descriptor::of(LAYER, &component);
        let config = super::config::write(&component, &layer, jiff::Timestamp::now()).to_string().into_bytes();
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST.into()),
            artifact_type: None,
            config: Descriptor::of(CONFIG, &config),
            layers: vec![layer.clone()],
            subject: None,
            annotations: annotations(&component),
        };
        let told = Told { what: self.artifact.to_string(), progress };
        self.put_blob(&layer, component, told).await?;
        self.put_blob(&manifest.config, config, Told::default()).await?;
        let (subject, _) = self.put_manifest(&manifest, Some(tag)).await?;
        for signature in signatures {
            self.refer(&subject, signature).await?;
        }
        Ok(Pushed {
            reference: self.artifact.with(At::Digest(subject.digest.clone())).to_string(),
            digest: subject.digest,
            component: layer.digest,
            signatures: signatures.len(),
        })
    }

    /// Puts a signature beside a manifest: as its referrer, and into the list under its tag where the registry keeps none.
    async fn refer(&self, subject: &Descriptor, signature: &Signature) -> Result<(), SourceError> {
        let media_type = manifest::media_type(signature.format);
        let (layer, empty) = (Descriptor::of(media_type, &signature.bytes), b"{}".to_vec());
        let referrer = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST.into()),
            artifact_type: Some(media_type.into()),
            config: Descriptor::of(EMPTY, &empty),
            layers: vec![layer.clone()],
            subject: Some(subject.clone()),
            annotations: BTreeMap::new(),
        };
        self.put_blob(&layer, signature.bytes.clone(), Told::default()).await?;
        self.put_blob(&referrer.config, empty, Told::default()).await?;
        let (mut listed, is_kept) = self.put_manifest(&referrer, None).await?;
        if is_kept {
            return Ok(());
        }
        listed.artifact_type = Some(media_type.into());
        let mut list = self.referrers(&subject.digest).await?;
        if list.manifests.iter().any(|one| one.digest == listed.digest) {
            return Ok(());
        }
        list.manifests.push(listed);
        let bytes = serde_json::to_vec(&list).unwrap_or_default();
        self.put_document(INDEX, bytes, &fallback(&subject.digest)).await.map(|_| ())
    }

    async fn put_blob(&self, blob: &Descriptor, bytes: Vec<u8>, told: Told) -> Result<(), SourceError> {
        let there = Order { method: Method::HEAD, ..Order::get(self.at(&format!("blobs/{}", blob.digest))?) };
        if self.send(there).await?.status() == StatusCode::OK {
            return Ok(());
        }
        let begin = Order { method: Method::POST, ..Order::get(self.at("blobs/uploads/")?) };
        let answer = self.send(begin).await?;
        if answer.status() != StatusCode::ACCEPTED {
            return Err(self.odd("the begin of an upload", answer.status()));
        }
        let nowhere = || SourceError::Unavailable {
            what: self.origin().to_string(),
            reason: "it does not say where an upload goes".into(),
        };
        let location = answer.response.headers().get(LOCATION).ok_or_else(nowhere)?;
        let target = wire::pointed(&answer.from, location)?;
        let mut url = target.url().clone();
        url.query_pairs_mut().append_pair("digest", blob.digest.as_str());
        let target = target.join(url.as_str()).map_err(|_| nowhere())?;
        let mut put = Order { method: Method::PUT, body: Bytes::from(bytes), told, ..Order::get(target) };
        put.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        match self.send(put).await?.status() {
            StatusCode::CREATED => Ok(()),
            status => Err(self.odd("an upload", status)),
        }
    }

    /// Puts a manifest under a tag or its own digest. Says whether the registry keeps a list of what refers to its subject.
    async fn put_manifest(&self, manifest: &Manifest, tag: Option<&str>) -> Result<(Descriptor, bool), SourceError> {
        let bytes = serde_json::to_vec(manifest).unwrap_or_default();
        let descriptor = Descriptor::of(MANIFEST, &bytes);
        let is_kept = self.put_document(MANIFEST, bytes, tag.unwrap_or(descriptor.digest.as_str())).await?;
        Ok((descriptor, is_kept))
    }

    async fn put_document(&self, media_type: &'static str, bytes: Vec<u8>, at: &str) -> Result<bool, SourceError> {
        let expected = Digest::of(&bytes);
        let target = self.at(&format!("manifests/{at}"))?;
        let mut put = Order { method: Method::PUT, body: Bytes::from(bytes), ..Order::get(target) };
        put.headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        let answer = self.send(put).await?;
        match answer.status() {
            StatusCode::CREATED => {}
            // GitLab's registry is known for it: it lists the media types that it takes.
            StatusCode::BAD_REQUEST | StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                let reason = format!("it does not take WebAssembly ({})", answer.status());
                return Err(SourceError::Unavailable { what: self.origin().to_string(), reason });
            }
            status => return Err(self.odd("a manifest", status)),
        }
        let kept = answer.header("docker-content-digest").and_then(|text| Digest::parse(text).ok());
        match kept {
            Some(found) if found != expected => {
                Err(SourceError::Digest { what: format!("what {} has kept", self.origin()), expected, found })
            }
            _ => Ok(answer.header("oci-subject").is_some()),
        }
    }
}

/// What a registry's page shows: the manifest's words, where the component has one.
fn annotations(component: &[u8]) -> BTreeMap<String, String> {
    let Some(manifest) = Package::read(component).ok().and_then(|package| package.manifest) else {
        return BTreeMap::new();
    };
    let named = [
        ("org.opencontainers.image.title", Some(manifest.name)),
        (manifest::VERSION, Some(manifest.version.to_string())),
        ("org.opencontainers.image.description", Some(manifest.description)),
        ("org.opencontainers.image.licenses", manifest.license),
        ("org.opencontainers.image.url", manifest.homepage),
    ];
    named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
