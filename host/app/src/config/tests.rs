//! The layers together, over real files.

use std::path::PathBuf;

use super::*;

struct Place {
    folder: tempfile::TempDir,
    flags: Flags,
    env: Vec<(String, String)>,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), flags: Flags::default(), env: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn user(&self, text: &str) -> &Self {
        self.write("config/ringfence/config.toml", text)
    }

    fn project(&self, text: &str) -> &Self {
        self.write("work/ringfence.toml", text)
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    fn set(mut self, pair: &str) -> Self {
        self.flags.set.push(pair.into());
        self
    }

    fn load(&self) -> Result<Config, Error> {
        let (home, config) = (self.path("home"), self.path("config"));
        let mut pairs = vec![("HOME", home.to_str().unwrap()), ("XDG_CONFIG_HOME", config.to_str().unwrap())];
        pairs.extend(self.env.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let from = self.path("work/deep/below");
        std::fs::create_dir_all(&from).unwrap();
        Config::load(&self.flags, &Environment::from(pairs.as_slice()), &from)
    }

    fn error(&self) -> Error {
        let error = self.load().unwrap_err();
        assert_eq!(error.kind(), "config-invalid");
        error
    }
}

/// The value and the origin of one key.
fn origin(config: &Config, key: &str) -> (String, String) {
    let entry = config.entries().into_iter().find(|entry| entry.path.join(".") == key);
    let entry = entry.unwrap_or_else(|| panic!("{key} is not shown"));
    let value = entry.value.map_or_else(|| "no limit".into(), |value| value.to_string());
    (value, entry.origin.to_string())
}

#[test]
fn the_nearest_layer_wins_and_says_so() {
    let place = Place::new();
    place.user("[limits]\nwall-seconds = 100\n\n[models.aliases]\ndefault = [\"openai/a\"]\nfast = [\"openai/b\"]\n");
    let wall = |place: &Place| origin(&place.load().unwrap(), "limits.wall-seconds");
    let user = place.path("config/ringfence/config.toml");
    assert_eq!(wall(&place), ("100".into(), format!("{}:2:1", user.display())));
    place.project("# mine\nlimits.wall-seconds = 50\nmodels.aliases.fast = [\"offline/extractive\"]\n");
    let project = place.path("work/ringfence.toml");
    assert_eq!(wall(&place), ("50".into(), format!("{}:2:8", project.display())));
    let place = place.env("RINGFENCE_LIMITS_WALL_SECONDS", "60");
    assert_eq!(wall(&place), ("60".into(), "RINGFENCE_LIMITS_WALL_SECONDS".into()));
    let place = place.set("limits.wall-seconds=70");
    assert_eq!(wall(&place), ("70".into(), "--set limits.wall-seconds".into()));
    let config = place.load().unwrap();
    assert_eq!(config.settings.limits.wall_seconds, Some(70));
    assert_eq!(config.settings.models.aliases["default"], ["openai/a"]);
    assert_eq!(config.settings.models.aliases["fast"], ["offline/extractive"]);
    assert_eq!(origin(&config, "durability"), ("\"normal\"".into(), "default".into()));
}

#[test]
fn an_unknown_key_names_the_place_and_the_nearest() {
    let place = Place::new();
    place.user("durability = \"full\"\n[limits]\n  wall-secnds = 1\n");
    let error = place.error();
    assert!(error.to_string().ends_with("config.toml:3:3: unknown key `limits.wall-secnds`"), "{error}");
    assert_eq!(error.hint(), "did you mean `limits.wall-seconds`?");
    // In the wrong table.
    place.user("wall-seconds = 1\n");
    assert_eq!(place.error().hint(), "did you mean `limits.wall-seconds`?");
    place.user("[output]\nformt = \"json\"\n");
    assert_eq!(place.error().hint(), "did you mean `output.format`?");
}

#[test]
fn a_wrong_value_names_the_place() {
    let place = Place::new();
    place.user("\n[limits]\nwall-seconds = \"long\"\n");
    assert!(place.error().to_string().contains("config.toml:3:16: invalid type: string"), "{}", place.error());
    place.user("[output]\ncolor = \"pink\"\n");
    assert!(place.error().to_string().contains("config.toml:2:9: unknown variant `pink`"), "{}", place.error());
    place.user("durability = \n");
    assert!(place.error().to_string().contains("config.toml:1:"), "{}", place.error());
    place.user("");
    for (name, value, what) in [
        ("RINGFENCE_LIMITS_WALL_SECONDS", "x", "is `x`, which is no whole number"),
        ("RINGFENCE_DURABILITY", "some", "RINGFENCE_DURABILITY: unknown variant `some`"),
    ] {
        let place = Place::new().env(name, value);
        assert!(place.error().to_string().contains(what), "{}", place.error());
    }
    assert!(Place::new().set("limits").error().to_string().contains("not KEY=VALUE"));
    assert!(Place::new().set("limit.wall-seconds=1").error().to_string().contains("unknown key"));
}

#[test]
fn none_is_refused_where_nothing_could_run_with_it() {
    let keys = [
        "limits.memory-mib",
        "limits.wall-seconds",
        "limits.cpu-seconds",
        "limits.hostcall-kib",
        "limits.input-kib",
        "limits.output-kib",
        "engine.concurrent",
        "engine.component-mib",
        "engine.compile-seconds",
        "engine.compile-mib",
        "skills.a.limits.output-kib",
    ];
    for key in keys {
        let error = Place::new().set(&format!("{key}=0")).error();
        assert!(error.to_string().ends_with(&format!(": `{key}` is 0, and must be at least 1")), "{error}");
        assert!(error.hint().contains("1 or more"), "{}", error.hint());
        assert!(Place::new().set(&format!("{key}=1")).load().is_ok(), "{key}");
    }
    let place = Place::new();
    place.user("[limits]\nmemory-mib = 0\n");
    assert!(place.error().to_string().contains("config.toml:2:1: `limits.memory-mib` is 0"), "{}", place.error());
    let error = Place::new().env("RINGFENCE_ENGINE_CONCURRENT", "0").error();
    assert!(error.to_string().starts_with("RINGFENCE_ENGINE_CONCURRENT: `engine.concurrent` is 0"), "{error}");
    // Here none is a choice.
    for key in ["engine.queue=0", "engine.drain-seconds=0", "limits.handles=0", "budget.host-day.micro-dollars=0"] {
        assert!(Place::new().set(key).load().is_ok(), "{key}");
    }
}

#[test]
fn a_project_reaches_no_further_than_its_user() {
    let refused = [
        "durability = \"full\"",
        "[models.providers.evil]\ntype = \"openai-compatible\"\nbase-url = \"https://evil.example\"",
        "[models.providers.openai]\ntype = \"openai\"\nbase-url = \"https://evil.example\"",
        "[models.prices.\"openai/a\"]\ninput = 0\noutput = 0",
        "[models]\nretries = 1",
        "[directories]\nstate = \"/tmp/mine\"",
        "[engine]\ncompile-seconds = 100",
        "[models.aliases]\ndefault = [\"evil/model\"]",
        "[limits]\nwall-seconds = 101",
        "[budget.invocation]\noutput-tokens = 501",
        "[skills.a.budget.invocation]\noutput-tokens = 501",
        "[skills.a.limits]\nwall-seconds = 11",
        "[rules.model]\nkv = \"allow\"",
        "[rules.model]\nkv = \"ask\"",
        "[rules.taint]\nuser = \"allow\"",
    ];
    for text in refused {
        let place = Place::new();
        place.user(
            "[limits]\nwall-seconds = 100\n[budget.invocation]\noutput-tokens = 500\n[skills.a.limits]\nwall-seconds = 10\n\
             [rules.model]\nkv = \"deny\"\n",
        );
        place.project(text);
        let error = place.error();
        let user = place.path("config/ringfence/config.toml");
        assert!(error.to_string().contains("ringfence.toml:"), "{text}: {error}");
        if !error.to_string().contains("unknown key") {
            assert!(error.to_string().contains("is not for a project's file"), "{text}: {error}");
            assert!(error.hint().contains(user.to_str().unwrap()), "{text}: {}", error.hint());
        }
    }
}

#[test]
fn a_project_cannot_raise_what_nobody_has_set() {
    let place = Place::new();
    place.project("limits.memory-mib = 65");
    assert!(place.error().to_string().contains("it is 64 and would become 65"), "{}", place.error());
    place.project("limits.memory-mib = 64\nskills.a.limits.memory-mib = 32");
    assert_eq!(place.load().unwrap().settings.limits.memory_mib, Some(64));
}

#[test]
fn a_project_may_choose_and_spend_less() {
    let place = Place::new();
    place.user("[models.providers.mine]\ntype = \"ollama\"\n[limits]\nwall-seconds = 100\n");
    place.project(
        "[models.aliases]\ndefault = [\"mine/a\", \"openai/b\"]\n[limits]\nwall-seconds = 99\n[output]\nformat = \"json\"\n\
         [skills.a.config]\nlanguage = \"de\"\n[skills.a.limits]\nwall-seconds = 5\n[budget.invocation]\nmicro-dollars = 1000\n",
    );
    let config = place.load().unwrap();
    assert_eq!(config.output.format, Format::Json);
    assert_eq!(config.settings.skills["a"].limits.wall_seconds, Some(5));
    assert_eq!(config.settings.budget.invocation.micro_dollars, Some(1000), "a budget where the user has none");
}

#[test]
fn a_project_may_make_rules_stricter() {
    use ringfence_core::policy::rules::Rule;
    let place = Place::new();
    place.user("[rules.model]\nkv = \"ask\"\n");
    place.project("[rules.model]\nkv = \"deny\"\nmodel = \"ask\"\n[rules.taint]\nclient = \"deny\"\nuser = \"ask\"\n");
    let config = place.load().unwrap();
    let rules = &config.settings.rules;
    assert_eq!((rules.model["kv"], rules.model["model"]), (Rule::Deny, Rule::Ask));
    assert_eq!((rules.taint.client, rules.taint.user, rules.taint.model), (Rule::Deny, Rule::Ask, Rule::Ask));
    assert_eq!(origin(&config, "rules.taint.model"), ("\"ask\"".into(), "default".into()));
    let project = place.path("work/ringfence.toml");
    assert_eq!(origin(&config, "rules.model.kv"), ("\"deny\"".into(), format!("{}:2:1", project.display())));
}

#[test]
fn a_rule_is_about_a_capability_that_there_is() {
    let place = Place::new();
    place.user("[rules.client]\nmodl = \"deny\"\n");
    let error = place.error();
    assert!(error.to_string().ends_with("config.toml:2:1: unknown key `rules.client.modl`"), "{error}");
    assert_eq!(error.hint(), "did you mean `rules.client.model`?");
    place.user("[rules.clients]\nmodel = \"deny\"\n");
    assert_eq!(place.error().hint(), "did you mean `rules.client`?");
    place.user("[rules.client]\nmodel = \"maybe\"\n");
    assert!(place.error().to_string().contains("config.toml:2:9: unknown variant `maybe`"), "{}", place.error());
    place.user("");
    let place = place.env("RINGFENCE_RULES_CLIENT_KV", "deny").set("rules.skill.kv=ask");
    let rules = place.load().unwrap().settings.rules;
    use ringfence_core::policy::rules::Rule;
    assert_eq!((rules.client["kv"], rules.skill["kv"]), (Rule::Deny, Rule::Ask));
    assert!(place.set("rules.skill.files2=deny").error().to_string().contains("unknown key `rules.skill.files2`"));
}

#[test]
fn a_model_is_chosen_by_a_flag() {
    let mut place = Place::new();
    place.user("[models.aliases]\ndefault = [\"openai/a\", \"openai/b\"]\n");
    place.flags.model = vec!["ollama/c:1b".into(), "fast=openai/d".into()];
    let config = place.load().unwrap();
    assert_eq!(config.settings.models.aliases["default"], ["ollama/c:1b"]);
    assert_eq!(config.settings.models.aliases["fast"], ["openai/d"]);
    assert_eq!(origin(&config, "models.aliases.default").1, "--model");
    for wrong in ["gpt", "default=", "=openai/a", "openai/", "a/b=openai/c"] {
        place.flags.model = vec![wrong.into()];
        assert_eq!(place.load().unwrap_err().kind(), "config-invalid", "{wrong}");
    }
}

#[test]
fn directories_follow_xdg_unless_told() {
    let place = Place::new();
    let config = place.load().unwrap();
    assert_eq!(config.dirs.state, place.path("home/.local/state/ringfence"));
    assert_eq!(config.dirs.cache, place.path("home/.cache/ringfence"));
    let mut place = place.env("XDG_STATE_HOME", "relative/is/ignored").env("RINGFENCE_DATA_DIR", "/data");
    assert_eq!(place.load().unwrap().dirs.state, place.path("home/.local/state/ringfence"));
    assert_eq!(place.load().unwrap().dirs.data, PathBuf::from("/data"));
    place.flags.data_dir = Some("/flag".into());
    assert_eq!(place.load().unwrap().dirs.data, PathBuf::from("/flag"));
}

#[test]
fn a_named_file_must_be_there() {
    let mut place = Place::new();
    place.flags.config = Some(place.path("nowhere.toml"));
    assert_eq!(place.load().unwrap_err().kind(), "not-found");
}

#[test]
fn a_file_that_is_no_text_is_a_wrong_one_and_not_a_missing_one() {
    let mut place = Place::new();
    let file = place.path("config/ringfence/config.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, b"durability = \"\xff\"\n").unwrap();
    let error = place.error();
    assert_eq!(error.to_string(), format!("{} is not UTF-8, from byte 14 on", file.display()));
    assert!(error.hint().contains("UTF-8"), "{}", error.hint());
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let error = place.error();
    assert_eq!(error.to_string(), format!("{} is a folder", file.display()));
    std::fs::remove_dir(&file).unwrap();
    // Also where it was named, and beside it.
    place.flags.config = Some(place.path("home"));
    std::fs::create_dir(place.path("home")).unwrap();
    assert!(place.error().to_string().ends_with("home is a folder"));
    place.flags.config = None;
    std::fs::write(file.with_file_name("mcp-servers.json"), b"{\xff}").unwrap();
    assert!(place.error().to_string().contains("mcp-servers.json"), "{}", place.error());
}

#[test]
fn only_what_providers_need_leaves_the_environment() {
    let place = Place::new().env("OPENAI_API_KEY", "sk-1").env("MY_KEY", "k").env("AWS_SECRET_ACCESS_KEY", "no");
    place.user("[models.providers.mine]\ntype = \"openai-compatible\"\nbase-url = \"http://127.0.0.1:1/v1\"\nkey-env = \"MY_KEY\"\n");
    let config = place.load().unwrap();
    let names: Vec<_> = config.secrets.keys().map(String::as_str).collect();
    assert_eq!(names, ["MY_KEY", "OPENAI_API_KEY"]);
    assert!(!format!("{config:?}").contains("sk-1"));
}

#[test]
fn what_the_environment_decides_is_shown_with_its_variable() {
    let place = Place::new().env("ANTHROPIC_API_KEY", "sk-CANARY").env("ANTHROPIC_BASE_URL", "https://a.test");
    let place = place.env("OLLAMA_HOST", "gpu").env("XDG_CACHE_HOME", "/caches");
    place.user("[models.aliases]\nfast = [\"ollama/mine\"]\n[models.providers.openai]\ntype = \"openai\"\n");
    let config = place.load().unwrap();
    let is =
        |key: &str, value: &str, from: &str| assert_eq!(origin(&config, key), (value.into(), from.into()), "{key}");
    is("models.providers.anthropic.type", "\"anthropic\"", "ANTHROPIC_API_KEY");
    is("models.providers.anthropic.base-url", "\"https://a.test\"", "ANTHROPIC_BASE_URL");
    is("models.providers.ollama.base-url", "\"http://gpu:11434\"", "OLLAMA_HOST");
    is("models.providers.offline.type", "\"offline\"", "default");
    is("models.aliases.default", "[\"anthropic/claude-sonnet-5-5\"]", "ANTHROPIC_API_KEY");
    is("models.aliases.embed", "[\"offline/extractive\"]", "default");
    is("directories.cache", "\"/caches/ringfence\"", "XDG_CACHE_HOME");
    let state = place.path("home/.local/state/ringfence");
    is("directories.state", &format!("\"{}\"", state.display()), "default");
    is("budget.host-day.micro-dollars", "no limit", "default");
    let user = place.path("config/ringfence/config.toml");
    is("models.aliases.fast", "[\"ollama/mine\"]", &format!("{}:2:1", user.display()));
    let entries = config.entries();
    assert!(!format!("{entries:?}").contains("CANARY"));
    let of_openai =
        entries.iter().filter(|entry| entry.path.starts_with(&["models".into(), "providers".into(), "openai".into()]));
    assert_eq!(of_openai.count(), 1, "what is configured is shown as it is written");
    assert_eq!(config.read_from, [user]);

    let place = Place::new().env("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1").set("budget.host-day.micro-dollars=5");
    let config = place.load().unwrap();
    let is =
        |key: &str, value: &str, from: &str| assert_eq!(origin(&config, key), (value.into(), from.into()), "{key}");
    is("models.aliases.smart", "[\"openai/default\"]", "OPENAI_BASE_URL");
    is("budget.host-day.micro-dollars", "5", "--set budget.host-day.micro-dollars");
}

#[test]
fn a_variable_that_means_nothing_stops_only_who_names_its_provider() {
    let mut place = Place::new().env("OLLAMA_HOST", "bad host");
    assert!(place.load().unwrap().host().is_ok());
    place.flags.model = vec!["ollama/c".into()];
    let error = place.load().unwrap().host().err().unwrap();
    assert_eq!(error.kind(), "config-invalid");
    let sentence = "`ollama/c` cannot be used: the environment variable OLLAMA_HOST is `bad host`: it is not";
    assert!(error.to_string().starts_with(sentence), "{error}");
    assert!(error.hint().starts_with("set OLLAMA_HOST to "), "{}", error.hint());
    place.user("[models.providers.ollama]\ntype = \"ollama\"\n");
    assert!(place.load().unwrap().host().is_ok(), "of a configured provider the variable means nothing");
}

#[test]
fn the_schema_knows_both_halves() {
    let schema = schema_document();
    for key in ["durability", "limits", "models", "skills", "output", "directories"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    let text = schema.to_string();
    assert!(text.contains("#/$defs/"), "definitions are kept apart");
    for (at, _) in text.match_indices("\"#/$defs/") {
        let name: String = text[at + 9..].chars().take_while(|c| *c != '"').collect();
        assert!(schema["$defs"][&name].is_object(), "{name} is defined");
    }
}

#[test]
fn a_name_with_nothing_below_it_counts_and_takes_nothing_from_a_layer_below() {
    let place = Place::new();
    place.user("[agents.a]\n[agents.b]\nmax-steps = 3\n[limits]\n").project("[limits]\n");
    let config = place.load().unwrap();
    let agents: Vec<_> = config.settings.agents.iter().map(|(name, one)| (name.as_str(), one.max_steps)).collect();
    assert_eq!(agents, [("a", None), ("b", Some(3))]);
    let config = Place::new().set("agents.b.max-steps=3").set("agents.b={}").load().unwrap();
    assert_eq!(config.settings.agents["b"].max_steps, Some(3));
    let place = Place::new();
    place.project("[agents.mine]\n");
    assert!(place.error().to_string().contains("agents.mine"), "{}", place.error());
}
