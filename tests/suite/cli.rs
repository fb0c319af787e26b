//! The command line, as far as it needs no skill.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A home of its own for one test.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(home.path("work")).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence"));
        // Nothing of the machine reaches the test, except where programs are found.
        command.args(args).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.0.path()).current_dir(self.path("work")).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Done {
        Done::of(self.command(args).output().unwrap())
    }
}

#[derive(Debug)]
struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Done {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Cargo hands what a build script sets to the programs that it runs: to this test, and to whoever says `cargo run`.
#[test]
fn what_the_build_sets_is_not_taken_for_a_setting() {
    let home = Home::new();
    let of_the_build = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RINGFENCE_"));
    let done = Done::of(home.command(&["config", "show"]).envs(of_the_build).output().unwrap());
    assert!(!done.err.contains("is no setting"), "{}", done.err);
}

#[test]
fn help_names_every_verb() {
    let done = Home::new().run(&["--help"]);
    assert_eq!(done.code, 0);
    for verb in [
        "run",
        "serve",
        "new",
        "build",
        "add",
        "remove",
        "list",
        "show",
        "grant",
        "revoke",
        "permissions",
        "audit",
        "models",
        "doctor",
        "config",
        "completions",
    ] {
        assert!(done.out.lines().any(|line| line.trim_start().starts_with(verb)), "{verb}: {}", done.out);
    }
    assert!(!done.out.contains("compile-worker"));
}

#[test]
fn a_wrong_command_line_is_told_in_the_format_that_was_asked_for() {
    let home = Home::new();
    let done = home.run(&["lisst"]);
    assert_eq!((done.code, done.out.as_str()), (2, ""));
    assert_eq!(done.err, "error[usage]: unrecognized subcommand 'lisst'\n  help: did you mean `list`?\n");
    let done = home.run(&["list", "--format", "json", "--nonsense"]);
    assert_eq!((done.code, done.err.as_str()), (2, ""));
    assert_eq!(done.json()["error"]["kind"], "usage");
}

#[test]
fn errors_have_a_kind_a_sentence_and_a_help() {
    let home = Home::new();
    let done = home.run(&["run", "./nowhere"]);
    assert_eq!((done.code, done.out.as_str()), (2, ""));
    assert!(done.err.starts_with("error[not-found]: cannot read ./nowhere: "), "{}", done.err);
    assert!(done.err.contains("\n  help: "), "{}", done.err);
    let done = home.run(&["run", "./nowhere", "--text", "x", "--format", "json"]);
    let error = &done.json()["error"];
    assert_eq!((error["kind"].as_str(), error["exit"].as_u64()), (Some("not-found"), Some(2)));
}

#[test]
fn config_show_says_where_values_come_from() {
    let home = Home::new();
    home.write(".config/ringfence/config.toml", "[limits]\nwall-seconds = 100\n");
    home.write("work/ringfence.toml", "[limits]\nwall-seconds = 50\n");
    let done = home.run(&["config", "show", "--origin"]);
    assert_eq!(done.code, 0, "{done:?}");
    let line = done.out.lines().find(|line| line.starts_with("limits.wall-seconds = 50")).unwrap();
    assert!(line.ends_with("ringfence.toml:2:1"), "{line}");
    let done = Done::of(
        home.command(&["config", "show", "--format=json"]).env("RINGFENCE_LIMITS_WALL_SECONDS", "7").output().unwrap(),
    );
    let all = done.json();
    let entry = all.as_array().unwrap().iter().find(|entry| entry["key"] == "limits.wall-seconds").unwrap();
    assert_eq!((&entry["value"], &entry["origin"]), (&7.into(), &"RINGFENCE_LIMITS_WALL_SECONDS".into()));
}

#[test]
fn a_bad_configuration_stops_everything() {
    let home = Home::new();
    home.write(".config/ringfence/config.toml", "[limts]\nwall-seconds = 100\n");
    let done = home.run(&["list"]);
    assert_eq!(done.code, 2);
    assert!(done.err.contains("config.toml:1:2: unknown key `limts`"), "{}", done.err);
    assert!(done.err.contains("did you mean `limits`?"), "{}", done.err);
}

#[test]
fn a_variable_of_another_program_stops_nothing_that_needs_no_model() {
    let home = Home::new();
    for (name, value) in [("OLLAMA_HOST", "bad host"), ("OPENAI_BASE_URL", "127.0.0.1:18999")] {
        let with = |args: &[&str]| Done::of(home.command(args).env(name, value).output().unwrap());
        let told = format!("the environment variable {name} is `{value}`: it is not ");
        for verb in ["list", "models"] {
            let done = with(&[verb]);
            assert_eq!(done.code, 0, "{done:?}");
            assert_eq!(done.err.matches(&told).count(), 1, "{done:?}");
            assert!(done.err.contains(&format!("set {name} to ")), "{done:?}");
        }
        let doctor = with(&["doctor"]);
        assert!(doctor.out.contains(&told), "{doctor:?}");
    }
    let done =
        Done::of(home.command(&["models", "--model", "ollama/small"]).env("OLLAMA_HOST", "bad host").output().unwrap());
    assert_eq!(done.code, 2, "{done:?}");
    let sentence =
        "error[config-invalid]: `ollama/small` cannot be used: the environment variable OLLAMA_HOST is `bad host`";
    assert!(done.err.contains(sentence) && done.err.contains("\n  help: set OLLAMA_HOST to "), "{done:?}");
}

#[test]
fn config_show_says_what_the_environment_decides_and_never_a_key() {
    let home = Home::new();
    let done =
        Done::of(home.command(&["config", "show", "--origin"]).env("ANTHROPIC_API_KEY", "sk-CANARY").output().unwrap());
    let line =
        |key: &str| done.out.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key}: {done:?}"));
    assert!(line("models.aliases.default = ").ends_with("# ANTHROPIC_API_KEY"), "{done:?}");
    assert!(line("models.providers.anthropic.type = ").ends_with("# ANTHROPIC_API_KEY"), "{done:?}");
    assert!(line("directories.state = ").contains("/.local/state/ringfence"), "{done:?}");
    assert!(line("# budget.host-day.micro-dollars: no limit").ends_with("# default"), "{done:?}");
    assert!(line("# there is no file of settings").contains(".config/ringfence/config.toml"), "{done:?}");
    assert!(!done.out.contains("CANARY"), "{done:?}");
    // What it prints without origins can be a file again.
    home.write("again.toml", &home.run(&["config", "show"]).out);
    let again = home.path("again.toml").display().to_string();
    let done = home.run(&["config", "show", "--origin", "--config", &again]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.starts_with(&format!("# read from {again}\n")), "{done:?}");
}

#[test]
fn a_cloned_project_cannot_redirect_a_provider() {
    let home = Home::new();
    home.write(
        "work/ringfence.toml",
        "[models.providers.openai]\ntype = \"openai\"\nbase-url = \"https://evil.example\"\n",
    );
    let done = home.run(&["config", "show"]);
    assert_eq!(done.code, 2);
    assert!(done.err.contains("`models.providers.openai."), "{}", done.err);
    assert!(done.err.contains(".config/ringfence/config.toml"), "{}", done.err);
}

#[test]
fn config_init_writes_a_file_that_is_right_and_never_over_another() {
    let home = Home::new();
    let done = home.run(&["config", "init"]);
    assert_eq!(done.code, 0, "{done:?}");
    let file = home.path(".config/ringfence/config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("#:schema ./schema.json\n"), "{text}");
    assert_eq!(home.run(&["config", "show"]).code, 0);
    // What it shows as examples must be right as well.
    let shown: String = text
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|l| is_toml(l)).unwrap_or(""))
        .map(|l| format!("{l}\n"))
        .collect();
    std::fs::write(&file, shown).unwrap();
    let done = home.run(&["config", "show"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("models.aliases.default"), "{}", done.out);
    assert_eq!(home.run(&["config", "init"]).code, 2);
}

fn is_toml(line: &str) -> bool {
    line.starts_with('[')
        || line.split_once(" = ").is_some_and(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '-'))
}

#[test]
fn the_schema_is_json_and_names_the_keys() {
    let schema = Home::new().run(&["config", "schema"]).json();
    assert!(schema["properties"]["models"].is_object());
    assert!(schema["properties"]["output"].is_object());
}

#[test]
fn grants_belong_to_skills_that_are_there() {
    let home = Home::new();
    for args in [&["grant", "nosuch", "kv"][..], &["revoke", "nosuch"], &["remove", "nosuch"], &["run", "nosuch"]] {
        let done = home.run(args);
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{args:?}");
        assert!(
            done.err.starts_with("error[not-found]: no skill named `nosuch` is installed\n  help: "),
            "{}",
            done.err
        );
    }
    // A file needs no installation; a grant that could never match is refused.
    home.write("work/a.wasm", "");
    let done = home.run(&["grant", "a.wasm", "model=defualt"]);
    assert_eq!(done.code, 2);
    assert!(done.err.contains("did you mean `default`?"), "{}", done.err);
    assert_eq!(home.run(&["grant", "a.wasm", "model=default"]).code, 0);
    // What is granted can be taken back after the file has gone.
    std::fs::remove_file(home.path("work/a.wasm")).unwrap();
    let done = home.run(&["revoke", "a.wasm"]);
    assert_eq!((done.code, done.out.as_str()), (0, "a.wasm has been granted nothing\n"), "{done:?}");
}

#[test]
fn doctor_warns_of_keys_in_the_clear() {
    let home = Home::new();
    let of = |base: &str| {
        let mut command = home.command(&["doctor", "--format", "json"]);
        command.env("OPENAI_API_KEY", "sk-CANARY").env("OPENAI_BASE_URL", base);
        Done::of(command.output().unwrap())
    };
    let done = of("http://llm.example/v1");
    assert!(done.out.contains("unencrypted to http://llm.example/v1"), "{done:?}");
    assert!(!format!("{done:?}").contains("CANARY"));
    for base in ["http://127.0.0.1:9/v1", "https://llm.example/v1"] {
        assert!(!of(base).out.contains("unencrypted"), "{base}");
    }
}

#[test]
fn new_makes_a_whole_project_or_nothing() {
    let home = Home::new();
    let done = home.run(&["new", "my-skill"]);
    assert_eq!(done.code, 0, "{done:?}");
    let made = home.path("work/my-skill");
    let manifest = std::fs::read_to_string(made.join("skill.toml")).unwrap();
    assert!(manifest.contains("name = \"my-skill\""), "{manifest}");
    for part in ["Cargo.toml", ".ringfence/sdk/rust/Cargo.toml", ".ringfence/wit/world.wit"] {
        assert!(made.join(part).is_file(), "{part}");
    }
    assert!(!placeholders(&made), "no placeholder is left");
    // The unpacked SDK is a workspace of its own; cargo must not take it for a part of the skill's.
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--no-deps", "--format-version=1"])
        .current_dir(&made)
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    assert!(done.out.contains("ringfence run ./my-skill"), "{}", done.out);

    let again = home.run(&["new", "my-skill"]);
    assert_eq!(again.code, 2);
    assert!(again.err.starts_with("error[already-exists]"), "{}", again.err);
    assert_eq!(home.run(&["new", "../evil"]).code, 2);
    let left: Vec<_> = std::fs::read_dir(home.path("work")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["my-skill"]);
}

/// Whether a file of the project itself still holds `{{...}}`.
fn placeholders(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return !path.ends_with(".ringfence") && placeholders(&path);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        ["{{name}}", "{{sdk}}", "{{description}}"].iter().any(|word| text.contains(word))
    })
}
