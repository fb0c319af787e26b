//! Conversations with agents: what was said and done, one file of JSON lines for each, whole or not there.
//!
//! The first line says what it is, each further one is a message. Kept in the state directory, for this user alone.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::AgentError;
use crate::budget::Amount;
use crate::capability::model::types::{Message, Role};
use crate::files;
use crate::policy::taint::{Taint, Touch};

/// Bytes of one file that are read. A prompt holds 8 MiB.
const MOST_BYTES: u64 = 32 << 20;
/// Bytes of the first message that a list shows.
const TITLE_BYTES: usize = 100;
/// Transcripts that are kept. Of more, those that were begun first go.
const KEPT: usize = 1_000;
const VERSION: u32 = 1;
const END: &str = "jsonl";

/// One conversation. It is the core's value: faces keep it, hand it back, and read it.
#[derive(Clone, Debug)]
pub struct Transcript {
    head: Head,
    messages: Vec<Message>,
    taint: Arc<Taint>,
    /// Whether it is saved.
    keep: bool,
    /// Its file, as this conversation last saw it. None where it was never saved.
    seen: Option<Seen>,
}

/// What a file of a conversation was: whoever goes on with it changes its first line, and adds to it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    head: String,
    bytes: usize,
}

impl Seen {
    fn of(text: &str) -> Self {
        Self { head: text.lines().next().unwrap_or_default().to_owned(), bytes: text.len() }
    }
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Head {
    transcript: u32,
    id: String,
    agent: String,
    #[serde(with = "rfc3339")]
    created: Timestamp,
    #[serde(with = "rfc3339")]
    updated: Timestamp,
    /// Of all runs.
    spent: Amount,
    /// Whether private data was read, and content of strangers. It stays in the conversation, so this is never taken back.
    private: bool,
    untrusted: bool,
}

/// What a list shows of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    pub id: String,
    pub agent: String,
    #[serde(with = "rfc3339")]
    pub created: Timestamp,
    #[serde(with = "rfc3339")]
    pub updated: Timestamp,
    /// The beginning of the first message, in one line that is safe to show.
    pub title: String,
    pub messages: usize,
    pub spent: Amount,
}

impl Transcript {
    /// A new one, which is saved as it grows.
    #[must_use]
    pub fn new(agent: &str) -> Self {
        Self { keep: true, ..Self::passing(agent, Vec::new()) }
    }

    /// One that somebody else keeps: a program that sends all of it each time. What it sends as having been answered may hold what
    /// tools returned then, so it counts as strangers' content.
    #[must_use]
    pub fn passing(agent: &str, messages: Vec<Message>) -> Self {
        let now = Timestamp::now();
        let head = Head {
            transcript: VERSION,
            id: uuid::Uuid::now_v7().to_string(),
            agent: agent.to_owned(),
            created: now,
            updated: now,
            spent: Amount::default(),
            private: false,
            untrusted: false,
        };
        let taint = Taint::default();
        if messages.iter().any(|message| message.role == Role::Assistant) {
            taint.touch(Touch::UNTRUSTED);
        }
        Self { head, messages, taint: Arc::new(taint), keep: false, seen: None }
    }

    /// Whether somebody can go on with it later.
    pub(super) fn is_kept(&self) -> bool {
        self.keep
    }

    #[must_use]
    pub fn id(&self) -> &str {
        &self.head.id
    }

    /// The agent that it was begun with.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.head.agent
    }

    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    #[must_use]
    pub fn summary(&self) -> Summary {
        let first = self.messages.iter().find(|message| message.role == Role::User).map(Message::joined_text);
        let first = first.unwrap_or_default();
        let line = first.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let (title, is_whole) = crate::plain::line(line, TITLE_BYTES);
        Summary {
            id: self.head.id.clone(),
            agent: self.head.agent.clone(),
            created: self.head.created,
            updated: self.head.updated,
            title: if is_whole { title } else { format!("{title}...") },
            messages: self.messages.len(),
            spent: self.head.spent,
        }
    }

    pub(super) fn taint(&self) -> &Arc<Taint> {
        &self.taint
    }

    pub(super) fn say(&mut self, message: Message) {
        self.messages.push(message);
        self.head.updated = Timestamp::now();
    }

    pub(super) fn spent(&mut self, more: Amount) {
        self.head.spent = self.head.spent.saturating_add(more);
    }

    fn write(&mut self) -> Result<String, serde_json::Error> {
        let touched = self.taint.so_far();
        self.head.private = touched.has(Touch::PRIVATE);
        self.head.untrusted = touched.has(Touch::UNTRUSTED);
        let mut text = serde_json::to_string(&self.head)?;
        for message in &self.messages {
            text.push('\n');
            text.push_str(&serde_json::to_string(message)?);
        }
        text.push('\n');
        Ok(text)
    }

    /// Makes it another conversation, which begins with what was said in this one.
    fn branch(&mut self) {
        self.head.id = uuid::Uuid::now_v7().to_string();
        self.head.created = Timestamp::now();
        self.seen = None;
    }

    fn read(id: &str, text: &str) -> Result<Self, AgentError> {
        let bad = |reason: String| AgentError::Transcript { id: id.to_owned(), reason };
        let mut lines = text.lines().enumerate();
        let (_, first) = lines.next().ok_or_else(|| bad("it is empty".into()))?;
        let head: Head = serde_json::from_str(first).map_err(|error| bad(format!("line 1: {error}")))?;
        if head.transcript != VERSION {
            return Err(bad(format!("it is of version {}, and this program reads {VERSION}", head.transcript)));
        }
        if head.id != id {
            return Err(bad("it says that it is another one".into()));
        }
        let message = |(at, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| bad(format!("line {}: {error}", at + 1)))
        };
        let messages = lines.map(message).collect::<Result<_, _>>()?;
        let taint = Taint::default();
        for (was, touch) in [(head.private, Touch::PRIVATE), (head.untrusted, Touch::UNTRUSTED)] {
            if was {
                taint.touch(touch);
            }
        }
        Ok(Self { head, messages, taint: Arc::new(taint), keep: true, seen: Some(Seen::of(text)) })
    }
}

/// Where conversations are kept.
#[derive(Clone, Debug)]
pub(crate) struct Shelf(PathBuf);

impl Shelf {
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self(state_dir.join("transcripts"))
    }

    /// Writes it down, whole. Where somebody else has gone on with the same conversation meanwhile, nothing of theirs is lost, and nothing
    /// of this one: it becomes another one, under an id of its own.
    pub(crate) async fn save(&self, transcript: &mut Transcript) -> Result<(), AgentError> {
        if !transcript.keep {
            return Ok(());
        }
        if self.put(transcript).await? {
            return Ok(());
        }
        let of = transcript.head.id.clone();
        transcript.branch();
        tracing::warn!(%of, id = %transcript.head.id, "somebody else went on with a transcript; this one goes on as another");
        // Nobody else knows the new id.
        self.put(transcript).await.map(drop)
    }

    /// False where the file is not the one that this conversation has seen.
    async fn put(&self, transcript: &mut Transcript) -> Result<bool, AgentError> {
        let id = transcript.head.id.clone();
        let unwritable = |reason: String| AgentError::Unwritable { id: id.clone(), reason };
        let text = transcript.write().map_err(|error| unwritable(error.to_string()))?;
        let (folder, name) = (self.0.clone(), file_name(&id));
        let (seen, next) = (transcript.seen.clone(), Seen::of(&text));
        let put = blocking(move || {
            files::make_private_dir(&folder)?;
            let _turn = files::turn(&folder)?;
            let is_there = match read(&folder, &name) {
                Ok(there) if seen != Some(Seen::of(&there)) => return Ok(false),
                Ok(_) => true,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
                Err(error) => return Err(error),
            };
            files::write_atomically(&folder.join(&name), text.as_bytes())?;
            if !is_there {
                prune(&folder, KEPT)?;
            }
            Ok(true)
        });
        let put = put.await.map_err(|error| unwritable(error.to_string()))?;
        if put {
            transcript.seen = Some(next);
        }
        Ok(put)
    }

    pub(crate) async fn load(&self, id: &str) -> Result<Transcript, AgentError> {
        let missing = || AgentError::NoTranscript { id: shown(id) };
        if !is_id(id) {
            return Err(missing());
        }
        let (folder, name) = (self.0.clone(), file_name(id));
        let text = blocking(move || read(&folder, &name)).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => missing(),
            _ => AgentError::Transcript { id: id.to_owned(), reason: error.to_string() },
        })?;
        Transcript::read(id, &text)
    }

    /// All that can be read, the one that was used last first.
    pub(crate) async fn list(&self) -> Result<Vec<Summary>, AgentError> {
        let folder = self.0.clone();
        let listed = blocking(move || {
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            let mut all = Vec::new();
            for entry in entries.flatten() {
                let name = entry.file_name();
                let Some(id) = name.to_str().and_then(|name| name.strip_suffix(&format!(".{END}"))) else { continue };
                if !is_id(id) {
                    continue;
                }
                match read(&folder, &file_name(id)).map(|text| Transcript::read(id, &text)) {
                    Ok(Ok(transcript)) => all.push(transcript.summary()),
                    Ok(Err(error)) => tracing::warn!(%error, "a transcript is left out"),
                    Err(error) => tracing::warn!(%error, %id, "a transcript is left out"),
                }
            }
            Ok(all)
        });
        let mut all =
            listed.await.map_err(|error| AgentError::Transcript { id: "all".into(), reason: error.to_string() })?;
        all.sort_by(|one, other| (other.updated, &other.id).cmp(&(one.updated, &one.id)));
        Ok(all)
    }

    pub(crate) async fn remove(&self, id: &str) -> Result<(), AgentError> {
        let missing = || AgentError::NoTranscript { id: shown(id) };
        if !is_id(id) {
            return Err(missing());
        }
        let path = self.0.join(file_name(id));
        blocking(move || std::fs::remove_file(path)).await.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => missing(),
            _ => AgentError::Unwritable { id: id.to_owned(), reason: error.to_string() },
        })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

/// Removes what was begun first, above so many. Ids are in the order of their times.
fn prune(folder: &Path, kept: usize) -> std::io::Result<()> {
    let names = std::fs::read_dir(folder)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let of_ours = |name: &String| name.strip_suffix(END).and_then(|id| id.strip_suffix('.')).is_some_and(is_id);
    let mut names: Vec<String> = names.filter(of_ours).collect();
    names.sort_unstable();
    let above = names.len().saturating_sub(kept);
    names.iter().take(above).try_for_each(|name| std::fs::remove_file(folder.join(name)))
}

fn read(folder: &Path, name: &str) -> std::io::Result<String> {
    let file = files::open_beneath(folder, Path::new(name))?;
    let mut text = String::new();
    file.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MOST_BYTES {
        true => Err(std::io::Error::other(format!("it is longer than {MOST_BYTES} bytes"))),
        false => Ok(text),
    }
}

/// Ids are ours; what comes from outside must not lead anywhere else.
fn is_id(id: &str) -> bool {
    id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

fn file_name(id: &str) -> String {
    format!("{id}.{END}")
}

fn shown(id: &str) -> String {
    crate::plain::line(id, 64).0
}

mod rfc3339 {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::model::types::{Part, ToolCall, ToolResult};

    #[tokio::test]
    async fn what_was_said_comes_back_and_can_be_removed() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path());
        assert_eq!(shelf.list().await.unwrap(), []);
        let mut transcript = Transcript::new("chat");
        transcript.say(Message::text(Role::User, "\n  Plan \u{1b}[2J my week\nplease"));
        let call = Part::ToolCall(ToolCall { id: "1".into(), name: "t".into(), input: "{}".into(), signature: None });
        transcript.say(Message { role: Role::Assistant, parts: vec![call] });
        let result = Part::ToolResult(ToolResult { id: "1".into(), content: "a\nb".into(), is_error: true });
        transcript.say(Message { role: Role::Tool, parts: vec![result] });
        transcript.taint().touch(Touch::UNTRUSTED);
        transcript.spent(Amount { output_tokens: 7, ..Amount::default() });
        shelf.save(&mut transcript).await.unwrap();
        let again = shelf.load(transcript.id()).await.unwrap();
        assert_eq!((again.messages(), &again.head), (transcript.messages(), &transcript.head));
        assert!(again.taint().so_far().has(Touch::UNTRUSTED) && !again.taint().so_far().has(Touch::PRIVATE));
        let listed = shelf.list().await.unwrap();
        assert_eq!((listed.len(), listed[0].title.as_str()), (1, "Plan \\u{1b}[2J my week"));
        use std::os::unix::fs::PermissionsExt as _;
        let file = shelf.0.join(file_name(transcript.id()));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&shelf.0).unwrap().permissions().mode() & 0o777, 0o700);
        shelf.remove(transcript.id()).await.unwrap();
        assert_eq!(
            shelf.load(transcript.id()).await.unwrap_err(),
            AgentError::NoTranscript { id: transcript.id().into() }
        );
    }

    #[tokio::test]
    async fn what_is_no_conversation_is_refused_with_its_line_and_left_out_of_lists() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path());
        let mut good = Transcript::new("chat");
        good.say(Message::text(Role::User, "x"));
        shelf.save(&mut good).await.unwrap();
        let text = good.write().unwrap();
        for (bad, word) in [
            (String::new(), "it is empty"),
            (text.replace("\"transcript\":1", "\"transcript\":2"), "version 2"),
            (text.replace("\"role\":\"user\"", "\"role\":\"god\""), "line 2"),
            (text.clone(), "another one"),
            (text[..text.len() - 5].to_owned(), "line 2"),
        ] {
            let id = match word {
                "another one" => uuid::Uuid::now_v7().to_string(),
                _ => good.id().to_owned(),
            };
            let error = Transcript::read(&id, &bad).unwrap_err().to_string();
            assert!(error.contains(word), "{word}: {error}");
        }
        std::fs::write(shelf.0.join(file_name(&uuid::Uuid::now_v7().to_string())), "no").unwrap();
        std::fs::write(shelf.0.join("notes.txt"), "mine").unwrap();
        assert_eq!(shelf.list().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_id_leads_nowhere_else_and_neither_does_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path());
        std::fs::write(dir.path().join("secret.jsonl"), "x").unwrap();
        for id in ["../secret", "", "/etc/passwd", "..", "a\0b", &"../".repeat(12)] {
            assert!(matches!(shelf.load(id).await, Err(AgentError::NoTranscript { .. })), "{id:?}");
            assert!(matches!(shelf.remove(id).await, Err(AgentError::NoTranscript { .. })), "{id:?}");
        }
        let id = uuid::Uuid::now_v7().to_string();
        std::fs::create_dir(&shelf.0).unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret.jsonl"), shelf.0.join(file_name(&id))).unwrap();
        assert!(matches!(shelf.load(&id).await, Err(AgentError::Transcript { .. })));
    }

    #[tokio::test]
    async fn of_too_many_the_oldest_go_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path());
        let mut ids = Vec::new();
        for _ in 0..4 {
            let mut transcript = Transcript::new("chat");
            shelf.save(&mut transcript).await.unwrap();
            ids.push(transcript.id().to_owned());
        }
        ids.sort_unstable();
        std::fs::write(shelf.0.join("0.jsonl"), "mine").unwrap();
        prune(&shelf.0, 2).unwrap();
        let mut left: Vec<_> = shelf.list().await.unwrap().into_iter().map(|summary| summary.id).collect();
        left.sort_unstable();
        assert_eq!(left, ids[2..]);
        assert!(shelf.0.join("0.jsonl").exists());
    }

    #[tokio::test]
    async fn of_two_who_go_on_at_once_neither_loses_what_was_said() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path());
        let mut begun = Transcript::new("chat");
        begun.say(Message::text(Role::User, "hello"));
        shelf.save(&mut begun).await.unwrap();
        let id = begun.id().to_owned();
        let (mut one, mut other) = (shelf.load(&id).await.unwrap(), shelf.load(&id).await.unwrap());
        for word in ["first", "second"] {
            one.say(Message::text(Role::User, word));
            shelf.save(&mut one).await.unwrap();
        }
        assert_eq!(one.id(), id, "who is alone with it stays in it");
        other.say(Message::text(Role::User, "beside"));
        shelf.save(&mut other).await.unwrap();
        other.say(Message::text(Role::User, "and more"));
        shelf.save(&mut other).await.unwrap();
        let said = |transcript: &Transcript| -> Vec<String> {
            transcript.messages().iter().map(Message::joined_text).collect()
        };
        assert_ne!(other.id(), id);
        assert_eq!(said(&shelf.load(&id).await.unwrap()), ["hello", "first", "second"]);
        assert_eq!(said(&shelf.load(other.id()).await.unwrap()), ["hello", "beside", "and more"]);
        assert_eq!(shelf.list().await.unwrap().len(), 2);
        // One that was removed meanwhile is there again.
        shelf.remove(&id).await.unwrap();
        one.say(Message::text(Role::User, "third"));
        shelf.save(&mut one).await.unwrap();
        assert_eq!((one.id(), said(&shelf.load(&id).await.unwrap()).len()), (id.as_str(), 4));
    }

    #[tokio::test]
    async fn a_passing_one_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(dir.path());
        shelf.save(&mut Transcript::passing("chat", vec![Message::text(Role::User, "x")])).await.unwrap();
        assert!(!shelf.0.exists());
    }
}
