//! What this machine and this host are able to do, in findings that a person can act on.

mod repair;

use std::path::Path;

use secrecy::ExposeSecret as _;

use crate::capability::model::discover::{self, UNLISTED};
use crate::capability::model::{ModelError, Router};
use crate::engine::{Allocator, Engine, EngineError, privileges};
use crate::error::{Error, Explain as _};
use crate::host::{Finding, Health, HostConfig, Shared};
use crate::state::{Durability, State, StateError};

/// Examines a host that has started.
pub(crate) async fn examine(host: &Shared, engine: &Engine) -> Vec<Finding> {
    let mut findings = sandbox(engine).await;
    let state = state(host.state.path(), host.settings.load().durability);
    findings.extend([own(), state, secrets(host).await, cores()]);
    findings.extend(models(&host.models.load()));
    findings
}

impl HostConfig {
    /// What can be examined where no host starts, or none that can be asked: `error` says why, and is one of the findings.
    pub async fn doctor(&self, error: &Error) -> Vec<Finding> {
        let mut findings = match self.bare_engine() {
            Ok(engine) => sandbox(&engine).await,
            // The same twice says nothing more.
            Err(other) if other.to_string() == error.to_string() => Vec::new(),
            Err(other) => vec![problem(&other)],
        };
        findings.extend([own(), problem(error), cores()]);
        if error.of::<StateError>().is_none() {
            findings.push(self.state().await);
        }
        match self.router() {
            Ok(router) => findings.extend(models(&router)),
            Err(other) if other.to_string() == error.to_string() => {}
            Err(other) => findings.push(problem(&other)),
        }
        findings
    }

    /// Puts what can be read of a damaged state file into a new one. None where nothing is wrong with it. No host may have the state open.
    pub async fn repair(&self) -> Result<Option<repair::Repaired>, Error> {
        let folder = self.state_dir.clone();
        match tokio::task::spawn_blocking(move || repair::repair(&folder)).await {
            Ok(repaired) => Ok(repaired?),
            Err(_) => Err(crate::invocation::InvokeError::HostFault.into()),
        }
    }

    /// An engine that nothing is run on. Its key is one of the moment: the state, where the real one is, may be what is broken.
    fn bare_engine(&self) -> Result<Engine, Error> {
        let folder =
            tempfile::tempdir().map_err(|error| EngineError::Start(format!("no folder for its key: {error}")))?;
        let (settings, key) = (self.settings.engine.clone(), folder.path().join("artefact.key"));
        Ok(Engine::start(settings, self.worker.clone(), &self.cache_dir, &key, crate::state::hand_over)?)
    }

    async fn state(&self) -> Finding {
        let (folder, durability) = (self.state_dir.clone(), self.settings.durability);
        let open = move || State::open(&folder, durability, std::time::Duration::ZERO);
        match tokio::task::spawn_blocking(open).await {
            Ok(Ok(opened)) => state(opened.path(), durability),
            Ok(Err(error)) => problem(&error.into()),
            Err(_) => problem(&crate::invocation::InvokeError::HostFault.into()),
        }
    }

    fn router(&self) -> Result<Router, Error> {
        let env = |name: &str| self.secrets.get(name).map(|value| value.expose_secret().to_owned());
        let found = discover::discover(&env, None, &self.settings.models);
        let keys = discover::secrets(&env, &found.settings);
        Ok(Router::new(found.settings, &keys, found.hopeful)?)
    }
}

/// The engine, and how it compiles.
async fn sandbox(engine: &Engine) -> Vec<Finding> {
    vec![
        compiling(engine).await,
        allocator(engine),
        copy_on_write(engine),
        pages(engine),
        mappings(engine),
        compiler(engine),
    ]
}

/// What cannot be used, under the name of the check that would have praised it.
fn problem(error: &Error) -> Finding {
    let subject = match error.kind() {
        _ if error.of::<StateError>().is_some() => "state",
        _ if error.of::<EngineError>().is_some() => "sandbox",
        _ if error.of::<ModelError>().is_some() => "models",
        kind if kind.starts_with("secret") || kind.starts_with("keyring") => "secrets",
        kind if kind.starts_with("state") => "state",
        "config-invalid" => "configuration",
        _ => "host",
    };
    Finding { subject, state: Health::Problem, detail: error.to_string(), hint: Some(error.hint()) }
}

fn ok(subject: &'static str, detail: impl Into<String>) -> Finding {
    Finding { subject, state: Health::Ok, detail: detail.into(), hint: None }
}

fn note(subject: &'static str, detail: impl Into<String>, hint: impl Into<String>) -> Finding {
    Finding { subject, state: Health::Note, detail: detail.into(), hint: Some(hint.into()) }
}

/// Whether the process that compiles can be started, limited and heard.
async fn compiling(engine: &Engine) -> Finding {
    let (mib, seconds) = (engine.settings().compile_mib, engine.settings().compile_seconds);
    match engine.try_compiling().await {
        Ok(()) => ok("compiling", format!("in a process of its own, with {mib} MiB and {seconds} s at most")),
        Err(error) => Finding {
            subject: "compiling",
            state: Health::Problem,
            detail: error.to_string(),
            hint: Some(
                "this program must be able to start itself and to give that process its memory (`ulimit -v`)".into(),
            ),
        },
    }
}

fn allocator(engine: &Engine) -> Finding {
    let choice = &engine.choice;
    let slots = engine.settings().concurrent;
    if choice.pooling {
        return ok("instances", format!("from a pool of {slots} slots"));
    }
    match (&choice.reason, engine.settings().allocator) {
        (_, Allocator::OnDemand) => ok("instances", "mapped on demand, as configured"),
        (reason, _) => note(
            "instances",
            format!("mapped on demand, because the pool could not be reserved: {}", reason.as_deref().unwrap_or("?")),
            "calls start about three times as slowly; lower `engine.concurrent`, or raise the limit of address space (`ulimit -v`)",
        ),
    }
}

fn copy_on_write(engine: &Engine) -> Finding {
    if engine.choice.copy_on_write {
        ok("memory images", "shared between instances, copied on write")
    } else {
        note("memory images", "copied for each instance", "large skills start slowly on this system; Linux shares them")
    }
}

fn pages(engine: &Engine) -> Finding {
    let choice = &engine.choice;
    match (choice.pooling, choice.pagemap_scan) {
        (true, true) => ok("memory reset", "by scanning for changed pages"),
        (true, false) => note(
            "memory reset",
            "by clearing what is kept of each slot",
            "a Linux kernel of 6.7 or later resets memory faster",
        ),
        (false, _) => ok("memory reset", "by unmapping"),
    }
}

/// Mappings that one waiting invocation needs: its memory, its stack and their guards.
const MAPPINGS: u64 = 6;

fn mappings(engine: &Engine) -> Finding {
    let subject = "mappings";
    let Some(most) =
        std::fs::read_to_string("/proc/sys/vm/max_map_count").ok().and_then(|text| text.trim().parse::<u64>().ok())
    else {
        return ok(subject, "no limit known");
    };
    let enough = most / MAPPINGS;
    let slots = u64::from(engine.settings().concurrent);
    if enough >= slots {
        ok(subject, format!("{most}, enough for {slots} invocations at once"))
    } else {
        note(
            subject,
            format!("{most}, enough for about {enough} of {slots} invocations at once"),
            format!("raise it with `sysctl vm.max_map_count={}`", slots * MAPPINGS),
        )
    }
}

/// What holds the process that compiles strangers' components.
fn compiler(engine: &Engine) -> Finding {
    let subject = "confinement";
    let held = match engine.confinement() {
        Ok(held) => held,
        Err(reason) => {
            return Finding {
                subject,
                state: Health::Problem,
                detail: format!("of the process that compiles: it does not start: {reason}"),
                hint: Some("install the program again".into()),
            };
        }
    };
    let missing: Vec<&str> = [&held.landlock, &held.seccomp].into_iter().filter_map(Option::as_deref).collect();
    if missing.is_empty() {
        return ok(subject, "the process that compiles is held by landlock and seccomp");
    }
    let holds = match (&held.landlock, &held.seccomp) {
        (Some(_), None) => "held by seccomp",
        (None, Some(_)) => "held by landlock",
        _ => "held by limits of memory and time alone",
    };
    note(
        subject,
        format!("the process that compiles is {holds}: {}", missing.join("; ")),
        "a Linux kernel of 6.12 or later with landlock and seccomp holds it fully",
    )
}

/// What this process, and what it starts, gave up.
fn own() -> Finding {
    let subject = "privileges";
    let Some(held) = privileges::given_up() else {
        return note(subject, "this process gave up nothing", "its program has to ask for it when it starts");
    };
    let parts = [("seccomp", &held.seccomp), ("landlock", &held.landlock), ("capabilities", &held.capabilities)];
    let holds: Vec<&str> = parts.iter().filter(|(_, missing)| missing.is_none()).map(|(name, _)| *name).collect();
    let missing: Vec<&str> = parts.iter().filter_map(|(_, missing)| missing.as_deref()).collect();
    let given = match holds.as_slice() {
        [] => "nothing but new privileges".to_owned(),
        holds => format!("what it does not need, by {}", holds.join(", ")),
    };
    if missing.is_empty() {
        return ok(subject, format!("this process and what it starts gave up {given}"));
    }
    note(
        subject,
        format!("this process and what it starts gave up {given}: {}", missing.join("; ")),
        "a Linux kernel of 6.12 or later with landlock and seccomp takes all of it",
    )
}

fn state(path: &Path, durability: Durability) -> Finding {
    let durability = match durability {
        Durability::Normal => "survives a killed process",
        Durability::Full => "survives a power cut",
    };
    ok("state", format!("{} ({durability})", path.display()))
}

/// Where the key of the secrets is. Asks for it.
async fn secrets(host: &Shared) -> Finding {
    let subject = "secrets";
    let key = host.vault.key().await;
    let kept = host.vault.list().len();
    match (key.problem, key.made) {
        (None, true) => ok(subject, format!("{kept}, encrypted; the key is {}", key.place)),
        (None, false) => ok(subject, format!("none; with the first one the key is made {}", key.place)),
        (Some(error), _) => {
            // Where none is kept nothing is lost: the next one gets a key of its own.
            let state = if kept == 0 { Health::Note } else { Health::Problem };
            Finding { subject, state, detail: format!("{kept}: {error}"), hint: Some(error.hint()) }
        }
    }
}

/// Where models lead, and which keys travel in the clear. Asks nobody.
fn models(router: &Router) -> Vec<Finding> {
    let exposed = router.exposed().into_iter().map(|(provider, base)| exposed(&provider, &base));
    std::iter::once(default_model(router)).chain(exposed).collect()
}

/// What the alias that most skills name leads to.
fn default_model(router: &Router) -> Finding {
    let names: Vec<String> = router.resolve("default").iter().map(|candidate| candidate.name()).collect();
    if router.is_free("default") {
        // An Ollama is among them whether it runs or not.
        let others = router.providers().into_iter().filter(|name| !["ollama", "offline"].contains(&name.as_str()));
        let others: Vec<String> = others.map(|name| format!("`{name}`")).collect();
        return note(
            "models",
            format!("`default` is {}, which picks sentences and understands nothing", names.join(", ")),
            match others.is_empty() {
                true => "set OPENAI_API_KEY, ANTHROPIC_API_KEY or GEMINI_API_KEY, start Ollama, or write `models.aliases.default`"
                    .into(),
                false => format!("write a model of {} into `models.aliases.default`", others.join(" or ")),
            },
        );
    }
    if names == [UNLISTED] {
        return ok("models", "`default` is what the server of `openai` lists; `ringfence models` asks for it");
    }
    ok("models", format!("`default` is {}; `ringfence models` asks who answers", names.join(", then ")))
}

fn exposed(provider: &str, base: &str) -> Finding {
    note(
        "provider key",
        format!("the key of `{provider}` and all prompts go unencrypted to {base}"),
        "use an https:// address; http:// is for this machine only",
    )
}

fn cores() -> Finding {
    match std::thread::available_parallelism() {
        Ok(cores) if cores.get() > 1 => ok("processors", cores.to_string()),
        _ => note("processors", "one", "a skill that spins slows the others down; two are better"),
    }
}
