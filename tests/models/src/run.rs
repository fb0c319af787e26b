//! Running checks: schedules, figures, and what is printed of a failure.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shuttle::scheduler::{PctScheduler, RandomScheduler, ReplayScheduler, Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, MaxSteps, Runner};

use crate::checks::Check;
use crate::ground;

/// Changes of priority in a schedule that is chosen by priorities, and one.
const DEPTH: usize = 3;
/// Far more than any run takes: one that takes more goes round for ever.
const STEPS: usize = 200_000;
/// SQLite wants more than the checker's default.
const STACK: usize = 512 << 10;

/// What the command line asks for.
pub(crate) struct Asked {
    pub(crate) schedules: usize,
    /// None: another one each time.
    pub(crate) seed: Option<u64>,
    pub(crate) checks: Vec<&'static Check>,
    pub(crate) replay: Option<String>,
}

/// What has become of a check so far.
#[derive(Default)]
struct Figures {
    schedules: AtomicUsize,
    /// Digests of the schedules, so that the same one counts once.
    different: Mutex<HashSet<u64>>,
    took: Mutex<Duration>,
    failures: AtomicUsize,
}

/// Half of a check's schedules.
struct Part {
    check: &'static Check,
    by_priority: bool,
    figures: Arc<Figures>,
}

pub(crate) fn all(asked: &Asked) -> ExitCode {
    let _template = ground::prepare();
    if let (Some(schedule), [check]) = (&asked.replay, asked.checks.as_slice()) {
        Runner::new(ReplayScheduler::new_from_encoded(schedule), config()).run(check.body);
        println!("{}: this schedule does not fail", check.name);
        return ExitCode::SUCCESS;
    }
    let seed = asked.seed.unwrap_or_else(|| std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0));
    println!("seed {seed}, {} schedules of each check", asked.schedules);
    let rows: Vec<_> = asked.checks.iter().map(|check| (*check, Arc::<Figures>::default())).collect();
    let parts = rows.iter().flat_map(|(check, figures)| {
        [true, false].map(|by_priority| Part { check, by_priority, figures: Arc::clone(figures) })
    });
    let parts: Mutex<VecDeque<Part>> = Mutex::new(parts.collect());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = parts.lock().expect("nothing panics in here").pop_front();
                    let Some(part) = next else { return };
                    part.run(seed, asked.schedules);
                }
            });
        }
    });
    println!("{:<12} {:>10} {:>10} {:>9}  {:<7} holds", "check", "schedules", "different", "seconds", "result");
    let mut failed = false;
    for (check, figures) in &rows {
        let failures = figures.failures.load(Ordering::Relaxed);
        failed |= failures > 0;
        println!(
            "{:<12} {:>10} {:>10} {:>9.1}  {:<7} {}",
            check.name,
            figures.schedules.load(Ordering::Relaxed),
            figures.different.lock().expect("nothing panics in here").len(),
            figures.took.lock().expect("nothing panics in here").as_secs_f64(),
            if failures > 0 { "FAILED" } else { "ok" },
            check.holds
        );
    }
    if failed {
        println!("\nA failing schedule stands above. To run it again: models replay CHECK SCHEDULE");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

impl Part {
    fn run(&self, seed: u64, schedules: usize) {
        let begun = Instant::now();
        let half = schedules.div_ceil(2);
        let done = catch_unwind(AssertUnwindSafe(|| {
            if self.by_priority {
                self.explore(PctScheduler::new_from_seed(seed, DEPTH, half));
            } else {
                self.explore(RandomScheduler::new_from_seed(seed, half));
            }
        }));
        if done.is_err() {
            eprintln!("check `{}` FAILED; its schedule stands above\n", self.check.name);
            self.figures.failures.fetch_add(1, Ordering::Relaxed);
        }
        *self.figures.took.lock().expect("nothing panics in here") += begun.elapsed();
    }

    fn explore(&self, scheduler: impl Scheduler + 'static) {
        let counted = Counted { inner: scheduler, digest: None, figures: Arc::clone(&self.figures) };
        Runner::new(counted, config()).run(self.check.body);
    }
}

/// Runs something that is no check, but needs the checker's threads.
pub(crate) fn once(act: impl Fn() + Send + Sync + 'static) {
    Runner::new(RandomScheduler::new_from_seed(0, 1), config()).run(act);
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = STACK;
    // That all orders of atomics are taken for the strongest is said in `sync.rs`.
    config.silence_warnings = true;
    config.max_steps = MaxSteps::FailAfter(STEPS);
    config
}

/// Counts schedules, and how many of them are different from each other.
struct Counted<S> {
    inner: S,
    /// Of the schedule that is being run, if one is.
    digest: Option<DefaultHasher>,
    figures: Arc<Figures>,
}

impl<S> Counted<S> {
    fn close(&mut self) {
        if let Some(digest) = self.digest.take() {
            self.figures.different.lock().expect("nothing panics in here").insert(digest.finish());
        }
    }
}

impl<S: Scheduler> Scheduler for Counted<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.close();
        let next = self.inner.new_execution()?;
        self.digest = Some(DefaultHasher::new());
        self.figures.schedules.fetch_add(1, Ordering::Relaxed);
        Some(next)
    }

    fn next_task(&mut self, runnable: &[&Task], current: Option<TaskId>, is_yielding: bool) -> Option<TaskId> {
        let next = self.inner.next_task(runnable, current, is_yielding)?;
        if let Some(digest) = &mut self.digest {
            usize::from(next).hash(digest);
        }
        Some(next)
    }

    fn next_u64(&mut self) -> u64 {
        let next = self.inner.next_u64();
        if let Some(digest) = &mut self.digest {
            next.hash(digest);
        }
        next
    }
}
