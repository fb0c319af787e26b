//! What the state has to do with where skills come from: which index was seen, what a project locks, what nobody needs any more.

use std::path::Path;

use rusqlite::OptionalExtension as _;

use super::Host;
use crate::catalog::SkillRef;
use crate::catalog::lock::{self, Locked};
use crate::catalog::source::{Age, Digest, Index, IndexError, Reference, Seen};
use crate::error::Error;
use crate::files;

impl Host {
    /// Looks whether an index may follow what was seen of it before, and remembers it. Says how old it is; an error where it is
    /// older than one that was seen. One that nothing may be installed from any more is told by [`Index::age`].
    pub async fn heed(&self, index: &Index) -> Result<Result<Age, IndexError>, Error> {
        let place = index.place().to_owned();
        let before = self.0.state.read(move |db| {
            let mut statement = db.prepare_cached("SELECT serial, digest FROM indexes WHERE place = ?1")?;
            let row = statement.query_row([place], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
            row.optional()
        });
        if let Some((serial, digest)) = before.await? {
            index.follows(&Seen { serial: u64::try_from(serial).unwrap_or_default(), digest })?;
        }
        let (place, Seen { serial, digest }) = (index.place().to_owned(), index.seen());
        let now = jiff::Timestamp::now();
        let serial = i64::try_from(serial).unwrap_or(i64::MAX);
        self.0
            .state
            .write(move |tx| {
                tx.execute(
                    "INSERT OR REPLACE INTO indexes VALUES (?1, ?2, ?3, ?4)",
                    rusqlite::params![place, serial, digest, now.as_microsecond()],
                )
            })
            .await?;
        Ok(index.age(now))
    }

    /// What a project's lock says about a skill that was just loaded from `reference`.
    pub async fn locked(
        &self,
        skill: &SkillRef,
        reference: &Reference,
        exact: Option<String>,
    ) -> Result<Locked, Error> {
        let manifest = skill.manifest();
        let reference = reference.to_string();
        let digest = Digest::parse(&skill.digest())
            .map_err(|reason| crate::catalog::CatalogError::Index { name: manifest.name.clone(), reason })?;
        Ok(Locked {
            name: manifest.name,
            version: manifest.version,
            exact: exact.filter(|exact| *exact != reference),
            reference,
            digest,
            signer: self.signed_by(skill.identity()).await?.map(|by| by.signer.word()),
            wit: skill.wit(),
            grants: lock::digest_of(&self.grants(skill.identity())),
        })
    }

    /// Removes components that neither an installed skill nor `keep` needs, by digest, and what killed processes have left half written. Says
    /// how many bytes they had.
    pub async fn clean(&self, keep: &[String]) -> Result<u64, Error> {
        let _turn = self.0.state.turn().await?;
        let state = self.0.state.path().parent().unwrap_or(Path::new("."));
        let ours = [state.to_owned(), state.join("transcripts"), self.0.engine.cache_dir.join("artefacts")];
        let left: u64 = ours.iter().map(|dir| files::clean_private(dir)).sum();
        Ok(self.0.components.clean(&self.0.index, keep).await? + left)
    }
}
