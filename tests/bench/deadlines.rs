//! How exactly a deadline ends a guest that never returns, while the processor has more to do than it can.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::task::JoinSet;

use crate::clock::ms;
use crate::ending::Ending;
use crate::guest::{self, Ground};
use crate::table::Table;

const CALLS: usize = 200;
const TOGETHER: usize = 64;

pub(crate) fn measure(table: &mut Table) {
    let runtime = guest::runtime();
    runtime.block_on(async {
        let ground = Arc::new(Ground::open(None, |_| {}).await);
        guest::echoes(&ground, 50).await;
        let stop = tokio_util::sync::CancellationToken::new();
        // As many as there are cores keep all of them busy, also between two of the calls.
        let load: Vec<_> = (0..std::thread::available_parallelism().map_or(2, usize::from))
            .map(|_| {
                let mut call = ground.call("spin", "{}");
                call.cancel = stop.clone();
                call.limits.cpu_seconds = Some(600);
                let host = ground.host.clone();
                tokio::spawn(async move { host.invoke(call).await.map(drop).map_err(|error| error.kind()) })
            })
            .collect();
        let begun = Arc::new(AtomicUsize::new(0));
        let mut callers = JoinSet::new();
        for _ in 0..TOGETHER {
            let (ground, begun) = (Arc::clone(&ground), Arc::clone(&begun));
            callers.spawn(async move {
                let (mut took, mut wrong) = (Vec::new(), 0_u32);
                while begun.fetch_add(1, Ordering::Relaxed) < CALLS {
                    let before = Instant::now();
                    let done = Ending::Loop.run(&ground, "").await;
                    took.push(before.elapsed());
                    wrong += u32::from(done.is_err());
                }
                (took, wrong)
            });
        }
        let (mut took, mut wrong) = (Vec::new(), 0);
        while let Some(done) = callers.join_next().await {
            let (mut these, those) = done.unwrap();
            took.append(&mut these);
            wrong += those;
        }
        stop.cancel();
        for one in load {
            assert_eq!(one.await.unwrap(), Err("cancelled"));
        }
        assert_eq!(took.len(), CALLS);
        took.sort_unstable();
        let (first, last) = (ms(took[0]), ms(took[CALLS - 1]));
        let calls = format!("{CALLS} calls");
        table.goal("deadlines: endings of another kind", calls, "", (f64::from(wrong), 0.0, ""));
        let early = (1_000.0 - first).max(0.0);
        table.goal("deadlines: too early, at most", format!("{first:.1} ms"), "1000 ms", (early, 0.0, " ms"));
        table.goal("deadlines: the last of them", format!("{last:.1} ms"), "1000 ms", (last, 1_250.0, " ms"));
    });
}
