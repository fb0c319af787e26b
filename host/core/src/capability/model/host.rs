//! The guest's side of `model`: decode, ask the broker, encode. No decisions here.

use std::sync::Arc;
use std::task::Poll;

use tokio::sync::mpsc;
use tracing::{Instrument as _, Span};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use super::grant::Grant;
use super::provider::Events;
use super::router::Router;
use super::types::{self as plain, Event, Response};
use super::{ask, names};
use crate::act::Act;
use crate::broker::{Permit, Receipt, Session, Verdict};
use crate::capability::words;
use crate::error::Refusal;
use crate::trace;

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package ringfence:model-words;
            world model-words {
                import ringfence:skill/model@0.1.0;
            }
        ",
        world: "ringfence:model-words/model-words",
        imports: { default: async | trappable },
        with: {
            "ringfence:skill/types": crate::capability::words::types,
            "ringfence:skill/model.generation": super::Generation,
        },
    });
}

use generated::ringfence::skill::model as wit;

/// Events that wait for a guest which does not read. Above them the provider's stream waits too.
const UNREAD: usize = 1_024;
/// Events that one `next` gives at most.
const BATCH: usize = 1_024;

/// What `model` may touch of an invocation.
pub struct ModelView<'a> {
    pub session: &'a Session,
    pub table: &'a mut ResourceTable,
    pub router: &'a Arc<Router>,
    /// Whether a budget of micro-dollars holds for this invocation, whosever it is.
    pub money_limited: bool,
}

struct Model;

impl HasData for Model {
    type Data<'a> = ModelView<'a>;
}

/// Adds `ringfence:skill/model` to a linker.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: fn(&mut T) -> ModelView<'_>,
) -> wasmtime::Result<()> {
    wit::add_to_linker::<T, Model>(linker, get)
}

type Answer<T> = wasmtime::Result<Result<T, words::types::Refusal>>;

/// A generation under way. Dropping it cancels it, which settles its permit.
pub struct Generation {
    events: mpsc::Receiver<Event>,
    /// None after its end.
    act: Option<Act<Result<Response, Refusal>>>,
    /// Why it broke, until that can be told.
    broken: Option<Refusal>,
}

impl Generation {
    /// Waits until there is something and takes all that is there. Empty at the end; a failure comes once, after every
    /// event before it.
    async fn next(&mut self) -> Result<Vec<wit::Event>, Refusal> {
        let Some(act) = &self.act else { return self.broken.take().map_or(Ok(Vec::new()), Err) };
        let events = &mut self.events;
        let mut batch = Vec::new();
        // Also where the provider hangs: the invocation's deadline and its cancellation end the act.
        let done = act.watch(|done| {
            // Those before the end have been sent before it.
            while batch.len() < BATCH
                && let Ok(event) = events.try_recv()
            {
                batch.push(encode_event(event));
            }
            if done.is_some() || !batch.is_empty() { Poll::Ready(done) } else { Poll::Pending }
        });
        let Some(done) = done.await else { return Ok(batch) };
        self.act = None;
        match done.map_err(Refusal::from).flatten() {
            Ok(response) => batch.push(wit::Event::Done(encode_response(response))),
            Err(refusal) if batch.is_empty() => return Err(refusal),
            Err(refusal) => self.broken = Some(refusal),
        }
        Ok(batch)
    }
}

impl ModelView<'_> {
    /// Looks for a running Ollama where it matters. That is input and output, and so nothing for the workers of guests.
    async fn ready(&mut self, model: &str) -> Result<(), Refusal> {
        self.session.check_entered("model", || ask::subject(model))?;
        if self.router.is_ready(model) {
            return Ok(());
        }
        let (router, model) = (Arc::clone(self.router), model.to_owned());
        let look = async move {
            router.ready(&model).await;
            Ok(())
        };
        self.session.perform(look).await
    }

    /// The request is boxed: each move of it would be a copy on the guest's stack, which keeps its deepest page for as long as the guest waits.
    async fn permit_request(&mut self, request: Box<wit::Request>) -> Result<Box<Permit<ask::Generate>>, Refusal> {
        self.ready(&request.model).await?;
        let (session, router, money_limited) = (self.session.clone(), Arc::clone(self.router), self.money_limited);
        let ask = async move {
            let grant = grant(&session, &router);
            router.generate_ask(decode_request(*request)?, grant.as_ref(), money_limited)
        };
        self.session.permit_made(ask).await
    }

    async fn start(&mut self, request: Box<wit::Request>) -> Result<Generation, Refusal> {
        let permit = self.permit_request(request).await?;
        let receipt = permit.receipt();
        let (sender, events) = Events::new(UNREAD);
        let router = Arc::clone(self.router);
        let session = self.session.clone();
        let act = self.session.begin(async move {
            let span = receipt.span();
            let answer = router.generate(*permit, Some(sender)).instrument(span.clone()).await;
            note_model(&span, answer.as_ref().map(|response| response.model.as_str()));
            receipt.ended(&answer);
            let response = answer?;
            session.note_answer(&response.model);
            Ok(response)
        });
        Ok(Generation { events, act: Some(act), broken: None })
    }

    async fn whole(&mut self, request: Box<wit::Request>) -> Result<wit::Response, Refusal> {
        let permit = self.permit_request(request).await?;
        let receipt = permit.receipt();
        let router = Arc::clone(self.router);
        // All boxed: by value they would lie in each of the futures around them, for as long as the model thinks. This one by whoever
        // polls it, so that it was never on the guest's stack where that is another.
        let around = receipt.span();
        let act = async move { Box::pin(router.generate(*permit, None).instrument(around)).await.map(Box::new) };
        let answer = self.session.perform_in_place(act).await;
        self.answered(&receipt, answer)
    }

    // By itself: what it needs of the stack must not lie below what waits.
    #[inline(never)]
    fn answered(&self, receipt: &Receipt, answer: Result<Box<Response>, Refusal>) -> Result<wit::Response, Refusal> {
        note_model(&receipt.span(), answer.as_ref().map(|response| response.model.as_str()));
        receipt.ended(&answer);
        let response = answer?;
        self.session.note_answer(&response.model);
        Ok(encode_response(*response))
    }

    async fn vectors(&mut self, model: String, inputs: Vec<String>) -> Result<wit::Embeddings, Refusal> {
        self.ready(&model).await?;
        let permit = self.session.permit(self.router.embed_ask(model, inputs, self.money_limited)?).await?;
        let receipt = permit.receipt();
        let router = Arc::clone(self.router);
        let span = receipt.span();
        let around = span.clone();
        let act = async move { Box::pin(router.embed(permit).instrument(around)).await };
        let answer = self.session.perform_in_place(act).await;
        note_model(&span, answer.as_ref().map(|embeddings| embeddings.model.as_str()));
        receipt.ended(&answer);
        let embeddings = answer?;
        self.session.note_answer(&embeddings.model);
        Ok(wit::Embeddings {
            vectors: embeddings.vectors,
            model: embeddings.model,
            usage: encode_usage(embeddings.usage.unwrap_or_default()),
        })
    }

    /// Every name that policy would let through now: aliases, and the models that a grant names or covers.
    fn usable(&self) -> Vec<wit::ModelInfo> {
        let grant = &grant(self.session, self.router);
        let granted = grant.iter().flat_map(|grant| &grant.models);
        let mut listed = self.router.aliases();
        for entry in granted.filter(|entry| entry.contains('/')) {
            match entry.strip_suffix("/*") {
                Some(provider) => listed.extend(self.router.known_models(provider)),
                None => listed.push(entry.clone()),
            }
        }
        listed.sort_unstable();
        listed.dedup();
        let max_tokens = self.router.max_tokens(grant.as_ref());
        listed
            .into_iter()
            .filter_map(|name| {
                let candidates = self.router.resolve(&name);
                let first = candidates.first()?;
                let facts = self.router.facts(&name, &candidates, self.money_limited);
                let allowed = names::is_name(&name) && ask::allowed(&name, &facts, grant) == Verdict::Yes;
                allowed.then(|| wit::ModelInfo {
                    context_window: first.price.and_then(|price| price.context_window),
                    local: candidates.iter().all(super::Candidate::local),
                    max_tokens,
                    name,
                })
            })
            .collect()
    }
}

/// What was granted, with answers as long as every skill that called this one may have them. A grant without a number is worth the
/// operator's default, which grants do not know when they are intersected.
fn grant(session: &Session, router: &Router) -> Option<Grant> {
    let max_tokens = session.upwards().map(|above| router.max_tokens(above.grants().model.as_ref())).min();
    session.grants().model.clone().map(|grant| Grant { max_tokens, ..grant })
}

/// Which model answered, where one did.
fn note_model(span: &Span, answered: Result<&str, &Refusal>) {
    if let Ok(model) = answered {
        trace::answered(span, model);
    }
}

impl wit::Host for ModelView<'_> {
    async fn generate(&mut self, request: wit::Request) -> Answer<wit::Response> {
        Ok(self.whole(Box::new(request)).await.map_err(Into::into))
    }

    async fn open(&mut self, request: wit::Request) -> Answer<Resource<Generation>> {
        match self.start(Box::new(request)).await {
            Ok(generation) => Ok(Ok(self.table.push(generation)?)),
            Err(refusal) => Ok(Err(refusal.into())),
        }
    }

    async fn embed(&mut self, model: String, inputs: Vec<String>) -> Answer<wit::Embeddings> {
        Ok(self.vectors(model, inputs).await.map_err(Into::into))
    }

    async fn models(&mut self) -> wasmtime::Result<Vec<wit::ModelInfo>> {
        // A list cannot refuse: one host call too many sees nothing, and neither does one before the call has begun.
        let refused = self.session.check_entered("model", || "models".into()).is_err()
            || self.session.ledger().count_host_call().is_err();
        Ok(if refused { Vec::new() } else { self.usable() })
    }
}

impl wit::HostGeneration for ModelView<'_> {
    async fn next(&mut self, generation: Resource<Generation>) -> Answer<Vec<wit::Event>> {
        Ok(self.table.get_mut(&generation)?.next().await.map_err(Into::into))
    }

    async fn drop(&mut self, generation: Resource<Generation>) -> wasmtime::Result<()> {
        self.table.delete(generation)?;
        Ok(())
    }
}

fn decode_request(request: wit::Request) -> Result<plain::Request, Refusal> {
    let tools = request.tools.into_iter().map(decode_tool).collect::<Result<_, _>>()?;
    let messages = request.messages.into_iter().map(decode_message).collect::<Result<_, _>>()?;
    let schema = request.output_schema.map(|text| words::json("the output schema", &text)).transpose()?;
    let options = match request.provider_options.map(|text| words::json("provider-options", &text)).transpose()? {
        None => None,
        Some(serde_json::Value::Object(options)) => Some(options),
        Some(_) => return Err(Refusal::Invalid("provider-options is not a JSON object".into())),
    };
    Ok(plain::Request {
        model: request.model,
        messages,
        tools,
        tool_choice: match request.tool_choice {
            wit::ToolChoice::Auto => plain::ToolChoice::Auto,
            wit::ToolChoice::None => plain::ToolChoice::None,
            wit::ToolChoice::Required => plain::ToolChoice::Required,
            wit::ToolChoice::Named(name) => plain::ToolChoice::Named(name),
        },
        output_schema: schema,
        max_tokens: request.max_tokens,
        temperature: request.temperature,
        top_p: request.top_p,
        stop: request.stop,
        effort: request.effort.map(|effort| match effort {
            wit::Effort::None => plain::Effort::None,
            wit::Effort::Low => plain::Effort::Low,
            wit::Effort::Medium => plain::Effort::Medium,
            wit::Effort::High => plain::Effort::High,
        }),
        cache_until: request.cache_until,
        provider_options: options,
    })
}

fn decode_tool(tool: wit::Tool) -> Result<plain::Tool, Refusal> {
    let input_schema = words::json("a tool's input schema", &tool.input_schema)?;
    let input_schema = crate::schema::arguments(&input_schema)
        .map_err(|error| Refusal::Invalid(format!("the input schema of `{}`: {error}", tool.name.escape_debug())))?;
    Ok(plain::Tool { name: tool.name, description: tool.description, input_schema })
}

fn decode_message(message: wit::Message) -> Result<plain::Message, Refusal> {
    let role = match message.role {
        wit::Role::System => plain::Role::System,
        wit::Role::User => plain::Role::User,
        wit::Role::Assistant => plain::Role::Assistant,
        wit::Role::Tool => plain::Role::Tool,
    };
    Ok(plain::Message { role, parts: message.parts.into_iter().map(decode_part).collect::<Result<_, _>>()? })
}

fn decode_part(part: wit::Part) -> Result<plain::Part, Refusal> {
    Ok(match part {
        wit::Part::Text(text) => plain::Part::Text(text),
        wit::Part::Image(image) => plain::Part::Image(plain::Image { media_type: image.media_type, data: image.data }),
        wit::Part::Thinking(thinking) => {
            plain::Part::Thinking(plain::Thinking { text: thinking.text, signature: thinking.signature })
        }
        wit::Part::ToolCall(call) => {
            words::check_json("the input of a tool call", &call.input)?;
            plain::Part::ToolCall(plain::ToolCall {
                id: call.id,
                name: call.name,
                input: call.input,
                signature: call.signature,
            })
        }
        wit::Part::ToolResult(result) => plain::Part::ToolResult(plain::ToolResult {
            id: result.id,
            content: result.content,
            is_error: result.is_error,
        }),
    })
}

fn encode_call(call: plain::ToolCall) -> wit::ToolCall {
    wit::ToolCall { id: call.id, name: call.name, input: call.input, signature: call.signature }
}

fn encode_event(event: Event) -> wit::Event {
    match event {
        Event::Text(text) => wit::Event::Text(text),
        Event::Thinking(text) => wit::Event::Thinking(text),
        Event::ToolCallStart { id, name } => wit::Event::ToolCallStart((id, name)),
        Event::ToolCallDelta { id, input } => wit::Event::ToolCallDelta((id, input)),
        Event::ToolCall(call) => wit::Event::ToolCall(encode_call(call)),
    }
}

fn encode_part(part: plain::Part) -> wit::Part {
    match part {
        plain::Part::Text(text) => wit::Part::Text(text),
        plain::Part::Image(image) => wit::Part::Image(wit::Image { media_type: image.media_type, data: image.data }),
        plain::Part::Thinking(thinking) => {
            wit::Part::Thinking(wit::Thinking { text: thinking.text, signature: thinking.signature })
        }
        plain::Part::ToolCall(call) => wit::Part::ToolCall(encode_call(call)),
        plain::Part::ToolResult(result) => {
            wit::Part::ToolResult(wit::ToolResult { id: result.id, content: result.content, is_error: result.is_error })
        }
    }
}

fn encode_usage(usage: plain::Usage) -> wit::Usage {
    wit::Usage {
        input_tokens: usage.input_tokens,
        cached_input_tokens: usage.cached_input_tokens,
        cache_write_tokens: usage.cache_write_tokens,
        output_tokens: usage.output_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        micro_dollars: usage.micro_dollars,
    }
}

fn encode_response(response: Response) -> wit::Response {
    wit::Response {
        message: wit::Message {
            role: match response.message.role {
                plain::Role::System => wit::Role::System,
                plain::Role::User => wit::Role::User,
                plain::Role::Assistant => wit::Role::Assistant,
                plain::Role::Tool => wit::Role::Tool,
            },
            parts: response.message.parts.into_iter().map(encode_part).collect(),
        },
        stop_reason: match response.stop_reason {
            plain::StopReason::End => wit::StopReason::End,
            plain::StopReason::MaxTokens => wit::StopReason::MaxTokens,
            plain::StopReason::ToolCall => wit::StopReason::ToolCall,
            plain::StopReason::Refused => wit::StopReason::Refused,
            plain::StopReason::StopSequence => wit::StopReason::StopSequence,
        },
        model: response.model,
        usage: encode_usage(response.usage.unwrap_or_default()),
    }
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
