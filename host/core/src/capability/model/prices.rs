//! What tokens cost, and the built-in table of models (`models.toml`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::settings::{Kind, ModelSettings};
use super::types::Usage;

/// The price of one model, in micro-dollars per million tokens: $1 per million tokens is `1_000_000`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Price {
    /// Of input that no cache served.
    pub input: u64,
    /// Of input read from the provider's cache. Default: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_input: Option<u64>,
    /// Of input written to the provider's cache. Default: as `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_write: Option<u64>,
    /// Of output, reasoning included.
    pub output: u64,
    /// Tokens of prompt above which the whole call costs `long-percent` of these prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_above: Option<u64>,
    /// Default 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_percent: Option<u64>,
    /// Tokens of input and output together that the model takes. Not a price, but known from the same place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_window: Option<u32>,
}

impl Price {
    /// Costs nothing: what answers on this machine.
    pub const FREE: Self = Self {
        input: 0,
        cached_input: None,
        cache_write: None,
        output: 0,
        long_above: None,
        long_percent: None,
        context_window: None,
    };

    /// What `usage` costs in micro-dollars, rounded up.
    pub fn cost(&self, usage: &Usage) -> u64 {
        // 128 bits: no count and no price can overflow them.
        let cached = u128::from(usage.cached_input_tokens);
        let written = u128::from(usage.cache_write_tokens);
        let plain = u128::from(usage.input_tokens).saturating_sub(cached).saturating_sub(written);
        let at = |tokens: u128, price: u64| tokens.saturating_mul(u128::from(price));
        let sum = at(plain, self.input)
            .saturating_add(at(cached, self.cached_input.unwrap_or(self.input)))
            .saturating_add(at(written, self.cache_write.unwrap_or(self.input)))
            .saturating_add(at(u128::from(usage.output_tokens), self.output));
        let long = self.long_above.is_some_and(|above| usage.input_tokens > above);
        let percent = if long { u128::from(self.long_percent.unwrap_or(200)) } else { 100 };
        u64::try_from(sum.saturating_mul(percent).div_ceil(100 * 1_000_000)).unwrap_or(u64::MAX)
    }

    /// The most that this many tokens can cost, however the provider's cache serves them.
    pub fn most(&self, input: u64, output: u64) -> u64 {
        let written =
            Usage { input_tokens: input, cache_write_tokens: input, output_tokens: output, ..Usage::default() };
        let plain = Usage { input_tokens: input, output_tokens: output, ..Usage::default() };
        self.cost(&written).max(self.cost(&plain))
    }
}

/// The built-in table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Default aliases, by the provider's family.
    pub aliases: BTreeMap<String, BTreeMap<String, String>>,
    /// Prices and windows, by `family/model`.
    pub models: BTreeMap<String, Price>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| toml::from_str(include_str!("models.toml")).unwrap_or_default());

/// The built-in table. A test holds that it can be read.
pub fn table() -> &'static Table {
    &TABLE
}

impl ModelSettings {
    /// Whose table of prices and aliases a provider follows.
    pub fn family(&self, provider: &str) -> Option<&'static str> {
        let settings = self.providers.get(provider)?;
        match settings.kind {
            Kind::Openai | Kind::OpenaiResponses => Some("openai"),
            Kind::Anthropic => Some("anthropic"),
            Kind::Gemini => Some("gemini"),
            Kind::OpenaiCompatible => {
                let url = url::Url::parse(settings.base_url.as_deref()?).ok()?;
                (url.host_str() == Some("openrouter.ai")).then_some("openrouter")
            }
            Kind::Ollama | Kind::Offline | Kind::Scripted => None,
        }
    }

    /// The price of a model: configured, or from the table, or nothing for what answers on this machine. What the table knows keeps its
    /// price wherever it answers: on this machine that is a gateway, behind which it is paid for.
    pub fn price(&self, provider: &str, model: &str) -> Option<Price> {
        if let Some(price) = self.prices.get(&format!("{provider}/{model}")) {
            return Some(*price);
        }
        let local = self.providers.get(provider).map_or(provider == "offline", |settings| settings.is_local());
        let of_family = self.family(provider).and_then(|family| {
            let named = |model: &str| table().models.get(&format!("{family}/{model}")).copied();
            named(model).or_else(|| named(without_date(model)?))
        });
        of_family.or_else(|| self.behind_gateway(provider, model)).or(local.then_some(Price::FREE))
    }
}

impl ModelSettings {
    /// The price of a model that the table knows by this name, of whichever maker, where a compatible server on this machine has it: that is
    /// a gateway, or calls itself one. Where it is neither, `models.prices` says so.
    fn behind_gateway(&self, provider: &str, model: &str) -> Option<Price> {
        let settings = self.providers.get(provider)?;
        if settings.kind != Kind::OpenaiCompatible || !settings.is_local() {
            return None;
        }
        let is_it = |known: &str| {
            let bare = known.split_once('/').map_or(known, |(_, bare)| bare);
            [Some(model), without_date(model)].into_iter().flatten().any(|name| name == known || name == bare)
        };
        table().models.iter().find(|(known, _)| is_it(known)).map(|(_, price)| *price)
    }
}

/// `claude-haiku-4-5-20251001` is `claude-haiku-4-5`: providers sell dated snapshots at the price of their family.
fn without_date(model: &str) -> Option<&str> {
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let (head, tail) = model.rsplit_once('-')?;
    if digits(tail, 8) {
        return Some(head);
    }
    let (head, month) = head.rsplit_once('-')?;
    let (head, year) = head.rsplit_once('-')?;
    (digits(tail, 2) && digits(month, 2) && digits(year, 4)).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::super::settings::ProviderSettings;
    use super::*;

    fn settings() -> ModelSettings {
        let mut settings = ModelSettings::default();
        settings.providers.insert("openai".into(), ProviderSettings::new(Kind::OpenaiResponses));
        settings.providers.insert("anthropic".into(), ProviderSettings::new(Kind::Anthropic));
        settings.providers.insert("ollama".into(), ProviderSettings::new(Kind::Ollama));
        settings
    }

    #[test]
    fn the_table_can_be_read_and_prices_every_alias_of_its_own() {
        let table: Table = toml::from_str(include_str!("models.toml")).unwrap();
        for (family, aliases) in &table.aliases {
            for model in aliases.values() {
                assert!(table.models.contains_key(&format!("{family}/{model}")), "{family}/{model} has no price");
            }
        }
    }

    #[test]
    fn cost_counts_each_kind_of_token_once() {
        let price = Price {
            input: 2_000_000,
            cached_input: Some(200_000),
            cache_write: Some(2_500_000),
            output: 10_000_000,
            ..Price::FREE
        };
        let usage = Usage {
            input_tokens: 1_000,
            cached_input_tokens: 400,
            cache_write_tokens: 100,
            output_tokens: 50,
            ..Usage::default()
        };
        // 500 x 2 + 400 x 0.2 + 100 x 2.5 + 50 x 10 micro-dollars.
        assert_eq!(price.cost(&usage), 1_000 + 80 + 250 + 500);
        assert_eq!(price.cost(&Usage { input_tokens: 1, ..Usage::default() }), 2);
        assert_eq!(price.cost(&Usage { cached_input_tokens: 1, input_tokens: 1, ..Usage::default() }), 1, "rounded up");
    }

    #[test]
    fn long_prompts_and_absurd_counts() {
        let price =
            Price { input: 1_000_000, output: 1_000_000, long_above: Some(10), long_percent: Some(500), ..Price::FREE };
        assert_eq!(price.most(10, 0), 10);
        assert_eq!(price.most(11, 1), 60);
        assert_eq!(
            price.cost(&Usage { input_tokens: u64::MAX, output_tokens: u64::MAX, ..Usage::default() }),
            u64::MAX
        );
    }

    #[test]
    fn prices_are_found_configured_first() {
        let mut settings = settings();
        assert!(settings.price("openai", "gpt-6-sol").is_some());
        assert_eq!(settings.price("anthropic", "claude-haiku-4-5-20251001").unwrap().input, 1_000_000);
        assert_eq!(settings.price("openai", "gpt-6-sol-2026-09-22").unwrap().input, 2_000_000);
        assert_eq!(settings.price("openai", "gpt-6-solar"), None);
        assert_eq!(settings.price("openai", "ft:gpt-6-sol:someone"), None);
        assert_eq!(settings.price("nobody", "gpt-6-sol"), None);
        assert_eq!(settings.price("ollama", "anything"), Some(Price::FREE));
        assert_eq!(settings.price("offline", "extractive"), Some(Price::FREE));
        settings.prices.insert("openai/gpt-6-sol".into(), Price { input: 7, ..Price::FREE });
        assert_eq!(settings.price("openai", "gpt-6-sol").unwrap().input, 7);
    }

    #[test]
    fn a_gateway_on_this_machine_makes_nothing_free() {
        let mut settings = settings();
        for provider in settings.providers.values_mut() {
            provider.base_url = Some("http://127.0.0.1:4000".into());
        }
        assert_eq!(settings.price("anthropic", "claude-haiku-4-5").unwrap().input, 1_000_000);
        assert_eq!(settings.price("anthropic", "claude-haiku-4-5-20251001").unwrap().input, 1_000_000);
        assert_eq!(settings.price("openai", "gpt-6-sol").unwrap().input, 2_000_000);
        assert_eq!(settings.price("openai", "my-own"), Some(Price::FREE), "nobody sells that");
        assert_eq!(settings.price("ollama", "anything"), Some(Price::FREE));
        settings.prices.insert("anthropic/claude-haiku-4-5".into(), Price::FREE);
        assert_eq!(settings.price("anthropic", "claude-haiku-4-5"), Some(Price::FREE), "who knows better says so");
    }
}
