//! Calls of models at a provider that does everything wrong: whether each ends in time and as it should, how often it was tried,
//! what it was charged, and what is left open afterwards.

mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ringfence_core::capability::model::settings::{Kind, ProviderSettings, Timeouts};
use ringfence_core::engine::LimitSettings;
use ringfence_core::{Call, Settings};
use tokio::task::JoinSet;

pub(crate) use peer::{VERB, serve};

use crate::clock::ms;
use crate::guest::{self, Ground};
use crate::options;
use crate::server::Server;
use crate::table::Table;
use peer::Fate;

const CALLS: u64 = 500;
const TOGETHER: u64 = 50;
const DEADLINE: Duration = Duration::from_secs(8);
/// Each has a breaker of its own: one that opened for all would keep most calls from the provider.
const PROVIDERS: u64 = 20;
/// Output tokens that a call asks for at most.
const MAX_TOKENS: u64 = 64;
/// Attempts of one call.
const MOST_ATTEMPTS: f64 = 3.0;
/// The provider closes connections that wait for longer than this, and the host does what it has put off.
const SETTLE: Duration = Duration::from_secs(5);
/// A breaker opens after so many failures, and closes again soon after this time.
const FAILURES: u64 = 5;
const COOL_DOWN: Duration = Duration::from_secs(30);

pub(crate) fn measure(table: &mut Table) {
    let (calls, seed) = (options::number("calls").unwrap_or(CALLS), options::seed());
    eprintln!("  calls={calls} seed={seed}");
    let server = Arc::new(Server::of(&[VERB, &seed.to_string()]));
    let runtime = guest::runtime();
    runtime.block_on(async {
        let ground = Arc::new(open(&server).await);
        guest::echoes(&ground, 50).await;
        let mut before = Held::now(&ground, &server).await;
        // The client of a provider has a task of its own that closes what is idle.
        before.tasks += PROVIDERS as usize;
        let ended = all(&ground, calls).await;
        tokio::time::sleep(SETTLE).await;
        let after = Held::now(&ground, &server).await;
        let tried = peer::tried(&server.text("/calls").await);
        assert!(tried.len() as u64 > calls / 2, "most calls did not reach the provider");
        told(table, calls, &ended, &tried, seed);
        charged(table, &ground, &ended, &tried).await;
        for (what, now, then) in [
            ("open connections", after.connections, before.connections),
            ("open files", after.files, before.files),
            ("tasks", after.tasks, before.tasks),
            ("slots taken", after.slots, before.slots),
        ] {
            let more = now.saturating_sub(then) as f64;
            table.goal(format!("chaos: more {what}"), now.to_string(), then.to_string(), (more, 0.0, ""));
        }
        circuit(table, &ground, &server).await;
    });
}

async fn open(server: &Server) -> Ground {
    let provider = ProviderSettings {
        base_url: Some(server.base_url.clone()),
        concurrency: 64,
        timeouts: Timeouts { connect: 1, first_byte: 1, idle: 1 },
        ..ProviderSettings::new(Kind::OpenaiCompatible)
    };
    let names: Vec<String> = (0..PROVIDERS).map(|n| format!("p{n}")).chain(["circuit".into()]).collect();
    let mut ground = Ground::open(None, |settings: &mut Settings| {
        for name in &names {
            settings.models.providers.insert(name.clone(), provider.clone());
            settings.models.aliases.insert(name.clone(), vec![format!("{name}/instant")]);
        }
    })
    .await;
    let permissions = format!("[permissions.model]\nmodels = {names:?}\n");
    let grant = format!("model={}", names.join(","));
    let folder = ground.folder().to_owned();
    ground.skill = guest::installed(&ground.host, &folder, "caller", &permissions, &[&grant]).await;
    ground
}

/// How a call ended.
struct Ended {
    call: u64,
    took: Duration,
    /// What the guest said, or the kind of the error.
    said: Result<String, &'static str>,
    /// Output tokens, where the call says it itself.
    charged: Option<u64>,
}

async fn all(ground: &Arc<Ground>, calls: u64) -> Vec<Ended> {
    let next = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..TOGETHER {
        let (ground, next) = (Arc::clone(ground), Arc::clone(&next));
        callers.spawn(async move {
            let mut ended = Vec::new();
            loop {
                let call = next.fetch_add(1, Ordering::Relaxed);
                if call >= calls {
                    return ended;
                }
                ended.push(once(&ground, call).await);
            }
        });
    }
    let mut ended = Vec::new();
    while let Some(done) = callers.join_next().await {
        ended.append(&mut done.unwrap());
    }
    ended
}

async fn once(ground: &Ground, call: u64) -> Ended {
    let input = serde_json::json!({
        "model": format!("p{}", call % PROVIDERS),
        "prompt": format!("call {call}."),
        "max_tokens": MAX_TOKENS,
        "streamed": call.is_multiple_of(2),
    });
    let limits = LimitSettings { wall_seconds: Some(DEADLINE.as_secs() as u32), ..LimitSettings::default() };
    let asked = Call { limits, ..ground.call("attempt", &input.to_string()) };
    let before = Instant::now();
    let done = ground.host.invoke(asked).await;
    let took = before.elapsed();
    match done {
        Ok(done) => {
            let said = guest::said(&done).to_owned();
            Ended { call, took, said: Ok(said), charged: Some(done.usage.output_tokens) }
        }
        Err(error) => Ended { call, took, said: Err(error.kind()), charged: None },
    }
}

type Tried = BTreeMap<u64, Vec<(Fate, u64)>>;

/// Whether a call ended as its last attempt must end it.
fn is_right(said: &Result<String, &'static str>, last: Option<Fate>) -> bool {
    let said = match said {
        Ok(said) => said.as_str(),
        Err(kind) => return *kind == "deadline" && last.is_some_and(|last| last.ending() == "deadline"),
    };
    // Its breaker was open by then.
    if said.starts_with("unavailable") && said.contains("left alone") {
        return true;
    }
    last.is_some_and(|last| said.split(':').next() == Some(last.ending()))
}

fn told(table: &mut Table, calls: u64, ended: &[Ended], tried: &Tried, seed: u64) {
    let mut wrong = 0_u32;
    let mut ways = BTreeMap::new();
    for one in ended {
        let fates = tried.get(&one.call).map(Vec::as_slice).unwrap_or_default();
        let fine = is_right(&one.said, fates.last().map(|(fate, _)| *fate));
        if !fine {
            wrong += 1;
            eprintln!("  call {} ended with {:?} after {fates:?}", one.call, one.said);
        }
        let way = match &one.said {
            Ok(said) if said.contains("left alone") => "left alone",
            Ok(said) => said.split(':').next().unwrap_or_default(),
            Err(kind) => kind,
        };
        *ways.entry(way).or_insert(0_u32) += 1;
    }
    let ways = ways.iter().map(|(way, times)| format!("{times} {way}")).collect::<Vec<_>>().join(", ");
    table.goal("chaos: endings of a wrong kind", ways, format!("{calls} calls"), (f64::from(wrong), 0.0, ""));
    assert_eq!(ended.len() as u64, calls);
    let slowest = ended.iter().map(|one| one.took).max().unwrap_or_default();
    let over = ms(slowest.saturating_sub(DEADLINE));
    let say = |time| format!("{:.0} ms", ms(time));
    table.goal("chaos: beyond the deadline, the slowest", say(slowest), say(DEADLINE), (over, 250.0, " ms"));
    let most = tried.values().map(Vec::len).max().unwrap_or_default() as f64;
    let attempts = tried.values().map(Vec::len).sum::<usize>();
    table.goal("chaos: most attempts of a call", format!("{attempts} attempts"), "", (most, MOST_ATTEMPTS, ""));
    let kinds: BTreeSet<Fate> = tried.values().flatten().map(|(fate, _)| *fate).collect();
    table.note(
        "chaos: sorts of answers",
        format!("{} of {}", kinds.len(), Fate::ALL.len()),
        "",
        format!("seed={seed}"),
    );
}

/// What was charged beside what was served.
async fn charged(table: &mut Table, ground: &Ground, ended: &[Ended], tried: &Tried) {
    let (mut less, mut off, mut beyond, mut known, mut unknown) = (0_u32, 0_u64, 0_u64, 0_u32, 0_u32);
    let mut late = 0;
    for one in ended {
        let fates = tried.get(&one.call).map(Vec::as_slice).unwrap_or_default();
        let served: u64 = fates.iter().map(|(_, served)| served).sum();
        let Some(charged) = one.charged else {
            late += served;
            continue;
        };
        less += u32::from(charged < served);
        // Nobody can know what a provider counts that broke off or kept silent: the most that it can have been is charged.
        let open = fates.iter().filter(|(fate, _)| !fate.is_known()).count() as u64;
        if open == 0 {
            known += 1;
            off = off.max(charged.abs_diff(served));
        } else {
            unknown += 1;
            beyond = beyond.max(charged.saturating_sub(served + open * MAX_TOKENS));
        }
    }
    // Those that ended by their deadline do not say what they used: their records do.
    let runs = ground.host.runs(u32::MAX).await.unwrap();
    let of_late: u64 = runs.iter().filter(|run| run.kind == "deadline").map(|run| run.usage.output_tokens).sum();
    less += u32::from(of_late < late);
    table.goal(
        "chaos: calls charged less than was served",
        format!("{} calls", ended.len()),
        "",
        (f64::from(less), 0.0, ""),
    );
    let calls = format!("{known} calls");
    table.goal("chaos: charged beside served, where both are known", calls, "", (off as f64, 1.0, " tokens"));
    let calls = format!("{unknown} calls");
    let most = format!("{MAX_TOKENS} an attempt");
    table.goal("chaos: charged beyond the most it can have been", calls, most, (beyond as f64, 0.0, " tokens"));
}

/// What is open.
struct Held {
    connections: usize,
    files: usize,
    tasks: usize,
    slots: usize,
}

impl Held {
    async fn now(ground: &Ground, server: &Server) -> Self {
        // The connection that asks is one of them, and of the files.
        let connections = server.text("/open").await.parse().unwrap();
        Self {
            connections,
            files: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            slots: ground.host.running(),
        }
    }
}

/// One provider that fails until it is mended.
async fn circuit(table: &mut Table, ground: &Ground, server: &Server) {
    let ask = async || {
        let input = serde_json::json!({ "model": "circuit", "prompt": "circuit", "max_tokens": 16, "streamed": false });
        guest::said(&ground.run("attempt", &input.to_string()).await).to_owned()
    };
    let reached = async || server.text("/circuit").await.parse::<u64>().unwrap();
    while !ask().await.contains("left alone") {
        assert!(reached().await <= 3 * FAILURES, "it never opens");
    }
    let opened = Instant::now();
    let failures = reached().await;
    let row = "chaos: failures until the circuit opens";
    table.goal(row, failures.to_string(), FAILURES.to_string(), (failures.abs_diff(FAILURES) as f64, 0.0, " off"));
    server.text("/mend").await;
    let mut answer = String::new();
    let mut through = 0;
    // It is mended, and yet left alone.
    while opened.elapsed() < COOL_DOWN - Duration::from_secs(1) {
        answer = ask().await;
        through = reached().await - failures;
        if through > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    table.goal("chaos: calls let through while it is open", answer, "", (through as f64, 0.0, ""));
    while ask().await != "answered" && opened.elapsed() < 2 * COOL_DOWN {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let closed = opened.elapsed().as_secs_f64();
    let again = ask().await == "answered";
    let closed = if again { closed } else { f64::NAN };
    table.goal("chaos: until it closes again", format!("{closed:.1} s"), "30 s", (closed, 31.0, " s"));
}
