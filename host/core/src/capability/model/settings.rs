//! What an operator writes about models: providers, aliases, prices and defaults.
//!
//! Plain serde types: the layers of configuration are merged as TOML values before, and deserialized once. No key ever
//! stands here, only the name of the environment variable that holds it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::names;
use super::prices::Price;
use crate::error::Explain;

/// The `[models]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct ModelSettings {
    /// Providers by name: `[models.providers.NAME]`. The name is the first part of `provider/model`.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Names that skills use, each for a list of `provider/model`: the first is asked, the others in order where it fails.
    /// A prompt goes to every company on the list that has to be tried, so list only those that may see it.
    pub aliases: BTreeMap<String, Vec<String>>,
    /// Prices by `provider/model`, above the built-in table. A model without a price is refused where a budget of money
    /// holds.
    pub prices: BTreeMap<String, Price>,
    /// Tokens of one answer where the skill asks for none, and the most it may ask for unless its grant says otherwise.
    pub max_tokens: u32,
    /// Attempts at one model before the next is asked: 1 to 3. Only failures that a repetition can cure are repeated.
    pub retries: u32,
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            providers: BTreeMap::new(),
            aliases: BTreeMap::new(),
            prices: BTreeMap::new(),
            max_tokens: 4096,
            retries: 3,
        }
    }
}

/// One provider.
#[derive(Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ProviderSettings {
    /// What it speaks.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Where it is, for example `http://127.0.0.1:8080/v1`. Default: the provider's public address; `openai-compatible`
    /// has none and needs this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// The name of the environment variable that holds the key, for example `OPENAI_API_KEY`. Default: the provider's
    /// usual one; `openai-compatible` and `ollama` send no key unless this names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    /// The organisation to bill, for `openai` and `openai-responses`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// Most calls under way at once. Further ones wait, within their deadline.
    #[serde(default = "default_concurrency")]
    pub concurrency: u32,
    /// How long each phase of a call may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The file of scripted answers, for `scripted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<std::path::PathBuf>,
}

/// Behind its server an address may hold a key, in the path or the query: that is not shown.
impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSettings")
            .field("kind", &self.kind)
            .field("server", &self.base_url.as_deref().map(crate::net::url::server))
            .field("key_env", &self.key_env)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

impl ProviderSettings {
    /// A provider with nothing but its type.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            base_url: None,
            key_env: None,
            organisation: None,
            concurrency: default_concurrency(),
            timeouts: Timeouts::default(),
            script: None,
        }
    }

    /// The environment variable that holds the key: the configured one or the usual one.
    pub fn key_variable(&self) -> Option<&str> {
        self.key_env.as_deref().or(match self.kind {
            Kind::Openai | Kind::OpenaiResponses => Some("OPENAI_API_KEY"),
            Kind::Anthropic => Some("ANTHROPIC_API_KEY"),
            Kind::Gemini => Some("GEMINI_API_KEY"),
            Kind::Ollama | Kind::OpenaiCompatible | Kind::Offline | Kind::Scripted => None,
        })
    }

    /// Whether it answers inside of this process or from this machine, by its type and address.
    pub fn is_local(&self) -> bool {
        match self.kind {
            Kind::Offline | Kind::Scripted => true,
            Kind::Ollama => self.base_url.as_deref().is_none_or(is_loopback),
            _ => self.base_url.as_deref().is_some_and(is_loopback),
        }
    }
}

fn is_loopback(base_url: &str) -> bool {
    let Ok(url) = url::Url::parse(base_url) else { return false };
    match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

/// What a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// OpenAI's Chat Completions, at api.openai.com unless `base-url` says otherwise.
    Openai,
    /// OpenAI's Responses (Open Responses).
    OpenaiResponses,
    /// Anthropic's Messages.
    Anthropic,
    /// Google's Gemini API.
    Gemini,
    /// An Ollama server.
    Ollama,
    /// Any server that speaks Chat Completions: llama.cpp, vLLM, LM Studio, OpenRouter, a gateway.
    OpenaiCompatible,
    /// Built in: answers from the prompt's own text, without any model. Free, and reaches nothing.
    Offline,
    /// Built in: answers from a file, for tests.
    Scripted,
}

/// Seconds that the phases of one attempt may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect: u64,
    /// From the request's end to the answer's first byte. Models that think long need minutes without streaming. Whatever stands
    /// here, no answer is waited for until the invocation's time is over: a refusal, or the next model of the alias, needs some of it.
    pub first_byte: u64,
    /// Between two pieces of an answer. Pieces that only say that the server is still there are no answer, and are taken for as long
    /// as `first-byte`.
    pub idle: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: 10, first_byte: 120, idle: 60 }
    }
}

impl Timeouts {
    pub fn connect(&self) -> Duration {
        Duration::from_secs(self.connect)
    }
    pub fn first_byte(&self) -> Duration {
        Duration::from_secs(self.first_byte)
    }
    pub fn idle(&self) -> Duration {
        Duration::from_secs(self.idle)
    }
}

fn default_concurrency() -> u32 {
    8
}

/// Settings of models that cannot work. The text names the place in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    #[error("`models.{place}` is wrong: {problem}")]
    Setting { place: String, problem: String },
    #[error("`models.{place}` is wrong: there is no provider `{provider}`")]
    NoProvider { place: String, provider: String },
    #[error("the provider `{name}` cannot be used: {problem}")]
    Provider { name: String, problem: String },
}

impl ModelError {
    pub(crate) fn setting(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Setting { place: place.into(), problem: problem.into() }
    }
}

impl Explain for ModelError {
    fn kind(&self) -> &'static str {
        "config-invalid"
    }

    fn hint(&self) -> String {
        match self {
            Self::Setting { place, .. } => format!("correct `models.{place}` in the configuration"),
            Self::NoProvider { place, provider } => match found_by(provider) {
                Some(variable) => format!("set {variable}, by which it is found, or correct `models.{place}`"),
                None => format!("correct `models.{place}`, or configure `[models.providers.{provider}]`"),
            },
            Self::Provider { name, .. } => format!("correct `[models.providers.{name}]` in the configuration"),
        }
    }
}

/// The variable whose key makes a provider of this name without any configuration (`discover`).
fn found_by(provider: &str) -> Option<&'static str> {
    match provider {
        "openai" => Some("OPENAI_API_KEY"),
        "anthropic" => Some("ANTHROPIC_API_KEY"),
        "gemini" => Some("GEMINI_API_KEY"),
        "openrouter" => Some("OPENROUTER_API_KEY"),
        _ => None,
    }
}

impl ModelSettings {
    /// Finds what can be known to be wrong without reaching anything.
    pub fn validate(&self) -> Result<(), ModelError> {
        if !(1..=3).contains(&self.retries) {
            return Err(ModelError::setting("retries", format!("{} is not 1, 2 or 3", self.retries)));
        }
        if self.max_tokens == 0 {
            return Err(ModelError::setting("max-tokens", "it must be at least 1"));
        }
        for (name, provider) in &self.providers {
            validate_provider(name, provider)?;
        }
        for (alias, models) in &self.aliases {
            self.validate_alias(alias, models)?;
        }
        Ok(())
    }

    fn validate_alias(&self, alias: &str, models: &[String]) -> Result<(), ModelError> {
        let place = format!("aliases.{alias}");
        if !names::is_alias(alias) {
            return Err(ModelError::setting(
                place,
                "an alias is 1 to 64 characters of a-z, A-Z, 0-9, `.`, `_` and `-`",
            ));
        }
        if models.is_empty() {
            return Err(ModelError::setting(place, "it lists no model"));
        }
        for model in models {
            let Some((provider, _)) = names::split(model) else {
                return Err(ModelError::setting(place, format!("`{model}` is not of the form `provider/model`")));
            };
            if !self.providers.contains_key(provider) && !BUILT_IN.contains(&provider) {
                return Err(ModelError::NoProvider { place, provider: provider.to_owned() });
            }
        }
        Ok(())
    }
}

/// Providers that are there without configuration.
pub const BUILT_IN: [&str; 1] = ["offline"];

fn validate_provider(name: &str, provider: &ProviderSettings) -> Result<(), ModelError> {
    let place = |field: &str| format!("providers.{name}{}{field}", if field.is_empty() { "" } else { "." });
    if !names::is_alias(name) {
        return Err(ModelError::setting(place(""), "a provider's name is 1 to 64 of a-z, A-Z, 0-9, `.`, `_` and `-`"));
    }
    if provider.concurrency == 0 {
        return Err(ModelError::setting(place("concurrency"), "it must be at least 1"));
    }
    match &provider.base_url {
        None if provider.kind == Kind::OpenaiCompatible => {
            return Err(ModelError::setting(place("base-url"), "an `openai-compatible` provider needs one"));
        }
        Some(base) => validate_url(base).map_err(|problem| ModelError::setting(place("base-url"), problem))?,
        None => {}
    }
    if provider.kind == Kind::Scripted && provider.script.is_none() {
        return Err(ModelError::setting(place("script"), "a `scripted` provider needs a file"));
    }
    if provider.key_env.as_deref().is_some_and(|name| !is_variable(name)) {
        // The value is not repeated: whoever writes a key here must not find it again in a log.
        return Err(ModelError::setting(
            place("key-env"),
            "it must name an environment variable, and never be the key",
        ));
    }
    Ok(())
}

fn validate_url(base: &str) -> Result<(), &'static str> {
    let url = url::Url::parse(base).map_err(|_| "it is not a URL")?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("it must begin with http:// or https://");
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("it must hold no user, password or fragment");
    }
    Ok(())
}

/// An environment variable's usual form. Keys have lower-case letters and hyphens, and fail here.
fn is_variable(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ModelSettings, String> {
        let settings: ModelSettings = toml::from_str(text).map_err(|e| e.to_string())?;
        settings.validate().map_err(|e| e.to_string())?;
        Ok(settings)
    }

    #[test]
    fn a_whole_table_is_read() {
        let settings = parse(
            r#"
            max-tokens = 1000
            [providers.work]
            type = "openai-compatible"
            base-url = "https://llm.example.com/v1"
            key-env = "WORK_KEY"
            concurrency = 2
            timeouts = { connect = 1, first-byte = 2, idle = 3 }
            [aliases]
            smart = ["work/big", "offline/extractive"]
            [prices."work/big"]
            input = 1000000
            output = 2000000
            "#,
        )
        .unwrap();
        assert_eq!(settings.providers["work"].timeouts, Timeouts { connect: 1, first_byte: 2, idle: 3 });
        assert_eq!(settings.providers["work"].key_variable(), Some("WORK_KEY"));
        assert_eq!(settings.prices["work/big"].output, 2_000_000);
        assert_eq!(settings.retries, 3);
    }

    #[test]
    fn what_cannot_work_is_named() {
        let cases = [
            ("retries = 4", "retries"),
            ("max-tokens = 0", "max-tokens"),
            ("surprise = 1", "surprise"),
            ("[providers.x]\ntype = \"openai-compatible\"", "providers.x.base-url"),
            ("[providers.x]\ntype = \"scripted\"", "providers.x.script"),
            ("[providers.x]\ntype = \"openai\"\nconcurrency = 0", "providers.x.concurrency"),
            ("[providers.x]\ntype = \"openai\"\nbase-url = \"file:///etc/passwd\"", "providers.x.base-url"),
            ("[providers.x]\ntype = \"openai\"\nbase-url = \"https://u:p@h/v1\"", "providers.x.base-url"),
            ("[providers.\"a/b\"]\ntype = \"openai\"", "providers.a/b"),
            ("[aliases]\nsmart = []", "aliases.smart"),
            ("[aliases]\nsmart = [\"gpt\"]", "provider/model"),
            ("[aliases]\nsmart = [\"nobody/gpt\"]", "no provider `nobody`"),
            ("[aliases]\n\"a b\" = [\"offline/x\"]", "aliases.a b"),
        ];
        for (text, part) in cases {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_key_in_place_of_a_variable_is_refused_and_not_repeated() {
        let error = parse("[providers.x]\ntype = \"openai\"\nkey-env = \"sk-CANARY-123\"").unwrap_err();
        assert!(error.contains("key-env") && !error.contains("CANARY"), "{error}");
    }

    #[test]
    fn local_means_this_machine() {
        let mut provider = ProviderSettings::new(Kind::OpenaiCompatible);
        for (base, local) in [
            ("http://127.0.0.1:8080/v1", true),
            ("http://localhost:1234", true),
            ("http://[::1]:1/", true),
            ("https://localhost.example.com/v1", false),
            ("http://10.0.0.1/v1", false),
        ] {
            provider.base_url = Some(base.into());
            assert_eq!(provider.is_local(), local, "{base}");
        }
    }
}
