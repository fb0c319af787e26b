//! The clock that interrupts guests: every 10 ms each running guest yields.
//!
//! It runs while there is a guest that could run ([`Ticker::wake`]), and for a second after the last one; then twice a second, so that an
//! idle host uses next to nothing of its machine.
//!
//! A guest that spins ends only because this ticks, so that the thread that ticks is watched by another one. A tick that is
//! older than [`LATE`] refuses new calls ([`Ticker::check`]) and starts another thread in its place; meanwhile the watching
//! thread ticks in its stead, more slowly, so that what runs ends all the same.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use wasmtime::Engine;

/// How long a guest runs at most before others get their turn.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// How old a tick may be before nothing new is begun.
pub(crate) const LATE: Duration = Duration::from_secs(1);

/// How often the ticks are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How long a tick lasts while there is nobody to interrupt. Well below [`LATE`], so that a thread that hangs is noticed all the same.
const REST: Duration = Duration::from_millis(500);

/// Ticks without a guest after which the next one lasts longer: to wake the thread costs more than a short call does.
const CALM: u32 = 100;

/// One tick. False when there is nobody left to tick for.
type Tick = dyn Fn() -> bool + Send + Sync;

/// Threads of its own, since workers may all be busy with guests. They end with this value.
pub(crate) struct Ticker {
    pulse: Arc<Pulse>,
    watch: Option<JoinHandle<()>>,
}

struct Pulse {
    begun: Instant,
    /// Milliseconds from `begun` to the last tick.
    last: AtomicU64,
    stop: AtomicBool,
    /// Guests that there are.
    guests: AtomicUsize,
    /// Whether the next tick may be [`REST`] away.
    rests: AtomicBool,
    /// Who ticks.
    thread: Mutex<Option<Thread>>,
    /// Threads that were started in the place of others.
    replaced: AtomicU64,
    /// For tests: the threads hang.
    #[cfg(debug_assertions)]
    held: AtomicBool,
}

impl Pulse {
    fn beat(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.begun)
            .saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }

    /// Until the next tick, of the thread that ticks. `calm` counts the ticks without a guest.
    fn sleep(&self, calm: &mut u32) {
        if *calm < CALM {
            std::thread::park_timeout(TICK);
        } else {
            // Either a guest that comes now sees that we rest, or we see the guest.
            self.rests.store(true, Ordering::SeqCst);
            if self.guests.load(Ordering::SeqCst) == 0 {
                std::thread::park_timeout(REST);
            }
            self.rests.store(false, Ordering::SeqCst);
        }
        *calm = if self.guests.load(Ordering::Relaxed) == 0 { calm.saturating_add(1) } else { 0 };
    }

    fn hangs(&self) -> bool {
        #[cfg(debug_assertions)]
        let held = self.held.load(Ordering::Relaxed);
        #[cfg(not(debug_assertions))]
        let held = false;
        held
    }
}

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let engine = engine.weak();
        let tick = move || engine.upgrade().map(|engine| engine.increment_epoch()).is_some();
        Self::with(Arc::new(tick))
    }

    fn with(tick: Arc<Tick>) -> std::io::Result<Self> {
        let pulse = Arc::new(Pulse {
            begun: Instant::now(),
            last: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            guests: AtomicUsize::new(0),
            rests: AtomicBool::new(false),
            thread: Mutex::default(),
            replaced: AtomicU64::new(0),
            #[cfg(debug_assertions)]
            held: AtomicBool::new(false),
        });
        let beating = Beating::start(&tick, &pulse)?;
        let watch = std::thread::Builder::new().name("ringfence-watch".into()).spawn({
            let pulse = Arc::clone(&pulse);
            move || watch(beating, &tick, &pulse)
        })?;
        Ok(Self { pulse, watch: Some(watch) })
    }

    /// Ticks for a guest as long as the answer lives, which has to be as long as the guest can run.
    pub(crate) fn wake(&self) -> Awake {
        self.pulse.guests.fetch_add(1, Ordering::SeqCst);
        if self.pulse.rests.load(Ordering::SeqCst) {
            let thread = self.pulse.thread.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(thread) = &*thread {
                thread.unpark();
            }
        }
        Awake(Arc::clone(&self.pulse))
    }

    /// Whether guests are interrupted now. Otherwise how old the last tick is: nothing new must be begun.
    pub(crate) fn check(&self, now: Instant) -> Result<(), Duration> {
        match self.pulse.age(now) {
            age if age > LATE => Err(age),
            _ => Ok(()),
        }
    }

    /// How many threads had to be started in the place of one that died or hung.
    #[cfg(test)]
    pub(crate) fn replaced(&self) -> u64 {
        self.pulse.replaced.load(Ordering::Relaxed)
    }

    /// Whether the threads that tick hang from now on. Only for tests, and not there in a release.
    #[cfg(debug_assertions)]
    pub(crate) fn hold(&self, held: bool) {
        self.pulse.held.store(held, Ordering::Relaxed);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.pulse.stop.store(true, Ordering::Relaxed);
        if let Some(watch) = self.watch.take() {
            watch.thread().unpark();
            // A panic there has nothing left to hurt.
            drop(watch.join());
        }
    }
}

/// That there is a guest to interrupt.
pub(crate) struct Awake(Arc<Pulse>);

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.guests.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A thread that ticks.
struct Beating {
    /// Told when another one ticks in its place: it may only hang, and come back.
    over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Beating {
    fn start(tick: &Arc<Tick>, pulse: &Arc<Pulse>) -> std::io::Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new().name("ringfence-epoch".into()).spawn({
            let (tick, pulse, over) = (Arc::clone(tick), Arc::clone(pulse), Arc::clone(&over));
            move || {
                let mut calm = 0;
                while !over.load(Ordering::Relaxed) {
                    pulse.sleep(&mut calm);
                    if pulse.hangs() {
                        continue;
                    }
                    if !tick() {
                        break;
                    }
                    pulse.beat();
                }
            }
        })?;
        *pulse.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread.thread().clone());
        Ok(Self { over, thread })
    }
}

/// Sees to it that somebody ticks, until it is stopped or there is nobody to tick for.
fn watch(mut beating: Beating, tick: &Arc<Tick>, pulse: &Arc<Pulse>) {
    loop {
        std::thread::park_timeout(LOOK);
        if pulse.stop.load(Ordering::Relaxed) {
            break;
        }
        let (dead, age) = (beating.thread.is_finished(), pulse.age(Instant::now()));
        if !dead && age <= LATE {
            continue;
        }
        if !tick() {
            break;
        }
        tracing::error!(dead, age_ms = age.as_millis(), "the thread that interrupts guests is replaced");
        match Beating::start(tick, pulse) {
            Ok(other) => {
                std::mem::replace(&mut beating, other).over.store(true, Ordering::Relaxed);
                pulse.replaced.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => tracing::error!(%error, "no thread could be started; the next look tries again"),
        }
    }
    beating.over.store(true, Ordering::Relaxed);
    beating.thread.thread().unpark();
    // One that hangs is left behind: waiting for it would hang whoever ends the host.
    if pulse.age(Instant::now()) <= LATE {
        drop(beating.thread.join());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// What the n-th tick does.
    fn ticking(each: impl Fn(u64) + Send + Sync + 'static) -> (Ticker, Receiver<u64>) {
        let (sender, ticks): (Sender<u64>, _) = channel();
        let (count, sender) = (AtomicU64::new(0), Mutex::new(sender));
        let tick = move || {
            let n = count.fetch_add(1, Ordering::Relaxed);
            each(n);
            sender.lock().unwrap().send(n).is_ok()
        };
        (Ticker::with(Arc::new(tick)).unwrap(), ticks)
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    fn until_it_rests(ticker: &Ticker) {
        let begun = Instant::now();
        while !ticker.pulse.rests.load(Ordering::SeqCst) {
            assert!(begun.elapsed() < PATIENCE, "it never rests");
            std::thread::yield_now();
        }
    }

    #[test]
    fn it_rests_while_there_is_no_guest_and_wakes_for_one() {
        let (ticker, ticks) = ticking(|_| {});
        // A machine that is busy may be slow once, but not each time.
        let is_prompt = (0..10).any(|_| {
            until_it_rests(&ticker);
            assert!(ticks.try_iter().count() >= 10, "it rests at once");
            let begun = Instant::now();
            let awake = ticker.wake();
            ticks.recv_timeout(PATIENCE).unwrap();
            let waited = begun.elapsed();
            // That one may have come by itself, just before.
            ticks.recv_timeout(PATIENCE).unwrap();
            for _ in 0..CALM * 2 {
                ticks.recv_timeout(PATIENCE).unwrap();
                assert!(!ticker.pulse.rests.load(Ordering::SeqCst), "there is a guest");
            }
            drop(awake);
            waited < REST / 2
        });
        assert!(is_prompt, "nobody wakes it");
        assert_eq!((ticker.check(Instant::now()), ticker.replaced()), (Ok(()), 0));
    }

    #[test]
    fn t20_a_thread_that_dies_is_replaced_before_anything_is_late() {
        let (ticker, ticks) = ticking(|n| assert_ne!(n, 3, "the end of the first thread, as this test wants it"));
        let beyond = std::iter::from_fn(|| ticks.recv_timeout(PATIENCE).ok()).find(|n| *n > 20);
        assert!(beyond.is_some(), "nobody ticks any more");
        assert_eq!((ticker.check(Instant::now()), ticker.replaced()), (Ok(()), 1));
    }

    #[test]
    fn t20_a_thread_that_hangs_is_late_and_then_replaced() {
        let (release, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let (ticker, ticks) = ticking(move |n| {
            if n == 3 {
                let _ = gate.lock().unwrap().recv();
            }
        });
        let begun = Instant::now();
        while ticker.check(Instant::now()).is_ok() && ticker.replaced() == 0 {
            assert!(begun.elapsed() < PATIENCE, "nobody notices");
            std::thread::yield_now();
        }
        let beyond = std::iter::from_fn(|| ticks.recv_timeout(PATIENCE).ok()).find(|n| *n > 20);
        assert!(beyond.is_some(), "nobody ticks any more");
        assert_eq!((ticker.check(Instant::now()), ticker.replaced()), (Ok(()), 1));
        // The first one comes back, and knows that it is over.
        release.send(()).unwrap();
        drop(ticker);
        assert!(ticks.iter().count() < 1_000, "the threads end with the ticker");
    }
}
