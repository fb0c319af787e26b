//! Where a name leads: the candidates behind an alias or a `provider/model`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use super::breaker::Breaker;
use super::names;
use super::prices::Price;
use super::provider::Provider;
use super::settings::{Kind, ModelSettings, ProviderSettings};

/// Models of one provider that are remembered as taking no JSON Schema. Their names are a skill's to choose, where it may use any.
const MOST_SCHEMALESS: usize = 1_000;

/// One configured provider with what guards it. Lives as long as the router.
pub(super) struct Slot {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) local: bool,
    pub(super) provider: Box<dyn Provider>,
    /// Places for calls under way.
    pub(super) gate: Semaphore,
    pub(super) breaker: Breaker,
    /// The environment variable that holds the key, for messages.
    pub(super) key_variable: Option<String>,
    pub(super) has_key: bool,
    /// It cannot work without a key, and there is none.
    pub(super) lacks_key: bool,
    /// Models that have refused a JSON Schema.
    schemaless: Mutex<HashSet<String>>,
}

impl Slot {
    pub(super) fn new(name: &str, settings: &ProviderSettings, provider: Box<dyn Provider>, has_key: bool) -> Self {
        let needs_key = matches!(settings.kind, Kind::Openai | Kind::OpenaiResponses | Kind::Anthropic | Kind::Gemini);
        Self {
            name: name.to_owned(),
            kind: settings.kind,
            local: settings.is_local(),
            provider,
            gate: Semaphore::new(settings.concurrency as usize),
            breaker: Breaker::default(),
            key_variable: settings.key_variable().map(str::to_owned),
            has_key,
            // A server on this machine may stand in for the real one, and take no key.
            lacks_key: needs_key && !has_key && !settings.is_local(),
            schemaless: Mutex::default(),
        }
    }

    fn schemaless(&self) -> MutexGuard<'_, HashSet<String>> {
        self.schemaless.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings, and what follows from them for every alias, so that no call works it out again.
pub(super) struct Ways {
    pub(super) settings: ModelSettings,
    aliases: HashMap<String, Arc<[Candidate]>>,
}

impl Ways {
    pub(super) fn new(settings: ModelSettings, slots: &BTreeMap<String, Arc<Slot>>) -> Self {
        let behind =
            |models: &Vec<String>| models.iter().filter_map(|model| candidate(&settings, slots, model)).collect();
        let aliases = settings.aliases.iter().map(|(alias, models)| (alias.clone(), behind(models))).collect();
        Self { settings, aliases }
    }

    /// The models behind a name, in the order in which they are asked. Empty where there is no such name.
    pub(super) fn to(&self, name: &str, slots: &BTreeMap<String, Arc<Slot>>) -> Arc<[Candidate]> {
        match self.aliases.get(name) {
            Some(candidates) => Arc::clone(candidates),
            None => candidate(&self.settings, slots, name).into_iter().collect(),
        }
    }
}

fn candidate(settings: &ModelSettings, slots: &BTreeMap<String, Arc<Slot>>, name: &str) -> Option<Candidate> {
    let (provider, model) = names::split(name)?;
    let slot = Arc::clone(slots.get(provider)?);
    Some(Candidate { slot, model: model.to_owned(), price: settings.price(provider, model) })
}

/// One model that may answer.
#[derive(Clone)]
pub struct Candidate {
    pub(super) slot: Arc<Slot>,
    /// The provider's own name for it.
    pub model: String,
    pub price: Option<Price>,
}

impl Candidate {
    pub fn provider(&self) -> &str {
        &self.slot.name
    }

    /// `provider/model`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.slot.name, self.model)
    }

    /// Answers without leaving this machine.
    pub fn local(&self) -> bool {
        self.slot.local
    }

    /// Whether a JSON Schema for its answer goes to it as one, and not in words.
    pub(super) fn takes_schemas(&self) -> bool {
        self.slot.provider.features().native_schema && !self.slot.schemaless().contains(&self.model)
    }

    /// It has said that it takes none, which its wire did not know.
    pub(super) fn refuses_schemas(&self) {
        let mut schemaless = self.slot.schemaless();
        if schemaless.len() < MOST_SCHEMALESS {
            schemaless.insert(self.model.clone());
        }
    }
}
