//! Time on the wall and of the processor, and what to make of many samples.

use std::fmt::Display;
use std::time::Duration;

/// Time of the processor that the threads of this process have used, those that have ended left out.
pub(crate) fn cpu() -> Duration {
    cpu_of("self", |_| true)
}

/// As [`cpu`], of the threads of any process whose names are wanted.
pub(crate) fn cpu_of(process: impl Display, wanted: impl Fn(&str) -> bool) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("a Linux with /proc");
    let used = tasks.flatten().filter_map(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok().filter(|_| wanted(name.trim_end()))
    });
    Duration::from_nanos(used.sum())
}

/// What one batch took.
#[derive(Clone, Copy)]
pub(crate) struct Took {
    pub(crate) cpu: Duration,
    /// The part of it that the thread took whose ticks interrupt guests: as much for one guest as for all, whatever they do.
    pub(crate) ticks: Duration,
}

/// The name of that thread.
const TICKS: &str = "ringfence-epoch";

/// Work that the host has put off is done within this time, and counts as processor time of the batch that caused it.
const SETTLE: Duration = Duration::from_millis(80);

/// Measures a batch.
pub(crate) async fn measured(work: impl Future<Output = ()>) -> Took {
    let ticks = || cpu_of("self", |name| name == TICKS);
    let before = (cpu(), ticks());
    work.await;
    tokio::time::sleep(SETTLE).await;
    Took { cpu: cpu() - before.0, ticks: ticks() - before.1 }
}

/// The sample below which the share `p` of all lies.
pub(crate) fn percentile(samples: &mut [Duration], p: f64) -> Duration {
    samples.sort_unstable();
    let last = samples.len().saturating_sub(1);
    samples.get((last as f64 * p).round() as usize).copied().unwrap_or_default()
}

pub(crate) fn median(samples: &mut [Duration]) -> Duration {
    percentile(samples, 0.5)
}

pub(crate) fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

pub(crate) fn ratio(ours: Duration, floor: Duration) -> f64 {
    ours.as_secs_f64() / floor.as_secs_f64()
}

/// What else this machine was doing.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!("load {}", text.split(' ').take(2).collect::<Vec<_>>().join(" "))
}
