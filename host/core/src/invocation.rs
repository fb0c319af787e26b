//! One invocation, from start to outcome. `run` reads as the walk in ARCHITECTURE.md.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::broker::Session;
use crate::budget::{self, Amount};
use crate::capability::Services;
use crate::catalog::tool::{CallError, Callable};
use crate::catalog::{Generation, SkillRef};
use crate::engine::linker::exports;
use crate::engine::schedule::Stopped;
use crate::engine::{Engine, LimitSettings, Limits, guest, limits};
use crate::error::{Error, Explain, Refusal};
use crate::events::Event;
use crate::events::Sink;
use crate::host::Shared;
use crate::journal::{Ending, Run};
use crate::policy::{self, Grants};
use crate::schema;

/// Characters of a trap's text that are told.
const TRAP_TEXT: usize = 300;

/// Who asked. Different callers may be granted different things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caller {
    /// A person at the command line.
    #[default]
    User,
    /// A program, through HTTP or MCP.
    Client,
    /// A model, in a tool loop.
    Model,
    /// Another skill.
    Skill,
}

impl Caller {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Client => "client",
            Self::Model => "model",
            Self::Skill => "skill",
        }
    }
}

/// What a face asks of the host.
#[derive(Debug)]
pub struct Call {
    pub skill: SkillRef,
    /// None means the only tool.
    pub tool: Option<String>,
    /// JSON text of an object.
    pub input: String,
    pub caller: Caller,
    /// Granted for this call only, on top of what is stored. Only a person's face may set this.
    pub allow: Grants,
    /// Where progress, partial output and log lines go while it runs.
    pub events: Option<mpsc::Sender<Event>>,
    pub cancel: CancellationToken,
    /// BCP 47.
    pub locale: Option<String>,
    /// On top of the skill's limits and budget.
    pub limits: LimitSettings,
    pub budget: budget::Limits,
}

impl Call {
    /// A call with nothing unusual about it.
    #[must_use]
    pub fn new(skill: SkillRef, input: impl Into<String>) -> Self {
        Self {
            skill,
            tool: None,
            input: input.into(),
            caller: Caller::User,
            allow: Grants::default(),
            events: None,
            cancel: CancellationToken::new(),
            locale: None,
            limits: LimitSettings::default(),
            budget: budget::Limits::default(),
        }
    }
}

/// What a call gave.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    pub content: Vec<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub structured: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Content {
    Text { text: String },
    Image(Media),
    Audio(Media),
    Link(Link),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Media {
    pub media_type: String,
    /// Base64 where it is serialised.
    #[serde(serialize_with = "base64_text")]
    pub data: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Link {
    pub uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
}

fn base64_text<S: serde::Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    use base64::Engine;
    serializer.serialize_str(&base64::engine::general_purpose::STANDARD.encode(data))
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Timings {
    /// Waiting for a slot.
    pub queued_us: u64,
    /// Making the instance.
    pub instantiate_us: u64,
    /// In the guest and in what it called.
    pub run_us: u64,
}

/// A call that gave an outcome, and what it took.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finished {
    pub invocation: String,
    pub outcome: Outcome,
    pub usage: Amount,
    pub timings: Timings,
    /// The model that answered last, as `provider/model`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Most bytes of memory and tables that the guest had at once.
    pub memory_peak: u64,
    /// Lines of the guest's log that were over the cap.
    pub dropped_log_lines: u64,
    /// Whether partial output was sent as events.
    pub streamed: bool,
}

/// Runs one call.
pub(crate) async fn run(host: &Shared, call: Call) -> Result<Finished, Error> {
    let generation = call.skill.current();
    let callable = generation.tool(call.tool.as_deref())?;
    let settings = host.skill_settings(call.skill.identity(), &generation.manifest.name);
    let limits = call.limits.over(settings.limits).over(host.settings.limits).resolve();
    check_input(callable, &call.input, &limits)?;

    let id = uuid::Uuid::now_v7().to_string();
    let identity = call.skill.identity();
    let grants = policy::effective(&generation.manifest.permissions, &[&*host.grants.of(identity), &call.allow]);
    let mut budgets = settings.budget.over(host.settings.budget);
    budgets.invocation = call.budget.over(budgets.invocation);
    let ledger = host.treasury.ledger(identity, &id, &budgets);
    let started = Instant::now();
    // What is left of a budget of time ends the call like its own limit does.
    let limits = match ledger.time_left()? {
        Some(left) => Limits { wall: limits.wall.min(left), ..limits },
        None => limits,
    };
    let deadline = tokio::time::Instant::from_std(started) + limits.wall;
    host.journal.started(Run {
        invocation: id.clone(),
        skill: identity.to_owned(),
        tool: callable.tool.name.clone(),
        digest: generation.digest.clone(),
        caller: call.caller.as_str().to_owned(),
        at: jiff::Timestamp::now(),
    });

    let session = Session::new(
        identity.to_owned(),
        id.clone(),
        grants,
        ledger.clone(),
        deadline,
        call.cancel.clone(),
        host.io.clone(),
    );
    let sink = Arc::new(Sink::new(call.events.clone(), deadline));
    let services = Services {
        session: session.clone(),
        sink: Arc::clone(&sink),
        settings: Arc::clone(&generation.settings),
        kv: Arc::clone(&host.kv),
        models: Arc::clone(&host.models),
        money_limited: budgets.limits_money(),
    };
    let mut timings = Timings::default();
    let result = async {
        let engine = host.engine()?;
        let _slot = slot(engine, deadline, &call.cancel).await?;
        timings.queued_us = micros(started.elapsed());
        let context = exports::Context {
            invocation: id.clone(),
            caller: call.caller.into(),
            deadline_ms: u64::try_from(limits.wall.as_millis()).unwrap_or(u64::MAX),
            locale: call.locale.clone(),
        };
        let job =
            Job { generation: Arc::clone(&generation), tool: callable.tool.name.clone(), input: call.input, context };
        let (raw, measured) = in_sandbox(host, engine, services, &limits, deadline, &call.cancel, job).await?;
        timings.instantiate_us = measured.instantiate_us;
        timings.run_us = measured.run_us;
        let outcome = check_outcome(callable, raw, &limits)?;
        Ok::<_, Error>((outcome, measured.memory_peak))
    }
    .await;

    ledger.close(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
    let usage = ledger.spent();
    host.journal.finished(
        &id,
        Ending {
            kind: result.as_ref().map_or_else(Error::kind, |_| "ok").to_owned(),
            message: result.as_ref().err().map(ToString::to_string).unwrap_or_default(),
            usage,
            log_dropped: sink.dropped().lines,
            at: jiff::Timestamp::now(),
        },
    );
    let (outcome, memory_peak) = result?;
    Ok(Finished {
        invocation: id,
        outcome,
        usage,
        timings,
        model: session.answered_by(),
        memory_peak: memory_peak as u64,
        dropped_log_lines: sink.dropped().lines,
        streamed: sink.has_streamed(),
    })
}

fn check_input(callable: &Callable, input: &str, limits: &Limits) -> Result<(), CallError> {
    if input.len() > limits.input_bytes {
        return Err(CallError::InputTooLarge { actual: input.len(), limit: limits.input_bytes });
    }
    let value = schema::parse(input).map_err(|error| CallError::InvalidInput(error.to_string()))?;
    schema::check(&callable.input, &value).map_err(|wrong| CallError::InvalidInput(schema::render(&wrong)))
}

async fn slot<'a>(
    engine: &'a Engine,
    deadline: tokio::time::Instant,
    cancel: &CancellationToken,
) -> Result<tokio::sync::SemaphorePermit<'a>, InvokeError> {
    if let Ok(slot) = engine.slots.try_acquire() {
        return Ok(slot);
    }
    tokio::select! {
        slot = engine.slots.acquire() => slot.map_err(|_| InvokeError::HostFault),
        () = cancel.cancelled() => Err(InvokeError::Cancelled),
        () = tokio::time::sleep_until(deadline) => Err(InvokeError::Busy),
    }
}

/// What the guest's task needs to own.
struct Job {
    generation: Arc<Generation>,
    tool: String,
    input: String,
    context: exports::Context,
}

#[derive(Clone, Copy, Default)]
struct Measured {
    instantiate_us: u64,
    run_us: u64,
    memory_peak: usize,
}

/// Runs the guest, and turns every way in which it can end into a value. The store is gone when this returns.
async fn in_sandbox(
    host: &Shared,
    engine: &Engine,
    services: Services,
    limits: &Limits,
    deadline: tokio::time::Instant,
    cancel: &CancellationToken,
    job: Job,
) -> Result<(RawOutcome, Measured), InvokeError> {
    let mut store = guest::store(&engine.wasmtime, services, Arc::clone(&host.sources), limits);
    let cancel = cancel.clone();
    let wall = limits.wall;
    let hostcall_bytes = limits.hostcall_bytes;
    let guest = async move {
        let work = async {
            let begun = Instant::now();
            let instance = job.generation.pre.instantiate_async(&mut store).await?;
            let instantiated = Instant::now();
            store.data().services.session.begin();
            let called =
                instance.ringfence_skill_skill().call_call(&mut store, &job.tool, &job.input, &job.context).await?;
            Ok::<_, wasmtime::Error>((called, begun, instantiated))
        };
        let worked = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(InvokeError::Cancelled),
            worked = work => worked,
            () = tokio::time::sleep_until(deadline) => return Err(InvokeError::Deadline(wall)),
        };
        // A host call may have taken the time that the guest no longer had.
        if tokio::time::Instant::now() > deadline {
            return Err(InvokeError::Deadline(wall));
        }
        let (called, begun, instantiated) =
            worked.map_err(|error| explain(&error, &store.data().limiter, hostcall_bytes))?;
        let measured = Measured {
            instantiate_us: micros(instantiated - begun),
            run_us: micros(instantiated.elapsed()),
            memory_peak: store.data().limiter.peak(),
        };
        called.map(|raw| (raw, measured)).map_err(InvokeError::from)
    };
    match engine.scheduler.run(limits.cpu, guest).await {
        Ok(done) => done,
        Err(Stopped::CpuLimit) => Err(InvokeError::CpuLimit(limits.cpu)),
        Err(Stopped::Panicked) => Err(InvokeError::HostFault),
    }
}

type RawOutcome = exports::Outcome;

fn check_outcome(callable: &Callable, raw: RawOutcome, limits: &Limits) -> Result<Outcome, CallError> {
    let tool = || callable.tool.name.clone();
    let content: Vec<Content> = raw.content.into_iter().map(Content::from).collect();
    let bytes = content.iter().map(Content::bytes).sum::<usize>() + raw.structured.as_ref().map_or(0, String::len);
    if bytes > limits.output_bytes {
        return Err(CallError::OutputTooLarge { tool: tool(), actual: bytes, limit: limits.output_bytes });
    }
    let invalid = |reason: String| CallError::InvalidOutput { tool: tool(), reason };
    let structured =
        raw.structured.map(|text| schema::parse(&text).map_err(|error| invalid(error.to_string()))).transpose()?;
    if let Some(validator) = &callable.output {
        match &structured {
            Some(value) => schema::check(validator, value).map_err(|wrong| invalid(schema::render(&wrong)))?,
            None => return Err(invalid("it has an output schema and gave no structured outcome".into())),
        }
    }
    Ok(Outcome { content, structured })
}

/// Asks a component that was not packaged for its tools: no grants, a few seconds, and nothing is recorded.
pub(crate) async fn ask_tools(
    host: &Shared,
    pre: &crate::engine::linker::Pre,
) -> Result<Vec<crate::catalog::tool::Tool>, Error> {
    let limits = LimitSettings { wall_seconds: Some(10), cpu_seconds: Some(5), ..LimitSettings::default() }.resolve();
    let deadline = tokio::time::Instant::now() + limits.wall;
    let session = Session::new(
        String::new(),
        "packaging".into(),
        Grants::default(),
        host.treasury.ledger("", "packaging", &budget::Budgets::default()),
        deadline,
        CancellationToken::new(),
        host.io.clone(),
    );
    let services = Services {
        session,
        sink: Arc::new(Sink::new(None, deadline)),
        settings: Arc::default(),
        kv: Arc::clone(&host.kv),
        models: Arc::clone(&host.models),
        money_limited: false,
    };
    let engine = host.engine()?;
    let mut store = guest::store(&engine.wasmtime, services, Arc::clone(&host.sources), &limits);
    let (pre, hostcall_bytes, wall) = (pre.clone(), limits.hostcall_bytes, limits.wall);
    let guest = async move {
        let work = async {
            let instance = pre.instantiate_async(&mut store).await?;
            store.data().services.session.begin();
            instance.ringfence_skill_skill().call_tools(&mut store).await
        };
        let worked = tokio::time::timeout_at(deadline, work).await.map_err(|_| InvokeError::Deadline(wall))?;
        worked.map_err(|error| explain(&error, &store.data().limiter, hostcall_bytes))
    };
    let tools = match engine.scheduler.run(limits.cpu, guest).await {
        Ok(done) => done?,
        Err(Stopped::CpuLimit) => return Err(InvokeError::CpuLimit(limits.cpu).into()),
        Err(Stopped::Panicked) => return Err(InvokeError::HostFault.into()),
    };
    tools.into_iter().map(|tool| Ok(tool.try_into()?)).collect()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Why an invocation gave no outcome.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvokeError {
    #[error("the skill ran longer than its {} s", .0.as_secs_f64())]
    Deadline(Duration),
    #[error("the skill used more than its {} s of processor time", .0.as_secs_f64())]
    CpuLimit(Duration),
    #[error("the skill wanted more than its {} MiB of memory", .0 >> 20)]
    MemoryLimit(usize),
    #[error("the skill wanted a table larger than its {} MiB of memory allow", .0 >> 20)]
    TableLimit(usize),
    #[error("the skill used up its stack: it calls itself too deeply")]
    StackOverflow,
    #[error("the skill opened more handles than it may")]
    HandleLimit,
    #[error("the skill passed more than {} KiB to the host in one call", .0 >> 10)]
    HostcallTooLarge(usize),
    #[error("the component's export `ringfence:skill/skill` has not the form that this host calls: {0}")]
    WrongExport(String),
    #[error("the skill crashed: {0}")]
    Trap(String),
    #[error("the call was cancelled")]
    Cancelled,
    #[error("no slot came free before the call's deadline")]
    Busy,
    #[error("the host failed while it ran the skill")]
    HostFault,
    /// The skill's own words.
    #[error("{message}")]
    Failed { kind: &'static str, message: String, hint: Option<String> },
}

impl Explain for InvokeError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Deadline(_) | Self::CpuLimit(_) => "deadline",
            Self::MemoryLimit(_) => "memory-limit",
            Self::TableLimit(_) => "table-limit",
            Self::StackOverflow => "stack-overflow",
            Self::HandleLimit => "handle-limit",
            Self::HostcallTooLarge(_) => "hostcall-too-large",
            Self::WrongExport(_) => "missing-export",
            Self::Trap(_) => "trap",
            Self::Cancelled => "cancelled",
            Self::Busy => "busy",
            Self::HostFault => "host-fault",
            Self::Failed { kind, .. } => kind,
        }
    }

    fn hint(&self) -> String {
        match self {
            Self::Deadline(_) => "give less work, or raise `limits.wall-seconds` (`--timeout` for one run)".into(),
            Self::CpuLimit(_) => "give less work, or raise `limits.cpu-seconds`".into(),
            Self::MemoryLimit(_) | Self::TableLimit(_) => "give less work, or raise `limits.memory-mib`".into(),
            Self::HandleLimit => "raise `limits.handles`, or tell the author".into(),
            Self::HostcallTooLarge(_) => "raise `limits.hostcall-kib`, or tell the author".into(),
            Self::StackOverflow | Self::Trap(_) => "tell the author; `-v` shows the skill's log".into(),
            Self::WrongExport(_) => "build it with the SDK: its attribute makes the export".into(),
            Self::Cancelled => "what was spent until then is settled; run it again when you like".into(),
            Self::Busy => "try again, or raise `engine.concurrent`".into(),
            Self::HostFault => "this is a bug of the host; its log says more".into(),
            Self::Failed { hint: Some(hint), .. } => hint.clone(),
            Self::Failed { kind: "unavailable", .. } => "`ringfence models` shows what answers now".into(),
            Self::Failed { .. } => "see the skill's README".into(),
        }
    }
}

/// What wasmtime's error means. Kinds come from types, never from texts.
fn explain(error: &wasmtime::Error, limiter: &limits::Limiter, hostcall_bytes: usize) -> InvokeError {
    use wasmtime::Trap;
    use wasmtime::component::ResourceTableError;
    if let Some(Refusal::Cancelled) = error.downcast_ref::<Refusal>() {
        return InvokeError::Cancelled;
    }
    if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
        return InvokeError::Busy;
    }
    if error.downcast_ref::<ResourceTableError>().is_some() {
        return InvokeError::HandleLimit;
    }
    if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
        return InvokeError::StackOverflow;
    }
    let text = format!("{error:#}");
    // These three have no type that can be named outside of wasmtime 48; tests hold the texts to it.
    if text.contains(HOSTCALL_FUEL) {
        return InvokeError::HostcallTooLarge(hostcall_bytes);
    }
    if text.contains("store handle limit exceeded") {
        return InvokeError::HandleLimit;
    }
    if let Some((_, form)) = text.split_once(WRONG_EXPORT) {
        return InvokeError::WrongExport(form.trim_start_matches(": ").chars().take(TRAP_TEXT).collect());
    }
    match limiter.refused() {
        Some(limits::Kind::Memory) => InvokeError::MemoryLimit(limiter.limit()),
        Some(limits::Kind::Table) => InvokeError::TableLimit(limiter.limit()),
        None => InvokeError::Trap(text.lines().next().unwrap_or_default().chars().take(TRAP_TEXT).collect()),
    }
}

const HOSTCALL_FUEL: &str = "too much data";
const WRONG_EXPORT: &str = "failed to convert function to given type";

impl From<exports::Failure> for InvokeError {
    fn from(failure: exports::Failure) -> Self {
        use exports::FailureKind as Kind;
        let kind = match failure.kind {
            Kind::InvalidInput => "invalid-input",
            Kind::UnknownTool => "unknown-tool",
            Kind::Refused => "refused",
            Kind::Unavailable => "unavailable",
            Kind::Failed => "failed",
        };
        Self::Failed { kind, message: failure.message, hint: failure.hint }
    }
}

impl From<Caller> for exports::Caller {
    fn from(caller: Caller) -> Self {
        match caller {
            Caller::User => Self::User,
            Caller::Client => Self::Client,
            Caller::Model => Self::Model,
            Caller::Skill => Self::Skill,
        }
    }
}

impl From<exports::Content> for Content {
    fn from(content: exports::Content) -> Self {
        match content {
            exports::Content::Text(text) => Self::Text { text },
            exports::Content::Image(media) => Self::Image(Media { media_type: media.media_type, data: media.data }),
            exports::Content::Audio(media) => Self::Audio(Media { media_type: media.media_type, data: media.data }),
            exports::Content::Link(link) => {
                Self::Link(Link { uri: link.uri, title: link.title, media_type: link.media_type })
            }
        }
    }
}

impl Content {
    fn bytes(&self) -> usize {
        match self {
            Self::Text { text } => text.len(),
            Self::Image(media) | Self::Audio(media) => media.data.len(),
            Self::Link(link) => link.uri.len() + link.title.as_ref().map_or(0, String::len),
        }
    }
}

impl TryFrom<exports::Tool> for crate::catalog::tool::Tool {
    type Error = crate::engine::LoadError;

    fn try_from(tool: exports::Tool) -> Result<Self, Self::Error> {
        use crate::engine::LoadError;
        let schema = |text: &str, which: &str| {
            schema::parse(text)
                .map_err(|error| LoadError::Invalid(format!("the {which} schema of `{}`: {error}", tool.name)))
        };
        let has = |hint| tool.hints.contains(hint);
        Ok(Self {
            input_schema: schema(&tool.input_schema, "input")?,
            output_schema: tool.output_schema.as_deref().map(|text| schema(text, "output")).transpose()?,
            hints: crate::catalog::tool::Hints {
                read_only: has(exports::ToolHints::READ_ONLY),
                destructive: has(exports::ToolHints::DESTRUCTIVE),
                idempotent: has(exports::ToolHints::IDEMPOTENT),
                open_world: has(exports::ToolHints::OPEN_WORLD),
            },
            title: tool.title,
            description: tool.description,
            name: tool.name,
        })
    }
}
