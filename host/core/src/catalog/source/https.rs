//! One file on a server, and the signatures that lie beside it.

use reqwest::StatusCode;
use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH, IF_RANGE};

use super::digest::Digest;
use super::error::SourceError;
use super::fetch::{self, Partial, Sink as _, TRIES, Told};
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
        let got = self.component(&file.target, named, told, None).await?;
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
        match self.component(&file.target, named, told, known.as_ref()).await? {
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

    /// The bytes of a component, unless they are those that are `known`. A transfer that breaks off is taken up where it ended, now or at
    /// the next try, where the server has given them a strong name: what it calls the same is the same (RFC 9110, sections 8.8.1 and 13.1.5).
    async fn component(
        &self,
        target: &Target,
        named: Option<&Origin>,
        told: &Told,
        known: Option<&Known>,
    ) -> Result<Got, SourceError> {
        let (dir, name, limit) = (self.partial_dir(), Digest::of(target.url().as_str().as_bytes()), self.limit);
        let open = tokio::task::spawn_blocking(move || Partial::open_by_tag(&dir, &name, limit));
        let broke = |error: tokio::task::JoinError| SourceError::Unavailable {
            what: target.place(),
            reason: error.to_string(),
        };
        let mut partial = open.await.map_err(broke)??;
        let mut tries = 1;
        loop {
            let had = partial.length();
            let done = self.rest(target, named, told, known, &mut partial).await;
            let can_go_on = partial.tag().is_some() && partial.length() > 0;
            match done {
                Ok(StatusCode::OK) => {
                    let tag = partial.tag().map(str::to_owned);
                    return Ok(Got::Bytes { bytes: partial.remove(), tag });
                }
                Ok(status) => {
                    drop(partial.remove());
                    return Ok(if status == StatusCode::NOT_MODIFIED { Got::Same } else { Got::Nothing });
                }
                // It has come further than before, so it is worth another try.
                Err(SourceError::Unavailable { reason, .. })
                    if can_go_on && tries < TRIES && partial.length() > had =>
                {
                    tracing::debug!(reason, "taken up again");
                    tries += 1;
                }
                Err(error) => {
                    // More than there may be: none of it is the right thing.
                    if matches!(error, SourceError::TooLarge { .. }) {
                        drop(partial.remove());
                    }
                    return Err(error);
                }
            }
        }
    }

    /// Asks for what is left of a component, and says what became of it: it is there, it is what is known, or there is none.
    async fn rest(
        &self,
        target: &Target,
        named: Option<&Origin>,
        told: &Told,
        known: Option<&Known>,
        partial: &mut Partial,
    ) -> Result<StatusCode, SourceError> {
        let (mut order, had) = (Order::get(target.clone()), partial.length());
        let is_known = only_if_new(&mut order, known);
        if let Some(tag) = partial.tag().filter(|_| had > 0).and_then(|tag| HeaderValue::from_str(tag).ok()) {
            order.from(had);
            order.headers.insert(IF_RANGE, tag);
        }
        let answer = self.wire.send(order, named).await?;
        match answer.status() {
            // With its name, which it has to give: a part of something else would not be found out.
            StatusCode::PARTIAL_CONTENT if had > 0 && answer.begins_at(had) && answer.header(ETAG) == partial.tag() => {
            }
            StatusCode::OK => partial.restart_as(answer.header(ETAG))?,
            // All of it was there already, or the server does not do ranges, or not this one.
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if had > 0 => {
                partial.restart_as(None)?;
                return Box::pin(self.rest(target, named, told, known, partial)).await;
            }
            StatusCode::NOT_MODIFIED if is_known => return Ok(StatusCode::NOT_MODIFIED),
            status => return is_nothing(target, status).map(|()| StatusCode::NOT_FOUND),
        }
        fetch::drain(answer, partial, &self.bounds(self.limit), told).await?;
        Ok(StatusCode::OK)
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
        let is_known = only_if_new(&mut order, known);
        let answer = self.wire.send(order, named).await?;
        match answer.status() {
            StatusCode::OK => {
                let tag = answer.header(ETAG).map(str::to_owned);
                let bytes = fetch::read(answer, &self.bounds(limit), told).await?;
                Ok(Got::Bytes { bytes, tag })
            }
            StatusCode::NOT_MODIFIED if is_known => Ok(Got::Same),
            status => is_nothing(target, status).map(|()| Got::Nothing),
        }
    }
}

/// Asks only for what is not `known`, where that has a name that can be sent. Says whether it has.
fn only_if_new(order: &mut Order, known: Option<&Known>) -> bool {
    let tag = known.and_then(|known| HeaderValue::from_str(&known.tag).ok());
    tag.is_some_and(|tag| order.headers.insert(IF_NONE_MATCH, tag).is_none())
}

/// Whether an answer says that there is nothing. Any other is an error.
fn is_nothing(target: &Target, status: StatusCode) -> Result<(), SourceError> {
    match status {
        // Stores of objects say 403 of what is not there.
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => Ok(()),
        status => {
            Err(SourceError::Unavailable { what: target.origin().to_string(), reason: format!("it answers {status}") })
        }
    }
}

/// Where a signature of a file would be: its path with another end.
pub(super) fn beside(file: &Target, format: Format) -> Option<Target> {
    let mut url = file.url().clone();
    url.set_path(&format!("{}{}", url.path(), format.suffix()));
    Target::parse(url.as_str()).ok()
}
