//! From a model's name to an answer: candidates in order, attempts, structured output, and the bill.
//!
//! Failover goes on after failures that say nothing against the request: a provider that is down, slow, rate-limited or out
//! of quota, that talks nonsense or is something else, a key that it refuses, a model it does not have, a prompt that is too
//! long for it. It stops at a request that the provider calls wrong (the author must see that, not a second provider's guess),
//! after the first streamed event, and after two attempts that may have been billed in vain.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use secrecy::SecretString;
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::ask::{Embed, Facts, Generate};
use super::grant::Grant;
use super::meter::Meter;
use super::persist::{LOST, Work, persist};
use super::prices::Price;
use super::provider::{Events, Provider, ProviderError};
use super::refusal::{Failed, refusal};
use super::route::{Candidate, Slot, Ways};
use super::settings::{Kind, ModelError, ModelSettings, ProviderSettings};
use super::types::{Embeddings, Part, Request, Response, StopReason, Usage};
use super::{discover, limits, names, providers, schema};
use crate::broker::Permit;
use crate::budget::Amount;
use crate::error::Refusal;
use crate::sync::{Mutex, PoisonError};

/// How long a running Ollama may take to say which models it has.
const OLLAMA_PROBE: Duration = Duration::from_millis(500);
/// How long a server that was silent is left in peace.
const PEACE: Duration = Duration::from_secs(10);
/// The same of a server that somebody named, which may be far away.
const SERVER_PROBE: Duration = Duration::from_secs(3);
/// More answer than this per asked token, above `SLACK`, is a provider that does not stop.
/// Tokens below which an answer is hardly one: it is refused rather than cut that short to fit a budget.
const SHORTEST: u32 = 256;
const BYTES_PER_TOKEN: u64 = 32;
const SLACK: u64 = 64 << 10;

/// A server did not say which models it has.
struct Silent;

/// All providers and the ways to them. One for the host; calls run through it in parallel.
pub struct Router {
    /// Changes once at most, when the servers that list their models were asked.
    ways: ArcSwap<Ways>,
    slots: BTreeMap<String, Arc<Slot>>,
    /// Aliases that may be served by a server that has to be asked for its models.
    hopeful: Vec<&'static str>,
    looked: OnceCell<()>,
    /// When a server that should have told its models said nothing.
    silent: Mutex<Option<Instant>>,
    #[cfg(test)]
    pub(super) charges: super::meter::Log,
}

impl Router {
    /// `secrets` are the keys by provider; `hopeful` comes from [`discover::discover`]. Reaches nothing.
    pub fn new(
        settings: ModelSettings,
        secrets: &BTreeMap<String, SecretString>,
        hopeful: Vec<&'static str>,
    ) -> Result<Self, ModelError> {
        let build =
            |name: &str, settings: &ProviderSettings| providers::build(name, settings, secrets.get(name).cloned());
        Self::assemble(settings, hopeful, |name| secrets.contains_key(name), build)
    }

    pub(super) fn assemble(
        mut settings: ModelSettings,
        hopeful: Vec<&'static str>,
        has_key: impl Fn(&str) -> bool,
        build: impl Fn(&str, &ProviderSettings) -> Result<Box<dyn Provider>, ModelError>,
    ) -> Result<Self, ModelError> {
        settings.providers.entry("offline".into()).or_insert_with(|| ProviderSettings::new(Kind::Offline));
        settings.validate()?;
        let mut slots = BTreeMap::new();
        for (name, provider) in &settings.providers {
            let slot = Slot::new(name, provider, build(name, provider)?, has_key(name));
            slots.insert(name.clone(), Arc::new(slot));
        }
        Ok(Self {
            ways: ArcSwap::from_pointee(Ways::new(settings, &slots)),
            slots,
            hopeful,
            looked: OnceCell::new(),
            silent: Mutex::default(),
            #[cfg(test)]
            charges: super::meter::Log::default(),
        })
    }

    /// The models behind a name, in the order in which they are asked. Empty where there is no such name.
    pub fn resolve(&self, name: &str) -> Arc<[Candidate]> {
        self.ways.load().to(name, &self.slots)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.slots.values()
    }

    /// Names of providers, in order.
    pub fn providers(&self) -> Vec<String> {
        self.slots.keys().cloned().collect()
    }

    /// Providers whose key would travel in the clear, with their addresses: not encrypted, and to another machine.
    pub fn exposed(&self) -> Vec<(String, String)> {
        let ways = self.ways.load();
        let of = |slot: &Arc<Slot>| {
            let base = ways.settings.providers.get(&slot.name)?.base_url.clone()?;
            let open = slot.has_key && !slot.local && base.trim_start().to_ascii_lowercase().starts_with("http:");
            open.then(|| (slot.name.clone(), base))
        };
        self.slots.values().filter_map(of).collect()
    }

    /// Aliases, in order of name.
    pub fn aliases(&self) -> Vec<String> {
        self.ways.load().settings.aliases.keys().cloned().collect()
    }

    /// Model names of a provider that the price table or the configuration knows.
    pub(super) fn known_models(&self, provider: &str) -> Vec<String> {
        let ways = self.ways.load();
        let settings = &ways.settings;
        let mut known: Vec<String> = settings
            .prices
            .keys()
            .chain(settings.aliases.values().flatten())
            .filter(|name| names::split(name).is_some_and(|(of, _)| of == provider))
            .cloned()
            .collect();
        if let Some(family) = settings.family(provider) {
            let of_family = |name: &String| name.strip_prefix(family)?.strip_prefix('/').map(str::to_owned);
            let table = super::prices::table().models.keys().filter_map(of_family);
            known.extend(table.map(|model| format!("{provider}/{model}")));
        }
        known.sort_unstable();
        known.dedup();
        known
    }

    /// The most tokens that a skill with this grant may ask for in one answer.
    pub fn max_tokens(&self, grant: Option<&Grant>) -> u32 {
        grant.and_then(|grant| grant.max_tokens).unwrap_or_else(|| self.ways.load().settings.max_tokens).max(1)
    }

    /// Asks the servers that list their models, once, where `name` is an alias that nothing better serves. Start-up does not wait for it.
    pub async fn ready(&self, name: &str) {
        if self.is_ready(name) {
            return;
        }
        // Where a server that somebody named does not answer, the alias still leads to it, and a later call asks again. Those that wait
        // for the same answer do not ask one after the other.
        let looked = self.looked.get_or_try_init(|| async {
            if self.is_in_peace() {
                return Err(Silent);
            }
            let looked = self.look().await;
            if looked.is_err() {
                *self.silent.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            }
            looked
        });
        drop(looked.await);
    }

    /// Whether the server was asked a moment ago and said nothing.
    fn is_in_peace(&self) -> bool {
        let silent = *self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        silent.is_some_and(|since| since.elapsed() < PEACE)
    }

    /// Whether nothing has to be looked for before `name` is used.
    pub fn is_ready(&self, name: &str) -> bool {
        !self.hopeful.contains(&name) || self.looked.initialized()
    }

    async fn look(&self) -> Result<(), Silent> {
        let mut settings = self.ways.load().settings.clone();
        let (named, ollama) =
            tokio::join!(self.list("openai", &settings, SERVER_PROBE), self.list("ollama", &settings, OLLAMA_PROBE));
        // Nobody asked for an Ollama: one that is silent is not there.
        let lists = [("openai", named?), ("ollama", ollama.unwrap_or_default())];
        for alias in &self.hopeful {
            let found = lists.iter().find_map(|(provider, models)| discover::from_list(provider, models, alias));
            let model = found.unwrap_or_else(|| discover::LAST_RESORT.into());
            settings.aliases.insert((*alias).to_owned(), vec![model]);
        }
        self.ways.store(Arc::new(Ways::new(settings, &self.slots)));
        Ok(())
    }

    /// What a provider lists; nothing where there is none whose list counts.
    async fn list(&self, name: &str, settings: &ModelSettings, patience: Duration) -> Result<Vec<String>, Silent> {
        let Some(slot) = self.slots.get(name).filter(|_| discover::lists(name, settings)) else {
            return Ok(Vec::new());
        };
        match tokio::time::timeout(patience, slot.provider.list()).await {
            Ok(Ok(models)) => Ok(models),
            // It answers and keeps no list: then it serves one model, and most such servers do not look at its name.
            Ok(Err(ProviderError::Foreign { .. })) => {
                Ok(names::split(discover::UNLISTED).map(|(_, model)| model.to_owned()).into_iter().collect())
            }
            _ => Err(Silent),
        }
    }

    /// The ask for a request: checked, clamped, and with what the router knows of the model. `money_limited` says whether
    /// any budget of micro-dollars holds for the invocation: what has no price is refused then.
    pub fn generate_ask(
        &self,
        mut request: Request,
        grant: Option<&Grant>,
        money_limited: bool,
    ) -> Result<Generate, Refusal> {
        limits::check(&request)?;
        let cap = self.max_tokens(grant);
        let wanted = request.max_tokens.unwrap_or_else(|| self.ways.load().settings.max_tokens).clamp(1, cap);
        request.max_tokens = Some(wanted);
        let candidates = self.resolve(&request.model);
        let mut tokens = (limits::prompt_tokens(&request), u64::from(wanted));
        if request.output_schema.is_some() {
            // A repair sends the prompt once more, with the bad answer and the schema in words.
            tokens = (2 * tokens.0 + limits::schema_tokens(&request) + tokens.1 + 1_024, 2 * tokens.1);
        }
        let facts = self.facts(&request.model, &candidates, money_limited);
        Ok(Generate { estimate: estimate(&candidates, tokens), request, facts })
    }

    /// Makes the answer that is asked for as long as so many micro-dollars pay for, where that is less, and still long enough to be an
    /// answer. For whoever did not say how long it has to be.
    pub fn shorten(&self, ask: &mut Generate, micro_dollars: u64) {
        let (estimate, wanted) = (ask.estimate, ask.request.max_tokens.unwrap_or(0));
        // With a schema there may be two answers.
        if estimate.micro_dollars <= micro_dollars || wanted <= SHORTEST || ask.request.output_schema.is_some() {
            return;
        }
        let candidates = self.resolve(&ask.request.model);
        let of = |tokens: u32| self::estimate(&candidates, (estimate.input_tokens, u64::from(tokens)));
        if of(SHORTEST).micro_dollars > micro_dollars {
            return;
        }
        // It is dearer the longer it is.
        let (mut fits, mut over) = (SHORTEST, wanted);
        while over - fits > 1 {
            let between = fits + (over - fits) / 2;
            if of(between).micro_dollars <= micro_dollars { fits = between } else { over = between }
        }
        ask.request.max_tokens = Some(fits);
        ask.estimate = of(fits);
    }

    /// The ask for texts to embed.
    pub fn embed_ask(&self, model: String, inputs: Vec<String>, money_limited: bool) -> Result<Embed, Refusal> {
        limits::check_inputs(&inputs)?;
        let candidates = self.resolve(&model);
        let estimate = estimate(&candidates, (limits::input_tokens(&inputs), 0));
        let facts = self.facts(&model, &candidates, money_limited);
        Ok(Embed { model, inputs, estimate, facts })
    }

    /// What policy needs to know of a name.
    pub fn facts(&self, name: &str, candidates: &[Candidate], money_limited: bool) -> Facts {
        let offline = |candidate: &Candidate| candidate.slot.kind == Kind::Offline;
        let unpriced = candidates.iter().find(|candidate| candidate.price.is_none());
        Facts {
            local_only: names::is_alias(name) && !candidates.is_empty() && candidates.iter().all(offline),
            unpriced: unpriced.filter(|_| money_limited).map(Candidate::name),
        }
    }

    /// Answers a request. Settles the permit whatever happens, also where this future is dropped.
    ///
    /// With `events`, text and tool calls are sent as they come. With an output schema too, what streams is the model's raw
    /// first answer: only the returned response is validated, and where it had to be repaired it differs from what
    /// streamed. The correction itself does not stream.
    pub async fn generate(&self, permit: Permit<Generate>, events: Option<Events>) -> Result<Response, Refusal> {
        let meter = self.meter(permit);
        let Some(permit) = meter.permit() else { return Err(gone()) };
        let request = &permit.ask().request;
        let validator = match &request.output_schema {
            Some(schema) => Some(
                crate::schema::compile(schema)
                    .map_err(|error| Refusal::Invalid(format!("the output schema cannot be used: {error}")))?,
            ),
            None => None,
        };
        let work = Generation { request, events: events.as_ref() };
        let (candidate, mut response) = self.serve(&meter, permit, &request.model, &work).await?;
        work.settle(&meter, &candidate, &mut response);
        let Some(validator) = validator.filter(|_| is_answer(&response)) else { return Ok(response) };
        let Err(violations) = conform(&validator, &mut response) else { return Ok(response) };
        if response.stop_reason == StopReason::MaxTokens {
            return Err(Refusal::Invalid(format!(
                "{}: the answer was cut at {} tokens before it matched the output schema; ask for more `max-tokens`",
                response.model,
                request.max_tokens.unwrap_or_default()
            )));
        }
        // A server that takes a schema and does not look at it has not told the model of it.
        let untold = candidate.takes_schemas();
        let repair = schema::repair_request(request, &response.message.joined_text(), &violations, untold);
        let work = Generation { request: &repair, events: None };
        let mut response = persist(&meter, permit, &candidate, &work, 1, false)
            .await
            .map_err(|stop| refusal(&request.model, &[], &Failed { candidate: &candidate, stop }, None))?;
        work.settle(&meter, &candidate, &mut response);
        match conform(&validator, &mut response) {
            Ok(()) => Ok(response),
            Err(violations) => Err(Refusal::Invalid(format!(
                "{}: neither the answer nor its correction matches the output schema: {}; simplify the schema or name a \
                 stronger model",
                response.model,
                schema::in_a_line(&violations)
            ))),
        }
    }

    /// Vectors for texts, one for each, in order.
    pub async fn embed(&self, permit: Permit<Embed>) -> Result<Embeddings, Refusal> {
        let meter = self.meter(permit);
        let Some(permit) = meter.permit() else { return Err(gone()) };
        let ask = permit.ask();
        let work = Embedding { inputs: &ask.inputs };
        let (candidate, mut embeddings) = self.serve(&meter, permit, &ask.model, &work).await?;
        embeddings.usage = Some(meter.answered(embeddings.usage, 0));
        embeddings.model = answerer(&candidate, &embeddings.model);
        if embeddings.vectors.len() != ask.inputs.len() {
            let (got, asked) = (embeddings.vectors.len(), ask.inputs.len());
            return Err(Refusal::Unavailable(format!("{}: {got} vectors came for {asked} texts", embeddings.model)));
        }
        Ok(embeddings)
    }

    fn meter<A>(&self, permit: Permit<A>) -> Meter<A> {
        let meter = Meter::new(permit);
        #[cfg(test)]
        let meter = meter.logging(&self.charges);
        meter
    }

    async fn serve<W: Work>(
        &self,
        meter: &Meter<W::Ask>,
        permit: &Permit<W::Ask>,
        name: &str,
        work: &W,
    ) -> Result<(Candidate, W::Output), Refusal> {
        let candidates = self.resolve(name);
        let attempts = self.ways.load().settings.retries;
        let mut earlier = Vec::new();
        for (index, candidate) in candidates.iter().enumerate() {
            let next = candidates.get(index + 1);
            let stop = match persist(meter, permit, candidate, work, attempts, next.is_some()).await {
                Ok(output) => return Ok((candidate.clone(), output)),
                Err(stop) => stop,
            };
            let failed = Failed { candidate, stop };
            tracing::info!(model = %candidate.name(), reason = failed.sentence(), "a model call failed");
            if failed.is_final() || meter.streamed() > 0 {
                return Err(refusal(name, &earlier, &failed, None));
            }
            if next.is_none() || meter.lost() >= LOST {
                return Err(refusal(name, &earlier, &failed, next));
            }
            earlier.push(failed);
        }
        Err(self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Refusal {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(names::LONGEST).collect();
        Refusal::Invalid(format!("no model is called `{shown}`; there are {}", self.aliases().join(", ")))
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Router").field("aliases", &self.ways.load().settings.aliases).finish_non_exhaustive()
    }
}

fn gone() -> Refusal {
    Refusal::Unavailable("the permit of this call has been used already".into())
}

/// The dearest candidate decides: which one will answer is not known yet.
fn estimate(candidates: &[Candidate], (input_tokens, output_tokens): (u64, u64)) -> Amount {
    let cost = |price: Price| price.most(input_tokens, output_tokens);
    let micro_dollars = candidates.iter().filter_map(|candidate| candidate.price.map(cost)).max().unwrap_or(0);
    Amount { input_tokens, output_tokens, micro_dollars, ..Amount::default() }
}

fn answerer(candidate: &Candidate, reported: &str) -> String {
    let clean = !reported.is_empty() && reported.len() <= names::LONGEST && !reported.contains(char::is_control);
    format!("{}/{}", candidate.provider(), if clean { reported } else { &candidate.model })
}

/// Whether the response is meant to match the output schema: not one that calls tools or declines.
fn is_answer(response: &Response) -> bool {
    !matches!(response.stop_reason, StopReason::ToolCall | StopReason::Refused)
}

/// Checks the answer. JSON that stands in prose or in a fence becomes the answer's whole text.
fn conform(validator: &crate::schema::Validator, response: &mut Response) -> Result<(), Vec<crate::schema::Violation>> {
    let text = response.message.joined_text();
    let value = schema::check(validator, &text)?;
    if serde_json::from_str::<Value>(&text).is_err() {
        response.message.parts.retain(|part| !matches!(part, Part::Text(_)));
        response.message.parts.push(Part::Text(value.to_string()));
    }
    Ok(())
}

/// One answer to be made.
struct Generation<'r> {
    request: &'r Request,
    events: Option<&'r Events>,
}

impl Generation<'_> {
    fn settle(&self, meter: &Meter<Generate>, candidate: &Candidate, response: &mut Response) {
        let bytes = (limits::answer_bytes(response) as u64).max(meter.streamed());
        let usage: Usage = meter.answered(response.usage, bytes);
        response.usage = Some(usage);
        response.model = answerer(candidate, &response.model);
    }

    async fn run(
        &self,
        meter: &Meter<Generate>,
        permit: &Permit<Generate>,
        candidate: &Candidate,
        request: &Request,
    ) -> Result<Response, ProviderError> {
        let most = u64::from(request.max_tokens.unwrap_or(u32::MAX)) * BYTES_PER_TOKEN + SLACK;
        let events = self.events.map(|events| events.counted(meter.counter(), most));
        candidate.slot.provider.generate(permit, &candidate.model, request, events.as_ref()).await
    }
}

impl Work for Generation<'_> {
    type Ask = Generate;
    type Output = Response;

    fn most(&self) -> (u64, u64) {
        (limits::prompt_tokens(self.request), u64::from(self.request.max_tokens.unwrap_or(0)))
    }

    fn attempt<'a>(
        &'a self,
        meter: &'a Meter<Generate>,
        permit: &'a Permit<Generate>,
        candidate: &'a Candidate,
    ) -> BoxFuture<'a, Result<Response, ProviderError>> {
        Box::pin(async move {
            let Some(schema) = &self.request.output_schema else {
                return self.run(meter, permit, candidate, self.request).await;
            };
            if candidate.takes_schemas() {
                match self.run(meter, permit, candidate, self.request).await {
                    // It refuses before it does anything, so this is still the same attempt.
                    Err(ProviderError::Invalid(text))
                        if schema::is_refused(&text) && meter.streamed() == 0 && !meter.counter().has_begun() =>
                    {
                        if schema::is_refused_for_good(&text) {
                            candidate.refuses_schemas();
                        }
                    }
                    done => return done,
                }
            }
            let mut instructed = self.request.clone();
            instructed.output_schema = None;
            schema::instruct(&mut instructed, schema);
            self.run(meter, permit, candidate, &instructed).await
        })
    }
}

/// Texts to be embedded.
struct Embedding<'r> {
    inputs: &'r [String],
}

impl Work for Embedding<'_> {
    type Ask = Embed;
    type Output = Embeddings;

    fn most(&self) -> (u64, u64) {
        (limits::input_tokens(self.inputs), 0)
    }

    fn attempt<'a>(
        &'a self,
        _meter: &'a Meter<Embed>,
        permit: &'a Permit<Embed>,
        candidate: &'a Candidate,
    ) -> BoxFuture<'a, Result<Embeddings, ProviderError>> {
        candidate.slot.provider.embed(permit, &candidate.model, self.inputs)
    }
}

#[cfg(test)]
#[path = "router_tests.rs"]
pub(super) mod tests;
