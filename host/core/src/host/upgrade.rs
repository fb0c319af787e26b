//! The state of a skill when another version of it comes to serve: the skill's own step brings it up to date, or nothing is changed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::Shared;
use crate::capability::kv::upgrade::{copy, discard, mark, settle, version};
use crate::catalog::{Generation, ReloadError, SkillRef};
use crate::engine::LimitSettings;
use crate::error::Error;
use crate::invocation::{self, Call};
use crate::journal::audit::Entry;
use crate::policy::Grants;

/// What a step may take.
const STEP: LimitSettings = LimitSettings {
    wall_seconds: Some(60),
    cpu_seconds: Some(60),
    memory_mib: None,
    hostcall_kib: None,
    input_kib: None,
    output_kib: None,
    handles: None,
};

/// How often a step is begun again because the version that serves wrote meanwhile.
const TRIES: usize = 3;

impl Shared {
    /// Makes sure that what a skill keeps is of the version that this generation of it knows. Runs nothing where it is, which after the
    /// first time is one look at a flag.
    ///
    /// The step sees a copy, and nothing else of the world: it has the right to that state alone. From the moment at which the copy takes
    /// the place of the original, calls of the version before can read and no longer write: what they wrote, nobody could read.
    pub(crate) async fn upgrade_state(self: &Arc<Self>, identity: &str, generation: &Generation) -> Result<(), Error> {
        if generation.state_ready.load(Ordering::Acquire) {
            return Ok(());
        }
        let _one = self.upgrading.lock().await;
        let name = || generation.manifest.name.clone();
        let to = generation.manifest.state_version();
        match version(&self.state, identity).await? {
            Some(from) if from > to => {
                return Err(ReloadError::StateNewer { name: name(), found: from, known: to }.into());
            }
            Some(from) if from < to => {
                match generation.upgrade.is_empty() {
                    true => mark(&self.state, identity, to).await?,
                    false => self.run_step(identity, generation, from, to).await?,
                }
                self.sessions.audit.note(Entry::admin("upgrade-state", identity, format!("{from} to {to}")));
            }
            _ => {}
        }
        generation.state_ready.store(true, Ordering::Release);
        Ok(())
    }

    async fn run_step(
        self: &Arc<Self>,
        identity: &str,
        generation: &Generation,
        from: u32,
        to: u32,
    ) -> Result<(), Error> {
        // Neither a path nor the name of a skill: nobody else's state is there.
        let scratch = format!("upgrade of {identity}");
        let held = self.grants.of(identity).kv.clone().unwrap_or_default();
        let failed = |reason: String| ReloadError::Upgrade { name: generation.manifest.name.clone(), from, to, reason };
        for _ in 0..TRIES {
            let original = copy(&self.state, identity, &scratch, to).await?;
            let step = SkillRef::new(scratch.clone(), generation.step());
            let call = Call {
                allow: Grants { kv: Some(held.clone()), ..Grants::default() },
                limits: STEP,
                ..Call::new(step, json!({ "from": from, "to": to }).to_string())
            };
            // The walk itself may have come here.
            if let Err(error) = Box::pin(invocation::run(self, call)).await {
                discard(&self.state, &scratch).await?;
                return Err(failed(error.to_string()).into());
            }
            if settle(&self.state, identity, &scratch, original).await? {
                return Ok(());
            }
        }
        Err(failed("the version that serves kept writing meanwhile".into()).into())
    }
}
