//! One file on a server, and the signatures that lie beside it.

use reqwest::StatusCode;
use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH};

use super::digest::Digest;
use super::error::SourceError;
use super::fetch::{self, Told};
use super::known::Known;
use super::reference::WebFile;
use super::wire::Order;
use super::{Fetched, Inner};
use crate::catalog::Incoming;
use crate::catalog::signature::{Format, SIGNATURE_BYTES, Signature, SourceKind};
use crate::net::{Origin, Target};

/// What an address gives.
pub(super) enum Got {
    Nothing,
    /// What was known already.
    Same,
    Bytes {
        bytes: Vec<u8>,
        /// What the server calls them.
        tag: Option<String>,
    },
}

impl Inner {
    pub(super) async fn web_file(
        &self,
        file: &WebFile,
        named: Option<&Origin>,
        told: &Told,
    ) -> Result<Fetched, SourceError> {
        let got = self.ask(&file.target, named, self.limit, told, None).await?;
        self.web_file_of(file, named, got).await
    }

    /// The same, unless the server says that it is still what is installed with this digest. What it called that when it gave it is
    /// asked for; a server that gave it no name gives it again.
    pub(super) async fn newer_web_file(
        &self,
        file: &WebFile,
        named: Option<&Origin>,
        held: &str,
        told: &Told,
    ) -> Result<Option<Fetched>, SourceError> {
        let known = self.known.get(&file.target).filter(|known| known.digest.as_str() == held);
        match self.ask(&file.target, named, self.limit, told, known.as_ref()).await? {
            Got::Same => Ok(None),
            got => self.web_file_of(file, named, got).await.map(Some),
        }
    }

    async fn web_file_of(&self, file: &WebFile, named: Option<&Origin>, got: Got) -> Result<Fetched, SourceError> {
        let what = file.target.place();
        let Got::Bytes { bytes, tag } = got else { return Err(SourceError::Missing { what }) };
        let digest = Digest::of(&bytes);
        self.known.put(&file.target, tag.as_deref(), &digest, None);
        if let Some(expected) = file.digest.as_ref().filter(|expected| **expected != digest) {
            return Err(SourceError::Digest { what, expected: expected.clone(), found: digest });
        }
        fetch::no_archive(&what, &bytes)?;
        let mut signatures = Vec::new();
        for format in Format::ALL {
            let Some(beside) = beside(&file.target, format) else { continue };
            let found = self.download(&beside, named, SIGNATURE_BYTES as u64, &Told::default()).await?;
            signatures.extend(found.map(|bytes| Signature { format, bytes }));
        }
        let incoming =
            Incoming { bytes, stem: file.stem(), source: file.to_string(), kind: SourceKind::Https, signatures };
        let exact = WebFile { digest: Some(digest.clone()), ..file.clone() }.to_string();
        Ok(Fetched { incoming, digest, exact })
    }

    /// The bytes at an address; None where there is nothing.
    pub(super) async fn download(
        &self,
        target: &Target,
        named: Option<&Origin>,
        limit: u64,
        told: &Told,
    ) -> Result<Option<Vec<u8>>, SourceError> {
        match self.ask(target, named, limit, told, None).await? {
            Got::Bytes { bytes, .. } => Ok(Some(bytes)),
            Got::Nothing | Got::Same => Ok(None),
        }
    }

    /// The bytes at an address, unless they are those that are `known`.
    pub(super) async fn ask(
        &self,
        target: &Target,
        named: Option<&Origin>,
        limit: u64,
        told: &Told,
        known: Option<&Known>,
    ) -> Result<Got, SourceError> {
        let mut order = Order::get(target.clone());
        let tag = known.and_then(|known| HeaderValue::from_str(&known.tag).ok());
        let is_known = tag.is_some();
        if let Some(tag) = tag {
            order.headers.insert(IF_NONE_MATCH, tag);
        }
        let answer = self.wire.send(order, named).await?;
        match answer.status() {
            StatusCode::OK => {
                let tag = answer.header(ETAG).map(str::to_owned);
                let bytes = fetch::read(answer, &self.bounds(limit), told).await?;
                Ok(Got::Bytes { bytes, tag })
            }
            StatusCode::NOT_MODIFIED if is_known => Ok(Got::Same),
            // Stores of objects say 403 of what is not there.
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => Ok(Got::Nothing),
            status => Err(SourceError::Unavailable {
                what: target.origin().to_string(),
                reason: format!("it answers {status}"),
            }),
        }
    }
}

/// Where a signature of a file would be: its path with another end.
pub(super) fn beside(file: &Target, format: Format) -> Option<Target> {
    let mut url = file.url().clone();
    url.set_path(&format!("{}{}", url.path(), format.suffix()));
    Target::parse(url.as_str()).ok()
}
