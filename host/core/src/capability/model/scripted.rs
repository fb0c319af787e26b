//! The provider `scripted`: gives the answers that a script lists, and remembers what it was asked. For tests of skills and
//! of everything above a provider.
//!
//! A request takes the first entry that fits and is not used up; one that nothing fits is an error, never a made-up answer.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use super::ask::{Embed, Generate};
use super::provider::{Events, Features, Provider, ProviderError};
use super::types::{Embeddings, Event, Message, Part, Request, Response, Role, StopReason, ToolCall, Usage};
use crate::broker::Permit;
use crate::error::Explain;
use crate::schema;

/// What a script file holds, as TOML or JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Script {
    pub answers: Vec<Answer>,
    /// Whether the provider says that it keeps to schemas by itself.
    pub native_schema: bool,
}

/// One entry: when it fits, and what it gives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Answer {
    /// Texts that must all be in the prompt (any message, tool results too; an image is `[image/png, 68 bytes]`). None: fits every prompt.
    pub contains: Vec<String>,
    /// The model name that it is for.
    pub model: Option<String>,
    /// How often it may be used; 0 is without end. Default 1.
    pub times: Times,
    pub text: Option<String>,
    pub thinking: Option<String>,
    pub tool_calls: Vec<Call>,
    /// Fails instead of answering; with `after` set, in the middle of the stream.
    pub error: Option<Failure>,
    /// Default: `tool-call` where there are tool calls, else `end`.
    pub stop_reason: Option<StopReason>,
    /// Default: a quarter of the characters, as the offline engine counts.
    pub usage: Option<Used>,
    /// Characters of each streamed piece. Default: the text in one piece.
    pub chunk: Option<usize>,
    /// The pieces that are streamed, instead of `chunk`. Without `text` they are the text.
    pub chunks: Vec<String>,
    /// A gate that must be opened (see [`Scripted::open`]) before it goes on.
    pub gate: Option<String>,
    /// How many pieces are streamed before the gate, and before the error.
    pub after: usize,
}

/// How often an entry may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Times(pub u32);

impl Default for Times {
    fn default() -> Self {
        Self(1)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Call {
    /// Default: `call_1` and so on.
    pub id: Option<String>,
    pub name: String,
    #[serde(default)]
    pub input: serde_json::Map<String, Value>,
    /// What the model wrote instead of `input`, JSON or not. What is not comes as a JSON string, as from every provider.
    pub written: Option<String>,
}

impl Call {
    fn arguments(&self) -> String {
        match &self.written {
            None => Value::Object(self.input.clone()).to_string(),
            Some(text) if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => text.clone(),
            Some(text) => Value::from(text.as_str()).to_string(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Used {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cached_input_tokens: u64,
    pub cache_write_tokens: u64,
    pub reasoning_tokens: u64,
}

/// A provider's failure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Failure {
    pub kind: FailureKind,
    #[serde(default)]
    pub message: String,
    /// HTTP status, for `key` and `server`.
    #[serde(default)]
    pub status: Option<u16>,
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    Connect,
    Key,
    UnknownModel,
    RateLimited,
    Quota,
    Server,
    Invalid,
    TooLong,
    Garbled,
    TimedOut,
}

impl From<&Failure> for ProviderError {
    fn from(failure: &Failure) -> Self {
        let message = schema::shorten(&failure.message, 300);
        let retry_after = failure.retry_after_ms.map(Duration::from_millis);
        match failure.kind {
            FailureKind::Connect => Self::Connect(message),
            FailureKind::Key => Self::Key { status: Some(failure.status.unwrap_or(401)), message },
            FailureKind::UnknownModel => Self::UnknownModel(message),
            FailureKind::RateLimited => Self::RateLimited { message, retry_after },
            FailureKind::Quota => Self::Quota(message),
            FailureKind::Server => Self::Server { status: failure.status.unwrap_or(500), message, retry_after },
            FailureKind::Invalid => Self::Invalid(message),
            FailureKind::TooLong => Self::TooLong(message),
            FailureKind::Garbled => Self::Garbled(message),
            FailureKind::TimedOut => Self::TimedOut { phase: "first byte", after: retry_after.unwrap_or_default() },
        }
    }
}

/// Why a script file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScriptError {
    #[error("the script {} cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("the script {}, line {line}, column {column}: {message}", path.display())]
    Malformed { path: PathBuf, line: usize, column: usize, message: String },
}

impl Explain for ScriptError {
    fn kind(&self) -> &'static str {
        "invalid-script"
    }

    fn hint(&self) -> String {
        match self {
            Self::Unreadable { .. } => "name a file that exists and may be read, ending in `.toml` or `.json`".into(),
            Self::Malformed { .. } => "correct that place; a script is a list of `[[answers]]`".into(),
        }
    }
}

impl Script {
    /// Reads a script: JSON where the name ends in `.json`, else TOML.
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ScriptError::Unreadable { path: path.into(), reason: error.to_string() })?;
        Self::parse(path, &text)
    }

    /// `path` decides the format and stands in errors.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ScriptError> {
        let malformed = |line, column, message| ScriptError::Malformed { path: path.into(), line, column, message };
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
            return serde_json::from_str(text)
                .map_err(|error| malformed(error.line(), error.column(), error.to_string()));
        }
        toml::from_str(text).map_err(|error| {
            let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            malformed(line, column, error.message().to_owned())
        })
    }
}

/// One request as the provider saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub model: String,
    pub request: Request,
    pub streamed: bool,
}

/// The provider. A clone shares script, gates and record.
#[derive(Clone, Debug)]
pub struct Scripted(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    script: Script,
    // A std mutex: held for a few instructions, never across an await.
    state: Mutex<State>,
    /// How many requests were seen.
    count: watch::Sender<usize>,
}

#[derive(Debug)]
struct State {
    used: Vec<u32>,
    seen: Vec<Seen>,
    gates: HashMap<String, watch::Sender<bool>>,
}

impl Scripted {
    pub fn new(script: Script) -> Self {
        let used = vec![0; script.answers.len()];
        let state = Mutex::new(State { used, seen: Vec::new(), gates: HashMap::new() });
        Self(Arc::new(Inner { script, state, count: watch::Sender::new(0) }))
    }

    /// One text for every prompt, for ever.
    pub fn always(text: &str) -> Self {
        Self::new(Script {
            answers: vec![Answer { text: Some(text.into()), times: Times(0), ..Answer::default() }],
            ..Script::default()
        })
    }

    /// Texts in this order, whatever the prompts.
    pub fn in_order<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let answer = |text: &str| Answer { text: Some(text.into()), ..Answer::default() };
        Self::new(Script { answers: texts.into_iter().map(answer).collect(), ..Script::default() })
    }

    /// What was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// Waits until `count` requests have been seen. They may still wait at a gate.
    pub async fn wait_for(&self, count: usize) {
        let mut seen = self.0.count.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = seen.wait_for(|seen| *seen >= count).await;
    }

    /// Opens a gate for all who wait at it and all who will come.
    pub fn open(&self, gate: &str) {
        self.gate(gate).send_replace(true);
    }

    fn gate(&self, name: &str) -> watch::Sender<bool> {
        self.state().gates.entry(name.to_owned()).or_insert_with(|| watch::Sender::new(false)).clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the request and takes its entry.
    fn take(&self, model: &str, request: &Request, streamed: bool) -> Result<Answer, ProviderError> {
        let prompt = prompt(request);
        let mut state = self.state();
        state.seen.push(Seen { model: model.into(), request: request.clone(), streamed });
        let fits = |(answer, used): &(&Answer, &mut u32)| {
            (answer.times.0 == 0 || **used < answer.times.0)
                && answer.model.as_deref().is_none_or(|wanted| wanted == model)
                && answer.contains.iter().all(|text| prompt.contains(text))
        };
        let State { used, seen, .. } = &mut *state;
        let count = seen.len();
        let taken = self.0.script.answers.iter().zip(used).find(fits).map(|(answer, used)| {
            *used = used.saturating_add(1);
            answer.clone()
        });
        drop(state);
        self.0.count.send_replace(count);
        taken.ok_or_else(|| {
            let prompt = schema::shorten(prompt.trim(), 100);
            ProviderError::Invalid(format!("the script has no answer (left) for request {count}: `{prompt}`"))
        })
    }

    async fn play(&self, model: &str, request: &Request, events: Option<&Events>) -> Result<Response, ProviderError> {
        let answer = self.take(model, request, events.is_some())?;
        let pieces = pieces(&answer);
        let before = if events.is_some() { answer.after.min(pieces.len()) } else { 0 };
        if let (Some(events), Some(thinking)) = (events, &answer.thinking) {
            events.send(Event::Thinking(thinking.clone())).await?;
        }
        send_all(events, &pieces[..before]).await?;
        if let Some(gate) = &answer.gate {
            let sender = self.gate(gate);
            let _ = sender.subscribe().wait_for(|open| *open).await;
        }
        if let Some(failure) = &answer.error {
            return Err(failure.into());
        }
        send_all(events, &pieces[before..]).await?;
        let response = respond(model, request, &answer, pieces.concat());
        for part in &response.message.parts {
            if let (Some(events), Part::ToolCall(call)) = (events, part) {
                events.send(Event::ToolCallStart { id: call.id.clone(), name: call.name.clone() }).await?;
                events.send(Event::ToolCallDelta { id: call.id.clone(), input: call.input.clone() }).await?;
                events.send(Event::ToolCall(call.clone())).await?;
            }
        }
        Ok(response)
    }
}

impl Provider for Scripted {
    fn features(&self) -> Features {
        Features { native_schema: self.0.script.native_schema, embeddings: true, local: true }
    }

    fn generate<'a>(
        &'a self,
        _permit: &'a Permit<Generate>,
        model: &'a str,
        request: &'a Request,
        events: Option<&'a Events>,
    ) -> BoxFuture<'a, Result<Response, ProviderError>> {
        Box::pin(self.play(model, request, events))
    }

    fn embed<'a>(
        &'a self,
        _permit: &'a Permit<Embed>,
        model: &'a str,
        inputs: &'a [String],
    ) -> BoxFuture<'a, Result<Embeddings, ProviderError>> {
        Box::pin(async move { Ok(Embeddings { model: model.into(), ..super::offline::vectors(inputs) }) })
    }

    /// The models that the script names, else `script`.
    fn list<'a>(&'a self) -> BoxFuture<'a, Result<Vec<String>, ProviderError>> {
        let mut names: Vec<String> = self.0.script.answers.iter().filter_map(|answer| answer.model.clone()).collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            names.push("script".into());
        }
        Box::pin(async move { Ok(names) })
    }
}

fn prompt(request: &Request) -> String {
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    let texts = parts.filter_map(|part| match part {
        Part::Text(text) => Some(Cow::Borrowed(text.as_str())),
        Part::ToolResult(result) => Some(Cow::Borrowed(result.content.as_str())),
        Part::Image(image) => Some(format!("[{}, {} bytes]", image.media_type, image.data.len()).into()),
        Part::Thinking(_) | Part::ToolCall(_) => None,
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// The text as it is streamed: always the whole of it.
fn pieces(answer: &Answer) -> Vec<String> {
    match (&answer.text, answer.chunk) {
        (None, _) => answer.chunks.clone(),
        (Some(text), _) if answer.chunks.concat() == *text && !text.is_empty() => answer.chunks.clone(),
        (Some(text), Some(size)) => {
            let chars: Vec<char> = text.chars().collect();
            chars.chunks(size.max(1)).map(|piece| piece.iter().collect()).collect()
        }
        (Some(text), None) if text.is_empty() => Vec::new(),
        (Some(text), None) => vec![text.clone()],
    }
}

fn respond(model: &str, request: &Request, answer: &Answer, text: String) -> Response {
    let tokens = |text: &str| (text.chars().count() as u64).div_ceil(4);
    let counted = Used { input_tokens: tokens(&prompt(request)), output_tokens: tokens(&text), ..Used::default() };
    let used = answer.usage.unwrap_or(counted);
    let mut parts = Vec::new();
    parts.extend(answer.thinking.clone().map(|text| Part::Thinking(super::types::Thinking { text, signature: None })));
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts.extend(answer.tool_calls.iter().enumerate().map(|(at, call)| {
        Part::ToolCall(ToolCall {
            id: call.id.clone().unwrap_or_else(|| format!("call_{}", at + 1)),
            name: call.name.clone(),
            input: call.arguments(),
            signature: None,
        })
    }));
    let usual = if answer.tool_calls.is_empty() { StopReason::End } else { StopReason::ToolCall };
    Response {
        message: Message { role: Role::Assistant, parts },
        stop_reason: answer.stop_reason.unwrap_or(usual),
        model: model.into(),
        usage: Some(Usage {
            input_tokens: used.input_tokens,
            cached_input_tokens: used.cached_input_tokens,
            cache_write_tokens: used.cache_write_tokens,
            output_tokens: used.output_tokens,
            reasoning_tokens: used.reasoning_tokens,
            micro_dollars: None,
        }),
    }
}

async fn send_all(events: Option<&Events>, pieces: &[String]) -> Result<(), ProviderError> {
    let Some(events) = events else { return Ok(()) };
    for piece in pieces {
        events.send(Event::Text(piece.clone())).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {

    use super::*;

    fn ask(text: &str) -> Request {
        Request { messages: vec![Message::text(Role::User, text)], ..Request::default() }
    }

    fn permit() -> Permit<Generate> {
        Permit::unchecked(Generate::default())
    }

    async fn text(provider: &Scripted, prompt: &str) -> Result<String, ProviderError> {
        Ok(provider.generate(&permit(), "m", &ask(prompt), None).await?.message.joined_text())
    }

    #[tokio::test]
    async fn matches_then_order_then_nothing() {
        let script = r#"
            answers = [
              { contains = ["weather", "Bern"], text = "rain", times = 0 },
              { text = "one" },
              { error = { kind = "rate-limited", message = "slow down", retry-after-ms = 5 } },
            ]"#;
        let provider = Scripted::new(Script::parse(Path::new("s.toml"), script).unwrap());
        assert_eq!(text(&provider, "a").await.unwrap(), "one");
        assert_eq!(text(&provider, "weather in Bern").await.unwrap(), "rain");
        assert_eq!(text(&provider, "weather in Bern").await.unwrap(), "rain");
        let limited = text(&provider, "weather in Rome").await.unwrap_err();
        assert_eq!(limited.retry_after(), Some(Duration::from_millis(5)));
        let none = text(&provider, "b").await.unwrap_err();
        assert!(none.to_string().contains("request 5: `b`"), "{none}");
        assert_eq!(provider.seen().len(), 5);
        assert_eq!(provider.seen()[4].request, ask("b"));
    }

    #[tokio::test]
    async fn a_gate_holds_the_stream_and_an_error_breaks_it() {
        let script = r#"{"answers": [{"text": "abcdef", "chunk": 2, "gate": "g", "after": 1},
            {"text": "abcd", "chunk": 2, "after": 1, "error": {"kind": "server", "status": 529}}]}"#;
        let provider = Scripted::new(Script::parse(Path::new("s.json"), script).unwrap());
        let (sender, mut events) = Events::new(16);
        let task = tokio::spawn({
            let provider = provider.clone();
            async move { provider.generate(&permit(), "m", &ask("x"), Some(&sender)).await }
        });
        provider.wait_for(1).await;
        assert_eq!(events.recv().await, Some(Event::Text("ab".into())));
        assert!(events.try_recv().is_err(), "the gate is closed");
        provider.open("g");
        assert_eq!(events.recv().await, Some(Event::Text("cd".into())));
        assert_eq!(events.recv().await, Some(Event::Text("ef".into())));
        assert_eq!(task.await.unwrap().unwrap().message.joined_text(), "abcdef");

        let (sender, mut events) = Events::new(16);
        let broken = provider.generate(&permit(), "m", &ask("x"), Some(&sender)).await;
        assert!(matches!(broken, Err(ProviderError::Server { status: 529, .. })));
        assert_eq!(events.recv().await, Some(Event::Text("ab".into())));
        assert!(events.try_recv().is_err());
    }

    #[tokio::test]
    async fn tool_calls_usage_and_a_reader_that_left() {
        let script = r#"{"answers": [{"tool-calls": [{"name": "t", "input": {"a": 1}}, {"name": "u"}],
            "usage": {"input-tokens": 7, "output-tokens": 9}}, {"text": "x"}]}"#;
        let provider = Scripted::new(Script::parse(Path::new("s.json"), script).unwrap());
        let response = provider.generate(&permit(), "m", &ask("x"), None).await.unwrap();
        assert_eq!(response.stop_reason, StopReason::ToolCall);
        assert_eq!(response.usage.unwrap().output_tokens, 9);
        let Part::ToolCall(call) = &response.message.parts[1] else { panic!("{response:?}") };
        assert_eq!((call.id.as_str(), call.input.as_str()), ("call_2", "{}"));
        let (sender, events) = Events::new(1);
        drop(events);
        let gone = provider.generate(&permit(), "m", &ask("x"), Some(&sender)).await;
        assert_eq!(gone, Err(ProviderError::Abandoned));
    }

    #[test]
    fn errors_say_where() {
        let error = Script::parse(Path::new("s.toml"), "[[answers]]\ntext = \"a\"\ntxet = 1\n").unwrap_err();
        assert!(error.to_string().starts_with("the script s.toml, line 3, column 1: unknown field `txet`"), "{error}");
        let error = Script::parse(Path::new("s.json"), "{\n \"answers\": 3}").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
        assert!(matches!(Script::load(Path::new("/no/such.toml")), Err(ScriptError::Unreadable { .. })));
    }
}
