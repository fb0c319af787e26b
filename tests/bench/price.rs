//! What the broker adds to one act: calls that do it, without the same calls that do nothing, without the bare act.

use std::time::{Duration, Instant};

use crate::clock::{measured, median, us};
use crate::options;
use crate::table::Table;

const ROUNDS: usize = 20;
const CALLS: usize = 60;

/// Samples of the three, in this order: with the act, without it, the bare act.
#[derive(Default)]
pub(crate) struct Price {
    /// Of each call, where the three take turns: so each finds the machine, its caches and the server as the other two leave them.
    wall: [Vec<Duration>; 3],
    /// Of each call in batches of one kind: the bare act finds the server awake and its own code warm then, as in no program that does
    /// anything else.
    batches: [Vec<Duration>; 3],
    /// Of each batch of calls of one kind.
    cpu: [Vec<Duration>; 3],
}

impl Price {
    pub(crate) async fn of<A, B, C>(with: impl Fn() -> A, without: impl Fn() -> B, bare: impl Fn() -> C) -> Self
    where
        A: Future<Output = ()>,
        B: Future<Output = ()>,
        C: Future<Output = ()>,
    {
        let mut price = Self::default();
        for round in 0..=options::rounds(ROUNDS) {
            for _ in 0..CALLS {
                price.wall[0].push(timed(with()).await);
                price.wall[1].push(timed(without()).await);
                price.wall[2].push(timed(bare()).await);
            }
            price.cpu[0].push(batch(&with, &mut price.batches[0]).await);
            price.cpu[1].push(batch(&without, &mut price.batches[1]).await);
            price.cpu[2].push(batch(&bare, &mut price.batches[2]).await);
            // Connections and threads are made in the first round.
            if round == 0 {
                price = Self::default();
            }
        }
        price
    }

    /// Puts its rows into the table. `goal` is of the wall clock, in microseconds.
    pub(crate) fn told(self, table: &mut Table, what: &str, goal: f64) {
        let [with, without, bare] = self.wall.map(|mut all| us(median(&mut all)));
        let ours = format!("{with:.0} us - {without:.0} us");
        table.goal(format!("{what}, wall"), ours, format!("{bare:.0} us"), (with - without - bare, goal, " us"));
        let [with, without, bare] = self.batches.map(|mut all| us(median(&mut all)));
        let ours = format!("{with:.0} us - {without:.0} us");
        let adds = format!("{:.0} us", with - without - bare);
        table.note(format!("{what}, wall, each by itself"), ours, format!("{bare:.0} us"), adds);
        let [with, without, bare] = self.cpu.map(|mut all| us(median(&mut all)) / CALLS as f64);
        let ours = format!("{with:.0} us - {without:.0} us");
        let adds = format!("{:.0} us", with - without - bare);
        table.note(format!("{what}, processor"), ours, format!("{bare:.0} us"), adds);
    }
}

async fn timed(work: impl Future<Output = ()>) -> Duration {
    let before = Instant::now();
    work.await;
    before.elapsed()
}

/// Processor time of a batch of one kind, and how long each of it took.
async fn batch<F: Future<Output = ()>>(work: &impl Fn() -> F, took: &mut Vec<Duration>) -> Duration {
    let all = async {
        for _ in 0..CALLS {
            took.push(timed(work()).await);
        }
    };
    measured(all).await.cpu
}
