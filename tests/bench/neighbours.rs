//! Whether good guests notice that others are not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringfence_core::{SkillRef, Timings};
use tokio::task::JoinSet;

use crate::clock::{ms, percentile, ratio};
use crate::ending::{Ending, Wrong};
use crate::guest::{self, Ground};
use crate::table::Table;

/// How many callers call, each again as soon as it has its answer: 256.
const GOOD: usize = 154;
const OTHERS: [(Ending, usize); 6] = [
    (Ending::Trap, 26),
    (Ending::Loop, 26),
    (Ending::Hog, 13),
    (Ending::Recursion, 13),
    (Ending::Flood, 13),
    (Ending::Cancelled, 11),
];
const LONG: Duration = Duration::from_secs(10);

pub(crate) fn measure(table: &mut Table) {
    let runtime = guest::runtime();
    runtime.block_on(async {
        let ground = Arc::new(Ground::open(None, |_| {}).await);
        // The others are other skills: what strangers wrote, beside a skill that does what it should.
        let path = guest::packaged(&ground.host, ground.folder(), "good", "").await;
        let skill = ground.host.load_file(&path, None, None).await.unwrap();
        guest::echoes_of(&ground, &skill, 50).await;
        let mut alone = good(&ground, &skill).await;
        let until = Instant::now() + LONG;
        let mut others = JoinSet::new();
        for (ending, callers) in OTHERS {
            for _ in 0..callers {
                let ground = Arc::clone(&ground);
                others.spawn(async move {
                    let (mut calls, mut wrong) = (0_u32, 0_u32);
                    while Instant::now() < until {
                        calls += 1;
                        if let Err(how) = ending.run(&ground, "").await {
                            wrong += 1;
                            eprintln!("  {ending:?} ended with {how:?}");
                        }
                        tokio::task::yield_now().await;
                    }
                    (calls, wrong)
                });
            }
        }
        let mut beside = good(&ground, &skill).await;
        let (mut calls, mut wrong) = (0, 0);
        while let Some(done) = others.join_next().await {
            let (these, those) = done.unwrap();
            calls += these;
            wrong += those;
        }
        let count = |calls: &Good| format!("{} calls", calls.took.len());
        let zero = |n: u32| (f64::from(n), 0.0, "");
        table.goal("neighbours: errors of good ones", count(&beside), count(&alone), zero(beside.errors));
        table.goal("neighbours: wrong results of good ones", count(&beside), count(&alone), zero(beside.wrong));
        table.goal("neighbours: wrong endings of the others", format!("{calls} calls"), "", zero(wrong));
        table.note("neighbours: in the slowest hundredth, in the mean", slowest(&mut beside), slowest(&mut alone), "");
        let (with, without) = (percentile(&mut beside.took, 0.99), percentile(&mut alone.took, 0.99));
        let say = |time| format!("{:.1} ms", ms(time));
        table.goal("neighbours: a good call, p99", say(with), say(without), (ratio(with, without), 3.0, "x"));
    });
}

/// Where the time of the slowest hundredth went, without what they waited for a worker.
fn slowest(good: &mut Good) -> String {
    good.timings.sort_by_key(|timings| timings.queued_us + timings.instantiate_us + timings.run_us);
    let slow = &good.timings[good.timings.len() * 99 / 100..];
    let mean = |part: fn(&Timings) -> u64| slow.iter().map(part).sum::<u64>() as f64 / 1000.0 / slow.len() as f64;
    format!(
        "{:.1} ms until a slot, {:.1} making the instance, {:.1} in it",
        mean(|timings| timings.queued_us),
        mean(|timings| timings.instantiate_us),
        mean(|timings| timings.run_us)
    )
}

#[derive(Default)]
struct Good {
    took: Vec<Duration>,
    timings: Vec<Timings>,
    errors: u32,
    wrong: u32,
}

/// The good callers for as long as it lasts.
async fn good(ground: &Arc<Ground>, skill: &SkillRef) -> Good {
    let until = Instant::now() + LONG;
    let mut callers = JoinSet::new();
    for caller in 0..GOOD {
        let (ground, skill) = (Arc::clone(ground), skill.clone());
        callers.spawn(async move {
            let mut good = Good::default();
            let mut asked = Instant::now();
            while asked < until {
                let mark = format!("{caller} {}", good.took.len());
                let done = Ending::Good.run_of(&ground, &skill, &mark).await;
                good.took.push(asked.elapsed());
                // From here on the next call waits for a worker, which is a part of what it takes: to begin where a worker takes it up
                // would leave out what all the others make it wait (coordinated omission).
                asked = Instant::now();
                // As where a socket brings the next call: what answers at once would otherwise keep its worker for a hundred
                // calls, and all other callers of that worker waiting.
                tokio::task::yield_now().await;
                match done {
                    Ok(timings) => good.timings.push(timings),
                    Err(Wrong::Kind(_)) => good.errors += 1,
                    Err(Wrong::Result) => good.wrong += 1,
                }
            }
            good
        });
    }
    let mut all = Good::default();
    while let Some(done) = callers.join_next().await {
        let mut one = done.unwrap();
        all.took.append(&mut one.took);
        all.timings.append(&mut one.timings);
        all.errors += one.errors;
        all.wrong += one.wrong;
    }
    all
}
