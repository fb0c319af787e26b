//! An invocation that calls other skills: what runs behind `capability/tools`.
//!
//! A nested call is an invocation like any other, inside of the one that makes it: its grants, budget, deadline, memory,
//! processor time and cancellation are parts of that one's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{Call, Caller, Content, InvocationId, InvokeError, Link, Media, Outcome, Outer, walk};
use crate::broker::{Permit, Receipt};
use crate::budget::Amount;
use crate::capability::tools::{self, Answer, Found, Name, Pending, Toolbox};
use crate::capability::words::types;
use crate::catalog::tool::{CallError, Tool};
use crate::catalog::{CatalogError, SkillRef};
use crate::error::{Error, Excess, Explain as _, Refusal};
use crate::host::Shared;
use crate::policy::Grants;
use crate::server::ServerError;

/// The tools of other skills, for one invocation.
pub(super) struct Nested {
    host: Arc<Shared>,
    outer: Arc<Outer>,
    locale: Option<String>,
    /// Made for the first of them: most invocations call nobody.
    under_way: OnceLock<Arc<AtomicUsize>>,
}

impl Nested {
    pub(super) fn new(host: Arc<Shared>, outer: Arc<Outer>, locale: Option<String>) -> Self {
        Self { host, outer, locale, under_way: OnceLock::new() }
    }
}

impl Toolbox for Nested {
    fn all(&self) -> BoxFuture<'static, Result<Vec<Found>, Refusal>> {
        let host = Arc::clone(&self.host);
        async move {
            let installed = host.all_installed().await.map_err(|error| unavailable("the list of skills", &error))?;
            let mut servers = host.server_skills();
            servers.retain(|name, _| !installed.iter().any(|skill| skill.name == *name));
            let of_skills = installed.into_iter().map(|skill| (skill.name, skill.tools, false));
            let of_servers = servers.into_iter().map(|(name, skill)| (name, skill.tools(), true));
            let of = |(name, tools, leaves): (String, Vec<Tool>, bool)| {
                tools.into_iter().map(move |tool| Found {
                    name: Name { skill: name.clone(), tool: tool.name.clone() },
                    tool: tool.into(),
                    leaves,
                })
            };
            Ok(of_skills.chain(of_servers).flat_map(of).collect())
        }
        .boxed()
    }

    fn find(&self, name: &Name) -> BoxFuture<'static, Result<Found, Refusal>> {
        let (host, family, name) = (Arc::clone(&self.host), Arc::clone(&self.outer.family), name.clone());
        async move {
            let (tools, leaves) = match family.get(&name.skill) {
                Some(pinned) => (pinned.tools(), pinned.runs_elsewhere()),
                None => match callee(&host, &name.skill).await? {
                    Callee::Installed(installed) => (installed.tools, false),
                    Callee::Server(skill) => (skill.tools(), true),
                },
            };
            match tools.into_iter().find(|tool| tool.name == name.tool) {
                Some(tool) => Ok(Found { tool: tool.into(), name, leaves }),
                None => Err(Refusal::Invalid(format!("the skill `{}` has no tool `{}`", name.skill, name.tool))),
            }
        }
        .boxed()
    }

    fn under_way(&self) -> usize {
        self.under_way.get().map_or(0, |under_way| under_way.load(Ordering::Acquire))
    }

    fn start(&self, permit: Permit<tools::Call>) -> Pending {
        let cancel = self.outer.session.cancel_token().child_token();
        let call = Running {
            host: Arc::clone(&self.host),
            outer: Outer { act: Some(permit.receipt().span()), ..(*self.outer).clone() },
            locale: self.locale.clone(),
            cancel: cancel.clone(),
            name: permit.ask().name.clone(),
            receipt: permit.receipt(),
        };
        let input = permit.ask().input.clone();
        // Counted until it has ended, also where nobody waits for it any more.
        let place = Place::take(self.under_way.get_or_init(Arc::default));
        // Never aborted, so that its end is recorded: what cancels it is its token.
        let task = self.host.sessions.io.spawn(async move {
            let answer = call.run(input).await;
            permit.settle(Amount::default());
            drop(place);
            answer
        });
        let answer = task.map(|done| {
            done.unwrap_or_else(|error| {
                tracing::error!(%error, "a nested call failed");
                Err(Refusal::Unavailable("the host failed inside of this call; its log says more".into()))
            })
        });
        Pending { answer: answer.boxed(), cancel: cancel.drop_guard() }
    }
}

/// One of the calls that are under way.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(under_way: &Arc<AtomicUsize>) -> Self {
        under_way.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(under_way))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A nested call under way.
struct Running {
    host: Arc<Shared>,
    outer: Outer,
    locale: Option<String>,
    cancel: tokio_util::sync::CancellationToken,
    name: Name,
    receipt: Receipt,
}

impl Running {
    async fn run(self, input: String) -> Result<Answer, Refusal> {
        let skill = tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Refusal::Cancelled),
            skill = self.skill() => skill,
        };
        let answer = match skill {
            Ok(skill) => self.call(skill, input).await,
            Err(refusal) => Err(refusal),
        };
        match &answer {
            Ok(Answer::Failure(failure)) => self.receipt.close("failed", word(failure.kind).to_owned()),
            other => self.receipt.ended(other),
        }
        answer
    }

    /// The skill as this family knows it.
    async fn skill(&self) -> Result<SkillRef, Refusal> {
        if let Some(pinned) = self.outer.family.get(&self.name.skill) {
            return Ok(pinned);
        }
        let entry = match callee(&self.host, &self.name.skill).await? {
            Callee::Installed(entry) => *entry,
            Callee::Server(skill) => return Ok(self.outer.family.pin(&skill)),
        };
        let loaded = self.host.installed_skill(&entry).await;
        let loaded = loaded.map_err(|error| unavailable(&format!("the skill `{}`", self.name.skill), &error))?;
        Ok(self.outer.family.pin(&loaded))
    }

    async fn call(&self, skill: SkillRef, input: String) -> Result<Answer, Refusal> {
        let call = Call {
            tool: Some(self.name.tool.clone()),
            caller: Caller::Skill,
            // Of what is stored alone: what was allowed for the outer call was allowed to another skill.
            allow: Grants::default(),
            cancel: self.cancel.clone(),
            person: self.outer.session.person().cloned(),
            locale: self.locale.clone(),
            ..Call::new(skill, input)
        };
        // Boxed: an invocation is a large future, and this one may be eight deep.
        let done = Box::pin(walk(&self.host, InvocationId::timed(), call, Some(&self.outer), None)).await;
        match done {
            Ok(finished) => Ok(Answer::Outcome(finished.outcome.into())),
            Err(error) => self.failed(&error),
        }
    }

    /// What became of a call that gave no outcome: refused by the host, or failed by the skill.
    fn failed(&self, error: &Error) -> Result<Answer, Refusal> {
        let name = &self.name;
        if let Some(refusal) = error.of::<Refusal>() {
            return Err(refusal.clone());
        }
        match error.of::<CallError>() {
            Some(CallError::InputTooLarge { actual, limit }) => {
                let (limit, actual) = (*limit as u64, Some(*actual as u64));
                return Err(Refusal::TooLarge(Excess { what: "input of the tool", limit, actual }));
            }
            Some(error @ (CallError::UnknownTool { .. } | CallError::NoTool { .. } | CallError::InvalidInput(_))) => {
                return Err(Refusal::Invalid(format!("`{name}`: {error}")));
            }
            _ => {}
        }
        match error.of::<InvokeError>() {
            Some(InvokeError::Cancelled) => Err(Refusal::Cancelled),
            Some(InvokeError::Deadline(_) | InvokeError::Busy) if Instant::now() >= self.outer.session.deadline() => {
                Err(Refusal::TimedOut("the invocation's deadline has come".into()))
            }
            Some(InvokeError::Busy | InvokeError::HostFault) => {
                Err(Refusal::Unavailable(format!("`{name}`: {error}; {}", error.hint())))
            }
            Some(InvokeError::Failed { kind, message, hint }) => Ok(Answer::Failure(types::Failure {
                kind: failure_kind(kind),
                message: message.clone(),
                hint: hint.clone(),
            })),
            // Crashes and limits of the skill, and outcomes that are not what it promises.
            _ => Ok(Answer::Failure(types::Failure {
                kind: types::FailureKind::Failed,
                message: format!("`{name}`: {error}"),
                hint: Some(error.hint()),
            })),
        }
    }
}

/// Who is called.
enum Callee {
    Installed(Box<crate::catalog::Installed>),
    /// An approved server of that name, where no skill has it.
    Server(SkillRef),
}

async fn callee(host: &Shared, skill: &str) -> Result<Callee, Refusal> {
    let error = match host.find_installed(skill).await {
        Ok(installed) => return Ok(Callee::Installed(Box::new(installed))),
        Err(error) => error,
    };
    match (error.of::<CatalogError>(), host.server_skill(skill)) {
        (Some(CatalogError::NotInstalled { .. }), Ok(server)) => Ok(Callee::Server(server)),
        // Not which ones are: that is nothing for a skill to know.
        (Some(CatalogError::NotInstalled { .. }), Err(ServerError::Unknown { .. })) => {
            Err(Refusal::Unavailable(format!("no skill named `{skill}` is installed; install it with `ringfence add`")))
        }
        (Some(CatalogError::NotInstalled { .. }), Err(error)) => {
            Err(Refusal::Unavailable(format!("{error}; {}", error.hint())))
        }
        _ => Err(unavailable(&format!("the skill `{skill}`"), &error)),
    }
}

/// The error is for the host's log: it may hold paths of this machine.
fn unavailable(what: &str, error: &Error) -> Refusal {
    tracing::error!(%error, "{what} cannot be loaded for a skill that calls it");
    Refusal::Unavailable(format!("{what} cannot be loaded ({}); see the host's log", error.kind()))
}

fn word(kind: types::FailureKind) -> &'static str {
    match kind {
        types::FailureKind::InvalidInput => "invalid-input",
        types::FailureKind::UnknownTool => "unknown-tool",
        types::FailureKind::Refused => "refused",
        types::FailureKind::Unavailable => "unavailable",
        types::FailureKind::Failed => "failed",
    }
}

fn failure_kind(kind: &str) -> types::FailureKind {
    match kind {
        "invalid-input" => types::FailureKind::InvalidInput,
        "unknown-tool" => types::FailureKind::UnknownTool,
        "refused" => types::FailureKind::Refused,
        "unavailable" => types::FailureKind::Unavailable,
        _ => types::FailureKind::Failed,
    }
}

impl From<Outcome> for types::Outcome {
    fn from(outcome: Outcome) -> Self {
        Self {
            content: outcome.content.into_iter().map(Into::into).collect(),
            structured: outcome.structured.map(|value| value.to_string()),
        }
    }
}

impl From<Content> for types::Content {
    fn from(content: Content) -> Self {
        let media = |Media { media_type, data }| types::Media { media_type, data };
        match content {
            Content::Text { text } => Self::Text(text),
            Content::Image(image) => Self::Image(media(image)),
            Content::Audio(audio) => Self::Audio(media(audio)),
            Content::Link(Link { uri, title, media_type }) => Self::Link(types::Link { uri, title, media_type }),
        }
    }
}

impl From<Tool> for types::Tool {
    fn from(tool: Tool) -> Self {
        let mut hints = types::ToolHints::empty();
        for (holds, hint) in [
            (tool.hints.read_only, types::ToolHints::READ_ONLY),
            (tool.hints.destructive, types::ToolHints::DESTRUCTIVE),
            (tool.hints.idempotent, types::ToolHints::IDEMPOTENT),
            (tool.hints.open_world, types::ToolHints::OPEN_WORLD),
        ] {
            if holds {
                hints |= hint;
            }
        }
        Self {
            name: tool.name,
            title: tool.title,
            description: tool.description,
            input_schema: tool.input_schema.to_string(),
            output_schema: tool.output_schema.map(|schema| schema.to_string()),
            hints,
        }
    }
}
