//! What `ringfence models` tells: what each alias stands for, which providers there are, and what they cost.

use serde::Serialize;

use super::Router;
use super::offline;
use super::prices::Price;
use super::settings::Kind;

/// Everything that is known about models without asking for an answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ModelReport {
    pub aliases: Vec<Alias>,
    pub providers: Vec<ProviderReport>,
}

/// A name that skills use.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Alias {
    pub name: String,
    /// The first is asked; the others in order where it fails.
    pub candidates: Vec<CandidateReport>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CandidateReport {
    /// `provider/model`.
    pub name: String,
    pub local: bool,
    /// Micro-dollars per million tokens, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ProviderReport {
    pub name: String,
    /// Answers without leaving this machine.
    pub local: bool,
    /// The environment variable that holds its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_variable: Option<String>,
    /// What it says now: `ready`, `no key`, or why it does not answer.
    pub state: String,
    /// The models that it says it has.
    pub models: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub about: Option<&'static str>,
}

impl Router {
    /// Whether a name leads only to what costs nothing and reaches nothing. Such a model needs no grant.
    pub fn is_free(&self, name: &str) -> bool {
        self.facts(name, &self.resolve(name), false).local_only
    }

    /// What a name can cost, in a sentence; None where it costs nothing.
    pub fn cost(&self, name: &str) -> Option<String> {
        if self.is_free(name) {
            return None;
        }
        let dollars = |micro: u64| format!("${:.2}", micro as f64 / 1e6);
        let models = self.resolve(name).into_iter().map(|candidate| match candidate.price {
            Some(price) if price == Price::FREE => format!("{}, which is free", candidate.name()),
            Some(price) => {
                let (input, output) = (dollars(price.input), dollars(price.output));
                format!("{} at {input} in and {output} out per million tokens", candidate.name())
            }
            None if candidate.local() => format!("{}, on this machine", candidate.name()),
            None => format!("{}, whose price is not known here", candidate.name()),
        });
        let models: Vec<String> = models.collect();
        let leads = if models.is_empty() { "no model that is set up".to_owned() } else { models.join(", then ") };
        Some(format!("`{name}` leads to {leads}"))
    }

    /// Asks every provider for its list of models, at most for a few seconds each, all at once.
    pub async fn report(&self) -> ModelReport {
        for alias in self.aliases() {
            self.ready(&alias).await;
        }
        let aliases = self.aliases().into_iter().map(|name| {
            let candidates = self.resolve(&name).into_iter().map(|candidate| CandidateReport {
                name: candidate.name(),
                local: candidate.local(),
                price: candidate.price,
            });
            Alias { candidates: candidates.collect(), name }
        });
        let providers = futures_util::future::join_all(self.slots().map(|slot| async move {
            let (state, models) = if slot.lacks_key {
                ("no key".to_owned(), Vec::new())
            } else {
                match tokio::time::timeout(PATIENCE, slot.provider.list()).await {
                    Ok(Ok(models)) => ("ready".to_owned(), models),
                    // Most machines have none, and nobody has asked for it.
                    Ok(Err(_)) if slot.kind == Kind::Ollama && slot.local => ("not running".to_owned(), Vec::new()),
                    Ok(Err(error)) => (error.to_string(), Vec::new()),
                    Err(_) => (format!("no answer within {} s", PATIENCE.as_secs()), Vec::new()),
                }
            };
            ProviderReport {
                name: slot.name.clone(),
                local: slot.local,
                key_variable: slot.key_variable.clone(),
                state,
                models,
                about: (slot.kind == Kind::Offline).then_some(offline::ABOUT),
            }
        }));
        ModelReport { aliases: aliases.collect(), providers: providers.await }
    }
}

/// How long a provider may take to list its models.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);
