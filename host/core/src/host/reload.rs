//! Another version of a skill that serves: prepared beside it, and put in its place in one step.
//!
//! Everything that can fail happens before the step. Whatever fails, the old version serves on, and [`SkillRef::standing`] says why.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Host, Progress, Secrets, Shared, router};
use crate::capability::kv::upgrade::Change;
use crate::catalog::{Behind, Generation, ReloadError, Runs, SkillRef, Standing, behind, settle};
use crate::engine::{LimitSettings, digest};
use crate::error::Error;
use crate::invocation::{self, Call};
use crate::journal::audit::Entry;
use crate::policy::{self, Facts, Grants, Missing, Requests};
use crate::settings::Settings;

/// What a skill's own test may take.
const SELF_TEST: LimitSettings = LimitSettings {
    wall_seconds: Some(10),
    cpu_seconds: Some(5),
    memory_mib: None,
    hostcall_kib: None,
    input_kib: None,
    output_kib: None,
    handles: None,
};

/// A version that is ready to serve in the place of another one.
pub struct Successor {
    generation: Arc<Generation>,
    /// The digest of what served when it was prepared.
    before: Arc<str>,
    /// What that one asked for.
    had: Requests,
    more: Vec<Missing>,
    less: Vec<Missing>,
    /// Models that were free then.
    free: Vec<String>,
    asks_the_same: bool,
}

impl Successor {
    /// What it asks for that the serving one does not. Nobody has granted any of it yet.
    #[must_use]
    pub fn more(&self) -> &[Missing] {
        &self.more
    }

    /// What the serving one asks for and this one does not.
    #[must_use]
    pub fn less(&self) -> &[Missing] {
        &self.less
    }

    /// What of that it needs and `allow` does not hold.
    #[must_use]
    pub fn lacks(&self, allow: &Grants) -> Vec<Missing> {
        if self.more.is_empty() {
            return Vec::new();
        }
        let requests = &self.generation.manifest.permissions;
        let facts = Facts { is_free: &|model| self.free.iter().any(|free| free == model) };
        let mut lacks = requests.lacking_beyond(&self.had, allow, &facts);
        lacks.retain(|one| !one.optional);
        lacks
    }

    #[must_use]
    pub fn version(&self) -> &semver::Version {
        &self.generation.manifest.version
    }

    #[must_use]
    pub fn digest(&self) -> &str {
        &self.generation.digest
    }
}

impl std::fmt::Debug for Successor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Successor").field("digest", &self.generation.digest).finish_non_exhaustive()
    }
}

impl Host {
    /// Reads the component of a skill again and makes it ready beside the one that serves: read once, hashed, checked, compiled, linked,
    /// its tools listed, its rights compared, its own tests run. None where the file is what serves already.
    ///
    /// `downgrade` lets an older version through: an author's own, or one that a person chose.
    pub async fn prepare(
        &self,
        skill: &SkillRef,
        path: &Path,
        downgrade: bool,
        progress: Option<Progress>,
    ) -> Result<Option<Successor>, Error> {
        let prepared = self.successor(skill, path, downgrade, progress).await;
        match &prepared {
            Ok(None) => self.0.stands(skill, Standing::Serving).await,
            Ok(Some(next)) if !next.more.is_empty() => {
                let (version, missing) = (next.version().clone(), next.more.clone());
                self.0.stands(skill, Standing::PendingConsent { version, missing }).await;
            }
            Ok(Some(_)) => {}
            Err(error) => self.not_replaced(skill, error).await,
        }
        prepared
    }

    async fn successor(
        &self,
        skill: &SkillRef,
        path: &Path,
        downgrade: bool,
        progress: Option<Progress>,
    ) -> Result<Option<Successor>, Error> {
        let serving = skill.current();
        let bytes = settle::read_settled(path, self.0.component_bytes()).await.map_err(|error| error.about(path))?;
        if *digest(&bytes) == *serving.digest {
            return Ok(None);
        }
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let generation = self.0.generation(&bytes, &stem, Some(skill.identity()), progress.as_ref()).await;
        let generation = generation.map_err(|error| error.about(path))?;
        let (old, new) = (&serving.manifest, &generation.manifest);
        if old.name != new.name {
            return Err(ReloadError::Renamed { name: old.name.clone(), found: new.name.clone() }.into());
        }
        if new.version < old.version && !downgrade {
            let (serving, found) = (old.version.clone(), new.version.clone());
            return Err(ReloadError::Rollback { name: old.name.clone(), serving, found }.into());
        }
        let (requests, had) = (&new.permissions, &old.permissions);
        let asks_the_same = requests.ask_the_same(had);
        self.settle_names(requests).await;
        let models = self.0.models.load();
        let free: Vec<String> = requests.model.iter().flat_map(|request| &request.models).cloned().collect();
        let free: Vec<String> = free.into_iter().filter(|model| models.is_free(model)).collect();
        // What was granted as a pattern, or before anybody asked for it, does not cover what is new: it is not looked at.
        let is_free = |model: &str| free.iter().any(|free| free == model);
        let more = requests.lacking_beyond(had, &Grants::default(), &Facts { is_free: &is_free });
        let (less, had) = (had.beyond(requests), had.clone());
        let generation = Arc::new(generation);
        if let Runs::Here(pre) = &generation.runs {
            invocation::instantiate(&self.0, pre).await.map_err(|error| error.about(path))?;
        }
        self.self_test(skill.identity(), &generation).await?;
        let before = serving.digest.clone();
        Ok(Some(Successor { generation, before, had, more, less, free, asks_the_same }))
    }

    /// Puts a version in the place of the one that serves. The next call runs it; calls under way end on what they began with,
    /// within `engine.drain-seconds`. `allow` is what a person granted of what is new, until this host ends or for good; where something is
    /// left of that, the old version serves on.
    pub async fn replace(&self, skill: &SkillRef, next: Successor, allow: Grants, for_good: bool) -> Result<(), Error> {
        let allow = self.settled(allow).await?;
        let _changing = skill.change().await;
        let serving = skill.current();
        let name = || serving.manifest.name.clone();
        if serving.digest != next.before {
            return Err(ReloadError::Overtaken { name: name() }.into());
        }
        let missing = next.lacks(&allow);
        if !missing.is_empty() {
            let (version, shown) = (next.version().clone(), missing.clone());
            self.0.stands(skill, Standing::PendingConsent { version, missing: shown }).await;
            return Err(ReloadError::Widened { name: name(), missing }.into());
        }
        // As it is configured now, which may have changed since it was prepared.
        let generation = self.0.configured(skill.identity(), &next.generation)?;
        let (identity, had, narrows) = (skill.identity(), &serving.manifest.permissions, !next.asks_the_same);
        let allow = &allow;
        let serve = |change: Option<Change>| async move {
            if narrows {
                self.0.grants.narrow(identity, had).await?;
            }
            match (*allow == Grants::default(), for_good) {
                (true, _) => {}
                (false, true) => _ = self.grant(identity, allow.clone()).await?,
                (false, false) => self.grant_for_session(identity, allow.clone()).await?,
            }
            // What it keeps comes last: from then on the version that serves could not go on.
            match change {
                Some(change) => Ok(self.0.state.write_large(move |tx| change.make(tx)).await?),
                None => Ok(true),
            }
        };
        if let Err(error) = self.0.upgrade_with(identity, &generation, serve).await {
            self.not_replaced(skill, &error).await;
            return Err(error);
        }
        self.0.publish(skill, Arc::new(generation));
        self.0.stands(skill, Standing::Serving).await;
        self.0.sessions.audit.note(Entry::admin("reload", skill.identity(), next.digest()));
        Ok(())
    }

    /// Says of a skill that what was offered last could not even be prepared: a build that failed, for example.
    pub async fn fell_behind(&self, skill: &SkillRef, error: &Error) {
        self.0.stands(skill, Standing::failed(error)).await;
    }

    /// The skills that hosts on this state serve in an older version than the one that was offered last, in whichever process, and why.
    pub async fn behind(&self) -> Result<Vec<Behind>, Error> {
        Ok(behind::all(&self.0.state).await?)
    }

    async fn not_replaced(&self, skill: &SkillRef, error: &Error) {
        self.0.stands(skill, Standing::failed(error)).await;
        self.0.sessions.audit.note(Entry::admin("reload-refused", skill.identity(), error.kind()));
    }

    /// Lets a version prove itself before anybody depends on it. It has no grants, and an identity of nobody.
    pub(super) async fn self_test(&self, identity: &str, generation: &Generation) -> Result<(), Error> {
        let manifest = &generation.manifest;
        for (number, test) in (1..).zip(&manifest.self_test) {
            let identity = format!("{identity} (own test)");
            let call = Call {
                tool: Some(test.tool.clone()),
                limits: SELF_TEST,
                ..Call::new(SkillRef::new(identity, generation.apart()), test.input.to_string())
            };
            invocation::run(&self.0, call).await.map_err(|error| {
                let (name, tool, reason) = (manifest.name.clone(), test.tool.clone(), error.to_string());
                ReloadError::SelfTest { name, number, tool, reason }
            })?;
        }
        Ok(())
    }

    /// Takes another configuration. Calls under way go on with the old one; each skill's next call sees all of the new one or, where
    /// this fails, all of the old one. Gives what is changed and holds only when the host is started again.
    pub async fn reconfigure(&self, settings: Settings, environment: &Secrets) -> Result<Vec<&'static str>, Error> {
        let shared = &self.0;
        let _one = shared.reconfiguring.lock().await;
        if let Some(name) = settings.rules.unknown() {
            return Err(policy::unknown(name).into());
        }
        let old = shared.settings.load_full();
        let later = [
            ("durability", old.durability != settings.durability),
            ("engine", old.engine != settings.engine),
            ("http", old.http != settings.http),
            ("secrets", old.secrets != settings.secrets),
        ];
        let models = (old.models != settings.models).then(|| router(&settings.models, environment)).transpose()?;
        shared.reconfigure_servers(&settings.mcp_servers, environment).await?;
        let settings = Arc::new(Settings {
            durability: old.durability,
            engine: old.engine.clone(),
            http: old.http.clone(),
            secrets: old.secrets.clone(),
            ..settings
        });
        for skill in shared.live.all() {
            shared.configured_by(&settings, skill.identity(), &skill.current())?;
        }
        shared.sessions.rules.store(Arc::new(settings.rules.clone()));
        if let Some(models) = models {
            shared.models.store(Arc::new(models));
        }
        shared.settings.store(Arc::clone(&settings));
        for skill in shared.live.all() {
            let _changing = skill.change().await;
            match shared.configured_by(&settings, skill.identity(), &skill.current()) {
                Ok(generation) => _ = skill.replace(Arc::new(generation)),
                // Replaced in this moment by one that takes other settings.
                Err(error) => tracing::warn!(%error, skill = skill.identity(), "it keeps the settings that it had"),
            }
        }
        shared.sessions.audit.note(Entry::admin("reconfigure", "configuration", ""));
        Ok(later.into_iter().filter_map(|(name, changed)| changed.then_some(name)).collect())
    }
}

impl Shared {
    /// A generation as it is configured now.
    pub(super) fn configured(&self, identity: &str, generation: &Generation) -> Result<Generation, Error> {
        self.configured_by(&self.settings.load_full(), identity, generation)
    }

    fn configured_by(&self, settings: &Settings, identity: &str, generation: &Generation) -> Result<Generation, Error> {
        let mut generation = generation.clone();
        generation.configure(settings, identity)?;
        Ok(generation)
    }

    /// Lets what was installed serve wherever an older version of it is held.
    pub(super) async fn succeed(&self, name: &str, generation: &Generation) -> Result<(), Error> {
        for skill in self.live.of(name) {
            let _changing = skill.change().await;
            self.publish(&skill, Arc::new(self.configured(name, generation)?));
            self.stands(&skill, Standing::Serving).await;
        }
        Ok(())
    }

    /// Keeps how a skill stands, and tells other hosts on this state.
    pub(super) async fn stands(&self, skill: &SkillRef, standing: Standing) {
        let before = skill.standing();
        skill.set_standing(standing.clone());
        if before == Standing::Serving && standing == Standing::Serving {
            return;
        }
        // It serves as before all the same; who lists is told less.
        if let Err(error) = behind::tell(&self.state, skill, &standing).await {
            tracing::warn!(%error, skill = skill.identity(), "other hosts are not told how it stands");
        }
    }

    /// Puts a generation in the place of the one that serves. The old one is freed when its last call ends; what still runs when its time
    /// is over is ended.
    pub(super) fn publish(&self, skill: &SkillRef, next: Arc<Generation>) {
        let old = skill.replace(Arc::clone(&next));
        if old.digest == next.digest {
            return;
        }
        self.offers.changed();
        let drain = Duration::from_secs(u64::from(self.settings.load().engine.drain_seconds));
        let (withdrawn, ended): (CancellationToken, CancellationToken) = (old.withdrawn.clone(), old.life.ended());
        // Not the generation itself: it would live as long as this waits.
        drop(old);
        if ended.is_cancelled() {
            return;
        }
        self.sessions.io.spawn(async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = tokio::time::sleep(drain) => withdrawn.cancel(),
            }
        });
    }
}
