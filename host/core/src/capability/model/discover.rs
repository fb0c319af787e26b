//! Finds providers in the environment, so that a machine with a key works without a configuration.
//!
//! Pure: the environment comes in as a function, because the core reads none. What is configured always wins, and nothing
//! discovered is ever a failover of anything: a prompt goes to one company, and a degraded answer of the built-in
//! `offline` provider never passes for a paid model's. `offline` is chosen only where there is nothing else.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::prices::table;
use super::settings::{Kind, ModelSettings, ProviderSettings};

/// Reads one variable of the environment. Empty counts as absent.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The aliases that every installation has.
pub const ALIASES: [&str; 4] = ["default", "fast", "smart", "embed"];

/// Names of providers that nobody has to configure: found in the environment, looked for, or built in.
pub const PROVIDERS: [&str; 6] = ["openai", "anthropic", "gemini", "openrouter", "ollama", "offline"];

/// Where an alias goes when there is no model.
pub const LAST_RESORT: &str = "offline/extractive";

/// Settings with what the environment adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Discovered {
    pub settings: ModelSettings,
    /// Standard aliases that found nothing but `offline`: a running Ollama would serve them better. Empty where an Ollama
    /// has been looked for already, or is not wanted.
    pub hopeful: Vec<&'static str>,
}

/// Adds providers and the standard aliases to what is configured. `ollama` is what a running Ollama has: none where
/// nobody has looked yet, empty where there is none.
pub fn discover(env: Env<'_>, ollama: Option<&[String]>, configured: &ModelSettings) -> Discovered {
    let get = |name: &str| env(name).filter(|value| !value.trim().is_empty());
    let mut settings = configured.clone();
    for (name, provider) in from_environment(&get) {
        settings.providers.entry(name).or_insert(provider);
    }
    settings.providers.entry("ollama".into()).or_insert_with(|| ollama_provider(&get));
    settings.providers.entry("offline".into()).or_insert_with(|| ProviderSettings::new(Kind::Offline));
    let mut hopeful = Vec::new();
    for alias in ALIASES {
        if settings.aliases.contains_key(alias) {
            continue;
        }
        let found = from_keys(&get, &settings, alias).or_else(|| from_ollama(ollama.unwrap_or_default(), alias));
        if found.is_none() && ollama.is_none() {
            hopeful.push(alias);
        }
        settings.aliases.insert(alias.into(), vec![found.unwrap_or_else(|| LAST_RESORT.into())]);
    }
    Discovered { settings, hopeful }
}

/// The keys of the configured providers, by provider. The values are never shown, logged or written.
pub fn secrets(env: Env<'_>, settings: &ModelSettings) -> BTreeMap<String, SecretString> {
    let read = |name: &str| env(name).map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
    let key = |provider: &ProviderSettings| {
        let variable = provider.key_variable()?;
        // Google's own libraries take either name.
        read(variable).or_else(|| if variable == "GEMINI_API_KEY" { read("GOOGLE_API_KEY") } else { None })
    };
    let of = |(name, provider): (&String, &ProviderSettings)| Some((name.clone(), SecretString::from(key(provider)?)));
    settings.providers.iter().filter_map(of).collect()
}

fn from_environment(get: Env<'_>) -> Vec<(String, ProviderSettings)> {
    let mut found = Vec::new();
    if get("OPENAI_API_KEY").is_some() || get("OPENAI_BASE_URL").is_some() {
        found.push(("openai".to_owned(), openai(get)));
    }
    if get("ANTHROPIC_API_KEY").is_some() {
        let base_url = get("ANTHROPIC_BASE_URL");
        found.push(("anthropic".into(), ProviderSettings { base_url, ..ProviderSettings::new(Kind::Anthropic) }));
    }
    for variable in ["GEMINI_API_KEY", "GOOGLE_API_KEY"] {
        if get(variable).is_some() {
            let key_env = Some(variable.to_owned());
            found.push(("gemini".into(), ProviderSettings { key_env, ..ProviderSettings::new(Kind::Gemini) }));
            break;
        }
    }
    if get("OPENROUTER_API_KEY").is_some() {
        found.push((
            "openrouter".into(),
            ProviderSettings {
                base_url: Some("https://openrouter.ai/api/v1".into()),
                key_env: Some("OPENROUTER_API_KEY".into()),
                ..ProviderSettings::new(Kind::OpenaiCompatible)
            },
        ));
    }
    found
}

/// A base URL that is not OpenAI's own means a server that speaks Chat Completions and may know nothing newer.
fn openai(get: Env<'_>) -> ProviderSettings {
    let base_url = get("OPENAI_BASE_URL");
    let host = base_url.as_deref().and_then(|base| url::Url::parse(base).ok()?.host_str().map(str::to_owned));
    let own = base_url.is_none() || host.as_deref() == Some("api.openai.com");
    ProviderSettings {
        base_url,
        key_env: get("OPENAI_API_KEY").map(|_| "OPENAI_API_KEY".into()),
        organisation: get("OPENAI_ORG_ID"),
        ..ProviderSettings::new(if own { Kind::OpenaiResponses } else { Kind::OpenaiCompatible })
    }
}

/// OLLAMA_HOST is what Ollama's own tools take: `host`, `host:port`, `:port` or a URL. A server listens on 0.0.0.0, but
/// nobody can be reached there.
fn ollama_provider(get: Env<'_>) -> ProviderSettings {
    let base_url = get("OLLAMA_HOST").map(|host| {
        let host = host.trim().trim_end_matches('/').replace("0.0.0.0", "127.0.0.1");
        if host.contains("://") {
            return host;
        }
        let host = if host.starts_with(':') { format!("127.0.0.1{host}") } else { host };
        let port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if port { format!("http://{host}") } else { format!("http://{host}:11434") }
    });
    ProviderSettings { base_url, ..ProviderSettings::new(Kind::Ollama) }
}

/// The first provider, in this order, that has a key and a model for the alias. A provider of a known family comes before
/// the others, whose models nobody can guess.
fn from_keys(get: Env<'_>, settings: &ModelSettings, alias: &str) -> Option<String> {
    ["openai", "anthropic", "gemini", "openrouter"].into_iter().find_map(|family| {
        let model = table().aliases.get(family)?.get(alias)?;
        let usable = |name: &&String| {
            settings.family(name) == Some(family) && settings.providers.get(*name).is_some_and(|p| has_key(get, p))
        };
        let provider = settings.providers.keys().find(usable)?;
        Some(format!("{provider}/{model}"))
    })
}

fn has_key(get: Env<'_>, provider: &ProviderSettings) -> bool {
    provider.key_variable().is_some_and(|variable| {
        get(variable).is_some() || (variable == "GEMINI_API_KEY" && get("GOOGLE_API_KEY").is_some())
    })
}

/// The first model of an Ollama that fits the alias: it lists the most recently changed first.
pub(super) fn from_ollama(models: &[String], alias: &str) -> Option<String> {
    let embeds = |model: &&String| ["embed", "bge-", "minilm"].iter().any(|part| model.contains(part));
    let model = if alias == "embed" { models.iter().find(embeds) } else { models.iter().find(|model| !embeds(model)) };
    model.map(|model| format!("ollama/{model}"))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn with(pairs: &[(&str, &str)], ollama: Option<&[String]>, configured: &ModelSettings) -> Discovered {
        let env = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let found = discover(&env, ollama, configured);
        found.settings.validate().unwrap();
        found
    }

    fn alias<'a>(found: &'a Discovered, name: &str) -> &'a str {
        assert_eq!(found.settings.aliases[name].len(), 1, "nothing discovered is a failover");
        &found.settings.aliases[name][0]
    }

    #[test]
    fn with_nothing_everything_goes_offline() {
        let found = with(&[("OPENAI_API_KEY", " ")], None, &ModelSettings::default());
        for name in ALIASES {
            assert_eq!(alias(&found, name), LAST_RESORT);
        }
        assert_eq!(found.hopeful, ALIASES, "a running Ollama would be better");
        assert!(with(&[], Some(&[]), &ModelSettings::default()).hopeful.is_empty(), "looked for, and not there");
    }

    #[test]
    fn each_key_gives_its_provider() {
        let cases = [
            ("OPENAI_API_KEY", "openai/gpt-6.1-sol", "openai/text-embedding-3-small"),
            ("ANTHROPIC_API_KEY", "anthropic/claude-sonnet-5-5", LAST_RESORT),
            ("GEMINI_API_KEY", "gemini/gemini-3.8-flash", "gemini/gemini-embedding-2"),
            ("GOOGLE_API_KEY", "gemini/gemini-3.8-flash", "gemini/gemini-embedding-2"),
            ("OPENROUTER_API_KEY", "openrouter/anthropic/claude-sonnet-5.5", LAST_RESORT),
        ];
        for (variable, default, embed) in cases {
            let found = with(&[(variable, "k")], None, &ModelSettings::default());
            assert_eq!(alias(&found, "default"), default, "{variable}");
            assert_eq!(alias(&found, "embed"), embed, "{variable}");
        }
    }

    #[test]
    fn every_provider_that_is_found_has_a_known_name() {
        let all = |name: &str| name.ends_with("_API_KEY").then(|| "k".to_owned());
        let found = discover(&all, None, &ModelSettings::default());
        let names: Vec<&str> = found.settings.providers.keys().map(String::as_str).collect();
        let mut known = PROVIDERS.to_vec();
        known.sort_unstable();
        assert_eq!(names, known);
    }

    #[test]
    fn a_foreign_base_url_is_a_compatible_server() {
        let base = "https://llm.example.com/v1";
        let found = with(&[("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", base)], None, &ModelSettings::default());
        let openai = &found.settings.providers["openai"];
        assert_eq!((openai.kind, openai.base_url.as_deref()), (Kind::OpenaiCompatible, Some(base)));
        assert_eq!(alias(&found, "default"), LAST_RESORT, "nobody can guess its models");
        let own = [("OPENAI_API_KEY", "k"), ("OPENAI_BASE_URL", "https://api.openai.com/v1"), ("OPENAI_ORG_ID", "o")];
        let found = with(&own, None, &ModelSettings::default());
        let openai = &found.settings.providers["openai"];
        assert_eq!((openai.kind, openai.organisation.as_deref()), (Kind::OpenaiResponses, Some("o")));
    }

    #[test]
    fn what_is_configured_wins() {
        let configured: ModelSettings = toml::from_str(
            r#"
            [providers.openai]
            type = "openai"
            concurrency = 1
            [aliases]
            smart = ["anthropic/mine", "offline/extractive"]
            [providers.anthropic]
            type = "anthropic"
            "#,
        )
        .unwrap();
        let found = with(&[("OPENAI_API_KEY", "k")], None, &configured);
        assert_eq!(found.settings.providers["openai"], configured.providers["openai"]);
        assert_eq!(found.settings.aliases["smart"], configured.aliases["smart"]);
        assert_eq!(alias(&found, "fast"), "openai/gpt-6-luna");
        let found = with(&[], Some(&[]), &configured);
        assert_eq!(alias(&found, "fast"), LAST_RESORT, "configured, but its key is not there");
    }

    #[test]
    fn a_running_ollama_serves_what_no_key_does() {
        let models = ["nomic-embed-text:latest".to_owned(), "llama3.2:1b".to_owned()];
        let found = with(&[], Some(&models), &ModelSettings::default());
        assert_eq!(alias(&found, "default"), "ollama/llama3.2:1b");
        assert_eq!(alias(&found, "embed"), "ollama/nomic-embed-text:latest");
        let found = with(&[("ANTHROPIC_API_KEY", "k")], None, &ModelSettings::default());
        assert_eq!(found.hopeful, ["embed"]);
        for (host, base) in [
            ("gpu", "http://gpu:11434"),
            ("gpu:1", "http://gpu:1"),
            (":1", "http://127.0.0.1:1"),
            ("0.0.0.0", "http://127.0.0.1:11434"),
            ("https://gpu/", "https://gpu"),
        ] {
            let found = with(&[("OLLAMA_HOST", host)], None, &ModelSettings::default());
            assert_eq!(found.settings.providers["ollama"].base_url.as_deref(), Some(base), "{host}");
        }
    }

    #[test]
    fn keys_are_read_by_provider_and_never_shown() {
        let env = |name: &str| (name == "GOOGLE_API_KEY").then(|| " AIza-CANARY\n".to_owned());
        let found = discover(&env, None, &ModelSettings::default());
        let keys = secrets(&env, &found.settings);
        assert_eq!(keys.keys().collect::<Vec<_>>(), ["gemini"]);
        assert_eq!(keys["gemini"].expose_secret(), "AIza-CANARY");
        assert!(!format!("{keys:?}{found:?}").contains("CANARY"));
    }
}
