//! What is checked. Each is run once for each schedule, from nothing.

mod act;
mod budget;
mod cancel;
mod gate;
mod generation;
mod permit;
mod reload;
mod share;
mod slots;
mod writer;

use std::future::Future;

use shuttle::thread::{JoinHandle, spawn};
use tokio::runtime::Handle;

/// One check.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// What is true whoever goes first.
    pub(crate) holds: &'static str,
    pub(crate) body: fn(),
}

pub(crate) const ALL: &[Check] = &[
    budget::CHECK,
    permit::CHECK,
    cancel::CHECK,
    writer::CHECK,
    act::CHECK,
    slots::CHECK,
    generation::CHECK,
    reload::CHECK,
    share::CHECK,
    gate::CHECK,
];

/// A thread of the runtime `io` that waits for `work`.
fn beside(io: &Handle, work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    let io = io.clone();
    spawn(move || io.block_on(work))
}

fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("a failure ends the run before");
    }
}
