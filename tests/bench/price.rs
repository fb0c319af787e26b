//! What the broker adds to one act: calls that do it, without the same calls that do nothing, without the bare act.

use std::time::Duration;

use crate::clock::{median, us};
use crate::table::Table;

/// Samples of the three, in this order: with the act, without it, the bare act.
#[derive(Default)]
pub(crate) struct Price {
    /// Of each call.
    pub(crate) wall: [Vec<Duration>; 3],
    /// Of each batch of calls.
    pub(crate) cpu: [Vec<Duration>; 3],
}

impl Price {
    /// Puts two rows into the table. `calls` are in a batch, and `goal` is of the wall clock, in microseconds.
    pub(crate) fn told(self, table: &mut Table, what: &str, calls: usize, goal: f64) {
        let [with, without, bare] = self.wall.map(|mut all| us(median(&mut all)));
        let ours = format!("{with:.0} us - {without:.0} us");
        table.goal(format!("{what}, wall"), ours, format!("{bare:.0} us"), (with - without - bare, goal, " us"));
        let [with, without, bare] = self.cpu.map(|mut all| us(median(&mut all)) / calls as f64);
        let ours = format!("{with:.0} us - {without:.0} us");
        let adds = format!("{:.0} us", with - without - bare);
        table.note(format!("{what}, processor"), ours, format!("{bare:.0} us"), adds);
    }
}
