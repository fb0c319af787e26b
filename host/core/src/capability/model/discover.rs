//! Finds providers in the environment, so that a machine with a key works without a configuration.
//!
//! Pure: the environment comes in as a function, because the core reads none. What is configured always wins, and nothing
//! discovered is ever a failover of anything: a prompt goes to one company, and a degraded answer of the built-in
//! `offline` provider never passes for a paid model's. `offline` is chosen only where there is nothing else.
//!
//! A variable that was set for another program may hold anything. What is no address leaves its provider out and is told
//! ([`Unusable`]); it stops nothing that needs no model.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::names;
use super::prices::table;
use super::settings::{Kind, ModelError, ModelSettings, ProviderSettings};
use super::wire::ollama::base_url as ollama_address;
use crate::error::Explain;

/// Reads one variable of the environment. Empty counts as absent.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The aliases that every installation has.
pub const ALIASES: [&str; 4] = ["default", "fast", "smart", "embed"];

/// Names of providers that nobody has to configure: found in the environment, looked for, or built in.
pub const PROVIDERS: [&str; 6] = ["openai", "anthropic", "gemini", "openrouter", "ollama", "offline"];

/// Where an alias goes when there is no model.
pub const LAST_RESORT: &str = "offline/extractive";

/// Where an alias goes until the server behind OPENAI_BASE_URL has said which models it has. Servers with one model serve it by any
/// name; of the others, and of one that does not answer, the failure is told and `offline` is not put in its place.
pub const UNLISTED: &str = "openai/default";

/// Settings with what the environment adds.
#[derive(Clone, Debug, PartialEq)]
pub struct Discovered {
    pub settings: ModelSettings,
    /// Standard aliases that no key serves: a server that has to be asked for its models may, an Ollama that runs or the one behind
    /// OPENAI_BASE_URL. Empty where an Ollama has been looked for already, or is not wanted.
    pub hopeful: Vec<&'static str>,
    /// By which variable each provider was found that nobody has configured.
    pub found_by: BTreeMap<&'static str, &'static str>,
    /// Providers that were left out, because a variable of theirs holds what cannot be used.
    pub unusable: Vec<Unusable>,
}

/// A variable of a provider that nobody has configured, with a value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {variable} is `{value}`: {problem}")]
pub struct Unusable {
    pub provider: &'static str,
    pub variable: &'static str,
    /// As it may be shown: without a password, and without what could move a cursor.
    value: String,
    problem: String,
}

impl Unusable {
    fn new(provider: &'static str, variable: &'static str, value: &str, problem: impl Into<String>) -> Self {
        Self { provider, variable, value: shown(value), problem: problem.into() }
    }
}

impl Explain for Unusable {
    fn kind(&self) -> &'static str {
        "config-invalid"
    }

    fn hint(&self) -> String {
        let right = match self.variable {
            "OLLAMA_HOST" => "`host`, `host:port` or `http://host:port`",
            "OPENAI_BASE_URL" => "a URL like `http://127.0.0.1:8000/v1`",
            "ANTHROPIC_BASE_URL" => "a URL like `https://gateway.example.com`",
            _ => "what the provider shows as its ID",
        };
        format!("set {} to {right}, or unset it", self.variable)
    }
}

/// A value as it may be shown. What stands before an `@` may be a password, and what follows a `?` a key.
fn shown(value: &str) -> String {
    let value = match value.rsplit_once('@') {
        // The name of a user or a password may hold any of the marks that end a host's.
        Some((before, host)) => {
            let host = host.split(['?', '#']).next().unwrap_or_default();
            match before.split_once("://") {
                Some((scheme, _)) => format!("{scheme}://...@{host}"),
                None => format!("...@{host}"),
            }
        }
        None => match value.find(['?', '#']) {
            Some(end) => format!("{}...", &value[..=end]),
            None => value.to_owned(),
        },
    };
    // A key in the place of an address.
    let is_key = value.len() > 24 && !value.contains(['/', '.', ':', '@']);
    let value = if is_key { "...".into() } else { value };
    value.chars().take(100).collect::<String>().escape_debug().to_string()
}

/// Adds providers and the standard aliases to what is configured. `ollama` is what a running Ollama has: none where
/// nobody has looked yet, empty where there is none.
pub fn discover(env: Env<'_>, ollama: Option<&[String]>, configured: &ModelSettings) -> Discovered {
    let get = |name: &str| env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
    let mut settings = configured.clone();
    let (mut found_by, mut unusable) = (BTreeMap::new(), Vec::new());
    for found in from_environment(&get) {
        match found {
            Ok(found) if configured.providers.contains_key(found.name) => {}
            Ok(found) => {
                found_by.extend(found.variable.map(|variable| (found.name, variable)));
                settings.providers.insert(found.name.into(), found.settings);
            }
            // Of a configured provider the variable means nothing.
            Err(wrong) if configured.providers.contains_key(wrong.provider) => {}
            Err(wrong) => unusable.push(wrong),
        }
    }
    settings.providers.entry("offline".into()).or_insert_with(|| ProviderSettings::new(Kind::Offline));
    let mut hopeful = Vec::new();
    for alias in ALIASES {
        if settings.aliases.contains_key(alias) {
            continue;
        }
        let mut found = from_keys(&get, &settings, alias);
        if found.is_none() {
            found = ollama.and_then(|models| from_list("ollama", models, alias));
        }
        if found.is_none() && ollama.is_none() {
            hopeful.push(alias);
            found = lists("openai", &settings).then(|| UNLISTED.to_owned());
        }
        settings.aliases.insert(alias.into(), vec![found.unwrap_or_else(|| LAST_RESORT.into())]);
    }
    Discovered { settings, hopeful, found_by, unusable }
}

impl Discovered {
    /// The variable that a field of a provider comes from, where nobody has configured it.
    #[must_use]
    pub fn variable(&self, provider: &str, field: &str) -> Option<&'static str> {
        let by = self.found_by.get(provider)?;
        Some(match (provider, field) {
            ("openai", "base-url") => "OPENAI_BASE_URL",
            ("openai", "organisation") => "OPENAI_ORG_ID",
            ("anthropic", "base-url") => "ANTHROPIC_BASE_URL",
            _ => by,
        })
    }
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

/// What the environment says of one provider.
struct Found {
    name: &'static str,
    /// None: nothing, but it may be there all the same.
    variable: Option<&'static str>,
    settings: ProviderSettings,
}

type Finding = Result<Found, Unusable>;

fn from_environment(get: Env<'_>) -> Vec<Finding> {
    [openai(get), anthropic(get), gemini(get), openrouter(get), Some(ollama(get))].into_iter().flatten().collect()
}

/// A base URL that is not OpenAI's own means a server that speaks Chat Completions and may know nothing newer.
fn openai(get: Env<'_>) -> Option<Finding> {
    let (key, base_url) = (get("OPENAI_API_KEY"), get("OPENAI_BASE_URL"));
    let variable = if key.is_some() { "OPENAI_API_KEY" } else { "OPENAI_BASE_URL" };
    if key.is_none() && base_url.is_none() {
        return None;
    }
    let organisation = get("OPENAI_ORG_ID");
    if let Some(id) = organisation.as_deref().filter(|id| id.chars().any(char::is_control)) {
        let problem = "it holds what no header can carry";
        return Some(Err(Unusable::new("openai", "OPENAI_ORG_ID", id, problem)));
    }
    let host = base_url.as_deref().and_then(|base| url::Url::parse(base).ok()?.host_str().map(str::to_owned));
    let own = base_url.is_none() || host.as_deref() == Some("api.openai.com");
    let settings = ProviderSettings {
        base_url,
        key_env: key.map(|_| "OPENAI_API_KEY".into()),
        organisation,
        ..ProviderSettings::new(if own { Kind::OpenaiResponses } else { Kind::OpenaiCompatible })
    };
    Some(checked(Found { name: "openai", variable: Some(variable), settings }, "OPENAI_BASE_URL"))
}

fn anthropic(get: Env<'_>) -> Option<Finding> {
    get("ANTHROPIC_API_KEY")?;
    let settings = ProviderSettings { base_url: get("ANTHROPIC_BASE_URL"), ..ProviderSettings::new(Kind::Anthropic) };
    let found = Found { name: "anthropic", variable: Some("ANTHROPIC_API_KEY"), settings };
    Some(checked(found, "ANTHROPIC_BASE_URL"))
}

fn gemini(get: Env<'_>) -> Option<Finding> {
    let variable = ["GEMINI_API_KEY", "GOOGLE_API_KEY"].into_iter().find(|name| get(name).is_some())?;
    let settings = ProviderSettings { key_env: Some(variable.into()), ..ProviderSettings::new(Kind::Gemini) };
    Some(Ok(Found { name: "gemini", variable: Some(variable), settings }))
}

fn openrouter(get: Env<'_>) -> Option<Finding> {
    let variable = "OPENROUTER_API_KEY";
    get(variable)?;
    let settings = ProviderSettings {
        base_url: Some("https://openrouter.ai/api/v1".into()),
        key_env: Some(variable.into()),
        ..ProviderSettings::new(Kind::OpenaiCompatible)
    };
    Some(Ok(Found { name: "openrouter", variable: Some(variable), settings }))
}

/// OLLAMA_HOST is what Ollama's own tools take. One on this machine is there or not, whatever the variable says.
fn ollama(get: Env<'_>) -> Finding {
    let (name, variable) = ("ollama", "OLLAMA_HOST");
    let Some(host) = get(variable) else {
        return Ok(Found { name, variable: None, settings: ProviderSettings::new(Kind::Ollama) });
    };
    let url = ollama_address(&host)
        .map_err(|_| Unusable::new(name, variable, &host, "it is not the address of an Ollama"))?;
    let base_url = Some(url.as_str().trim_end_matches('/').to_owned());
    let settings = ProviderSettings { base_url, ..ProviderSettings::new(Kind::Ollama) };
    checked(Found { name, variable: Some(variable), settings }, variable)
}

/// Holds an address from `variable` to what holds for a configured one.
fn checked(found: Found, variable: &'static str) -> Finding {
    let Some(base) = found.settings.base_url.clone() else { return Ok(found) };
    let providers = BTreeMap::from([(found.name.to_owned(), found.settings.clone())]);
    match (ModelSettings { providers, ..ModelSettings::default() }).validate() {
        Ok(()) => Ok(found),
        Err(ModelError::Setting { problem, .. }) => Err(Unusable::new(found.name, variable, &base, problem)),
        Err(other) => Err(Unusable::new(found.name, variable, &base, other.to_string())),
    }
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

/// Whether the models of this provider are those that it lists: nobody can guess what a server has that is not the maker's own.
pub(super) fn lists(provider: &str, settings: &ModelSettings) -> bool {
    let kind = settings.providers.get(provider).map(|settings| settings.kind);
    matches!((provider, kind), ("openai", Some(Kind::OpenaiCompatible)) | ("ollama", Some(Kind::Ollama)))
}

/// The model of a server's list that fits the alias: the one that the alias has at the maker of the API, where a gateway lists that, or
/// else the first. An Ollama lists the most recently changed first.
pub(super) fn from_list(provider: &str, models: &[String], alias: &str) -> Option<String> {
    let embeds = |model: &str| ["embed", "bge-", "minilm"].iter().any(|part| model.contains(part));
    let other = |model: &str| ["rerank", "whisper", "tts-", "moderation"].iter().any(|part| model.contains(part));
    let fits = |model: &&String| {
        let lower = model.to_ascii_lowercase();
        // What cannot be written as `provider/model` cannot be asked for either.
        embeds(&lower) == (alias == "embed") && !other(&lower) && names::split(&format!("{provider}/{model}")).is_some()
    };
    let usual = table().aliases.get(provider).and_then(|aliases| aliases.get(alias));
    let usual = usual.and_then(|usual| models.iter().find(|model| *model == usual));
    usual.or_else(|| models.iter().find(fits)).map(|model| format!("{provider}/{model}"))
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
        assert_eq!(alias(&found, "default"), UNLISTED, "nobody can guess its models, and nothing stands in for them");
        assert_eq!(found.hopeful, ALIASES, "it says them itself");
        let with_another = [("OPENAI_BASE_URL", base), ("ANTHROPIC_API_KEY", "k")];
        let found = with(&with_another, None, &ModelSettings::default());
        assert_eq!(alias(&found, "default"), "anthropic/claude-sonnet-5-5", "whose models are known comes first");
        assert_eq!(found.hopeful, ["embed"]);
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
            ("::1", "http://[::1]:11434"),
        ] {
            let found = with(&[("OLLAMA_HOST", host)], None, &ModelSettings::default());
            assert_eq!(found.settings.providers["ollama"].base_url.as_deref(), Some(base), "{host}");
        }
    }

    #[test]
    fn a_server_serves_the_aliases_with_what_it_lists() {
        let of = |models: &[&str], alias: &str| {
            let models: Vec<String> = models.iter().map(|model| (*model).to_owned()).collect();
            from_list("openai", &models, alias)
        };
        let studio = ["text-embedding-nomic-embed-text-v1.5", "whisper-1", "qwen/qwen3-4b", "gemma-3"];
        for alias in ["default", "fast", "smart"] {
            assert_eq!(of(&studio, alias).as_deref(), Some("openai/qwen/qwen3-4b"));
        }
        assert_eq!(of(&studio, "embed").as_deref(), Some("openai/text-embedding-nomic-embed-text-v1.5"));
        assert_eq!(of(&["BAAI/bge-m3"], "default"), None);
        assert_eq!(of(&["BAAI/bge-m3"], "embed").as_deref(), Some("openai/BAAI/bge-m3"));
        // A gateway has hundreds, and the maker's own among them.
        assert_eq!(of(&["a", "gpt-6-luna", "gpt-6.1-sol"], "default").as_deref(), Some("openai/gpt-6.1-sol"));
        assert_eq!(of(&["a", "gpt-6-luna", "gpt-6.1-sol"], "fast").as_deref(), Some("openai/gpt-6-luna"));
        // A path, as some servers list it, is no name: the next one is.
        assert_eq!(of(&["/models/x.gguf", "a b", "y"], "default").as_deref(), Some("openai/y"));
        assert_eq!(of(&[], "default"), None);
    }

    #[test]
    fn a_variable_that_is_no_address_leaves_its_provider_out_and_is_named() {
        let key = ("OPENAI_API_KEY", "k");
        let cases = [
            (vec![("OLLAMA_HOST", "bad host")], "ollama", "OLLAMA_HOST is `bad host`: it is not", "`host:port`"),
            (
                vec![("OPENAI_BASE_URL", "127.0.0.1:1")],
                "openai",
                "OPENAI_BASE_URL is `127.0.0.1:1`: it is not a URL",
                "http://",
            ),
            (
                vec![key, ("OPENAI_BASE_URL", "localhost:1")],
                "openai",
                "is `localhost:1`: it must begin with",
                "or unset it",
            ),
            (vec![key, ("OPENAI_ORG_ID", "a\nb")], "openai", "OPENAI_ORG_ID is `a\\nb`: ", "set OPENAI_ORG_ID to"),
            (
                vec![("ANTHROPIC_API_KEY", "k"), ("ANTHROPIC_BASE_URL", "x y")],
                "anthropic",
                "ANTHROPIC_BASE_URL is `x y`",
                "URL",
            ),
        ];
        for (pairs, provider, sentence, help) in cases {
            let found = with(&pairs, None, &ModelSettings::default());
            assert!(!found.settings.providers.contains_key(provider), "{pairs:?}");
            assert!(!found.found_by.contains_key(provider), "{pairs:?}");
            let [wrong] = found.unusable.as_slice() else { panic!("{pairs:?}: {:?}", found.unusable) };
            assert_eq!(wrong.provider, provider);
            assert!(wrong.to_string().contains(sentence) && wrong.hint().contains(help), "{wrong}: {}", wrong.hint());
            for name in ALIASES {
                assert!(!alias(&found, name).starts_with(provider), "{pairs:?}");
            }
        }
        let configured: ModelSettings = toml::from_str("[providers.ollama]\ntype = \"ollama\"").unwrap();
        let found = with(&[("OLLAMA_HOST", "bad host")], None, &configured);
        assert!(found.unusable.is_empty(), "what is configured wins, and the variable means nothing");
    }

    #[test]
    fn neither_a_password_nor_a_control_character_of_a_variable_is_shown() {
        let url = "https://me:CANARY@llm.example.com/v1?key=CANARY";
        let found = with(&[("OPENAI_BASE_URL", url)], None, &ModelSettings::default());
        let text = format!("{} {:?}", found.unusable[0], found.unusable);
        assert!(text.contains("https://...@llm.example.com/v1") && !text.contains("CANARY"), "{text}");
        for value in ["https://me:CANA?CANARY@host/v1", "http://a b/v1#CANARY", "CANARY-CANARY-CANARY-CANARY"] {
            let found = with(&[("OPENAI_BASE_URL", value)], None, &ModelSettings::default());
            let text = format!("{} {:?}", found.unusable[0], found.unusable);
            assert!(!text.contains("CANA"), "{text}");
        }
        let found = with(&[("OLLAMA_HOST", "a\u{1b}[2J b")], None, &ModelSettings::default());
        assert!(!found.unusable[0].to_string().contains('\u{1b}'), "{}", found.unusable[0]);
    }

    #[test]
    fn each_provider_says_by_which_variable_it_was_found() {
        let base = ("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1");
        let found = with(&[base, ("GOOGLE_API_KEY", "k"), ("OLLAMA_HOST", "gpu")], None, &ModelSettings::default());
        let by = [("gemini", "GOOGLE_API_KEY"), ("ollama", "OLLAMA_HOST"), ("openai", "OPENAI_BASE_URL")];
        assert_eq!(found.found_by, BTreeMap::from(by));
        let found = with(&[base, ("OPENAI_API_KEY", "k")], None, &ModelSettings::default());
        assert_eq!(found.variable("openai", "key-env"), Some("OPENAI_API_KEY"));
        assert_eq!(found.variable("openai", "base-url"), Some("OPENAI_BASE_URL"));
        assert_eq!(found.variable("ollama", "type"), None, "it is looked for in any case");
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
