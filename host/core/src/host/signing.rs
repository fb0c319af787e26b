//! Signatures of skills: keys, publishers, and whether what comes along may be installed.
//!
//! Everything here that trusts is for a person's face. No skill, model or client reaches it.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::{Candidate, Host};
use crate::catalog::signature::{
    self, Facts, KeyInfo, Pin, Publisher, Signature, SignatureError, SignedBy, Signer, SourceKind, Statement, Terms,
    Verdict, check_all, judge, key,
};
use crate::catalog::source::Index;
use crate::catalog::{Incoming, Installed};
use crate::error::Error;
use crate::invocation::InvokeError;
use crate::journal::audit::Entry;

impl Host {
    /// Makes a key to sign skills with. Without a password whoever can read its file can sign.
    pub async fn make_key(&self, name: &str, password: Option<SecretString>) -> Result<KeyInfo, Error> {
        let (keys, name) = (self.0.keys.clone(), name.to_owned());
        let made = blocking(move || keys.make(&name, password.as_ref())).await?;
        self.0.sessions.audit.note(Entry::admin("key-new", &*made.name, made.key.to_string()));
        Ok(made)
    }

    /// The keys that this person signs with, by name.
    pub fn keys(&self) -> Result<Vec<KeyInfo>, Error> {
        self.0.keys.list()
    }

    /// The key of this name or in the file of this path, or the usual one.
    pub fn key(&self, word: Option<&str>) -> Result<KeyInfo, Error> {
        self.0.keys.find(word)
    }

    /// What a signature of this file has to be of.
    pub fn statement(&self, file: &Path) -> Result<Statement, Error> {
        let (bytes, stem) = (self.0.read(file)?, stem(file));
        Statement::of(&bytes, &stem).map(|(statement, _)| statement).map_err(Error::from)
    }

    /// Signs a file, and writes the signature beside it.
    pub async fn sign(&self, file: &Path, key: &KeyInfo, password: Option<SecretString>) -> Result<PathBuf, Error> {
        let statement = self.statement(file)?;
        let (of, signed) = (key.clone(), statement.clone());
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = blocking(move || key::sign(&of, password.as_ref(), &signed, &name)).await?;
        let written = key::write_beside(file, &text)?;
        let detail = format!("{} {}, {}", statement.name, statement.version, statement.digest);
        self.0.sessions.audit.note(Entry::admin("sign", key.key.to_string(), detail));
        Ok(written)
    }

    /// Signs an index of skills as it is, and writes the signature beside it. One that nobody could read is not signed.
    pub async fn sign_index(
        &self,
        file: &Path,
        key: &KeyInfo,
        password: Option<SecretString>,
    ) -> Result<PathBuf, Error> {
        let bytes = crate::catalog::read_component(file, Index::MOST_BYTES)?;
        let index = Index::parse(&file.display().to_string(), Some(file.parent().unwrap_or(Path::new("."))), &bytes)?;
        let of = key.clone();
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let serial = format!("\tserial:{}", index.seen().serial);
        let text =
            blocking(move || key::sign_bytes(&of, password.as_ref(), &bytes, &name, "an index", &serial)).await?;
        let written = key::write_beside(file, &text)?;
        let detail = format!("{}, serial {}", file.display(), index.seen().serial);
        self.0.sessions.audit.note(Entry::admin("sign", key.key.to_string(), detail));
        Ok(written)
    }

    /// How a file stands with the signatures that lie beside it, as if it were to be installed. With `only`, nobody else is
    /// asked about. Runs and compiles nothing.
    pub async fn verify(&self, file: &Path, only: Option<&Signer>) -> Result<Verdict, Error> {
        let (bytes, stem, source) = (self.0.read(file)?, stem(file), file.display().to_string());
        let signatures = Signature::beside(file)?;
        let mut known = self.0.publishers.all().await?;
        if let Some(only) = only {
            known.retain(|one| one.revoked.is_some());
            let name = only.number().unwrap_or_else(|| only.word());
            known.push(Publisher { name, signer: only.clone(), since: jiff::Timestamp::now(), revoked: None });
        }
        let incoming = Incoming { bytes, stem, source, kind: SourceKind::File, signatures };
        self.judge(&incoming, &known, only.is_none(), signature::Demand::Require).await
    }

    /// Trusts whoever this is to publish skills, under a name that the person gives. One who was revoked only with `restore`.
    pub async fn trust(&self, name: &str, signer: &Signer, restore: bool) -> Result<Publisher, Error> {
        let publisher = self.0.publishers.trust(name, signer, restore).await?;
        self.0.sessions.audit.note(Entry::admin("publisher-trust", name, signer.to_string()));
        Ok(publisher)
    }

    /// Trusts nobody of this name any more, or not the one whose key is given in full: what they sign is refused from now on,
    /// also where they were never trusted. What is installed stays.
    pub async fn distrust(&self, word: &str) -> Result<Vec<Publisher>, Error> {
        let gone = self.0.publishers.revoke(word).await?;
        for one in &gone {
            self.0.sessions.audit.note(Entry::admin("publisher-revoke", &*one.name, one.signer.to_string()));
        }
        Ok(gone)
    }

    /// Whom the person trusts, and whom no longer.
    pub async fn publishers(&self) -> Result<Vec<Publisher>, Error> {
        Ok(self.0.publishers.all().await?)
    }

    /// Whose which skill is.
    pub async fn pins(&self) -> Result<Vec<Pin>, Error> {
        Ok(self.0.publishers.pins().await?)
    }

    /// Who signed an installed skill. None where nobody did whom the person trusts, and for what is not installed.
    pub async fn signed_by(&self, identity: &str) -> Result<Option<SignedBy>, Error> {
        let Some(entry) = self.0.index.get(identity).await? else { return Ok(None) };
        let Some(signer) = Installed::try_from(entry)?.signer else { return Ok(None) };
        let known = self.0.publishers.all().await?.into_iter().find(|one| one.signer == signer);
        let revoked = known.as_ref().is_some_and(|one| one.revoked.is_some());
        let name = known.map(|one| one.name).filter(|name| !name.is_empty());
        Ok(Some(SignedBy { signer, name, revoked }))
    }

    /// Says what a person said about a candidate's publisher and version. Where that is not enough for it to be installed, nothing is
    /// changed and the refusal is on record.
    pub fn accept(&self, candidate: &mut Candidate, terms: Terms) -> Result<(), Error> {
        let accepted = candidate.accept(terms);
        if let Err(error) = &accepted {
            let detail = format!("{}: {error}", error.kind());
            self.0.sessions.audit.note(Entry::admin("add-refused", candidate.source(), detail));
        }
        accepted
    }

    /// How a component stands that came from somewhere. What no word of a person may help is refused here, and put on record.
    pub(super) async fn judged(&self, incoming: &Incoming) -> Result<Verdict, Error> {
        let demand = self.0.settings.load().signatures.demand(incoming.kind);
        let known = self.0.publishers.all().await?;
        let judged = self.judge(incoming, &known, true, demand).await;
        if let Err(error) = &judged
            && error.of::<SignatureError>().is_some()
        {
            let detail = format!("{}: {error}", error.kind());
            self.0.sessions.audit.note(Entry::admin("add-refused", &*incoming.source, detail));
        }
        judged
    }

    async fn judge(
        &self,
        incoming: &Incoming,
        publishers: &[Publisher],
        pinned: bool,
        demand: signature::Demand,
    ) -> Result<Verdict, Error> {
        let limit = self.0.component_bytes();
        if incoming.bytes.len() as u64 > limit {
            return Err(crate::engine::LoadError::TooLarge { limit }.into());
        }
        let (statement, manifest) = Statement::of(&incoming.bytes, &incoming.stem)?;
        let pin = if pinned { self.0.publishers.pin(&statement.name).await? } else { None };
        let before = self.0.index.get(&statement.name).await?.and_then(|before| before.version.parse().ok());
        let known: Vec<&Signer> =
            publishers.iter().map(|one| &one.signer).chain(pin.iter().map(|pin| &pin.signer)).collect();
        let checked = if demand == signature::Demand::Off && pin.is_none() {
            Vec::new()
        } else {
            check_all(&incoming.signatures, &statement, &known, &self.0.roots)?
        };
        let (skill, version, kind) = (&*statement.name, &manifest.version, incoming.kind);
        Ok(judge(Facts { skill, version, kind, demand, checked, publishers, pin, before })?)
    }

    /// Puts on record whose a skill is now that was just installed, where that is another than before.
    pub(super) fn note_pin(&self, verdict: &Verdict, terms: &Terms, source: &str) {
        let (skill, after) = (&*verdict.skill, verdict.pin_after(terms, source));
        let was = verdict.pin.as_ref().map(|pin| &pin.signer);
        let note = |kind, detail: String| self.0.sessions.audit.note(Entry::admin(kind, skill, detail));
        match (&after, was) {
            (Some(pin), Some(was)) if *was != pin.signer => {
                note("pin-replace", format!("{} in place of {was}", pin.signer));
            }
            (Some(pin), None) => note("pin", format!("{} from {source}", pin.signer)),
            (None, Some(was)) => note("pin-remove", was.to_string()),
            _ => {}
        }
        if verdict.floor.as_ref().is_some_and(|floor| verdict.version.cmp_precedence(floor).is_lt()) {
            note("downgrade", verdict.version.to_string());
        }
    }
}

fn stem(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| InvokeError::HostFault)?
}
