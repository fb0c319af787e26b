//! What `Host::invoke` adds to a call of the engine.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::{self, measured, median, ratio, us};
use crate::floor::Floor;
use crate::guest::{self, Ground};
use crate::options;
use crate::table::Table;

const ROUNDS: usize = 15;
const CALLS: usize = 400;
/// Calls of one measurement of throughput.
const MANY: usize = 6_400;

pub(crate) fn measure(table: &mut Table) {
    let runtime = guest::runtime();
    let ground = Arc::new(runtime.block_on(Ground::open(None, |_| {})));
    let floor = Arc::new(Floor::new(&std::fs::read(guest::component()).unwrap(), 10_000));
    // From a task, as a face calls it.
    let one = runtime.block_on(runtime.spawn(one_by_one(Arc::clone(&ground), Arc::clone(&floor)))).unwrap();
    let [ours, theirs] = one;
    let figure = |ours: Duration, floor: Duration| (ratio(ours, floor), 1.5, "x");
    let say = |time| format!("{:.1} us", us(time));
    table.goal("invoke: echo, wall", say(ours.0), say(theirs.0), figure(ours.0, theirs.0));
    let cpu = format!("{:.2}x", ratio(ours.1, theirs.1));
    table.note("invoke: echo, all processor time", say(ours.1), say(theirs.1), cpu);
    plain(table, &runtime, &ground);
    for tasks in [1, 2, 64] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            ours.push(runtime.block_on(together(tasks, {
                let ground = Arc::clone(&ground);
                move || {
                    let ground = Arc::clone(&ground);
                    async move { drop(guest::echoes(&ground, MANY / tasks).await) }
                }
            })));
            theirs.push(runtime.block_on(together(tasks, {
                let floor = Arc::clone(&floor);
                move || {
                    let floor = Arc::clone(&floor);
                    async move {
                        for _ in 0..MANY / tasks {
                            floor.echo().await;
                        }
                    }
                }
            })));
        }
        let (ours, theirs) = (median(&mut ours), median(&mut theirs));
        let rate = |time: Duration| format!("{:.0}/s", MANY as f64 / time.as_secs_f64());
        let figure = format!("{:.2}x", ratio(ours, theirs));
        table.note(format!("invoke: echo, {tasks} tasks"), rate(ours), rate(theirs), figure);
    }
}

/// What a function with types costs beside a tool that takes JSON, both compiled by Rust.
fn plain(table: &mut Table, runtime: &tokio::runtime::Runtime, ground: &Arc<Ground>) {
    let ground = Arc::clone(ground);
    let compared = runtime.spawn(async move {
        let plain = ground.host.load_file(&guest::built_probe("plain"), None, None).await.unwrap();
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..=options::rounds(ROUNDS) {
            ours.push(median(&mut guest::echoes_of(&ground, &plain, CALLS).await));
            theirs.push(median(&mut guest::echoes(&ground, CALLS).await));
        }
        // The first of each warms up.
        (median(&mut ours[1..]), median(&mut theirs[1..]))
    });
    let (ours, theirs) = runtime.block_on(compared).unwrap();
    let say = |time| format!("{:.1} us", us(time));
    let figure = (ratio(ours, theirs), 1.5, "x");
    table.goal("invoke: echo of a plain component, beside a skill's", say(ours), say(theirs), figure);
}

/// Medians of wall and processor time per call: ours, and the floor's.
async fn one_by_one(ground: Arc<Ground>, floor: Arc<Floor>) -> [(Duration, Duration); 2] {
    guest::echoes(&ground, CALLS).await;
    let mut walls = [Vec::new(), Vec::new()];
    let mut cpus = [Vec::new(), Vec::new()];
    for _ in 0..options::rounds(ROUNDS) {
        let took = measured(async { walls[0].extend(guest::echoes(&ground, CALLS).await) }).await;
        cpus[0].push(took.cpu / CALLS as u32);
        let took = measured(async {
            for _ in 0..CALLS {
                let before = Instant::now();
                floor.echo().await;
                walls[1].push(before.elapsed());
            }
        })
        .await;
        cpus[1].push(took.cpu / CALLS as u32);
    }
    let [ours, theirs] = &mut walls;
    let [our_cpu, their_cpu] = &mut cpus;
    eprintln!(
        "  p10 {:.1} and {:.1} us, p90 {:.1} and {:.1} us",
        us(clock::percentile(ours, 0.1)),
        us(clock::percentile(theirs, 0.1)),
        us(clock::percentile(ours, 0.9)),
        us(clock::percentile(theirs, 0.9)),
    );
    [(median(ours), median(our_cpu)), (median(theirs), median(their_cpu))]
}

/// How long `tasks` tasks take together.
async fn together<F: Future<Output = ()> + Send + 'static>(tasks: usize, work: impl Fn() -> F) -> Duration {
    let before = Instant::now();
    let tasks: Vec<_> = (0..tasks).map(|_| tokio::spawn(work())).collect();
    for task in tasks {
        task.await.unwrap();
    }
    before.elapsed()
}
