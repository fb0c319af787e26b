//! For the benchmark in `tests/bench` only: what this host runs with, without the host around it, so that the floor it is
//! measured against stands on the same ground.

use crate::capability::kv;

/// The configuration of guests, with a pool of so many slots.
#[must_use]
pub fn guests(concurrent: u32) -> wasmtime::Config {
    crate::engine::config::pooling(concurrent, wasmtime::PoolingAllocationConfig::is_pagemap_scan_available())
}

/// The client that calls providers.
pub fn http() -> Result<reqwest::Client, String> {
    crate::capability::model::wire::http::client(&Default::default())
}

/// How long each of so many permits takes: grant, rules, taint and the record of an act that leaves nothing, a read of `kv`.
/// At most 1,000 are recorded in one invocation, so ask for fewer.
pub async fn permits(host: &crate::Host, times: u32) -> Vec<std::time::Duration> {
    use std::sync::Arc;

    let grants = crate::Grants { kv: Some(Default::default()), ..Default::default() };
    let session = crate::broker::Session::new(crate::broker::Setup {
        skill: "bench".into(),
        invocation: "bench".into(),
        callers: vec!["user"],
        grants: grants.into(),
        ledger: host.0.treasury.ledger("bench", "bench", &Default::default()),
        deadline: tokio::time::Instant::now() + std::time::Duration::from_secs(60),
        cancel: tokio_util::sync::CancellationToken::new(),
        taint: Arc::default(),
        person: None,
        above: None,
        entered: true,
        span: tracing::Span::none(),
        shared: Arc::clone(&host.0.sessions),
    });
    let mut took = Vec::with_capacity(times as usize);
    for _ in 0..times {
        let Ok(key) = kv::Key::parse("key".into()) else { break };
        let ask = kv::Get { skill: "bench".into(), key };
        let before = std::time::Instant::now();
        let permit = session.permit(ask).await;
        took.push(before.elapsed());
        if let Ok(permit) = permit {
            permit.receipt().close("ok", String::new());
        }
    }
    took
}
