//! Whom a person trusts to publish skills, whom no longer, and which skill is whose.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use semver::Version;
use serde::Serialize;

use super::{SignatureError, Signer};
use crate::catalog::rfc3339;
use crate::error::Error;
use crate::state::{State, StateError};

/// Somebody whose signatures a person trusts, or has revoked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Publisher {
    /// What the person calls them. Empty where somebody was revoked who never was trusted.
    pub name: String,
    pub signer: Signer,
    #[serde(serialize_with = "rfc3339")]
    pub since: jiff::Timestamp,
    /// Since when nothing that they sign is accepted any more. That is never forgotten.
    #[serde(serialize_with = "rfc3339_or_null")]
    pub revoked: Option<jiff::Timestamp>,
}

fn rfc3339_or_null<S: serde::Serializer>(at: &Option<jiff::Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

/// Whose a skill is: it is replaced by nothing that somebody else signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Pin {
    pub skill: String,
    pub signer: Signer,
    /// Where the last one came from.
    pub source: String,
    /// The highest version that was ever installed of it.
    #[serde(serialize_with = "version")]
    pub floor: Version,
}

fn version<S: serde::Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(version)
}

/// Names that people give: nothing that could be taken for something else where it is shown.
fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || " -_.@".contains(c))
}

/// Publishers and pins, kept. Cheap to clone. Only a person's face changes them.
#[derive(Clone, Debug)]
pub(crate) struct Publishers {
    state: State,
}

impl Publishers {
    pub(crate) fn new(state: State) -> Self {
        Self { state }
    }

    /// By name.
    pub(crate) async fn all(&self) -> Result<Vec<Publisher>, StateError> {
        self.state.read(all).await
    }

    /// Trusts somebody from now on. One who was revoked only with `restore`.
    pub(crate) async fn trust(&self, name: &str, signer: &Signer, restore: bool) -> Result<Publisher, Error> {
        if !is_name(name) {
            return Err(SignatureError::Name(name.to_owned()).into());
        }
        let revoked = self.all().await?.into_iter().any(|known| known.signer == *signer && known.revoked.is_some());
        if revoked && !restore {
            return Err(SignatureError::WasRevoked(Box::new(signer.clone())).into());
        }
        let publisher =
            Publisher { name: name.to_owned(), signer: signer.clone(), since: jiff::Timestamp::now(), revoked: None };
        self.put(vec![publisher.clone()]).await?;
        Ok(publisher)
    }

    /// Revokes all keys of the publisher of this name, or the one signer who is given in full, known or not.
    pub(crate) async fn revoke(&self, word: &str) -> Result<Vec<Publisher>, Error> {
        let (mut found, pins): (Vec<_>, Vec<Pin>) = (self.all().await?, self.pins().await?);
        found.retain(|known| known.name == word || known.signer.word() == word);
        let now = jiff::Timestamp::now();
        if found.is_empty() {
            let pinned = pins.into_iter().map(|pin| pin.signer).find(|signer| signer.word() == word);
            let signer = pinned.or_else(|| Signer::parse(word).ok());
            let signer = signer.ok_or_else(|| SignatureError::NoPublisher(crate::plain::line(word, 80).0))?;
            found.push(Publisher { name: String::new(), signer, since: now, revoked: None });
        }
        for one in &mut found {
            one.revoked.get_or_insert(now);
        }
        self.put(found.clone()).await?;
        Ok(found)
    }

    async fn put(&self, publishers: Vec<Publisher>) -> Result<(), StateError> {
        let write = self.state.write(move |tx| {
            for one in &publishers {
                tx.execute(
                    "INSERT OR REPLACE INTO publishers VALUES (?1, ?2, ?3, ?4)",
                    params![
                        to_json(&one.signer),
                        one.name,
                        one.since.as_microsecond(),
                        one.revoked.map(jiff::Timestamp::as_microsecond)
                    ],
                )?;
            }
            Ok(())
        });
        write.await
    }

    /// Whose the skill of this name is, installed or not.
    pub(crate) async fn pin(&self, skill: &str) -> Result<Option<Pin>, StateError> {
        let skill = skill.to_owned();
        let read =
            self.state.read(move |db| db.query_row("SELECT * FROM pins WHERE skill = ?1", [skill], pin).optional());
        read.await
    }

    /// By name of the skill.
    pub(crate) async fn pins(&self) -> Result<Vec<Pin>, StateError> {
        self.state.read(|db| db.prepare("SELECT * FROM pins ORDER BY skill")?.query_map([], pin)?.collect()).await
    }

    /// Keeps whose a skill is, within a transaction.
    pub(crate) fn put_pin(tx: &Transaction<'_>, pin: &Pin) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO pins VALUES (?1, ?2, ?3, ?4)";
        let row = params![pin.skill, to_json(&pin.signer), pin.source, pin.floor.to_string()];
        tx.execute(sql, row).map(drop)
    }

    /// From now on the skill is anybody's.
    pub(crate) async fn remove_pin(&self, skill: &str) -> Result<(), StateError> {
        let skill = skill.to_owned();
        self.state.write(move |tx| Self::unpin(tx, &skill)).await
    }

    /// The same within a transaction.
    pub(crate) fn unpin(tx: &Transaction<'_>, skill: &str) -> rusqlite::Result<()> {
        tx.execute("DELETE FROM pins WHERE skill = ?1", [skill]).map(drop)
    }
}

fn all(db: &Connection) -> rusqlite::Result<Vec<Publisher>> {
    let time = |us: i64| jiff::Timestamp::from_microsecond(us).unwrap_or_default();
    let row = |row: &Row<'_>| {
        Ok(Publisher {
            signer: from_json(&row.get::<_, String>("signer")?)?,
            name: row.get("name")?,
            since: time(row.get("since_us")?),
            revoked: row.get::<_, Option<i64>>("revoked_us")?.map(time),
        })
    };
    db.prepare("SELECT * FROM publishers ORDER BY name, since_us")?.query_map([], row)?.collect()
}

fn pin(row: &Row<'_>) -> rusqlite::Result<Pin> {
    let floor: String = row.get("floor")?;
    Ok(Pin {
        skill: row.get("skill")?,
        signer: from_json(&row.get::<_, String>("signer")?)?,
        source: row.get("source")?,
        // A pin that cannot be read must not be one that holds nothing back.
        floor: Version::parse(&floor).map_err(|error| unreadable(Box::new(error)))?,
    })
}

/// As the state keeps a signer. Serialising our own plain structures cannot fail.
pub(crate) fn to_json(signer: &Signer) -> String {
    serde_json::to_string(signer).unwrap_or_default()
}

fn from_json(text: &str) -> rusqlite::Result<Signer> {
    serde_json::from_str(text).map_err(|error| unreadable(Box::new(error)))
}

fn unreadable(error: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error)
}
