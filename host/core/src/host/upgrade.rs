//! The state of a skill when another version of it comes to serve: the skill's own step brings it up to date, or nothing is changed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;

use super::Shared;
use crate::capability::kv::upgrade::{Change, copy, discard, version};
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

/// The folder whose lock says which process runs a step.
const TURN: &str = "upgrades";

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
        let make = |change: Option<Change>| async move {
            match change {
                Some(change) => Ok(self.state.write_large(move |tx| change.make(tx)).await?),
                None => Ok(true),
            }
        };
        self.upgrade_with(identity, generation, make).await?;
        generation.state_ready.store(true, Ordering::Release);
        Ok(())
    }

    /// The same for a generation that is yet to serve: the step runs on its copy, and then `serve` makes the change, with all else that has
    /// to happen together or not at all. Where that fails, what the version before keeps is as it was. It is asked again where it says
    /// that somebody wrote meanwhile.
    pub(super) async fn upgrade_with<F>(
        self: &Arc<Self>,
        identity: &str,
        generation: &Generation,
        serve: impl Fn(Option<Change>) -> F,
    ) -> Result<(), Error>
    where
        F: Future<Output = Result<bool, Error>>,
    {
        let _one = self.upgrading.lock().await;
        let name = || generation.manifest.name.clone();
        let to = generation.manifest.state_version();
        let (mut before, scratch) = (to, scratch(identity));
        let mut turn = None;
        for _ in 0..TRIES {
            let mut found = version(&self.state, identity).await?;
            if turn.is_none() && found.is_some_and(|from| from < to) && !generation.upgrade.is_empty() {
                // Another process would write to the same copy. It may have done all that there is to do before this one's turn.
                turn = Some(self.state.turn_in(TURN).await?);
                found = version(&self.state, identity).await?;
            }
            let change = match found {
                Some(from) if from > to => {
                    return Err(ReloadError::StateNewer { name: name(), found: from, known: to }.into());
                }
                Some(from) if from < to => {
                    before = from;
                    Some(match generation.upgrade.is_empty() {
                        true => Change::Mark { skill: identity.to_owned(), from, to },
                        false => self.run_step(identity, generation, from, to).await?,
                    })
                }
                _ => None,
            };
            let changes = change.is_some();
            match serve(change).await {
                Ok(true) if changes => {
                    let detail = format!("{before} to {to}");
                    self.sessions.audit.note(Entry::admin("upgrade-state", identity, detail));
                    return Ok(());
                }
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => {
                    // Otherwise the next upgrade throws it away: what went wrong first is what is told.
                    drop(discard(&self.state, &scratch).await);
                    return Err(error);
                }
            }
        }
        let reason = "the version that serves kept writing meanwhile".into();
        Err(ReloadError::Upgrade { name: name(), from: before, to, reason }.into())
    }

    /// Runs the step on a copy. What is left is to put that in the place of the original.
    async fn run_step(
        self: &Arc<Self>,
        identity: &str,
        generation: &Generation,
        from: u32,
        to: u32,
    ) -> Result<Change, Error> {
        let copied = scratch(identity);
        let held = self.grants.of(identity).kv.clone().unwrap_or_default();
        let original = copy(&self.state, identity, &copied, to).await?;
        let call = Call {
            allow: Grants { kv: Some(held), ..Grants::default() },
            limits: STEP,
            ..Call::new(SkillRef::new(copied.clone(), generation.step()), json!({ "from": from, "to": to }).to_string())
        };
        // The walk itself may have come here.
        match Box::pin(invocation::run(self, call)).await {
            Ok(_) => Ok(Change::Settle { skill: identity.to_owned(), copy: copied, original }),
            Err(error) => {
                discard(&self.state, &copied).await?;
                let (name, reason) = (generation.manifest.name.clone(), error.to_string());
                Err(ReloadError::Upgrade { name, from, to, reason }.into())
            }
        }
    }
}

/// Where the copy is: neither a path nor the name of a skill, so that nobody else's state is there.
fn scratch(identity: &str) -> String {
    format!("upgrade of {identity}")
}
