//! Which tools the model of an agent is given, and what each of its calls comes to.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::ask::Use;
use super::envelope::{readable, wrap_description};
use super::settings::ALL;
use super::{Agent, AgentError};
use crate::broker::Session;
use crate::budget::Amount;
use crate::capability::model::limits::TOOLS;
use crate::capability::model::types::{Tool, ToolCall};
use crate::capability::tools::{Grant, Name};
use crate::catalog::tool::CallError;
use crate::catalog::toolbox::{Offer, Toolbox};
use crate::error::{Error, Explain as _, Refusal};
use crate::host::Host;
use crate::invocation::{self, Call, Caller, Content, Finished, InvokeError};
use crate::person::Person;
use crate::policy::Grants;
use crate::schema;

/// Bytes of the arguments of one call. Far more than a model writes in an answer.
const INPUT_BYTES: usize = 1 << 20;

/// The tools of one run, as they were when it began.
#[derive(Debug)]
pub(super) struct Tools {
    by_name: HashMap<String, Arc<Offer>>,
    /// As a model is given them, in order of their names.
    listed: Vec<Tool>,
    /// What the agent may call.
    pub(super) grant: Grant,
    /// Skills that lack a grant, where the agent takes all.
    pub(super) left_out: Vec<String>,
}

impl Tools {
    pub(super) async fn of(agent: &Agent) -> Result<Self, Error> {
        let toolbox = agent.host.toolbox().await?;
        let settings = &agent.settings;
        let mut grant = Grant { tools: settings.tools.clone(), ..Grant::default() };
        let mut left_out = Vec::new();
        for skill in settings.skills.iter().filter(|skill| *skill != ALL) {
            grant.tools.push(format!("{skill}/*"));
        }
        if settings.skills.iter().any(|skill| skill == ALL) {
            for (skill, offer) in one_of_each(&toolbox) {
                match agent.host.lacks(offer).await {
                    true => left_out.push(skill.to_owned()),
                    false => grant.tools.push(format!("{skill}/*")),
                }
            }
        }
        let offers: Vec<_> = toolbox.iter().filter(|offer| grant.covers(&name_of(offer))).cloned().collect();
        let is_there = |wanted: &&String| {
            offers.iter().any(|offer| {
                let one = Grant { tools: vec![(*wanted).clone()], ..Grant::default() };
                one.covers(&name_of(offer))
            })
        };
        if let Some(wanted) = grant.tools.iter().find(|wanted| !is_there(wanted)) {
            let wanted = wanted.trim_end_matches("/*").to_owned();
            return Err(AgentError::NotInstalled { agent: agent.name.clone(), wanted }.into());
        }
        if offers.len() > TOOLS {
            let (agent, count) = (agent.name.clone(), offers.len());
            return Err(AgentError::TooManyTools { agent, count, most: TOOLS }.into());
        }
        let listed = offers.iter().filter_map(|offer| listed(offer)).collect();
        let by_name = offers.into_iter().map(|offer| (offer.name.clone(), offer)).collect();
        Ok(Self { by_name, listed, grant, left_out })
    }

    pub(super) fn listed(&self) -> &[Tool] {
        &self.listed
    }

    /// Whether one of them is of a server.
    pub(super) fn has_a_servers(&self) -> bool {
        self.by_name.values().any(|offer| offer.is_a_servers())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.listed.iter().map(|tool| tool.name.as_str())
    }

    /// The name of a call as it may stand in a conversation: providers refuse one in which stands what they would not take.
    pub(super) fn known_name<'a>(&self, written: &'a str) -> &'a str {
        if self.by_name.contains_key(written) { written } else { "unknown_tool" }
    }
}

/// Any tool of each skill.
fn one_of_each(toolbox: &Toolbox) -> BTreeMap<&str, &Arc<Offer>> {
    toolbox.iter().map(|offer| (offer.skill.as_str(), offer)).collect()
}

fn name_of(offer: &Offer) -> Name {
    Name { skill: offer.skill.clone(), tool: offer.tool.name.clone() }
}

/// The tool for a model. None where no model can be given it, as an old package may still have one.
fn listed(offer: &Offer) -> Option<Tool> {
    let input_schema = schema::arguments(&offer.tool.input_schema).ok()?;
    let description = match offer.is_a_servers() {
        true => wrap_description(&offer.name, &offer.tool.description),
        false => readable(&offer.tool.description),
    };
    Some(Tool { name: offer.name.clone(), description, input_schema })
}

/// What became of a call: `ok` or the kind of the error, and the words for the model.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) kind: &'static str,
    pub(super) text: String,
}

impl Ended {
    fn refused(refusal: &Refusal) -> Self {
        Self { kind: refusal.kind(), text: format!("{refusal}\n{}", refusal.hint()) }
    }

    fn failed(kind: &'static str, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

/// What every call of a run has in common.
pub(super) struct Desk<'a> {
    pub(super) host: &'a Host,
    pub(super) tools: &'a Tools,
    /// The run, and the same where its model decides.
    pub(super) session: &'a Session,
    pub(super) by_model: &'a Session,
    pub(super) cancel: &'a CancellationToken,
    pub(super) locale: Option<&'a str>,
}

impl Desk<'_> {
    /// Makes one call of the model. Whatever goes wrong is an answer for the model.
    pub(super) async fn call(&self, call: &ToolCall, person: Option<Arc<dyn Person>>) -> Ended {
        // Exactly this name, byte for byte: what looks like it is another one.
        let offer = self.tools.by_name.get(&call.name);
        if call.input.len() > INPUT_BYTES {
            let (actual, most) = (call.input.len(), INPUT_BYTES);
            return Ended::failed("too-large", format!("the arguments are {actual} bytes long, of at most {most}"));
        }
        if let Some(offer) = offer
            && serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&call.input).is_err()
        {
            let text = format!("the arguments of `{}` are not a JSON object: call it again with one", offer.name);
            return Ended::failed("invalid-input", text);
        }
        let ask = Use {
            name: offer.map(|offer| name_of(offer)),
            written: call.name.clone(),
            input: call.input.clone(),
            effectful: offer.is_none_or(|offer| !offer.tool.hints.read_only),
        };
        let permit = match self.by_model.permit(ask).await {
            Ok(permit) => permit,
            Err(refusal) => return Ended::refused(&refusal),
        };
        let receipt = permit.receipt();
        let ended = match offer {
            Some(offer) => self.invoke(offer, call.input.clone(), person).await,
            // Policy refused it above.
            None => Ended::failed("denied", "there is no such tool"),
        };
        permit.settle(Amount::default());
        receipt.close(ended.kind, String::new());
        ended
    }

    async fn invoke(&self, offer: &Offer, input: String, person: Option<Arc<dyn Person>>) -> Ended {
        let skill = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Ended::refused(&Refusal::Cancelled),
            skill = self.host.skill_of(offer) => skill,
        };
        let skill = match skill {
            Ok(skill) => skill,
            Err(error) => return unavailable(&offer.skill, &error),
        };
        let call = Call {
            tool: Some(offer.tool.name.clone()),
            caller: Caller::Model,
            // Of what is stored alone: nobody can be allowed anything by a model.
            allow: Grants::default(),
            cancel: self.cancel.child_token(),
            person,
            locale: self.locale.map(str::to_owned),
            ..Call::new(skill, input)
        };
        match invocation::run_within(&self.host.0, call, self.session).await {
            Ok(finished) => Ended { kind: "ok", text: said(&finished) },
            Err(error) if is_the_skills(&error) => Ended::failed(error.kind(), format!("{error}\n{}", error.hint())),
            Err(error) => unavailable(&offer.skill, &error),
        }
    }
}

/// Whether an error is about the call or of the skill, and nothing of this machine stands in it.
fn is_the_skills(error: &Error) -> bool {
    error.of::<Refusal>().is_some() || error.of::<CallError>().is_some() || error.of::<InvokeError>().is_some()
}

/// The error is for the host's log: it may hold paths of this machine.
fn unavailable(skill: &str, error: &Error) -> Ended {
    tracing::error!(%error, %skill, "a skill that an agent works with cannot be called");
    Ended::failed(error.kind(), format!("the skill `{skill}` cannot be called now; the host's log says why"))
}

/// An outcome in words: a model is given text alone.
fn said(finished: &Finished) -> String {
    let outcome = &finished.outcome;
    let parts: Vec<String> = outcome.content.iter().map(part).collect();
    match (parts.is_empty(), &outcome.structured) {
        (true, Some(structured)) => structured.to_string(),
        (true, None) => "(it returned nothing)".into(),
        (false, _) => parts.join("\n"),
    }
}

fn part(content: &Content) -> String {
    match content {
        Content::Text { text } => text.clone(),
        Content::Image(media) => format!("[an image: {}, {} bytes]", media.media_type, media.data.len()),
        Content::Audio(media) => format!("[a sound: {}, {} bytes]", media.media_type, media.data.len()),
        Content::Link(link) => match &link.title {
            Some(title) => format!("{title}: {}", link.uri),
            None => link.uri.clone(),
        },
    }
}
