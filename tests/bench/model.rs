//! What the broker adds to a model call over HTTP.
//!
//! A call of a guest holds an invocation of its own, which is no part of the broker's price: it is measured by the same tool
//! asked to make no call, and taken off. What is left beside the same request by the bare client is what the broker adds:
//! policy, budget, the ledger on disk, the hop to the workers of input and output, the wire, and the WIT on both sides. Likewise a token
//! is measured without the ticks of the clock that interrupts guests: they come for as long as any guest lives, however many tokens do.

use std::time::{Duration, Instant};

use crate::clock::{measured, median, us};
use crate::guest::{self, Ground};
use crate::options;
use crate::price::Price;
use crate::server::{Mode, Server, TOKENS};
use crate::table::Table;

pub(crate) fn measure(table: &mut Table) {
    let server = Server::start();
    let runtime = guest::runtime();
    runtime.block_on(async {
        let ground = Ground::open(Some(&server.base_url), |_| {}).await;
        tokio::spawn(async move {
            let bare = Bare::new(&server);
            let mut rows = Table::new();
            single(&mut rows, &ground, &bare).await;
            streamed(&mut rows, &ground, &bare, "as fast as it can", 5).await;
            server.mode(Mode::Slow).await;
            streamed(&mut rows, &ground, &bare, "one each ms", 1).await;
            rows
        })
        .await
        .map(|rows| table.append(rows))
        .unwrap();
    });
}

/// The client that the host uses, used for nothing but the request.
struct Bare {
    http: reqwest::Client,
    url: String,
}

/// What the host sends for the tools `ask` and `stream`.
const ASK: &str =
    r#"{"model":"instant","messages":[{"role":"user","content":"Say it."}],"stream":false,"max_tokens":16}"#;
const STREAM: &str = r#"{"model":"instant","messages":[{"role":"user","content":"Say it."}],"stream":true,"stream_options":{"include_usage":true},"max_tokens":4096}"#;

impl Bare {
    fn new(server: &Server) -> Self {
        Self { http: ringfence_core::bench::http().unwrap(), url: format!("{}/chat/completions", server.base_url) }
    }

    /// Reads the answer piece by piece, and gives its length.
    async fn call(&self, body: &'static str) -> usize {
        let request = self.http.post(&self.url).header("content-type", "application/json").body(body);
        let mut answer = request.send().await.unwrap();
        let mut bytes = 0;
        while let Some(chunk) = answer.chunk().await.unwrap() {
            bytes += chunk.len();
        }
        bytes
    }
}

async fn single(table: &mut Table, ground: &Ground, bare: &Bare) {
    let price = Price::of(
        || async move { drop(ground.run("ask", r#"{"times":1}"#).await) },
        || async move { drop(ground.run("ask", r#"{"times":0}"#).await) },
        || async move { assert!(bare.call(ASK).await > 0) },
    );
    price.await.told(table, "model: one call", 100.0);
}

/// A host that had a call is as quiet as before after this time, and its clock rests.
const CALM: Duration = Duration::from_millis(1_500);
/// Streams of one kind, and of the bare client beside each.
const ROUNDS: usize = 9;

async fn streamed(table: &mut Table, ground: &Ground, bare: &Bare, how: &str, streams: usize) {
    let per = |all: Duration| us(all) / (streams * TOKENS) as f64;
    let (mut ours, mut http, mut adds, mut ticks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options::rounds(ROUNDS) {
        let began = Instant::now();
        let a = measured(async {
            for _ in 0..streams {
                ground.run("stream", "{}").await;
            }
        });
        let a = a.await;
        ticks.push(a.ticks.as_secs_f64() / began.elapsed().as_secs_f64());
        ours.push(a.cpu - a.ticks);
        tokio::time::sleep(CALM).await;
        let b = measured(async {
            for _ in 0..streams {
                assert!(bare.call(STREAM).await > TOKENS * 100);
            }
        });
        http.push(b.await.cpu);
        // Beside each other: what the machine does meanwhile for others lasts for some seconds, and is in both then.
        adds.push(per(ours[ours.len() - 1]) - per(http[http.len() - 1]));
    }
    adds.sort_unstable_by(f64::total_cmp);
    let [ours, http] = [ours, http].map(|mut all| per(median(&mut all)));
    table.goal(
        format!("model: processor per streamed token, {how}"),
        format!("{ours:.2} us"),
        format!("{http:.2} us"),
        (adds[adds.len() / 2], 5.0, " us"),
    );
    ticks.sort_unstable_by(f64::total_cmp);
    let ticks = format!("{:.2} % of a core", ticks[ticks.len() / 2] * 100.0);
    table.note(format!("model: ticks meanwhile, {how}"), ticks, "-", "");
}
