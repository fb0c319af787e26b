//! One file on a server, and the signatures that lie beside it.

use reqwest::StatusCode;

use super::digest::Digest;
use super::error::SourceError;
use super::fetch::{self, Told};
use super::reference::WebFile;
use super::wire::Order;
use super::{Fetched, Inner};
use crate::catalog::Incoming;
use crate::catalog::signature::{Format, SIGNATURE_BYTES, Signature, SourceKind};
use crate::net::{Origin, Target};

impl Inner {
    pub(super) async fn web_file(
        &self,
        file: &WebFile,
        named: Option<&Origin>,
        told: &Told,
    ) -> Result<Fetched, SourceError> {
        let what = file.target.place();
        let bytes = self.download(&file.target, named, self.limit, told).await?;
        let bytes = bytes.ok_or_else(|| SourceError::Missing { what: what.clone() })?;
        let digest = Digest::of(&bytes);
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
        let answer = self.wire.send(Order::get(target.clone()), named).await?;
        match answer.status() {
            StatusCode::OK => fetch::read(answer, &self.bounds(limit), told).await.map(Some),
            // Stores of objects say 403 of what is not there.
            StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => Ok(None),
            status => Err(SourceError::Unavailable {
                what: target.origin().to_string(),
                reason: format!("it answers {status}"),
            }),
        }
    }
}

/// Where a signature of a file would be: its path with another end.
fn beside(file: &Target, format: Format) -> Option<Target> {
    let mut url = file.url().clone();
    url.set_path(&format!("{}{}", url.path(), format.suffix()));
    Target::parse(url.as_str()).ok()
}
