//! What the broker adds to a request of a skill, and what policy and a permit cost by themselves.
//!
//! As with models, an invocation that makes no request is taken off: what is left beside the same request by the bare client is
//! the broker's. Every request is on record before it leaves.

use std::time::{Duration, Instant};

use crate::clock::{measured, median, us};
use crate::guest::{self, Ground};
use crate::server::{PAGE, Server};
use crate::table::Table;

const ROUNDS: usize = 20;
const CALLS: usize = 60;

pub(crate) fn measure(table: &mut Table) {
    let server = Server::start();
    let runtime = guest::runtime();
    runtime.block_on(async {
        let mut ground = Ground::open(None, |settings| settings.http.per_minute = 100_000_000).await;
        ground.reach(&server.base_url).await;
        tokio::spawn(async move {
            let mut rows = Table::new();
            requests(&mut rows, &ground, &server).await;
            rows
        })
        .await
        .map(|rows| table.append(rows))
        .unwrap();
    });
}

async fn requests(table: &mut Table, ground: &Ground, server: &Server) {
    let url = format!("{}/page", server.base_url);
    let input = |times: u32| format!(r#"{{"url":"{url}","times":{times}}}"#);
    let bare = ringfence_core::bench::http().unwrap();
    let (mut with, mut without, mut http) = (Vec::new(), Vec::new(), Vec::new());
    let (mut with_cpu, mut without_cpu, mut http_cpu) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let a = measured(async {
            for _ in 0..CALLS {
                let before = Instant::now();
                let done = ground.run("fetch", &input(1)).await;
                with.push(before.elapsed());
                assert_eq!(done.outcome.content, [ringfence_core::Content::Text { text: PAGE.to_string() }]);
            }
        });
        with_cpu.push(a.await.cpu);
        let b = measured(async {
            for _ in 0..CALLS {
                let before = Instant::now();
                ground.run("fetch", &input(0)).await;
                without.push(before.elapsed());
            }
        });
        without_cpu.push(b.await.cpu);
        let c = measured(async {
            for _ in 0..CALLS {
                let before = Instant::now();
                let bytes = bare.get(&url).send().await.unwrap().bytes().await.unwrap();
                http.push(before.elapsed());
                assert_eq!(bytes.len(), PAGE);
            }
        });
        http_cpu.push(c.await.cpu);
        if round == 0 {
            // Connections and threads are made in it.
            for all in [&mut with, &mut without, &mut http, &mut with_cpu, &mut without_cpu, &mut http_cpu] {
                all.clear();
            }
        }
    }
    let [with, without, http] = [with, without, http].map(|mut all| us(median(&mut all)));
    table.goal(
        "http: one GET of 10 KiB, wall",
        format!("{with:.0} us - {without:.0} us"),
        format!("{http:.0} us"),
        (with - without - http, 100.0, " us"),
    );
    let per = |mut all: Vec<Duration>| us(median(&mut all)) / CALLS as f64;
    let [with, without, http] = [with_cpu, without_cpu, http_cpu].map(per);
    let adds = format!("{:.0} us", with - without - http);
    let ours = format!("{with:.0} us - {without:.0} us");
    table.note("http: one GET of 10 KiB, processor", ours, format!("{http:.0} us"), adds);
}

/// Policy, rules, taint and the permit of an act that leaves nothing: a read of `kv`, which is recorded without waiting.
pub(crate) fn permit(table: &mut Table) {
    let runtime = guest::runtime();
    let mut took = runtime.block_on(async {
        let ground = Ground::open(None, |_| {}).await;
        tokio::spawn(async move {
            let mut took = Vec::new();
            for _ in 0..30 {
                took.extend(ringfence_core::bench::permits(&ground.host, 900).await);
                // What was recorded meanwhile goes to the disk before the next round.
                ground.host.audit().verify().await.unwrap();
            }
            took
        })
        .await
        .unwrap()
    });
    let p90 = us(crate::clock::percentile(&mut took, 0.9));
    let half = us(median(&mut took));
    table.goal("permit: policy and permit of a read", format!("p90 {p90:.2} us"), String::new(), (half, 2.0, " us"));
}
