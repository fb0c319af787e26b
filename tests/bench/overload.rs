//! Ten times as many calls as can be served: whether those that are let in are served as fast as before, and how soon the
//! others are told.
//!
//! Callers, server and host share the cores of one machine, and the callers cost most where calls are many. So capacity is
//! bounded in two ways that real hosts know: by slots that wait for a model, and by the processor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::clock::{ms, percentile};
use crate::guest::{self, Ground};
use crate::options;
use crate::server::{self, Mode, Server};
use crate::table::Table;

const SECONDS: u64 = 20;
/// How long the peak is looked for.
const ALONE: Duration = Duration::from_secs(5);
/// How many times the capacity is offered.
const TIMES: f64 = 10.0;
const SLOTS: u32 = 32;
/// Skills that a listing lists.
const INSTALLED: usize = 20;
/// How often callers come, each time so many.
const BEAT: Duration = Duration::from_millis(2);
/// How often somebody wants a listing.
const LISTING: Duration = Duration::from_millis(50);
/// Thousands of turns of a guest that computes: some milliseconds.
const THOUSANDS: u32 = 2_000;

pub(crate) fn measure(table: &mut Table) {
    server::files();
    let server = Server::start();
    let runtime = guest::runtime();
    let work = format!(r#"{{"thousands":{THOUSANDS}}}"#);
    for (what, tool, input) in
        [("calls that wait for a model", "ask", r#"{"times":1}"#), ("calls that compute", "work", work.as_str())]
    {
        runtime.block_on(async {
            let ground = Ground::open(Some(&server.base_url), |settings| {
                settings.engine.concurrent = SLOTS;
                for provider in settings.models.providers.values_mut() {
                    provider.concurrency = SLOTS;
                }
            })
            .await;
            for n in 0..INSTALLED {
                guest::installed(&ground.host, ground.folder(), &format!("skill-{n}"), "", &[]).await;
            }
            server.mode(Mode::Think).await;
            // On the workers, as a server's calls are.
            let rows = tokio::spawn(offered(Arc::new(ground), what, tool, input.to_owned()));
            table.append(rows.await.unwrap());
        });
    }
}

#[derive(Default)]
struct Seen {
    served: AtomicU64,
    wrong: AtomicU64,
}

async fn offered(ground: Arc<Ground>, what: &'static str, tool: &'static str, input: String) -> Table {
    let most = ringfence_core::engine::EngineSettings::default().queue;
    let peak = alone(&ground, tool, &input).await;
    let length = Duration::from_secs(options::number("seconds").unwrap_or(SECONDS));
    let (seen, longest) = (Arc::new(Seen::default()), Arc::new(AtomicUsize::new(0)));
    let (begun, mut callers) = (Instant::now(), JoinSet::new());
    let until = begun + length;
    let listings = tokio::spawn(list(Arc::clone(&ground), Arc::clone(&longest), until));
    let (mut offered, mut busy) = (0_u64, Vec::new());
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    while Instant::now() < until {
        beat.tick().await;
        let due = (begun.elapsed().as_secs_f64() * peak * TIMES) as u64;
        while offered < due {
            offered += 1;
            let (ground, seen, call) = (Arc::clone(&ground), Arc::clone(&seen), ground.call(tool, &input));
            callers.spawn(async move {
                let before = Instant::now();
                let done = ground.host.invoke(call).await;
                let took = before.elapsed();
                match done {
                    Ok(_) if Instant::now() < until => drop(seen.served.fetch_add(1, Ordering::Relaxed)),
                    Ok(_) => {}
                    Err(error) if error.kind() == "busy" => return Some(took),
                    Err(error) => {
                        if seen.wrong.fetch_add(1, Ordering::Relaxed) < 5 {
                            eprintln!("  a call ended with {}: {error}", error.kind());
                        }
                    }
                }
                None
            });
        }
        while let Some(done) = callers.try_join_next() {
            busy.extend(done.unwrap());
        }
    }
    let lasted = begun.elapsed().as_secs_f64();
    while let Some(done) = callers.join_next().await {
        busy.extend(done.unwrap());
    }
    let mut listings = listings.await.unwrap();
    let goodput = seen.served.load(Ordering::Relaxed) as f64 / lasted;
    let rate = |n: f64| format!("{n:.0} /s");
    let mut table = Table::new();
    let row = |name: &str| format!("overload: {what}: {name}");
    let lost = 100.0 * (1.0 - goodput / peak);
    table.goal(row("goodput lost"), rate(goodput), rate(peak), (lost, 10.0, " %"));
    let times = offered as f64 / lasted / peak;
    // Where the callers cannot keep up, nothing is shown.
    let short = (TIMES - times).max(0.0);
    table.goal(row("offered, short of ten times"), rate(offered as f64 / lasted), rate(peak), (short, 0.5, "x"));
    let say = |time| format!("{:.3} ms", ms(time));
    let told = percentile(&mut busy, 0.99);
    let count = format!("{} calls", busy.len());
    // Nobody who was refused is no quick refusal.
    let figure = if busy.is_empty() { f64::NAN } else { ms(told) };
    table.goal(row("until `busy` is told, p99"), say(told), count, (figure, 10.0, " ms"));
    table.note(row("until `busy` is told, the slowest"), say(percentile(&mut busy, 1.0)), "", "");
    let wrong = seen.wrong.load(Ordering::Relaxed) as f64;
    table.goal(row("endings of another kind"), format!("{offered} calls"), "", (wrong, 0.0, ""));
    let longest = longest.load(Ordering::Relaxed);
    table.goal(row("the longest line"), longest.to_string(), most.to_string(), (longest as f64, 1_000.0, ""));
    let listing = percentile(&mut listings, 0.99);
    table.goal(
        row("listing skills, p99"),
        say(listing),
        format!("{} times", listings.len()),
        (ms(listing), 200.0, " ms"),
    );
    table
}

/// Calls that are served in a second where as many come as there are slots.
async fn alone(ground: &Arc<Ground>, tool: &'static str, input: &str) -> f64 {
    let mut callers = JoinSet::new();
    let (begun, until) = (Instant::now(), Instant::now() + ALONE);
    for _ in 0..SLOTS {
        let (ground, input) = (Arc::clone(ground), input.to_owned());
        callers.spawn(async move {
            let mut served = 0_u64;
            while Instant::now() < until {
                ground.run(tool, &input).await;
                served += 1;
            }
            served
        });
    }
    let mut served = 0;
    while let Some(done) = callers.join_next().await {
        served += done.unwrap();
    }
    served as f64 / begun.elapsed().as_secs_f64()
}

/// Lists skills from time to time, and looks how long the line is.
async fn list(ground: Arc<Ground>, longest: Arc<AtomicUsize>, until: Instant) -> Vec<Duration> {
    let mut took = Vec::new();
    while Instant::now() < until {
        let before = Instant::now();
        assert_eq!(ground.host.list().await.unwrap().len(), INSTALLED);
        took.push(before.elapsed());
        longest.fetch_max(ground.host.waiting(), Ordering::Relaxed);
        tokio::time::sleep(LISTING).await;
    }
    took
}
