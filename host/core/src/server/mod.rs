//! Other MCP servers: started or reached when one of their tools is called, and never trusted.
//!
//! A server is a skill whose code runs elsewhere. Its tools are those that a person approved, with the words that they were approved
//! with: what a server says later is compared with that, and shown to nobody. A call walks as any other does; only where a guest
//! would run, a permit is asked for and a message is sent.
//!
//! Deliberately absent: anything that a server could ask of us (a model, a person, a folder), and any way for it to be approved
//! but by a person.

mod ask;
mod connection;
mod error;
mod failure;
mod guard;
mod http;
mod login;
mod passage;
mod pins;
mod process;
mod revocation;
mod settings;
mod text;
mod tokens;
mod tools;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

pub(crate) use ask::{Call, Change};
use connection::{Broken, Called, Connection, Means, Redaction};
pub use error::ServerError;
use guard::{Ending, Lines};
pub(crate) use http::Reach;
use http::Transport;
pub use login::ServerLogin;
pub(crate) use pins::Approval;
use pins::Pins;
use process::{Process, Program};
pub(crate) use revocation::Revocation;
pub use revocation::SignedOut;
pub use settings::ServerSettings;
use settings::{Way, filled};
pub use text::visible;
pub use tools::{Listed, Pinned};

use crate::broker::{Permit, Session, Verdict};
use crate::budget::Amount;
use crate::capability::secrets::Vault;
use crate::error::{Denial, Refusal};
use crate::state::{State, StateError};

/// What every server that is started here has of the environment, whatever is configured.
pub const VARIABLES: [&str; 3] = ["PATH", "HOME", "LANG"];

/// Longest time that a server which keeps failing is left alone.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Variables of the environment, as a face handed them over.
pub(crate) type Variables = BTreeMap<String, SecretString>;

/// All servers of a host.
pub(crate) struct Servers {
    pins: Pins,
    vault: Arc<Vault>,
    reach: Reach,
    known: RwLock<BTreeMap<String, Arc<Server>>>,
    /// How often this host approved or forgot: what was read before is older then.
    changes: AtomicU64,
}

/// One server.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) settings: ServerSettings,
    variables: Arc<Variables>,
    /// Not its own: whoever holds a server as a skill must not keep the state of a host that is closed.
    vault: Weak<Vault>,
    reach: Reach,
    approval: RwLock<Option<Arc<Approval>>>,
    /// What was seen of tools that is not what was approved, by our name.
    changed: RwLock<HashMap<String, Change>>,
    live: tokio::sync::Mutex<Live>,
}

/// The connection, and how starting it went.
#[derive(Default)]
struct Live {
    connection: Option<Arc<Connection>>,
    /// Failures in a row.
    failures: u32,
    rests_until: Option<Instant>,
}

/// What a server gave for a call.
pub(crate) enum Answer {
    Done(rmcp::model::CallToolResult),
    /// Its own failure, in its words.
    Failed(String),
}

/// How a server stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ServerReport {
    pub name: String,
    /// How it is started or reached; variables and secrets by their names.
    pub place: String,
    /// Why it can be neither started nor reached as it is set up, in one sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong: Option<String>,
    pub standing: ServerStanding,
    /// Whether a person has signed in to it, and what came of that is kept.
    pub signed_in: bool,
    /// What it said it was when it was approved.
    pub version: String,
    /// What was approved.
    pub tools: Vec<Pinned>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServerStanding {
    Approved,
    NotApproved,
    /// What was approved was started or reached otherwise.
    Changed,
}

impl Servers {
    /// The servers of these settings. Starts none.
    pub(crate) async fn open(
        state: State,
        vault: Arc<Vault>,
        reach: Reach,
        settings: &BTreeMap<String, ServerSettings>,
        variables: &Variables,
    ) -> Result<Self, StateError> {
        let servers =
            Self { pins: Pins::new(state), vault, reach, known: RwLock::default(), changes: AtomicU64::new(0) };
        servers.configure(settings, variables).await?;
        Ok(servers)
    }

    /// Takes other settings. A server that is started or reached as before goes on; gives those that do not, to be ended.
    pub(crate) async fn configure(
        &self,
        settings: &BTreeMap<String, ServerSettings>,
        variables: &Variables,
    ) -> Result<Vec<Arc<Server>>, StateError> {
        let mut approvals = self.pins.all().await?;
        let variables = Arc::new(variables.clone());
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let mut old = std::mem::take(&mut *known);
        for (name, settings) in settings {
            if let Some(same) = old.remove(name) {
                if same.settings == *settings {
                    known.insert(name.clone(), same);
                    continue;
                }
                old.insert(name.clone(), same);
            }
            let server = Server {
                name: name.clone(),
                settings: settings.clone(),
                variables: Arc::clone(&variables),
                vault: Arc::downgrade(&self.vault),
                reach: self.reach.clone(),
                approval: RwLock::new(approvals.remove(name).map(Arc::new)),
                changed: RwLock::default(),
                live: tokio::sync::Mutex::default(),
            };
            known.insert(name.clone(), Arc::new(server));
        }
        Ok(old.into_values().collect())
    }

    pub(crate) fn get(&self, name: &str) -> Result<Arc<Server>, ServerError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known
            .get(name)
            .cloned()
            .ok_or_else(|| ServerError::Unknown { name: name.to_owned(), known: known.keys().cloned().collect() })
    }

    pub(crate) fn all(&self) -> Vec<Arc<Server>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Keeps what a person approved of a server.
    pub(crate) async fn approve(&self, server: &Server, approval: Approval) -> Result<(), StateError> {
        self.pins.put(&server.name, &approval).await?;
        self.changes.fetch_add(1, Ordering::AcqRel);
        *server.approval.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(approval));
        server.changed.write().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// Forgets what was approved of a server, configured or not. Says whether there was anything.
    pub(crate) async fn forget(&self, name: &str) -> Result<bool, StateError> {
        let gone = self.pins.remove(name).await?;
        self.changes.fetch_add(1, Ordering::AcqRel);
        if let Ok(server) = self.get(name) {
            *server.approval.write().unwrap_or_else(PoisonError::into_inner) = None;
            server.end().await;
        }
        Ok(gone)
    }

    /// Reads the approvals again, which another host on the same state may have changed. Gives the servers of which they are others.
    pub(crate) async fn refresh(&self) -> Result<Vec<Arc<Server>>, StateError> {
        let mut all = loop {
            let before = self.changes.load(Ordering::Acquire);
            let all = self.pins.all().await?;
            if self.changes.load(Ordering::Acquire) == before {
                break all;
            }
        };
        let differs = |server: &Arc<Server>| {
            let now = all.remove(&server.name).map(Arc::new);
            let mut held = server.approval.write().unwrap_or_else(PoisonError::into_inner);
            if *held == now {
                return false;
            }
            *held = now;
            server.changed.write().unwrap_or_else(PoisonError::into_inner).clear();
            true
        };
        Ok(self.all().into_iter().filter(differs).collect())
    }

    /// Ends all that run.
    pub(crate) async fn close(&self) {
        futures_util::future::join_all(self.all().iter().map(|server| server.end())).await;
    }
}

impl Server {
    /// What a person approved of it, where it is still started or reached as it was then.
    pub(crate) fn approval(&self) -> Option<Arc<Approval>> {
        let approval = self.approval.read().unwrap_or_else(PoisonError::into_inner).clone();
        approval.filter(|approval| approval.definition == self.settings.digest())
    }

    pub(crate) fn report(&self) -> ServerReport {
        let held = self.approval.read().unwrap_or_else(PoisonError::into_inner).clone();
        let standing = match (&held, self.approval()) {
            (_, Some(_)) => ServerStanding::Approved,
            (Some(_), None) => ServerStanding::Changed,
            (None, None) => ServerStanding::NotApproved,
        };
        ServerReport {
            name: self.name.clone(),
            place: self.settings.place(),
            wrong: self.settings.check(&self.name).err().map(|error| error.to_string()),
            standing,
            signed_in: self.is_signed_in(),
            version: held.as_ref().map(|held| held.version.clone()).unwrap_or_default(),
            tools: held.map(|held| held.tools.clone()).unwrap_or_default(),
        }
    }

    fn is_signed_in(&self) -> bool {
        let (Some(vault), Some(url)) = (self.vault.upgrade(), &self.settings.url) else { return false };
        tokens::are_kept(&vault, &self.name, url)
    }

    /// Starts or reaches it, and reads its tools. For a person who is going to look at them.
    pub(crate) async fn look(self: &Arc<Self>) -> Result<(String, Vec<Listed>), ServerError> {
        // Nobody who looks is to wait for a rest that calls have earned.
        self.live.lock().await.rests_until = None;
        let connection = self.connect().await?;
        let listed = match connection.tools_now(self.settings.start()).await {
            Ok(listed) => listed,
            Err(broken) => return Err(self.unlisted(&connection, broken).await),
        };
        Ok((connection.version(), tools::read(&listed)))
    }

    /// The ask for a call of one of its tools.
    pub(crate) fn ask(&self, tool: &str, input: String) -> Call {
        let approval = self.approval();
        let pinned = approval.as_ref().and_then(|approval| approval.tools.iter().find(|one| one.tool.name == tool));
        let changed = match pinned {
            None => Some(Change::Unapproved),
            Some(_) => self.changed.read().unwrap_or_else(PoisonError::into_inner).get(tool).copied(),
        };
        let wire = pinned.map(|pinned| pinned.wire.clone()).unwrap_or_default();
        Call { server: self.name.clone(), tool: tool.to_owned(), wire, input, changed }
    }

    /// Does what was permitted: connects where it has to, makes sure that the tool is what was approved, and calls it.
    pub(crate) async fn call(self: Arc<Self>, permit: Permit<Call>, session: &Session) -> Result<Answer, Refusal> {
        let receipt = permit.receipt();
        let server = Arc::clone(&self);
        let act = async move { server.act(permit).await }.instrument(receipt.span());
        let answer = session.perform(act).await;
        match &answer {
            Ok(Answer::Failed(_)) => receipt.close("failed", String::new()),
            other => receipt.ended(other),
        }
        answer
    }

    async fn act(self: Arc<Self>, permit: Permit<Call>) -> Result<Answer, Refusal> {
        let connection = self.connect().await.map_err(|error| self.refusal(error))?;
        let listed = match connection.tools(self.settings.start()).await {
            Ok(listed) => listed,
            Err(broken) => return Err(self.refusal(self.unlisted(&connection, broken).await)),
        };
        self.compare(&listed);
        let ask = permit.ask();
        let now = self.ask(&ask.tool, String::new());
        if let Some(change) = now.changed
            && let Verdict::No { reason, hint } = change.verdict(&self.name, &ask.tool)
        {
            // It was not known when the permit was given.
            let subject = crate::broker::Ask::subject(ask);
            return Err(Refusal::Denied(Denial { capability: "server", subject, reason, hint }));
        }
        let input = match serde_json::from_str(&ask.input) {
            Ok(serde_json::Value::Object(input)) => input,
            _ => return Err(Refusal::Invalid("the input of a tool must be an object".into())),
        };
        let called = connection.call(&ask.wire, input, self.settings.call()).await;
        permit.settle(Amount::default());
        match called {
            Ok(Called::Done(result)) => {
                self.live.lock().await.failures = 0;
                Ok(Answer::Done(clean(result, &connection)))
            }
            Ok(Called::Failed(words)) => Ok(Answer::Failed(words)),
            Err(broken) => {
                let name = self.name.clone();
                let error = match broken {
                    Broken::Lost(reason) => ServerError::WentAway { name, reason },
                    Broken::TimedOut => {
                        ServerError::TimedOut { name, what: "answered", seconds: self.settings.call().as_secs() }
                    }
                    Broken::SignIn => return Err(self.refusal(self.signed_out(&connection).await)),
                    Broken::Silent(reason) => ServerError::Unavailable { name, reason },
                    Broken::Odd(reason) => ServerError::Odd { name, reason },
                };
                Err(Refusal::Server(Box::new(error)))
            }
        }
    }

    /// Notes which of the approved tools are not what they were.
    fn compare(&self, listed: &[rmcp::model::Tool]) {
        let Some(approval) = self.approval() else { return };
        let mut changed = HashMap::new();
        for pinned in &approval.tools {
            let mut same_name = listed.iter().filter(|tool| *tool.name == *pinned.wire);
            let change = match (same_name.next(), same_name.next()) {
                (None, _) => Some(Change::Gone),
                (Some(now), None) if tools::fingerprint(now) == pinned.fingerprint => None,
                _ => Some(Change::Other),
            };
            if let Some(change) = change {
                tracing::warn!(server = self.name, tool = pinned.tool.name, ?change, "it is not what was approved");
                changed.insert(pinned.tool.name.clone(), change);
            }
        }
        *self.changed.write().unwrap_or_else(PoisonError::into_inner) = changed;
    }

    /// The connection that there is, or a new one.
    async fn connect(self: &Arc<Self>) -> Result<Arc<Connection>, ServerError> {
        let mut live = self.live.lock().await;
        if let Some(connection) = live.connection.take() {
            if !connection.is_lost() {
                live.connection = Some(Arc::clone(&connection));
                return Ok(connection);
            }
            tracing::warn!(server = self.name, "it is gone: {}", connection.epitaph());
            live.failed();
        }
        if let Some(until) = live.rests_until.filter(|until| *until > Instant::now()) {
            let seconds = until.saturating_duration_since(Instant::now()).as_secs() + 1;
            let times = live.failures;
            let reason = format!("it failed {times} times in a row, and is left alone for another {seconds} s");
            return Err(ServerError::Unavailable { name: self.name.clone(), reason });
        }
        match self.open().await {
            Ok(connection) => {
                let connection = Arc::new(connection);
                live.connection = Some(Arc::clone(&connection));
                self.end_when_idle(&connection);
                Ok(connection)
            }
            // A person may sign in at any moment, and is not to wait then.
            Err(error @ ServerError::SignIn { .. }) => Err(error),
            Err(error) => {
                live.failed();
                Err(error)
            }
        }
    }

    async fn open(&self) -> Result<Connection, ServerError> {
        let name = &self.name;
        let begun = Instant::now();
        let within = self.settings.start();
        match self.settings.way(name)? {
            Way::Command(command) => {
                let args = self.settings.args.iter().map(|arg| self.filled(arg)).collect::<Result<_, _>>()?;
                let mut env = BTreeMap::new();
                for (name, text) in VARIABLES.iter().filter_map(|name| Some((*name, self.variables.get(*name)?))) {
                    env.insert(name.to_owned(), text.clone());
                }
                for (variable, text) in &self.settings.env {
                    env.insert(variable.clone(), self.filled(text)?);
                }
                let redaction = Redaction::of(self.secrets());
                let cwd = self.settings.cwd.as_deref().unwrap_or(Path::new("/"));
                let program = Program { name, command, args, env, cwd, redaction: redaction.clone() };
                let (process, stdout, stdin) = Process::start(program).map_err(|error| {
                    let reason = format!("`{command}` cannot be started: {error}");
                    ServerError::Unavailable { name: name.clone(), reason }
                })?;
                let ending = Ending::default();
                let transport = (Lines::new(stdout, ending.clone()), stdin);
                let stop = CancellationToken::new();
                let means = Means { name: name.clone(), process: Some(process), ending, stop, redaction };
                Connection::open(means, transport, within).await
            }
            Way::Url(url) => {
                let headers = self.settings.headers.iter();
                let headers = headers.map(|(header, text)| Ok((header.clone(), self.filled(text)?)));
                let headers = headers.collect::<Result<_, ServerError>>()?;
                let place = http::Place { name, url, headers, networks: &self.settings.networks };
                let gone = || ServerError::Unavailable { name: name.clone(), reason: "this host is closed".into() };
                let vault = self.vault.upgrade().ok_or_else(gone)?;
                let opened = self.reach.open(place, &vault).await?;
                let secrets: Vec<_> = self.secrets().into_iter().chain(opened.secrets).collect();
                let redaction = Redaction::of(secrets.clone());
                let (ending, stop) = (opened.ending, opened.stop);
                let means = Means { name: name.clone(), process: None, ending, stop, redaction: redaction.clone() };
                let within = within.saturating_sub(begun.elapsed());
                match opened.transport {
                    Transport::Plain(transport) => Connection::open(means, transport, within).await,
                    Transport::Signed(transport, keeper) => {
                        keeper.tell(redaction, secrets);
                        Connection::open(means, transport, within).await
                    }
                }
            }
        }
    }

    fn filled(&self, text: &str) -> Result<SecretString, ServerError> {
        let missing = |variable| ServerError::Variable { name: self.name.clone(), variable };
        filled(text, &|name| self.variables.get(name)).map_err(missing)
    }

    /// What of its settings is secret: variables and headers that are named as such.
    fn secrets(&self) -> Vec<SecretString> {
        let named = self.settings.variables();
        let named = named.iter().filter(|name| is_secret(name)).filter_map(|name| self.variables.get(name)).cloned();
        let mut secrets: Vec<_> = named.collect();
        let own = self.settings.env.iter().chain(&self.settings.headers).filter(|(name, _)| is_secret(name));
        secrets.extend(own.filter_map(|(_, text)| self.filled(text).ok()));
        secrets
    }

    /// Its settings hold no longer: whoever still has it can call nothing of it.
    pub(crate) fn retire(&self) {
        *self.approval.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Ends it in good order.
    pub(crate) async fn end(&self) {
        let connection = self.live.lock().await.connection.take();
        if let Some(connection) = connection {
            connection.end().await;
        }
    }

    fn end_when_idle(self: &Arc<Self>, connection: &Arc<Connection>) {
        let (server, watched) = (Arc::downgrade(self), Arc::downgrade(connection));
        let (idle, gone) = (self.settings.idle(), connection.gone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(idle / 4) => {}
                    () = gone.cancelled() => break,
                }
                let (Some(server), Some(connection)) = (server.upgrade(), watched.upgrade()) else { break };
                let mut live = server.live.lock().await;
                if !live.connection.as_ref().is_some_and(|now| Arc::ptr_eq(now, &connection)) {
                    break;
                }
                if connection.is_idle(idle) {
                    live.connection = None;
                    drop(live);
                    connection.end().await;
                    break;
                }
            }
        });
    }

    /// A server that took a token and takes it no longer. The next call begins anew, with what is kept then.
    async fn signed_out(&self, connection: &Arc<Connection>) -> ServerError {
        let mut live = self.live.lock().await;
        if live.connection.as_ref().is_some_and(|now| Arc::ptr_eq(now, connection)) {
            live.connection = None;
        }
        let reason = "it does not take what this host has, or no longer";
        ServerError::SignIn { name: self.name.clone(), reason: reason.into() }
    }

    async fn unlisted(&self, connection: &Arc<Connection>, broken: Broken) -> ServerError {
        let name = self.name.clone();
        match broken {
            Broken::SignIn => self.signed_out(connection).await,
            Broken::TimedOut => {
                ServerError::TimedOut { name, what: "listed its tools", seconds: self.settings.start().as_secs() }
            }
            Broken::Lost(reason) | Broken::Silent(reason) | Broken::Odd(reason) if reason.is_empty() => {
                ServerError::Unavailable { name, reason: connection.epitaph() }
            }
            Broken::Lost(reason) | Broken::Silent(reason) | Broken::Odd(reason) => {
                ServerError::Unavailable { name, reason }
            }
        }
    }

    /// What whoever called a tool is told. What is wrong in the configuration is for the operator.
    fn refusal(&self, error: ServerError) -> Refusal {
        use crate::error::Explain as _;
        tracing::warn!(server = self.name, %error, help = error.hint(), "a server cannot be used");
        Refusal::Server(Box::new(error))
    }
}

/// Whether a name says that what it names is a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["KEY", "TOKEN", "SECRET", "PASS", "AUTH", "CREDENTIAL", "COOKIE"].iter().any(|word| name.contains(word))
}

impl Live {
    fn failed(&mut self) {
        self.connection = None;
        self.failures = self.failures.saturating_add(1);
        // The first is forgiven.
        let rest = match self.failures {
            0 | 1 => return,
            more => Duration::from_secs(1 << (more - 2).min(6)).min(LONGEST_REST),
        };
        self.rests_until = Some(Instant::now() + rest);
    }
}

/// The result without the secrets that its server was given.
fn clean(mut result: rmcp::model::CallToolResult, connection: &Connection) -> rmcp::model::CallToolResult {
    use rmcp::model::{ContentBlock, ResourceContents};
    for content in &mut result.content {
        match content {
            ContentBlock::Text(text) => text.text = connection.redacted(&text.text),
            ContentBlock::Resource(embedded) => {
                if let ResourceContents::TextResourceContents { text, .. } = &mut embedded.resource {
                    *text = connection.redacted(text);
                }
            }
            ContentBlock::ResourceLink(link) => link.uri = connection.redacted(&link.uri),
            _ => {}
        }
    }
    if let Some(value) = result.structured_content.take() {
        result.structured_content = Some(redacted(value, connection));
    }
    result
}

fn redacted(value: serde_json::Value, connection: &Connection) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::String(text) => Value::String(connection.redacted(&text)),
        Value::Array(all) => all.into_iter().map(|one| redacted(one, connection)).collect(),
        Value::Object(all) => all
            .into_iter()
            .map(|(name, one)| (connection.redacted(&name), redacted(one, connection)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t90_a_server_that_keeps_failing_is_left_alone_for_longer_and_longer() {
        let mut live = Live::default();
        live.failed();
        assert_eq!(live.rests_until, None, "the first is forgiven");
        let mut before = Duration::ZERO;
        for _ in 0..10 {
            live.failed();
            let rest = live.rests_until.unwrap().saturating_duration_since(Instant::now());
            assert!(rest + Duration::from_millis(900) > before && rest <= LONGEST_REST, "{rest:?}");
            before = rest;
        }
        assert!(before > LONGEST_REST - Duration::from_secs(1));
    }

    #[test]
    fn names_say_what_is_secret() {
        assert!(["GITHUB_TOKEN", "api-key", "Authorization", "DB_PASSWORD"].iter().all(|name| is_secret(name)));
        assert!(!["HOME", "PATH", "REGION", "Accept-Language"].iter().any(|name| is_secret(name)));
    }
}
