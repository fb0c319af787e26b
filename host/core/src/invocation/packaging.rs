//! What is nobody's invocation: asking a component that was not packaged for its tools, and seeing whether one can be instantiated.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wasmtime::Store;

use super::error::explain;
use super::family::Family;
use super::{Caller, InvokeError, Outer, services};
use crate::broker::{Session, Setup};
use crate::budget;
use crate::capability::user;
use crate::catalog::tool::{Hints, Tool};
use crate::engine::guest::Guest;
use crate::engine::linker::{Pre, exports};
use crate::engine::schedule::Stopped;
use crate::engine::shares::{Share, nanos};
use crate::engine::{LimitSettings, LoadError, guest};
use crate::error::Error;
use crate::events::{Event, Level, Sink};
use crate::host::Shared;
use crate::schema;

/// Events that are kept meanwhile.
const TOLD: usize = 1024;

/// Asks a component that was not packaged for its tools.
pub(crate) async fn ask_tools(host: &Arc<Shared>, pre: &exports::ExportsPre<Guest>) -> Result<Vec<Tool>, Error> {
    let pre = pre.clone();
    let tools = alone(host, move |store| {
        Box::pin(async move {
            let instance = pre.instantiate_async(&mut *store).await?;
            store.data().services.session.enter();
            instance.ringfence_skill_skill().call_tools(store).await
        })
    });
    tools.await?.into_iter().map(|tool| Ok(tool.try_into()?)).collect()
}

/// Makes one instance of a component and lets it go: one whose start traps is known before anybody depends on it.
pub(crate) async fn instantiate(host: &Arc<Shared>, pre: &Pre) -> Result<(), Error> {
    let pre = pre.clone();
    let instance = alone(host, move |store| {
        Box::pin(async move {
            match pre {
                Pre::Skill(skill) => skill.instantiate(store).await.map(drop),
                Pre::Plain(pre) => pre.instantiate_async(store).await.map(drop),
            }
        })
    });
    instance.await
}

/// Work of a guest that is nobody's.
type Work<'a, T> = BoxFuture<'a, wasmtime::Result<T>>;

/// Runs a guest for nobody: no grants, a few seconds, and nothing is recorded.
async fn alone<T: Send + 'static>(
    host: &Arc<Shared>,
    work: impl FnOnce(&mut Store<Guest>) -> Work<'_, T> + Send + 'static,
) -> Result<T, Error> {
    let limits = LimitSettings { wall_seconds: Some(10), cpu_seconds: Some(5), ..LimitSettings::default() }.resolve();
    let deadline = tokio::time::Instant::now() + limits.wall;
    let session = Session::new(Setup {
        skill: "".into(),
        invocation: "packaging".into(),
        callers: vec![Caller::default().as_str()],
        grants: Arc::default(),
        ledger: host.treasury.ledger("", "packaging", &budget::Budgets::default()),
        deadline,
        cancel: CancellationToken::new(),
        taint: Arc::default(),
        person: None,
        above: None,
        entered: false,
        span: tracing::Span::none(),
        shared: Arc::clone(&host.sessions),
    });
    let (send, mut told) = mpsc::channel(TOLD);
    let here = Arc::new(Outer {
        session,
        sink: Arc::new(Sink::new(Some(send), "", deadline)),
        memory: Share::new(limits.memory_bytes as u64),
        cpu: Share::new(nanos(limits.cpu)),
        asked: user::Asked::default(),
        http_gate: Arc::new(host.http.gate()),
        money_limited: false,
        family: Arc::new(Family::of("packaging".into())),
        act: None,
    });
    let services = services(host, &here, Arc::default(), 0, host.disk.nothing(), None);
    let engine = host.engine()?;
    let mut store = guest::store(engine, services, Arc::clone(&host.sources), &limits, here.memory.clone());
    let (hostcall_bytes, wall) = (limits.hostcall_bytes, limits.wall);
    let guest = async move {
        let worked =
            tokio::time::timeout_at(deadline, work(&mut store)).await.map_err(|_| InvokeError::Deadline(wall))?;
        worked.map_err(|error| explain(&error, &store.data().limiter, hostcall_bytes))
    };
    match engine.scheduler.run(here.cpu.clone(), Arc::default(), guest).await {
        Ok(done) => Ok(done.map_err(|error| in_its_own_words(error, &mut told))?),
        Err(Stopped::CpuLimit) => Err(InvokeError::CpuLimit(limits.cpu).into()),
        Err(Stopped::Panicked) => Err(InvokeError::HostFault.into()),
    }
}

/// A runtime that finds fault with the list of tools says so in its log and ends itself: what it said last is what the author needs.
fn in_its_own_words(error: InvokeError, told: &mut mpsc::Receiver<Event>) -> InvokeError {
    let InvokeError::Trap(_) = error else { return error };
    let mut last: Option<(Level, String)> = None;
    while let Ok(event) = told.try_recv() {
        if let Event::Log(line) = event
            && line.level >= Level::Warn
            // Behind what it says may stand a trace of where it ended, line by line.
            && last.as_ref().is_none_or(|(level, _)| line.level >= *level)
        {
            let fields: String = line.fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
            last = Some((line.level, line.message + &fields));
        }
    }
    last.map_or(error, |(_, words)| InvokeError::Trap(words))
}

impl TryFrom<exports::Tool> for Tool {
    type Error = LoadError;

    fn try_from(tool: exports::Tool) -> Result<Self, Self::Error> {
        let schema = |text: &str, which: &str| {
            schema::parse(text)
                .map_err(|error| LoadError::Tools(format!("the {which} schema of `{}`: {error}", tool.name)))
        };
        let has = |hint| tool.hints.contains(hint);
        Ok(Self {
            input_schema: schema(&tool.input_schema, "input")?,
            output_schema: tool.output_schema.as_deref().map(|text| schema(text, "output")).transpose()?,
            hints: Hints {
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
