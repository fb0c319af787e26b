//! The sandbox: one wasmtime engine for the whole host, and everything that decides how guests run in it.
//!
//! Deliberately absent: what a guest may do. An instance holds nothing but what the linker gives it, and everything there goes
//! through the broker.

pub(crate) mod artefact;
pub(crate) mod compile;
pub(crate) mod config;
pub(crate) mod confine;
mod depth;
pub(crate) mod epoch;
pub(crate) mod guest;
pub(crate) mod habit;
pub(crate) mod limits;
pub(crate) mod linker;
pub(crate) mod names;
pub(crate) mod precheck;
pub(crate) mod privileges;
mod quarantine;
pub(crate) mod schedule;
pub(crate) mod settings;
pub(crate) mod shares;
pub(crate) mod slots;
pub(crate) mod wasi;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::component::Linker;

pub use compile::{Spent, WorkerCommand, worker_main};
pub use confine::Confinement;
pub use privileges::{Listening, Privileges, give_up_privileges};
pub use settings::{Allocator, EngineSettings, LimitSettings, Limits};

use crate::error::Explain;
use crate::sync::Instant;
use artefact::Cached;
use guest::Guest;
pub(crate) use names::names;
use quarantine::Quarantine;

/// Everything that runs guests. One per host: artefacts and instances of two engines must never mix.
pub(crate) struct Engine {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) scheduler: schedule::Scheduler,
    pub(crate) slots: slots::Slots,
    pub(crate) choice: Choice,
    linker: Linker<Guest>,
    artefacts: artefact::Artefacts,
    worker: WorkerCommand,
    quarantine: Quarantine,
    settings: EngineSettings,
    pub(crate) ticker: epoch::Ticker,
}

/// What was found out about this machine at start, for `doctor`.
#[derive(Clone, Debug)]
pub struct Choice {
    pub pooling: bool,
    /// Why the pool is not used, where it was asked for.
    pub reason: Option<String>,
    pub copy_on_write: bool,
    pub pagemap_scan: bool,
}

impl Engine {
    /// `gives_way` is run on each thread that the system runs only where nobody else wants to.
    pub(crate) fn start(
        settings: EngineSettings,
        worker: WorkerCommand,
        cache_dir: &Path,
        key_file: &Path,
        gives_way: fn(),
    ) -> Result<Self, EngineError> {
        let (wasmtime, choice) = choose(&settings)?;
        let failed = |error: std::io::Error| EngineError::Start(error.to_string());
        let artefacts = artefact::Artefacts::open(cache_dir.join("artefacts"), key_file, &wasmtime)
            .map_err(|error| EngineError::Cache { path: cache_dir.to_owned(), reason: error.to_string() })?;
        Ok(Self {
            linker: linker::link(&wasmtime).map_err(|error| EngineError::Start(format!("{error:#}")))?,
            scheduler: schedule::Scheduler::start(gives_way).map_err(failed)?,
            slots: slots::Slots::new(settings.concurrent, settings.queue),
            ticker: epoch::Ticker::start(&wasmtime).map_err(failed)?,
            wasmtime,
            choice,
            artefacts,
            worker,
            quarantine: Quarantine::default(),
            settings,
        })
    }

    /// Checks, compiles where no artefact is cached, and links. `notice` is told before a compilation begins. Every load comes through
    /// here, so what came to a limit of the compiler is known here (`quarantine.rs`).
    pub(crate) async fn load(&self, bytes: &[u8], notice: impl FnOnce()) -> Result<Loaded, LoadError> {
        let limit = u64::from(self.settings.component_mib) << 20;
        if bytes.len() as u64 > limit {
            return Err(LoadError::TooLarge { limit });
        }
        let digest = digest(bytes);
        let rejected = match self.artefacts.load(&self.wasmtime, &digest) {
            Cached::Ours(component) => {
                let pre = linker::prepare(&self.wasmtime, &self.linker, &component)?;
                return Ok(Loaded { pre, rejected: None });
            }
            Cached::Nothing => None,
            Cached::Rejected(why) => Some(why),
        };
        if let Some(spent) = self.quarantine.find(&digest, &self.settings, Instant::now()) {
            return Err(LoadError::Spent { spent, known: true });
        }
        precheck::check(bytes)?;
        notice();
        Ok(Loaded { pre: self.compile(bytes, &digest).await?, rejected })
    }

    async fn compile(&self, bytes: &[u8], digest: &str) -> Result<linker::Pre, LoadError> {
        let compiled = compile::compile(&self.worker, bytes, &self.settings).await;
        if let Err(LoadError::Spent { spent, .. }) = &compiled {
            self.quarantine.hold(digest, *spent, Instant::now());
        }
        let artefact = compiled?;
        // Only what loads, can be linked and offers what the component does is signed.
        let component = self.artefacts.load_fresh(&self.wasmtime, &artefact)?;
        let made: BTreeSet<String> =
            component.component_type().exports(&self.wasmtime).map(|(name, _)| name.to_owned()).collect();
        if made != names(bytes).1.into_iter().collect() {
            return Err(LoadError::Worker("what it made is another component".into()));
        }
        let pre = linker::prepare(&self.wasmtime, &self.linker, &component)?;
        if let Err(error) = self.artefacts.store(digest, &artefact) {
            tracing::warn!(%error, "the compiled artefact could not be kept; the next start compiles again");
        }
        Ok(pre)
    }

    /// What holds the process that compiles, as it says itself. Starts one, which takes a few milliseconds.
    pub(crate) fn confinement(&self) -> Result<Confinement, String> {
        compile::confinement(&self.worker)
    }

    /// Compiles the smallest component and forgets it: whether it could be done at all.
    pub(crate) async fn try_compiling(&self) -> Result<(), LoadError> {
        const SMALLEST: &[u8] = b"\0asm\x0d\0\x01\0";
        compile::compile(&self.worker, SMALLEST, &self.settings).await.map(drop)
    }

    pub(crate) fn settings(&self) -> &EngineSettings {
        &self.settings
    }
}

/// A component that is ready to be called.
pub(crate) struct Loaded {
    pub(crate) pre: linker::Pre,
    /// Why the artefact that lay in the cache was not believed, where that was so.
    pub(crate) rejected: Option<String>,
}

/// `sha256:` and 64 hexadecimal digits, as in OCI.
pub fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes).iter().fold(String::from("sha256:"), |mut text, byte| {
        // Writing to a string cannot fail.
        let _: std::fmt::Result = write!(text, "{byte:02x}");
        text
    })
}

/// The pool where this machine lets us reserve it, fresh mappings otherwise.
fn choose(settings: &EngineSettings) -> Result<(wasmtime::Engine, Choice), EngineError> {
    let pagemap_scan = wasmtime::PoolingAllocationConfig::is_pagemap_scan_available();
    let on_demand = |reason| {
        let engine =
            wasmtime::Engine::new(&config::on_demand()).map_err(|error| EngineError::Start(format!("{error:#}")))?;
        Ok((engine, Choice { pooling: false, reason, copy_on_write: cfg!(target_os = "linux"), pagemap_scan: false }))
    };
    if settings.allocator == Allocator::OnDemand {
        return on_demand(None);
    }
    let slots = settings.concurrent.saturating_add(slots::KEPT_BACK);
    match wasmtime::Engine::new(&config::pooling(slots, pagemap_scan)) {
        Ok(engine) => {
            Ok((engine, Choice { pooling: true, reason: None, copy_on_write: cfg!(target_os = "linux"), pagemap_scan }))
        }
        Err(error) if settings.allocator == Allocator::Auto => on_demand(Some(format!("{error:#}"))),
        Err(error) => Err(EngineError::Start(format!("{error:#}"))),
    }
}

/// Why a component was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("this is not a component that can be run: {0}")]
    Invalid(String),
    /// A file is read no further than to see that it is too long.
    #[error("the component is longer than the {limit} bytes that one may have")]
    TooLarge { limit: u64 },
    #[error("the component would be too expensive to compile: {0}")]
    CompileLimit(String),
    /// `known`: when it was tried before, and not this time.
    #[error("the component would be too expensive to compile: {spent}")]
    Spent { spent: Spent, known: bool },
    #[error("the component needs more than an instance may have: {reason}")]
    DoesNotFit { kind: &'static str, reason: String },
    #[error("its list of tools cannot be used: {0}")]
    Tools(String),
    #[error("the process that compiles failed: {0}")]
    Worker(String),
    #[error("the component imports `{name}`, which this host does not have{detail}")]
    UnsupportedImport { name: String, detail: String },
    #[error("the component does not export `{0}`, so it is not a skill")]
    MissingExport(String),
    #[error("the component exports no function that can be a tool: {0}")]
    NoTools(String),
    #[error("the component was made for `{found}`, and this host has `{served}`")]
    WitVersion { found: String, served: String },
}

impl Explain for LoadError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Invalid(_) | Self::Tools(_) => "invalid-component",
            Self::TooLarge { .. } => "too-large",
            Self::CompileLimit(_) | Self::Spent { .. } => "compile-limit",
            Self::DoesNotFit { kind, .. } => kind,
            Self::Worker(_) => "host-fault",
            Self::UnsupportedImport { .. } => "unsupported-import",
            Self::MissingExport(_) | Self::NoTools(_) => "missing-export",
            Self::WitVersion { .. } => "wit-version",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Invalid(_) => "build the skill again with `ringfence build`, or get a whole copy of the file".into(),
            Self::Tools(_) => "correct the tool in the skill's source, and build it again".into(),
            Self::TooLarge { .. } => {
                "make it smaller (release build, stripped), or raise `engine.component-mib`".into()
            }
            Self::CompileLimit(_) | Self::Spent { known: false, .. } => CHEAPER.into(),
            Self::Spent { spent: Spent::Seconds(_), known: true } => format!(
                "{CHEAPER}; the host that found this out tries the same file again {} minutes later, and a new one at once",
                quarantine::PAUSE.as_secs() / 60
            ),
            Self::Spent { spent: Spent::Mib(_), known: true } => {
                format!("{CHEAPER}; the host that found this out does not try the same file again, and a new one does")
            }
            Self::DoesNotFit { .. } => {
                "make its tables and memories begin smaller, or set `engine.allocator = \"on-demand\"` if you trust it"
                    .into()
            }
            Self::Worker(_) => "try again; `ringfence doctor` says whether compiling works here".into(),
            Self::UnsupportedImport { .. } => {
                "a skill imports `ringfence:skill` and WASI 0.2 without http; build it with the SDK".into()
            }
            Self::MissingExport(_) => "build it with the SDK: its attribute makes the export".into(),
            Self::NoTools(_) => "export a function whose types are values, or build a skill with the SDK".into(),
            Self::WitVersion { .. } => "build the skill again with this host's SDK (`ringfence build`)".into(),
        }
    }
}

/// What to do about a component that is too expensive to compile.
const CHEAPER: &str =
    "split the large function, or raise `engine.compile-seconds` and `engine.compile-mib` if you trust it";

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the sandbox did not start: {0}")]
    Start(String),
    #[error("the cache directory {} cannot be used: {reason}", path.display())]
    Cache { path: PathBuf, reason: String },
}

impl Explain for EngineError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Start(_) => "host-fault",
            Self::Cache { .. } => "state-unwritable",
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Start(_) => "set `engine.allocator = \"on-demand\"`, and see `ringfence doctor`".into(),
            Self::Cache { .. } => "give another one with `--cache-dir`, or make it writable".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An engine whose worker does what a line of shell says, and how often it was started.
    struct Scarce {
        engine: Engine,
        starts: PathBuf,
    }

    impl Scarce {
        fn new(dir: &Path, deed: &str) -> Self {
            let starts = dir.join("starts");
            let script = format!("echo started >>'{}'; {deed}", starts.display());
            let worker = WorkerCommand { program: "/bin/sh".into(), args: vec!["-c".into(), script.into()] };
            let settings = EngineSettings {
                allocator: Allocator::OnDemand,
                concurrent: 1,
                compile_seconds: 1,
                compile_mib: 64,
                ..EngineSettings::default()
            };
            let engine = Engine::start(settings, worker, &dir.join("cache"), &dir.join("key"), || {}).unwrap();
            Self { engine, starts }
        }

        async fn refuses(&self, bytes: &[u8]) -> LoadError {
            self.engine.load(bytes, || {}).await.err().unwrap()
        }

        fn starts(&self) -> usize {
            std::fs::read_to_string(&self.starts).unwrap().lines().count()
        }
    }

    const BOMB: &[u8] = b"\0asm\x0d\0\x01\0";
    /// Another one: there is a section in it that means nothing.
    const OTHER: &[u8] = b"\0asm\x0d\0\x01\0\0\x02\x01x";

    #[tokio::test]
    async fn t05_what_came_to_a_limit_is_refused_the_next_time_without_a_worker() {
        for (deed, spent, until) in [
            ("exec sleep 3600", Spent::Seconds(1), "10 minutes later"),
            (
                "echo 'memory allocation of 9 bytes failed' >&2; exit 1",
                Spent::Mib(64),
                "does not try the same file again",
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let host = Scarce::new(dir.path(), deed);
            let first = host.refuses(BOMB).await;
            assert!(matches!(first, LoadError::Spent { spent: is, known: false } if is == spent), "{first:?}");
            for _ in 0..10 {
                let notice = || panic!("nothing is compiled");
                let again = host.engine.load(BOMB, notice).await.err().unwrap();
                assert_eq!((again.kind(), again.to_string()), (first.kind(), first.to_string()));
                assert!(again.hint().starts_with(&first.hint()) && again.hint().contains(until), "{}", again.hint());
            }
            assert_eq!(host.starts(), 1, "{deed}");
            // It is about those bytes and about no others.
            assert!(matches!(host.refuses(OTHER).await, LoadError::Spent { known: false, .. }));
            assert_eq!(host.starts(), 2, "{deed}");
        }
    }

    #[tokio::test]
    async fn t05_whether_it_is_valid_is_for_the_worker_to_find_out() {
        let dir = tempfile::tempdir().unwrap();
        let host = Scarce::new(dir.path(), "exit 70");
        for (starts, invalid) in [
            (1, "(component (core module (func (result i32))))"),
            (2, r#"(component (import "f" (func $f)) (import "f" (func)))"#),
        ] {
            let error = host.refuses(&wat::parse_str(invalid).unwrap()).await;
            assert!(matches!(error, LoadError::Worker(_)), "the host has looked itself: {error:?}");
            assert_eq!(host.starts(), starts);
        }
    }

    #[tokio::test]
    async fn what_failed_otherwise_is_tried_again() {
        for deed in ["exit 70", "kill -9 $$", "echo not this >&2; exit 65", "true"] {
            let dir = tempfile::tempdir().unwrap();
            let host = Scarce::new(dir.path(), deed);
            for starts in 1..=3 {
                let error = host.refuses(BOMB).await;
                assert!(matches!(error, LoadError::Worker(_) | LoadError::Invalid(_)), "{deed}: {error:?}");
                assert_eq!(host.starts(), starts, "{deed}");
            }
        }
    }
}
