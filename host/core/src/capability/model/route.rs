//! Where a name leads: the candidates behind an alias or a `provider/model`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::breaker::Breaker;
use super::names;
use super::prices::Price;
use super::provider::{Provider, ProviderError};
use super::settings::{Kind, ModelSettings, ProviderSettings};

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
        }
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

    /// What happened and what to do, for the author and the operator. Names the variable of a key, never the key.
    pub(super) fn tell(&self, error: &ProviderError) -> String {
        let provider = &self.slot.name;
        let advice = match error {
            ProviderError::Key { .. } => match &self.slot.key_variable {
                Some(variable) => format!("check the key in the environment variable {variable}"),
                None => format!("name the variable of its key in `models.providers.{provider}.key-env`"),
            },
            ProviderError::Quota(_) => "add credit to the account, or name another model".into(),
            ProviderError::UnknownModel(_) => "name one that the provider has".into(),
            ProviderError::TooLong(_) => "give less, or name a model with a larger context".into(),
            ProviderError::RateLimited { .. } => {
                format!("try again later, or lower `models.providers.{provider}.concurrency`")
            }
            ProviderError::Connect(_) => format!("check that it runs, and `models.providers.{provider}.base-url`"),
            ProviderError::TimedOut { .. } => {
                format!("try again, or raise `models.providers.{provider}.timeouts`")
            }
            ProviderError::Invalid(_) => "correct the request".into(),
            ProviderError::Server { .. } | ProviderError::Garbled(_) => "try again later, or name another model".into(),
            ProviderError::Abandoned => return error.to_string(),
        };
        format!("{}: {error}; {advice}", self.name())
    }

    pub(super) fn tell_no_key(&self) -> String {
        let variable = self.slot.key_variable.as_deref().unwrap_or("of its key");
        format!("{}: there is no key; set the environment variable {variable}", self.name())
    }
}
