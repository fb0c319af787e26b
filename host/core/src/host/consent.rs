//! What a person decides about a skill: before it is installed, when it wants something, and afterwards.
//!
//! Everything here that grants is for a person's face. No skill, model or client reaches it.

use std::path::{Path, PathBuf};

use rusqlite::Transaction;
use serde::Serialize;

use super::{Host, STATE_WAIT};
use crate::capability::kv::upgrade::Change;
use crate::capability::user;
use crate::catalog::index;
use crate::catalog::signature::publishers::Publishers;
use crate::catalog::signature::{Signature, SignatureError, SourceKind, Standing, Terms, Verdict};
use crate::catalog::{CatalogError, Generation, Imports, Incoming, Installed, Runs, SkillRef};
use crate::error::Error;
use crate::invocation::{self, InvokeError};
use crate::journal::Journal;
use crate::journal::audit::{Audit, Entry, Used};
use crate::policy::denials::{Denied, standing};
use crate::policy::{self, Facts, Grantable, Grants, Missing, Requests, Wish};
use crate::state::{Durability, State};
use crate::step::Progress;

/// A component that was looked at and is not installed. It holds the bytes: what was shown is what is installed.
pub struct Candidate {
    skill: SkillRef,
    bytes: Vec<u8>,
    source: String,
    verdict: Verdict,
    terms: Terms,
    before: Option<Installed>,
    more: Vec<Missing>,
    less: Vec<Missing>,
    imports: Imports,
    kept: Grants,
}

impl Candidate {
    /// As it will be once it is installed.
    #[must_use]
    pub fn skill(&self) -> &SkillRef {
        &self.skill
    }

    /// Who signed it, and how that stands.
    #[must_use]
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// Where it came from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Says what a person said about its publisher and its version. Fails, and changes nothing, where that is not enough for
    /// it to be installed.
    pub(super) fn accept(&mut self, terms: Terms) -> Result<(), Error> {
        self.verdict.admit(&terms)?;
        self.terms = terms;
        Ok(())
    }

    /// What is installed under this name now.
    #[must_use]
    pub fn before(&self) -> Option<&Installed> {
        self.before.as_ref()
    }

    /// What is installed under this name now, where nothing says that this one, which is from `source`, is its next version: another file,
    /// from another place, and not signed by whom that one was. What that one was granted and has kept would be a stranger's.
    #[must_use]
    pub fn supplants(&self, source: &str) -> Option<&Installed> {
        let before = self.before.as_ref()?;
        let same_file = *before.digest == *self.skill.current().digest;
        let same_place = lineage(&before.source) == lineage(source);
        let same_hand =
            matches!(&self.verdict.standing, Standing::Pinned { signer } if before.signer.as_ref() == Some(signer));
        (!same_file && !same_place && !same_hand).then_some(before)
    }

    /// What it requests that the installed one does not, granted or not.
    #[must_use]
    pub fn more(&self) -> &[Missing] {
        &self.more
    }

    /// What the installed one requests and this one does not.
    #[must_use]
    pub fn less(&self) -> &[Missing] {
        &self.less
    }

    /// What it imports that the installed one does not, and the other way. Nothing where none is installed.
    #[must_use]
    pub fn imports(&self) -> &Imports {
        &self.imports
    }

    /// What was granted before and stays. Of what is new nothing is in it, whatever pattern was granted.
    #[must_use]
    pub fn kept(&self) -> &Grants {
        &self.kept
    }
}

/// A place without the version that stands in it.
fn lineage(source: &str) -> &str {
    if let Some(rest) = source.strip_prefix("oci://") {
        let name = rest.split('@').next().unwrap_or_default();
        let slash = name.rfind('/').unwrap_or_default();
        return name.get(slash..).and_then(|last| last.find(':')).map_or(name, |colon| &name[..slash + colon]);
    }
    // A path is as it is, whatever is in it.
    let end = match source {
        path if path.starts_with('/') => None,
        url if url.contains("://") => url.find('#'),
        name => name.find('@'),
    };
    end.map_or(source, |end| &source[..end])
}

impl std::fmt::Debug for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Candidate").field("skill", &self.skill).field("source", &self.source).finish_non_exhaustive()
    }
}

/// What one skill may do, what it asked for and what it did.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Permissions {
    pub identity: String,
    /// The riskiest first.
    pub requested: Vec<Wish>,
    /// What is requested and not granted.
    pub missing: Vec<Missing>,
    pub granted: Granted,
    /// What is not asked for again.
    pub denied: Vec<Denied>,
    /// From the audit.
    pub used: Vec<Used>,
    /// Capabilities that are granted and were never used.
    pub never_used: Vec<&'static str>,
    /// What the person answered once and let the host keep.
    pub answers: Vec<user::Kept>,
}

/// Words as `ringfence grant` takes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Granted {
    /// Until they are revoked.
    pub always: Vec<String>,
    /// Until this host ends.
    pub session: Vec<String>,
}

impl Host {
    /// Looks at a component that somebody may want to install under the name in its manifest, and at the signatures that lie
    /// beside it. Changes nothing.
    pub async fn consider(&self, path: &Path, progress: Option<Progress>) -> Result<Candidate, Error> {
        self.consider_file(path, SourceKind::File, Signature::beside(path)?, progress).await
    }

    /// The same for one that was built here, which nobody signed.
    pub async fn consider_built(&self, path: &Path, progress: Option<Progress>) -> Result<Candidate, Error> {
        self.consider_file(path, SourceKind::Folder, Vec::new(), progress).await
    }

    async fn consider_file(
        &self,
        path: &Path,
        kind: SourceKind,
        signatures: Vec<Signature>,
        progress: Option<Progress>,
    ) -> Result<Candidate, Error> {
        let bytes = self.0.read(path)?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let source = path.canonicalize().unwrap_or_else(|_| path.to_owned()).display().to_string();
        self.consider_incoming(Incoming { bytes, stem, source, kind, signatures }, progress).await
    }

    /// The same for a component that is already in memory, wherever it came from.
    pub async fn consider_incoming(&self, incoming: Incoming, progress: Option<Progress>) -> Result<Candidate, Error> {
        // Before anything is done with its code.
        let place = PathBuf::from(&incoming.source);
        // What is said of a signature names the skill; what is said of bytes that are no skill can name nothing but their place.
        let about = |error: Error| match error.of::<SignatureError>() {
            Some(_) => error,
            None => error.about(&place),
        };
        let verdict = self.judged(&incoming).await.map_err(about)?;
        let Incoming { bytes, stem, source, .. } = incoming;
        let generation = self.0.generation(&bytes, &stem, None, progress.as_ref()).await.map_err(about)?;
        let name = generation.manifest.name.clone();
        let before = self.0.index.get(&name).await?.map(Installed::try_from).transpose()?;
        let requests = &generation.manifest.permissions;
        let held = self.0.grants.of(&name);
        let (mut more, mut less, mut kept) = (Vec::new(), Vec::new(), (*held).clone());
        let mut imports = Imports::default();
        if let Some(before) = &before {
            let had = &before.manifest.permissions;
            (more, less) = (requests.beyond(had), had.beyond(requests));
            if *before.digest != *generation.digest {
                // Where the old file is gone or too large by now, nothing of the new one counts as known.
                let old = self.0.read(&self.0.components.path(&before.digest)).unwrap_or_default();
                imports = Imports::between(&old, &bytes);
            }
            if !requests.ask_the_same(had) {
                kept = policy::effective(had, &[&*held]);
            }
        }
        let (skill, terms) = (SkillRef::new(name, generation), Terms::default());
        Ok(Candidate { skill, bytes, source, verdict, terms, before, more, less, imports, kept })
    }

    /// What a candidate requests that neither `allow` nor what it keeps holds.
    pub async fn missing_of(&self, candidate: &Candidate, allow: &Grants) -> Vec<Missing> {
        self.open_wishes(&candidate.skill.current().manifest.permissions, &[&candidate.kept, allow]).await
    }

    /// As [`missing_of`](Self::missing_of), with what needs no grant on this machine today, such as a model that is free here.
    #[must_use]
    pub fn everything_missing_of(&self, candidate: &Candidate) -> Vec<Missing> {
        let requests = &candidate.skill.current().manifest.permissions;
        policy::missing(requests, &[&candidate.kept], &Facts { is_free: &|_| false })
    }

    /// Installs what was considered, in place of an older one. Grants nothing; where it requests something else than the one
    /// before it, what that one could not use is no longer granted. Refused where its signature is not good enough on the terms
    /// that were accepted, and where it does not start or fails its own tests. Whatever fails, the one before it stays, with all that it keeps.
    pub async fn install(&self, candidate: Candidate) -> Result<Installed, Error> {
        candidate.verdict.admit(&candidate.terms)?;
        let generation = candidate.skill.current();
        if let Err(error) = self.tried(&candidate, &generation).await {
            let detail = format!("{}: {error}", error.kind());
            self.0.sessions.audit.note(Entry::admin("add-refused", candidate.source(), detail));
            return Err(error);
        }
        let installed = Installed {
            name: candidate.skill.identity().to_owned(),
            digest: generation.digest.as_ref().to_owned(),
            source: candidate.source.clone(),
            signer: candidate.verdict.owner(&candidate.terms).cloned(),
            added_at: jiff::Timestamp::now(),
            manifest: generation.manifest.clone(),
            tools: generation.tools.to_vec(),
        };
        let (considered, row) = (&candidate, &installed);
        let serve = |change| self.put_in_place(considered, row, change);
        let put = self.0.upgrade_with(&installed.name, &generation, serve).await;
        let before = candidate.before.filter(|before| before.digest != installed.digest);
        if let Err(error) = put {
            // Where it cannot be removed now, `clean` does it.
            if self.0.components.path(&installed.digest).is_file() {
                self.0.remove_component(&installed.digest).await;
            }
            return Err(error);
        }
        self.note_pin(&candidate.verdict, &candidate.terms, &installed.source);
        let by = installed.signer.as_ref().map(|signer| format!(", signed by {signer}"));
        let detail = format!("{}{}", installed.digest, by.unwrap_or_default());
        self.0.sessions.audit.note(Entry::admin("add", &*installed.name, detail));
        self.0.offers.changed();
        self.0.succeed(&installed.name, &generation).await?;
        if let Some(before) = before {
            self.0.remove_component(&before.digest).await;
        }
        Ok(installed)
    }

    /// Sees whether a candidate starts and passes its own tests, as a version that takes the place of one that serves has to: whoever holds
    /// the one before it is given this one.
    async fn tried(&self, candidate: &Candidate, generation: &Generation) -> Result<(), Error> {
        if let Runs::Here(pre) = &generation.runs {
            let name = Path::new(candidate.skill.identity());
            invocation::instantiate(&self.0, pre).await.map_err(|error| error.about(name))?;
        }
        self.self_test(candidate.skill.identity(), generation).await
    }

    /// The step from one version to the other: the file first, and then all that is kept of the skill in one transaction. False where what
    /// the one before it keeps has changed since `change` was made.
    async fn put_in_place(
        &self,
        candidate: &Candidate,
        installed: &Installed,
        change: Option<Change>,
    ) -> Result<bool, Error> {
        let Candidate { bytes, verdict, terms, before, .. } = candidate;
        // Until the index names the file nothing else does: another host must not take it for one that nobody needs.
        let _turn = self.0.state.turn().await?;
        let there = self.0.index.get(&installed.name).await?;
        if there.map(|there| there.digest) != before.as_ref().map(|before| before.digest.clone()) {
            return Err(CatalogError::Overtaken { name: installed.name.clone() }.into());
        }
        self.0.components.write(&installed.digest, bytes)?;
        if let Some(before) = before {
            let had = &before.manifest.permissions;
            if !had.ask_the_same(&installed.manifest.permissions) {
                // Before the new one is there: a host that is killed in between has taken something back, nothing else.
                self.0.grants.narrow(&installed.name, had).await?;
            }
        }
        let (name, was_pinned) = (installed.name.clone(), verdict.pin.is_some());
        let pin = verdict.pin_after(terms, &installed.source);
        let with = move |tx: &Transaction<'_>| {
            if !change.as_ref().map_or(Ok(true), |change| change.make(tx))? {
                return Ok(false);
            }
            match &pin {
                Some(pin) => Publishers::put_pin(tx, pin)?,
                None if was_pinned => Publishers::unpin(tx, &name)?,
                None => {}
            }
            Ok(true)
        };
        Ok(self.0.index.put(index::Entry::from(installed), with).await?)
    }

    /// Installs a component under the name in its manifest, in place of an older one, and asks nobody. Grants nothing.
    pub async fn add(&self, path: &Path, progress: Option<Progress>) -> Result<Installed, Error> {
        let candidate = self.consider(path, progress).await?;
        self.install(candidate).await
    }

    /// What is stored for an identity: the name of an installed skill, or a path.
    #[must_use]
    pub fn grants(&self, identity: &str) -> Grants {
        (*self.0.grants.always(identity)).clone()
    }

    /// Adds to what an identity may do, and gives what it may do then. What was denied before and is granted now is forgotten.
    pub async fn grant(&self, identity: &str, grants: Grants) -> Result<Grants, Error> {
        let grants = self.settled(grants).await?;
        let words = grants.words().join(" ");
        self.0.denials.lift(identity, &grants).await?;
        let held = self.0.grants.merge(identity, grants).await?;
        self.0.sessions.audit.note(Entry::admin("grant", identity, words));
        Ok(held)
    }

    /// As [`grant`](Self::grant), or until this host ends, for a skill that is installed: where somebody has looked at `digest` and
    /// another file is installed by now, nothing is granted.
    pub async fn grant_installed(
        &self,
        name: &str,
        digest: Option<&str>,
        session: bool,
        grants: Grants,
    ) -> Result<(), Error> {
        // Nobody installs another one in between.
        let turn = self.0.state.turn().await?;
        let there = self.0.find_installed(name).await?;
        if let Some(seen) = digest.filter(|digest| *digest != there.digest) {
            let seen = seen.chars().take(64).collect();
            return Err(CatalogError::Replaced { name: name.to_owned(), seen, there: there.digest }.into());
        }
        match session {
            true => self.grant_for_session(name, grants).await?,
            false => self.grant(name, grants).await.map(drop)?,
        }
        drop(turn);
        Ok(())
    }

    /// Adds to what an identity may do until this host ends.
    pub async fn grant_for_session(&self, identity: &str, grants: Grants) -> Result<(), Error> {
        let grants = self.settled(grants).await?;
        let words = grants.words().join(" ");
        self.0.denials.lift(identity, &grants).await?;
        self.0.grants.merge_for_session(identity, grants);
        self.0.sessions.audit.note(Entry::admin("grant-for-session", identity, words));
        Ok(())
    }

    /// Takes a capability, or everything, from an identity, however it was granted, and forgets what was denied; with the right
    /// to ask the person go the answers that were kept.
    pub async fn revoke(&self, identity: &str, capability: Option<&str>) -> Result<Grants, Error> {
        if let Some(name) = capability
            && !policy::GRANTABLE.contains(&name)
        {
            return Err(policy::unknown(name).into());
        }
        self.0.grants.revoke(identity, capability).await?;
        self.0.denials.clear(identity, capability).await?;
        let asks = capability.is_none_or(|name| name == <user::Grant as Grantable>::CAPABILITY);
        if asks && !self.answers(identity).await?.is_empty() {
            self.forget(identity, None).await?;
        }
        self.0.sessions.audit.note(Entry::admin("revoke", identity, capability.unwrap_or("everything")));
        Ok(self.grants(identity))
    }

    /// Remembers that a person does not want these granted and does not want to be asked again.
    pub async fn deny(&self, identity: &str, refused: &[Missing]) -> Result<(), Error> {
        let words: Vec<String> = refused.iter().map(|one| one.grant.clone()).collect();
        self.0.denials.add(identity, &words).await?;
        self.0.sessions.audit.note(Entry::admin("deny", identity, words.join(" ")));
        Ok(())
    }

    /// What was denied to an identity.
    #[must_use]
    pub fn denials(&self, identity: &str) -> Vec<Denied> {
        self.0.denials.of(identity)
    }

    /// What was denied before of what the skill requests and neither the grants that it holds nor `allow` hold: nobody is to
    /// be asked about it again.
    pub async fn denied(&self, skill: &SkillRef, allow: &Grants) -> Vec<Denied> {
        let requests = &skill.current().manifest.permissions;
        self.settle_names(requests).await;
        let (held, denied) = (self.0.grants.of(skill.identity()), self.0.denials.of(skill.identity()));
        let models = self.0.models.load();
        let is_free = |model: &str| models.is_free(model);
        standing(requests, &[&*held, allow], &Facts { is_free: &is_free }, &denied)
    }

    /// What the skill requests and neither the grants that it holds nor `allow` hold.
    pub async fn missing(&self, skill: &SkillRef, allow: &Grants) -> Vec<Missing> {
        let held = self.0.grants.of(skill.identity());
        self.open_wishes(&skill.current().manifest.permissions, &[&*held, allow]).await
    }

    pub(super) async fn open_wishes(&self, requests: &Requests, granted: &[&Grants]) -> Vec<Missing> {
        self.settle_names(requests).await;
        let models = self.0.models.load();
        policy::missing(requests, granted, &Facts { is_free: &|model| models.is_free(model) })
    }

    /// What a skill may do, what it asked for and what it did.
    pub async fn permissions(&self, skill: &SkillRef) -> Result<Permissions, Error> {
        self.0.state.flush().await?;
        let identity = skill.identity();
        let used = self.audit().used(identity).await?;
        let is_used = |name: &str| used.iter().any(|one| one.capability == name && one.times > 0);
        let held = self.0.grants.of(identity).by_capability();
        Ok(Permissions {
            identity: identity.to_owned(),
            requested: skill.current().manifest.permissions.wishes(),
            missing: self.missing(skill, &Grants::default()).await,
            granted: Granted {
                always: self.0.grants.always(identity).words(),
                session: self.0.grants.session(identity).words(),
            },
            denied: self.0.denials.of(identity),
            never_used: held.into_iter().map(|(name, _)| name).filter(|name| !is_used(name)).collect(),
            used,
            answers: self.answers(identity).await?,
        })
    }

    /// What saying yes to these requests can cost, one sentence each; nothing where it costs nothing.
    pub async fn costs(&self, requests: &Requests) -> Vec<String> {
        self.settle_names(requests).await;
        let names = requests.model.iter().flat_map(|request| &request.models);
        let models = self.0.models.load_full();
        let mut costs: Vec<String> = names.filter_map(|name| models.cost(name)).collect();
        if !costs.is_empty() {
            costs.push(self.0.settings.load().budget.money_in_words());
        }
        costs
    }

    /// The audit in a state directory, for reading, also while a host runs there.
    pub async fn read_audit(state_dir: &Path) -> Result<Audit, Error> {
        Ok(Self::read_records(state_dir).await?.1)
    }

    /// The journal and the audit, likewise.
    pub async fn read_records(state_dir: &Path) -> Result<(Journal, Audit), Error> {
        let dir = state_dir.to_owned();
        let open = tokio::task::spawn_blocking(move || {
            let there = if dir.join("audit.key").is_file() { State::open_to_read(&dir)? } else { None };
            let state = match there {
                Some(state) => state,
                None => State::open(&dir, Durability::Normal, STATE_WAIT)?,
            };
            let journal = Journal::new(state.clone());
            Audit::open(state, &dir).map(|audit| (journal, audit))
        });
        Ok(open.await.map_err(|_| InvokeError::HostFault)??)
    }

    /// What a name leads to must be known before a person is asked about it.
    pub(super) async fn settle_names(&self, requests: &Requests) {
        for model in requests.model.iter().flat_map(|request| &request.models) {
            self.0.models.load_full().ready(model).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_same_in_whatever_version() {
        for (one, other, same) in [
            ("oci://r.test/a/b:1.0", "oci://r.test/a/b:2.0", true),
            ("oci://r.test:5000/b:1.0", "oci://r.test:5000/b@sha256:00", true),
            ("oci://r.test:5000/b", "oci://r.test:5000/c", false),
            ("oci://r.test:5000/b", "oci://r.test:5001/b", false),
            ("https://a.test/x.wasm#sha256=00", "https://a.test/x.wasm#sha256=01", true),
            ("https://a.test/x.wasm", "https://b.test/x.wasm", false),
            ("notes@1.0.0", "notes@2.0.0", true),
            ("notes", "notes@2.0.0", true),
            ("/a/x@1.wasm", "/a/x@2.wasm", false),
            ("/a/x.wasm", "/a/x.wasm", true),
            ("/a/x#1", "/a/x#2", false),
        ] {
            assert_eq!(lineage(one) == lineage(other), same, "{one} {other}");
        }
    }
}
