//! One invocation, from start to outcome. `walk` reads as the walk in ARCHITECTURE.md.

mod elsewhere;
mod error;
mod family;
mod id;
mod job;
mod nested;
mod outcome;
mod packaging;
mod record;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::broker::{Above, Session, Setup};
use crate::budget::{self, Amount};
use crate::capability::{Services, files, http, user};
use crate::catalog::{Runs, SkillRef};
use crate::engine::habit::Habit;
use crate::engine::linker::exports;
use crate::engine::schedule::Stopped;
use crate::engine::shares::{Share, nanos};
use crate::engine::slots::{Crowded, Place};
use crate::engine::{Engine, LimitSettings, Limits, epoch, guest};
use crate::error::Error;
use crate::events::{Event, Sink};
use crate::host::Shared;
use crate::journal::Run;
use crate::person::Person;
use crate::policy::{self, Grants};
use crate::trace;
use crate::unless::unless;
pub(crate) use error::InvokeError;
use error::explain;
use family::Family;
pub use id::InvocationId;
use job::{Given, Job};
use nested::Nested;
use outcome::Answer;
pub use outcome::{Content, Link, Media, Outcome};
pub(crate) use packaging::{ask_tools, instantiate};
use record::Begun;
pub use record::RunEnded;
pub(crate) use record::ending;

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
    /// Granted for this call only, on top of what is stored. A call by anybody but a user that sets it is refused.
    pub allow: Grants,
    /// Where progress, partial output and log lines go while it runs.
    pub events: Option<mpsc::Sender<Event>>,
    pub cancel: CancellationToken,
    /// Who can be asked while it runs. None where nobody is there.
    pub person: Option<Arc<dyn Person>>,
    /// BCP 47.
    pub locale: Option<String>,
    /// On top of the skill's limits and budget.
    pub limits: LimitSettings,
    pub budget: budget::Limits,
    /// Lowers the budget, whatever else says how large it is. It raises nothing.
    pub at_most: budget::Limits,
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
            person: None,
            locale: None,
            limits: LimitSettings::default(),
            budget: budget::Limits::default(),
            at_most: budget::Limits::default(),
        }
    }

    /// A call of this tool, with nothing else unusual about it. `input` is JSON text of an object.
    #[must_use]
    pub fn of(skill: SkillRef, tool: impl Into<String>, input: impl Into<String>) -> Self {
        Self { tool: Some(tool.into()), ..Self::new(skill, input) }
    }
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
    pub invocation: InvocationId,
    /// Of the file that answered: another version may serve by now.
    #[serde(serialize_with = "text")]
    pub digest: Arc<str>,
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

fn text<S: serde::Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

/// Runs one call.
pub(crate) async fn run(host: &Arc<Shared>, call: Call) -> Result<Finished, Error> {
    run_as(host, InvocationId::timed(), call).await
}

/// As [`run`], under an identifier that was told before.
pub(crate) async fn run_as(host: &Arc<Shared>, id: InvocationId, call: Call) -> Result<Finished, Error> {
    // In one piece of memory of its own: whoever awaits it by way of others would hold it several times over, as large as it is, and copy it
    // from one to the next.
    Box::pin(walk(host, id, call, None, None)).await
}

/// Runs one call that the model of an agent makes, inside of the agent's run: it spends of that one's budget, ends by its deadline, and
/// shares what it has touched. It has the skill's own rights: an agent is no skill, whose rights could be less.
pub(crate) async fn run_within(host: &Arc<Shared>, call: Call, run: &Session) -> Result<Finished, Error> {
    walk(host, InvocationId::timed(), call, None, Some(run)).await
}

/// What an invocation gives to those that it calls.
#[derive(Clone)]
struct Outer {
    session: Session,
    sink: Arc<Sink>,
    memory: Share,
    cpu: Share,
    asked: user::Asked,
    /// How many requests there still may be.
    http_gate: Arc<http::Gate>,
    /// Whether a budget of money holds.
    money_limited: bool,
    family: Arc<Family>,
    /// Of the act by which another skill is called. None is the invocation's own, which the session has: each copy of a span is a look-up for
    /// whoever listens.
    act: Option<tracing::Span>,
}

impl Outer {
    fn span(&self) -> &tracing::Span {
        self.act.as_ref().unwrap_or_else(|| self.session.span())
    }
}

/// Runs one call. `outer` is the invocation that makes it, where a skill does; `run` is that of an agent, where its model does.
async fn walk(
    host: &Arc<Shared>,
    id: InvocationId,
    call: Call,
    outer: Option<&Outer>,
    run: Option<&Session>,
) -> Result<Finished, Error> {
    // What both give: a ledger, a deadline, a place in the chain of callers, and what was touched so far.
    let around = outer.map(|outer| &outer.session).or(run);
    let engine = host.engine()?;
    // Before anything else: a host that has more to do than it can must be quick to say so.
    let depth = outer.map_or(0, |outer| outer.session.chain().len());
    let place = engine.slots.enter(depth).map_err(InvokeError::from)?;
    let generation = call.skill.current();
    let callable = generation.tool(call.tool.as_deref())?;
    let limits = call.limits.over(generation.configured.limits).resolve();
    let given = Given::new(callable, call.input, &limits)?;
    host.upgrade_state(call.skill.identity(), &generation).await?;

    let invocation = id;
    let id = invocation.shared();
    let identity = call.skill.shared_identity();
    if call.caller != Caller::User && call.allow != Grants::default() {
        let words = call.allow.words().join(" ");
        return Err(
            policy::Presumed { caller: call.caller.as_str(), skill: identity.as_ref().to_owned(), words }.into()
        );
    }
    let (requests, granted) = (&generation.manifest.permissions, host.grants.of(&identity));
    let own = match call.allow == Grants::default() {
        true => generation.rights.of(requests, granted),
        false => Arc::new(policy::effective(requests, &[&*granted, &call.allow])),
    };
    let (grants, above) = match outer {
        None => (own, None),
        Some(outer) => {
            (Arc::new(own.within(outer.session.grants())), Some(Above { session: outer.session.clone(), own }))
        }
    };
    let folders = host.disk.open(grants.files.as_ref()).await?;
    let mut budgets = generation.configured.budgets;
    budgets.invocation = call.budget.over(budgets.invocation).within(call.at_most);
    let ledger = match around {
        None => host.treasury.ledger(Arc::clone(&identity), Arc::clone(&id), &budgets),
        Some(around) => around.ledger().inner(Arc::clone(&id), budgets.invocation),
    };
    let started = ledger.began();
    // What is left of a budget of time ends the call like its own limit does.
    let limits = match ledger.time_left()? {
        Some(left) => Limits { wall: limits.wall.min(left), ..limits },
        None => limits,
    };
    let deadline = tokio::time::Instant::from_std(started) + limits.wall;
    let deadline = around.map_or(deadline, |around| deadline.min(around.deadline()));
    let open = host.journal.started(Run {
        invocation: Arc::clone(&id),
        skill: Arc::clone(&identity),
        tool: Arc::clone(&callable.name),
        digest: Arc::clone(&generation.digest),
        caller: call.caller.as_str(),
        parent: around.map(Session::shared_invocation),
        at: jiff::Timestamp::now(),
    });

    let (skill, tool) = (generation.manifest.name.as_str(), &*callable.name);
    let called = trace::Called { invocation: &id, skill, tool, caller: call.caller.as_str() };
    let span = trace::invocation(outer.map(Outer::span).or(run.map(Session::span)), &called);
    let mut callers = around.map(|around| around.chain().to_vec()).unwrap_or_default();
    callers.push(call.caller.as_str());
    let session = Session::new(Setup {
        skill: Arc::clone(&identity),
        invocation: Arc::clone(&id),
        callers,
        grants,
        ledger: ledger.clone(),
        deadline,
        cancel: call.cancel.clone(),
        taint: around.map(|around| Arc::clone(around.taint())).unwrap_or_default(),
        person: call.person.clone(),
        above,
        entered: false,
        span,
        shared: Arc::clone(&host.sessions),
    });
    let sink = Arc::new(match outer {
        None => Sink::new(call.events.clone(), &generation.manifest.name, deadline),
        Some(outer) => Sink::nested(Arc::clone(&outer.sink), &identity, deadline),
    });
    let (memory, cpu) = (limits.memory_bytes as u64, nanos(limits.cpu));
    let here = Arc::new(Outer {
        session: session.clone(),
        sink: Arc::clone(&sink),
        memory: outer.map_or_else(|| Share::new(memory), |outer| outer.memory.inner(memory)),
        cpu: outer.map_or_else(|| Share::new(cpu), |outer| outer.cpu.inner(cpu)),
        asked: outer.map(|outer| outer.asked.clone()).unwrap_or_default(),
        money_limited: budgets.limits_money() || around.is_some_and(|around| around.ledger().limits_money()),
        family: outer.map_or_else(|| Arc::new(Family::of(Arc::clone(&id))), |outer| Arc::clone(&outer.family)),
        http_gate: outer.map_or_else(|| Arc::new(host.http.gate()), |outer| Arc::clone(&outer.http_gate)),
        act: None,
    });
    let services = services(
        host,
        &here,
        Arc::clone(&generation.settings),
        generation.manifest.state_version(),
        folders,
        call.locale.clone(),
    );
    let begun = Begun::new(host, &here, &callable.name, open, started);
    let mut timings = Timings::default();
    let result = async {
        ticking(engine, started).await?;
        let _slot = slot(place, deadline, &call.cancel).await?;
        let begun = Instant::now();
        timings.queued_us = micros(begun - started);
        let left = deadline.into_std().saturating_duration_since(begun).min(limits.wall);
        let context = exports::Context {
            invocation: id.as_ref().to_owned(),
            caller: call.caller.into(),
            deadline_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            locale: call.locale,
        };
        let withdrawn = generation.withdrawn.clone();
        let (raw, measured) = match &generation.runs {
            Runs::Elsewhere(server) => {
                elsewhere::call(server, &session, &callable.name, given, limits.wall, &withdrawn).await?
            }
            Runs::Here(_) => {
                let job = Job { generation: Arc::clone(&generation), tool: Arc::clone(&callable.name), given, context };
                let sandbox = Sandbox {
                    engine,
                    limits: &limits,
                    memory: here.memory.clone(),
                    cpu: here.cpu.clone(),
                    habit: Arc::clone(&callable.habit),
                    deadline,
                    withdrawn,
                };
                in_sandbox(host, sandbox, services, &call.cancel, job).await?
            }
        };
        timings.instantiate_us = measured.instantiate_us;
        timings.run_us = measured.run_us;
        let outcome = outcome::check(callable, raw, &limits)?;
        Ok::<_, Error>((outcome, measured.memory_peak))
    }
    .await;

    let took = trace::Took {
        queued_us: timings.queued_us,
        instantiate_us: timings.instantiate_us,
        cpu_ns: here.cpu.used(),
        memory_peak: result.as_ref().map_or(0, |(_, peak)| *peak as u64),
    };
    let usage = begun.ended(&result, &took);
    let (outcome, memory_peak) = result?;
    Ok(Finished {
        invocation,
        digest: Arc::clone(&generation.digest),
        outcome,
        usage,
        timings,
        model: session.answered_by(),
        memory_peak: memory_peak as u64,
        dropped_log_lines: sink.dropped().lines,
        streamed: sink.has_streamed(),
    })
}

/// What the capabilities of an invocation work with.
fn services(
    host: &Arc<Shared>,
    here: &Arc<Outer>,
    settings: Arc<serde_json::Map<String, Value>>,
    kv_state: u32,
    folders: files::Folders,
    locale: Option<String>,
) -> Services {
    Services {
        session: here.session.clone(),
        sink: Arc::clone(&here.sink),
        settings,
        folders,
        http: Arc::clone(&host.http),
        http_gate: Arc::clone(&here.http_gate),
        secrets: Arc::clone(&host.vault),
        kv: Arc::clone(&host.kv),
        kv_state,
        models: host.models.load_full(),
        money_limited: here.money_limited,
        toolbox: Arc::new(Nested::new(Arc::clone(host), Arc::clone(here), locale)),
        answers: host.answers.clone(),
        asked: here.asked.clone(),
    }
}

async fn slot<'a>(
    place: Place<'a>,
    deadline: tokio::time::Instant,
    cancel: &CancellationToken,
) -> Result<tokio::sync::SemaphorePermit<'a>, InvokeError> {
    let place = match place {
        Place::Slot(slot) => return Ok(slot),
        place @ Place::Line { .. } => place,
    };
    tokio::select! {
        slot = place.slot() => slot.map_err(|_| InvokeError::HostFault),
        () = cancel.cancelled() => Err(InvokeError::Cancelled),
        () = tokio::time::sleep_until(deadline) => Err(InvokeError::Busy),
    }
}

/// Nothing is begun that nothing would interrupt. A host that was stopped as a whole, and goes on, needs a moment.
async fn ticking(engine: &Engine, now: Instant) -> Result<(), InvokeError> {
    if engine.ticker.check(now).is_ok() {
        return Ok(());
    }
    tokio::time::sleep(3 * epoch::TICK).await;
    engine.ticker.check(Instant::now()).map_err(InvokeError::Unticked)
}

impl From<Crowded> for InvokeError {
    fn from(crowded: Crowded) -> Self {
        Self::Crowded { concurrent: crowded.concurrent, queue: crowded.queue }
    }
}

/// Where a guest runs.
struct Sandbox<'a> {
    engine: &'a Engine,
    limits: &'a Limits,
    memory: Share,
    cpu: Share,
    habit: Arc<Habit>,
    deadline: tokio::time::Instant,
    /// Cancelled when another version has taken its place and its time is over.
    withdrawn: CancellationToken,
}

/// How long a guest that runs has for seeing that its time is over: two ticks.
const TURN: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Default)]
struct Measured {
    instantiate_us: u64,
    run_us: u64,
    memory_peak: usize,
}

/// Runs the guest, and turns every way in which it can end into a value. The store is gone when this returns.
async fn in_sandbox(
    host: &Shared,
    sandbox: Sandbox<'_>,
    services: Services,
    cancel: &CancellationToken,
    job: Job,
) -> Result<(Answer, Measured), InvokeError> {
    let Sandbox { engine, limits, memory, cpu, habit, deadline, withdrawn } = sandbox;
    let mut store = guest::store(engine, services, Arc::clone(&host.sources), limits, memory);
    let (called_off, cancel) = (cancel, cancel.clone());
    // Told from outside when its time has come. A timer in the guest's own future would be one of the runtime that it was called
    // on, and a guest that burns is in the middle of a poll when that one goes.
    let late = CancellationToken::new();
    let is_late = late.clone();
    let wall = limits.wall;
    let is_withdrawn = withdrawn.clone();
    let too_late = move || match is_withdrawn.is_cancelled() {
        true => InvokeError::Withdrawn,
        false => InvokeError::Deadline(wall),
    };
    let hostcall_bytes = limits.hostcall_bytes;
    let guest = async move {
        if cancel.is_cancelled() {
            return Err(InvokeError::Cancelled);
        }
        let ends = async {
            tokio::select! {
                biased;
                () = cancel.cancelled() => InvokeError::Cancelled,
                () = is_late.cancelled() => too_late(),
            }
        };
        let worked = unless(pin!(job.run(&mut store)), pin!(ends)).await?;
        // A host call may have taken the time that the guest no longer had.
        let ended = Instant::now();
        if ended > deadline.into_std() {
            return Err(InvokeError::Deadline(wall));
        }
        let (called, begun, instantiated) =
            worked.map_err(|error| explain(&error, &store.data().limiter, hostcall_bytes))?;
        let measured = Measured {
            instantiate_us: micros(instantiated - begun),
            run_us: micros(ended - instantiated),
            memory_peak: store.data().limiter.peak(),
        };
        // The cancellation may have reached it as a refusal of what it waited for, and that is how it ended then.
        if called.is_err() && cancel.is_cancelled() {
            return Err(InvokeError::Cancelled);
        }
        called.map(|answer| (answer, measured))
    };
    // A guest looks at its deadline and at its caller whenever it runs. While it waits for its turn behind others that spin it
    // cannot, and is ended from here.
    let overdue = async {
        tokio::select! {
            () = async {
                tokio::time::sleep_until(deadline).await;
                late.cancel();
                tokio::time::sleep(TURN).await;
            } => InvokeError::Deadline(limits.wall),
            () = async {
                called_off.cancelled().await;
                tokio::time::sleep(TURN).await;
            } => InvokeError::Cancelled,
            () = async {
                withdrawn.cancelled().await;
                late.cancel();
                tokio::time::sleep(TURN).await;
            } => InvokeError::Withdrawn,
        }
    };
    match unless(pin!(engine.scheduler.run(cpu, habit, guest)), pin!(overdue)).await? {
        Ok(done) => done,
        Err(Stopped::CpuLimit) => Err(InvokeError::CpuLimit(limits.cpu)),
        Err(Stopped::Panicked) => Err(InvokeError::HostFault),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
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
