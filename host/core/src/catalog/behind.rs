//! Skills that do not serve what was offered last, as the hosts on one state tell each other: `list` is another process than the one that
//! serves.

use rusqlite::params;
use serde::Serialize;

use super::{ReloadError, SkillRef, Standing};
use crate::error::Explain as _;
use crate::state::{State, StateError};

/// What is kept of a sentence, in characters. Skills can make errors as long as they like.
const MOST_WORDS: usize = 600;

/// A skill that a host serves in an older version than the one that was offered last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Behind {
    /// What its grants belong to: the name of an installed skill, or the path of one that is worked on.
    pub skill: String,
    pub name: String,
    /// The version that serves.
    pub serves: String,
    /// Of the host, as the operating system numbers them.
    pub process: u32,
    /// `pending-consent`, or `failed`.
    pub state: String,
    /// Of the error, as everywhere: `rollback-refused`, for example.
    pub kind: String,
    pub message: String,
    pub hint: String,
    #[serde(serialize_with = "super::rfc3339")]
    pub since: jiff::Timestamp,
}

impl Behind {
    /// None where the skill serves what was offered last.
    fn of(skill: &SkillRef, standing: &Standing) -> Option<Self> {
        let serving = skill.current();
        let name = &serving.manifest.name;
        let (state, kind, message, hint) = match standing {
            Standing::Serving => return None,
            Standing::PendingConsent { version, missing } => {
                let widened = ReloadError::Widened { name: name.clone(), missing: missing.clone() };
                let message = format!("version {version} waits for consent: {widened}");
                ("pending-consent", widened.kind().to_owned(), message, widened.hint())
            }
            Standing::Failed { kind, message, hint } => ("failed", kind.clone(), message.clone(), hint.clone()),
        };
        let line = |text: &str| crate::plain::line(text, MOST_WORDS).0;
        Some(Self {
            skill: skill.identity().to_owned(),
            name: name.clone(),
            serves: serving.manifest.version.to_string(),
            process: std::process::id(),
            state: state.to_owned(),
            kind,
            message: line(&message),
            hint: line(&hint),
            since: jiff::Timestamp::now(),
        })
    }
}

/// Puts down how a skill of this host stands, in the place of what was put down before.
pub(crate) async fn tell(state: &State, skill: &SkillRef, standing: &Standing) -> Result<(), StateError> {
    let (host, identity, behind) = (state.host(), skill.identity().to_owned(), Behind::of(skill, standing));
    // Queued before anything is waited for, so that what is told last is what stands.
    let write = state.write(move |tx| {
        tx.execute("DELETE FROM standings WHERE host = ?1 AND skill = ?2", params![host, identity])?;
        let Some(one) = &behind else { return Ok(()) };
        tx.execute(
            "INSERT INTO standings VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                host,
                one.skill,
                one.name,
                one.serves,
                one.process,
                one.state,
                one.kind,
                one.message,
                one.hint,
                one.since.as_microsecond(),
            ],
        )
        .map(drop)
    });
    write.await?;
    let ended: Vec<i64> = hosts(state).await?.into_iter().filter(|host| !state.lives(*host)).collect();
    if ended.is_empty() {
        return Ok(());
    }
    let sweep = move |tx: &rusqlite::Transaction<'_>| {
        ended.iter().try_for_each(|host| tx.execute("DELETE FROM standings WHERE host = ?1", [host]).map(drop))
    };
    state.write(sweep).await
}

/// Forgets what this host has told of skills but these, since nobody in it holds another one any more.
pub(crate) async fn keep_only(state: &State, identities: Vec<String>) -> Result<(), StateError> {
    let host = state.host();
    // A JSON array of texts, which serialising cannot fail for.
    let kept = serde_json::to_string(&identities).unwrap_or_default();
    let forget = state.write(move |tx| {
        let sql = "DELETE FROM standings WHERE host = ?1 AND skill NOT IN (SELECT value FROM json_each(?2))";
        tx.execute(sql, params![host, kept]).map(drop)
    });
    forget.await
}

/// All that hosts tell which live now, by skill.
pub(crate) async fn all(state: &State) -> Result<Vec<Behind>, StateError> {
    let read = state.read(|db| {
        let mut statement = db.prepare_cached("SELECT * FROM standings ORDER BY skill, since_us")?;
        statement.query_map([], |row| Ok((row.get::<_, i64>("host")?, behind(row)?)))?.collect::<Result<Vec<_>, _>>()
    });
    Ok(read.await?.into_iter().filter(|(host, _)| state.lives(*host)).map(|(_, behind)| behind).collect())
}

async fn hosts(state: &State) -> Result<Vec<i64>, StateError> {
    state
        .read(|db| db.prepare_cached("SELECT DISTINCT host FROM standings")?.query_map([], |row| row.get(0))?.collect())
        .await
}

fn behind(row: &rusqlite::Row<'_>) -> rusqlite::Result<Behind> {
    Ok(Behind {
        skill: row.get("skill")?,
        name: row.get("name")?,
        serves: row.get("serves")?,
        process: row.get("process")?,
        state: row.get("state")?,
        kind: row.get("kind")?,
        message: row.get("message")?,
        hint: row.get("hint")?,
        since: jiff::Timestamp::from_microsecond(row.get("since_us")?).unwrap_or_default(),
    })
}
