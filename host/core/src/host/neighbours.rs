//! Other hosts on the same state, in processes of their own: what one of them grants, keeps, installs or removes holds in this one as well.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::Shared;
use crate::catalog::{Standing, behind};
use crate::error::Error;
use crate::state::StateError;

/// How long it may take until what another host has changed holds here.
const EVERY: Duration = Duration::from_millis(250);

/// How often each table was changed.
type Counts = HashMap<String, i64>;

/// What was seen last.
#[derive(Default)]
struct Seen {
    /// Of the connection that writes.
    version: i64,
    counts: Counts,
}

/// Looks for changes as long as the host lives. Where nobody else has the state open that is one number, four times in a second.
pub(super) async fn follow(shared: &Arc<Shared>) -> Result<(), Error> {
    // What was read before now is of this moment or newer.
    let version = look(shared, 0).await?.map_or(0, |found| found.0);
    let seen = Seen { version, counts: counts(shared).await? };
    let (weak, io) = (Arc::downgrade(shared), shared.sessions.io.clone());
    io.spawn(watch(weak, seen));
    Ok(())
}

async fn watch(shared: Weak<Shared>, mut seen: Seen) {
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(shared) = shared.upgrade() else { break };
        if let Err(error) = catch_up(&shared, &mut seen).await {
            // It is tried again: nothing of it counts as seen.
            tracing::error!(%error, "what another host has changed cannot be read");
        }
    }
}

async fn catch_up(shared: &Arc<Shared>, seen: &mut Seen) -> Result<(), Error> {
    let Some((version, counts)) = look(shared, seen.version).await? else { return Ok(()) };
    shared.treasury.refresh().await?;
    let changed = |what: &str| counts.get(what) != seen.counts.get(what);
    if changed("grants") {
        shared.grants.refresh().await?;
    }
    if changed("denials") {
        shared.denials.refresh().await?;
    }
    if changed("secrets") {
        shared.vault.refresh().await?;
    }
    if changed("skills") {
        shared.reinstalled().await?;
    }
    if changed("servers") {
        shared.servers_approved().await?;
    }
    *seen = Seen { version, counts };
    Ok(())
}

/// None where no other host has committed anything since `before`.
async fn look(shared: &Shared, before: i64) -> Result<Option<(i64, Counts)>, StateError> {
    let look = shared.state.write_first(move |tx| {
        let version = tx.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        if version == before { Ok(None) } else { Ok(Some((version, read(tx)?))) }
    });
    look.await
}

async fn counts(shared: &Shared) -> Result<Counts, StateError> {
    shared.state.read(read).await
}

fn read(db: &rusqlite::Connection) -> rusqlite::Result<Counts> {
    db.prepare_cached("SELECT what, count FROM changes")?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

impl Shared {
    /// Lets every skill that somebody holds serve what is installed now. One that cannot, serves what it served, and says so in the log.
    async fn reinstalled(self: &Arc<Self>) -> Result<(), Error> {
        let now = self.all_installed().await?;
        self.offers.changed();
        let held = self.live.all().iter().map(|skill| skill.identity().to_owned()).collect();
        behind::keep_only(&self.state, held).await?;
        for skill in self.live.all() {
            let Some(installed) = now.iter().find(|installed| installed.name == skill.identity()) else { continue };
            let before = skill.current();
            if *before.digest == *installed.digest {
                // What could not be loaded may have been taken back.
                self.stands(&skill, Standing::Serving).await;
                continue;
            }
            let had = &before.manifest.permissions;
            if !had.ask_the_same(&installed.manifest.permissions) {
                // As the host has done that installed it: this one has grants of its own, which hold until it ends.
                self.grants.narrow(&installed.name, had).await?;
            }
            let fresh = match self.installed_skill(installed).await {
                Ok(fresh) => fresh,
                Err(error) => {
                    tracing::error!(skill = skill.identity(), %error, "what is installed now cannot be loaded");
                    self.stands(&skill, Standing::failed(&error)).await;
                    continue;
                }
            };
            self.loaded.forget(&before.digest);
            let _changing = skill.change().await;
            match self.configured(skill.identity(), &fresh.current()) {
                Ok(generation) => {
                    self.publish(&skill, Arc::new(generation));
                    self.stands(&skill, Standing::Serving).await;
                }
                Err(error) => {
                    tracing::error!(skill = skill.identity(), %error, "it keeps the version that it had");
                    self.stands(&skill, Standing::failed(&error)).await;
                }
            }
        }
        // What is no longer installed is not offered, and what nobody holds is loaded anew when it is called.
        Ok(())
    }
}
