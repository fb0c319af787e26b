//! A request under way: text as it comes, and what it came to. Dropping it cancels the work, which settles what it spent.

use futures_util::FutureExt as _;
use ringfence_core::agent::{AgentEvent, Transcript, Turn};
use ringfence_core::budget::Amount;
use ringfence_core::capability::model::types::{Message, Part, Role, StopReason};
use ringfence_core::{Call, Caller, Content, Error, Event, Finished};
use serde_json::Value;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;
use tokio_util::sync::DropGuard;
use tracing::{Instrument as _, Span};

use super::App;
use super::error::Wrong;
use super::parse::{self, Asked, AtMost};
use super::target::Target;
use crate::trouble::Trouble;

/// Pieces that wait for a client that reads slowly.
const UNREAD: usize = 64;

/// What a request came to.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) text: String,
    pub(super) stop_reason: StopReason,
    pub(super) usage: Amount,
}

/// A request under way.
pub(super) struct Job {
    pieces: Receiver<String>,
    work: JoinHandle<Result<Done, Error>>,
    _cancel: DropGuard,
}

impl Job {
    pub(super) fn start(app: &App, target: Target, asked: Asked, at_most: AtMost) -> Result<Self, Wrong> {
        let AtMost { limits: at_most, param: cut_by } = at_most;
        let cancel = app.ending.child_token();
        let (sender, pieces) = channel(UNREAD);
        let work = match target {
            Target::Agent(agent) => {
                let mut transcript = Transcript::passing(agent.name(), asked.before);
                let token = cancel.clone();
                async move {
                    let (events, reader) = channel(UNREAD);
                    let caller = Caller::Client;
                    let turn = Turn { caller, events: Some(events), cancel: token, at_most, ..Turn::default() };
                    let (answer, ()) =
                        tokio::join!(agent.answer(&mut transcript, asked.last, turn), of_agent(reader, &sender));
                    let answer = answer?;
                    Ok(Done { text: answer.text, stop_reason: answer.stop_reason, usage: answer.usage })
                }
                .boxed()
            }
            Target::Tool(offer) => {
                // A chat sends what was said before with each message, and knows that a skill is one tool. Whoever instructs it
                // would believe that it listens.
                let is_order =
                    |message: &Message| message.role == Role::System && !parse::text(message).trim().is_empty();
                if asked.before.iter().any(is_order) {
                    return Err(Wrong::request(
                        asked.param,
                        "a skill takes the last message as its input, and there is a system message before it",
                        "leave it out, or ask an agent, whose model is told of it",
                    ));
                }
                if asked.last.parts.iter().any(|part| matches!(part, Part::Image(_))) {
                    return Err(Wrong::request(
                        asked.param,
                        "a skill is asked with text, and there is a picture",
                        "ask an agent, whose model sees pictures",
                    ));
                }
                let input = crate::cli::input_of_text(&offer.tool, parse::text(&asked.last)).ok_or_else(|| {
                    Wrong::request(
                        asked.param,
                        format!("`{}` has no main text that a message could fill", offer.tool.name),
                        "send a JSON object with the tool's inputs as the last message",
                    )
                })?;
                let (host, token, input) = (app.host.clone(), cancel.clone(), Value::Object(input).to_string());
                let of = offer.skill.clone();
                async move {
                    let skill = host.skill_of(&offer).await?;
                    let (events, reader) = channel(UNREAD);
                    let call = Call {
                        tool: Some(offer.tool.name.clone()),
                        caller: Caller::Client,
                        events: Some(events),
                        cancel: token,
                        at_most,
                        ..Call::new(skill, input)
                    };
                    let (finished, streamed) = tokio::join!(host.invoke(call), of_skill(&of, reader, &sender));
                    let finished = finished.map_err(|error| cut(error, cut_by))?;
                    let whole = text(&finished);
                    let rest = rest(&whole, &streamed);
                    if !rest.is_empty() {
                        drop(sender.send(rest).await);
                    }
                    Ok(Done { text: whole, stop_reason: StopReason::End, usage: finished.usage })
                }
                .boxed()
            }
        };
        Ok(Self { pieces, work: tokio::spawn(work.instrument(Span::current())), _cancel: cancel.drop_guard() })
    }

    /// The next piece of text. None at the end.
    pub(super) async fn next(&mut self) -> Option<String> {
        self.pieces.recv().await
    }

    /// What it came to, once no piece is left.
    pub(super) async fn done(mut self) -> Result<Done, Error> {
        // What nobody reads must not hold up who writes.
        while self.next().await.is_some() {}
        match (&mut self.work).await {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "a request failed");
                Err(Trouble::new("host-fault", "the host failed while it answered", "its log says more"))
            }
        }
    }
}

/// A budget may be used up because the request allows no more.
fn cut(error: Error, param: Option<&'static str>) -> Error {
    match param.filter(|_| error.kind() == "budget-exhausted") {
        Some(param) => {
            let hint = format!("raise `{param}` of the request, where that is the limit; or else {}", error.hint());
            Trouble::new("budget-exhausted", error.to_string(), hint)
        }
        None => error,
    }
}

/// Sends on what an agent's model says.
async fn of_agent(mut events: Receiver<AgentEvent>, pieces: &Sender<String>) {
    while let Some(event) = events.recv().await {
        if let AgentEvent::Text { text } = event {
            drop(pieces.send(text).await);
        }
    }
}

/// Sends on what a skill shows of its work, and gives all of it.
async fn of_skill(skill: &str, mut events: Receiver<Event>, pieces: &Sender<String>) -> String {
    let mut streamed = String::new();
    while let Some(event) = events.recv().await {
        match event {
            Event::Text(text) => {
                streamed.push_str(&text);
                drop(pieces.send(text).await);
            }
            Event::Log(line) => line.write(skill),
            // This interface has nothing for it.
            Event::Progress { .. } => {}
        }
    }
    streamed
}

/// What of `whole` was not streamed. Where something else was, the whole follows.
fn rest(whole: &str, streamed: &str) -> String {
    if streamed.is_empty() {
        return whole.to_owned();
    }
    match whole.strip_prefix(streamed) {
        Some(rest) => rest.to_owned(),
        None if streamed.trim_end() == whole.trim_end() => String::new(),
        None => format!("\n\n{whole}"),
    }
}

/// An outcome as text: clients of this interface take nothing else.
fn text(finished: &Finished) -> String {
    let outcome = &finished.outcome;
    if outcome.content.is_empty() {
        return outcome.structured.as_ref().map(Value::to_string).unwrap_or_default();
    }
    let part = |content: &Content| match content {
        Content::Text { text } => text.clone(),
        Content::Image(media) => format!("[image: {}, {} bytes]", media.media_type, media.data.len()),
        Content::Audio(media) => format!("[audio: {}, {} bytes]", media.media_type, media.data.len()),
        Content::Link(link) => match &link.title {
            Some(title) => format!("{title}: {}", link.uri),
            None => link.uri.clone(),
        },
    };
    outcome.content.iter().map(part).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::rest;

    #[test]
    fn what_was_streamed_is_not_sent_twice() {
        for (whole, streamed, left) in [
            ("a b", "", "a b"),
            ("a b", "a b", ""),
            ("a b", "a ", "b"),
            ("a b", "a b\n", ""),
            ("other", "a b", "\n\nother"),
        ] {
            assert_eq!(rest(whole, streamed), left, "{whole:?} after {streamed:?}");
        }
    }
}
