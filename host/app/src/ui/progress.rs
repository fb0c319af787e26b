//! Progress on stderr, and only where stderr is a terminal: a log file is no place for a spinner.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ringfence_core::{Progress, Step};

/// How long something may take before it is worth a line.
const PATIENCE: Duration = Duration::from_millis(150);

/// One line of progress that vanishes when it is dropped.
#[derive(Clone)]
pub(crate) struct Line {
    bar: ProgressBar,
    /// Whether a question stands where the line would be.
    held: Arc<AtomicBool>,
}

impl Line {
    pub(crate) fn new(quiet: bool) -> Self {
        if quiet || !std::io::stderr().is_terminal() {
            return Self::of(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(spinner());
        Self::of(bar)
    }

    fn of(bar: ProgressBar) -> Self {
        Self { bar, held: Arc::default() }
    }

    /// Takes the line away while a question stands.
    pub(crate) fn hold(&self) {
        self.held.store(true, Ordering::Relaxed);
        self.clear();
    }

    /// The question is over. The line comes back with the next report.
    pub(crate) fn release(&self) {
        self.bar.reset();
        self.held.store(false, Ordering::Relaxed);
    }

    /// Something of unknown length goes on.
    pub(crate) fn say(&self, message: impl Into<String>) {
        if self.held.load(Ordering::Relaxed) {
            return;
        }
        self.bar.enable_steady_tick(PATIENCE);
        self.bar.set_message(crate::ui::printable(&message.into()).replace('\n', " "));
    }

    /// Something that stays as it is: a line that nothing moves, and that costs nothing.
    pub(crate) fn rest(&self, message: &str) {
        self.bar.disable_steady_tick();
        self.bar.set_style(resting());
        self.bar.set_message(crate::ui::printable(message));
    }

    /// `done` of `total`, where the total is known.
    pub(crate) fn count(&self, done: u64, total: Option<u64>, message: impl Into<String>) {
        if let Some(total) = total.filter(|total| *total > 0) {
            if self.bar.length() != Some(total) {
                self.bar.set_length(total);
                self.bar.set_style(bar());
            }
            self.bar.set_position(done.min(total));
        } else if self.bar.length().is_some() {
            self.bar.unset_length();
            self.bar.set_style(spinner());
        }
        self.say(message);
    }

    /// Runs `print` with the line out of the way.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Passes on what a compiler warns of.
    pub(crate) fn warn(&self, said: &str) {
        if !said.trim().is_empty() {
            self.suspend(|| super::note(said.trim_end()));
        }
    }

    pub(crate) fn clear(&self) {
        self.bar.disable_steady_tick();
        self.bar.finish_and_clear();
    }

    /// For the core's loading and compiling.
    pub(crate) fn steps(&self) -> Progress {
        let line = self.clone();
        Arc::new(move |step| match step {
            Step::Compiling { skill, bytes } => {
                line.say(format!("compiling {skill}, {} KiB, once", bytes.div_ceil(1024)));
            }
            Step::Fetching { what, done, total } => {
                let kib = |bytes: u64| bytes.div_ceil(1024);
                line.count(kib(done), total.map(kib), format!("KiB of {what}"));
            }
            Step::Sending { what, done, total } => {
                line.count(done.div_ceil(1024), Some(total.div_ceil(1024)), format!("KiB to {what}"));
            }
            Step::Ready => line.clear(),
        })
    }
}

fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn resting() -> ProgressStyle {
    ProgressStyle::with_template("{wide_msg:.dim}").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn bar() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}
