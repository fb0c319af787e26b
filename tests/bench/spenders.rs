//! Whether many who spend at once from one budget overspend it.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::guest::{self, Ground};
use crate::server::Server;
use crate::table::Table;

const ROUNDS: usize = 100;
const SPENDERS: usize = 64;
/// Output tokens that all of them have together. Each asks for 16 at most and is served 4, so that they do not all get some.
const BUDGET: u64 = 100;
const MAX_TOKENS: u64 = 16;

pub(crate) fn measure(table: &mut Table) {
    let server = Server::start();
    let runtime = guest::runtime();
    let (mut most, mut least, mut wrong) = (0, u64::MAX, 0_u32);
    for _ in 0..ROUNDS {
        // A host of its own for each: the budget is that of a day.
        let (spent, others) = runtime.block_on(round(&server));
        most = most.max(spent);
        least = least.min(spent);
        wrong += others;
    }
    // A budget that lets nothing through is not overspent either.
    assert!(least > 0, "nobody was served");
    let calls = format!("{ROUNDS} x {SPENDERS}");
    table.goal("spenders: endings that are neither served nor refused", calls, "", (f64::from(wrong), 0.0, ""));
    let over = most.saturating_sub(BUDGET) as f64;
    let say = format!("{least} to {most} tokens");
    table.goal("spenders: overshoot", say, format!("{BUDGET} tokens"), (over, MAX_TOKENS as f64, " tokens"));
}

/// What all of them spent, and how many ended in another way than they should.
async fn round(server: &Server) -> (u64, u32) {
    let ground = Ground::open(Some(&server.base_url), |settings| {
        settings.budget.skill_day.output_tokens = Some(BUDGET);
    })
    .await;
    let ground = Arc::new(ground);
    let mut spenders = JoinSet::new();
    for _ in 0..SPENDERS {
        let ground = Arc::clone(&ground);
        spenders.spawn(async move { ground.host.invoke(ground.call("ask", r#"{"times":1}"#)).await });
    }
    let (mut spent, mut wrong) = (0, 0);
    while let Some(done) = spenders.join_next().await {
        match done.unwrap() {
            Ok(done) => spent += done.usage.output_tokens,
            Err(error) if error.kind() == "refused" => {}
            Err(error) => {
                wrong += 1;
                eprintln!("  a spender ended with {}: {error}", error.kind());
            }
        }
    }
    (spent, wrong)
}
