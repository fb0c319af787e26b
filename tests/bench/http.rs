//! What the broker adds to a request of a skill, and what policy and a permit cost by themselves.
//!
//! As with models, an invocation that makes no request is taken off: what is left beside the same request by the bare client is
//! the broker's. Every request is on record before it leaves.

use crate::clock::{median, us};
use crate::guest::{self, Ground};
use crate::price::Price;
use crate::server::{PAGE, Server};
use crate::table::Table;

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
    let (once, never) = (&input(1), &input(0));
    let (bare, url) = (&ringfence_core::bench::http().unwrap(), &url);
    let price = Price::of(
        || async move {
            let done = ground.run("fetch", once).await;
            assert_eq!(done.outcome.content, [ringfence_core::Content::Text { text: PAGE.to_string() }]);
        },
        || async move { drop(ground.run("fetch", never).await) },
        || async move {
            let bytes = bare.get(url).send().await.unwrap().bytes().await.unwrap();
            assert_eq!(bytes.len(), PAGE);
        },
    );
    price.await.told(table, "http: one GET of 10 KiB", 100.0);
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
