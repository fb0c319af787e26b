//! What is left of invocations when they have ended, whichever way: memory, files, threads, tasks, and what they wrote.

use std::sync::Arc;
use std::time::Duration;

use ringfence_core::Call;
use tokio::task::JoinSet;

use crate::ending::Ending;
use crate::guest::{self, Ground};
use crate::options;
use crate::table::Table;
use crate::wat;

/// Two callers go through these, one after the other.
const ENDINGS: [Ending; 8] = [
    Ending::Good,
    Ending::Trap,
    Ending::Hog,
    Ending::Recursion,
    Ending::Flood,
    Ending::Cancelled,
    Ending::InvalidInput,
    Ending::UnknownTool,
];
const CALLS: usize = 120_000;
/// Looks at the memory meanwhile, after as many calls each.
const BLOCKS: usize = 5;
/// Loops among them: each lasts a second.
const LOOPS: usize = 40;
/// More loops at once than there are slots that stay warm: each of those has a stack and a memory.
const SLOTS: usize = 150;
/// Calls of one round before the measurement. Rounds go on until what the host keeps is full: runs in the journal, of which the oldest go
/// from the ten-thousandth on, two MiB of pages for each connection to the state, slots, arenas of the allocator.
const WARM_UP: usize = 10_000;
/// At least so many rounds, and at most.
const ROUNDS: (usize, usize) = (3, 8);
/// Bytes for each call of a round above which it is not full. What leaks more than that is measured all the same, after the last round.
const FULL: u64 = 8;
/// Runs of a writer and a reader of fresh memory, both counted.
const RUNS: usize = 10_000;
/// What the host has put off is done within this time.
const SETTLE: Duration = Duration::from_secs(2);

pub(crate) fn measure(table: &mut Table) {
    let runtime = guest::runtime();
    runtime.block_on(async {
        let ground = Arc::new(Ground::open(None, |settings| settings.limits.memory_mib = Some(8)).await);
        let calls = options::number("calls").map_or(CALLS, |calls| usize::try_from(calls).unwrap_or(CALLS).max(1_000));
        let mut wrong = every(&ground, WARM_UP, SLOTS).await;
        let mut before = Held::now(&ground).await;
        for round in 2..=ROUNDS.1 {
            let last = before.resident;
            wrong += every(&ground, WARM_UP, 0).await;
            before = Held::now(&ground).await;
            let grown = before.resident.saturating_sub(last);
            eprintln!("  {} KiB more after {} calls", grown >> 10, round * WARM_UP);
            if round >= ROUNDS.0 && grown <= FULL * WARM_UP as u64 {
                break;
            }
        }
        // The allocator gives memory back when it likes: of a few looks the smallest is what is held.
        let mut resident = vec![before.resident];
        for _ in 0..BLOCKS {
            wrong += every(&ground, calls / BLOCKS, LOOPS / BLOCKS).await;
            resident.push(Held::now(&ground).await.resident);
        }
        let after = Held::now(&ground).await;
        table.goal("leaks: wrong endings", format!("{calls} calls"), "", (f64::from(wrong), 0.0, ""));
        let kib = |bytes: u64| format!("{} KiB", bytes / 1_024);
        let smallest = |looks: &[u64]| looks.iter().copied().min().unwrap_or_default();
        let (early, late) = resident.split_at(resident.len() / 2);
        let (then, now) = (smallest(early), smallest(late));
        // As many calls lie between the middles of both halves.
        let slope = now.saturating_sub(then) as f64 / (calls / BLOCKS * (BLOCKS + 1) / 2) as f64;
        let (now, then) = (kib(now), kib(then));
        table.goal("leaks: resident, of each call", now, then, (slope, 16.0, " B"));
        for (what, now, then) in [
            ("open files", after.files, before.files),
            ("threads", after.threads, before.threads),
            ("tasks", after.tasks, before.tasks),
            ("slots taken", after.slots, before.slots),
        ] {
            let more = now.saturating_sub(then) as f64;
            table.goal(format!("leaks: more {what}"), now.to_string(), then.to_string(), (more, 0.0, ""));
        }
    });
    runtime.block_on(fresh(table));
}

/// So many calls, of every kind of ending, so many loops among them. How many ended otherwise.
async fn every(ground: &Arc<Ground>, calls: usize, loops: usize) -> u32 {
    let mut callers = JoinSet::new();
    for _ in 0..loops {
        let ground = Arc::clone(ground);
        callers.spawn(async move { once(&ground, Ending::Loop).await });
    }
    for half in 0..2 {
        let ground = Arc::clone(ground);
        callers.spawn(async move {
            let mut wrong = 0;
            for ending in ENDINGS.iter().cycle().skip(half * 4).take((calls - loops) / 2) {
                wrong += once(&ground, *ending).await;
            }
            wrong
        });
    }
    let mut wrong = 0;
    while let Some(done) = callers.join_next().await {
        wrong += done.unwrap();
    }
    wrong
}

async fn once(ground: &Ground, ending: Ending) -> u32 {
    match ending.run(ground, "x").await {
        Ok(_) => 0,
        Err(how) => {
            eprintln!("  {ending:?} ended with {how:?}");
            1
        }
    }
}

/// What this process holds.
struct Held {
    /// Bytes.
    resident: u64,
    files: usize,
    threads: usize,
    tasks: usize,
    slots: usize,
}

impl Held {
    async fn now(ground: &Ground) -> Self {
        tokio::time::sleep(SETTLE).await;
        let status = std::fs::read_to_string("/proc/self/status").expect("a Linux with /proc");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
        let count = |folder: &str| std::fs::read_dir(folder).unwrap().count();
        Self {
            resident: kib * 1_024,
            files: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
            slots: ground.host.running(),
        }
    }
}

/// Writes all over a MiB that it grew.
const WRITER: &str = "(drop (memory.grow (i32.const 16)))
    (memory.fill (i32.const 8192) (i32.const 171) (i32.const 1000000)) (i32.const 128)";

/// Traps where any of it is not zero.
const READER: &str = "(drop (memory.grow (i32.const 16)))
    (local.set 3 (i32.const 8192))
    (loop $next
        (if (i64.ne (i64.load (local.get 3)) (i64.const 0)) (then unreachable))
        (local.set 3 (i32.add (local.get 3) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get 3) (i32.const 1000000))))
    (i32.const 128)";

/// Whether a guest reads what another has written, where both are given the same slots.
async fn fresh(table: &mut Table) {
    let ground = Ground::open(None, |settings| settings.engine.concurrent = 2).await;
    let writer = ground.load("writer.wasm", &wat::skill(WRITER, "", "")).await;
    let reader = ground.load("reader.wasm", &wat::skill(READER, "", "")).await;
    let mut dirty = 0_u32;
    for _ in 0..RUNS / 2 {
        ground.host.invoke(Call::new(writer.clone(), "{}")).await.unwrap();
        if let Err(error) = ground.host.invoke(Call::new(reader.clone(), "{}")).await {
            assert_eq!(error.kind(), "trap", "{error}");
            dirty += 1;
        }
    }
    table.goal("leaks: memory that is not zero", format!("{RUNS} runs"), "", (f64::from(dirty), 0.0, ""));
}
