//! What ten thousand invocations cost that all wait for a model.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::clock::{self, median, ms, percentile};
use crate::guest::{self, Ground};
use crate::memory::Memory;
use crate::server::{self, Mode, Server};
use crate::table::Table;

const WAITING: usize = 10_000;
/// Calls beside them.
const CALLS: usize = 300;
/// Until all of them wait.
const PATIENCE: Duration = Duration::from_secs(120);

/// Each on a connection of its own.
pub(crate) fn on_connections(table: &mut Table) {
    measure(table, 16_000, "each on a connection");
}

/// As the host comes: all but eight wait for their turn.
pub(crate) fn in_line(table: &mut Table) {
    measure(table, 8, "in line for 8 connections");
}

fn measure(table: &mut Table, concurrency: u32, how: &str) {
    server::files();
    let server = Server::start();
    guest::runtime().block_on(wait(table, &server, concurrency, how));
}

async fn wait(table: &mut Table, server: &Server, concurrency: u32, how: &str) {
    let ground = Ground::open(Some(&server.base_url), |settings| {
        settings.engine.concurrent = WAITING as u32 + 100;
        for provider in settings.models.providers.values_mut() {
            provider.concurrency = concurrency;
        }
    })
    .await;
    let ground = Arc::new(ground);
    guest::echoes(&ground, 50).await;
    let mut calm = guest::echoes(&ground, CALLS).await;
    let before = Memory::now();
    server.mode(Mode::Hold).await;
    let began = Instant::now();
    let mut waiting = JoinSet::new();
    for _ in 0..WAITING {
        let ground = Arc::clone(&ground);
        waiting.spawn(async move { ground.run("ask", r#"{"times":1}"#).await });
    }
    let all = WAITING.min(concurrency as usize);
    while server.held().await < all {
        assert!(began.elapsed() < PATIENCE, "only {} of {all} wait", server.held().await);
        assert!(waiting.try_join_next().is_none(), "one of them does not wait");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let reached = began.elapsed();
    // Those that stand in line are not seen by the server: all of them wait when nothing happens any more.
    let mut used = clock::cpu();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = clock::cpu();
        // The kernel's sum is an estimate, and may fall a little.
        if now.saturating_sub(used) < Duration::from_millis(20) {
            break;
        }
        used = now;
    }
    let during = Memory::now();
    let mut beside = guest::echoes(&ground, CALLS).await;
    server.mode(Mode::Fast).await;
    while let Some(done) = waiting.join_next().await {
        assert_eq!(done.unwrap().usage.host_calls, 1);
    }
    let mib = |kib: u64| format!("{:.0} MiB", kib as f64 / 1024.0);
    let goal = |kib: u64| (kib as f64 / 1024.0, 1024.0, " MiB");
    let (then, now) = (&before, &during);
    // A page that ten thousand instances share until one of them writes to it takes memory once. `ps` counts it for each.
    table.goal(
        format!("waiting: 10,000, {how}"),
        mib(now.proportional),
        mib(then.proportional),
        goal(now.proportional),
    );
    table.note(
        "waiting: the same as `ps` counts it, shared pages for each",
        mib(now.resident),
        mib(then.resident),
        mib(now.resident),
    );
    let each = |now: u64, then: u64| now.saturating_sub(then) as f64 / WAITING as f64;
    table.note(
        "waiting: of each",
        format!("{:.1} KiB", each(during.proportional, before.proportional)),
        "",
        format!("{:.1} mappings", each(during.mappings, before.mappings)),
    );
    let say = |time| format!("{:.2} ms", ms(time));
    let p99 = percentile(&mut beside, 0.99);
    table.goal("waiting: a new echo call, p99", say(p99), say(percentile(&mut calm, 0.99)), (ms(p99), 5.0, " ms"));
    table.note("waiting: a new echo call, median", say(median(&mut beside)), say(median(&mut calm)), "");
    table.note("waiting: until all wait", format!("{:.1} s", reached.as_secs_f64()), "", "");
}
